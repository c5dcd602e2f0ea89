//! The jobs: which run when, their processes, and what becomes of those that end badly.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};

use super::features::Features;
use super::port::Port;
use crate::protocol::{Conclusion, Job, MAX_LINE, Message, Report};
use crate::reproducer::{self, PROGRESS, Reproducer, SUBCOMMAND, Task, ms};
use crate::sut::sysctl;

/// Bytes that one job may print in all. A whole capture takes about 120 KiB.
const MAX_OUTPUT: usize = 1 << 20;

/// Runs all jobs and says what they report; returns the number of reports.
pub fn run_all(port: &mut Port, jobs: &[Job], features: &Features, missing_modules: &[String]) -> u32 {
    let mut reports = 0;
    let (mut together, mut alone) = (Vec::new(), Vec::new());
    for job in jobs {
        match reproducer::find(&job.bug) {
            Some(reproducer) => match unmet(reproducer, features, missing_modules) {
                Some((conclusion, why)) => reports += conclude(port, &job.bug, conclusion, why),
                None if can_run_beside(job, reproducer, features) => together.push((job, reproducer)),
                None => alone.push((job, reproducer)),
            },
            None => {
                let why = format!("this agent has no reproducer called `{}`", job.bug);
                reports += conclude(port, &job.bug, Conclusion::Error, why);
            }
        }
    }
    let ipv6 = features.has("ipv6");
    let start = |port: &mut Port, job: &Job, own_namespace| {
        port.say(&Message::Started { bug: job.bug.clone() });
        Running::start(Task { job: job.clone(), own_namespace, ipv6 })
    };
    let running: Vec<_> = together.into_iter().map(|(job, _)| start(port, job, true)).collect();
    reports += watch(port, running);
    for (job, reproducer) in alone {
        let kept = Kept::of(reproducer.sets.iter().copied().chain(job.sysctls.keys().map(String::as_str)));
        let running = start(port, job, false);
        reports += watch(port, vec![running]);
        for text in kept.put_back() {
            port.say(&Message::Note { text });
        }
    }
    reports
}

/// Says a report that needs no process.
fn conclude(port: &mut Port, bug: &str, conclusion: Conclusion, why: String) -> u32 {
    port.say(&Message::Report(Report { bug: bug.to_owned(), conclusion, why, checks: Vec::new(), took_ms: 0 }));
    1
}

/// Why the reproducer cannot run here. What a kernel lacks is a skip; what failed to load is an error.
fn unmet(reproducer: &Reproducer, features: &Features, missing_modules: &[String]) -> Option<(Conclusion, String)> {
    let missing = reproducer.needs.iter().find(|need| !features.has(need))?;
    Some(match missing_modules {
        [] => (Conclusion::Skip, format!("this kernel lacks {missing}, which the reproducer needs")),
        failed => (Conclusion::Error, format!("{missing} is not there: {}", failed.join("; "))),
    })
}

/// Whether the job can run in a namespace of its own, beside others: all sysctls that it touches are a namespace's.
fn can_run_beside(job: &Job, reproducer: &Reproducer, features: &Features) -> bool {
    let profile_is_local = job.sysctls.keys().all(|name| name.starts_with("net.") && features.per_namespace(name));
    features.has("net-ns") && profile_is_local && reproducer.sets.iter().all(|name| features.per_namespace(name))
}

/// Sysctls and their values before a job that runs in the first namespace.
struct Kept(Vec<(String, String)>);

impl Kept {
    fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        // One that does not exist cannot be changed either.
        Self(names.filter_map(|name| Some((name.to_owned(), sysctl::read(name).ok()?))).collect())
    }

    fn put_back(self) -> Vec<String> {
        let failed = |(name, value): (String, String)| {
            let error = sysctl::write(&name, &value).err()?;
            Some(format!("putting {name} back to `{value}`: {error}"))
        };
        self.0.into_iter().filter_map(failed).collect()
    }
}

/// A job's process.
struct Running {
    bug: String,
    started: Instant,
    deadline: Instant,
    deadline_ms: u64,
    /// The process, or why there is none.
    process: Result<(Pid, ChildStdout), io::Error>,
    /// What came since the last whole line.
    partial: Vec<u8>,
    /// Bytes that came in all.
    printed: usize,
    /// What each check waits for.
    waiting: BTreeMap<String, String>,
    report: Option<Report>,
    /// Whether its pipe has ended.
    silent: bool,
    status: Option<WaitStatus>,
    /// Why the agent killed it.
    killed: Option<String>,
}

impl Running {
    fn start(task: Task) -> Self {
        let started = Instant::now();
        let spawn = || {
            let text = serde_json::to_string(&task)?;
            let mut command = Command::new("/proc/self/exe");
            let mut child = command.args([SUBCOMMAND, &text]).stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
            let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            pid.zip(child.stdout.take()).ok_or_else(|| io::Error::other("the new process has no id or no pipe"))
        };
        let process = spawn();
        let deadline_ms = task.job.deadline_ms;
        Self {
            bug: task.job.bug,
            started,
            // A deadline beyond the clock's end is none that anybody sees pass.
            deadline: started.checked_add(Duration::from_millis(deadline_ms)).unwrap_or(started),
            deadline_ms,
            silent: process.is_err(),
            process,
            partial: Vec::new(),
            printed: 0,
            waiting: BTreeMap::new(),
            report: None,
            status: None,
            killed: None,
        }
    }

    fn pid(&self) -> Option<Pid> {
        self.process.as_ref().ok().map(|(pid, _)| *pid)
    }

    fn kill(&mut self, why: String) {
        self.killed.get_or_insert(why);
        self.silent = true;
        if let (Some(pid), None) = (self.pid(), self.status) {
            let _ = kill_process(pid, Signal::KILL); // it may have ended by itself just now
        }
    }

    fn late(&self) -> String {
        let waiting: Vec<_> = self.waiting.iter().map(|(check, what)| format!("{check} for {what}")).collect();
        let waiting = if waiting.is_empty() { "nothing that it named".to_owned() } else { waiting.join(", ") };
        format!("killed at its deadline of {} ms; it waited: {waiting}", self.deadline_ms)
    }

    /// Takes what the process printed.
    fn read(&mut self, port: &mut Port) {
        let mut buffer = [0; 16 * 1024];
        let Ok((_, pipe)) = &mut self.process else { return };
        match pipe.read(&mut buffer) {
            Ok(0) => self.silent = true,
            Ok(count) => {
                self.printed += count;
                self.partial.extend(&buffer[..count]);
                while let Some(end) = self.partial.iter().position(|b| *b == b'\n') {
                    let line: Vec<u8> = self.partial.drain(..=end).collect();
                    self.take_line(port, &line[..end]);
                }
                if self.partial.len() >= MAX_LINE || self.printed > MAX_OUTPUT {
                    self.kill(format!("killed after printing {} bytes, which is more than a job may", self.printed));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => self.kill(format!("reading from its pipe: {error}")),
        }
    }

    fn take_line(&mut self, port: &mut Port, line: &[u8]) {
        let line = String::from_utf8_lossy(line);
        if let Some(progress) = line.strip_prefix(PROGRESS) {
            match progress.split_once('\t') {
                Some((check, what)) => self.waiting.insert(check.to_owned(), what.to_owned()),
                None => self.waiting.remove(progress),
            };
            return;
        }
        match serde_json::from_str(&line) {
            // The report is held back until the process has ended well: what crashes after it has not.
            Ok(Message::Report(report)) if report.bug == self.bug => _ = self.report.get_or_insert(report),
            Ok(message @ (Message::Capture(_) | Message::Note { .. })) => port.say(&message),
            _ => port.say(&Message::Note { text: format!("{} printed what is no message: {line:.200}", self.bug) }),
        }
    }

    /// The job's report, once its process has ended.
    fn into_report(self) -> Report {
        let ended = match (&self.process, self.killed, self.status) {
            (Err(error), ..) => Some(format!("its process could not be started: {error}")),
            (_, Some(killed), _) => Some(killed),
            (_, None, Some(status)) => ended_badly(status),
            (_, None, None) => Some("its process could not be waited for".to_owned()),
        };
        let error = |why| {
            let took_ms = ms(self.started.elapsed());
            Report { bug: self.bug.clone(), conclusion: Conclusion::Error, why, checks: Vec::new(), took_ms }
        };
        match (self.report, ended) {
            (Some(report), None) => report,
            (None, None) => error("the reproducer ended without a report".to_owned()),
            // A panic's report says more than the signal.
            (Some(report), Some(_)) if report.conclusion == Conclusion::Error => report,
            (_, Some(ended)) => error(format!("the reproducer broke: {ended}")),
        }
    }
}

/// How a process ended, unless it ended well.
fn ended_badly(status: WaitStatus) -> Option<String> {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("its process exited with {code}")),
        (None, Some(signal)) => Some(format!("its process was killed by {}", signal_name(signal))),
        (None, None) => Some(format!("its process ended with status {}", status.as_raw())),
    }
}

/// Names of the signals that end a process which did not ask for them (signal(7), x86-64).
fn signal_name(signal: i32) -> String {
    let name = match signal {
        4 => "SIGILL",
        5 => "SIGTRAP",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        15 => "SIGTERM",
        31 => "SIGSYS",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

/// Watches the jobs until all have ended; says their reports as they end.
fn watch(port: &mut Port, mut jobs: Vec<Running>) -> u32 {
    let mut reports = 0;
    while !jobs.is_empty() {
        if jobs.iter().all(|job| !job.silent) {
            wait_for_output(port, &mut jobs);
        }
        let now = Instant::now();
        jobs.iter_mut().filter(|job| !job.silent && job.deadline <= now).for_each(|job| job.kill(job.late()));
        // A process whose pipe has ended, or that was killed, ends now: there is nothing to wait for but that.
        let ending = jobs.iter().any(|job| job.silent && job.status.is_none() && job.pid().is_some());
        reap(&mut jobs, ending);
        for job in jobs.extract_if(.., |job| job.silent && (job.status.is_some() || job.pid().is_none())) {
            port.say(&Message::Report(job.into_report()));
            reports += 1;
        }
    }
    reports
}

/// Waits until a job prints something or its deadline passes, and takes what was printed.
fn wait_for_output(port: &mut Port, jobs: &mut [Running]) {
    let next = jobs.iter().map(|job| job.deadline).min().unwrap_or_else(Instant::now);
    let left = next.saturating_duration_since(Instant::now());
    let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
    let pipes = jobs.iter().filter_map(|job| job.process.as_ref().ok());
    let mut fds: Vec<_> = pipes.map(|(_, pipe)| PollFd::new(pipe, PollFlags::IN)).collect();
    // An interrupted poll has seen nothing, and the caller comes back.
    let ready = match poll(&mut fds, Some(&timeout)) {
        Ok(_) => fds.iter().map(|fd| !fd.revents().is_empty()).collect(),
        Err(_) => Vec::new(),
    };
    let started = jobs.iter_mut().filter(|job| job.process.is_ok());
    started.zip(ready).filter(|(_, ready)| *ready).for_each(|(job, _)| job.read(port));
}

/// Collects processes that have ended: the jobs', and those that nobody else waits for. With `block`, at least one.
fn reap(jobs: &mut [Running], block: bool) {
    let mut options = if block { WaitOptions::empty() } else { WaitOptions::NOHANG };
    while let Ok(Some((pid, status))) = wait(options) {
        if let Some(job) = jobs.iter_mut().find(|job| job.pid() == Some(pid)) {
            job.status = Some(status);
        }
        options = WaitOptions::NOHANG;
    }
}
