//! Answers "is this kernel affected?" about whatever a kernel is known by: a release, a package, an image, a source
//! tree, a commit. Nothing is booted here; what only a boot can settle is said.

mod advice;
mod look;
mod subject;

use serde::Serialize;

pub use advice::{Advice, AdviceKind};
pub use look::{Asked, Booted, Fetch, Looked};
pub use subject::{Subject, Unclear};

use crate::evidence::git::StepFound;
use crate::evidence::{Finding, Strength};
use crate::matrix::Bug;
use crate::verdict::{Conclusion, Ledger, Verdict};
use crate::words::{BugId, State};

/// The version of [`Answers`]' shape.
pub const SCHEMA_VERSION: u32 = 1;

/// All that was asked about, answered. This is what `backproof affected --format json` prints; docs/affected.md has its
/// reference.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answers {
    /// [`SCHEMA_VERSION`].
    pub schema_version: u32,
    /// One answer each, in the order in which they were asked.
    pub subjects: Vec<Answer>,
    /// How many answers of (subject, bug) ended how.
    pub summary: Summary,
    /// What the process exits with: 0 not affected, 1 affected or in conflict, 3 no verdict. 1 wins over 3, and 3 over 0.
    pub exit_code: u8,
}

/// The answer about one subject.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Answer {
    /// The subject, as it was given.
    pub subject: String,
    /// What it was understood as, in words; none where nothing could be made of it.
    pub understood: Option<String>,
    /// Why nothing, or not all, could be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// The answer for each bug.
    pub bugs: Vec<BugAnswer>,
}

/// The answer about one subject and one bug.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct BugAnswer {
    /// The bug.
    pub bug: BugId,
    /// Affected, not affected, unknown.
    pub verdict: Verdict,
    /// Where in the chain the kernel stands, where exactly one state remains.
    pub state: Option<State>,
    /// Whether strong witnesses contradict each other.
    pub conflict: bool,
    /// What each witness says.
    pub findings: Vec<Finding>,
    /// What git found of each step of the chain, where a revision was asked about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepFound>,
    /// What git found that people should know: a later commit that fixes a step, say.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// What to do.
    pub advice: Vec<Advice>,
}

/// How many answers ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// (subject, bug)s that are affected.
    pub affected: usize,
    /// (subject, bug)s that are not.
    pub not_affected: usize,
    /// (subject, bug)s without a verdict.
    pub unknown: usize,
    /// Those of all whose strong witnesses contradict each other.
    pub conflicts: usize,
}

impl BugAnswer {
    /// The answer that these findings come to. `settle` says what could be given to know more.
    pub fn of(bug: &Bug, ledger: Ledger, upgrade: Option<Advice>, settle: &str) -> Self {
        Self::concluded(bug, ledger.conclude(), ledger, upgrade, settle)
    }

    /// The answer where hints are not heard, because a boot was to settle it and broke.
    pub fn without_hints(bug: &Bug, ledger: Ledger, upgrade: Option<Advice>, settle: &str) -> Self {
        let strong = ledger.findings.iter().filter(|finding| finding.strength > Strength::Weak).cloned().collect();
        Self::concluded(bug, Ledger { findings: strong }.conclude(), ledger, upgrade, settle)
    }

    fn concluded(bug: &Bug, conclusion: Conclusion, ledger: Ledger, upgrade: Option<Advice>, settle: &str) -> Self {
        let advice = advice::advice(bug, &conclusion, upgrade, settle);
        Self {
            bug: bug.id.clone(),
            verdict: conclusion.verdict,
            state: conclusion.state(),
            conflict: conclusion.conflict,
            findings: ledger.findings,
            steps: Vec::new(),
            warnings: Vec::new(),
            advice,
        }
    }
}

impl Answers {
    /// The document of these answers.
    pub fn of(subjects: Vec<Answer>) -> Self {
        let mut summary = Summary::default();
        for answer in subjects.iter().flat_map(|subject| &subject.bugs) {
            match answer.verdict {
                Verdict::Affected => summary.affected += 1,
                Verdict::NotAffected => summary.not_affected += 1,
                Verdict::Unknown => summary.unknown += 1,
            }
            summary.conflicts += usize::from(answer.conflict);
        }
        let exit_code = match summary {
            Summary { affected: 1.., .. } | Summary { conflicts: 1.., .. } => 1,
            Summary { unknown: 1.., .. } => 3,
            _ if subjects.iter().any(|subject| subject.bugs.is_empty()) => 3,
            _ => 0,
        };
        Self { schema_version: SCHEMA_VERSION, subjects, summary, exit_code }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn affected_wins_over_no_verdict_and_no_verdict_over_a_clean_bill() {
        let answer = |verdict, conflict| BugAnswer {
            bug: "a-bug".parse().expect("a name"),
            verdict,
            state: None,
            conflict,
            findings: Vec::new(),
            steps: Vec::new(),
            warnings: Vec::new(),
            advice: Vec::new(),
        };
        let (bad, good, none) = (Verdict::Affected, Verdict::NotAffected, Verdict::Unknown);
        for (verdicts, code) in [
            (&[(good, false)][..], 0),
            (&[(good, false), (none, false)], 3),
            (&[(none, false), (bad, false), (good, false)], 1),
            (&[(none, true)], 1),
            (&[(good, true)], 1),
            (&[], 3),
        ] {
            let bugs: Vec<_> = verdicts.iter().map(|(verdict, conflict)| answer(*verdict, *conflict)).collect();
            let subject = Answer { subject: "x".to_owned(), understood: None, problem: None, bugs };
            assert_eq!(Answers::of(vec![subject]).exit_code, code, "{verdicts:?}");
        }
    }
}
