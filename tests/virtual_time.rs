//! Virtual time: boots repeat to the byte, whatever the host does meanwhile.

use std::fs;

use serde_json::Value;

mod common;
use common::{Lab, debian_12};

/// The record of a kernel's first boot.
fn boot(document: &Value, kernel: usize) -> &Value {
    &document["kernels"][kernel]["boots"][0]
}

#[test]
fn same_seed_repeats_the_transcript_and_another_does_not() {
    let lab = Lab::with_matrix(&debian_12(""));
    let (ran, first) = lab.judge(&["--seed", "3"]);
    ran.ends_with(0);
    assert_eq!((&boot(&first, 0)["seed"], &boot(&first, 0)["shift"]), (&3.into(), &4.into()), "{first:#}");
    assert_eq!(first["run"]["time"], "virtual, seed 3, shift 4");
    let said = boot(&first, 0)["transcript_sha256"].as_str().expect("a checksum").to_owned();
    let read = |file: &str| fs::read(lab.result(&format!("debian-12/boot-1/{file}"))).expect(file);
    let files = [read("console.log"), read("agent.jsonl")].concat();
    assert_eq!(sha256(&files), said);

    // The second and third run beside each other, on a host that has to share.
    let (busy, other) = std::thread::scope(|scope| {
        let busy = scope.spawn(|| Lab::with_matrix(&debian_12("")).judge(&["--seed", "3", "--jobs", "8"]).1);
        let other = scope.spawn(|| Lab::with_matrix(&debian_12("")).judge(&["--seed", "4"]).1);
        (busy.join().expect("a run"), other.join().expect("a run"))
    });
    assert_eq!(boot(&busy, 0)["transcript_sha256"], *said);
    assert_ne!(boot(&other, 0)["transcript_sha256"], *said);
    for again in [&busy, &other] {
        for (then, now) in
            first["cells"].as_array().into_iter().flatten().zip(again["cells"].as_array().expect("cells"))
        {
            assert_eq!((&then["bug"], &then["outcome"]), (&now["bug"], &now["outcome"]));
        }
    }

    let replayed = lab.run(&["replay", "latest", "debian-12"]);
    assert!(replayed.stdout.contains(&format!("transcript  identical (sha256 {said})")), "{}", replayed.stdout);
    let reseeded = lab.run(&["replay", "latest", "debian-12", "--seed", "4"]);
    assert!(reseeded.stdout.contains("not compared: the run's time was virtual, seed 3"), "{}", reseeded.stdout);
    fs::write(lab.result("debian-12/boot-1/agent.jsonl"), "{}\n").expect("a file");
    let changed = lab.run(&["replay", "latest", "debian-12", "--format", "json"]);
    let changed: Value = serde_json::from_str(&changed.ends_with(3).stdout).expect("JSON");
    assert_eq!(changed["transcript"]["result"], "different");
    assert!(changed["transcript"]["first"].as_str().is_some_and(|first| first.starts_with("agent.jsonl line 1: ")));
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn two_processors_and_a_request_run_in_real_time() {
    let two = debian_12("    cpus: 2\n");
    let (ran, document) = Lab::with_matrix(&two).judge(&["--bug", "tcp-fragment-stall"]);
    ran.ends_with(0);
    // From QEMU 10.0 on several processors take deterministic turns.
    let version = document["run"]["qemu"]["version"].as_str().expect("a version");
    let major: u32 = version.split('.').next().and_then(|major| major.parse().ok()).expect("a number");
    assert_eq!(boot(&document, 0).get("seed").is_some(), major >= 10, "{document:#}");
    let (ran, document) = Lab::with_matrix(&debian_12("")).judge(&["--bug", "tcp-fragment-stall", "--time", "real"]);
    ran.ends_with(0);
    assert_eq!(boot(&document, 0).get("transcript_sha256"), None, "{document:#}");
    assert_eq!(document["run"]["time"], "real: requested");
}

#[test]
fn impossible_times_are_bad_usage() {
    let lab = Lab::with_matrix(&debian_12(""));
    for (args, why) in [
        (&["--time", "virtual", "--accel", "kvm"][..], "needs --accel tcg"),
        (&["--seed", "1", "--accel", "kvm"], "needs --accel tcg"),
        (&["--seed", "1", "--time", "real"], "seeds need virtual time"),
        (&["--seed", "4294967296"], "--seed"),
        (&["--seed=-1"], "--seed"),
        (&["--time", "fast"], "--time"),
    ] {
        let ran = lab.run(&[&["run"], args].concat());
        ran.ends_with(2);
        assert!(ran.stderr.contains(why), "{args:?}: {}", ran.stderr);
    }
}

/// A QEMU without instruction counting, as one that was built without TCG plugins or for another accelerator.
#[test]
fn qemu_without_icount_runs_in_real_time() {
    let lab = Lab::with_matrix(&debian_12(""));
    let script = "#!/bin/sh
for word; do case $word in -icount) echo 'qemu: cannot configure icount, TCG support not available' >&2; exit 1;; esac; done
exec qemu-system-x86_64 \"$@\"
";
    let program = lab.write("old-qemu", script);
    make_executable(&program);
    let (ran, document) = lab.judge(&["--bug", "tcp-fragment-stall", "--qemu", program.to_str().expect("UTF-8")]);
    ran.ends_with(0);
    let time = document["run"]["time"].as_str().expect("a time");
    assert!(time.starts_with("real: this QEMU cannot count instructions"), "{time}");
    assert!(ran.stderr.contains("this QEMU has no virtual time"), "{}", ran.stderr);
    let boots = document["kernels"][0]["boots"].as_array().expect("boots");
    assert_eq!(boots.len(), 2, "{boots:#?}");
}

fn make_executable(file: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("a mode");
}
