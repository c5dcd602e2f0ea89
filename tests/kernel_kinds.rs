//! Kernels that cannot be judged, or only in part: each has a reason, and none passes.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::Value;

mod common;
use common::{Lab, Ran, cell, debian_12};

/// A real image from the cache: Debian 12's.
fn image() -> PathBuf {
    let lab = Lab::with_matrix(&debian_12(""));
    let (ran, _) = lab.judge(&["--bug", "syn-cookie-data-loss"]);
    ran.ends_with(0);
    let boot: Value =
        serde_json::from_slice(&fs::read(lab.result("debian-12/boot-1/boot.json")).expect("boot.json")).expect("JSON");
    boot["image"].as_str().expect("an image").into()
}

#[test]
fn missing_kernel_option_is_a_skip_with_the_reason() {
    let image = image();
    let all = ["TUN", "NET_NS", "INET", "SYN_COOKIES", "SERIAL_8250", "SERIAL_8250_CONSOLE"];
    for (lacks, skips_stall) in [("SYN_COOKIES", false), ("TUN", true), ("SERIAL_8250_CONSOLE", true)] {
        let bugs = if skips_stall { "tcp-fragment-stall, syn-cookie-data-loss" } else { "syn-cookie-data-loss" };
        let lab = Lab::with_matrix(&format!(
            "bugs: [{bugs}]\nkernels:\n  - name: subject\n    image: {{ file: {}, config: config }}\n",
            image.display()
        ));
        let config: String = all
            .iter()
            .map(|o| if *o == lacks { format!("# CONFIG_{o} is not set\n") } else { format!("CONFIG_{o}=y\n") })
            .collect();
        lab.write("config", config);
        let (ran, document) = lab.judge(&[]);
        // An unexpected skip leaves the run without a verdict.
        ran.ends_with(3);
        let judged = cell(&document, "subject", "syn-cookie-data-loss");
        assert_eq!((&judged["outcome"], &judged["expected"]), (&"skip".into(), &false.into()), "{judged:#}");
        assert!(judged["reason"].as_str().is_some_and(|r| r.contains(&format!("CONFIG_{lacks}"))), "{judged:#}");
        if skips_stall {
            assert_eq!(cell(&document, "subject", "tcp-fragment-stall")["outcome"], "skip");
        }
    }
}

#[test]
fn missing_tun_driver_is_found_in_the_guest() {
    // Debian's kernels have the driver as a module, which a bare image lacks.
    let lab = Lab::with_matrix(&format!(
        "bugs: [tcp-fragment-stall]\nexpect: {{ tcp-fragment-stall: skip }}\nkernels:\n  - name: subject\n    \
         image: {}\n",
        image().display()
    ));
    let (ran, document) = lab.judge(&[]);
    ran.ends_with(0);
    let judged = cell(&document, "subject", "tcp-fragment-stall");
    assert_eq!(judged["outcome"], "skip", "{judged:#}");
    assert!(judged["reason"].as_str().is_some_and(|r| r.to_lowercase().contains("tun")), "{judged:#}");
}

#[test]
fn panicking_kernel_is_an_error_with_its_own_message() {
    let lab = Lab::with_matrix(&debian_12("    cmdline: rdinit=/nonexistent root=/dev/none\n"));
    let (ran, document) = lab.judge(&[]);
    ran.ends_with(3);
    for bug in ["tcp-fragment-stall", "syn-cookie-data-loss"] {
        let judged = cell(&document, "debian-12", bug);
        assert_eq!((&judged["outcome"], &judged["verdict"]), (&"error".into(), &"unknown".into()), "{judged:#}");
        assert!(judged["reason"].as_str().is_some_and(|r| r.contains("Unable to mount root fs")), "{judged:#}");
        assert_eq!(judged["boots"], serde_json::json!(["boot-1"]), "a kernel that never came up is booted once");
    }
}

#[test]
fn gone_suite_skips_optional_kernels_only() {
    let gone = |optional: bool| {
        Lab::with_matrix(&format!(
            "bugs: [tcp-fragment-stall]\nkernels:\n  - name: gone\n    optional: {optional}\n    apt: {{ package: \
             linux-image-cloud-amd64, suite: no-such-suite }}\n"
        ))
    };
    for (optional, code, outcome) in [(true, 0, "skip"), (false, 3, "error")] {
        let (ran, document) = gone(optional).judge(&[]);
        ran.ends_with(code);
        let judged = cell(&document, "gone", "tcp-fragment-stall");
        assert_eq!(judged["outcome"], outcome, "{judged:#}");
        assert!(judged["reason"].as_str().is_some_and(|r| r.contains("no-such-suite")), "{judged:#}");
    }
}

#[test]
fn full_disk_loses_evidence_before_verdicts() {
    // Verdicts that fit on the disk are kept; if not even they fit, the run has none.
    for (size, code) in [("64k", 0), ("8k", 3)] {
        let lab = Lab::with_matrix(&debian_12(""));
        fs::create_dir(lab.path("results")).expect("a folder");
        let program = env!("CARGO_BIN_EXE_backproof");
        let script = format!("mount -t tmpfs -o size={size} none results && exec {program} run --accel tcg");
        // It has its own mount in its own namespace.
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]).current_dir(lab.dir.path());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("unshare");
        let pid = child.id();
        let ran = Ran::of(child.wait_with_output().expect("it ends"));
        ran.ends_with(code).says(&["free some", "--results folder"]);
        assert_eq!(ran.stderr.contains("matrix.json has the verdicts"), code == 0, "{}", ran.stderr);
        if code == 0 {
            assert!(ran.stdout.contains("tcp-fragment-stall"), "{}", ran.stdout);
        }
        assert!(common::descendants(pid).is_empty());
    }
}
