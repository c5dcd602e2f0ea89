//! Brings a site up to date: writes only what differs, and removes what nobody needs any more.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use super::super::page::PAGE;
use super::super::web::links;
use super::changes::NightChanges;
use super::data::script;
use super::error::SiteError;
use super::folder::{CHANGES, INDEX, NIGHTS, OVERVIEW, SiteFolder, short_hash};
use super::frame::frame;
use super::nights::{Nights, counts};
use super::overview::{NightsFile, Overview, SiteMatrix, SiteRun};
use super::plan::{FilePlan, plan, to_compare};
use super::summary::{SUMMARY_VERSION, SiteProgress, SiteSummary};
use crate::history::{HistoryError, HistoryFile, RunDigest};
use crate::words::is_name;

/// Writes the history as a site into a folder, or brings the site there up to date.
///
/// # Errors
/// If the history cannot be read, the folder has other files, or it cannot be written. The site that was there stays usable.
pub fn write_site(
    history: &mut HistoryFile,
    results: &Path,
    folder: &Path,
    tell: &mut dyn FnMut(&SiteProgress),
) -> Result<SiteSummary, SiteError> {
    // A history that cannot be read makes no folder. The runs that count are those after the wait for another writer.
    history.runs()?;
    let mut site = SiteFolder::open(folder, tell)?;
    let earlier = site.overview();
    let is_damaged = earlier.is_none() && site.has_overview();
    let again = (earlier.is_none() && site.has_site())
        .then_some("the site that was there is of another version or damaged, so everything was written again");
    let earlier = earlier.unwrap_or_else(|| Overview::of(None, Vec::new()));
    let to_compare = HashSet::new();
    let update = Update { history, site: &mut site, earlier: &earlier, results, folder, tell, to_compare, done: 0 };
    match update.finish() {
        Ok(overview) => {
            let removed = site.sweep(&overview, true);
            let (written, bytes) = site.written;
            let nights = overview.runs().count();
            let index = folder.join(INDEX);
            Ok(SiteSummary { schema_version: SUMMARY_VERSION, index, nights, written, bytes, removed, again })
        }
        Err(error) => {
            // The new files are of no use without their overview, and may be what fills the disk. Those of a damaged one are
            // needed again.
            if !is_damaged {
                site.sweep(&earlier, false);
            }
            Err(error)
        }
    }
}

/// An update of a site.
struct Update<'a> {
    history: &'a mut HistoryFile,
    site: &'a mut SiteFolder,
    earlier: &'a Overview,
    results: &'a Path,
    folder: &'a Path,
    tell: &'a mut dyn FnMut(&SiteProgress),
    /// The runs whose changes are told anew.
    to_compare: HashSet<String>,
    done: usize,
}

impl Update<'_> {
    fn finish(mut self) -> Result<Overview, SiteError> {
        if !self.site.has_site() {
            // Marks the folder as a site's, if this process is stopped. It is replaced at the end.
            let written = self.site.written;
            self.site.put_data(OVERVIEW, self.earlier)?;
            self.site.written = written;
        }
        let plans = plan(self.history.runs()?);
        self.to_compare = to_compare(&plans, self.earlier);
        let total = plans.iter().flat_map(|plan| &plan.files).map(|file| file.runs.len()).sum();
        let mut matrices: Vec<SiteMatrix> = Vec::new();
        for plan in &plans {
            let mut files = Vec::new();
            for file in &plan.files {
                files.push(self.file(&plan.name, file)?);
                self.done += file.runs.len();
                (self.tell)(&SiteProgress::Nights { done: self.done, total });
            }
            files.retain(|file| !file.runs.is_empty());
            matrices.push(SiteMatrix { name: plan.name.clone(), files });
        }
        matrices.retain(|matrix| !matrix.files.is_empty());
        let overview = Overview::of(self.way_to_results(), matrices);
        let index = self.site.index();
        let frame = frame().map_err(|error| SiteError::io(&index)(std::io::Error::other(error)))?;
        // An earlier frame may be of another version, with an overview of its own: until it is replaced, that site stays.
        self.site.put_data(OVERVIEW, &overview)?;
        self.site.put(&index, frame.as_bytes())?;
        Ok(overview)
    }

    /// The nights of a file: those of the earlier site if it has the same runs.
    fn file(&mut self, matrix: &str, plan: &FilePlan) -> Result<NightsFile, SiteError> {
        let same = self.earlier.matrices.iter().filter(|it| it.name == matrix).flat_map(|it| &it.files);
        let mut same = same.filter(|file| file.month == plan.month && has_same_runs(file, plan));
        let known = same.find(|file| is_name(&file.name) && file.has_places() && self.is_there(file));
        // Of the earlier overview only what the history does not tell anew counts: somebody else may have written it.
        let known = known.map(|file| {
            let runs = file.runs.iter().zip(&plan.runs);
            let run = |(run, (_, shown)): (&SiteRun, &(_, SiteRun))| SiteRun {
                changes: run.changes,
                counts: run.counts.clone(),
                ..shown.clone()
            };
            NightsFile { runs: runs.map(run).collect(), ..file.clone() }
        });
        let (mut file, digests) = match known {
            Some(file) => (file, HashMap::new()),
            None => self.make(matrix, plan)?,
        };
        for run in &mut file.runs {
            run.page = run.file.is_none() && self.results.join(&run.id).join(PAGE).is_file();
        }
        for (recorded, shown) in &plan.runs {
            let Some(run) = file.runs.iter_mut().find(|run| run.is_same(shown)) else { continue };
            let name = format!("{CHANGES}/{}", run.changes_name());
            let is_there = fs::metadata(self.site.data(&name)).is_ok_and(|found| found.is_file() && found.len() > 0);
            if is_there && !self.to_compare.contains(&run.id) {
                continue;
            }
            let found = match digests.get(&run.id) {
                Some(digest) => self.history.changes(digest)?,
                None => match digest(self.history, &recorded.run.id)? {
                    Some(digest) => self.history.changes(&digest)?,
                    None => continue,
                },
            };
            run.changes = found.before.as_ref().map(|_| found.changes.len());
            self.site.put_data(&name, &NightChanges::of(&found))?;
        }
        Ok(file)
    }

    fn is_there(&self, file: &NightsFile) -> bool {
        let found = fs::metadata(self.site.data(NIGHTS).join(&file.name));
        found.is_ok_and(|found| found.is_file() && found.len() == file.bytes)
    }

    /// Writes the nights of a file. A run that was removed meanwhile is left out.
    fn make(&mut self, matrix: &str, plan: &FilePlan) -> Result<(NightsFile, HashMap<String, RunDigest>), SiteError> {
        let (mut digests, mut runs) = (Vec::new(), Vec::new());
        for (recorded, shown) in &plan.runs {
            if let Some(digest) = digest(self.history, &recorded.run.id)? {
                digests.push(digest);
                runs.push(shown.clone());
            }
        }
        let (jobs, counts) = counts(&digests);
        let told = self.earlier.matrices.iter().filter(|it| it.name == matrix).flat_map(|it| &it.files);
        let told: HashMap<&str, &SiteRun> = told.flat_map(|it| &it.runs).map(|run| (run.id.as_str(), run)).collect();
        for (run, counts) in runs.iter_mut().zip(counts) {
            run.counts = counts;
            // What changed stays as it was told, even if the runs before are gone.
            run.changes = told.get(run.id.as_str()).and_then(|known| known.changes);
        }
        let nights = Nights::of(&digests);
        let path = self.site.data(NIGHTS);
        let bytes = script(&nights).map_err(SiteError::io(&path))?;
        // The name follows from the content, so an earlier overview still has its own files until it is replaced.
        let name = format!("{}-{}.js", plan.month, short_hash(&bytes));
        self.site.put(&path.join(&name), &bytes)?;
        let file = NightsFile { month: plan.month.clone(), name, bytes: bytes.len() as u64, jobs, runs };
        let ids = file.runs.iter().map(|run| run.id.clone());
        let digests = ids.zip(digests).collect();
        Ok((file, digests))
    }

    fn way_to_results(&self) -> Option<String> {
        links::relative(&fs::canonicalize(self.folder).ok()?, &fs::canonicalize(self.results).ok()?)
    }
}

/// A run of the history. None if it was removed since the runs were listed.
fn digest(history: &mut HistoryFile, run: &str) -> Result<Option<RunDigest>, SiteError> {
    match history.find(run) {
        Ok(digest) => Ok(Some(digest)),
        Err(HistoryError::NoRun { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn has_same_runs(file: &NightsFile, plan: &FilePlan) -> bool {
    file.runs.len() == plan.runs.len() && file.runs.iter().zip(&plan.runs).all(|(run, (_, wanted))| run.is_same(wanted))
}
