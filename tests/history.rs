//! The history of runs, and what changed between them, from outside.

use std::fs;
use std::process::Stdio;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

mod common;
use common::fake_source::FakeSource;
use common::{Lab, Ran, alive};

const BUG: &str = "tcp-fragment-stall";

/// A lab with kernels that are images of a few bytes, which behave as they are told.
struct NightLab {
    lab: Lab,
    source: FakeSource,
}

impl NightLab {
    fn new(kernels: &[&str]) -> Self {
        let entries: Vec<String> =
            kernels.iter().map(|name| format!("{{ name: {name}, image: {name}.img }}")).collect();
        let lab = Lab::with_matrix(&format!("bugs: [{BUG}]\nkernels: [{}]\n", entries.join(", ")));
        let source = FakeSource::behaving(lab.dir.path(), BUG);
        let night = Self { lab, source };
        kernels.iter().for_each(|kernel| night.behave(kernel, "-fixed"));
        night
    }

    fn behave(&self, kernel: &str, how: &str) {
        self.lab.write(&format!("{kernel}.img"), self.source.image(how));
    }

    fn args<'a>(args: &[&'a str]) -> Vec<&'a str> {
        [&["run", "--accel", "tcg", "--cache", "cache"], args].concat()
    }

    fn run(&self, args: &[&str]) -> Ran {
        self.lab.run(&Self::args(args))
    }

    fn diff(&self, args: &[&str]) -> Value {
        let ran = self.lab.run(&[&["diff", "--format", "json"], args].concat());
        serde_json::from_str(&ran.ends_with(0).stdout).expect("JSON")
    }
}

fn kinds(changes: &Value) -> Vec<(&str, &str)> {
    let changes = changes["changes"].as_array().expect("changes");
    changes
        .iter()
        .map(|change| (change["kernel"].as_str().expect("a kernel"), change["kinds"][0].as_str().expect("a kind")))
        .collect()
}

#[test]
fn flip_stands_above_the_table_and_reaches_the_command() {
    let night = NightLab::new(&["one", "two"]);
    let hook = "cat > seen.json; echo said; echo $PWD > where";
    let first = night.run(&["--on-change", hook]);
    first.ends_with(0);
    assert!(!first.stdout.contains("change") && !night.lab.path("seen.json").exists(), "{}", first.stdout);
    let same = night.run(&["--on-change", hook]);
    same.ends_with(0);
    assert!(same.stdout.starts_with("no change since 20") && !night.lab.path("seen.json").exists(), "{}", same.stdout);

    night.behave("two", "-affected");
    let flipped = night.run(&["--on-change", hook]);
    flipped.ends_with(1).says(&["said"]);
    let top: Vec<&str> = flipped.stdout.lines().take(4).collect();
    assert!(top[0].starts_with("2 changes since 20"), "{top:#?}");
    assert_eq!(top[1], "  two  tcp-fragment-stall  FAIL, was pass");
    assert!(top[2].starts_with("  two  another image of 6.1.7-backproof: sha256 "), "{top:#?}");
    assert!(flipped.stdout.lines().all(|line| line.chars().count() <= 100), "{}", flipped.stdout);
    let seen: Value = serde_json::from_slice(&fs::read(night.lab.path("seen.json")).expect("a file")).expect("JSON");
    assert_eq!(kinds(&seen), [("two", "unexpected-began"), ("two", "kernel-changed")]);
    let kept: Value = serde_json::from_slice(&fs::read(night.lab.result("matrix.json")).expect("a run")).expect("JSON");
    assert_eq!((&kept["changes"], &kept["exit_code"]), (&seen, &1.into()));
    assert_eq!(night.diff(&[]), seen);

    // A cell that is as bad as the night before is no news, and the run names the chosen baseline.
    let known = night.run(&["--on-change", "false"]);
    known.ends_with(1);
    assert!(
        known.stdout.starts_with("no change since") && !known.stderr.contains("backproof:"),
        "{}{}",
        known.stdout,
        known.stderr
    );
    let first = seen["before"]["id"].as_str().expect("an id");
    let since = night.run(&["--since", first, "--on-change", "exit 3"]);
    since.ends_with(1).says(&["--on-change \"exit 3\" failed: it ended with exit status: 3"]);
    assert!(since.stdout.starts_with(&format!("2 changes since {first}")), "{}", since.stdout);
    night.run(&["--since", "nosuch"]).ends_with(2).says(&["no run `nosuch`"]);

    let past = night.lab.run(&["history", "two"]);
    let lines: Vec<&str> = past.ends_with(0).stdout.lines().collect();
    assert_eq!(lines[0], "two  tcp-fragment-stall  kernels.yaml");
    assert!(lines[1].starts_with("  FAIL since 20") && lines[1].contains(", 3 runs"), "{lines:#?}");
    assert!(lines[2].starts_with("  before: pass on 20") && lines[2].contains(", 2 runs"), "{lines:#?}");
    night.lab.run(&["history", "twoo"]).ends_with(2).says(&["no kernel `twoo` (did you mean `two`?)"]);
    assert_eq!(night.lab.run(&["history"]).ends_with(0).stdout.lines().count(), 6);
}

#[test]
fn ctrl_c_ends_the_command_and_keeps_the_exit_code() {
    let night = NightLab::new(&["one"]);
    night.run(&[]).ends_with(0);
    night.behave("one", "-affected");
    let made = std::process::Command::new("mkfifo").arg(night.lab.path("held")).status().expect("mkfifo");
    assert!(made.success());
    // The shell waits for the end of a process that nobody else ends.
    let hook = "sleep 1000 & echo $! > held; wait";
    let args = NightLab::args(&["--on-change", hook]);
    let mut command = night.lab.command(&args);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let sleeper: u32 = fs::read_to_string(night.lab.path("held")).expect("a pid").trim().parse().expect("a pid");
    assert!(alive(sleeper));
    kill(Pid::from_raw(child.id().try_into().expect("a pid")), Signal::SIGINT).expect("a signal");
    let ran = Ran::of(child.wait_with_output().expect("it ends"));
    ran.ends_with(1).says(&["failed: it was interrupted"]);
    let began = Instant::now();
    while alive(sleeper) {
        assert!(began.elapsed() < Duration::from_secs(10), "the command's process lives on");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn one_kernel_by_name_is_no_vanished_hundred() {
    let night = NightLab::new(&["one", "two", "three"]);
    night.run(&[]).ends_with(0);
    let single = night.run(&["--kernel", "one"]);
    let compared = single.ends_with(0).stdout.lines().next().is_some_and(|line| line.ends_with(", 1 cell compared"));
    assert!(compared && single.stdout.starts_with("no change since"), "{}", single.stdout);
    let diff = night.diff(&[]);
    assert_eq!((kinds(&diff), &diff["compared"]), (vec![], &1.into()));
    assert_eq!(diff["not_compared"][0]["kernels"], serde_json::json!(["three", "two"]));
    let text = night.lab.run(&["diff"]).stdout;
    assert!(text.contains("not compared  three, two: run 20") && text.contains(" did not select it"), "{text}");
    // The whole matrix is compared with the last whole run.
    let whole = night.run(&[]);
    assert!(whole.ends_with(0).stdout.starts_with("no change since"), "{}", whole.stdout);
    assert_eq!(night.diff(&[])["compared"], 3);
    // A kernel that leaves the matrix vanishes, and one that comes is new.
    let matrix = fs::read_to_string(night.lab.path("kernels.yaml")).expect("a matrix");
    night.lab.write("four.img", night.source.image("-fixed"));
    night.lab.write("kernels.yaml", matrix.replace("name: two, image: two", "name: four, image: four"));
    night.run(&[]).ends_with(0);
    assert_eq!(kinds(&night.diff(&[])), [("four", "new-kernel"), ("two", "vanished-kernel")]);
}

#[test]
fn kernels_that_were_never_judged_are_new_by_name() {
    let night = NightLab::new(&["one", "two"]);
    night.run(&["--kernel", "one"]).ends_with(0);
    night.run(&["--kernel", "two"]).ends_with(0);
    assert_eq!(kinds(&night.diff(&[])), [("two", "new-kernel")]);
    night.run(&["--kernel", "one"]).ends_with(0);
    assert_eq!(kinds(&night.diff(&[])), []);
}

#[test]
fn two_runs_at_once_are_both_recorded() {
    let night = NightLab::new(&["one", "two"]);
    let start = |args: &[&str]| {
        let mut command = night.lab.command(&NightLab::args(args));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
    };
    let both = [start(&["one"]), start(&["two"])];
    let both = both.map(|child| Ran::of(child.wait_with_output().expect("it ends")));
    for ran in &both {
        ran.ends_with(0);
    }
    let runs: Value = serde_json::from_str(&night.lab.run(&["history", "--format", "json"]).stdout).expect("JSON");
    let chosen: Vec<&Value> = runs["runs"].as_array().expect("runs").iter().map(|run| &run["selection"]).collect();
    assert_eq!(chosen.len(), 2, "{runs:#}");
    assert_ne!(chosen[0], chosen[1]);
}

#[test]
fn newer_history_costs_a_run_nothing() {
    let night = NightLab::new(&["one"]);
    night.run(&[]).ends_with(0);
    let path = night.lab.path("results/history.sqlite");
    // The version's place in the file: https://www.sqlite.org/fileformat.html#the_database_header
    let mut bytes = fs::read(&path).expect("a file");
    bytes[60..64].copy_from_slice(&7_u32.to_be_bytes());
    fs::write(&path, &bytes).expect("a file");
    let ran = night.run(&[]);
    ran.ends_with(0).says(&["results are complete, but it is not in the history", "has version 7", "use the newer"]);
    assert!(ran.stdout.contains("1 cells: 1 pass"), "{}", ran.stdout);
    night.lab.run(&["diff"]).ends_with(2).says(&["has version 7"]);
    night.lab.run(&["history", "--rebuild"]).ends_with(2).says(&["move the file away"]);
    // Moved away, it is made again.
    fs::rename(&path, night.lab.path("aside")).expect("renamed");
    let text = night.lab.run(&["diff"]);
    text.ends_with(0).says(&["made results/history.sqlite from 2 run folders"]);
    fs::write(&path, "damaged").expect("a file");
    let ran = night.run(&[]);
    ran.ends_with(0).says(&["was damaged", "set it aside as results/history.sqlite.damaged-1"]);
    assert!(ran.stdout.starts_with("no change since"), "{}", ran.stdout);
}

#[test]
fn history_that_cannot_be_written_costs_no_results() {
    let night = NightLab::new(&["one"]);
    fs::create_dir_all(night.lab.path("results/history.sqlite")).expect("a folder");
    let ran = night.run(&["--format", "json"]);
    ran.ends_with(0).says(&["results are complete, but it is not in the history: cannot use results/history.sqlite"]);
    let printed: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!((&printed["summary"]["pass"], printed.get("changes")), (&1.into(), None));
    let kept: Value = serde_json::from_slice(&fs::read(night.lab.result("matrix.json")).expect("a run")).expect("JSON");
    assert_eq!(kept, printed);
}

#[test]
fn prune_keeps_the_newest_and_says_what_it_removes() {
    let night = NightLab::new(&["one"]);
    night.run(&[]).ends_with(0);
    let old = fs::read_link(night.lab.path("results/latest")).expect("a link").display().to_string();
    night.run(&[]).ends_with(0);
    let dry = night.lab.run(&["history", "prune", "--keep", "0d", "--dry-run"]);
    assert!(dry.ends_with(0).stdout.contains(&format!("to remove  {old}")), "{}", dry.stdout);
    let done = night.lab.run(&["history", "prune", "--keep", "0d"]);
    assert!(done.ends_with(0).stdout.ends_with("1 runs removed, 1 kept\n"), "{}", done.stdout);
    assert!(!night.lab.path("results").join(&old).exists() && night.lab.result("matrix.json").exists());
    let again = night.lab.run(&["history", "prune", "--keep", "0d"]);
    assert!(again.ends_with(0).stdout.ends_with("0 runs removed, 1 kept\n"), "{}", again.stdout);
    night.lab.run(&["history", "prune", "--keep", "soon"]).ends_with(2).says(&["as in 30d"]);
    night.lab.run(&["history", "prune"]).ends_with(2).says(&["--keep"]);
}
