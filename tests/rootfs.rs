//! Programs with a root file system of their own, in real guests.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use common::{Lab, cell};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// A lab with these bugs, each with these keys of its reproducer, and a rootfs whose `/bin/run` interprets scripts.
fn lab(bugs: &[(&str, &str)]) -> Lab {
    let names: Vec<&str> = bugs.iter().map(|(bug, _)| *bug).collect();
    let lab = Lab::with_matrix(&format!(
        "dossiers: bugs\nbugs: [{}]\nshare-guest: all\nkernels:\n  - name: debian-12\n    apt: {{ package: \
         linux-image-cloud-amd64, suite: bookworm }}\n",
        names.join(", ")
    ));
    fs::create_dir_all(lab.path("bugs/root/usr/bin")).expect("a folder");
    lab.build_static("rooted", "bugs/root/usr/bin/run");
    symlink("usr/bin", lab.path("bugs/root/bin")).expect("a link");
    lab.write("bugs/root/etc/release", "of the rootfs");
    for (path, text) in [
        ("bugs/root/script", "#!/bin/run\n"),
        ("bugs/orphan", "#!/bin/gone\n"),
        ("bugs/data.txt", "x"),
        ("bugs/sh", "x"),
    ] {
        let script = lab.write(path, text);
        fs::set_permissions(script, fs::Permissions::from_mode(0o755)).expect("permissions");
    }
    let mut tar = Command::new("tar");
    tar.arg("-czf").arg(lab.path("bugs/root.tar.gz")).arg("-C").arg(lab.path("bugs/root")).arg(".");
    assert!(tar.status().expect("tar").success());
    for (bug, keys) in bugs {
        lab.write(
            &format!("bugs/{bug}.yaml"),
            format!(
                "id: {bug}\ntitle: A bug\nsummary: It is there for the test.\nreferences: [a test]\nreproducer: {{ deadline: \
                 20s, {keys} }}\n"
            ),
        );
    }
    lab
}

#[test]
fn program_sees_its_rootfs_and_leaves_nothing_in_it() {
    // Each finds the file of the rootfs, and none of what an earlier one wrote.
    let bugs = [
        ("folder", "rootfs: root, program: /bin/run, args: [again], runs: 1, files: [data.txt, sh]"),
        ("script", "rootfs: root, program: /script, files: [data.txt]"),
        ("tarball", "rootfs: root.tar.gz, program: /usr/bin/run, files: [data.txt]"),
        ("beside", "rootfs: root.tar.gz, program: ./root/usr/bin/run, files: [data.txt]"),
    ];
    let lab = lab(&bugs);
    let (ran, document) = lab.judge(&[]);
    ran.ends_with(0);
    for (bug, _) in bugs {
        let cell = cell(&document, "debian-12", bug);
        assert_eq!(cell["outcome"], "pass", "{bug}: {cell}");
    }
}

/// Adds to `folder` an OCI image layout with this tarball as its layer.
fn write_oci_layout(lab: &Lab, folder: &str, layer: &[u8]) {
    let add = |bytes: &[u8]| -> Value {
        let sha256: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        lab.write(&format!("{folder}/blobs/sha256/{sha256}"), bytes);
        json!({ "digest": format!("sha256:{sha256}"), "size": bytes.len() })
    };
    let config = add(json!({ "os": "linux", "architecture": "amd64" }).to_string().as_bytes());
    let manifest = json!({ "schemaVersion": 2, "config": config, "layers": [add(layer)] });
    let index = json!({ "schemaVersion": 2, "manifests": [add(manifest.to_string().as_bytes())] });
    lab.write(&format!("{folder}/index.json"), index.to_string());
    lab.write(&format!("{folder}/oci-layout"), json!({ "imageLayoutVersion": "1.0.0" }).to_string());
}

#[test]
fn large_rootfs_is_on_a_disk_that_programs_share_unchanged() {
    let bugs = [
        ("one", "rootfs: image, program: /bin/run, files: [data.txt, sh]"),
        ("two", "rootfs: ./image/../image, program: /script, files: [data.txt], needs: { disk: 100M }"),
        ("three", "rootfs: image, program: /bin/run, files: [data.txt]"),
    ];
    let lab = lab(&bugs);
    lab.write("bugs/root/large", vec![b'x'; 65 << 20]);
    let mut tar = Command::new("tar");
    tar.arg("-cf").arg(lab.path("layer.tar")).arg("-C").arg(lab.path("bugs/root")).arg(".");
    assert!(tar.status().expect("tar").success());
    write_oci_layout(&lab, "bugs/image", &fs::read(lab.path("layer.tar")).expect("the layer"));
    let (ran, document) = lab.judge(&[]);
    ran.ends_with(0);
    let of = |bug: &str| cell(&document, "debian-12", bug).clone();
    for (bug, _) in bugs {
        assert_eq!(of(bug)["outcome"], "pass", "{bug}: {}", of(bug));
    }
    assert_eq!(of("one")["boots"], of("three")["boots"], "they share a guest");
    assert_ne!(of("one")["boots"], of("two")["boots"], "a disk is of one program alone");
    let again = lab.run(&["replay", "latest", "debian-12", "--accel", "tcg"]);
    again.ends_with(0);
    assert!(again.stdout.contains("transcript  identical"), "{}", again.stdout);
    // The rootfs is as much a part of what was booted as the kernel.
    let boot = fs::read_to_string(lab.result("debian-12/boot-1/boot.json")).expect("a record");
    let boot: Value = serde_json::from_str(&boot).expect("JSON");
    let disk = boot["disks"][0]["image"]["path"].as_str().expect("a disk").to_owned();
    assert!(fs::metadata(&disk).expect("a file").len() > 65 << 20);
    let script = fs::read_to_string(lab.result("debian-12/boot-1/boot.sh")).expect("a script");
    assert!(script.contains(&disk), "{script}");
}

#[test]
fn program_has_an_empty_disk_if_the_kernel_has_the_driver() {
    let lab = Lab::with_matrix(
        "dossiers: bugs\nbugs: [disk, ltp-disk]\nkernels:\n  - { name: debian-12, apt: { package: \
         linux-image-cloud-amd64, suite: bookworm } }\n  - { name: debian-11, apt: { package: linux-image-cloud-amd64, \
         suite: bullseye } }\n  - { name: tiny, control: { name: stock, line: \"6.1\" } }\n",
    );
    fs::create_dir(lab.path("bugs")).expect("a folder");
    lab.build_static("program", "bugs/program");
    for (bug, keys) in [
        ("disk", "args: [uses-its-disk, BACKPROOF_DISK]"),
        ("ltp-disk", "protocol: ltp, args: [uses-its-disk, LTP_DEV]"),
    ] {
        lab.write(
            &format!("bugs/{bug}.yaml"),
            format!(
                "id: {bug}\ntitle: A bug\nsummary: It is there for the test.\nreferences: [a test]\nreproducer: {{ program: \
                 program, deadline: 20s, needs: {{ disk: 100M }}, {keys} }}\n"
            ),
        );
    }
    let (ran, document) = lab.judge(&[]);
    // A kernel that lacks it has no verdict, and nobody expected that.
    ran.ends_with(3);
    for bug in ["disk", "ltp-disk"] {
        for kernel in ["debian-12", "debian-11"] {
            let cell = cell(&document, kernel, bug);
            assert_eq!(cell["outcome"], "pass", "{kernel} {bug}: {cell}");
        }
        let skipped = cell(&document, "tiny", bug);
        let reason = skipped["reason"].as_str().unwrap_or_default();
        assert!(skipped["outcome"] == "skip" && reason.contains("nfit"), "{skipped}");
    }
}

#[test]
fn rootfs_that_cannot_run_is_rejected_before_booting() {
    let lab = lab(&[
        ("gone", "rootfs: nothing, program: /bin/run"),
        ("missing", "rootfs: root, program: /bin/other"),
        ("orphan", "rootfs: root, program: orphan"),
        ("text", "rootfs: data.txt, program: /bin/run"),
    ]);
    lab.run(&["run"]).ends_with(2).says(&[
        "its rootfs cannot be read",
        "its rootfs has no file /bin/other",
        "it is a script for /bin/gone, and its rootfs has no file /bin/gone",
        "its rootfs is not a whole tarball",
    ]);
}
