//! `backproof host`: is this host affected, and has it already been bitten?

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

use super::{FailOn, Format, Output, Stop, ended, matrix_file, show};
use crate::answer::HostDocument;
use crate::evidence::binary::Binary;
use crate::evidence::config::BuildConfig;
use crate::evidence::exhibits::{Exhibits, Said};
use crate::evidence::runtime::by_counters;
use crate::evidence::version::Release;
use crate::evidence::{Finding, Witness};
use crate::exit::Exit;
use crate::host::{self, Count, HostFacts, HostReading, Namespace, bitten};
use crate::matrix::Bug;
use crate::run::{Probed, probe_host};
use crate::verdict::{Case, Judgement};
use crate::words::BugId;

#[derive(Args, Debug)]
pub(in crate::cli) struct HostArgs {
    /// Judge saved output: a file, folder or sosreport, or - for stdin (repeatable)
    #[arg(long, value_name = "PATH")]
    from: Vec<PathBuf>,
    /// Run the reproducers on the running kernel, in their own network namespaces
    #[arg(long, conflicts_with = "from")]
    probe: bool,
    /// Judge only this bug: a name, a CVE or a commit (repeatable)
    #[arg(long, value_name = "BUG")]
    bug: Vec<BugId>,
    /// Exit with 1 if affected by these bugs
    #[arg(long, value_enum, default_value_t = FailOn::Fixable)]
    fail_on: FailOn,
    /// Add your own dossiers from this folder
    #[arg(long, value_name = "DIR", alias = "bugs")]
    dossiers: Option<PathBuf>,
    #[command(flatten)]
    output: Output<Format>,
}

/// Judges this host, or the saved output of another one.
pub(super) fn host(args: &HostArgs) -> Result<Exit, Stop> {
    let bugs = matrix_file::bugs(args.dossiers.as_deref())?;
    let bugs = matrix_file::chosen(&bugs, &args.bug)?;
    let is_live = args.from.is_empty();
    let mut reading = if is_live { host::live::read() } else { host::saved::read(&args.from).map_err(Stop::usage)? };
    let (mut said, release) = look(&reading.host, &reading.namespaces, &bugs, is_live);
    let Probed { verdicts, not_probed, notes } = if args.probe { probe(&reading, &bugs) } else { Probed::default() };
    for (bug, finding) in verdicts {
        said.entry(bug).or_default().findings.push(finding);
    }
    let judge = |bug: &&Bug| {
        let case = Case { bug: Some(bug), said: said.remove(&bug.id)?, release: release.as_ref(), ..Case::default() };
        Some((bug.id.clone(), case.judge(BY_PROBE)))
    };
    let judged: Vec<(BugId, Judgement)> = bugs.iter().filter_map(judge).collect();
    reading.host.unseen.extend(notes.into_iter().map(|note| format!("the probe: {note}")));
    let chosen: Vec<BugId> = bugs.iter().map(|bug| bug.id.clone()).collect();
    let bitten = bitten::judge(&reading).into_iter().filter(|bitten| chosen.contains(&bitten.bug)).collect();
    // A bug that is named counts, even if no fix exists.
    let counts_all = !args.bug.is_empty() || args.fail_on == FailOn::Any;
    let uncounted = bugs.iter().filter(|bug| !counts_all && bug.is_unrepaired()).map(|bug| bug.id.clone());
    let uncounted: Vec<BugId> = uncounted.collect();
    let document = HostDocument::new(reading, bitten, &judged, &not_probed).leaving_out(&uncounted);
    ended(document.exit(), show(&document, args.output.format, args.output.style()))
}

/// The advice if the kernel's name and image leave the question open.
const BY_PROBE: &str = "run the reproducers on it with --probe, or give its image to `backproof affected --boot`";

/// Asks the witnesses that need no boot: about the kernel's name, and on this host about its image in /boot.
fn look(
    host: &HostFacts,
    namespaces: &[Namespace],
    bugs: &[&Bug],
    is_live: bool,
) -> (BTreeMap<BugId, Said>, Option<Release>) {
    let Some(release) = &host.release else { return (BTreeMap::new(), None) };
    let name = match &host.build {
        Some(build) => format!("Linux host {release} {build}"),
        None => release.clone(),
    };
    let image = Path::new("/boot").join(format!("vmlinuz-{release}"));
    let is_there = is_live && !release.contains('/') && image.is_file();
    let image = is_there.then(|| running(&image, host.build.as_deref()));
    let unseen = image.as_ref().and_then(|image| image.as_ref().err().cloned());
    let exhibits = Exhibits {
        release: Some(Release::parse(&name).or_else(|_| Release::parse(release)).map_err(|error| error.to_string())),
        config: if is_live { BuildConfig::running(release) } else { None },
        binary: image.and_then(Result::ok).map(Ok),
        ..Exhibits::default()
    };
    let look = |bug: &Bug| {
        let mut findings = beside_livepatches(host, bug, exhibits.look(bug).findings);
        // Another build's image, or an unreadable one, is no evidence.
        findings.extend(unseen.as_ref().map(|why| Finding::aside(Witness::Binary, why)));
        // A live patch adds no counters, so all of them are the kernel's own.
        findings.extend(by_counters(&bug.strings, |counter| shows(namespaces, counter)));
        findings
    };
    let said = bugs.iter().map(|bug| (bug.id.clone(), Said { findings: look(bug), ..Said::default() })).collect();
    (said, exhibits.release.and_then(Result::ok))
}

/// Whether a network namespace lists a counter.
fn shows(namespaces: &[Namespace], counter: &str) -> bool {
    let mut all = namespaces.iter().filter_map(|namespace| namespace.counters.as_ref());
    all.any(|counters| matches!(counters.get(counter), Count::Is(_)))
}

/// The image, if it is the running kernel's: an upgrade may have replaced it with another build of the same name.
fn running(image: &Path, build: Option<&str>) -> Result<Binary, String> {
    let binary = Binary::open(image).map_err(|error| error.to_string())?;
    match build {
        Some(build) if binary.has_string(build) => Ok(binary),
        _ => Err(format!("{} is another build than the running kernel", image.display())),
    }
}

/// Discards findings about a function that a live patch replaces.
fn beside_livepatches(host: &HostFacts, bug: &Bug, findings: Vec<Finding>) -> Vec<Finding> {
    let elsewhere = bug.source.iter().flat_map(|signature| &signature.cases).flat_map(|case| &case.elsewhere);
    let source = bug.source.iter().map(|signature| &signature.function).chain(elsewhere.map(|other| &other.function));
    let mut functions = source.chain(bug.binary.iter().map(|signature| &signature.function));
    let is_patched = |function: &&String| host.livepatches.iter().flatten().any(|patch| patch.replaces(function));
    let Some(patched) = functions.find(is_patched) else { return findings };
    let why = format!("a live patch replaces {patched}, so the image doesn't show the running code; --probe does");
    findings.into_iter().map(|finding| Finding::unknown(finding.witness, why.clone())).collect()
}

/// Runs the reproducers on this host's kernel. An error that stops all of them is reported for each.
fn probe(reading: &HostReading, bugs: &[&Bug]) -> Probed {
    let release = reading.host.release.as_deref().unwrap_or_default();
    probe_host(bugs, release).unwrap_or_else(|error| Probed {
        not_probed: bugs.iter().map(|bug| (bug.id.clone(), error.to_string())).collect(),
        ..Probed::default()
    })
}
