//! The machine interface of the watch loop. QEMU and the scripted fake of the tests implement it.

use std::process::ExitStatus;
use std::time::Duration;

use tokio::time::Instant;

use super::host_watch::HostRecord;

/// Something happened to the machine.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Happening {
    /// Bytes on the kernel's console.
    Console(Vec<u8>),
    /// Bytes on the agent's port.
    Agent(Vec<u8>),
    /// News over QMP.
    Qmp(Qmp),
    /// The machine is gone. This is the last happening.
    Exited(MachineExit),
}

/// News over QMP.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Qmp {
    /// A line that was said, in either direction.
    Line(QmpLine),
    /// QEMU stopped the guest; this is what `query-status` says of it.
    Stopped {
        /// QEMU's name of the run state: `internal-error`, `paused` …
        status: String,
    },
    /// The guest ends; QEMU's word for the reason (`guest-reset`, `guest-shutdown`, `guest-panic` …).
    Shutdown {
        /// QEMU's name of the cause.
        reason: String,
    },
    /// The guest's panic notifier ran (pvpanic).
    GuestPanicked,
}

/// One line of QMP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QmpLine {
    /// Whether we said it (or QEMU did).
    pub sent: bool,
    /// The JSON, without its newline.
    pub json: String,
}

/// The end of QEMU.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct MachineExit {
    /// Its status, if known.
    pub(crate) status: Option<ExitStatus>,
    /// Its standard error: head and tail.
    pub(crate) stderr: Vec<String>,
    /// Whether backproof killed it, because it did not end by itself.
    pub(crate) killed: bool,
    /// Processor time, user and system together.
    pub(crate) cpu: Option<Duration>,
    /// The host's behaviour while QEMU ran.
    pub(crate) host: HostRecord,
}

/// A machine that runs a guest.
pub(crate) trait Machine {
    /// The next happening. Dropping the future loses nothing. After [`Happening::Exited`] it must not be called.
    async fn next(&mut self) -> Happening;

    /// The clock of the guest's deadlines: the host's for a guest in real time. For one in virtual time it stands still while
    /// the host withholds the processor.
    fn now(&self) -> Instant;

    /// Whether the guest's processor is halted with interrupts off, so that only an NMI wakes it.
    async fn is_halted(&mut self) -> bool;

    /// Sends every processor an NMI, so that a kernel with `unknown_nmi_panic` dumps its stack. Returns whether
    /// it could be sent.
    async fn inject_nmi(&mut self) -> bool;

    /// Ends the machine; [`Machine::next`] then returns the remaining output, and the exit.
    async fn stop(&mut self);
}
