use super::*;

fn finding(witness: Witness, strength: Strength, states: &[State]) -> Finding {
    Finding::new(witness, states.iter().copied().collect(), strength, "")
}

#[test]
fn mitigation_changes_the_verdict_not_the_states() {
    let stalls: &[State] = &[State::Affected, State::HalfFixed];
    let mitigated = Finding { mitigated: true, ..finding(Witness::Runtime, Strength::Decisive, stalls) };
    let git = |state| finding(Witness::Git, Strength::Strong, &[state]);
    for (other, conflict) in [(None, false), (Some(git(State::HalfFixed)), false), (Some(git(State::Fixed)), true)] {
        let findings = [mitigated.clone()].into_iter().chain(other).collect();
        let weight = Ledger { findings }.weigh();
        assert!(weight.mitigated && weight.states.and(StateSet::not_affected()).is_empty());
        assert_eq!((weight.verdict, weight.state()), (Verdict::NotAffected, None));
        assert_eq!(weight.conflict, conflict);
    }
}

#[test]
fn findings_are_intersected_and_contradictions_are_conflicts() {
    use State::{Affected, Fixed, FixedWithDefect, HalfFixed, NeverHad};
    use Strength::{Decisive, Strong, Weak};
    use Witness::{Binary, Git, Runtime, Version};
    let stalls: &[State] = &[Affected, HalfFixed];
    let passes: &[State] = &[NeverHad, Fixed, FixedWithDefect];
    type Row<'a> = (&'a str, &'a [(Witness, Strength, &'a [State])], Verdict, Option<State>, bool);
    let table: &[Row] = &[
        ("nobody spoke", &[], Verdict::Unknown, None, false),
        ("a stall decides", &[(Runtime, Decisive, stalls)], Verdict::Affected, None, false),
        ("a pass", &[(Runtime, Strong, passes)], Verdict::NotAffected, None, false),
        (
            "a pass, and git names the state",
            &[(Runtime, Strong, passes), (Git, Strong, &[Fixed])],
            Verdict::NotAffected,
            Some(Fixed),
            false,
        ),
        (
            "a stall, and git narrows it down",
            &[(Runtime, Decisive, stalls), (Git, Strong, &[HalfFixed])],
            Verdict::Affected,
            Some(HalfFixed),
            false,
        ),
        (
            "a pass against strong git is unknown",
            &[(Runtime, Strong, passes), (Git, Strong, &[Affected])],
            Verdict::Unknown,
            None,
            true,
        ),
        (
            "a stall against strong git decides, and is a conflict",
            &[(Git, Strong, &[Fixed]), (Runtime, Decisive, stalls)],
            Verdict::Affected,
            None,
            true,
        ),
        (
            "strong witnesses against each other",
            &[(Git, Strong, &[Fixed]), (Binary, Strong, &[Affected])],
            Verdict::Unknown,
            None,
            true,
        ),
        (
            "a hint against a pass is not heard",
            &[(Version, Weak, &[Affected]), (Runtime, Strong, passes)],
            Verdict::NotAffected,
            None,
            false,
        ),
        ("a hint alone", &[(Version, Weak, &[Affected])], Verdict::Affected, Some(Affected), false),
        (
            "a hint narrows a conflict that was decided",
            &[(Git, Strong, &[Fixed]), (Runtime, Decisive, stalls), (Version, Weak, &[HalfFixed])],
            Verdict::Affected,
            Some(HalfFixed),
            true,
        ),
        ("a likeness alone makes nothing good", &[(Git, Weak, &[Fixed])], Verdict::Unknown, None, false),
        ("a likeness alone makes suspicious", &[(Git, Weak, &[Affected])], Verdict::Affected, Some(Affected), false),
        (
            "hints that contradict each other say nothing",
            &[(Version, Weak, &[Fixed]), (Runtime, Weak, stalls)],
            Verdict::Unknown,
            None,
            false,
        ),
        (
            "a release makes good, and a likeness may agree",
            &[(Version, Weak, &[Fixed, NeverHad]), (Git, Weak, &[Fixed])],
            Verdict::NotAffected,
            Some(Fixed),
            false,
        ),
        ("a witness that sees nothing", &[(Git, Strong, &State::ALL)], Verdict::Unknown, None, false),
    ];
    for (name, findings, verdict, state, conflict) in table {
        let findings = findings.iter().map(|(w, s, states)| finding(*w, *s, states)).collect();
        let weight = Ledger { findings }.weigh();
        let got = (weight.verdict, weight.state(), weight.conflict);
        assert_eq!(got, (*verdict, *state, *conflict), "{name}");
    }
}

#[test]
fn hint_never_replaces_a_witness_that_found_nothing() {
    use State::{Affected, Fixed, FixedWithDefect, HalfFixed, NeverHad};
    use Strength::{Decisive, Strong, Weak};
    use Verdict::{NotAffected, Unknown};
    use Witness::{Binary, Changelog, Git, Runtime, Source, Version};
    let stalls: &[State] = &[Affected, HalfFixed];
    let passes: &[State] = &[NeverHad, Fixed, FixedWithDefect];
    let broken: &[State] = &[Affected, HalfFixed, Fixed, FixedWithDefect];
    let all = &State::ALL;
    type Row<'a> = (&'a str, &'a [(Witness, Strength, &'a [State], Option<Limit>)], Verdict, Option<State>, bool, bool);
    let (aside, base) = (Some(Limit::Aside), Some(Limit::Base));
    // The findings, the verdict, the state, whether it is a guess, whether a hint was ignored.
    let table: &[Row] = &[
        ("a name alone", &[(Version, Weak, &[NeverHad], None)], NotAffected, Some(NeverHad), false, false),
        (
            "the code could not be read, and the number is good",
            &[(Version, Weak, &[NeverHad], None), (Binary, Weak, all, None)],
            Unknown,
            None,
            false,
            true,
        ),
        (
            "the code could not be read, and the number is bad",
            &[(Version, Weak, stalls, None), (Binary, Weak, all, None)],
            Unknown,
            None,
            false,
            true,
        ),
        (
            "a string excludes what the number says",
            &[(Version, Weak, &[NeverHad], None), (Binary, Strong, broken, None)],
            Unknown,
            None,
            false,
            false,
        ),
        (
            "a string leaves both, and the number would decide",
            &[(Version, Weak, &[HalfFixed], None), (Binary, Strong, broken, None)],
            Unknown,
            None,
            false,
            true,
        ),
        (
            "source of no known form",
            &[(Version, Weak, &[Fixed], None), (Source, Weak, all, None)],
            Unknown,
            None,
            false,
            true,
        ),
        (
            "a repository that cannot be asked",
            &[(Version, Weak, &[Fixed], None), (Git, Weak, all, None)],
            Unknown,
            None,
            false,
            true,
        ),
        ("a boot that broke", &[(Version, Weak, stalls, None), (Runtime, Weak, all, None)], Unknown, None, false, true),
        (
            "a changelog is paper too",
            &[(Changelog, Weak, &[Affected], None), (Binary, Weak, all, None)],
            Unknown,
            None,
            false,
            true,
        ),
        (
            "nothing to go by, and a distribution's package",
            &[(Version, Weak, &[Fixed], None), (Binary, Weak, all, aside)],
            NotAffected,
            Some(Fixed),
            true,
            false,
        ),
        (
            "nothing to go by, and a file's bare number",
            &[(Version, Weak, &[Fixed], base), (Binary, Weak, all, aside)],
            Unknown,
            None,
            false,
            true,
        ),
        (
            "a counter on the side",
            &[(Version, Weak, &[Fixed], None), (Runtime, Strong, broken, aside)],
            NotAffected,
            Some(Fixed),
            false,
            false,
        ),
        (
            "a boot decides, and the number names the state",
            &[(Version, Weak, &[NeverHad], base), (Binary, Weak, all, None), (Runtime, Strong, passes, None)],
            NotAffected,
            Some(NeverHad),
            true,
            false,
        ),
        (
            "a boot decides, and its counter excludes the number's state",
            &[(Version, Weak, &[NeverHad], base), (Runtime, Strong, &[Fixed, FixedWithDefect], None)],
            NotAffected,
            None,
            false,
            false,
        ),
        (
            "a stall decides, and the number names the state",
            &[(Version, Weak, &[HalfFixed], None), (Binary, Weak, all, None), (Runtime, Decisive, stalls, None)],
            Verdict::Affected,
            Some(HalfFixed),
            true,
            false,
        ),
        (
            "the code decides, and the number adds nothing",
            &[(Version, Weak, &[NeverHad], base), (Binary, Strong, &[HalfFixed], None)],
            Verdict::Affected,
            Some(HalfFixed),
            false,
            false,
        ),
        (
            "a program for which the user vouches is heard beside code that could not be read",
            &[(Runtime, Weak, passes, None), (Binary, Weak, all, None)],
            NotAffected,
            None,
            false,
            false,
        ),
        (
            "and not against a number",
            &[(Runtime, Weak, passes, None), (Version, Weak, stalls, None), (Binary, Weak, all, None)],
            Unknown,
            None,
            false,
            false,
        ),
    ];
    for (name, findings, verdict, state, guessed, is_unheard) in table {
        let limited = |(w, s, states, limit): &(Witness, Strength, &[State], Option<Limit>)| Finding {
            limit: *limit,
            ..finding(*w, *s, states)
        };
        let findings: Vec<Finding> = findings.iter().map(limited).collect();
        let weight = Ledger { findings: findings.clone() }.weigh();
        let got = (weight.verdict, weight.state(), weight.guessed, weight.unheard);
        assert_eq!(got, (*verdict, *state, *guessed, *is_unheard), "{name}");
        assert_eq!(weight.firm_state(), state.filter(|_| !guessed), "{name}");
        assert_eq!(unheard(&findings).is_some(), *is_unheard, "{name}");
        assert!(!weight.conflict, "{name}");
    }
}

#[test]
fn reason_names_the_witness_that_found_nothing() {
    let version = finding(Witness::Version, Strength::Weak, &[State::Fixed]);
    let binary = Finding::unknown(Witness::Binary, "f was not found");
    let said = unheard(&[version.clone(), binary]).unwrap_or_default();
    assert_eq!(said, "binary could not see (f was not found), and a hint does not stand in for it");
    let base = Finding { limit: Some(Limit::Base), ..version };
    let said = unheard(&[base, Finding::aside(Witness::Binary, "no signature")]).unwrap_or_default();
    assert!(said.starts_with("the file only started from its release"), "{said}");
}

#[test]
fn pass_is_unproven_where_it_rests_on_silence() {
    use State::{Affected, Fixed, FixedWithDefect, NeverHad};
    use Strength::{Decisive, Strong, Weak};
    use Verdict::{NotAffected, Unknown};
    use Witness::{Git, Runtime, Version};
    let passes: &[State] = &[NeverHad, Fixed, FixedWithDefect];
    let silence = (Runtime, Weak, passes);
    type Row<'a> = (&'a [(Witness, Strength, &'a [State])], Verdict, bool);
    let table: &[Row] = &[
        (&[silence], NotAffected, true),
        (&[silence, (Version, Weak, &[Fixed])], NotAffected, true),
        (&[silence, (Git, Weak, &[Fixed])], NotAffected, true),
        (&[silence, (Git, Strong, &[Fixed])], NotAffected, false),
        (&[silence, (Git, Strong, &[Fixed, Affected])], NotAffected, true),
        (&[silence, (Version, Weak, &[Affected])], Unknown, false),
        (&[silence, (Git, Strong, &[Affected])], Verdict::Affected, false),
        (&[(Runtime, Strong, passes)], NotAffected, false),
        // A program that reports the bug without a negative control is a hint too, but not silent.
        (&[(Runtime, Weak, &[Affected])], Verdict::Affected, false),
        (&[(Runtime, Decisive, &[Affected])], Verdict::Affected, false),
        (&[(Version, Weak, &[Fixed])], NotAffected, false),
        (&[], Unknown, false),
    ];
    for (findings, verdict, unproven) in table {
        let ledger = Ledger { findings: findings.iter().map(|(w, s, states)| finding(*w, *s, states)).collect() };
        let weight = ledger.weigh();
        assert_eq!((weight.verdict, weight.unproven), (*verdict, *unproven), "{findings:?}");
    }
}
