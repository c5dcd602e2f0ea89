//! `backproof report`: shows a finished run.

use super::{ReportArgs, Stop, ended, show_run};
use crate::exit::Exit;
use crate::report::RunReport;
use crate::results::{find_run, read_document};

/// Shows the run that was asked for, and exits as it did.
pub(super) fn report(args: &ReportArgs) -> Result<Exit, Stop> {
    let run = find_run(&args.results, &args.run).map_err(Stop::usage)?;
    let document = read_document(&run).map_err(Stop::usage)?;
    let printed = show_run(&RunReport { document: &document, folder: &run }, &args.output);
    ended(document.exit_code, printed)
}
