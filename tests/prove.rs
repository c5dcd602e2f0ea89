//! `backproof prove` on sources that compile at once, into kernels of a few bytes that say what they are.

use std::fs;
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

mod common;
use common::control_builds::{all_end, family_at_b};
use common::fake_source::{FIX, FakeSource};
use common::{Lab, Ran};

const BUG: &str = "tcp-fragment-stall";

struct ProofLab {
    lab: Lab,
    source: FakeSource,
}

impl ProofLab {
    fn new() -> Self {
        let lab = Lab::new();
        let source = FakeSource::behaving(lab.dir.path(), BUG);
        lab.write("fix.patch", FIX);
        Self { lab, source }
    }

    fn git(&self, arguments: &[&str]) -> String {
        let done = Command::new("git").arg("-C").arg(self.source.path()).args(arguments).output().expect("git");
        assert!(done.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8_lossy(&done.stdout).trim().to_owned()
    }

    fn commit(&self, subject: &str) -> String {
        self.git(&["add", "--all"]);
        self.git(&["-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--allow-empty", "-m", subject]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// A commit in which the kernel behaves so, and its tag.
    fn release(&self, tag: &str, behaviour: &str) -> String {
        self.source.write("net/b.c", &format!("behaves: -{behaviour}\n"));
        self.source.write(&format!("Documentation/{tag}.txt"), "words\n");
        let commit = self.commit(tag);
        self.git(&["tag", tag]);
        commit
    }

    fn with_repository() -> Self {
        let lab = Self::new();
        lab.git(&["init", "--quiet", "-b", "main"]);
        lab
    }

    fn run(&self, arguments: &[&str]) -> Ran {
        let all = ["prove", "--bug", BUG, "--accel", "tcg", "--cache", "cache"];
        self.lab.run(&[&all, arguments].concat())
    }

    /// The document, which is also in the run's folder.
    fn proof(&self, arguments: &[&str], exit: i32) -> Value {
        let ran = self.run(&[arguments, &["--format", "json"]].concat());
        ran.ends_with(exit);
        let document: Value = serde_json::from_str(&ran.stdout).expect("JSON");
        let kept = fs::read(self.lab.result("proof.json")).expect("proof.json");
        assert_eq!(serde_json::from_slice::<Value>(&kept).expect("JSON"), document);
        assert_eq!(document["exit_code"], exit);
        document
    }
}

#[test]
fn verdict_flips_at_a_patch_of_a_tree() {
    let lab = ProofLab::new();
    let proof = lab.proof(&["--tree", "linux", "--patch", "fix.patch"], 0);
    assert_eq!(proof["flip"], "flips");
    assert_eq!(proof["why"], "flips: without affected (3 of 3 seeds), with not-affected (0 of 3 seeds)");
    assert_eq!(proof["change"]["is_in"], false);
    assert_eq!(proof["code"]["files"][0], "net/b.c");
    assert_eq!(proof["sides"][1]["build"]["compiled"], 1, "{proof:#}");
    assert_eq!(fs::read_to_string(lab.source.path().join("net/b.c")).expect("a file"), "behaves: -affected\n");
    let proof = lab.proof(&["--tree", "linux", "--patch", "fix.patch", "--seeds", "1"], 0);
    assert_eq!(proof["tool"]["time"], "virtual, seed 1, shift 4");

    // The patch goes into the tree: then it is taken out.
    lab.source.write("net/b.c", "behaves: -fixed\n");
    let proof = lab.proof(&["--tree", "linux", "--patch", "fix.patch"], 0);
    assert_eq!((&proof["flip"], &proof["change"]["is_in"]), (&"flips".into(), &true.into()));
    assert_eq!(proof["sides"][0]["build"], Value::Null, "both were built before");

    let text = lab.run(&["--tree", "linux", "--patch", "fix.patch"]).stdout;
    for line in
        ["FLIPS  fix.patch  tcp-fragment-stall", "which has it; `without` is the source with it taken out", "net/b.o"]
    {
        assert!(text.contains(line), "no `{line}` in\n{text}");
    }
}

#[test]
fn flip_in_real_time_is_booted_twice() {
    let lab = ProofLab::new();
    let proof = lab.proof(&["--tree", "linux", "--patch", "fix.patch", "--time", "real"], 0);
    assert_eq!(proof["why"], "flips: without affected (twice), with not-affected (twice)");
    assert_eq!(proof["sides"][0]["confirmed"], "confirmed");
    let matrix: Value =
        serde_json::from_slice(&fs::read(lab.lab.result("matrix.json")).expect("a file")).expect("JSON");
    let names: Vec<&str> =
        matrix["cells"].as_array().expect("cells").iter().filter_map(|cell| cell["kernel"].as_str()).collect();
    assert_eq!(names, ["without", "with", "without-again", "with-again"]);
    assert_eq!(matrix["summary"]["unexpected"], 0, "{matrix:#}");
}

#[test]
fn interrupted_build_ends_the_run_and_the_proof_goes_on() {
    let lab = ProofLab::new();
    lab.source.hold();
    let arguments =
        ["prove", "--bug", BUG, "--tree", "linux", "--patch", "fix.patch", "--accel", "tcg", "--cache", "cache"];
    let mut command = lab.lab.command(&arguments);
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it starts");
    let family = family_at_b(&child, &lab.source);
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).expect("Ctrl-C");
    let ended = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.code() == Some(130) && said.contains("interrupted; to resume: backproof prove"), "{said}");
    all_end(&family);
    let matrix: Value =
        serde_json::from_slice(&fs::read(lab.lab.result("matrix.json")).expect("a file")).expect("JSON");
    assert_eq!((&matrix["run"]["finished"], &matrix["run"]["interrupted"]), (&true.into(), &true.into()), "{matrix:#}");
    lab.source.untell("hold");
    assert_eq!(lab.proof(&["--tree", "linux", "--patch", "fix.patch"], 0)["flip"], "flips");
}

#[test]
fn flip_that_does_not_come_has_its_reason() {
    let lab = ProofLab::new();
    let patch = |name: &str, text: &str| lab.lab.write(name, text).display().to_string();
    let other = patch(
        "other.patch",
        &FIX.replace("+behaves: -fixed", "+behaves: -affected\n+more").replace("+1 @@", "+1,2 @@"),
    );
    let docs = patch("docs.patch", "--- /dev/null\n+++ b/Documentation/b.txt\n@@ -0,0 +1 @@\n+words\n");
    let off = patch("off.patch", "--- /dev/null\n+++ b/drivers/off.c\n@@ -0,0 +1 @@\n+int off;\n");
    let dies = patch("dies.patch", &FIX.replace("-fixed", "-dies"));
    for (arguments, exit, flip, why) in [
        (vec!["--patch", &other], 1, "stays-affected", "affected with the change and without; only data differs"),
        (vec!["--patch", &docs], 1, "stays-affected", "no-op: the change compiles to the same code and data"),
        (
            vec!["--patch", &off],
            1,
            "stays-affected",
            "no-op: in this configuration the kernel has no object of drivers/off.c",
        ),
        (vec!["--patch", "fix.patch", "--break"], 1, "wrong-direction", "wrong direction: without affected"),
        (vec!["--patch", &dies], 3, "no-verdict", "with: "),
    ] {
        let proof = lab.proof(&[&["--tree", "linux"], &arguments[..]].concat(), exit);
        let said = proof["why"].as_str().expect("a sentence");
        assert!(proof["flip"] == flip && said.contains(why), "{arguments:?}: {flip}: {said}");
    }
    lab.source.write("net/b.c", "behaves: -fixed\nand more\n");
    let good =
        patch("good.patch", "--- a/net/b.c\n+++ b/net/b.c\n@@ -1,2 +1,2 @@\n behaves: -fixed\n-and more\n+and less\n");
    let proof = lab.proof(&["--tree", "linux", "--patch", &good], 1);
    assert_eq!(proof["flip"], "stays-good");
}

#[test]
fn commit_of_a_series_that_matters_is_named() {
    let lab = ProofLab::with_repository();
    lab.release("v6.1.1", "affected");
    fs::write(lab.source.path().join("Documentation/logo.gif"), [0, 1, 2]).expect("a file");
    lab.release("v6.1.2", "affected");
    let fix = lab.release("v6.1.3", "fixed");
    lab.release("v6.1.4", "fixed");
    let series = ["--repo", "linux", "--commit", "v6.1.1..v6.1.4", "--each"];
    let proof = lab.proof(&series, 0);
    assert_eq!(proof["turns_at"], serde_json::json!([{ "first": 2, "last": 2 }]));
    assert_eq!(proof["change"]["parts"][1]["name"], fix.as_str());
    let names: Vec<&str> =
        proof["sides"].as_array().expect("sides").iter().filter_map(|s| s["name"].as_str()).collect();
    assert_eq!(names, ["without", "with-1", "with-2", "with"]);
    assert!(lab.lab.result("without.patch").exists() && !lab.lab.result("with.patch").exists());

    // A patch, at the end of the branch.
    let proof = lab.proof(&["--repo", "linux", "--patch", "fix.patch"], 0);
    let head = lab.git(&["rev-parse", "HEAD"]);
    assert_eq!((&proof["change"]["origin"], &proof["change"]["commit"]), (&"linux HEAD".into(), &head.into()));

    // One commit, taken out of a later revision and put into an earlier one.
    for (at, is_in) in [("v6.1.4", true), ("v6.1.2", false)] {
        let proof = lab.proof(&["--repo", "linux", "--at", at, "--commit", &fix], 0);
        assert_eq!((&proof["flip"], &proof["change"]["is_in"]), (&"flips".into(), &is_in.into()), "{at}");
    }
    assert_eq!(lab.git(&["status", "--porcelain"]), "", "the repository is not touched");
}

#[test]
fn turn_between_releases_is_found_and_confirmed() {
    let lab = ProofLab::with_repository();
    for (number, behaviour) in ["affected"; 7].into_iter().chain(["fixed"; 9]).enumerate() {
        // No tag: the search goes on to it.
        if number == 7 {
            lab.source.write("net/b.c", "behaves: -dies\n");
            lab.commit("it doesn't boot");
            lab.source.write("net/b.c", "behaves: -fixed\n");
            lab.commit("the fix");
        }
        lab.release(&format!("v6.1.{number}"), behaviour);
    }
    let between = ["--repo", "linux", "--between", "v6.1.0", "v6.1.15"];
    let proof = lab.proof(&between, 0);
    let turn = &proof["searches"][0]["turns"][0];
    assert_eq!((&turn["from"], &turn["to"]), (&"v6.1.6".into(), &"v6.1.7".into()));
    assert_eq!(turn["confirmed"], "confirmed");
    let commits = &proof["searches"][1];
    let end = |end: &str| commits["turns"][0][end].as_str().expect("a commit").to_owned();
    assert!(end("from").ends_with("(\"v6.1.6\")") && end("to").ends_with("(\"the fix\")"), "{commits:#}");
    assert_eq!(commits["turns"][0]["unjudged"].as_array().map(Vec::len), Some(1));
    assert_eq!(proof["searches"].as_array().map(Vec::len), Some(2), "nothing is searched twice");
    let first_search = proof["searches"][0]["row"].as_array().expect("a row");
    let booted = first_search.iter().filter(|kernel| !kernel["verdict"].is_null()).count();
    assert!(booted <= 6, "{booted}");
    let text = lab.run(&between).stdout;
    assert!(text.contains("flips: v6.1.6 affected → v6.1.7 not-affected"), "{text}");

    let same = lab.run(&["--repo", "linux", "--between", "v6.1.0", "v6.1.5"]);
    same.ends_with(2);
    assert!(same.stdout.contains("v6.1.0 and v6.1.5 are both affected: name ends that differ"), "{}", same.stdout);
}

#[test]
fn bad_input_says_what_to_do_and_boots_nothing() {
    let lab = ProofLab::with_repository();
    lab.release("v6.1.1", "affected");
    lab.release("v6.1.2", "fixed");
    lab.lab.write("bad.patch", FIX.replace("behaves", "behaved"));
    lab.lab.write("rubbish.patch", "words\n");
    for (arguments, says) in [
        (&["--tree", "linux", "--patch", "bad.patch"][..], "bad.patch doesn't apply to net/b.c: hunk #1"),
        (&["--tree", "linux", "--patch", "rubbish.patch"], "rubbish.patch cannot be read: expected a unified diff"),
        (&["--tree", "nowhere", "--patch", "fix.patch"], "nowhere"),
        (&["--patch", "fix.patch"], "name the source: --tree DIR"),
        (&["--between", "debian-12", "debian-13", "--config", "fix.patch"], "required arguments were not provided"),
        (&["--tree", "linux", "--patch", "fix.patch", "--matrix", "k.yaml"], "cannot be used with"),
        (&["--repo", "linux", "--between", "a", "b", "--matrix", "k.yaml"], "cannot be used with"),
        (&["--repo", "linux", "--commit", "v6.1.9"], "did you mean v6.1."),
        (&["--repo", "linux", "--commit", "v6.1.2..v6.1.1"], "expected an older revision first"),
        (&["--repo", "linux", "--at", "v6.1.1", "--step", "fix"], "the fix's upstream commit is not in the repository"),
        (&["--repo", "linux", "--between", "v6.1.2", "v6.1.1"], "expected an older revision first"),
        (&["--between", "debian-12", "debian-1"], "did you mean debian-1"),
        (&["--tree", "linux"], "required"),
        (&["--tree", "linux", "--step", "fix"], "cannot be used with"),
    ] {
        let ran = lab.run(arguments);
        ran.ends_with(2).says(&[says]);
    }
    assert!(!lab.lab.path("results").exists());
}

#[test]
fn fix_in_a_merged_branch_is_found() {
    let lab = ProofLab::with_repository();
    lab.release("v6.1.1", "affected");
    lab.git(&["checkout", "--quiet", "-b", "side"]);
    lab.source.write("net/b.c", "behaves: -fixed\n");
    lab.commit("the fix");
    lab.git(&["checkout", "--quiet", "main"]);
    lab.source.write("Documentation/other.txt", "words\n");
    lab.commit("other words");
    lab.git(&["-c", "user.name=a", "-c", "user.email=a@b", "merge", "--quiet", "--no-ff", "-m", "merge side", "side"]);
    lab.git(&["tag", "v6.1.2"]);
    let proof = lab.proof(&["--repo", "linux", "--between", "v6.1.1", "v6.1.2"], 0);
    let lines: Vec<&str> = proof["lines"].as_array().expect("lines").iter().filter_map(Value::as_str).collect();
    assert!(lines[0].contains("(\"other words\") affected → v6.1.2 not-affected"), "{lines:#?}");
    assert!(lines.last().is_some_and(|line| line.contains("(\"the fix\") not-affected")), "{lines:#?}");
}
