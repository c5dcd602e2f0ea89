//! Boots one guest, or takes its boot from the cache.

use backproof_protocol::{Message, Plan, VERSION};
use jiff::Timestamp;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc::UnboundedSender;

use super::autoload::modules_of;
use super::boot_cache::{BootKey, CacheUse, CachedBoot};
use super::boot_end::BootEnd;
use super::boots::Bench;
use super::engine::Lab;
use super::event::{BootId, Event};
use super::guest_size::{cpus, disks, memory_mib};
use super::recording::{Recording, RecordingError};
use super::settle::Settlement;
use super::trial::{Trial, reach_of};
use crate::guest::{self, GuestProgram};
use crate::kernel::{BootImage, FileError, Kept, Leases, hex, image_release};
use crate::verdict::Boots;
use crate::vm::{
    Accel, Boot, GuestDisk, GuestSpec, HostLoad, Next, Observed, QemuCommand, Transcript, VirtualTime, watch_recorded,
};

/// One boot of a guest.
pub(super) struct GuestBoot {
    pub(super) accel: Accel,
    /// Its virtual time; None for the host's.
    pub(super) time: Option<VirtualTime>,
    pub(super) end: BootEnd,
    /// What it showed of each trial, in their order.
    pub(super) settled: Vec<Settlement>,
    /// When it was made, if it was taken from the cache.
    pub(super) cached: Option<Timestamp>,
    /// Sha256 of everything that its answer depends on, if that is known.
    pub(super) inputs_sha256: Option<String>,
    /// How its transcript differs from the cached one, if it does.
    pub(super) differs: Option<String>,
    /// Whether KVM failed it.
    pub(super) next: Next,
    /// Why QEMU could not count its instructions.
    pub(super) refused: Option<String>,
}

/// Boots a guest with these trials, which have the same command line. None if there is no such schedule: a guest in real time
/// has only the first, beside those that confirm it.
pub(super) async fn boot_guest(
    bench: &Bench<'_>,
    number: u32,
    trials: &[Trial<'_>],
    schedule: u32,
) -> Option<GuestBoot> {
    let id = BootId { kernel: bench.entry.name.clone(), number };
    let turn = bench.lab.accelerator.turn().await;
    let accel = turn.accel();
    let time = bench.lab.timing.of(accel, cpus(bench.entry, trials), schedule);
    let is_seed = trials.iter().any(|trial| schedule < trial.seeds(bench.seeds));
    if time.is_none() && schedule > 0 && is_seed {
        return None;
    }
    let ended = |end: BootEnd| GuestBoot {
        accel,
        time,
        settled: settle(trials, &end),
        end,
        cached: None,
        inputs_sha256: None,
        differs: None,
        next: Next::Done,
        refused: None,
    };
    let image = boot_image(bench, accel).await;
    keep_rootfs(bench, trials).await;
    let guest = match Guest::prepare(bench, &image, trials, accel, time) {
        // In real time, the first boot has the same key, and cannot confirm itself.
        Ok(guest) if time.is_none() && schedule > 0 => Guest { key: None, ..guest },
        Ok(guest) => guest,
        Err(why) => return Some(ended(BootEnd::untried(&why))),
    };
    let inputs_sha256 = guest.key.as_ref().map(|key| key.as_str().to_owned());
    let known = guest.key.as_ref().and_then(|key| CachedBoot::read(&bench.lab.store, key));
    if bench.cache != CacheUse::Fresh
        && let Some(known) = &known
        && let Some(boot) = guest.cached(bench, known).await.map(ended)
        && are_answers(&boot.settled)
    {
        guest.tell_cached(bench, &id, known);
        return Some(GuestBoot { cached: Some(known.judged), inputs_sha256, ..boot });
    }
    if image.path != bench.kernel.image
        && let Err(why) = check_image(bench, image).await
    {
        return Some(ended(BootEnd::untried(&why)));
    }
    let Guest { recording, spec, key, .. } = guest;
    let boot = watch(bench.lab, &id, recording.clone(), spec, bench.events).await;
    let mut ended = ended(BootEnd::of(&boot, bench.lab.jobs));
    ended.inputs_sha256 = inputs_sha256;
    if let Some(key) = &key {
        ended.differs = known.as_ref().and_then(|known| known.difference(&boot));
        if let (Some(_), Some(known)) = (&ended.differs, known) {
            let cached = Box::new(known.transcript);
            let _ = bench.events.send(Event::TranscriptDiffers { boot: id.clone(), cached });
            // Neither is known to be right, so the next run boots it again.
            forget(bench, key);
        } else if let (Some(cached), true) = (CachedBoot::of(&boot), are_answers(&ended.settled)) {
            keep(bench, key, &recording, &cached);
        }
    }
    ended.refused = bench.lab.timing.learn(&boot);
    ended.next = turn.finish(&boot);
    Some(ended)
}

/// The image for QEMU: under emulation the unpacked kernel, where it can be entered.
async fn boot_image(bench: &Bench<'_>, accel: Accel) -> BootImage {
    let packed = bench.kernel.boot_image();
    if accel == Accel::Kvm {
        return packed;
    }
    let (kernel, store) = (bench.kernel.clone(), bench.lab.store.clone());
    // Unpacking keeps a processor busy.
    let direct = tokio::task::spawn_blocking(move || kernel.direct_image(&store)).await;
    direct.ok().flatten().unwrap_or(packed)
}

/// Writes a large rootfs to the cache in another thread, because this one listens to guests. An error is told by the guest
/// that needs it.
async fn keep_rootfs(bench: &Bench<'_>, trials: &[Trial<'_>]) {
    let Some(rootfs) = trials.iter().find_map(|trial| trial.program?.shared_rootfs()) else { return };
    let store = bench.lab.store.clone();
    let _ = tokio::task::spawn_blocking(move || rootfs.image().map(|image| image.kept(&store).is_ok())).await;
}

/// Checks the file of an unpacked kernel, and makes a damaged one again.
async fn check_image(bench: &Bench<'_>, image: BootImage) -> anyhow::Result<()> {
    let (kernel, store) = (bench.kernel.clone(), bench.lab.store.clone());
    let check = move || {
        let again = || kernel.direct_image(&store).is_some_and(|again| again.sha256 == image.sha256);
        Ok::<_, FileError>(image.is_intact(&store)? || again())
    };
    anyhow::ensure!(
        tokio::task::spawn_blocking(check).await??,
        "the unpacked kernel in the cache is damaged; check the disk"
    );
    Ok(())
}

/// A guest, ready to boot.
struct Guest {
    recording: Recording,
    spec: GuestSpec,
    /// Its place in the cache; None if such boots are not kept.
    key: Option<BootKey>,
    _initramfs: Kept,
    _image: Option<Leases>,
}

impl Guest {
    fn prepare(
        bench: &Bench<'_>,
        image: &BootImage,
        trials: &[Trial<'_>],
        accel: Accel,
        time: Option<VirtualTime>,
    ) -> anyhow::Result<Self> {
        let settings = &bench.entry.guest;
        let cpus = cpus(bench.entry, trials);
        // A guest in virtual time doesn't notice the host's load.
        let patience = time.map_or_else(|| HostLoad::beside(bench.lab.jobs, cpus).patience(), |_| 1);
        let modules = modules_of(bench.modules, trials);
        let plan = |patience| Plan {
            version: VERSION,
            modules: modules.iter().map(|module| guest::module_file(&module.name)).collect(),
            jobs: trials.iter().map(|trial| trial.job(bench.natural, patience)).collect(),
            reach: reach_of(bench.reach, trials),
        };
        let mut programs: Vec<&GuestProgram> = Vec::new();
        for program in trials.iter().filter_map(|trial| trial.program) {
            // One copy serves all profiles.
            if programs.iter().all(|known| known.folder() != program.folder()) {
                programs.push(program);
            }
        }
        let added = trials.iter().flat_map(|trial| trial.added).map(|module| module.bytes.len());
        let size = added.fold(GuestProgram::together(programs.iter().copied()), usize::saturating_add);
        let disks = disks(&bench.lab.store, trials)?;
        let initramfs = |plan: &Plan| guest::initramfs(plan, &modules, &programs);
        let its_plan = plan(patience);
        let archive = initramfs(&its_plan)?;
        // Stored by content: the same kernel, agent and plan give the same bytes.
        let kept = bench.lab.store.keep(&archive)?;
        let profile = trials.first().and_then(|trial| trial.profile.cmdline.as_deref());
        let words: Vec<&str> = settings.cmdline.as_deref().into_iter().chain(profile).collect();
        let mut recording = Recording {
            image: image.path.clone(),
            image_sha256: image.sha256.clone(),
            // From the image as it came, because the package's name is not booted.
            release: image_release(&bench.kernel.image)?,
            initramfs: kept.path.clone(),
            initramfs_sha256: kept.sha256.clone(),
            cmdline: (!words.is_empty()).then(|| words.join(" ")),
            machine: settings.machine.unwrap_or_default(),
            memory_mib: memory_mib(bench.entry, trials, size, &disks),
            cpus,
            disks,
            boot_limit: settings.timeout,
            accel,
            time,
            qemu: bench.lab.hypervisor.banner().to_owned(),
            qemu_sha256: None,
            plan: its_plan,
            script: Vec::new(),
        };
        let mut key = None;
        if bench.cache.keeps(&recording)
            && let Some(qemu) = bench.lab.qemu_sha256()
        {
            recording.qemu_sha256 = Some(qemu.to_owned());
            // In real time the deadlines of a plan depend on the host's load, and are no part of the question.
            let quiet =
                if patience == 1 { kept.sha256.clone() } else { hex(Sha256::new_with_prefix(initramfs(&plan(1))?)) };
            let spec = recording.spec(Vec::new());
            let command = QemuCommand::new(bench.lab.hypervisor.program(), &spec).ok();
            key = command.map(|command| BootKey::of(&recording, &command, &quiet, qemu));
        }
        let leases = bench.lab.store.leases([image.path.as_path()])?;
        let spec = recording.spec(archive);
        Ok(Self { recording, spec, key, _initramfs: kept, _image: leases })
    }

    /// The end of the cached boot; None if it has not finished by today's rules.
    async fn cached(&self, bench: &Bench<'_>, known: &CachedBoot) -> Option<BootEnd> {
        let boot = watch_recorded(&self.spec, &known.transcript, known.death, &mut |_| {}).await;
        let is_whole = if known.death.is_some() { boot.own_death.is_some() } else { boot.end.is_ok() };
        is_whole.then(|| BootEnd { seconds: 0.0, ..BootEnd::of(&boot, bench.lab.jobs) })
    }

    /// Sends the events of the cached boot.
    fn tell_cached(&self, bench: &Bench<'_>, id: &BootId, known: &CachedBoot) {
        let tell = |event: Event| drop(bench.events.send(event));
        if let Ok(command) = QemuCommand::new(bench.lab.hypervisor.program(), &self.spec) {
            tell(started(id, self.recording.clone(), &command));
        }
        tell(Event::Console { boot: id.clone(), bytes: known.transcript.console.clone() });
        tell(Event::Agent { boot: id.clone(), bytes: known.transcript.agent.clone() });
    }
}

/// How a boot settles each of these trials.
fn settle(trials: &[Trial<'_>], end: &BootEnd) -> Vec<Settlement> {
    trials.iter().map(|trial| trial.settle(end, trials.len() == 1)).collect()
}

/// Whether each trial has an answer.
fn are_answers(settled: &[Settlement]) -> bool {
    !settled.iter().any(|settlement| matches!(settlement.boots, Boots::Broke(_)))
}

fn keep(bench: &Bench<'_>, key: &BootKey, recording: &Recording, boot: &CachedBoot) {
    if let Err(error) = boot.write(&bench.lab.store, key, &bench.entry.name, recording) {
        tracing::warn!(kernel = %bench.entry.name, %error, "a boot is not cached");
    }
}

fn forget(bench: &Bench<'_>, key: &BootKey) {
    if let Err(error) = CachedBoot::remove(&bench.lab.store, key) {
        tracing::warn!(kernel = %bench.entry.name, %error, "a cached boot that differs stays in the cache");
    }
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
    let disks = recording.disks.iter().filter_map(GuestDisk::file).map(|(path, _)| path);
    let _leases = lab.store.leases([recording.image.as_path(), recording.initramfs.as_path()].into_iter().chain(disks));
    let spec = recording.load()?;
    let boot = watch(lab, id, recording, spec, events).await;
    Ok((BootEnd::of(&boot, lab.jobs), boot.transcript))
}

/// That a boot starts, with all that is needed to repeat it.
fn started(id: &BootId, mut recording: Recording, command: &QemuCommand) -> Event {
    recording.script = command.script(&recording.initramfs);
    let (accel, time) = (recording.accel, recording.time);
    Event::BootStarted { boot: id.clone(), accel, time, recording: Box::new(recording) }
}

/// Boots a guest and sends its events.
async fn watch(lab: &Lab, id: &BootId, recording: Recording, spec: GuestSpec, events: &UnboundedSender<Event>) -> Boot {
    let deadlines = recording.deadlines(lab.jobs);
    let mut recording = Some(recording);
    let tell = |event: Event| drop(events.send(event));
    let mut observe = |seen: Observed<'_>| match seen {
        Observed::Command(command) => {
            if let Some(recording) = recording.take() {
                tell(started(id, recording, command));
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
