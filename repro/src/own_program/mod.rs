//! Runs a user's program as a reproducer, within limits, and makes the job's report from its exit status and output.
//! docs/reproducers.md has the rules for users.

use std::io;
use std::os::unix::process::CommandExt as _;
use std::path::{Component, Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group, set_parent_process_death_signal};

use crate::reproducer::{Context, ms};
use crate::wire::namespace;
use backproof_protocol::{Conclusion, Job, LIBRARIES_DIR, Message, PROGRAMS_DIR, ProgramProtocol, ROOTFS_PATH, Report};

mod disks;
mod judge;
mod ltp;
mod output;
mod packetdrill;
mod place;
mod selftest_words;
mod tap;

use disks::DiskContent;
use judge::ProgramJudgement;
use output::{Heard, Stream};

/// PID 1 kills a job this many milliseconds after its deadline, because the job's own process should end the program
/// first.
pub const GRACE_MS: u64 = 1000;

/// The time that a program's pipes may stay open after its end. Only its remaining child processes can hold them.
const PIPES: Duration = Duration::from_secs(1);

/// Sends a message of the job.
pub type Say = fn(&Message);

/// An event in a program's life.
enum Event {
    /// It has ended.
    Ended(io::Result<ExitStatus>),
    /// One of its streams has ended, or it has printed too much.
    Closed(Stream, Result<Heard, String>),
}

/// Runs a job's program in namespaces of its own, as often as asked until it shows the bug, and reports.
pub fn run(context: &Context, job: &Job, program: &str, say: Say) -> Report {
    let judged =
        prepare(context, job, program).map_or_else(std::convert::identity, |ready| repeat(context, job, &ready, say));
    let ProgramJudgement { conclusion, why, checks, reported } = judged;
    Report { job: job.id.clone(), conclusion, why, checks, reported, took_ms: ms(context.started.elapsed()) }
}

/// A program whose surroundings are ready.
struct ReadyProgram {
    path: PathBuf,
    /// The empty disk, if it needs one.
    disk: Option<PathBuf>,
}

/// Makes a program's surroundings ready.
fn prepare(context: &Context, job: &Job, program: &str) -> Result<ReadyProgram, ProgramJudgement> {
    let rootfs = job.run.rootfs.as_deref();
    let is_below =
        |path: &str| !path.is_empty() && Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
    let is_inside = rootfs.is_some() && program.starts_with('/');
    if !(is_inside || is_below(program)) || rootfs.is_some_and(|folder| !is_below(folder)) {
        return Err(ProgramJudgement::error(format!("`{program}` is not a path below {PROGRAMS_DIR}")));
    }
    context.enter_namespace().map_err(ProgramJudgement::error)?;
    // To join a multicast group takes a route, and a host has its default route for that. Most programs need none.
    let _ = namespace::route_multicast();
    place::enter_new().map_err(ProgramJudgement::error)?;
    place::mount_for(&job.run.mounts)?;
    let path = Path::new(PROGRAMS_DIR).join(program);
    // An absolute path replaces the folder.
    let folder =
        rootfs.map_or_else(|| path.parent().unwrap_or(&path).to_owned(), |folder| Path::new(PROGRAMS_DIR).join(folder));
    if rootfs.is_some() {
        place::enter_rootfs(&folder, job.run.rootfs_on_disk)?;
    }
    place::link_files(&folder, &path, rootfs.is_some()).map_err(ProgramJudgement::error)?;
    place::name_users();
    let disk = job.run.disk.then(|| disks::find(DiskContent::Empty)).transpose()?;
    Ok(ReadyProgram { path, disk })
}

/// Runs the program until it shows the bug, breaks, or has run often enough.
fn repeat(context: &Context, job: &Job, ready: &ReadyProgram, say: Say) -> ProgramJudgement {
    let ReadyProgram { path, disk } = ready;
    let deadline = Duration::from_millis(job.deadline_ms);
    let until = context.started.checked_add(deadline);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let runs = job.run.runs.max(1);
    let mut last = ProgramJudgement::error("its program was not run".to_owned());
    let mut ran = 0;
    // A program that is to crash the kernel may use up the deadline in any of its runs.
    while ran < runs && (ran == 0 || until.is_none_or(|until| Instant::now() < until)) {
        ran += 1;
        context.waiting(&name, if runs > 1 { "its end, of several runs" } else { "its end" });
        let mut command = Command::new(path);
        // No program should depend on the environment that the kernel passes to PID 1.
        command.env_clear().current_dir("/tmp").args(&job.run.args);
        let folder = path.parent().unwrap_or(path);
        let libraries = folder.join(LIBRARIES_DIR);
        if libraries.is_dir() {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        let path = match &job.run.rootfs {
            Some(own) => format!("{PROGRAMS_DIR}/{own}:{ROOTFS_PATH}").into(),
            None => folder.as_os_str().to_owned(),
        };
        command.env("PATH", path).env("TMPDIR", "/tmp");
        if let Some(disk) = disk {
            command.env("BACKPROOF_DISK", disk);
            if job.run.protocol == ProgramProtocol::Ltp {
                // LTP's library formats this one, if a test asks for a device (its doc/users/setup_tests.rst).
                command.env("LTP_DEV", disk);
            }
        }
        command.envs(&job.run.env);
        // The lines of one run are enough, and a serial port is slow.
        let say = if ran == 1 { say } else { |_: &Message| {} };
        last = watch(&mut command, job.run.protocol, until, deadline, &job.id, say);
        if last.conclusion != Conclusion::NotAffected {
            break;
        }
    }
    if runs == 1 {
        return last;
    }
    let which = match last.conclusion {
        Conclusion::NotAffected => format!("{ran} of {runs} runs: "),
        _ => format!("run {ran} of {runs}: "),
    };
    ProgramJudgement { why: which + &last.why, ..last }
}

/// Runs a command, with its process group, to its end or its deadline.
fn watch(
    command: &mut Command,
    protocol: ProgramProtocol,
    until: Option<Instant>,
    deadline: Duration,
    job: &str,
    say: Say,
) -> ProgramJudgement {
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
    let (out, err) = (sender.clone(), sender.clone());
    let (of_out, of_err) = (job.to_owned(), job.to_owned());
    // Nobody joins these threads: a process that left the group may hold a pipe for ever. This process ends with its
    // report.
    thread::spawn(move || {
        stdout.map(|pipe| close(&out, Stream::Stdout, output::take(protocol, Stream::Stdout, pipe, &of_out, say)))
    });
    thread::spawn(move || {
        stderr.map(|pipe| close(&err, Stream::Stderr, output::take(protocol, Stream::Stderr, pipe, &of_err, say)))
    });
    thread::spawn(move || wait(child, &sender));
    let judged = follow(&events, protocol, until, deadline, kill);
    kill();
    judged
}

/// Follows a program to its end. `kill` ends its whole process group.
fn follow(
    events: &Receiver<Event>,
    protocol: ProgramProtocol,
    until: Option<Instant>,
    deadline: Duration,
    kill: impl Fn(),
) -> ProgramJudgement {
    let (mut status, mut stdout, mut stderr, mut until) = (None, None, None, until);
    loop {
        if let (Some(status), true, true) = (status, stdout.is_some(), stderr.is_some())
            && let (Some(stdout), Some(stderr)) = (stdout.take(), stderr.take())
        {
            return output::judge(protocol, status, stdout, stderr);
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
            Ok(Event::Closed(_, Err(why))) => return ProgramJudgement::error(why),
            Ok(Event::Closed(Stream::Stdout, Ok(heard))) => stdout = Some(heard),
            Ok(Event::Closed(Stream::Stderr, Ok(heard))) => stderr = Some(heard),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) if status.is_some() => {
                return ProgramJudgement::error(
                    "a process that its program left behind holds its stdout or stderr".to_owned(),
                );
            }
            Err(_) => {
                let limit = deadline.as_millis();
                if protocol == ProgramProtocol::Crash {
                    let why = format!("its program ran until its deadline of {limit} ms, and nothing crashed");
                    return ProgramJudgement::of(Conclusion::NotAffected, why);
                }
                return ProgramJudgement::error(format!("its program was killed at its deadline of {limit} ms"));
            }
        }
    }
}

fn wait(mut child: Child, events: &Sender<Event>) {
    // The receiver is gone once the report is made.
    let _ = events.send(Event::Ended(child.wait()));
}

fn close(events: &Sender<Event>, stream: Stream, heard: Result<Heard, String>) {
    let _ = events.send(Event::Closed(stream, heard));
}

#[cfg(test)]
mod tests;
