//! Runs a user's program as a reproducer, within limits, and makes the job's report from its exit status and output.
//! docs/reproducers.md has the rules for users.

use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, set_parent_process_death_signal};

use crate::reproducer::{Context, ms};
use backproof_protocol::{Job, Message, PROGRAMS_DIR, Report};

mod judge;

use judge::{ProgramJudgement, judge};

/// PID 1 kills a job this many milliseconds after its deadline, because the job's own process should end the program
/// first.
pub const GRACE_MS: u64 = 1000;

/// The most bytes that a program may print on stdout. They go into one line of the protocol, which holds twice as much.
const STDOUT_MAX: usize = 32 * 1024;

/// The most bytes that it may print on stderr.
const STDERR_MAX: usize = 1 << 20;

/// The most lines of stderr that become notes, and the most characters of each.
const NOTES: (usize, usize) = (20, 200);

/// The time that a program's pipes may stay open after its end. Only its remaining child processes can hold them.
const PIPES: Duration = Duration::from_secs(1);

/// Sends a message of the job.
pub type Say = fn(&Message);

/// An event in a program's life.
enum Event {
    /// It has ended.
    Ended(io::Result<ExitStatus>),
    /// Its whole stdout.
    Printed(Vec<u8>),
    /// Its stderr has ended, and has been passed on.
    Quiet,
    /// It has printed too much.
    TooMuch(&'static str, usize),
}

/// Runs a job's program in a new network namespace, and reports. Its stderr becomes notes.
pub fn run(context: &Context, job: &Job, program: &str, say: Say) -> Report {
    let deadline = Duration::from_millis(job.deadline_ms);
    let judged = match context.enter_namespace() {
        Err(why) => ProgramJudgement::error(why),
        Ok(()) if program.contains('/') => {
            ProgramJudgement::error(format!("`{program}` is not a file name in {PROGRAMS_DIR}"))
        }
        Ok(()) => {
            context.waiting(program, "its end");
            let mut command = Command::new(Path::new(PROGRAMS_DIR).join(program));
            // No program should depend on the environment that the kernel passes to PID 1.
            watch(command.env_clear().current_dir("/tmp"), deadline, &job.id, say)
        }
    };
    let ProgramJudgement { conclusion, why, checks } = judged;
    Report { job: job.id.clone(), conclusion, why, checks, took_ms: ms(context.started.elapsed()) }
}

/// Runs a command, with its process group, to its end or its deadline.
fn watch(command: &mut Command, deadline: Duration, job: &str, say: Say) -> ProgramJudgement {
    let until = Instant::now().checked_add(deadline);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    // SAFETY: this is the only system call between fork and exec.
    unsafe {
        command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
    }
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return ProgramJudgement::error(format!("cannot start its program: {error}")),
    };
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let kill = || {
        // An error means that the group has ended already.
        let _ = group.map(|group| kill_process_group(group, Signal::KILL));
    };
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (sender, events) = channel();
    let (out, err, job) = (sender.clone(), sender.clone(), job.to_owned());
    // Nobody joins these threads: a process that left the group may hold a pipe for ever. This process ends with its
    // report.
    thread::spawn(move || stdout.map(|pipe| take_stdout(pipe, &out)));
    thread::spawn(move || stderr.map(|pipe| take_stderr(pipe, &err, &job, say)));
    thread::spawn(move || wait(child, &sender));
    let judged = follow(&events, until, deadline, kill);
    kill();
    judged
}

/// Follows a program to its end. `kill` ends its whole process group.
fn follow(events: &Receiver<Event>, until: Option<Instant>, deadline: Duration, kill: impl Fn()) -> ProgramJudgement {
    let (mut status, mut printed, mut quiet, mut until) = (None, None, false, until);
    loop {
        if let (Some(status), Some(printed), true) = (status, printed.as_deref(), quiet) {
            return judge(status, printed);
        }
        // A deadline that the clock cannot represent never passes.
        let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()));
        match events.recv_timeout(left) {
            Ok(Event::Ended(Ok(ended))) => {
                // Processes that it left behind would go on printing, and hold the pipes.
                kill();
                status = Some(ended);
                until = Instant::now().checked_add(PIPES);
            }
            Ok(Event::Ended(Err(error))) => {
                return ProgramJudgement::error(format!("cannot wait for its program: {error}"));
            }
            Ok(Event::Printed(bytes)) => printed = Some(bytes),
            Ok(Event::Quiet) => quiet = true,
            Ok(Event::TooMuch(which, limit)) => {
                return ProgramJudgement::error(format!(
                    "its program was killed after printing more than {limit} bytes on {which}"
                ));
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) if status.is_some() => {
                return ProgramJudgement::error(
                    "a process that its program left behind holds its stdout or stderr".to_owned(),
                );
            }
            Err(_) => {
                let limit = deadline.as_millis();
                return ProgramJudgement::error(format!("its program was killed at its deadline of {limit} ms"));
            }
        }
    }
}

fn wait(mut child: Child, events: &Sender<Event>) {
    // The receiver is gone once the report is made.
    let _ = events.send(Event::Ended(child.wait()));
}

fn take_stdout(pipe: impl Read, events: &Sender<Event>) {
    let mut bytes = Vec::new();
    // A read error counts as the end of the pipe.
    let _ = pipe.take(STDOUT_MAX as u64 + 1).read_to_end(&mut bytes);
    let event = if bytes.len() > STDOUT_MAX { Event::TooMuch("stdout", STDOUT_MAX) } else { Event::Printed(bytes) };
    let _ = events.send(event);
}

/// Passes the first lines on, and reads the rest so that the program doesn't block.
fn take_stderr(pipe: impl Read, events: &Sender<Event>, job: &str, say: Say) {
    let (lines, characters) = NOTES;
    let mut pipe = BufReader::new(pipe.take(STDERR_MAX as u64 + 1));
    let (mut said, mut read) = (0, 0);
    loop {
        let mut line = Vec::new();
        // An overlong line is read in pieces.
        let taken = pipe.by_ref().take(4096).read_until(b'\n', &mut line).unwrap_or(0);
        read += taken;
        if taken == 0 {
            break;
        }
        let text: String = String::from_utf8_lossy(&line).trim_end().chars().take(characters).collect();
        if said < lines && !text.is_empty() {
            said += 1;
            say(&Message::Note { text: format!("{job} said on stderr: {text}") });
        }
    }
    let _ = events.send(if read > STDERR_MAX { Event::TooMuch("stderr", STDERR_MAX) } else { Event::Quiet });
}

#[cfg(test)]
mod tests;
