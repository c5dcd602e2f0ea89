//! The command line's arguments. Their doc comments are what `--help` prints.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{OsStringValueParser, PossibleValue, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;

use super::report_files::{ReportFile, report_file};
use super::{bugs, history, host_command, import, kernels, prove, reproducer, validate};
use crate::matrix::SEEDS_MAX;
use crate::report::{RUN_FORMATS, RunFormat, Style};
use crate::words::{BugId, KernelName, ProfileName};

/// Boot Linux kernels to prove whether they have known bugs, and whether a backport fixed them
#[derive(Debug, Parser)]
#[command(name = "backproof", version, max_term_width = 100, after_help = EXIT_CODES)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0    not affected, or all as expected
  1    affected, or unexpected
  2    bad usage or configuration
  3    no verdict: the harness, the host, the network or a guest broke
  130  interrupted; finished results are kept

Set BACKPROOF_LOG=debug for a log of what backproof does.";

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Boot the kernels of a matrix, and judge each kernel for each bug
    Run(Run),
    /// Judge kernels by release, package, image, source or commit, without a boot
    Affected(Affected),
    /// Decide whether a kernel may go out, and write what is attached to a rollout
    Validate(validate::Validate),
    /// Prove that a change flips the verdict, or find where it turns
    Prove(prove::Prove),
    /// Repeat a boot of a finished run, with the same inputs
    Replay(Replay),
    /// Show a run, finished or not, or write a site of all runs
    Report(ReportArgs),
    /// List runs, show a kernel's past, or remove old runs
    History(history::History),
    /// Show what changed between two runs
    Diff(history::Diff),
    /// Judge whether this host, or one with saved output, is affected and was bitten
    Host(host_command::HostArgs),
    /// Build and list control kernels, whose state is known
    #[command(subcommand)]
    Controls(Controls),
    /// List, lock and update kernels, and clean the cache
    #[command(subcommand)]
    Kernels(kernels::Kernels),
    /// Check what this host can do, and say how to fix the rest
    Doctor(Doctor),
    /// List the known bugs, or describe one
    Bugs(bugs::BugsArgs),
    /// Try a reproducer of your own
    #[command(subcommand)]
    Reproducer(reproducer::Reproducer),
    /// Make dossiers of tests and reproducers of others
    #[command(subcommand)]
    Import(import::Import),
    /// Print a completion script for a shell
    Completions {
        /// Shell to print the script for
        shell: Shell,
    },
    /// Print the manual page of the program, or of one command
    Man {
        /// Command to describe [default: the program]
        command: Option<String>,
    },
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Table,
    /// For machines
    Json,
}

impl ValueEnum for RunFormat {
    fn value_variants<'a>() -> &'a [Self] {
        RUN_FORMATS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        Some(PossibleValue::new(self.name).help(self.help))
    }
}

/// How a command prints what it judged.
#[derive(Args, Debug)]
pub(super) struct Output<F: ValueEnum + Send + Sync + 'static> {
    /// Show all evidence
    #[arg(long)]
    pub(super) explain: bool,
    /// Print results in this format
    #[arg(long, value_enum, default_value = "table")]
    pub(super) format: F,
}

impl<F: ValueEnum + Send + Sync + 'static> Output<F> {
    pub(super) fn style(&self) -> Style {
        Style::of_terminal().explaining(self.explain)
    }
}

/// The arguments of every command that boots guests.
#[derive(Args, Clone, Debug)]
pub(super) struct MachineArgs {
    /// Keep runs in this folder
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub(super) results: PathBuf,
    #[command(flatten)]
    pub(super) cache: Cache,
    /// Run guests in this QEMU [default: qemu-system-x86_64 on the PATH]
    #[arg(long, value_name = "FILE", env = "BACKPROOF_QEMU")]
    pub(super) qemu: Option<PathBuf>,
    /// Run guests under this accelerator
    #[arg(long, value_enum, default_value_t = AccelArg::Auto)]
    pub(super) accel: AccelArg,
    /// Guest time [default: virtual under TCG with one processor, else real]
    #[arg(long, value_enum)]
    pub(super) time: Option<TimeArg>,
    /// Seed of a guest's randomness, in virtual time [default: 1; replay: the run's]
    #[arg(long, value_name = "N")]
    pub(super) seed: Option<u32>,
}

/// Where kernels are kept.
#[derive(Args, Clone, Debug)]
pub(super) struct Cache {
    /// Keep kernels in this folder [default: backproof in the user's cache folder]
    #[arg(long = "cache", value_name = "DIR", env = "BACKPROOF_CACHE", value_parser = folder())]
    pub(super) folder: Option<PathBuf>,
    /// Also read from this cache, but never write to it (repeatable)
    #[arg(long = "cache-from", value_name = "DIR", env = "BACKPROOF_CACHE_FROM", value_delimiter = ':', value_parser = folder())]
    pub(super) from: Vec<PathBuf>,
}

/// `5%` or `5`.
fn percent(text: &str) -> Result<u8, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse().ok();
    number.filter(|number| *number <= 100).ok_or_else(|| "expected a percentage from 0% to 100%".to_owned())
}

/// A folder's name. It may be empty, because a variable may be.
fn folder() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// What runs the guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum AccelArg {
    /// KVM if it works, else TCG
    Auto,
    /// Hardware virtualisation, or an error
    Kvm,
    /// QEMU's emulation
    Tcg,
}

/// How a guest's time passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum TimeArg {
    /// By its own instructions: waits cost nothing, and every boot can be repeated to the byte; needs TCG
    Virtual,
    /// By the host's clock
    Real,
}

/// Which bugs count for the exit code of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum FailOn {
    /// Bugs that have a fix, and those named with --bug
    Fixable,
    /// Every bug
    Any,
}

#[derive(Args, Debug)]
pub(super) struct Run {
    /// Read this matrix of kernels [default: ./kernels.yaml, or the built-in one]
    #[arg(long, value_name = "FILE")]
    pub(super) matrix: Option<PathBuf>,
    /// Add your own dossiers from this folder
    #[arg(long, value_name = "DIR", alias = "bugs")]
    pub(super) dossiers: Option<PathBuf>,
    /// Run only these kernels, plus any matched by --tag
    #[arg(value_name = "KERNEL")]
    pub(super) kernels: Vec<KernelName>,
    /// Run only this kernel, plus any matched by --tag (repeatable)
    #[arg(long, value_name = "NAME")]
    pub(super) kernel: Vec<KernelName>,
    /// Judge only this bug: a name, a CVE or a commit (repeatable)
    #[arg(long, value_name = "BUG")]
    pub(super) bug: Vec<BugId>,
    /// Run only kernels with this tag, plus any that are named (repeatable)
    #[arg(long, value_name = "TAG")]
    pub(super) tag: Vec<String>,
    /// Judge under this profile, or under all (repeatable) [default: default]
    #[arg(long, value_name = "NAME")]
    pub(super) profile: Vec<ProfileName>,
    /// Also record what the bugs do to real connections
    #[arg(long)]
    pub(super) natural: bool,
    /// Give no answer for a pass of a reproducer that no control proves
    #[arg(long)]
    pub(super) strict: bool,
    /// Boot each guest under N seeds, from --seed on, in virtual time [default: 1]
    #[arg(long, value_name = "N", default_value_t = 1, hide_default_value = true, value_parser = clap::value_parser!(u32).range(1..=i64::from(SEEDS_MAX)))]
    pub(super) seeds: u32,
    /// Confirm a bug that showed by N boots in all, in virtual time under further seeds
    #[arg(long, value_name = "N", default_value_t = 1, hide_default_value = true, value_parser = clap::value_parser!(u32).range(1..=i64::from(SEEDS_MAX)))]
    pub(super) confirm: u32,
    /// Boot every guest, even if its boot is cached
    #[arg(long)]
    pub(super) fresh: bool,
    /// Also use cached boots in real time, which another boot may contradict
    #[arg(long, conflicts_with = "fresh")]
    pub(super) reuse: bool,
    /// Boot this share of the kernels even if cached, and compare [default: 5%, rounded down]
    #[arg(long, value_name = "PERCENT", conflicts_with = "fresh", value_parser = percent)]
    pub(super) audit: Option<u8>,
    /// Compare with this run: an id, a folder or latest [default: the last comparable one]
    #[arg(long, value_name = "RUN")]
    pub(super) since: Option<String>,
    /// If something changed, run this with sh, with the changes as JSON on its stdin
    #[arg(long, value_name = "CMD")]
    pub(super) on_change: Option<String>,
    /// Judge at most N kernels at a time [default: number of processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    pub(super) jobs: Option<u16>,
    /// Require every kernel to match kernels.lock
    #[arg(long, conflicts_with = "refresh")]
    pub(super) locked: bool,
    /// Use only the cache, never the network
    #[arg(long, conflicts_with = "refresh")]
    pub(super) offline: bool,
    /// Fetch the indexes of package archives, even if they are new
    #[arg(long)]
    pub(super) refresh: bool,
    #[command(flatten)]
    pub(super) output: Output<RunFormat>,
    /// Also write a report to this file, in a format of --format (repeatable)
    #[arg(long, value_name = "FORMAT=FILE", value_parser = report_file())]
    pub(super) report: Vec<ReportFile>,
    #[command(flatten)]
    pub(super) host: MachineArgs,
}

#[derive(Args, Debug)]
pub(super) struct Affected {
    /// Releases, packages, images, source trees, URLs, CVEs; or - for stdin
    #[arg(value_name = "WHAT")]
    pub(super) what: Vec<OsString>,
    /// Judge only this bug: a name, a CVE or a commit (repeatable)
    #[arg(long, value_name = "BUG")]
    pub(super) bug: Vec<BugId>,
    /// Exit with 1 if affected by these bugs
    #[arg(long, value_enum, default_value_t = FailOn::Fixable)]
    pub(super) fail_on: FailOn,
    /// Add your own dossiers from this folder
    #[arg(long, value_name = "DIR", alias = "bugs")]
    pub(super) dossiers: Option<PathBuf>,
    /// Look up revisions in this kernel repository
    #[arg(long, value_name = "REPO")]
    pub(super) git: Option<PathBuf>,
    /// Also boot packages, images and built trees
    #[arg(long)]
    pub(super) boot: bool,
    /// With --boot, boot every guest, even if its boot is cached
    #[arg(long, requires = "boot")]
    pub(super) fresh: bool,
    /// Use only the cache, never the network
    #[arg(long)]
    pub(super) offline: bool,
    #[command(flatten)]
    pub(super) output: Output<Format>,
    #[command(flatten)]
    pub(super) host: MachineArgs,
}

#[derive(Args, Debug)]
pub(super) struct Replay {
    /// Id or folder of the run, or latest
    pub(super) run: String,
    /// Name of the kernel in the matrix
    pub(super) kernel: KernelName,
    /// Repeat boot N [default: the first under the last accelerator]
    #[arg(long, value_name = "N")]
    pub(super) boot: Option<u32>,
    /// Show the guest's console while it boots
    #[arg(long)]
    pub(super) console: bool,
    #[command(flatten)]
    pub(super) output: Output<Format>,
    #[command(flatten)]
    pub(super) host: MachineArgs,
}

#[derive(Args, Debug)]
pub(super) struct ReportArgs {
    /// Id or folder of the run, or latest
    #[arg(default_value = "latest")]
    pub(super) run: String,
    /// Look for runs in this folder
    #[arg(long, value_name = "DIR", default_value = "results")]
    pub(super) results: PathBuf,
    #[command(flatten)]
    pub(super) output: Output<RunFormat>,
    /// Also write a report to this file, in a format of --format (repeatable)
    #[arg(long, value_name = "FORMAT=FILE", value_parser = report_file())]
    pub(super) report: Vec<ReportFile>,
    /// Also write the run's page, page.html in its folder
    #[arg(long)]
    pub(super) html: bool,
    /// Write a static site of all runs into this folder, or update it
    #[arg(long, value_name = "DIR", conflicts_with_all = ["run", "explain", "report", "html"])]
    pub(super) site: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(super) struct Doctor {
    /// Print results in this format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,
    #[command(flatten)]
    pub(super) host: MachineArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum Controls {
    /// List the control kernels, their states, and which are built
    List(ControlsList),
    /// Build missing control kernels, or resume an interrupted build
    Build(ControlsBuild),
}

#[derive(Args, Debug)]
pub(super) struct ControlsList {
    #[command(flatten)]
    pub(super) cache: Cache,
    /// Print results in this format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,
}

#[derive(Args, Clone, Debug)]
pub(super) struct ControlsBuild {
    /// Names of the control kernels to build [default: all]
    #[arg(value_name = "NAME")]
    pub(super) names: Vec<String>,
    /// Build only for this line of releases (repeatable) [default: all]
    #[arg(long, value_name = "LINE")]
    pub(super) line: Vec<String>,
    /// Build from this tree or tarball [default: Debian's packages]
    #[arg(long, value_name = "PATH")]
    pub(super) source: Option<PathBuf>,
    /// Use only the cache, never the network
    #[arg(long, conflicts_with = "refresh")]
    pub(super) offline: bool,
    /// Use the newest source package, even if an older one was used before
    #[arg(long)]
    pub(super) refresh: bool,
    #[command(flatten)]
    pub(super) cache: Cache,
    /// Print results in this format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,
}
