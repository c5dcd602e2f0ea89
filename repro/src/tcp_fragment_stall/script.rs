//! The recipes: how each connection gets to the moment of loss, and how it is watched from then on.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::judge::{StallObservation, TIMEOUTS};
use super::watch::{Account, INITIAL_RTO, Sent, watch};
use crate::reproducer::Context;
use crate::sut::counters;
use crate::sut::socket::{Buffers, Connection, Listener, Memory};
use crate::wire::packet::Flags;
use crate::wire::peer::{Offer, Peer};
use crate::wire::{AT_ONCE, Wire, WireError};
use backproof_protocol::Role;

/// The most connections that a recipe may spend on its set-up. On a loaded host the kernel's timer can fire before the
/// peer has answered. The kernel then retransmits, and splits the segment that the recipe wants lost whole. Such a
/// connection is abandoned before anything is judged, and the next one is tried.
const CONNECTIONS: u8 = 12;

/// A connection with a longer timeout is abandoned too, except the last. The kernel measured the host's load in the
/// handshake, and three doubling timeouts would exceed the job's deadline.
const SLOW_RTO: Duration = Duration::from_millis(500);

/// One recipe or control: one connection, from its SYN to its judgement.
#[derive(Debug)]
pub struct StallScript {
    /// Its name in the report.
    pub name: &'static str,
    /// Its role.
    pub role: Role,
    /// The number of bytes that the targeted guard adds to `sk_sndbuf`.
    pub slack: u64,
    /// The MSS that the peer offers.
    mss: u16,
    /// `SO_SNDBUF` in bytes, which the kernel doubles. None keeps the system's default (`net.ipv4.tcp_wmem`).
    send_buffer: Option<u32>,
    /// Bytes that are sent and acknowledged first.
    acknowledged_first: usize,
    /// Size of the write that fills the send buffer, in bytes.
    write: usize,
    /// The new `SO_SNDBUF` in bytes after the write, if the recipe shrinks it.
    shrink_to: Option<u32>,
    /// The number of bytes of this write that the peer acknowledges before everything else is lost: less than one MSS. The
    /// kernel's first segment holds at least two MSS (`net.ipv4.tcp_min_tso_segs`), so the rest of it must be split. A
    /// retransmission of full length, from the middle of the first MSS on, proves the split.
    acknowledged_last: u32,
}

/// The window that the peer advertises once connected, before scaling.
const WINDOW: u16 = u16::MAX;

/// The peer's window scale.
const WINDOW_SCALE: u8 = 7;

/// The recipes and the control.
pub const RECIPES: [StallScript; 4] = [
    // The recipe of the original report, but with one large write instead of six small ones. It always overfills the
    // buffer, because the kernel checks the limit once for each segment, and a segment holds up to 64 KiB if the window
    // is large.
    StallScript {
        name: "small-sndbuf",
        role: Role::Recipe,
        slack: 0,
        mss: 1460,
        send_buffer: Some(4096),
        acknowledged_first: 0,
        write: 40000,
        shrink_to: None,
        acknowledged_last: 500,
    },
    // With a medium buffer neither the tail-loss probe nor a timeout sends anything.
    StallScript {
        name: "mss-1000",
        role: Role::Recipe,
        slack: 0,
        mss: 1000,
        send_buffer: Some(15000),
        acknowledged_first: 30000,
        write: 70000,
        shrink_to: None,
        acknowledged_last: 500,
    },
    // The half fix before 4.15 adds 128 KiB, which a write alone cannot overfill.
    StallScript {
        name: "shrunk-sndbuf",
        role: Role::Recipe,
        slack: 0x20000,
        mss: 1460,
        send_buffer: Some(1 << 20),
        acknowledged_first: 0,
        write: 464_000,
        shrink_to: Some(2304),
        acknowledged_last: 500,
    },
    // The same loss as in the first recipe, but no form of the guard fires.
    StallScript {
        name: "large-sndbuf",
        role: Role::NegativeControl,
        slack: 0,
        mss: 1460,
        send_buffer: Some(1 << 20),
        acknowledged_first: 0,
        write: 40000,
        shrink_to: None,
        acknowledged_last: 500,
    },
];

/// The first recipe for an application that keeps the system's send buffer. It doesn't judge the kernel, because it
/// does not overfill a large buffer. It shows whether a profile's `net.ipv4.tcp_wmem` helps.
pub const SYSTEM_BUFFER: StallScript = StallScript {
    name: "system-sndbuf",
    role: Role::Natural,
    slack: 0,
    mss: 1460,
    send_buffer: None,
    acknowledged_first: 0,
    write: 40000,
    shrink_to: None,
    acknowledged_last: 500,
};

impl StallScript {
    /// Performs the recipe.
    ///
    /// # Errors
    /// If the wire or the kernel does something unexpected. That is not a verdict.
    pub fn carry_out(&self, context: &Context, wire: &mut Wire) -> Result<StallObservation, WireError> {
        for connection in 1..=CONNECTIONS {
            if let Some(seen) = self.try_connection(context, wire, connection)? {
                return Ok(seen);
            }
        }
        let why = "the kernel retransmitted before the loss";
        Err(WireError::Unexpected(format!("{why} on each of {CONNECTIONS} connections: is the host overloaded?")))
    }

    /// Carries the recipe out on one connection; none if the host's load spoiled its set-up.
    fn try_connection(
        &self,
        context: &Context,
        wire: &mut Wire,
        number: u8,
    ) -> Result<Option<StallObservation>, WireError> {
        let too_big_before = counters::tcp_ext("TCPWqueueTooBig");
        context.waiting(self.name, "the handshake");
        let server = SocketAddr::new(wire.server(), 80);
        let listener = Listener::new(server, self.send_buffer.map(|send| Buffers { send, receive: 8192 }))?;
        // Each connection has a new remote host, because the kernel remembers metrics per host (tcp_metrics).
        let mut peer = Peer::new(SocketAddr::new(wire.host(1 + number), 40000), server, 1_000_000);
        peer.open(wire, Offer { mss: self.mss, window: 32792, window_scale: Some(WINDOW_SCALE), sack_ok: true })?;
        peer.window = WINDOW;
        peer.acknowledge(wire)?;
        let connection = listener.accept()?;
        let mut sent = Sent::until(peer.ack);

        context.waiting(self.name, "the first data");
        self.deliver_first(wire, &mut peer, &connection, &mut sent)?;
        connection.write(&vec![0x55; self.write])?;
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
        let (info, account) = (connection.tcp_info()?, Account::take(&connection)?);
        context.waiting(self.name, "a retransmission, or three timeouts without one");
        let slow = Duration::from_micros(info.rto_us.into()) > SLOW_RTO && number < CONNECTIONS;
        let course = if sent.again > 0 || slow {
            None
        } else {
            watch(wire, &peer, &connection, &mut sent, lost_at, account, info.rto_us)?
        };
        let Some(course) = course else {
            wire.send(&peer.segment(Flags::RST))?;
            return Ok(None);
        };
        Ok(Some(StallObservation {
            rto_ms: u64::from(info.rto_us) / 1000,
            memory,
            snd_mss: info.snd_mss,
            unacked: info.unacked,
            window: u32::from(WINDOW) << WINDOW_SCALE,
            gso: wire.gso(),
            too_big_before,
            too_big_after: counters::tcp_ext("TCPWqueueTooBig"),
            connections: number,
            course,
        }))
    }

    /// Sends the bytes that are acknowledged first. If they don't arrive, the watch finds out why.
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
                return Err(WireError::Unexpected(format!("the send buffer is full with {left} bytes left to write")));
            };
            left -= written;
            let end = peer.ack.wrapping_add(written as u32);
            // Data is acknowledged as it arrives, because the congestion window lets only a part out at a time.
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

    /// Reads until everything before `end` has gone out, for at most three initial timeouts. Then drains the wire, so
    /// that a waiting segment isn't mistaken for a retransmission later.
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
    /// The kernel sends no event for that, so this polls the queue every millisecond.
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
                let what = format!("the kernel to process an acknowledgement ({} bytes in its queue)", memory.outq);
                return Err(WireError::TimedOut { what, after: AT_ONCE });
            }
            if let Some(segment) = peer.receive(wire, now + Duration::from_millis(1))? {
                sent.note(&segment);
            }
        }
    }
}
