//! `backproof import`: dossiers of tests and reproducers of others.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, Subcommand};

use super::args::Format;
use super::{Stop, ended, show};
use crate::exit::Exit;
use crate::import::{self, ImportError, ImportReport, ImportRootfs, ImportTarget, LtpChoice, PacketdrillTools};
use crate::matrix::is_cve;
use crate::report::{ImportDocument, SlowWork, Style};

#[derive(Debug, Subcommand)]
pub(super) enum Import {
    /// Import tests from a built tree of the Linux Test Project
    Ltp {
        /// Built or installed tree, with its metadata
        dir: PathBuf,
        /// Import only tests of this CVE (repeatable)
        #[arg(long, value_name = "CVE", value_parser = cve)]
        cve: Vec<String>,
        /// Also import tests that name no commit and no CVE
        #[arg(long, conflicts_with = "cve")]
        all: bool,
        /// Give this rootfs to tests that run other programs or make file systems
        #[arg(long, value_name = "PATH")]
        rootfs: Option<PathBuf>,
        #[command(flatten)]
        to: ImportTo,
    },
    /// Import the kernel's own selftests
    Kselftest {
        /// Installed folder, or a built tools/testing/selftests
        dir: PathBuf,
        /// Run tests and shell scripts in this rootfs, which contains DIR
        #[arg(long, value_name = "FOLDER")]
        rootfs: Option<PathBuf>,
        #[command(flatten)]
        to: ImportTo,
    },
    /// Compile and import C reproducers of syzkaller
    Syz {
        /// C file, or a folder of them
        path: PathBuf,
        /// Title of the crash [default: from the report beside the file, or the file's first comment]
        #[arg(long, value_name = "TITLE")]
        title: Option<String>,
        #[command(flatten)]
        to: ImportTo,
    },
    /// Import scripts of packetdrill
    Packetdrill {
        /// Scripts
        #[arg(required = true, value_name = "SCRIPT")]
        scripts: Vec<PathBuf>,
        /// Run the scripts with this static packetdrill
        #[arg(long = "with", value_name = "FILE")]
        packetdrill: PathBuf,
        /// Static busybox, for the shell and ip that packetdrill runs
        #[arg(long, value_name = "FILE")]
        shell: Option<PathBuf>,
        #[command(flatten)]
        to: ImportTo,
    },
}

/// Where dossiers are written, and how the result is printed.
#[derive(Args, Debug)]
pub(super) struct ImportTo {
    /// Write the dossiers and their programs to this folder
    #[arg(long = "to", value_name = "DIR")]
    folder: PathBuf,
    /// Replace files of the folder that differ
    #[arg(long)]
    force: bool,
    /// Show whole reasons, and what dossiers leave out
    #[arg(long)]
    explain: bool,
    /// Print results in this format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

impl ImportTo {
    fn target(&self) -> ImportTarget<'_> {
        ImportTarget { folder: &self.folder, force: self.force }
    }
}

fn cve(text: &str) -> Result<String, String> {
    if is_cve(text) { Ok(text.to_ascii_uppercase()) } else { Err("expected a CVE, as in CVE-2017-8890".to_owned()) }
}

/// Imports tests or reproducers of others.
pub(super) fn import(command: &Import) -> Result<Exit, Stop> {
    let (done, to) = match command {
        Import::Ltp { dir, cve, all, rootfs, to } => {
            let rootfs = opened(rootfs.as_deref())?;
            let choice = LtpChoice { cves: cve, all: *all, rootfs: rootfs.as_ref() };
            (import::ltp(dir, choice, to.target()), to)
        }
        Import::Kselftest { dir, rootfs, to } => {
            (import::kselftest(dir, opened(rootfs.as_deref())?.as_ref(), to.target()), to)
        }
        Import::Syz { path, title, to } => {
            let line = SlowWork::new();
            let done = import::syz(path, title.as_deref(), to.target(), &mut |progress| line.tell(progress));
            line.finish();
            (done, to)
        }
        Import::Packetdrill { scripts, packetdrill, shell, to } => {
            let tools = PacketdrillTools { packetdrill, shell: shell.as_deref() };
            (import::packetdrill(scripts, tools, to.target()), to)
        }
    };
    let report: ImportReport = done.map_err(stop)?;
    let exit = if report.imported.is_empty() { Exit::NoVerdict } else { Exit::Clean };
    let style = Style::of_terminal().explaining(to.explain);
    ended(exit, show(&ImportDocument::of(&report), to.format, style))
}

fn opened(rootfs: Option<&Path>) -> Result<Option<Arc<ImportRootfs>>, Stop> {
    rootfs.map(|path| ImportRootfs::open(path).map(Arc::new).map_err(stop)).transpose()
}

fn stop(error: ImportError) -> Stop {
    if error.is_usage() { Stop::usage(error) } else { Stop::no_verdict(error) }
}
