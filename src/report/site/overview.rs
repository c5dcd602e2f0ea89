//! The site's overview: all runs, and the files of their nights. The next update reads it to find out what is there.

use serde::{Deserialize, Serialize};

use super::super::web::inert::inert;
use crate::history::RecordedRun;
use crate::words::is_name;

/// The version of all data files. A site of another version is written again.
pub(super) const FORMAT: u32 = 1;

/// All runs of a history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Overview {
    /// The kind of the file.
    pub(super) site: String,
    /// [`FORMAT`].
    pub(super) format: u32,
    /// From the site to the results folder, as a relative address. None if there is no way.
    pub(super) results: Option<String>,
    /// Runs of different matrices are never mixed.
    pub(super) matrices: Vec<SiteMatrix>,
}

/// The runs of a matrix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct SiteMatrix {
    /// As the command line named it.
    pub(super) name: String,
    /// The oldest first.
    pub(super) files: Vec<NightsFile>,
}

/// A file with nights of one month.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct NightsFile {
    pub(super) month: String,
    /// Its name in `nights/`.
    pub(super) name: String,
    pub(super) bytes: u64,
    /// The bugs, each with its profile if that is not the default one.
    pub(super) jobs: Vec<String>,
    /// The oldest first.
    pub(super) runs: Vec<SiteRun>,
}

/// A run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct SiteRun {
    pub(super) id: String,
    pub(super) started: String,
    pub(super) exit: u8,
    pub(super) cells: u32,
    pub(super) unexpected: u32,
    /// Whether its folder still has its page.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) page: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) interrupted: bool,
    /// Whether a control was judged wrongly. Then its nights have none of its cells.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) untrusted: bool,
    /// What it selected of its matrix.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) selected: String,
    /// How many changes there were since the run before. None if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) changes: Option<usize>,
    /// The name of its changes, if that is not its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<String>,
    /// The numbers of each bug, by its place in the file's list.
    pub(super) counts: Vec<JobCounts>,
}

/// What became of a bug's cells: its place, pass, fail, error, skip; unexpected ones, and those in conflict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct JobCounts(
    pub(super) usize,
    pub(super) u32,
    pub(super) u32,
    pub(super) u32,
    pub(super) u32,
    pub(super) u32,
    pub(super) u32,
);

impl Overview {
    pub(super) fn of(results: Option<String>, matrices: Vec<SiteMatrix>) -> Self {
        Self { site: "overview".to_owned(), format: FORMAT, results, matrices }
    }

    pub(super) fn files(&self) -> impl Iterator<Item = &NightsFile> {
        self.matrices.iter().flat_map(|matrix| &matrix.files)
    }

    pub(super) fn runs(&self) -> impl Iterator<Item = &SiteRun> {
        self.files().flat_map(|file| &file.runs)
    }
}

impl NightsFile {
    /// Whether each number is of a bug of the list.
    pub(super) fn has_places(&self) -> bool {
        self.runs.iter().flat_map(|run| &run.counts).all(|count| count.0 < self.jobs.len())
    }
}

impl SiteRun {
    /// A run as the history lists it, without what only its cells tell.
    pub(super) fn of(recorded: &RecordedRun) -> Self {
        let RecordedRun { run, trusted, cells, unexpected } = recorded;
        let chosen = &run.selection;
        let words = chosen.kernels.iter().map(ToString::to_string);
        let words = words.chain(chosen.tags.iter().map(|tag| format!("tag {tag}")));
        let words = words.chain(chosen.bugs.iter().map(|bug| format!("bug {bug}")));
        let words = words.chain(chosen.profiles.iter().map(|profile| format!("profile {profile}")));
        let strict = chosen.strict.then(|| "strict".to_owned());
        Self {
            id: inert(&run.id),
            started: inert(&run.started),
            exit: run.exit_code.code(),
            cells: *cells,
            unexpected: *unexpected,
            interrupted: run.interrupted,
            untrusted: !trusted,
            selected: inert(&words.chain(strict).collect::<Vec<_>>().join(", ")),
            file: (!is_name(&run.id)).then(|| super::folder::short_hash(run.id.as_bytes())),
            ..Self::default()
        }
    }

    /// Whether both are the same run of the history.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        let told = |run: &Self| (run.exit, run.cells, run.unexpected, run.interrupted, run.untrusted);
        let names = [(&self.id, &other.id), (&self.started, &other.started), (&self.selected, &other.selected)];
        names.iter().all(|(own, others)| own == others) && told(self) == told(other)
    }

    /// The name of its changes.
    pub(super) fn changes_name(&self) -> String {
        format!("{}.js", self.file.as_ref().unwrap_or(&self.id))
    }
}
