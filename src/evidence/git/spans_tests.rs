//! Lines of releases that got the bug, lost it, and got it again.

use git2::Oid;

use super::fixture::*;
use crate::evidence::{StateSet, Strength};
use crate::matrix::Bug;
use crate::words::{Role, State};

/// The bug of a line 4.19 that got the break twice, with the fix from `fix` on.
fn twice(mainline: &Mainline, fix: &str) -> Bug {
    let mut bug = bug(mainline);
    bug.chain.retain(|step| matches!(step.role, Role::Break | Role::Fix));
    let text = format!(
        "id: mine\ntitle: A bug\nsummary: It goes wrong.\nreferences: [a page]\nreleases:\n  \
         mainline: {{ break: 5.2-rc6, fix: 5.3-rc2 }}\n  stable:\n    \
         - {{ line: \"4.19\", steps: {{ break: [{{ in: 4.19.52, out: 4.19.60 }}, {{ in: 4.19.70 }}], fix: {fix} }} }}\n    \
         - {{ line: \"5.2\", steps: {{ break: [{{ in: 5.2, out: 5.2.9 }}] }} }}\n  sources: [here]\n"
    );
    bug.releases = Bug::parse(&text, std::path::Path::new("mine.yaml")).unwrap().releases;
    bug
}

#[test]
fn break_that_came_back_is_in_again() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = twice(&mainline, "4.19.80");
    let base = on_4_19(&fixture, &mainline);
    let break_ = picked(BREAK_SUBJECT, mainline.break_);
    let first = fixture.line(base, &[(&break_, BROKEN)]);
    let revert = |of: Oid, subject: &str| format!("Revert \"{subject}\"\n\nThis reverts commit {of}.\n");
    let out = fixture.line(first, &[(&revert(first, BREAK_SUBJECT), NEVER)]);
    let again = fixture.line(out, &[(&break_, BROKEN)]);
    let reapplied = fixture.line(out, &[(&revert(out, &format!("Revert \"{BREAK_SUBJECT}\"")), BROKEN)]);
    let out_again = fixture.line(again, &[(&revert(again, BREAK_SUBJECT), NEVER)]);
    let fixed = fixture.line(again, &[(&picked(FIX_SUBJECT, mainline.fix), FIXED)]);
    let all = [
        ("base", base, State::NeverHad),
        ("first", first, State::Affected),
        ("out", out, State::NeverHad),
        ("again", again, State::Affected),
        ("reapplied", reapplied, State::Affected),
        ("out-again", out_again, State::NeverHad),
        ("fixed", fixed, State::Fixed),
    ];
    all.iter().for_each(|(name, commit, _)| fixture.branch(name, *commit));
    let index = fixture.index();
    for (name, _, state) in all {
        let finding = index.ask(&bug, name).unwrap().finding;
        assert_eq!(
            (finding.states.only(), finding.strength),
            (Some(state), Strength::Strong),
            "{name}: {}",
            finding.why
        );
    }
}

#[test]
fn history_from_a_release_without_the_break_may_have_the_fix() {
    for (fix, release, broken_states) in [
        // Before the break came back, and before any fix.
        ("4.19.80", "4.19.65", set(&[State::Affected])),
        ("4.19.80", "4.19.51", set(&[State::Affected])),
        // The fix was there before the break came back.
        ("4.19.55", "4.19.65", set(&[State::Affected, State::Fixed])),
    ] {
        let fixture = Fixture::new();
        let mainline = fixture.mainline();
        let bug = twice(&mainline, fix);
        let commit = |parents: &[Oid], subject: &str, text: &str| {
            fixture.commit(parents, subject, &[("Makefile", &makefile(release)), (FILE, text)])
        };
        let cut = commit(&[mainline.v4_19], &format!("Linux {release}"), "a_text_of_the_line_in_other_words\n");
        fixture.tag(&format!("v{release}"), cut);
        fixture.branch("release", cut);
        let claim = format!("x: z\n\ncommit {} upstream.\n", mainline.break_);
        fixture.branch("again", fixture.line(cut, &[(&claim, BROKEN)]));
        std::fs::write(fixture.path().join("shallow"), format!("{cut}\n")).unwrap();
        let index = fixture.index();
        let states = |branch: &str| index.ask(&bug, branch).unwrap().finding;
        let again = states("again");
        assert_eq!(again.states, broken_states, "{fix} {release}: {}", again.why);
        let is_told = broken_states == set(&[State::Affected]);
        let here = states("release");
        assert_eq!(here.states.only() == Some(State::NeverHad), is_told, "{fix} {release}: {}", here.why);
    }
}

#[test]
fn release_that_lost_the_break_is_not_expected_to_have_it() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = twice(&mainline, "4.19.80");
    for (version, says) in [("5.2.8", true), ("5.2.9", false), ("4.19.65", false), ("4.19.75", true)] {
        let import =
            fixture.commit(&[], format!("Import {version}"), &[("Makefile", &makefile(version)), (FILE, "x\n")]);
        let branch = format!("import-{version}");
        fixture.branch(&branch, import);
        let finding = fixture.ask(&bug, &branch).finding;
        assert_eq!(finding.why.contains(&format!("a {version} has it")), says, "{version}: {}", finding.why);
        assert_eq!(finding.states, StateSet::from_iter([State::NeverHad, State::Affected, State::Fixed]), "{version}");
    }
}
