//! Runs the reproducers on this host's running kernel, which may have live patches that no image shows.
//!
//! The agent runs from memory, creates its own namespaces and runs the jobs in them. Its messages are as untrusted as a
//! guest's. However this process ends, the kernel kills the agent and everything that it started.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use backproof_protocol::PROBE_SUBCOMMAND;
use backproof_protocol::{Job, Message, Plan, Report, VERSION};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::Pid;

use super::trial::{module_files, needed_modules};
use crate::evidence::Finding;
use crate::evidence::runtime::{Ran, Testimony, weigh};
use crate::guest::AGENT;
use crate::host::base_version;
use crate::matrix::{Bug, ProgramSource, ReproducerSpec};
use crate::vm::{Conversation, Freeze, HostLoad, HostWatch};
use crate::words::BugId;

/// Older kernels may have a defective backport of the fix of tcp-fragment-stall: the reproducers can make it hit a
/// BUG() (`tcp_rtx_queue_tail` with an empty queue). Linux 4.15 replaced the retransmission queue, and has no such
/// defect.
const FIRST_SAFE: (u32, u32) = (4, 15);

/// Time for the agent to start and to end, beside its jobs.
const MARGIN: Duration = Duration::from_secs(10);

/// The agent's stderr is cut at this many bytes.
const MAX_STDERR: usize = 4096;

/// What the reproducers found on this host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Probed {
    /// The finding of each bug's reproducer.
    pub verdicts: Vec<(BugId, Finding)>,
    /// The bugs that could not be judged, with the reason.
    pub not_probed: Vec<(BugId, String)>,
    /// The agent's remarks.
    pub notes: Vec<String>,
}

/// Why no reproducer could run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeError {
    /// The kernel may crash.
    #[error(
        "cannot probe Linux {0} while it is in use: kernels before 4.15 may have a defective backport of the fix of \
         tcp-fragment-stall that crashes under the reproducers; boot its image with `backproof run` instead"
    )]
    MayCrash(String),
    /// The agent could not be started.
    #[error("cannot start the agent: {0}")]
    NotStarted(String),
    /// The agent could not create its namespaces, or what it needs in them.
    #[error("the agent cannot probe this host: {0}")]
    Refused(String),
    /// The agent did not end in time.
    #[error("timed out after {} s waiting for the agent to end; it was killed", .0.as_secs())]
    Late(Duration),
    /// The host froze the agent.
    #[error("{0}, so the reproducers' timings prove nothing; run it again")]
    Frozen(Freeze),
    /// The agent broke the protocol.
    #[error("the agent sent {0}")]
    Protocol(String),
}

/// Runs the reproducers of these bugs on this host's kernel, `release`. Call it from a thread that outlives the call:
/// the agent dies with that thread.
///
/// # Errors
/// If no reproducer could run.
pub fn probe_host(bugs: &[&Bug], release: &str) -> Result<Probed, ProbeError> {
    if base_version(release).is_none_or(|version| version < FIRST_SAFE) {
        return Err(ProbeError::MayCrash(release.to_owned()));
    }
    let patience = HostLoad::beside(1, 1).patience();
    let job = |bug: &&Bug| {
        // A user's own program would run as root on the host, outside any guest.
        let ours = |r: &&ReproducerSpec| matches!(r.program, ProgramSource::BuiltIn { .. });
        let reproducer = bug.reproducer.as_ref().filter(ours)?;
        let deadline = reproducer.deadline.saturating_mul(patience);
        let job = Job::new(bug.id.as_str(), u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX));
        Some(Job { modules: module_files(&needed_modules(reproducer, None)), ..job })
    };
    let plan =
        Plan { version: VERSION, modules: Vec::new(), jobs: bugs.iter().filter_map(job).collect(), reach: Vec::new() };
    let jobs: Duration = plan.jobs.iter().map(|job| Duration::from_millis(job.deadline_ms)).sum();
    let mut agent = Agent::start(&plan)?;
    let watch = HostWatch::start(i32::try_from(agent.child.id()).ok().and_then(Pid::from_raw), None);
    let messages = agent.listen(&plan.jobs, jobs.saturating_add(MARGIN));
    let host = watch.finish();
    match host.freezes.first() {
        Some(freeze) if messages.is_ok() => Err(ProbeError::Frozen(*freeze)),
        _ => Ok(settle(bugs, &messages?, host.too_busy().as_deref())),
    }
}

/// Judges each bug by the messages. `busy` says how the host was overloaded, if it was.
fn settle(bugs: &[&Bug], messages: &[Message], busy: Option<&str>) -> Probed {
    let mut probed = Probed::default();
    let report = |bug: &BugId| -> Option<&Report> {
        messages.iter().find_map(|message| match message {
            Message::Report(report) if report.job == bug.as_str() => Some(report),
            _ => None,
        })
    };
    for bug in bugs {
        let ran = Ran { sysctls: &BTreeMap::new(), own_program: false };
        match report(&bug.id).map(|report| weigh(report, ran)) {
            Some(Testimony::Finding(finding)) => {
                probed.verdicts.push((bug.id.clone(), finding));
            }
            Some(Testimony::NotApplicable(why)) => probed.not_probed.push((bug.id.clone(), why)),
            Some(Testimony::Broken(why)) => {
                let busy = busy.map(|busy| format!("; {busy}; run it again when it is quieter")).unwrap_or_default();
                probed.not_probed.push((bug.id.clone(), why + &busy));
            }
            None => {
                let why = "the agent did not report it: only built-in reproducers run on a live host".to_owned();
                probed.not_probed.push((bug.id.clone(), why));
            }
        }
    }
    probed.notes = messages
        .iter()
        .filter_map(|m| if let Message::Note { text } = m { Some(text.clone()) } else { None })
        .collect();
    probed
}

/// The agent's process. Killed when it goes out of scope.
struct Agent {
    child: Child,
    /// Its executable.
    _memory: OwnedFd,
}

impl Agent {
    fn start(plan: &Plan) -> Result<Self, ProbeError> {
        let failed = |error: io::Error| ProbeError::NotStarted(error.to_string());
        let memory = in_memory(AGENT).map_err(failed)?;
        let mut command = Command::new(format!("/proc/self/fd/{}", memory.as_raw_fd()));
        command.arg0("backproof-agent").arg(PROBE_SUBCOMMAND).env_clear();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().map_err(|error| match error.kind() {
            io::ErrorKind::PermissionDenied => ProbeError::NotStarted(format!(
                "{error}: this host forbids programs in memory (vm.memfd_noexec, or a security module)"
            )),
            _ => failed(error),
        })?;
        let mut agent = Self { child, _memory: memory };
        // A plan fits in the pipe, so this never blocks. The pipe stays open, because the agent ends when it closes.
        let mut line = serde_json::to_vec(plan).map_err(|error| ProbeError::NotStarted(error.to_string()))?;
        line.push(b'\n');
        if let Some(stdin) = &mut agent.child.stdin {
            // If the agent has already ended, its stderr says why.
            let _ = stdin.write_all(&line);
        }
        Ok(agent)
    }

    /// Reads all messages until the agent ends.
    fn listen(&mut self, jobs: &[Job], limit: Duration) -> Result<Vec<Message>, ProbeError> {
        let (Some(mut stdout), Some(mut stderr)) = (self.child.stdout.take(), self.child.stderr.take()) else {
            return Err(ProbeError::NotStarted("it has no pipes".to_owned()));
        };
        let started = Instant::now();
        let mut conversation = Conversation::new(jobs);
        let mut messages = Vec::new();
        let mut complaint = Vec::new();
        let (mut talks, mut complains) = (true, true);
        let mut buffer = [0; 16 * 1024];
        while talks || complains {
            let left = limit.saturating_sub(started.elapsed());
            if left.is_zero() {
                return Err(ProbeError::Late(limit));
            }
            let pipes: Vec<BorrowedFd<'_>> =
                [talks.then(|| stdout.as_fd()), complains.then(|| stderr.as_fd())].into_iter().flatten().collect();
            let mut ready: Vec<PollFd<'_>> =
                pipes.into_iter().map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
            let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
            // The poll was interrupted.
            if poll(&mut ready, Some(&timeout)).is_err() {
                continue;
            }
            let mut ready = ready.iter().map(|fd| !fd.revents().is_empty()).collect::<Vec<_>>().into_iter();
            if talks && ready.next() == Some(true) {
                let length = stdout.read(&mut buffer).unwrap_or(0);
                talks = length > 0;
                let fault = conversation.push(&buffer[..length], |message| messages.push(message));
                fault.map_err(|fault| ProbeError::Protocol(fault.to_string()))?;
            }
            if complains && ready.next() == Some(true) {
                let length = stderr.read(&mut buffer).unwrap_or(0);
                complains = length > 0;
                complaint.extend(&buffer[..length.min(MAX_STDERR.saturating_sub(complaint.len()))]);
            }
        }
        let status = self.child.wait().map_err(|error| ProbeError::NotStarted(error.to_string()))?;
        if conversation.ended() && status.success() {
            return Ok(messages);
        }
        let complaint = String::from_utf8_lossy(&complaint);
        let complaint = complaint.trim().trim_start_matches("backproof-agent: ").to_owned();
        let why = if complaint.is_empty() { format!("it ended early ({status})") } else { complaint };
        Err(ProbeError::Refused(format!("{why}{}", remedy(&Knobs::read()))))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // An agent that has ended ignores this, and its children died with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An executable file in memory.
fn in_memory(program: &[u8]) -> io::Result<OwnedFd> {
    let create = |flags| memfd_create("backproof-agent", flags);
    // vm.memfd_noexec=1 requires MFD_EXEC; kernels before 6.3 reject it with EINVAL.
    let file = create(MemfdFlags::CLOEXEC | MemfdFlags::EXEC).or_else(|error| match error {
        rustix::io::Errno::INVAL => create(MemfdFlags::CLOEXEC),
        other => Err(other),
    })?;
    let mut file = File::from(file);
    file.write_all(program)?;
    Ok(file.into())
}

/// The settings that can forbid creating namespaces.
#[derive(Clone, Debug, Default)]
struct Knobs {
    root: bool,
    unprivileged_userns_clone: Option<u64>,
    apparmor_restrict: Option<u64>,
    max_user_namespaces: Option<u64>,
}

impl Knobs {
    fn read() -> Self {
        let number = |path: &str| std::fs::read_to_string(path).ok()?.trim().parse().ok();
        Self {
            root: rustix::process::geteuid().is_root(),
            unprivileged_userns_clone: number("/proc/sys/kernel/unprivileged_userns_clone"),
            apparmor_restrict: number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns"),
            max_user_namespaces: number("/proc/sys/user/max_user_namespaces"),
        }
    }
}

/// What to do if the agent could not create namespaces.
fn remedy(knobs: &Knobs) -> &'static str {
    match knobs {
        Knobs { root: true, .. } => "; in a container, its seccomp profile may forbid it: run it on the host",
        Knobs { unprivileged_userns_clone: Some(0), .. } => {
            "; kernel.unprivileged_userns_clone is 0, so only root may create user namespaces: run it as root"
        }
        Knobs { apparmor_restrict: Some(1..), .. } => {
            "; kernel.apparmor_restrict_unprivileged_userns is set, so AppArmor forbids it to ordinary users: run it as \
             root"
        }
        Knobs { max_user_namespaces: Some(0), .. } => {
            "; user.max_user_namespaces is 0, so there are no user namespaces: run it as root"
        }
        _ => "; root may be allowed to: run it as root",
    }
}

#[cfg(test)]
#[path = "probe_tests.rs"]
mod tests;
