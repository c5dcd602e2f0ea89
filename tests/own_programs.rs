//! Users' own dossiers and reproducers: real programs in a real guest.

mod common;

use std::process::Command;

use common::kernel_history::KernelHistory;
use common::{Lab, cell};
use serde_json::Value;

/// A dossier of a bug, with more of its keys.
fn dossier(lab: &Lab, bug: &str, more: &str) {
    let text = format!("id: {bug}\ntitle: A bug\nsummary: It is there for the test.\nreferences: [a test]\n{more}");
    lab.write(&format!("bugs/{bug}.yaml"), text);
}

/// A lab with a matrix of Debian 12's kernel, and dossiers of these bugs. The program does what their names say.
fn lab(bugs: &[&str], more: &str) -> Lab {
    let lab = Lab::with_matrix(&format!(
        "dossiers: bugs\nbugs: [{}]\nkernels:\n  - name: debian-12\n    apt: {{ package: linux-image-cloud-amd64, suite: \
         bookworm }}\n{more}",
        bugs.join(", ")
    ));
    lab.build_program();
    for bug in bugs {
        dossier(&lab, bug, &format!("reproducer: {{ program: ../program, args: [{bug}], deadline: 4s }}\n"));
    }
    lab
}

/// A cell's outcome, the strength of its finding, and its reason or the finding's.
#[track_caller]
fn ended(document: &Value, bug: &str) -> (String, String, String) {
    let cell = cell(document, "debian-12", bug);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let findings = cell["findings"].as_array().expect("findings");
    let finding = findings.iter().find(|finding| finding["witness"] == "runtime").unwrap_or(&Value::Null);
    let why = if finding.is_null() { &cell["reason"] } else { &finding["why"] };
    (text(&cell["outcome"]), text(&finding["strength"]), text(why))
}

#[test]
fn own_program_is_judged_by_status_words_and_controls() {
    let table = [
        ("says-affected", "fail", "decisive", "3 of 40 bytes were lost"),
        ("says-not-affected", "pass", "strong", "3 of 40 bytes were lost"),
        ("may-be-blind", "pass", "weak", "without a positive control nothing proves"),
        ("its-control-fails", "error", "", "a control that must not show the bug"),
        ("contradicts-itself", "error", "", "contradicts itself"),
        ("exits-with-0", "pass", "weak", "exited with 0 (not-affected) and reported no checks (a hint"),
        ("exits-with-2", "skip", "", "exited with 2 (not-applicable)"),
        ("hangs", "error", "", "killed at its deadline of"),
        ("prints-rubbish", "error", "", "printed `testing... all is well`, which is not a conclusion"),
        ("is-killed", "error", "", "killed by signal 6"),
        ("floods", "error", "", "more than 32768 bytes on stdout"),
        ("talks-over-loopback", "pass", "weak", "exited with 0"),
    ];
    let names: Vec<&str> = table.iter().map(|(bug, ..)| *bug).collect();
    // One guest for all of them: a boot for each would take minutes.
    let lab = lab(&names, "share-guest: all\nexpect: { only-known: error, exits-with-2: skip }\n");
    dossier(&lab, "only-known", "chain: [{ role: fix, commit: 0123456789ab, subject: a, effect: b }]\n");
    let matrix = std::fs::read_to_string(lab.path("kernels.yaml")).expect("the matrix");
    lab.write("kernels.yaml", matrix.replace("bugs: [says", "bugs: [tcp-fragment-stall, only-known, says"));
    let (ran, document) = lab.judge(&[]);
    // An unexpected outcome wins over cells without a verdict.
    ran.ends_with(1);
    for (bug, outcome, strength, why) in table {
        let found = ended(&document, bug);
        assert_eq!((found.0.as_str(), found.1.as_str()), (outcome, strength), "{bug}: {found:?}");
        assert!(found.2.contains(why), "{bug}: {}", found.2);
    }
    for (bug, unproven) in [("exits-with-0", true), ("may-be-blind", true), ("says-not-affected", false)] {
        assert_eq!(cell(&document, "debian-12", bug)["unproven"], unproven, "{bug}");
    }
    let facts = &cell(&document, "debian-12", "says-affected")["checks"][0]["facts"]["lost_bytes"];
    assert_eq!(facts, 3);
    let known = ended(&document, "only-known");
    let expected = ("error", "the witnesses leave the verdict unknown; its dossier has no `reproducer` to run");
    assert_eq!((known.0.as_str(), known.2.as_str()), expected);
    // The agent's own reproducers have a guest without any user's program.
    let boots = |bug: &str| cell(&document, "debian-12", bug)["boots"].clone();
    assert_eq!(ended(&document, "tcp-fragment-stall").0, "pass");
    assert_ne!(boots("tcp-fragment-stall"), boots("hangs"));
    assert_eq!(boots("says-affected"), boots("hangs"));

    let replayed = lab.run(&["replay", "latest", "debian-12", "--boot", "2", "--accel", "tcg", "--format", "json"]);
    let document: Value = serde_json::from_str(&replayed.stdout).expect("a document");
    let again = ended(&document, "exits-with-0");
    assert_eq!((again.0.as_str(), again.1.as_str()), ("pass", "weak"), "{again:?}");
}

#[test]
fn forged_report_of_another_bug_is_not_believed() {
    // The forger runs first.
    let bugs = ["forges", "is-affected"];
    let lab = lab(&bugs, "");
    let (ran, document) = lab.judge(&[]);
    ran.ends_with(1);
    let (forger, victim) = (ended(&document, bugs[0]), ended(&document, bugs[1]));
    assert_eq!(victim.0, "fail", "{victim:?}");
    let refused = "the agent sent `started` of job `is-affected`, which is not in the plan";
    assert!(forger.0 == "error" && forger.2.contains(refused), "{forger:?}");
    for bug in bugs {
        assert!(cell(&document, "debian-12", bug)["shared_with"].is_null());
    }

    // The forgery works if the user lets the two share a guest, and the result says that they did.
    let matrix = std::fs::read_to_string(lab.path("kernels.yaml")).expect("the matrix");
    lab.write("kernels.yaml", format!("share-guest: [is-affected, forges]\n{matrix}"));
    let ran = lab.run(&["run", "--accel", "tcg"]);
    ran.ends_with(0);
    let line = "shared guest forges, is-affected: any of these programs could have written another's report";
    assert!(ran.stdout.contains(line), "{}", ran.stdout);
    let text = std::fs::read_to_string(lab.result("matrix.json")).expect("matrix.json");
    let document: Value = serde_json::from_str(&text).expect("a document");
    let victim = cell(&document, "debian-12", "is-affected");
    assert_eq!((&victim["outcome"], &victim["shared_with"]), (&"pass".into(), &serde_json::json!(["forges"])));
}

#[test]
fn own_program_runs_under_the_sysctls_of_a_profile() {
    let lab = lab(&["sees-sack"], "profiles: [{ name: no-sack, sysctls: { net.ipv4.tcp_sack: 0 } }]\n");
    let (_, document) = lab.judge(&["--profile", "all"]);
    let outcome = |profile: &str| {
        let cells = document["cells"].as_array().expect("cells");
        cells.iter().find(|cell| cell["profile"] == profile).map(|cell| cell["outcome"].clone())
    };
    assert_eq!(outcome("default"), Some("fail".into()));
    assert_eq!(outcome("no-sack"), Some("pass".into()));
    assert_eq!(cell(&document, "debian-12", "sees-sack")["said"], serde_json::json!(["tcp_sack is 1"]));
}

#[test]
fn unrunnable_program_is_rejected_before_a_boot() {
    let lab = Lab::with_matrix("kernels: [{ name: a, image: there-is-none }]\n");
    lab.write("bugs/script", "#!/bin/sh\nexit 0\n");
    // A library that is gone when the program is to run.
    lab.write("gone.c", "int gone(void) { return 0; }\n");
    lab.write("main.c", "int gone(void); int main(void) { return gone(); }\n");
    let cc = |args: &[&str]| {
        assert!(Command::new("cc").args(args).current_dir(lab.dir.path()).status().expect("cc").success());
    };
    cc(&["-shared", "-fPIC", "-o", "libgone.so", "gone.c"]);
    cc(&["-o", "bugs/main", "main.c", "-L.", "-lgone"]);
    for (bug, program) in [("dynamic", "main"), ("a-script", "script"), ("gone", "gone")] {
        dossier(&lab, bug, &format!("reproducer: {{ program: {program}, deadline: 4s }}\n"));
    }
    let ran = lab.run(&["run", "--dossiers", "bugs"]);
    ran.ends_with(2).says(&[
        "the reproducer of `dynamic`, bugs/main, cannot run in a guest: it needs the library libgone.so, which this host does not \
         have: install it, or link statically",
        "the reproducer of `a-script`, bugs/script, cannot run in a guest: it is a script",
        "cannot read bugs/gone, which the reproducer of `gone` needs: No such file",
    ]);
    assert!(!lab.path("results").exists(), "a run was begun");
    dossier(&lab, "dynamic", "reproducer: { program: a, deadlin: 4 }\n");
    lab.run(&["run", "--dossiers", "bugs"])
        .ends_with(2)
        .says(&["bugs/dynamic.yaml:5:27: unknown key `deadlin`", "bugs/dynamic.yaml:5:36: bad deadline `4`"]);
}

#[test]
fn positive_control_decides_what_a_pass_is_worth() {
    // The arguments of the control, or a patch; the outcome, its strength, and why; whether the control showed the bug.
    let table = [
        ("shows", "args: [exits, 1]", "pass", "strong", "`program exits 1` shows the bug: ", "yes"),
        ("is-blind", "args: [exits, 0]", "error", "", "its positive control failed: `program exits 0` must show", "no"),
        (
            "breaks",
            "args: [exits, 7]",
            "pass",
            "weak",
            "(`program exits 7`) has no result: its program exited",
            "unclear",
        ),
        ("dies", "program: ../program, args: [crashes]", "pass", "weak", "has no result: panic: ", "unclear"),
        ("unbuilt", "without: fix.patch", "pass", "weak", "only a kernel of `build:` can be built without", "unclear"),
    ];
    let names: Vec<&str> = table.iter().map(|(bug, ..)| *bug).collect();
    let lab = lab(&names, "share-guest: all\n");
    lab.write("bugs/fix.patch", "");
    for (bug, control, ..) in table {
        let reproducer = "program: ../program, args: [exits, 0], deadline: 4s, protocol: exit-status";
        dossier(&lab, bug, &format!("reproducer: {{ {reproducer}, positive-control: {{ {control} }} }}\n"));
    }
    let (ran, document) = lab.judge(&[]);
    ran.ends_with(3);
    for (bug, _, outcome, strength, why, shown) in table {
        let found = ended(&document, bug);
        assert_eq!((found.0.as_str(), found.1.as_str()), (outcome, strength), "{bug}: {found:?}");
        assert!(found.2.contains(why), "{bug}: {}", found.2);
        let cell = cell(&document, "debian-12", bug);
        assert_eq!(cell["positive_control"]["shown"], shown, "{bug}");
        assert_eq!(cell["unproven"], strength == "weak", "{bug}");
    }
    // Such a boot judges no cell, so it cannot be judged again.
    let boot = cell(&document, "debian-12", "shows")["positive_control"]["boots"][0].as_str().expect("a boot");
    let number = boot.strip_prefix("boot-").expect("its number");
    let ran = lab.run(&["replay", "latest", "debian-12", "--boot", number]);
    ran.ends_with(2).says(&["boot.sh"]);
}

#[test]
fn kernel_without_the_patch_is_a_positive_control() {
    let history = KernelHistory::open();
    let lab = Lab::with_matrix(&format!(
        "dossiers: bugs\nbugs: [retries, unchanged]\nkernels:\n  - name: patched\n    build: {{ repo: {}, revision: {}, \
         patches: [bugs/fix.patch] }}\n",
        history.path(),
        history.tag("fix"),
    ));
    lab.build_program();
    let value = "\tnet->ipv4.sysctl_tcp_retries2 = ";
    let patch = |file: &str, line: &str, from: &str, to: &str| {
        let change = format!("@@ -{line} +{line} @@\n-{from}\n+{to}\n");
        format!("--- a/net/ipv4/{file}\n+++ b/net/ipv4/{file}\n{change}")
    };
    lab.write("bugs/fix.patch", patch("tcp_ipv4.c", "3324", &format!("{value}TCP_RETR2;"), &format!("{value}16;")));
    // Another patch, which the source doesn't have: so it cannot be taken out.
    lab.write("bugs/other.patch", patch("tcp_ipv4.c", "3324", &format!("{value}17;"), &format!("{value}18;")));
    for (bug, patch) in [("retries", "fix.patch"), ("unchanged", "other.patch")] {
        let reproducer = "program: ../program, args: [sees-15-retries], deadline: 4s, protocol: exit-status, seeds: 5";
        dossier(&lab, bug, &format!("reproducer: {{ {reproducer}, positive-control: {{ without: {patch} }} }}\n"));
    }
    let (ran, document) = lab.judge(&["--strict"]);
    ran.ends_with(3);
    let proven = cell(&document, "patched", "retries");
    assert_eq!((&proven["outcome"], &proven["unproven"]), (&"pass".into(), &false.into()), "{proven:#}");
    let why = proven["findings"].as_array().and_then(|all| all.last()).expect("a finding")["why"].as_str();
    assert!(why.expect("a reason").contains("this kernel without fix.patch shows the bug: "), "{proven:#}");
    let not = cell(&document, "patched", "unchanged");
    assert_eq!((&not["outcome"], &not["positive_control"]["shown"]), (&"error".into(), &"unclear".into()), "{not:#}");
    let boots = document["kernels"][0]["boots"].as_array().expect("boots");
    assert_eq!(boots.iter().filter(|boot| boot["control"] == "the kernel without a patch").count(), 5, "{boots:#?}");
}
