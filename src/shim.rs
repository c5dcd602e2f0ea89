//! Child processes that never outlive this one, however it ends.
//!
//! `PR_SET_PDEATHSIG` has to be set in the child, between fork and exec, which safe Rust cannot reach. So the
//! program executes itself with [`SUBCOMMAND`], sets the signal, checks that its parent still lives, and then
//! becomes the wanted program. The signal is sent when the *thread* that spawned the child ends (prctl(2)), so
//! spawn only from a thread that outlives the child.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

/// The hidden first argument under which `main` has to call [`become_program`].
pub const SUBCOMMAND: &str = "__with-parent";

/// Knows the executable that answers to [`SUBCOMMAND`].
#[derive(Clone, Debug)]
pub struct Shim {
    exe: PathBuf,
}

impl Shim {
    /// The shim in the running program.
    ///
    /// # Errors
    /// Where /proc is not mounted, so that the program does not know its own file.
    pub fn of_this_program() -> io::Result<Self> {
        // The path and not /proc/self/exe: the error message of a program that was replaced names a file then.
        std::env::current_exe().map(Self::at)
    }

    /// The shim in another program: the tests' way in.
    pub fn at(exe: PathBuf) -> Self {
        Self { exe }
    }

    /// A command that runs `program` and is killed when this process ends.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(&self.exe);
        command.arg(SUBCOMMAND).arg(std::process::id().to_string()).arg(program);
        command
    }
}

/// Becomes the program named in `args` (after the parent's process id); returns only where that fails.
pub fn become_program(mut args: impl Iterator<Item = OsString>) -> io::Error {
    let bad = || io::Error::new(io::ErrorKind::InvalidInput, "expected a process id and a program");
    let Some(parent) = args.next().and_then(|a| a.to_str()?.parse::<i32>().ok()) else { return bad() };
    let Some(program) = args.next() else { return bad() };
    if let Err(error) = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL)) {
        return error.into();
    }
    // A parent that died before the signal was armed left this process to another one.
    let now = rustix::process::getppid().map(rustix::process::Pid::as_raw_nonzero);
    if now.map(i32::from) != Some(parent) {
        return io::Error::other("the parent has ended");
    }
    Command::new(program).args(args).exec()
}
