//! Builds control kernels: one line's source, patched and configured as each recipe says, in one object tree.
//!
//! What was built is kept by content, under a key made of recipe, source and compiler. Whatever ends a build
//! (Ctrl-C, kill -9, a full disk, no power), the next one goes on where it stopped, and no half-made file is taken
//! for a whole one.

mod config;
mod error;
mod job;
mod kept;
mod make;
mod obtain;
mod patch;
mod source;
mod tools;
mod tree;
mod unpack;

use std::fs;
use std::path::Path;

pub use error::{BuildError, Step};
pub use kept::{Built, Standing, standing};
pub(super) use obtain::BuiltControl;
pub use source::SourceId;
pub use tools::{Toolchain, toolchain};

use self::kept::Key;
use self::source::Source;
use self::tree::Tree;
use super::store::Store;
use super::{Obtain, Progress};
use crate::recipe::{Control, Line, Recipe, Recipes};
use crate::shim::Shim;

/// MiB of one line's objects, with room for the images. Measured: 139 for 6.1, 156 for 6.12.
pub const OBJECTS_MIB: u64 = 180;

/// MiB of one line's unpacked source. Measured: 1438 for 6.1, 1640 for 6.12.
pub const SOURCE_MIB: u64 = 1700;

/// Hexadecimal digits of a source's sha256 that name its folder.
const TREE_NAME: usize = 16;

/// What is to be built.
pub struct Wanted<'a> {
    /// Controls, in any order.
    pub controls: Vec<&'static Control>,
    /// Lines. With a source of the user's, none means the source's own.
    pub lines: Vec<&'static Line>,
    /// A kernel tree or tarball in place of Debian's packages. It is never written to.
    pub source: Option<&'a Path>,
}

/// What a build works with.
pub struct Build<'a> {
    /// The cache.
    pub store: &'a Store,
    /// Starts make and apt, so that they end with this process.
    pub shim: &'a Shim,
    /// Use what is cached and never the network.
    pub offline: bool,
    /// Take the newest source package, and not the one that was used last.
    pub refresh: bool,
    /// Is told what is going on, from the thread that called.
    pub tell: &'a (dyn Fn(Event) + Send + Sync),
}

/// What is going on.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The source of a line is on its way.
    Source {
        /// The line.
        line: String,
        /// What is going on.
        progress: Progress,
    },
    /// A control is being built now.
    Started {
        /// The line.
        line: String,
        /// The control.
        control: String,
        /// Lines that make will print, by experience.
        output_lines: u64,
    },
    /// A control is being built from the beginning, in these words, because make failed on what a killed one had left.
    Again(String),
    /// A control has come to a step.
    Step(Step),
    /// make has printed so many lines.
    Output(u64),
    /// A control has been built.
    Built(Box<Built>),
    /// A control was there already.
    Kept(Box<Built>),
    /// A control could not be built; others may.
    Failed(String),
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What was built now.
    pub built: Vec<Built>,
    /// What was there already.
    pub kept: Vec<Built>,
    /// Why the rest was not built.
    pub failed: Vec<BuildError>,
}

/// Builds what is wanted and not there yet. Blocks for minutes; the thread that calls has to live as long. Any
/// number of processes can do so at once: those of the same line and source wait for each other.
///
/// # Errors
/// In [`Outcome::failed`]: what concerns one control, after which the others are built all the same, and whatever
/// ended the building.
pub fn build(wanted: &Wanted, with: &Build) -> Outcome {
    let mut outcome = Outcome::default();
    if let Err(error) = build_all(wanted, with, &mut outcome) {
        outcome.failed.push(error);
    }
    outcome
}

fn build_all(wanted: &Wanted, with: &Build, outcome: &mut Outcome) -> Result<(), BuildError> {
    let toolchain = toolchain()?;
    make_folder(&with.store.path("controls/kept"), Step::Fetch)?;
    match wanted.source {
        Some(path) => {
            let asked = &wanted.lines;
            let found = with.obtain("", |obtain| source::named(path, asked, obtain))?;
            build_line(found, wanted, &toolchain, with, outcome)
        }
        None => wanted.lines.iter().try_for_each(|line| {
            make_folder(&with.store.path("controls").join(&line.name), Step::Fetch)?;
            let found = with.obtain(&line.name, |obtain| source::package(line, obtain))?;
            build_line(found, wanted, &toolchain, with, outcome)
        }),
    }
}

/// Builds a line, all of it of one source.
fn build_line(
    mut source: Source,
    wanted: &Wanted,
    toolchain: &Toolchain,
    with: &Build,
    outcome: &mut Outcome,
) -> Result<(), BuildError> {
    let kept_before = outcome.kept.len();
    while let Some(newer) = build_of(&source, wanted, toolchain, with, outcome)? {
        // What is there of the old source is not what was asked for any more.
        outcome.kept.truncate(kept_before);
        source = newer;
    }
    Ok(())
}

/// Builds a line of this source. Gives back another, and has built nothing, where the mirror has replaced the package
/// meanwhile.
fn build_of(
    source: &Source,
    wanted: &Wanted,
    toolchain: &Toolchain,
    with: &Build,
    outcome: &mut Outcome,
) -> Result<Option<Source>, BuildError> {
    let recipes = Recipes::built_in();
    // In the list's order, which costs least.
    let in_order = recipes.controls().iter().filter(|control| wanted.controls.contains(control));
    let mut missing: Vec<Recipe> = in_order.map(|control| recipes.recipe(source.line, control)).collect();
    take_kept(&mut missing, source, toolchain, with, outcome)?;
    if missing.is_empty() {
        return Ok(None);
    }
    let line = source.line.name.clone();
    let waiting = || {
        let what = format!("another build of {line}");
        (with.tell)(Event::Source { line: line.clone(), progress: Progress::Waiting { what } });
    };
    let lock = with.store.lock(&format!("controls-{line}"), waiting);
    let _lock = lock.map_err(BuildError::cache(Step::Fetch))?;
    // The one that was waited for may have built them.
    take_kept(&mut missing, source, toolchain, with, outcome)?;
    if missing.is_empty() {
        return Ok(None);
    }
    let tree = match unpacked(source, with)? {
        Unpacked::Tree(tree) => tree,
        Unpacked::Replaced(newer) => return Ok(Some(newer)),
    };
    for recipe in &missing {
        match job::build(recipe, source, &tree, toolchain, with) {
            Ok(built) => outcome.built.push(built),
            Err(error) if error.is_this_control_s() => {
                (with.tell)(Event::Failed(error.to_string()));
                outcome.failed.push(error);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Takes those out of `missing` that are in the store.
fn take_kept(
    missing: &mut Vec<Recipe>,
    source: &Source,
    toolchain: &Toolchain,
    with: &Build,
    outcome: &mut Outcome,
) -> Result<(), BuildError> {
    let mut left = Vec::new();
    make_folder(&with.store.path("controls").join(&source.line.name), Step::Fetch)?;
    for recipe in missing.drain(..) {
        match Key::of(&recipe, &source.id, toolchain).built(with.store)? {
            Some(built) => {
                (with.tell)(Event::Kept(Box::new(built.clone())));
                outcome.kept.push(built);
            }
            None => left.push(recipe),
        }
    }
    *missing = left;
    Ok(())
}

/// What came of unpacking.
enum Unpacked {
    Tree(Tree),
    /// The package is not there any more, but this one is.
    Replaced(Source),
}

/// The trees of the source, unpacked.
fn unpacked(source: &Source, with: &Build) -> Result<Unpacked, BuildError> {
    let tree = Tree::in_folder(with.store.path(&source.folder()));
    let there = tree.src().is_dir();
    if !there {
        drop_trees(&source.line.name, with.store)?;
    }
    let wanted = OBJECTS_MIB + if there { 0 } else { source.unpacked_mib() };
    let free = source::free_mib(with.store)?;
    if free < wanted && !tree.obj().is_dir() {
        let (step, path) = (Step::Unpack, with.store.folder().to_owned());
        return Err(BuildError::DiskFull { step, path, needs_mib: Some((wanted, free)) });
    }
    if there {
        return Ok(Unpacked::Tree(tree));
    }
    let newer = with.obtain(&source.line.name, |obtain| source.put(&tree.src(), obtain))?;
    Ok(newer.map_or(Unpacked::Tree(tree), Unpacked::Replaced))
}

/// Removes the trees of a line's other sources: they take gigabytes, and what was built in them is kept without them.
fn drop_trees(line: &str, store: &Store) -> Result<(), BuildError> {
    let folder = store.path("controls").join(line);
    for entry in fs::read_dir(&folder).map_err(BuildError::io(Step::Unpack, &folder))? {
        let path = entry.map_err(BuildError::io(Step::Unpack, &folder))?.path();
        // Whatever else is there has another form of name.
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.len() == TREE_NAME && name.bytes().all(|b| b.is_ascii_hexdigit()) && path.is_dir() {
            // At once: `src` with a patch in it, without `pristine`, would be taken for the stock source.
            store.discard(&path).map_err(BuildError::cache(Step::Unpack))?;
        }
    }
    Ok(())
}

impl Build<'_> {
    /// Does something that tells of its progress as obtaining does.
    fn obtain<T>(&self, line: &str, what: impl FnOnce(&Obtain) -> T) -> T {
        let tell = |progress| (self.tell)(Event::Source { line: line.to_owned(), progress });
        let (offline, refresh) = (self.offline, self.refresh);
        what(&Obtain { store: self.store, shim: self.shim, offline, refresh, locked: None, tell: &tell })
    }
}

fn make_folder(folder: &Path, step: Step) -> Result<(), BuildError> {
    fs::create_dir_all(folder).map_err(BuildError::io(step, folder))
}
