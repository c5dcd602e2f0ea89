//! Searches for the place where the verdict turns, by booting.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::Prove;
use super::question::{ProofQuestion, boot_verdict, is_real, repeat};
use super::row::{SearchRow, of_repository};
use crate::cli::run::OpenRun;
use crate::cli::{MachineArgs, Stop, ended, host, show};
use crate::evidence::Witness;
use crate::exit::Exit;
use crate::json;
use crate::matrix::KernelEntry;
use crate::prove::{
    BadEnds, Confirmation, PROOF_FILE, RowKernel, RowSearch, SCHEMA_VERSION, SaidOfKernel, Turn, TurnProof, TurnSearch,
    no_turn,
};
use crate::repository::RevisionRows;
use crate::results::{MatrixDocument, RunSelection, write_file};
use crate::run::{CacheUse, Lab, RunPlan};
use crate::validate::ToolRecord;
use crate::verdict::Verdict;
use crate::vm::DEFAULT_SEED;
use crate::words::KernelName;

/// Merges whose branches are searched, one in the other.
const DEEPEST: usize = 20;

/// Searches, and gives the exit code.
pub(super) fn prove(args: &Prove, question: &ProofQuestion) -> Result<Exit, Stop> {
    let row = SearchRow::of(args, question)?;
    let (lab, seeds) = ProofQuestion::lab(args, 1)?;
    let other = other_lab(args, &lab, seeds)?;
    let matrix = question.matrix().path;
    let run = OpenRun::open(&matrix, RunSelection::default(), &question.profiles, false, &lab, &args.host.results)?;
    let (booted, known) = (0, HashMap::new());
    let mut hunt = Hunt { args, question, lab, other, seeds, run, booted, known, interrupted: false };
    let searches = match hunt.search_all(row) {
        Ok(searches) => searches,
        Err(stop) => return Err(hunt.run.fail(stop)),
    };
    let bad = searches.first().and_then(|(_, search)| search.bad_ends());
    let booted = hunt.booted;
    let judged = hunt.run.close();
    let exit_code = match bad {
        _ if judged.document.run.interrupted => Exit::Interrupted,
        Some(BadEnds::Same { .. }) => Exit::Usage,
        Some(BadEnds::Unjudged(_)) => Exit::NoVerdict,
        None if searches
            .iter()
            .flat_map(|(found, _)| &found.turns)
            .all(|turn| turn.confirmed == Confirmation::Confirmed) =>
        {
            Exit::Clean
        }
        None => Exit::NoVerdict,
    };
    let mut lines: Vec<String> = Vec::new();
    for (found, search) in &searches {
        lines.extend(found.turns.iter().map(crate::prove::VerdictTurn::line));
        lines.extend(search.bad_ends().map(|bad| no_turn(&found.row, bad)));
    }
    let proof = TurnProof {
        schema_version: SCHEMA_VERSION,
        bug: question.bug.id.clone(),
        searches: searches.into_iter().map(|(found, _)| found).collect(),
        lines,
        boots: booted,
        tool: ToolRecord::of(&judged.document.run),
        folder: judged.folder.display().to_string(),
        repeat: repeat(&judged.document.run.arguments),
        exit_code,
    };
    let written = json::to_vec(&proof).map_err(Stop::no_verdict);
    let written = written.and_then(|text| {
        write_file(&judged.folder.join(PROOF_FILE), &text, true).and(judged.written).map_err(Stop::no_verdict)
    });
    let printed = show(&proof, args.output.format, args.output.style());
    ended(ended(exit_code, printed)?, written)
}

/// A lab with the seeds after those of `lab`, to confirm by.
fn other_lab(args: &Prove, lab: &Arc<Lab>, seeds: u32) -> Result<Arc<Lab>, Stop> {
    if is_real(args) {
        return Ok(Arc::clone(lab));
    }
    let seed = args.host.seed.unwrap_or(DEFAULT_SEED).checked_add(seeds);
    let machine = MachineArgs { seed: seed.or(Some(DEFAULT_SEED)), ..args.host.clone() };
    Ok(Arc::new(host::lab(&machine, seeds, args.offline, false, host::cpus())?))
}

/// A search in progress.
struct Hunt<'a> {
    args: &'a Prove,
    question: &'a ProofQuestion,
    lab: Arc<Lab>,
    /// Confirms.
    other: Arc<Lab>,
    seeds: u32,
    run: OpenRun,
    booted: usize,
    /// The kernels of the searches so far, by their commits.
    known: HashMap<String, RowKernel>,
    interrupted: bool,
}

impl Hunt<'_> {
    /// Searches a row; then, in a repository, the commits of each turn.
    fn search_all(&mut self, row: SearchRow) -> Result<Vec<(RowSearch, TurnSearch)>, Stop> {
        let mut searches = vec![self.search(row)?];
        let bad = searches.first().and_then(|(_, search)| search.bad_ends());
        if self.args.repo.is_some() && bad.is_none() {
            self.go_on_to_commits(&mut searches)?;
        }
        Ok(searches)
    }

    /// Finds the turns of a row, and confirms both sides of each.
    fn search(&mut self, mut row: SearchRow) -> Result<(RowSearch, TurnSearch), Stop> {
        row.recall(&self.known);
        let mut search = TurnSearch::new(row.kernels.len());
        for (at, kernel) in row.kernels.iter().enumerate().filter(|(_, kernel)| kernel.verdict.is_some()) {
            search.tell(at, affected(kernel.verdict));
        }
        let ends: Vec<usize> = search.ends().into_iter().filter(|end| search.known(*end).is_none()).collect();
        self.boot(&mut row, &mut search, &ends)?;
        self.finish(&mut row, &mut search)?;
        for _ in 0..self.args.spot_checks {
            let Some(spot) = search.spot().filter(|_| !self.interrupted) else { break };
            self.boot(&mut row, &mut search, &[spot])?;
            self.finish(&mut row, &mut search)?;
        }
        let sides: BTreeSet<usize> = search.turns().iter().flat_map(|turn| [turn.from, turn.to]).collect();
        let confirmed = self.confirm(&row, &search, &sides)?;
        for (kernel, revision) in row.kernels.iter().zip(&row.revisions) {
            if kernel.verdict.is_some() {
                self.known.insert(revision.commit.clone(), kernel.clone());
            }
        }
        let turns = RowSearch::turns_of(&row.kernels, &search, |at| {
            confirmed.get(&at).copied().unwrap_or(Confirmation::NotJudged)
        });
        let commits = row.revisions.into_iter().map(|revision| revision.commit).collect();
        Ok((RowSearch { what: row.what, row: row.kernels, commits, turns }, search))
    }

    fn finish(&mut self, row: &mut SearchRow, search: &mut TurnSearch) -> Result<(), Stop> {
        while let Some(next) = search.next().filter(|_| !self.interrupted) {
            self.boot(row, search, &[next])?;
        }
        Ok(())
    }

    /// Goes on between the revisions of each turn, to the commit; and where that merges a branch, into the branch.
    fn go_on_to_commits(&mut self, searches: &mut Vec<(RowSearch, TurnSearch)>) -> Result<(), Stop> {
        let (args, question) = (self.args, self.question);
        let mut open = self.turns_in(searches.last());
        let mut depth = 0;
        while let Some((from, to)) = open.pop().filter(|_| !self.interrupted && depth < DEEPEST) {
            depth += 1;
            let row = SearchRow::commits(args, question, &from, &to)?;
            let is_new = |commit: &String| !self.known.contains_key(commit);
            if row.revisions.iter().any(|revision| is_new(&revision.commit)) {
                let found = self.search(row)?;
                open.extend(self.turns_in(Some(&found)));
                searches.push(found);
                continue;
            }
            // The commit itself is a merge: its branch may have brought the turn in.
            let merged = row.revisions.last().and_then(|revision| revision.merges.clone());
            let Some(branch) = merged.filter(|_| row.revisions.len() == 2) else { continue };
            let rows = RevisionRows::open(args.repo.as_deref().unwrap_or_else(|| Path::new("")));
            let parent = rows.and_then(|rows| rows.first_parent(&to)).map_err(of_repository)?;
            let branch = SearchRow::commits(args, question, &parent, &branch)?;
            if branch.revisions.len() > 1
                && branch.revisions.iter().any(|revision| !self.known.contains_key(&revision.commit))
            {
                let found = self.search(branch)?;
                open.extend(self.turns_in(Some(&found)));
                // If the end of the branch is like the merge's first parent, only the merge turns the verdict.
                if !matches!(found.1.bad_ends(), Some(BadEnds::Same { .. })) {
                    searches.push(found);
                }
            }
        }
        Ok(())
    }

    /// The commits of the turns that a search found.
    fn turns_in(&self, found: Option<&(RowSearch, TurnSearch)>) -> Vec<(String, String)> {
        let Some((found, search)) = found else { return Vec::new() };
        let commit = |at: usize| found.commits.get(at).cloned();
        let ends = |turn: Turn| Some((commit(turn.from)?, commit(turn.to)?));
        search.turns().into_iter().filter_map(ends).collect()
    }

    /// Boots kernels of the row.
    fn boot(&mut self, row: &mut SearchRow, search: &mut TurnSearch, which: &[usize]) -> Result<(), Stop> {
        let entries: Vec<KernelEntry> = which.iter().filter_map(|at| row.entries.get(*at)).cloned().collect();
        let lab = Arc::clone(&self.lab);
        let Some(document) = self.judge(entries, &lab, None)? else { return Ok(()) };
        for at in which {
            let Some(kernel) = row.kernels.get_mut(*at) else { continue };
            let (verdict, reason, said) = told(&document, &kernel.name);
            search.tell(*at, affected(Some(verdict)));
            (kernel.verdict, kernel.reason, kernel.said) = (Some(verdict), reason, said);
        }
        Ok(())
    }

    /// Boots the sides of turns again.
    fn confirm(
        &mut self,
        row: &SearchRow,
        search: &TurnSearch,
        which: &BTreeSet<usize>,
    ) -> Result<BTreeMap<usize, Confirmation>, Stop> {
        let again = |at: &usize| -> Option<(usize, KernelEntry)> {
            let entry = row.entries.get(*at)?;
            let name = format!("{}-again", entry.name).parse().ok()?;
            Some((*at, KernelEntry { name, ..entry.clone() }))
        };
        let again: Vec<(usize, KernelEntry)> = which.iter().filter_map(again).collect();
        let lab = Arc::clone(&self.other);
        let entries = again.iter().map(|(_, entry)| entry.clone()).collect();
        // A kept boot in real time may be the first one.
        let cache = is_real(self.args).then_some(CacheUse::Fresh);
        let Some(document) = self.judge(entries, &lab, cache)? else { return Ok(BTreeMap::new()) };
        let says = |(at, entry): &(usize, KernelEntry)| {
            let confirmation = match affected(Some(told(&document, &entry.name).0)) {
                None => Confirmation::NotJudged,
                now if Some(now) == search.known(*at) => Confirmation::Confirmed,
                Some(_) => Confirmation::Differs,
            };
            (*at, confirmation)
        };
        Ok(again.iter().map(says).collect())
    }

    /// Judges kernels. None if interrupted.
    fn judge(
        &mut self,
        entries: Vec<KernelEntry>,
        lab: &Arc<Lab>,
        cache: Option<CacheUse>,
    ) -> Result<Option<MatrixDocument>, Stop> {
        if entries.is_empty() || self.interrupted {
            return Ok((!self.interrupted).then(|| self.run.document()));
        }
        self.booted += entries.len();
        let plan = self.question.plan(entries)?;
        let plan = RunPlan { seeds: self.seeds, cache: cache.unwrap_or(plan.cache), ..plan };
        self.interrupted = !self.run.judge(plan, lab)?;
        Ok((!self.interrupted).then(|| self.run.document()))
    }
}

fn affected(verdict: Option<Verdict>) -> Option<bool> {
    match verdict? {
        Verdict::Affected => Some(true),
        Verdict::NotAffected => Some(false),
        Verdict::Unknown => None,
    }
}

/// What a kernel's boot came to, why it came to nothing, and what the other witnesses say.
fn told(document: &MatrixDocument, name: &KernelName) -> (Verdict, Option<String>, Vec<SaidOfKernel>) {
    let Some(cell) = document.cells.iter().find(|cell| cell.kernel == *name) else {
        return (Verdict::Unknown, Some("it was not booted".to_owned()), Vec::new());
    };
    let said = cell
        .judgement
        .findings
        .iter()
        .filter(|found| found.witness != Witness::Runtime)
        .map(SaidOfKernel::of)
        .collect();
    match boot_verdict(document, name) {
        Verdict::Unknown => (Verdict::Unknown, cell.judgement.reason.clone(), said),
        verdict => (verdict, None, said),
    }
}
