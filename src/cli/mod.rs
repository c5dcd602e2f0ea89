//! The command line: what was asked, and what the process exits with.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::json;
use crate::kernel::{Blame, ObtainError, Store};
use crate::report::{Style, say, visible, wrap};
use crate::words::{BugId, KernelName, ProfileName};

mod affected;
mod controls;
mod doctor;
mod host;
mod host_command;
mod kernels;
mod matrix_file;
mod pins;
mod replay;
mod report;
mod run;

/// Proves whether Linux kernels have known bugs, and whether a backport really removed them, by booting them.
#[derive(Debug, Parser)]
#[command(name = "backproof", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes:
  0    all as expected
  1    a kernel is unlike its expectation: affected, as a rule
  2    bad usage or configuration
  3    no verdict: the harness, the host, the network or a guest broke, or a control kernel was judged wrongly
  130  interrupted; what was finished is kept

Set BACKPROOF_LOG=debug to see what it does.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Boot the kernels of a matrix and judge each for each bug
    Run(Run),
    /// Tell whether a kernel is affected: a release, a package, an image, a source tree, a commit
    Affected(Affected),
    /// Boot one kernel of a finished run again, exactly as it was booted then
    Replay(Replay),
    /// Show a finished run
    Report(Report),
    /// Tell whether this host has been bitten by a bug, or another one by what was saved of it
    Host(HostArgs),
    /// Build kernels whose truth is known, and show them
    #[command(subcommand)]
    Controls(Controls),
    /// Show kernels, pin what they were resolved to, tidy the cache
    #[command(subcommand)]
    Kernels(kernels::Kernels),
    /// Tell what this host can and cannot do, and how to mend it
    Doctor(Doctor),
}

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people
    Table,
    /// For machines
    Json,
}

/// What every command that boots guests takes.
#[derive(Args, Debug)]
struct Host {
    /// The folder that runs are kept in
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    #[command(flatten)]
    cache: Cache,
    /// The QEMU to use [default: qemu-system-x86_64 on the PATH]
    #[arg(long, value_name = "FILE", env = "BACKPROOF_QEMU")]
    qemu: Option<PathBuf>,
    /// What runs the guests; auto takes KVM where it works, and says so where it doesn't
    #[arg(long, value_enum, default_value_t = Accel::Auto)]
    accel: Accel,
}

/// Where kernels are kept.
#[derive(Args, Clone, Debug)]
struct Cache {
    /// The folder that kernels are kept in [default: backproof in the user's cache folder]
    #[arg(long = "cache", value_name = "DIR", env = "BACKPROOF_CACHE", value_parser = folder())]
    folder: Option<PathBuf>,
    /// A cache of others to take kernels from too, which is only read: mounted from another host, say (may be repeated)
    #[arg(long = "cache-from", value_name = "DIR", env = "BACKPROOF_CACHE_FROM", value_delimiter = ':', value_parser = folder())]
    from: Vec<PathBuf>,
}

impl Cache {
    fn open(&self) -> Result<Store, Stop> {
        // A variable that is set to nothing is one empty name.
        let is_named = |folder: &&PathBuf| !folder.as_os_str().is_empty();
        let from: Vec<PathBuf> = self.from.iter().filter(is_named).cloned().collect();
        let own = Store::open(self.folder.as_ref().filter(is_named).cloned()).map_err(Stop::no_verdict)?;
        own.over(&from).map_err(Stop::of)
    }
}

/// A folder's name, which may be empty: that is a variable that is set to nothing.
fn folder() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

/// What runs the guests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Accel {
    /// KVM where it works, else TCG
    Auto,
    /// The processor's own virtualisation, or an error
    Kvm,
    /// QEMU's emulation
    Tcg,
}

/// Which bugs count for the exit code of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum FailOn {
    /// Bugs that somebody has repaired, and those that --bug names
    Fixable,
    /// Every bug
    Any,
}

#[derive(Args, Debug)]
struct Run {
    /// The matrix of kernels [default: kernels.yaml here, or else the built-in one]
    #[arg(long, value_name = "FILE")]
    matrix: Option<PathBuf>,
    /// A folder of dossiers of your own: their bugs are known beside the built-in ones (docs/dossiers.md)
    #[arg(long, value_name = "DIR")]
    bugs: Option<PathBuf>,
    /// This kernel, beside those that --tag names and no others (may be repeated)
    #[arg(long, value_name = "NAME")]
    kernel: Vec<KernelName>,
    /// Only this bug: its name, a CVE, or a commit of its chain (may be repeated)
    #[arg(long, value_name = "BUG")]
    bug: Vec<BugId>,
    /// Kernels with this tag, beside those that --kernel names and no others (may be repeated)
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// Judge under this profile; `all` is the kernel's own settings (`default`) and every profile (may be repeated)
    #[arg(long, value_name = "NAME")]
    profile: Vec<ProfileName>,
    /// Show too what the bugs do to real connections, for people to look at, with a time line of each bulk transfer of
    /// tcp-fragment-stall
    #[arg(long)]
    natural: bool,
    /// How many kernels to judge at a time [default: the number of processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=512))]
    jobs: Option<u16>,
    /// Take every kernel as the matrix's lock has it, or refuse: what `backproof kernels update` wrote
    #[arg(long, conflicts_with = "refresh")]
    locked: bool,
    /// Use only what is in the cache
    #[arg(long, conflicts_with = "refresh")]
    offline: bool,
    /// Ask the package archives anew, however fresh the last answer is
    #[arg(long)]
    refresh: bool,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    host: Host,
}

#[derive(Args, Debug)]
struct Affected {
    /// Releases (`uname -r`), package versions, package files, images, source trees or tarballs, addresses of such files
    /// (`https://…`, with `#sha256=…` where it is known); `-` is stdin, one a line; a CVE stands for `--bug`
    #[arg(value_name = "WHAT")]
    what: Vec<OsString>,
    /// Only this bug: its name, a CVE, or a commit of its chain (may be repeated)
    #[arg(long, value_name = "BUG")]
    bug: Vec<BugId>,
    /// Which affected kernels make the exit code 1
    #[arg(long, value_enum, default_value_t = FailOn::Fixable)]
    fail_on: FailOn,
    /// A folder of dossiers of your own, beside the built-in ones
    #[arg(long, value_name = "DIR")]
    bugs: Option<PathBuf>,
    /// A kernel repository: what is no file is a revision of it, judged by its history and its source
    #[arg(long, value_name = "REPO")]
    git: Option<PathBuf>,
    /// Settle it by booting what can be booted: packages, images, built trees
    #[arg(long)]
    boot: bool,
    /// Fetch nothing: of addresses use what is in the cache
    #[arg(long)]
    offline: bool,
    /// How to print the answers
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    host: Host,
}

#[derive(Args, Debug)]
struct Replay {
    /// The run: its id, its folder, or `latest`
    run: String,
    /// The kernel, by its name in the matrix
    kernel: KernelName,
    /// Which of its boots [default: the first under the accelerator that the run came to use]
    #[arg(long, value_name = "N")]
    boot: Option<u32>,
    /// Show the guest's console while it boots
    #[arg(long)]
    console: bool,
    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    host: Host,
}

#[derive(Args, Debug)]
struct Report {
    /// The run: its id, its folder, or `latest`
    #[arg(default_value = "latest")]
    run: String,
    /// The folder that runs are kept in
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Args, Debug)]
struct HostArgs {
    /// Judge another host by saved outputs: file, folder, sosreport, or - for stdin (may be repeated)
    #[arg(long, value_name = "PATH")]
    from: Vec<PathBuf>,
    /// Run the reproducers on the running kernel, live patches included: in namespaces of their own, from which no packet
    /// leaves
    #[arg(long, conflicts_with = "from")]
    probe: bool,
    /// Only this bug: its name, a CVE, or a commit of its chain (may be repeated)
    #[arg(long, value_name = "BUG")]
    bug: Vec<BugId>,
    /// Which bugs of an affected kernel make the exit code 1
    #[arg(long, value_enum, default_value_t = FailOn::Fixable)]
    fail_on: FailOn,
    /// A folder of dossiers of your own, beside the built-in ones
    #[arg(long, value_name = "DIR")]
    bugs: Option<PathBuf>,
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Args, Debug)]
struct Doctor {
    /// How to print it
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
    #[command(flatten)]
    host: Host,
}

#[derive(Debug, Subcommand)]
enum Controls {
    /// Show the control kernels, what is expected of each, and which are built
    List(ControlsList),
    /// Build control kernels that are not built yet; an interrupted build goes on where it stopped
    Build(ControlsBuild),
}

#[derive(Args, Debug)]
struct ControlsList {
    #[command(flatten)]
    cache: Cache,
    /// How to print them
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

#[derive(Args, Clone, Debug)]
struct ControlsBuild {
    /// Controls to build [default: all]
    #[arg(value_name = "NAME")]
    names: Vec<String>,
    /// Only this line of releases (may be repeated) [default: all, or the source's own]
    #[arg(long, value_name = "LINE")]
    line: Vec<String>,
    /// A kernel tree or tarball to build them of, which is not written to [default: Debian's packages]
    #[arg(long, value_name = "PATH")]
    source: Option<PathBuf>,
    /// Use only what is in the cache
    #[arg(long, conflicts_with = "refresh")]
    offline: bool,
    /// Take the newest source package, even where another one has been used before
    #[arg(long)]
    refresh: bool,
    #[command(flatten)]
    cache: Cache,
    /// How to print what was built
    #[arg(long, value_enum, default_value_t = Format::Table)]
    format: Format,
}

/// Why a command ended without doing what it was asked; each kind has its exit code.
#[derive(Debug, thiserror::Error)]
enum Stop {
    /// The user has to mend something: usage, configuration.
    #[error("{0:#}")]
    Usage(anyhow::Error),
    /// The harness, the host or the network broke.
    #[error("{0:#}")]
    NoVerdict(anyhow::Error),
}

impl Stop {
    fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self::Usage(error.into())
    }

    fn no_verdict(error: impl Into<anyhow::Error>) -> Self {
        Self::NoVerdict(error.into())
    }

    /// By who can mend it.
    fn of(error: impl Into<ObtainError>) -> Self {
        let error = error.into();
        match error.blame() {
            Blame::User => Self::usage(error),
            Blame::Host => Self::no_verdict(error),
        }
    }

    fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::NoVerdict(_) => 3,
        }
    }
}

/// Runs the command line that this process was started with.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(answer) => return ExitCode::from(help_or_usage(&answer)),
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("BACKPROOF_LOG");
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    // A log line that cannot be written is lost; the subscriber would print an error about it, and panic.
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).log_internal_errors(false).init();
    let done = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Affected(args) => affected::affected(&args),
        Command::Replay(args) => replay::replay(&args),
        Command::Report(args) => report::report(&args),
        Command::Host(args) => host_command::host(&args),
        Command::Controls(Controls::List(args)) => controls::list(&args),
        Command::Controls(Controls::Build(args)) => controls::build(&args),
        Command::Kernels(command) => kernels::kernels(&command),
        Command::Doctor(args) => doctor::doctor(&args),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(stop) => {
            say(complaint(&stop));
            ExitCode::from(stop.exit_code())
        }
    }
}

/// What is said of a command that ended without doing what it was asked. On a terminal it is wrapped; lines that are set in
/// (a piece of a file with its mistake, a console's words) keep their shape.
fn complaint(stop: &Stop) -> String {
    // Errors quote files and servers. Tabs show where a line has its mistake.
    let shown = |line: &str| line.split('\t').map(visible).collect::<Vec<_>>().join("\t");
    let text = format!("backproof: {stop}").lines().map(shown).collect::<Vec<_>>().join("\n");
    if !io::stderr().is_terminal() && std::env::var_os("COLUMNS").is_none() {
        return text;
    }
    let width = Style::of_terminal().width;
    let wrapped = |line: &str| {
        if line.starts_with(char::is_whitespace) { line.to_owned() } else { wrap(line, width).join("\n  ") }
    };
    text.lines().map(wrapped).collect::<Vec<_>>().join("\n")
}

/// Prints the help that was asked for, or what is wrong with the arguments; gives the exit code.
fn help_or_usage(answer: &clap::Error) -> u8 {
    let printed = answer.print();
    match (answer.use_stderr(), printed_to_stdout(printed)) {
        (true, _) => 2,
        (false, Ok(())) => 0,
        (false, Err(stop)) => {
            say(format_args!("backproof: {stop}"));
            stop.exit_code()
        }
    }
}

/// Prints to stdout. A reader that went away (`| head`) is no error of ours.
fn print(text: &str) -> Result<(), Stop> {
    let mut out = anstream::stdout().lock();
    printed_to_stdout(out.write_all(text.as_bytes()).and_then(|()| out.flush()))
}

/// Prints a document for machines, as it is made.
fn print_json(value: &impl serde::Serialize) -> Result<(), Stop> {
    let mut out = io::BufWriter::new(io::stdout().lock());
    let written = json::write(&mut out, value).map_err(io::Error::from);
    printed_to_stdout(written.and_then(|()| out.write_all(b"\n")).and_then(|()| out.flush()))
}

/// Whoever stops reading has read enough.
fn printed_to_stdout(written: io::Result<()>) -> Result<(), Stop> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Stop::no_verdict(anyhow::Error::new(error).context("could not write to stdout")))
        }
        _ => Ok(()),
    }
}

/// The exit code of a command that has printed its result. A result that could not be printed is no success, but it
/// still is affected, unexpected or interrupted.
fn ended(code: u8, printed: Result<(), Stop>) -> Result<u8, Stop> {
    match printed {
        Err(stop) if code != 0 => {
            say(format_args!("backproof: {stop}"));
            Ok(code)
        }
        printed => printed.map(|()| code),
    }
}
