//! `backproof completions` and `backproof man`.

use anyhow::anyhow;
use clap::CommandFactory as _;
use clap_complete::Shell;

use super::args::Cli;
use super::{Stop, print};
use crate::exit::Exit;

/// Prints the completion script of a shell.
pub(super) fn completions(shell: Shell) -> Result<Exit, Stop> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "backproof", &mut script);
    print(&String::from_utf8_lossy(&script)).map(|()| Exit::Clean)
}

/// Prints the manual page of the program, or of one of its commands.
pub(super) fn man(command: Option<&str>) -> Result<Exit, Stop> {
    let mut program = Cli::command();
    program.build();
    let of = match command {
        None => program,
        Some(name) => {
            let known: Vec<&str> = program.get_subcommands().map(clap::Command::get_name).collect();
            let unknown = || Stop::usage(anyhow!("no command \"{name}\"; expected one of: {}", known.join(", ")));
            program.find_subcommand(name).cloned().ok_or_else(unknown)?
        }
    };
    let mut page = Vec::new();
    clap_mangen::Man::new(of).render(&mut page).map_err(Stop::no_verdict)?;
    print(&String::from_utf8_lossy(&page)).map(|()| Exit::Clean)
}
