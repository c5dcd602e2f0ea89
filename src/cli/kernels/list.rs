//! `backproof kernels list`: the kernels of a matrix, what they are locked to, and whether they are here.

use std::io::{self, IsTerminal as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{Which, archive};
use crate::cli::{Cache, Format, Stop, matrix_file, print, print_json};
use crate::kernel::control::{self, Standing};
use crate::kernel::{self, Store};
use crate::matrix::{InLock, KernelEntry, Lock, LockedFile, Source, source_line};
use crate::recipe::Recipes;
use crate::report::{Cached, KernelRow, KernelsDocument, LockedRow, Style};

#[derive(Args, Debug)]
pub(in crate::cli) struct List {
    /// With --source: only the versions that this fits, as '4.19.5*' [default: all]
    #[arg(value_name = "PATTERN", requires = "source")]
    pub(super) pattern: Option<String>,
    /// Show what this archive has instead: Ubuntu's mainline builds (at BACKPROOF_MAINLINE, or where the matrix says)
    #[arg(long, value_enum, conflicts_with_all = ["kernel", "tag"])]
    source: Option<Archive>,
    /// With --source: use only what is in the cache
    #[arg(long, requires = "source")]
    pub(super) offline: bool,
    #[command(flatten)]
    pub(super) which: Which,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,
    #[command(flatten)]
    pub(super) cache: Cache,
}

/// An archive that can tell what it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Archive {
    /// Ubuntu's builds of kernel.org's releases
    Mainline,
}

/// Shows the kernels; all, also those that run only when asked for.
pub(super) fn list(args: &List) -> Result<u8, Stop> {
    if let Some(Archive::Mainline) = args.source {
        return archive::mainline(args);
    }
    let mut matrix = args.which.matrix()?;
    let lock = matrix_file::lock(&matrix)?;
    if !args.which.is_all() {
        matrix = args.which.of(&matrix)?;
    }
    let store = args.cache.open()?;
    let rows = matrix.kernels.iter().map(|entry| {
        let locked = match lock.standing(entry, &matrix.path) {
            InLock::Current(locked) => Some((locked, true)),
            InLock::OtherSource(locked) => Some((locked, false)),
            InLock::Absent => None,
        };
        let current = locked.filter(|(_, is_current)| *is_current).map(|(locked, _)| locked.files.as_slice());
        let (cached, bytes) = cached(entry, current, &store);
        KernelRow {
            name: entry.name.clone(),
            source: source_line(entry, &matrix.path),
            tags: entry.tags.clone(),
            opt_in: !entry.tags.is_disjoint(&matrix.opt_in),
            locked: locked.map(|(locked, current)| LockedRow::of(locked, current)),
            cached,
            bytes,
        }
    });
    let lock_path = (!matrix_file::is_built_in(&matrix)).then(|| Lock::path_of(&matrix.path));
    let document = KernelsDocument::of(&matrix.path, lock_path.filter(|path| path.exists()), rows.collect());
    match args.format {
        Format::Json => print_json(&document)?,
        Format::Table => print(&document.text(io::stdout().is_terminal().then(|| Style::of_terminal().width)))?,
    }
    Ok(0)
}

/// Whether the kernel is here, and the bytes of the files that it comes in, where they are known.
fn cached(entry: &KernelEntry, locked: Option<&[LockedFile]>, store: &Store) -> (Cached, Option<u64>) {
    let used_last = || kernel::used_last(&entry.source, store);
    match (&entry.source, locked) {
        (Source::Deb(files) | Source::Rpm(files), _) => (own(files.iter().map(PathBuf::as_path)), None),
        (Source::Image { image, modules, config }, _) => {
            let beside = [modules.as_deref(), config.as_deref()];
            (own(std::iter::once(image.as_path()).chain(beside.into_iter().flatten())), None)
        }
        (Source::Tree(tree), _) => (own(std::iter::once(tree.as_path())), None),
        (Source::Control { control, line }, _) => {
            let recipes = Recipes::built_in();
            let known = recipes.line(line).zip(recipes.control(control.as_str()));
            match known.map(|(line, control)| control::standing(&recipes.recipe(line, control), store)) {
                Some(Standing::Built(built)) => (Cached::Yes, Some(built.image_size)),
                _ => (Cached::No, None),
            }
        }
        (_, locked) => match locked.map(<[_]>::to_vec).or_else(used_last) {
            Some(files) => {
                // Some archives tell no lengths before a file is fetched.
                let bytes = files.iter().all(|file| file.size > 0).then(|| files.iter().map(|file| file.size).sum());
                (if kernel::is_cached(&files, store) { Cached::Yes } else { Cached::No }, bytes)
            }
            None => (Cached::No, None),
        },
    }
}

/// How files of the user's stand: all have to be there.
fn own<'a>(mut paths: impl Iterator<Item = &'a Path>) -> Cached {
    if paths.all(Path::exists) { Cached::Local } else { Cached::Missing }
}
