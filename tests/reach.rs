//! How often functions of real kernels are entered while the reproducers run.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use backproof::kernel::Store;
use backproof::matrix::{Bugs, KernelEntry, Matrix, Profile, Source};
use backproof::run::{self, CacheUse, Cell, Event, FunctionReach, Lab, RunPlan};
use backproof::shim::Shim;
use backproof::vm::{AccelChoice, Accelerator, Hypervisor, Qemu, TimeChoice, Timing};
use backproof::words::{BugId, KernelName};
use tokio::sync::mpsc;

const STALL: &str = "tcp-fragment-stall";
const COOKIE: &str = "syn-cookie-data-loss";

/// Functions of each kind: entered by one reproducer, by all, by none, absent, and refused.
const FUNCTIONS: [&str; 6] = ["tcp_fragment", "tcp_v4_rcv", "kernel_kexec", "no_such_function", "do_int3", "a b"];

/// Judges Debian's cloud kernel of this suite in virtual time; its cells, and the transcript of its boot.
async fn judge(suite: &str, bugs: &[&str]) -> (Vec<Cell>, String) {
    let qemu = Qemu::find(None).expect("QEMU");
    let lab = Lab {
        store: Store::open(None).expect("the cache"),
        accelerator: Accelerator::new(AccelChoice::Tcg),
        timing: Timing::new(TimeChoice::Auto, 1..=1, qemu.version()),
        hypervisor: Hypervisor::Qemu(qemu),
        shim: Shim::at(env!("CARGO_BIN_EXE_backproof").into()),
        offline: false,
        refresh: false,
        jobs: 1,
        qemu_sha256: OnceLock::new(),
    };
    let name: KernelName = "a-kernel".parse().expect("a name");
    let package = "linux-image-cloud-amd64".to_owned();
    let source = Source::Apt { package, suite: Some(suite.to_owned()), archive: None };
    let bugs: Vec<BugId> = bugs.iter().map(|bug| bug.parse().expect("a name")).collect();
    let entry = KernelEntry::plain(name.clone(), source, bugs.clone());
    let matrix = Matrix::of_kernels(vec![entry], Bugs::built_in(), bugs.clone());
    let plain = RunPlan::plain(matrix, Bugs::built_in(), vec![Profile::default_for(bugs)], CacheUse::Fresh);
    let reach = BTreeMap::from([(name, FUNCTIONS.map(str::to_owned).into())]);
    let (sender, mut events) = mpsc::unbounded_channel();
    run::run(RunPlan { reach, ..plain.expect("a plan") }, Arc::new(lab), sender).await;
    let (mut cells, mut transcript) = (Vec::new(), None);
    while let Some(event) = events.recv().await {
        match event {
            Event::Judged { cell, .. } => cells.push(*cell),
            Event::BootEnded(record) => transcript = record.transcript_sha256,
            _ => {}
        }
    }
    (cells, transcript.expect("a boot in virtual time"))
}

#[tokio::test]
async fn reach_counts_what_each_reproducer_enters() {
    for suite in ["bullseye", "trixie"] {
        let (cells, transcript) = judge(suite, &[STALL, COOKIE]).await;
        let cell = |bug: &str| cells.iter().find(|cell| cell.bug.as_str() == bug).expect("a cell");
        let outcomes = [STALL, COOKIE].map(|bug| cell(bug).outcome.to_string());
        assert_eq!(outcomes, ["pass", "fail"], "{suite}: {cells:?}");
        for (bug, fragment) in [(STALL, "ran …"), (COOKIE, "never ran")] {
            // Counts differ from kernel to kernel.
            let said = |reach: &FunctionReach| match reach.entries {
                0 => reach.to_string(),
                _ => "ran …".to_owned(),
            };
            let reach = cell(bug).trials.reach.iter().map(|(name, reach)| format!("{name} {}", said(reach)));
            let expected = [
                "a b not counted: this is not the name of a function".to_owned(),
                "do_int3 not counted: the kernel forbids a probe at do_int3".to_owned(),
                "kernel_kexec never ran".to_owned(),
                "no_such_function not counted: this kernel has no function of this name, or the compiler inlined it"
                    .to_owned(),
                format!("tcp_fragment {fragment}"),
                "tcp_v4_rcv ran …".to_owned(),
            ];
            assert_eq!(reach.collect::<Vec<_>>(), expected, "{suite} {bug}");
        }
        if suite == "trixie" {
            let (again, same) = judge(suite, &[STALL, COOKIE]).await;
            assert_eq!((again.len(), same), (2, transcript));
            let reach = |cells: &[Cell]| -> Vec<BTreeMap<String, FunctionReach>> {
                cells.iter().map(|cell| cell.trials.reach.clone()).collect()
            };
            assert_eq!(reach(&again), reach(&cells));
        }
    }
}
