//! The speed of transfers.

use std::time::{Duration, Instant};

use super::patience::Patience;

/// The interval between reports of the speed.
const EVERY: Duration = Duration::from_millis(100);

/// The weight of the newest measurement: the number stays steady, and follows a change within a second.
const WEIGHT: f64 = 0.2;

/// Notices transfers that are too slow to wait for.
pub(super) struct Crawl {
    since: Instant,
    bytes: u64,
}

impl Crawl {
    pub(super) fn new(bytes: u64) -> Self {
        Self { since: Instant::now(), bytes }
    }

    /// At `bytes` so far: the bytes of the last period, if they are too few.
    pub(super) fn after(&mut self, now: Instant, bytes: u64, patience: &Patience) -> Option<u64> {
        if now.duration_since(self.since) < patience.crawl {
            return None;
        }
        let came = bytes.saturating_sub(self.bytes);
        *self = Self { since: now, bytes };
        ((came as f64) < patience.slowest as f64 * patience.crawl.as_secs_f64()).then_some(came)
    }
}

/// Measures the speed of a transfer.
pub(super) struct Speed {
    at: Instant,
    bytes: u64,
    per_second: Option<f64>,
}

impl Speed {
    pub(super) fn new(bytes: u64) -> Self {
        Self { at: Instant::now(), bytes, per_second: None }
    }

    /// Bytes per second at `bytes` so far; `None` if it is too early to report.
    pub(super) fn now(&mut self, bytes: u64) -> Option<u64> {
        self.after(self.at.elapsed(), bytes)
    }

    fn after(&mut self, elapsed: Duration, bytes: u64) -> Option<u64> {
        if elapsed < EVERY {
            return None;
        }
        let newest = bytes.saturating_sub(self.bytes) as f64 / elapsed.as_secs_f64();
        let calm = self.per_second.map_or(newest, |before| before + WEIGHT * (newest - before));
        (self.at, self.bytes, self.per_second) = (self.at + elapsed, bytes, Some(calm));
        self.last()
    }

    /// The last reported speed.
    pub(super) fn last(&self) -> Option<u64> {
        self.per_second.map(|speed| speed as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speed_of_a_steady_stream_is_shown_and_follows_changes() {
        let mut speed = Speed::new(500);
        assert_eq!(speed.after(Duration::from_millis(99), 600), None);
        assert_eq!(speed.after(Duration::from_millis(100), 1500), Some(10_000));
        assert_eq!(speed.after(Duration::from_millis(200), 3500), Some(10_000));
        let mut bytes = 3500;
        for _ in 0..20 {
            bytes += 100;
            speed.after(Duration::from_millis(100), bytes);
        }
        let last = speed.last().unwrap();
        assert!((1000..1200).contains(&last), "{last}");
    }
}
