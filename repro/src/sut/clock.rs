//! The wall clock, and how to make it jump.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::io::Errno;
use rustix::time::{ClockId, Timespec, clock_settime};

/// How far it jumps.
const JUMP: Duration = Duration::from_secs(5 * 3600);

/// How long it stays wrong, or right: shorter than any timeout of TCP's, so that every one sees it jump.
const EVERY: Duration = Duration::from_millis(50);

/// A wall clock that jumps back and forth by hours until it is stopped.
#[derive(Debug)]
pub struct Jumping {
    stop: Sender<()>,
    thread: JoinHandle<u32>,
}

impl Jumping {
    /// Starts it.
    ///
    /// # Errors
    /// Where the clock cannot be set.
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

    /// Sets the clock right; returns how often it jumped. Where several jump at the same time, it may be left hours
    /// wrong: each takes the time at its start for the right one.
    pub fn stop(self) -> u32 {
        drop(self.stop);
        // A thread that panicked has said so itself.
        self.thread.join().unwrap_or_default()
    }
}

fn set(since_epoch: Duration) -> Result<(), Errno> {
    let time = Timespec { tv_sec: since_epoch.as_secs() as i64, tv_nsec: i64::from(since_epoch.subsec_nanos()) };
    clock_settime(ClockId::Realtime, time)
}
