//! Which boots a kernel gets, and what they come to, with scripts in QEMU's place.

use tokio::sync::mpsc;

use super::*;
use crate::kernel::{self, Obtain, Store, fixtures};
use crate::matrix::{Bugs, Profile, Source};
use crate::shim::Shim;
use crate::vm::fake::{Act, Scripts, agent, console, exit, exit_saying, shutdown, wait};
use crate::vm::{AccelChoice, Accelerator, Hypervisor, TimeChoice, Timing};

const BOOTED: &str = "[    0.000000] Linux version 6.1.0\r\n[    2.000000] Run /init as init process\r\n";
const HELLO: &str = r#"{"type":"hello","version":3,"agent":"0","release":"6.1.0","build":"","cpus":1,"uptime_ms":2100,"features":{}}
"#;

/// A guest that comes up, runs these jobs, and ends as it should.
fn sound(jobs: &[&str]) -> Vec<Act> {
    let mut acts = vec![wait(100), console(BOOTED), agent(HELLO)];
    for job in jobs {
        acts.push(agent(&format!("{{\"type\":\"started\",\"job\":\"{job}\"}}\n")));
        let report = format!(
            "{{\"type\":\"report\",\"job\":\"{job}\",\"conclusion\":\"not-affected\",\"why\":\"\",\"checks\":[],\"took_ms\":1}}\n"
        );
        acts.push(agent(&report));
    }
    acts.push(agent(&format!("{{\"type\":\"end\",\"reports\":{}}}\n", jobs.len())));
    acts.extend([console("[    3.000000] reboot: machine restart\r\n"), shutdown("guest-reset"), exit(0)]);
    acts
}

/// A guest that comes up and panics.
fn panics() -> Vec<Act> {
    let panic = console("[    2.5] Kernel panic - not syncing: x\r\n");
    vec![wait(100), console(BOOTED), agent(HELLO), panic, exit(0)]
}

/// A guest that KVM cannot run.
fn refused() -> Vec<Act> {
    vec![exit_saying(6 << 8, &["qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69"])]
}

/// Boots a kernel for two bugs by these scripts: the boots, what each job came to (`sound`, or how its guest died, and
/// whether a death is unexplained), and the accelerator.
async fn boots(choice: AccelChoice, scripts: Vec<Vec<Act>>) -> (Vec<String>, Vec<(String, bool)>, String) {
    let folder = tempfile::tempdir().expect("a folder");
    let image = folder.path().join("bzImage");
    std::fs::write(&image, fixtures::bzimage("6.1.0")).expect("a file");
    let device = folder.path().join("kvm");
    std::fs::write(&device, "").expect("a file");
    let lab = Lab {
        store: Store::open(Some(folder.path().join("cache"))).expect("a cache"),
        hypervisor: Hypervisor::Scripted(Scripts::new(scripts)),
        accelerator: Accelerator::with_device(choice, &device),
        timing: Timing::new(TimeChoice::Auto, 1),
        shim: Shim::at("/nonexistent".into()),
        offline: true,
        refresh: false,
        jobs: 1,
    };
    let source = Source::Image { image, modules: None, config: None };
    let with =
        Obtain { store: &lab.store, shim: &lab.shim, offline: true, refresh: false, locked: None, tell: &|_| {} };
    let kernel = kernel::obtain(&source, &with).expect("a kernel");
    let bugs = Bugs::built_in();
    let bugs: Vec<&crate::matrix::Bug> = bugs.iter().take(2).collect();
    let ids: Vec<BugId> = bugs.iter().map(|bug| bug.id.clone()).collect();
    let entry = KernelEntry::plain("a-kernel".parse().expect("a name"), source, ids.clone());
    let profile = Profile::default_for(ids);
    let trials: Vec<Trial> = bugs
        .iter()
        .map(|bug| Trial {
            bug: &bug.id,
            reproducer: bug.reproducer.as_ref().expect("a reproducer"),
            program: None,
            profile: &profile,
            shares: false,
        })
        .collect();
    let (sender, _receiver) = mpsc::unbounded_channel();
    let bench = Bench { entry: &entry, kernel: &kernel, modules: &[], lab: &lab, events: &sender, natural: false };
    let settled = boot_all(&bench, &trials).await;
    let come_to = |trial: &Trial| {
        let booted = settled.get(&trial.id()).expect("a boot of each job");
        let end = booted.end.failure.as_deref().map_or("sound", |failure| failure.lines().next().unwrap_or_default());
        (end.to_owned(), booted.unexplained.is_some())
    };
    let Hypervisor::Scripted(scripts) = &lab.hypervisor else { panic!("scripts") };
    (scripts.played(), trials.iter().map(come_to).collect(), lab.accelerator.summary())
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
