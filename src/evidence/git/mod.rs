//! The witness `git`: which steps of a bug's chain are in the history of a revision.
//!
//! [`Repository::open`] opens a kernel repository, [`Repository::index`] builds or refreshes its index, and
//! [`GitIndex::ask`] answers for one bug and one revision. The walk over a million commits happens once. The index
//! keeps the facts of each commit (parents, subject, the commits that its message names), so a question takes one pass
//! over an array of parents and a few look-ups. Everything read back from the index is checked first.
//!
//! ```text
//! the files on the disk
//!   repository     opens a repository, or says what to do
//!   packs          checks the indexes of packs
//!   objects        reads commits, trees and files, as git shows them
//!   commit         parses a commit object
//!   revision       resolves a revision to its commit
//! the index
//!   walk           reads commits, parents first
//!   graph          finds ancestors and descendants
//!   index          builds, refreshes and locks the index
//!   index_file     reads and appends to its file
//!   index_format   encodes the parts of that file
//!   table          keeps sorted records under checksums
//! what messages say
//!   message        the names of commits in a message
//!   statement      the statements of a message
//!   trailers       what they claim about other commits
//!   subject        compares subjects
//!   subject_forms  words that revert, re-apply or omit a commit
//! which commits are a step
//!   history        the history of a revision
//!   step_facts     reads what the dossier omits from the upstream commits
//!   backports      finds the commits that are a step
//!   same_subject   finds those with its subject
//!   reverts        follows reverts, and reverts of reverts
//!   unclear_mentions  finds commits that mention a step without a claim
//!   packaging, quilt, rpm_spec  patches in the tree
//! what the files say
//!   content        compares files with a step's patch
//!   line_changes   the effect of a commit on a step's lines
//!   patch_id       git's patch-id
//!   copies         copies of a step's files at other paths
//!   file_places    follows a step's files that were renamed
//!   conditions     the preprocessor conditions around each line
//!   disabled       steps whose lines are not compiled
//!   line_words     compares lines by their identifiers
//!   line_pairs     which lines follow each other in each function
//!   pair_change    what a commit does to them
//!   silent_changes steps that a commit puts in or undoes silently
//!   traces         lines of a step that the history lacks
//!   claims         claims that their commits contradict
//!   removals       finds the commit that removed a step's lines
//!   partial_fixes  fixes that are only partly in the files
//! the answer
//!   history_gaps   what "not found" is worth
//!   presence       decides whether one step is present
//!   misplaced      decides whether the files show it where it belongs
//!   states         derives the possible states
//!   answer         puts the answer together
//!   warnings       warnings in addition to the answer
//!   testimony      the types of the answer
//! ```

mod answer;
mod backports;
mod claims;
mod commit;
mod conditions;
mod content;
mod copies;
mod disabled;
mod error;
mod file_places;
#[cfg(fuzzing)]
pub mod fuzzing;
mod graph;
mod history;
mod history_gaps;
mod index;
mod index_file;
mod index_format;
mod line_changes;
mod line_pairs;
mod line_words;
pub(super) mod message;
mod misplaced;
mod objects;
mod packaging;
mod pair_change;
mod partial_fixes;
mod patch_id;
mod presence;
mod quilt;
mod removals;
mod repository;
mod reverts;
mod revision;
mod rpm_spec;
mod same_subject;
mod silent_changes;
mod statement;
pub(super) mod states;
mod step_facts;
pub(super) mod subject;
pub(super) mod subject_forms;
mod table;
mod testimony;
mod traces;
pub(super) mod trailers;
mod unclear_mentions;
mod walk;
mod warnings;

#[cfg(test)]
mod answer_tests;
#[cfg(test)]
mod backports_tests;
#[cfg(test)]
mod chain_parts_tests;
#[cfg(test)]
mod clone_tests;
#[cfg(test)]
mod contradiction_tests;
#[cfg(test)]
mod file_places_tests;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod forms;
#[cfg(test)]
mod forms_tests;
#[cfg(test)]
mod history_gaps_tests;
#[cfg(test)]
mod index_file_tests;
#[cfg(test)]
mod index_tests;
#[cfg(test)]
mod message_tests;
#[cfg(test)]
mod packaging_tests;
#[cfg(test)]
mod packs_tests;
#[cfg(test)]
mod patch_traces_tests;
#[cfg(test)]
mod placement_tests;
#[cfg(test)]
mod placements;
#[cfg(test)]
mod repository_tests;
#[cfg(test)]
mod reverts_tests;
#[cfg(test)]
mod silent_changes_tests;
#[cfg(test)]
mod spans_tests;
#[cfg(test)]
mod step_facts_tests;
#[cfg(test)]
mod traces_tests;
#[cfg(test)]
mod unclear_mentions_tests;
#[cfg(test)]
mod words_tests;

/// The folder of the indexes, below the cache's folder.
pub const INDEXES: &str = "git";

/// The indexes in the cache, for `kernels gc`. Earlier versions wrote `.sqlite` files.
pub const KEPT: KeptElsewhere =
    KeptElsewhere { folder: INDEXES, plural: "indexes of repositories", extensions: &["index", "sqlite"] };

use super::exhibits::{Exhibits, Said};
use super::{Finding, Witness};
use crate::kernel::cache::KeptElsewhere;
use crate::matrix::Bug;

pub use super::makefile::MakefileVersion;
pub use error::GitError;
pub use index::{GitIndex, IndexProgress};
pub use repository::Repository;
pub use revision::{Description, GitFiles};
pub use testimony::{GitTestimony, How, StepFound};

/// Looks at the history of the kernel's commit for a bug, if the commit is known.
pub(super) fn look(exhibits: &Exhibits<'_>, bug: &Bug, said: &mut Said) {
    let Some(revision) = &exhibits.revision else { return };
    let asked = revision.as_ref().map_err(Clone::clone);
    match asked.and_then(|(index, revision)| index.ask(bug, revision).map_err(|error| error.to_string())) {
        Ok(GitTestimony { finding, steps, warnings, rests_on_words }) => {
            said.findings.push(finding);
            (said.steps, said.warnings, said.rests_on_words) = (steps, warnings, rests_on_words);
        }
        Err(why) => said.findings.push(Finding::unknown(Witness::Git, why)),
    }
}
