//! Runs the reproducers on a live host's kernel, in isolated namespaces that leave nothing behind.
//!
//! There are two processes. The outer one creates the namespaces (network, mount, process ids, and a user namespace
//! unless it is root) and starts the inner one as their process 1. When the inner one dies, the kernel kills all
//! processes in the namespaces; reboot(2) ends only them, not the machine (pid_namespaces(7)). Each process dies with
//! its parent, and both watch the pipe of the plan. The probe mounts nothing, loads no module and writes only sysctls
//! of its namespaces.

use std::fs::{self, File};
use std::io::{self, BufRead as _};
use std::os::fd::AsFd as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

use nix::sched::{CloneFlags, unshare};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Signal, getegid, geteuid, set_parent_process_death_signal};
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set, set_no_new_privs};

use crate::output::say;
use crate::pid1::features::Features;
use crate::pid1::jobs::{KernelOwner, run_all};
use crate::pid1::modules::FailedModule;
use crate::pid1::port::Port;
use crate::pid1::{features, hello};
use crate::wire::namespace;
use crate::wire::tun::Tun;
use backproof_protocol::{MAX_LINE, Message, PROBE_SUBCOMMAND, Plan, VERSION};

/// The agent's first argument in the namespaces.
pub const INSIDE: &str = "probe-inside";

/// The exit status of a failed probe; stderr has the reason.
const FAILED: u8 = 3;

/// The capabilities that reproducers need to make network namespaces, interfaces and addresses, and to listen on any
/// port.
const NEEDED: CapabilitySet =
    CapabilitySet::SYS_ADMIN.union(CapabilitySet::NET_ADMIN).union(CapabilitySet::NET_BIND_SERVICE);

/// The highest capability number to drop: above CAP_CHECKPOINT_RESTORE, the last one today, to cover new ones.
const CAPABILITIES: u32 = 63;

/// Makes the namespaces, starts the inner process and waits for it.
pub fn run() -> ExitCode {
    match probe() {
        Ok(code) => ExitCode::from(code),
        Err(why) => {
            say(format_args!("backproof-agent: {why}"));
            ExitCode::from(FAILED)
        }
    }
}

fn probe() -> Result<u8, String> {
    die_with_parent()?;
    let (uid, gid) = (geteuid(), getegid());
    let namespaces = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWPID;
    // Root does without a user namespace, because inside one it could not set a socket's buffer beyond the system's
    // limit. Root of a container may need one.
    if !uid.is_root() || unshare(namespaces).is_err() {
        unshare(namespaces | CloneFlags::CLONE_NEWUSER)
            .map_err(|error| format!("cannot create a user namespace: {error}"))?;
        // Since 3.19 a group map requires this (user_namespaces(7)). Older kernels have no such file.
        let denied = fs::write("/proc/self/setgroups", "deny");
        denied.or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) }).map_err(mapping)?;
        fs::write("/proc/self/uid_map", format!("0 {} 1", uid.as_raw())).map_err(mapping)?;
        fs::write("/proc/self/gid_map", format!("0 {} 1", gid.as_raw())).map_err(mapping)?;
    }
    // New credentials may have cleared the death signal (prctl(2), PR_SET_PDEATHSIG).
    die_with_parent()?;
    let mut inner = Command::new("/proc/self/exe");
    let status = inner.arg0("backproof-agent").arg(INSIDE).status();
    let status = status.map_err(|error| format!("cannot start the process in the namespaces: {error}"))?;
    match status.code() {
        Some(code) => Ok(u8::try_from(code).unwrap_or(FAILED)),
        None => Err(format!("the process in the namespaces was killed: {status}")),
    }
}

fn mapping(error: io::Error) -> String {
    format!("cannot map the user into a user namespace: {error}")
}

/// Requests SIGKILL at the parent's death, and fails if the parent is dead already. A closed stdin shows that; the
/// parent's process id doesn't, because it is 0 in a new namespace.
fn die_with_parent() -> Result<(), String> {
    set_parent_process_death_signal(Some(Signal::KILL))
        .map_err(|error| format!("cannot bind this process to its parent: {error}"))?;
    let stdin = io::stdin();
    let mut plan = [PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::empty())];
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    match poll(&mut plan, Some(&at_once)) {
        Ok(_) if plan[0].revents().intersects(PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL) => {
            Err("stdin is closed: expected a plan, and an open stdin until the end".to_owned())
        }
        Ok(_) => Ok(()),
        Err(error) => Err(format!("cannot poll stdin: {error}")),
    }
}

/// Runs the jobs, as process 1 of the namespaces.
pub fn run_inside() -> ExitCode {
    match inside() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            say(format_args!("backproof-agent: {why}"));
            ExitCode::from(FAILED)
        }
    }
}

fn inside() -> Result<(), String> {
    die_with_parent()?;
    if std::process::id() != 1 {
        return Err(format!("`{INSIDE}` is for process 1 of new namespaces; expected `{PROBE_SUBCOMMAND}`"));
    }
    give_up_capabilities()?;
    let plan = read_plan(io::stdin().lock())?;
    let stdout = io::stdout().as_fd().try_clone_to_owned().map_err(|error| format!("stdout: {error}"))?;
    let mut port = Port::to(File::from(stdout));
    namespace::loopback_up().map_err(|error| format!("cannot bring the loopback interface up: {error}"))?;
    let features = Features::probe(features::sysctls_of(&plan.jobs));
    port.say(&Message::Hello(hello(&features)));
    let missing: Vec<FailedModule> = Tun::new().err().map(no_tun).into_iter().collect();
    let reports = run_all(&mut port, &plan, &features, &missing, KernelOwner::LiveHost);
    port.say(&Message::End { reports });
    Ok(())
}

fn no_tun(error: io::Error) -> FailedModule {
    let remedy = match error.kind() {
        io::ErrorKind::PermissionDenied => "only root can open it",
        io::ErrorKind::NotFound => "try `modprobe tun` as root",
        _ => "the reproducers need the kernel's TUN driver",
    };
    FailedModule { file: "tun.ko".to_owned(), why: format!("/dev/net/tun: {error} ({remedy})") }
}

/// Drops all capabilities that reproducers don't need, also for this process's children, which start as user 0 and
/// would have all. Without a user namespace these are the host's own: nothing in here may load a module, set the clock
/// or write other users' files.
fn give_up_capabilities() -> Result<(), String> {
    let all = (0..=CAPABILITIES).map(|n| CapabilitySet::from_bits_retain(1 << n));
    // SETPCAP comes last, because dropping the others requires it.
    let (last, others): (Vec<_>, Vec<_>) =
        all.filter(|one| !NEEDED.contains(*one)).partition(|one| *one == CapabilitySet::SETPCAP);
    for one in others.into_iter().chain(last) {
        match remove_capability_from_bounding_set(one) {
            // EINVAL: this kernel lacks the capability.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(format!("cannot drop the capability {one:?}: {error}")),
        }
    }
    set_no_new_privs(true).map_err(|error| format!("cannot set no_new_privs: {error}"))
}

/// Reads the plan, and rejects one that a live host must not run.
fn read_plan(input: impl io::BufRead) -> Result<Plan, String> {
    let mut line = Vec::new();
    let mut input = input.take(MAX_LINE as u64);
    input.read_until(b'\n', &mut line).map_err(|error| format!("cannot read the plan: {error}"))?;
    if line.last() != Some(&b'\n') {
        return Err(format!("the plan is not one line under {MAX_LINE} bytes"));
    }
    let plan: Plan = serde_json::from_slice(&line).map_err(|error| format!("invalid plan: {error}"))?;
    if plan.version != VERSION {
        return Err(format!("the plan has protocol version {}, this agent has {VERSION}", plan.version));
    }
    if !plan.modules.is_empty() {
        return Err("the plan loads modules, which a live host does not allow".to_owned());
    }
    if let Some(job) = plan.jobs.iter().find(|job| job.mutation.is_some() || job.natural || job.program.is_some()) {
        let what = "a mutation, real connections or a user's program";
        return Err(format!("job {} asks for {what}, which only guests allow", job.id));
    }
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use backproof_protocol::{Job, Mutation};

    fn line(change: impl Fn(&mut Plan)) -> Vec<u8> {
        let mut plan =
            Plan { version: VERSION, modules: Vec::new(), jobs: vec![Job::new("a-bug", 1000)], reach: Vec::new() };
        change(&mut plan);
        let mut line = serde_json::to_vec(&plan).expect("serialises");
        line.push(b'\n');
        line
    }

    #[test]
    fn plan_for_guests_only_is_rejected_on_a_live_host() {
        assert!(read_plan(line(|_| ()).as_slice()).is_ok());
        for (bad, why) in [
            (line(|plan| plan.modules.push("tun.ko".to_owned())), "loads modules"),
            (line(|plan| plan.jobs[0].mutation = Some(Mutation::JumpClock)), "mutation"),
            (line(|plan| plan.jobs[0].natural = true), "real connections"),
            (line(|plan| plan.jobs[0].program = Some("a/b".to_owned())), "user's program"),
            (line(|plan| plan.version = 1), "version 1"),
            (b"{}\n".to_vec(), "invalid plan"),
            (b"{\n".to_vec(), "invalid plan"),
            (Vec::new(), "not one line"),
            (vec![b' '; MAX_LINE + 1], "not one line"),
        ] {
            let refused = read_plan(bad.as_slice()).map(|plan| plan.jobs.len());
            assert!(matches!(&refused, Err(text) if text.contains(why)), "{why}: {refused:?}");
        }
    }

    #[test]
    fn nothing_runs_outside_of_new_namespaces() {
        // The test's process is not process 1. Its stdin may be closed, which is an error too.
        assert!(inside().is_err());
    }
}
