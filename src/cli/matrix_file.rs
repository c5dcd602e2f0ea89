//! The matrix of a command, and its lock.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::anyhow;

use super::Stop;
use crate::matrix::{self, Bug, Bugs, InLock, Lock, Locked, Matrix};
use crate::report::{say, visible};
use crate::words::{BugId, KernelName};

/// The default matrix, if there is no kernels.yaml.
const BUILT_IN: &str = include_str!("../../kernels.yaml");

/// The name of the built-in matrix in messages; no file has this name.
const BUILT_IN_NAME: &str = "(built-in)";

/// The matrix if no other is named.
const MATRIX_FILE: &str = "kernels.yaml";

/// The known bugs: the built-in ones, and those of the user's folder.
pub(super) fn bugs(folder: Option<&Path>) -> Result<Bugs, Stop> {
    let bugs = Bugs::built_in();
    folder.map_or(Ok(bugs.clone()), |folder| bugs.with_folder(folder).map_err(Stop::usage))
}

/// The named bugs: see [`Bugs::find`].
pub(super) fn named<'a>(bugs: &'a Bugs, names: &[BugId]) -> Result<Vec<&'a Bug>, Stop> {
    let mut named: Vec<&Bug> = Vec::new();
    for name in names {
        let bug = bugs.find(name.as_str()).map_err(Stop::usage)?;
        // A name and a CVE may mean the same bug.
        if named.iter().all(|known| known.id != bug.id) {
            named.push(bug);
        }
    }
    Ok(named)
}

/// The named bugs, or all if none was named.
pub(super) fn chosen<'a>(bugs: &'a Bugs, names: &[BugId]) -> Result<Vec<&'a Bug>, Stop> {
    if names.is_empty() { Ok(bugs.iter().collect()) } else { named(bugs, names) }
}

/// The named matrix, or kernels.yaml, or the built-in one.
pub(super) fn matrix(file: Option<&Path>, bugs: &Bugs) -> Result<Matrix, Stop> {
    match file.or_else(|| Some(Path::new(MATRIX_FILE)).filter(|file| file.exists())) {
        Some(file) => matrix::load(file, bugs).map_err(Stop::usage),
        None => built_in(bugs),
    }
}

/// The built-in matrix.
pub(super) fn built_in(bugs: &Bugs) -> Result<Matrix, Stop> {
    matrix::parse(BUILT_IN, Path::new(BUILT_IN_NAME), bugs).map_err(Stop::usage)
}

/// Whether the matrix is built in, and so has no lock.
pub(super) fn is_built_in(matrix: &Matrix) -> bool {
    matrix.path == Path::new(BUILT_IN_NAME)
}

/// The lock of the matrix; empty if it has none.
pub(super) fn lock(matrix: &Matrix) -> Result<Lock, Stop> {
    if is_built_in(matrix) {
        return Ok(Lock::default());
    }
    Lock::load(&Lock::path_of(&matrix.path)).map_err(Stop::usage)
}

/// What the chosen kernels of a matrix are locked to.
pub(super) struct Locks {
    pub(super) locked: BTreeMap<KernelName, Locked>,
    /// Why optional kernels are skipped that `--locked` requires to be locked.
    pub(super) skipped: BTreeMap<KernelName, String>,
}

/// The locks of the chosen kernels. Names stale entries. If all `must` be locked, rejects a kernel that is not, but skips
/// an optional one, because its source may have vanished before it was locked.
pub(super) fn locked(matrix: &Matrix, must: bool) -> Result<Locks, Stop> {
    let lock = lock(matrix)?;
    let path = Lock::path_of(&matrix.path);
    let (mut locked, mut skipped, mut missing) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    for kernel in &matrix.kernels {
        let (name, source) = (&kernel.name, &kernel.source);
        match lock.standing(kernel, &matrix.path) {
            InLock::Current(entry) => drop(locked.insert(name.clone(), entry.clone())),
            InLock::OtherSource(_) | InLock::Absent
                if must && kernel.optional && crate::kernel::why_not_locked(source).is_none() =>
            {
                let path = path.display();
                let why =
                    format!("it is optional and not locked in {path}; `backproof kernels update` locks what is served");
                skipped.insert(name.clone(), why);
            }
            InLock::OtherSource(entry) if must => {
                missing.push(format!("{name}: it was locked as `{}`, and is `{source}` now", entry.source));
            }
            InLock::OtherSource(_) => {
                let (name, path) = (name.to_string(), visible(&path.display().to_string()));
                say(format_args!(
                    "{name}: {path} locks a different source; resolving again; `backproof kernels update` locks it"
                ));
            }
            InLock::Absent if must => missing.push(match crate::kernel::why_not_locked(source) {
                Some(why) => format!("{name}: it cannot be locked: {why}"),
                None => format!("{name}: it is not in {}", path.display()),
            }),
            InLock::Absent => {}
        }
    }
    if missing.is_empty() {
        return Ok(Locks { locked, skipped });
    }
    let missing = missing.join("\n  ");
    let advice = if is_built_in(matrix) {
        "the built-in matrix has no lock: write a kernels.yaml of your own".to_owned()
    } else {
        "`backproof kernels update` locks what can be locked".to_owned()
    };
    Err(Stop::usage(anyhow!("--locked: not every kernel is locked:\n  {}\n{advice}", missing)))
}
