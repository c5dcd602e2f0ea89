//! Decides which steps kernel.org's releases have.

use super::StepHeld;
use super::release::Beyond;
use crate::matrix::{ReleaseLine, Releases, StableLine, Standing, Upstream};
use crate::words::Role;

/// Whether a kernel.org release, or a tree based on one, has a step. Such a tree has everything that the release has.
pub(super) fn beyond(releases: &Releases, release: Upstream, beyond: Beyond, role: Role) -> StepHeld {
    let now = held(releases, release, role);
    if now.has == Some(true) {
        return now;
    }
    let open = |why: &str| StepHeld { role, has: None, says: format!("{role} perhaps, {why}") };
    match beyond {
        // The tree may have patches that the release lacks: distributions added them to ended lines, and maintainers
        // have a fix before any candidate.
        Beyond::Local | Beyond::Commits if releases.no_fix_anywhere && role != Role::Break => now,
        Beyond::Local | Beyond::Commits => match now.has {
            Some(_) => StepHeld { says: of_the_release(now.says), has: None, role },
            None => now,
        },
        Beyond::Next => open("because linux-next is ahead of mainline"),
        // A candidate of a stable release has most of the release's patches.
        Beyond::Nothing if release.stable() > 0 && release.is_candidate() => {
            let last = held(releases, release.with_candidate(u16::MAX), role);
            if last.has == now.has { now } else { open("because it came in the release of this candidate") }
        }
        Beyond::Nothing => now,
    }
}

/// Says that something applies only to kernel.org's own release.
fn of_the_release(says: String) -> String {
    if says.is_empty() { says } else { format!("{says} in kernel.org's own") }
}

/// Whether a kernel.org release has a step.
pub(super) fn held(releases: &Releases, release: Upstream, role: Role) -> StepHeld {
    let born = mainline(releases, release.mainline(), role);
    if release.stable() == 0 {
        return born;
    }
    let no = |says: String| StepHeld { role, has: Some(false), says };
    let line = release.line();
    if let Some(entry) = releases.stable.iter().find(|entry| entry.line == line) {
        return listed(releases, entry, release, born);
    }
    // A line that starts from a release with the step has it, regardless of the dossier's data about older lines.
    if born.has == Some(true) && releases.mainline.contains_key(&role) {
        return born;
    }
    // If the break always existed, no line ended before it.
    if releases.ended_before_break.contains(&line) && releases.mainline.contains_key(&Role::Break) {
        let says = if role == Role::Break { format!("the line {line} ended before the break") } else { String::new() };
        return no(says);
    }
    if let Some(held) = before(releases, line, role) {
        return held;
    }
    if born.has == Some(true) {
        return born;
    }
    if releases.no_fix_anywhere && role != Role::Break {
        return no(nobody(role));
    }
    StepHeld { role, has: None, says: format!("{role} unknown: the dossier does not list the line {line}") }
}

/// The answer for a line that is older than any with the step. Older lines without the break don't have its fix either.
fn before(releases: &Releases, line: ReleaseLine, role: Role) -> Option<StepHeld> {
    let is_before = |role: Role| releases.since.get(&role).filter(|since| line < **since);
    let no = |says: String| Some(StepHeld { role, has: Some(false), says });
    match (is_before(role), is_before(Role::Break)) {
        (Some(since), _) => no(format!("no {role} in a line of kernel.org's before {since}")),
        (None, Some(_)) => no(String::new()),
        (None, None) => None,
    }
}

/// Whether a release of a listed stable line has a step.
fn listed(releases: &Releases, entry: &StableLine, release: Upstream, born: StepHeld) -> StepHeld {
    let (role, line) = (born.role, entry.line);
    if let Some(spans) = entry.steps.get(&role) {
        return compared(role, &spans.at(|other| release >= *other));
    }
    match entry.known_until {
        _ if born.has != Some(false) => born,
        _ if releases.since.get(&role).is_some_and(|since| line < *since) => {
            before(releases, line, role).unwrap_or(born)
        }
        Some(until) if release > until => StepHeld {
            role,
            has: None,
            says: format!("{role} unknown after {until}, the last version that was checked"),
        },
        _ => StepHeld { role, has: Some(false), says: format!("no {role} in the line {line}") },
    }
}

/// Whether a mainline release or candidate has a step.
pub(super) fn mainline(releases: &Releases, release: Upstream, role: Role) -> StepHeld {
    match releases.mainline.get(&role) {
        Some(spans) => {
            let standing = spans.at(|other| release >= *other);
            let mut held = compared(role, &standing);
            if held.has == Some(true) {
                held.says = format!("{role} since mainline's {}", standing.change);
            }
            held
        }
        None if role == Role::Break => StepHeld { role, has: Some(true), says: "all kernels have had it".to_owned() },
        None if releases.no_fix_anywhere => StepHeld { role, has: Some(false), says: nobody(role) },
        None => StepHeld { role, has: Some(false), says: format!("no {role} in mainline") },
    }
}

/// Says that no kernel has the step.
pub(super) fn nobody(role: Role) -> String {
    format!("nobody has a {role}")
}

/// The answer for a step with known releases.
pub(super) fn compared<T: std::fmt::Display>(role: Role, standing: &Standing<'_, T>) -> StepHeld {
    let Standing { has, change, is_out } = standing;
    let says = match (has, is_out) {
        (Some(true), _) => format!("{role} since {change}"),
        (Some(false), false) => format!("{role} not before {change}"),
        (Some(false), true) => format!("{role} taken out in {change}"),
        (None, false) => format!("{role} perhaps: its first release is {change}"),
        (None, true) => format!("{role} perhaps: it was taken out in {change}"),
    };
    StepHeld { role, has: *has, says }
}
