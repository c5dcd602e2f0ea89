//! Child processes that never outlive this one, however it ends.
//!
//! `PR_SET_PDEATHSIG` has to be set in the child, between fork and exec, which safe Rust cannot reach. So the
//! program executes itself with [`SUBCOMMAND`], sets the signal, checks that its parent still lives, and then
//! becomes the wanted program. The signal is sent when the *thread* that spawned the child ends (prctl(2)), so
//! spawn only from a thread that outlives the child.
//!
//! The signal reaches the child and none of its own children. A program that starts others (make) runs under
//! [`FAMILY`] instead: the program executes itself as the leader of a new process group, and stays beside its parent
//! until one of them ends. A process group is killed at once, so no member can start another in between.

use std::ffi::{OsStr, OsString};
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::Command;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal, getppid, pidfd_open, set_parent_process_death_signal};

/// The hidden first argument under which `main` has to call [`become_program`].
pub const SUBCOMMAND: &str = "__with-parent";

/// The hidden first argument under which `main` has to call [`lead_family`].
pub const FAMILY: &str = "__with-parent-and-children";

/// The exit code of [`lead_family`] if it could not start its program, as in `env` and shells.
const NOT_STARTED: u8 = 127;

/// How much a family's priority is lowered (nice(2)), because it works for minutes while people use the machine.
const NICE: i32 = 5;

/// The executable that handles [`SUBCOMMAND`] and [`FAMILY`].
#[derive(Clone, Debug)]
pub struct Shim {
    exe: PathBuf,
}

impl Shim {
    /// The shim in the running program.
    ///
    /// # Errors
    /// If /proc is not mounted, so that the program does not know its own file.
    pub fn of_this_program() -> io::Result<Self> {
        // Not /proc/self/exe, so that the error message names the file if the program was replaced.
        std::env::current_exe().map(Self::at)
    }

    /// The shim in another program, for tests.
    pub fn at(exe: PathBuf) -> Self {
        Self { exe }
    }

    /// A command that runs `program` and is killed when this process ends.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.under(SUBCOMMAND, program)
    }

    /// A command that runs `program` in a process group of its own, which is killed whole when this process or the
    /// program ends. The child's process id is the group's.
    pub fn family(&self, program: impl AsRef<OsStr>) -> Command {
        self.under(FAMILY, program)
    }

    fn under(&self, subcommand: &str, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(&self.exe);
        command.arg(subcommand).arg(std::process::id().to_string()).arg(program);
        command
    }
}

/// Becomes the program named in `args` (after the parent's process id); returns only if that fails.
pub fn become_program(mut args: impl Iterator<Item = OsString>) -> io::Error {
    let Some((parent, program)) = parent_and_program(&mut args) else { return bad_arguments() };
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return error.into();
    }
    // If the parent died before the signal was set, this process has another parent now.
    if getppid() != Some(parent) {
        return parent_has_ended();
    }
    Command::new(program).args(args).exec()
}

/// Runs the program named in `args` (after the parent's process id) at a lower priority, and returns its exit code. If
/// the parent ends, or a signal kills the program, it kills the program's children too.
pub fn lead_family(args: impl Iterator<Item = OsString>) -> u8 {
    family(args).unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "backproof: {error}");
        NOT_STARTED
    })
}

fn family(mut args: impl Iterator<Item = OsString>) -> io::Result<u8> {
    let (parent, program) = parent_and_program(&mut args).ok_or_else(bad_arguments)?;
    rustix::process::setpgid(None, None)?;
    // If the host refuses this, the process just keeps the usual priority.
    let _ = rustix::process::nice(NICE);
    let watched = pidfd_open(parent, PidfdFlags::empty())?;
    // Checked after opening the process, because its id may have been reused before.
    if getppid() != Some(parent) {
        return Err(parent_has_ended());
    }
    // If this process is killed alone, the program itself goes with it.
    let mut child = Shim::of_this_program()?.command(program).args(args).spawn()?;
    let running = pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?;
    let mut both = [PollFd::new(&watched, PollFlags::IN), PollFd::new(&running, PollFlags::IN)];
    rustix::io::retry_on_intr(|| poll(&mut both, None))?;
    if both[0].revents().is_empty()
        && let Some(code) = child.wait()?.code()
    {
        return Ok(u8::try_from(code).unwrap_or(NOT_STARTED));
    }
    // This process is in the group too.
    rustix::process::kill_process_group(rustix::process::getpgrp(), Signal::KILL)?;
    Err(parent_has_ended())
}

fn parent_and_program(args: &mut impl Iterator<Item = OsString>) -> Option<(Pid, OsString)> {
    let parent = args.next()?.to_str()?.parse().ok().and_then(Pid::from_raw)?;
    Some((parent, args.next()?))
}

fn bad_arguments() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "expected a process id and a program")
}

fn parent_has_ended() -> io::Error {
    io::Error::other("the parent has ended")
}
