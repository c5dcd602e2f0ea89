//! The grid: a row for each kernel, a column for each bug, and below a kernel a row for each of its profiles.

use std::fmt::Write as _;
use std::ops::Range;

use anstyle::{AnsiColor, Style as Colour};

use super::style::{BAD, BROKEN, DIM, GOOD, LOUD, Style};
use super::text::{columns, fit, pad, visible};
use crate::results::MatrixDocument;
use crate::run::Cell;
use crate::verdict::Judgement;
use crate::words::{BugId, Outcome};

/// Short for `mitigated`.
const MITIGATED: &str = "*";

/// Short for `unproven`.
const UNPROVEN: &str = "?";

/// The word for a cell that the run did not come to.
const PENDING: &str = "…";

/// Columns between two columns.
const GAP: usize = 2;

/// A name or a release is not cut below these columns.
const LEAST: usize = 8;

/// The most columns of a name and of a release where there are too many bugs for one line.
const KERNEL_MOST: usize = 20;
const RELEASE_MOST: usize = 24;

/// The bugs of these cells, in order of appearance.
pub(super) fn bugs(cells: &[Cell]) -> Vec<BugId> {
    let mut bugs: Vec<BugId> = Vec::new();
    for cell in cells {
        if !bugs.contains(&cell.bug) {
            bugs.push(cell.bug.clone());
        }
    }
    bugs
}

/// The word for a cell.
pub(super) fn word(cell: &Cell) -> String {
    if cell.is_pending() {
        return PENDING.to_owned();
    }
    let base = match cell.outcome {
        Outcome::Pass => "pass",
        Outcome::Fail => "FAIL",
        Outcome::Error => "ERROR",
        Outcome::Skip => "skip",
    };
    let conflict = if cell.judgement.conflict { "!" } else { "" };
    match (cell.outcome, cell.expected) {
        (Outcome::Pass, expected) if cell.judgement.qualifier().is_some() => {
            let qualifier = cell.judgement.qualifier().unwrap_or_default();
            let unexpected = if expected { "" } else { ", unexpected" };
            format!("{base}{conflict} ({qualifier}{unexpected})")
        }
        (Outcome::Pass, true) | (Outcome::Skip, true) | (Outcome::Fail | Outcome::Error, false) => {
            format!("{base}{conflict}")
        }
        (Outcome::Fail | Outcome::Error, true) => format!("{base}{conflict} (expected)"),
        (Outcome::Pass | Outcome::Skip, false) => format!("{base}{conflict} (unexpected)"),
    }
}

/// The short word for a cell: uppercase is unexpected.
fn short_word(cell: &Cell) -> String {
    if cell.is_pending() {
        return PENDING.to_owned();
    }
    let word = if cell.expected { cell.outcome.as_str().to_owned() } else { cell.outcome.as_str().to_uppercase() };
    let conflict = if cell.judgement.conflict { "!" } else { "" };
    let mark = match cell {
        Cell { judgement: Judgement { mitigated: true, .. }, .. } => MITIGATED,
        Cell { judgement: Judgement { unproven: true, .. }, .. } => UNPROVEN,
        _ => "",
    };
    format!("{word}{conflict}{mark}")
}

pub(super) fn colour(cell: &Cell) -> Colour {
    match (cell.outcome, cell.expected) {
        _ if cell.is_pending() => DIM,
        (_, false) if cell.outcome == Outcome::Error => BROKEN,
        (_, false) => BAD,
        (Outcome::Pass, true) => GOOD,
        (Outcome::Fail, true) => AnsiColor::Yellow.on_default(),
        (Outcome::Skip | Outcome::Error, true) => DIM,
    }
}

/// The row of a kernel, or of one of its profiles.
struct Row<'a> {
    kernel: &'a str,
    /// None for the kernel's own row.
    profile: Option<String>,
    label: String,
    release: String,
    cells: Vec<Option<&'a Cell>>,
    seconds: String,
}

impl<'a> Row<'a> {
    fn of(cell: &'a Cell, profile: Option<String>, bugs: usize) -> Self {
        let label = profile.as_ref().map_or_else(|| visible(cell.kernel.as_str()), |name| format!("  @{name}"));
        let kernel = cell.kernel.as_str();
        Self { kernel, profile, label, release: String::new(), cells: vec![None; bugs], seconds: String::new() }
    }

    /// Whether it has no cells, and only names the kernel of the rows below.
    fn is_head(&self) -> bool {
        self.cells.iter().all(Option::is_none)
    }
}

fn rows<'a>(document: &'a MatrixDocument, bugs: &[BugId]) -> Vec<Row<'a>> {
    let mut rows: Vec<Row> = Vec::new();
    for cell in &document.cells {
        let profile = (!cell.profile.is_default()).then(|| visible(cell.profile.as_str()));
        if rows.last().is_none_or(|row| row.kernel != cell.kernel.as_str()) {
            rows.push(Row::of(cell, None, bugs.len()));
        }
        if rows.last().is_none_or(|row| row.profile != profile) {
            rows.push(Row::of(cell, profile, bugs.len()));
        }
        let Some(row) = rows.last_mut() else { continue };
        if let Some(slot) = bugs.iter().position(|b| *b == cell.bug).and_then(|i| row.cells.get_mut(i)) {
            *slot = Some(cell);
        }
    }
    for row in rows.iter_mut().filter(|row| row.profile.is_none()) {
        let known = document.kernels.iter().find(|k| k.name.as_str() == row.kernel);
        let seconds: f64 = known.iter().flat_map(|k| &k.boots).map(|b| b.seconds).sum();
        let boots = || known.iter().flat_map(|k| &k.boots);
        let is_cached = boots().next().is_some() && boots().all(|boot| boot.cached.is_some());
        row.seconds = if is_cached {
            "cached".to_owned()
        } else if seconds > 0.0 {
            format!("{seconds:.1}")
        } else {
            "-".to_owned()
        };
        let mut cells = document.cells.iter().filter(|cell| cell.kernel.as_str() == row.kernel);
        let booted = cells.find_map(|cell| cell.release.as_deref());
        let release = booted.or_else(|| known.and_then(|k| k.release.as_deref()));
        row.release = release.map_or_else(|| "-".to_owned(), visible);
    }
    rows
}

pub(super) fn grid(text: &mut String, document: &MatrixDocument, style: Style) {
    let bugs = bugs(&document.cells);
    let bugs = bugs.as_slice();
    let rows = rows(document, bugs);
    let longest = |column: &dyn Fn(&Row) -> usize| rows.iter().map(column).max().unwrap_or(0);
    let mut kernel = longest(&|r| columns(&r.label)).max("kernel".len());
    let mut release = longest(&|r| columns(&r.release)).max("release".len());
    let words = |say: fn(&Cell) -> String| -> Vec<usize> {
        (0..bugs.len()).map(|i| longest(&|r| columns(&cell_word(r, i, say)))).collect()
    };
    let seconds = longest(&|r| r.seconds.len()).max("seconds".len());

    // If the bugs' names don't fit, numbers replace them and a legend follows.
    let headed = |names: &[String], say| -> Vec<usize> {
        names.iter().zip(&words(say)).map(|(name, word)| (*word).max(columns(name))).collect()
    };
    let mut heads: Vec<String> = bugs.iter().map(ToString::to_string).collect();
    let mut say: fn(&Cell) -> String = word;
    let mut widths = headed(&heads, say);
    let total = |widths: &[usize], kernel, release| {
        kernel + release + seconds + GAP * (widths.len() + 2) + widths.iter().sum::<usize>()
    };
    let mut legend = false;
    if total(&widths, kernel.min(KERNEL_MOST), release.min(RELEASE_MOST)) > style.width {
        heads = (1..=bugs.len()).map(|n| format!("[{n}]")).collect();
        say = short_word;
        widths = headed(&heads, say);
        legend = true;
    }
    // If it is still too wide, the release shrinks first, then the kernel's name; and if that is not enough, the cells stand
    // in several bands.
    if total(&widths, kernel.min(LEAST), release.min(LEAST)) > style.width {
        let widest = [widths.iter().copied().max().unwrap_or(0)];
        let fits = total(&widest, kernel.min(KERNEL_MOST), release.min(RELEASE_MOST)) <= style.width;
        let (kernel_most, release_most) = if fits { (KERNEL_MOST, RELEASE_MOST) } else { (LEAST, LEAST) };
        (kernel, release) = (kernel.min(kernel_most), release.min(release_most));
    } else {
        let over = total(&widths, kernel, release).saturating_sub(style.width);
        let from_release = over.min(release.saturating_sub(LEAST));
        release -= from_release;
        kernel -= (over - from_release).min(kernel.saturating_sub(LEAST));
    }

    let room = style.width.saturating_sub(total(&[], kernel, release));
    let layout = GridLayout { kernel, release, seconds, heads: &heads, widths: &widths, say };
    for (number, band) in bands(&widths, room).into_iter().enumerate() {
        if number > 0 {
            text.push('\n');
        }
        layout.write(text, &rows, &band);
    }
    if legend {
        for (head, bug) in heads.iter().zip(bugs) {
            let _ = writeln!(text, "{DIM}{head} {bug}{DIM:#}");
        }
        let _ = writeln!(text, "{DIM}UPPERCASE: unexpected{DIM:#}");
        if document.cells.iter().any(|cell| cell.judgement.mitigated) {
            let _ = writeln!(text, "{DIM}{MITIGATED}: affected, and the profile keeps the bug from showing{DIM:#}");
        }
        if document.cells.iter().any(|cell| cell.judgement.unproven) {
            let _ = writeln!(text, "{DIM}{UNPROVEN}: unproven, nothing shows that the reproducer sees the bug{DIM:#}");
        }
    }
    text.push('\n');
}

/// How wide the columns are, and what they say.
struct GridLayout<'a> {
    kernel: usize,
    release: usize,
    seconds: usize,
    /// Of the columns with cells.
    heads: &'a [String],
    widths: &'a [usize],
    say: fn(&Cell) -> String,
}

impl GridLayout<'_> {
    /// Writes the heads and all rows, with these columns of cells.
    fn write(&self, text: &mut String, rows: &[Row<'_>], band: &Range<usize>) {
        let Self { kernel, release, seconds, .. } = *self;
        let columns = || self.heads.iter().zip(self.widths).enumerate().take(band.end).skip(band.start);
        let _ = write!(text, "{LOUD}{:kernel$}  {:release$}", "kernel", "release");
        for (_, (head, width)) in columns() {
            let _ = write!(text, "  {head:width$}");
        }
        let _ = writeln!(text, "  {:>seconds$}{LOUD:#}", "seconds");
        for row in rows {
            let label = pad(&fit(&row.label, kernel), kernel);
            let _ = write!(text, "{label}  {}", pad(&fit(&row.release, release), release));
            for (index, (_, width)) in columns() {
                let colour = row.cells.get(index).copied().flatten().map_or(DIM, colour);
                // Nothing follows the last cell of a profile's row.
                let width = if row.seconds.is_empty() && index + 1 == band.end { 0 } else { *width };
                let _ = write!(text, "  {colour}{:width$}{colour:#}", cell_word(row, index, self.say));
            }
            let line = format!("  {:>seconds$}", row.seconds);
            let _ = writeln!(text, "{}", line.trim_end());
        }
    }
}

/// The columns of cells that fit beside each other into this room, at least one. The rest goes below, as often as needed.
fn bands(widths: &[usize], room: usize) -> Vec<Range<usize>> {
    let (mut bands, mut start, mut used) = (Vec::new(), 0, 0);
    for (index, width) in widths.iter().enumerate() {
        if index > start && used + GAP + width > room {
            bands.push(start..index);
            (start, used) = (index, 0);
        }
        used += GAP + width;
    }
    bands.push(start..widths.len());
    bands
}

fn cell_word(row: &Row, index: usize, say: fn(&Cell) -> String) -> String {
    let none = if row.is_head() { "" } else { "-" };
    row.cells.get(index).copied().flatten().map_or_else(|| none.to_owned(), say)
}
