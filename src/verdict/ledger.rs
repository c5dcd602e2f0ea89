//! The ledger: all findings of one (kernel, bug), and what they leave possible together.

use serde::{Deserialize, Serialize};

use super::Verdict;
use crate::evidence::{Finding, Limit, StateSet, Strength, Witness};
use crate::words::State;

/// All findings of one (kernel, bug).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// The findings, in the order in which they came in.
    pub findings: Vec<Finding>,
}

/// What a ledger's findings come to, before anything is known of boots that broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    /// Affected or not, or unknown.
    pub verdict: Verdict,
    /// The states that the findings leave possible, hints among them; empty in a conflict that nothing decides.
    pub states: StateSet,
    /// The states that are left without the hints.
    pub firm: StateSet,
    /// Whether strong witnesses contradict each other.
    pub conflict: bool,
    /// Whether hints would have decided, and were not heard: see [`unheard`].
    pub unheard: bool,
    /// Whether only a hint names the state, beside witnesses of the kernel itself that leave it open.
    pub guessed: bool,
    /// Whether the kernel has the bug and the cell's profile keeps it from showing: the verdict then holds under that
    /// profile, and the states are the kernel's.
    pub mitigated: bool,
    /// Whether a reproducer's silence, without proof that the bug would have shown, is among what makes the kernel good, and
    /// nothing firm does.
    pub unproven: bool,
}

impl Weight {
    /// Findings that come to nothing.
    pub fn without_verdict(conflict: bool) -> Self {
        Self {
            verdict: Verdict::Unknown,
            states: StateSet::EMPTY,
            firm: StateSet::EMPTY,
            conflict,
            unheard: false,
            guessed: false,
            mitigated: false,
            unproven: false,
        }
    }

    /// The state, named only where one remains.
    pub fn state(&self) -> Option<State> {
        // Beside a verdict that is the profile's, the kernel's state would be misread.
        self.states.only().filter(|_| !self.mitigated)
    }

    /// The state, where more than a hint names it: what is claimed of a kernel on top of its verdict needs that.
    pub fn firm_state(&self) -> Option<State> {
        self.state().filter(|_| !self.guessed)
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
    /// A hint on paper (a release, a changelog, a likeness) never stands in for a witness of the kernel itself that could
    /// not see: where the code was there and unreadable, or a boot broke, the verdict is unknown whatever the number says.
    /// Nor does the release decide that a file merely began as.
    ///
    /// Where the kernel comes out as affected and the reproducer saw the cell's profile mitigate it, the verdict is not
    /// affected: under that profile.
    pub fn weigh(&self) -> Weight {
        let of = |least: Strength| self.findings.iter().filter(move |f| f.strength >= least);
        let strong = intersect(of(Strength::Strong), StateSet::all());
        let conflict = strong.is_empty();
        let firm = if conflict { intersect(of(Strength::Decisive), StateSet::all()) } else { strong };
        if conflict && firm == StateSet::all() {
            return Weight::without_verdict(conflict);
        }
        let hinted = self.hinted(firm, |_| true);
        let heard = self.hinted(firm, |finding| self.may_decide(finding));
        let unheard = verdict(hinted) != verdict(heard) && verdict(hinted) != Verdict::Unknown;
        // Where it decides nothing, even such a hint narrows the state down.
        let states = if verdict(hinted) == verdict(heard) { hinted } else { firm };
        let named = states.only().is_some() && firm.only().is_none();
        // What was only seen on the side was not asked for the state.
        let was_asked = |f: &Finding| is_of_the_kernel(f) && (f.limit.is_none() || f.is_unknown());
        let guessed = named && self.findings.iter().any(was_asked);
        let kernel = verdict(states);
        let mitigated = kernel == Verdict::Affected && self.findings.iter().any(|f| f.mitigated);
        let is_hinted = kernel == Verdict::NotAffected && verdict(firm) != Verdict::NotAffected;
        let unproven = is_hinted && self.findings.iter().any(Finding::is_silence);
        let verdict = if mitigated { Verdict::NotAffected } else { kernel };
        Weight { verdict, states, firm, conflict, unheard, guessed, mitigated, unproven }
    }

    /// What those hints that are heard leave of these states.
    fn hinted(&self, firm: StateSet, is_heard: impl Fn(&Finding) -> bool) -> StateSet {
        let hints = |is_one: fn(&Finding) -> bool| {
            let weak = self.findings.iter().filter(|f| f.strength == Strength::Weak && is_heard(f) && is_one(f));
            let narrowed = intersect(weak.filter(|f| !f.states.and(firm).is_empty()), firm);
            if narrowed.is_empty() { firm } else { narrowed }
        };
        let all = hints(|_| true);
        let is_good = |states| verdict(states) == Verdict::NotAffected;
        if is_good(all) && !is_good(hints(|f| f.witness.clears_by_hint())) { firm } else { all }
    }

    /// Whether this hint may decide a verdict that the strong findings leave open.
    fn may_decide(&self, hint: &Finding) -> bool {
        let is_blinded = self.findings.iter().any(is_blind);
        hint.limit != Some(Limit::Base) && (hint.witness == Witness::Runtime || !is_blinded)
    }
}

/// Whether a finding is about the kernel itself, and not about what is written of it.
fn is_of_the_kernel(finding: &Finding) -> bool {
    finding.witness.is_of_the_kernel()
}

/// Whether this witness had the kernel itself before it, was asked about the bug, and could not see whether it has it.
fn is_blind(finding: &Finding) -> bool {
    is_of_the_kernel(finding) && finding.limit.is_none() && verdict(finding.states) == Verdict::Unknown
}

/// Why hints that would have decided were not heard, where that is so: which witness could not see, and why.
pub fn unheard(findings: &[Finding]) -> Option<String> {
    let ledger = Ledger { findings: findings.to_vec() };
    if !ledger.weigh().unheard {
        return None;
    }
    let blind: Vec<String> =
        findings.iter().filter(|f| is_blind(f)).map(|f| format!("{} could not see ({})", f.witness, f.why)).collect();
    if blind.is_empty() {
        return Some("a release is only what a file began as, and decides nothing about it".to_owned());
    }
    Some(format!("{}, and a hint does not stand in for it", blind.join("; ")))
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
#[path = "ledger_tests.rs"]
mod tests;
