//! A machine that plays a recorded transcript, so that a cached boot is judged by the same rules as a new one.

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use tokio::time::Instant;

use super::boot::DeathPlace;
use super::host_watch::HostRecord;
use super::machine::{Happening, Machine, MachineExit, Qmp};
use super::transcript::Transcript;

/// A finished boot, or one whose kernel died: the guest's output, its restart, and QEMU's end.
pub(crate) struct RecordedMachine {
    happenings: VecDeque<Happening>,
}

impl RecordedMachine {
    /// The whole console comes before the agent's messages, but for what tells of the kernel's death. Their order matters only
    /// there: what the agent said after it does not count.
    pub(crate) fn new(transcript: &Transcript, death: Option<DeathPlace>) -> Self {
        let ended = MachineExit {
            status: Some(ExitStatus::from_raw(0)),
            stderr: Vec::new(),
            killed: false,
            cpu: None,
            host: HostRecord::default(),
        };
        let (console, agent) = (&transcript.console, &transcript.agent);
        let place = death.unwrap_or(DeathPlace { console: console.len(), agent: agent.len() });
        let (before, death) = console.split_at_checked(place.console).unwrap_or((console, &[]));
        let (said, after) = agent.split_at_checked(place.agent).unwrap_or((agent, &[]));
        let happenings = [
            Happening::Console(before.to_vec()),
            Happening::Agent(said.to_vec()),
            Happening::Console(death.to_vec()),
            Happening::Agent(after.to_vec()),
            Happening::Qmp(Qmp::Shutdown { reason: "guest-reset".to_owned() }),
            Happening::Exited(ended),
        ];
        Self { happenings: happenings.into() }
    }
}

impl Machine for RecordedMachine {
    async fn next(&mut self) -> Happening {
        match self.happenings.pop_front() {
            Some(happening) => happening,
            None => std::future::pending().await,
        }
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    async fn is_halted(&mut self) -> bool {
        false
    }

    async fn inject_nmi(&mut self) -> bool {
        false
    }

    async fn stop(&mut self) {
        self.happenings.retain(|happening| matches!(happening, Happening::Exited(_)));
    }
}
