//! Watches a connection after the loss, until its oldest byte is sent again or it is silent for good.

use std::time::{Duration, Instant};

use super::judge::{ByteCourse, ByteSilence, TIMEOUTS};
use crate::reproducer::ms;
use crate::sut::counters;
use crate::sut::socket::Connection;
use crate::wire::packet::{Flags, TcpSegment};
use crate::wire::peer::Peer;
use crate::wire::{Wire, WireError};

/// The kernel's initial timeout, `TCP_TIMEOUT_INIT` (include/net/tcp.h), used until it has measured the round trip.
pub const INITIAL_RTO: Duration = Duration::from_secs(1);

/// The data sent so far.
#[derive(Debug)]
pub struct Sent {
    /// Everything before this sequence number has gone out at least once.
    pub frontier: u32,
    /// Segments with data that went out again.
    pub again: u32,
    /// Zero-window probes, which repeat the last acknowledged sequence number.
    pub probes: u32,
}

/// The kernel's own counts of what it has sent.
#[derive(Clone, Copy, Debug)]
pub struct Account {
    /// Segments that it retransmitted on this connection.
    total_retrans: u32,
    /// Zero-window probes that it sent in this namespace, if it counts them.
    win_probes: Option<u64>,
}

impl Account {
    /// Reads the current counts.
    ///
    /// # Errors If a system call fails.
    pub fn take(connection: &Connection) -> Result<Self, WireError> {
        let total_retrans = connection.tcp_info()?.total_retrans;
        Ok(Self { total_retrans, win_probes: counters::tcp_ext("TCPWinProbe") })
    }
}

impl Sent {
    /// No data sent beyond this sequence number.
    pub fn until(frontier: u32) -> Self {
        Self { frontier, again: 0, probes: 0 }
    }

    /// Records a segment.
    pub fn note(&mut self, segment: &TcpSegment) {
        if self.frontier.wrapping_sub(segment.seq) as i32 > 0 && !segment.flags.has(Flags::RST) {
            let count = if segment.payload.is_empty() { &mut self.probes } else { &mut self.again };
            *count += 1;
        }
        if segment.covers(self.frontier) {
            self.frontier = segment.seq.wrapping_add(segment.payload.len() as u32);
        }
    }

    /// Whether everything before `end` has gone out.
    pub fn has(&self, end: u32) -> bool {
        self.frontier.wrapping_sub(end) as i32 >= 0
    }
}

/// Watches the connection from the moment of loss until its oldest byte is retransmitted or it is silent for good. None
/// if the kernel retransmitted something before the loss.
///
/// # Errors
/// If the wire fails.
pub fn watch(
    wire: &mut Wire,
    peer: &Peer,
    connection: &Connection,
    sent: &mut Sent,
    lost_at: Instant,
    at_loss: Account,
    rto_us: u32,
) -> Result<Option<ByteCourse>, WireError> {
    let rto = Duration::from_micros(rto_us.into());
    // Three doubling timeouts take seven times the first. The rest allows for a timer delayed by a loaded host.
    let limit = (rto * 25).max(INITIAL_RTO * 5);
    let mut quiet_since = lost_at;
    loop {
        if let Some(segment) = peer.receive(wire, Instant::now() + rto / 4)? {
            let gone_out = sent.has(peer.ack.wrapping_add(1));
            sent.note(&segment);
            // The kernel's timer fired before the last acknowledgement, and split the segment that should be lost
            // whole.
            if peer.ack.wrapping_sub(segment.seq) as i32 > 0 && !segment.payload.is_empty() {
                return Ok(None);
            }
            if segment.seq == peer.ack && !segment.payload.is_empty() {
                if gone_out {
                    let bytes = segment.payload.len() as u32;
                    return Ok(Some(ByteCourse::Retransmitted { after_ms: ms(lost_at.elapsed()), bytes }));
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
            return end_of_loss(wire, peer, connection, sent, at_loss, rto, quiet).map(Some);
        }
        if lost_at.elapsed() > limit {
            let waited_for = format!(
                "a retransmission or {TIMEOUTS} timeouts after {} ms (backoff:{} retrans:{} unacked:{})",
                ms(lost_at.elapsed()),
                info.backoff,
                info.retransmits,
                info.unacked
            );
            return Ok(Some(ByteCourse::Undecided { waited_for }));
        }
    }
}

/// Ends the loss: the peer sends again, with its window open. First it probes with an old byte, which the kernel has to
/// answer; then it repeats its acknowledgement.
fn end_of_loss(
    wire: &mut Wire,
    peer: &Peer,
    connection: &Connection,
    sent: &Sent,
    at_loss: Account,
    rto: Duration,
    quiet: Duration,
) -> Result<ByteCourse, WireError> {
    let info = connection.tcp_info()?;
    let now = Account::take(connection)?;
    let counted = now.win_probes.zip(at_loss.win_probes).map_or(0, |(now, then)| now.saturating_sub(then));
    let sent_once = sent.has(peer.ack.wrapping_add(1));
    // The byte before the first has the sequence number of the SYN.
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
    Ok(ByteCourse::Silent(ByteSilence {
        sent_once,
        unacked: info.unacked,
        resent: now.total_retrans.saturating_sub(at_loss.total_retrans),
        seen_again: sent.again,
        window_probes: counted.max(sent.probes.into()),
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
    fn frontier_moves_over_the_wrap_of_sequence_numbers() {
        let mut peer = Peer::new(([10, 0, 0, 1], 1).into(), ([10, 0, 0, 2], 2).into(), 0);
        let mut sent = Sent::until(u32::MAX - 1);
        for (seq, length, frontier, again, probes) in [
            (u32::MAX - 1, 3, 1, 0, 0),
            (1, 0, 1, 0, 0), // no data
            (2, 5, 1, 0, 0), // a gap
            (u32::MAX, 1, 1, 1, 0),
            (0, 4, 4, 2, 0),
            (3, 0, 4, 2, 1), // a probe
        ] {
            peer.seq = seq;
            sent.note(&TcpSegment { payload: vec![0; length], ..peer.segment(Flags::ACK) });
            assert_eq!((sent.frontier, sent.again, sent.probes), (frontier, again, probes), "{seq} {length}");
        }
        assert!(sent.has(4) && sent.has(u32::MAX) && !sent.has(5));
    }
}
