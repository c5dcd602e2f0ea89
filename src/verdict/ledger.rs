//! The ledger: all findings of one (kernel, bug), and the states that they leave possible together.

use serde::{Deserialize, Serialize};

use super::Verdict;
use crate::evidence::{Finding, Limit, StateSet, Strength, Witness};
use crate::words::State;

/// All findings of one (kernel, bug).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    /// The findings, in order of arrival.
    pub findings: Vec<Finding>,
}

/// The result of a ledger's findings, regardless of broken boots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weight {
    /// Affected or not, or unknown.
    pub verdict: Verdict,
    /// The states that the findings, including hints, leave possible; empty in an undecided conflict.
    pub states: StateSet,
    /// The states that the findings leave possible without the hints.
    pub firm: StateSet,
    /// Whether strong witnesses contradict each other.
    pub conflict: bool,
    /// Whether hints would have decided, but were ignored: see [`unheard`].
    pub unheard: bool,
    /// Whether only a hint names the state, while witnesses of the kernel itself leave it open.
    pub guessed: bool,
    /// Whether the kernel has the bug, but the cell's profile keeps it from showing. The verdict then applies under
    /// that profile, and the states are the kernel's.
    pub mitigated: bool,
    /// Whether the kernel is good only by hints, including the silence of a reproducer that never proved that the bug
    /// would have shown.
    pub unproven: bool,
}

impl Weight {
    /// The result of findings that decide nothing.
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

    /// The state, if exactly one remains.
    pub fn state(&self) -> Option<State> {
        // The verdict is the profile's, so the kernel's state beside it would mislead.
        self.states.only().filter(|_| !self.mitigated)
    }

    /// The state, if more than a hint names it. Any claim about a kernel beyond its verdict requires this.
    pub fn firm_state(&self) -> Option<State> {
        self.state().filter(|_| !self.guessed)
    }
}

impl Ledger {
    /// Weighs the findings.
    ///
    /// The states of all strong findings are intersected. If none remains, the witnesses contradict each other. In such
    /// a conflict an observed bug (a decisive finding) decides, or else nothing does. All weak findings together narrow
    /// down the rest, if they contradict nothing: a hint never makes a conflict, and hints that contradict each other
    /// are ignored. A release can make a kernel good, and so can a user's program without controls, because the user
    /// vouches for it; a similar subject cannot.
    ///
    /// A hint on paper (a release, a changelog, a similar subject) never replaces a witness of the kernel itself that
    /// found nothing: if the code was unreadable, or a boot broke, the verdict is unknown regardless of the release. A
    /// release that a file merely started from decides nothing either.
    ///
    /// If the kernel is affected, but the reproducer saw that the cell's profile mitigates it, the verdict is not
    /// affected, under that profile.
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
        // An ignored hint may still narrow down the state if the verdict is the same with it.
        let states = if verdict(hinted) == verdict(heard) { hinted } else { firm };
        let named = states.only().is_some() && firm.only().is_none();
        // A finding with a limit is incidental, so its witness was not asked about the state.
        let was_asked = |f: &Finding| is_of_the_kernel(f) && (f.limit.is_none() || f.is_unknown());
        let guessed = named && self.findings.iter().any(was_asked);
        let kernel = verdict(states);
        let mitigated = kernel == Verdict::Affected && self.findings.iter().any(|f| f.mitigated);
        let is_hinted = kernel == Verdict::NotAffected && verdict(firm) != Verdict::NotAffected;
        let unproven = is_hinted && self.findings.iter().any(Finding::is_silence);
        let verdict = if mitigated { Verdict::NotAffected } else { kernel };
        Weight { verdict, states, firm, conflict, unheard, guessed, mitigated, unproven }
    }

    /// The states that remain after these hints.
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

/// Whether a finding is about the kernel itself, not about documents.
fn is_of_the_kernel(finding: &Finding) -> bool {
    finding.witness.is_of_the_kernel()
}

/// Whether this witness examined the kernel itself for the bug, but could not decide.
fn is_blind(finding: &Finding) -> bool {
    is_of_the_kernel(finding) && finding.limit.is_none() && verdict(finding.states) == Verdict::Unknown
}

/// Why hints that would have decided were ignored, if they were: the undecided witnesses, with their reasons.
pub fn unheard(findings: &[Finding]) -> Option<String> {
    let ledger = Ledger { findings: findings.to_vec() };
    if !ledger.weigh().unheard {
        return None;
    }
    let blind: Vec<String> =
        findings.iter().filter(|f| is_blind(f)).map(|f| format!("{} could not see ({})", f.witness, f.why)).collect();
    if blind.is_empty() {
        return Some("the file only started from its release, so the release decides nothing about it".to_owned());
    }
    Some(format!("{}, and a hint does not stand in for it", blind.join("; ")))
}

/// The strong witnesses' contradicting findings: `runtime says affected, git says fixed`.
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
    // Observed bugs come first.
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
