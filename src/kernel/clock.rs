//! The host's clock, for records that outlive a process.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// The time since then; zero for a time in the future.
pub(super) fn age(then: u64) -> Duration {
    Duration::from_secs(now().saturating_sub(then))
}
