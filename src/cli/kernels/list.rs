//! `backproof kernels list`: the kernels of a matrix, their locks, and whether they are cached.

use std::io::{self, IsTerminal as _};

use clap::{Args, ValueEnum};

use super::{Which, archive};
use crate::cli::{Cache, Format, Stop, matrix_file, show};
use crate::exit::Exit;
use crate::kernel;
use crate::matrix::{InLock, Lock, source_line};
use crate::report::{KernelRow, KernelsDocument, LockedRow, Style};

#[derive(Args, Debug)]
pub(in crate::cli) struct List {
    /// With --source: pattern of the versions to list, such as '4.19.5*'
    #[arg(value_name = "PATTERN", requires = "source")]
    pub(super) pattern: Option<String>,
    /// List this archive instead of the matrix
    #[arg(long, value_enum, conflicts_with_all = ["kernel", "tag"])]
    source: Option<Archive>,
    /// With --source: use only the cache, never the network
    #[arg(long, requires = "source")]
    pub(super) offline: bool,
    #[command(flatten)]
    pub(super) which: Which,
    /// Print results in this format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,
    #[command(flatten)]
    pub(super) cache: Cache,
}

/// An archive that can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Archive {
    /// Ubuntu's mainline builds, at the address in BACKPROOF_MAINLINE or the matrix
    Mainline,
}

/// Lists the kernels, including those that run only when named.
pub(super) fn list(args: &List) -> Result<Exit, Stop> {
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
        let (cached, bytes) = kernel::cached(&entry.source, current, &store);
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
    // A script that reads the list needs whole names.
    let whole = || Style { width: usize::MAX, ..Style::default() };
    let style = if io::stdout().is_terminal() { Style::of_terminal() } else { whole() };
    show(&document, args.format, style).map(|()| Exit::Clean)
}
