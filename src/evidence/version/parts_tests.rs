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

const BREAK: &str = "  - { role: break, commit: 0123456789ab, effect: a }";
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

const TWICE: &str = "  mainline: { break: 5.2-rc6, fix: 5.3-rc2 }\n  since: { break: \"4.9\" }\n  stable:\n    \
    - { line: \"4.19\", steps: { break: [{ in: 4.19.52, out: 4.19.60 }, { in: 4.19.70 }], fix: 4.19.80 } }\n    \
    - { line: \"4.14\", steps: { break: [{ in: 4.14.127, out: 4.14.130 }, { in: 4.14.140, out: 4.14.150 }] } }\n    \
    - { line: \"4.9\", steps: { break: [{ in: 4.9.182, out: 4.9.190..4.9.192 }, { in: 4.9.200 }] } }\n  distributions:\n    \
    - { distribution: debian, line: \"4.19\", source: here, contains-base: true, steps: { \
    break: [{ in: 4.19.52-1, out: 4.19.60-1 }, { in: 4.19.70-1 }], fix: 4.19.80-1 } }";

#[test]
fn line_that_got_the_bug_twice_has_it_twice() {
    let bug = dossier(&TWO_FIXES[..TWO_FIXES.rfind("\n  -").expect("a step")], TWICE);
    check(
        &bug,
        &[
            ("4.8.17", &[NeverHad]),
            ("4.19.51", &[NeverHad]),
            ("4.19.52", &[Affected]),
            ("4.19.59", &[Affected]),
            ("4.19.60", &[NeverHad]),
            ("4.19.69", &[NeverHad]),
            ("4.19.70", &[Affected]),
            ("4.19.79", &[Affected]),
            ("4.19.80", &[Fixed]),
            ("4.14.129", &[Affected]),
            ("4.14.130", &[NeverHad]),
            ("4.14.145", &[Affected]),
            ("4.14.150", &[NeverHad]),
            ("4.9.189", &[Affected]),
            ("4.9.191", &[NeverHad, Affected]),
            ("4.9.192", &[NeverHad]),
            ("4.9.200", &[Affected]),
            ("linux-image-4.19.0-9-amd64_4.19.59-1_amd64.deb", &[Affected]),
            ("linux-image-4.19.0-9-amd64_4.19.65-1_amd64.deb", &[NeverHad]),
            ("linux-image-4.19.0-9-amd64_4.19.75-1_amd64.deb", &[Affected]),
            ("linux-image-4.19.0-9-amd64_4.19.80-1_amd64.deb", &[Fixed]),
            ("4.19", &[NeverHad, Affected, Fixed]),
        ],
    );
    let told = |text: &str| {
        let release = Release::whole_line(text).map_or_else(|| Release::parse(text), Ok).expect("a release");
        let advice = first_good(&bug, &release).map(|advice| advice.to_string()).unwrap_or_default();
        (weigh(&bug, &release).why, advice)
    };
    for (text, why, advice) in [
        ("4.19.55", "break since 4.19.52", "first good release of this line: 4.19.80"),
        ("4.19.65", "break taken out in 4.19.60", ""),
        ("4.19.75", "break since 4.19.70", "first good release of this line: 4.19.80"),
        ("4.14.128", "break since 4.14.127", "first good release of this line: 4.14.150"),
        ("4.14.145", "break since 4.14.140", "first good release of this line: 4.14.150"),
        ("4.9.200", "break since 4.9.200", "no good release of this line is known; the oldest later one is 4.14.150"),
        ("4.9.191", "it was taken out in one of 4.9.190 to 4.9.192", "git"),
        (
            "4.19",
            "never-had from 4.19 to 4.19.51; affected from 4.19.52 to 4.19.59; never-had from 4.19.60 to 4.19.69; affected \
             from 4.19.70 to 4.19.79; fixed from 4.19.80 to",
            "all releases from 4.19.80 on are good",
        ),
    ] {
        let (said, advised) = told(text);
        assert!(said.contains(why), "{text}: {said}");
        assert!(advised.contains(advice) && (advice.is_empty() == advised.is_empty()), "{text}: {advised}");
    }
}

#[test]
fn line_that_got_the_bug_by_itself_is_advised_by_its_own_releases() {
    // Mainline lost the break in the release that the line starts from, and the line got it again.
    let bug = dossier(
        BREAK,
        "  mainline: { break: [{ in: 5.2-rc6, out: 5.3-rc3 }] }\n  stable:\n    \
         - { line: \"5.3\", steps: { break: [{ in: 5.3.7, out: 5.3.12 }] } }",
    );
    check(
        &bug,
        &[
            ("v5.2", &[Affected]),
            ("5.3-rc2", &[Affected]),
            ("v5.3", &[NeverHad]),
            ("5.3.7", &[Affected]),
            ("5.3.12", &[NeverHad]),
        ],
    );
    let advice = |text: &str| first_good(&bug, &Release::parse(text).expect(text)).map(|advice| advice.to_string());
    for text in ["5.3-rc2", "5.3.9"] {
        assert_eq!(advice(text).as_deref(), Some("first good release of this line: 5.3.12"), "{text}");
    }
}
