//! Builds control kernels: one line's source, patched and configured as each recipe says, in one object tree.
//!
//! Built kernels are kept by content, under a key made from recipe, source and compiler. After an interruption (Ctrl-C,
//! kill -9, a full disk, a power cut) the next build resumes, and never takes a half-written file for a finished one.

mod job;
mod kept;
mod obtain;
mod patch;
mod source;
mod tree;
mod unpack;

use std::fs;
use std::path::{Path, PathBuf};

pub use super::build::{BuildError, BuildStep, SourceId, Toolchain, toolchain};
pub use kept::{Built, ControlStatus, standing};
pub(super) use obtain::BuiltControl;

use self::kept::BuildKey;
use self::source::ControlSource;
use self::tree::ControlTree;
use super::build::free_mib;
use super::obtain::Obtain;
use super::progress::Progress;
use super::store::{Store, StoreLock};
use crate::recipe::{Control, ControlLine, ControlRecipe, Recipes};
use crate::shim::Shim;

/// MiB of one line's objects, with room for the images. Measured: 139 for 6.1, 156 for 6.12.
pub const OBJECTS_MIB: u64 = 180;

/// Lines that make prints for a line's first control, and for a further one. Measured with 6.1.192.
pub(super) const OUTPUT_LINES: (u64, u64) = (1489, 57);

/// MiB of one line's unpacked source. Measured: 1438 for 6.1, 1640 for 6.12.
pub const SOURCE_MIB: u64 = 1700;

/// Hexadecimal digits of a source's sha256 that name its folder.
const TREE_NAME: usize = 16;

/// The controls to build, and their source.
pub struct BuildRequest<'a> {
    /// Controls, in any order.
    pub controls: Vec<&'static Control>,
    /// Lines. With a user's source, an empty list means the source's own line.
    pub lines: Vec<&'static ControlLine>,
    /// A kernel tree or tarball in place of Debian's packages. It is never written to.
    pub source: Option<&'a Path>,
}

/// The surroundings of a build.
pub struct BuildContext<'a> {
    /// The cache.
    pub store: &'a Store,
    /// Starts make and apt, so that they end with this process.
    pub shim: &'a Shim,
    /// Use only the cache, never the network.
    pub offline: bool,
    /// Take the newest source package instead of the one used last.
    pub refresh: bool,
    /// Receives events, on the thread that called.
    pub tell: &'a (dyn Fn(BuildEvent) + Send + Sync),
}

/// The progress of a build.
#[derive(Clone, Debug, PartialEq)]
pub enum BuildEvent {
    /// The source of a line is being fetched or unpacked.
    Source {
        /// The line.
        line: String,
        /// Its progress.
        progress: Progress,
    },
    /// A control is being built now.
    Started {
        /// The line.
        line: String,
        /// The control.
        control: String,
        /// The expected number of lines that make will print.
        output_lines: u64,
    },
    /// A control is built again from the start, because make failed on the remains of a killed build. The text says so.
    Again(String),
    /// A control reached a step.
    Step(BuildStep),
    /// The number of lines that make has printed.
    Output(u64),
    /// A control has been built.
    Built(Box<Built>),
    /// A control existed already.
    Kept(Box<Built>),
    /// A control could not be built; others may still be.
    Failed(String),
}

/// The result of a build.
#[derive(Debug, Default)]
pub struct BuildOutcome {
    /// Controls that were built now.
    pub built: Vec<Built>,
    /// Controls that existed already.
    pub kept: Vec<Built>,
    /// Why the rest was not built.
    pub failed: Vec<BuildError>,
}

/// Builds the controls that don't exist yet. Blocks for minutes; the calling thread must live that long. Concurrent
/// builds of the same line and source wait for each other.
///
/// # Errors
/// In [`BuildOutcome::failed`]: failures of single controls, after which the others are still built, and the failure
/// that ended the build.
pub fn build(wanted: &BuildRequest, with: &BuildContext) -> BuildOutcome {
    let mut outcome = BuildOutcome::default();
    if let Err(error) = build_all(wanted, with, &mut outcome) {
        outcome.failed.push(error);
    }
    outcome
}

/// The source of a line without any control's patch. Builds of the line wait while this exists.
#[derive(Debug)]
pub struct StockSource {
    /// Its identity.
    pub id: SourceId,
    /// Its folder in the cache.
    pub tree: PathBuf,
    _lock: StoreLock,
}

/// Fetches and unpacks the source of a line, unless the cache has it.
///
/// # Errors
/// If it cannot be fetched or unpacked.
pub fn stock_source(line: &'static ControlLine, with: &BuildContext) -> Result<StockSource, BuildError> {
    make_folder(&with.store.path("controls").join(&line.name), BuildStep::Fetch)?;
    let mut source = with.obtain(&line.name, |obtain| source::package(line, obtain))?;
    let lock = lock(&line.name, with)?;
    loop {
        match unpacked(&source, with)? {
            UnpackedSource::Replaced(newer) => source = newer,
            UnpackedSource::Tree(tree) => {
                // Without a patch nothing can fail to fit.
                let _ = tree.patch(None, with.store)?;
                return Ok(StockSource { id: source.id, tree: tree.src(), _lock: lock });
            }
        }
    }
}

fn build_all(wanted: &BuildRequest, with: &BuildContext, outcome: &mut BuildOutcome) -> Result<(), BuildError> {
    let toolchain = toolchain()?;
    make_folder(&with.store.path("controls/kept"), BuildStep::Fetch)?;
    match wanted.source {
        Some(path) => {
            let asked = &wanted.lines;
            let found = with.obtain("", |obtain| source::named(path, asked, obtain))?;
            build_line(found, wanted, &toolchain, with, outcome)
        }
        None => wanted.lines.iter().try_for_each(|line| {
            make_folder(&with.store.path("controls").join(&line.name), BuildStep::Fetch)?;
            let found = with.obtain(&line.name, |obtain| source::package(line, obtain))?;
            build_line(found, wanted, &toolchain, with, outcome)
        }),
    }
}

/// Builds a line, all of it from one source.
fn build_line(
    mut source: ControlSource,
    wanted: &BuildRequest,
    toolchain: &Toolchain,
    with: &BuildContext,
    outcome: &mut BuildOutcome,
) -> Result<(), BuildError> {
    let kept_before = outcome.kept.len();
    while let Some(newer) = build_of(&source, wanted, toolchain, with, outcome)? {
        // Kernels of the old source no longer answer the request.
        outcome.kept.truncate(kept_before);
        source = newer;
    }
    Ok(())
}

/// Builds a line from this source. If the mirror has replaced the package meanwhile, builds nothing and returns the new
/// source.
fn build_of(
    source: &ControlSource,
    wanted: &BuildRequest,
    toolchain: &Toolchain,
    with: &BuildContext,
    outcome: &mut BuildOutcome,
) -> Result<Option<ControlSource>, BuildError> {
    let recipes = Recipes::built_in();
    // The list's order is the cheapest.
    let of_line = recipes.controls().iter().filter(|control| control.is_of(source.line));
    let in_order = of_line.filter(|control| wanted.controls.contains(control));
    let mut missing: Vec<ControlRecipe> = in_order.map(|control| recipes.recipe(source.line, control)).collect();
    if missing.is_empty() {
        let controls = wanted.controls.iter().map(|control| control.name.to_string()).collect();
        return Err(BuildError::NotOfLine { controls, line: source.line.name.clone() });
    }
    take_kept(&mut missing, source, toolchain, with, outcome)?;
    if missing.is_empty() {
        return Ok(None);
    }
    let _lock = lock(&source.line.name, with)?;
    // The other build may have built them.
    take_kept(&mut missing, source, toolchain, with, outcome)?;
    if missing.is_empty() {
        return Ok(None);
    }
    let tree = match unpacked(source, with)? {
        UnpackedSource::Tree(tree) => tree,
        UnpackedSource::Replaced(newer) => return Ok(Some(newer)),
    };
    for recipe in &missing {
        match job::build(recipe, source, &tree, toolchain, with) {
            Ok(built) => outcome.built.push(built),
            Err(error) if error.is_this_control_s() => {
                (with.tell)(BuildEvent::Failed(error.to_string()));
                outcome.failed.push(error);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Waits for other builds of the line.
fn lock(line: &str, with: &BuildContext) -> Result<StoreLock, BuildError> {
    let waiting = || {
        let what = format!("another build of {line}");
        (with.tell)(BuildEvent::Source { line: line.to_owned(), progress: Progress::Waiting { what } });
    };
    let lock = with.store.lock(&format!("controls-{line}"), waiting);
    lock.map_err(BuildError::cache(BuildStep::Fetch))
}

/// Removes from `missing` the controls that are in the store.
fn take_kept(
    missing: &mut Vec<ControlRecipe>,
    source: &ControlSource,
    toolchain: &Toolchain,
    with: &BuildContext,
    outcome: &mut BuildOutcome,
) -> Result<(), BuildError> {
    let mut left = Vec::new();
    make_folder(&with.store.path("controls").join(&source.line.name), BuildStep::Fetch)?;
    for recipe in missing.drain(..) {
        match BuildKey::of(&recipe, &source.id, toolchain).built(with.store)? {
            Some(built) => {
                (with.tell)(BuildEvent::Kept(Box::new(built.clone())));
                outcome.kept.push(built);
            }
            None => left.push(recipe),
        }
    }
    *missing = left;
    Ok(())
}

/// The result of unpacking.
enum UnpackedSource {
    Tree(ControlTree),
    /// The package is gone, and this one has replaced it.
    Replaced(ControlSource),
}

/// The trees of the source, unpacked.
fn unpacked(source: &ControlSource, with: &BuildContext) -> Result<UnpackedSource, BuildError> {
    let tree = ControlTree::in_folder(with.store.path(&source.folder()));
    let there = tree.src().is_dir();
    if !there {
        drop_trees(&source.line.name, with.store)?;
    }
    let wanted = OBJECTS_MIB + if there { 0 } else { source.unpacked_mib() };
    let free = free_mib(with.store)?;
    if free < wanted && !tree.obj().is_dir() {
        let (step, path) = (BuildStep::Unpack, with.store.folder().to_owned());
        return Err(BuildError::DiskFull { step, path, needs_mib: Some((wanted, free)) });
    }
    if there {
        return Ok(UnpackedSource::Tree(tree));
    }
    let newer = with.obtain(&source.line.name, |obtain| source.put(&tree.src(), obtain))?;
    Ok(newer.map_or(UnpackedSource::Tree(tree), UnpackedSource::Replaced))
}

/// Removes the trees of a line's other sources: they take gigabytes, and the kernels built in them are kept elsewhere.
fn drop_trees(line: &str, store: &Store) -> Result<(), BuildError> {
    let folder = store.path("controls").join(line);
    for entry in fs::read_dir(&folder).map_err(BuildError::io(BuildStep::Unpack, &folder))? {
        let path = entry.map_err(BuildError::io(BuildStep::Unpack, &folder))?.path();
        // Other entries have names of another form.
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.len() == TREE_NAME && name.bytes().all(|b| b.is_ascii_hexdigit()) && path.is_dir() {
            // All together: a patched `src` without `pristine` would look like the stock source.
            store.discard(&path).map_err(BuildError::cache(BuildStep::Unpack))?;
        }
    }
    Ok(())
}

impl BuildContext<'_> {
    /// Runs something that reports progress as obtaining a kernel does.
    fn obtain<T>(&self, line: &str, what: impl FnOnce(&Obtain) -> T) -> T {
        let tell = |progress| (self.tell)(BuildEvent::Source { line: line.to_owned(), progress });
        let (offline, refresh) = (self.offline, self.refresh);
        what(&Obtain { store: self.store, shim: self.shim, offline, refresh, locked: None, tell: &tell })
    }
}

fn make_folder(folder: &Path, step: BuildStep) -> Result<(), BuildError> {
    fs::create_dir_all(folder).map_err(BuildError::io(step, folder))
}
