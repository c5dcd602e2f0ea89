//! A case, and the rules by which it is judged.

use super::ledger::unheard;
use super::{Advice, AdviceKind, Judgement, Ledger, Verdict, Weight, advice};
use crate::evidence::exhibits::Said;
use crate::evidence::version::Release;
use crate::evidence::{Finding, Strength, Witness};
use crate::matrix::Bug;
use crate::words::{Expectation, JobId, KernelName, Outcome};

/// Everything that is known of one (kernel, bug, profile).
#[derive(Default)]
pub struct Case<'a> {
    /// The bug. None if nothing of its dossier is known any more: there is no advice then.
    pub bug: Option<&'a Bug>,
    /// What the witnesses say that need no boot.
    pub said: Said,
    /// What became of the boots.
    pub boots: Boots,
    /// The release that the kernel is, or that its source began as: where its line of releases goes on.
    pub release: Option<&'a Release>,
    /// An earlier judgement of the same cell. If this one comes to the same, that advice stands: the release that it was
    /// given for is no longer known.
    pub earlier: Option<&'a Judgement>,
}

/// Who asks about a case, which decides the advice.
#[derive(Clone, Copy, Debug)]
enum Asker<'a> {
    /// A person, with what would settle an open question.
    Person(&'a str),
    /// A run. It settles the question itself, so it gives no advice on how to know more.
    Run(&'a Question),
}

/// What a cell of a run is about: known before it is judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// The kernel's name in the matrix.
    pub kernel: KernelName,
    /// The bug and the profile.
    pub job: JobId,
    /// What the matrix expects of the kernel, under its own settings.
    pub expect: Expectation,
    /// Whether the profile is said to keep the bug from showing.
    pub mitigates: bool,
    /// Whether the kernel is a control.
    pub control: bool,
}

/// What became of the boots of a case.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Boots {
    /// No boot was asked for, or nothing can be run for this bug: the other witnesses are all there is.
    #[default]
    NotAsked,
    /// A reproducer ran.
    Showed(Finding),
    /// A boot was asked for and broke: why. There is no answer then, whatever the other witnesses say.
    Broke(String),
    /// The run ended before this cell, or goes on: why. That is never expected.
    NotReached(String),
    /// The kernel was built without the code that has the bug, so there is nothing to run: why.
    NotCompiled(String),
    /// The reproducer does not apply to this kernel.
    Inapplicable {
        /// Why not.
        reason: String,
        /// Whether the matrix allows for it (`optional: true`), so that it is no surprise.
        allowed: bool,
    },
}

impl Boots {
    /// What a kernel's configuration settles without a boot, if the code that has the bug was not compiled in. A
    /// configuration that is certainly the kernel's makes it not affected, unless another strong witness contradicts it; one
    /// that is not leaves the question without an answer.
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

    /// How a cell with these boots ended.
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
    /// Judges it for a person. `settle` says what would settle an open question.
    pub fn judge(self, settle: &str) -> Judgement {
        let weight = self.weigh();
        self.judgement(&weight, Asker::Person(settle))
    }

    /// Judges it as a cell: the judgement, how the cell ended, and whether the matrix expects that.
    pub fn judge_cell(self, question: &Question) -> (Judgement, Outcome, bool) {
        let weight = self.weigh();
        let outcome = self.boots.outcome(weight.verdict);
        let expected = self.is_expected(question, outcome, &weight);
        (self.judgement(&weight, Asker::Run(question)), outcome, expected)
    }

    /// Whether the matrix expects this end. A mitigation hides a bug that the kernel has all the same. So if the matrix
    /// names the state, the firm findings have to allow for it; and if it expects a fail, a pass has to be due to the
    /// profile, because a reproducer that sees no bug at all is blind there.
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
            // A kernel without the code is a kernel without the bug.
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

    /// The findings, weighed. A boot that was asked for and broke leaves no verdict, and neither does a reproducer that does
    /// not apply; a contradiction between the other witnesses stands all the same.
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
            unproven: weight.unproven,
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
                // Nobody runs a control, so there is nothing to do about it.
                let mut given = if is_judged && !question.control { on_kernel() } else { Vec::new() };
                // Under a profile, its own settings are what was tried.
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
    /// What these findings come to for somebody who asks, without a boot and without a dossier.
    pub(crate) fn of_findings(findings: Vec<Finding>) -> Judgement {
        let said = Said { findings, ..Said::default() };
        Case { said, ..Case::default() }.judge("boot it")
    }
}

#[cfg(test)]
#[path = "case_tests.rs"]
mod tests;
