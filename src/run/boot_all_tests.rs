//! Which boots a kernel gets, and what they come to, with scripts in QEMU's place.

use std::path::Path;
use std::sync::OnceLock;

use tokio::sync::mpsc;

use super::super::trial::tests::trial;
use super::*;
use crate::kernel::{self, Obtain, Store, fixtures};
use crate::matrix::{Bugs, Profile, Source};
use crate::shim::Shim;
use crate::vm::fake::{Act, Scripts, agent, console, exit, exit_saying, shutdown, wait};
use crate::vm::{AccelChoice, Accelerator, Hypervisor, OLDEST, TimeChoice, Timing};

#[path = "reach_boots_tests.rs"]
mod reach;
#[path = "retry_boots_tests.rs"]
mod retry;

const BOOTED: &str = "[    0.000000] Linux version 6.1.0\r\n[    2.000000] Run /init as init process\r\n";
const HELLO: &str = r#"{"type":"hello","version":3,"agent":"0","release":"6.1.0","build":"","cpus":1,"uptime_ms":2100,"features":{}}
"#;

/// A guest that comes up, runs these jobs, and ends as it should.
fn sound(jobs: &[&str]) -> Vec<Act> {
    let mut acts = vec![wait(100), console(BOOTED), agent(HELLO)];
    jobs.iter().for_each(|job| acts.extend(reports(job, "not-affected", "no")));
    acts.push(agent(&format!("{{\"type\":\"end\",\"reports\":{}}}\n", jobs.len())));
    acts.extend([console("[    3.000000] reboot: machine restart\r\n"), shutdown("guest-reset"), exit(0)]);
    acts
}

/// A job that starts and reports this, with what its recipe showed.
fn reports(job: &str, conclusion: &str, shown: &str) -> [Act; 2] {
    let check = |role, shown| format!(r#"{{"name":"{role}","role":"{role}","shown":"{shown}","why":""}}"#);
    let checks = [check("recipe", shown), check("negative-control", "no"), check("positive-control", "yes")].join(",");
    let report = format!(
        r#"{{"type":"report","job":"{job}","conclusion":"{conclusion}","why":"","checks":[{checks}],"took_ms":1}}"#
    );
    [agent(&format!("{{\"type\":\"started\",\"job\":\"{job}\"}}\n")), agent(&(report + "\n"))]
}

/// A guest that comes up and panics.
fn panics() -> Vec<Act> {
    let panic = console("[    2.5] Kernel panic - not syncing: x\r\n");
    vec![wait(100), console(BOOTED), agent(HELLO), panic, exit(0)]
}

/// A guest that panics after these jobs have reported, while `running` runs.
fn panics_after(jobs: &[&str], running: Option<&str>) -> Vec<Act> {
    let mut acts = sound(jobs);
    // Without its end, restart and exit.
    acts.truncate(acts.len() - 4);
    acts.extend(running.map(|job| agent(&format!("{{\"type\":\"started\",\"job\":\"{job}\"}}\n"))));
    acts.extend([console("[    2.5] Kernel panic - not syncing: x\r\n"), exit(0)]);
    acts
}

/// The same, if something on the host kills QEMU instead.
fn killed_after(jobs: &[&str], running: &str) -> Vec<Act> {
    let mut acts = panics_after(jobs, Some(running));
    acts.truncate(acts.len() - 2);
    acts.push(exit(9));
    acts
}

/// A guest that KVM cannot run.
fn refused() -> Vec<Act> {
    vec![exit_saying(6 << 8, &["qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69"])]
}

/// What boots of a kernel for two bugs came to.
struct Booting {
    /// The boots: under which accelerator, and of which jobs.
    played: Vec<String>,
    /// What each job came to (`sound`, or how its guest died), and whether a death is unexplained.
    ends: Vec<(String, bool)>,
    accelerator: String,
    settled: Vec<Booted>,
    records: Vec<BootRecord>,
    differing: usize,
}

/// Which boots to make of it.
struct Setup {
    choice: AccelChoice,
    cache: CacheUse,
    seeds: u32,
    confirm: u32,
    jobs: usize,
    reach: Vec<String>,
    /// Whether only the first bug is judged.
    alone: bool,
}

const PLAIN: Setup = Setup {
    choice: AccelChoice::Tcg,
    cache: CacheUse::Virtual,
    seeds: 1,
    confirm: 1,
    jobs: 1,
    reach: Vec::new(),
    alone: false,
};

/// Boots a kernel for two bugs by these scripts, with a cache of its own.
async fn boots(choice: AccelChoice, scripts: Vec<Vec<Act>>) -> (Vec<String>, Vec<(String, bool)>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let booting = boots_in(folder.path(), Setup { choice, ..PLAIN }, scripts).await;
    (booting.played, booting.ends, booting.accelerator)
}

/// The same with the cache in this folder.
async fn boots_in(folder: &Path, setup: Setup, scripts: Vec<Vec<Act>>) -> Booting {
    let image = folder.join("bzImage");
    std::fs::write(&image, fixtures::bzimage("6.1.0")).expect("a file");
    let device = folder.join("kvm");
    std::fs::write(&device, "").expect("a file");
    let lab = Arc::new(Lab {
        store: Store::open(Some(folder.join("cache"))).expect("a cache"),
        hypervisor: Hypervisor::Scripted(Scripts::new(scripts)),
        accelerator: Accelerator::with_device(setup.choice, &device),
        timing: Timing::new(TimeChoice::Auto, 1..=1, OLDEST),
        shim: Shim::at("/nonexistent".into()),
        offline: true,
        refresh: false,
        jobs: setup.jobs,
        qemu_sha256: OnceLock::new(),
    });
    let source = Source::Image { image, modules: None, config: None };
    let with =
        Obtain { store: &lab.store, shim: &lab.shim, offline: true, refresh: false, locked: None, tell: &|_| {} };
    let kernel = kernel::obtain(&source, &with).expect("a kernel");
    let bugs = Bugs::built_in();
    let bugs: Vec<&crate::matrix::Bug> = bugs.iter().take(if setup.alone { 1 } else { 2 }).collect();
    let ids: Vec<BugId> = bugs.iter().map(|bug| bug.id.clone()).collect();
    let entry = KernelEntry::plain("a-kernel".parse().expect("a name"), source, ids.clone());
    let profile = Profile::default_for(ids);
    let trials: Vec<Trial> = bugs.iter().map(|bug| trial(bug, &profile)).collect();
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let bench = Bench {
        entry: &entry,
        kernel: &kernel,
        modules: &[],
        lab: &lab,
        places: &Arc::new(Semaphore::new(setup.jobs - 1)),
        events: &sender,
        natural: false,
        cache: setup.cache,
        seeds: setup.seeds,
        confirm: setup.confirm,
        reach: &setup.reach,
        booted: &AtomicU32::new(0),
        control: None,
    };
    let settled = boot_all(&bench, &trials).await;
    let settled: Vec<Booted> =
        trials.iter().map(|trial| settled.get(&trial.id()).expect("a boot of each job").clone()).collect();
    let come_to = |booted: &Booted| {
        let end = match &booted.settlement.boots {
            Boots::Broke(reason) => reason.lines().next().unwrap_or_default(),
            _ => "sound",
        };
        (end.to_owned(), booted.unexplained.is_some())
    };
    let Hypervisor::Scripted(scripts) = &lab.hypervisor else { panic!("scripts") };
    let (mut records, mut differing) = (Vec::new(), 0);
    while let Ok(event) = receiver.try_recv() {
        match event {
            Event::BootEnded(record) => records.push(record),
            Event::TranscriptDiffers { .. } => differing += 1,
            _ => {}
        }
    }
    Booting {
        played: scripts.played(),
        ends: settled.iter().map(come_to).collect(),
        accelerator: lab.accelerator.summary(),
        settled,
        records,
        differing,
    }
}

const ONE: &str = "tcp-fragment-stall";
const OTHER: &str = "syn-cookie-data-loss";

#[tokio::test(start_paused = true)]
async fn guests_that_die_together_are_booted_alone() {
    let both = format!("tcg: {ONE} {OTHER}");
    let (alone, other) = (format!("tcg: {ONE}"), format!("tcg: {OTHER}"));
    let sound_one = ("sound".to_owned(), false);
    for (scripts, played, come_to) in [
        (vec![sound(&[ONE, OTHER])], vec![both.clone()], [sound_one.clone(), sound_one.clone()]),
        // One dies alone: it has its answer, and the other stands.
        (
            vec![panics(), sound(&[ONE]), panics()],
            vec![both.clone(), alone.clone(), other.clone()],
            [sound_one.clone(), ("panic: x (the agent runs)".to_owned(), false)],
        ),
        // A report before the death stands if the job that it interrupted dies alone.
        (
            vec![panics_after(&[ONE], Some(OTHER)), panics()],
            vec![both.clone(), other.clone()],
            [sound_one.clone(), ("panic: x (the agent runs)".to_owned(), false)],
        ),
        // Else its job is the next suspect, and may die alone, late.
        (
            vec![panics_after(&[ONE], Some(OTHER)), sound(&[OTHER]), panics_after(&[ONE], None)],
            vec![both.clone(), other.clone(), alone.clone()],
            [("panic: x (the agent runs)".to_owned(), false), sound_one.clone()],
        ),
        (
            vec![panics_after(&[ONE, OTHER], None), sound(&[OTHER]), sound(&[ONE])],
            vec![both.clone(), other.clone(), alone.clone()],
            [("sound".to_owned(), true), ("sound".to_owned(), true)],
        ),
        // The last to report is the first suspect: it may have died late, and another that had not started explains nothing.
        (
            vec![panics_after(&[ONE], None), panics_after(&[ONE], None), panics()],
            vec![both.clone(), alone.clone(), other.clone()],
            [("panic: x (the agent runs)".to_owned(), false), ("panic: x (the agent runs)".to_owned(), false)],
        ),
        // Something on the host killed QEMU: no report counts, and the guest is not to blame.
        (
            vec![killed_after(&[ONE], OTHER), sound(&[ONE, OTHER])],
            vec![both.clone(), both.clone()],
            [sound_one.clone(), sound_one.clone()],
        ),
        // None dies alone: the verdicts stand, and the death stays unexplained.
        (
            vec![panics(), sound(&[ONE]), sound(&[OTHER])],
            vec![both.clone(), alone.clone(), other.clone()],
            [("sound".to_owned(), true), ("sound".to_owned(), true)],
        ),
    ] {
        let (boots, ends, _) = boots(AccelChoice::Tcg, scripts).await;
        assert_eq!(boots, played);
        assert_eq!(ends, come_to, "{played:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn qemu_without_icount_boots_again_in_real_time() {
    let refuses = vec![exit_saying(1 << 8, &["qemu: cannot configure icount, TCG support not available"])];
    let (boots, ends, _) = boots(AccelChoice::Tcg, vec![refuses, sound(&[ONE, OTHER])]).await;
    assert_eq!(boots, [format!("tcg: {ONE} {OTHER}"), format!("tcg: {ONE} {OTHER}")]);
    assert!(ends.iter().all(|end| *end == ("sound".to_owned(), false)), "{ends:?}");
}

#[tokio::test(start_paused = true)]
async fn kvm_that_runs_no_guest_gives_way_once() {
    let (boots, ends, accelerator) = boots(AccelChoice::Auto, vec![refused(), sound(&[ONE, OTHER])]).await;
    assert_eq!(boots, [format!("kvm: {ONE} {OTHER}"), format!("tcg: {ONE} {OTHER}")]);
    assert!(ends.iter().all(|end| *end == ("sound".to_owned(), false)), "{ends:?}");
    assert!(accelerator.starts_with("tcg: /dev/kvm opens, but"), "{accelerator}");
}

#[tokio::test(start_paused = true)]
async fn finished_boot_is_taken_from_the_cache() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = boots_in(folder.path(), PLAIN, vec![sound(&[ONE, OTHER])]).await;
    assert_eq!((first.played.len(), first.records[0].cached), (1, None));
    let second = boots_in(folder.path(), PLAIN, Vec::new()).await;
    assert!(second.played.is_empty() && second.records[0].cached.is_some(), "{:?}", second.records);
    assert_eq!(second.records[0].transcript_sha256, first.records[0].transcript_sha256);
    assert_eq!(second.ends, first.ends);
    assert!(second.settled.iter().all(|booted| booted.cached.is_some() && booted.folders == ["boot-1"]));
    // --fresh boots it all the same, and compares.
    let fresh = Setup { cache: CacheUse::Fresh, ..PLAIN };
    let third = boots_in(folder.path(), fresh, vec![sound(&[ONE, OTHER])]).await;
    assert_eq!((third.played.len(), third.differing), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn damaged_cached_boot_is_made_again() {
    let folder = tempfile::tempdir().expect("a folder");
    boots_in(folder.path(), PLAIN, vec![sound(&[ONE, OTHER])]).await;
    let records = std::fs::read_dir(folder.path().join("cache/boots")).expect("a folder");
    let file = records.flatten().next().expect("a record").path();
    let whole = std::fs::read(&file).expect("a record");
    for at in (0..whole.len()).step_by(97) {
        let mut flipped = whole.clone();
        flipped[at] ^= 4;
        std::fs::write(&file, flipped).expect("a record");
        let booting = boots_in(folder.path(), PLAIN, vec![sound(&[ONE, OTHER])]).await;
        assert_eq!(booting.played.len(), 1, "byte {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn broken_boot_is_never_cached() {
    let folder = tempfile::tempdir().expect("a folder");
    let dies = || vec![panics(), panics(), panics()];
    for _ in 0..2 {
        let booting = boots_in(folder.path(), PLAIN, dies()).await;
        assert_eq!(booting.played.len(), 3);
    }
    assert_eq!(std::fs::read_dir(folder.path().join("cache/boots")).expect("a folder").count(), 0);
}

#[tokio::test(start_paused = true)]
async fn transcript_unlike_the_cached_one_is_an_alarm() {
    let folder = tempfile::tempdir().expect("a folder");
    boots_in(folder.path(), PLAIN, vec![sound(&[ONE, OTHER])]).await;
    let mut other = sound(&[ONE, OTHER]);
    other.insert(1, console("[    0.000001] Something new\r\n"));
    let fresh = || Setup { cache: CacheUse::Fresh, ..PLAIN };
    let booting = boots_in(folder.path(), fresh(), vec![other]).await;
    assert_eq!(booting.differing, 1);
    assert!(booting.settled.iter().all(|booted| booted.differs.is_some()));
    assert!(booting.records[0].difference().is_some_and(|text| text.contains("console.log line 1")));
    // Neither is trusted, so the next run boots again.
    assert_eq!(boots_in(folder.path(), PLAIN, vec![sound(&[ONE, OTHER])]).await.played.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn each_seed_is_a_boot_of_its_own_also_beside_others() {
    for jobs in [1, 3] {
        let folder = tempfile::tempdir().expect("a folder");
        let setup = Setup { seeds: 4, jobs, ..PLAIN };
        let booting = boots_in(folder.path(), setup, vec![sound(&[ONE, OTHER]); 4]).await;
        assert_eq!(booting.played.len(), 4, "{jobs}");
        let mut seeds: Vec<u32> = booting.records.iter().filter_map(|record| Some(record.time?.seed)).collect();
        seeds.sort_unstable();
        assert_eq!(seeds, [1, 2, 3, 4]);
        let booted = &booting.settled[0];
        assert_eq!(booted.folders, ["boot-1", "boot-2", "boot-3", "boot-4"]);
        assert_eq!(booted.seeds.expect("a count").tried, 4);
    }
}

#[tokio::test(start_paused = true)]
async fn one_seed_whose_guest_dies_leaves_the_cell_open() {
    let folder = tempfile::tempdir().expect("a folder");
    let scripts = vec![sound(&[ONE, OTHER]), panics(), sound(&[ONE, OTHER]), panics(), sound(&[OTHER])];
    let booting = boots_in(folder.path(), Setup { seeds: 3, ..PLAIN }, scripts).await;
    let ends: Vec<&str> = booting.ends.iter().map(|(end, _)| end.as_str()).collect();
    assert_eq!(ends, ["seed 2: panic: x (the agent runs)", "sound"], "{:?}", booting.played);
    assert_eq!(booting.settled[0].seeds.map(|seeds| seeds.broken), Some(1));
}
