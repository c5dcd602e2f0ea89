//! Tests complete questions: a bug and a revision.

use super::How;
use super::fixture::*;
use crate::evidence::Strength;
use crate::words::{Role, State};

#[test]
fn mainline_releases_are_told_by_ancestry() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    for (revision, state) in [
        ("v4.14", State::NeverHad),
        ("v4.19", State::NeverHad),
        ("v5.2-rc6", State::HalfFixed),
        ("v5.2-rc6~1", State::HalfFixed),
        ("v5.2-rc6~2", State::Affected),
        ("v5.3-rc2", State::Fixed),
        ("master", State::Fixed),
    ] {
        let testimony = fixture.ask(&bug, revision);
        let finding = &testimony.finding;
        assert_eq!((finding.states.only(), finding.strength), (Some(state), Strength::Strong), "{}", finding.why);
    }
    let fixed = fixture.ask(&bug, "master");
    let fix = of(&fixed, Role::Fix);
    assert_eq!((fix.how.clone(), fix.first_tag.as_deref()), (How::Itself, Some("v5.3-rc2")));
    assert_eq!(of(&fixed, Role::Break).first_tag.as_deref(), Some("v5.2-rc6"));
    assert_eq!(of(&fixed, Role::FixOfFix).how, How::NotNeeded);
    assert_eq!(fixed.warnings, [""; 0]);
}

#[test]
fn kernel_before_4_15_needs_the_fix_of_the_fix() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let fixed = fixture.line(
        on_4_14(&fixture, &mainline, 140),
        &[
            (&picked(BREAK_SUBJECT, mainline.break_), BROKEN),
            (&picked(HALF_SUBJECT, mainline.half_fix), HALF),
            (&picked(FIX_SUBJECT, mainline.fix), FIXED),
        ],
    );
    fixture.branch("fixed", fixed);
    let fixes = format!("{MEND_SUBJECT}\n\nFixes: {} (\"tcp: be more careful\")\n", &fixed.to_string()[..12]);
    fixture.branch("mended", fixture.line(fixed, &[(&fixes, MENDED)]));
    fixture.branch("hinted", fixture.line(fixed, &[(MEND_SUBJECT, MENDED)]));
    use State::{Fixed, FixedWithDefect};
    for (branch, states, how) in [
        ("fixed", &[FixedWithDefect][..], How::NotFound),
        ("mended", &[Fixed], How::SubjectAndFixes),
        ("hinted", &[Fixed, FixedWithDefect], How::SameSubject { patch: super::testimony::PatchCompared::Unknown }),
    ] {
        let testimony = fixture.ask(&bug, branch);
        assert_eq!((testimony.finding.states, testimony.finding.strength), (set(states), Strength::Strong), "{branch}");
        assert_eq!(of(&testimony, Role::FixOfFix).how, how);
    }
}

#[test]
fn later_fixes_of_a_step_are_warned_of_once() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let message =
        |extra: &str| format!("tcp: fix the fix\n\n{extra}Fixes: {} (\"tcp\")\n", &mainline.fix.to_string()[..12]);
    let later = fixture.commit(&[mainline.tip], message(""), &[("net/later.c", "x\n")]);
    fixture.branch("next", later);
    for stable in 0..3 {
        let backport = message(&format!("[ Upstream commit {later} ]\n\n"));
        let base = fixture.commit(&[mainline.v4_19], format!("stable {stable}"), &[]);
        fixture.branch(&format!("stable-{stable}"), fixture.commit(&[base], backport, &[("net/later.c", "x\n")]));
    }
    for (revision, says) in [("master", "and is not in this revision"), ("next", "and is in this revision")] {
        let warnings = fixture.ask(&bug, revision).warnings;
        assert!(
            matches!(warnings.as_slice(), [one] if one.contains("tcp: fix the fix") && one.ends_with(says)),
            "{warnings:?}"
        );
    }
}

#[test]
fn fix_is_compared_where_its_fix_is_in_another_file() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let mut bug = bug(&mainline);
    bug.chain[3].files = vec!["include/net/tcp.h".to_owned()];
    let broken = fixture.line(on_4_14(&fixture, &mainline, 140), &[(&picked(BREAK_SUBJECT, mainline.break_), BROKEN)]);
    let fixed = fixture.line(broken, &[(&picked(FIX_SUBJECT, mainline.fix), FIXED)]);
    let fixes = format!("{MEND_SUBJECT}\n\nFixes: {} (\"tcp\")\n", &fixed.to_string()[..12]);
    let mended = fixture.commit(&[fixed], fixes, &[("include/net/tcp.h", "x\n")]);
    let other = fixture.commit(&[broken], "net: other", &[("net/o.c", "x\n")]);
    fixture.branch("kept", fixture.commit(&[mended, other], "Merge", &[("net/o.c", "x\n")]));
    fixture.branch("dropped", fixture.commit(&[mended, other], "Merge", &[(FILE, BROKEN)]));
    assert_eq!(fixture.ask(&bug, "kept").finding.states, set(&[State::Fixed]));
    let finding = fixture.ask(&bug, "dropped").finding;
    assert!(finding.states.contains(State::Affected) && finding.why.contains("took it out"), "{finding:?}");
}
