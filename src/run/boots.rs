//! Boots one kernel until all its questions are settled: usually once.

use std::collections::BTreeMap;

use backproof_protocol::{Message, Plan, VERSION};
use tokio::sync::mpsc::UnboundedSender;

use super::boot_end::BootEnd;
use super::engine::Lab;
use super::event::{BootId, BootRecord, Event};
use super::recording::{Recording, RecordingError};
use super::trial::{Trial, by_guest};
use crate::guest::{self, GuestProgram};
use crate::kernel::{Kernel, Module, image_release};
use crate::matrix::KernelEntry;
use crate::vm::{Accel, Boot, GuestSpec, HostLoad, Next, Observed, Transcript, VirtualTime};
use crate::words::{BugId, JobId};

/// Default guest memory. Debian's kernels use 100 MiB of it themselves.
const MEMORY_MIB: u32 = 256;

/// Default guest processors. Reproducers mostly wait, and a second emulated processor makes the boot slower.
const CPUS: u32 = 1;

/// The most remarks of one boot to keep.
const MAX_NOTES: usize = 50;

/// The boot that settled a job, and all boots that ran it.
#[derive(Clone, Debug, Default)]
pub struct Booted {
    /// How the last one ended.
    pub end: BootEnd,
    /// The folders of all of them.
    pub folders: Vec<String>,
    /// Their wall time in seconds.
    pub seconds: f64,
    /// How a shared guest died, if none of its reproducers killed a guest alone.
    pub unexplained: Option<String>,
    /// Other bugs whose programs ran in the last guest, and could have written this report.
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
    /// Receives the events.
    pub events: &'a UnboundedSender<Event>,
    /// Whether to run the natural checks too.
    pub natural: bool,
}

/// Boots a kernel until each job has a boot that settles it.
///
/// The agent's reproducers share one boot per kernel command line. Each user's program boots alone, unless the user lets
/// some share a guest. If a shared guest dies after it came up, any of its reproducers may be the cause, so each boots
/// alone. That is no retry: if one dies alone, that is its answer; if none does, the crash is recorded as unexplained.
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
        let time = bench.lab.timing.of(accel, cpus(bench.entry));
        let (end, next, refused) = match boot_once(bench, &id, &group, accel, time).await {
            Ok(boot) => (BootEnd::of(&boot, bench.lab.jobs), turn.finish(&boot), bench.lab.timing.learn(&boot)),
            Err(why) => (BootEnd::untried(&why), Next::Done, None),
        };
        let jobs: Vec<JobId> = group.iter().map(Trial::id).collect();
        let _ = bench.events.send(Event::BootEnded(BootRecord {
            kernel: id.kernel.clone(),
            number,
            accelerator: accel,
            time,
            transcript_sha256: end.transcript_sha256.clone(),
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
        } else if let Some(why) = refused {
            let _ = bench.events.send(Event::TimeFellBack { why });
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
async fn boot_once(
    bench: &Bench<'_>,
    id: &BootId,
    trials: &[Trial<'_>],
    accel: Accel,
    time: Option<VirtualTime>,
) -> anyhow::Result<Boot> {
    let settings = &bench.entry.guest;
    let cpus = cpus(bench.entry);
    // A guest in virtual time doesn't notice the host's load.
    let patience = time.map_or_else(|| HostLoad::beside(bench.lab.jobs, cpus).patience(), |_| 1);
    let plan = Plan {
        version: VERSION,
        modules: bench.modules.iter().map(|module| guest::module_file(&module.name)).collect(),
        jobs: trials.iter().map(|trial| trial.job(bench.natural, patience)).collect(),
    };
    let mut programs: Vec<&GuestProgram> = Vec::new();
    for program in trials.iter().filter_map(|trial| trial.program) {
        // One copy serves all profiles.
        if programs.iter().all(|known| known.name() != program.name()) {
            programs.push(program);
        }
    }
    let size: usize = programs.iter().map(|program| program.bytes().len()).sum();
    let initramfs = guest::initramfs(&plan, bench.modules, &programs)?;
    // Stored by content: the same kernel, agent and plan give the same bytes.
    let kept = bench.lab.store.keep(&initramfs)?;
    let profile = trials.first().and_then(|trial| trial.profile.cmdline.as_deref());
    let words: Vec<&str> = settings.cmdline.as_deref().into_iter().chain(profile).collect();
    let recording = Recording {
        image: bench.kernel.image.clone(),
        image_sha256: bench.kernel.image_sha256.clone(),
        // From the image, because the package's name is not booted.
        release: image_release(&bench.kernel.image)?,
        initramfs: kept.path.clone(),
        initramfs_sha256: kept.sha256.clone(),
        cmdline: (!words.is_empty()).then(|| words.join(" ")),
        machine: settings.machine.unwrap_or_default(),
        memory_mib: settings.memory_mib.unwrap_or_else(|| usual_memory_mib(size)),
        cpus,
        boot_limit: settings.timeout,
        accel,
        time,
        qemu: bench.lab.hypervisor.banner().to_owned(),
        plan,
        script: Vec::new(),
    };
    let spec = recording.spec(initramfs);
    let boot = watch(bench.lab, id, recording, spec, bench.events).await;
    drop(kept);
    Ok(boot)
}

/// A guest's processors.
fn cpus(entry: &KernelEntry) -> u32 {
    entry.guest.cpus.unwrap_or(CPUS)
}

/// Default memory with these bytes of programs, which are in memory twice while the initramfs is unpacked.
fn usual_memory_mib(programs: usize) -> u32 {
    MEMORY_MIB.saturating_add(u32::try_from(programs.div_ceil(1 << 20)).unwrap_or(u32::MAX).saturating_mul(2))
}

/// Boots a recorded guest again.
///
/// # Errors
/// If a file of the recording is missing or has changed.
pub async fn boot_again(
    lab: &Lab,
    id: &BootId,
    recording: Recording,
    events: &UnboundedSender<Event>,
) -> Result<(BootEnd, Transcript), RecordingError> {
    // Loading reports missing files, and works without a lease.
    let _leases = lab.store.leases([recording.image.as_path(), recording.initramfs.as_path()]);
    let spec = recording.load()?;
    let boot = watch(lab, id, recording, spec, events).await;
    Ok((BootEnd::of(&boot, lab.jobs), boot.transcript))
}

/// Boots a guest and sends its events.
async fn watch(lab: &Lab, id: &BootId, recording: Recording, spec: GuestSpec, events: &UnboundedSender<Event>) -> Boot {
    let (accel, time) = (spec.accel, spec.time);
    let deadlines = recording.deadlines(lab.jobs);
    let mut recording = Some(recording);
    let tell = |event: Event| drop(events.send(event));
    let mut observe = |seen: Observed<'_>| match seen {
        Observed::Command(command) => {
            if let Some(mut recording) = recording.take() {
                recording.script = command.script(&recording.initramfs);
                tell(Event::BootStarted { boot: id.clone(), accel, time, recording: Box::new(recording) });
            }
        }
        Observed::Stage(stage) => tell(Event::Stage { boot: id.clone(), stage }),
        Observed::Console(bytes) => tell(Event::Console { boot: id.clone(), bytes: bytes.to_vec() }),
        Observed::Agent(bytes) => tell(Event::Agent { boot: id.clone(), bytes: bytes.to_vec() }),
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
