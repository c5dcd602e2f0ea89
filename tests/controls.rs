//! Building control kernels from sources that compile at once: kept files, messages, leftovers.
#![expect(clippy::disallowed_macros, reason = "a test prints for people who watch it")]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

mod common;
use common::control_builds::{all_end, args, build, held, image, source};
use common::fake_source::FakeSource;
use common::small_disk::SmallDisk;
use common::{Lab, Ran};

#[test]
fn control_is_built_once_and_another_reuses_objects() {
    let lab = Lab::new();
    let source = source(&lab);
    let before = fs::read(source.path().join("net/ipv4/tcp_output.c")).expect("a file");
    let (ran, document) = build(&lab, &["stall-break", "stock"]);
    ran.ends_with(0);
    let names: Vec<_> = document["built"].as_array().expect("a list").iter().map(|b| b["control"].clone()).collect();
    assert_eq!(names, ["stock", "stall-break"], "in the order that costs least");
    assert_eq!(source.compiled(), ["a.c", "b.c", "tcp_output.c", "tcp_output.c"]);
    let (stock, broken) = (image(&document, 0, &lab.path("cache")), image(&document, 1, &lab.path("cache")));
    assert!(stock.contains("whole b") && stock.contains("CONFIG_TUN=y"), "{stock}");
    assert!(!stock.contains("limit = sk->sk_sndbuf;") && broken.contains("limit = sk->sk_sndbuf;"));
    assert_eq!(fs::read(source.path().join("net/ipv4/tcp_output.c")).expect("a file"), before, "the user's tree");
    assert!(document["built"][0]["cpu_seconds"].is_f64(), "{document:#}");

    let (ran, document) = build(&lab, &["stall-break", "stock"]);
    ran.ends_with(0);
    assert_eq!(
        (document["built"].as_array().map(Vec::len), document["kept"].as_array().map(Vec::len)),
        (Some(0), Some(2))
    );
    assert_eq!(source.compiled().len(), 4, "nothing to do");

    let (ran, document) = build(&lab, &["no-tun"]);
    ran.ends_with(0);
    assert!(image(&document, 0, &lab.path("cache")).contains("# CONFIG_TUN is not set"));
    let listed = lab.run(&["controls", "list", "--cache", "cache", "--format", "json"]);
    let list: Value = serde_json::from_str(&listed.stdout).expect("JSON");
    let built = |entry: &&Value| entry["built"] == true;
    let there = list["controls"].as_array().expect("a list").iter().filter(built).map(|e| e["control"].clone());
    assert_eq!(there.collect::<Vec<_>>(), ["stock", "stall-break", "no-tun"]);
    lab.run(&["controls", "list", "--cache", "cache"]).ends_with(0);
}

#[test]
fn kill_9_leaves_no_process_and_the_build_resumes() {
    let lab = Lab::new();
    let source = source(&lab);
    let (mut child, family) = held(&lab, &source);
    child.kill().expect("kill -9");
    child.wait().expect("it ends");
    all_end(&family);
    source.untell("hold");
    let listed = lab.run(&["controls", "list", "--cache", "cache", "--format", "json"]);
    assert!(!listed.stdout.contains("\"built\": true"), "a build that was killed built nothing");
    let (ran, document) = build(&lab, &["stock"]);
    ran.ends_with(0);
    let image = image(&document, 0, &lab.path("cache"));
    assert!(image.contains("whole b") && !image.contains("half"), "{image}");
    let again = source.compiled();
    assert_eq!(again.iter().filter(|name| *name == "b.c").count(), 2, "{again:?}");
}

#[test]
fn failed_make_after_a_kill_builds_again_and_says_so() {
    let lab = Lab::new();
    let source = source(&lab);
    let (mut child, family) = held(&lab, &source);
    child.kill().expect("kill -9");
    child.wait().expect("it ends");
    all_end(&family);
    source.untell("hold");
    // kbuild leaves such a file if it writes with `> $@`.
    let empty = || {
        let mut generated = Vec::new();
        find(&lab.path("cache/controls"), "generated.h", &mut generated);
        assert_eq!(generated.len(), 1);
        fs::write(&generated[0], "").expect("a file");
    };
    empty();
    let (ran, document) = build(&lab, &["stock"]);
    ran.ends_with(0).says(&["stock (6.1): make failed on what a killed build left; all is built again"]);
    assert!(image(&document, 0, &lab.path("cache")).contains("whole b"));
    let log = fs::read_to_string(lab.path("cache/controls/6.1/logs/stock.log")).expect("the log");
    assert!(log.contains("generated.h is empty") && log.contains("# stock (6.1): make failed"), "{log}");

    empty();
    for time in ["after a build that came to its end", "after one that failed by itself"] {
        let (ran, _) = build(&lab, &["no-tun"]);
        ran.ends_with(3).says(&["generated.h is empty"]);
        assert!(!ran.stderr.contains("built again"), "{time}: {}", ran.stderr);
    }
}

#[test]
fn ctrl_c_ends_the_compilers_and_says_how_to_resume() {
    let lab = Lab::new();
    let source = source(&lab);
    let (child, family) = held(&lab, &source);
    kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGINT).expect("Ctrl-C");
    let ran = Ran::of(child.wait_with_output().expect("it ends"));
    ran.ends_with(130).says(&["run the same command again to resume"]);
    all_end(&family);
    source.untell("hold");
    build(&lab, &["stock"]).0.ends_with(0);
}

#[test]
fn two_builds_at_once_wait_for_each_other_and_compile_once() {
    let lab = Lab::new();
    let source = source(&lab);
    let start = || {
        let mut command = lab.command(&args(&["stock"]));
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
    };
    let both = [start(), start()];
    for child in both {
        Ran::of(child.wait_with_output().expect("it ends")).ends_with(0);
    }
    assert_eq!(source.compiled(), ["a.c", "b.c", "tcp_output.c"]);
}

#[test]
fn failed_compiler_is_shown_with_its_log() {
    let lab = Lab::new();
    let source = source(&lab);
    source.tell("broken");
    let (ran, document) = build(&lab, &["stock", "stall-break"]);
    ran.ends_with(3).says(&["stock (6.1): compiling failed", "logs/stock.log", "error: expected a semicolon"]);
    assert_eq!(document["failed"].as_array().map(Vec::len), Some(2), "{document:#}");
    let log = fs::read_to_string(lab.path("cache/controls/6.1/logs/stock.log")).expect("the log");
    assert!(log.contains("$ make ") && log.contains("expected a semicolon"), "{log}");
    source.untell("broken");
    let (ran, document) = build(&lab, &["stock"]);
    ran.ends_with(0);
    assert!(!image(&document, 0, &lab.path("cache")).contains("half"));
}

#[test]
fn unfitting_patch_is_named_and_other_controls_are_built() {
    let lab = Lab::new();
    let source = FakeSource::new(lab.dir.path(), &[("net/ipv4/tcp_output.c", "something else\n")]);
    let (ran, document) = build(&lab, &["stall-break", "no-tun", "stall-never-had"]);
    ran.ends_with(3).says(&[
        "stall-break (6.1): patching failed",
        "net/ipv4/tcp_output.c",
        "stall-never-had (6.1): patching",
    ]);
    assert_eq!(document["built"][0]["control"], "no-tun", "{document:#}");
    assert_eq!(source.compiled(), ["a.c", "b.c", "tcp_output.c"]);
}

#[test]
fn lines_that_kconfig_drops_are_named() {
    let lab = Lab::new();
    let source = source(&lab);
    source.tell("drop");
    build(&lab, &["stock"]).0.ends_with(3).says(&["stock (6.1): configuring failed", "`CONFIG_TUN=y`"]);
    source.untell("drop");
    // Files beside the source don't belong to it, so this is the same source with the same objects.
    let (ran, document) = build(&lab, &["stock"]);
    ran.ends_with(0);
    assert!(image(&document, 0, &lab.path("cache")).contains("CONFIG_TUN=y"));
}

#[test]
fn image_that_does_not_name_its_control_is_not_kept() {
    let lab = Lab::new();
    let source = source(&lab);
    let mut image = fs::read(source.path().join("image")).expect("a file");
    image[0x20e..0x210].fill(0);
    fs::write(source.path().join("image"), image).expect("a file");
    build(&lab, &["stock"]).0.ends_with(3).says(&["names no release", "ends with `-control-stock`"]);
    let listed = lab.run(&["controls", "list", "--cache", "cache", "--format", "json"]);
    assert!(!listed.stdout.contains("\"built\": true"), "{}", listed.stdout);
}

#[test]
fn another_compiler_has_kconfig_asked_again() {
    let lab = Lab::new();
    let source = source(&lab);
    source.tell("drop");
    build(&lab, &["no-tun"]).0.ends_with(0);
    let gcc = lab.path("bin/gcc");
    fs::create_dir_all(lab.path("bin")).expect("a folder");
    fs::write(
        &gcc,
        "#!/bin/sh\n[ \"$1\" = --version ] && echo 'gcc of another time' && exit\nexec /usr/bin/gcc \"$@\"\n",
    )
    .expect("a file");
    fs::set_permissions(&gcc, fs::Permissions::from_mode(0o755)).expect("a file");
    source.untell("drop");
    let path = format!("{}:{}", lab.path("bin").display(), std::env::var("PATH").expect("PATH"));
    let ran = Ran::of(lab.command(&args(&["no-tun"])).env("PATH", path).output().expect("it starts"));
    ran.ends_with(0);
    let document: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    // The .config was made again, so the lines that Kconfig dropped the first time are there now.
    assert!(image(&document, 0, &lab.path("cache")).contains("CONFIG_TUN is not set"), "{document:#}");
}

#[test]
fn wrong_source_or_line_is_bad_usage() {
    let lab = Lab::new();
    let source = source(&lab);
    let makefile = fs::read_to_string(source.path().join("Makefile")).expect("a file");
    source.write("Makefile", &makefile.replace("VERSION = 6", "VERSION = 5"));
    build(&lab, &["stock"]).0.ends_with(2).says(&["is Linux 5.1, expected 6.1 or 6.12"]);
    source.write("Makefile", &makefile);
    build(&lab, &["stock", "--line", "6.12"]).0.ends_with(2).says(&["is Linux 6.1, expected 6.12"]);
    source.write(".config", "");
    build(&lab, &["stock"]).0.ends_with(2).says(&["has been built in (it has .config)", "make mrproper"]);
    source.write("Makefile", "all:\n");
    build(&lab, &["stock"]).0.ends_with(2).says(&["is no kernel source", "names no VERSION"]);
    fs::remove_dir_all(source.path()).expect("a folder");
    build(&lab, &["stock"]).0.ends_with(2).says(&["is no kernel source", "No such file"]);
    fs::write(source.path(), "").expect("a file");
    build(&lab, &["stock"]).0.ends_with(2).says(&["does not end as a tarball's"]);
    build(&lab, &["stok"]).0.ends_with(2).says(&["there is no control `stok`"]);
    assert!(source.compiled().is_empty());
}

#[test]
fn tarball_is_built_like_the_tree_in_it() {
    let lab = Lab::new();
    let source = source(&lab);
    let tar = Command::new("tar").current_dir(lab.dir.path()).args(["-czf", "linux.tar.gz", "linux"]).status();
    assert!(tar.expect("tar").success());
    fs::remove_dir_all(source.path()).expect("a folder");
    let run =
        || lab.run(&["controls", "build", "--source", "linux.tar.gz", "--cache", "cache", "stock", "stall-break"]);
    let ran = run();
    ran.ends_with(0);
    assert!(ran.stdout.contains("2 built in "), "{}", ran.stdout);
    let ran = run();
    ran.ends_with(0);
    assert!(ran.stdout.contains("0 built, 2 were there"), "{}", ran.stdout);
}

#[test]
fn missing_tools_are_listed_with_their_packages() {
    let lab = Lab::new();
    let source = source(&lab);
    fs::create_dir(lab.path("empty")).expect("a folder");
    let ran = Ran::of(lab.command(&args(&["stock"])).env("PATH", lab.path("empty")).output().expect("it starts"));
    ran.ends_with(3).says(&["`gcc`", "`flex`", "`bison`", "`bc`", "apt-get install build-essential flex bison bc"]);
    assert!(source.compiled().is_empty());
}

#[test]
fn control_not_built_is_an_error_with_the_command() {
    let matrix = "kernels: [{ name: a, control: { name: stall-break, line: \"6.1\" } }]\n";
    let lab = Lab::with_matrix(matrix);
    let (ran, document) = lab.judge(&["--cache", "cache"]);
    ran.ends_with(3);
    let reason = common::cell(&document, "a", "tcp-fragment-stall")["reason"].as_str().expect("a reason");
    assert!(reason.contains("is not built; run `backproof controls build stall-break --line 6.1`"), "{reason}");
}

#[test]
fn damaged_image_is_never_booted_and_built_again() {
    let matrix = "kernels: [{ name: a, control: { name: stock, line: \"6.1\" } }]\n";
    let lab = Lab::with_matrix(matrix);
    let source = source(&lab);
    let (_, document) = build(&lab, &["stock"]);
    let sha256 = document["built"][0]["image_sha256"].as_str().expect("an image").to_owned();
    let blob = lab.path("cache/blobs").join(&sha256);
    let mut bytes = fs::read(&blob).expect("the image");
    *bytes.last_mut().expect("a byte") ^= 1;
    fs::write(&blob, bytes).expect("the image");
    let (ran, document) = lab.judge(&["--cache", "cache"]);
    ran.ends_with(3);
    let reason = common::cell(&document, "a", "tcp-fragment-stall")["reason"].as_str().expect("a reason");
    assert!(reason.contains("was damaged in the cache; run `backproof controls build stock --line 6.1`"), "{reason}");
    let (ran, document) = build(&lab, &["stock"]);
    ran.ends_with(0);
    assert_eq!(document["built"][0]["image_sha256"], sha256, "the same recipe gives the same bytes");
    assert_eq!(source.compiled().len(), 3, "and only what was lost is made again");
}

#[test]
fn new_source_replaces_the_last_and_keeps_builds() {
    let lab = Lab::new();
    let source = source(&lab);
    let (_, first) = build(&lab, &["stock"]);
    let a = fs::read_to_string(source.path().join("net/a.c")).expect("a file");
    source.write("net/a.c", "another a\n");
    let (ran, second) = build(&lab, &["stock"]);
    ran.ends_with(0);
    assert_ne!(first["built"][0]["image_sha256"], second["built"][0]["image_sha256"]);
    assert!(image(&second, 0, &lab.path("cache")).contains("another a"));
    let trees = fs::read_dir(lab.path("cache/controls/6.1")).expect("a folder").flatten();
    let trees = trees.filter(|e| e.path().join("src").is_dir()).count();
    assert_eq!((trees, a.as_str()), (1, "whole a\n"));
    assert!(lab.path("cache/blobs").join(first["built"][0]["image_sha256"].as_str().expect("an image")).exists());
}

#[test]
fn full_disk_during_a_build_leaves_the_cache_intact() {
    let lab = Lab::new();
    let source = source(&lab);
    let Some(_cache) = SmallDisk::mount(&lab.path("cache"), "size=200m") else {
        eprintln!("SKIPPED: only root can mount a small file system");
        return;
    };
    build(&lab, &["no-packet"]).0.ends_with(0);
    source.tell("full");
    let (ran, _) = build(&lab, &["stall-break"]);
    ran.ends_with(3).says(&["compiling failed: no space is left for"]);
    source.untell("full");
    // The disk is still full: another try must not lose anything.
    build(&lab, &["stall-break"]).0.ends_with(3).says(&["no space is left"]);
    let mut fill = Vec::new();
    find(&lab.path("cache/controls"), "fill", &mut fill);
    assert!(!fill.is_empty());
    fill.iter().for_each(|file| fs::remove_file(file).expect("it was there"));
    let (ran, document) = build(&lab, &["no-packet", "stall-break"]);
    ran.ends_with(0);
    assert_eq!(document["kept"][0]["control"], "no-packet", "{document:#}");
    assert!(!image(&document, 0, &lab.path("cache")).contains("half"));
}

#[test]
fn too_small_disk_is_reported_before_any_write() {
    let lab = Lab::new();
    let source = source(&lab);
    let Some(_cache) = SmallDisk::mount(&lab.path("cache"), "size=100m") else {
        eprintln!("SKIPPED: only root can mount a small file system");
        return;
    };
    build(&lab, &["stock"]).0.ends_with(3).says(&["no space is left for", "it takes 180 MiB, and"]);
    assert!(source.compiled().is_empty());
}

fn find(folder: &Path, name: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder").flatten() {
        let path = entry.path();
        if path.is_dir() {
            find(&path, name, found);
        } else if entry.file_name() == name {
            found.push(path);
        }
    }
}
