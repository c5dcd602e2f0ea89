//! What to do about a verdict.

use serde::{Deserialize, Serialize};

use crate::evidence::version::{self, Release};
use crate::evidence::{Finding, Witness};
use crate::matrix::Bug;
use crate::verdict::{Conclusion, Ledger, Verdict};
use crate::words::{Role, State};

/// One thing to do or to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Advice {
    /// What kind of thing.
    pub kind: AdviceKind,
    /// It, in one sentence.
    pub says: String,
}

/// What kind of thing an advice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AdviceKind {
    /// A release that is not affected.
    Upgrade,
    /// Settings that keep the bug from showing.
    Mitigation,
    /// What a kernel is open to that never had the break.
    Exposure,
    /// What a defective repair does.
    Defect,
    /// What would settle an unknown verdict, or a conflict.
    Settle,
    /// What the matrix should say of a profile.
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

/// What to do about a kernel that was run, by what the witnesses said of it: where it is affected, was repaired badly, or
/// never had the break. A run is what settles things, so nothing is said of how to know more.
pub fn after_run(bug: &Bug, findings: &[Finding], release: Option<&Release>) -> Vec<Advice> {
    let conclusion = Ledger { findings: findings.to_vec() }.conclude();
    let to = release.and_then(|release| version::upgrade(bug, release));
    let mut advice = advice(bug, &conclusion, to.as_ref().and_then(upgrade), "");
    advice.retain(|advice| advice.kind != AdviceKind::Settle);
    advice.extend(untried_defect(bug, &conclusion, findings, release));
    advice
}

/// That a pass leaves `fixed-with-defect` possible, where the kernel's line is one whose repair may have the defect: no
/// reproducer provokes it.
fn untried_defect(
    bug: &Bug,
    conclusion: &Conclusion,
    findings: &[Finding],
    release: Option<&Release>,
) -> Option<Advice> {
    let is_open = conclusion.state().is_none() && conclusion.states.contains(State::FixedWithDefect);
    let ran = findings.iter().any(|finding| finding.witness == Witness::Runtime);
    let may_have = release.is_some_and(|release| version::needs_mend(bug, release));
    let step = bug.chain.iter().find(|step| step.role == Role::FixOfFix)?;
    let is_told = conclusion.verdict == Verdict::NotAffected && is_open && ran && may_have;
    is_told.then(|| Advice {
        kind: AdviceKind::Defect,
        says: format!("no reproducer tries it, so a pass leaves it possible: {}", step.effect),
    })
}

/// Where to go from a release, where that is known.
pub(super) fn upgrade(to: &version::UpgradeAdvice) -> Option<Advice> {
    let is_settled = !matches!(to, version::UpgradeAdvice::Settle(_));
    is_settled.then(|| Advice { kind: AdviceKind::Upgrade, says: to.to_string() })
}

/// What to do about this conclusion. `upgrade` is where to go from here, as far as releases are known; `settle` says what
/// could be given to know more.
pub(super) fn advice(bug: &Bug, conclusion: &Conclusion, upgrade: Option<Advice>, settle: &str) -> Vec<Advice> {
    let mut advice = Vec::new();
    let mut add = |kind, says: String| advice.push(Advice { kind, says });
    if conclusion.conflict {
        add(AdviceKind::Settle, format!("strong witnesses contradict each other: {settle}"));
    } else if conclusion.verdict == Verdict::Unknown {
        add(AdviceKind::Settle, settle.to_owned());
    }
    let state = conclusion.state();
    // To be open to something is said of a kernel only where its own code, history or behaviour shows it.
    if let (Some(State::NeverHad), Some(open)) = (conclusion.firm_state(), &bug.without_break) {
        add(AdviceKind::Exposure, format!("it never had the break: {open}"));
    }
    if state == Some(State::FixedWithDefect) {
        let mend = bug.chain.iter().find(|step| step.role == Role::FixOfFix);
        let effect = mend.map_or("its repair has a defect of its own", |step| &step.effect);
        let perhaps = if conclusion.guessed { "perhaps, by its release: " } else { "" };
        add(AdviceKind::Defect, format!("{perhaps}{effect}"));
    }
    if conclusion.verdict == Verdict::Affected {
        for mitigation in bug.mitigations.iter().filter(|mitigation| mitigation.holds) {
            add(AdviceKind::Mitigation, format!("{}: {}", mitigation.measure, mitigation.says));
        }
    }
    let wants_upgrade = conclusion.verdict == Verdict::Affected || state == Some(State::FixedWithDefect);
    upgrade.into_iter().filter(|_| wants_upgrade).chain(advice).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::{StateSet, Strength};
    use crate::matrix::Bugs;

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
            // It is told in the words of a defect that is there.
            ("4.14.140", vec![passed(), git(State::FixedWithDefect)], false),
            ("4.14.140", vec![], false),
            ("6.1.100", vec![passed()], false),
        ] {
            let release = Release::parse(release).expect("a release");
            let advice = after_run(bug, &findings, Some(&release));
            let untried = advice.iter().any(|a| a.kind == AdviceKind::Defect && a.says.starts_with("no reproducer"));
            assert_eq!(untried, told, "{release} {findings:?}: {advice:?}");
        }
    }
}
