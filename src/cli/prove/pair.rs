//! Proves a change: builds a source with and without it, boots both, and compares.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::anyhow;

use super::Prove;
use super::change::VersionedChange;
use super::question::{ProofQuestion, boot_verdict, is_real, repeat};
use crate::cli::run::OpenRun;
use crate::cli::{Stop, ended, show};
use crate::exit::Exit;
use crate::json;
use crate::kernel::Obtain;
use crate::kernel::build::{BuildError, BuiltKernel, build};
use crate::matrix::{BuildSource, KernelEntry};
use crate::prove::{
    ChangeProof, CodeChange, Confirmation, Flip, NoFlipCause, PROOF_FILE, ProofSide, ProvenChange, Purpose,
    SCHEMA_VERSION, SideBuild, TurningParts,
};
use crate::report::{Fetching, say};
use crate::results::{MatrixDocument, RunSelection, write_file};
use crate::run::{CacheUse, CellReach, Lab, RunPlan, SeedCount};
use crate::validate::ToolRecord;
use crate::verdict::Verdict;
use crate::words::{Expectation, KernelName, Outcome};

/// Schedules of each side.
const SEEDS: u32 = 3;
/// The most functions whose entries a guest counts.
const MOST_COUNTED: usize = backproof_protocol::MAX_REACH;

/// A version of the source, built or not.
struct Side {
    name: KernelName,
    parts: usize,
    source: BuildSource,
    patch: Option<String>,
    built: Result<BuiltKernel, String>,
}

/// Proves the change, and gives the exit code.
pub(super) fn prove(args: &Prove, question: &ProofQuestion) -> Result<Exit, Stop> {
    let versioned = VersionedChange::of(args, question)?;
    let (lab, seeds) = ProofQuestion::lab(args, SEEDS)?;
    let mut run = OpenRun::open(
        &question.matrix().path,
        RunSelection::default(),
        &question.profiles,
        false,
        &lab,
        &args.host.results,
    )?;
    let sides = match build_sides(&versioned, &lab, &mut run, args, question) {
        Ok(Some(sides)) => sides,
        Ok(None) => {
            say(format_args!("interrupted; to resume: {}", repeat(&run.close().document.run.arguments)));
            return Ok(Exit::Interrupted);
        }
        Err(stop) => return Err(run.fail(stop)),
    };
    let code = code_change(&sides);
    let kernels: Vec<KernelEntry> = sides.iter().filter_map(|side| entry(side, &versioned.change, question)).collect();
    if !kernels.is_empty() {
        let without = code.functions(|one| one.before.is_some());
        let with = code.functions(|one| one.after.is_some());
        let functions = |side: &Side| {
            let all = if side.parts == 0 { &without } else { &with };
            (side.name.clone(), all.iter().take(MOST_COUNTED).cloned().collect())
        };
        let reach = sides.iter().map(functions).collect();
        let judged = question.plan(kernels).and_then(|plan| {
            let all = run.judge(RunPlan { seeds, reach, ..plan }, &lab)?;
            if all { confirm(&mut run, &sides, &versioned.change, &lab, args, question) } else { Ok(()) }
        });
        if let Err(stop) = judged {
            return Err(run.fail(stop));
        }
    }
    let judged = run.close();
    let proof = proof(versioned.change, &sides, code, &judged.document, &judged.folder, args, question);
    let written = json::to_vec(&proof).map_err(Stop::no_verdict);
    let written = written.and_then(|text| {
        write_file(&judged.folder.join(PROOF_FILE), &text, true).and(judged.written).map_err(Stop::no_verdict)
    });
    let printed = show(&proof, args.output.format, args.output.style());
    ended(ended(proof.exit_code, printed)?, written)
}

/// In real time a side has one boot, so sides that differ are booted again.
fn confirm(
    run: &mut OpenRun,
    sides: &[Side],
    change: &ProvenChange,
    lab: &Arc<Lab>,
    args: &Prove,
    question: &ProofQuestion,
) -> Result<(), Stop> {
    let document = run.document();
    let ends = || sides.first().into_iter().chain(sides.last());
    let verdicts: Vec<Verdict> = ends().map(|side| boot_verdict(&document, &side.name)).collect();
    let differ = verdicts.first() != verdicts.last() && !verdicts.contains(&Verdict::Unknown);
    if !is_real(args) || !differ {
        return Ok(());
    }
    let again = ends().filter_map(|side| entry(side, change, question)).map(|entry| {
        let name = second_boot_name(&entry.name)?;
        Ok(KernelEntry { name, ..entry })
    });
    let plan = question.plan(again.collect::<Result<_, Stop>>()?)?;
    run.judge(RunPlan { cache: CacheUse::Fresh, ..plan }, lab)?;
    Ok(())
}

/// The name under which a kernel is booted again.
fn second_boot_name(name: &KernelName) -> Result<KernelName, Stop> {
    format!("{name}-again").parse().map_err(|error| Stop::usage(anyhow!("{error}")))
}

/// Builds the versions: the source as it is first, because the others compile only what differs from it. None if
/// interrupted.
fn build_sides(
    versioned: &VersionedChange,
    lab: &Arc<Lab>,
    run: &mut OpenRun,
    args: &Prove,
    question: &ProofQuestion,
) -> Result<Option<Vec<Side>>, Stop> {
    let all = versioned.change.parts.len();
    let wanted: Vec<usize> = if args.each { (0..=all).collect() } else { vec![0, all] };
    let order: Vec<usize> = if versioned.change.is_in { wanted.iter().rev().copied().collect() } else { wanted };
    if order.len() > 2 {
        say(format_args!("building and booting {} versions of the source", order.len()));
    }
    let fetching = Arc::new(Fetching::new());
    let mut sides = Vec::new();
    for parts in order {
        let name = side_name(parts, all)?;
        let (source, patch) = versioned.source(parts, name.as_str(), run.path(), args, question)?;
        let (lab, wanted, told) = (Arc::clone(lab), source.clone(), Arc::clone(&fetching));
        let built = run.blocking(move || {
            let tell = |progress| told.tell(&progress);
            let (store, shim) = (&lab.store, &lab.shim);
            build(&wanted, &Obtain { store, shim, offline: true, refresh: false, locked: None, tell: &tell })
        })?;
        let Some(built) = built else {
            fetching.finish();
            return Ok(None);
        };
        let built = match built {
            Ok(built) => Ok(built),
            // The version itself is broken. The others may not be.
            Err(error @ (BuildError::Make { .. } | BuildError::Config { .. })) => {
                Err(format!("it doesn't build: {}", error.to_string().lines().next().unwrap_or_default()))
            }
            Err(error) => {
                fetching.finish();
                return Err(Stop::of(error));
            }
        };
        sides.push(Side { name, parts, source, patch, built });
    }
    fetching.finish();
    sides.sort_by_key(|side| side.parts);
    Ok(Some(sides))
}

fn side_name(parts: usize, all: usize) -> Result<KernelName, Stop> {
    let name = match parts {
        0 => "without".to_owned(),
        _ if parts == all => "with".to_owned(),
        _ => format!("with-{parts}"),
    };
    name.parse().map_err(|error| Stop::usage(anyhow!("{error}")))
}

/// The kernel of a side, for the run. What is expected of it is what the change is for.
fn entry(side: &Side, change: &ProvenChange, question: &ProofQuestion) -> Option<KernelEntry> {
    side.built.as_ref().ok()?;
    let bug = question.bug.id.clone();
    let plain = KernelEntry::plain(side.name.clone(), side.source.clone().into(), vec![bug.clone()]);
    let is_bad = match change.purpose {
        Purpose::Repair => side.parts < change.parts.len(),
        Purpose::Break => side.parts == change.parts.len(),
    };
    let outcome = if is_bad { Outcome::Fail } else { Outcome::Pass };
    Some(KernelEntry { expect: BTreeMap::from([(bug, Expectation::Outcome(outcome))]), ..plain })
}

/// What the whole change does to the code.
fn code_change(sides: &[Side]) -> CodeChange {
    let built = |side: Option<&Side>| side.and_then(|side| side.built.as_ref().ok().cloned());
    let (without, with) = (built(sides.first()), built(sides.last()));
    let both = [&without, &with];
    let snapshots = both.into_iter().flatten().filter_map(|built| built.kernel.source.as_ref());
    let mut files: Vec<String> = snapshots.flat_map(|source| source.patched_files().cloned()).collect();
    files.sort();
    files.dedup();
    let is_compiled = |file: &String| {
        let said = both.into_iter().flatten().filter_map(|built| built.code.as_ref()?.compiles(file));
        said.reduce(|one, other| one || other)
    };
    let not_compiled = files.iter().filter(|file| is_compiled(file) == Some(false)).cloned().collect();
    let pair = without.as_ref().zip(with.as_ref());
    CodeChange {
        not_compiled,
        files,
        same_image: pair.is_some_and(|(without, with)| without.kernel.image_sha256 == with.kernel.image_sha256),
        difference: pair.and_then(|(without, with)| Some(without.code.as_ref()?.difference(with.code.as_ref()?))),
    }
}

fn proof(
    change: ProvenChange,
    sides: &[Side],
    code: CodeChange,
    document: &MatrixDocument,
    folder: &Path,
    args: &Prove,
    question: &ProofQuestion,
) -> ChangeProof {
    let built: Vec<&BuiltKernel> = sides.iter().filter_map(|side| side.built.as_ref().ok()).collect();
    let sides: Vec<ProofSide> = sides.iter().map(|side| proven(side, document)).collect();
    let verdict = |side: Option<&ProofSide>| side.map_or(Verdict::Unknown, |side| side.verdict);
    let mut flip = Flip::of(verdict(sides.first()), verdict(sides.last()), change.purpose);
    let no_flip = matches!(flip, Flip::StaysAffected | Flip::StaysGood).then(|| {
        // Of functions that only one side has, that side counts.
        let both = sides.first().into_iter().chain(sides.last()).flat_map(|side| side.reach.clone());
        NoFlipCause::of(&code, &both.collect())
    });
    let mut why = ChangeProof::sentence(flip, no_flip.as_ref(), &sides);
    if let Some(doubt) = doubt(flip, &code, &sides, is_real(args)) {
        (flip, why) = (Flip::NoVerdict, doubt);
    }
    let mut remarks: Vec<String> = built.iter().flat_map(|built| built.remarks.clone()).collect();
    remarks.sort();
    remarks.dedup();
    let turns_at = if sides.len() > 2 { TurningParts::of(&sides) } else { Vec::new() };
    ChangeProof {
        schema_version: SCHEMA_VERSION,
        bug: question.bug.id.clone(),
        flip,
        why,
        no_flip,
        change,
        sides,
        turns_at,
        code,
        remarks,
        tool: ToolRecord::of(&document.run),
        folder: folder.display().to_string(),
        repeat: repeat(&document.run.arguments),
        exit_code: if document.run.interrupted { Exit::Interrupted } else { flip.exit() },
    }
}

/// Why verdicts that differ prove nothing.
fn doubt(flip: Flip, code: &CodeChange, sides: &[ProofSide], is_real: bool) -> Option<String> {
    if !matches!(flip, Flip::Flips | Flip::WrongDirection) {
        return None;
    }
    if code.is_same() {
        return Some(
            "the verdicts differ, but both kernels have the same code: the reproducer does not repeat".to_owned(),
        );
    }
    let unconfirmed = |side: &&ProofSide| side.confirmed.is_some_and(|again| again != Confirmation::Confirmed);
    if let Some(side) = sides.iter().find(unconfirmed) {
        let again = match side.confirmed {
            Some(Confirmation::Differs) => {
                "not the second time: judge it under several seeds, with --accel tcg --time virtual"
            }
            _ => "and had no verdict the second time: prove it again",
        };
        return Some(format!("{} was {} once, {again}", side.name, side.verdict));
    }
    let (without, with) = (sides.first()?, sides.last()?);
    if is_real && (without.confirmed, with.confirmed) == (None, None) {
        return Some("interrupted before a second boot of both sides: prove it again".to_owned());
    }
    let (bad, good) = if without.verdict == Verdict::Affected { (without, with) } else { (with, without) };
    let needed = SeedCount::more_seeds(bad.seeds, good.seeds)?;
    let count = bad.seeds.map(|seeds| format!("{} of {}", seeds.affected, seeds.tried)).unwrap_or_default();
    let (bad, good) = (&bad.name, &good.name);
    Some(format!(
        "{bad} shows the bug under {count} seeds only, so the silence of {good} may be chance: --seeds {needed}"
    ))
}

/// The proof's view of a side. Only a boot proves anything.
fn proven(side: &Side, document: &MatrixDocument) -> ProofSide {
    let cell = document.cells.iter().find(|cell| cell.kernel == side.name);
    let built = side.built.as_ref().ok();
    let why = match (&side.built, cell) {
        (Err(why), _) => why.clone(),
        (Ok(_), None) => "it was not booted".to_owned(),
        (Ok(_), Some(cell)) => {
            let why = cell.judgement.reason.clone().or_else(|| cell.judgement.surest().map(|found| found.why.clone()));
            why.unwrap_or_default()
        }
    };
    let verdict = boot_verdict(document, &side.name);
    let again =
        second_boot_name(&side.name).ok().filter(|again| document.cells.iter().any(|cell| cell.kernel == *again));
    let confirmed = again.map(|again| match boot_verdict(document, &again) {
        Verdict::Unknown => Confirmation::NotJudged,
        now if now == verdict => Confirmation::Confirmed,
        _ => Confirmation::Differs,
    });
    ProofSide {
        name: side.name.clone(),
        parts: side.parts,
        patch: side.patch.clone(),
        verdict,
        confirmed,
        unproven: cell.is_some_and(|cell| cell.judgement.unproven),
        state: cell.and_then(|cell| cell.judgement.state),
        seeds: cell.and_then(|cell| cell.trials.seeds),
        why,
        release: built.and_then(|built| built.kernel.release.clone()),
        image_sha256: built.map(|built| built.kernel.image_sha256.clone()),
        build: built.and_then(|built| built.work.as_ref()).map(SideBuild::from),
        reach: cell.map_or_else(CellReach::new, |cell| cell.trials.reach.clone()),
    }
}
