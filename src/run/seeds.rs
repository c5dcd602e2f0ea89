//! What several schedules of one cell came to.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::settle::Settlement;
use crate::verdict::Boots;

/// The confidence of a bound, in percent.
const CONFIDENCE: f64 = 95.0;

/// How many schedules showed the bug. Each seed is one independent draw, which can be repeated by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeedCount {
    /// The schedules that were tried.
    pub tried: u32,
    /// Those that showed the bug.
    pub affected: u32,
    /// The seed of the first that did.
    pub first: Option<u32>,
    /// Those that broke, and show nothing.
    pub broken: u32,
}

impl SeedCount {
    /// The chance that a schedule shows the bug is below this, in percent, with a confidence of 95 %: 1 − 0.05^(1/n) for n
    /// schedules of which none did. None if one did or broke.
    pub fn bound_percent(&self) -> Option<f64> {
        let is_clean = self.tried > 0 && self.affected == 0 && self.broken == 0;
        is_clean.then(|| 100.0 * (1.0 - (1.0 - CONFIDENCE / 100.0).powf(1.0 / f64::from(self.tried))))
    }

    /// How many seeds a silent kernel needs so that its silence is no chance: if a schedule shows the bug as often as on the
    /// bad kernel, at most 5 % of all tries stay silent. None if it had enough.
    pub fn more_seeds(bad: Option<Self>, silent: Option<Self>) -> Option<u32> {
        let (bad, silent) = (bad?, silent?);
        let share = f64::from(bad.affected) / f64::from(bad.tried.max(1));
        if share >= 1.0 || share <= 0.0 {
            return None;
        }
        let needed = ((1.0 - CONFIDENCE / 100.0).ln() / (1.0 - share).ln()).ceil() as u32;
        (silent.tried < needed).then_some(needed)
    }

    /// How many seeds it takes on both kernels to prove a silence by a bad kernel, if it shows the bug under as large a share of
    /// them as it did: with a confidence of 95 %, at most 5 % of all such tries stay silent. None if there were enough.
    pub(super) fn seeds_to_prove(bad: Option<Self>, silent: Option<Self>) -> Option<u32> {
        let of = |count: Option<Self>| count.map_or((1, 1), |count| (count.affected, count.tried.max(1)));
        let (affected, tried) = of(bad);
        let silent = silent.map_or(1, |count| count.tried);
        let doubt = 1.0 - CONFIDENCE / 100.0;
        let proves = |affected: u32, tried: u32, silent: u32| {
            (1.0 - least_share(affected, tried, doubt)).powi(i32::try_from(silent).unwrap_or(i32::MAX)) <= doubt
        };
        if proves(affected, tried, silent) {
            return None;
        }
        let of_more = |more: u32| (u64::from(affected) * u64::from(more) / u64::from(tried)) as u32;
        let suffices = |more: &u32| proves(of_more(*more), *more, *more);
        Some((tried.max(silent) + 1..=PROOF_MOST).find(suffices).unwrap_or(PROOF_MOST))
    }

    /// Adds to the settlement that decides which seeds it speaks of.
    pub(super) fn tell(self, settlement: &mut Settlement, seed: Option<u32>) {
        match (&mut settlement.boots, seed) {
            (Boots::Showed(finding), _) => finding.why = format!("{self}; {}", finding.why),
            (Boots::Broke(reason), Some(seed)) => *reason = format!("seed {seed}: {reason}"),
            _ => {}
        }
    }
}

impl fmt::Display for SeedCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In real time there are no seeds.
        let what = if self.affected > 0 && self.first.is_none() { "boots" } else { "seeds" };
        write!(f, "{} of {} {what}: affected", self.affected, self.tried)?;
        if let Some(first) = self.first {
            write!(f, " (first: {first})")?;
        }
        if let Some(bound) = self.bound_percent() {
            write!(f, " (less than {bound:.1} % of schedules, {CONFIDENCE} % confidence)")?;
        }
        if self.broken > 0 {
            write!(f, "; {} broke", self.broken)?;
        }
        Ok(())
    }
}

/// The most seeds to propose.
const PROOF_MOST: u32 = 2000;

/// The least share of schedules that show the bug, if `affected` of `tried` did: the lower bound of Clopper and Pearson
/// (Biometrika 26, 1934), which more than that many show with a chance of `doubt`.
fn least_share(affected: u32, tried: u32, doubt: f64) -> f64 {
    if affected == 0 {
        return 0.0;
    }
    // The chance of at least `affected` of `tried`.
    let tail = |share: f64| {
        let mut log = f64::from(tried) * (1.0 - share).ln();
        let mut below = 0.0;
        for k in 0..affected {
            below += log.exp();
            log += (f64::from(tried - k) / f64::from(k + 1)).ln() + (share / (1.0 - share)).ln();
        }
        1.0 - below
    };
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..50 {
        let middle = (low + high) / 2.0;
        if tail(middle) < doubt { low = middle } else { high = middle }
    }
    low
}

/// How much a schedule's settlement decides: one that shows the bug decides for all, and one that broke leaves a question open.
fn weight(settlement: &Settlement) -> u8 {
    match &settlement.boots {
        Boots::Showed(finding) if finding.is_affected() => 2,
        Boots::Broke(_) => 1,
        _ => 0,
    }
}

/// The index of the settlement that decides, and the count of all. `settlements` come with their seeds; None without any.
pub(super) fn decide<'s>(
    settlements: impl IntoIterator<Item = (Option<u32>, &'s Settlement)>,
) -> Option<(usize, SeedCount)> {
    let mut count = SeedCount { tried: 0, affected: 0, first: None, broken: 0 };
    let mut best: Option<(usize, u8)> = None;
    for (index, (seed, settlement)) in settlements.into_iter().enumerate() {
        let weight = weight(settlement);
        count.tried += 1;
        match weight {
            2 => {
                count.affected += 1;
                count.first = count.first.or(seed);
            }
            1 => count.broken += 1,
            _ => {}
        }
        if best.is_none_or(|(_, most)| weight > most) {
            best = Some((index, weight));
        }
    }
    best.map(|(index, _)| (index, count))
}

#[cfg(test)]
#[path = "seeds_tests.rs"]
mod tests;
