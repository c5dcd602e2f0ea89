use proptest::prelude::*;

use super::super::digest::GuestClock;
use super::super::trend::PastCell;
use super::*;
use crate::exit::Exit;
use crate::results::{ComparedRun, RunSelection};
use crate::run::SeedCount;
use crate::verdict::Verdict;
use crate::words::{Expectation, Outcome, State};

fn name(text: &str) -> KernelName {
    text.parse().expect("a name")
}

fn job(text: &str) -> JobId {
    text.parse().expect("a job")
}

fn cell(outcome: Outcome, guest_ms: u64) -> CellDigest {
    let (verdict, state) = match outcome {
        Outcome::Pass => (Verdict::NotAffected, Some(State::Fixed)),
        Outcome::Fail => (Verdict::Affected, Some(State::Affected)),
        Outcome::Error | Outcome::Skip => (Verdict::Unknown, None),
    };
    let standing = CellStanding {
        outcome,
        verdict,
        state,
        expect: Expectation::default(),
        expected: outcome == Outcome::Pass,
        conflict: false,
        mitigated: false,
        unproven: false,
        release: Some("6.1.0-56".to_owned()),
        guest_ms: Some(guest_ms),
        seeds: None,
        reason: None,
    };
    CellDigest { standing, clock: GuestClock::Virtual }
}

/// A run of these cells.
fn run(id: &str, cells: &[(&str, &str, CellDigest)]) -> RunDigest {
    let kernel =
        KernelDigest { release: Some("6.1.0-56".to_owned()), image_sha256: "1".to_owned(), ..KernelDigest::default() };
    RunDigest {
        run: ComparedRun {
            id: id.to_owned(),
            started: "2026-12-01T00:00:00Z".to_owned(),
            matrix: "kernels.yaml".to_owned(),
            selection: RunSelection::default(),
            interrupted: false,
            exit_code: Exit::Clean,
        },
        trusted: true,
        kernels: cells.iter().map(|(known, ..)| (name(known), kernel.clone())).collect(),
        cells: cells.iter().map(|(kernel, bug, cell)| ((name(kernel), job(bug)), cell.clone())).collect(),
    }
}

fn kinds(before: &RunDigest, after: &RunDigest) -> Vec<(String, Vec<ChangeKind>)> {
    let changes = compare(Some(before), after, &RunsBefore::default()).changes;
    changes.into_iter().map(|change| (change.kernel.to_string(), change.kinds)).collect()
}

fn first(before: &RunDigest, after: &RunDigest, past: &RunsBefore) -> (Vec<ChangeKind>, String) {
    let changes = compare(Some(before), after, past).changes;
    changes.first().map(|change| (change.kinds.clone(), change.says.clone())).expect("a change")
}

#[test]
fn flips_are_told_with_what_they_mean() {
    use ChangeKind as Kind;
    let with = |change: &dyn Fn(&mut CellStanding)| {
        let mut changed = cell(Outcome::Pass, 1000);
        change(&mut changed.standing);
        changed
    };
    let known_bad = with(&|it| *it = CellStanding { expected: true, ..cell(Outcome::Fail, 1000).standing });
    let better = with(&|it| it.expected = false);
    let table: [(CellDigest, CellDigest, &[Kind], &str); 8] = [
        (
            cell(Outcome::Pass, 1000),
            cell(Outcome::Fail, 1000),
            &[Kind::UnexpectedBegan, Kind::Outcome, Kind::State],
            "FAIL, was pass; state affected, was fixed",
        ),
        (
            known_bad.clone(),
            better,
            &[Kind::UnexpectedBegan, Kind::Outcome, Kind::State],
            "pass (unexpected), was FAIL (expected); state fixed, was affected",
        ),
        (cell(Outcome::Fail, 1), known_bad, &[Kind::UnexpectedEnded], "FAIL (expected), was FAIL"),
        (
            cell(Outcome::Pass, 1),
            with(&|it| it.conflict = true),
            &[Kind::ConflictBegan],
            "strong witnesses contradict each other now; pass!, was pass",
        ),
        (
            with(&|it| it.conflict = true),
            cell(Outcome::Pass, 1),
            &[Kind::ConflictEnded],
            "the witnesses agree again; pass, was pass!",
        ),
        (cell(Outcome::Pass, 1), with(&|it| it.unproven = true), &[Kind::Verdict], "pass (unproven), was pass"),
        (cell(Outcome::Pass, 1), with(&|it| it.state = None), &[Kind::State], "state not named, was fixed"),
        (
            cell(Outcome::Pass, 1),
            with(&|it| {
                *it = CellStanding { reason: Some("panic: it died".to_owned()), ..cell(Outcome::Error, 1).standing };
            }),
            &[Kind::UnexpectedBegan, Kind::Outcome, Kind::State],
            "ERROR, was pass: panic: it died; state not named, was fixed",
        ),
    ];
    for (before, after, kinds, says) in table {
        let (before, after) = (run("a", &[("k", "b", before)]), run("b", &[("k", "b", after)]));
        let (found, said) = first(&before, &after, &RunsBefore::default());
        assert_eq!((found.as_slice(), said.as_str()), (kinds, says));
    }
}

#[test]
fn known_bad_cell_is_no_news() {
    let before = run("a", &[("k", "b", cell(Outcome::Fail, 1000))]);
    let mut after = run("b", &[("k", "b", cell(Outcome::Fail, 1040))]);
    assert_eq!(kinds(&before, &after), []);
    if let Some(cell) = after.cells.values_mut().next() {
        cell.standing.reason = Some("other words".to_owned());
    }
    assert_eq!(kinds(&before, &after), [], "a reason is no verdict");
}

#[test]
fn kernels_vanish_only_if_they_were_asked_for() {
    let cell = || cell(Outcome::Pass, 1000);
    let all = run("a", &[("a", "x", cell()), ("b", "x", cell()), ("c", "x", cell())]);
    let mut one = run("b", &[("a", "x", cell())]);
    assert_eq!(kinds(&all, &one), ["b", "c"].map(|kernel| (kernel.to_owned(), vec![ChangeKind::VanishedKernel])));
    one.run.interrupted = true;
    let said = compare(Some(&all), &one, &RunsBefore::default());
    assert!(said.changes.is_empty() && said.not_compared[0].why.contains("was interrupted"), "{said:#?}");
    one.run.interrupted = false;
    one.run.selection.kernels = vec![name("a")];
    let said = compare(Some(&all), &one, &RunsBefore::default());
    assert_eq!((said.changes.len(), said.compared), (0, 1));
    assert_eq!(said.not_compared[0].kernels, [name("b"), name("c")]);
    assert_eq!(said.not_compared[0].why, "run b did not select it");
    // The other way round: kernels that an earlier run judged are not new, although the run before did not ask for them.
    let past = RunsBefore { judged: [name("b")].into(), ..RunsBefore::default() };
    let said = compare(Some(&one), &all, &past);
    assert_eq!(said.changes.iter().map(|it| it.kernel.as_str()).collect::<Vec<_>>(), ["c"]);
    assert_eq!(said.changes[0].says, "new kernel (6.1.0-56); 1 cell: 1 pass");
    assert_eq!((said.not_compared[0].kernels.as_slice(), said.not_compared.len()), (&[name("b")][..], 1));
}

#[test]
fn other_matrix_has_no_new_and_no_vanished_kernels() {
    let cell = || cell(Outcome::Pass, 1000);
    let before = run("a", &[("a", "x", cell()), ("b", "x", cell())]);
    let mut after = run("b", &[("b", "x", cell()), ("c", "x", cell())]);
    after.run.matrix = "other.yaml".to_owned();
    let said = compare(Some(&before), &after, &RunsBefore::default());
    assert_eq!((said.changes.len(), said.compared), (0, 1));
    let whys: Vec<&str> = said.not_compared.iter().map(|it| it.why.as_str()).collect();
    assert_eq!(whys, ["only run a judged it, with another matrix", "only run b judged it, with another matrix"]);
}

#[test]
fn selection_covers_what_it_asks_for() {
    let of = |kernels: &[&str], bugs: &[&str], profiles: &[&str], strict| RunSelection {
        kernels: kernels.iter().map(|it| name(it)).collect(),
        tags: Vec::new(),
        bugs: bugs.iter().map(|it| it.parse().expect("a bug")).collect(),
        profiles: profiles.iter().map(|it| it.parse().expect("a profile")).collect(),
        strict,
    };
    let whole = RunSelection::default();
    let tagged = RunSelection { tags: vec!["t".to_owned()], ..RunSelection::default() };
    for (one, other, covers, covered) in [
        (&whole, &of(&["a"], &[], &[], false), true, false),
        (&whole, &of(&[], &["x"], &[], false), true, false),
        (&whole, &of(&[], &[], &["p"], false), false, false),
        (&whole, &of(&[], &[], &["default"], false), true, true),
        (&of(&[], &[], &["all"], false), &of(&["a"], &[], &["p"], false), true, false),
        (&of(&["a", "b"], &[], &[], false), &of(&["b"], &[], &[], false), true, false),
        (&of(&["a"], &[], &[], false), &of(&["b"], &[], &[], false), false, false),
        (&tagged, &of(&["a"], &[], &[], false), false, false),
        (&whole, &tagged, true, false),
        (&whole, &of(&[], &[], &[], true), false, false),
    ] {
        assert_eq!((one.covers(other), other.covers(one)), (covers, covered), "{one:?} {other:?}");
    }
}

#[test]
fn jobs_that_only_one_run_has_are_named_once() {
    let cell = || cell(Outcome::Pass, 1000);
    let before = run("a", &[("a", "x", cell()), ("b", "x", cell()), ("a", "y", cell())]);
    let after = run("b", &[("a", "x", cell()), ("b", "x", cell()), ("a", "z@p", cell()), ("b", "z@p", cell())]);
    let said = compare(Some(&before), &after, &RunsBefore::default());
    assert_eq!((said.changes.len(), said.compared), (0, 2));
    let apart: Vec<(usize, String, &str)> = said
        .not_compared
        .iter()
        .map(|it| (it.kernels.len(), it.job.as_ref().expect("a job").to_string(), it.why.as_str()))
        .collect();
    assert_eq!(apart, [(1, "y".to_owned(), "only run a judged it"), (2, "z@p".to_owned(), "only run b judged it")]);
}

#[test]
fn other_image_and_other_transcript_are_the_kernels() {
    let before = run("a", &[("k", "b", cell(Outcome::Pass, 1))]);
    let with = |change: &dyn Fn(&mut KernelDigest)| {
        let mut run = before.clone();
        run.kernels.values_mut().for_each(change);
        run
    };
    let said = |boots: &[(&str, &str)]| boots.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    let booted = with(&|kernel| kernel.transcripts = said(&[("inputs", "said")]));
    for (was, is, kind, words) in [
        (
            &before,
            with(&|it| it.release = Some("6.1.0-57".to_owned())),
            ChangeKind::KernelChanged,
            "kernel 6.1.0-57, was 6.1.0-56",
        ),
        (
            &before,
            with(&|it| it.image_sha256 = "2".to_owned()),
            ChangeKind::KernelChanged,
            "another image of 6.1.0-56: sha256 2…, was 1…",
        ),
        (
            &booted,
            with(&|it| it.transcripts = said(&[("inputs", "other")])),
            ChangeKind::Transcript,
            "a boot of the same inputs did not say the same",
        ),
    ] {
        assert_eq!(first(was, &is, &RunsBefore::default()), (vec![kind], words.to_owned()));
    }
    let other_inputs = with(&|it| it.transcripts = said(&[("others", "other")]));
    assert_eq!(kinds(&booted, &other_inputs), []);
}

fn past(outcomes: &[Outcome], times: &[u64], clock: GuestClock) -> RunsBefore {
    let cell = |(outcome, ms): (&Outcome, &u64)| PastCell {
        outcome: *outcome,
        guest_ms: Some(*ms),
        clock,
        image: Some("1".into()),
    };
    let cells = outcomes.iter().zip(times).map(cell).collect();
    RunsBefore { cells: [((name("k"), job("b")), cells)].into(), ..RunsBefore::default() }
}

#[test]
fn slower_is_told_once_and_only_beyond_the_noise() {
    let table: [(u64, u64, &[u64], bool); 7] = [
        (1000, 1600, &[1000; 8], true),
        // Already told when it began.
        (1600, 1600, &[1600, 1000, 1000, 1000, 1000, 1000, 1000, 1000], false),
        (1000, 1400, &[1000; 8], false),
        // Too few to know.
        (1000, 9000, &[1000; 4], false),
        // They always differ that much.
        (1000, 2000, &[1000, 1900, 1200, 800, 1700, 2100, 900, 1500], false),
        (100, 200, &[100; 8], false),
        (1000, 1600, &[1000, 1000, 9000, 1000, 1000, 1, 1000, 1000], true),
    ];
    for (was, is, times, told) in table {
        let before = run("a", &[("k", "b", cell(Outcome::Pass, was))]);
        let after = run("b", &[("k", "b", cell(Outcome::Pass, is))]);
        let past = past(&[Outcome::Pass; 8], times, GuestClock::Virtual);
        let changes = compare(Some(&before), &after, &past).changes;
        let slower = changes.iter().any(|change| change.kinds == [ChangeKind::Slower]);
        assert_eq!((slower, changes.len()), (told, usize::from(told)), "{was} {is} {times:?}");
    }
    let (before, after) =
        (run("a", &[("k", "b", cell(Outcome::Pass, 1000))]), run("b", &[("k", "b", cell(Outcome::Pass, 1600))]));
    let virtual_past = past(&[Outcome::Pass; 8], &[1000; 8], GuestClock::Virtual);
    assert_eq!(first(&before, &after, &virtual_past).1, "takes 1.6 s in the guest; median of 8 runs: 1.0 s");
    // Times by another clock show nothing.
    let real_past = past(&[Outcome::Pass; 8], &[1000; 8], GuestClock::Real);
    assert!(compare(Some(&before), &after, &real_past).changes.is_empty());
}

#[test]
fn flakier_is_told_when_outcomes_begin_to_turn() {
    use Outcome::{Fail, Pass};
    let said = |was: Outcome, is: Outcome, outcomes: &[Outcome]| {
        let before = run("a", &[("k", "b", cell(was, 1000))]);
        let after = run("b", &[("k", "b", cell(is, 1000))]);
        let past = past(outcomes, &[1000; 12], GuestClock::Virtual);
        let changes = compare(Some(&before), &after, &past).changes;
        changes.iter().any(|change| change.kinds.contains(&ChangeKind::Flakier))
    };
    assert!(!said(Pass, Fail, &[Pass; 10]));
    assert!(!said(Fail, Pass, &[Fail, Pass, Pass, Pass]), "a bug came and went");
    assert!(said(Pass, Fail, &[Pass, Fail, Pass, Pass]));
    assert!(!said(Fail, Pass, &[Fail, Pass, Fail, Pass, Pass]), "told the night before");
    let seeds = |affected| SeedCount { tried: 20, affected, first: None, broken: 0 };
    let with = |affected| {
        let mut cell = cell(Fail, 1000);
        cell.standing.seeds = Some(seeds(affected));
        run("a", &[("k", "b", cell)])
    };
    let (kinds, says) = first(&with(20), &with(11), &RunsBefore::default());
    assert_eq!(
        (kinds.as_slice(), says.as_str()),
        (&[ChangeKind::Flakier][..], "affected under 11 of 20 seeds, was 20 of 20")
    );
    assert!(compare(Some(&with(11)), &with(7), &RunsBefore::default()).changes.is_empty());
}

proptest! {
    #[test]
    fn run_never_differs_from_itself(outcomes in proptest::collection::vec(0_usize..4, 1..20)) {
        let cells: Vec<(String, CellDigest)> = outcomes
            .iter()
            .enumerate()
            .map(|(at, outcome)| (format!("k{at}"), cell(Outcome::ALL[*outcome], 1000)))
            .collect();
        let cells: Vec<(&str, &str, CellDigest)> = cells.iter().map(|(k, c)| (k.as_str(), "b", c.clone())).collect();
        let changes = compare(Some(&run("a", &cells)), &run("b", &cells), &RunsBefore::default());
        prop_assert!(changes.changes.is_empty() && changes.not_compared.is_empty());
        prop_assert_eq!(changes.compared, outcomes.len());
    }
}
