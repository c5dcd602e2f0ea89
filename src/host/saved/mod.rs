//! Reads what was saved of another host: outputs of `netstat -s`, `nstat`, `ss`, `uname`, `sysctl -a`, copies of
//! /proc/net/netstat, a kernel log, or a folder with such files, as `sosreport` makes.
//!
//! Files are recognised by what is in them, and one file may hold several outputs. What they say is another machine's,
//! or anybody's: sizes and counts are bounded, and what cannot be read is said.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

mod files;
#[cfg(fuzzing)]
pub mod fuzzing;
mod netstat;
mod nstat;
mod settings;
mod ss;
mod uname;

use super::{Counters, Host, Namespace, Reading, Sockets, counters, kmsg, livepatch, read_text};

/// Bytes of one file that are read: an `ss` of 100,000 connections.
const MAX_FILE: u64 = 64 << 20;

/// Why nothing could be read.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// The path leads nowhere, or may not be read.
    #[error("reading {path}: {error}")]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What the system answered.
        error: io::Error,
    },
    /// Two of the paths name different releases, so they are of two hosts.
    #[error(
        "{first} is of Linux {one} and {second} of Linux {other}: expected what was saved of one host; run it once for each"
    )]
    TwoHosts {
        /// A path.
        first: PathBuf,
        /// The release in it.
        one: String,
        /// A later path.
        second: PathBuf,
        /// The release in that.
        other: String,
    },
    /// Nothing in it is an output that is known.
    #[error(
        "nothing in {path} is known: expected outputs of `uname -r` or `uname -a`, `netstat -s`, `nstat -az`, \
         `ss -tanmio`, `sysctl -a` or `dmesg`, a copy of /proc/net/netstat, or a sosreport's folder"
    )]
    NothingKnown {
        /// The path.
        path: PathBuf,
    },
}

/// Reads files and folders that were saved of one host.
///
/// # Errors
/// Where one of them cannot be read, or has nothing that is known, or is of another release than the others.
pub fn read(paths: &[PathBuf]) -> Result<Reading, SavedError> {
    let mut draft = Draft::default();
    let mut first: Option<(&PathBuf, String)> = None;
    for path in paths {
        let failed = |error| SavedError::Unreadable { path: path.clone(), error };
        let known = if std::fs::metadata(path).map_err(failed)?.is_dir() {
            folder(path, &mut draft).map_err(failed)?
        } else {
            let (text, cut) = read_text(path, MAX_FILE).map_err(failed)?;
            draft.take(&name_of(path), &text, cut)
        };
        if !known {
            return Err(SavedError::NothingKnown { path: path.clone() });
        }
        match (&first, draft.release_of_path.take()) {
            (Some((first, one)), Some(other)) if *one != other => {
                let (first, second) = ((*first).clone(), path.clone());
                return Err(SavedError::TwoHosts { first, one: one.clone(), second, other });
            }
            (None, Some(release)) => first = Some((path, release)),
            _ => {}
        }
    }
    Ok(draft.finish())
}

/// Reads a folder; gives whether anything in it was known.
fn folder(path: &Path, draft: &mut Draft) -> io::Result<bool> {
    let files::Files { root, files, cut } = files::find(path)?;
    let mut known = false;
    for file in files {
        match read_text(&file, MAX_FILE) {
            Ok((text, cut)) => known |= draft.take(&name_of(&file), &text, cut),
            Err(error) => draft.unseen.push(format!("{}: {error}", name_of(&file))),
        }
    }
    if cut {
        draft.unseen.push(format!("files beyond the first {}", files::MAX_FILES));
    }
    let patches = root.join("sys/kernel/livepatch");
    if patches.is_dir() {
        match livepatch::read(&patches) {
            Ok(found) => draft.host.livepatches = Some(found),
            Err(error) => draft.unseen.push(format!("live patches: {error}")),
        }
    }
    Ok(known)
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// What has been read so far.
#[derive(Debug, Default)]
struct Draft {
    host: Host,
    /// The release in the path that is being read: a folder's first, for it may have the logs of older boots.
    release_of_path: Option<String>,
    /// By the name of the namespace; `host` is the machine's own.
    namespaces: BTreeMap<String, Namespace>,
    unseen: Vec<String>,
}

impl Draft {
    /// Takes what is known of a file; gives whether anything was.
    fn take(&mut self, name: &str, text: &str, cut: bool) -> bool {
        /// Remarks that are kept.
        const MAX_UNSEEN: usize = 50;
        let mut known = false;
        if cut {
            self.unseen.push(format!("{name} beyond its first {} MiB", MAX_FILE >> 20));
        }
        if let Some(uname) = uname::read(text) {
            known = true;
            self.release_of_path.get_or_insert_with(|| uname.release.clone());
            self.host.release.get_or_insert(uname.release);
            self.host.build = self.host.build.take().or(uname.build);
            self.host.machine = self.host.machine.take().or(uname.machine);
        }
        let floods = kmsg::floods_in(text);
        if !floods.is_empty() {
            known = true;
            self.host.floods.get_or_insert_default().extend(floods);
        }
        let namespace = self.namespaces.entry(files::namespace_of(name)).or_default();
        if let Some(mut counters) =
            counters::from_proc(text).or_else(|| nstat::read(text)).or_else(|| netstat::read(text))
        {
            known = true;
            if cut {
                counters.absent_means = counters::Absence::Nothing;
            }
            merge_counters(&mut namespace.counters, counters);
        }
        let settings = settings::read(text);
        known |= !settings.is_empty();
        namespace.settings.extend(settings);
        if let Some(listing) = ss::read(text) {
            known = true;
            namespace.unseen.extend(listing.lacks(name));
            merge_sockets(&mut namespace.sockets, listing.sockets);
        }
        if !known && self.unseen.len() < MAX_UNSEEN {
            self.unseen.push(format!("{name}: nothing in it is known"));
        }
        known
    }

    /// The reading, with what was not in it.
    fn finish(mut self) -> Reading {
        let mut own = self.namespaces.remove(files::HOST).unwrap_or_default();
        own.name = files::HOST.to_owned();
        let mut missing = |seen: bool, what: &str| {
            if !seen {
                self.host.unseen.push(format!("{what}: not in what was saved"));
            }
        };
        missing(self.host.release.is_some(), "the release (`uname -r`)");
        missing(own.counters.is_some(), "counters (`nstat -az` or `netstat -s`)");
        missing(own.sockets.is_some(), "connections (`ss -tanmio`)");
        missing(!own.settings.is_empty(), "settings (`sysctl -a`)");
        missing(self.host.floods.is_some(), "lines of the kernel's log about SYN floods (`dmesg`)");
        missing(self.host.livepatches.is_some(), "live patches (/sys/kernel/livepatch)");
        self.host.unseen.append(&mut self.unseen);
        let others = self.namespaces.into_iter().map(|(name, namespace)| Namespace { name, ..namespace });
        let others = others.filter(|n| n.counters.is_some() || n.sockets.is_some() || !n.settings.is_empty());
        Reading { host: self.host, namespaces: [own].into_iter().chain(others).collect() }
    }
}

/// Two lists of one namespace: the larger values, which are the later ones, and the firmer word on what is absent.
fn merge_counters(kept: &mut Option<Counters>, new: Counters) {
    let Some(old) = kept else {
        *kept = Some(new);
        return;
    };
    for (name, value) in new.values {
        let slot = old.values.entry(name).or_default();
        *slot = value.max(*slot);
    }
    old.absent_means = old.absent_means.min(new.absent_means);
}

/// Two lists of one namespace show the same connections, as a rule: the one that shows more of what is wrong stays.
fn merge_sockets(kept: &mut Option<Sockets>, new: Sockets) {
    let weight = |sockets: &Sockets| (sockets.waiting_in_all, sockets.connections);
    if kept.as_ref().is_none_or(|old| weight(old) < weight(&new)) {
        *kept = Some(new);
    }
}

#[cfg(test)]
#[path = "saved_tests.rs"]
mod tests;
