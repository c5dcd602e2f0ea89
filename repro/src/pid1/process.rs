//! One job's process: its output, its end, and the report made from both.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};

use super::port::Port;
use crate::reproducer::{PROGRESS, ms};
use backproof_protocol::{Conclusion, MAX_LINE, Message, Report};

/// A job is killed after this many invalid lines.
const MAX_INVALID: usize = 16;

/// The most bytes that one job may print. A full capture takes about 120 KiB.
const MAX_OUTPUT: usize = 1 << 20;

/// A job's process.
#[derive(Debug)]
pub struct Running {
    id: String,
    started: Instant,
    deadline: Instant,
    deadline_ms: u64,
    /// The process, or why there is none.
    process: Result<(Pid, ChildStdout), io::Error>,
    /// The output since the last complete line.
    partial: Vec<u8>,
    /// Bytes read in total.
    printed: usize,
    /// The number of lines that were not messages.
    invalid: usize,
    /// The event that each check waits for.
    waiting: BTreeMap<String, String>,
    report: Option<Report>,
    /// Whether its pipe has ended.
    silent: bool,
    status: Option<WaitStatus>,
    /// Why the agent killed it.
    killed: Option<String>,
}

impl Running {
    /// Starts the process of a job: `command`, which prints the job's messages.
    pub fn start(id: &str, deadline_ms: u64, command: &mut Command) -> Self {
        let started = Instant::now();
        let mut spawn = || {
            let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
            let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
            pid.zip(child.stdout.take()).ok_or_else(|| io::Error::other("the new process has no id or no pipe"))
        };
        let process = spawn();
        Self {
            id: id.to_owned(),
            started,
            // A deadline that the clock can't represent has already passed.
            deadline: started.checked_add(Duration::from_millis(deadline_ms)).unwrap_or(started),
            deadline_ms,
            silent: process.is_err(),
            process,
            partial: Vec::new(),
            printed: 0,
            invalid: 0,
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
            let _ = kill_process(pid, Signal::KILL); // it may have just ended by itself
        }
    }

    fn late(&self) -> String {
        let waiting: Vec<_> = self.waiting.iter().map(|(check, what)| format!("{what} ({check})")).collect();
        let waiting = if waiting.is_empty() { String::new() } else { format!(" waiting for {}", waiting.join(", ")) };
        format!("timed out after {} ms{waiting}", self.deadline_ms)
    }

    /// Reads the process's output.
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
                    if self.invalid >= MAX_INVALID {
                        return self.kill(format!("killed after printing {MAX_INVALID} invalid lines"));
                    }
                }
                if self.partial.len() >= MAX_LINE || self.printed > MAX_OUTPUT {
                    self.kill(format!(
                        "killed after printing {} bytes, which is more than a job may print",
                        self.printed
                    ));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => self.kill(format!("cannot read its pipe: {error}")),
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
            // The report is held back until the process has ended cleanly, because it may still crash.
            Ok(Message::Report(report)) if report.job == self.id => _ = self.report.get_or_insert(report),
            Ok(message @ (Message::Capture(_) | Message::TimeLine(_) | Message::Note { .. })) => port.say(&message),
            Ok(message @ Message::Said { .. }) if is_of(&message, &self.id) => port.say(&message),
            _ => {
                self.invalid += 1;
                port.say(&Message::Note { text: format!("{} printed an invalid line: {line:.200}", self.id) });
            }
        }
    }

    /// The job's report, once its process has ended.
    fn into_report(self) -> Report {
        let ended = match (&self.process, self.killed, self.status) {
            (Err(error), ..) => Some(format!("cannot start its process: {error}")),
            (_, Some(killed), _) => Some(killed),
            (_, None, Some(status)) => ended_badly(status),
            (_, None, None) => Some("cannot wait for its process".to_owned()),
        };
        let error = |why| {
            let took_ms = ms(self.started.elapsed());
            Report {
                job: self.id.clone(),
                conclusion: Conclusion::Error,
                why,
                checks: Vec::new(),
                reported: false,
                took_ms,
            }
        };
        match (self.report, ended) {
            (Some(report), None) => report,
            (None, None) => error("the reproducer ended without a report".to_owned()),
            // A panic's report says more than the signal.
            (Some(report), Some(_)) if report.conclusion == Conclusion::Error => report,
            (_, Some(ended)) => error(format!("the reproducer failed: {ended}")),
        }
    }
}

/// Whether a line of a program is this job's.
fn is_of(message: &Message, id: &str) -> bool {
    matches!(message, Message::Said { job, .. } if job == id)
}

/// The bad end of a process; none if it ended well.
fn ended_badly(status: WaitStatus) -> Option<String> {
    match (status.exit_status(), status.terminating_signal()) {
        (Some(0), _) => None,
        (Some(code), _) => Some(format!("its process exited with {code}")),
        (None, Some(signal)) => Some(format!("its process was killed by {}", signal_name(signal))),
        (None, None) => Some(format!("its process ended with status {}", status.as_raw())),
    }
}

/// The names of signals that kill a process (signal(7), x86-64).
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

/// Runs jobs, `at_a_time` concurrently, until all have ended. Sends each report as its job ends.
pub fn watch(port: &mut Port, at_a_time: usize, mut next: impl FnMut(&mut Port) -> Option<Running>) -> u32 {
    let mut reports = 0;
    let mut jobs: Vec<Running> = Vec::new();
    loop {
        while jobs.len() < at_a_time
            && let Some(job) = next(port)
        {
            jobs.push(job);
        }
        if jobs.is_empty() {
            return reports;
        }
        if jobs.iter().all(|job| !job.silent) {
            wait_for_output(port, &mut jobs);
        }
        let now = Instant::now();
        jobs.iter_mut().filter(|job| !job.silent && job.deadline <= now).for_each(|job| job.kill(job.late()));
        // A process whose pipe has ended, or that was killed, is about to exit, so only its exit is left to wait for.
        let ending = jobs.iter().any(|job| job.silent && job.status.is_none() && job.pid().is_some());
        reap(&mut jobs, ending);
        for job in jobs.extract_if(.., |job| job.silent && (job.status.is_some() || job.pid().is_none())) {
            port.say(&Message::Report(job.into_report()));
            reports += 1;
        }
    }
}

/// Waits until a job prints something or its deadline passes, and reads the output.
fn wait_for_output(port: &mut Port, jobs: &mut [Running]) {
    let next = jobs.iter().map(|job| job.deadline).min().unwrap_or_else(Instant::now);
    let left = next.saturating_duration_since(Instant::now());
    let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
    let pipes = jobs.iter().filter_map(|job| job.process.as_ref().ok());
    let mut fds: Vec<_> = pipes.map(|(_, pipe)| PollFd::new(pipe, PollFlags::IN)).collect();
    // An interrupted poll has seen nothing. The caller calls again.
    let ready = match poll(&mut fds, Some(&timeout)) {
        Ok(_) => fds.iter().map(|fd| !fd.revents().is_empty()).collect(),
        Err(_) => Vec::new(),
    };
    let started = jobs.iter_mut().filter(|job| job.process.is_ok());
    started.zip(ready).filter(|(_, ready)| *ready).for_each(|(job, _)| job.read(port));
}

/// Reaps processes that have ended: jobs and orphans. With `block`, waits for at least one.
fn reap(jobs: &mut [Running], block: bool) {
    let mut options = if block { WaitOptions::empty() } else { WaitOptions::NOHANG };
    while let Ok(Some((pid, status))) = wait(options) {
        if let Some(job) = jobs.iter_mut().find(|job| job.pid() == Some(pid)) {
            job.status = Some(status);
        }
        options = WaitOptions::NOHANG;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::PoisonError;

    use super::*;
    use crate::task::CHILDREN_OF_TESTS;

    /// Runs a shell script as a job with this deadline; returns its report and the other lines that were said.
    fn run(script: &str, deadline_ms: u64) -> (Report, Vec<Message>) {
        let _turn = CHILDREN_OF_TESTS.lock().unwrap_or_else(PoisonError::into_inner);
        let file = tempfile::tempfile().expect("a temporary file");
        let mut port = Port::to(file.try_clone().expect("a second handle"));
        let mut job = Some(Running::start("bug", deadline_ms, Command::new("sh").args(["-c", script])));
        assert_eq!(watch(&mut port, 2, |_| job.take()), 1);
        let mut said = String::new();
        io::Seek::rewind(&mut &file).expect("a file");
        (&file).read_to_string(&mut said).expect("UTF-8");
        let mut said: Vec<Message> = said.lines().map(|line| serde_json::from_str(line).expect("a message")).collect();
        match said.pop() {
            Some(Message::Report(report)) => (report, said),
            other => panic!("the last line is not a report: {other:?}"),
        }
    }

    const GOOD: &str =
        r#"{"type":"report","job":"bug","conclusion":"not-affected","why":"fine","checks":[],"took_ms":1}"#;

    #[test]
    fn report_counts_only_if_the_process_exits_cleanly() {
        let good = format!("echo '{GOOD}'");
        let other = good.replace(r#""job":"bug""#, r#""job":"other""#);
        let panicked = good.replace("not-affected", "error").replace("fine", "the reproducer panicked: here");
        for (script, conclusion, why) in [
            (good.clone(), Conclusion::NotAffected, "fine"),
            (format!("{good}; exit 3"), Conclusion::Error, "exited with 3"),
            (format!("{good}; kill -SEGV $$"), Conclusion::Error, "killed by SIGSEGV"),
            (format!("{panicked}; kill -ABRT $$"), Conclusion::Error, "panicked: here"),
            (format!("{good}; {panicked}"), Conclusion::NotAffected, "fine"),
            (String::new(), Conclusion::Error, "without a report"),
            (other, Conclusion::Error, "without a report"),
            ("echo nonsense; printf 'half a line'".to_owned(), Conclusion::Error, "without a report"),
            ("exec yes".to_owned(), Conclusion::Error, "16 invalid lines"),
            ("exec yes '#a'".to_owned(), Conclusion::Error, "more than a job may"),
            ("exec head -c 100000 /dev/zero".to_owned(), Conclusion::Error, "more than a job may"),
        ] {
            let (report, _) = run(&script, 20_000);
            assert_eq!(report.conclusion, conclusion, "{script}: {report:?}");
            assert!(report.why.contains(why), "{script}: {report:?}");
        }
    }

    #[test]
    fn late_job_is_killed_and_reports_what_it_waited_for() {
        let script = "printf '#a\\tan ACK\\n#b\\tan RST\\n#a\\n'; exec sleep 100";
        let (report, _) = run(script, 300);
        assert_eq!(report.conclusion, Conclusion::Error);
        assert!(report.why.contains("timed out after 300 ms waiting for an RST (b)"), "{}", report.why);
    }

    #[test]
    fn invalid_lines_become_notes_and_captures_pass() {
        let script =
            format!("echo nonsense; echo '{{\"type\":\"capture\",\"job\":\"bug\",\"packed\":\"\"}}'; echo '{GOOD}'");
        let (_, said) = run(&script, 20_000);
        assert!(matches!(&said[..], [Message::Note { .. }, Message::Capture(_)]), "{said:?}");
    }

    #[test]
    fn concurrent_jobs_stay_within_their_limit() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let mut port = Port::to(tempfile::tempfile().expect("a temporary file"));
        let mut left = 5;
        // Each job leaves a mark if a third one runs concurrently. Its report does not matter here.
        let script = "mkdir $0/a 2>/dev/null && d=a || { mkdir $0/b 2>/dev/null && d=b || touch $0/too-many; }
            sleep 0.05; rmdir $0/$d";
        let next = |_: &mut Port| {
            left = u32::checked_sub(left, 1)?;
            let mut command = Command::new("sh");
            Some(Running::start("bug", 20_000, command.args(["-c", script]).arg(folder.path())))
        };
        assert_eq!(watch(&mut port, 2, next), 5);
        assert!(!folder.path().join("too-many").exists());
    }

    #[test]
    fn missing_program_becomes_a_report() {
        let mut command = Command::new("/nonexistent/program");
        let report = Running::start("bug", 1000, &mut command).into_report();
        assert_eq!(report.conclusion, Conclusion::Error);
        assert!(report.why.contains("cannot start"), "{}", report.why);
    }
}
