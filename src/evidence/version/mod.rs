//! The witness `version`: compares a release's name with the releases that have each step by the dossier.
//!
//! A name is not the code, so this witness is always weak. kernel.org's releases are judged by the tables of mainline
//! and the stable lines. A distribution's kernel is never judged by its base number alone: steps that the dossier
//! doesn't list for the distribution stay open, except those that it has by ancestry. A tree with a local version,
//! uncommitted changes or further commits has what its release has, and may have more. A release that doesn't exist is
//! not judged.

use super::exhibits::Exhibits;
use super::{Finding, Limit, StateSet, Strength, Witness};
use crate::matrix::Bug;
use crate::words::{Role, State};

mod advice;
mod debian;
mod distribution;
mod form;
mod known;
mod line;
mod meta;
mod names;
mod package;
mod package_list;
mod parse;
mod pasted;
mod release;
mod rpm;
mod upstream;
mod whole_releases;

pub use advice::{UpgradeAdvice, first_good, upgrade};
pub use parse::NotARelease;
pub use pasted::Pasted;
pub use release::{Beyond, Release, Vendor};

use release::KnownPackage;

#[cfg(test)]
mod candidate_tests;

/// Whether a kernel has a step.
struct StepHeld {
    role: Role,
    /// Whether the kernel has it; none if unknown.
    has: Option<bool>,
    /// Why, as a clause: `fix since 4.19.62`.
    says: String,
}

/// Looks at the release's name for a bug, if there is a name.
pub(super) fn look(exhibits: &Exhibits<'_>, bug: &Bug) -> Option<Finding> {
    Some(match exhibits.release.as_ref()? {
        // Only kernel.org uses bare numbers, and kernel.org releases no images.
        Ok(release) if exhibits.has_file() && release.is_bare_number() => {
            Finding { limit: Some(Limit::Base), ..weigh(bug, release) }
        }
        Ok(release) => weigh(bug, release),
        Err(why) => Finding::unknown(Witness::Version, why),
    })
}

/// Weighs a release's name for a bug. A meaningless name leaves all states.
pub fn weigh(bug: &Bug, release: &Release) -> Finding {
    let said = if release.is_line {
        line::weigh(bug, release.base.line())
    } else {
        held(bug, release).map(|steps| (states(&steps), why(bug, release, &steps)))
    };
    let (states, why) = match said {
        Ok((states, why)) if release.is_line => (states, format!("{release}: {why}")),
        Ok(said) => said,
        Err(why) => (StateSet::all(), format!("{release}: {why}")),
    };
    Finding::new(Witness::Version, states, Strength::Weak, why)
}

/// The steps that the kernel has, or the reason that they are unknown.
fn held(bug: &Bug, release: &Release) -> Result<Vec<StepHeld>, String> {
    if let Some(why) = known::objection(release) {
        return Err(why);
    }
    let none = || format!("the dossier of {} lists no releases", bug.id);
    let releases = bug.releases.as_ref().ok_or_else(none)?;
    let roles = roles(bug, release);
    let mut steps: Vec<StepHeld> = match release.vendor {
        Vendor::KernelOrg(beyond) => roles.map(|role| upstream::beyond(releases, release.base, beyond, role)).collect(),
        _ => {
            let entry = distribution::entry(releases, release);
            roles.map(|role| distribution::held(releases, entry, release, role)).collect()
        }
    };
    if has_parts(bug) {
        leave_parts_open(bug, &mut steps);
    }
    Ok(steps)
}

/// Whether several fixes are required.
fn has_parts(bug: &Bug) -> bool {
    bug.chain.iter().filter(|step| step.role == Role::Fix).count() > 1
}

/// Leaves open whether a kernel without all fixes has some of them, because dossiers list only the first release with all.
fn leave_parts_open(bug: &Bug, steps: &mut [StepHeld]) {
    let has = |role: Role| steps.iter().find(|step| step.role == role).and_then(|step| step.has);
    let (has_break, has_fix) = (has(Role::Break), has(Role::Fix));
    let is_open = has_break != Some(false) && has_fix != Some(true);
    for step in steps.iter_mut().filter(|step| step.role == Role::HalfFix && step.has != Some(true)) {
        if is_open {
            let says = if has_fix == Some(false) { "some of the fixes perhaps" } else { "" };
            (step.has, step.says) = (None, says.to_owned());
        } else if !has_half_fix(bug) {
            (step.has, step.says) = (Some(false), String::new());
        }
    }
}

/// Whether the bug has a half fix of its own.
fn has_half_fix(bug: &Bug) -> bool {
    bug.chain.iter().any(|step| step.role == Role::HalfFix) || is_listed(bug, Role::HalfFix)
}

/// The steps that matter to a kernel: the half fix only if there is one, and the fix of the fix only if the fix has a
/// defect there.
fn roles(bug: &Bug, release: &Release) -> impl Iterator<Item = Role> {
    let matters = |role| match role {
        Role::Break | Role::Fix => true,
        Role::HalfFix => has_half_fix(bug) || has_parts(bug),
        Role::FixOfFix => needs_mend(bug, release),
    };
    Role::ALL.map(|role| (role, matters(role))).into_iter().filter_map(|(role, matters)| matters.then_some(role))
}

fn is_listed(bug: &Bug, role: Role) -> bool {
    bug.releases.as_ref().is_some_and(|releases| {
        releases.mainline.contains_key(&role)
            || releases.stable.iter().any(|line| line.steps.contains_key(&role))
            || releases.distributions.iter().any(|line| line.steps.contains_key(&role))
    })
}

/// Whether the fix has a defect in this kernel's line, which the chain's `fix-of-fix` fixes.
pub fn needs_mend(bug: &Bug, release: &Release) -> bool {
    let line = release.base.line();
    let listed = bug.releases.as_ref().is_some_and(|releases| {
        let stable = releases.stable.iter().any(|l| l.line == line && l.steps.contains_key(&Role::FixOfFix));
        stable || releases.mainline.contains_key(&Role::FixOfFix)
    });
    let mut mends = bug.chain.iter().filter(|step| step.role == Role::FixOfFix);
    listed || mends.any(|step| step.only_before.is_none_or(|before| line < before.line()))
}

/// The states that are possible with these known and unknown steps.
fn states(steps: &[StepHeld]) -> StateSet {
    if steps.iter().all(|step| step.has.is_none()) {
        return StateSet::all();
    }
    let known = |role: Role| steps.iter().find(|step| step.role == role).map(|step| step.has);
    // Irrelevant steps count as absent, except that an unneeded fix of the fix counts as present.
    let may = |role: Role, is: bool| known(role).is_none_or(|has| has.is_none_or(|has| has == is));
    let may_be_in = |role: Role| known(role).is_some_and(|has| has != Some(false));
    let mend_matters = known(Role::FixOfFix).is_some();
    State::ALL
        .into_iter()
        .filter(|state| match state {
            // With a half fix but no break, the break came another way, or was removed.
            State::NeverHad => may(Role::Break, false) && may(Role::Fix, false),
            State::Affected => may(Role::Break, true) && may(Role::HalfFix, false) && may(Role::Fix, false),
            State::HalfFixed => may_be_in(Role::HalfFix) && may(Role::Fix, false),
            State::Fixed => may(Role::Fix, true) && (!mend_matters || may(Role::FixOfFix, true)),
            State::FixedWithDefect => may(Role::Fix, true) && mend_matters && may(Role::FixOfFix, false),
        })
        .collect()
}

/// The reason, in one sentence.
fn why(bug: &Bug, release: &Release, steps: &[StepHeld]) -> String {
    let mut why = format!("{release}: ");
    let entry = bug.releases.as_ref().and_then(|releases| distribution::entry(releases, release));
    let unnamed_steps = steps.iter().all(|step| step.has.is_none());
    match release.vendor {
        Vendor::KernelOrg(_) => {}
        _ if !unnamed_steps => {}
        Vendor::Debian if entry.is_some() && !matches!(release.package, KnownPackage::Version(_)) => {
            why += "the name has no package version, and Debian reuses an ABI number for many: ";
        }
        _ if entry.is_none_or(|entry| entry.line.is_none()) => {
            why += "the dossier lists no such kernels, and the base number alone decides nothing: ";
        }
        _ => {}
    }
    let clauses: Vec<&str> = steps.iter().map(|step| step.says.as_str()).filter(|says| !says.is_empty()).collect();
    why += &clauses.join("; ");
    if let Some(upload) = entry.and_then(|entry| distribution::same_abi(entry, release)) {
        why += &format!("; its ABI number stands for the upload {upload}");
    }
    if let Some(entry) = entry.filter(|entry| !entry.steps.is_empty() && !unnamed_steps) {
        why += &format!(" ({})", entry.source);
    }
    let listed_base = entry.is_some_and(|entry| entry.contains_base);
    if let Some(source) = whole_releases::source(release)
        .filter(|_| clauses.iter().any(|says| says.contains(" in its base ")) && !listed_base)
    {
        why += &format!(" ({source})");
    }
    if let Some(mark) = distribution::foreign_mark(release).filter(|_| steps.iter().any(|step| step.has.is_none())) {
        why += &format!("; `~{mark}` is no known mark of a rebuild, so it may be older than the version before it");
    }
    if release.start().is_candidate() && !release.base.is_candidate() {
        why += &format!("; a number this low may be a candidate of {}", release.base);
    }
    if let Some(newest) = known::is_ahead(release.base.line()) {
        why += &format!("; {newest} was the newest line when this was written, and later lines descend from it");
    }
    let base = release.base;
    match release.vendor {
        Vendor::KernelOrg(Beyond::Local) => {
            why += &format!("; it has all of {base}, and its builder may have added patches");
        }
        Vendor::KernelOrg(Beyond::Commits) => {
            why += &format!("; it has all of {base}, and the name does not tell what the later commits are");
        }
        _ => {}
    }
    why
}

#[cfg(test)]
#[path = "golden_tests.rs"]
mod golden_tests;
#[cfg(test)]
#[path = "parse_tests.rs"]
mod parse_tests;
#[cfg(test)]
#[path = "parts_tests.rs"]
mod parts_tests;
