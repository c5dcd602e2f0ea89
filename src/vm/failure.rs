//! Why a boot failed, with the details that people need.

use std::fmt;
use std::time::Duration;

use super::agent::ProtocolFault;
use super::console::Stage;
use super::splat::SplatKind;

/// The event that the controller was waiting for when a deadline passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AwaitedEvent {
    /// The first byte on the console.
    SignOfLife,
    /// The agent's hello.
    Hello,
    /// Any further line on the console of a kernel that boots.
    NextLine,
    /// The start of any job, while none runs.
    NextJob,
    /// The report of a job that runs.
    Report {
        /// The job's id.
        job: String,
    },
    /// The agent's end after the last report.
    End,
    /// The end of QEMU after the agent's end.
    Shutdown,
}

impl fmt::Display for AwaitedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SignOfLife => f.write_str("the first console output"),
            Self::Hello => f.write_str("the agent's hello"),
            Self::NextLine => f.write_str("the next console line"),
            Self::NextJob => f.write_str("the next job to start"),
            Self::Report { job } => write!(f, "the report of job {job}"),
            Self::End => f.write_str("the agent's end message"),
            Self::Shutdown => f.write_str("the machine to restart"),
        }
    }
}

/// The kind of failure that ended a boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The host could not give what a boot needs (processes, memory, file descriptors), kept the guest from running, or
    /// something on it ended QEMU.
    Host,
    /// QEMU itself broke or refused its settings.
    Qemu,
    /// The accelerator cannot run a guest: boot again under another.
    Accelerator,
    /// QEMU or its firmware says that the image is not a kernel that it can boot.
    NotBootable,
    /// The kernel is in distress.
    Splat(SplatKind),
    /// The machine reset itself without a word from the kernel, as after a triple fault.
    Reset,
    /// The guest restarted or powered off before the agent's end.
    Lost,
    /// The running kernel is not the image's.
    Impostor,
    /// The agent's words make no sense.
    Protocol(ProtocolFault),
    /// The guest printed more than any boot does.
    Flood,
    /// Nothing happened for too long.
    Hang {
        /// The event that the controller was waiting for.
        waiting: AwaitedEvent,
        /// For how long.
        after: Duration,
        /// The job's time limit in the guest, if its report was awaited until then. None if the processor had halted with
        /// interrupts off, so that nothing could follow.
        limit: Option<Duration>,
    },
}

impl FailureKind {
    /// Whether it only says that something took too long, for which a busy host may be the reason.
    pub fn is_of_time(&self) -> bool {
        match self {
            Self::Hang { .. } | Self::Host => true,
            Self::Splat(kind) => kind.is_of_time(),
            _ => false,
        }
    }

    /// Whether the host or QEMU broke, which says nothing of the guest.
    pub fn is_of_the_host(&self) -> bool {
        matches!(self, Self::Host | Self::Qemu | Self::Accelerator)
    }

    /// Whether the guest itself died, so that what it had reported before counts. A host that froze it, a QEMU that broke, or
    /// words that make no sense put every report in doubt.
    pub fn is_of_the_guest(&self) -> bool {
        matches!(self, Self::Splat(_) | Self::Reset | Self::Lost | Self::Flood | Self::Hang { .. })
    }

    /// Its name for people and files.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Host => "host error",
            Self::Qemu => "QEMU error",
            Self::Accelerator => "accelerator error",
            Self::NotBootable => "not a bootable kernel",
            Self::Splat(kind) => kind.as_str(),
            Self::Reset => "sudden reset",
            Self::Lost => "lost connection",
            Self::Impostor => "not this kernel",
            Self::Protocol(_) => "protocol error",
            Self::Flood => "console flood",
            Self::Hang { .. } => "hang",
        }
    }
}

/// Why a boot did not finish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind of failure.
    pub kind: FailureKind,
    /// One line: the kernel's own words if it has any.
    pub title: String,
    /// The stage of the boot.
    pub stage: Stage,
    /// The kernel's dump, or what QEMU said: bounded, and empty if there is none.
    pub excerpt: Vec<String>,
    /// The console's last lines; if there is a dump, those before it and its first.
    pub last_lines: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} ({})", self.kind.as_str(), self.title, self.stage.as_str())
    }
}

impl std::error::Error for Failure {}
