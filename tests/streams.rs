//! Streams and disks that cannot be written: no command panics, exit codes stay, and verdicts are kept.
#![expect(clippy::disallowed_macros, reason = "a test prints for people who watch it")]

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

mod common;
use common::small_disk::SmallDisk;
use common::{Lab, debian_12};

/// A stream that cannot be written.
#[derive(Clone, Copy, Debug)]
enum Bad {
    Full,
    NobodyReads,
    Closed,
}

/// Commands, with their exit codes if everything can be written.
const COMMANDS: [(&[&str], i32); 16] = [
    (&["affected", "--bug", "tcp-fragment-stall", "4.19.57"], 1),
    (&["affected", "--bug", "tcp-fragment-stall", "--format", "json", "4.19.57"], 1),
    (&["affected", "--bug", "tcp-fragment-stall", "6.12.90"], 0),
    (&["affected", "--bug", "tcp-fragment-stall", "nonsense"], 3),
    (&["run", "--kernel", "nosuch"], 2),
    (&["run", "--kernel", "text"], 3),
    (&["run", "--kernel", "text", "--format", "json"], 3),
    (&["report", "nosuch"], 2),
    (&["kernels", "list"], 0),
    (&["kernels", "gc"], 0),
    (&["kernels", "gc", "--max-size", "0", "--dry-run"], 0),
    (&["controls", "list"], 0),
    (&["host", "--from", "nosuch"], 2),
    (&["--help"], 0),
    (&["--version"], 0),
    (&["nosuch"], 2),
];

fn lab() -> Lab {
    let lab = Lab::with_matrix("bugs: [tcp-fragment-stall]\nkernels: [{ name: text, image: text.txt }]\n");
    lab.write("text.txt", "I am no kernel.\n");
    lab
}

/// Runs the command in a shell with such a stream.
fn start(lab: &Lab, args: &[&str], stdout: Option<Bad>, stderr: Option<Bad>) -> (Option<i32>, String) {
    let stdio = |bad: Option<Bad>| match bad {
        Some(Bad::Full) => OpenOptions::new().write(true).open("/dev/full").expect("/dev/full").into(),
        Some(Bad::NobodyReads) => std::io::pipe().expect("a pipe").1.into(),
        // Closed by the shell.
        Some(Bad::Closed) => Stdio::null(),
        None => Stdio::piped(),
    };
    let closes = |bad: Option<Bad>, how: &'static str| if matches!(bad, Some(Bad::Closed)) { how } else { "" };
    let script = format!("exec \"$@\" {} {}", closes(stdout, ">&-"), closes(stderr, "2>&-"));
    let program = lab.command(args);
    let mut shell = Command::new("sh");
    shell.args(["-c", &script, "sh"]).arg(program.get_program()).args(args).current_dir(lab.dir.path());
    shell.env("NO_COLOR", "1").env("BACKPROOF_LOG", "trace").env("BACKPROOF_CACHE", lab.path("cache"));
    let output = shell.stdout(stdio(stdout)).stderr(stdio(stderr)).output().expect("it starts");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn no_stream_that_cannot_be_written_changes_an_exit_code() {
    let lab = lab();
    for (args, code) in COMMANDS {
        assert_eq!(start(&lab, args, None, None).0, Some(code), "{args:?}");
        for bad in [Bad::Full, Bad::NobodyReads, Bad::Closed] {
            assert_eq!(start(&lab, args, None, Some(bad)).0, Some(code), "{args:?}: stderr {bad:?}");
            // A reader that went away needs no result, but a lost result is not a success.
            let kept = if matches!(bad, Bad::Full) && code == 0 { 3 } else { code };
            let (ended, said) = start(&lab, args, Some(bad), None);
            assert_eq!(ended, Some(kept), "{args:?}: stdout {bad:?}: {said}");
            assert!(!said.contains("panicked"), "{args:?}: {said}");
            assert_eq!(start(&lab, args, Some(bad), Some(bad)).0, Some(kept), "{args:?}: both {bad:?}");
        }
    }
}

/// One guest, a full log, and a disk for results that is full before the guest prints much.
#[test]
fn verdict_is_kept_if_log_and_disk_are_full() {
    let lab = Lab::with_matrix(&debian_12(""));
    let Some(disk) = SmallDisk::mount(&lab.path("results"), "size=112k") else {
        eprintln!("SKIPPED: only root can mount a small file system");
        return;
    };
    let full = OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
    let output = lab
        .command(&["run", "--accel", "tcg", "--bug", "tcp-fragment-stall", "--format", "json"])
        .stderr(full)
        .output()
        .expect("it starts");
    let printed: Value = serde_json::from_slice(&output.stdout).expect("a document");
    let kept: Value = serde_json::from_reader(File::open(lab.result("matrix.json")).expect("the run")).expect("JSON");
    assert_eq!(printed, kept);
    assert_eq!((output.status.code(), &kept["cells"][0]["outcome"]), (Some(0), &"pass".into()), "{kept:#}");
    let lost = kept["run"]["not_written"].as_array().expect("files that did not fit");
    let is_full = |line: &Value| line.as_str().is_some_and(|line| line.contains("No space left on device"));
    assert!(lost.iter().all(is_full), "{lost:?}");
    drop(disk);
}

#[test]
fn latest_stays_where_a_run_cannot_begin() {
    let lab = lab();
    let Some(_disk) = SmallDisk::mount(&lab.path("results"), "size=64k") else {
        eprintln!("SKIPPED: only root can mount a small file system");
        return;
    };
    lab.run(&["run"]).ends_with(3);
    let first = fs::read_link(lab.path("results/latest")).expect("a run");
    // As much as there is room for.
    let mut hog = File::create(lab.path("results/hog")).expect("a file");
    while hog.write_all(&[1; 4096]).is_ok() {}
    lab.run(&["run"]).ends_with(3).says(&["no space is left", "--results"]);
    assert_eq!(fs::read_link(lab.path("results/latest")).expect("the run of before"), first);
    assert!(lab.result("matrix.json").is_file());
}
