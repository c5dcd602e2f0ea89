//! Reads what was saved of another host: outputs of `netstat`, `nstat`, `ss`, `uname`, `sysctl -a`, copies of
//! /proc/net/netstat and /proc/net/tcp, a kernel's log, metrics of node_exporter, or a folder or archive with such files,
//! as `sosreport` and `supportconfig` make.
//!
//! Files are recognised by what is in them, and one file may hold several outputs. What they say is another machine's,
//! or anybody's: sizes and counts are bounded, and what cannot be read is said. What an output does not show is unknown:
//! only a whole list says that something is not in it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

mod archive;
mod command;
mod connections;
mod details;
mod exporter;
mod files;
mod found;
#[cfg(fuzzing)]
pub mod fuzzing;
mod identity;
mod netstat;
mod nstat;
mod settings;
mod text;

use rustix::fs::OFlags;

use self::archive::Unpacked;
use self::command::Command;
use self::identity::{Identity, Kind};
use super::socket::Source;
use super::{Counters, Host, Namespace, Reading, Sockets, counters, kmsg, livepatch, proc_tcp};

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
    /// Two of the paths are of two hosts.
    #[error("{first} is of {one} and {second} of {other}: expected what was saved of one host; run it once for each")]
    TwoHosts {
        /// A path.
        first: PathBuf,
        /// The host in it.
        one: String,
        /// Another path.
        second: PathBuf,
        /// The host in that.
        other: String,
    },
    /// One file is of two hosts, or of two boots of one.
    #[error(
        "{path} is of {one} and of {other}: expected what was saved of one host since one boot; split the file and run it \
         once for each"
    )]
    TwoInOne {
        /// The path.
        path: PathBuf,
        /// A host in it.
        one: String,
        /// Another one.
        other: String,
    },
    /// Nothing in it is an output that is known.
    #[error(
        "nothing in {path} is known: found {found}; expected outputs of `uname -r` or `uname -a`, `netstat -s`, \
         `nstat -az`, `ss -tanmio`, `sysctl -a` or `dmesg`, copies of /proc/net/netstat or /proc/net/tcp, node_exporter's \
         metrics, or a sosreport or supportconfig, packed or not"
    )]
    NothingKnown {
        /// The path.
        path: PathBuf,
        /// What is in it.
        found: String,
    },
}

/// The path that stands for standard input.
const STDIN: &str = "-";

/// Reads files, archives and folders that were saved of one host; `-` is standard input.
///
/// # Errors
/// Where one of them cannot be read, or has nothing that is known, or is of another host than the others.
pub fn read(paths: &[PathBuf]) -> Result<Reading, SavedError> {
    let mut draft = Draft::default();
    for path in paths {
        let failed = |error| SavedError::Unreadable { path: path.clone(), error };
        let known = if path.as_os_str() == STDIN {
            let mut bytes = Vec::new();
            io::stdin().lock().take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
            let size = bytes.len() as u64;
            file(path, bytes.as_slice(), size, &mut draft).map_err(failed)?
        } else if std::fs::metadata(path).map_err(failed)?.is_dir() {
            folder(path, &mut draft).map_err(failed)?
        } else {
            let opened = open(path).map_err(failed)?;
            let size = opened.metadata().map_err(failed)?.len();
            file(path, opened, size, &mut draft).map_err(failed)?
        };
        if let Err(found) = known {
            return Err(SavedError::NothingKnown { path: path.clone(), found });
        }
        draft.is_one_host()?;
    }
    Ok(draft.finish())
}

/// Opens a regular file: devices and pipes might never end.
fn open(path: &Path) -> io::Result<File> {
    // NONBLOCK: opening a pipe must not wait for somebody to write into it.
    let mut options = std::fs::OpenOptions::new();
    let file = options.read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path)?;
    if !file.metadata()?.is_file() {
        let why = "it is not a regular file (`--from -` reads standard input)";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    Ok(file)
}

/// Whether anything was known, or what was found instead.
type Known = Result<(), String>;

/// Reads a file, packed or not, or an archive.
fn file(path: &Path, file: impl Read, size: u64, draft: &mut Draft) -> io::Result<Known> {
    let mut known = false;
    let mut number = 0;
    let mut take = |inner: &str, bytes: Vec<u8>, is_cut| {
        number += 1;
        draft.is_report |= inner.contains("sos_commands/") || inner.contains("basic-environment.txt");
        let label = path.join(inner);
        known |= draft.take(&label, &bytes, is_cut).is_ok();
    };
    match archive::read(file, size, MAX_FILE, &mut take)? {
        Unpacked::File(bytes, is_cut) => Ok(draft.take(path, &bytes, is_cut)),
        Unpacked::Archive(unread) => {
            draft.unseen.extend(unread);
            draft.is_archive = true;
            Ok(if known {
                Ok(())
            } else {
                Err(format!(
                    "an archive in which {number} files were looked at; expected a sosreport's, a supportconfig's, \
                             or outputs at its top"
                ))
            })
        }
    }
}

/// Reads a folder.
fn folder(path: &Path, draft: &mut Draft) -> io::Result<Known> {
    let files::Files { root, files, cut } = files::find(path)?;
    draft.is_report |= root.join("sos_commands").is_dir() || root.join("basic-environment.txt").is_file();
    let mut known = Err(format!("a folder in which {} files were looked at", files.len()));
    for path in files {
        let read = open(&path).and_then(|opened| {
            let size = opened.metadata()?.len();
            archive::read(opened, size, MAX_FILE, &mut |_, _, _| ())
        });
        match read {
            Ok(Unpacked::File(bytes, is_cut)) => {
                if draft.take(&path, &bytes, is_cut).is_ok() {
                    known = Ok(());
                }
            }
            Ok(Unpacked::Archive(_)) => draft.unseen.push(format!("{}: an archive in a folder", name_of(&path))),
            Err(error) => draft.unseen.push(format!("{}: {error}", name_of(&path))),
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

fn not_saved(what: &str) -> String {
    format!("{what}: not in what was saved")
}

/// What has been read so far.
#[derive(Debug, Default)]
struct Draft {
    host: Host,
    /// What the files say of their host, with the files.
    identities: Vec<(PathBuf, Identity)>,
    /// By the name of the namespace; `host` is the machine's own.
    namespaces: BTreeMap<String, Draughted>,
    unseen: Vec<String>,
    /// Files in which nothing is known.
    unknown: Vec<String>,
    /// Whether it is a report, which may have logs of older boots.
    is_report: bool,
    /// Whether it is an archive, of which live patches are not read.
    is_archive: bool,
}

/// A namespace in the reading.
#[derive(Debug, Default)]
struct Draughted {
    namespace: Namespace,
    /// Copies of /proc/net/tcp and tcp6: only both show all connections.
    copies: Option<(Sockets, proc_tcp::Copied)>,
}

impl Draft {
    /// Takes what is known of a file, or says what it is.
    fn take(&mut self, path: &Path, bytes: &[u8], is_cut: bool) -> Known {
        /// Names that are kept.
        const MAX_UNKNOWN: usize = 1000;
        let name = name_of(path);
        if is_cut {
            self.unseen.push(format!("{name} beyond its first {} MiB", MAX_FILE >> 20));
        }
        let text = if found::file(bytes).is_some() { String::new() } else { text::decode(bytes) };
        if self.take_text(path, &name, &text, is_cut) {
            // What else is in it, and is not read.
            self.unseen.extend(found::text(&text).map(|found| format!("{name}: {found}")));
            return Ok(());
        }
        if self.unknown.len() < MAX_UNKNOWN {
            self.unknown.push(name);
        }
        Err(found::nothing(bytes, &text))
    }

    fn take_text(&mut self, path: &Path, name: &str, text: &str, is_cut: bool) -> bool {
        let parts = command::parts(text);
        let identities = identity::read(text, &parts);
        let mut known = identities.iter().any(|identity| identity.release.is_some());
        self.identities.extend(identities.into_iter().map(|identity| (path.to_owned(), identity)));
        let floods = kmsg::floods_in(text);
        if !floods.is_empty() {
            known = true;
            self.host.floods.get_or_insert_default().extend(floods);
        }
        let named = files::command_of(name);
        /// Namespaces that command lines of a text may name.
        const MAX_PLACES: usize = 1024;
        for (command, part) in parts {
            let place = command.as_ref().and_then(|command| command.place.clone());
            let place = place.filter(|place| self.namespaces.len() < MAX_PLACES || self.namespaces.contains_key(place));
            let drawn = self.namespaces.entry(place.unwrap_or_else(|| files::namespace_of(name))).or_default();
            known |= drawn.take(name, part, command.as_ref().or(named.as_ref()), is_cut);
        }
        known
    }

    /// Looks whether all that was read is of one host.
    fn is_one_host(&self) -> Result<(), SavedError> {
        let is_running = |identity: &Identity| identity.kind == Kind::Running && identity.release.is_some();
        let running = self.identities.iter().find(|(_, identity)| is_running(identity));
        let logged = || self.identities.iter().filter(|(_, identity)| identity.kind == Kind::Logged);
        let conflict = |(first, one): &(PathBuf, Identity), (second, other): &(PathBuf, Identity)| {
            let (path, first, second) = (first.clone(), first.clone(), second.clone());
            let (one, other) = (one.words(), other.words());
            match path == second {
                true => SavedError::TwoInOne { path, one, other },
                false => SavedError::TwoHosts { first, one, second, other },
            }
        };
        // A log may reach back to boots of older kernels, if it reaches this one's.
        let is_this =
            |(_, identity): &&(PathBuf, Identity)| running.is_some_and(|(_, run)| run.release == identity.release);
        let mut skipped = [None, None];
        if let Some(running) = running {
            match logged().next() {
                Some(other) if !self.is_report && !logged().any(|l| is_this(&l)) => {
                    return Err(conflict(running, other));
                }
                _ => skipped[0] = Some(Kind::Logged),
            }
        }
        if self.is_report {
            skipped[1] = Some(Kind::Log);
        }
        let mut firsts: Vec<&(PathBuf, Identity)> = Vec::new();
        for each in self.identities.iter().filter(|(_, identity)| !skipped.contains(&Some(identity.kind))) {
            if let Some(known) = firsts.iter().find(|known| !known.1.agrees(&each.1)) {
                return Err(conflict(known, each));
            }
            if firsts.len() < 64 && !firsts.iter().any(|known| known.1 == each.1) {
                firsts.push(each);
            }
        }
        Ok(())
    }

    /// The reading, with what was not in it.
    fn finish(mut self) -> Reading {
        let of_kind = |kind| self.identities.iter().map(|(_, identity)| identity).filter(move |it| it.kind == kind);
        for identity in of_kind(Kind::Running).chain(of_kind(Kind::Logged)).filter(|it| it.release.is_some()) {
            if self.host.release.as_ref().is_none_or(|release| Some(release) == identity.release.as_ref()) {
                self.host.release.get_or_insert_with(|| identity.release.clone().unwrap_or_default());
                self.host.build = self.host.build.take().or_else(|| identity.build.clone());
                self.host.machine = self.host.machine.take().or_else(|| identity.machine.clone());
            }
        }
        let mut namespaces: BTreeMap<String, Namespace> =
            self.namespaces.into_iter().map(|(name, drawn)| (name, drawn.finish())).collect();
        let mut own = namespaces.remove(files::HOST).unwrap_or_default();
        own.name = files::HOST.to_owned();
        let others = namespaces.into_iter().map(|(name, namespace)| Namespace { name, ..namespace });
        let others = others.filter(|n| n.counters.is_some() || n.sockets.is_some() || !n.settings.is_empty());
        let others: Vec<Namespace> = others.collect();
        let patches = match self.is_archive {
            true => "live patches: not read from an archive (unpack it)".to_owned(),
            false => not_saved("live patches (/sys/kernel/livepatch)"),
        };
        let missing = [
            (self.host.release.is_some(), not_saved("the release (`uname -r`)")),
            (own.counters.is_some(), not_saved("counters (`nstat -az` or `netstat -s`)")),
            (own.sockets.is_some(), not_saved("connections (`ss -tanmio`)")),
            (!own.settings.is_empty(), not_saved("settings (`sysctl -a`)")),
            (self.host.floods.is_some(), not_saved("lines of the kernel's log about SYN floods (`dmesg`)")),
            (self.host.livepatches.is_some(), patches),
            (!others.is_empty(), not_saved("network namespaces of containers")),
        ];
        self.host.unseen.extend(missing.into_iter().filter(|(seen, _)| !seen).map(|(_, what)| what));
        if !self.unknown.is_empty() {
            let names: Vec<String> = self.unknown.iter().take(5).cloned().collect();
            let more = match self.unknown.len() - names.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            self.unseen.push(format!("nothing is known in {}{more}", names.join(", ")));
        }
        self.host.unseen.append(&mut self.unseen);
        Reading { host: self.host, namespaces: [own].into_iter().chain(others).collect() }
    }
}

impl Draughted {
    /// Takes a part of a text, with the command that printed it where that is known; gives whether anything was known.
    fn take(&mut self, name: &str, part: &str, command: Option<&Command>, is_cut: bool) -> bool {
        let namespace = &mut self.namespace;
        let mut known = false;
        let lists =
            [nstat::from_proc(part), nstat::read(part, command), netstat::read(part, command), exporter::read(part)];
        for mut counters in lists.into_iter().flatten() {
            known = true;
            if is_cut {
                counters.absent_means = counters::Absence::Nothing;
            }
            merge_counters(&mut namespace.counters, counters);
        }
        let settings = settings::read(part);
        known |= !settings.is_empty();
        namespace.settings.extend(settings);
        for listing in connections::read(part, command, is_cut) {
            known = true;
            let lacks = listing.lacks(name).filter(|lacks| !namespace.unseen.contains(lacks));
            namespace.unseen.extend(lacks);
            match &mut namespace.sockets {
                None => namespace.sockets = Some(listing.sockets),
                Some(sockets) => sockets.merge(listing.sockets),
            }
        }
        let (sockets, copied) =
            self.copies.get_or_insert_with(|| (Sockets::new(Source::Proc), proc_tcp::Copied::default()));
        if let Some(copy) = proc_tcp::take_copy(part, sockets) {
            known = true;
            copied.strange += copy.strange + usize::from(is_cut || command.is_some_and(Command::shows_a_part));
            copied.v4 |= copy.v4 || name.ends_with("tcp");
            copied.v6 |= copy.v6 || name.ends_with("tcp6");
        } else if *copied == proc_tcp::Copied::default() && sockets.connections == 0 {
            self.copies = None;
        }
        known
    }

    fn finish(self) -> Namespace {
        let mut namespace = self.namespace;
        if let Some((mut sockets, copied)) = self.copies {
            let part = match copied {
                proc_tcp::Copied { strange: 1.., .. } => Some("lines of /proc/net/tcp are broken"),
                proc_tcp::Copied { v4: true, v6: true, .. } => None,
                _ => Some("only one of /proc/net/tcp and /proc/net/tcp6 was saved (save `ss -tanmio`)"),
            };
            sockets.finish(part);
            match &mut namespace.sockets {
                None => namespace.sockets = Some(sockets),
                Some(known) => known.merge(sockets),
            }
        }
        namespace
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

#[cfg(test)]
#[path = "saved_tests.rs"]
mod tests;
