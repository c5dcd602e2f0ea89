//! Settles the cells of one kernel: what can be said without booting it, and what its guests reported.

use std::collections::BTreeMap;

use backproof_repro::protocol::{Conclusion, Report};

use super::boots::{BootEnd, Seen, milliseconds};
use super::cell::{Cell, Settled};
use crate::evidence::exhibits::Said;
use crate::evidence::runtime::{Ran, Testimony, beside_counters, weigh};
use crate::evidence::{Finding, Strength, Witness};
use crate::kernel::{Kernel, Module, ModulesError};
use crate::matrix::{Needs, TellingString};
use crate::verdict::{Ledger, Verdict};
use crate::words::{BugId, JobId};

/// What a kernel's packages already say about a bug.
pub enum Applies {
    /// It has to be booted.
    Yes,
    /// It lacks what the question is about.
    No(String),
}

/// Kernel options without which no guest can be heard: the console on ttyS0 and the agent on ttyS1.
const SERIAL: [&str; 2] = ["SERIAL_8250", "SERIAL_8250_CONSOLE"];

/// Whether a reproducer that needs this has anything to look for in a kernel, as far as its configuration tells; without a configuration the
/// guest's own word is waited for.
pub fn applies(kernel: &Kernel, needs: &Needs) -> Applies {
    let Some(config) = &kernel.config else { return Applies::Yes };
    if let Some(option) = SERIAL.iter().find(|option| !config.is_builtin(option)) {
        return Applies::No(format!(
            "the kernel has no serial console to be heard on: its configuration lacks CONFIG_{option}=y"
        ));
    }
    let is_set = |option: &String| config.is_set(option.strip_prefix("CONFIG_").unwrap_or(option));
    let missing: Vec<&str> = needs.config.iter().filter(|option| !is_set(option)).map(String::as_str).collect();
    if missing.is_empty() {
        Applies::Yes
    } else {
        Applies::No(format!("the kernel was built without {}", missing.join(", ")))
    }
}

/// What the kernel's configuration settles of a bug whose code was not compiled in. One that is certainly the kernel's says
/// that it is not affected, unless another strong witness contradicts it; one that lies beside it leaves the question
/// without an answer.
pub fn not_built(said: &Said) -> Option<Settled> {
    let config = said.findings.iter().find(|finding| finding.witness == Witness::Config)?;
    let reason = config.why.clone();
    if config.strength == Strength::Weak {
        return Some(Settled::Skip { reason, allowed: false });
    }
    let conclusion = Ledger { findings: said.findings.clone() }.conclude();
    (conclusion.verdict == Verdict::NotAffected && !conclusion.conflict).then_some(Settled::NotBuilt(reason))
}

/// The modules that a set of bugs needs, in load order. Bugs whose modules cannot be had are settled here: a skip where
/// the kernel has none, an error where one is there and cannot be read.
pub fn modules(kernel: &Kernel, bugs: &[(&BugId, &Needs)]) -> (Vec<Module>, BTreeMap<BugId, Settled>) {
    let mut loaded: Vec<Module> = Vec::new();
    let mut without = BTreeMap::new();
    for (bug, needs) in bugs {
        let wanted: Vec<&str> = needs.modules.iter().map(String::as_str).collect();
        match kernel.modules_for(&wanted) {
            Ok(modules) => {
                for module in modules {
                    if !loaded.iter().any(|known| known.name == module.name) {
                        loaded.push(module);
                    }
                }
            }
            Err(error @ ModulesError::Absent { .. }) => {
                without.insert((*bug).clone(), Settled::Skip { reason: error.to_string(), allowed: false });
            }
            Err(error) => {
                without.insert((*bug).clone(), Settled::Error(format!("{:#}", anyhow::Error::new(error))));
            }
        }
    }
    (loaded, without)
}

/// What a guest's reports settle.
pub struct Settlement {
    /// How the question was settled.
    pub settled: Settled,
    /// The report that settled it.
    pub report: Option<Report>,
    /// What the wire saw.
    pub seen: Seen,
}

/// Settles a job by a boot that ran its reproducer so. The bug's telling strings are looked for among the kernel's counters.
///
/// A guest that died takes all its reports with it: a kernel that panics after it said that all is well is not well.
pub fn by_boot(job: &JobId, ran: Ran<'_>, strings: &[TellingString], end: &BootEnd) -> Settlement {
    let id = job.to_string();
    let report = end.reports.iter().find(|report| report.job == id).cloned();
    let settled = match (&end.failure, &report) {
        (Some(failure), _) => Settled::Error(failure.clone()),
        (None, None) => Settled::Error("the agent ended without a report of this reproducer".to_owned()),
        (None, Some(report)) => match weigh(report, ran) {
            Testimony::Finding(finding) => {
                let finding = beside_counters(finding, strings, &end.counters);
                Settled::Findings(Ledger { findings: vec![finding] })
            }
            Testimony::NotApplicable(reason) => Settled::Skip { reason, allowed: false },
            Testimony::Broken(reason) => Settled::Error(match &end.busy {
                // What does not follow from its checks is no busy host's doing.
                Some(busy) if report.conclusion == Conclusion::Error => format!("{reason}; {busy}"),
                _ => reason,
            }),
        },
    };
    let seen = end.seen.get(&id).cloned().unwrap_or_default();
    Settlement { settled, report, seen }
}

/// A cell whose reproducer ran so again, in this boot alone. What the witnesses said that need no
/// boot stands as it was.
pub fn judge_again(then: &Cell, ran: Ran<'_>, strings: &[TellingString], end: &BootEnd) -> Cell {
    let settlement = by_boot(&then.job(), ran, strings, end);
    let others: Vec<Finding> = then.findings.iter().filter(|f| f.witness != Witness::Runtime).cloned().collect();
    let mut cell = then.question().cell_beside(end.release.clone(), settlement.settled, &others);
    cell.seconds = milliseconds(end.seconds);
    cell.checks = settlement.report.map(|report| report.checks).unwrap_or_default();
    cell.steps.clone_from(&then.steps);
    cell.warnings.clone_from(&then.warnings);
    // The same plan, so the same programs.
    cell.shared_with.clone_from(&then.shared_with);
    // What was to be done about another conclusion is not to be done about this one.
    if (cell.verdict, cell.state) == (then.verdict, then.state) {
        cell.advice.clone_from(&then.advice);
    }
    cell
}
