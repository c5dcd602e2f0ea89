//! What a watched boot came to.

use super::super::impostor::impostor;
use super::super::pace::STARVED;
use super::super::verdict;
use super::{Boot, Failure, Finished, JobState, MachineExit, Watch};
use backproof_protocol::Message;

impl Watch<'_> {
    /// Its result, once the machine is gone.
    pub(super) fn finish(mut self, exit: &MachineExit) -> Boot {
        self.console.end();
        let impostor = self.reported().and_then(|said| impostor(said, self.console.banner(), self.image_release));
        // A guest in virtual time notices only a host that has given it up.
        let is_real = self.time.is_none();
        let ending = self.ending.take().and_then(|ending| ending.why);
        // QEMU said so, even if it was slow to leave and had to be killed.
        let by_itself = ending.is_none() && self.shutdown.as_deref().is_some_and(verdict::is_guest_s);
        let end = match verdict::conclude(&verdict::Evidence {
            accel: self.accel,
            stage: self.stage,
            console: &self.console,
            ended: self.agent.ended(),
            ending,
            impostor,
            frozen: exit.host.freezes.iter().find(|freeze| is_real || freeze.lasted >= STARVED),
            frozen_since_hello: self.greeted.filter(|_| is_real).and_then(|greeted| exit.host.frozen_since(greeted)),
            shutdown: self.shutdown.as_deref(),
            exit,
        }) {
            None => {
                Ok(Finished { reports: self.agent.jobs_in(JobState::Reported).count().try_into().unwrap_or(u32::MAX) })
            }
            Some((kind, title, excerpt)) => {
                Err(Failure { kind, title, stage: self.stage, excerpt, last_lines: self.console.last_lines() })
            }
        };
        // Those that started after a splat are forgotten.
        let has_started =
            |job: &str| self.messages.iter().any(|m| matches!(m, Message::Started { job: one, .. } if one == job));
        Boot {
            accel: self.accel,
            time: self.time,
            transcript: self.transcript,
            stage: self.stage,
            banner: self.console.banner().map(str::to_owned),
            running: self.agent.jobs_in(JobState::Running).filter(|job| has_started(job)).map(str::to_owned).collect(),
            messages: self.messages,
            own_death: self.death.filter(|_| by_itself && end.is_err()),
            end,
            warnings: self.console.warnings(),
            wall: self.wall.elapsed(),
            cpu: exit.cpu,
            host: exit.host.clone(),
        }
    }
}
