//! A machine that plays a recorded transcript, so that a cached boot is judged by the same rules as a new one.

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt as _;
use std::process::ExitStatus;

use tokio::time::Instant;

use super::host_watch::HostRecord;
use super::machine::{Happening, Machine, MachineExit, Qmp};
use super::transcript::Transcript;

/// A finished boot: the guest's output, its restart, and QEMU's end.
pub(crate) struct RecordedMachine {
    happenings: VecDeque<Happening>,
}

impl RecordedMachine {
    /// The whole console comes before the agent's messages. Their order matters only for a splat after the hello, and such a
    /// boot has not finished.
    pub(crate) fn new(transcript: &Transcript) -> Self {
        let ended = MachineExit {
            status: Some(ExitStatus::from_raw(0)),
            stderr: Vec::new(),
            killed: false,
            cpu: None,
            host: HostRecord::default(),
        };
        Self {
            happenings: VecDeque::from([
                Happening::Console(transcript.console.clone()),
                Happening::Agent(transcript.agent.clone()),
                Happening::Qmp(Qmp::Shutdown { reason: "guest-reset".to_owned() }),
                Happening::Exited(ended),
            ]),
        }
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
