//! The gate: may this kernel go out? It is never open on an unknown.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::validation::ControlsJudged;
use crate::exit::Exit;
use crate::matrix::{Acceptable, Acceptance, Bugs, GatePolicy, Requirement};
use crate::run::Cell;
use crate::verdict::Verdict;
use crate::words::{BugId, JobId, Outcome, ProfileName, State};

/// The answer of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// The kernel may go out.
    Open,
    /// It may not.
    Closed,
    /// Nobody knows.
    NoAnswer,
}

impl Gate {
    /// Of both: closed wins over no answer, and that over open.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Closed, _) | (_, Self::Closed) => Self::Closed,
            (Self::NoAnswer, _) | (_, Self::NoAnswer) => Self::NoAnswer,
            (Self::Open, Self::Open) => Self::Open,
        }
    }

    /// The answer of all cells that count, after the controls; and why it is not open. Each of the `needed` bugs must have
    /// a cell: no profile may leave one out.
    pub fn of(
        cells: &[GateCell],
        needed: &[BugId],
        controls: &ControlsJudged,
        needs_controls: bool,
    ) -> (Self, Vec<String>) {
        if !controls.wrong.is_empty() {
            let wrong = controls.wrong.join("; ");
            let why = "the verifier misjudges a kernel whose state is known, so nothing else was judged";
            return (Self::NoAnswer, vec![format!("{why}: {wrong}")]);
        }
        let (mut gate, mut reasons) = (Self::Open, Vec::new());
        let mut add = |what: Self, why: String| {
            gate = gate.and(what);
            reasons.push(why);
        };
        if needs_controls && controls.kernels == 0 {
            add(Self::NoAnswer, "controls are required, and none is built: `backproof controls build`".to_owned());
        } else if needs_controls && controls.unproven > 0 {
            let why = format!("controls are required, and {} of their cells have no verdict", controls.unproven);
            add(Self::NoAnswer, why);
        }
        if !cells.iter().any(|cell| cell.counts) {
            add(Self::NoAnswer, "no bug that counts was judged: name one with --bug".to_owned());
        }
        for bug in needed.iter().filter(|bug| cells.iter().all(|cell| cell.bug != **bug)) {
            let remedy = "name it with --bug, and a profile that is for it with --profile (`default` is for all)";
            add(Self::NoAnswer, format!("{bug}: it was not judged: {remedy}"));
        }
        for cell in cells.iter().filter(|cell| cell.counts && cell.gate != Self::Open) {
            add(cell.gate, format!("{}: {}", cell.job(), cell.why));
        }
        (gate, reasons)
    }

    /// The exit of a command with this gate.
    pub fn exit(self) -> Exit {
        match self {
            Self::Open => Exit::Clean,
            Self::Closed => Exit::Affected,
            Self::NoAnswer => Exit::NoVerdict,
        }
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Open => "OPEN",
            Self::Closed => "CLOSED",
            Self::NoAnswer => "NO ANSWER",
        })
    }
}

/// What one cell means for the gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateCell {
    /// The bug.
    pub bug: BugId,
    /// The profile.
    pub profile: ProfileName,
    /// What it asks of the gate.
    pub gate: Gate,
    /// Whether it counts. A bug that no kernel has a fix for counts only if it is named.
    pub counts: bool,
    /// How the cell ended.
    pub outcome: Outcome,
    /// The verdict.
    pub verdict: Verdict,
    /// The state, if exactly one remains.
    pub state: Option<State>,
    /// Why, in a sentence.
    pub why: String,
    /// Who accepted what, if that opens it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accepted: Option<Acceptance>,
    /// An acceptance that would have opened it, and has expired.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired: Option<Acceptance>,
}

impl GateCell {
    /// The bug and the profile.
    pub fn job(&self) -> JobId {
        JobId { bug: self.bug.clone(), profile: self.profile.clone() }
    }
}

/// The rules of a gate.
#[derive(Clone, Copy, Debug)]
pub struct GateRules<'a> {
    /// What the user requires and accepts.
    pub policy: &'a GatePolicy,
    /// The bugs that were named on the command line.
    pub named: &'a [BugId],
    /// What is known of the bugs.
    pub bugs: &'a Bugs,
    /// The day (UTC), for acceptances that expire.
    pub today: Date,
}

impl GateRules<'_> {
    /// The bugs without which there is no answer: those to judge, and those that the policy requires.
    pub fn needed(&self, judged: &[BugId]) -> Vec<BugId> {
        let is_required = |(_, required): &&(BugId, Requirement)| *required != Requirement::Any;
        let required = self.policy.bugs.iter().filter(is_required).map(|(bug, _)| bug);
        let mut needed = judged.to_vec();
        needed.extend(required.filter(|bug| !judged.contains(bug)).cloned());
        needed
    }

    /// What a cell means for the gate.
    pub fn judge(&self, cell: &Cell) -> GateCell {
        let required = self.policy.bugs.iter().find(|(bug, _)| *bug == cell.bug).map(|(_, required)| required);
        let is_open_everywhere = self.bugs.get(&cell.bug).is_some_and(|bug| bug.is_unrepaired());
        let is_named = self.named.contains(&cell.bug) || required.is_some();
        let counts = required != Some(&Requirement::Any) && (is_named || !is_open_everywhere);
        let (mut gate, obstacle, mut why) = standing(cell, required);
        let of = |accepted: &&Acceptance| {
            accepted.bug == cell.bug
                && Some(accepted.what) == obstacle
                && accepted.profile.as_ref().is_none_or(|profile| *profile == cell.profile)
        };
        let mut fitting = self.policy.accepted.iter().filter(of);
        let accepted = fitting.clone().find(|accepted| accepted.counts_on(self.today)).cloned();
        let expired = fitting.find(|accepted| !accepted.counts_on(self.today)).cloned();
        let expired = expired.filter(|_| accepted.is_none());
        if let Some(accepted) = &accepted {
            gate = Gate::Open;
            let reason = accepted.reason.as_deref().unwrap_or("no reason given");
            why = format!("accepted as {}: {reason}; {why}", accepted.what.as_str());
        } else if let Some(Acceptance { until: Some(until), .. }) = &expired {
            why = format!("{why}; it was accepted until {until}, which is over");
        } else if gate == Gate::NoAnswer
            && let Some(obstacle) = obstacle
        {
            why = format!("{why}; --accept {}={} opens the gate all the same", cell.bug, obstacle.as_str());
        }
        let (outcome, verdict, state) = (cell.outcome, cell.judgement.verdict, cell.judgement.state);
        let (bug, profile) = (cell.bug.clone(), cell.profile.clone());
        GateCell { bug, profile, gate, counts, outcome, verdict, state, why, accepted, expired }
    }
}

/// What a cell asks of the gate, what would have to be accepted for it to open, and why.
fn standing(cell: &Cell, required: Option<&Requirement>) -> (Gate, Option<Acceptable>, String) {
    let judgement = &cell.judgement;
    let surest = || judgement.surest().map(|finding| format!("{}: {}", finding.witness, finding.why));
    let reason = || judgement.reason.clone().or_else(surest).unwrap_or_default();
    if judgement.conflict {
        let gate = if judgement.verdict == Verdict::Affected { Gate::Closed } else { Gate::NoAnswer };
        return (
            gate,
            None,
            format!("strong witnesses contradict each other: {}", judgement.contradiction().unwrap_or_default()),
        );
    }
    if let Some(differs) = &cell.trials.differs {
        return (Gate::NoAnswer, None, format!("a transcript differs from the cached boot: {differs}"));
    }
    match (cell.outcome, judgement.state) {
        (Outcome::Fail, _) => {
            (Gate::Closed, Some(Acceptable::Affected), surest().unwrap_or_else(|| "it has the bug".to_owned()))
        }
        (Outcome::Error, _) => (Gate::NoAnswer, Some(Acceptable::Unknown), reason()),
        (Outcome::Skip, _) => (Gate::NoAnswer, Some(Acceptable::Skip), reason()),
        (Outcome::Pass, Some(State::FixedWithDefect)) => {
            let why = surest().unwrap_or_default();
            (Gate::Closed, Some(Acceptable::FixedWithDefect), format!("its fix has a defect: {why}"))
        }
        (Outcome::Pass, _) if cell.trials.unexplained.is_some() => {
            let crash = cell.trials.unexplained.clone().unwrap_or_default();
            (Gate::NoAnswer, Some(Acceptable::Unknown), format!("a guest crashed, and nobody knows why: {crash}"))
        }
        (Outcome::Pass, _) if judgement.unproven => {
            let why = "its reproducer saw nothing, and never proved that it sees the bug".to_owned();
            (Gate::NoAnswer, Some(Acceptable::Unproven), why)
        }
        (Outcome::Pass, state) => {
            let why = surest().unwrap_or_default();
            let why = if judgement.mitigated { format!("the profile keeps the bug from showing: {why}") } else { why };
            let Some(Requirement::States(states)) = required else { return (Gate::Open, None, why) };
            let names: Vec<&str> = states.iter().map(|state| state.as_str()).collect();
            let wanted = names.join(" or ");
            match state {
                Some(state) if states.contains(&state) => (Gate::Open, None, why),
                Some(state) => (Gate::Closed, None, format!("the policy requires {wanted}, and it is {state}: {why}")),
                None => (
                    Gate::NoAnswer,
                    Some(Acceptable::Unknown),
                    format!("the policy requires {wanted}, and the witnesses do not tell its state: {why}"),
                ),
            }
        }
    }
}

#[cfg(test)]
#[path = "gate_tests.rs"]
mod tests;
