//! The parts of a kernel that can be examined without a boot, and the findings of the witnesses about them.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::binary::Binary;
use super::changelog::ParsedChangelog;
use super::config::{self, BuildConfig};
use super::git::{GitIndex, StepFound};
use super::source::{self, SnapshotFiles, SourceFiles, SourceFolder};
use super::version::{NotARelease, Release};
use super::{Finding, StateSet, Strength, Witness};
use crate::kernel::build::SourceSnapshot;
use crate::kernel::{Kernel, PackageKind};
use crate::matrix::Bug;

/// The parts of one kernel that can be examined without a boot. If a part exists but is unreadable, its field has the
/// reason.
#[derive(Default)]
pub struct Exhibits<'a> {
    /// Its release, from its name or its package. A tree's Makefile does not count, because it does not tell which patches
    /// were added.
    pub release: Option<Result<Release, String>>,
    /// The changelog of its package.
    pub changelog: Option<Result<ParsedChangelog, String>>,
    /// Its configuration. The one inside the image takes precedence.
    pub config: Option<BuildConfig<'static>>,
    /// Its commit, in an indexed repository.
    pub revision: Option<Result<(&'a GitIndex, &'a str), String>>,
    /// Its source.
    pub source: Option<Result<Box<dyn SourceFiles + 'a>, String>>,
    /// Its image.
    pub binary: Option<Result<Binary, String>>,
}

/// The findings of the witnesses about one bug.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// A finding for each witness that had something to examine, even if it saw nothing.
    pub findings: Vec<Finding>,
    /// Git's result for each step of the chain.
    pub steps: Vec<StepFound>,
    /// Git's warnings for people.
    pub warnings: Vec<String>,
    /// Whether git takes a repair to be in by words alone.
    pub rests_on_words: bool,
}

impl Said {
    /// Withdraws or weakens findings that another witness refutes.
    fn cross_examine(&mut self, exhibits: &Exhibits<'_>, bug: &Bug) {
        if let (true, Some(Ok(files))) = (self.rests_on_words, &exhibits.source)
            && source::is_unrecognised(bug, files.as_ref())
        {
            self.doubt_words_of_git();
        }
        let compiled_out = self.findings.iter().find(|finding| finding.witness == Witness::Config).cloned();
        if let Some(compiled_out) = compiled_out {
            config::temper(&mut self.findings, &compiled_out);
        }
    }

    /// Withdraws git's finding: only a message claims the repair, and the source has no known form.
    fn doubt_words_of_git(&mut self) {
        let is_open = |finding: &Finding| finding.states.and(StateSet::affected()) != StateSet::EMPTY;
        for finding in self.findings.iter_mut().filter(|finding| finding.witness == Witness::Git && !is_open(finding)) {
            let doubt = "only a message says that the repair is in: the repository has nothing to compare its lines with, and \
                         the source has none of the forms that are known";
            finding.states = StateSet::all();
            finding.strength = Strength::Weak;
            finding.why = format!("{}; {doubt}", finding.why);
            self.warnings.push(format!("{doubt}: read it"));
        }
    }
}

impl Exhibits<'_> {
    /// The parts of an obtained kernel that can be examined.
    pub fn of_kernel(kernel: &Kernel) -> Self {
        let release = release_of_obtained(kernel);
        let source = kernel.origin.tree().and_then(source_folder);
        let source = source.map(|folder| tree(SourceFolder::open(&folder)));
        let source = source.or_else(|| kernel.source.clone().map(built_from));
        let changelog = kernel.changelog().map_err(|error| format!("the package's changelog cannot be read: {error}"));
        let changelog = changelog.map(|changelog| changelog.as_ref().map(ParsedChangelog::of)).transpose();
        let binary = Binary::open(&kernel.image).map_err(|error| error.to_string());
        let config = BuildConfig::of_kernel(kernel);
        Self { release, changelog, config, revision: None, source, binary: Some(binary) }
    }

    /// The release to upgrade from: its own, or the base of its source or image, regardless of later additions.
    pub fn goes_on_from(&self) -> Option<Release> {
        if let Some(Ok(release)) = &self.release {
            return Some(release.clone());
        }
        let of_tree = || source::release(self.source.as_ref()?.as_ref().ok()?.as_ref()).ok()?;
        let of_commit = || {
            let (index, revision) = self.revision.as_ref()?.as_ref().ok()?;
            index.describe(revision).ok()?.version.map(|version| version.to_string())
        };
        let of_image = || self.binary.as_ref()?.as_ref().ok().map(|binary| binary.release().to_owned());
        Release::parse(&of_tree().or_else(of_commit).or_else(of_image)?).ok()
    }

    /// The findings about a bug of each witness that has something to examine, in the order of [`Witness::ALL`].
    pub fn look(&self, bug: &Bug) -> Said {
        let mut said = Said::default();
        for witness in Witness::ALL {
            witness.look(self, bug, &mut said);
        }
        said.cross_examine(self, bug);
        said
    }

    /// Whether a file was given, and not only a name.
    pub(super) fn has_file(&self) -> bool {
        self.binary.is_some() || self.source.is_some()
    }

    /// The release, where it is known.
    pub(super) fn known_release(&self) -> Option<&Release> {
        self.release.as_ref()?.as_ref().ok()
    }
}

/// The release in a kernel's name, unless its builder chose the name: then it does not tell which patches were added.
pub fn release_of(name: &str) -> Result<Release, String> {
    vouched(Release::parse(name), name)
}

/// Rejects a name that the kernel's builder chose.
fn vouched(read: Result<Release, NotARelease>, name: &str) -> Result<Release, String> {
    match read {
        Ok(own) if own.is_builders_own() => {
            Err(format!("{name} is a name that whoever built it chose: it does not say what was put in or taken out"))
        }
        release => release.map_err(|error| error.to_string()),
    }
}

/// The source folder of a tree: the tree itself, or the target of the link `source` in an output folder of kbuild
/// (`make O=`). The Makefile of an output folder is a stub. None if the link is broken.
pub fn source_folder(folder: &Path) -> Option<PathBuf> {
    if !is_output_folder(folder) {
        return Some(folder.to_owned());
    }
    Some(folder.join("source")).filter(|source| source.is_dir())
}

/// Whether kbuild was told to build into this folder.
pub fn is_output_folder(folder: &Path) -> bool {
    let makefile = folder.join("Makefile");
    // Opening a pipe would wait for its writer.
    let is_file = makefile.metadata().is_ok_and(|data| data.is_file());
    let Some(file) = is_file.then(|| File::open(makefile).ok()).flatten() else { return false };
    let mut head = Vec::new();
    // scripts/mkmakefile, or the Makefile itself from 5.4 on: `# Automatically generated by …: don't edit`.
    file.take(200).read_to_end(&mut head).is_ok() && head.starts_with(b"# Automatically generated by ")
}

/// A source tree, or why it cannot be read.
pub fn tree<'a>(folder: std::io::Result<SourceFolder>) -> Result<Box<dyn SourceFiles + 'a>, String> {
    match folder {
        Ok(folder) => Ok(Box::new(folder)),
        Err(error) => Err(format!("the source tree cannot be read: {error}")),
    }
}

/// The source that a kernel was built from, or why it cannot be read.
fn built_from<'a>(snapshot: SourceSnapshot) -> Result<Box<dyn SourceFiles + 'a>, String> {
    match SnapshotFiles::open(snapshot) {
        Ok(files) => Ok(Box::new(files)),
        Err(error) => Err(format!("the source tree cannot be read: {error}")),
    }
}

/// The release of a kernel that was obtained, if its source vouches for the name.
pub fn release_of_obtained(kernel: &Kernel) -> Option<Result<Release, String>> {
    kernel.origin.names_release.then(|| release_of_kernel(kernel)).flatten()
}

/// The release that a kernel's package says it is, or the kernel itself if it came in none.
fn release_of_kernel(kernel: &Kernel) -> Option<Result<Release, String>> {
    Some(match (kernel.release.as_deref(), kernel.package()) {
        (release, Some((PackageKind::Rpm, name, version))) => {
            let version = version.split_once(':').map_or(version, |(_, version)| version);
            match (Release::of_rpm(name, version), release) {
                // A package's name can be anything: Amazon has `kernel6.12`.
                (Err(_), Some(release)) => release_of(release),
                (read, _) => vouched(read, &format!("{name}-{version}")),
            }
        }
        (Some(release), Some((_, _, version))) => vouched(Release::of_deb(release, version), release),
        (Some(name), None) | (None, Some((_, _, name))) => release_of(name),
        (None, None) => return None,
    })
}

#[cfg(test)]
#[path = "exhibits_tests.rs"]
mod tests;
