//! Judges a cell again by a replayed boot.

use super::boot_end::BootEnd;
use super::boots::milliseconds;
use super::cell::{Cell, CellTrials};
use super::crash::CrashWanted;
use super::reach::{self, tell_reach};
use super::retry::CellFault;
use super::settle::{JobTerms, Settlement, by_boot};
use crate::evidence::Witness;
use crate::evidence::exhibits::Said;
use crate::evidence::runtime::Ran;
use crate::matrix::{Bug, Profile, ReproducerSpec};
use crate::verdict::{Boots, Case};

/// What is known of a cell's job in a replayed boot.
#[derive(Clone, Copy, Debug)]
pub struct ReplayedJob<'a> {
    /// How it ran.
    pub ran: Ran<'a>,
    /// Whether the guest's time and accelerator are those of the run.
    pub same_terms: bool,
    /// Whether nothing else ran in its guest.
    pub alone: bool,
    /// Its bug, if the run recorded the dossier.
    pub bug: Option<&'a Bug>,
    /// Its profile, if the run recorded it.
    pub profile: Option<&'a Profile>,
}

/// Judges a cell again. The other witnesses' findings, and what its positive control showed, stay.
pub fn judge_again(then: &Cell, job: ReplayedJob<'_>, end: &BootEnd) -> Cell {
    let mut settlement = settle_again(then, job, end);
    let control = then.trials.positive_control.clone();
    if let (Some(_), Boots::Showed(finding)) = (&control, &mut settlement.boots)
        && !finding.is_affected()
    {
        // The control decided then what this silence is worth.
        match then.judgement.findings.iter().find(|finding| finding.witness == Witness::Runtime) {
            Some(_) if !job.same_terms => finding.why += "; its positive control ran on other terms",
            Some(before) => (finding.strength, finding.why) = (before.strength, before.why.clone()),
            None => settlement.boots = Boots::Broke(then.judgement.reason.clone().unwrap_or_default()),
        }
    }
    // It was booted, and no guest is to blame: its reproducer missed the code, or its control failed.
    let is_broken = matches!(settlement.boots, Boots::Broke(_));
    let fault = settlement.fault.or(is_broken.then_some(CellFault::Reproducer));
    let findings = then.judgement.findings.iter().filter(|finding| finding.witness != Witness::Runtime).cloned();
    let said = Said {
        findings: findings.collect(),
        steps: then.judgement.steps.clone(),
        warnings: then.judgement.warnings.clone(),
        ..Said::default()
    };
    let case = Case { bug: job.bug, said, boots: settlement.boots, release: None, earlier: Some(&then.judgement) };
    let trials = CellTrials {
        seconds: milliseconds(end.seconds),
        checks: settlement.checks,
        fault,
        crash: settlement.crash,
        said: settlement.said,
        guest_ms: settlement.guest_ms,
        // The same plan, so the same programs.
        shared_with: then.trials.shared_with.clone(),
        positive_control: control,
        ..CellTrials::default()
    };
    Cell::judged(&then.question(), end.release.clone(), case, trials)
}

/// How the boot settles the job, by the rules of a run.
fn settle_again(then: &Cell, job: ReplayedJob<'_>, end: &BootEnd) -> Settlement {
    let ReplayedJob { ran, alone, bug, profile, .. } = job;
    let described = bug.and_then(|bug| bug.reproducer.as_ref()).and_then(ReproducerSpec::own);
    let crash = match described.and_then(|own| own.crash.as_ref()) {
        Some(oracle) => Some(CrashWanted::Described(oracle)),
        None => then.trials.crash.as_ref().map(CrashWanted::Again),
    };
    let strings = bug.map_or(&[][..], |bug| &bug.strings);
    let terms = JobTerms { ran, crash, strings, alone };
    // A report that came before another's death stands.
    let alive = (!alone && end.failure.is_some() && end.has_report(&then.job())).then(|| end.before_death());
    let settlement = by_boot(&then.job(), terms, alive.as_ref().unwrap_or(end)).telling_requests();
    let wanted = described.map_or(&[][..], |own| &own.reach);
    let said = end.reach.get(&then.job().to_string()).filter(|_| end.failure.is_none() || alive.is_some());
    let reached = reach::sum([&reach::counted(wanted, said)].into_iter());
    let mut boots = settlement.boots;
    tell_reach(wanted, &reached, &mut boots);
    let settlement = Settlement { boots, ..settlement };
    match (settlement.boots, profile) {
        (Boots::Broke(reason), Some(profile)) => {
            Settlement { boots: Boots::Broke(profile.explain(&reason, &end.notes)), ..settlement }
        }
        (boots, _) => Settlement { boots, ..settlement },
    }
}
