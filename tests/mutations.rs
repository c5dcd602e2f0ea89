//! Reproducers whose own surroundings are faulty: a wire that drops what is sent again, a peer that closes its window,
//! a server that never reads, a clock that jumps. They may end in an error, never in a wrong verdict.
//!
//! The kernel is Debian 12's. `BACKPROOF_CONTROLS` may name folders of control kernels, separated by colons: each has
//! a folder `<control>/bzImage` for controls of `images/controls.yaml`, and those that are there are asked too.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use backproof::guest;
use backproof::kernel::{Module, Obtain, Store, obtain};
use backproof::matrix::{Bugs, MachineType, Source};
use backproof::shim::Shim;
use backproof::vm::{Accel, Boot, Deadlines, GuestSpec, HostLoad, Qemu, boot};
use backproof_repro::protocol::{Conclusion, Job, Message, Mutation, Plan, VERSION};
use serde::Deserialize;

const STALL: &str = "tcp-fragment-stall";
const COOKIE: &str = "syn-cookie-data-loss";
const WINDOW: &str = "zero-window-user-timeout";

/// Where a fault has to be noticed on a kernel as Debian ships it: it takes away what the verdict stands on.
const BITES: [(&str, Mutation); 6] = [
    (STALL, Mutation::DropRetransmissions),
    (STALL, Mutation::CloseWindow),
    (COOKIE, Mutation::NeverRead),
    (COOKIE, Mutation::ClampMss),
    (WINDOW, Mutation::DropRetransmissions),
    (WINDOW, Mutation::DropRepeatedAnswers),
];

/// A kernel and what is true of it.
struct Subject {
    name: String,
    image: PathBuf,
    modules: Vec<Module>,
    truth: BTreeMap<String, Conclusion>,
    stock: bool,
}

fn shim() -> Shim {
    Shim::at(env!("CARGO_BIN_EXE_backproof").into())
}

fn debian_12() -> Subject {
    let source = Source::Apt { package: "linux-image-cloud-amd64".to_owned(), suite: Some("bookworm".to_owned()) };
    let store = Store::open(None).expect("the cache");
    let with = Obtain { store: &store, shim: &shim(), offline: false, refresh: false, tell: &|_| {} };
    let kernel = obtain(&source, &with).expect("Debian 12's kernel");
    let modules = kernel.modules_for(&["tun"]).expect("its modules");
    let truth = [(STALL, Conclusion::NotAffected), (COOKIE, Conclusion::Affected), (WINDOW, Conclusion::NotAffected)];
    let truth = truth.map(|(bug, truth)| (bug.to_owned(), truth)).into();
    Subject { name: "debian-12".to_owned(), image: kernel.image, modules, truth, stock: true }
}

#[derive(Deserialize)]
struct Controls {
    expect: BTreeMap<String, String>,
    controls: Vec<Control>,
}

#[derive(Deserialize)]
struct Control {
    name: String,
    #[serde(default)]
    expect: BTreeMap<String, String>,
}

/// The controls that are built.
fn controls() -> Vec<Subject> {
    let Controls { expect: stock, controls } =
        serde_yaml::from_str(include_str!("../images/controls.yaml")).expect("images/controls.yaml is in order");
    let folders = std::env::var_os("BACKPROOF_CONTROLS").unwrap_or_default();
    let mut subjects = Vec::new();
    for folder in std::env::split_paths(&folders).filter(|folder| !folder.as_os_str().is_empty()) {
        for Control { name, expect } in &controls {
            let image = folder.join(name).join("bzImage");
            if !image.is_file() {
                continue;
            }
            let truth = stock.iter().map(|(bug, state)| {
                let truth = match expect.get(bug).unwrap_or(state).as_str() {
                    "affected" | "half-fixed" => Conclusion::Affected,
                    "fixed" | "never-had" => Conclusion::NotAffected,
                    "skip" => Conclusion::Skip,
                    other => panic!("{name}: {bug}: {other}"),
                };
                (bug.clone(), truth)
            });
            let (truth, stock) = (truth.collect(), name == "stock");
            let name = image.parent().unwrap_or(&image).display().to_string();
            subjects.push(Subject { name, image, modules: Vec::new(), truth, stock });
        }
    }
    subjects
}

/// Every bug under every fault and under none, in one boot.
async fn judge(subject: &Subject) -> Boot {
    let faults = [None].into_iter().chain(Mutation::ALL.map(Some));
    let mut jobs = Vec::new();
    for mutation in faults {
        for bug in Bugs::built_in().iter() {
            let deadline = u64::try_from(bug.deadline.as_millis()).expect("a deadline");
            let id = id(bug.id.as_str(), mutation);
            // Six run side by side.
            jobs.push(Job { id, mutation, ..Job::new(bug.id.as_str(), deadline * 2) });
        }
    }
    let modules = subject.modules.iter().map(|module| guest::module_file(&module.name)).collect();
    let plan = Plan { version: VERSION, modules, jobs: jobs.clone() };
    let spec = GuestSpec {
        image: subject.image.clone(),
        initramfs: guest::initramfs(&plan, &subject.modules).expect("an initramfs"),
        jobs,
        // On a busy host the kernel's own test of its timer fails under emulation, and it panics.
        cmdline_extra: Some("no_timer_check".to_owned()),
        machine: MachineType::Q35,
        memory_mib: 256,
        cpus: 1,
        accel: Accel::Tcg,
    };
    let qemu = Qemu::find(None).expect("QEMU");
    boot(&qemu, &shim(), &spec, &Deadlines::new(spec.accel, HostLoad::now()), &mut |_| {}).await
}

fn id(bug: &str, mutation: Option<Mutation>) -> String {
    format!("{bug} {mutation:?}")
}

#[tokio::test]
async fn a_reproducer_in_faulty_surroundings_never_says_a_wrong_word() {
    let (mut wrong, mut unjudged) = (Vec::new(), Vec::new());
    for subject in [debian_12()].into_iter().chain(controls()) {
        let boot = judge(&subject).await;
        assert!(boot.end.is_ok(), "{}: {:?}", subject.name, boot.end);
        let mut table = format!("{}, {:.1} s\n", subject.name, boot.wall.as_secs_f64());
        for (bug, truth) in &subject.truth {
            for mutation in [None].into_iter().chain(Mutation::ALL.map(Some)) {
                let report = boot.report(&id(bug, mutation)).expect("a report of every job");
                let fault = mutation.map_or("none".to_owned(), |m| format!("{m:?}"));
                let (conclusion, why) = (report.conclusion, &report.why);
                let _ = writeln!(table, "  {bug} {fault} {conclusion:?} {} ms: {why}", report.took_ms);
                let bites = *truth != Conclusion::Skip
                    && subject.stock
                    && BITES.iter().any(|(b, m)| b == bug && Some(*m) == mutation);
                let right = if bites { conclusion == Conclusion::Error } else { conclusion == *truth };
                // Where it need not notice the fault, it still may.
                let told = || format!("{} {bug} {fault}: {conclusion:?}: {why}", subject.name);
                match conclusion {
                    _ if right => {}
                    // An overloaded host may be to blame; without a fault, every other one must come to a verdict.
                    Conclusion::Error if mutation.is_none() => unjudged.push(told()),
                    Conclusion::Error => {}
                    _ => wrong.push(told()),
                }
            }
        }
        println!("{table}");
        let jumps = boot.messages.iter().filter(|m| matches!(m, Message::Note { text } if text.contains("jumped")));
        // A job that was killed at its deadline cannot say it.
        let judged = |bug: &&String| {
            let report = boot.report(&id(bug, Some(Mutation::JumpClock)));
            report.is_some_and(|r| !matches!(r.conclusion, Conclusion::Error | Conclusion::Skip))
        };
        let expected = subject.truth.keys().filter(judged).count();
        assert!(jumps.count() >= expected, "{}: the clock did not jump where it had to", subject.name);
    }
    assert!(wrong.is_empty(), "wrong verdicts:\n{}", wrong.join("\n"));
    assert!(unjudged.is_empty(), "no verdict, though nothing was at fault:\n{}", unjudged.join("\n"));
}
