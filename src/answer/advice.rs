//! What to do about a verdict.

use serde::{Deserialize, Serialize};

use crate::evidence::Finding;
use crate::evidence::version::{self, Release};
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
    advice
}

/// Where to go from a release, where that is known.
pub(super) fn upgrade(to: &version::Advice) -> Option<Advice> {
    let is_settled = !matches!(to, version::Advice::Settle(_));
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
