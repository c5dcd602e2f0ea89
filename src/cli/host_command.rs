//! `backproof host`: is this host affected, and has it already been bitten?

use super::{Format, HostArgs, Stop, print, print_json};
use crate::host::{self, Reading, bitten};
use crate::report::{HostDocument, Style};
use crate::verdict::Ledger;
use crate::words::BugId;

/// Reads this host, or what was saved of another one, and says what it means.
pub(super) fn host(args: &HostArgs) -> Result<u8, Stop> {
    let reading =
        if args.from.is_empty() { host::live::read() } else { host::saved::read(&args.from).map_err(Stop::usage)? };
    let (verdicts, not_probed) = (Vec::new(), Vec::new());
    tell(reading, &verdicts, &not_probed, args.format)
}

/// Prints what was read under what the witnesses say of the kernel.
fn tell(
    reading: Reading,
    verdicts: &[(BugId, Ledger)],
    not_probed: &[(BugId, String)],
    format: Format,
) -> Result<u8, Stop> {
    let bitten = bitten::judge(&reading);
    let document = HostDocument::new(reading, bitten, verdicts, not_probed);
    match format {
        Format::Json => print_json(&document)?,
        Format::Table => print(&document.text(Style::of_stdout()))?,
    }
    Ok(document.exit_code())
}
