//! The watch: one loop that decides how a boot ends.
//!
//! Its rules: a splat on the console ends the wait immediately, but the watch reads the rest of the dump. A lost connection
//! may race with an oops, so the watch decides only after the machine's last output; an oops then overrides any claimed
//! success. Every wait has a deadline and a name.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use backproof_protocol::{Job, Message};
use tokio::time::{Instant, timeout};

use super::accel::Accel;
use super::agent::{Conversation, JobState};
use super::boot::{Boot, DeathPlace, Finished, GuestSpec, Observed};
use super::console::{self, Monitor, Stage};
use super::deadlines::Deadlines;
use super::failure::{AwaitedEvent, Failure, FailureKind};
use super::halt::HaltQuestion;
use super::impostor::contradicts_image;
use super::machine::{Happening, Machine, MachineExit, Qmp};
use super::time::VirtualTime;
use super::transcript::Transcript;

/// The longest interval between two looks at the clock of a guest in virtual time.
const TICK: Duration = Duration::from_millis(50);

/// The observer of a boot.
pub(crate) type Observe<'a> = dyn FnMut(Observed<'_>) + Send + 'a;

/// Watches the machine to its end.
pub(crate) async fn watch(
    machine: &mut impl Machine,
    spec: &GuestSpec,
    deadlines: &Deadlines,
    observe: &mut Observe<'_>,
) -> Boot {
    let now = machine.now();
    let patience = spec.time.map_or(1, |_| VirtualTime::PATIENCE);
    let limit = |job: &Job| Duration::from_millis(job.deadline_ms).saturating_mul(patience);
    let mut watch = Watch {
        accel: spec.accel,
        time: spec.time,
        transcript: Transcript::default(),
        now,
        halt: HaltQuestion::after(now),
        image_release: spec.release.as_deref(),
        deadlines,
        observe,
        settle: spec.settle().saturating_mul(patience),
        limits: spec.jobs.iter().map(|job| (job.id.as_str(), limit(job))).collect(),
        console: Monitor::new(),
        agent: Conversation::new(&spec.jobs),
        messages: Vec::new(),
        stage: Stage::Started,
        shutdown: None,
        started: now,
        wall: Instant::now(),
        greeted: None,
        last_console: now,
        last_message: now,
        job_since: BTreeMap::new(),
        ending: None,
        death: None,
    };
    watch.report_stage(Stage::Started);
    let exit = watch.run(machine).await;
    watch.finish(&exit)
}

struct Watch<'a> {
    accel: Accel,
    time: Option<VirtualTime>,
    transcript: Transcript,
    /// The machine's clock, when it was last looked at.
    now: Instant,
    halt: HaltQuestion,
    image_release: Option<&'a str>,
    deadlines: &'a Deadlines,
    observe: &'a mut Observe<'a>,
    limits: BTreeMap<&'a str, Duration>,
    /// How long the agent may be silent between jobs.
    settle: Duration,
    console: Monitor,
    agent: Conversation,
    messages: Vec<Message>,
    stage: Stage,
    /// QEMU's word for why the guest ended.
    shutdown: Option<String>,
    started: Instant,
    /// The host's clock at the start.
    wall: Instant,
    /// When the agent spoke first. Not the runtime's clock, which tests stop.
    greeted: Option<std::time::Instant>,
    last_console: Instant,
    last_message: Instant,
    job_since: BTreeMap<String, Instant>,
    ending: Option<Ending>,
    /// Where the console began to tell of a death.
    death: Option<DeathPlace>,
}

/// A decided end that still waits for console output.
struct Ending {
    /// None if a splat on the console is the reason.
    why: Option<(FailureKind, String)>,
    /// The deadline of the dump.
    until: Instant,
    /// Whether the dump has begun.
    dumping: bool,
}

impl Watch<'_> {
    async fn run(&mut self, machine: &mut impl Machine) -> MachineExit {
        loop {
            let (limit, waiting) = self.wait();
            let next = if waiting.is_some() { limit.min(self.halt.at) } else { limit };
            let left = next.saturating_duration_since(self.now);
            // The clock of a guest in virtual time may stand still.
            let left = if self.time.is_some() { left.max(TICK) } else { left };
            let happened = timeout(left, machine.next()).await;
            self.now = machine.now();
            match happened {
                Ok(Happening::Exited(exit)) => return exit,
                Ok(happening) => self.take(happening),
                Err(_) => match waiting {
                    // The dump will not get any longer.
                    None if self.now >= limit => return self.stop(machine).await,
                    Some(waiting) if self.now >= limit => self.hang(waiting, Some(limit), machine).await,
                    Some(waiting) if self.now >= self.halt.at && self.has_halted(machine).await => {
                        self.hang(waiting, None, machine).await;
                    }
                    None | Some(_) => {}
                },
            }
            if self.ending.as_ref().is_some_and(|e| self.now >= e.until) {
                return self.stop(machine).await;
            }
        }
    }

    /// Asks a silent guest's machine whether it has halted for good.
    async fn has_halted(&mut self, machine: &mut impl Machine) -> bool {
        let halted = machine.is_halted().await;
        self.now = machine.now();
        self.halt.answer(halted, self.now)
    }

    /// Ends the machine and takes its last output.
    async fn stop(&mut self, machine: &mut impl Machine) -> MachineExit {
        machine.stop().await;
        loop {
            match machine.next().await {
                Happening::Exited(exit) => return exit,
                happening => self.take(happening),
            }
        }
    }

    /// The next deadline, and the event that the watch waits for: none once the end is decided.
    fn wait(&self) -> (Instant, Option<AwaitedEvent>) {
        let d = self.deadlines;
        if let Some(ending) = &self.ending {
            return (ending.until.min(self.last_console + d.dump_quiet), None);
        }
        if self.stage == Stage::Started {
            return (self.started + d.life, Some(AwaitedEvent::SignOfLife));
        }
        if !self.agent.greeted() {
            let hello = (self.started + d.hello, AwaitedEvent::Hello);
            let line = (self.last_console + d.silence, AwaitedEvent::NextLine);
            let (limit, waiting) = if line.0 < hello.0 { line } else { hello };
            return (limit, Some(waiting));
        }
        if self.agent.ended() {
            return (self.last_message + d.shutdown, Some(AwaitedEvent::Shutdown));
        }
        let running = self.agent.jobs_in(JobState::Running).map(|job| {
            let limit = self.limits.get(job).copied().unwrap_or_default();
            let since = self.job_since.get(job).copied().unwrap_or(self.started);
            (since + limit + d.slack, job)
        });
        if let Some((limit, job)) = running.min() {
            return (limit, Some(AwaitedEvent::Report { job: job.to_owned() }));
        }
        let planned = self.agent.jobs_in(JobState::Planned).next().is_some();
        (
            self.last_message + d.step + self.settle,
            Some(if planned { AwaitedEvent::NextJob } else { AwaitedEvent::End }),
        )
    }

    fn take(&mut self, happening: Happening) {
        if matches!(happening, Happening::Console(_) | Happening::Agent(_)) {
            self.halt = HaltQuestion::after(self.now);
        }
        match happening {
            Happening::Console(bytes) => self.console(&bytes),
            Happening::Agent(bytes) => self.agent(&bytes),
            Happening::Qmp(news) => self.qmp(news),
            Happening::Exited(_) => {}
        }
    }

    fn console(&mut self, bytes: &[u8]) {
        if self.console.is_flood() {
            return;
        }
        self.last_console = self.now;
        let place = self.place();
        self.transcript.console.extend_from_slice(bytes);
        self.console.push(bytes);
        if self.console.is_hit() && self.death.is_none() {
            self.death = Some(place);
            self.forget_later_jobs();
        }
        (self.observe)(Observed::Console(bytes));
        self.report_stage(self.console.stage());
        if self.console.is_hit() {
            self.wait_for_dump();
        } else if self.console.is_flood() {
            let title = format!("more than {} MiB on the console", console::MAX_CONSOLE >> 20);
            self.end(Some((FailureKind::Flood, title)));
            // Nothing that follows would be read.
            self.cut_short();
        }
    }

    fn agent(&mut self, bytes: &[u8]) {
        (self.observe)(Observed::Agent(self.transcript.take_agent(bytes)));
        // After a fault, a splat or a stop, the agent's messages don't count.
        if self.ending.is_some() {
            return self.late_words(bytes);
        }
        let before = self.messages.len();
        let result = self.agent.push(bytes, |message| self.messages.push(message));
        let now = self.now;
        for message in &self.messages[before..] {
            // Words for people are no progress and must not extend a deadline.
            if !matches!(message, Message::Note { .. } | Message::Said { .. }) {
                self.last_message = now;
            }
            match message {
                Message::Hello(hello) => {
                    self.console.agent_runs(hello.uptime_ms);
                    self.greeted = Some(std::time::Instant::now());
                }
                Message::Started { job, .. } => {
                    self.job_since.insert(job.clone(), now);
                }
                _ => {}
            }
            (self.observe)(Observed::Message(message));
        }
        if self.agent.greeted() {
            self.report_stage(Stage::Agent);
        }
        if self.console.is_hit() {
            // A warning that was taken for the machine's.
            self.death.get_or_insert(self.place());
            let console = &self.console;
            let is_kept = |message: &Message| {
                matches!(message, Message::Note { .. } | Message::Said { .. }) || is_before_hit(console, message)
            };
            self.messages.retain(is_kept);
            return self.wait_for_dump();
        }
        if let Some(why) = self.reported().and_then(|said| contradicts_image(said, self.image_release)) {
            return self.end(Some((FailureKind::Impostor, why)));
        }
        if self.agent.ended() {
            self.report_stage(Stage::Ended);
        }
        if let Err(fault) = result {
            let title = format!("the agent sent {fault}");
            self.end(Some((FailureKind::Protocol(fault), title)));
        }
    }

    /// Forgets jobs that started after a splat: the console lags behind the agent's port, and the splat is not theirs.
    fn forget_later_jobs(&mut self) {
        let is_later = |message: &&Message| matches!(message, Message::Started { uptime_ms: Some(at), .. } if self.console.is_hit_before(*at));
        let later: BTreeSet<String> =
            self.messages.iter().filter(is_later).filter_map(Message::job).map(str::to_owned).collect();
        self.messages.retain(|message| message.job().is_none_or(|job| !later.contains(job)));
    }

    /// What the agent said before a splat, and what is read only after it, because its port lags behind the console: that it
    /// runs, and which jobs had started. By the guest's own clock that was earlier.
    fn late_words(&mut self, bytes: &[u8]) {
        if !self.console.is_hit() {
            return;
        }
        let mut words = Vec::new();
        // A fault after a splat is the splat's.
        let _ = self.agent.push(bytes, |message| words.push(message));
        for message in words.into_iter().filter(|message| is_before_hit(&self.console, message)) {
            (self.observe)(Observed::Message(&message));
            self.messages.push(message);
        }
        if self.agent.greeted() {
            self.report_stage(Stage::Agent);
        }
    }

    fn qmp(&mut self, news: Qmp) {
        match news {
            Qmp::Line(line) => (self.observe)(Observed::Qmp(&line)),
            Qmp::Shutdown { reason } => {
                self.shutdown.get_or_insert(reason);
            }
            // The panic's text comes over the console; QEMU ends the guest itself.
            Qmp::GuestPanicked => {}
            Qmp::Stopped { status } if matches!(status.as_str(), "shutdown" | "guest-panicked") => {}
            Qmp::Stopped { status } => {
                let kind = match self.accel {
                    Accel::Kvm => FailureKind::Accelerator,
                    Accel::Tcg => FailureKind::Qemu,
                };
                self.end(Some((kind, format!("QEMU with {} stopped the guest: {status}", self.accel))));
                self.cut_short();
            }
        }
    }

    /// Ends the wait for an event that did not come: at its limit, or because the guest has halted.
    async fn hang(&mut self, waiting: AwaitedEvent, limit: Option<Instant>, machine: &mut impl Machine) {
        let since = match waiting {
            AwaitedEvent::SignOfLife | AwaitedEvent::Hello => self.started,
            AwaitedEvent::NextLine => self.last_console,
            AwaitedEvent::NextJob | AwaitedEvent::End | AwaitedEvent::Shutdown => self.last_message,
            AwaitedEvent::Report { ref job } => self.job_since.get(job).copied().unwrap_or(self.started),
        };
        let after = limit.unwrap_or(self.now) - since;
        let title = match limit {
            Some(_) => format!("timed out after {:.1} s waiting for {waiting}", after.as_secs_f64()),
            None => format!("the guest halted with interrupts off; backproof was waiting for {waiting}"),
        };
        if waiting == AwaitedEvent::SignOfLife && self.accel == Accel::Kvm {
            self.end(Some((FailureKind::Accelerator, title)));
            return self.cut_short();
        }
        let job_limit = match &waiting {
            AwaitedEvent::Report { job } if limit.is_some() => self.limits.get(job.as_str()).copied(),
            _ => None,
        };
        let limit = job_limit.map(|limit| limit / self.time.map_or(1, |_| VirtualTime::PATIENCE));
        self.end(Some((FailureKind::Hang { waiting, after, limit }, title)));
        // An incomplete line belongs to the time before.
        self.console.end();
        if self.console.is_hit() {
            return self.wait_for_dump();
        }
        if machine.inject_nmi().await {
            self.console.expect_dump();
            self.wait_for_dump();
        } else {
            self.cut_short();
        }
        // The guest gets its time from the NMI on.
        self.last_console = machine.now();
    }

    /// Decides the end, and gives the guest a moment to start a dump.
    fn end(&mut self, why: Option<(FailureKind, String)>) {
        if self.ending.is_none() {
            self.last_console = self.now;
            let until = self.last_console + self.deadlines.dump_quiet * 2;
            self.ending = Some(Ending { why, until, dumping: false });
        }
    }

    /// Waits for the end of a dump that is being printed.
    fn wait_for_dump(&mut self) {
        self.end(None);
        if let Some(ending) = self.ending.as_mut().filter(|e| !e.dumping) {
            ending.until = self.now + self.deadlines.dump;
            ending.dumping = true;
        }
    }

    /// Ends the wait for a dump.
    fn cut_short(&mut self) {
        if let Some(ending) = &mut self.ending {
            ending.until = self.now;
        }
    }

    fn report_stage(&mut self, stage: Stage) {
        if stage > self.stage || stage == Stage::Started {
            self.stage = stage;
            (self.observe)(Observed::Stage(stage));
        }
    }

    /// Where the transcript ends so far.
    fn place(&self) -> DeathPlace {
        DeathPlace { console: self.transcript.console.len(), agent: self.transcript.agent.len() }
    }

    /// The release that the agent reported.
    fn reported(&self) -> Option<&str> {
        self.messages
            .iter()
            .find_map(|m| if let Message::Hello(hello) = m { Some(hello.release.as_str()) } else { None })
    }
}

/// Whether the agent said this before the splat that ends the boot, by the guest's own clock.
fn is_before_hit(console: &Monitor, message: &Message) -> bool {
    let at = match message {
        Message::Hello(hello) => Some(hello.uptime_ms),
        Message::Started { uptime_ms, .. } => *uptime_ms,
        _ => None,
    };
    at.is_some_and(|at| console.is_hit_since(at))
}

#[path = "watch_result.rs"]
mod result;

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
