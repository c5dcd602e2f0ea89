//! `backproof report`: shows a finished run.

use super::{Format, ReportArgs, Stop, ended, print, print_json};
use crate::exit::Exit;
use crate::report::{Style, table};
use crate::results::{find_run, read_document};

/// Shows the run that was asked for, and exits as it did.
pub(super) fn report(args: &ReportArgs) -> Result<Exit, Stop> {
    let run = find_run(&args.results, &args.run).map_err(Stop::usage)?;
    let document = read_document(&run).map_err(Stop::usage)?;
    let printed = match args.format {
        Format::Json => print_json(&document),
        Format::Table => print(&table(&document, Some(&run), Style::of_terminal().explaining(args.explain))),
    };
    ended(document.exit_code, printed)
}
