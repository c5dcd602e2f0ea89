//! The ledger: all findings of one (kernel, bug), and the verdict they come to.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::evidence::{Finding, StateSet, Strength};
use crate::words::State;

/// A ledger's conclusion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The kernel has the bug.
    Affected,
    /// The kernel does not have the bug.
    NotAffected,
    /// The evidence does not say.
    Unknown,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Affected => "affected",
            Self::NotAffected => "not-affected",
            Self::Unknown => "unknown",
        })
    }
}

/// All findings of one (kernel, bug).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// The findings, in the order in which they came in.
    pub findings: Vec<Finding>,
}

/// What a ledger comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conclusion {
    /// Affected or not, or unknown.
    pub verdict: Verdict,
    /// The states that the findings leave possible; empty in a conflict that nothing decides.
    pub states: StateSet,
    /// Whether strong witnesses contradict each other.
    pub conflict: bool,
}

impl Conclusion {
    /// The state, named only where one remains.
    pub fn state(&self) -> Option<State> {
        self.states.only()
    }
}

impl Ledger {
    /// Weighs the findings.
    ///
    /// The states of all strong findings are intersected. Where nothing remains, witnesses contradict each other: a
    /// conflict, and what was seen to happen (a decisive finding) decides, or else nothing does. Weak findings
    /// narrow down what remains, in the order in which they came in, but only where they contradict nothing:
    /// a hint never makes a conflict, and never decides between affected and not alone against strong evidence.
    pub fn conclude(&self) -> Conclusion {
        let of = |least: Strength| self.findings.iter().filter(move |f| f.strength >= least);
        let strong = intersect(of(Strength::Strong), StateSet::all());
        let conflict = strong.is_empty();
        let firm = if conflict { intersect(of(Strength::Decisive), StateSet::all()) } else { strong };
        if conflict && firm == StateSet::all() {
            return Conclusion { verdict: Verdict::Unknown, states: StateSet::EMPTY, conflict };
        }
        let weak = self.findings.iter().filter(|f| f.strength == Strength::Weak);
        let states = weak.fold(firm, |left, finding| {
            let narrowed = left.and(finding.states);
            if narrowed.is_empty() { left } else { narrowed }
        });
        Conclusion { verdict: verdict(states), states, conflict }
    }
}

fn intersect<'a>(findings: impl Iterator<Item = &'a Finding>, start: StateSet) -> StateSet {
    findings.fold(start, |left, finding| left.and(finding.states))
}

fn verdict(states: StateSet) -> Verdict {
    if states.is_empty() {
        Verdict::Unknown
    } else if states.iter().all(State::is_affected) {
        Verdict::Affected
    } else if states.iter().any(State::is_affected) {
        Verdict::Unknown
    } else {
        Verdict::NotAffected
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::Witness;

    fn finding(witness: Witness, strength: Strength, states: &[State]) -> Finding {
        Finding {
            witness,
            states: states.iter().copied().collect(),
            strength,
            why: String::new(),
            artefacts: Vec::new(),
        }
    }

    #[test]
    fn findings_are_intersected_and_contradictions_are_conflicts() {
        use State::{Affected, Fixed, FixedWithDefect, HalfFixed, NeverHad};
        use Strength::{Decisive, Strong, Weak};
        use Witness::{Binary, Git, Runtime, Version};
        let stalls: &[State] = &[Affected, HalfFixed];
        let passes: &[State] = &[NeverHad, Fixed, FixedWithDefect];
        type Row<'a> = (&'a str, &'a [(Witness, Strength, &'a [State])], Verdict, Option<State>, bool);
        let table: &[Row] = &[
            ("nobody spoke", &[], Verdict::Unknown, None, false),
            ("a stall decides", &[(Runtime, Decisive, stalls)], Verdict::Affected, None, false),
            ("a pass", &[(Runtime, Strong, passes)], Verdict::NotAffected, None, false),
            (
                "a pass, and git names the state",
                &[(Runtime, Strong, passes), (Git, Strong, &[Fixed])],
                Verdict::NotAffected,
                Some(Fixed),
                false,
            ),
            (
                "a stall, and git narrows it down",
                &[(Runtime, Decisive, stalls), (Git, Strong, &[HalfFixed])],
                Verdict::Affected,
                Some(HalfFixed),
                false,
            ),
            (
                "a pass against strong git is unknown",
                &[(Runtime, Strong, passes), (Git, Strong, &[Affected])],
                Verdict::Unknown,
                None,
                true,
            ),
            (
                "a stall against strong git decides, and is a conflict",
                &[(Git, Strong, &[Fixed]), (Runtime, Decisive, stalls)],
                Verdict::Affected,
                None,
                true,
            ),
            (
                "strong witnesses against each other",
                &[(Git, Strong, &[Fixed]), (Binary, Strong, &[Affected])],
                Verdict::Unknown,
                None,
                true,
            ),
            (
                "a hint against a pass is not heard",
                &[(Version, Weak, &[Affected]), (Runtime, Strong, passes)],
                Verdict::NotAffected,
                None,
                false,
            ),
            ("a hint alone", &[(Version, Weak, &[Affected])], Verdict::Affected, Some(Affected), false),
            (
                "a hint narrows a conflict that was decided",
                &[(Git, Strong, &[Fixed]), (Runtime, Decisive, stalls), (Version, Weak, &[HalfFixed])],
                Verdict::Affected,
                Some(HalfFixed),
                true,
            ),
            ("a witness that sees nothing", &[(Git, Strong, &State::ALL)], Verdict::Unknown, None, false),
        ];
        for (name, findings, verdict, state, conflict) in table {
            let findings = findings.iter().map(|(w, s, states)| finding(*w, *s, states)).collect();
            let conclusion = Ledger { findings }.conclude();
            let got = (conclusion.verdict, conclusion.state(), conclusion.conflict);
            assert_eq!(got, (*verdict, *state, *conflict), "{name}");
        }
    }
}
