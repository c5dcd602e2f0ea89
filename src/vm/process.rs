//! QEMU as a machine: a process with four inherited file descriptors.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use rustix::process::{Pid, WaitId, WaitIdOptions};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::process::{Child, ChildStderr};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::boot::GuestSpec;
use super::command::{AGENT_FD, CONSOLE_FD, INITRAMFS_FD, QMP_FD, QemuCommand};
use super::host_watch::HostWatch;
use super::lines::{BoundedLine, Splitter};
use super::machine::{Happening, Machine, MachineExit, Qmp};
use super::pace::{self, Pace};
use super::qmp::{self, Request};
use crate::shim::Shim;

/// The time that QEMU may take to exit after `quit` before it is killed.
const QUIT: Duration = Duration::from_millis(500);

/// The time that QEMU may take to answer over QMP.
const ANSWER: Duration = Duration::from_secs(2);

/// QEMU's own words are few; a QEMU that floods its standard error is cut in the middle.
const STDERR_HEAD: usize = 20;
const STDERR_TAIL: usize = 20;
const STDERR_LINE: usize = 512;

/// Bytes that a guest may write before they are read: the most that an ordinary user's pipe can hold (pipe(7)).
const OUTPUT: usize = 1 << 20;

/// Bytes of one read.
const CHUNK: usize = 16 * 1024;

/// A running QEMU. Dropping it kills the process and reaps it.
pub(crate) struct QemuProcess {
    child: Child,
    pid: Option<Pid>,
    started: Instant,
    /// The time for which a guest in virtual time could run.
    pace: Option<Arc<Pace>>,
    console: Option<pipe::Receiver>,
    agent: Option<pipe::Receiver>,
    stderr: Option<ChildStderr>,
    errors: Errors,
    qmp: mpsc::UnboundedReceiver<Qmp>,
    requests: mpsc::UnboundedSender<Request>,
    talk: JoinHandle<()>,
    /// Watches the host's effect on it; gone once the process is.
    host: Option<HostWatch>,
    /// Set once the machine is to end.
    kill_at: Option<Instant>,
    /// It did not exit in time and was killed.
    killed: bool,
}

impl QemuProcess {
    /// Starts QEMU. It dies with the calling *thread* (see [`crate::shim`]).
    pub(crate) fn start(shim: &Shim, command: &QemuCommand, spec: &GuestSpec) -> io::Result<Self> {
        let (console, console_there) = output()?;
        let (agent, agent_there) = output()?;
        let (qmp, qmp_there) = pair()?;
        let mut start = shim.command(command.program());
        start.args(command.inherited_args()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let fd = |parent_fd, child_fd| FdMapping { parent_fd, child_fd };
        start
            .fd_mappings(vec![
                fd(console_there, CONSOLE_FD),
                fd(agent_there, AGENT_FD),
                fd(qmp_there, QMP_FD),
                fd(in_memory(&spec.initramfs)?, INITRAMFS_FD),
            ])
            .map_err(io::Error::other)?;
        let mut start = tokio::process::Command::from(start);
        let mut child = start.kill_on_drop(true).spawn()?;
        // Our copies of QEMU's ends go, so that its end is heard.
        drop(start);
        let (news, news_here) = mpsc::unbounded_channel();
        let (requests, requests_there) = mpsc::unbounded_channel();
        let pid = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        let pace = spec.time.is_some().then(Arc::<Pace>::default);
        let host = HostWatch::start(pid, pace.clone());
        // Without a watch the clock would stand still.
        let pace = pace.filter(|_| host.watches());
        Ok(Self {
            pid,
            started: Instant::now(),
            host: Some(host),
            pace,
            console: Some(console),
            agent: Some(agent),
            stderr: child.stderr.take(),
            errors: Errors::new(),
            qmp: news_here,
            requests,
            talk: tokio::spawn(qmp::talk(qmp, news, requests_there)),
            child,
            kill_at: None,
            killed: false,
        })
    }

    /// Asks over QMP; false if there is no answer.
    async fn ask(&self, request: impl FnOnce(oneshot::Sender<bool>) -> Request) -> bool {
        let (done, answered) = oneshot::channel();
        if self.requests.send(request(done)).is_err() {
            return false;
        }
        matches!(tokio::time::timeout(ANSWER, answered).await, Ok(Ok(true)))
    }

    /// Everything was read to its end: the process is gone, or about to be.
    async fn exit(&mut self) -> MachineExit {
        // The memory is given back before the files are closed, so that the time is complete but for a tick.
        let cpu = self.pid.and_then(cpu_time);
        let mut killed = self.killed;
        let status: Option<ExitStatus> = match tokio::time::timeout(QUIT, self.child.wait()).await {
            Ok(status) => status.ok(),
            // It has closed everything but still runs.
            Err(_) => {
                killed = true;
                drop(self.child.start_kill());
                self.child.wait().await.ok()
            }
        };
        let host = self.host.take().map(HostWatch::finish).unwrap_or_default();
        MachineExit { status, stderr: self.errors.take(), killed, cpu, host }
    }
}

impl Machine for QemuProcess {
    async fn next(&mut self) -> Happening {
        let (mut console, mut agent, mut errors) = ([0; CHUNK], [0; CHUNK], [0; 2048]);
        loop {
            // The console comes first, so that the kernel's lines from before the agent's start are read before the agent's.
            tokio::select! {
                biased;
                read = read_from(&mut self.console, &mut console), if self.console.is_some() => match read {
                    Some(n) => return Happening::Console(console[..n].to_vec()),
                    None => self.console = None,
                },
                read = read_from(&mut self.agent, &mut agent), if self.agent.is_some() => match read {
                    Some(n) => return Happening::Agent(agent[..n].to_vec()),
                    None => self.agent = None,
                },
                read = read_from(&mut self.stderr, &mut errors), if self.stderr.is_some() => match read {
                    Some(n) => self.errors.push(&errors[..n]),
                    None => self.stderr = None,
                },
                Some(news) = self.qmp.recv() => return Happening::Qmp(news),
                () = reached(self.kill_at), if self.kill_at.is_some() => {
                    self.kill_at = None;
                    self.killed = true;
                    drop(self.child.start_kill());
                    // Don't wait for its sockets to close: a child of a wrapper script may hold them for ever.
                    return Happening::Exited(self.exit().await);
                }
                else => return Happening::Exited(self.exit().await),
            }
        }
    }

    fn now(&self) -> Instant {
        self.pace.as_ref().map_or_else(Instant::now, |pace| self.started + pace.granted())
    }

    async fn is_halted(&mut self) -> bool {
        self.ask(Request::IsHalted).await
    }

    async fn inject_nmi(&mut self) -> bool {
        self.ask(Request::InjectNmi).await
    }

    async fn stop(&mut self) {
        // A QEMU without QMP is killed immediately. One that ignores `quit` is killed by `next`.
        let asked = self.requests.send(Request::Quit).is_ok();
        self.kill_at = Some(if asked { Instant::now() + QUIT } else { Instant::now() });
    }
}

impl Drop for QemuProcess {
    fn drop(&mut self) {
        self.talk.abort();
        if let (Some(pid), Ok(None)) = (self.pid, self.child.try_wait()) {
            drop(self.child.start_kill());
            // A killed QEMU is gone within milliseconds. The process is left to tokio's own reaping below.
            // If even waiting fails there is nothing left to do.
            let _ = rustix::process::waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOWAIT);
            drop(self.child.try_wait());
        }
    }
}

async fn reached(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Bytes read; nothing at the end, or if reading fails.
async fn read_from(from: &mut Option<impl tokio::io::AsyncRead + Unpin>, buffer: &mut [u8]) -> Option<usize> {
    let from = from.as_mut()?;
    from.read(buffer).await.ok().filter(|&n| n > 0)
}

/// A pipe for QEMU's output. A guest in virtual time notices if its port is not read promptly, and then prints other
/// bytes. A socket is full after some 300 writes of one byte; this pipe holds the whole output of most guests.
fn output() -> io::Result<(pipe::Receiver, OwnedFd)> {
    let (here, there) = io::pipe()?;
    // Beyond a limit of this user's pipes (pipe(7)) it keeps its 64 KiB.
    let _ = rustix::pipe::fcntl_setpipe_size(&there, OUTPUT);
    Ok((pipe::Receiver::from_owned_fd(here.into())?, there.into()))
}

/// A socket for us and its other end for QEMU.
fn pair() -> io::Result<(UnixStream, OwnedFd)> {
    let (here, there) = StdUnixStream::pair()?;
    here.set_nonblocking(true)?;
    Ok((UnixStream::from_std(here)?, there.into()))
}

/// A file that has no name and leaves nothing behind.
fn in_memory(bytes: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(rustix::fs::memfd_create("initramfs", rustix::fs::MemfdFlags::CLOEXEC)?);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

fn cpu_time(pid: Pid) -> Option<Duration> {
    pace::cpu_time(&std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?)
}

/// QEMU's standard error: head and tail.
struct Errors {
    splitter: Splitter,
    head: Vec<String>,
    tail: VecDeque<String>,
}

impl Errors {
    fn new() -> Self {
        Self { splitter: Splitter::new(STDERR_LINE), head: Vec::new(), tail: VecDeque::new() }
    }

    fn push(&mut self, bytes: &[u8]) {
        let (head, tail) = (&mut self.head, &mut self.tail);
        self.splitter.push(bytes, |line| {
            let (BoundedLine::Whole(line) | BoundedLine::TooLong(line)) = line;
            let line = String::from_utf8_lossy(line).into_owned();
            if head.len() < STDERR_HEAD {
                head.push(line);
                return;
            }
            if tail.len() == STDERR_TAIL {
                tail.pop_front();
            }
            tail.push_back(line);
        });
    }

    fn take(&mut self) -> Vec<String> {
        if !self.splitter.unfinished().is_empty() {
            self.push(b"\n");
        }
        self.head.drain(..).chain(self.tail.drain(..)).collect()
    }
}
