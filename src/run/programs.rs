//! Users' own reproducers and their positive controls, read and checked before anything boots.

use std::collections::{BTreeMap, BTreeSet};

use crate::guest::{GuestProgram, ProgramError, RootfsShelf};
use crate::kernel::build::PATCH_MAX;
use crate::matrix::{Bugs, Matrix, PositiveControl, ReproducerSpec, RootfsSource};
use crate::regular;
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

/// What is run for a bug.
#[derive(Clone, Debug)]
pub struct OwnPrograms {
    /// The reproducer.
    pub program: GuestProgram,
    /// Its positive control.
    pub control: Option<PlannedControl>,
}

impl OwnPrograms {
    /// The names of the libraries of this host that they take along.
    pub fn libraries(&self) -> Vec<String> {
        let control = self.control.as_ref().and_then(|control| control.program.as_ref());
        let all = [Some(&self.program), control].into_iter().flatten();
        let names: BTreeSet<String> = all.flat_map(|program| program.libraries().names()).collect();
        names.into_iter().collect()
    }
}

/// A positive control that can run.
#[derive(Clone, Debug)]
pub struct PlannedControl {
    /// How it is run: in a guest of its own.
    pub reproducer: ReproducerSpec,
    /// Its program; None if it is the reproducer's.
    pub program: Option<GuestProgram>,
    /// What must show the bug.
    pub kind: PositiveControl,
}

/// The programs of the bugs that a matrix asks about.
///
/// # Errors
/// All that cannot run in a guest, at once.
pub fn programs(matrix: &Matrix, bugs: &Bugs) -> Result<BTreeMap<BugId, OwnPrograms>, BadPrograms> {
    let asked: BTreeSet<&BugId> = matrix.kernels.iter().flat_map(|kernel| &kernel.bugs).collect();
    let (mut programs, mut wrong, mut total) = (BTreeMap::new(), Vec::new(), 0);
    let mut shelf = RootfsShelf::default();
    for bug in asked.into_iter().filter_map(|id| bugs.get(id)) {
        match bug.reproducer.as_ref().and_then(|reproducer| load(&bug.id, reproducer, &mut shelf).transpose()) {
            Some(Ok(loaded)) => {
                let control = loaded.control.as_ref().and_then(|control| control.program.as_ref());
                total += loaded.program.size() + control.map_or(0, GuestProgram::size);
                if total + shelf.size() > TOTAL_MAX {
                    return Err(BadPrograms::Together);
                }
                programs.insert(bug.id.clone(), loaded);
            }
            Some(Err(error)) => wrong.push(error),
            None => {}
        }
    }
    if wrong.is_empty() { Ok(programs) } else { Err(BadPrograms::Each(wrong)) }
}

/// The program of a reproducer, and that of its control; None for a built-in one.
fn load(
    bug: &BugId,
    reproducer: &ReproducerSpec,
    shelf: &mut RootfsShelf,
) -> Result<Option<OwnPrograms>, ProgramError> {
    let Some(own) = reproducer.own() else { return Ok(None) };
    let program = GuestProgram::load(bug, &own.path, &own.files, own.rootfs.as_ref(), shelf)?;
    let mut control = None;
    if let (Some(kind), Some(reproducer)) = (&own.control, reproducer.of_control()) {
        if let PositiveControl::Without(patch) = kind {
            let unreadable = |source| ProgramError::Unreadable { bug: bug.clone(), path: patch.clone(), source };
            regular::read(patch, PATCH_MAX).map_err(unreadable)?;
        }
        let program = match kind {
            PositiveControl::Program { path, .. } if *path != own.path => {
                // Its path is always one of the dossier's folder.
                let rootfs = own.rootfs.clone().map(|rootfs| RootfsSource { has_program: false, ..rootfs });
                Some(GuestProgram::load(bug, path, &own.files, rootfs.as_ref(), shelf)?)
            }
            PositiveControl::Program { .. } | PositiveControl::Without(_) => None,
        };
        control = Some(PlannedControl { reproducer, program, kind: kind.clone() });
    }
    Ok(Some(OwnPrograms { program, control }))
}
