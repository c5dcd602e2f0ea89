//! `backproof affected` on the command line: releases, images, many subjects at once, and exit codes.

use std::process::{Command, Stdio};

use serde_json::Value;

mod common;
use common::answers::{asked, said};
use common::tiny_kernel::{Act, image};
use common::{Lab, Ran, cell};

const STALL: &str = "tcp-fragment-stall";

#[test]
fn worst_answer_is_the_exit_code() {
    let lab = Lab::new();
    for (releases, code) in [
        (&["4.19.51", "4.19.62"][..], 0),
        (&["4.19.62", "4.12.14-150.22-default"], 3),
        (&["4.19.62", "4.12.14-150.22-default", "4.19.57"], 1),
        (&["5.3", "no release at all"], 3),
    ] {
        let (ran, document) = asked(&lab, &[&["--bug", STALL], releases].concat());
        ran.ends_with(code);
        assert_eq!(document["exit_code"], code, "{releases:?}");
    }
    let (_, document) = asked(&lab, &["--bug", STALL, "4.19.57", "4.14.140", "4.20.17"]);
    let upgrade = |subject: &str, kind: &str| {
        let advice = said(&document, subject)["advice"].as_array().expect("advice").clone();
        advice.iter().find(|a| a["kind"] == kind).map(|a| a["says"].to_string()).unwrap_or_default()
    };
    assert_eq!(said(&document, "4.19.57")["state"], "half-fixed");
    assert!(upgrade("4.19.57", "upgrade").contains("4.19.62"), "{document:#}");
    assert_eq!(said(&document, "4.14.140")["state"], "fixed-with-defect");
    assert!(upgrade("4.14.140", "defect").contains("BUG()") && upgrade("4.14.140", "upgrade").contains("4.14.142"));
    assert!(upgrade("4.20.17", "exposure").contains("CVE-2019-11478"), "{document:#}");
}

#[test]
fn stdin_has_a_subject_a_line_and_empty_is_usage() {
    let lab = Lab::new();
    let ask = |input: &str| {
        let mut command = lab.command(&["affected", "--bug", STALL, "--format", "json", "-"]);
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it");
        std::io::Write::write_all(&mut child.stdin.take().expect("stdin"), input.as_bytes()).expect("a pipe");
        Ran::of(child.wait_with_output().expect("it ends"))
    };
    let ran = ask("# a fleet\n4.19.51\n\n  4.19.57  \nLinux h 4.15.0-58-generic #64-Ubuntu SMP x86_64 GNU/Linux\n");
    ran.ends_with(1);
    let document: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let verdicts: Vec<_> =
        document["subjects"].as_array().expect("subjects").iter().map(|s| &s["bugs"][0]["verdict"]).collect();
    assert_eq!(verdicts, ["not-affected", "affected", "affected"]);
    let page = "   Static hostname: db1\n  Operating System: Debian GNU/Linux 10 (buster)\n            Kernel: Linux 4.19.51\n";
    let ran = ask(page);
    ran.ends_with(0).says(&["skipped 2 lines of hostnamectl that name no kernel"]);
    let document: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    assert_eq!(document["subjects"].as_array().map(Vec::len), Some(1), "{document:#}");
    ask("Static hostname: db1\n").ends_with(3).says(&["none of the 1 lines of hostnamectl names a kernel"]);
    ask("").ends_with(2).says(&["nothing was asked about"]);
    lab.run(&["affected", "--bug", "no-such-bug", "4.19.57"]).ends_with(2).says(&["unknown bug", STALL]);
}

#[test]
fn lines_from_the_field_are_answered_for_whose_they_are() {
    const WINDOW: &str = "zero-window-user-timeout";
    let lab = Lab::new();
    for (bug, text, verdict, parts) in [
        (
            STALL,
            "Linux example 4.9.177-31 #1 SMP PREEMPT Thu May 30 12:00:00 UTC 2019 aarch64 aarch64 aarch64 GNU/Linux",
            "unknown",
            &["unnamed"][..],
        ),
        (STALL, "4.9.156-14", "unknown", &["unnamed"]),
        (STALL, "kernel-3.10.0-957.21.3.el7.src.rpm", "affected", &["RHEL", "3.10.0-957.21.3.el7"]),
        (STALL, "linux-image-4.15.0-58-generic:amd64", "affected", &["Ubuntu 4.15.0, ABI 58"]),
        (
            STALL,
            "ii  linux-image-4.15.0-58-generic  4.15.0-58.64  amd64  Signed kernel image generic",
            "affected",
            &["Ubuntu 4.15.0-58.64", "taken from `linux-image-4.15.0-58-generic 4.15.0-58.64`"],
        ),
        (
            STALL,
            "linux-image-4.19.0-5-amd64\t4.19.37-5+deb10u1",
            "affected",
            &["Debian 4.19.37-5+deb10u1", "taken from"],
        ),
        (STALL, "4.18.0-80.11.2.el8_0.x86_64", "affected", &["RHEL"]),
        (STALL, "4.18.0-22-generic", "affected", &["Ubuntu"]),
        (STALL, "4.4.0-1085-aws", "affected", &["Ubuntu"]),
        (WINDOW, "4.14.131", "not-affected", &["kernel.org"]),
        (WINDOW, "5.4.0-150-generic", "not-affected", &["Ubuntu"]),
        (STALL, "4.14.154-128.181.amzn2.x86_64", "not-affected", &["Amazon"]),
        (STALL, "4.19.76-linuxkit", "not-affected", &["LinuxKit"]),
        (STALL, "4.19.75-flatcar", "not-affected", &["Flatcar"]),
        (STALL, "5.2.5-200.fc30.x86_64", "not-affected", &["Fedora"]),
        (STALL, "4.19.75-v7l+", "not-affected", &["Raspberry Pi"]),
        (WINDOW, "5.10.184-175.731.amzn2.x86_64", "not-affected", &["Amazon"]),
        (STALL, "4.19", "unknown", &["line 4.19"]),
        (STALL, "6.12", "not-affected", &["line 6.12"]),
    ] {
        let (_, document) = asked(&lab, &["--bug", bug, text]);
        let subject = &document["subjects"][0];
        assert_eq!(subject["bugs"][0]["verdict"], verdict, "{text}: {document:#}");
        let understood = subject["understood"].as_str().unwrap_or_default();
        assert!(parts.iter().all(|part| understood.contains(part)), "{text}: {understood}");
    }
}

#[test]
fn files_that_are_no_kernels_are_unknown_with_the_reason() {
    let lab = Lab::new();
    lab.write("text", "hello");
    lab.write("cut.deb", "!<arch>\n");
    lab.write("cut.gz", "\x1f\u{8b}");
    lab.write("elf", "\x7fELF");
    for (file, why) in [("./text", "expected a Debian or RPM package"), ("./cut.deb", ""), ("./elf", "")] {
        let (ran, document) = asked(&lab, &["--bug", STALL, file]);
        ran.ends_with(3);
        let problem = document["subjects"][0]["problem"].as_str().unwrap_or_default();
        assert!(!problem.is_empty() && problem.contains(why), "{file}: {document:#}");
        assert_eq!(said(&document, file)["verdict"], "unknown");
    }
    nix::unistd::mkfifo(&lab.path("pipe"), nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    let (ran, document) = asked(&lab, &["--bug", STALL, "./pipe"]);
    ran.ends_with(3);
    assert!(document["subjects"][0]["problem"].as_str().is_some_and(|why| why.contains("regular file")));
}

#[test]
fn missing_path_is_bad_usage_but_others_are_answered() {
    let lab = Lab::new();
    for absent in [
        "./absent",
        "absent/vmlinuz",
        "./out/bzImage-5.3.1",
        "absent/linux-image-4.15.0-58-generic_4.15.0-58.64_amd64.deb",
        "absent.deb",
        "mainline:x",
    ] {
        let (ran, document) = asked(&lab, &["--bug", STALL, absent]);
        ran.ends_with(2);
        assert_eq!(document["exit_code"], 2, "{absent}");
        assert!(document["subjects"][0]["problem"].is_string(), "{document:#}");
    }
    let (ran, document) = asked(&lab, &["--bug", STALL, "./absent", "4.19.57"]);
    ran.ends_with(1);
    assert_eq!(said(&document, "4.19.57")["verdict"], "affected");
    let (ran, document) = asked(&lab, &["--bug", STALL, "./absent", "4.19.62"]);
    ran.ends_with(2);
    assert_eq!(said(&document, "4.19.62")["verdict"], "not-affected");
    lab.run(&["affected", "--git", "absent", "HEAD"]).ends_with(2).says(&["absent is not there"]);
    std::fs::create_dir(lab.path("folder")).expect("a folder");
    lab.run(&["affected", "--git", "folder", "HEAD"]).ends_with(2).says(&["is not a git repository"]);
}

#[test]
fn unfixed_bug_is_reported_without_exit_code_1() {
    let lab = Lab::new();
    for (args, code) in [
        (&["6.12.107"][..], 0),
        (&["6.12.107", "--fail-on", "any"], 1),
        (&["6.12.107", "--bug", "syn-cookie-data-loss"], 1),
        (&["6.12.107", "4.19.57"], 1),
        (&["6.12.107", "4.12.14-150.22-default", "--bug", STALL], 3),
    ] {
        let (ran, document) = asked(&lab, args);
        ran.ends_with(code);
        assert_eq!(document["exit_code"], code, "{args:?}");
    }
    let (_, document) = asked(&lab, &["6.12.107"]);
    assert_eq!(document["summary"]["not_counted"], 1, "{document:#}");
    let cookies = |bug: &&Value| bug["bug"] == "syn-cookie-data-loss";
    let answer = document["subjects"][0]["bugs"].as_array().expect("bugs").iter().find(cookies).expect("the bug");
    assert_eq!((&answer["verdict"], &answer["counts"]), (&"affected".into(), &false.into()));
    let ran = lab.run(&["affected", "6.12.107", "4.19.62"]);
    ran.ends_with(0);
    let summary = "2 subjects, 6 answers: 2 affected, 4 not affected, 0 unknown; 2 affected not counted";
    assert!(ran.stdout.contains(summary), "{}", ran.stdout);
}

#[test]
fn bug_can_be_named_by_cve_and_commit() {
    let lab = Lab::new();
    for args in [
        &["--bug", "CVE-2019-11478", "4.19.57"][..],
        &["--bug", "f070ef2ac667", "4.19.57"],
        &["CVE-2019-11478", "4.19.57"],
        &["4.19.57", "cve-2019-11478"],
        &["b617158dc096", "4.19.57"],
        &[STALL, "4.19.57"],
        &["--bug", "CVE-2019-11478", "--bug", STALL, "4.19.57"],
    ] {
        let (ran, document) = asked(&lab, args);
        ran.ends_with(1);
        let subjects = document["subjects"].as_array().expect("subjects");
        assert_eq!((subjects.len(), subjects[0]["bugs"].as_array().map(Vec::len)), (1, Some(1)), "{args:?}");
        assert_eq!(said(&document, "4.19.57")["bug"], STALL, "{args:?}");
    }
    lab.run(&["affected", "CVE-2019-11478"]).ends_with(2).says(&["which kernel", "--bug tcp-fragment-stall"]);
    lab.run(&["affected", "CVE-2019-11479", "4.19.57"]).ends_with(2).says(&["did you mean `CVE-2019-11478`?"]);
    for command in ["affected", "host", "run"] {
        let ran = lab.run(&[command, "--bug", "tcp-fragment-stal"]);
        ran.ends_with(2).says(&["unknown bug `tcp-fragment-stal`", "did you mean `tcp-fragment-stall`?"]);
    }
}

#[test]
fn kernels_in_unusual_files_are_recognised() {
    let lab = Lab::new();
    let gzip = |name: &str, bytes: &[u8]| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        std::io::Write::write_all(&mut encoder, bytes).expect("memory");
        lab.write(name, encoder.finish().expect("memory"));
    };
    gzip("Image.gz", &[&[0; 0x38][..], b"ARM\x64", &[0; 600]].concat());
    gzip("vmlinux.gz", b"\x7fELF and nothing else");
    gzip("notes.gz", b"hello");
    lab.write("zImage", [&[0; 0x24][..], b"\x18\x28\x6f\x01", &[0; 600]].concat());
    // Links out of the tree and unreadable files are not read.
    std::fs::create_dir(lab.path("tree")).expect("a folder");
    std::os::unix::fs::symlink("/etc/passwd", lab.path("tree/Makefile")).expect("a link");
    std::fs::create_dir(lab.path("empty")).expect("a folder");
    for (file, why) in [
        ("./Image.gz", "expected an x86-64 kernel image, found a kernel for arm64"),
        ("./vmlinux.gz", "the kernel's ELF file is not 64-bit"),
        ("./notes.gz", "the unpacked data is not one"),
        ("./zImage", "expected an x86-64 kernel image, found a kernel for arm"),
        ("./tree", "the Makefile of this folder cannot be read"),
        ("./empty", "this folder has no kernel's Makefile"),
    ] {
        let (ran, document) = asked(&lab, &["--bug", STALL, file]);
        ran.ends_with(3);
        let problem = document["subjects"][0]["problem"].as_str().unwrap_or_default();
        assert!(problem.contains(why), "{file}: {problem}");
    }
}

#[test]
fn kernel_without_the_code_is_not_affected() {
    const COOKIES: &str = "syn-cookie-data-loss";
    let lab = Lab::with_matrix(&format!("bugs: [{COOKIES}]\nkernels:\n  - {{ name: subject, deb: kernel.deb }}\n"));
    let heading =
        "#\n# Automatically generated file; DO NOT EDIT.\n#\nCONFIG_SERIAL_8250=y\nCONFIG_SERIAL_8250_CONSOLE=y\n";
    lab.write(
        "kernel/DEBIAN/control",
        "Package: linux-image-4.19.0-5-amd64\nVersion: 4.19.37-5+deb10u1\nArchitecture: amd64\nMaintainer: A <a@example.org>\n\
         Description: a kernel\n",
    );
    lab.write("kernel/boot/vmlinuz-4.19.0-5-amd64", image(&[Act::Halt]));
    let pack = |config: &str| {
        lab.write("kernel/boot/config-4.19.0-5-amd64", format!("{heading}{config}\n"));
        let (folder, package) = (lab.path("kernel"), lab.path("kernel.deb"));
        Ran::of(Command::new("dpkg-deb").arg("-b").args([folder, package]).output().expect("dpkg-deb")).ends_with(0);
    };
    let cache = lab.path("cache");
    let cache = cache.to_str().expect("UTF-8");
    for (config, verdict, code) in [
        // The image has no readable code, and its name alone decides nothing.
        ("CONFIG_SYN_COOKIES=y", "unknown", 3),
        ("CONFIG_SYN_COOKIES=m", "unknown", 3),
        ("# CONFIG_SYN_COOKIES is not set", "not-affected", 0),
    ] {
        pack(config);
        let (ran, document) = asked(&lab, &["--bug", COOKIES, "--cache", cache, "./kernel.deb"]);
        ran.ends_with(code);
        let answer = said(&document, "./kernel.deb");
        assert_eq!(answer["verdict"], verdict, "{config}: {document:#}");
        let finding = answer["findings"].as_array().expect("findings").iter().find(|f| f["witness"] == "config");
        assert_eq!(finding.is_some(), verdict == "not-affected", "{config}: {answer:#}");
        if let Some(finding) = finding {
            assert_eq!(finding["strength"], "strong");
            let why = finding["why"].as_str().unwrap_or_default();
            assert!(why.starts_with("CONFIG_SYN_COOKIES is not set in the configuration in its package"), "{why}");
        }
    }
    let (ran, document) = lab.judge(&["--cache", cache]);
    ran.ends_with(0);
    let judged = cell(&document, "subject", COOKIES);
    assert_eq!((&judged["outcome"], &judged["verdict"]), (&"skip".into(), &"not-affected".into()), "{judged:#}");
    assert!(judged["reason"].as_str().is_some_and(|why| why.contains("CONFIG_SYN_COOKIES")), "{judged:#}");
    assert_eq!(judged["boots"], serde_json::json!([]), "{judged:#}");
}

#[test]
fn metapackage_is_answered_as_its_kernel() {
    let lab = Lab::new();
    lab.write(
        "meta/DEBIAN/control",
        "Package: linux-image-amd64\nVersion: 4.19.37-5+deb10u1\nArchitecture: amd64\nMaintainer: A <a@example.org>\n\
         Depends: linux-image-4.19.0-5-amd64 (= 4.19.37-5+deb10u1)\nDescription: meta\n",
    );
    let (folder, package) = (lab.path("meta"), lab.path("meta.deb"));
    Ran::of(Command::new("dpkg-deb").arg("-b").args([folder, package]).output().expect("dpkg-deb")).ends_with(0);
    let cache = lab.path("cache");
    let (ran, document) = asked(&lab, &["--bug", STALL, "--cache", cache.to_str().expect("UTF-8"), "./meta.deb"]);
    ran.ends_with(1);
    let subject = &document["subjects"][0];
    let understood = "a package without a kernel, which stands for Debian 4.19.37-5+deb10u1, flavour amd64";
    assert_eq!(subject["understood"], understood, "{document:#}");
    assert!(subject["problem"].as_str().is_some_and(|why| why.contains("no kernel image")), "{document:#}");
    let answer = said(&document, "./meta.deb");
    assert_eq!((&answer["verdict"], &answer["state"]), (&"affected".into(), &"half-fixed".into()), "{answer:#}");
    assert_eq!(answer["findings"][0]["strength"], "weak", "{answer:#}");
}

#[test]
fn image_is_judged_by_its_code_not_its_name() {
    let lab = Lab::with_matrix(include_str!("../kernels.yaml"));
    lab.run(&["controls", "build"]).ends_with(0);
    let controls: Value =
        serde_json::from_str(&lab.run(&["controls", "list", "--format", "json"]).stdout).expect("JSON");
    let control =
        controls["controls"].as_array().expect("controls").iter().find(|c| c["control"] == "zero-window-break");
    let sha256 = control.expect("the control")["image_sha256"].as_str().expect("a sha256");
    let store = backproof::kernel::Store::open(None).expect("the cache").path("blobs").join(sha256);
    let image = store.to_str().expect("UTF-8");
    for (bug, verdict, code) in [("zero-window-user-timeout", "affected", 1), (STALL, "not-affected", 0)] {
        let (ran, document) = asked(&lab, &["--bug", bug, image]);
        ran.ends_with(code);
        assert_eq!(said(&document, image)["verdict"], verdict, "{document:#}");
    }
}
