//! Dossiers that name steps by commits alone, as LTP's tags and CVE records do.

use super::fixture::*;
use super::testimony::How;
use crate::evidence::Strength;
use crate::matrix::{Bug, Step};
use crate::words::{Role, State};

/// A commit that the repository lacks.
const FOREIGN: &str = "0123456789abcdef0123456789abcdef01234567";

/// The bug with a fix that the dossier names by `commit` alone.
fn fixed_by(bug: &Bug, commit: &str) -> Bug {
    let mut bug = bug.clone();
    bug.chain.retain(|step| step.role != Role::FixOfFix);
    let fix = bug.chain.iter_mut().find(|step| step.role == Role::Fix).unwrap();
    *fix = Step { commit: Some(commit.parse().unwrap()), ..step(Role::Fix, None, "") };
    (fix.subject, fix.files) = (None, Vec::new());
    bug
}

#[test]
fn subject_and_files_are_read_from_the_upstream_commit() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let whole = bug(&mainline);
    let half = half_fixed(&fixture, &mainline);
    // The subject alone is a hint, and so is that of a commit that changes another file.
    fixture.branch("subject", fixture.line(half, &[(FIX_SUBJECT, &format!("{FIXED}and_another_line_of_a_vendor\n"))]));
    let elsewhere = fixture.commit(&[half], FIX_SUBJECT, &[("net/other.c", "a_line_of_another_file\n")]);
    fixture.branch("elsewhere", elsewhere);
    let fixed = fixture.line(half, &[(&picked("x: a vendor's subject", mainline.fix), FIXED)]);
    fixture.branch("fixed", fixed);
    fixture.branch("reverted", fixture.line(fixed, &[(&format!("Revert \"{FIX_SUBJECT}\""), HALF)]));
    fixture.branch("half", half);
    fixture.branch("silent", fixture.line(half, &[("Update to a later state", FIXED)]));
    let index = fixture.index();
    for twelve in [false, true] {
        let mut by_commits = bare(&whole);
        for step in by_commits.chain.iter_mut().filter(|_| twelve) {
            step.commit = step.commit.as_ref().map(|commit| commit.as_str()[..12].parse().unwrap());
        }
        for branch in ["subject", "elsewhere", "fixed", "reverted", "half", "silent", "master", "v5.2-rc6", "v4.19"] {
            let (expected, found) = (index.ask(&whole, branch).unwrap(), index.ask(&by_commits, branch).unwrap());
            assert_eq!((found.finding, found.steps), (expected.finding, expected.steps), "{branch}");
        }
    }
    let finding = index.ask(&bare(&whole), "fixed").unwrap().finding;
    assert_eq!((finding.states.only(), finding.strength), (Some(State::Fixed), Strength::Strong), "{}", finding.why);
}

#[test]
fn absence_of_an_unknown_subject_proves_nothing() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = fixed_by(&bug(&mainline), FOREIGN);
    let half = half_fixed(&fixture, &mainline);
    fixture.branch("half", half);
    fixture.branch("subject", fixture.line(half, &[(FIX_SUBJECT, FIXED)]));
    let index = fixture.index();
    for branch in ["half", "subject", "v5.2-rc6", "master"] {
        let finding = index.ask(&bug, branch).unwrap().finding;
        assert_eq!(finding.states, set(&[State::HalfFixed, State::Fixed]), "{branch}: {}", finding.why);
        assert!(finding.why.contains("add the `subject`, or fetch the commit"), "{branch}: {}", finding.why);
    }
    // A kernel that never had the break doesn't need the fix.
    let mut only_fix = bug.clone();
    only_fix.chain.retain(|step| step.role == Role::Fix);
    let finding = index.ask(&only_fix, "half").unwrap().finding;
    assert!(finding.states.contains(State::Affected) && finding.states.contains(State::Fixed), "{}", finding.why);
}

#[test]
fn step_without_a_subject_is_found_by_claims_and_known_backports() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = fixed_by(&bug(&mainline), FOREIGN);
    let half = half_fixed(&fixture, &mainline);
    let forms = [
        format!("commit {FOREIGN} upstream."),
        format!("[ Upstream commit {FOREIGN} ]"),
        format!("(cherry picked from commit {FOREIGN})"),
        format!("(cherry picked from commit {})", &FOREIGN[..12]),
    ];
    for (at, form) in forms.iter().enumerate() {
        let fixed = fixture.line(half, &[(&format!("{FIX_SUBJECT}\n\n{form}\n"), FIXED)]);
        fixture.branch(&format!("fixed-{at}"), fixed);
        // These name only the subject of the backport.
        let out = fixture.line(fixed, &[(&format!("Revert \"{FIX_SUBJECT}\"\n\nIt broke a test.\n"), HALF)]);
        fixture.branch(&format!("reverted-{at}"), out);
        fixture.branch(&format!("again-{at}"), fixture.line(out, &[(&format!("Reapply \"{FIX_SUBJECT}\""), FIXED)]));
        fixture.branch(&format!("anew-{at}"), fixture.line(out, &[(FIX_SUBJECT, FIXED)]));
    }
    // A revert by upstream's subject, which nothing tells, shows in the files.
    let renamed = fixture.line(half, &[(&format!("x: a vendor's subject\n\ncommit {FOREIGN} upstream.\n"), FIXED)]);
    fixture.branch("renamed", renamed);
    fixture.branch("lost", fixture.line(renamed, &[(&format!("Revert \"{FIX_SUBJECT}\""), HALF)]));
    let known = fixture.line(half, &[("x: a vendor's own subject", FIXED)]);
    fixture.branch("known", known);
    let mut with_backport = bug.clone();
    with_backport.chain[2].backports = vec![backport("UEK5", known, false)];
    let index = fixture.index();
    for at in 0..forms.len() {
        for (branch, state) in [("fixed", State::Fixed), ("again", State::Fixed)] {
            let testimony = index.ask(&bug, &format!("{branch}-{at}")).unwrap();
            assert_eq!(testimony.finding.states.only(), Some(state), "{branch} {at}: {}", testimony.finding.why);
            assert!(matches!(of(&testimony, Role::Fix).how, How::Trailer { .. }));
        }
        // A commit with the subject alone may have brought it again.
        for branch in ["reverted", "anew"] {
            let testimony = index.ask(&bug, &format!("{branch}-{at}")).unwrap();
            let finding = &testimony.finding;
            assert_eq!(finding.states, set(&[State::HalfFixed, State::Fixed]), "{branch} {at}: {}", finding.why);
            assert!(of(&testimony, Role::Fix).reverted_by.is_some(), "{branch} {at}: {}", finding.why);
        }
    }
    let finding = index.ask(&bug, "renamed").unwrap().finding;
    assert_eq!(finding.states.only(), Some(State::Fixed), "{}", finding.why);
    let finding = index.ask(&bug, "lost").unwrap().finding;
    assert_eq!(finding.states, set(&[State::HalfFixed, State::Fixed]), "{}", finding.why);
    let testimony = index.ask(&with_backport, "known").unwrap();
    let (finding, how) = (&testimony.finding, &of(&testimony, Role::Fix).how);
    assert_eq!((finding.states.only(), finding.strength), (Some(State::Fixed), Strength::Strong), "{}", finding.why);
    assert!(matches!(how, How::KnownBackport { .. }), "{how}");
}

#[test]
fn claim_without_visible_files_is_a_hint() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = fixed_by(&bug(&mainline), FOREIGN);
    // More files than a step is compared in.
    let files: Vec<(String, &str)> =
        (0..30).map(|at| (format!("net/many/{at}.c"), "a_line_of_one_of_many\n")).collect();
    let mut files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (path.as_str(), *text)).collect();
    files.push((FILE, FIXED));
    let half = half_fixed(&fixture, &mainline);
    let fixed = fixture.commit(&[half], format!("x: a vendor's subject\n\ncommit {FOREIGN} upstream.\n"), &files);
    fixture.branch("fixed", fixed);
    let finding = fixture.ask(&bug, "fixed").finding;
    assert_eq!((finding.states.only(), finding.strength), (Some(State::Fixed), Strength::Weak), "{}", finding.why);
}

#[test]
fn several_steps_of_a_role_are_told_apart() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let mut bug = bug(&mainline);
    bug.chain[3] = step(Role::Fix, None, "tcp: another part of it");
    let why = fixture.ask(&bug, "master").finding.why;
    assert!(why.contains(&format!("fix {:.12}: ", mainline.fix.to_string())), "{why}");
    assert!(why.contains("fix \"tcp: another part of it\": not in its history"), "{why}");
}
