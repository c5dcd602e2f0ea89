//! The difference of a candidate from its baseline, as far as a known bug may depend on it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::evidence::binary::{Binary, BinaryError};
use crate::kernel::{Kernel, KernelConfig, Store};
use crate::matrix::{Bug, Measure};
use crate::run::{Cell, LookCache};
use crate::verdict::Verdict;
use crate::words::{BugId, JobId, Outcome, ProfileName, State};

/// The most names of modules to list.
const MOST_MODULES: usize = 50;

/// How the candidate differs from the baseline.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Difference {
    /// The cells whose outcome, verdict or state differs.
    pub cells: Vec<CellChange>,
    /// Figures of the reproducers that differ, by bug, check and figure.
    pub counters: Vec<CounterChange>,
    /// Configuration options that dossiers name, and that differ.
    pub config: Vec<ConfigChange>,
    /// The baseline's modules that the candidate doesn't have, neither as modules nor built in.
    pub modules_gone: Vec<String>,
    /// How many more there are than are listed.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_modules_gone: usize,
    /// Functions that dossiers name, and whose size differs.
    pub functions: Vec<FunctionSize>,
    /// What could not be compared, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_compared: Vec<String>,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// A cell that differs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CellChange {
    /// The bug.
    pub bug: BugId,
    /// The profile.
    pub profile: ProfileName,
    /// The baseline's.
    pub baseline: CellWords,
    /// The candidate's.
    pub candidate: CellWords,
}

/// What a cell came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellWords {
    /// Its outcome.
    pub outcome: Outcome,
    /// Its verdict.
    pub verdict: Verdict,
    /// Its state, if exactly one remains.
    pub state: Option<State>,
}

/// A figure of a reproducer's check that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CounterChange {
    /// The bug.
    pub bug: BugId,
    /// The check.
    pub check: String,
    /// The figure.
    pub figure: String,
    /// The baseline's; null if that kernel doesn't provide it.
    pub baseline: Option<i64>,
    /// The candidate's.
    pub candidate: Option<i64>,
}

/// A configuration option that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigChange {
    /// The option, with `CONFIG_`.
    pub option: String,
    /// Whether the baseline has it; null if unknown.
    pub baseline: Option<bool>,
    /// Whether the candidate has it.
    pub candidate: Option<bool>,
    /// The bugs whose dossiers name it.
    pub bugs: Vec<BugId>,
}

/// A function's size in bytes of machine code, with the parts and clones that the compiler made of it. Null if it is not
/// there: inlined, or not compiled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionSize {
    /// The function.
    pub function: String,
    /// The baseline's.
    pub baseline: Option<u64>,
    /// The candidate's.
    pub candidate: Option<u64>,
}

/// The parts of a kernel that are compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KernelParts {
    /// Whether it has the wanted options; null for one of which nothing is known.
    config: Option<BTreeMap<String, Option<bool>>>,
    modules: Option<BTreeSet<String>>,
    /// The sizes of the wanted functions, or why they are unknown.
    functions: Result<BTreeMap<String, Option<u64>>, String>,
}

impl CellChange {
    /// The bug and the profile.
    pub fn job(&self) -> JobId {
        JobId { bug: self.bug.clone(), profile: self.profile.clone() }
    }
}

impl CellWords {
    /// Outcome and state, or verdict.
    pub fn says(&self) -> String {
        match self.state {
            Some(state) => format!("{} ({state})", self.outcome),
            None => format!("{} ({})", self.outcome, self.verdict),
        }
    }
}

impl KernelParts {
    /// The parts of an obtained kernel that these bugs may depend on. Unpacks its image, unless they are kept in the store.
    pub fn of(kernel: &Kernel, bugs: &[&Bug], store: &Store) -> Self {
        let functions: BTreeSet<&str> =
            bugs.iter().flat_map(|bug| &bug.binary).map(|signature| signature.function.as_str()).collect();
        let options: BTreeSet<&str> = bugs.iter().flat_map(|bug| options(bug)).collect();
        let kept = LookCache::of(store, kernel);
        let wanted = format!("parts {functions:?} {options:?}");
        if let Some(parts) = kept.as_ref().and_then(|kept| kept.read(&wanted)) {
            return parts;
        }
        let binary = Binary::open(&kernel.image);
        // A file that cannot be read now may be readable next time.
        let is_lasting = !matches!(binary, Err(BinaryError::Io(_)));
        let parts = Self::read(kernel, binary, &functions, &options);
        if let Some(kept) = kept.filter(|_| is_lasting) {
            kept.write(&wanted, &parts);
        }
        parts
    }

    fn read(
        kernel: &Kernel,
        binary: Result<Binary, BinaryError>,
        functions: &BTreeSet<&str>,
        options: &BTreeSet<&str>,
    ) -> Self {
        let binary = binary.map_err(|error| error.to_string());
        let embedded = binary.as_ref().ok().and_then(|binary| binary.config().cloned());
        let functions = binary.and_then(|binary| {
            let size = |name: &&str| Ok((name.to_string(), binary.function_size(name)?));
            functions.iter().map(size).collect()
        });
        let config = embedded.as_ref().or(kernel.config.as_ref()).map(|config| has(config, options));
        Self { config, modules: kernel.module_names(), functions }
    }
}

impl Difference {
    /// Compares the cells of both kernels, and their parts.
    pub fn between(baseline: (&[&Cell], &KernelParts), candidate: (&[&Cell], &KernelParts), bugs: &[&Bug]) -> Self {
        let ((old_cells, old), (new_cells, new)) = (baseline, candidate);
        let mut difference = Self::default();
        for cell in new_cells {
            if let Some(before) = old_cells.iter().find(|other| other.job() == cell.job()) {
                difference.compare_cells(before, cell);
            }
        }
        difference.compare_config(old, new, bugs);
        difference.compare_modules(old, new);
        match (&old.functions, &new.functions) {
            (Ok(old), Ok(new)) => {
                let size = |of: &BTreeMap<String, Option<u64>>, name: &str| of.get(name).copied().flatten();
                let changed = new.keys().filter(|name| size(old, name) != size(new, name));
                difference.functions = changed
                    .map(|name| FunctionSize {
                        function: name.clone(),
                        baseline: size(old, name),
                        candidate: size(new, name),
                    })
                    .collect();
            }
            (Err(why), _) => difference.not_compared.push(format!("functions: of the baseline, {why}")),
            (_, Err(why)) => difference.not_compared.push(format!("functions: of the candidate, {why}")),
        }
        difference
    }

    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        let Self { cells, counters, config, modules_gone, functions, .. } = self;
        cells.is_empty() && counters.is_empty() && config.is_empty() && modules_gone.is_empty() && functions.is_empty()
    }

    fn compare_cells(&mut self, before: &Cell, now: &Cell) {
        let words = |cell: &Cell| CellWords {
            outcome: cell.outcome,
            verdict: cell.judgement.verdict,
            state: cell.judgement.state,
        };
        let JobId { bug, profile } = now.job();
        if words(before) != words(now) {
            self.cells.push(CellChange { bug: bug.clone(), profile, baseline: words(before), candidate: words(now) });
        }
        for check in &now.trials.checks {
            let Some(old) = before.trials.checks.iter().find(|old| old.name == check.name) else { continue };
            let figures: BTreeSet<&String> = old.facts.keys().chain(check.facts.keys()).collect();
            for figure in figures {
                let of = |facts: &BTreeMap<String, Option<i64>>| facts.get(figure).copied().flatten();
                let (baseline, candidate) = (of(&old.facts), of(&check.facts));
                // A figure varies from boot to boot; that one kernel does not have it, or has it at zero, does not.
                if baseline.is_some_and(|n| n != 0) != candidate.is_some_and(|n| n != 0) {
                    let (bug, check, figure) = (bug.clone(), check.name.clone(), figure.clone());
                    self.counters.push(CounterChange { bug, check, figure, baseline, candidate });
                }
            }
        }
    }

    fn compare_config(&mut self, old: &KernelParts, new: &KernelParts, bugs: &[&Bug]) {
        let (Some(before), Some(now)) = (&old.config, &new.config) else {
            let whose = if old.config.is_none() { "the baseline" } else { "the candidate" };
            self.not_compared.push(format!("configuration: {whose} comes without one"));
            return;
        };
        let mut named: BTreeMap<&str, Vec<BugId>> = BTreeMap::new();
        for bug in bugs {
            for option in options(bug) {
                let bugs = named.entry(option).or_default();
                if !bugs.contains(&bug.id) {
                    bugs.push(bug.id.clone());
                }
            }
        }
        for (option, bugs) in named {
            let [baseline, candidate] = [before, now].map(|config| config.get(option).copied().flatten());
            if baseline != candidate {
                self.config.push(ConfigChange { option: option.to_owned(), baseline, candidate, bugs });
            }
        }
    }

    fn compare_modules(&mut self, old: &KernelParts, new: &KernelParts) {
        let (Some(before), Some(now)) = (&old.modules, &new.modules) else {
            let whose = if old.modules.is_none() { "the baseline" } else { "the candidate" };
            self.not_compared.push(format!("modules: {whose} comes without any"));
            return;
        };
        let mut gone: Vec<String> = before.difference(now).cloned().collect();
        self.more_modules_gone = gone.len().saturating_sub(MOST_MODULES);
        gone.truncate(MOST_MODULES);
        self.modules_gone = gone;
    }
}

/// Whether a configuration has these options.
fn has(config: &KernelConfig, options: &BTreeSet<&str>) -> BTreeMap<String, Option<bool>> {
    let has = |option: &str| {
        let name = option.strip_prefix("CONFIG_").unwrap_or(option);
        if config.is_set(name) { Some(true) } else { config.unset(name).map(|_| false) }
    };
    options.iter().map(|option| ((*option).to_owned(), has(option))).collect()
}

/// The options that a dossier names.
fn options(bug: &Bug) -> Vec<&str> {
    let needed = bug.reproducer.iter().flat_map(|reproducer| &reproducer.needs.config);
    let mitigating = bug.mitigations.iter().filter_map(|mitigation| match &mitigation.measure {
        Measure::Config(options) => Some(options),
        Measure::Sysctls { .. } | Measure::Modules(_) | Measure::Cmdline(_) => None,
    });
    bug.applies_if.iter().chain(needed).chain(mitigating.flatten()).map(String::as_str).collect()
}

#[cfg(test)]
#[path = "difference_tests.rs"]
mod tests;
