//! Serializes and parses TCP segments in IPv4 and IPv6 packets. Nothing here touches the system.
//!
//! Packets with extension headers or fragments are rejected, because a kernel sends none unless its peer does.

use std::array;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use etherparse::checksum::Sum16BitWords;
use etherparse::{IpNumber, Ipv4HeaderSlice, Ipv6HeaderSlice, PacketBuilder};
use etherparse::{TcpHeader, TcpOptionElement, TcpOptionsIterator, TcpSlice};

/// Hop limit of the packets that the peer sends.
const HOPS: u8 = 64;

/// The other zero of ones' complement, in which checksums are calculated. One packet in 65,536 has a checksum of zero,
/// and Linux writes it as this (`CSUM_MANGLED_0` in `skb_checksum_help`, net/core/dev.c).
const ALL_ONES: u16 = 0xffff;

/// TCP's control bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    /// No bit set.
    pub const NONE: Self = Self(0);
    /// The sender has finished.
    pub const FIN: Self = Self(0x01);
    /// Opens a connection.
    pub const SYN: Self = Self(0x02);
    /// Refuses or aborts a connection.
    pub const RST: Self = Self(0x04);
    /// The receiver should deliver the data immediately.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgement field is valid.
    pub const ACK: Self = Self(0x10);

    /// The union of both sets.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all bits of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The TCP options that a [`TcpSegment`] can carry. The parser skips all others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Maximum segment size, in bytes of payload.
    pub mss: Option<u16>,
    /// Window scale, as a shift.
    pub window_scale: Option<u8>,
    /// SACK permitted.
    pub sack_ok: bool,
}

/// One TCP segment with the addresses of the packet that carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpSegment {
    /// Sender.
    pub from: SocketAddr,
    /// Receiver; of the same address family as the sender.
    pub to: SocketAddr,
    /// Sequence number of the first byte (or of the SYN or FIN).
    pub seq: u32,
    /// The next sequence number expected from the other side, if [`Flags::ACK`] is set.
    pub ack: u32,
    /// Control bits.
    pub flags: Flags,
    /// Receive window, not scaled.
    pub window: u16,
    /// Options.
    pub options: Options,
    /// Data.
    pub payload: Vec<u8>,
}

impl TcpSegment {
    /// The length of the segment in sequence space: its data, plus one each for SYN and FIN.
    pub fn sequence_length(&self) -> u32 {
        let controls = u32::from(self.flags.has(Flags::SYN)) + u32::from(self.flags.has(Flags::FIN));
        u32::try_from(self.payload.len()).unwrap_or(u32::MAX).wrapping_add(controls)
    }

    /// Whether the segment's data covers this sequence number.
    pub fn covers(&self, seq: u32) -> bool {
        // Sequence numbers wrap, so only the distance from the start is meaningful.
        (seq.wrapping_sub(self.seq) as usize) < self.payload.len()
    }

    /// The packet from the IP header on, with correct lengths and checksums; empty if the payload is longer than a
    /// packet can be, which no caller's is.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut header = TcpHeader::new(self.from.port(), self.to.port(), self.seq, self.window);
        header.acknowledgment_number = self.ack;
        let bits = array::from_fn(|bit| self.flags.0 >> bit & 1 == 1);
        [header.fin, header.syn, header.rst, header.psh, header.ack, header.urg, header.ece, header.cwr] = bits;
        let builder = match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => PacketBuilder::ipv4(from.octets(), to.octets(), HOPS),
            (from, to) => PacketBuilder::ipv6(v6(from).octets(), v6(to).octets(), HOPS),
        };
        let mut packet = Vec::new();
        let built = builder.tcp_header(header).options(&self.options.elements());
        match built.map(|built| built.write(&mut packet, &self.payload)) {
            Ok(Ok(())) => packet,
            Ok(Err(_)) | Err(_) => Vec::new(),
        }
    }

    /// Reads a packet from its IP header on. Bytes after the length that the IP header gives are ignored.
    ///
    /// None if the packet is cut, damaged or not plain TCP.
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let (from, to, tcp) = match packet.first()? >> 4 {
            4 => {
                let header = Ipv4HeaderSlice::from_slice(packet).ok()?;
                let intact = Sum16BitWords::new().add_slice(header.slice()).ones_complement() == 0;
                let plain = header.protocol() == IpNumber::TCP && !header.is_fragmenting_payload();
                let tcp = packet.get(header.slice().len()..header.total_len().into()).filter(|_| intact && plain);
                (IpAddr::V4(header.source_addr()), IpAddr::V4(header.destination_addr()), tcp?)
            }
            6 => {
                let header = Ipv6HeaderSlice::from_slice(packet).ok()?;
                let plain = header.next_header() == IpNumber::TCP;
                let tcp = packet[header.slice().len()..].get(..header.payload_length().into()).filter(|_| plain);
                (IpAddr::V6(header.source_addr()), IpAddr::V6(header.destination_addr()), tcp?)
            }
            _ => return None,
        };
        let tcp = TcpSlice::from_slice(tcp).ok()?;
        let sum = match (from, to) {
            (IpAddr::V4(from), IpAddr::V4(to)) => tcp.calc_checksum_ipv4(from.octets(), to.octets()),
            (from, to) => tcp.calc_checksum_ipv6(v6(from).octets(), v6(to).octets()),
        };
        sum.is_ok_and(|sum| sum % ALL_ONES == tcp.checksum() % ALL_ONES).then(|| Self {
            from: SocketAddr::new(from, tcp.source_port()),
            to: SocketAddr::new(to, tcp.destination_port()),
            seq: tcp.sequence_number(),
            ack: tcp.acknowledgment_number(),
            flags: Flags(tcp.slice()[13]),
            window: tcp.window_size(),
            options: Options::parse(tcp.options_iterator()),
            payload: tcp.payload().to_vec(),
        })
    }
}

impl Options {
    fn elements(self) -> Vec<TcpOptionElement> {
        let sack_ok = self.sack_ok.then_some(TcpOptionElement::SelectiveAcknowledgementPermitted);
        let mss = self.mss.map(TcpOptionElement::MaximumSegmentSize);
        [mss, sack_ok, self.window_scale.map(TcpOptionElement::WindowScale)].into_iter().flatten().collect()
    }

    /// Reads options up to the first malformed one, as the kernel's `tcp_parse_options` does.
    fn parse(elements: TcpOptionsIterator) -> Self {
        let mut options = Self::default();
        for element in elements.map_while(Result::ok) {
            match element {
                TcpOptionElement::MaximumSegmentSize(mss) => options.mss = Some(mss),
                TcpOptionElement::WindowScale(shift) => options.window_scale = Some(shift),
                TcpOptionElement::SelectiveAcknowledgementPermitted => options.sack_ok = true,
                TcpOptionElement::Noop
                | TcpOptionElement::SelectiveAcknowledgement(..)
                | TcpOptionElement::Timestamp(..) => {}
            }
        }
        options
    }
}

/// An IPv6 address; an IPv4 one in a mixed pair becomes its mapped form.
fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

#[cfg(test)]
mod tests;
