//! A machine that plays a script.

use std::collections::VecDeque;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::boot::GuestSpec;
use super::host_watch::{Freeze, FreezeCause, HostRecord};
use super::machine::{Happening, Machine, MachineExit, Qmp};

/// The next action of a scripted machine.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Lets this much time pass.
    Wait(Duration),
    /// Does this.
    Do(Happening),
}

/// A machine that plays a script, and then stands still unless the script ended it.
pub(crate) struct Fake {
    script: VecDeque<Act>,
    on_nmi: Vec<Act>,
    on_stop: Vec<Act>,
    /// When the present wait ends.
    until: Option<Instant>,
    /// Whether its processor is halted for good once the script is over.
    pub(crate) halted: bool,
    pub(crate) nmis: u32,
    pub(crate) stopped: bool,
    /// The script has ended the machine.
    pub(crate) exited: bool,
}

impl Fake {
    pub(crate) fn new(script: Vec<Act>) -> Self {
        Self {
            script: script.into(),
            on_nmi: Vec::new(),
            on_stop: Vec::new(),
            until: None,
            halted: false,
            nmis: 0,
            stopped: false,
            exited: false,
        }
    }

    /// The actions of the machine after an NMI. Without them QEMU rejects the NMI.
    pub(crate) fn on_nmi(mut self, acts: Vec<Act>) -> Self {
        self.on_nmi = acts;
        self
    }

    /// The last output of the machine when it is stopped.
    pub(crate) fn on_stop(mut self, acts: Vec<Act>) -> Self {
        self.on_stop = acts;
        self
    }
}

/// The scripts of a run's boots, in the order in which they are played.
#[derive(Debug)]
pub struct Scripts {
    waiting: Mutex<VecDeque<Vec<Act>>>,
    played: Mutex<Vec<String>>,
}

impl Scripts {
    pub(crate) fn new(scripts: impl IntoIterator<Item = Vec<Act>>) -> Self {
        Self { waiting: Mutex::new(scripts.into_iter().collect()), played: Mutex::default() }
    }

    /// The machine of the next boot.
    pub(crate) fn next(&self, spec: &GuestSpec) -> Fake {
        let jobs: Vec<&str> = spec.jobs.iter().map(|job| job.id.as_str()).collect();
        self.played.lock().expect("a lock").push(format!("{}: {}", spec.accel, jobs.join(" ")));
        Fake::new(self.waiting.lock().expect("a lock").pop_front().expect("a script for each boot"))
    }

    /// The boots so far, each with its accelerator and its jobs.
    pub(crate) fn played(&self) -> Vec<String> {
        self.played.lock().expect("a lock").clone()
    }
}

impl Machine for Fake {
    async fn next(&mut self) -> Happening {
        assert!(!self.exited, "a machine that is gone was asked");
        loop {
            if let Some(until) = self.until {
                sleep_until(until).await;
                self.until = None;
            }
            match self.script.pop_front() {
                Some(Act::Wait(time)) => self.until = Some(Instant::now() + time),
                Some(Act::Do(happening)) => {
                    self.exited = matches!(happening, Happening::Exited(_));
                    return happening;
                }
                None => std::future::pending().await,
            }
        }
    }

    fn now(&self) -> Instant {
        Instant::now()
    }

    async fn is_halted(&mut self) -> bool {
        self.halted && self.script.is_empty()
    }

    async fn inject_nmi(&mut self) -> bool {
        self.nmis += 1;
        let taken = !self.on_nmi.is_empty();
        self.script.extend(self.on_nmi.drain(..));
        taken
    }

    async fn stop(&mut self) {
        assert!(!self.exited, "a machine that is gone was stopped");
        self.stopped = true;
        self.until = None;
        self.script = self.on_stop.drain(..).collect();
        self.script.push_back(exit(9));
    }
}

/// The console and the agent's port are read as they come, and either may be behind the other.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Lagging {
    Neither,
    Agent,
    Console,
}

/// The same script, as a host reads it that is behind with the console or the agent's port. In the end it reads both.
pub(crate) fn behind(acts: Vec<Act>, lagging: Lagging, rng: &mut fastrand::Rng) -> Vec<Act> {
    let (mut seen, mut held) = (Vec::new(), Vec::new());
    for act in acts {
        let is_last = matches!(act, Act::Do(Happening::Exited(_) | Happening::Qmp(_)));
        if is_last || rng.u8(0..8) == 0 {
            seen.append(&mut held);
        }
        match act {
            Act::Do(Happening::Agent(_)) if lagging == Lagging::Agent => held.push(act),
            Act::Do(Happening::Console(_)) if lagging == Lagging::Console => held.push(act),
            act => seen.push(act),
        }
    }
    seen
}

pub(crate) fn wait(millis: u64) -> Act {
    Act::Wait(Duration::from_millis(millis))
}

pub(crate) fn console(text: &str) -> Act {
    Act::Do(Happening::Console(text.as_bytes().to_vec()))
}

pub(crate) fn agent(text: &str) -> Act {
    Act::Do(Happening::Agent(text.as_bytes().to_vec()))
}

pub(crate) fn shutdown(reason: &str) -> Act {
    Act::Do(Happening::Qmp(Qmp::Shutdown { reason: reason.to_owned() }))
}

pub(crate) fn stopped(status: &str) -> Act {
    Act::Do(Happening::Qmp(Qmp::Stopped { status: status.to_owned() }))
}

/// `wait_status` as wait(2) gives it: a signal's number, or an exit code shifted left by 8.
pub(crate) fn exit(wait_status: i32) -> Act {
    exit_saying(wait_status, &[])
}

pub(crate) fn exit_saying(wait_status: i32, stderr: &[&str]) -> Act {
    exit_on(wait_status, stderr, HostRecord::default())
}

fn exit_on(wait_status: i32, stderr: &[&str], host: HostRecord) -> Act {
    Act::Do(Happening::Exited(MachineExit {
        status: Some(ExitStatus::from_raw(wait_status)),
        stderr: stderr.iter().map(|&line| line.to_owned()).collect(),
        killed: false,
        cpu: Some(Duration::from_secs(1)),
        host,
    }))
}

/// A machine that closed its connections, did not end, and was killed for that.
pub(crate) fn killed() -> Act {
    let status = Some(ExitStatus::from_raw(9));
    Act::Do(Happening::Exited(MachineExit {
        status,
        stderr: Vec::new(),
        killed: true,
        cpu: None,
        host: HostRecord::default(),
    }))
}

/// QEMU exits as it should, and the host had stopped it: late in its life, or before the script began.
pub(crate) fn exit_of_frozen(late: bool) -> Act {
    // Real time: the runtime's clock, by which the script goes, is one that tests stop.
    let now = std::time::Instant::now();
    let ended = if late { now + Duration::from_secs(3600) } else { now };
    let freeze = Freeze { cause: FreezeCause::Stopped, ended, lasted: Duration::from_secs(4) };
    let host = HostRecord { freezes: vec![freeze], ..HostRecord::default() };
    exit_on(0, &[], host)
}
