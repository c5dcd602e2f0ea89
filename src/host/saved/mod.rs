//! Reads saved outputs of another host: outputs of `netstat`, `nstat`, `ss`, `uname`, `sysctl -a`, copies of
//! /proc/net/netstat and /proc/net/tcp, a kernel's log, metrics of node_exporter, or a folder or archive with such files,
//! as `sosreport` and `supportconfig` make.
//!
//! Files are recognised by their content, and one file may hold several outputs. They are hostile input: sizes and counts
//! are bounded. Facts that an output does not show are unknown: only a complete list proves an absence.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

mod archive;
mod command;
mod connections;
mod details;
mod draft;
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
mod trail;

use rustix::fs::OFlags;

use self::archive::UnpackedFile;
use self::draft::HostDraft;
use self::trail::TwoBoots;
use super::{HostReading, livepatch};

/// The most bytes of one file to read: an `ss` of 100,000 connections.
const MAX_FILE: u64 = 64 << 20;

/// The reason that nothing could be read.
#[derive(Debug, thiserror::Error)]
pub enum SavedError {
    /// The path cannot be read.
    #[error("cannot read {path}: {error}")]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
    /// Two of the paths are from different hosts.
    #[error("{first} is of {one} and {second} of {other}: expected outputs of one host; run it once for each")]
    TwoHosts {
        /// A path.
        first: PathBuf,
        /// The host in it.
        one: String,
        /// Another path.
        second: PathBuf,
        /// The host in the other path.
        other: String,
    },
    /// One file is of two hosts, or of two boots of one.
    #[error(
        "{path} is of {one} and of {other}: expected outputs of one host since one boot; split the file and run it once \
         for each"
    )]
    TwoInOne {
        /// The path.
        path: PathBuf,
        /// A host in it.
        one: String,
        /// Another host in it.
        other: String,
    },
    /// It has no known contents.
    #[error(
        "nothing in {path} is known: found {found}; expected the output of `uname -r` or `uname -a`, `netstat -s`, \
         `nstat -az`, `ss -tanmio`, `sysctl -a` or `dmesg`, copies of /proc/net/netstat or /proc/net/tcp, node_exporter's \
         metrics, or a sosreport or supportconfig, packed or not"
    )]
    NothingKnown {
        /// The path.
        path: PathBuf,
        /// A description of its contents.
        found: String,
    },
}

/// The path that represents standard input.
const STDIN: &str = "-";

/// Reads files, archives and folders that were saved on one host; `-` is standard input.
///
/// # Errors
/// If one of them cannot be read, has no known contents, or is from another host than the others.
pub fn read(paths: &[PathBuf]) -> Result<HostReading, SavedError> {
    let mut draft = HostDraft::default();
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
        one_host(&draft)?;
    }
    Ok(draft.finish())
}

/// Opens a regular file: devices and pipes might never end.
fn open(path: &Path) -> io::Result<File> {
    // NONBLOCK: opening a pipe must not wait for a writer.
    let mut options = std::fs::OpenOptions::new();
    let file = options.read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path)?;
    if !file.metadata()?.is_file() {
        let why = "it is not a regular file (`--from -` reads standard input)";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    Ok(file)
}

/// Whether anything was known, or a description of the contents.
type FileKnown = Result<(), String>;

/// Reads a file, packed or not, or an archive.
fn file(path: &Path, file: impl Read, size: u64, draft: &mut HostDraft) -> io::Result<FileKnown> {
    let mut known = false;
    let mut number = 0;
    let mut take = |inner: &str, bytes: Vec<u8>, is_cut| {
        number += 1;
        draft.is_report |= inner.contains("sos_commands/") || inner.contains("basic-environment.txt");
        let label = path.join(inner);
        known |= draft.take(&label, &bytes, is_cut).is_ok();
    };
    match archive::read(file, size, MAX_FILE, &mut take)? {
        UnpackedFile::File(bytes, is_cut) => Ok(draft.take(path, &bytes, is_cut)),
        UnpackedFile::Archive(unread) => {
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
fn folder(path: &Path, draft: &mut HostDraft) -> io::Result<FileKnown> {
    let files::SavedFiles { root, files, cut } = files::find(path)?;
    draft.is_report |= root.join("sos_commands").is_dir() || root.join("basic-environment.txt").is_file();
    let mut known = Err(format!("a folder in which {} files were looked at", files.len()));
    for path in files {
        let read = open(&path).and_then(|opened| {
            let size = opened.metadata()?.len();
            archive::read(opened, size, MAX_FILE, &mut |_, _, _| ())
        });
        match read {
            Ok(UnpackedFile::File(bytes, is_cut)) => {
                if draft.take(&path, &bytes, is_cut).is_ok() {
                    known = Ok(());
                }
            }
            Ok(UnpackedFile::Archive(_)) => draft.unseen.push(format!("{}: an archive in a folder", name_of(&path))),
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

/// Checks that all inputs are from one host.
fn one_host(draft: &HostDraft) -> Result<(), SavedError> {
    if let Some(TwoBoots { first, one, second, other }) = draft.two_boots.clone() {
        return Err(two(first, one, second, other));
    }
    let Some(((first, one), (second, other))) = identity::conflict(&draft.identities, draft.is_report) else {
        return Ok(());
    };
    Err(two(first.clone(), one.words(), second.clone(), other.words()))
}

/// The error for two hosts or boots, in one file or in two.
fn two(first: PathBuf, one: String, second: PathBuf, other: String) -> SavedError {
    match first == second {
        true => SavedError::TwoInOne { path: first, one, other },
        false => SavedError::TwoHosts { first, one, second, other },
    }
}

#[cfg(test)]
mod origin_tests;
#[cfg(test)]
#[path = "saved_tests.rs"]
mod tests;
#[cfg(test)]
mod two_hosts_tests;
