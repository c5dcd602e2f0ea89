//! The control kernels: those built with a bug must be judged affected, and the others must not.

use serde_json::Value;

mod common;
use common::{Lab, Ran, cell, debian_12};

/// The lines of images/controls.yaml.
const LINES: [&str; 2] = ["6.1", "6.12"];

/// The repository's matrix, with all control kernels built. That takes most of an hour if the user's cache is empty.
fn lab() -> Lab {
    let lab = Lab::with_matrix(include_str!("../kernels.yaml"));
    lab.run(&["controls", "build"]).ends_with(0);
    lab
}

/// The result of a cell's check.
#[track_caller]
fn shown<'a>(cell: &'a Value, check: &str) -> &'a Value {
    let checks = cell["checks"].as_array().expect("checks");
    let found = checks.iter().find(|c| c["name"] == check);
    &found.unwrap_or_else(|| panic!("no check {check} in {cell:#}"))["shown"]
}

#[test]
fn controls_are_judged_correctly_under_every_profile() {
    let lab = lab();
    let (ran, document) = lab.judge(&["--tag", "control", "--profile", "all"]);
    let cells = document["cells"].as_array().expect("cells");
    let unexpected: Vec<_> = cells.iter().filter(|cell| cell["expected"] != true).collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");
    ran.ends_with(0);
    assert!(cells.iter().all(|cell| cell["control"] == true));

    for line in LINES {
        let judged = |control: &str, bug: &str| cell(&document, &format!("control-{line}-{control}"), bug).clone();
        // Every bug was judged both ways, each for the reason that the control was built for.
        for (bug, affected, good) in [
            ("tcp-fragment-stall", "stall-break", "stock"),
            ("tcp-fragment-stall", "stall-break-no-counter", "stall-fixed-counter-noisy"),
            ("tcp-fragment-stall", "stall-half-fix", "stall-never-had"),
            ("syn-cookie-data-loss", "stock", "syn-cookie-strict"),
            ("zero-window-user-timeout", "zero-window-break", "stock"),
        ] {
            assert_eq!(judged(affected, bug)["outcome"], "fail", "{line} {affected} {bug}");
            assert_eq!(judged(good, bug)["outcome"], "pass", "{line} {good} {bug}");
        }
        // A reproducer with only small send buffers would have passed this kernel.
        let slack = judged("stall-half-fix-slack", "tcp-fragment-stall");
        for (recipe, found) in [("small-sndbuf", "no"), ("mss-1000", "no"), ("shrunk-sndbuf", "yes")] {
            assert_eq!(shown(&slack, recipe), found, "{line} {recipe}: {slack:#}");
        }
        // A kernel that lacks one requirement is still judged for the other bugs.
        assert_eq!(judged("no-syn-cookies", "syn-cookie-data-loss")["outcome"], "skip");
        assert_eq!(judged("no-syn-cookies", "tcp-fragment-stall")["outcome"], "pass");
        assert_eq!(judged("no-packet", "tcp-fragment-stall")["outcome"], "pass");
        let reason = &judged("no-tun", "tcp-fragment-stall")["reason"];
        assert!(reason.as_str().is_some_and(|reason| reason.contains("TUN")), "{reason}");
    }
    // The machine code may have any form, or be unreadable.
    for variant in ["no-kallsyms", "small-smp"] {
        for (member, outcome) in [("stock", "pass"), ("stall-break", "fail")] {
            let name = format!("control-6.1-{member}-{variant}");
            assert_eq!(cell(&document, &name, "tcp-fragment-stall")["outcome"], outcome, "{name}");
        }
    }
}

#[test]
fn wrongly_judged_control_invalidates_the_run() {
    // A good kernel with a wrong expectation simulates a verifier that cannot see the bug.
    let matrix = debian_12("    tags: [control]\n    expect: { tcp-fragment-stall: affected }\n");
    let lab = Lab::with_matrix(&matrix);
    let ran: Ran = lab.run(&["run", "--accel", "tcg"]);
    ran.ends_with(3);
    assert!(ran.stdout.contains("cannot be trusted"), "{}", ran.stdout);
    assert!(ran.stdout.contains("debian-12"), "{}", ran.stdout);
}

/// Eight kernels with the stall, and then eight without, as releases of one line.
#[test]
fn turn_in_sixteen_controls_takes_eight_boots() {
    let affected = ["stall-break", "stall-half-fix-slack", "stall-half-fix", "stall-break-no-counter"];
    let good = ["stock", "stall-never-had", "stall-fixed-counter-noisy", "syn-cookie-strict"];
    let mut matrix = "bugs: [tcp-fragment-stall]\nkernels:\n".to_owned();
    let mut release = 0;
    for controls in [affected, good] {
        for (line, control) in LINES.iter().flat_map(|line| controls.map(|control| (line, control))) {
            release += 1;
            matrix += &format!("  - {{ name: r{release}, control: {{ name: {control}, line: \"{line}\" }} }}\n");
        }
    }
    let lab = lab();
    lab.write("kernels.yaml", &matrix);
    for (ends, boots) in [(["r1", "r16"], 8), (["r5", "r12"], 7)] {
        let asked = ["prove", "--bug", "tcp-fragment-stall", "--accel", "tcg", "--format", "json", "--between"];
        let ran = lab.run(&[&asked[..], &ends].concat());
        ran.ends_with(0);
        let proof: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        let turns = &proof["searches"][0]["turns"];
        let ends = (&turns[0]["from"], &turns[0]["to"], &turns[0]["confirmed"], turns.as_array().map(Vec::len));
        assert_eq!(ends, (&"r8".into(), &"r9".into(), &"confirmed".into(), Some(1)));
        assert!(proof["boots"].as_u64().is_some_and(|made| made <= boots), "{}", proof["boots"]);
        let line = proof["lines"][0].as_str().unwrap_or_default();
        assert!(line.starts_with("flips: r8 affected → r9 not-affected") && line.contains("binary agrees"), "{line}");
    }
}
