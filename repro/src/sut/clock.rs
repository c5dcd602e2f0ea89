//! The kernel's clocks: the tick, which drives its timeouts, and the wall clock, which can be made to jump.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::io::Errno;
use rustix::time::{ClockId, Timespec, clock_settime};

/// Milliseconds of the kernel's tick (`jiffies`) since some moment, in steps of 10.
///
/// TCP's timeouts follow the tick. For some seconds, until a guest's kernel trusts its clock, a busy host makes it miss
/// ticks and then catch up in one step, so CLOCK_MONOTONIC is no measure for them.
pub fn tick_ms() -> u64 {
    // times(2) counts in USER_HZ, which is always 100 on x86 (include/asm-generic/param.h).
    const MS_A_TICK: u64 = 10;
    // SAFETY: times(2) writes one struct tms of plain numbers. No library wraps it.
    let ticks = unsafe {
        let mut tms: libc::tms = std::mem::zeroed();
        libc::times(&raw mut tms)
    };
    u64::try_from(ticks).unwrap_or(0) * MS_A_TICK
}

/// The size of a jump.
const JUMP: Duration = Duration::from_secs(5 * 3600);

/// The time for which it stays wrong, or right. Shorter than any TCP timeout, so that each one sees it jump.
const EVERY: Duration = Duration::from_millis(50);

/// Makes the wall clock jump back and forth by hours until it is stopped.
#[derive(Debug)]
pub struct Jumping {
    stop: Sender<()>,
    thread: JoinHandle<u32>,
}

impl Jumping {
    /// Starts the jumps.
    ///
    /// # Errors
    /// If the clock cannot be set.
    pub fn start() -> Result<Self, Errno> {
        let (right, since) = (SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default(), Instant::now());
        set(right)?;
        let (stop, stopped) = channel();
        let thread = thread::spawn(move || {
            for n in 0_u32.. {
                let ended = stopped.recv_timeout(EVERY) != Err(RecvTimeoutError::Timeout);
                let now = right + since.elapsed();
                // The first call has shown that the clock can be set.
                let _ = set(match n % 4 {
                    _ if ended => now,
                    0 => now + JUMP,
                    2 => now.saturating_sub(JUMP),
                    _ => now,
                });
                if ended {
                    return n;
                }
            }
            u32::MAX
        });
        Ok(Self { stop, thread })
    }

    /// Sets the clock right; returns how often it jumped. Concurrent instances may leave it hours wrong, because each
    /// takes the time at its start as right.
    pub fn stop(self) -> u32 {
        drop(self.stop);
        // A panic in the thread has already been reported.
        self.thread.join().unwrap_or_default()
    }
}

fn set(since_epoch: Duration) -> Result<(), Errno> {
    let time = Timespec { tv_sec: since_epoch.as_secs() as i64, tv_nsec: i64::from(since_epoch.subsec_nanos()) };
    clock_settime(ClockId::Realtime, time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tick_keeps_pace_with_the_clock_on_a_quiet_machine() {
        let (tick, clock) = (tick_ms(), Instant::now());
        while tick_ms() < tick + 100 {
            thread::yield_now();
            assert!(clock.elapsed() < Duration::from_secs(20), "the tick stands still");
        }
        assert!(clock.elapsed() >= Duration::from_millis(80), "{:?}", clock.elapsed());
    }
}
