//! Programs with a root file system of their own, in real guests.

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::process::Command;

use common::{Lab, cell};

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
