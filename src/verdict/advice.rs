//! What to do about a verdict.

use serde::{Deserialize, Serialize};

use super::{Verdict, Weight};
use crate::evidence::version::{self, Release};
use crate::evidence::{Finding, Witness};
use crate::matrix::Bug;
use crate::words::{JobId, Role, State};

/// One thing to do or to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice {
    /// Its kind.
    pub kind: AdviceKind,
    /// Its text, in one sentence.
    pub says: String,
}

/// The kind of an advice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdviceKind {
    /// A release that is not affected.
    Upgrade,
    /// Settings that keep the bug from showing.
    Mitigation,
    /// A vulnerability of kernels that never had the break.
    Exposure,
    /// The effect of a defective fix.
    Defect,
    /// How to settle an unknown verdict, or a conflict.
    Settle,
    /// A correction of a profile in the matrix.
    Profile,
}

impl AdviceKind {
    /// Its label in reports.
    pub fn label(self) -> &'static str {
        match self {
            Self::Upgrade => "upgrade",
            Self::Mitigation => "mitigate",
            Self::Exposure => "exposed",
            Self::Defect => "defect",
            Self::Settle => "settle",
            Self::Profile => "profile",
        }
    }
}

/// Advice about a kernel with this weight, if it is affected, has a defective fix, or never had the break.
pub(super) fn on_kernel(bug: &Bug, weight: &Weight, findings: &[Finding], release: Option<&Release>) -> Vec<Advice> {
    let mut advice = Vec::new();
    let mut add = |kind, says: String| advice.push(Advice { kind, says });
    let state = weight.state();
    if weight.verdict == Verdict::Affected || state == Some(State::FixedWithDefect) {
        let known = release.and_then(|release| version::upgrade(bug, release));
        let known = known.filter(|to| !matches!(to, version::UpgradeAdvice::Settle(_)));
        known.into_iter().for_each(|to| add(AdviceKind::Upgrade, to.to_string()));
    }
    // A kernel counts as exposed only if its own code, history or behaviour shows it.
    if let (Some(State::NeverHad), Some(open)) = (weight.firm_state(), &bug.without_break) {
        add(AdviceKind::Exposure, format!("it never had the break: {open}"));
    }
    if state == Some(State::FixedWithDefect) {
        let mend = bug.chain.iter().find(|step| step.role == Role::FixOfFix);
        let effect = mend.map_or("its repair has a defect of its own", |step| &step.effect);
        let perhaps = if weight.guessed { "perhaps, by its release: " } else { "" };
        add(AdviceKind::Defect, format!("{perhaps}{effect}"));
    }
    if weight.verdict == Verdict::Affected {
        for mitigation in bug.mitigations.iter().filter(|mitigation| mitigation.holds) {
            add(AdviceKind::Mitigation, format!("{}: {}", mitigation.measure, mitigation.says));
        }
    }
    advice.extend(untried_defect(bug, weight, findings, release));
    advice
}

/// A pass leaves `fixed-with-defect` possible if the kernel's line may have that defect: no reproducer provokes it.
fn untried_defect(bug: &Bug, weight: &Weight, findings: &[Finding], release: Option<&Release>) -> Option<Advice> {
    let is_open = weight.state().is_none() && weight.states.contains(State::FixedWithDefect);
    let ran = findings.iter().any(|finding| finding.witness == Witness::Runtime && finding.limit.is_none());
    let may_have = release.is_some_and(|release| version::needs_mend(bug, release));
    let step = bug.chain.iter().find(|step| step.role == Role::FixOfFix)?;
    let is_told = weight.verdict == Verdict::NotAffected && is_open && ran && may_have;
    is_told.then(|| Advice {
        kind: AdviceKind::Defect,
        says: format!("no reproducer tries it, so a pass leaves it possible: {}", step.effect),
    })
}

/// How to settle an open question.
pub(super) fn settle(weight: &Weight, how: &str) -> Option<Advice> {
    let is_open = weight.conflict || weight.verdict == Verdict::Unknown;
    is_open.then(|| Advice { kind: AdviceKind::Settle, says: how.to_owned() })
}

/// Advice about a profile that keeps a bug from showing without `mitigates`.
pub(super) fn on_profile(job: &JobId) -> Advice {
    let JobId { bug, profile } = job;
    let says = format!(
        "profile `{profile}` keeps {bug} from showing: if that is intended, add `mitigates: [{bug}]` to the profile in the \
         matrix; an affected kernel is then expected to pass under it"
    );
    Advice { kind: AdviceKind::Profile, says }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{StateSet, Strength};
    use crate::matrix::Bugs;
    use crate::verdict::Ledger;

    #[test]
    fn pass_of_an_old_line_says_that_the_defect_is_not_tried() {
        let bugs = Bugs::built_in();
        let bug = bugs.iter().find(|bug| bug.id.as_str() == "tcp-fragment-stall").expect("a bug");
        let says = |witness, states, strength| Finding { states, strength, ..Finding::unknown(witness, "seen") };
        let passed = || says(Witness::Runtime, StateSet::not_affected(), Strength::Strong);
        let git = |state| says(Witness::Git, [state].into_iter().collect(), Strength::Strong);
        for (release, findings, told) in [
            ("4.14.140", vec![passed()], true),
            ("4.14.140", vec![passed(), git(State::Fixed)], false),
            // The advice about the actual defect replaces it.
            ("4.14.140", vec![passed(), git(State::FixedWithDefect)], false),
            ("4.14.140", vec![], false),
            ("6.1.100", vec![passed()], false),
        ] {
            let release = Release::parse(release).expect("a release");
            let advice = on_kernel(bug, &Ledger { findings: findings.clone() }.weigh(), &findings, Some(&release));
            let untried = advice.iter().any(|a| a.kind == AdviceKind::Defect && a.says.starts_with("no reproducer"));
            assert_eq!(untried, told, "{release} {findings:?}: {advice:?}");
        }
    }
}
