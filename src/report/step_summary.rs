//! A run as GitHub-flavoured Markdown, for the summary of a workflow's step, a merge request or a mail.

use std::io::{self, Write};

use super::ci::{by_kernel, details, line, red, why};
use super::formats::{RunFormat, RunReport};
use super::grid::{bugs, word};
use super::table::summary;
use super::text::markdown_text;
use crate::run::Cell;
use crate::words::BugId;

/// GitHub drops a summary of more than 1 MiB (GitHub Docs, "Adding a job summary").
const MOST: usize = 1_000_000;

/// What red cells may take of it, so that the table has room.
const RED_MOST: usize = MOST / 4 * 3;

/// The most sentences about the whole run.
const WARNINGS_MOST: usize = 50;

pub(super) const FORMAT: RunFormat =
    RunFormat { name: "md", help: "Markdown, for the summary of a GitHub step", write: |run, _, out| write(run, out) };

fn write(run: &RunReport, out: &mut dyn Write) -> io::Result<()> {
    out.write_all(page(run, MOST, RED_MOST).as_bytes())
}

/// A page that is never longer than its limit.
struct Page {
    text: String,
    limit: usize,
}

impl Page {
    /// Adds a part as a whole, or not at all.
    fn add(&mut self, part: &str) -> bool {
        let fits = self.text.len() + part.len() <= self.limit;
        if fits {
            self.text.push_str(part);
        }
        fits
    }
}

fn page(run: &RunReport, most: usize, red_most: usize) -> String {
    let document = run.document;
    let count = anstream::adapter::strip_str(&summary(&document.summary, document.run.interrupted)).to_string();
    let text = format!("## backproof: {}\n\n", markdown_text(&count));
    // The last line always fits.
    let mut page = Page { text, limit: red_most };
    if !document.run.finished {
        page.add("> [!WARNING]\n> The run did not finish: it is still running, or was killed.\n\n");
    }
    let distrust = document.cannot_be_trusted.iter().map(|why| ("No verdict of this run can be trusted", why));
    let differing = document.differing.iter().map(|why| ("A transcript differs from the cached one", why));
    for (what, why) in distrust.chain(differing).take(WARNINGS_MOST) {
        page.add(&format!("> [!CAUTION]\n> {what}: {}\n\n", markdown_text(&line(why))));
    }
    let red = red(&document.cells);
    let shown = red.iter().take_while(|(cell, _)| page.add(&entry(cell))).count();
    if shown < red.len() {
        page.limit = most;
        page.add(&format!("{} more unexpected cells are only in the table.\n\n", red.len() - shown));
    }
    page.limit = most.saturating_sub(1000);
    let left_out = grid(&mut page, document.cells.as_slice());
    page.limit = most;
    if left_out > 0 {
        page.add(&format!("\n{left_out} cells are not in this table, because a page has at most 1 MiB.\n"));
    }
    let time = match document.run.time.as_str() {
        "" => String::new(),
        time => format!(", time {}", line(time)),
    };
    let how = format!("backproof {}, {}{time}", line(&document.run.tool), line(&document.run.accelerator));
    let folder = line(&run.folder.display().to_string());
    page.add(&format!("\n{}; evidence in {}\n", markdown_text(&how), markdown_text(&folder)));
    page.text
}

/// A cell that is not as expected, with its evidence.
fn entry(cell: &Cell) -> String {
    let lines = details(cell);
    // No line of a guest ends the block.
    let ticks = lines.iter().flat_map(|line| line.split(|c| c != '`')).map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(ticks.max(2) + 1);
    format!(
        "### {} {}: {}\n\nWhy: {}\n\n<details><summary>Evidence</summary>\n\n{fence}text\n{}\n{fence}\n\n</details>\n\n",
        cell.kernel,
        cell.job(),
        word(cell),
        markdown_text(&why(cell)),
        lines.join("\n"),
    )
}

/// A row for each kernel and profile, a column for each bug. Returns how many cells did not fit.
fn grid(page: &mut Page, cells: &[Cell]) -> usize {
    let bugs = bugs(cells);
    let head: String = bugs.iter().map(|bug| format!(" {} |", markdown_text(bug.as_str()))).collect();
    if !page.add(&format!("| kernel | release |{head}\n|---|---|{}\n", "---|".repeat(bugs.len()))) {
        return cells.len();
    }
    let mut left_out = 0;
    for of_kernel in by_kernel(cells) {
        let mut profiles: Vec<&Cell> = Vec::new();
        for cell in of_kernel {
            if profiles.iter().all(|known| known.profile != cell.profile) {
                profiles.push(cell);
            }
        }
        for first in profiles {
            let of_row: Vec<&Cell> = of_kernel.iter().filter(|cell| cell.profile == first.profile).collect();
            if left_out > 0 || !page.add(&row(first, &of_row, &bugs)) {
                left_out += of_row.len();
            }
        }
    }
    left_out
}

fn row(first: &Cell, of_row: &[&Cell], bugs: &[BugId]) -> String {
    let profile = if first.profile.is_default() { String::new() } else { format!(" @{}", first.profile) };
    let release = of_row.iter().find_map(|cell| cell.release.as_deref()).map_or_else(|| "–".to_owned(), line);
    let mut row = format!("| {} | {} |", markdown_text(&format!("{}{profile}", first.kernel)), markdown_text(&release));
    for bug in bugs {
        let cell = of_row.iter().find(|cell| cell.bug == *bug);
        let word = match cell {
            None => "–".to_owned(),
            Some(cell) if super::ci::Standing::of(cell).red().is_some() => format!("**{}**", word(cell)),
            Some(cell) => word(cell),
        };
        row += &format!(" {word} |");
    }
    row + "\n"
}

#[cfg(test)]
mod tests {
    use super::super::ci::tests::{as_text, hostile_run, run_of_every_kind};
    use super::*;

    #[test]
    fn page_starts_with_what_is_unexpected_and_has_all_cells() {
        let run = run_of_every_kind();
        let text = as_text(FORMAT, &run);
        assert!(text.starts_with("## backproof: 16 cells: 5 pass"), "{text}");
        let first = text.find("### second bad: FAIL\n\nWhy: runtime: rto:236").expect("the first entry");
        let table = text.find("| kernel | release | good | known |").expect("the table");
        assert!(first < table, "{text}");
        let words: usize = text[table..]
            .lines()
            .filter(|line| line.starts_with("| "))
            .skip(1)
            .map(|row| row.matches("6.1.0").count())
            .sum();
        assert_eq!(words, 5, "a row for each kernel: {text}");
        assert_eq!(text.matches("### ").count(), red(&run.cells).len());
        let known = text.lines().find(|line| line.starts_with("| first |")).expect("a row");
        assert!(
            known.contains("| pass | FAIL (expected) | pass (unproven) | skip | ERROR (expected) | – |"),
            "{known}"
        );
    }

    #[test]
    fn page_that_is_too_long_leaves_out_whole_cells_and_counts_them() {
        let run = run_of_every_kind();
        let report = RunReport { document: &run, folder: "results/run".as_ref(), file: None };
        let whole = page(&report, MOST, RED_MOST);
        for most in (1400..whole.len()).step_by(97) {
            let text = page(&report, most, most / 2);
            assert!(text.len() <= most, "{most}");
            let told = |what: &str| text.lines().find_map(|line| line.strip_suffix(what)?.parse().ok()).unwrap_or(0);
            let entries = text.matches("### ").count();
            assert_eq!(
                entries + told(" more unexpected cells are only in the table."),
                red(&run.cells).len(),
                "{text}"
            );
            assert_eq!(text.matches("```").count() % 2, 0, "no block is open");
            let rows = text.lines().filter(|line| line.starts_with("| ") && line.contains("6.1.0"));
            let shown: usize = rows.map(|row| row.matches(" | ").count() + 1 - 2 - row.matches("–").count()).sum();
            let left_out = told(" cells are not in this table, because a page has at most 1 MiB.");
            assert_eq!(shown + left_out, run.cells.len(), "{text}");
        }
    }

    #[test]
    fn hostile_text_is_inert_in_markdown() {
        let text = as_text(FORMAT, &hostile_run());
        assert!(text.len() < 100_000 && !text.contains('\u{1b}'), "{} bytes", text.len());
        // Outside of a block, no foreign text is HTML or a row, and nothing but its fence ends a block.
        let (mut fence, mut blocks) = (None, 0);
        for line in text.lines() {
            match fence {
                Some(open) if line == open => fence = None,
                None if line.starts_with("```") => {
                    blocks += 1;
                    fence = Some(line.trim_end_matches("text"));
                }
                Some(_) => {}
                None => {
                    let plain = line.replace("<details><summary>Evidence</summary>", "").replace("</details>", "");
                    assert!(!plain.replace("\\<", "").contains('<'), "{line}");
                    assert!(!line.starts_with("| a") || line.replace("\\|", "").matches('|').count() == 8, "{line}");
                }
            }
        }
        assert_eq!((fence, blocks), (None, red(&hostile_run().cells).len()));
    }
}
