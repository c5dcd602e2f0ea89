//! Tests commits that mention a step without claiming it.

use super::GitTestimony;
use super::fixture::*;
use crate::words::State;

#[test]
fn step_is_open_when_a_commit_mentions_it() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let broken = half_fixed(&fixture, &mainline);
    let (fix, break_) = (mainline.fix.to_string(), mainline.break_.to_string());
    let other = fixture.commit(&[mainline.tip], format!("net: after\n\nAs in {fix}.\n"), &[(FILE, "other\n")]);
    fixture.branch("next", other);
    let text = "a_text_of_neither_kind_at_all\n";
    let table: &[(&str, String, &str, bool)] = &[
        ("bare", format!("net: x\n\n{fix}\n"), FILE, true),
        ("link", format!("net: x\n\nLink: https://git.kernel.org/linus/{fix}\n"), FILE, true),
        ("list", format!("Update\n\n* {FIX_SUBJECT} ({})\n* other\n", &fix[..12]), FILE, true),
        ("list of subjects", format!("Update\n\n- {FIX_SUBJECT}\n- net: other\n"), FILE, true),
        ("quoted", format!("net: x\n\nTake \"{FIX_SUBJECT}\" in.\n"), FILE, true),
        ("eight digits", format!("net: x\n\nas {} does\n", &fix[..8]), FILE, true),
        ("in the subject", format!("net: take {}\n", &fix[..12]), FILE, true),
        ("fixes the break", format!("net: x\n\nFixes: {} (\"x\")\n", &break_[..12]), FILE, true),
        ("another file", format!("net: x\n\n{fix}\n"), "net/o.c", false),
        ("seven digits, all decimal", format!("net: x\n\nas {} does\n", &fix[..7]), FILE, false),
        ("revert", format!("Revert \"{FIX_SUBJECT}\"\n\nThis reverts commit {fix}.\n"), FILE, false),
        ("words of upstream", format!("net: after\n\ncommit {other} upstream.\n\nAs in {fix}.\n"), FILE, false),
        ("silence", "net: x\n".to_owned(), FILE, false),
    ];
    for (name, message, file, _) in table {
        fixture.branch(&name.replace([' ', ','], "-"), fixture.commit(&[broken], message, &[(file, text)]));
    }
    // The content of a release is known, unless it has the step's lines.
    let released = fixture.commit(&[broken], &table[0].1, &[(FILE, &format!("{HALF}a_line_of_its_own_below\n"))]);
    let released = fixture.commit(&[released], "Linux 4.19.60\n", &[("Makefile", &makefile("4.19.60"))]);
    fixture.tag("v4.19.60", released);
    let index = fixture.index();
    for (name, _, _, speaks) in table.iter().chain([&("v4.19.60", String::new(), "", false)]) {
        let testimony = index.ask(&bug, &name.replace([' ', ','], "-")).unwrap();
        let expected = if *speaks { set(&[State::HalfFixed, State::Fixed]) } else { set(&[State::HalfFixed]) };
        assert_eq!(testimony.finding.states, expected, "{name}: {}", testimony.finding.why);
        let warned = testimony.warnings.iter().any(|warning| warning.contains("does not say what it is: read it"));
        assert_eq!(warned, *speaks, "{name}: {:?}", testimony.warnings);
    }
}

#[test]
fn commit_that_names_only_the_cve_leaves_the_step_open() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let mut bug = bug(&mainline);
    bug.references = vec!["CVE-2019-90001".to_owned()];
    bug.chain.remove(1);
    let broken = broken(&fixture, &mainline);
    let text = "a_text_of_neither_kind_at_all\n";
    let diff = format!("---\n--- a/{FILE}\n+++ b/{FILE}\n@@ -1 +1 @@\n-x\n+y\n");
    let (subject, bare) = (format!("Subject: Fix CVE-2019-90001\n\n{diff}"), format!("Subject: Fix it\n\n{diff}"));
    let series = "debian/patches/series";
    type CommitRow<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], bool);
    let table: [CommitRow; 9] = [
        ("subject", "Fix CVE-2019-90001", &[(FILE, text)], true),
        ("lower-case", "net: cve-2019-90001", &[(FILE, text)], true),
        ("body", "net: x\n\nCVE-2019-90001", &[(FILE, text)], true),
        ("elsewhere", "Fix CVE-2019-90001", &[("net/o.c", text)], false),
        ("another", "Fix CVE-2019-900011, CVE-2019-9000", &[(FILE, text)], false),
        ("silent", "Fix it", &[(FILE, text)], false),
        ("patch", "packaging", &[(series, "a.patch\n"), ("debian/patches/a.patch", &subject)], true),
        (
            "patch-file",
            "packaging",
            &[(series, "CVE-2019-90001.patch\n"), ("debian/patches/CVE-2019-90001.patch", &bare)],
            true,
        ),
        ("patch-of-another", "packaging", &[(series, "a.patch\n"), ("debian/patches/a.patch", &bare)], false),
    ];
    for (name, message, files, _) in &table {
        fixture.branch(name, fixture.commit(&[broken], message, files));
    }
    let index = fixture.index();
    for (name, _, _, is_open) in table {
        let GitTestimony { finding, warnings, .. } = index.ask(&bug, name).unwrap();
        assert!(finding.states.contains(State::Affected), "{name}: {}", finding.why);
        assert_eq!(finding.states.contains(State::Fixed), is_open, "{name}: {}", finding.why);
        assert_eq!(warnings.iter().any(|warning| warning.contains("its CVE")), is_open, "{name}: {warnings:?}");
    }
}

#[test]
fn subject_with_text_round_it_leaves_the_step_open() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let mut bug = bug(&mainline);
    bug.chain[2].commit = Some("0123456789abcdef0123456789abcdef01234567".parse().unwrap());
    let broken = broken(&fixture, &mainline);
    let forms = [
        "$S (#1234)",
        "!1234 $S",
        "$S [OLK-5.10]",
        "4.19: $S (bsc#1)",
        "Backport to 4.19: $S",
        "Pull request #12: $S",
        "net: own words\n\n    $S",
        "net: own words\n\n1. $S",
        "net: own words\n\nFrom v5.3-rc1-123-g0123456789ab.",
    ];
    for (at, form) in forms.iter().enumerate() {
        fixture.branch(&format!("form-{at}"), fixture.line(broken, &[(&form.replace("$S", FIX_SUBJECT), FIXED)]));
    }
    let index = fixture.index();
    for (at, form) in forms.iter().enumerate() {
        let testimony = index.ask(&bug, &format!("form-{at}")).unwrap();
        assert!(testimony.finding.states.contains(State::Fixed), "{form}: {}", testimony.finding.why);
        assert!(!testimony.warnings.is_empty(), "{form}");
    }
}
