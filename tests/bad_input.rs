//! Mistakes of users and faults of hosts: each gives a clear error and the right exit code, and loses nothing.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};

use serde_json::Value;

mod common;
use common::tiny_kernel::{Act, image};
use common::{Lab, cell, debian_12};

/// A matrix with one kernel from this source.
fn matrix(source: &str) -> String {
    format!("bugs: [tcp-fragment-stall]\nkernels:\n  - name: subject\n    {source}\n")
}

#[test]
fn all_mistakes_of_a_matrix_are_reported_before_a_boot() {
    let lab = Lab::with_matrix("bugs: [no-such-bug]\nkernels:\n  - name: a b\n    aptt: x\n");
    let ran = lab.run(&["run"]);
    ran.ends_with(2).says(&["kernels.yaml:1:8", "no-such-bug", "kernels.yaml:3:11", "kernels.yaml:4:5", "aptt"]);
    assert!(!lab.path("results").exists(), "nothing was written");
}

#[test]
fn unknown_names_are_reported_with_the_known_ones() {
    let lab = Lab::with_matrix(&debian_12(""));
    lab.run(&["run", "--kernel", "debian-21"]).ends_with(2).says(&["debian-21", "debian-12"]);
    lab.run(&["run", "--bug", "tcp-stall"]).ends_with(2).says(&["tcp-stall", "tcp-fragment-stall"]);
    lab.run(&["run", "--tag", "nosuch"]).ends_with(2).says(&["nosuch"]);
    lab.run(&["run", "--matrix", "nosuch.yaml"]).ends_with(2).says(&["nosuch.yaml"]);
    lab.run(&["run", "--kernel", "../x"]).ends_with(2).says(&["../x"]);
}

#[test]
fn source_without_a_kernel_is_an_error_with_reason() {
    let elf_of_arm = {
        let mut header = vec![0_u8; 64];
        header[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        header[16] = 2;
        header[18] = 183;
        header[20] = 1;
        header[52] = 64;
        header
    };
    let table: [(&str, &str, Vec<u8>, &str); 6] = [
        ("image: text.txt", "text.txt", b"I am no kernel, I am a text.\n".to_vec(), "text.txt"),
        ("image: empty", "empty", Vec::new(), "empty"),
        ("image: vmlinux-arm", "vmlinux-arm", elf_of_arm, "vmlinux-arm"),
        ("deb: cut.deb", "cut.deb", b"!<arch>\ndebian-binary   0  ".to_vec(), "cut.deb"),
        ("deb: missing.deb", "other", Vec::new(), "missing.deb"),
        ("tree: folder", "folder/README", b"not built".to_vec(), "folder"),
    ];
    for (source, file, content, named) in table {
        let lab = Lab::with_matrix(&matrix(source));
        lab.write(file, content);
        let (ran, document) = lab.judge(&[]);
        ran.ends_with(3);
        let judged = cell(&document, "subject", "tcp-fragment-stall");
        assert_eq!((&judged["outcome"], &judged["verdict"]), (&"error".into(), &"unknown".into()), "{judged:#}");
        assert!(judged["reason"].as_str().is_some_and(|r| r.contains(named)), "{source}: {judged:#}");
    }
}

#[test]
fn unwritable_results_folder_stops_the_run() {
    let lab = Lab::with_matrix(&debian_12(""));
    lab.write("taken", "a file, where a folder should be");
    lab.run(&["run", "--results", "taken"]).ends_with(3).says(&["taken", "--results"]);
}

#[test]
fn run_without_a_working_qemu_says_what_to_install() {
    let lab = Lab::with_matrix(&debian_12(""));
    lab.run(&["run", "--qemu", "/nonexistent/qemu"]).ends_with(3).says(&["/nonexistent/qemu", "qemu"]);
    let old = lab.write("qemu-old", "#!/bin/sh\necho 'QEMU emulator version 1.5.3 (Debian)'\n");
    fs::set_permissions(&old, fs::Permissions::from_mode(0o755)).expect("permissions");
    lab.run(&["run", "--qemu", "./qemu-old"]).ends_with(3).says(&["1.5.3"]);
    let broken = lab.write("qemu-broken", "#!/bin/sh\nexit 1\n");
    fs::set_permissions(&broken, fs::Permissions::from_mode(0o755)).expect("permissions");
    lab.run(&["run", "--qemu", "./qemu-broken"]).ends_with(3).says(&["qemu-broken"]);
    // Not on the PATH at all.
    let tools = lab.path("tools");
    fs::create_dir(&tools).expect("a folder");
    symlink("/bin/true", tools.join("true")).expect("a link");
    let output = lab.command(&["run"]).env("PATH", &tools).output().expect("it starts");
    common::Ran::of(output).ends_with(3).says(&["qemu-system-x86"]);
}

/// A QEMU that the host ends, in each possible way.
#[test]
fn host_fault_is_never_blamed_on_the_image() {
    let lab = Lab::with_matrix(&matrix("image: bzImage"));
    lab.write("bzImage", image(&[Act::Console("hello".to_owned()), Act::Halt]));
    for (ends, reason) in [
        ("exit 0", "QEMU error: QEMU exited with status 0 and gave no reason"),
        ("kill -TERM $$", "host error: something on the host ended QEMU with signal 15 (SIGTERM)"),
        ("kill -KILL $$", "host error: something on the host ended QEMU with signal 9 (SIGKILL"),
        ("(sleep 2; kill -TERM $$) & exec qemu-system-x86_64 \"$@\"", "host error: something on the host ended QEMU"),
    ] {
        let script = format!("#!/bin/sh\n[ \"$1\" = --version ] && exec qemu-system-x86_64 --version\n{ends}\n");
        let qemu = lab.write("qemu", script);
        fs::set_permissions(&qemu, fs::Permissions::from_mode(0o755)).expect("permissions");
        let (ran, document) = lab.judge(&["--qemu", "./qemu"]);
        ran.ends_with(3);
        let judged = cell(&document, "subject", "tcp-fragment-stall");
        let why = judged["reason"].as_str().unwrap_or_default();
        assert!(why.contains(reason) && !why.contains("bootable") && !why.contains("damaged"), "{ends}: {judged:#}");
    }
}

#[test]
fn missing_run_is_reported() {
    let lab = Lab::new();
    lab.run(&["report", "nosuch"]).ends_with(2).says(&["nosuch"]);
    lab.run(&["replay", "latest", "debian-12"]).ends_with(2).says(&["latest"]);
    // A boot without cells in the document is not a success.
    let run = serde_json::json!({
        "schema_version": 1, "kernels": [], "cells": [], "exit_code": 0,
        "summary": {"pass": 0, "fail": 0, "error": 0, "skip": 0, "unexpected": 0, "conflicts": 0, "surprises": 0,
            "unexpected_skips": 0},
        "run": {"id": "odd", "started": "", "seconds": 0.0, "finished": true, "interrupted": false, "tool": "",
            "arguments": [], "matrix": "", "jobs": 1, "accelerator": "",
            "host": {"kernel": "", "cpus": 1, "memory_mib": 1, "load": 0.0}, "qemu": {"program": "", "version": ""}},
    });
    lab.write("results/odd/matrix.json", run.to_string());
    let boot = serde_json::json!({
        "image": "gone", "image_sha256": "", "initramfs": "gone", "initramfs_sha256": "", "cmdline": null,
        "machine": "q35", "memory_mib": 256, "cpus": 1, "boot_limit": null, "accel": "tcg",
        "plan": {"version": 3, "modules": [], "jobs": [{"id": "tcp-fragment-stall", "bug": "tcp-fragment-stall", "deadline_ms": 1}]},
    });
    lab.write("results/odd/debian-12/boot-1/boot.json", boot.to_string());
    lab.run(&["replay", "odd", "debian-12"]).ends_with(3).says(&["run the matrix again"]);
    lab.write("results/broken/matrix.json", "{\"schema_version\": 1}");
    lab.run(&["report", "broken"]).ends_with(2).says(&["matrix.json"]);
    lab.write("results/future/matrix.json", "{\"schema_version\": 99}");
    lab.run(&["report", "future"]).ends_with(2).says(&["99"]);
}

#[test]
fn folders_whose_names_are_not_utf_8_are_used_and_written_down() {
    let lab = Lab::new();
    let folder = lab.path(OsStr::from_bytes(b"caf\xe9"));
    fs::create_dir(&folder).expect("a folder");
    let write = |name: &str, content: &[u8]| fs::write(folder.join(name), content).expect("a file");
    write("kernels.yaml", b"bugs: [tcp-fragment-stall]\nkernels: [{ name: a, image: bzImage }]\n");
    write("bzImage", &image(&[Act::Console("hello".to_owned()), Act::Reset]));
    let mut run = lab.command(&["run", "--accel", "tcg", "--format", "json"]);
    for (flag, name) in [("--matrix", "kernels.yaml"), ("--cache", "cache"), ("--results", "results")] {
        run.arg(flag).arg(folder.join(name));
    }
    let ran = common::Ran::of(run.output().expect("it starts"));
    let printed: Value = serde_json::from_str(&ran.ends_with(3).stdout).expect("JSON");
    let run = folder.join("results/latest");
    let kept: Value = serde_json::from_slice(&fs::read(run.join("matrix.json")).expect("the run")).expect("JSON");
    assert_eq!(printed, kept);
    let path = kept["kernels"][0]["provenance"][0]["file"]["path"].as_str().unwrap_or_default();
    assert!(path.ends_with("caf\u{fffd}/bzImage"), "{kept:#}");
    assert!(run.join("a/boot-1/boot.json").is_file() && kept["run"]["not_written"].is_null(), "{kept:#}");
    let asked = lab.command(&["affected"]).arg(folder.join("bzImage")).output().expect("it starts");
    common::Ran::of(asked).ends_with(2).says(&["caf\u{fffd}/bzImage", "is not UTF-8"]);
}
