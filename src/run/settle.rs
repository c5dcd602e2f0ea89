//! Settles the cells of one kernel, without a boot or by its guests' reports.

use std::collections::BTreeMap;

use backproof_protocol::{Check, Conclusion};

use super::boot_end::{BootEnd, WireRecord};
use super::boots::milliseconds;
use super::cell::{Cell, CellTrials};
use crate::evidence::Witness;
use crate::evidence::exhibits::Said;
use crate::evidence::runtime::{Ran, Testimony, beside_counters, weigh};
use crate::kernel::{Kernel, Module, ModulesError};
use crate::matrix::{Bug, Needs, TellingString};
use crate::verdict::{Boots, Case};
use crate::words::{BugId, JobId};

/// Whether a reproducer applies to a kernel, as far as its packages tell.
pub enum Applies {
    /// It has to be booted.
    Yes,
    /// It lacks what the reproducer needs: why.
    No(String),
}

/// Kernel options that every guest needs: the console is on ttyS0, and the agent on ttyS1.
const SERIAL: [&str; 2] = ["SERIAL_8250", "SERIAL_8250_CONSOLE"];

/// Whether the kernel's configuration has what a reproducer needs. Without a configuration the guest decides.
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

/// The modules that these bugs need, in load order. Settles bugs without them: skip if the kernel lacks a module, error if
/// it cannot be read.
pub fn modules(kernel: &Kernel, bugs: &[(&BugId, &Needs)]) -> (Vec<Module>, BTreeMap<BugId, Boots>) {
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
                without.insert((*bug).clone(), Boots::Inapplicable { reason: error.to_string(), allowed: false });
            }
            Err(error) => {
                without.insert((*bug).clone(), Boots::Broke(format!("{:#}", anyhow::Error::new(error))));
            }
        }
    }
    (loaded, without)
}

/// How a guest's report settles a job.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// What became of the boots.
    pub boots: Boots,
    /// The checks of the report that settled it.
    pub checks: Vec<Check>,
    /// What the wire saw.
    pub wire: WireRecord,
}

/// Settles a job by a boot of its reproducer, and by the counters that tell of the bug.
///
/// If a guest died, its reports don't count: a kernel that panics after a good report is not good.
pub fn by_boot(job: &JobId, ran: Ran<'_>, strings: &[TellingString], end: &BootEnd) -> Settlement {
    let id = job.to_string();
    let report = end.reports.iter().find(|report| report.job == id).cloned();
    let boots = match (&end.failure, &report) {
        (Some(failure), _) => Boots::Broke(failure.clone()),
        (None, None) => Boots::Broke("the agent ended without a report of this reproducer".to_owned()),
        (None, Some(report)) => match weigh(report, ran) {
            Testimony::Finding(finding) => Boots::Showed(beside_counters(finding, strings, &end.counters)),
            Testimony::NotApplicable(reason) => Boots::Inapplicable { reason, allowed: false },
            Testimony::Broken(reason) => Boots::Broke(match &end.busy {
                // A busy host cannot explain a report that contradicts its checks.
                Some(busy) if report.conclusion == Conclusion::Error => format!("{reason}; {busy}"),
                _ => reason,
            }),
        },
    };
    let wire = end.wire.get(&id).cloned().unwrap_or_default();
    Settlement { boots, checks: report.map(|report| report.checks).unwrap_or_default(), wire }
}

/// Judges a cell again by a replayed boot. The other witnesses' findings stay.
pub fn judge_again(then: &Cell, ran: Ran<'_>, bug: Option<&Bug>, end: &BootEnd) -> Cell {
    let question = then.question();
    let strings = bug.map_or(&[][..], |bug| &bug.strings);
    let settlement = by_boot(&question.job, ran, strings, end);
    let findings = then.judgement.findings.iter().filter(|finding| finding.witness != Witness::Runtime).cloned();
    let said = Said {
        findings: findings.collect(),
        steps: then.judgement.steps.clone(),
        warnings: then.judgement.warnings.clone(),
        ..Said::default()
    };
    let case = Case { bug, said, boots: settlement.boots, release: None, earlier: Some(&then.judgement) };
    let trials = CellTrials {
        seconds: milliseconds(end.seconds),
        checks: settlement.checks,
        // The same plan, so the same programs.
        shared_with: then.trials.shared_with.clone(),
        ..CellTrials::default()
    };
    Cell::judged(&question, end.release.clone(), case, trials)
}
