//! The ledger: all findings of one (kernel, bug), and the verdict they come to.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::evidence::{Finding, StateSet, Strength, Witness};
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
    /// The states that the findings leave possible, hints among them; empty in a conflict that nothing decides.
    pub states: StateSet,
    /// The states that are left without the hints.
    pub firm: StateSet,
    /// Whether strong witnesses contradict each other.
    pub conflict: bool,
    /// Whether the kernel has the bug and the cell's profile keeps it from showing: the verdict then holds under that
    /// profile, and the states are the kernel's.
    pub mitigated: bool,
    /// Whether a reproducer's silence, without proof that the bug would have shown, is among what makes the kernel good, and
    /// nothing firm does.
    pub unproven: bool,
}

impl Conclusion {
    /// The state, named only where one remains.
    pub fn state(&self) -> Option<State> {
        // Beside a verdict that is the profile's, the kernel's state would be misread.
        self.states.only().filter(|_| !self.mitigated)
    }
}

impl Ledger {
    /// Weighs the findings.
    ///
    /// The states of all strong findings are intersected. Where nothing remains, witnesses contradict each other: a
    /// conflict, and what was seen to happen (a decisive finding) decides, or else nothing does. Weak findings narrow
    /// down what remains, all of them together and only where they contradict nothing: a hint never makes a conflict, and
    /// hints that contradict each other say nothing. A release makes a kernel good, and so does a user's program without
    /// controls, for which the user vouches; the likeness of a subject is too little for that.
    ///
    /// Where the kernel comes out as affected and the reproducer saw the cell's profile mitigate it, the verdict is not
    /// affected: under that profile.
    pub fn conclude(&self) -> Conclusion {
        let of = |least: Strength| self.findings.iter().filter(move |f| f.strength >= least);
        let strong = intersect(of(Strength::Strong), StateSet::all());
        let conflict = strong.is_empty();
        let firm = if conflict { intersect(of(Strength::Decisive), StateSet::all()) } else { strong };
        if conflict && firm == StateSet::all() {
            let (verdict, states) = (Verdict::Unknown, StateSet::EMPTY);
            return Conclusion { verdict, states, firm: states, conflict, mitigated: false, unproven: false };
        }
        let states = self.hinted(firm);
        let kernel = verdict(states);
        let mitigated = kernel == Verdict::Affected && self.findings.iter().any(|f| f.mitigated);
        let is_hinted = kernel == Verdict::NotAffected && verdict(firm) != Verdict::NotAffected;
        let unproven = is_hinted && self.findings.iter().any(Finding::is_silence);
        let verdict = if mitigated { Verdict::NotAffected } else { kernel };
        Conclusion { verdict, states, firm, conflict, mitigated, unproven }
    }
}

impl Ledger {
    /// What the hints leave of these states.
    fn hinted(&self, firm: StateSet) -> StateSet {
        let hints = |is_heard: fn(&Finding) -> bool| {
            let weak = self.findings.iter().filter(|f| f.strength == Strength::Weak && is_heard(f));
            let narrowed = intersect(weak.filter(|f| !f.states.and(firm).is_empty()), firm);
            if narrowed.is_empty() { firm } else { narrowed }
        };
        let all = hints(|_| true);
        let is_good = |states| verdict(states) == Verdict::NotAffected;
        if is_good(all) && !is_good(hints(|f| matches!(f.witness, Witness::Version | Witness::Runtime))) {
            firm
        } else {
            all
        }
    }
}

/// What each strong witness says, where they contradict each other: `runtime says affected, git says
/// fixed`.
pub fn contradiction(findings: &[Finding]) -> String {
    let says = |finding: &Finding| {
        let states = finding.states;
        let what = match verdict(states) {
            _ if states.only().is_some() => states.iter().map(State::as_str).collect(),
            Verdict::Unknown => states.iter().map(State::as_str).collect::<Vec<_>>().join(" or "),
            verdict => verdict.to_string(),
        };
        format!("{} says {what}", finding.witness)
    };
    let strong = findings.iter().filter(|f| f.strength >= Strength::Strong && !f.is_unknown());
    // What was seen to happen is named first.
    let mut strong: Vec<&Finding> = strong.collect();
    strong.sort_by_key(|finding| std::cmp::Reverse(finding.strength));
    strong.into_iter().map(says).collect::<Vec<_>>().join(", ")
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

    fn finding(witness: Witness, strength: Strength, states: &[State]) -> Finding {
        Finding {
            witness,
            states: states.iter().copied().collect(),
            strength,
            why: String::new(),
            mitigated: false,
            artefacts: Vec::new(),
        }
    }

    #[test]
    fn a_mitigation_changes_the_verdict_and_not_what_is_said_of_the_kernel() {
        let stalls: &[State] = &[State::Affected, State::HalfFixed];
        let mitigated = Finding { mitigated: true, ..finding(Witness::Runtime, Strength::Decisive, stalls) };
        let git = |state| finding(Witness::Git, Strength::Strong, &[state]);
        for (other, conflict) in [(None, false), (Some(git(State::HalfFixed)), false), (Some(git(State::Fixed)), true)]
        {
            let findings = [mitigated.clone()].into_iter().chain(other).collect();
            let conclusion = Ledger { findings }.conclude();
            assert!(conclusion.mitigated && conclusion.states.and(StateSet::not_affected()).is_empty());
            assert_eq!((conclusion.verdict, conclusion.state()), (Verdict::NotAffected, None));
            assert_eq!(conclusion.conflict, conflict);
        }
    }

    #[test]
    fn pass_is_unproven_where_it_rests_on_silence() {
        use State::{Affected, Fixed, FixedWithDefect, NeverHad};
        use Strength::{Decisive, Strong, Weak};
        use Verdict::{NotAffected, Unknown};
        use Witness::{Git, Runtime, Version};
        let passes: &[State] = &[NeverHad, Fixed, FixedWithDefect];
        let silence = (Runtime, Weak, passes);
        type Row<'a> = (&'a [(Witness, Strength, &'a [State])], Verdict, bool);
        let table: &[Row] = &[
            (&[silence], NotAffected, true),
            (&[silence, (Version, Weak, &[Fixed])], NotAffected, true),
            (&[silence, (Git, Weak, &[Fixed])], NotAffected, true),
            (&[silence, (Git, Strong, &[Fixed])], NotAffected, false),
            (&[silence, (Git, Strong, &[Fixed, Affected])], NotAffected, true),
            (&[silence, (Version, Weak, &[Affected])], Unknown, false),
            (&[silence, (Git, Strong, &[Affected])], Verdict::Affected, false),
            (&[(Runtime, Strong, passes)], NotAffected, false),
            // A program that cries without a negative control is a hint too, and no silence.
            (&[(Runtime, Weak, &[Affected])], Verdict::Affected, false),
            (&[(Runtime, Decisive, &[Affected])], Verdict::Affected, false),
            (&[(Version, Weak, &[Fixed])], NotAffected, false),
            (&[], Unknown, false),
        ];
        for (findings, verdict, unproven) in table {
            let ledger = Ledger { findings: findings.iter().map(|(w, s, states)| finding(*w, *s, states)).collect() };
            let conclusion = ledger.conclude();
            assert_eq!((conclusion.verdict, conclusion.unproven), (*verdict, *unproven), "{findings:?}");
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
            ("a likeness alone makes nothing good", &[(Git, Weak, &[Fixed])], Verdict::Unknown, None, false),
            (
                "a likeness alone makes suspicious",
                &[(Git, Weak, &[Affected])],
                Verdict::Affected,
                Some(Affected),
                false,
            ),
            (
                "hints that contradict each other say nothing",
                &[(Version, Weak, &[Fixed]), (Runtime, Weak, stalls)],
                Verdict::Unknown,
                None,
                false,
            ),
            (
                "a release makes good, and a likeness may agree",
                &[(Version, Weak, &[Fixed, NeverHad]), (Git, Weak, &[Fixed])],
                Verdict::NotAffected,
                Some(Fixed),
                false,
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
