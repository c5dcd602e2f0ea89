//! Programs that weren't written for backproof: other protocols, and crashes of the kernel as verdicts, in real guests.

mod common;

use std::process::Command;

use common::{Lab, Ran, cell};
use serde_json::{Value, json};

/// A lab with these bugs, each with more keys of its reproducer, on Debian 12's kernel.
fn lab(bugs: &[(&str, &str)], more: &str) -> Lab {
    let names: Vec<&str> = bugs.iter().map(|(bug, _)| *bug).collect();
    let lab = Lab::with_matrix(&format!(
        "dossiers: bugs\nbugs: [{}]\nkernels:\n  - name: debian-12\n    apt: {{ package: linux-image-cloud-amd64, suite: \
         bookworm }}\n{more}",
        names.join(", ")
    ));
    lab.build_program();
    for (bug, keys) in bugs {
        let deadline = if keys.contains("deadline: ") { "" } else { "deadline: 20s, " };
        lab.write(
            &format!("bugs/{bug}.yaml"),
            format!(
                "id: {bug}\ntitle: A bug\nsummary: It is there for the test.\nreferences: [a test]\nreproducer: {{ program: \
                 ../program, {deadline}{keys} }}\n"
            ),
        );
    }
    lab
}

/// The outcome, the strength of the runtime's finding, and all words.
#[track_caller]
fn ended(document: &Value, bug: &str) -> (String, String, String) {
    let cell = cell(document, "debian-12", bug);
    let runtime = cell["findings"].as_array().expect("findings").iter().find(|f| f["witness"] == "runtime");
    let runtime = runtime.unwrap_or(&Value::Null);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (text(&cell["outcome"]), text(&runtime["strength"]), text(&runtime["why"]) + &text(&cell["reason"]))
}

#[test]
fn protocols_of_others_are_understood_in_a_guest() {
    let table = [
        ("ltp-fail", "protocol: ltp, args: [exits, 1, \"a.c:1: TFAIL: lost\"]", "fail", "strong", "a.c:1: TFAIL: lost"),
        ("ltp-silent-fail", "protocol: ltp, args: [exits, 1]", "fail", "weak", "0 TPASS, 0 TFAIL"),
        ("ltp-pass", "protocol: ltp, args: [exits, 0, \"a.c:1: TPASS: x\"]", "pass", "weak", "1 TPASS"),
        ("ltp-broken", "protocol: ltp, args: [exits, 2, \"a.c:1: TBROK: no\"]", "error", "", "broke (TBROK): a.c:1"),
        ("ltp-conf", "protocol: ltp, args: [exits, 32]", "skip", "", "TCONF"),
        (
            "tap-fail",
            "protocol: tap, args: [exits, 1, 1..2, ok 1, not ok 2 - leaks]",
            "fail",
            "strong",
            "not ok 2 - leaks",
        ),
        ("tap-cut", "protocol: tap, args: [exits, 0, 1..2, ok 1]", "error", "", "planned 2 tests and reported 1"),
        ("ktap-skip", "protocol: ktap, args: [exits, 4, 1..1, \"ok 1 # SKIP no device\"]", "skip", "", "no device"),
        (
            "status-only",
            "protocol: exit-status, args: [exits, 1, some words]",
            "fail",
            "weak",
            "exited with 1 (affected)",
        ),
        ("soils", "args: [soils]", "pass", "weak", ""),
        ("finds-all-clean", "args: [finds-all-clean]", "pass", "weak", "exited with 0"),
        (
            "surroundings",
            "args: [finds-its-surroundings], files: [data.txt], env: { COLOUR: green }, needs: { mounts: [debugfs] }",
            "pass",
            "weak",
            "exited with 0",
        ),
        ("runs", "args: [exits, 0], runs: 3", "pass", "weak", "3 of 3 runs: "),
    ];
    let bugs: Vec<(&str, &str)> = table.iter().map(|(bug, keys, ..)| (*bug, *keys)).collect();
    let lab = lab(&bugs, "share-guest: all\n");
    lab.write("bugs/data.txt", "of the test");
    let (ran, document) = lab.judge(&[]);
    // Skips were not expected.
    ran.ends_with(3);
    for (bug, _, outcome, strength, why) in table {
        let found = ended(&document, bug);
        assert_eq!((found.0.as_str(), found.1.as_str()), (outcome, strength), "{bug}: {found:?}");
        assert!(found.2.contains(why), "{bug}: {}", found.2);
        assert_eq!(cell(&document, "debian-12", bug)["unproven"], outcome == "pass", "{bug}");
    }
    assert_eq!(cell(&document, "debian-12", "status-only")["said"], json!(["some words"]));
    assert_eq!(document["kernels"][0]["boots"].as_array().expect("boots").len(), 1, "one guest for all of them");
}

#[test]
fn modules_that_a_program_makes_the_kernel_request_are_loaded() {
    // AF_ALG is a module of this kernel, and AF_RDS is not there.
    let lab = lab(
        &[
            ("a-spoiler", "args: [spoils-requests]"),
            ("has-alg", "args: [opens-a-socket, \"38\", \"5\", \"0\"]"),
            ("has-rds", "args: [opens-a-socket, \"21\", \"5\", \"0\"]"),
            ("has-none", "args: [exits, 0]"),
        ],
        "share-guest: all\n",
    );
    let (ran, document) = lab.judge(&[]);
    ran.ends_with(1);
    let alg = ended(&document, "has-alg");
    assert!(alg.0 == "fail" && alg.2.contains("exited with 1"), "{alg:?}");
    let loaded = json!({ "modules": ["af_alg"], "before": ["boot-1"] });
    assert_eq!(cell(&document, "debian-12", "has-alg")["autoloaded"], loaded);
    assert_eq!(cell(&document, "debian-12", "has-alg")["boots"], json!(["boot-1", "boot-2"]));
    let rds = ended(&document, "has-rds");
    assert!(
        rds.0 == "pass" && rds.2.contains("the kernel requested modules that this guest did not have: net-pf-21"),
        "{rds:?}"
    );
    assert_eq!(cell(&document, "debian-12", "has-none")["boots"], json!(["boot-1"]));

    // A replay boots the guest that had the module, and a second run takes all from the cache.
    let again = Ran::of(lab.cached_command(&["run", "--accel", "tcg", "--format", "json"]).output().expect("runs"));
    let document: Value = serde_json::from_str(&again.ends_with(1).stdout).expect("JSON");
    let alg = cell(&document, "debian-12", "has-alg");
    assert!(alg["outcome"] == "fail" && alg["cached"].is_string() && alg["autoloaded"] == loaded, "{alg:#}");
    let replayed = lab.run(&["replay", "latest", "debian-12", "--boot", "2"]);
    assert!(replayed.ends_with(1).stdout.contains("transcript  identical"), "{}", replayed.stdout);

    let checked = lab.run(&["reproducer", "check", "bugs/has-alg.yaml", "--accel", "tcg", "--format", "json"]);
    let checked: Value = serde_json::from_str(&checked.ends_with(0).stdout).expect("JSON");
    assert!(checked["lacks"].to_string().contains("requested (af_alg)"), "{checked:#}");
}

#[test]
fn positive_control_gets_the_modules_that_it_requests() {
    let opens = "args: [opens-a-socket, \"38\", \"5\", \"0\"]";
    let control = format!("args: [exits, 0], positive-control: {{ {opens} }}");
    let lab = lab(&[("has-alg", opens), ("has-control", &control)], "");
    let (ran, document) = lab.judge(&[]);
    ran.ends_with(1);
    let controlled = cell(&document, "debian-12", "has-control");
    assert!(controlled["outcome"] == "pass" && controlled["unproven"] == false, "{controlled:#}");
    assert_eq!(controlled["autoloaded"], Value::Null, "{controlled:#}");
    // The first boot lacked its only program's module, and is not the one to replay.
    let replayed = lab.run(&["replay", "latest", "debian-12"]);
    for words in ["has-control  pass, as before", "transcript  identical", "has-alg  not replayed: boot-3 judged it"] {
        assert!(replayed.ends_with(0).stdout.contains(words), "{}", replayed.stdout);
    }
}

#[test]
fn crash_is_the_verdict_only_if_the_dossier_describes_it() {
    let described = "crash: { kinds: [oops, panic], match: \"sysrq triggered crash\" }";
    let table = [
        ("known", format!("args: [crashes], {described}"), "fail", "decisive", "as the dossier describes (panic)"),
        ("known-late", format!("args: [leaves-a-crash], {described}"), "fail", "decisive", "as the dossier describes"),
        (
            "other",
            "args: [crashes], crash: { kinds: [oops, panic], match: no_such_function_of_any_kernel }".to_owned(),
            "error",
            "",
            "not the crash that the dossier describes: panic",
        ),
        (
            "other-kind",
            "args: [crashes], crash: { kinds: [warning], match: sysrq }".to_owned(),
            "error",
            "",
            "not the crash",
        ),
        ("silent", format!("args: [exits, 0], {described}"), "pass", "weak", "nothing crashed"),
        (
            "loops",
            format!("args: [stays], deadline: 2s, {described}"),
            "pass",
            "weak",
            "ran until its deadline of 2000 ms",
        ),
        ("fails", format!("args: [exits, 1], {described}"), "error", "", "exited with 1, and nothing crashed"),
        ("undescribed", "args: [crashes]".to_owned(), "error", "", "panic: "),
        (
            "said-before",
            "args: [says-affected-and-crashes], protocol: backproof, crash: { kinds: [kasan, oops], match: no_such }"
                .to_owned(),
            "fail",
            "weak",
            "; then: panic: ",
        ),
        (
            "unreported",
            "args: [crashes], crash: { kinds: [kasan, kcsan], match: sysrq }".to_owned(),
            "skip",
            "",
            "the kernel cannot report the bug: kasan needs CONFIG_KASAN",
        ),
    ];
    let bugs: Vec<(&str, &str)> = table.iter().map(|(bug, keys, ..)| (*bug, keys.as_str())).collect();
    let lab = lab(&bugs, "");
    let (ran, document) = lab.judge(&[]);
    ran.ends_with(3);
    for (bug, _, outcome, strength, why) in &table {
        let found = ended(&document, bug);
        assert_eq!((found.0.as_str(), found.1.as_str()), (*outcome, *strength), "{bug}: {found:?}");
        assert!(found.2.contains(why), "{bug}: {}", found.2);
    }
    let crash = &cell(&document, "debian-12", "known")["crash"];
    assert!(crash["excerpt"].to_string().contains("sysrq triggered crash"), "{crash}");

    // In virtual time it is known: the kernel itself ended that boot. One that it did not end is booted each time.
    let (_, again) = lab.judge(&["--bug", "known", "--bug", "undescribed"]);
    assert_eq!(ended(&again, "known"), ended(&document, "known"));
    // On a busy host the watch may end it first, so only the other is sure.
    assert!(cell(&again, "debian-12", "undescribed")["cached"].is_null(), "{again:#}");
    let (_, again) = lab.judge(&["--bug", "known", "--fresh"]);
    assert!(again["differing"].is_null(), "{again:#}");

    // Booted again, it is the same crash; and the run's own copy of the dossier says so.
    lab.write("bugs/known.yaml", "id: another\n");
    let boot = cell(&document, "debian-12", "known")["boots"][0]
        .as_str()
        .and_then(|b| b.strip_prefix("boot-"))
        .expect("a boot");
    let replayed = lab.run(&["replay", "latest", "debian-12", "--boot", boot, "--accel", "tcg", "--format", "json"]);
    let document: Value = serde_json::from_str(&replayed.stdout).expect("a document");
    let known = ended(&document, "known");
    assert_eq!((known.0.as_str(), known.1.as_str()), ("fail", "decisive"), "{known:?}");
    assert!(lab.result("_dossiers/known.yaml").is_file());
}

#[test]
fn taint_is_the_verdict_only_if_the_reproducer_set_it() {
    let (user, warning) = (1 << 6, 1 << 9);
    let table = [
        ("taints", format!("args: [taints, \"{user}\"], crash: {{ taint: [W, U] }}"), "fail", "became tainted: U"),
        (
            "taints-late",
            format!("args: [leaves-a-taint, \"{warning}\"], crash: {{ taint: [W] }}"),
            "fail",
            "became tainted: W (a warning)",
        ),
        ("other-bit", format!("args: [taints, \"{user}\"], crash: {{ taint: [W] }}"), "pass", "nothing crashed"),
        ("silent", "args: [exits, 0], crash: { taint: [W, U] }".to_owned(), "pass", "nothing crashed"),
        ("oopses", "args: [crashes], crash: { taint: [W] }".to_owned(), "error", "not the crash"),
        (
            "leaks",
            "args: [exits, 0], crash: { kinds: [memory-leak], frames: [f] }".to_owned(),
            "skip",
            "memory-leak needs CONFIG_DEBUG_KMEMLEAK",
        ),
        // The kernel can still taint itself, so the absence of kmemleak is only mentioned.
        (
            "both",
            "args: [exits, 0], crash: { kinds: [memory-leak], frames: [f], taint: [W] }".to_owned(),
            "pass",
            "the kernel cannot report memory leaks: this kernel has no kmemleak",
        ),
    ];
    let bugs: Vec<(&str, &str)> = table.iter().map(|(bug, keys, ..)| (*bug, keys.as_str())).collect();
    // The programs that taint don't share a guest with others, whatever the matrix says.
    let lab = lab(&bugs, "share-guest: all\n");
    let (_, document) = lab.judge(&[]);
    for (bug, _, outcome, why) in &table {
        let found = ended(&document, bug);
        assert!(found.0 == *outcome && found.2.contains(why), "{bug}: {found:?}");
        assert!(cell(&document, "debian-12", bug)["shared_with"].is_null(), "{bug}");
    }
    let crash = &cell(&document, "debian-12", "taints")["crash"];
    assert_eq!(crash["kind"], "taint");
    assert_eq!(crash["excerpt"], json!(["before: not tainted", "after: U (set by a program)"]));

    let boot = cell(&document, "debian-12", "taints")["boots"][0].as_str().and_then(|b| b.strip_prefix("boot-"));
    let boot = boot.expect("a boot");
    let replayed = lab.run(&["replay", "latest", "debian-12", "--boot", boot, "--accel", "tcg", "--format", "json"]);
    let document: Value = serde_json::from_str(&replayed.stdout).expect("a document");
    let again = ended(&document, "taints");
    assert_eq!((again.0.as_str(), again.1.as_str()), ("fail", "decisive"), "{again:?}");
}

#[test]
fn program_that_starves_others_is_not_a_hang() {
    let described = "crash: { kinds: [hang], match: \".\" }";
    let spins = format!("args: [starves, 98], deadline: 2s, {described}");
    let says = "args: [starves, 98], deadline: 2s, protocol: exit-status";
    let lab = lab(&[("spins", &spins), ("says", says), ("after", "args: [exits, 0]")], "share-guest: all\n");
    let (ran, document) = lab.judge(&[]);
    ran.ends_with(3);
    for (bug, outcome, why) in [
        ("spins", "pass", "ran until its deadline of 2000 ms"),
        ("says", "error", "killed at its deadline of 2000 ms"),
        ("after", "pass", "exited with 0"),
    ] {
        let found = ended(&document, bug);
        assert!(found.0 == outcome && found.2.contains(why), "{bug}: {found:?}");
    }
}

#[test]
fn results_are_complete_when_one_program_panics() {
    let bugs: Vec<(String, &str)> =
        (0..9).map(|n| (format!("bug-{n}"), if n == 4 { "args: [crashes]" } else { "args: [exits, 0]" })).collect();
    let bugs: Vec<(&str, &str)> = bugs.iter().map(|(bug, keys)| (bug.as_str(), *keys)).collect();
    let lab = lab(&bugs, "share-guest: all\n");
    let (ran, document) = lab.judge(&[]);
    ran.ends_with(3);
    for (bug, _) in bugs {
        assert_eq!(ended(&document, bug).0, if bug == "bug-4" { "error" } else { "pass" }, "{bug}");
        assert!(cell(&document, "debian-12", bug)["unexplained"].is_null(), "{bug}");
    }
    // The shared guest, the crasher alone, and those that had not started.
    assert_eq!(document["kernels"][0]["boots"].as_array().expect("boots").len(), 3);

    // A replay of the shared guest keeps the same reports, and names the boots that judged the others.
    let replayed = lab.run(&["replay", "latest", "debian-12", "--boot", "1", "--accel", "tcg"]);
    replayed.ends_with(0);
    let lines = |words: &str| replayed.stdout.lines().filter(|line| line.contains(words)).count();
    assert_eq!((lines("pass (unproven), as before"), lines("not replayed: boot-")), (4, 5), "{}", replayed.stdout);
}

#[test]
fn late_crash_is_found_beside_another_crasher() {
    let late = "args: [leaves-a-crash], crash: { kinds: [panic], match: sysrq, settle: 3s }";
    let unreached = "args: [exits, 0], reach: [tcp_fragment]";
    let lab = lab(&[("unreached", unreached), ("late", late), ("crashes", "args: [crashes]")], "share-guest: all\n");
    let (ran, document) = lab.judge(&[]);
    ran.ends_with(1);
    assert_eq!(ended(&document, "late").0, "fail");
    assert_eq!(ended(&document, "crashes").0, "error");
    // Its report came before the death, and so did its count.
    let unreached = ended(&document, "unreached");
    assert!(unreached.0 == "error" && unreached.2.contains("tcp_fragment never ran"), "{unreached:?}");
}

#[test]
fn many_runs_may_print_much() {
    let words = "x".repeat(190);
    let keys = format!("protocol: exit-status, runs: 300, args: [exits, 0{}]", format!(", {words}").repeat(20));
    let lab = lab(&[("prints", &keys)], "");
    let (ran, document) = lab.judge(&[]);
    ran.ends_with(0);
    let printed = ended(&document, "prints");
    assert!(printed.0 == "pass" && printed.2.contains("300 of 300 runs: "), "{printed:?}");
}

#[test]
fn seeds_of_a_dossier_find_a_race() {
    let keys = "args: [is-a-race], seeds: 12, crash: { kinds: [panic], match: sysrq }";
    let lab = lab(&[("a-race", keys)], "");
    let (ran, document) = lab.judge(&[]);
    ran.ends_with(1);
    let seeds = &cell(&document, "debian-12", "a-race")["seeds"];
    let affected = seeds["affected"].as_u64().expect("a number");
    assert_eq!((&seeds["tried"], &seeds["broken"]), (&json!(12), &json!(0)), "{seeds}");
    assert!((1..12).contains(&affected), "{seeds}");
    assert_eq!(ended(&document, "a-race").0, "fail");
}

#[test]
fn pass_without_a_control_is_no_answer_if_strict() {
    let keys = "args: [exits, 0], reach: [do_group_exit, tcp_fragment]";
    let lab = lab(&[("reaches", keys), ("misses", "args: [exits, 0], reach: [tcp_fragment]")], "");
    let (ran, document) = lab.judge(&[]);
    ran.ends_with(3);
    let (reaches, misses) = (ended(&document, "reaches"), ended(&document, "misses"));
    assert!(reaches.0 == "pass" && reaches.2.contains("; do_group_exit ran "), "{reaches:?}");
    assert!(misses.0 == "error" && misses.2.contains("did not reach the code: tcp_fragment never ran"), "{misses:?}");
    let missing = cell(&document, "debian-12", "misses");
    assert_eq!(missing["fault"], "reproducer");
    let boot = missing["boots"][0].as_str().and_then(|boot| boot.strip_prefix("boot-")).expect("a boot");
    let replayed = lab.run(&["replay", "latest", "debian-12", "--boot", boot, "--accel", "tcg", "--format", "json"]);
    let document: Value = serde_json::from_str(&replayed.stdout).expect("a document");
    assert_eq!(cell(&document, "debian-12", "misses")["fault"], "reproducer");
    let (ran, document) = lab.judge(&["--strict", "--bug", "reaches"]);
    ran.ends_with(3);
    let strict = ended(&document, "reaches");
    assert!(
        strict.0 == "error" && strict.2.ends_with("a pass that nothing proves is no answer (--strict)"),
        "{strict:?}"
    );
    assert_eq!(cell(&document, "debian-12", "reaches")["verdict"], "unknown");
    let replayed = lab.run(&["replay", "latest", "debian-12", "--accel", "tcg", "--format", "json"]);
    let document: Value = serde_json::from_str(&replayed.stdout).expect("a document");
    assert_eq!(ended(&document, "reaches").0, "error", "as strict as the run");
}

#[test]
fn sample_of_the_reference_is_understood() {
    let lab = Lab::with_matrix(&common::debian_12(""));
    let reference = include_str!("../docs/reproducers.md");
    let sample = reference.split("```c\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a sample");
    let source = lab.write("sample.c", sample);
    let flags = ["-static", "-O2", "-Wall", "-Werror", "-o"];
    let built = Command::new("cc").args(flags).arg(lab.path("sample")).arg(source).status().expect("cc");
    assert!(built.success());
    let ran = lab.run(&["reproducer", "check", "sample", "--accel", "tcg"]);
    ran.ends_with(0);
    for line in
        ["sample on debian-12 (6.1.", "outcome   PASS\n", "why       5 of 5 bytes arrived\n", "protocol  backproof"]
    {
        assert!(ran.stdout.contains(line), "no `{line}` in\n{}", ran.stdout);
    }
    assert!(!ran.stdout.contains("lacks"), "{}", ran.stdout);

    // What its output looks like is said, and what it takes along.
    lab.write("ltp.c", "#include <stdio.h>\nint main(void) { puts(\"a.c:1: TFAIL: lost\"); return 1; }\n");
    let built = Command::new("cc").args(["-o"]).args([lab.path("ltp"), lab.path("ltp.c")]).status().expect("cc");
    assert!(built.success());
    let ran = lab.run(&["reproducer", "check", "ltp", "--accel", "tcg", "--format", "json"]);
    ran.ends_with(3);
    let checked: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(checked["lacks"], json!(["`protocol: ltp` in its dossier, as its output looks"]), "{checked:#}");
    let libraries = checked["libraries"].to_string();
    assert!(libraries.contains("libc.so.6") && libraries.contains("ld-linux-x86-64.so.2"), "{libraries}");
    lab.run(&["reproducer", "check", "gone.yaml"]).ends_with(2).says(&["cannot read gone.yaml: No such file"]);
    lab.run(&["reproducer", "check", "kernels.yaml"]).ends_with(2);
    lab.run(&["reproducer", "check", "sample.c"])
        .ends_with(2)
        .says(&["sample.c, cannot run in a guest: it is not an ELF file"]);
}
