//! The guest agent: PID 1 of a test guest, and under an argument of its own the process of one reproducer.

use std::process::ExitCode;

use backproof_repro::{pid1, reproducer};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match (args.next().as_deref(), args.next()) {
        (Some(reproducer::SUBCOMMAND), Some(job)) => reproducer::run_job(&job),
        // Some kernels pass words of their command line on to init, so other arguments say nothing.
        _ if std::process::id() == 1 => pid1::run(),
        _ => {
            eprintln!("backproof-agent: this is the init of a test guest: it runs as process 1 and nowhere else");
            ExitCode::from(2)
        }
    }
}
