use super::*;
use crate::evidence::{Finding, StateSet, Strength, Witness};
use crate::run::WireRecord;

fn settled(boots: Boots) -> Settlement {
    let (checks, wire, said) = (Vec::new(), WireRecord::default(), Vec::new());
    Settlement { boots, checks, wire, crash: None, said, guest_ms: None }
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
