use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use backproof_protocol::{GuestMount, ProgramProtocol};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::fixture::{Fixture, text};
use super::*;
use crate::guest::AGENT;
use crate::matrix::{Bug, Bugs, CrashKind};

fn target(folder: &Path) -> ImportTarget<'_> {
    ImportTarget { folder, force: false }
}

const ANY: LtpChoice<'_> = LtpChoice { cves: &[], all: false, rootfs: None };

/// The bug that an imported dossier describes.
#[track_caller]
fn bug(report: &ImportReport, id: &str) -> Bug {
    let bugs = Bugs::built_in().with_folder(&report.folder).unwrap_or_else(|error| panic!("{error}"));
    let id = id.parse().expect("a name");
    bugs.get(&id).unwrap_or_else(|| panic!("no {id} in {:?}", report.imported)).clone()
}

/// Why something was rejected.
#[track_caller]
fn rejected<'a>(report: &'a ImportReport, name: &str) -> (RejectionKind, &'a str) {
    let found = report.rejected.iter().find(|one| one.name == name);
    let found = found.unwrap_or_else(|| panic!("{name} was not rejected: {:?} {:?}", report.imported, report.rejected));
    (found.kind, &found.why)
}

#[test]
fn ltp_test_becomes_a_dossier_that_our_reader_reads() {
    let fixture = Fixture::new();
    let ltp = fixture.ltp(&json!({
        "accept02": {
            "fname": "testcases/kernel/accept/accept02.c",
            "doc": ["[Description]", "", "Test for CVE-2017-8890", "", "A \u{1b}double free: yes", "# not a comment"],
            "tags": [["linux-git", "657831FFC38E30092A2D5F03D385D710EB88B09A"], ["linux-git", "0123456789ab"],
                     ["linux-git", "123"], ["CVE", "2017-8890"], ["linux-stable-git", "aaaaaaaaaaaa"]],
            "needs_root": true, "needs_kconfigs": ["CONFIG_VETH & CONFIG_USER_NS=y", "CONFIG_TUN=y|m"],
            "min_cpus": "2", "min_mem_avail": "512", "runtime": "20", "min_runtime": "9",
            "timeout": "5", "test_variants": 2, "needs_cgroup_ver": "2",
            "taint_check": "TST_TAINT_W",
        },
        "plain01": { "fname": "testcases/plain01.c" },
    }));
    fixture.write("ltp/runtest/cve", "cve-2017-8890 accept02\naccept02_big accept02 -n 5\nshell accept02 -d $TMPDIR\n");
    let to = fixture.to();
    let report = ltp::import(&ltp, ANY, target(&to)).expect("an import");
    assert_eq!((report.imported.len(), report.rejected.len(), report.not_selected), (2, 0, 1));
    assert_eq!(report.version.as_deref(), Some("20260529"));
    let bug = bug(&report, "accept02");
    assert_eq!((bug.title.as_str(), bug.chain.len()), ("Test for CVE-2017-8890", 2));
    assert_eq!(bug.chain[0].commit.as_ref().map(|c| c.as_str()), Some("657831ffc38e30092a2d5f03d385d710eb88b09a"));
    assert_eq!(bug.cves().collect::<Vec<_>>(), ["CVE-2017-8890"]);
    assert!(bug.summary.contains("A  double free: yes\n# not a comment"), "{}", bug.summary);
    let reproducer = bug.reproducer.expect("a reproducer");
    assert_eq!(reproducer.deadline, Duration::from_secs((30 + 5 + 20) * 2 + 10));
    let needs = &reproducer.needs;
    assert_eq!(needs.config, ["CONFIG_TUN", "CONFIG_USER_NS", "CONFIG_VETH"]);
    assert_eq!((needs.modules.join(" "), needs.cpus, needs.memory_mib), ("tun veth".to_owned(), Some(2), Some(768)));
    assert!(needs.mounts.contains(&GuestMount::Cgroup2));
    let own = reproducer.own().expect("a program");
    assert_eq!((own.protocol, own.args.len()), (ProgramProtocol::Ltp, 0));
    assert_eq!(own.env.get("KCONFIG_SKIP_CHECK").map(String::as_str), Some("1"));
    assert_eq!(own.path, to.join("programs/accept02/accept02"));
    let more = self::bug(&report, "accept02_big").reproducer.and_then(|one| one.own().map(|own| own.args.clone()));
    assert_eq!(more, Some(vec!["-n".to_owned(), "5".to_owned()]));
}

#[test]
fn ltp_test_that_a_guest_cannot_run_is_rejected_with_its_reason() {
    use RejectionKind::*;
    let cases: [(&str, Value, RejectionKind, &str); 13] = [
        ("kvm", json!({ "needs_kconfigs": ["CONFIG_KVM"] }), Machine, "needs KVM"),
        ("mkfs", json!({ "mount_device": true }), Disk, "mount_device"),
        ("xfs", json!({ "filesystems": [{ "type": "xfs" }] }), Disk, "a disk with xfs"),
        ("no-tmpfs", json!({ "all_filesystems": true, "skip_filesystems": ["tmpfs"] }), Disk, "all_filesystems"),
        ("cmd", json!({ "needs_cmds": [{ "cmd": "gdb" }, { "cmd": "x", "optional": true }] }), Commands, "runs gdb"),
        ("old-cmd", json!({ "needs_cmds": ["useradd"] }), Commands, "runs useradd"),
        ("arm", json!({ "supported_archs": ["aarch64"] }), Machine, "only for aarch64"),
        ("bits", json!({ "needs_abi_bits": "32" }), Machine, "32-bit"),
        ("swap", json!({ "min_swap_avail": "2" }), Swap, "swap"),
        ("config", json!({ "needs_kconfigs": ["!CONFIG_KASAN"] }), Configuration, "!CONFIG_KASAN"),
        ("helper", json!({ "resource_files": ["../../secret"] }), Commands, "copies ../../secret"),
        ("script", json!({ "runs_script": "1" }), Script, "interpreter"),
        ("shell.sh", json!({ "fname": "testcases/shell.sh" }), Script, "shell script"),
    ];
    let (mut tests, fixture) = (serde_json::Map::new(), Fixture::new());
    for (name, fields, ..) in &cases {
        let mut test = json!({ "fname": format!("testcases/{name}.c"), "tags": [["CVE", "2020-1234"]] });
        let object = test.as_object_mut().expect("an object");
        object.extend(fields.as_object().expect("an object").clone());
        tests.insert((*name).to_owned(), test);
    }
    let tag = json!([["CVE", "2020-1234"]]);
    for name in ["gone", "dynamic", "old", "linked"] {
        tests.insert(name.to_owned(), json!({ "fname": format!("testcases/{name}.c"), "tags": tag }));
    }
    tests.insert(
        "libc".to_owned(),
        json!({ "fname": "testcases/libc.c", "tags": [["glibc-git", "1"], ["linux-stable-git", "2"]] }),
    );
    let all_kinds = json!({ "fname": "testcases/tmpfs.c", "tags": tag, "all_filesystems": true, "needs_device": true });
    tests.insert("tmpfs".to_owned(), all_kinds);
    let ltp = fixture.ltp(&Value::Object(tests));
    fixture.write("secret", "x");
    fixture.program("ltp/testcases/tmpfs_child");
    for name in ["gone", "linked"] {
        fs::remove_file(fixture.path(&format!("ltp/testcases/{name}"))).expect("a file");
    }
    std::os::unix::fs::symlink("/bin/sh", fixture.path("ltp/testcases/linked")).expect("a link");
    fs::copy("/bin/sh", fixture.path("ltp/testcases/dynamic")).expect("a shell");
    fixture.executable("ltp/testcases/old", "\x7fELF\x01");
    let to = fixture.to();
    let report = ltp::import(&ltp, ANY, target(&to)).expect("an import");
    for (name, _, kind, why) in cases {
        let found = rejected(&report, name);
        assert!(found.0 == kind && found.1.contains(why), "{name}: {found:?}");
    }
    for (name, kind) in [("gone", NotBuilt), ("linked", NotBuilt), ("old", Unfit), ("libc", NotKernel)] {
        assert_eq!(rejected(&report, name).0, kind, "{name}: {:?}", rejected(&report, name));
    }
    let names: Vec<&str> = report.imported.iter().map(|one| one.name.as_str()).collect();
    // The libraries of one that is linked dynamically are taken along.
    assert_eq!(names, ["dynamic", "tmpfs"]);
    let reproducer = bug(&report, "tmpfs").reproducer.expect("a reproducer");
    assert_eq!((reproducer.needs.modules.join(" "), reproducer.needs.memory_mib), ("loop".to_owned(), Some(1112)));
    let files = reproducer.own().map(|own| own.files.clone()).unwrap_or_default();
    assert_eq!(files, [to.join("programs/tmpfs/tmpfs_child")]);
    assert_eq!(report.counts()[&Disk], 3);
}

#[test]
fn rootfs_gives_a_test_what_it_lacks() {
    let fixture = Fixture::new();
    for command in ["bin/sh", "usr/bin/cp", "sbin/mkfs.ext2", "sbin/mkfs.btrfs", "sbin/mkfs.vfat", "usr/sbin/useradd"] {
        fixture.program(&format!("root/{command}"));
    }
    let test = |name: &str, fields: Value| {
        let mut test = json!({ "fname": format!("testcases/{name}.c"), "tags": [["CVE", "2020-1234"]] });
        test.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        test
    };
    let ltp = fixture.ltp(&json!({
        "plain": test("plain", json!({})),
        "mounts": test("mounts", json!({ "mount_device": true, "needs_device": true, "dev_min_size": "400" })),
        "any": test("any", json!({ "all_filesystems": true, "needs_device": true, "skip_filesystems": ["vfat"] })),
        "xfs": test("xfs", json!({ "filesystems": [{ "type": "xfs" }] })),
        "runs": test("runs", json!({ "needs_cmds": ["useradd"] })),
        "gdb": test("gdb", json!({ "needs_cmds": ["useradd", "gdb"] })),
        "copies": test("copies", json!({ "resource_files": ["data.txt"] })),
        "loses": test("loses", json!({ "resource_files": ["../../secret"] })),
    }));
    fixture.write("ltp/testcases/datafiles/data.txt", "x");
    fixture.write("secret", "x");
    let rootfs = Arc::new(ImportRootfs::open(&fixture.path("root")).expect("a rootfs"));
    let to = fixture.to();
    let report = ltp::import(&ltp, LtpChoice { rootfs: Some(&rootfs), ..ANY }, target(&to)).expect("an import");
    for (name, kind, why) in [
        ("xfs", RejectionKind::Disk, "needs a disk with xfs, and the rootfs has no mkfs for it"),
        ("gdb", RejectionKind::Commands, "runs gdb, which the rootfs lacks"),
        ("loses", RejectionKind::Files, "copies ../../secret, which is not beside its source"),
    ] {
        assert_eq!(rejected(&report, name), (kind, why), "{name}");
    }
    for (name, has_rootfs, disk, modules, files) in [
        ("plain", false, None, "", 0),
        ("mounts", true, Some(400), "ext4", 0),
        ("any", true, Some(300), "btrfs ext4", 0),
        ("runs", true, None, "", 0),
        ("copies", true, None, "", 1),
    ] {
        let reproducer = bug(&report, name).reproducer.expect("a reproducer");
        let own = reproducer.own().expect("a program");
        let path = own.rootfs.as_ref().map(|rootfs| rootfs.path.clone());
        assert_eq!(path, has_rootfs.then(|| rootfs.path().to_owned()), "{name}");
        let needs = &reproducer.needs;
        assert_eq!(
            (needs.disk_mib, needs.modules.join(" ").as_str(), own.files.len()),
            (disk, modules, files),
            "{name}"
        );
    }
    assert!(ImportRootfs::open(&fixture.path("gone")).is_err_and(|error| error.is_usage()));
}

#[test]
fn cve_selects_tests_and_an_unknown_one_is_said() {
    let fixture = Fixture::new();
    let test = |name: &str, cve: &str| json!({ "fname": format!("testcases/{name}.c"), "tags": [["CVE", cve]] });
    let ltp = fixture.ltp(&json!({ "a01": test("a01", "2020-1111"), "b01": test("b01", "2020-2222") }));
    let to = fixture.to();
    let cves = ["CVE-2020-2222".to_owned(), "CVE-2020-3333".to_owned()];
    let report = ltp::import(&ltp, LtpChoice { cves: &cves, ..ANY }, target(&to)).expect("an import");
    assert_eq!(report.imported.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["b01"]);
    assert_eq!(rejected(&report, "CVE-2020-3333").0, RejectionKind::NoTest);
}

#[test]
fn folder_that_is_no_built_ltp_is_rejected_with_advice() {
    let fixture = Fixture::new();
    let to = fixture.to();
    let said = |root: &Path| match ltp::import(root, ANY, target(&to)) {
        Ok(report) => panic!("{report:?}"),
        Err(error) => {
            assert!(error.is_usage());
            error.to_string()
        }
    };
    let root = fixture.path("ltp");
    assert!(said(&root).contains("No such file"), "{}", said(&root));
    fixture.write("ltp/README", "");
    assert!(said(&root).contains("not a tree of LTP"), "{}", said(&root));
    fixture.write("ltp/testcases/a01.c", "");
    assert!(said(&root).contains("make -C metadata"), "{}", said(&root));
    fixture.write("ltp/metadata/ltp.json", "{}");
    assert!(said(&root).contains("metadata/ltp.json: it is no metadata of LTP"), "{}", said(&root));
    fixture.ltp(&json!({ "a01": { "fname": "testcases/a01.c" } }));
    fs::remove_file(fixture.path("ltp/testcases/a01")).expect("a file");
    assert!(said(&root).contains("no test is built"), "{}", said(&root));
    assert!(!to.exists());
}

#[test]
fn existing_files_are_kept_unless_forced() {
    let fixture = Fixture::new();
    let test = |name: &str| json!({ "fname": format!("testcases/{name}.c"), "tags": [["CVE", "2020-1111"]] });
    let ltp = fixture.ltp(&json!({ "a01": test("a01"), "tcp-fragment-stall": test("tcp-fragment-stall") }));
    let to = fixture.to();
    let run = |force| ltp::import(&ltp, ANY, ImportTarget { folder: &to, force }).expect("an import");
    let first = run(false);
    assert!(first.imported.iter().all(|one| one.written), "{first:?}");
    // A built-in bug has this name.
    assert_eq!(first.imported[1].id.as_str(), "tcp-fragment-stall-2");
    assert!(run(false).imported.iter().all(|one| !one.written));
    let dossier = to.join("a01.yaml");
    let own = text(&dossier).replace("title: ", "title: My ");
    fs::write(&dossier, &own).expect("a file");
    let again = run(false);
    assert!(rejected(&again, "a01").1.contains("a01.yaml differs: replace it with --force"));
    assert_eq!(text(&dossier), own);
    assert!(run(true).imported[0].written);
    assert_ne!(text(&dossier), own);
    let left: Vec<String> = fs::read_dir(to.join("programs/a01"))
        .expect("a folder")
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    assert_eq!(left, ["a01"], "something was left");
}

#[test]
fn installed_selftests_become_ktap_dossiers() {
    let fixture = Fixture::new();
    fixture.write("st/kselftest-list.txt", "net:tls\nnet:run.sh\nnet:gone\nmm/hmm:../../../tls\n:x\n");
    fixture.program("st/net/tls");
    fixture.executable("st/net/run.sh", "#!/bin/bash\n");
    fixture.write("st/net/settings", "timeout=90\n");
    fixture.write("st/net/config", "CONFIG_TLS=m\nCONFIG_NET_NS=y\n# CONFIG_X is not set\n");
    let to = fixture.to();
    let report = kselftest::import(&fixture.path("st"), None, target(&to)).expect("an import");
    let bug = bug(&report, "net-tls");
    let reproducer = bug.reproducer.expect("a reproducer");
    assert_eq!(reproducer.own().map(|own| own.protocol), Some(ProgramProtocol::Ktap));
    assert_eq!((reproducer.deadline.as_secs(), reproducer.needs.modules.join(" ")), (90, "tls".to_owned()));
    assert_eq!(reproducer.needs.config, ["CONFIG_TLS"]);
    assert_eq!(rejected(&report, "net:run.sh").0, RejectionKind::Script);
    for gone in ["net:gone", "mm/hmm:../../../tls", ":x"] {
        assert_eq!(rejected(&report, gone).0, RejectionKind::NotBuilt, "{gone}");
    }
}

#[test]
fn selftests_of_a_rootfs_run_there() {
    let fixture = Fixture::new();
    for name in ["bin/sh", "usr/bin/bash"] {
        fixture.program(&format!("root/{name}"));
    }
    let list = "run.sh tls perl.pl plain.sh env.py sub/linked.sh gone.sh ../../../bin/sh";
    let list: String = list.split(' ').map(|name| format!("net:{name}\n")).collect();
    fixture.write("root/opt/st/kselftest-list.txt", list + "net:\n");
    fixture.executable("root/usr/bin/env", AGENT);
    fixture.executable("root/opt/st/net/env.py", "#!/usr/bin/env python3\n");
    fixture.write("root/opt/st/net/sub/data", "");
    std::os::unix::fs::symlink("/opt/st/net/run.sh", fixture.path("root/opt/st/net/sub/linked.sh")).expect("a link");
    fixture.executable("root/opt/st/net/run.sh", "#!/usr/bin/bash\n. ../lib.sh\ncat /sys/kernel/debug/x\n");
    fixture.program("root/opt/st/net/tls");
    fixture.executable("root/opt/st/net/perl.pl", "#!/usr/bin/perl\n");
    fixture.write("root/opt/st/net/plain.sh", "#!/usr/bin/bash\n");
    let (to, root) = (fixture.to(), fixture.path("root"));
    let open = |path: &Path| Arc::new(ImportRootfs::open(path).expect("a rootfs"));
    let report = kselftest::import(&fixture.path("root/opt/st"), Some(&open(&root)), target(&to)).expect("an import");
    let script = bug(&report, "net-run.sh").reproducer.expect("a reproducer");
    let own = script.own().expect("a program");
    assert_eq!((own.path.as_path(), own.files.len()), (Path::new("/bin/sh"), 0));
    assert_eq!(own.args, ["-c", "cd \"$0\" && exec \"$@\"", "/opt/st/net", "./run.sh"]);
    assert_eq!(script.needs.mounts, [GuestMount::Debugfs]);
    assert!(report.imported.iter().any(|one| one.name == "net:tls"));
    assert!(!to.join("programs").exists(), "nothing is copied");
    let why = rejected(&report, "net:perl.pl").1;
    assert!(why.contains("/usr/bin/perl"), "{why}");
    let why = rejected(&report, "net:plain.sh").1;
    assert!(why.contains("not executable"), "{why}");
    assert!(rejected(&report, "net:env.py").1.contains("python3, which its rootfs lacks"));
    for gone in ["net:gone.sh", "net:../../../bin/sh", "net:"] {
        assert_eq!(rejected(&report, gone).0, RejectionKind::NotBuilt, "{gone}");
    }
    // It runs in its own folder, and a link is followed as a guest follows it.
    let deep = bug(&report, "net-sub-linked.sh").reproducer.expect("a reproducer");
    assert_eq!(deep.own().map(|own| own.args[2..].join(" ")), Some("/opt/st/net/sub ./linked.sh".to_owned()));
}

#[test]
fn selftests_outside_of_the_rootfs_are_rejected() {
    let fixture = Fixture::new();
    fixture.program("root/bin/sh");
    for place in ["root/opt/st", "root/tmp/st", "elsewhere"] {
        fixture.write(&format!("{place}/kselftest-list.txt"), "net:tls\n");
        fixture.program(&format!("{place}/net/tls"));
    }
    fixture.write("bare/opt/st/kselftest-list.txt", "net:tls\n");
    fs::write(fixture.path("root.tar"), [0; 1024]).expect("an empty tarball");
    std::os::unix::fs::symlink(fixture.path("root"), fixture.path("link")).expect("a link");
    let to = fixture.to();
    let import = |rootfs: &str, tests: &str| {
        let rootfs = Arc::new(ImportRootfs::open(&fixture.path(rootfs))?);
        kselftest::import(&fixture.path(tests), Some(&rootfs), target(&to))
    };
    for (rootfs, tests, why) in [
        ("root", "elsewhere", "not below the rootfs"),
        ("root", "root/tmp/st", "a guest has a /tmp/st of its own"),
        ("bare", "bare/opt/st", "no shell"),
        ("root.tar", "root/opt/st", "unpack it"),
    ] {
        let error = import(rootfs, tests).expect_err(why);
        assert!(error.is_usage() && error.to_string().contains(why), "{rootfs} {tests}: {error}");
    }
    assert!(!to.exists());
    for (rootfs, tests) in [("root", "link/opt/st"), ("link", "root/opt/st")] {
        assert_eq!(import(rootfs, tests).expect("an import").imported.len(), 1, "{rootfs} {tests}");
    }
}

#[test]
fn libraries_of_a_suite_go_with_its_programs() {
    let fixture = Fixture::new();
    fixture.write("st/kselftest-list.txt", "rseq:uses\nrseq:lacks\n");
    fixture.write("st/rseq/lib.c", "int answer(void) { return 42; }\n");
    fixture.write("st/rseq/uses.c", "int answer(void); int main(void) { return answer() != 42; }\n");
    let folder = fixture.path("st/rseq");
    let cc = |args: &[&str]| {
        let built = std::process::Command::new("cc").args(args).current_dir(&folder).status().expect("cc");
        assert!(built.success(), "{args:?}");
    };
    cc(&["-shared", "-fPIC", "-o", "libsuite.so", "lib.c"]);
    cc(&["-o", "uses", "uses.c", "-L.", "-lsuite", "-Wl,-rpath=./"]);
    cc(&["-shared", "-fPIC", "-o", "libgone.so", "lib.c"]);
    cc(&["-o", "lacks", "uses.c", "-L.", "-lgone", "-Wl,-rpath=./"]);
    fs::remove_file(folder.join("libgone.so")).expect("removed");
    let to = fixture.to();
    let report = kselftest::import(&fixture.path("st"), None, target(&to)).expect("an import");
    let bug = bug(&report, "rseq-uses");
    assert!(to.join("programs/rseq-uses/libsuite.so").is_file());
    let program = bug.reproducer.and_then(|one| one.own().map(|own| own.path.clone())).expect("a program");
    // A run finds it there, whatever its working directory is.
    let libraries = crate::guest::Libraries::of(&fs::read(&program).expect("a file"), &program).expect("libraries");
    assert!(libraries.names().contains(&"libsuite.so".to_owned()), "{:?}", libraries.names());
    let lacks = rejected(&report, "rseq:lacks");
    assert!(lacks.0 == RejectionKind::Unfit && lacks.1.contains("libgone.so"), "{lacks:?}");
}

#[test]
fn built_selftests_are_found_by_their_makefiles() {
    let fixture = Fixture::new();
    fixture.write("linux/tools/testing/selftests/lib.mk", "");
    fixture.write("linux/tools/testing/selftests/net/Makefile", "TEST_GEN_PROGS = tls\nTEST_GEN_FILES = helper\n");
    fixture.program("linux/tools/testing/selftests/net/tls");
    fixture.program("linux/tools/testing/selftests/net/helper");
    let to = fixture.to();
    let report = kselftest::import(&fixture.path("linux"), None, target(&to)).expect("an import");
    assert_eq!(report.imported.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ["net-tls"]);
    let error = kselftest::import(&fixture.path("linux/tools"), None, target(&to)).expect_err("no selftests");
    assert!(error.is_usage() && error.to_string().contains("kselftest-list.txt"), "{error}");
}

#[test]
fn reproducer_of_syzkaller_gets_the_crash_of_its_report() {
    let fixture = Fixture::new();
    let source = "// https://syzkaller.appspot.com/bug?id=abc\n// autogenerated by syzkaller\n\
                  int main(void) { const char *a = \"/dev/net/tun\"; for (;;) if (!a) return 0; }\n";
    fixture.write("syz/crash-1/repro.c", source);
    fixture.write("syz/crash-1/report", "BUG: KASAN: slab-use-after-free in tcp_foo+0x12/0x34\n");
    fixture.write("syz/wrong.c", "int main(void) { return x; }\n");
    fixture.write("syz/wrong.report", "WARNING in foo\n");
    fixture.write("syz/leak.c", source);
    fixture.write("syz/leak.txt", "memory leak in foo\n");
    fixture.write("syz/silent.c", source);
    fixture.write("syz/0123456789abcdef0123.c", format!("// KASAN: use-after-free Read in a_b\n{source}"));
    fixture.write("syz/titled.c", format!("// WARNING in bar (2)\n{source}"));
    let (to, other) = (fixture.to(), fixture.path("other"));
    let report = syz::import(&fixture.path("syz"), None, target(&to), &mut |_| ()).expect("an import");
    let bug = bug(&report, "crash-1");
    assert_eq!(bug.title, "KASAN: slab-use-after-free in tcp_foo");
    assert_eq!(bug.references, ["https://syzkaller.appspot.com/bug?id=abc"]);
    let reproducer = bug.reproducer.expect("a reproducer");
    let crash = reproducer.own().and_then(|own| own.crash.clone()).expect("a crash");
    assert_eq!((crash.kinds.as_slice(), crash.frames.join(" ")), (&[CrashKind::Kasan][..], "tcp_foo".to_owned()));
    assert_eq!(reproducer.own().map(|own| own.protocol), Some(ProgramProtocol::Crash));
    assert_eq!(reproducer.needs.modules, ["tun"]);
    let found = rejected(&report, "wrong");
    assert!(found.0 == RejectionKind::Compile && found.1.starts_with("wrong.c:1:"), "{found:?}");
    assert!(rejected(&report, "leak").1.contains("kmemleak"));
    assert!(rejected(&report, "silent").1.contains("--title"));
    let hashed = self::bug(&report, "kasan-use-after-free-read-in-a_b-0123456");
    assert_eq!(hashed.title, "KASAN: use-after-free Read in a_b");
    assert_eq!(self::bug(&report, "titled").title, "WARNING in bar (2)");
    let one = fixture.path("syz/silent.c");
    let title = Some("kernel BUG at net/a.c:12!");
    let report = syz::import(&one, title, target(&other), &mut |_| ()).expect("an import");
    let own = self::bug(&report, "silent").reproducer.and_then(|one| one.own().cloned()).expect("a program");
    let crash = own.crash.expect("a crash");
    assert!(crash.pattern.is_some_and(|pattern| pattern.is_in("kernel BUG at net/a.c:12!")));
    let error = syz::import(&fixture.path("syz"), title, target(&other), &mut |_| ()).expect_err("several");
    assert!(error.is_usage() && error.to_string().contains("one reproducer"), "{error}");
}

#[test]
fn scripts_of_packetdrill_stand_beside_it() {
    let fixture = Fixture::new();
    let tool = fixture.program("packetdrill");
    let good = fixture.write("sack test.pkt", "// Loss of one packet\n`sysctl -q net.ipv4.tcp_sack=1`\n");
    let python = fixture.write("python.pkt", "+0 %{ assert tcpi_retrans == 0 }%\n");
    let include = fixture.write("pkt/include.pkt", "`../../../../../../../bin/x.sh`\n");
    let shared = fixture.write("pkt/shared.pkt", "// Defaults\n`../common/defaults.sh`\n");
    fixture.executable("common/defaults.sh", "#!/bin/bash\nsysctl -q a=1\ntc qdisc add dev tun0 root pfifo\n");
    let (to, tools) = (fixture.to(), PacketdrillTools { packetdrill: &tool, shell: Some(&tool) });
    let scripts = [good, python.clone(), include.clone(), shared, fixture.path("gone.pkt")];
    let report = packetdrill::import(&scripts, tools, target(&to)).expect("an import");
    let bug = bug(&report, "sack-test");
    let own = bug.reproducer.and_then(|one| one.own().cloned()).expect("a program");
    assert_eq!((bug.title.as_str(), own.protocol), ("Loss of one packet", ProgramProtocol::Packetdrill));
    assert_eq!(own.args, ["--tolerance_usecs=40000", "sack-test.pkt"]);
    assert_eq!(own.files.len(), 4);
    assert!(rejected(&report, &python.display().to_string()).1.contains("Python"));
    assert!(rejected(&report, &include.display().to_string()).1.contains("runs ../../../"));
    assert_eq!(report.rejected.len(), 3);
    assert_eq!(text(&to.join("programs/shared/shared.pkt")), "// Defaults\n`sh defaults.sh`\n");
    assert_eq!(text(&to.join("programs/shared/defaults.sh")), "#!/bin/bash\nsysctl -q a=1\n");
    let shell = fixture.executable("needs-shell", [AGENT, b"/bin/sh\0"].concat());
    let tools = PacketdrillTools { packetdrill: &shell, shell: None };
    let error = packetdrill::import(&scripts, tools, target(&to)).expect_err("no shell");
    assert!(error.is_usage() && error.to_string().contains("--shell"), "{error}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_words_of_others_make_a_dossier_or_a_reason(
        name in "\\PC{0,30}|[a-z]{1,8}",
        doc in proptest::collection::vec("([-:#'\"!&*{}\\[\\],|>%@`? \t]|a|\\PC){0,30}|[\\s\\S]{0,20}", 0..6),
        tag in "([0-9a-f]{12}|[0-9]{4}-[0-9]{4}|\\PC{0,8})",
        option in "(CONFIG_[A-Z]{1,3}|[&|=ym ]){1,4}",
        args in "\\PC{0,20}",
    ) {
        let fixture = Fixture::new();
        fixture.program("ltp/testcases/a01");
        let test = json!({
            "fname": "testcases/a01.c", "doc": doc, "tags": [["linux-git", tag], ["CVE", tag]], "needs_kconfigs": [option],
        });
        let metadata = json!({ "testsuite": { "short_name": "LTP" }, "tests": { name.clone(): test } });
        fixture.write("ltp/metadata/ltp.json", metadata.to_string());
        fixture.write("ltp/runtest/x", format!("x a01 {args}\n"));
        let to = fixture.to();
        let report = ltp::import(&fixture.path("ltp"), ANY, target(&to)).expect("an import");
        prop_assert_eq!(report.imported.len() + report.rejected.len(), 1);
        if let Some(one) = report.imported.first() {
            prop_assert!(Bugs::built_in().with_folder(&to).is_ok());
            prop_assert_eq!(one.dossier.parent(), Some(to.as_path()));
        }
        for one in &report.rejected {
            prop_assert!(matches!(one.kind, RejectionKind::Configuration | RejectionKind::Malformed), "{:?}", one);
        }
    }
}
