//! Watching a connection after the loss, until its oldest byte is sent again or it is silent for good.

use std::time::{Duration, Instant};

use super::judge::{Course, Silence, TIMEOUTS};
use crate::reproducer::ms;
use crate::sut::socket::Connection;
use crate::wire::packet::{Flags, Segment};
use crate::wire::peer::Peer;
use crate::wire::{Wire, WireError};

/// The kernel's initial timeout, `TCP_TIMEOUT_INIT` (include/net/tcp.h), where no measured one is armed.
pub const INITIAL_RTO: Duration = Duration::from_secs(1);

/// What has gone out so far.
#[derive(Debug)]
pub struct Sent {
    /// Everything before this sequence number has gone out at least once.
    pub frontier: u32,
    /// Whether something went out a second time.
    pub again: bool,
}

impl Sent {
    /// Notes a segment.
    pub fn note(&mut self, segment: &Segment) {
        let before_frontier = self.frontier.wrapping_sub(segment.seq) as i32 > 0;
        self.again |= before_frontier && !segment.payload.is_empty();
        if segment.covers(self.frontier) {
            self.frontier = segment.seq.wrapping_add(segment.payload.len() as u32);
        }
    }

    /// Whether everything before `end` has gone out.
    pub fn has(&self, end: u32) -> bool {
        self.frontier.wrapping_sub(end) as i32 >= 0
    }
}

/// Watches the connection from the moment of loss until its oldest byte is retransmitted or it is silent for good.
/// None where the kernel turns out to have sent something again before the loss.
///
/// # Errors
/// Where the wire fails.
pub fn watch(
    wire: &mut Wire,
    peer: &Peer,
    connection: &Connection,
    sent: &mut Sent,
    lost_at: Instant,
    rto_us: u32,
) -> Result<Option<Course>, WireError> {
    let rto = Duration::from_micros(rto_us.into());
    // Three timeouts that double each time take seven; the rest is for a timer that a loaded host delays.
    let limit = (rto * 25).max(INITIAL_RTO * 5);
    let mut quiet_since = lost_at;
    loop {
        if let Some(segment) = peer.receive(wire, Instant::now() + rto / 4)? {
            let gone_out = sent.has(peer.ack.wrapping_add(1));
            sent.note(&segment);
            // The kernel's timer was faster than the last acknowledgement, and split what was to be lost whole.
            if peer.ack.wrapping_sub(segment.seq) as i32 > 0 && !segment.payload.is_empty() {
                return Ok(None);
            }
            if segment.seq == peer.ack && !segment.payload.is_empty() {
                if gone_out {
                    let bytes = segment.payload.len() as u32;
                    return Ok(Some(Course::Retransmitted { after_ms: ms(lost_at.elapsed()), bytes }));
                }
                quiet_since = Instant::now();
            }
            continue;
        }
        let info = connection.tcp_info()?;
        let quiet = quiet_since.elapsed();
        let silent = if info.unacked > 0 {
            quiet >= rto * u32::from(TIMEOUTS) && info.backoff.max(info.retransmits) >= TIMEOUTS
        } else {
            quiet >= INITIAL_RTO * u32::from(TIMEOUTS)
        };
        if silent {
            return end_of_loss(wire, peer, connection, sent, rto, quiet).map(Some);
        }
        if lost_at.elapsed() > limit {
            let waited_for = format!(
                "a retransmission or {TIMEOUTS} timeouts for {} ms (backoff:{} retrans:{} unacked:{})",
                ms(lost_at.elapsed()),
                info.backoff,
                info.retransmits,
                info.unacked
            );
            return Ok(Some(Course::Undecided { waited_for }));
        }
    }
}

/// The loss ends: the peer speaks again, with its window open. The probe is a byte that the kernel has already,
/// which it has to answer; the acknowledgements after it repeat what the peer waits for.
fn end_of_loss(
    wire: &mut Wire,
    peer: &Peer,
    connection: &Connection,
    sent: &mut Sent,
    rto: Duration,
    quiet: Duration,
) -> Result<Course, WireError> {
    let info = connection.tcp_info()?;
    let sent_once = sent.has(peer.ack.wrapping_add(1));
    // The sequence number before the first is the SYN's.
    peer.send_at(wire, u32::MAX, Flags::NONE, b"?")?;
    for _ in 0..3 {
        peer.acknowledge(wire)?;
    }
    let watched_since = Instant::now();
    let (mut answered, mut resumed) = (false, false);
    let deadline = watched_since + rto * u32::from(TIMEOUTS);
    while let Some(segment) = peer.receive(wire, deadline)? {
        answered |= segment.flags.has(Flags::ACK);
        resumed |= segment.covers(peer.ack);
        if resumed {
            break;
        }
    }
    Ok(Course::Silent(Silence {
        sent_once,
        ms: ms(quiet),
        backoff: info.backoff,
        rto_ms: u64::from(info.rto_us) / 1000,
        answered,
        watched_ms: ms(watched_since.elapsed()),
        resumed,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frontier_moves_over_what_went_out_and_over_the_end_of_the_numbers() {
        let mut peer = Peer::new(([10, 0, 0, 1], 1).into(), ([10, 0, 0, 2], 2).into(), 0);
        let mut sent = Sent { frontier: u32::MAX - 1, again: false };
        for (seq, length, frontier, again) in [
            (u32::MAX - 1, 3, 1, false),
            (1, 0, 1, false), // no data
            (2, 5, 1, false), // a gap
            (u32::MAX, 1, 1, true),
            (0, 4, 4, true),
        ] {
            sent.again = false;
            peer.seq = seq;
            sent.note(&Segment { payload: vec![0; length], ..peer.segment(Flags::ACK) });
            assert_eq!((sent.frontier, sent.again), (frontier, again), "{seq} {length}");
        }
        assert!(sent.has(4) && sent.has(u32::MAX) && !sent.has(5));
    }
}
