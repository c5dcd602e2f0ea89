//! The connections: how each runs into a closed window, and how it is watched from then on.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::observation::{self, Moment, PeerDoes, Probe, TIMEOUTS, TimeoutEnding, TimeoutObservation, USER_TIMEOUT_MS};
use crate::reproducer::{Context, ms};
use crate::sut::clock::tick_ms;
use crate::sut::socket::{Connection, Listener};
use crate::wire::packet::{Flags, TcpSegment};
use crate::wire::peer::{Offer, Peer};
use crate::wire::{AT_ONCE, Tried as _, Wire, WireError};

/// The most connections that a recipe may spend on its set-up. If a busy host delays the peer, the connection is abandoned,
/// regardless of the kernel's behaviour.
const CONNECTIONS: u8 = 5;

/// A connection with a longer retransmission timeout is abandoned before anything is judged, except the last. The
/// kernel measured the host's load in the handshake, and would probe too rarely to ever give up.
const SLOW_RTO: Duration = Duration::from_millis(400);

/// The longest single wait for the wire. It bounds the uncertainty about when a probe was sent.
const LOOK: Duration = Duration::from_millis(25);

/// When the in-time peer opens its window, in milliseconds after the first probe.
const OPENS_AFTER_MS: u64 = USER_TIMEOUT_MS / 2;

/// The window of a peer that has opened it.
const OPEN: u16 = u16::MAX;

/// Bytes of one write. This is less than any MSS, so nothing has to be split.
const WRITE: usize = 400;

/// One connection.
#[derive(Debug)]
pub struct TimeoutScript {
    /// Its name in the report.
    pub name: &'static str,
    /// Its peer's behaviour.
    pub peer: PeerDoes,
}

/// The recipe and its controls.
pub const SCRIPTS: [TimeoutScript; 4] = [
    TimeoutScript { name: "closed-window", peer: PeerDoes::AnswersClosed },
    TimeoutScript { name: "without-option", peer: PeerDoes::AnswersClosedWithoutOption },
    TimeoutScript { name: "opens-in-time", peer: PeerDoes::OpensInTime },
    TimeoutScript { name: "silent-peer", peer: PeerDoes::Silent },
];

impl TimeoutScript {
    /// Performs the recipe or control.
    ///
    /// # Errors
    /// If the wire or the kernel does something unexpected. That is not a verdict.
    pub fn carry_out(&self, context: &Context, wire: &mut Wire) -> Result<TimeoutObservation, WireError> {
        let mut number = 1;
        loop {
            context.waiting(self.name, "the handshake");
            let server = SocketAddr::new(wire.server(), 80);
            let listener = Listener::new(server, None)?;
            // Each connection has a new remote host, because the kernel remembers metrics per host (tcp_metrics).
            let mut peer = Peer::new(SocketAddr::new(wire.host(1 + number), 40000), server, 1_000_000);
            peer.open(wire, Offer { mss: 1460, window: OPEN, window_scale: None, sack_ok: false })?;
            peer.acknowledge(wire)?;
            let connection = listener.accept()?;
            if self.peer != PeerDoes::AnswersClosedWithoutOption {
                connection.set_user_timeout(Duration::from_millis(USER_TIMEOUT_MS))?;
            }
            let rto = Duration::from_micros(connection.tcp_info()?.rto_us.into());
            if rto > SLOW_RTO && number < CONNECTIONS {
                wire.send(&peer.segment(Flags::RST))?;
                number += 1;
                continue;
            }
            context.waiting(self.name, "zero-window probes, and what becomes of the connection");
            let (since, began) = (tick_ms(), Instant::now());
            connection.write(&[0x55; WRITE])?;
            let watch =
                Watch { does: self.peer, since, began, wire, peer, connection, probes: Vec::new(), opened: None };
            let seen = watch.finish(rto, number)?;
            let late = !seen.probes.is_empty() && observation::opened_late(&seen);
            if self.peer == PeerDoes::OpensInTime && late && number < CONNECTIONS {
                number += 1;
                continue;
            }
            return Ok(seen);
        }
    }
}

/// A connection that has written to a peer whose window is closed.
struct Watch<'a> {
    does: PeerDoes,
    /// When the data was written, by the kernel's tick.
    since: u64,
    /// The same by the other clock, which waits use too.
    began: Instant,
    wire: &'a mut Wire,
    peer: Peer,
    connection: Connection,
    probes: Vec<Probe>,
    /// When the window was opened.
    opened: Option<Moment>,
}

impl Watch<'_> {
    fn finish(mut self, rto: Duration, connections: u8) -> Result<TimeoutObservation, WireError> {
        // Probes double their interval. Unless delayed, those after 1, 3, 7 and 15 RTOs come before this.
        let limit = (rto * 20).max(Duration::from_millis(2 * TIMEOUTS * USER_TIMEOUT_MS));
        let ending = self.watch(limit)?;
        let backoff = self.connection.tcp_info()?.backoff;
        Ok(TimeoutObservation {
            rto_ms: ms(rto),
            connections,
            opened: self.opened,
            probes: self.probes,
            backoff,
            ending,
        })
    }

    fn now(&self) -> Moment {
        Moment { tick_ms: tick_ms().saturating_sub(self.since), clock_ms: ms(self.began.elapsed()) }
    }

    fn watch(&mut self, limit: Duration) -> Result<TimeoutEnding, WireError> {
        let mut empty = Moment::default();
        loop {
            let looked = self.now();
            if let Some(segment) = self.peer.receive(self.wire, Instant::now())? {
                self.take(&segment, empty)?;
                continue;
            }
            empty = looked;
            if let Some(error) = self.connection.take_error()? {
                return self.aborted(&error, empty);
            }
            let probing = self.probes.first().map(|p| self.now().least_since(p.seen));
            let opens = self.does == PeerDoes::OpensInTime && probing.is_some_and(|ms| ms >= OPENS_AFTER_MS);
            let long = TIMEOUTS * USER_TIMEOUT_MS;
            let lived = probing.is_some_and(|ms| ms >= long) && observation::probes_beyond_timeout(&self.probes);
            if opens {
                return self.open_in_time();
            }
            if lived {
                let at = self.now();
                let delivered = self.deliver()?;
                return Ok(TimeoutEnding::Alive { at, delivered });
            }
            if self.began.elapsed() > limit {
                let waited_for =
                    if probing.is_none() { "a zero-window probe" } else { "a probe or an end after the timeout" };
                return Ok(TimeoutEnding::Undecided { waited_for, ms: ms(self.began.elapsed()) });
            }
            self.wait(LOOK)?;
        }
    }

    /// Handles a segment from the kernel: records and answers a probe. The wire was last empty at `empty`.
    fn take(&mut self, segment: &TcpSegment, empty: Moment) -> Result<(), WireError> {
        if !segment.payload.is_empty() {
            return Err(WireError::Unexpected(format!("the kernel sent data into a closed window: {segment:?}")));
        }
        // A probe repeats the last acknowledged sequence number (tcp_xmit_probe_skb, net/ipv4/tcp_output.c).
        if segment.flags.has(Flags::RST) || segment.seq != self.peer.ack.wrapping_sub(1) {
            return Ok(());
        }
        let (not_before, seen) = (empty, self.now());
        let answered = self.does != PeerDoes::Silent && self.answer()?;
        self.probes.push(Probe { not_before, seen, answered });
        Ok(())
    }

    /// Answers a probe; returns whether the kernel accepted the answer, which resets its count of unanswered probes.
    /// The kernel sends no event for that, so this polls the count every millisecond.
    fn answer(&mut self) -> Result<bool, WireError> {
        self.peer.acknowledge(self.wire)?;
        let deadline = Instant::now() + AT_ONCE;
        loop {
            let info = self.connection.tcp_info()?;
            if info.probes == 0 || !info.established || Instant::now() >= deadline {
                return Ok(info.probes == 0 && info.established);
            }
            self.wait_for_end(Duration::from_millis(1))?;
        }
    }

    /// The kernel has ended the connection. A probe still on the wire was not answered.
    fn aborted(&mut self, error: &io::Error, empty: Moment) -> Result<TimeoutEnding, WireError> {
        let at = self.now();
        let does = std::mem::replace(&mut self.does, PeerDoes::Silent);
        while let Some(segment) = self.peer.receive(self.wire, Instant::now())? {
            self.take(&segment, empty)?;
        }
        self.does = does;
        Ok(TimeoutEnding::Aborted { at, errno: error.raw_os_error().unwrap_or_default() })
    }

    /// The peer opens its window in time. The connection must then outlive the option's time, and still work.
    fn open_in_time(&mut self) -> Result<TimeoutEnding, WireError> {
        self.opened = Some(self.now());
        let mut delivered = self.deliver()?;
        if delivered {
            self.wait_for_end(Duration::from_millis(USER_TIMEOUT_MS * 3 / 2))?;
        }
        if let Some(error) = self.connection.take_error()? {
            return self.aborted(&error, self.now());
        }
        delivered = delivered && self.connection.write(&[0x55; WRITE])?.is_some() && self.deliver()?;
        Ok(TimeoutEnding::Alive { at: self.now(), delivered })
    }

    /// Opens the window and receives one write's data.
    fn deliver(&mut self) -> Result<bool, WireError> {
        self.peer.window = OPEN;
        self.peer.acknowledge(self.wire)?;
        let end = self.peer.ack.wrapping_add(WRITE as u32);
        let deadline = Instant::now() + AT_ONCE;
        while self.peer.ack != end {
            let Some(segment) = self.peer.receive(self.wire, deadline)? else { return Ok(false) };
            if segment.flags.has(Flags::RST) {
                return Ok(false);
            }
            if segment.covers(self.peer.ack) {
                self.peer.ack = segment.seq.wrapping_add(segment.payload.len() as u32);
                self.peer.acknowledge(self.wire)?;
            }
        }
        Ok(true)
    }

    /// Waits for a segment, or for the connection's end.
    fn wait(&self, at_most: Duration) -> Result<(), WireError> {
        let mut both = [PollFd::new(&*self.wire, PollFlags::IN), PollFd::new(&self.connection, PollFlags::empty())];
        wait(&mut both, at_most)
    }

    /// Waits for the connection's end, or the deadline.
    fn wait_for_end(&self, at_most: Duration) -> Result<(), WireError> {
        wait(&mut [PollFd::new(&self.connection, PollFlags::empty())], at_most)
    }
}

/// Calls poll(2), which always waits for POLLERR and POLLHUP too.
fn wait(fds: &mut [PollFd<'_>], at_most: Duration) -> Result<(), WireError> {
    let timeout = Timespec { tv_sec: at_most.as_secs() as i64, tv_nsec: i64::from(at_most.subsec_nanos()) };
    match poll(fds, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error).tried("waiting for the wire or the connection"),
    }
}
