//! Tables of runs whose boots failed, were cached, or were many.

use std::time::Duration;

use super::*;
use crate::kernel::Stale;
use crate::run::{BootRecord, KernelRecord, RetriedBoot, SeedCount};
use crate::vm::Accel;

/// A boot of the kernel `a`.
fn boot(number: u32, jobs: &[&str], failure: Option<&str>) -> BootRecord {
    BootRecord {
        control: None,
        kernel: "a".parse().expect("a name"),
        number,
        accelerator: Accel::Tcg,
        time: None,
        transcript_sha256: None,
        jobs: jobs.iter().map(|job| job.parse().expect("a name")).collect(),
        seconds: 1.0,
        cached: None,
        inputs_sha256: None,
        differs: None,
        failure: failure.map(str::to_owned),
        notes: Vec::new(),
    }
}

/// The kernel `a` with these boots.
fn booted(boots: Vec<BootRecord>) -> KernelRecord {
    KernelRecord {
        name: "a".parse().expect("a name"),
        source: String::new(),
        release: None,
        image_sha256: String::new(),
        provenance: Vec::new(),
        files: Vec::new(),
        locked: false,
        stale: None,
        boots,
    }
}

#[test]
fn failed_boot_is_shown_if_a_later_one_ran_its_jobs() {
    let mut document = document(vec![cell("a", "one", "fail", affected())], true);
    let boots = vec![
        boot(1, &["one", "two"], Some("panic: it died\n[ 1.0] last line")),
        // Another command line: nobody asks this again.
        boot(2, &["one@quiet"], Some("timeout: silent")),
        boot(3, &["one"], None),
        boot(4, &["two"], Some("panic: alone")),
    ];
    let stale = Some(Stale { age: Duration::from_secs(600), why: "offline mode".to_owned() });
    document.kernels = vec![KernelRecord { stale, ..booted(boots) }];
    let text = plain(&document, 100);
    assert!(text.contains("a boot-1 failed and was followed by another: panic: it died\n"), "{text}");
    assert_eq!(text.matches("was followed").count(), 1, "{text}");
    // A boot that failed under KVM and was repeated under TCG is reported once for the whole run.
    document.kernels[0].boots[0].accelerator = Accel::Kvm;
    assert!(!plain(&document, 100).contains("was followed"));
    document.kernels[0].boots[0].accelerator = Accel::Tcg;
    assert!(text.contains("a may not be the newest: a copy cached 10 minutes ago (offline mode)\n"), "{text}");
    let written = serde_json::to_value(&document.kernels[0]).expect("JSON");
    let stale = serde_json::json!({ "seconds": 600, "why": "offline mode" });
    assert_eq!(written["stale"], stale);
    let read: KernelRecord = serde_json::from_value(written).expect("a record");
    assert_eq!(read, document.kernels[0]);
    document.kernels[0].stale = None;
    assert_eq!(serde_json::to_value(&document.kernels[0]).expect("JSON").get("stale"), None);
}

#[test]
fn cached_boots_are_counted_and_differing_ones_come_first() {
    let mut document = document(vec![cell("a", "one", "fail", affected())], true);
    document.kernels = vec![booted((1..=4).map(|number| boot(number, &["one"], None)).collect())];
    let judged: jiff::Timestamp = "2026-11-28T23:00:00Z".parse().expect("a time");
    document.kernels[0].boots[1].cached = Some(judged);
    let text = plain(&document, 100);
    assert!(text.contains("cached       1 of 4 boots, judged 2026-11-28 (--fresh boots them again)\n"), "{text}");
    document.kernels[0].boots.iter_mut().for_each(|boot| boot.cached = Some(judged));
    assert!(plain(&document, 100).lines().nth(1).is_some_and(|row| row.ends_with("   cached")));
    document.kernels[0].boots[0].differs = Some("console.log line 1: then `a`, now `b`".to_owned());
    document.differing = document.kernels[0].boots.iter().filter_map(BootRecord::difference).collect();
    let text = plain(&document, 100);
    assert!(text.starts_with("TRANSCRIPT DIFFERS  a/boot-1: console.log line 1: then `a`, now `b`"), "{text}");
}

#[test]
fn seeds_of_cells_that_are_alike_have_one_line() {
    let mut document = document(Vec::new(), true);
    let seeds = |affected, first| Some(SeedCount { tried: 200, affected, first, broken: 0 });
    document.cells = Vec::from([seeds(0, None), seeds(0, None), seeds(5, Some(17))].map(|seeds| {
        let mut cell = cell("a", "one", "pass", affected());
        cell.trials.seeds = seeds;
        cell
    }));
    let text = plain(&document, 100);
    assert!(text.contains("\nseeds        2 cells: 0 of 200 seeds: affected (less than 1.5 % of schedules, 95 % confidence)\n             1 cell: 5 of 200 seeds: affected (first: 17)\n"), "{text}");
}

#[test]
fn broken_boot_that_was_retried_is_told() {
    let seen = Finding::new(Witness::Runtime, StateSet::not_affected(), Strength::Strong, "resent");
    let mut flaky = cell("a", "one", "pass", Boots::Showed(seen));
    let reason = "host error: something ended QEMU (the agent runs)\nthe console's last lines:".to_owned();
    flaky.trials.retried = vec![RetriedBoot { boot: "boot-1".to_owned(), reason }];
    assert!(flaky.is_flaky());
    let text = plain(&document(vec![flaky], true), 100);
    let told = "  retried: boot-1 broke: host error: something ended QEMU (the agent runs)\n";
    assert!(text.contains(told) && text.contains("all as expected; 1 retried"), "{text}");
}
