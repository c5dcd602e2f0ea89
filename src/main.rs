//! The command `backproof`.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use backproof::{cli, report, shim};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).peekable();
    if args.next_if(|a| a == shim::SUBCOMMAND).is_some() {
        report::say(format_args!("backproof: {}", shim::become_program(args)));
        return ExitCode::from(3);
    }
    if args.next_if(|a| a == shim::FAMILY).is_some() {
        return ExitCode::from(shim::lead_family(args));
    }
    cli::main()
}
