//! A run as workflow commands of GitHub Actions: an annotation for each cell that is not as expected.

use std::io::{self, Write};

use super::ci::{Standing, line, red, says};
use super::formats::{RunFormat, RunReport};

/// GitHub shows 10 errors of a step (GitHub Docs, "Workflow commands", limits).
const ERRORS_MOST: usize = 10;

pub(super) const FORMAT: RunFormat = RunFormat {
    name: "github",
    help: "Annotations for the log of a GitHub workflow",
    write: |run, _, out| write(run, out),
};

fn write(run: &RunReport, out: &mut dyn Write) -> io::Result<()> {
    let document = run.document;
    let mut errors: Vec<(String, String)> = Vec::new();
    let distrust = |why: &String| ("no verdict of this run can be trusted".to_owned(), line(why));
    errors.extend(document.cannot_be_trusted.iter().map(distrust));
    let red = red(&document.cells);
    errors.extend(red.iter().map(|(cell, standing)| {
        let kind = standing.red().unwrap_or_default();
        (format!("{} {}: {kind}", cell.kernel, cell.job()), says(cell))
    }));
    let shown = if errors.len() > ERRORS_MOST { ERRORS_MOST - 1 } else { errors.len() };
    for (title, message) in errors.iter().take(shown) {
        writeln!(out, "::error title={}::{}", property(title), data(message))?;
    }
    if shown < errors.len() {
        let others = errors.len() - shown;
        writeln!(
            out,
            "::error title=backproof::{others} more cells are not as expected; see the summary or the results"
        )?;
    }
    let flaky = document.cells.iter().filter(|cell| cell.is_flaky() && Standing::of(cell).red().is_none()).count();
    if flaky > 0 {
        writeln!(
            out,
            "::warning title=backproof::{flaky} cells have a verdict only because a broken boot was repeated"
        )?;
    }
    Ok(())
}

/// The message of a command, as actions/toolkit escapes it.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a command, likewise.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::super::ci::tests::{as_text, hostile_run, retried_run, run_of_every_kind};
    use super::*;

    #[test]
    fn annotations_fit_what_github_shows() {
        let text = as_text(FORMAT, &run_of_every_kind());
        assert_eq!(text.lines().count(), 10, "{text}");
        assert!(text.starts_with("::error title=second bad%3A affected::FAIL: runtime: rto:236"), "{text}");
        let mut many = run_of_every_kind();
        many.cells.extend(run_of_every_kind().cells);
        let text = as_text(FORMAT, &many);
        assert_eq!(text.lines().count(), 10);
        assert!(
            text.ends_with(
                "::error title=backproof::11 more cells are not as expected; see the summary or the results\n"
            )
        );
        let text = as_text(FORMAT, &retried_run());
        assert!(
            text.ends_with(
                "::warning title=backproof::1 cells have a verdict only because a broken boot was repeated\n"
            )
        );
    }

    #[test]
    fn hostile_text_gives_no_command_to_github() {
        let text = as_text(FORMAT, &hostile_run());
        for line in text.lines() {
            let command = line.strip_prefix("::error title=").unwrap_or_else(|| panic!("{line}"));
            let (title, message) = command.split_once("::").expect("a message");
            assert!(!title.contains([':', ',']) && !title.is_empty(), "{title}");
            assert!(message.replace("%25", "").replace("%0A", "").matches('%').count() == 0, "{message}");
        }
    }
}
