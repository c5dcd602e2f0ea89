//! Faults injected into the wire, to prove that reproducers notice them.

use std::borrow::Cow;
use std::collections::HashMap;
use std::net::SocketAddr;

use super::packet::{Flags, TcpSegment};
use backproof_protocol::Mutation;

/// The MSS to which the wire clamps: the smallest in the kernel's table of SYN cookies for IPv4.
const CLAMPED_MSS: u16 = 536;

/// The faults of one wire; none by default.
#[derive(Debug, Default)]
pub struct Faults {
    clamp_mss: bool,
    close_window: bool,
    /// The highest sequence number that each connection's kernel side has sent, if retransmissions are dropped.
    sent: Option<HashMap<(SocketAddr, SocketAddr), u32>>,
    /// Each peer's last segment, if repeated segments are dropped.
    said: Option<HashMap<(SocketAddr, SocketAddr), TcpSegment>>,
}

impl Faults {
    /// A mutation's faults of the wire and the peer.
    pub fn new(mutation: Option<Mutation>) -> Self {
        Self {
            clamp_mss: mutation == Some(Mutation::ClampMss),
            close_window: mutation == Some(Mutation::CloseWindow),
            sent: (mutation == Some(Mutation::DropRetransmissions)).then(HashMap::new),
            said: (mutation == Some(Mutation::DropRepeatedAnswers)).then(HashMap::new),
        }
    }

    /// The segment as it reaches the kernel; none if it gets lost. A connected peer with a closed window advertises a
    /// window of 0.
    pub fn to_kernel<'a>(&mut self, segment: &'a TcpSegment) -> Option<Cow<'a, TcpSegment>> {
        if let Some(said) = &mut self.said
            && said.insert((segment.from, segment.to), segment.clone()).as_ref() == Some(segment)
        {
            return None;
        }
        let mut segment = Cow::Borrowed(segment);
        let mss = segment.options.mss;
        if self.clamp_mss && mss.is_some() {
            segment.to_mut().options.mss = mss.map(|mss| mss.min(CLAMPED_MSS));
        }
        if self.close_window && !segment.flags.has(Flags::SYN) {
            segment.to_mut().window = 0;
        }
        Some(segment)
    }

    /// Whether a segment from the kernel gets lost, because it starts with data that has gone out already. This
    /// includes zero-window probes, which repeat the last acknowledged sequence number.
    pub fn lose(&mut self, segment: &TcpSegment) -> bool {
        let Some(sent) = &mut self.sent else { return false };
        if segment.flags.has(Flags::RST) {
            return false;
        }
        let end = segment.seq.wrapping_add(segment.sequence_length());
        let frontier = sent.entry((segment.from, segment.to)).or_insert(segment.seq);
        // Sequence numbers wrap, so only their distance is meaningful.
        if (segment.seq.wrapping_sub(*frontier) as i32) < 0 {
            return true;
        }
        *frontier = end;
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::peer::Peer;

    fn segment(port: u16, seq: u32, length: usize, flags: Flags) -> TcpSegment {
        let mut peer = Peer::new(([10, 0, 0, 1], port).into(), ([10, 0, 0, 2], 2).into(), seq);
        peer.window = 7;
        TcpSegment { payload: vec![0; length], ..peer.segment(flags) }
    }

    #[test]
    fn only_retransmissions_are_lost() {
        let mut faults = Faults::new(Some(Mutation::DropRetransmissions));
        for (port, seq, length, flags, lost) in [
            (1, u32::MAX, 0, Flags::SYN, false),
            (1, u32::MAX, 0, Flags::SYN, true),
            (1, 0, 10, Flags::ACK, false),
            (2, 5, 10, Flags::ACK, false), // another connection
            (1, 10, 0, Flags::ACK, false), // an acknowledgement alone
            (1, 10, 10, Flags::ACK, false),
            (1, 10, 5, Flags::ACK, true),
            (1, 9, 0, Flags::ACK, true), // a probe
            (1, 20, 0, Flags::ACK, false),
            (1, 9, 0, Flags::RST, false),
        ] {
            assert_eq!(faults.lose(&segment(port, seq, length, flags)), lost, "{port} {seq} {length} {flags:?}");
            assert!(!Faults::default().lose(&segment(port, seq, length, flags)));
        }
    }

    #[test]
    fn mss_is_clamped_and_never_raised() {
        for (offered, arrives) in [(Some(1460), Some(536)), (Some(64), Some(64)), (None, None)] {
            let mut told = segment(1, 1, 0, Flags::SYN);
            told.options.mss = offered;
            let arrived = Faults::new(Some(Mutation::ClampMss)).to_kernel(&told).map(|s| s.options.mss);
            assert_eq!(arrived, Some(arrives));
        }
    }

    #[test]
    fn closed_window_applies_to_all_but_the_syn() {
        for (mutation, flags, window) in [
            (Some(Mutation::CloseWindow), Flags::ACK, 0),
            (Some(Mutation::CloseWindow), Flags::SYN, 7),
            (None, Flags::ACK, 7),
        ] {
            let told = segment(1, 1, 1, flags);
            let arrived = Faults::new(mutation).to_kernel(&told).map(|s| s.window);
            assert_eq!(arrived, Some(window), "{flags:?}");
        }
    }

    #[test]
    fn only_repeated_answers_are_lost() {
        let mut faults = Faults::new(Some(Mutation::DropRepeatedAnswers));
        for (port, seq, window, arrives) in
            [(1, 5, 0, true), (1, 5, 0, false), (2, 5, 0, true), (1, 5, 9, true), (1, 5, 9, false), (1, 6, 9, true)]
        {
            let told = TcpSegment { window, ..segment(port, seq, 0, Flags::ACK) };
            assert_eq!(faults.to_kernel(&told).is_some(), arrives, "{port} {seq} {window}");
            assert!(Faults::default().to_kernel(&told).is_some());
        }
    }
}
