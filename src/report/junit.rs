//! A run as JUnit XML, as Jenkins, GitLab and nextest read it: a suite for each kernel, a test case for each cell.
//!
//! A bug that the matrix expects is a success, as it is for the exit code; its property `outcome` says `fail`.

use std::io::{self, Write};
use std::time::Duration;

use quick_junit::{FlakyOrRerun, NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestRerun, TestSuite};

use super::ci::{Standing, by_kernel, details, line, says, why};
use super::formats::{RunFormat, RunReport};
use crate::results::MatrixDocument;
use crate::run::{Cell, RetriedBoot};

pub(super) const FORMAT: RunFormat = RunFormat {
    name: "junit",
    help: "JUnit XML, for Jenkins, GitLab and others",
    write: |run, _, out| write(run, out),
};

fn write(run: &RunReport, out: &mut dyn Write) -> io::Result<()> {
    let document = run.document;
    let mut report = Report::new(format!("backproof {}", document.run.id));
    report.set_time(duration(document.run.seconds));
    report.add_test_suites(by_kernel(&document.cells).map(|cells| suite(document, cells)));
    report.serialize(out).map_err(io::Error::other)
}

fn suite(document: &MatrixDocument, cells: &[Cell]) -> TestSuite {
    let name = cells.first().map(|cell| cell.kernel.to_string()).unwrap_or_default();
    let mut suite = TestSuite::new(&name);
    let kernel = document.kernels.iter().find(|kernel| kernel.name.as_str() == name);
    // Cells share boots.
    suite.set_time(duration(kernel.iter().flat_map(|kernel| &kernel.boots).map(|boot| boot.seconds).sum()));
    suite.extra.insert("timestamp".into(), line(&document.run.started).into());
    let mut properties = vec![
        ("run", document.run.id.clone()),
        ("accelerator", document.run.accelerator.clone()),
        ("time", document.run.time.clone()),
    ];
    if let Some(kernel) = kernel {
        properties.push(("source", kernel.source.clone()));
        properties.push(("image-sha256", kernel.image_sha256.clone()));
    }
    properties.extend(document.cannot_be_trusted.iter().map(|why| ("cannot-be-trusted", why.clone())));
    suite.add_properties(properties.into_iter().map(|(name, value)| Property::new(name, line(&value))));
    suite.add_test_cases(cells.iter().map(case));
    suite
}

fn case(cell: &Cell) -> TestCase {
    let mut status = match Standing::of(cell) {
        Standing::Met => TestCaseStatus::success(),
        Standing::Skipped => TestCaseStatus::skipped(),
        Standing::Failed(_) => TestCaseStatus::non_success(NonSuccessKind::Failure),
        Standing::Broke(_) => TestCaseStatus::non_success(NonSuccessKind::Error),
    };
    if let Some(kind) = Standing::of(cell).red() {
        status.set_type(kind);
        status.set_description(details(cell).join("\n"));
    }
    status.set_message(if Standing::of(cell) == Standing::Skipped { why(cell) } else { says(cell) });
    status.add_reruns(cell.trials.retried.iter().map(rerun));
    if cell.is_flaky() {
        status.set_rerun_kind(FlakyOrRerun::Flaky);
    }
    let mut case = TestCase::new(cell.job().to_string(), status);
    case.set_classname(cell.kernel.as_str());
    case.set_time(duration(cell.trials.seconds));
    let state = cell.judgement.state.map(|state| state.to_string());
    let given = [
        ("outcome", Some(cell.outcome.to_string())),
        ("expect", Some(cell.expect.as_str().to_owned())),
        ("verdict", Some(cell.judgement.verdict.to_string())),
        ("state", state),
        ("qualifier", cell.judgement.qualifier().map(str::to_owned)),
        ("release", cell.release.as_deref().map(line)),
    ];
    let given = given.into_iter().filter_map(|(name, value)| Some(Property::new(name, value?)));
    case.add_properties(given);
    if Standing::of(cell).red().is_none() {
        case.set_system_out(details(cell).join("\n"));
    }
    case
}

/// The first try of a cell, which broke.
fn rerun(first: &RetriedBoot) -> TestRerun {
    let mut rerun = TestRerun::new(NonSuccessKind::Error);
    rerun.set_message(line(first.reason.lines().next().unwrap_or_default()));
    rerun.set_type(&first.boot);
    rerun.set_description(first.reason.lines().take(60).map(line).collect::<Vec<_>>().join("\n"));
    rerun
}

/// A file of an older run may hold any number.
fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use roxmltree::{Document, Node};

    use super::super::ci::tests::{as_text, hostile_run, retried_run, run_of_every_kind};
    use super::*;

    fn named<'a, 'i>(node: Node<'a, 'i>, tag: &str) -> Vec<Node<'a, 'i>> {
        node.descendants().filter(|node| node.has_tag_name(tag)).collect()
    }

    #[test]
    fn junit_keeps_failures_errors_and_skips_apart() {
        let run = run_of_every_kind();
        let text = as_text(FORMAT, &run);
        let xml = Document::parse(&text).expect("XML");
        let cases = named(xml.root(), "testcase");
        assert_eq!(cases.len(), run.cells.len(), "one test case a cell");
        for (cell, case) in run.cells.iter().zip(&cases) {
            assert_eq!(case.attribute("name"), Some(cell.job().to_string().as_str()));
            assert_eq!(case.attribute("classname"), Some(cell.kernel.as_str()));
            let children = |tag| named(*case, tag).len();
            let found = (children("failure"), children("error"), children("skipped"));
            let wanted = match Standing::of(cell) {
                Standing::Met => (0, 0, 0),
                Standing::Failed(_) => (1, 0, 0),
                Standing::Broke(_) => (0, 1, 0),
                Standing::Skipped => (0, 0, 1),
            };
            assert_eq!(found, wanted, "{}", cell.bug);
        }
        let root = xml.root_element();
        let count = |name: &str| root.attribute(name).and_then(|n| n.parse::<usize>().ok());
        let of = |tag| Some(named(root, tag).len());
        assert_eq!((count("tests"), count("failures")), (of("testcase"), of("failure")));
        assert_eq!((count("errors"), count("skipped")), (of("error"), of("skipped")));
        assert_eq!(named(root, "testsuite").len(), by_kernel(&run.cells).count());
        for part in ["value=\"unproven\"", "type=\"conflict\"", "type=\"harness\"", "FAIL (expected)"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn junit_shows_both_tries_of_a_flaky_cell() {
        let text = as_text(FORMAT, &retried_run());
        let xml = Document::parse(&text).expect("XML");
        let tags = ["flakyError", "rerunError", "failure", "error"];
        // A pass, a fail and an error after a retry.
        let found: Vec<Vec<usize>> = named(xml.root(), "testcase")
            .into_iter()
            .map(|case| tags.iter().map(|tag| named(case, tag).len()).collect())
            .collect();
        assert_eq!(found, [[1, 0, 0, 0], [1, 0, 1, 0], [0, 1, 0, 1]]);
        let first = named(xml.root(), "flakyError")[0];
        assert_eq!((first.attribute("type"), first.attribute("message")), (Some("boot-1"), Some("host error: gone")));
    }

    #[test]
    fn hostile_text_is_inert_in_junit() {
        let text = as_text(FORMAT, &hostile_run());
        let xml = Document::parse(&text).expect("XML");
        assert_eq!(named(xml.root(), "testcase").len(), hostile_run().cells.len());
        assert_eq!(named(xml.root(), "script").len(), 0);
        let is_char = |c: char| matches!(c, '\n' | ' '..='\u{7e}' | '\u{a0}'..='\u{fffd}' | '\u{10000}'..);
        assert!(text.chars().all(is_char), "XML 1.0 allows these characters, and a terminal obeys none of them");
        assert!(text.len() < 60_000, "{} bytes", text.len());
    }
}
