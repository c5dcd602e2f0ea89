//! The judgement of a case, which all commands use and all reports show.

use serde::{Deserialize, Serialize};

use super::ledger::contradiction;
use super::{Advice, Verdict};
use crate::evidence::git::StepFound;
use crate::evidence::{Finding, Witness};
use crate::exit::Exit;
use crate::words::State;

/// The judgement of a case. Only [`Case::judge`](super::Case::judge) makes one, and only the paths of its artefacts
/// change afterwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// Affected, not affected, or unknown, under the cell's profile.
    pub verdict: Verdict,
    /// The kernel's state, if exactly one remains. None if the verdict is due to the profile.
    pub state: Option<State>,
    /// Whether only a hint names the state: a release, for example, beside a boot.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub state_guessed: bool,
    /// Whether the kernel has the bug, but the profile keeps it from showing. Then the verdict is not the kernel's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mitigated: bool,
    /// Whether `not-affected` rests on the silence of a reproducer that never proved that it sees the bug.
    #[serde(default)]
    pub unproven: bool,
    /// Whether strong witnesses contradict each other.
    pub conflict: bool,
    /// All findings.
    pub findings: Vec<Finding>,
    /// The witnesses whose findings contradict the judgement: in a conflict, or as an ignored hint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub against: Vec<Witness>,
    /// git's finding for each step of the bug's chain, if it was asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepFound>,
    /// git's warnings, such as a later commit that fixes a step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What to do.
    #[serde(default)]
    pub advice: Vec<Advice>,
    /// Why there is no verdict, or why nothing was run.
    pub reason: Option<String>,
}

/// The verdict on a kernel in this state.
fn verdict_of(state: State) -> Verdict {
    if state.is_affected() { Verdict::Affected } else { Verdict::NotAffected }
}

impl Judgement {
    /// The exit of a command with this judgement. A bug that does not count (no fix exists, and the user didn't name
    /// it) changes the exit code only by a conflict.
    pub fn exit(&self, counts: bool) -> Exit {
        match self.verdict {
            _ if self.conflict => Exit::Affected,
            Verdict::Affected if counts => Exit::Affected,
            Verdict::Unknown if counts => Exit::NoVerdict,
            _ => Exit::Clean,
        }
    }

    /// Whether the kernel is affected, but the exit code does not show it, because the bug does not count.
    pub fn is_left_out(&self, counts: bool) -> bool {
        self.verdict == Verdict::Affected && self.exit(counts) == Exit::Clean
    }

    /// The contradiction between strong witnesses, if any: `runtime says affected, git says fixed`.
    pub fn contradiction(&self) -> Option<String> {
        self.conflict.then(|| contradiction(&self.findings))
    }

    /// Whether this finding contradicts the judgement.
    pub fn is_against(&self, finding: &Finding) -> bool {
        self.against.contains(&finding.witness)
    }

    /// The finding that supports the verdict best: the strongest that leaves no other verdict, and of several the one
    /// closest to the kernel itself.
    pub fn surest(&self) -> Option<&Finding> {
        let carried = |finding: &&Finding| {
            let all = if self.mitigated { Verdict::Affected } else { self.verdict };
            !finding.states.is_empty() && finding.states.iter().all(|state| all == verdict_of(state))
        };
        self.findings.iter().filter(carried).max_by_key(|finding| (finding.strength, finding.witness))
    }

    /// The qualifier of a good verdict: the profile hides the bug, or nothing proves the silence.
    pub fn qualifier(&self) -> Option<&'static str> {
        match self {
            Self { mitigated: true, .. } => Some("mitigated"),
            Self { unproven: true, .. } => Some("unproven"),
            _ => None,
        }
    }

    /// Names a file in the run's folder that shows what a witness found.
    pub fn add_artefact(&mut self, witness: Witness, path: &str) {
        for finding in self.findings.iter_mut().filter(|finding| finding.witness == witness) {
            finding.artefacts.push(path.to_owned());
        }
    }
}
