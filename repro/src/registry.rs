//! The built-in reproducers.

use crate::reproducer::BuiltInReproducer;
use crate::{syn_cookie_data_loss, tcp_fragment_stall, zero_window_user_timeout};

/// All built-in reproducers.
pub const ALL: [BuiltInReproducer; 3] =
    [tcp_fragment_stall::REPRODUCER, syn_cookie_data_loss::REPRODUCER, zero_window_user_timeout::REPRODUCER];

/// Finds the reproducer of a bug.
pub fn find(bug: &str) -> Option<&'static BuiltInReproducer> {
    ALL.iter().find(|r| r.bug == bug)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reproducer_is_found_by_its_bug() {
        for reproducer in ALL {
            assert_eq!(find(reproducer.bug).map(|r| r.bug), Some(reproducer.bug));
        }
        assert!(find("no-such-bug").is_none());
    }
}
