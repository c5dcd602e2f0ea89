//! Users' own reproducers, read and checked before anything boots.

use std::collections::{BTreeMap, BTreeSet};

use crate::guest::{GuestProgram, ProgramError};
use crate::matrix::{Bugs, Matrix, ReproducerSpec};
use crate::words::BugId;

/// Bytes that all programs of a run may have, because they are kept in memory. A guest may have less.
const TOTAL_MAX: usize = 4 << 30;

/// Programs that cannot run in a guest.
#[derive(Debug, thiserror::Error)]
pub enum BadPrograms {
    /// What is wrong with each.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Each(Vec<ProgramError>),
    /// They are too much together.
    #[error("the bugs' own reproducers take more than {} MiB together: ask for fewer with --bug", TOTAL_MAX >> 20)]
    Together,
}

/// The programs of the bugs that a matrix asks about.
///
/// # Errors
/// All that cannot run in a guest, at once.
pub fn programs(matrix: &Matrix, bugs: &Bugs) -> Result<BTreeMap<BugId, GuestProgram>, BadPrograms> {
    let asked: BTreeSet<&BugId> = matrix.kernels.iter().flat_map(|kernel| &kernel.bugs).collect();
    let (mut programs, mut wrong, mut total) = (BTreeMap::new(), Vec::new(), 0);
    for bug in asked.into_iter().filter_map(|id| bugs.get(id)) {
        let Some(own) = bug.reproducer.as_ref().and_then(ReproducerSpec::own) else { continue };
        match GuestProgram::load(&bug.id, &own.path, &own.files) {
            Ok(program) => {
                total += program.size();
                if total > TOTAL_MAX {
                    return Err(BadPrograms::Together);
                }
                programs.insert(bug.id.clone(), program);
            }
            Err(error) => wrong.push(error),
        }
    }
    if wrong.is_empty() { Ok(programs) } else { Err(BadPrograms::Each(wrong)) }
}
