//! The waiting times for a server, and the number of retries.

use std::time::Duration;

/// The limits for fetching one file.
#[derive(Clone, Debug)]
pub(super) struct Patience {
    /// For a connection, including TLS.
    pub connect: Duration,
    /// For the next byte of an answer.
    pub stall: Duration,
    /// For the whole file at all its addresses, including all tries and pauses.
    pub total: Duration,
    /// The longest time that a transfer may be slower than `slowest`.
    pub crawl: Duration,
    /// The slowest acceptable transfer, in bytes a second.
    pub slowest: u64,
    /// Tries in a row without progress. Any progress resets the count, so a connection that is cut every few megabytes
    /// still succeeds.
    pub tries: u32,
    /// The first pause; each further one is twice as long.
    pub first_pause: Duration,
    /// The longest pause, and the longest Retry-After that is obeyed.
    pub longest_pause: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(20),
            stall: Duration::from_secs(30),
            // The largest debug kernels have a gigabyte, and the slowest usable lines transfer 300 kB/s.
            total: Duration::from_secs(3600),
            crawl: Duration::from_secs(60),
            // A hundredth of the slowest lines: 14 MB an hour.
            slowest: 4000,
            tries: 5,
            first_pause: Duration::from_millis(500),
            longest_pause: Duration::from_secs(60),
        }
    }
}

impl Patience {
    /// The pause after the `tried`th try in a row without progress, from 1 on: between half and all of a time that
    /// doubles, so that many clients don't return together. A server's Retry-After is obeyed;
    /// `None` if it is too long.
    pub(super) fn pause(&self, tried: u32, asked_for: Option<Duration>) -> Option<Duration> {
        if let Some(asked_for) = asked_for {
            return (asked_for <= self.longest_pause).then_some(asked_for);
        }
        let doubled = self.first_pause.saturating_mul(1 << tried.saturating_sub(1).min(16)).min(self.longest_pause);
        Some(doubled.mul_f64(0.5 + 0.5 * fastrand::f64()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_within_bounds_and_vary() {
        let patience = Patience::default();
        for (tried, most) in [(1, 0.5), (2, 1.0), (3, 2.0), (8, 60.0), (u32::MAX, 60.0)] {
            let pauses: Vec<f64> =
                (0..50).filter_map(|_| patience.pause(tried, None)).map(|d| d.as_secs_f64()).collect();
            assert!(pauses.iter().all(|p| (most / 2.0..=most).contains(p)), "{tried}: {pauses:?}");
            assert!(pauses.iter().any(|p| p != &pauses[0]), "{tried}: always {}", pauses[0]);
        }
    }

    #[test]
    fn retry_after_is_obeyed_up_to_the_longest_pause() {
        let patience = Patience::default();
        let seconds = |n| Some(Duration::from_secs(n));
        assert_eq!(patience.pause(1, seconds(0)), seconds(0));
        assert_eq!(patience.pause(1, seconds(60)), seconds(60));
        assert_eq!(patience.pause(1, seconds(61)), None);
    }
}
