//! `backproof report`: shows a run, also one that is still going on, or writes the history as a site.

use super::{ReportArgs, Stop, ended, page_file, report_files, show_run, site};
use crate::exit::Exit;
use crate::report::RunReport;
use crate::results::{find_run, read_document};

/// Shows the run that was asked for, and exits as it did.
pub(super) fn report(args: &ReportArgs) -> Result<Exit, Stop> {
    if let Some(folder) = &args.site {
        return site::site(folder, &args.results, args.output.format);
    }
    report_files::check(&args.report)?;
    let run = find_run(&args.results, &args.run).map_err(Stop::usage)?;
    let document = read_document(&run).map_err(Stop::usage)?;
    let report = RunReport { document: &document, folder: &run, file: None };
    let written = report_files::write(&args.report, &report);
    let paged = if args.html { page_file::write(&document, &run) } else { Ok(()) };
    let printed = show_run(&report, &args.output);
    let exit = ended(ended(document.exit_code, printed)?, written)?;
    ended(exit, paged.map_err(Stop::no_verdict))
}
