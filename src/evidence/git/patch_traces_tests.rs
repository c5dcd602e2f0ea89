//! Tests patches in a tree that contradict their own words, turn off a step, or bring one without saying so.

use super::GitTestimony;
use super::fixture::*;
use super::placements::*;
use crate::evidence::Strength;
use crate::words::State;

/// A patch file with this subject and claim, which removes and adds these lines.
fn patch(subject: &str, claim: &str, lines: &[(char, &str)]) -> String {
    let hunk: String =
        lines.iter().flat_map(|(mark, text)| text.lines().map(move |line| format!("{mark}{line}\n"))).collect();
    format!(
        "From: A <a@b.c>\nSubject: [PATCH] {subject}\n\n{claim}\n---\n--- a/{FILE}\n+++ b/{FILE}\n@@ -1 +1 @@\n{hunk}"
    )
}

#[test]
fn patch_counts_only_with_lines_of_its_step() {
    use State::{Affected, Fixed, NeverHad};
    let all = Placements::new();
    let claims = |oid| format!("commit {oid} upstream.");
    let break_ = patch("tcp: x", &claims(all.break_), &[('+', OLD)]);
    let fix_claim = claims(all.fix);
    let replaced = [('-', OLD), ('+', NEW)];
    let fix = |lines: &[(char, &str)]| patch("tcp: y", &fix_claim, lines);
    let off = |before: &str, after: &str| fix(&[('+', before), ('+', NEW), ('+', after), (' ', OLD), ('+', "#endif")]);
    let own = |lines: &[(char, &str)]| patch("net: a vendor's own", "", lines);
    let comment = [('+', "/* be careful with the limit of the queue */")];
    let other = [('+', "something_else_of_the_vendor(queue, packet);")];
    let table: Vec<(&str, Vec<String>, &[State])> = vec![
        ("break", vec![break_.clone()], &[Affected]),
        ("fix", vec![break_.clone(), fix(&replaced)], &[Fixed]),
        ("fix of a comment", vec![break_.clone(), fix(&comment)], &[Affected, Fixed]),
        ("fix of another thing", vec![break_.clone(), fix(&other)], &[Affected, Fixed]),
        ("break of a comment", vec![patch("tcp: x", &claims(all.break_), &comment)], &[NeverHad, Affected]),
        ("break of another thing", vec![patch("tcp: x", &claims(all.break_), &other)], &[NeverHad, Affected]),
        ("fix in a condition", vec![break_.clone(), off("#ifdef CONFIG_VENDOR", "#else")], &[Affected, Fixed]),
        ("fix in #if 0", vec![break_.clone(), off("#if 0", "#else")], &[Affected, Fixed]),
        (
            "fix, later in a condition",
            vec![break_.clone(), fix(&replaced), own(&[('+', "# ifdef CONFIG_Z"), (' ', NEW), ('+', "# endif")])],
            &[Affected, Fixed],
        ),
        (
            "break, later in a comment",
            vec![break_.clone(), own(&[('+', "/*"), (' ', OLD), ('+', "*/")])],
            &[NeverHad, Affected],
        ),
        (
            "fix, and a condition elsewhere",
            vec![break_.clone(), fix(&replaced), own(&[('+', "#ifdef CONFIG_Z"), ('+', "int z;"), ('+', "#endif")])],
            &[Fixed],
        ),
        ("break in its own words", vec![own(&[('+', OLD)])], &[NeverHad, Affected]),
        ("break, respelled", vec![own(&[('+', &OLD.replace(">> 1", "/ 2"))])], &[NeverHad, Affected]),
        ("fix in its own words", vec![break_.clone(), own(&replaced)], &[Affected, Fixed]),
        ("fix in part", vec![break_.clone(), own(&[('+', PARTLY)])], &[Affected, Fixed]),
        ("another thing", vec![own(&other)], &[NeverHad]),
    ];
    for (at, (_, patches, _)) in table.iter().enumerate() {
        let names: Vec<String> = (0..patches.len()).map(|n| format!("debian/patches/{n}.patch")).collect();
        let series: String = (0..patches.len()).map(|n| format!("{n}.patch\n")).collect();
        let mut files = vec![("debian/patches/series", series.as_str())];
        files.extend(names.iter().zip(patches).map(|(name, text)| (name.as_str(), text.as_str())));
        all.fixture.branch(&format!("case-{at}"), all.fixture.commit(&[all.base], "packaging", &files));
    }
    let index = all.fixture.index();
    for (at, (name, _, states)) in table.iter().enumerate() {
        let GitTestimony { finding, .. } = index.ask(&all.bug, &format!("case-{at}")).unwrap();
        let has_all = states.iter().all(|state| finding.states.contains(*state));
        let is_told = finding.states.only().is_some() && finding.strength == Strength::Strong;
        assert_eq!((has_all, is_told), (true, states.len() == 1), "{name}: {finding:?}");
    }
}
