//! Git histories as evidence: of `backproof affected --git`, and of a matrix.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

mod common;
use common::answers::{asked, said};
use common::tiny_kernel::{Act, image};
use common::{Lab, Ran, cell};

const STALL: &str = "tcp-fragment-stall";

/// Runs git in a folder, with a fixed author, and without this machine's settings.
fn git(folder: &Path, args: &[&str]) -> String {
    let mut command = Command::new("git");
    command.current_dir(folder).args(args).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "A").env(format!("GIT_{who}_EMAIL"), "a@example.org");
    }
    let ran = Ran::of(command.output().expect("git"));
    ran.ends_with(0);
    ran.stdout.trim().to_owned()
}

/// A repository with a release before the stall's break, one with it, and one with the fix.
fn history(lab: &Lab) -> std::path::PathBuf {
    let folder = lab.path("linux");
    std::fs::create_dir_all(&folder).expect("a folder");
    git(&folder, &["init", "-q"]);
    let makefile = |sublevel: u32| {
        let text = format!("VERSION = 4\nPATCHLEVEL = 19\nSUBLEVEL = {sublevel}\nEXTRAVERSION =\n");
        lab.write("linux/Makefile", text);
        git(&folder, &["add", "-A"]);
        git(&folder, &["commit", "-qm", &format!("Linux 4.19.{sublevel}")]);
        git(&folder, &["tag", &format!("v4.19.{sublevel}")]);
    };
    let backport = |subject: &str, sha: &str, content: &str| {
        lab.write("linux/net/ipv4/tcp_output.c", content);
        git(&folder, &["add", "-A"]);
        git(&folder, &["commit", "-qm", &format!("{subject}\n\ncommit {sha} upstream.\n")]);
    };
    // At the start of Linux's git history, no step can exist already.
    lab.write("linux/net/ipv4/tcp_output.c", "one\n");
    lab.write("linux/Makefile", "VERSION = 2\nPATCHLEVEL = 6\nSUBLEVEL = 12\nEXTRAVERSION = -rc2\n");
    git(&folder, &["add", "-A"]);
    git(&folder, &["commit", "-qm", "Linux-2.6.12-rc2"]);
    git(&folder, &["tag", "v2.6.12-rc2"]);
    makefile(51);
    let break_ = "f070ef2ac66716357066b683fb0baf55f8191a2e";
    backport("tcp: tcp_fragment() should apply sane memory limits", break_, "two\n");
    makefile(52);
    backport("tcp: be more careful in tcp_fragment()", "b617158dc096709d8600c53b6052144d12b89fab", "three\n");
    makefile(62);
    folder
}

#[test]
fn revisions_are_judged_by_history_and_remembered() {
    let lab = Lab::new();
    let repository = history(&lab);
    let cache = lab.path("cache");
    let args = |revision: &'static str| {
        let (repository, cache) = (repository.to_str().expect("UTF-8"), cache.to_str().expect("UTF-8"));
        ["--bug", STALL, "--cache", cache, "--git", repository, revision].map(str::to_owned)
    };
    for (revision, verdict, code) in [
        ("v4.19.51", "not-affected", 0),
        ("v4.19.52", "affected", 1),
        ("v4.19.62", "not-affected", 0),
        ("v4.19.99", "unknown", 3),
    ] {
        let args = args(revision);
        let (ran, document) = asked(&lab, &args.each_ref().map(String::as_str));
        ran.ends_with(code);
        assert_eq!(said(&document, revision)["verdict"], verdict, "{revision}: {document:#}");
        if code != 3 {
            let steps = said(&document, revision)["steps"].as_array().expect("steps");
            let step = steps.iter().find(|step| step["role"] == "break").expect("the break");
            let first = if revision == "v4.19.51" { Value::Null } else { "v4.19.52".into() };
            assert_eq!(step["first_tag"], first, "{revision}: {step:#}");
        }
    }
}

#[test]
fn conflict_of_git_fix_and_stall_is_shown_first() {
    let lab = Lab::with_matrix(include_str!("../kernels.yaml"));
    lab.run(&["controls", "build"]).ends_with(0);
    history(&lab);
    lab.write(
        "kernels.yaml",
        "kernels:\n  - name: candidate\n    control: { name: stall-break, line: \"6.1\" }\n    \
         bugs: [tcp-fragment-stall]\n    git: { repository: linux, revision: v4.19.62 }\n",
    );
    let (ran, document) = lab.judge(&[]);
    let cell = cell(&document, "candidate", STALL);
    assert_eq!((&cell["conflict"], &cell["verdict"]), (&Value::Bool(true), &Value::from("affected")), "{cell:#}");
    let says = document["conflicts"][0].as_str().unwrap_or_default();
    assert!(says.contains("runtime says affected") && says.contains("git says fixed"), "{says}");
    assert_eq!(document["summary"]["conflicts"], 1);
    // The control is still judged correctly; only the conflict is wrong.
    ran.ends_with(1);
    let table = lab.run(&["report", "latest"]);
    table.ends_with(1);
    assert!(table.stdout.starts_with("CONFLICT"), "{}", table.stdout);
}

/// A dossier that only git can judge.
const BY_HISTORY: &str = r#"
id: by-history
title: What a history tells
summary: A bug of which nothing but its commits and releases is known.
references: ["net/ipv4/tcp_output.c"]
without-break: "it is open to something else."
chain:
  - role: break
    commit: f070ef2ac66716357066b683fb0baf55f8191a2e
    subject: "tcp: tcp_fragment() should apply sane memory limits"
    files: [net/ipv4/tcp_output.c]
    effect: It refuses.
  - role: fix
    commit: b617158dc096709d8600c53b6052144d12b89fab
    subject: "tcp: be more careful in tcp_fragment()"
    files: [net/ipv4/tcp_output.c]
    effect: It lets through.
releases:
  mainline: { break: 5.2-rc6, fix: 5.3-rc2 }
  stable:
    - { line: "4.19", steps: { break: 4.19.52, fix: 4.19.62 } }
  sources: [the announcements of the releases]
"#;

#[test]
fn run_keeps_git_findings_despite_bad_repositories() {
    let lab = Lab::new();
    let repository = history(&lab);
    let from = format!("file://{}", repository.display());
    git(lab.dir.path(), &["clone", "-q", "--bare", "--depth", "1", &from, "shallow"]);
    git(lab.dir.path(), &["clone", "-q", "--bare", &from, "damaged"]);
    let packs = std::fs::read_dir(lab.path("damaged/objects/pack")).expect("packs").flatten().map(|entry| entry.path());
    for pack in packs.filter(|path| path.extension().is_some_and(|extension| extension == "pack")) {
        let half = std::fs::metadata(&pack).expect("a pack").len() / 2;
        std::fs::remove_file(pack.with_extension("rev")).ok();
        let mut bytes = std::fs::read(&pack).expect("a pack");
        bytes.truncate(usize::try_from(half).expect("a small pack"));
        std::fs::remove_file(&pack).expect("removed");
        std::fs::write(&pack, bytes).expect("written");
    }
    lab.write("bugs/by-history.yaml", BY_HISTORY);
    lab.write("kernel", image(&[Act::Halt]));
    let kernels = [
        ("never", "linux", "v4.19.51", "never-had"),
        ("affected", "linux", "v4.19.52", "affected"),
        ("fixed", "linux", "v4.19.62", "fixed"),
        ("shallow", "shallow", "HEAD", "pass"),
        ("damaged", "damaged", "HEAD", "pass"),
        ("missing", "nowhere", "HEAD", "pass"),
        ("no-revision", "linux", "v4.19.61", "pass"),
    ];
    let mut matrix = "dossiers: bugs\nbugs: [by-history]\nkernels:\n".to_owned();
    for (name, repository, revision, expect) in kernels {
        matrix += &format!(
            "  - {{ name: {name}, image: kernel, expect: {{ by-history: {expect} }}, git: {{ repository: {repository}, \
             revision: {revision} }} }}\n"
        );
    }
    lab.write("kernels.yaml", matrix);
    let cache = lab.path("cache");
    let (ran, document) = lab.judge(&["--cache", cache.to_str().expect("UTF-8")]);
    let of = |kernel: &str| cell(&document, kernel, "by-history");
    let says = |kernel: &str| of(kernel)["findings"].to_string() + &of(kernel)["warnings"].to_string();
    for (kernel, outcome, kind, advice) in [
        ("never", "pass", "exposure", "open to something else"),
        ("affected", "fail", "upgrade", "4.19.62"),
        ("fixed", "pass", "", ""),
    ] {
        assert_eq!((&of(kernel)["outcome"], &of(kernel)["expected"]), (&outcome.into(), &true.into()), "{document:#}");
        let steps = of(kernel)["steps"].as_array().expect("steps");
        assert_eq!((steps.len(), &steps[0]["role"]), (2, &"break".into()), "{kernel}");
        let told = of(kernel)["advice"].as_array().cloned().unwrap_or_default();
        assert_eq!(told.iter().filter(|each| each["kind"] == kind).count(), usize::from(!kind.is_empty()), "{told:?}");
        assert!(of(kernel)["advice"].to_string().contains(advice), "{kernel}: {told:?}");
        let ledger =
            std::fs::read_to_string(lab.result(&format!("{kernel}/by-history/ledger.json"))).expect("a ledger");
        let ledger: Value = serde_json::from_str(&ledger).expect("JSON");
        assert_eq!(&ledger, of(kernel));
    }
    assert_eq!(of("fixed")["steps"][1]["first_tag"], "v4.19.62");
    for (kernel, remedy) in [
        ("shallow", "fetch --unshallow`"),
        ("damaged", "git fsck"),
        ("missing", "is not there: expected a git repository"),
        ("no-revision", "did you mean v4.19.51"),
    ] {
        assert_eq!((&of(kernel)["outcome"], &of(kernel)["verdict"]), (&"error".into(), &"unknown".into()), "{kernel}");
        assert!(says(kernel).contains(remedy), "{kernel}: {}", says(kernel));
    }
    // Cells without a verdict have the run's reason, and the other cells lose nothing.
    ran.ends_with(3);
    let table = lab.run(&["report", "latest"]);
    table.ends_with(3);
    for part in ["exposed: it never had the break: it is open to", "upgrade: first good release of this line: 4.19.62"]
    {
        assert!(table.stdout.contains(part), "{part}: {}", table.stdout);
    }
    assert!(table.stdout.contains("warning: the clone is shallow"), "{}", table.stdout);
}
