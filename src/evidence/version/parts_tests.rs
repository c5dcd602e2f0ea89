//! Tests chains with several steps of one role, and lines that got the bug twice.

use super::*;
use State::{Affected, Fixed, FixedWithDefect, HalfFixed, NeverHad};

/// A dossier with this chain and these releases, in YAML.
fn dossier(chain: &str, releases: &str) -> Bug {
    let text = format!(
        "id: mine\ntitle: A bug\nsummary: It goes wrong.\nreferences: [a page]\nchain:\n{chain}\nreleases:\n{releases}\n  \
         sources: [here]\n"
    );
    Bug::parse(&text, std::path::Path::new("mine.yaml")).unwrap_or_else(|problems| panic!("{problems}"))
}

#[track_caller]
fn check(bug: &Bug, rows: &[(&str, &[State])]) {
    for (text, states) in rows {
        let release = Release::whole_line(text).map_or_else(|| Release::parse(text), Ok);
        let finding = weigh(bug, &release.expect("a release"));
        assert_eq!(finding.states, states.iter().copied().collect(), "{text}: {}", finding.why);
    }
}

const TWO_FIXES: &str = "  - { role: break, commit: 0123456789ab, effect: a }\n  \
                         - { role: fix, commit: 123456789abc, effect: b }\n  \
                         - { role: fix, commit: 23456789abcd, effect: c }";

#[test]
fn kernel_without_all_fixes_may_have_some() {
    let releases = "  mainline: { break: 5.2-rc6, fix: 5.4-rc1 }\n  since: { break: \"4.19\" }\n  stable:\n    \
                    - { line: \"4.19\", steps: { break: 4.19.52, fix: 4.19.80 } }\n  distributions:\n    \
                    - { distribution: ubuntu, line: 4.15.0, steps: { break: 4.15.0-52.56, fix: 4.15.0-60.67 }, source: here }";
    let parts = dossier(TWO_FIXES, releases);
    check(
        &parts,
        &[
            ("4.18.3", &[NeverHad]),
            ("4.19.51", &[NeverHad]),
            ("4.19.52", &[Affected, HalfFixed]),
            ("4.19.79", &[Affected, HalfFixed]),
            ("4.19.80", &[Fixed]),
            ("v5.3", &[Affected, HalfFixed]),
            ("v5.4", &[Fixed]),
            ("4.15.0-55-generic", &[Affected, HalfFixed]),
            ("4.15.0-60-generic", &[Fixed]),
            ("4.19", &[NeverHad, Affected, HalfFixed, Fixed]),
        ],
    );
    let why = weigh(&parts, &Release::parse("4.19.60").expect("a release")).why;
    assert!(why.contains("some of the fixes perhaps") && why.contains("fix not before 4.19.80"), "{why}");
    let advice = first_good(&parts, &Release::parse("4.19.60").expect("a release")).map(|advice| advice.to_string());
    assert!(advice.as_ref().is_some_and(|advice| advice.ends_with("4.19.80")), "{advice:?}");
    // One fix leaves no part open.
    let one = dossier(&TWO_FIXES[..TWO_FIXES.rfind("\n  -").expect("a step")], releases);
    check(&one, &[("4.19.60", &[Affected]), ("4.15.0-55-generic", &[Affected])]);
}

#[test]
fn every_mend_of_a_fix_is_needed_in_its_own_lines() {
    let mends = "  - { role: fix, commit: 123456789abc, effect: b }\n  \
                 - { role: fix-of-fix, commit: 23456789abcd, only-before: \"4.15\", effect: c }\n  \
                 - { role: fix-of-fix, commit: 3456789abcde, only-before: \"5.1\", effect: d }";
    let bug = dossier(mends, "  mainline: { fix: 4.1-rc1 }");
    check(
        &bug,
        &[
            ("v4.14", &[FixedWithDefect]),
            ("v4.20", &[FixedWithDefect]),
            ("v5.0", &[FixedWithDefect]),
            ("v5.1", &[Fixed]),
        ],
    );
}
