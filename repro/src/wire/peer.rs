//! The remote end of one connection. It sends only on request.

use std::net::SocketAddr;
use std::time::Instant;

use super::packet::{Flags, Options, TcpSegment};
use super::{AT_ONCE, Wire, WireError};

/// The options and window of a peer's SYN.
#[derive(Clone, Copy, Debug)]
pub struct Offer {
    /// Maximum segment size.
    pub mss: u16,
    /// The window in the SYN, which is never scaled.
    pub window: u16,
    /// Window scale, as a shift, if offered.
    pub window_scale: Option<u8>,
    /// Whether SACK is permitted.
    pub sack_ok: bool,
}

/// The remote end of one connection to the kernel under test.
#[derive(Clone, Debug)]
pub struct Peer {
    me: SocketAddr,
    server: SocketAddr,
    /// Sequence number of the next byte to send.
    pub seq: u32,
    /// The sequence number that this peer acknowledges.
    pub ack: u32,
    /// The window that this peer advertises, not scaled.
    pub window: u16,
}

impl Peer {
    /// A peer that has not sent anything yet. `isn` is its initial sequence number.
    pub fn new(me: SocketAddr, server: SocketAddr, isn: u32) -> Self {
        Self { me, server, seq: isn, ack: 0, window: 0 }
    }

    /// A segment as this peer would send it now, without data.
    pub fn segment(&self, flags: Flags) -> TcpSegment {
        TcpSegment {
            from: self.me,
            to: self.server,
            seq: self.seq,
            ack: self.ack,
            flags,
            window: self.window,
            options: Options::default(),
            payload: Vec::new(),
        }
    }

    /// Sends a SYN and receives the SYN-ACK. `seq` and `ack` are then those of the established connection. The caller
    /// sends the ACK that ends the handshake.
    ///
    /// # Errors
    /// If no SYN-ACK comes.
    pub fn open(&mut self, wire: &mut Wire, offer: Offer) -> Result<TcpSegment, WireError> {
        let options = Options { mss: Some(offer.mss), window_scale: offer.window_scale, sack_ok: offer.sack_ok };
        let syn = TcpSegment { options, window: offer.window, ..self.segment(Flags::SYN) };
        self.seq = self.seq.wrapping_add(1);
        wire.send(&syn)?;
        let answer = self.expect(wire, "a SYN-ACK", |_| true)?;
        if !answer.flags.has(Flags::SYN.and(Flags::ACK)) || answer.ack != self.seq {
            return Err(WireError::Unexpected(format!("the answer to a SYN is not its SYN-ACK: {answer:?}")));
        }
        self.ack = answer.seq.wrapping_add(1);
        Ok(answer)
    }

    /// Acknowledges everything up to `self.ack`.
    ///
    /// # Errors
    /// If the wire fails.
    pub fn acknowledge(&self, wire: &mut Wire) -> Result<(), WireError> {
        wire.send(&self.segment(Flags::ACK))
    }

    /// Sends `data` as if the bytes before `offset` had been sent already. `self.seq` does not change.
    ///
    /// # Errors
    /// If the wire fails.
    pub fn send_at(&self, wire: &mut Wire, offset: u32, flags: Flags, data: &[u8]) -> Result<(), WireError> {
        let flags = Flags::ACK.and(flags);
        wire.send(&TcpSegment { seq: self.seq.wrapping_add(offset), payload: data.to_vec(), ..self.segment(flags) })
    }

    /// The next segment to this peer, or none at the deadline. Segments to other peers are skipped.
    ///
    /// # Errors
    /// If the wire fails.
    pub fn receive(&self, wire: &mut Wire, deadline: Instant) -> Result<Option<TcpSegment>, WireError> {
        loop {
            match wire.receive(deadline)? {
                Some(segment) if segment.to == self.me && segment.from == self.server => return Ok(Some(segment)),
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    /// The next segment to this peer that satisfies `wanted`. The kernel must send it immediately.
    ///
    /// # Errors
    /// If it does not come within [`AT_ONCE`].
    pub fn expect(
        &self,
        wire: &mut Wire,
        what: &str,
        wanted: impl Fn(&TcpSegment) -> bool,
    ) -> Result<TcpSegment, WireError> {
        let deadline = Instant::now() + AT_ONCE;
        while let Some(segment) = self.receive(wire, deadline)? {
            if wanted(&segment) {
                return Ok(segment);
            }
        }
        Err(WireError::TimedOut { what: what.to_owned(), after: AT_ONCE })
    }
}
