//! The guest's first process: brings the guest up, runs the jobs, sends their reports, restarts the machine.
//!
//! It never exits, because the kernel would panic, and that would look like the kernel's fault.

mod books;
pub(crate) mod features;
pub(crate) mod jobs;
mod kmemleak;
mod leftovers;
pub(crate) mod modules;
mod mounts;
pub(crate) mod port;
mod process;
mod reach;

use std::path::Path;

use rustix::system::{RebootCommand, reboot};
use rustix::time::{ClockId, clock_gettime};

use crate::output::say;
use crate::priority;
use backproof_protocol::{Hello, Message, PLAN_PATH, Plan, VERSION};
use features::Features;
use port::Port;

/// Runs as process 1 and never returns.
pub fn run() -> ! {
    let notes = mounts::mount_all();
    match Port::open() {
        Ok(mut port) => {
            port.report_panics();
            serve(&mut port, notes);
            port.drain();
        }
        // Without its port the agent can only write to the console.
        Err(error) => say(format_args!("backproof-agent: {error}; nothing can be reported, restarting")),
    }
    restart()
}

/// Restarts the machine, which ends QEMU.
fn restart() -> ! {
    let error = reboot(RebootCommand::Restart);
    say(format_args!("backproof-agent: cannot restart the machine: {error:?}"));
    loop {
        std::thread::park();
    }
}

fn serve(port: &mut Port, notes: Vec<String>) {
    let plan = read_plan(Path::new(PLAN_PATH));
    let missing = match &plan {
        Ok(plan) => modules::load_all(&plan.modules),
        Err(_) => Vec::new(),
    };
    let features = Features::probe(features::sysctls_of(plan.as_ref().map_or(&[], |plan| &plan.jobs)));
    port.say(&Message::Hello(hello(&features)));
    let low = plan.as_ref().ok().and_then(rise);
    for text in notes.into_iter().chain(missing.iter().map(|module| module.why.clone())).chain(low) {
        port.say(&Message::Note { text });
    }
    let reports = match plan {
        Ok(plan) => jobs::run_all(port, &plan, &features, &missing, jobs::KernelOwner::Guest),
        Err(text) => {
            port.say(&Message::Note { text });
            0
        }
    };
    port.say(&Message::End { reports });
}

/// Puts this process above users' programs, if there are any. Returns why it is not.
fn rise(plan: &Plan) -> Option<String> {
    plan.jobs.iter().find(|job| job.program.is_some())?;
    let error = priority::rise_above_programs().err()?;
    Some(format!(
        "cannot get a real-time priority, so a program that takes all processor time looks like a hang: {error}"
    ))
}

fn read_plan(path: &Path) -> Result<Plan, String> {
    let text = std::fs::read(path).map_err(|error| format!("cannot read the plan {}: {error}", path.display()))?;
    let plan: Plan =
        serde_json::from_slice(&text).map_err(|error| format!("invalid plan {}: {error}", path.display()))?;
    if plan.version == VERSION {
        Ok(plan)
    } else {
        Err(format!("the plan has protocol version {}, this agent has {VERSION}", plan.version))
    }
}

/// The guest's clock, in milliseconds.
fn uptime_ms() -> u64 {
    let up = clock_gettime(ClockId::Boottime);
    u64::try_from(up.tv_sec * 1000 + up.tv_nsec / 1_000_000).unwrap_or(0)
}

/// Describes this agent and its kernel.
pub(crate) fn hello(features: &Features) -> Hello {
    let uname = rustix::system::uname();
    Hello {
        version: VERSION,
        agent: env!("CARGO_PKG_VERSION").to_owned(),
        release: uname.release().to_string_lossy().into_owned(),
        build: uname.version().to_string_lossy().into_owned(),
        cpus: std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(u32::MAX)),
        uptime_ms: uptime_ms(),
        features: features.all().clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_plan_is_rejected_with_the_reason() -> std::io::Result<()> {
        let path = std::env::temp_dir().join(format!("backproof-plan-{}", std::process::id()));
        for (text, expected) in [
            (r#"{"version":3,"modules":[],"jobs":[]}"#, None),
            (r#"{"version":2,"modules":[],"jobs":[]}"#, Some("version 2")),
            (r#"{"version":3}"#, Some("invalid plan")),
            ("", Some("invalid plan")),
        ] {
            std::fs::write(&path, text)?;
            let error = read_plan(&path).err();
            assert_eq!(error.is_some(), expected.is_some(), "{text}");
            assert!(error.unwrap_or_default().contains(expected.unwrap_or_default()), "{text}");
        }
        std::fs::remove_file(&path)?;
        assert!(read_plan(&path).is_err());
        Ok(())
    }
}
