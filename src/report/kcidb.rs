//! A run as KCIDB's report (kcidb-io schema v5.3), which KernelCI collects: a checkout and a build for each kernel, and a
//! test for each cell.

use std::collections::BTreeSet;
use std::io;

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::ci::{by_kernel, details, line, says};
use super::formats::{RunFormat, RunReport};
use crate::json;
use crate::kernel::Provenance;
use crate::results::MatrixDocument;
use crate::run::{Cell, CellFault, KernelRecord};
use crate::words::Outcome;

/// The CI system that reports. A CI that submits the file puts its own name here and in the ids.
const ORIGIN: &str = "backproof";

/// The most characters of an excerpt (`maxLength` of `log_excerpt`).
const EXCERPT_MOST: usize = 16_384;

pub(super) const FORMAT: RunFormat =
    RunFormat { name: "kcidb", help: "KCIDB 5.3, for KernelCI", write: |run, _, out| write(run, out) };

#[derive(Serialize)]
struct KcidbReport {
    version: KcidbVersion,
    checkouts: Vec<Value>,
    builds: Vec<Value>,
    tests: Vec<Value>,
}

#[derive(Serialize)]
struct KcidbVersion {
    major: u32,
    minor: u32,
}

fn write(run: &RunReport, out: &mut dyn io::Write) -> io::Result<()> {
    let document = run.document;
    let kernels = || {
        by_kernel(&document.cells).filter_map(|cells| {
            let first = cells.first()?;
            Some((first, document.kernels.iter().find(|kernel| kernel.name == first.kernel)))
        })
    };
    json::write(
        out,
        &KcidbReport {
            version: KcidbVersion { major: 5, minor: 3 },
            checkouts: kernels().map(|(cell, kernel)| checkout(document, cell, kernel)).collect(),
            builds: kernels().map(|(cell, kernel)| build(document, cell, kernel)).collect(),
            tests: document.cells.iter().map(|cell| test(document, cell)).collect(),
        },
    )
}

/// The id of a kernel in this run.
fn id(document: &MatrixDocument, cell: &Cell) -> String {
    format!("{ORIGIN}:{}/{}", line(&document.run.id), cell.kernel)
}

/// An object without its nulls, which the schema forbids.
fn object(mut value: Value) -> Value {
    if let Value::Object(fields) = &mut value {
        fields.retain(|_, field| !field.is_null());
    }
    value
}

/// When the run started, if its document says so as the schema wants it.
fn start_time(document: &MatrixDocument) -> Option<&str> {
    let started = document.run.started.as_str();
    started.parse::<jiff::Timestamp>().is_ok().then_some(started)
}

fn checkout(document: &MatrixDocument, cell: &Cell, kernel: Option<&KernelRecord>) -> Value {
    // A package names no commit, and a tree that differs from its commit is not that commit.
    let commit = kernel.into_iter().flat_map(|kernel| &kernel.provenance).find_map(|from| match from {
        Provenance::Build { commit, changed_files: 0, patches, .. } if patches.is_empty() => commit.clone(),
        _ => None,
    });
    let is_whole = |commit: &String| commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
    let release = cell.release.as_deref().or_else(|| kernel?.release.as_deref());
    object(json!({
        "id": id(document, cell),
        "origin": ORIGIN,
        "comment": release.map_or_else(|| cell.kernel.to_string(), line),
        "git_commit_hash": commit.filter(is_whole).map(|commit| commit.to_ascii_lowercase()),
        "start_time": start_time(document),
        "valid": kernel.is_some(),
        "misc": object(json!({ "source": kernel.map(|kernel| line(&kernel.source)) })),
    }))
}

fn build(document: &MatrixDocument, cell: &Cell, kernel: Option<&KernelRecord>) -> Value {
    let id = id(document, cell);
    object(json!({
        "id": id,
        "checkout_id": id,
        "origin": ORIGIN,
        "architecture": "x86_64",
        "start_time": start_time(document),
        // A kernel that could not be obtained says nothing of its code.
        "status": if kernel.is_some() { "PASS" } else { "MISS" },
        "misc": object(json!({ "image_sha256": kernel.map(|kernel| line(&kernel.image_sha256)) })),
    }))
}

fn status(cell: &Cell) -> &'static str {
    match (cell.outcome, cell.trials.fault) {
        (Outcome::Pass, _) => "PASS",
        (Outcome::Fail, _) => "FAIL",
        (Outcome::Skip, _) => "SKIP",
        (Outcome::Error, Some(CellFault::Harness)) => "MISS",
        (Outcome::Error, Some(CellFault::Guest | CellFault::Reproducer)) => "ERROR",
        // It ran to its end, and that says nothing: witnesses contradict each other, or --strict asks for a proof.
        (Outcome::Error, None) if !cell.trials.boots.is_empty() => "DONE",
        (Outcome::Error, None) => "MISS",
    }
}

fn test(document: &MatrixDocument, cell: &Cell) -> Value {
    let run = &document.run;
    let part = |name: &str| name.replace(['.', '+'], "_");
    let mut path = format!("{ORIGIN}.{}", part(cell.bug.as_str()));
    if !cell.profile.is_default() {
        path += &format!(".{}", part(cell.profile.as_str()));
    }
    let judgement = &cell.judgement;
    let mut misc = Map::new();
    let mut add = |key: &str, value: Value| _ = misc.insert(key.to_owned(), value);
    add("outcome", json!(cell.outcome.as_str()));
    add("verdict", json!(judgement.verdict));
    add("state", json!(judgement.state));
    add("expect", json!(cell.expect.as_str()));
    add("expected", json!(cell.expected));
    add("conflict", json!(judgement.conflict));
    add("qualifier", json!(judgement.qualifier()));
    add("fault", json!(cell.trials.fault));
    let retried: BTreeSet<&str> = cell.trials.retried.iter().map(|first| first.boot.as_str()).collect();
    add("retried", if retried.is_empty() { Value::Null } else { json!(retried) });
    let excerpt: String = details(cell).join("\n").chars().take(EXCERPT_MOST).collect();
    let duration = Some(cell.trials.seconds).filter(|seconds| seconds.is_finite() && *seconds > 0.0);
    object(json!({
        "id": format!("{}/{}", id(document, cell), cell.job()),
        "build_id": id(document, cell),
        "origin": ORIGIN,
        "path": path,
        "status": status(cell),
        "comment": says(cell),
        "log_excerpt": excerpt,
        "start_time": start_time(document),
        "duration": duration,
        "environment": {
            "comment": line(&format!("QEMU {}, {}", run.qemu.version, run.accelerator)),
            "misc": object(json!({ "tool": line(&run.tool), "time": line(&run.time) })),
        },
        "misc": object(Value::Object(misc)),
    }))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::ci::tests::{as_text, hostile_run, run_of_every_kind};
    use super::*;

    fn read(run: &MatrixDocument) -> Value {
        serde_json::from_str(&as_text(FORMAT, run)).expect("JSON")
    }

    /// The rules of the schema, as far as they do not follow from the types.
    fn agrees(run: &MatrixDocument) -> Value {
        let report = read(run);
        assert_eq!(report["version"], json!({ "major": 5, "minor": 3 }));
        let list = |key: &str| report[key].as_array().expect("a list").clone();
        let ids = |key: &str| -> BTreeSet<String> {
            list(key).iter().map(|one| one["id"].as_str().expect("an id").to_owned()).collect()
        };
        let (checkouts, builds) = (ids("checkouts"), ids("builds"));
        assert_eq!(list("tests").len(), run.cells.len());
        for one in list("checkouts").iter().chain(&list("builds")).chain(&list("tests")) {
            assert_eq!(one["origin"], ORIGIN);
            assert!(one["id"].as_str().is_some_and(|id| id.starts_with("backproof:") && !id.contains('\0')), "{one}");
            assert!(one.as_object().expect("an object").values().all(|value| !value.is_null()), "{one}");
        }
        for one in list("builds") {
            assert!(checkouts.contains(one["checkout_id"].as_str().expect("a checkout")), "{one}");
        }
        for one in list("tests") {
            assert!(builds.contains(one["build_id"].as_str().expect("a build")), "{one}");
            let path = one["path"].as_str().expect("a path");
            let is_part =
                |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
            assert!(path.split('.').all(is_part), "{path}");
            let text = |key: &str| one[key].as_str().expect("text").to_owned();
            assert!(text("log_excerpt").chars().count() <= EXCERPT_MOST && !text("log_excerpt").contains('\0'));
        }
        report
    }

    #[test]
    fn kcidb_tells_harness_reproducer_and_kernel_apart() {
        let report = agrees(&run_of_every_kind());
        let status = |bug: &str| {
            let tests = report["tests"].as_array().expect("tests");
            let of_bug = |one: &&Value| one["path"] == format!("backproof.{bug}");
            tests.iter().find(of_bug).map(|one| one["status"].as_str().unwrap_or_default().to_owned())
        };
        for (bug, wanted) in [
            ("good", "PASS"),
            ("known", "FAIL"),
            ("bad", "FAIL"),
            ("better", "PASS"),
            ("gone", "SKIP"),
            ("host", "MISS"),
            ("control-failed", "ERROR"),
            ("panicked", "ERROR"),
            ("unclear", "DONE"),
        ] {
            assert_eq!(status(bug).as_deref(), Some(wanted), "{bug}");
        }
    }

    #[test]
    fn hostile_text_is_inert_in_kcidb() {
        agrees(&hostile_run());
        assert!(as_text(FORMAT, &hostile_run()).len() < 100_000);
    }
}
