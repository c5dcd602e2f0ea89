//! The default matrix on real input, from packages to verdicts.

use std::fs;

use serde_json::Value;

mod common;
use common::{Lab, cell};

const BUGS: [&str; 3] = ["tcp-fragment-stall", "syn-cookie-data-loss", "zero-window-user-timeout"];

/// The repository's matrix, as after a clone.
fn lab() -> Lab {
    Lab::with_matrix(include_str!("../kernels.yaml"))
}

#[test]
fn debian_lines_have_no_stall_and_lose_cookie_data() {
    let lab = lab();
    let (ran, document) = lab.judge(&[]);
    ran.ends_with(0);
    let kernels = ["debian-11", "debian-12", "debian-12-backports", "debian-13", "debian-sid"];
    for kernel in kernels {
        let stall = cell(&document, kernel, "tcp-fragment-stall");
        if stall["outcome"] == "skip" && stall["expected"] == true {
            // A suite that has left the mirrors; the matrix calls such kernels optional.
            continue;
        }
        assert_eq!(stall["outcome"], "pass", "{stall:#}");
        assert_eq!(stall["verdict"], "not-affected", "{stall:#}");
        let cookie = cell(&document, kernel, "syn-cookie-data-loss");
        assert_eq!((&cookie["outcome"], &cookie["expected"]), (&"fail".into(), &true.into()), "{cookie:#}");
        let window = cell(&document, kernel, "zero-window-user-timeout");
        assert_eq!((&window["outcome"], &window["verdict"]), (&"pass".into(), &"not-affected".into()), "{window:#}");
        for bug in BUGS {
            let judged = cell(&document, kernel, bug);
            assert!(judged["checks"].as_array().is_some_and(|c| c.len() >= 4), "{judged:#}");
            let findings = judged["findings"].as_array().expect("findings");
            let runtime = findings.iter().find(|finding| finding["witness"] == "runtime").expect("the runtime finding");
            for artefact in runtime["artefacts"].as_array().expect("artefacts") {
                assert!(lab.result(artefact.as_str().expect("a path")).is_file(), "{artefact}");
            }
            assert!(lab.result(&format!("{kernel}/{bug}/ledger.json")).is_file());
        }
        for file in ["console.log", "qmp.jsonl", "boot.sh", "boot.json"] {
            let path = lab.result(&format!("{kernel}/boot-1/{file}"));
            assert!(fs::metadata(&path).is_ok_and(|m| m.len() > 0), "{}", path.display());
        }
    }
    let written: Value =
        serde_json::from_slice(&fs::read(lab.result("matrix.json")).expect("matrix.json")).expect("JSON");
    assert_eq!(written, document, "what is printed is what is kept");

    // The same run is reported and replayed.
    let shown = lab.run(&["report", "--format", "table"]);
    shown.ends_with(0);
    assert!(shown.stdout.contains("FAIL (expected)"), "{}", shown.stdout);
    for line in shown.stdout.lines() {
        assert!(line.chars().count() <= 100 || line.contains('/'), "wider than 100 columns: {line}");
    }
    let replayed = lab.run(&["replay", "latest", "debian-12", "--format", "json", "--accel", "tcg"]);
    replayed.ends_with(0);
    let again: Value = serde_json::from_str(&replayed.stdout).expect("JSON");
    for bug in BUGS {
        let (then, now) = (cell(&document, "debian-12", bug), cell(&again, "debian-12", bug));
        assert_eq!(then["outcome"], now["outcome"], "{bug}");
    }
}
