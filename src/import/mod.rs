//! Turns tests and reproducers of others into dossiers with their programs.
//!
//! Each source reads its own format and proposes candidates; [`ImportFolder`] checks and writes them. Everything that
//! they read is untrusted. docs/reproducers.md has the rules for users.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::words::BugId;

mod candidate;
mod folder;
mod kconfig;
mod kselftest;
mod ltp;
mod names;
mod packetdrill;
mod program;
mod rootfs;
mod syz;
mod tree;

pub use kselftest::import as kselftest;
pub use ltp::{LtpChoice, import as ltp};
pub use packetdrill::{PacketdrillTools, import as packetdrill};
pub use rootfs::ImportRootfs;
pub use syz::{SyzProgress, import as syz};

use candidate::Candidate;
use folder::ImportFolder;

/// Where to write, and whether to replace files that differ.
#[derive(Clone, Copy, Debug)]
pub struct ImportTarget<'a> {
    /// The folder of dossiers.
    pub folder: &'a Path,
    /// Whether to replace files that differ.
    pub force: bool,
}

/// An import that could not begin or go on.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// What was named is something else, not built, or of another version.
    #[error("cannot import {path}: {why}", path = path.display())]
    Unusable {
        /// What was named.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// The folder of dossiers cannot be written.
    #[error("cannot write {path}", path = path.display())]
    Unwritable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The compiler does not start.
    #[error("cannot run cc, which compiles C reproducers: install a C compiler")]
    NoCompiler(#[source] io::Error),
}

impl ImportError {
    fn unusable(path: &Path, why: impl Into<String>) -> Self {
        Self::Unusable { path: path.to_owned(), why: why.into() }
    }

    /// Whether the user named something wrong.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Unusable { .. })
    }
}

/// What an import did.
#[derive(Debug)]
pub struct ImportReport {
    /// The kind of source: `ltp`, `kselftest`, `syz` or `packetdrill`.
    pub source: &'static str,
    /// The version of the source, if it names one.
    pub version: Option<String>,
    /// The folder of dossiers.
    pub folder: PathBuf,
    /// The dossiers that were written, or were there already.
    pub imported: Vec<Imported>,
    /// What could not be imported.
    pub rejected: Vec<Rejected>,
    /// How many tests were not selected.
    pub not_selected: usize,
}

impl ImportReport {
    /// How many were rejected for each reason.
    pub fn counts(&self) -> BTreeMap<RejectionKind, usize> {
        let mut counts = BTreeMap::new();
        for rejected in &self.rejected {
            *counts.entry(rejected.kind).or_insert(0) += 1;
        }
        counts
    }
}

/// A dossier that was imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// The bug's name.
    pub id: BugId,
    /// The name in the source.
    pub name: String,
    /// The bug's title.
    pub title: String,
    /// The dossier's path.
    #[serde(serialize_with = "crate::json::path")]
    pub dossier: PathBuf,
    /// The program's path.
    #[serde(serialize_with = "crate::json::path")]
    pub program: PathBuf,
    /// Whether anything was written.
    pub written: bool,
    /// What the dossier leaves out.
    pub notes: Vec<String>,
}

/// Something that could not be imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rejected {
    /// The name in the source.
    pub name: String,
    /// The reason, to count by.
    pub kind: RejectionKind,
    /// The reason in words.
    pub why: String,
}

impl Rejected {
    fn new(name: impl Into<String>, kind: RejectionKind, why: impl Into<String>) -> Self {
        Self { name: name.into(), kind, why: why.into() }
    }
}

/// Why something could not be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RejectionKind {
    /// There is no such test.
    NoTest,
    /// Its program is not in the tree.
    NotBuilt,
    /// It needs an interpreter.
    Script,
    /// It is no program for a guest: another machine, damaged, too large.
    Unfit,
    /// It is for another machine.
    Machine,
    /// It needs a disk with a file system.
    Disk,
    /// It needs swap space.
    Swap,
    /// It runs other programs.
    Commands,
    /// It needs files that are not there.
    Files,
    /// It needs a configuration that a dossier cannot express.
    Configuration,
    /// It is about a library, not the kernel.
    NotKernel,
    /// It says no outcome, and no crash is named.
    NoCrash,
    /// Its source does not compile.
    Compile,
    /// Another file is in its place.
    Exists,
    /// The folder is full.
    Full,
    /// It is malformed, or cannot be read.
    Malformed,
}

impl RejectionKind {
    /// Its name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoTest => "no such test",
            Self::NotBuilt => "not built",
            Self::Script => "script",
            Self::Unfit => "unsuitable program",
            Self::Machine => "other machine",
            Self::Disk => "formatted disk",
            Self::Swap => "swap space",
            Self::Commands => "other programs",
            Self::Files => "missing files",
            Self::Configuration => "configuration",
            Self::NotKernel => "not the kernel",
            Self::NoCrash => "no crash named",
            Self::Compile => "does not compile",
            Self::Exists => "file exists",
            Self::Full => "folder full",
            Self::Malformed => "malformed",
        }
    }
}

/// Writes candidates in their order, and reports.
fn write(
    source: &'static str,
    target: ImportTarget<'_>,
    candidates: impl IntoIterator<Item = Result<Candidate, Rejected>>,
) -> Result<ImportReport, ImportError> {
    let mut folder = ImportFolder::open(target)?;
    let (mut imported, mut rejected) = (Vec::new(), Vec::new());
    for candidate in candidates {
        match candidate.map(|candidate| folder.add(candidate)) {
            Ok(added) => match added? {
                Ok(one) => imported.push(one),
                Err(one) => rejected.push(one),
            },
            Err(one) => rejected.push(one),
        }
    }
    let folder = target.folder.to_owned();
    Ok(ImportReport { source, version: None, folder, imported, rejected, not_selected: 0 })
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
