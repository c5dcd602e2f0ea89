//! The guest agent: PID 1 of a test guest. With arguments it runs one reproducer, or probes a live host.

use std::process::ExitCode;

use backproof_repro::output::say;
use backproof_repro::{modprobe, pid1, probe, task};

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).map(|word| word.to_string_lossy().into_owned());
    let (first, second) = (args.next(), args.next());
    match (first.as_deref(), second.as_deref()) {
        (Some(task::SUBCOMMAND), Some(job)) => task::run_job(job),
        (first, second) if [first, second] == modprobe::ARGUMENTS.map(Some) => {
            modprobe::record(&args.next().unwrap_or_default())
        }
        // These come before the check for process 1, because `probe-inside` is process 1 of its own namespace.
        (Some(backproof_protocol::PROBE_SUBCOMMAND), None) => probe::run(),
        (Some(probe::INSIDE), None) => probe::run_inside(),
        // Other arguments are ignored, because some kernels pass words of their command line on to init.
        _ if std::process::id() == 1 => pid1::run(),
        _ => {
            say(format_args!("backproof-agent: this is the init of a test guest and only runs as process 1"));
            ExitCode::from(2)
        }
    }
}
