//! `backproof report --site`: the history as a static site.

use std::path::Path;

use super::history::with_history;
use super::{Format, Stop, show};
use crate::exit::Exit;
use crate::report::{RunFormat, SiteError, SiteProgress, SlowWork, Style, write_site};

/// Writes the history of a results folder as a site, or brings the site up to date.
pub(super) fn site(folder: &Path, results: &Path, format: RunFormat) -> Result<Exit, Stop> {
    // The other formats are those of a run.
    let format = match format.name {
        "table" => Format::Table,
        "json" => Format::Json,
        name => return Err(Stop::usage(anyhow::anyhow!("--site prints `table` or `json`, not `{name}`"))),
    };
    let line = SlowWork::new();
    let mut tell = |progress: &SiteProgress| match progress {
        // It can take long.
        SiteProgress::Waiting => line.say(progress),
        SiteProgress::Nights { .. } => line.tell(progress),
    };
    let written = with_history(results, |history| write_site(history, results, folder, &mut tell));
    line.finish();
    let summary = written?.map_err(|error| match error {
        SiteError::History(error) => Stop::of_history(error),
        error if error.is_usage() => Stop::usage(error),
        error => Stop::no_verdict(error),
    })?;
    show(&summary, format, Style::of_terminal())?;
    Ok(Exit::Clean)
}
