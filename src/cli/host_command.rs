//! `backproof host`: is this host affected, and has it already been bitten?

use super::{Format, HostArgs, Stop, print, print_json};
use crate::host::{self, Reading, bitten};
use crate::matrix::{Bug, Bugs};
use crate::report::{HostDocument, Style};
use crate::run::{Probed, probe_host};
use crate::verdict::Ledger;
use crate::words::BugId;

/// Reads this host, or what was saved of another one, and says what it means.
pub(super) fn host(args: &HostArgs) -> Result<u8, Stop> {
    let mut reading =
        if args.from.is_empty() { host::live::read() } else { host::saved::read(&args.from).map_err(Stop::usage)? };
    let Probed { verdicts, not_probed, notes } = if args.probe { probe(&reading) } else { Probed::default() };
    reading.host.unseen.extend(notes.into_iter().map(|note| format!("the probe: {note}")));
    tell(reading, &verdicts, &not_probed, args.format)
}

/// Runs the reproducers on this host's kernel. What keeps all of them from running is said of each.
fn probe(reading: &Reading) -> Probed {
    let bugs = Bugs::built_in();
    let all: Vec<&Bug> = bugs.iter().collect();
    let release = reading.host.release.as_deref().unwrap_or_default();
    probe_host(&all, release).unwrap_or_else(|error| Probed {
        not_probed: all.iter().map(|bug| (bug.id.clone(), error.to_string())).collect(),
        ..Probed::default()
    })
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
