//! What was found on a host, put together: what was read, what it means, and what the witnesses say of its kernel.

use serde::{Deserialize, Serialize};

use crate::evidence::Finding;
use crate::host::{Bitten, BittenAnswer, HostFacts, HostReading, Namespace};
use crate::verdict::{Ledger, Verdict};
use crate::words::{BugId, State};

/// The version of the JSON document's shape.
pub const HOST_SCHEMA_VERSION: u32 = 1;

/// What `backproof host --format json` prints. docs/host.md tells its fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostDocument {
    /// [`HOST_SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// The machine.
    pub host: HostFacts,
    /// Its network namespaces.
    pub namespaces: Vec<Namespace>,
    /// What is known of each bug.
    pub bugs: Vec<HostBug>,
}

/// What is known of one bug on a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostBug {
    /// The bug.
    pub bug: BugId,
    /// Whether the host has been bitten; null for a bug that leaves no traces that are known.
    pub bitten: Option<BittenAnswer>,
    /// What that stands on.
    pub evidence: Vec<String>,
    /// What would free what is stuck, or keep it from happening.
    pub remedies: Vec<String>,
    /// What the witnesses say of the kernel; null where none was asked.
    pub verdict: Option<Verdict>,
    /// The kernel's state, where one remains.
    pub state: Option<State>,
    /// Whether only a hint names the state, beside witnesses of the kernel itself that leave it open.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub state_guessed: bool,
    /// Whether strong witnesses contradict each other.
    pub conflict: bool,
    /// Whether it counts for the exit code: see [`HostDocument::leaving_out`].
    #[serde(default = "counts")]
    pub counts: bool,
    /// Everything that the witnesses say.
    pub findings: Vec<Finding>,
    /// Why the reproducer that was to run here gave no finding; null where it did, or was not asked.
    pub not_probed: Option<String>,
}

/// Why reproducers that were to run on the host gave no finding.
pub type NotProbed = [(BugId, String)];

impl HostDocument {
    /// Puts together what was read, what it means, and what the witnesses say of the kernel.
    pub fn new(
        reading: HostReading,
        bitten: Vec<Bitten>,
        verdicts: &[(BugId, Ledger)],
        not_probed: &NotProbed,
    ) -> Self {
        let concluded = |bug: &BugId| verdicts.iter().find(|(id, _)| id == bug).map(|(_, ledger)| ledger.conclude());
        let under_verdict = |mut bitten: Bitten| {
            if let Some(conclusion) = concluded(&bitten.bug).filter(|it| it.verdict == Verdict::NotAffected) {
                bitten.though_not_affected(conclusion.state(), &reading);
            }
            HostBug::of(bitten)
        };
        let mut bugs: Vec<HostBug> = bitten.into_iter().map(under_verdict).collect();
        let spoken = verdicts.iter().map(|(bug, _)| bug).chain(not_probed.iter().map(|(bug, _)| bug));
        for bug in spoken {
            if bugs.iter().all(|known| known.bug != *bug) {
                bugs.push(HostBug::named(bug.clone()));
            }
        }
        for bug in &mut bugs {
            if let Some((_, ledger)) = verdicts.iter().find(|(id, _)| *id == bug.bug) {
                let conclusion = ledger.conclude();
                bug.verdict = Some(conclusion.verdict);
                bug.state = conclusion.state();
                bug.state_guessed = conclusion.guessed && bug.state.is_some();
                bug.conflict = conclusion.conflict;
                bug.findings.clone_from(&ledger.findings);
            }
            bug.not_probed = not_probed.iter().find(|(id, _)| *id == bug.bug).map(|(_, why)| why.clone());
        }
        bugs.sort_by_key(|bug| !bug.conflict);
        Self { schema_version: HOST_SCHEMA_VERSION, host: reading.host, namespaces: reading.namespaces, bugs }
    }

    /// The document in which these bugs do not count for the exit code: those that nobody has repaired, and that nobody
    /// asked about by name. No kernel is free of them.
    #[must_use]
    pub fn leaving_out(mut self, bugs: &[BugId]) -> Self {
        for bug in self.bugs.iter_mut().filter(|bug| bugs.contains(&bug.bug)) {
            bug.counts = false;
        }
        self
    }

    /// By the bugs that count: 1 where the kernel is affected or strong witnesses contradict each other, 3 where nothing was read or what was
    /// asked has no answer, else 0. Without witnesses, the traces of a bug are no verdict on the kernel.
    pub fn exit_code(&self) -> u8 {
        let affected = |bug: &HostBug| bug.conflict || bug.counts && bug.verdict == Some(Verdict::Affected);
        let unanswered =
            |bug: &HostBug| bug.counts && (bug.not_probed.is_some() || bug.verdict == Some(Verdict::Unknown));
        let nothing =
            self.host.release.is_none() && self.namespaces.iter().all(|n| n.counters.is_none() && n.sockets.is_none());
        let mut asked = self.bugs.iter().filter(|bug| bug.counts).peekable();
        let none_answered = asked.peek().is_some()
            && asked.all(|bug| bug.verdict.is_none() && bug.bitten == Some(BittenAnswer::Unknown));
        match () {
            () if self.bugs.iter().any(affected) => 1,
            () if nothing || none_answered || self.bugs.iter().any(unanswered) => 3,
            () => 0,
        }
    }
}

impl HostBug {
    fn named(bug: BugId) -> Self {
        Self {
            bug,
            bitten: None,
            evidence: Vec::new(),
            remedies: Vec::new(),
            verdict: None,
            state: None,
            state_guessed: false,
            conflict: false,
            counts: true,
            findings: Vec::new(),
            not_probed: None,
        }
    }

    fn of(bitten: Bitten) -> Self {
        let Bitten { bug, bitten, evidence, remedies } = bitten;
        Self { bitten: Some(bitten), evidence, remedies, ..Self::named(bug) }
    }
}

/// What a document of before there was a choice means.
fn counts() -> bool {
    true
}

#[cfg(test)]
#[path = "host_tests.rs"]
mod tests;
