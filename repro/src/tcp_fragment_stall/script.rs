//! The recipes: how each connection is brought to the moment of loss, and how it is watched from then on.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::judge::{Course, Seen, Silence, TIMEOUTS};
use crate::protocol::Role;
use crate::reproducer::{Context, ms};
use crate::sut::counters;
use crate::sut::socket::{Buffers, Connection, Listener, Memory};
use crate::wire::packet::{Flags, Segment};
use crate::wire::peer::{Offer, Peer};
use crate::wire::{AT_ONCE, Wire, WireError};

/// The kernel's initial timeout, `TCP_TIMEOUT_INIT` (include/net/tcp.h), where no measured one is armed.
const INITIAL_RTO: Duration = Duration::from_secs(1);

/// One recipe or control: one connection, from its SYN to its judgement.
#[derive(Debug)]
pub struct Script {
    /// Its name in the report.
    pub name: &'static str,
    /// What it is for.
    pub role: Role,
    /// What the guard of the form that it is meant for adds to `sk_sndbuf`, in bytes.
    pub slack: u64,
    /// The MSS that the peer offers.
    mss: u16,
    /// `SO_SNDBUF` in bytes, which the kernel doubles.
    send_buffer: u32,
    /// Bytes that are sent and acknowledged first.
    acknowledged_first: usize,
    /// Number and size of the writes that fill the send buffer.
    writes: (usize, usize),
    /// `SO_SNDBUF` in bytes after the writes, where it shrinks.
    shrink_to: Option<u32>,
    /// Bytes of these writes that the peer still acknowledges before everything else is lost: less than one MSS. The
    /// kernel's first segment holds two at least (`net.ipv4.tcp_min_tso_segs`), so what is left of it has to be
    /// split; and a retransmission of full length, from the middle of the first MSS on, shows that it was.
    acknowledged_last: u32,
}

/// The window that the peer announces once connected, before scaling.
const WINDOW: u16 = u16::MAX;

/// The peer's window scale.
const WINDOW_SCALE: u8 = 7;

/// The recipes and the control.
pub const RECIPES: [Script; 4] = [
    // The report's own recipe, but for its six small writes: one large one always overfills the buffer, because the
    // limit is looked at once for each segment, and a segment holds up to 64 KiB where the window is large.
    Script {
        name: "small-sndbuf",
        role: Role::Recipe,
        slack: 0,
        mss: 1460,
        send_buffer: 4096,
        acknowledged_first: 0,
        writes: (1, 40000),
        shrink_to: None,
        acknowledged_last: 500,
    },
    // A middling buffer: neither the tail-loss probe nor a timeout gets out.
    Script {
        name: "mss-1000",
        role: Role::Recipe,
        slack: 0,
        mss: 1000,
        send_buffer: 15000,
        acknowledged_first: 30000,
        writes: (1, 70000),
        shrink_to: None,
        acknowledged_last: 500,
    },
    // The half fix of kernels before 4.15 adds 128 KiB, which writes alone cannot overfill.
    Script {
        name: "shrunk-sndbuf",
        role: Role::Recipe,
        slack: 0x20000,
        mss: 1460,
        send_buffer: 1 << 20,
        acknowledged_first: 0,
        writes: (29, 16000),
        shrink_to: Some(2304),
        acknowledged_last: 500,
    },
    // The same loss as in the report's recipe, where no form of the guard fires.
    Script {
        name: "large-sndbuf",
        role: Role::NegativeControl,
        slack: 0,
        mss: 1460,
        send_buffer: 1 << 20,
        acknowledged_first: 0,
        writes: (1, 40000),
        shrink_to: None,
        acknowledged_last: 500,
    },
];

/// What has gone out so far.
struct Sent {
    /// Everything before this sequence number has gone out at least once.
    frontier: u32,
}

impl Sent {
    fn note(&mut self, segment: &Segment) {
        if segment.covers(self.frontier) {
            self.frontier = segment.seq.wrapping_add(segment.payload.len() as u32);
        }
    }

    fn has(&self, end: u32) -> bool {
        self.frontier.wrapping_sub(end) as i32 >= 0
    }
}

impl Script {
    /// Carries the recipe out.
    ///
    /// # Errors
    /// Where the wire or the kernel does something else than the recipe needs; that is no verdict.
    pub fn perform(&self, context: &Context, wire: &mut Wire) -> Result<Seen, WireError> {
        let too_big_before = counters::tcp_ext("TCPWqueueTooBig");
        context.waiting(self.name, "the handshake");
        let server = SocketAddr::new(wire.server(), 80);
        let listener = Listener::new(server, Some(Buffers { send: self.send_buffer, receive: 8192 }))?;
        let mut peer = Peer::new(SocketAddr::new(wire.host(2), 40000), server, 1_000_000);
        peer.open(wire, Offer { mss: self.mss, window: 32792, window_scale: Some(WINDOW_SCALE), sack_ok: true })?;
        peer.window = WINDOW;
        peer.acknowledge(wire)?;
        let connection = listener.accept()?;
        let mut sent = Sent { frontier: peer.ack };

        context.waiting(self.name, "the first data");
        self.deliver_first(wire, &mut peer, &connection, &mut sent)?;
        let (count, size) = self.writes;
        for _ in 0..count {
            if connection.write(&vec![0x55; size])?.is_none() {
                break;
            }
        }
        if let Some(bytes) = self.shrink_to {
            connection.set_send_buffer(bytes)?;
        }
        let end = peer.ack.wrapping_add(self.acknowledged_last);
        self.wait_for_data(wire, &peer, &mut sent, end)?;
        let queued = connection.memory()?.outq;
        // Taken before the last acknowledgement, which arms the kernel's timer.
        let lost_at = Instant::now();
        if sent.has(end) {
            peer.ack = end;
            peer.acknowledge(wire)?;
            let expected = queued.saturating_sub(self.acknowledged_last.into());
            self.wait_for_acknowledgement(wire, &peer, &connection, &mut sent, expected)?;
        }
        let memory = connection.memory()?;
        let info = connection.tcp_info()?;
        context.waiting(self.name, "a retransmission, or three timeouts without one");
        let course = watch(wire, &peer, &connection, &mut sent, lost_at, info.rto_us)?;
        Ok(Seen {
            rto_ms: u64::from(info.rto_us) / 1000,
            memory,
            snd_mss: info.snd_mss,
            unacked: info.unacked,
            window: u32::from(WINDOW) << WINDOW_SCALE,
            gso: wire.gso(),
            too_big_before,
            too_big_after: counters::tcp_ext("TCPWqueueTooBig"),
            course,
        })
    }

    /// Sends the bytes that are acknowledged first. Where they do not come, the watch will tell why.
    fn deliver_first(
        &self,
        wire: &mut Wire,
        peer: &mut Peer,
        connection: &Connection,
        sent: &mut Sent,
    ) -> Result<(), WireError> {
        let mut left = self.acknowledged_first;
        while left > 0 {
            let Some(written) = connection.write(&vec![0x55; left])? else {
                return Err(WireError::Unexpected(format!("the send buffer took nothing, with {left} bytes to go")));
            };
            left -= written;
            let end = peer.ack.wrapping_add(written as u32);
            // Acknowledged as it comes, for the congestion window lets out a part at a time only.
            let deadline = Instant::now() + INITIAL_RTO * u32::from(TIMEOUTS);
            while !sent.has(end) {
                let Some(segment) = peer.receive(wire, deadline)? else { return Ok(()) };
                sent.note(&segment);
                peer.ack = sent.frontier;
                peer.acknowledge(wire)?;
            }
            self.wait_for_acknowledgement(wire, peer, connection, sent, 0)?;
        }
        Ok(())
    }

    /// Reads until everything before `end` has gone out, for at most three initial timeouts; then takes what
    /// else waits on the wire already, so that it cannot be taken for a retransmission later.
    fn wait_for_data(&self, wire: &mut Wire, peer: &Peer, sent: &mut Sent, end: u32) -> Result<(), WireError> {
        let deadline = Instant::now() + INITIAL_RTO * u32::from(TIMEOUTS);
        while !sent.has(end) {
            let Some(segment) = peer.receive(wire, deadline)? else { return Ok(()) };
            sent.note(&segment);
        }
        while let Some(segment) = peer.receive(wire, Instant::now())? {
            sent.note(&segment);
        }
        Ok(())
    }

    /// Waits until the kernel has taken an acknowledgement, after which `expected` bytes are left in its queue.
    /// There is no event for that, so the queue is looked at every millisecond.
    fn wait_for_acknowledgement(
        &self,
        wire: &mut Wire,
        peer: &Peer,
        connection: &Connection,
        sent: &mut Sent,
        expected: u64,
    ) -> Result<Memory, WireError> {
        let deadline = Instant::now() + AT_ONCE;
        loop {
            let memory = connection.memory()?;
            if memory.outq <= expected {
                return Ok(memory);
            }
            let now = Instant::now();
            if now >= deadline {
                let what = format!("the kernel to take an acknowledgement ({} bytes in its queue)", memory.outq);
                return Err(WireError::TimedOut { what, after: AT_ONCE });
            }
            if let Some(segment) = peer.receive(wire, now + Duration::from_millis(1))? {
                sent.note(&segment);
            }
        }
    }
}

/// Watches the connection from the moment of loss until its oldest byte is retransmitted or it is silent for good.
fn watch(
    wire: &mut Wire,
    peer: &Peer,
    connection: &Connection,
    sent: &mut Sent,
    lost_at: Instant,
    rto_us: u32,
) -> Result<Course, WireError> {
    let rto = Duration::from_micros(rto_us.into());
    // Three timeouts that double each time take seven; the rest is for a timer that a loaded host delays.
    let limit = (rto * 25).max(INITIAL_RTO * 5);
    let mut quiet_since = lost_at;
    loop {
        if let Some(segment) = peer.receive(wire, Instant::now() + rto / 4)? {
            let gone_out = sent.has(peer.ack.wrapping_add(1));
            sent.note(&segment);
            if segment.covers(peer.ack) {
                if gone_out {
                    let bytes = segment.payload.len() as u32;
                    return Ok(Course::Retransmitted { after_ms: ms(lost_at.elapsed()), bytes });
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
            return end_of_loss(wire, peer, connection, sent, rto, quiet);
        }
        if lost_at.elapsed() > limit {
            let waited_for = format!(
                "a retransmission or {TIMEOUTS} timeouts for {} ms (backoff:{} retrans:{} unacked:{})",
                ms(lost_at.elapsed()),
                info.backoff,
                info.retransmits,
                info.unacked
            );
            return Ok(Course::Undecided { waited_for });
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
        let mut sent = Sent { frontier: u32::MAX - 1 };
        for (seq, length, frontier) in [
            (u32::MAX - 1, 3, 1),
            (u32::MAX - 1, 3, 1), // a retransmission
            (2, 5, 1),            // a gap
            (0, 4, 4),
        ] {
            peer.seq = seq;
            sent.note(&Segment { payload: vec![0; length], ..peer.segment(Flags::ACK) });
            assert_eq!(sent.frontier, frontier);
        }
        assert!(sent.has(4) && sent.has(u32::MAX) && !sent.has(5));
    }
}
