//! The witness `git`: which steps of a bug's chain are in the history of a revision.
//!
//! [`Repository::open`] takes a kernel repository, [`Repository::index`] builds or refreshes the index beside it, and
//! [`GitIndex::ask`] answers for one bug and one revision. The walk over a million commits happens once; what it saw of
//! each (parents, subject, the commits that its message names) lies in a file, so that a question is one pass over an
//! array of parents and a few look-ups. All that is read back from that file is checked first.
//!
//! ```text
//! repository  opens, and refuses with a remedy        message   names of commits in messages
//! walk        raw objects → facts, parents first      graph     who is whose ancestor
//! statement   the statements of a message             claims    what they claim of other commits
//! subject     how subjects are compared               doing     what a commit does to a step's lines
//! blocks      tables with checksums                   objects   commits, trees and files, as git shows them
//! store       the index's file, made of such         index     builds, refreshes, locks
//! carriers    the commits that are a step             reverts   which of them still stand
//! packaging   patches that lie in the tree            spec      RPM's spec files
//! quilt       one patch file, and series of them      content   what the files say against it
//! absence     what "not found" is worth               lost      where a step's lines went
//! undoing     what speaks of taking a commit out     presence  what all that leaves of one step
//! states      the steps as states                 unheard   what speaks of a step in other words
//! eroded      repairs that are only partly there
//! ```

mod answer;
mod backports;
mod commit;
mod content;
mod copies;
mod error;
#[cfg(fuzzing)]
pub mod fuzzing;
mod graph;
mod history_gaps;
mod index;
mod index_file;
mod line_changes;
pub(super) mod message;
mod objects;
mod packaging;
mod packs;
mod partial_fixes;
mod presence;
mod quilt;
mod removals;
mod repository;
mod reverts;
mod revision;
mod rpm_spec;
mod statement;
pub(super) mod states;
pub(super) mod subject;
pub(super) mod subject_forms;
mod table;
mod testimony;
pub(super) mod trailers;
mod unclear_mentions;
mod walk;

#[cfg(test)]
mod ask_tests;
#[cfg(test)]
mod contradiction_tests;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod forms_tests;
#[cfg(test)]
mod index_file_tests;
#[cfg(test)]
mod index_tests;
#[cfg(test)]
mod message_tests;
#[cfg(test)]
mod packaging_tests;
#[cfg(test)]
mod repository_tests;
#[cfg(test)]
mod split_tests;

/// Where the indexes lie, below the cache's folder.
pub const INDEXES: &str = "git";

pub use super::makefile::MakefileVersion;
pub use error::GitError;
pub use index::{GitIndex, IndexProgress};
pub use repository::Repository;
pub use revision::Description;
pub use testimony::{GitTestimony, How, StepFound};
