//! However a run ends, it leaves nothing behind, and keeps its finished results.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

mod common;
use common::{Lab, alive, cell, debian_12, descendants};

/// A run whose guest has printed the first line of its console.
#[expect(clippy::zombie_processes, reason = "the caller waits for it; a test that fails ends everything")]
fn start(lab: &Lab) -> (Child, u32) {
    let child = lab
        .command(&["run", "--accel", "tcg", "--format", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let began = Instant::now();
    loop {
        let qemu = descendants(child.id()).into_iter().find(|(_, name)| name.starts_with("qemu-system"));
        let console = lab.result("debian-12/boot-1/console.log");
        if let Some((pid, _)) = qemu
            && fs::metadata(console).is_ok_and(|m| m.len() > 0)
        {
            return (child, pid);
        }
        assert!(began.elapsed() < Duration::from_secs(60), "no guest came up");
        // There is no event for a file in a future folder, or for a grandchild.
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits for the end of a process that is not our child.
fn ends(pid: u32) {
    let process = rustix::process::Pid::from_raw(pid.try_into().expect("a pid")).expect("a pid");
    let Ok(handle) = rustix::process::pidfd_open(process, rustix::process::PidfdFlags::empty()) else {
        return assert!(!alive(pid), "QEMU {pid} cannot be watched and lives");
    };
    let mut watched = [rustix::event::PollFd::new(&handle, rustix::event::PollFlags::IN)];
    let patience = rustix::event::Timespec { tv_sec: 10, tv_nsec: 0 };
    let ended = rustix::event::poll(&mut watched, Some(&patience)).expect("poll");
    assert!(ended == 1, "QEMU {pid} outlived its controller");
}

fn document(folder: &Path) -> Value {
    serde_json::from_slice(&fs::read(folder.join("matrix.json")).expect("matrix.json")).expect("JSON")
}

#[test]
fn qemu_dies_with_a_killed_controller() {
    let lab = Lab::with_matrix(&debian_12(""));
    let (mut child, qemu) = start(&lab);
    // A run that goes on is shown as such.
    let shown = lab.run(&["report"]);
    shown.ends_with(3);
    assert!(shown.stdout.contains("the run is still going on: 0 of 2 cells judged so far"), "{}", shown.stdout);
    assert!(!shown.stdout.contains("ERROR") && !shown.stdout.contains("not judged"), "{}", shown.stdout);
    child.kill().expect("kill -9");
    child.wait().expect("it ends");
    ends(qemu);
    let left = document(&lab.path("results/latest"));
    assert_eq!(left["run"]["finished"], false);
    for bug in ["tcp-fragment-stall", "syn-cookie-data-loss"] {
        assert_eq!(cell(&left, "debian-12", bug)["outcome"], "error");
    }
    let shown = lab.run(&["report"]);
    shown.ends_with(3);
    assert!(shown.stdout.contains("the run did not finish"), "{}", shown.stdout);
    // No lock of the dead run delays the next one.
    let (ran, _) = lab.judge(&[]);
    ran.ends_with(0);
}

#[test]
fn ctrl_c_stops_the_guests_and_keeps_finished_results() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let lab = Lab::with_matrix(&debian_12(""));
        let (child, qemu) = start(&lab);
        kill(Pid::from_raw(child.id().try_into().expect("a pid")), signal).expect("a signal");
        let ran = common::Ran::of(child.wait_with_output().expect("it ends"));
        ran.ends_with(130);
        ends(qemu);
        let kept = document(&lab.path("results/latest"));
        assert_eq!((&kept["run"]["interrupted"], &kept["exit_code"]), (&true.into(), &130.into()));
        assert_eq!(serde_json::from_str::<Value>(&ran.stdout).expect("JSON"), kept);
    }
}

#[test]
fn closed_reader_is_not_an_error() {
    let lab = Lab::with_matrix(&debian_12(""));
    lab.judge(&[]).0.ends_with(0);
    let mut child = lab.command(&["report"]).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("stdout")).read_line(&mut line).expect("a line");
    assert!(line.contains("kernel"), "{line}");
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn two_runs_side_by_side_do_not_disturb_each_other() {
    let labs = [Lab::with_matrix(&debian_12("")), Lab::with_matrix(&debian_12(""))];
    let cache = tempfile::tempdir().expect("a folder");
    let start = |lab: &Lab| {
        lab.command(&["run", "--accel", "tcg", "--format", "json"])
            .env("BACKPROOF_CACHE", cache.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts")
    };
    let running: Vec<Child> = labs.iter().map(start).collect();
    for child in running {
        common::Ran::of(child.wait_with_output().expect("it ends")).ends_with(0);
    }
}
