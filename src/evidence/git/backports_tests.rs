//! Tests commits that are a step, and commits that only seem to be.

use super::How;
use super::fixture::*;
use crate::evidence::Strength;
use crate::words::{Role, State};

#[test]
fn every_form_of_backport_is_found() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let base = on_4_19(&fixture, &mainline);
    let forms: &[(&str, bool)] = &[
        ("commit {} upstream.", true),
        ("[ Upstream commit {} ]", true),
        ("(cherry picked from commit {})", true),
        ("(backported from commit {})", true),
        ("Git-commit: {}\nPatch-mainline: v5.3-rc2", true),
        ("Upstream-commit: {}", true),
        ("Origin: upstream, https://git.kernel.org/linus/{}", true),
        ("Upstream-Status: Backport [https://git.kernel.org/linus/{}]", true),
        ("mainline inclusion\nfrom mainline-v5.3-rc2\ncommit {}", true),
        ("This is a backport of commit {}.", true),
        ("Backport of {} upstream.", true),
        ("upstream {} commit.", true),
        ("backport of stable commit {}", true),
        ("(cherry picked from commit\n{}\ngit://git.example.org/x)", true),
        ("This is not commit {} upstream, but near it.", false),
        ("Fixes: {}", false),
        ("Since commit {} upstream we are careful.", false),
    ];
    for (at, (form, found)) in forms.iter().enumerate() {
        let say = |oid: git2::Oid| format!("net: some vendor's subject\n\n{}\n", form.replace("{}", &oid.to_string()));
        // Lines show the step in any words, so they would hide words that aren't understood.
        let [with, mended] = if *found { [BROKEN, FIXED] } else { ["a_text_of_the_vendor_s_own\n", "another_text\n"] };
        let broken = fixture.line(base, &[(&say(mainline.break_), with)]);
        fixture.branch(&format!("broken-{at}"), broken);
        fixture.branch(&format!("fixed-{at}"), fixture.line(broken, &[(&say(mainline.fix), mended)]));
    }
    let index = fixture.index();
    for (at, (form, found)) in forms.iter().enumerate() {
        for (branch, state) in [("broken", State::Affected), ("fixed", State::Fixed)] {
            let testimony = index.ask(&bug, &format!("{branch}-{at}")).unwrap();
            let finding = &testimony.finding;
            // A commit that mentions the step without a known claim may still have it.
            if *found {
                let told = (finding.states.only(), finding.strength);
                assert_eq!(told, (Some(state), Strength::Strong), "{form}: {finding:?}");
            } else {
                assert!(
                    finding.states.contains(State::NeverHad) && finding.states.contains(state),
                    "{form}: {finding:?}"
                );
            }
            let how = &of(&testimony, Role::Break).how;
            assert_eq!(matches!(how, How::Trailer { .. }), *found, "{form}: {how}");
        }
    }
}

#[test]
fn short_name_counts_only_where_unambiguous() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let base = on_4_19(&fixture, &mainline);
    for digits in [8, 11, 12, 20] {
        let message = format!("x: y\n\ncommit {} upstream.\n", &mainline.break_.to_string()[..digits]);
        fixture.branch(&format!("with-{digits}"), fixture.line(base, &[(&message, BROKEN)]));
    }
    // Another commit's abbreviation.
    let message = format!("x: y\n\ncommit {} upstream.\n", &mainline.half_fix.to_string()[..12]);
    fixture.branch("another", fixture.line(base, &[(&message, "text_of_another_commit\n")]));
    for digits in [8, 11, 12, 20] {
        let states = fixture.ask(&bug, &format!("with-{digits}")).finding.states;
        assert_eq!(states.only(), Some(State::Affected), "{digits}");
    }
    assert_eq!(of(&fixture.ask(&bug, "another"), Role::Break).how, How::NotFound);

    // Eight digits of a missing commit may mean anything.
    let mut elsewhere = bug.clone();
    let foreign = "0123456789abcdef0123456789abcdef01234567";
    elsewhere.chain[0].commit = Some(foreign.parse().unwrap());
    elsewhere.chain[0].subject = Some("no such subject".to_owned());
    for (digits, found) in [(8, false), (10, true), (12, true)] {
        let message = format!("x: z\n\ncommit {} upstream.\n", &foreign[..digits]);
        fixture.branch("foreign", fixture.line(base, &[(&message, BROKEN)]));
        let how = of(&fixture.ask(&elsewhere, "foreign"), Role::Break).how.clone();
        assert_eq!(matches!(how, How::Trailer { .. }), found, "{digits}: {how}");
    }
}

#[test]
fn known_backports_and_picks_of_them_are_found() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let mut bug = bug(&mainline);
    let base = on_4_19(&fixture, &mainline);
    // The dossier knows the commit, but its message says nothing.
    let known = fixture.line(base, &[("tcp: stable's own words", BROKEN)]);
    fixture.branch("known", known);
    bug.chain[0].backports = vec![backport("4.19", known, true)];
    // A vendor picks from stable, and another vendor picks from that one.
    let vendor = fixture.commit(&[base], format!("v: x\n\n(cherry picked from commit {known})\n"), &[(FILE, BROKEN)]);
    fixture.branch("vendor", vendor);
    let second = fixture.commit(&[base], format!("w: x\n\n(cherry picked from commit {vendor})\n"), &[(FILE, BROKEN)]);
    fixture.branch("second", second);
    for (branch, expected) in [
        ("known", How::KnownBackport { line: "4.19".to_owned(), differs: true }),
        ("vendor", How::Trailer { line: format!("(cherry picked from commit {known})") }),
        ("second", How::Trailer { line: format!("(cherry picked from commit {vendor})") }),
    ] {
        let testimony = fixture.ask(&bug, branch);
        assert_eq!(of(&testimony, Role::Break).how, expected);
        assert_eq!(testimony.finding.states.only(), Some(State::Affected), "{}", testimony.finding.why);
    }
    assert!(fixture.ask(&bug, "known").finding.why.contains("another patch with the same subject"));
}

#[test]
fn same_subject_is_a_hint_and_same_patch_is_evidence() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let base = on_4_19(&fixture, &mainline);
    let broken = fixture.line(base, &[(BREAK_SUBJECT, BROKEN), (HALF_SUBJECT, HALF)]);
    fixture.branch("same-patch", fixture.line(broken, &[(FIX_SUBJECT, FIXED)]));
    let slack = "head_of_the_fragment_function\nrefuse_above_twice_128_kib\nmore_of_it_in_this_old_kernel\n";
    fixture.branch("other-patch", fixture.line(broken, &[(FIX_SUBJECT, slack)]));
    let elsewhere = fixture.commit(&[broken], FIX_SUBJECT, &[("drivers/x.c", "something_else_entirely\n")]);
    fixture.branch("other-file", elsewhere);
    let other = fixture.commit(&[mainline.tip], "tcp: another fix", &[("net/other.c", "of_another_commit_s_own\n")]);
    fixture.branch("next", other);
    let trap = format!("{FIX_SUBJECT}\n\n[ Upstream commit {other} ]\n");
    fixture.branch("other-upstream", fixture.line(broken, &[(&trap, slack)]));
    let marked = format!("BACKPORT: {FIX_SUBJECT}");
    fixture.branch("marked", fixture.line(broken, &[(&marked, slack)]));
    use State::{Fixed, HalfFixed};
    for (branch, how, state, strength) in [
        ("same-patch", "the same patch", Fixed, Strength::Strong),
        ("other-patch", "same subject, different patch", Fixed, Strength::Weak),
        ("marked", "same subject, different patch", Fixed, Strength::Weak),
        ("other-file", "not found", HalfFixed, Strength::Strong),
        ("other-upstream", "not found", HalfFixed, Strength::Strong),
    ] {
        let testimony = fixture.ask(&bug, branch);
        let found = of(&testimony, Role::Fix).how.to_string();
        assert!(found.starts_with(how), "{branch}: {found}");
        let finding = testimony.finding;
        assert_eq!((finding.states.only(), finding.strength), (Some(state), strength), "{branch}: {}", finding.why);
        assert_eq!(testimony.warnings.len(), usize::from(how == "not found"), "{branch}: {:?}", testimony.warnings);
    }
}

#[test]
fn claim_that_changes_other_files_does_not_count() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let broken = fixture.line(on_4_19(&fixture, &mainline), &[(&picked(BREAK_SUBJECT, mainline.break_), BROKEN)]);
    let docs = fixture.commit(&[broken], picked("docs: tcp", mainline.fix), &[("Documentation/tcp.rst", "text\n")]);
    fixture.branch("docs", docs);
    let testimony = fixture.ask(&bug, "docs");
    assert_eq!(testimony.finding.states.only(), Some(State::Affected), "{}", testimony.finding.why);
    assert!(testimony.warnings.iter().any(|w| w.contains("changes none of its files")), "{:?}", testimony.warnings);
}
