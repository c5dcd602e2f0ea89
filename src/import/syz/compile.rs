//! Compiles a C reproducer with the host's compiler, within limits: its source may include /dev/zero.

use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::child;

/// The time for one compilation.
const LIMIT: Duration = Duration::from_secs(120);

/// The most of a compiler's messages that is kept, in bytes.
const SAID_MAX: u64 = 64 << 10;

/// Sets limits for the compiler (seconds of processor time, KiB of memory, blocks of 512 bytes of a file), and becomes it.
const LIMITED: &str = "ulimit -t 120; ulimit -v 4000000; ulimit -f 200000; exec \"$@\"";

/// What syzkaller compiles its own reproducers with.
const FLAGS: [&str; 7] = ["-x", "c", "-w", "-static", "-O1", "-pthread", "-o"];

/// Why there is no program.
#[derive(Debug)]
pub(super) enum CompileError {
    /// The compiler does not start.
    NoCompiler(io::Error),
    /// It failed; its first message.
    Failed(String),
}

/// Compiles `source` to the file `program`.
pub(super) fn compile(source: &Path, program: &Path) -> Result<(), CompileError> {
    let mut command = Command::new("sh");
    command.args(["-c", LIMITED, "sh", "cc"]).args(FLAGS).arg(program).arg(source);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).env("LC_ALL", "C").process_group(0);
    let mut child = command.spawn().map_err(CompileError::NoCompiler)?;
    let group = Pid::from_child(&child);
    let stderr = child.stderr.take();
    let reader = thread::spawn(move || {
        let mut said = Vec::new();
        if let Some(mut pipe) = stderr {
            // An error ends the messages. The rest is read, so that the compiler does not block.
            let _ = pipe.by_ref().take(SAID_MAX).read_to_end(&mut said);
            let _ = io::copy(&mut pipe, &mut io::sink());
        }
        said
    });
    let ended = child::reap(&mut child, Instant::now() + LIMIT);
    // Its passes are processes of their own. An error means that the group has ended.
    let _ = kill_process_group(group, Signal::KILL);
    let said = reader.join().unwrap_or_default();
    match ended {
        Ok(Some(status)) if status.success() => Ok(()),
        // The shell's status for a program that is not there (POSIX, 2.8.2).
        Ok(Some(status)) if status.code() == Some(127) => {
            Err(CompileError::NoCompiler(io::Error::from(io::ErrorKind::NotFound)))
        }
        Ok(Some(status)) => Err(CompileError::Failed(first_error(&said).unwrap_or_else(|| format!("cc: {status}")))),
        Ok(None) => Err(CompileError::Failed(format!("cc did not end within {} s", LIMIT.as_secs()))),
        Err(error) => Err(CompileError::NoCompiler(error)),
    }
}

/// The first error of a compiler or linker, without the source's folder.
fn first_error(said: &[u8]) -> Option<String> {
    let said = String::from_utf8_lossy(said);
    let mut lines = said.lines().map(str::trim).filter(|line| !line.is_empty());
    let line =
        lines.clone().find(|line| line.contains("error") || line.contains("undefined")).or_else(|| lines.next())?;
    Some(line.rsplit_once('/').filter(|(head, _)| !head.contains(' ')).map_or(line, |(_, tail)| tail).to_owned())
}
