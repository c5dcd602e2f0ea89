//! A cell: one (kernel, bug, profile) of a run, how it ended, and whether that was expected.

use std::collections::BTreeMap;

use backproof_protocol::Check;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::autoload::Autoloaded;
use super::crash::CrashSeen;
use super::positive_control::ControlShown;
use super::reach::CellReach;
use super::retry::{CellFault, RetriedBoot};
use super::seeds::SeedCount;
use crate::verdict::{Boots, Case, Judgement, Question};
use crate::words::{BugId, Expectation, JobId, KernelName, Outcome, ProfileName};

/// One cell of the matrix, judged. This is what `cells[]` of matrix.json holds.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The kernel's name in the matrix.
    pub kernel: KernelName,
    /// The kernel's release (`uname -r`), if known.
    pub release: Option<String>,
    /// The bug.
    pub bug: BugId,
    /// Its profile.
    pub profile: ProfileName,
    /// How it ended.
    pub outcome: Outcome,
    /// What the matrix expects of the kernel, under its own settings.
    pub expect: Expectation,
    /// Whether the profile is said to mitigate the bug: then an affected kernel is expected to pass.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mitigates: bool,
    /// Whether it ended as expected.
    pub expected: bool,
    /// Whether the kernel is a control.
    #[serde(default)]
    pub control: bool,
    /// Whether a pass that no control proves was to be no answer (`--strict`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub strict: bool,
    /// What the case came to.
    #[serde(flatten)]
    pub judgement: Judgement,
    /// The boots that it took part in.
    #[serde(flatten)]
    pub trials: CellTrials,
}

/// The boots that a cell took part in, and what they showed beside the finding.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct CellTrials {
    /// Their wall time in seconds.
    pub seconds: f64,
    /// Their folders below the kernel's.
    #[serde(default)]
    pub boots: Vec<String>,
    /// What the reproducer tried, and what that showed.
    #[serde(default)]
    pub checks: Vec<Check>,
    /// The crash by which the bug showed, if the dossier describes one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub crash: Option<CrashSeen>,
    /// What the user's program said, truncated.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub said: Vec<String>,
    /// How long the job took in the guest that settled it, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guest_ms: Option<u64>,
    /// What broke, if there is no verdict because of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<CellFault>,
    /// The boots that broke and were repeated. The outcome is that of the second try.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub retried: Vec<RetriedBoot>,
    /// How a shared guest died, if none of its reproducers killed a guest alone. The verdict stands; the crash is
    /// unexplained.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unexplained: Option<String>,
    /// When its boots were made, if all were taken from the cache: the oldest, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cached: Option<Timestamp>,
    /// How a boot's transcript differs from that of a cached boot with the same inputs, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub differs: Option<String>,
    /// How many schedules showed the bug, if several were tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seeds: Option<SeedCount>,
    /// Other bugs whose programs shared the guest (`share-guest` of the matrix), and could have written this report.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shared_with: Vec<BugId>,
    /// How often functions of the kernel were entered while the reproducer ran, if asked for.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub reach: CellReach,
    /// What the positive control of a user's own reproducer showed, if it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive_control: Option<ControlShown>,
    /// The modules that it was booted with because its program made the kernel request them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub autoloaded: Option<Autoloaded>,
}

impl CellTrials {
    /// Whether a later boot repeated this one with modules that it lacked.
    pub fn is_repeated_with_modules(&self, boot: &str) -> bool {
        self.autoloaded.as_ref().is_some_and(|loaded| loaded.before.iter().any(|before| before == boot))
    }
}

impl Cell {
    /// Judges the case of this question.
    pub fn judged(question: &Question, release: Option<String>, case: Case<'_>, mut trials: CellTrials) -> Self {
        if matches!(case.boots, Boots::Broke(_) | Boots::NotReached(_)) {
            // Where no guest is to blame, it was not obtained, or not reached, or its reproducer missed the code.
            let other = if trials.boots.is_empty() { CellFault::Harness } else { CellFault::Reproducer };
            trials.fault = trials.fault.or(Some(other));
        }
        let (judgement, outcome, expected) = case.judge_cell(question);
        Self {
            kernel: question.kernel.clone(),
            release,
            bug: question.job.bug.clone(),
            profile: question.job.profile.clone(),
            outcome,
            expect: question.expect,
            mitigates: question.mitigates,
            expected,
            control: question.control,
            strict: question.strict,
            judgement,
            trials,
        }
    }

    /// Whether it has a verdict only because a broken boot was repeated.
    pub fn is_flaky(&self) -> bool {
        !self.trials.retried.is_empty() && matches!(self.outcome, Outcome::Pass | Outcome::Fail)
    }

    /// Which strong witnesses contradict each other, if any.
    pub fn conflict_complaint(&self) -> Option<String> {
        self.judgement.contradiction().map(|who| format!("{} {}: {who}", self.kernel, self.job()))
    }

    /// The bug and the profile.
    pub fn job(&self) -> JobId {
        JobId { bug: self.bug.clone(), profile: self.profile.clone() }
    }

    /// Its question, for a replay.
    pub fn question(&self) -> Question {
        Question {
            kernel: self.kernel.clone(),
            job: self.job(),
            expect: self.expect,
            mitigates: self.mitigates,
            control: self.control,
            strict: self.strict,
        }
    }
}

#[cfg(test)]
#[path = "cell_tests.rs"]
pub(super) mod tests;
