//! A run as GitLab's Code Quality report (GitLab Docs, "Code Quality report format"): a finding for each cell that is not as
//! expected, and for each known bug. GitLab compares it with that of the target branch, so a merge request shows only what
//! is new and what is gone.

use std::io;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::ci::{Standing, line, says};
use super::formats::{RunFormat, RunReport};
use crate::json;
use crate::kernel::hex;
use crate::run::Cell;
use crate::words::Outcome;

pub(super) const FORMAT: RunFormat = RunFormat {
    name: "gitlab",
    help: "GitLab's Code Quality report, beside its JUnit report",
    write: |run, _, out| write(run, out),
};

#[derive(Serialize)]
struct QualityFinding {
    description: String,
    check_name: String,
    /// The same for the same cell in every run.
    fingerprint: String,
    severity: &'static str,
    location: QualityLocation,
}

#[derive(Serialize)]
struct QualityLocation {
    path: String,
    lines: QualityLines,
}

#[derive(Serialize)]
struct QualityLines {
    begin: u32,
}

fn write(run: &RunReport, out: &mut dyn io::Write) -> io::Result<()> {
    let path = &run.document.run.matrix;
    // The matrix has no line of a cell, and the built-in one is no file.
    let path = if path.starts_with('(') { "kernels.yaml".to_owned() } else { line(path) };
    let findings: Vec<QualityFinding> = run.document.cells.iter().filter_map(|cell| finding(cell, &path)).collect();
    json::write(out, &findings)
}

fn finding(cell: &Cell, path: &str) -> Option<QualityFinding> {
    let severity = match Standing::of(cell) {
        Standing::Failed(_) => "critical",
        Standing::Broke(_) => "major",
        Standing::Met if cell.outcome == Outcome::Fail => "info",
        Standing::Met | Standing::Skipped => return None,
    };
    let what = format!("{} {}", cell.kernel, cell.job());
    let kind = Standing::of(cell).red().unwrap_or("affected");
    Some(QualityFinding {
        description: format!("{what}: {}", says(cell)),
        check_name: cell.bug.to_string(),
        fingerprint: hex(Sha256::new_with_prefix(format!("{what} {kind}"))),
        severity,
        location: QualityLocation { path: path.to_owned(), lines: QualityLines { begin: 1 } },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::super::ci::tests::{as_text, hostile_run, run_of_every_kind};
    use super::*;
    use crate::results::MatrixDocument;

    fn findings(run: &MatrixDocument) -> Vec<Value> {
        serde_json::from_str(&as_text(FORMAT, run)).expect("JSON")
    }

    #[test]
    fn code_quality_has_what_gitlab_requires() {
        let (run, found) = (run_of_every_kind(), findings(&run_of_every_kind()));
        let known = |cell: &&Cell| Standing::of(cell) == Standing::Met && cell.outcome == Outcome::Fail;
        let red = run.cells.iter().filter(|cell| Standing::of(cell).red().is_some()).count();
        assert_eq!(found.len(), red + run.cells.iter().filter(known).count());
        for finding in &found {
            let text = |key: &str| finding[key].as_str().is_some_and(|text| !text.is_empty());
            assert!(text("description") && text("check_name") && text("fingerprint"), "{finding}");
            let severities = ["info", "minor", "major", "critical", "blocker"];
            assert!(severities.contains(&finding["severity"].as_str().unwrap_or_default()), "{finding}");
            assert!(
                finding["location"]["path"].is_string() && finding["location"]["lines"]["begin"].is_u64(),
                "{finding}"
            );
        }
        let prints: BTreeSet<&str> = found.iter().filter_map(|finding| finding["fingerprint"].as_str()).collect();
        assert_eq!(prints.len(), found.len(), "each is its own");
        assert_eq!(findings(&run_of_every_kind()), found, "and stays the same");
        assert!(as_text(FORMAT, &hostile_run()).len() < 20_000);
    }
}
