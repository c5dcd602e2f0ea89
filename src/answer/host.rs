//! The document about a host: the reading, its meaning, and the witnesses' findings about its kernel.

use serde::{Deserialize, Serialize, Serializer};

use crate::exit::Exit;
use crate::host::{Bitten, BittenAnswer, HostFacts, HostReading, Namespace};
use crate::verdict::{Judgement, Verdict};
use crate::words::BugId;

/// The version of the JSON document's shape.
pub const HOST_SCHEMA_VERSION: u32 = 1;

/// The output of `backproof host --format json`; docs/host.md explains its fields.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostDocument {
    /// [`HOST_SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// The machine.
    pub host: HostFacts,
    /// Its network namespaces.
    pub namespaces: Vec<Namespace>,
    /// The results for each bug.
    pub bugs: Vec<HostBug>,
}

/// The results for one bug on a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostBug {
    /// The bug.
    pub bug: BugId,
    /// Whether the host has been bitten; null for a bug without known traces.
    pub bitten: Option<BittenAnswer>,
    /// The evidence for it.
    pub evidence: Vec<String>,
    /// Remedies: they free or prevent stuck connections.
    pub remedies: Vec<String>,
    /// The judgement of the kernel; null fields if no witness was asked.
    #[serde(flatten, serialize_with = "judgement_or_nulls")]
    pub judgement: Option<Judgement>,
    /// Whether it counts for the exit code: see [`HostDocument::leaving_out`].
    #[serde(default = "counts")]
    pub counts: bool,
    /// Why the probe gave no finding; null if it did, or was not requested.
    pub not_probed: Option<String>,
}

/// Why probes gave no finding.
pub type NotProbed = [(BugId, String)];

impl HostDocument {
    /// Combines the reading, its meaning, and the witnesses' findings about the kernel.
    pub fn new(
        reading: HostReading,
        bitten: Vec<Bitten>,
        judged: &[(BugId, Judgement)],
        not_probed: &NotProbed,
    ) -> Self {
        let judgement = |bug: &BugId| judged.iter().find(|(id, _)| id == bug).map(|(_, judgement)| judgement);
        let under_judgement = |mut bitten: Bitten| {
            if let Some(judgement) = judgement(&bitten.bug).filter(|it| it.verdict == Verdict::NotAffected) {
                bitten.though_not_affected(judgement.state, &reading);
            }
            HostBug::of(bitten)
        };
        let mut bugs: Vec<HostBug> = bitten.into_iter().map(under_judgement).collect();
        let spoken = judged.iter().map(|(bug, _)| bug).chain(not_probed.iter().map(|(bug, _)| bug));
        for bug in spoken {
            if bugs.iter().all(|known| known.bug != *bug) {
                bugs.push(HostBug::named(bug.clone()));
            }
        }
        for bug in &mut bugs {
            bug.judgement = judgement(&bug.bug).cloned();
            bug.not_probed = not_probed.iter().find(|(id, _)| *id == bug.bug).map(|(_, why)| why.clone());
        }
        bugs.sort_by_key(|bug| !bug.judgement.as_ref().is_some_and(|judgement| judgement.conflict));
        Self { schema_version: HOST_SCHEMA_VERSION, host: reading.host, namespaces: reading.namespaces, bugs }
    }

    /// Leaves bugs out of the exit code: those without a fix that nobody named, because every kernel has them.
    #[must_use]
    pub fn leaving_out(mut self, bugs: &[BugId]) -> Self {
        for bug in self.bugs.iter_mut().filter(|bug| bugs.contains(&bug.bug)) {
            bug.counts = false;
        }
        self
    }

    /// The exit by the bugs that count: 1 if the kernel is affected or strong witnesses contradict each other, 3 if nothing
    /// was read or a question has no answer, else 0. Without witnesses, the traces of a bug are no verdict on the kernel.
    pub fn exit(&self) -> Exit {
        let nothing =
            self.host.release.is_none() && self.namespaces.iter().all(|n| n.counters.is_none() && n.sockets.is_none());
        let mut asked = self.bugs.iter().filter(|bug| bug.counts).peekable();
        let none_answered = asked.peek().is_some()
            && asked.all(|bug| bug.judgement.is_none() && bug.bitten == Some(BittenAnswer::Unknown));
        let whole = if nothing || none_answered { Exit::NoVerdict } else { Exit::Clean };
        self.bugs.iter().map(HostBug::exit).fold(whole, Exit::and)
    }
}

impl HostBug {
    fn named(bug: BugId) -> Self {
        Self {
            bug,
            bitten: None,
            evidence: Vec::new(),
            remedies: Vec::new(),
            judgement: None,
            counts: true,
            not_probed: None,
        }
    }

    /// The exit code of this bug alone.
    fn exit(&self) -> Exit {
        let probed = if self.counts && self.not_probed.is_some() { Exit::NoVerdict } else { Exit::Clean };
        self.judgement.as_ref().map_or(Exit::Clean, |judgement| judgement.exit(self.counts)).and(probed)
    }

    fn of(bitten: Bitten) -> Self {
        let Bitten { bug, bitten, evidence, remedies } = bitten;
        Self { bitten: Some(bitten), evidence, remedies, ..Self::named(bug) }
    }
}

/// A judgement, or the fields that readers look for if there is none.
fn judgement_or_nulls<S: Serializer>(judgement: &Option<Judgement>, serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct NotJudged {
        verdict: Option<Verdict>,
        state: Option<()>,
        conflict: bool,
        findings: [(); 0],
    }
    match judgement {
        Some(judgement) => judgement.serialize(serializer),
        None => NotJudged { verdict: None, state: None, conflict: false, findings: [] }.serialize(serializer),
    }
}

/// The value in documents that predate the field.
fn counts() -> bool {
    true
}

#[cfg(test)]
#[path = "host_tests.rs"]
mod tests;
