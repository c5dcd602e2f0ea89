//! A run as KTAP version 1 (Documentation/dev-tools/ktap.rst of the kernel): a test for each kernel, with a subtest for each
//! cell.

use std::io::{self, Write};

use super::ci::{Standing, by_kernel, details, line, says, why};
use super::formats::{RunFormat, RunReport};
use crate::run::Cell;
use crate::words::Outcome;

pub(super) const FORMAT: RunFormat =
    RunFormat { name: "ktap", help: "KTAP version 1, for the kernel's tools", write: |run, _, out| write(run, out) };

fn write(run: &RunReport, out: &mut dyn Write) -> io::Result<()> {
    let document = run.document;
    writeln!(out, "KTAP version 1\n1..{}", by_kernel(&document.cells).count())?;
    writeln!(out, "# backproof {}, {}", line(&document.run.tool), line(&document.run.accelerator))?;
    for why in &document.cannot_be_trusted {
        writeln!(out, "# no verdict of this run can be trusted: {}", line(why))?;
    }
    for (index, cells) in by_kernel(&document.cells).enumerate() {
        writeln!(out, "  KTAP version 1\n  1..{}", cells.len())?;
        for (number, cell) in (1..).zip(cells) {
            subtest(cell, number, out)?;
        }
        let Some(first) = cells.first() else { continue };
        let standings = || cells.iter().map(Standing::of);
        let result = if standings().any(|one| one.red().is_some()) { "not ok" } else { "ok" };
        let skipped = if standings().all(|one| one == Standing::Skipped) { " # SKIP all of its tests" } else { "" };
        writeln!(out, "{result} {} {}{skipped}", index + 1, first.kernel)?;
    }
    Ok(())
}

fn subtest(cell: &Cell, number: usize, out: &mut dyn Write) -> io::Result<()> {
    let (job, standing) = (cell.job(), Standing::of(cell));
    let data = |text: String| data(&text);
    let (result, more) = match standing {
        Standing::Met if cell.outcome == Outcome::Fail => ("not ok", format!(" # XFAIL {}", data(why(cell)))),
        Standing::Met if cell.outcome == Outcome::Error => ("not ok", format!(" # XFAIL {}", data(says(cell)))),
        Standing::Met => ("ok", String::new()),
        Standing::Skipped => ("ok", format!(" # SKIP {}", data(why(cell)))),
        Standing::Failed(_) => ("not ok", format!(" # {}", data(says(cell)))),
        Standing::Broke(kind) => ("not ok", format!(" # ERROR {kind}: {}", data(says(cell)))),
    };
    for text in details(cell) {
        writeln!(out, "  # {job}: {text}")?;
    }
    writeln!(out, "  {result} {number} {job}{more}")
}

/// Diagnostic data in which no parser finds a directive: that follows a `#`.
fn data(text: &str) -> String {
    text.replace('#', "[#]")
}

#[cfg(test)]
mod tests {
    use super::super::ci::tests::{as_text, hostile_run, run_of_every_kind};
    use super::*;
    use crate::results::MatrixDocument;

    /// What a line reports: whether it is good, its number, its name, and its directive.
    type TestLine = (bool, usize, String, String);

    /// Reads KTAP by the document's words: tests, each with its subtests.
    fn read(text: &str) -> Vec<(TestLine, Vec<TestLine>)> {
        let mut lines = text.lines().filter(|line| !line.trim_start().starts_with('#')).peekable();
        let tests = plan(&mut lines, "");
        let tests: Vec<_> = (1..=tests)
            .map(|number| {
                let subtests = plan(&mut lines, "  ");
                let subtests = (1..=subtests).map(|number| result(lines.next().expect("a subtest"), "  ", number));
                let subtests = subtests.collect();
                (result(lines.next().expect("a test"), "", number), subtests)
            })
            .collect();
        assert_eq!(lines.next(), None, "nothing follows");
        tests
    }

    fn plan<'t>(lines: &mut impl Iterator<Item = &'t str>, indent: &str) -> usize {
        assert_eq!(lines.next(), Some(format!("{indent}KTAP version 1").as_str()));
        let plan = lines.next().and_then(|line| line.strip_prefix(indent)?.strip_prefix("1.."));
        plan.expect("a plan").parse().expect("a number")
    }

    fn result(line: &str, indent: &str, number: usize) -> TestLine {
        let line = line.strip_prefix(indent).expect("indented");
        let (is_good, rest) = match line.strip_prefix("not ok ") {
            Some(rest) => (false, rest),
            None => (true, line.strip_prefix("ok ").expect("a result")),
        };
        let (found, rest) = rest.split_once(' ').expect("a number");
        assert_eq!(found.parse(), Ok(number));
        // The greedy match of the kernel's kunit_parser.py.
        let (name, more) = rest.rsplit_once(" # ").unwrap_or((rest, ""));
        let directive =
            more.split(' ').next().filter(|word| ["SKIP", "TODO", "XFAIL", "TIMEOUT", "ERROR"].contains(word));
        assert!(!name.contains('#'), "{name}");
        (is_good, number, name.to_owned(), directive.unwrap_or_default().to_owned())
    }

    fn agrees(run: &MatrixDocument) {
        let tests = read(&as_text(FORMAT, run));
        assert_eq!(tests.len(), by_kernel(&run.cells).count());
        for (cells, ((is_good, _, kernel, _), subtests)) in by_kernel(&run.cells).zip(&tests) {
            assert_eq!((kernel.as_str(), subtests.len()), (cells[0].kernel.as_str(), cells.len()));
            assert_eq!(*is_good, cells.iter().all(|cell| Standing::of(cell).red().is_none()), "{kernel}");
            for (cell, (is_good, _, job, directive)) in cells.iter().zip(subtests) {
                let wanted = match (Standing::of(cell), cell.outcome) {
                    (Standing::Met, Outcome::Fail | Outcome::Error) => (false, "XFAIL"),
                    (Standing::Met, _) => (true, ""),
                    (Standing::Skipped, _) => (true, "SKIP"),
                    (Standing::Failed(_), _) => (false, ""),
                    (Standing::Broke(_), _) => (false, "ERROR"),
                };
                assert_eq!((*is_good, directive.as_str()), wanted, "{job}");
                assert_eq!(*job, cell.job().to_string());
            }
        }
    }

    #[test]
    fn ktap_says_of_each_cell_what_it_came_to() {
        agrees(&run_of_every_kind());
    }

    #[test]
    fn hostile_text_is_inert_in_ktap() {
        agrees(&hostile_run());
        assert!(as_text(FORMAT, &hostile_run()).len() < 60_000);
    }
}
