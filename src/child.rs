//! Runs other programs with a deadline and bounded memory, because they may never end or never stop talking.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

/// Bytes of each stream of a program that answers a question, as `--version`; QEMU's has 150.
const MAX_ANSWER: u64 = 64 << 10;

/// Why a program did not answer.
#[derive(Debug, thiserror::Error)]
pub enum NoAnswer {
    /// It does not start, or waiting for it fails.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It did not end in time, and was killed.
    #[error("it did not end within {} s and was killed", .0.as_secs())]
    Late(Duration),
    /// It printed too much, and was killed.
    #[error("it printed more than {} KiB and was killed", MAX_ANSWER >> 10)]
    Flood,
}

/// Runs a program that answers a question and ends: its output and status.
///
/// # Errors
/// If it does not start, prints too much, or runs longer than `limit`; it is killed then.
pub fn ask(command: &mut Command, limit: Duration) -> Result<Output, NoAnswer> {
    let until = Instant::now() + limit;
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let heard = thread::scope(|scope| {
        // Both at once: a program that fills one pipe waits for its reader.
        let errors = scope.spawn(|| hear(stderr, until));
        let stdout = hear(stdout, until);
        if stdout.is_err() {
            // It closes the other pipe, too.
            let _ = child.kill();
        }
        let stderr = errors.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Ok::<_, io::Error>((stdout?, stderr?))
    });
    let status = reap(&mut child, until)?;
    match (status, heard) {
        (_, Err(error)) if error.kind() == io::ErrorKind::FileTooLarge => Err(NoAnswer::Flood),
        (Some(status), Ok((stdout, stderr))) => Ok(Output { status, stdout, stderr }),
        (None, _) => Err(NoAnswer::Late(limit)),
        (_, Err(error)) if error.kind() == io::ErrorKind::TimedOut => Err(NoAnswer::Late(limit)),
        (_, Err(error)) => Err(error.into()),
    }
}

fn hear(pipe: Option<impl Read + AsFd>, until: Instant) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let Some(pipe) = pipe else { return Ok(bytes) };
    Patient::new(pipe, Duration::MAX, Some(until)).take(MAX_ANSWER + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_ANSWER { Err(io::ErrorKind::FileTooLarge.into()) } else { Ok(bytes) }
}

/// Waits for the child until the deadline, then kills it. `None` if it was killed.
///
/// # Errors
/// If waiting for it fails.
pub fn reap(child: &mut Child, until: Instant) -> io::Result<Option<ExitStatus>> {
    if let Some(status) = child.try_wait()? {
        return Ok(Some(status));
    }
    // Without a file descriptor for it (Linux before 5.3) there is nothing to wait on that has a deadline.
    if let Ok(running) = pidfd_open(Pid::from_child(child), PidfdFlags::empty())
        && is_ready(&running, until.saturating_duration_since(Instant::now()))?
    {
        return child.wait().map(Some);
    }
    let _ = child.kill();
    child.wait()?;
    Ok(None)
}

/// A pipe whose reads fail with [`io::ErrorKind::TimedOut`] after too long a silence.
pub struct Patient<R> {
    inner: R,
    silence: Duration,
    until: Option<Instant>,
}

impl<R: Read + AsFd> Patient<R> {
    /// A read waits for at most `silence`, and none waits longer than `until`.
    pub fn new(inner: R, silence: Duration, until: Option<Instant>) -> Self {
        Self { inner, silence, until }
    }
}

impl<R: Read + AsFd> Read for Patient<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
        let wait = left.map_or(self.silence, |left| left.min(self.silence));
        // A child that never falls silent is late, too.
        if wait.is_zero() || !is_ready(&self.inner, wait)? {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "timed out waiting for output"));
        }
        self.inner.read(buffer)
    }
}

/// Whether data or the end arrives within this time.
fn is_ready(fd: &impl AsFd, wait: Duration) -> io::Result<bool> {
    let until = Instant::now().checked_add(wait);
    loop {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let timeout = left.map(|left| Timespec {
            tv_sec: left.as_secs().try_into().unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        });
        match poll(&mut [PollFd::new(fd, PollFlags::IN)], timeout.as_ref()) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, limit: u64) -> Result<Output, NoAnswer> {
        ask(Command::new("sh").args(["-c", script]), Duration::from_millis(limit))
    }

    #[test]
    fn programs_are_heard_up_to_a_deadline_and_a_size() {
        let output = sh("echo out; echo err >&2; exit 3", 10_000).expect("an answer");
        assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"out\n"[..], &b"err\n"[..]));
        assert_eq!(output.status.code(), Some(3));
        for (script, late) in [
            ("exec sleep 1000", true),
            ("exec sleep 1000 >&- 2>&-", true),
            ("sleep 3 & exit 0", true),
            ("exec yes", false),
            ("exec yes >&2", false),
        ] {
            let began = Instant::now();
            let error = sh(script, if late { 300 } else { 60_000 }).expect_err(script);
            assert_eq!(matches!(error, NoAnswer::Late(_)), late, "{script}: {error}");
            assert_eq!(matches!(error, NoAnswer::Flood), !late, "{script}: {error}");
            assert!(began.elapsed() < Duration::from_secs(30), "{script}");
        }
        assert!(matches!(ask(&mut Command::new("/nonexistent"), Duration::from_secs(1)), Err(NoAnswer::Io(_))));
    }
}
