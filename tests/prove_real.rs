//! `backproof prove` on a real kernel's source: commits that mend, break, do nothing, don't compile or don't boot.

use serde_json::Value;

mod common;
use common::kernel_history::KernelHistory;
use common::{Lab, Ran};

const BUG: &str = "tcp-fragment-stall";

/// The most objects of a build after another commit's: some of its files, and those with its version.
const FEW: u64 = 8;

struct RealLab {
    lab: Lab,
    history: KernelHistory,
}

impl RealLab {
    fn new() -> Self {
        Self { lab: Lab::new(), history: KernelHistory::open() }
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let all = ["prove", "--bug", BUG, "--accel", "tcg", "--repo", self.history.path(), "--format", "json"];
        self.lab.run(&[&all, arguments].concat())
    }

    fn proof(&self, arguments: &[&str], exit: i32) -> Value {
        let ran = self.run(arguments);
        ran.ends_with(exit);
        let proof: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        for side in proof["sides"].as_array().into_iter().flatten().filter(|side| side["name"] != "with") {
            // The side with the change is the first one, which may have to compile everything.
            assert!(side["build"]["compiled"].as_u64().is_none_or(|compiled| compiled <= FEW), "{side:#}");
        }
        proof
    }

    /// The proof of the commit with this name.
    fn of_commit(&self, name: &str, exit: i32) -> Value {
        self.proof(&["--commit", &self.history.commit(name)], exit)
    }
}

#[track_caller]
fn says<'a>(proof: &'a Value, flip: &str, why: &str) -> &'a Value {
    let said = proof["why"].as_str().expect("a sentence");
    assert!(proof["flip"] == flip && said.contains(why), "{}: {said}", proof["flip"]);
    proof
}

/// The functions that differ.
fn functions(proof: &Value) -> Vec<&str> {
    let functions = proof["code"]["difference"]["functions"].as_array().expect("functions");
    functions.iter().filter_map(|function| function["name"].as_str()).collect()
}

#[test]
fn verdict_flips_at_the_fix_and_its_revert() {
    let lab = RealLab::new();
    let proof = lab.of_commit("fix", 0);
    says(&proof, "flips", "without affected (3 of 3 seeds), with not-affected (0 of 3 seeds)");
    assert_eq!(proof["code"]["files"], serde_json::json!(["net/ipv4/tcp_output.c"]));
    assert_eq!(functions(&proof), ["tcp_fragment"]);
    // The same commit, found in the history by its role.
    let tag = lab.history.tag("fix");
    let step = lab.proof(&["--at", &tag, "--step", "fix"], 0);
    assert_eq!(step["change"]["parts"], proof["change"]["parts"]);

    let revert = lab.history.commit("revert");
    says(&lab.proof(&["--commit", &revert], 1), "wrong-direction", "without not-affected");
    says(&lab.proof(&["--commit", &revert, "--break"], 0), "flips", "with affected (3 of 3 seeds)");
    says(&lab.of_commit("fix-again", 0), "flips", "with not-affected");
    let tag = lab.history.tag("break");
    says(&lab.proof(&["--at", &tag, "--step", "break"], 0), "flips", "without not-affected");
}

#[test]
fn change_without_an_effect_has_its_reason() {
    let lab = RealLab::new();
    let same = "no-op: the change compiles to the same code and data";
    for (name, cause, why, differing) in [
        ("half-fix", "reached", "reached: tcp_fragment ran", &["tcp_fragment"][..]),
        ("unreached", "never-reached", "never reached: tcp_send_window_probe did not run", &["tcp_send_window_probe"]),
        ("never-true", "no-op", same, &[]),
        ("comment", "no-op", same, &[]),
        ("uncompiled", "not-compiled", "the kernel has no object of net/sctp/protocol.c", &[]),
    ] {
        let proof = lab.of_commit(name, 1);
        says(&proof, "stays-affected", why);
        assert_eq!(proof["no_flip"]["cause"], cause, "{name}");
        assert_eq!(functions(&proof), differing, "{name}");
    }
}

#[test]
fn commit_that_does_not_build_or_boot_has_no_verdict() {
    let lab = RealLab::new();
    let of = |name: &str| lab.proof(&["--commit", &lab.history.commit(name), "--seeds", "1"], 3);
    let proof = of("broken");
    says(&proof, "no-verdict", "with: it doesn't build: ");
    says(&proof, "no-verdict", "net/ipv4/tcp_output.c:");
    says(&proof, "no-verdict", "error: 'TCP_SPLIT_MAX' undeclared");
    assert_eq!(proof["sides"][0]["verdict"], "affected");
    says(&of("panics"), "no-verdict", "panic: TCP: no table of connections");
}

#[test]
fn fix_is_named_in_a_series() {
    let lab = RealLab::new();
    let (history, fix) = (&lab.history, lab.history.commit("fix"));
    let proof = lab.proof(&["--commit", &format!("{}..{fix}", history.tag("half-fix")), "--each", "--seeds", "1"], 0);
    let parts = proof["change"]["parts"].as_array().expect("parts");
    let place = parts.iter().position(|part| part["name"] == fix.as_str()).map(|at| at + 1);
    assert_eq!(proof["turns_at"], serde_json::json!([{ "first": place, "last": place }]));
    let verdicts = proof["sides"].as_array().into_iter().flatten().map(|side| side["verdict"].as_str());
    assert_eq!(verdicts.filter(|verdict| *verdict == Some("unknown")).count(), 2, "{proof:#}");
}

#[test]
fn fix_is_found_between_releases() {
    let lab = RealLab::new();
    let history = &lab.history;
    let proof = lab.proof(&["--between", &history.tag("break"), &history.tag("fix")], 0);
    let [releases, commits] = &proof["searches"].as_array().expect("searches")[..] else { panic!("{proof:#}") };
    let turn = &releases["turns"][0];
    assert_eq!((&turn["from"], &turn["to"]), (&history.tag("never-true").into(), &history.tag("fix").into()));
    let turn = &commits["turns"][0];
    let subject = |end: &str| turn[end].as_str().expect("a commit").to_owned();
    assert!(subject("from").contains("Revert \"tcp: require a table\""), "{turn}");
    assert!(subject("to").contains("tcp: be more careful in tcp_fragment()"), "{turn}");
    assert_eq!((&turn["confirmed"], turn.get("unjudged")), (&"confirmed".into(), None));
    let unjudged = commits["row"].as_array().into_iter().flatten().filter(|kernel| kernel["verdict"] == "unknown");
    let unjudged: Vec<&str> = unjudged.filter_map(|kernel| kernel["label"].as_str()).collect();
    // The first two of the search.
    let bad = ["(\"tcp: limit what is split\")", "(\"tcp: require a table\")"];
    assert!(unjudged.len() == 2 && unjudged.iter().zip(bad).all(|(at, bad)| at.ends_with(bad)), "{unjudged:?}");
}
