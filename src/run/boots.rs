//! Boots one kernel as often as its questions take: once, as a rule.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use backproof_protocol::{Hello, Job, Message, Packet, Plan, Report, Segment, VERSION};
use tokio::sync::mpsc::UnboundedSender;

use super::engine::Lab;
use super::event::{BootId, BootRecord, Event};
use super::recording::{Recording, RecordingError};
use crate::evidence::runtime::Ran;
use crate::guest::{self, GuestProgram};
use crate::kernel::{Kernel, Module, image_release};
use crate::matrix::{KernelEntry, Profile, ReproducerSpec};
use crate::vm::{Accel, Boot, Failure, FailureKind, GuestSpec, HostLoad, Next, Observed};
use crate::words::{BugId, JobId};

/// Guest memory where the matrix says nothing: Debian's kernels take 100 MiB of it for themselves.
const MEMORY_MIB: u32 = 256;

/// Guest processors where the matrix says nothing. The reproducers wait rather than compute, and a second emulated
/// processor makes the boot slower.
const CPUS: u32 = 1;

/// Packets of one boot that are kept. An agent sends a few hundred; a hostile guest could send millions.
const MAX_PACKETS: usize = 10_000;

/// Segments of one boot's time lines that are kept.
const MAX_SEGMENTS: usize = 100_000;

/// Time lines of one job that are kept.
const MAX_TIME_LINES: usize = 16;

/// How many times as long a job may take that goes the natural road too: it has to see a connection be silent for ever,
/// beside what the reproducer does.
const NATURAL_DEADLINE: u32 = 2;

/// Bytes that all packets and time lines of one boot may unpack to: an agent's come to less than a tenth of it.
const MAX_UNPACKED: usize = 16 << 20;

/// Remarks of one boot that are kept.
const MAX_NOTES: usize = 50;

/// What the wire saw of one job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WireRecord {
    /// Packets, in order.
    pub packets: Vec<Packet>,
    /// Time lines of the natural road, by the names that the guest gave them.
    pub time_lines: BTreeMap<String, Vec<Segment>>,
}

/// How a boot ended.
#[derive(Clone, Debug, Default)]
pub struct BootEnd {
    /// The kernel's own release string, where the guest came that far.
    pub release: Option<String>,
    /// Counters that the kernel shows, of those that the agent looks for.
    pub counters: BTreeSet<String>,
    /// What the reproducers concluded.
    pub reports: Vec<Report>,
    /// What the wire saw, by the job's id.
    pub wire: BTreeMap<String, WireRecord>,
    /// Why the guest cannot be believed, where it can't: for people, with the console's last lines.
    pub failure: Option<String>,
    /// That the host was too busy, and what to do about it, where it was: a reason for what took too long.
    pub busy: Option<String>,
    /// Wall time in seconds.
    pub seconds: f64,
    /// Remarks of the agent, and warnings of the kernel before the agent ran.
    pub notes: Vec<String>,
}

/// The counters that the kernel shows, by what the agent found.
fn counters(hello: &Hello) -> BTreeSet<String> {
    let shown = hello.features.iter().filter(|(_, is_there)| **is_there);
    shown.filter_map(|(feature, _)| feature.strip_prefix("netstat-counter ")).map(str::to_owned).collect()
}

impl BootEnd {
    /// What a boot comes to, beside as many others as `jobs` allows.
    pub fn of(boot: &Boot, jobs: usize) -> Self {
        let busy = boot.host.too_busy().map(|busy| too_busy(&busy, jobs));
        let mut end = Self {
            release: boot.hello().map(|hello| hello.release.clone()),
            counters: boot.hello().map(counters).unwrap_or_default(),
            failure: boot.end.as_ref().err().map(|failure| describe(failure, busy.as_deref())),
            busy,
            seconds: boot.wall.as_secs_f64(),
            notes: boot.warnings.iter().map(|w| format!("the kernel warned while it booted: {}", w.title)).collect(),
            ..Self::default()
        };
        let (mut packets_kept, mut segments_kept) = (0, 0);
        let mut room = MAX_UNPACKED;
        for message in &boot.messages {
            match message {
                Message::Note { text } => end.notes.push(text.clone()),
                Message::Report(report) => end.reports.push(report.clone()),
                Message::Capture(_) if packets_kept >= MAX_PACKETS => {}
                Message::TimeLine(_) if segments_kept >= MAX_SEGMENTS => {}
                Message::Capture(capture) => match capture.unpack(&mut room) {
                    Ok(packets) => {
                        packets_kept += packets.len();
                        end.wire.entry(capture.job.clone()).or_default().packets.extend(packets);
                    }
                    // A capture is no witness: a verdict doesn't stand or fall with it.
                    Err(error) => tracing::warn!(job = capture.job, %error, "a packet capture is lost"),
                },
                Message::TimeLine(line) => match line.unpack(&mut room) {
                    Ok(segments) => {
                        let lines = &mut end.wire.entry(line.job.clone()).or_default().time_lines;
                        if lines.contains_key(&line.name) || lines.len() < MAX_TIME_LINES {
                            segments_kept += segments.len();
                            lines.entry(line.name.clone()).or_default().extend(segments);
                        }
                    }
                    Err(error) => tracing::warn!(job = line.job, %error, "a time line is lost"),
                },
                Message::Hello(_) | Message::Started { .. } | Message::End { .. } => {}
            }
        }
        if segments_kept >= MAX_SEGMENTS {
            end.notes.push(format!("time lines were cut: only {MAX_SEGMENTS} segments of a boot are kept"));
        }
        end
    }

    /// A boot that could not even be tried.
    fn untried(why: &anyhow::Error) -> Self {
        Self { failure: Some(format!("{why:#}")), ..Self::default() }
    }
}

/// That the host was too busy, with what to do about it.
fn too_busy(busy: &str, jobs: usize) -> String {
    let remedy = if jobs > 1 { "rerun with --jobs 1" } else { "rerun when it is quieter" };
    format!("{busy}; {remedy}")
}

/// A failure with what a person needs to see of the console. What took too long may be a busy host's doing.
fn describe(failure: &Failure, busy: Option<&str>) -> String {
    let of_time = matches!(failure.kind, FailureKind::Hang { .. } | FailureKind::Host)
        || matches!(failure.kind, FailureKind::Splat(kind) if kind.is_of_time());
    let busy = busy.filter(|_| of_time).map(|busy| format!("; {busy}")).unwrap_or_default();
    let mut lines = vec![format!("{failure}{busy}")];
    if failure.excerpt.is_empty() {
        lines.push("the console's last lines:".to_owned());
        lines.extend(failure.last_lines.iter().cloned());
        if failure.last_lines.is_empty() {
            lines.push("(nothing was printed)".to_owned());
        }
    } else {
        lines.extend(failure.excerpt.iter().cloned());
    }
    lines.join("\n")
}

/// The boot that settled a job, and all boots that ran it.
#[derive(Clone, Debug, Default)]
pub struct Booted {
    /// How the last one ended.
    pub end: BootEnd,
    /// The folders of all of them.
    pub folders: Vec<String>,
    /// Their wall time in seconds.
    pub seconds: f64,
    /// How a guest died that ran this and other reproducers, where no guest died that ran one of them alone.
    pub unexplained: Option<String>,
    /// The other bugs whose own programs ran in the guest of the last one, and could have written this one's report.
    pub shared_with: Vec<BugId>,
}

/// One kernel, ready to boot.
pub struct Bench<'a> {
    /// What the matrix says of it.
    pub entry: &'a KernelEntry,
    /// The kernel.
    pub kernel: &'a Kernel,
    /// The modules to load.
    pub modules: &'a [Module],
    /// What boots it.
    pub lab: &'a Lab,
    /// Where to tell it.
    pub events: &'a UnboundedSender<Event>,
    /// Whether to go the natural road too.
    pub natural: bool,
}

/// A bug to be judged under a profile.
#[derive(Clone, Copy, Debug)]
pub struct Trial<'a> {
    /// The bug.
    pub bug: &'a BugId,
    /// What provokes it.
    pub reproducer: &'a ReproducerSpec,
    /// The user's own program that this is, where it is one.
    pub program: Option<&'a GuestProgram>,
    /// The profile.
    pub profile: &'a Profile,
    /// Whether its program may share a guest with those of other bugs, because the user says that they trust each other.
    pub shares: bool,
}

/// Whose code a guest runs. A program is root in its guest, so it can write any report there: programs of two bugs are in
/// one guest only where the user says so, and never with the agent's own reproducers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tenant<'a> {
    /// The agent's own reproducers.
    Ours,
    /// The program of one bug, under however many profiles.
    Program(&'a BugId),
    /// Programs that trust each other.
    Trusting,
}

impl<'a> Trial<'a> {
    /// What its report is weighed by.
    pub fn ran(&self) -> Ran<'a> {
        Ran { sysctls: &self.profile.sysctls, own_program: self.program.is_some() }
    }

    /// Whose guest it runs in.
    fn tenant(&self) -> Tenant<'a> {
        match self.program {
            None => Tenant::Ours,
            Some(_) if self.shares => Tenant::Trusting,
            Some(_) => Tenant::Program(self.bug),
        }
    }

    /// The other bugs whose own programs are in its guest, where its own is a program.
    fn shared_with(&self, guest: &[Self]) -> Vec<BugId> {
        let others = guest.iter().filter(|other| self.program.is_some() && other.bug != self.bug);
        let others: BTreeSet<&BugId> = others.map(|other| other.bug).collect();
        others.into_iter().cloned().collect()
    }

    /// Its job's id.
    pub fn id(&self) -> JobId {
        JobId { bug: self.bug.clone(), profile: self.profile.name.clone() }
    }

    /// Its job, which may take `patience` times as long as on a quiet host.
    fn job(&self, natural: bool, patience: u32) -> Job {
        let natural_road = if natural { NATURAL_DEADLINE } else { 1 };
        let deadline = self.reproducer.deadline.saturating_mul(natural_road * patience);
        let deadline_ms = u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX);
        let (id, sysctls) = (self.id().to_string(), self.profile.sysctls.clone());
        let program = self.program.map(|program| program.name().to_owned());
        Job { id, program, sysctls, natural, ..Job::new(self.bug.as_str(), deadline_ms) }
    }
}

/// The trials that can share a boot: those whose profiles have the same words for the kernel's command line, and that run
/// the code of the same [`Tenant`].
fn by_guest<'a>(trials: &[Trial<'a>]) -> VecDeque<Vec<Trial<'a>>> {
    let mut groups: VecDeque<Vec<Trial>> = VecDeque::new();
    for trial in trials {
        let guest = |trial: &Trial<'a>| (trial.profile.cmdline.as_ref(), trial.tenant());
        let same = |group: &&mut Vec<Trial<'a>>| group.iter().all(|other| guest(other) == guest(trial));
        match groups.iter_mut().find(same) {
            Some(group) => group.push(*trial),
            None => groups.push_back(vec![*trial]),
        }
    }
    groups
}

/// Boots a kernel until each job has a boot that settles it.
///
/// The agent's reproducers share one boot, but for those under a kernel command line of their own; each user's program has
/// a boot of its own, unless the user lets some share one. Where a shared guest dies after it had come up, nobody can say which of them killed it, nor whether those that had reported saw a sound kernel: each
/// then gets a boot of its own. That is no second try: one that dies alone has its answer; and where none does, the
/// death stays on record as unexplained, and the run does not end as if nothing had been.
pub async fn boot_all(bench: &Bench<'_>, trials: &[Trial<'_>]) -> BTreeMap<JobId, Booted> {
    let mut settled: BTreeMap<JobId, Booted> = BTreeMap::new();
    let mut groups = by_guest(trials);
    let mut number = 0;
    let mut died_together: Vec<(Vec<JobId>, String)> = Vec::new();
    while let Some(group) = groups.pop_front() {
        number += 1;
        let id = BootId { kernel: bench.entry.name.clone(), number };
        let turn = bench.lab.accelerator.turn().await;
        let accel = turn.accel();
        let (end, next) = match boot_once(bench, &id, &group, accel).await {
            Ok(boot) => (BootEnd::of(&boot, bench.lab.jobs), turn.finish(&boot)),
            Err(why) => (BootEnd::untried(&why), Next::Done),
        };
        let jobs: Vec<JobId> = group.iter().map(Trial::id).collect();
        let _ = bench.events.send(Event::BootEnded(BootRecord {
            kernel: id.kernel.clone(),
            number,
            accelerator: accel,
            jobs: jobs.clone(),
            seconds: milliseconds(end.seconds),
            failure: end.failure.clone(),
            notes: end.notes.iter().take(MAX_NOTES).cloned().collect(),
        }));
        for trial in &group {
            let booted = settled.entry(trial.id()).or_default();
            booted.folders.push(id.folder());
            booted.seconds += end.seconds;
            booted.end = end.clone();
            booted.shared_with = trial.shared_with(&group);
        }
        if let Next::BootAgain { why } = next {
            let _ = bench.events.send(Event::AcceleratorFellBack { why });
            groups.push_front(group);
        } else if let (Some(failure), true, true) = (end.failure, end.release.is_some(), group.len() > 1) {
            died_together.push((jobs, failure));
            groups.extend(group.into_iter().map(|trial| vec![trial]));
        }
    }
    for (jobs, failure) in died_together {
        let died_alone = |job| settled.get(job).is_some_and(|booted| booted.end.failure.is_some());
        if jobs.iter().any(died_alone) {
            continue;
        }
        for job in &jobs {
            if let Some(booted) = settled.get_mut(job) {
                booted.unexplained = Some(failure.clone());
            }
        }
    }
    settled
}

/// Seconds as files have them.
pub(super) fn milliseconds(seconds: f64) -> f64 {
    (seconds * 1000.0).round() / 1000.0
}

/// Boots a kernel with these trials, which have the same command line.
async fn boot_once(bench: &Bench<'_>, id: &BootId, trials: &[Trial<'_>], accel: Accel) -> anyhow::Result<Boot> {
    let settings = &bench.entry.guest;
    let cpus = settings.cpus.unwrap_or(CPUS);
    let patience = HostLoad::beside(bench.lab.jobs, cpus).patience();
    let plan = Plan {
        version: VERSION,
        modules: bench.modules.iter().map(|module| guest::module_file(&module.name)).collect(),
        jobs: trials.iter().map(|trial| trial.job(bench.natural, patience)).collect(),
    };
    let mut programs: Vec<&GuestProgram> = Vec::new();
    for program in trials.iter().filter_map(|trial| trial.program) {
        // Once, under however many profiles it runs.
        if programs.iter().all(|known| known.name() != program.name()) {
            programs.push(program);
        }
    }
    let size: usize = programs.iter().map(|program| program.bytes().len()).sum();
    let initramfs = guest::initramfs(&plan, bench.modules, &programs)?;
    // Kept by content: the same kernel, agent and plan make the same bytes, however often they boot.
    let kept = bench.lab.store.keep(&initramfs)?;
    let profile = trials.first().and_then(|trial| trial.profile.cmdline.as_deref());
    let words: Vec<&str> = settings.cmdline.as_deref().into_iter().chain(profile).collect();
    let recording = Recording {
        image: bench.kernel.image.clone(),
        image_sha256: bench.kernel.image_sha256.clone(),
        // By the image itself: the name of its package is no part of what is booted.
        release: image_release(&bench.kernel.image)?,
        initramfs: kept.path.clone(),
        initramfs_sha256: kept.sha256.clone(),
        cmdline: (!words.is_empty()).then(|| words.join(" ")),
        machine: settings.machine.unwrap_or_default(),
        memory_mib: settings.memory_mib.unwrap_or_else(|| usual_memory_mib(size)),
        cpus,
        boot_limit: settings.timeout,
        accel,
        plan,
        script: Vec::new(),
    };
    let spec = recording.spec(initramfs);
    let boot = watch(bench.lab, id, recording, spec, bench.events).await;
    drop(kept);
    Ok(boot)
}

/// The usual memory of a guest with so many bytes of programs: it has them twice while it unpacks its initramfs.
fn usual_memory_mib(programs: usize) -> u32 {
    MEMORY_MIB.saturating_add(u32::try_from(programs.div_ceil(1 << 20)).unwrap_or(u32::MAX).saturating_mul(2))
}

/// Boots a recorded guest again.
///
/// # Errors
/// Where a file that it was booted from has gone or changed.
pub async fn boot_again(
    lab: &Lab,
    id: &BootId,
    recording: Recording,
    events: &UnboundedSender<Event>,
) -> Result<BootEnd, RecordingError> {
    // What is gone already is told by loading it; what cannot be leased can be read all the same.
    let _leases = lab.store.leases([recording.image.as_path(), recording.initramfs.as_path()]);
    let spec = recording.load()?;
    Ok(BootEnd::of(&watch(lab, id, recording, spec, events).await, lab.jobs))
}

/// Boots a guest and tells what happens to it.
async fn watch(lab: &Lab, id: &BootId, recording: Recording, spec: GuestSpec, events: &UnboundedSender<Event>) -> Boot {
    let accel = spec.accel;
    let deadlines = recording.deadlines(lab.jobs);
    let mut recording = Some(recording);
    let tell = |event: Event| drop(events.send(event));
    let mut observe = |seen: Observed<'_>| match seen {
        Observed::Command(command) => {
            if let Some(mut recording) = recording.take() {
                recording.script = command.script(&recording.initramfs);
                tell(Event::BootStarted { boot: id.clone(), accel, recording: Box::new(recording) });
            }
        }
        Observed::Stage(stage) => tell(Event::Stage { boot: id.clone(), stage }),
        Observed::Console(bytes) => tell(Event::Console { boot: id.clone(), bytes: bytes.to_vec() }),
        Observed::Qmp(line) => tell(Event::Qmp { boot: id.clone(), line: line.json.clone() }),
        Observed::Message(Message::Note { text }) => {
            tell(Event::Note { kernel: id.kernel.clone(), text: text.clone() });
        }
        Observed::Message(_) => {}
    };
    lab.hypervisor.boot(&lab.shim, &spec, &deadlines, &mut observe).await
}

#[cfg(test)]
#[path = "boot_all_tests.rs"]
mod boot_all_tests;
#[cfg(test)]
#[path = "boots_tests.rs"]
mod tests;
