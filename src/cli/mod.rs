//! The command line: runs a command and sets the exit code.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser as _;

use crate::exit::Exit;
use crate::json;
use crate::kernel::{Blame, ObtainError, Store};
use crate::report::{Document, RunFormat, RunReport, Style, hanging, say, visible};

mod affected;
mod args;
mod bugs;
mod conclusion;
mod controls;
mod doctor;
mod help;
mod history;
mod host;
mod host_command;
mod import;
mod kernels;
mod matrix_file;
mod on_change;
mod page_file;
mod pins;
mod prove;
mod replay;
mod report;
mod report_files;
mod reproducer;
mod run;
mod site;
mod subject;
mod validate;

use args::{
    AccelArg, Affected, Cache, Cli, Command, Controls, ControlsBuild, ControlsList, Doctor, FailOn, Format,
    MachineArgs, Output, Replay, ReportArgs, Run, TimeArg,
};

impl Cache {
    fn open(&self) -> Result<Store, Stop> {
        // An empty variable gives one empty name.
        let is_named = |folder: &&PathBuf| !folder.as_os_str().is_empty();
        let from: Vec<PathBuf> = self.from.iter().filter(is_named).cloned().collect();
        let own = Store::open(self.folder.as_ref().filter(is_named).cloned()).map_err(Stop::no_verdict)?;
        own.over(&from).map_err(Stop::of)
    }
}

/// Why a command failed. Each kind has its exit code.
#[derive(Debug, thiserror::Error)]
enum Stop {
    /// The user has to fix the usage or the configuration.
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

    /// By who can fix it.
    fn of(error: impl Into<ObtainError>) -> Self {
        let error = error.into();
        match error.blame() {
            Blame::User => Self::usage(error),
            Blame::Host => Self::no_verdict(error),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::NoVerdict(_) => Exit::NoVerdict,
        }
    }
}

/// Runs the command line that this process was started with.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse_from(arguments()) {
        Ok(cli) => cli,
        Err(answer) => return help_or_usage(&answer).into(),
    };
    let filter = tracing_subscriber::EnvFilter::try_from_env("BACKPROOF_LOG");
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    // If a log line cannot be written, the subscriber would print an error and panic.
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).log_internal_errors(false).init();
    let done = match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Affected(args) => affected::affected(&args),
        Command::Validate(args) => validate::validate(&args),
        Command::Prove(args) => prove::prove(&args),
        Command::Replay(args) => replay::replay(&args),
        Command::Report(args) => report::report(&args),
        Command::History(args) => history::history(&args),
        Command::Diff(args) => history::diff(&args),
        Command::Host(args) => host_command::host(&args),
        Command::Controls(Controls::List(args)) => controls::list(&args),
        Command::Controls(Controls::Build(args)) => controls::build(&args),
        Command::Kernels(command) => kernels::kernels(&command),
        Command::Doctor(args) => doctor::doctor(&args),
        Command::Bugs(args) => bugs::bugs(&args),
        Command::Reproducer(command) => reproducer::reproducer(&command),
        Command::Import(command) => import::import(&command),
        Command::Completions { shell } => help::completions(shell),
        Command::Man { command } => help::man(command.as_deref()),
    };
    match done {
        Ok(exit) => exit.into(),
        Err(stop) => {
            say(complaint(&stop));
            stop.exit().into()
        }
    }
}

/// The message of a failed command, wrapped on a terminal. Indented lines keep their shape, because they quote a file or
/// a console.
fn complaint(stop: &Stop) -> String {
    // Errors quote files and servers. Tabs point to the mistake in a line.
    let shown = |line: &str| line.split('\t').map(visible).collect::<Vec<_>>().join("\t");
    let text = format!("backproof: {stop}").lines().map(shown).collect::<Vec<_>>().join("\n");
    if !io::stderr().is_terminal() && std::env::var_os("COLUMNS").is_none() {
        return text;
    }
    let (style, mut wrapped) = (Style::of_terminal(), String::new());
    for line in text.lines() {
        match line.starts_with(char::is_whitespace) {
            true => wrapped += &format!("{line}\n"),
            false => hanging(&mut wrapped, "", "  ", line, style),
        }
    }
    wrapped.trim_end().to_owned()
}

/// The arguments of this process. clap's `help` takes no `--help`, so `help --help` becomes `--help`.
fn arguments() -> Vec<OsString> {
    let mut arguments: Vec<OsString> = std::env::args_os().collect();
    if let [_, .., help, last] = &arguments[..]
        && help == "help"
        && (last == "--help" || last == "-h")
    {
        arguments.remove(arguments.len() - 2);
    }
    arguments
}

/// Prints the help, or what is wrong with the arguments. Returns the exit code.
fn help_or_usage(answer: &clap::Error) -> Exit {
    let printed = answer.print();
    match (answer.use_stderr(), printed_to_stdout(printed)) {
        (true, _) => Exit::Usage,
        (false, Ok(())) => Exit::Clean,
        (false, Err(stop)) => {
            say(format_args!("backproof: {stop}"));
            stop.exit()
        }
    }
}

/// Prints a document in the format that was asked for.
fn show(document: &impl Document, format: Format, style: Style) -> Result<(), Stop> {
    match format {
        Format::Table => print(&document.text(style)),
        Format::Json => print_with(|out| json::write(out, document)),
    }
}

/// Prints a run in the format that was asked for.
fn show_run(run: &RunReport, output: &Output<RunFormat>) -> Result<(), Stop> {
    print_with(|out| (output.format.write)(run, output.style(), out))
}

/// Prints text to stdout.
fn print(text: &str) -> Result<(), Stop> {
    print_with(|out| out.write_all(text.as_bytes()))
}

/// Prints to stdout, as it is written.
fn print_with(write: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> Result<(), Stop> {
    let mut out = io::BufWriter::new(anstream::stdout().lock());
    printed_to_stdout(write(&mut out).and_then(|()| out.flush()))
}

/// A reader that went away (`| head`) is no error.
fn printed_to_stdout(written: io::Result<()>) -> Result<(), Stop> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Stop::no_verdict(anyhow::Error::new(error).context("could not write to stdout")))
        }
        _ => Ok(()),
    }
}

/// The exit code after printing. If printing failed, a clean result becomes a failure; other results keep their code.
fn ended(exit: Exit, printed: Result<(), Stop>) -> Result<Exit, Stop> {
    match printed {
        Err(stop) if exit != Exit::Clean => {
            say(format_args!("backproof: {stop}"));
            Ok(exit)
        }
        printed => printed.map(|()| exit),
    }
}
