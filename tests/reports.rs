//! `--report FORMAT=FILE`: files are checked before a run and written whole after it, and none costs the run its results.
#![expect(clippy::disallowed_macros, reason = "a test prints for people who watch it")]

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::Value;

mod common;
use common::Lab;
use common::small_disk::SmallDisk;
use common::tiny_kernel::{Act, image};

/// A run that is over at once.
fn lab() -> Lab {
    let lab = Lab::with_matrix("bugs: [tcp-fragment-stall]\nkernels: [{ name: text, image: text.txt }]\n");
    lab.write("text.txt", "I am no kernel.\n");
    lab
}

#[test]
fn report_files_are_checked_before_a_run() {
    let lab = lab();
    fs::create_dir(lab.path("folder")).expect("a folder");
    symlink("a.json", lab.path("link")).expect("a link");
    symlink("gone", lab.path("dangling")).expect("a link");
    lab.write("a.json", "before");
    for (reports, said) in [
        (&["jsn=a.json"][..], "no format `jsn`: did you mean `json`?"),
        (&["json"], "expected FORMAT=FILE, such as json=report.json"),
        (&["json="], "expected FORMAT=FILE"),
        (&["json=nosuch/a.json"], "there is no folder nosuch; make it first"),
        (&["json=folder"], "it is a folder; name a file in it"),
        (&["json=a.json/b"], "cannot write --report json=a.json/b"),
        (&["json=a.json", "table=./a.json"], "name the same file"),
        (&["json=a.json", "table=link"], "name the same file"),
        (&["json=dangling"], "it is a link to a file that does not exist"),
        (&["json=new", "table=folder/../new"], "name the same file"),
    ] {
        for command in ["run", "report"] {
            let reports = reports.iter().flat_map(|report| ["--report", report]);
            let args: Vec<&str> = std::iter::once(command).chain(reports).collect();
            lab.run(&args).ends_with(2).says(&[said]);
        }
    }
    assert!(!lab.path("results").exists(), "nothing was run");
    assert_eq!(fs::read_to_string(lab.path("a.json")).expect("the file"), "before");
}

#[test]
fn reports_are_written_beside_what_is_printed() {
    let lab = lab();
    lab.write("old", "before");
    symlink("old", lab.path("link")).expect("a link");
    let mut run = lab.command(&["run", "--format", "json", "--report", "table=page.txt", "--report", "json=link"]);
    let ran = common::Ran::of(run.env_remove("NO_COLOR").env("CLICOLOR_FORCE", "1").output().expect("it starts"));
    let printed: Value = serde_json::from_str(&ran.ends_with(3).stdout).expect("JSON");
    let written = fs::read_to_string(lab.path("old")).expect("the link's file");
    assert_eq!(serde_json::from_str::<Value>(&written).expect("JSON"), printed);
    let page = fs::read_to_string(lab.path("page.txt")).expect("a page");
    assert!(page.contains("1 cells: 0 pass") && !page.contains('\u{1b}'), "{page}");
    let reports = ["--report", "table=again.txt", "--report", "table=/dev/stdout"];
    let again = lab.run(&[&["report", "latest", "--format", "json"][..], &reports].concat());
    let page = fs::read_to_string(lab.path("again.txt")).expect("a page");
    assert!(page.contains("1 cells: 0 pass"), "{page}");
    assert!(again.ends_with(3).stdout.starts_with(&page), "{}", again.stdout);
    let names = fs::read_dir(&lab.dir).expect("the folder").map(|entry| entry.expect("an entry").file_name());
    assert!(names.into_iter().all(|name| !name.to_string_lossy().starts_with('.')), "no file is left over");
}

#[test]
fn report_that_cannot_be_written_costs_nothing_else() {
    let lab = lab();
    let Some(_disk) = SmallDisk::mount(&lab.path("small"), "size=4k,nr_inodes=10") else {
        eprintln!("SKIPPED: only root can mount a small file system");
        return;
    };
    lab.write("small/a.json", "before");
    let reports = ["--report", "json=small/a.json", "--report", "json=/dev/full", "--report", "json=b.json"];
    let ran = lab.run(&[&["run"][..], &reports].concat());
    ran.ends_with(3).says(&["could not write --report json=small/a.json: No space left on device", "json=/dev/full"]);
    ran.says(&["write it again with `backproof report results/"]);
    assert!(ran.stdout.contains("1 cells: 0 pass"), "{}", ran.stdout);
    let kept: Value = serde_json::from_slice(&fs::read(lab.result("matrix.json")).expect("the run")).expect("JSON");
    let other: Value = serde_json::from_slice(&fs::read(lab.path("b.json")).expect("a report")).expect("JSON");
    assert_eq!(kept, other);
    assert_eq!(fs::read_to_string(lab.path("small/a.json")).expect("the old file"), "before");
    // A run that went well has no success without its report.
    let fine = kept.to_string().replace("\"exit_code\":3", "\"exit_code\":0");
    lab.write("results/fine/matrix.json", fine);
    lab.run(&["report", "fine"]).ends_with(0);
    lab.run(&["report", "fine", "--report", "json=/dev/full"]).ends_with(3).says(&["could not write"]);
}

/// A kernel whose panic is full of what formats and terminals obey.
#[test]
fn hostile_guest_is_inert_in_every_format() {
    let lab = Lab::with_matrix("bugs: [tcp-fragment-stall]\nkernels: [{ name: hostile, image: bzImage }]\n");
    let words = "\u{1b}]0;x\u{7}\u{9b}2J]]><script>&amp; # SKIP ::error::x ##[error]y ``` | a \u{ffff} \u{202e}";
    let panic = format!("Linux version 6.1.0\nKernel panic - not syncing: {words}\n{}\n", "x".repeat(10_000));
    lab.write("bzImage", image(&[Act::Console(panic), Act::Halt]));
    let formats = ["table", "json", "junit", "ktap", "md", "github", "gitlab", "kcidb", "openvex"];
    let reports: Vec<String> = formats.iter().map(|format| format!("{format}={format}.out")).collect();
    let mut args = vec!["run", "--accel", "tcg"];
    reports.iter().for_each(|report| args.extend(["--report", report]));
    lab.run(&args).ends_with(3);
    let read = |format: &str| fs::read_to_string(lab.path(format!("{format}.out"))).expect("a report");
    for format in formats {
        let text = read(format);
        let is_inert = |c: char| c == '\n' || !c.is_control() && c != '\u{202e}';
        assert!(text.chars().all(is_inert) && text.len() < 60_000, "{format}: {} bytes", text.len());
        assert!(text.contains("hostile") || format == "openvex", "{format}: {text}");
    }
    let xml = read("junit");
    let xml = roxmltree::Document::parse(&xml).expect("XML");
    let error = xml.descendants().find(|node| node.has_tag_name("error")).expect("an error");
    assert_eq!(error.attribute("type"), Some("guest"));
    assert!(error.attribute("message").is_some_and(|message| message.contains("<script>&amp; # SKIP")), "{error:?}");
    assert!(read("ktap").lines().any(|line| line.starts_with("  not ok 1 tcp-fragment-stall # ERROR guest: ")));
    assert!(read("github").starts_with("::error title=hostile tcp-fragment-stall%3A guest::ERROR: "));
    let status = |format: &str, list: &str| {
        let report: Value = serde_json::from_str(&read(format)).expect("JSON");
        report[list][0]["status"].clone()
    };
    assert_eq!(status("kcidb", "tests"), "ERROR");
    assert_eq!(status("openvex", "statements"), "under_investigation");
}
