//! What is slower or flakier than it was. Both compare with several earlier runs, because two runs are too few to tell a
//! change from noise.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::digest::{CellDigest, GuestClock};
use crate::words::{JobId, KernelName, Outcome};

/// How many earlier runs count.
pub(super) const RUNS: usize = 20;

/// A median of fewer times says nothing.
const TIMES_LEAST: usize = 5;

/// A cell is slow if it takes this times the median …
const SLOW_FACTOR: f64 = 1.5;

/// … and is this many standard deviations above it. They are estimated as 1.4826 times the median absolute deviation, which
/// single outliers do not move …
const SLOW_DEVIATIONS: f64 = 6.0;
const DEVIATION_OF_MAD: f64 = 1.4826;

/// How many runs of the same image tell whether an outcome turns back and forth.
const WINDOW: usize = 10;

/// A cell is flaky if its outcome turned this often in the window. One bug that came and went turns twice.
const TURNS_LEAST: usize = 3;

/// What earlier runs of the same matrix showed.
#[derive(Clone, Debug, Default)]
pub struct RunsBefore {
    /// The cells of the last runs before, the newest first.
    pub cells: BTreeMap<(KernelName, JobId), Vec<PastCell>>,
    /// Kernels that any earlier run judged.
    pub judged: BTreeSet<KernelName>,
}

/// A cell of an earlier run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastCell {
    /// How it ended.
    pub outcome: Outcome,
    /// How long the reproducer took, in milliseconds, if it reported.
    pub guest_ms: Option<u64>,
    /// By whose clock.
    pub clock: GuestClock,
    /// SHA-256 of the kernel's image, if it was obtained.
    pub image: Option<Arc<str>>,
}

/// The sentence, if the cell now takes clearly longer than in the runs before, and did not yet in the last of them.
pub(super) fn slower(before: &CellDigest, after: &CellDigest, past: &[PastCell]) -> Option<String> {
    let now = after.standing.guest_ms?;
    let times: Vec<u64> = past.iter().filter(|it| it.clock == after.clock).filter_map(|it| it.guest_ms).collect();
    let last = before.standing.guest_ms.filter(|_| before.clock == after.clock).or_else(|| times.first().copied())?;
    let limit = limit(&times, after.clock)?;
    let is_news = now > limit && last <= limit;
    let says = || {
        let seconds = |ms: u64| format!("{:.1} s", ms as f64 / 1000.0);
        let (now, usual, count) = (seconds(now), seconds(median(&mut times.clone())), times.len());
        format!("takes {now} in the guest; median of {count} runs: {usual}")
    };
    is_news.then(says)
}

/// The longest time that is not clearly slower than these, in milliseconds; None if they are too few.
fn limit(times: &[u64], clock: GuestClock) -> Option<u64> {
    if times.len() < TIMES_LEAST {
        return None;
    }
    let median_ms = median(&mut times.to_vec());
    let mut distances: Vec<u64> = times.iter().map(|time| time.abs_diff(median_ms)).collect();
    let deviation = DEVIATION_OF_MAD * median(&mut distances) as f64;
    // The least difference worth a line. A busy host easily costs a second of real time.
    let least = match clock {
        GuestClock::Virtual => 250,
        GuestClock::Real => 2000,
    };
    let usual = median_ms as f64;
    let limit = (usual * SLOW_FACTOR).max(usual + SLOW_DEVIATIONS * deviation).max(usual + f64::from(least));
    Some(limit as u64)
}

/// The middle of the values, the upper one of two.
fn median(values: &mut [u64]) -> u64 {
    values.sort_unstable();
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The sentence, if the outcome now depends on the schedule or turns from run to run, and did not before.
pub(super) fn flakier(
    before: &CellDigest,
    after: &CellDigest,
    image: Option<&str>,
    past: &[PastCell],
) -> Option<String> {
    let (was, is) = (before.standing.seeds, after.standing.seeds);
    if let (Some(was), Some(is)) = (was, is)
        && is_mixed(is.affected, is.tried)
        && !is_mixed(was.affected, was.tried)
    {
        let (affected, tried) = (is.affected, is.tried);
        return Some(format!("affected under {affected} of {tried} seeds, was {} of {}", was.affected, was.tried));
    }
    let image = image?;
    let same = past.iter().filter(|it| it.image.as_deref() == Some(image)).map(|it| it.outcome);
    let outcomes: Vec<Outcome> = std::iter::once(after.standing.outcome).chain(same).take(WINDOW + 1).collect();
    let now = turns(outcomes.get(..WINDOW.min(outcomes.len()))?);
    let then = turns(outcomes.get(1..)?);
    let runs = WINDOW.min(outcomes.len());
    (now >= TURNS_LEAST && then < TURNS_LEAST)
        .then(|| format!("its outcome turned {now} times in {runs} runs of the same image"))
}

fn is_mixed(affected: u32, tried: u32) -> bool {
    affected > 0 && affected < tried
}

fn turns(outcomes: &[Outcome]) -> usize {
    outcomes.windows(2).filter(|pair| pair.first() != pair.last()).count()
}
