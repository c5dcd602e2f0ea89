//! The matrix as a table, with the reason for everything that is not a plain pass below it.

use std::fmt::Write as _;
use std::path::Path;

use anstyle::{AnsiColor, Style as Colour};

use super::text::{fit, visible, wrap};
use crate::results::MatrixDocument;
use crate::run::{Cell, Tally};
use crate::words::{BugId, Outcome};

/// How the table is to look.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Columns that it may take.
    pub width: usize,
}

impl Default for Style {
    /// The width that fits every terminal and pastes well.
    fn default() -> Self {
        Self { width: 100 }
    }
}

impl Style {
    /// As wide as the terminal that stdout is, but not wider than the default; the default elsewhere.
    pub fn of_stdout() -> Self {
        let wide = Self::default().width;
        let columns = rustix::termios::tcgetwinsize(std::io::stdout()).map_or(wide, |size| usize::from(size.ws_col));
        Self { width: if columns == 0 { wide } else { columns.clamp(60, wide) } }
    }
}

const GAP: usize = 2;
const GOOD: Colour = AnsiColor::Green.on_default();
const BAD: Colour = AnsiColor::Red.on_default().bold();
const BROKEN: Colour = AnsiColor::Magenta.on_default().bold();
const DIM: Colour = Colour::new().dimmed();
const LOUD: Colour = Colour::new().bold();

/// The document as text for people, coloured with ANSI sequences (print it through `anstream`, which takes them out
/// where they don't belong). `folder` is where the run's evidence lies.
pub fn table(document: &MatrixDocument, folder: Option<&Path>, style: Style) -> String {
    let mut text = String::new();
    let bugs = bugs(document);
    grid(&mut text, document, &bugs, style);
    for alike in alike(conflicts_first(&document.cells)) {
        reasons(&mut text, &alike, style);
    }
    boots(&mut text, document, style);
    for note in footer(document, folder) {
        let _ = writeln!(text, "{note}");
    }
    text
}

/// The bugs of the run, in the order in which they first come up.
fn bugs(document: &MatrixDocument) -> Vec<BugId> {
    let mut bugs: Vec<BugId> = Vec::new();
    for cell in &document.cells {
        if !bugs.contains(&cell.bug) {
            bugs.push(cell.bug.clone());
        }
    }
    bugs
}

/// The word for a cell, as it stands in the table.
fn word(cell: &Cell) -> String {
    let base = match cell.outcome {
        Outcome::Pass => "pass",
        Outcome::Fail => "FAIL",
        Outcome::Error => "ERROR",
        Outcome::Skip => "skip",
    };
    let conflict = if cell.conflict { "!" } else { "" };
    match (cell.outcome, cell.expected) {
        (Outcome::Pass, true) | (Outcome::Skip, true) | (Outcome::Fail | Outcome::Error, false) => {
            format!("{base}{conflict}")
        }
        (Outcome::Fail | Outcome::Error, true) => format!("{base}{conflict} (expected)"),
        (Outcome::Pass | Outcome::Skip, false) => format!("{base}{conflict} (unexpected)"),
    }
}

/// The word for a cell where there is no room for more: capitals are unexpected.
fn short_word(cell: &Cell) -> String {
    let word = if cell.expected { cell.outcome.as_str().to_owned() } else { cell.outcome.as_str().to_uppercase() };
    if cell.conflict { word + "!" } else { word }
}

fn colour(cell: &Cell) -> Colour {
    match (cell.outcome, cell.expected) {
        (_, false) if cell.outcome == Outcome::Error => BROKEN,
        (_, false) => BAD,
        (Outcome::Pass, true) => GOOD,
        (Outcome::Fail, true) => AnsiColor::Yellow.on_default(),
        (Outcome::Skip | Outcome::Error, true) => DIM,
    }
}

/// One kernel's row: name, release, a cell a bug, seconds.
struct Row<'a> {
    kernel: String,
    release: String,
    cells: Vec<Option<&'a Cell>>,
    seconds: String,
}

fn rows<'a>(document: &'a MatrixDocument, bugs: &[BugId]) -> Vec<Row<'a>> {
    let mut rows: Vec<Row> = Vec::new();
    for cell in &document.cells {
        let name = visible(cell.kernel.as_str());
        if rows.last().is_none_or(|row| row.kernel != name) {
            rows.push(Row {
                kernel: name,
                release: String::new(),
                cells: vec![None; bugs.len()],
                seconds: String::new(),
            });
        }
        let Some(row) = rows.last_mut() else { continue };
        if let Some(release) = &cell.release {
            row.release = visible(release);
        }
        if let Some(slot) = bugs.iter().position(|b| *b == cell.bug).and_then(|i| row.cells.get_mut(i)) {
            *slot = Some(cell);
        }
    }
    for row in &mut rows {
        let boots = document.kernels.iter().filter(|k| k.name.as_str() == row.kernel).flat_map(|k| &k.boots);
        let seconds: f64 = boots.map(|b| b.seconds).sum();
        row.seconds = if seconds > 0.0 { format!("{seconds:.1}") } else { "-".to_owned() };
        if row.release.is_empty() {
            let known = document.kernels.iter().find(|k| k.name.as_str() == row.kernel);
            row.release = known.and_then(|k| k.release.as_deref()).map_or_else(|| "-".to_owned(), visible);
        }
    }
    rows
}

fn grid(text: &mut String, document: &MatrixDocument, bugs: &[BugId], style: Style) {
    let rows = rows(document, bugs);
    let longest = |column: &dyn Fn(&Row) -> usize| rows.iter().map(column).max().unwrap_or(0);
    let mut kernel = longest(&|r| r.kernel.chars().count()).max("kernel".len());
    let mut release = longest(&|r| r.release.chars().count()).max("release".len());
    let words = |say: fn(&Cell) -> String| -> Vec<usize> {
        (0..bugs.len()).map(|i| longest(&|r| cell_word(r, i, say).chars().count())).collect()
    };
    let seconds = longest(&|r| r.seconds.len()).max("seconds".len());

    // Where the bugs' names don't fit, numbers stand for them and a legend follows.
    let headed = |names: &[String], say| -> Vec<usize> {
        names.iter().zip(&words(say)).map(|(name, word)| (*word).max(name.chars().count())).collect()
    };
    let mut heads: Vec<String> = bugs.iter().map(ToString::to_string).collect();
    let mut say: fn(&Cell) -> String = word;
    let mut widths = headed(&heads, say);
    let total = |widths: &[usize], kernel, release| {
        kernel + release + seconds + GAP * (widths.len() + 2) + widths.iter().sum::<usize>()
    };
    let mut legend = false;
    if total(&widths, kernel.min(20), release.min(24)) > style.width {
        heads = (1..=bugs.len()).map(|n| format!("[{n}]")).collect();
        say = short_word;
        widths = headed(&heads, say);
        legend = true;
    }
    // What is still too wide is taken from the release first, then from the kernel's name.
    let over = total(&widths, kernel, release).saturating_sub(style.width);
    let from_release = over.min(release.saturating_sub(12));
    release -= from_release;
    kernel -= (over - from_release).min(kernel.saturating_sub(12));

    let _ = write!(text, "{LOUD}{:kernel$}  {:release$}", "kernel", "release");
    for (head, width) in heads.iter().zip(&widths) {
        let _ = write!(text, "  {head:width$}");
    }
    let _ = writeln!(text, "  {:>seconds$}{LOUD:#}", "seconds");
    for row in &rows {
        let _ = write!(text, "{:kernel$}  {:release$}", fit(&row.kernel, kernel), fit(&row.release, release));
        for (index, width) in widths.iter().enumerate() {
            let colour = row.cells.get(index).copied().flatten().map_or(DIM, colour);
            let _ = write!(text, "  {colour}{:width$}{colour:#}", cell_word(row, index, say));
        }
        let _ = writeln!(text, "  {:>seconds$}", row.seconds);
    }
    if legend {
        for (head, bug) in heads.iter().zip(bugs) {
            let _ = writeln!(text, "{DIM}{head} {bug}{DIM:#}");
        }
        let _ = writeln!(text, "{DIM}capitals: unlike what was expected{DIM:#}");
    }
    text.push('\n');
}

fn cell_word(row: &Row, index: usize, say: fn(&Cell) -> String) -> String {
    row.cells.get(index).copied().flatten().map_or_else(|| "-".to_owned(), say)
}

fn conflicts_first(cells: &[Cell]) -> Vec<&Cell> {
    let mut cells: Vec<&Cell> =
        cells.iter().filter(|c| c.outcome != Outcome::Pass || !c.expected || c.conflict).collect();
    // A stable sort: within a group the matrix's order stays.
    cells.sort_by_key(|c| (!c.conflict, c.expected));
    cells
}

/// Cells that ended alike and for the same reasons, to be told once: a bug that nobody has repaired would fill a
/// nightly's screen otherwise.
fn alike(cells: Vec<&Cell>) -> Vec<Vec<&Cell>> {
    let same = |a: &Cell, b: &Cell| {
        let whys = |c: &Cell| c.findings.iter().map(|f| f.why.clone()).collect::<Vec<_>>();
        a.bug == b.bug && word(a) == word(b) && a.reason == b.reason && whys(a) == whys(b)
    };
    let mut groups: Vec<Vec<&Cell>> = Vec::new();
    for cell in cells {
        match groups.iter_mut().find(|group| group.first().is_some_and(|first| same(first, cell))) {
            Some(group) => group.push(cell),
            None => groups.push(vec![cell]),
        }
    }
    groups
}

fn reasons(text: &mut String, cells: &[&Cell], style: Style) {
    let Some(cell) = cells.first() else { return };
    let colour = colour(cell);
    let kernels: Vec<&str> = cells.iter().map(|cell| cell.kernel.as_str()).collect();
    let said = word(cell);
    let tail = 4 + cell.bug.as_str().len() + said.len();
    let mut lines = wrap(&kernels.join(", "), style.width.saturating_sub(tail));
    let last = lines.pop().unwrap_or_default();
    for line in lines {
        let _ = writeln!(text, "{line}");
    }
    let _ = writeln!(text, "{last}  {}  {colour}{said}{colour:#}", cell.bug);
    let mut line = |label: &str, what: &str| {
        let indent = label.len() + 4;
        for (index, part) in wrap(&visible(what), style.width.saturating_sub(indent)).iter().enumerate() {
            let label = if index == 0 { format!("  {label}: ") } else { " ".repeat(indent) };
            let _ = writeln!(text, "{label}{part}");
        }
    };
    for finding in &cell.findings {
        line(finding.witness.as_str(), &finding.why);
    }
    if let Some(reason) = &cell.reason {
        // A failure's excerpt of the console keeps its lines.
        let mut parts = reason.lines();
        line("reason", parts.next().unwrap_or_default());
        for part in parts {
            let _ = writeln!(text, "{DIM}    {}{DIM:#}", fit(&visible(part), style.width.saturating_sub(4)));
        }
    }
    if cell.conflict {
        let _ = writeln!(text, "  conflict: strong witnesses contradict each other");
    }
}

/// Boots that failed and were followed by others: the cells' reasons don't tell of them, and nobody should have to
/// look for them.
fn boots(text: &mut String, document: &MatrixDocument, style: Style) {
    for kernel in &document.kernels {
        let Some((_, earlier)) = kernel.boots.split_last() else { continue };
        for boot in earlier {
            let Some(first) = boot.failure.as_deref().and_then(|f| f.lines().next()) else { continue };
            let line =
                format!("{}  boot-{} failed and was followed by another: {}", kernel.name, boot.number, visible(first));
            for (index, part) in wrap(&line, style.width.saturating_sub(2)).iter().enumerate() {
                let indent = if index == 0 { "" } else { "  " };
                let _ = writeln!(text, "{DIM}{indent}{part}{DIM:#}");
            }
        }
    }
}

fn footer(document: &MatrixDocument, folder: Option<&Path>) -> Vec<String> {
    let mut lines = Vec::new();
    if !document.cells.iter().all(|c| c.outcome == Outcome::Pass && c.expected) {
        lines.push(String::new());
    }
    if !document.run.finished {
        lines.push(format!("{BAD}the run did not finish{BAD:#}: it goes on, or it died; what follows is what it had"));
    }
    lines.push(summary(&document.summary, document.run.interrupted));
    lines.push(format!("accelerator  {}", visible(&document.run.accelerator)));
    if let Some(folder) = folder {
        lines.push(format!("evidence     {}", folder.display()));
    }
    lines
}

/// The run in one line.
fn summary(tally: &Tally, interrupted: bool) -> String {
    let total = tally.pass + tally.fail + tally.error + tally.skip;
    let mut line = format!(
        "{total} cells: {} pass, {} fail, {} error, {} skip; ",
        tally.pass, tally.fail, tally.error, tally.skip
    );
    let _ = match (interrupted, tally.unexpected, tally.conflicts) {
        (true, ..) => write!(line, "{BAD}interrupted{BAD:#}"),
        (false, 0, 0) => write!(line, "{GOOD}all as expected{GOOD:#}"),
        (false, unexpected, 0) => write!(line, "{BAD}{unexpected} unexpected{BAD:#}"),
        (false, unexpected, conflicts) => write!(line, "{BAD}{conflicts} in conflict, {unexpected} unexpected{BAD:#}"),
    };
    if tally.unexplained > 0 {
        let _ = write!(line, "; {BAD}{} with a guest's death that nothing explains{BAD:#}", tally.unexplained);
    }
    if tally.unexpected_skips > 0 {
        line.push_str("; the run has no verdict: a cell was skipped that should have been judged");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{Finding, StateSet, Strength, Witness};
    use crate::results::{Host, QemuRecord, RunRecord, SCHEMA_VERSION};
    use crate::run::{Question, Settled};
    use crate::verdict::Ledger;
    use crate::words::Expectation;

    fn cell(kernel: &str, bug: &str, expect: &str, settled: Settled) -> Cell {
        let question = Question {
            kernel: kernel.parse().expect("a name"),
            bug: bug.parse().expect("a name"),
            expect: Expectation::from_name(expect).expect("an expectation"),
        };
        question.cell(Some("6.1.0-56-cloud-amd64".to_owned()), settled)
    }

    fn affected() -> Settled {
        let finding = Finding {
            witness: Witness::Runtime,
            states: StateSet::affected(),
            strength: Strength::Decisive,
            why: "rto:236 backoff:3 \u{1b}[2J w20376".to_owned(),
            mitigated: false,
            artefacts: Vec::new(),
        };
        Settled::Findings(Ledger { findings: vec![finding] })
    }

    fn document(cells: Vec<Cell>, finished: bool) -> MatrixDocument {
        let summary = Tally::of(&cells);
        MatrixDocument {
            schema_version: SCHEMA_VERSION,
            run: RunRecord {
                id: "run".to_owned(),
                started: String::new(),
                seconds: 1.0,
                finished,
                interrupted: false,
                tool: String::new(),
                arguments: Vec::new(),
                matrix: String::new(),
                jobs: 1,
                host: Host { kernel: String::new(), cpus: 1, memory_mib: 1, load: 0.0 },
                qemu: QemuRecord { program: String::new(), version: String::new() },
                accelerator: "tcg: as asked".to_owned(),
            },
            kernels: Vec::new(),
            cells,
            summary,
            exit_code: 0,
        }
    }

    fn plain(document: &MatrixDocument, width: usize) -> String {
        anstream::adapter::strip_str(&table(document, None, Style { width })).to_string()
    }

    #[test]
    fn every_cell_that_is_no_plain_pass_has_its_reason_and_the_guest_no_hold_of_the_terminal() {
        let cells = vec![
            cell("a", "one", "pass", affected()),
            cell("b", "one", "fail", affected()),
            cell("c", "one", "pass", Settled::Error("panic: it died\n[ 1.0] last line".to_owned())),
            cell("d", "one", "pass", Settled::Skip { reason: "no TUN".to_owned(), allowed: false }),
        ];
        let text = plain(&document(cells, true), 100);
        let twice = vec![cell("a", "one", "fail", affected()), cell("b", "one", "fail", affected())];
        let told = plain(&document(twice, true), 100);
        assert!(told.contains("a, b  one  FAIL (expected)") && told.matches("rto:236").count() == 1, "{told}");
        for part in [
            "a  one  FAIL\n  runtime: rto:236 backoff:3",
            "b  one  FAIL (expected)",
            "c  one  ERROR\n  reason: panic: it died\n    [ 1.0] last line",
            "d  one  skip (unexpected)\n  reason: no TUN",
            "4 cells: 0 pass, 2 fail, 1 error, 1 skip; 3 unexpected",
        ] {
            assert!(text.contains(part), "{part} is missing in\n{text}");
        }
        assert!(!text.contains('\u{1b}'), "{text:?}");
        assert!(text.find("b  one").expect("b") > text.find("d  one").expect("d"), "the unexpected come first");
    }

    #[test]
    fn a_run_that_died_does_not_look_finished() {
        assert!(plain(&document(Vec::new(), false), 100).contains("the run did not finish"));
    }

    #[test]
    fn the_table_fits_its_width_with_long_names_and_many_bugs() {
        let bugs =
            ["tcp-fragment-stall", "syn-cookie-data-loss", "zero-window-user-timeout", "another-bug-with-a-name"];
        let cells =
            bugs.iter().map(|bug| cell("stall-fixed-counter-noisy-of-a-long-name-6.12", bug, "fail", affected()));
        let document = document(cells.collect(), true);
        for width in [100, 80] {
            let text = plain(&document, width);
            for line in text.lines().take_while(|line| !line.is_empty()) {
                assert!(line.chars().count() <= width, "{} columns: {line}", line.chars().count());
            }
            assert!(text.contains("[4] another-bug-with-a-name"), "{text}");
        }
    }
}
