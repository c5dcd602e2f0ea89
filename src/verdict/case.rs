//! A case, and the rules for judging it.

use super::ledger::unheard;
use super::{Advice, AdviceKind, Judgement, Ledger, Verdict, Weight, advice};
use crate::evidence::exhibits::Said;
use crate::evidence::version::Release;
use crate::evidence::{Finding, Strength, Witness};
use crate::matrix::Bug;
use crate::words::{Expectation, JobId, KernelName, Outcome};

/// All evidence about one (kernel, bug, profile).
#[derive(Default)]
pub struct Case<'a> {
    /// The bug. None if its dossier is no longer known; then there is no advice.
    pub bug: Option<&'a Bug>,
    /// The findings of the witnesses that need no boot.
    pub said: Said,
    /// The outcome of the boots.
    pub boots: Boots,
    /// The kernel's release, or its source's: later releases of its line follow this one.
    pub release: Option<&'a Release>,
    /// An earlier judgement of the same cell. If this judgement is the same, it keeps that advice, because the release
    /// that it was for is no longer known.
    pub earlier: Option<&'a Judgement>,
}

/// Who asks about a case; this decides the advice.
#[derive(Clone, Copy, Debug)]
enum Asker<'a> {
    /// A person, with the advice that would settle an open question.
    Person(&'a str),
    /// A run. It settles the question itself, so it needs no such advice.
    Run(&'a Question),
}

/// The question of a run's cell, before it is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The kernel's name in the matrix.
    pub kernel: KernelName,
    /// The bug and the profile.
    pub job: JobId,
    /// The matrix's expectation for the kernel under its own settings.
    pub expect: Expectation,
    /// Whether the matrix says that the profile keeps the bug from showing.
    pub mitigates: bool,
    /// Whether the kernel is a control.
    pub control: bool,
    /// Whether a pass that no control proves is no answer.
    pub strict: bool,
}

/// The outcome of the boots of a case.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Boots {
    /// No boot was requested, or the bug has no reproducer, so only the other witnesses count.
    #[default]
    NotAsked,
    /// A reproducer ran.
    Showed(Finding),
    /// A requested boot broke, with the reason. There is no answer then, regardless of the other witnesses.
    Broke(String),
    /// The run ended before this cell, or has not reached it, with the reason. This is never expected.
    NotReached(String),
    /// The kernel was built without the bug's code, so there is nothing to run, with the reason.
    NotCompiled(String),
    /// The reproducer does not apply to this kernel.
    Inapplicable {
        /// Why not.
        reason: String,
        /// Whether the matrix allows this (`optional: true`), so it is expected.
        allowed: bool,
    },
}

impl Boots {
    /// The outcome without a boot, if the configuration shows that the bug's code was not compiled in. If the
    /// configuration is certainly the kernel's, the kernel is not affected, unless another strong witness contradicts
    /// it. Otherwise there is no answer.
    pub fn without_code(said: &Said) -> Option<Self> {
        let config = said.findings.iter().find(|finding| finding.witness == Witness::Config)?;
        let reason = config.why.clone();
        if config.strength == Strength::Weak {
            return Some(Self::Inapplicable { reason, allowed: false });
        }
        let weight = Ledger { findings: said.findings.clone() }.weigh();
        (weight.verdict == Verdict::NotAffected && !weight.conflict).then_some(Self::NotCompiled(reason))
    }

    /// Why there is no answer, or why nothing was run.
    fn reason(&self) -> Option<&str> {
        match self {
            Self::NotAsked | Self::Showed(_) => None,
            Self::Broke(reason)
            | Self::NotReached(reason)
            | Self::NotCompiled(reason)
            | Self::Inapplicable { reason, .. } => Some(reason),
        }
    }

    /// The outcome of a cell with these boots.
    fn outcome(&self, verdict: Verdict) -> Outcome {
        match (self, verdict) {
            (Self::Broke(_) | Self::NotReached(_), _) => Outcome::Error,
            (Self::NotCompiled(_) | Self::Inapplicable { .. }, _) => Outcome::Skip,
            (Self::NotAsked | Self::Showed(_), Verdict::Affected) => Outcome::Fail,
            (Self::NotAsked | Self::Showed(_), Verdict::NotAffected) => Outcome::Pass,
            (Self::NotAsked | Self::Showed(_), Verdict::Unknown) => Outcome::Error,
        }
    }
}

impl Case<'_> {
    /// Judges it for a person. `settle` is the advice for an open question.
    pub fn judge(self, settle: &str) -> Judgement {
        let weight = self.weigh();
        self.judgement(&weight, Asker::Person(settle))
    }

    /// Judges it as a cell: the judgement, the cell's outcome, and whether the matrix expects that.
    pub fn judge_cell(self, question: &Question) -> (Judgement, Outcome, bool) {
        let mut weight = self.weigh();
        if question.strict && weight.unproven {
            weight.verdict = Verdict::Unknown;
        }
        let outcome = self.boots.outcome(weight.verdict);
        let expected = self.is_expected(question, outcome, &weight);
        (self.judgement(&weight, Asker::Run(question)), outcome, expected)
    }

    /// Whether the matrix expects this outcome. A mitigation hides a bug that the kernel still has. So if the matrix
    /// names the state, the firm findings must allow it. If it expects a fail, a pass must be due to the profile,
    /// because a reproducer that sees no bug at all is blind there.
    fn is_expected(&self, question: &Question, outcome: Outcome, weight: &Weight) -> bool {
        let is_met = match question.expect {
            Expectation::Outcome(Outcome::Fail) if question.mitigates => outcome == Outcome::Pass && weight.mitigated,
            Expectation::Outcome(wanted) => outcome == wanted,
            Expectation::State(state) => {
                let shows = state.is_affected() && !question.mitigates;
                outcome == if shows { Outcome::Fail } else { Outcome::Pass } && weight.firm.contains(state)
            }
        };
        match &self.boots {
            Boots::NotReached(_) => false,
            Boots::Inapplicable { allowed, .. } => *allowed || is_met,
            // A kernel without the code doesn't have the bug.
            Boots::NotCompiled(_) => match question.expect {
                Expectation::Outcome(wanted) => matches!(wanted, Outcome::Pass | Outcome::Skip) || is_met,
                Expectation::State(state) => !state.is_affected() || is_met,
            },
            Boots::NotAsked | Boots::Showed(_) | Boots::Broke(_) => is_met,
        }
    }

    fn findings(&self) -> Vec<Finding> {
        let ran = if let Boots::Showed(finding) = &self.boots { Some(finding) } else { None };
        self.said.findings.iter().chain(ran).cloned().collect()
    }

    /// The weight of the findings. A requested boot that broke leaves no verdict, and neither does a reproducer that
    /// does not apply; but a conflict between the other witnesses remains.
    fn weigh(&self) -> Weight {
        let weight = Ledger { findings: self.findings() }.weigh();
        match self.boots {
            Boots::Broke(_) | Boots::NotReached(_) | Boots::Inapplicable { .. } => {
                Weight::without_verdict(weight.conflict)
            }
            Boots::NotAsked | Boots::Showed(_) | Boots::NotCompiled(_) => weight,
        }
    }

    fn judgement(self, weight: &Weight, asker: Asker) -> Judgement {
        let findings = self.findings();
        let is_judged = self.boots.reason().is_none() && weight.verdict != Verdict::Unknown;
        let speaks_against =
            |finding: &&Finding| (is_judged || weight.conflict) && finding.states.and(weight.states).is_empty();
        Judgement {
            verdict: weight.verdict,
            state: weight.state(),
            state_guessed: weight.guessed && weight.state().is_some(),
            mitigated: weight.mitigated,
            unproven: weight.unproven && weight.verdict != Verdict::Unknown,
            conflict: weight.conflict,
            against: findings.iter().filter(speaks_against).map(|finding| finding.witness).collect(),
            advice: self.advice(weight, &findings, asker),
            reason: self.reason(weight, &findings, asker),
            findings,
            steps: self.said.steps,
            warnings: self.said.warnings,
        }
    }

    fn advice(&self, weight: &Weight, findings: &[Finding], asker: Asker) -> Vec<Advice> {
        if let Some(earlier) = self.earlier.filter(|it| (it.verdict, it.state) == (weight.verdict, weight.state())) {
            return earlier.advice.clone();
        }
        let on_kernel = || self.bug.map_or_else(Vec::new, |bug| advice::on_kernel(bug, weight, findings, self.release));
        match asker {
            Asker::Person(settle) => {
                let mut given = on_kernel();
                given.extend(advice::settle(weight, settle));
                given
            }
            Asker::Run(question) => {
                let is_judged = self.boots.reason().is_none() && weight.verdict != Verdict::Unknown;
                // Nobody uses a control kernel, so it needs no advice.
                let mut given = if is_judged && !question.control { on_kernel() } else { Vec::new() };
                // Under another profile, the cell has tried that profile's settings.
                let is_default = question.job.profile.is_default();
                given.retain(|advice| is_default || advice.kind != AdviceKind::Mitigation);
                if weight.mitigated && !question.mitigates {
                    given.push(advice::on_profile(&question.job));
                }
                given
            }
        }
    }

    /// Why there is no verdict, or why nothing was run.
    fn reason(&self, weight: &Weight, findings: &[Finding], asker: Asker) -> Option<String> {
        if let Some(reason) = self.boots.reason() {
            return Some(reason.to_owned());
        }
        if weight.verdict != Verdict::Unknown {
            return None;
        }
        if weight.unproven {
            return Some("a pass that nothing proves is no answer (--strict)".to_owned());
        }
        if weight.conflict {
            return Some("strong witnesses contradict each other".to_owned());
        }
        let why = unheard(findings).map_or_else(String::new, |why| format!(": {why}"));
        let is_cell = matches!(asker, Asker::Run(_));
        let has_nothing_to_run = is_cell && self.bug.is_some_and(|bug| bug.reproducer.is_none());
        let nothing = if has_nothing_to_run { "; its dossier has no `reproducer` to run" } else { "" };
        Some(format!("the witnesses leave the verdict unknown{why}{nothing}"))
    }
}

#[cfg(test)]
impl Case<'static> {
    /// The judgement of these findings for a person, without a boot and a dossier.
    pub(crate) fn of_findings(findings: Vec<Finding>) -> Judgement {
        let said = Said { findings, ..Said::default() };
        Case { said, ..Case::default() }.judge("boot it")
    }
}

#[cfg(test)]
#[path = "case_tests.rs"]
mod tests;
