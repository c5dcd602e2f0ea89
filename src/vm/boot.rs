//! A boot's input, its observations and its result.

use std::path::PathBuf;
use std::time::Duration;

use backproof_protocol::{Hello, Job, Message, Report};
use serde::{Deserialize, Serialize};

use super::accel::Accel;
use super::command::QemuCommand;
use super::console::{Splat, Stage};
use super::disk::GuestDisk;
use super::failure::Failure;
use super::host_watch::HostRecord;
use super::machine::QmpLine;
use super::time::VirtualTime;
use super::transcript::Transcript;
use crate::matrix::MachineType;

/// The guest to boot.
#[derive(Clone, Debug)]
pub struct GuestSpec {
    /// The kernel: a bzImage, or an ELF image with a PVH entry.
    pub image: PathBuf,
    /// The image's own release (`uname -r`), if known: the guest must report the same.
    pub release: Option<String>,
    /// The initramfs with the agent and its plan.
    pub initramfs: Vec<u8>,
    /// The plan's jobs: the agent may only report these, and each has a time limit.
    pub jobs: Vec<Job>,
    /// Words to add to the kernel's command line.
    pub cmdline_extra: Option<String>,
    /// The machine.
    pub machine: MachineType,
    /// The guest's memory, in MiB.
    pub memory_mib: u32,
    /// The guest's processors.
    pub cpus: u32,
    /// Its disks.
    pub disks: Vec<GuestDisk>,
    /// The accelerator, from [`Turn::accel`](super::Turn::accel).
    pub accel: Accel,
    /// Its virtual time; None for the host's.
    pub time: Option<VirtualTime>,
}

impl GuestSpec {
    /// How long the agent may be silent between jobs, because it watches the kernel.
    pub(crate) fn settle(&self) -> Duration {
        Duration::from_millis(self.jobs.iter().map(|job| job.run.silence_ms()).max().unwrap_or(0))
    }
}

/// An observation during a boot.
#[derive(Clone, Copy, Debug)]
pub enum Observed<'a> {
    /// The command that is about to be run.
    Command(&'a QemuCommand),
    /// The boot has come further.
    Stage(Stage),
    /// Bytes of the kernel's console, as they came, not much more than 1 MiB in all.
    Console(&'a [u8]),
    /// Bytes of the agent's port, as they came.
    Agent(&'a [u8]),
    /// A line of QMP.
    Qmp(&'a QmpLine),
    /// A message of the agent that keeps to the protocol.
    Message(&'a Message),
}

/// A complete boot: hello, every job's report, end, restart, and no splat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Number of reports.
    pub reports: u32,
}

/// The result of a boot.
#[derive(Clone, Debug)]
pub struct Boot {
    /// Its accelerator.
    pub accel: Accel,
    /// Its virtual time, if it was virtual.
    pub time: Option<VirtualTime>,
    /// Everything that the guest said.
    pub transcript: Transcript,
    /// The last stage that it reached.
    pub stage: Stage,
    /// `Linux version …`, the kernel's first line.
    pub banner: Option<String>,
    /// Everything that the agent said, in order.
    pub messages: Vec<Message>,
    /// Jobs that had started but not reported: if the kernel crashed, one of them caused it.
    pub running: Vec<String>,
    /// Its end, or the reason that it did not finish. `messages` has the reports in either case; only `Ok` makes them proof.
    pub end: Result<Finished, Failure>,
    /// Where the kernel began to say why it died, if it then ended the machine by itself.
    pub own_death: Option<DeathPlace>,
    /// Warnings of the kernel before the agent ran: many kernels warn of emulated hardware and are fine.
    pub warnings: Vec<Splat>,
    /// From QEMU's start to its end.
    pub wall: Duration,
    /// QEMU's processor time, user and system.
    pub cpu: Option<Duration>,
    /// The host's behaviour during the boot.
    pub host: HostRecord,
}

/// How much of a transcript came before the kernel's death: what the agent says after it does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeathPlace {
    /// Bytes of the console.
    pub console: usize,
    /// Bytes of the agent's port.
    pub agent: usize,
}

impl Boot {
    /// The agent's hello.
    pub fn hello(&self) -> Option<&Hello> {
        self.messages.iter().find_map(|m| if let Message::Hello(hello) = m { Some(hello) } else { None })
    }

    /// The report of a job.
    pub fn report(&self, job: &str) -> Option<&Report> {
        self.messages.iter().find_map(|m| match m {
            Message::Report(report) if report.job == job => Some(report),
            _ => None,
        })
    }
}
