//! `backproof kernels update`: resolves a matrix again, shows the changes of its lock, and writes it.

use std::collections::{BTreeMap, HashSet};
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::Path;

use anyhow::{Context as _, anyhow};
use clap::Args;

use super::Which;
use crate::cli::{Cache, Format, Stop, ended, host, matrix_file, print, show};
use crate::exit::Exit;
use crate::kernel::{self, Blame, Obtain, Progress, Store};
use crate::matrix::{KernelEntry, Lock, Locked, Matrix, source_line};
use crate::report::{Change, Changed, Fetching, LockedRow, Style, UpdateDocument, say, visible};
use crate::shim::Shim;
use crate::words::KernelName;

#[derive(Args, Debug)]
pub(in crate::cli) struct Update {
    #[command(flatten)]
    which: Which,
    /// Write the lock without asking
    #[arg(long)]
    yes: bool,
    /// Print results in this format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    cache: Cache,
}

/// Resolves, shows, asks, writes.
pub(super) fn update(args: &Update) -> Result<Exit, Stop> {
    let matrix = args.which.matrix()?;
    if matrix_file::is_built_in(&matrix) {
        let why = "the built-in matrix has no lock, because it is not a file";
        return Err(Stop::usage(anyhow!("{why}; write a kernels.yaml (docs/matrix.md), or name one with --matrix")));
    }
    let store = args.cache.open()?;
    let path = Lock::path_of(&matrix.path);
    let chosen = args.which.of(&matrix)?;
    let old = matrix_file::lock(&matrix)?;
    let Resolution { mut changes, mut fresh, exit } = resolve(&chosen, &old, &store)?;
    // Entries of removed kernels go, unless only some kernels were named.
    if args.which.is_all() {
        let is_known = |name: &KernelName| matrix.kernels.iter().any(|entry| entry.name == *name);
        for (name, locked) in old.kernels.iter().filter(|(name, _)| !is_known(name)) {
            changes.push(Change { kernel: name.clone(), what: Changed::Removed { old: LockedRow::of(locked, false) } });
        }
    }
    let mut document = UpdateDocument::of(&path, changes);
    // Only people can be asked, and only about changes that they see.
    let asks = args.format == Format::Table;
    if asks {
        print(&document.changes(Style::of_terminal()))?;
    }
    if document.is_change() && (args.yes || (asks && is_wanted(&path)?)) {
        let guard = Lock::guard(&matrix.path).with_context(|| format!("{} cannot be locked", path.display()));
        let _guard = guard.map_err(Stop::no_verdict)?;
        // A run may have pinned kernels meanwhile.
        let mut lock = matrix_file::lock(&matrix)?;
        lock.kernels.append(&mut fresh);
        lock.kernels.retain(|name, _| !document.removes(name));
        lock.save(&matrix.path)
            .with_context(|| format!("{} cannot be written", path.display()))
            .map_err(Stop::no_verdict)?;
        document.written = true;
    }
    ended(exit, show(&document, args.format, Style::of_terminal()))
}

/// The chosen kernels, resolved again.
struct Resolution {
    /// The change of each.
    changes: Vec<Change>,
    /// New and changed entries.
    fresh: BTreeMap<KernelName, Locked>,
    exit: Exit,
}

fn resolve(chosen: &Matrix, old: &Lock, store: &Store) -> Result<Resolution, Stop> {
    let shim = Shim::of_this_program().map_err(Stop::no_verdict)?;
    let when = host::now();
    let (mut changes, mut fresh, mut exit) = (Vec::new(), BTreeMap::new(), Exit::Clean);
    let mut asked = HashSet::new();
    for entry in &chosen.kernels {
        let before = old.kernels.get(&entry.name);
        let what = match kernel::why_not_locked(&entry.source) {
            Some(why) => Changed::NotLockable { why: why.to_owned() },
            None => match one(entry, &mut asked, store, &shim) {
                Ok(resolved) => {
                    let source = source_line(entry, &chosen.path);
                    let new = Locked { source, when, release: resolved.release, files: resolved.files };
                    // The date of the lock stays if the kernel is the same; the matrix may list more archives now.
                    let same = before.filter(|old| old.is_same(&new)).cloned();
                    let mut new = same.unwrap_or(new);
                    if kernel::is_in_archives(&entry.source) {
                        new.add_archives(&chosen.archives);
                    }
                    if before == Some(&new) {
                        Changed::Unchanged
                    } else {
                        let change = Changed::of(before, &new);
                        fresh.insert(entry.name.clone(), new);
                        change
                    }
                }
                Err(error) => {
                    let blame = if error.blame() == Blame::User { Exit::Usage } else { Exit::NoVerdict };
                    // An optional kernel may vanish; its entry stays.
                    let is_gone = entry.optional && error.is_gone();
                    let why = format!("{:#}", anyhow::Error::new(error));
                    if is_gone {
                        Changed::Gone { why }
                    } else {
                        exit = exit.and(blame);
                        Changed::Failed { why }
                    }
                }
            },
        };
        changes.push(Change { kernel: entry.name.clone(), what });
    }
    Ok(Resolution { changes, fresh, exit })
}

/// Resolves one kernel. Asks the mirror once for each suite.
fn one(
    entry: &KernelEntry,
    asked: &mut HashSet<String>,
    store: &Store,
    shim: &Shim,
) -> Result<kernel::Resolved, kernel::ObtainError> {
    let refresh = kernel::shared_index(&entry.source).is_none_or(|index| asked.insert(index));
    let live = io::stderr().is_terminal().then(Fetching::new);
    let tell = |progress: Progress| match &live {
        Some(fetching) => fetching.tell(&progress),
        None if progress.is_slow() => {
            say(format_args!("{}: {}", entry.name, visible(&progress.to_string())));
        }
        None => {}
    };
    let with = Obtain { store, shim, offline: false, refresh, locked: None, tell: &tell };
    let resolved = kernel::resolve(&entry.source, &with);
    live.iter().for_each(Fetching::finish);
    resolved
}

/// Asks at the terminal; without one the answer is no.
fn is_wanted(path: &Path) -> Result<bool, Stop> {
    if !(io::stdin().is_terminal() && io::stderr().is_terminal()) {
        return Ok(false);
    }
    let mut answer = String::new();
    let asked = (|| {
        let mut terminal = io::stderr();
        write!(terminal, "write {}? [y/N] ", visible(&path.display().to_string()))?;
        terminal.flush()?;
        io::stdin().lock().read_line(&mut answer)
    })();
    asked.context("the terminal cannot be asked; use --yes").map_err(Stop::no_verdict)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
