//! `--report FORMAT=FILE`: the reports of a run as files.

use std::ffi::{OsStr, OsString};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anstream::StripStream;
use anyhow::{Context as _, anyhow};
use clap::builder::{OsStringValueParser, TypedValueParser};

use super::Stop;
use crate::matrix::expected_one_of;
use crate::report::{RUN_FORMATS, RunFormat, RunReport, Style};
use crate::results::{new_file_beside, replace_file};

/// A file to write, and its format.
#[derive(Clone, Debug)]
pub(super) struct ReportFile {
    format: RunFormat,
    path: PathBuf,
}

/// Files of a run and of the history. A report in place of one would destroy results.
const OWN_FILES: [&str; 5] = ["matrix.json", "ledger.json", "proof.json", "boot.json", "history.sqlite"];

/// Reads `FORMAT=FILE`.
pub(super) fn report_file() -> impl TypedValueParser<Value = ReportFile> {
    OsStringValueParser::new().try_map(|text| ReportFile::parse(&text))
}

impl ReportFile {
    fn parse(text: &OsStr) -> Result<Self, String> {
        let bytes = text.as_bytes();
        let names = || RUN_FORMATS.iter().map(|format| format.name);
        let (name, path) = match bytes.iter().position(|byte| *byte == b'=') {
            Some(at) if at + 1 < bytes.len() => {
                (String::from_utf8_lossy(&bytes[..at]), OsStr::from_bytes(&bytes[at + 1..]))
            }
            _ => return Err("expected FORMAT=FILE, such as json=report.json".to_owned()),
        };
        let format = RUN_FORMATS.iter().find(|format| format.name == name);
        let format = format.ok_or_else(|| format!("no format `{name}`: {}", expected_one_of(&name, names())))?;
        Ok(Self { format: *format, path: PathBuf::from(OsString::from(path)) })
    }

    /// Where its bytes go: through a link, to the file that it names.
    fn target(&self) -> io::Result<PathBuf> {
        match fs::canonicalize(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && is_dangling(&self.path) => {
                Err(io::Error::other("it is a link to a file that does not exist"))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
                let folder = fs::canonicalize(folder.unwrap_or(Path::new(".")))?;
                let name = self.path.file_name().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))?;
                Ok(folder.join(name))
            }
            found => found,
        }
    }

    /// Whether the file can be written, as far as one can know before. Returns its place.
    fn check(&self) -> anyhow::Result<PathBuf> {
        let target = self.target().with_context(|| match self.path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() && !folder.is_dir() => {
                format!("there is no folder {}; make it first", folder.display())
            }
            _ => "it cannot be made".to_owned(),
        })?;
        anyhow::ensure!(!target.is_dir(), "it is a folder; name a file in it");
        let is_own = target.file_name().is_some_and(|name| OWN_FILES.iter().any(|own| *own == name));
        anyhow::ensure!(!is_own, "backproof itself keeps results in files of this name; choose another");
        if is_replaced(&target) {
            new_file_beside(&target).context("its folder cannot be written")?;
        }
        Ok(target)
    }

    fn write(&self, run: &RunReport) -> io::Result<()> {
        // Colours are for terminals.
        let mut bytes = StripStream::new(Vec::new());
        let target = self.target()?;
        let run = RunReport { file: Some(&target), ..*run };
        (self.format.write)(&run, Style::default(), &mut bytes)?;
        let bytes = bytes.into_inner();
        match is_replaced(&target) {
            true => replace_file(&target, &bytes, true),
            false => OpenOptions::new().write(true).open(target)?.write_all(&bytes),
        }
    }

    fn named(&self) -> String {
        format!("{}={}", self.format.name, self.path.display())
    }
}

/// Whether this is a link to nothing. /dev/stdout may be one to a pipe, which has no path but is there.
fn is_dangling(path: &Path) -> bool {
    path.is_symlink() && !path.exists()
}

/// Whether a file is replaced by a new one. A pipe or a device is written to.
fn is_replaced(target: &Path) -> bool {
    fs::metadata(target).map_or(true, |found| found.is_file())
}

/// Checks the files before a run starts: their folders exist and can be written, and no two are the same.
pub(super) fn check(files: &[ReportFile]) -> Result<(), Stop> {
    let mut known: Vec<(PathBuf, &ReportFile)> = Vec::new();
    for file in files {
        let target =
            file.check().with_context(|| format!("cannot write --report {}", file.named())).map_err(Stop::usage)?;
        if let Some((_, other)) = known.iter().find(|(known, _)| *known == target) {
            let (one, other) = (file.named(), other.named());
            return Err(Stop::usage(anyhow!("--report {other} and --report {one} name the same file; name two")));
        }
        known.push((target, file));
    }
    Ok(())
}

/// Writes all files, each whole or not at all. One that cannot be written costs no other.
pub(super) fn write(files: &[ReportFile], run: &RunReport) -> Result<(), Stop> {
    let failed = files.iter().filter_map(|file| {
        let error = file.write(run).err()?;
        Some(format!("could not write --report {}: {error}", file.named()))
    });
    let failed: Vec<String> = failed.collect();
    if failed.is_empty() {
        return Ok(());
    }
    let again = format!("write it again with `backproof report {} --report …`", run.folder.display());
    Err(Stop::no_verdict(anyhow!("{}; the run is kept: {again}", failed.join("\n"))))
}
