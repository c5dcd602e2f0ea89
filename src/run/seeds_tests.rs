use super::*;
use crate::evidence::{Finding, StateSet, Strength, Witness};
use crate::run::WireRecord;

fn settled(boots: Boots) -> Settlement {
    let (checks, wire, said) = (Vec::new(), WireRecord::default(), Vec::new());
    Settlement { boots, checks, fault: None, wire, crash: None, said, guest_ms: None, requested: Vec::new() }
}

fn showed(affected: bool) -> Settlement {
    let states = if affected { StateSet::affected() } else { StateSet::not_affected() };
    settled(Boots::Showed(Finding::new(Witness::Runtime, states, Strength::Decisive, "a run")))
}

fn broke() -> Settlement {
    settled(Boots::Broke("it broke".to_owned()))
}

#[test]
fn affected_schedule_decides_over_broken_and_good_ones() {
    let (bad, good, broken) = (showed(true), showed(false), broke());
    type Row<'a> = (&'a [&'a Settlement], usize, &'a str);
    let table: &[Row] = &[
        (&[&good], 0, "0 of 1 seeds: affected (less than 95.0 % of schedules, 95 % confidence)"),
        (&[&good, &good, &good], 0, "0 of 3 seeds: affected (less than 63.2 % of schedules, 95 % confidence)"),
        (&[&good, &bad, &bad], 1, "2 of 3 seeds: affected (first: 18)"),
        (&[&good, &broken, &good], 1, "0 of 3 seeds: affected; 1 broke"),
        (&[&broken, &good, &bad], 2, "1 of 3 seeds: affected (first: 19); 1 broke"),
    ];
    for (settlements, deciding, text) in table {
        let with_seeds = settlements.iter().zip(17..).map(|(settlement, seed)| (Some(seed), *settlement));
        let (index, count) = decide(with_seeds).expect("a schedule");
        assert_eq!((index, count.to_string().as_str()), (*deciding, *text));
    }
    assert!(decide([]).is_none());
}

#[test]
fn bound_shrinks_with_the_number_of_schedules() {
    // 1 − 0.05^(1/n): the exact form of the rule of three.
    let bound = |tried| SeedCount { tried, affected: 0, first: None, broken: 0 }.bound_percent().expect("a bound");
    for (tried, percent) in [(1, 95.0), (20, 13.9), (200, 1.5), (1000, 0.3)] {
        assert!((bound(tried) - percent).abs() < 0.05, "{tried}: {}", bound(tried));
    }
}

#[test]
fn stated_bound_is_wrong_in_at_most_five_percent_of_runs() {
    const RUNS: u32 = 5000;
    let mut rng = fastrand::Rng::with_seed(1);
    let (bad, good) = (showed(true), showed(false));
    for chance in [0.05, 0.1, 0.2, 0.5, 0.9] {
        for tried in [1, 3, 10, 20, 60] {
            let mut wrong = 0;
            for _ in 0..RUNS {
                let shown: Vec<_> =
                    (0..tried).map(|n| (Some(n), if rng.f64() < chance { &bad } else { &good })).collect();
                let (_, count) = decide(shown).expect("a schedule");
                wrong += u32::from(count.bound_percent().is_some_and(|bound| chance * 100.0 >= bound));
            }
            // The bound's 5 %, and four standard deviations of so many runs.
            let most = f64::from(RUNS) * 0.05 + 4.0 * (f64::from(RUNS) * 0.05 * 0.95).sqrt();
            assert!(f64::from(wrong) <= most, "{chance} in {tried}: {wrong} of {RUNS}");
        }
    }
    // Where the chance is the bound itself, it is wrong as often as it says.
    let bound = |tried| SeedCount { tried, affected: 0, first: None, broken: 0 }.bound_percent().expect("a bound");
    for tried in [1_u32, 10, 59] {
        let chance: f64 = bound(tried) / 100.0;
        let clean = (0..RUNS).filter(|_| (0..tried).all(|_| rng.f64() >= chance)).count();
        assert!((150..=350).contains(&clean), "{tried}: {clean} of {RUNS}");
    }
}
