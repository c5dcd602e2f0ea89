//! The guest agent: PID 1 of a test guest. With arguments it runs one reproducer, or probes a live host.

use std::process::ExitCode;

use backproof_repro::output::say;
use backproof_repro::{pid1, probe, task};

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match (args.next().as_deref(), args.next()) {
        (Some(task::SUBCOMMAND), Some(job)) => task::run_job(&job),
        // Before process 1, which the second of them is, in its own namespace.
        (Some(backproof_protocol::PROBE_SUBCOMMAND), None) => probe::run(),
        (Some(probe::INSIDE), None) => probe::run_inside(),
        // Some kernels pass words of their command line on to init, so other arguments say nothing.
        _ if std::process::id() == 1 => pid1::run(),
        _ => {
            say(format_args!("backproof-agent: this is the init of a test guest and only runs as process 1"));
            ExitCode::from(2)
        }
    }
}
