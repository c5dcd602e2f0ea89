//! TCP segments in IPv4 and IPv6 packets, as bytes and back. Nothing here touches the system.
//!
//! The formats are those of RFC 791 (IPv4), RFC 8200 (IPv6), RFC 9293 (TCP), RFC 7323 (window scale) and RFC 2018
//! (SACK permitted). Extension headers and fragments are never answered to a peer that sends none, so a packet
//! that has them is [`NotOurs::OtherProtocol`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The protocol number of TCP.
const TCP: u8 = 6;
/// Length of an IPv4 header without options, in bytes.
const IPV4_HEADER: usize = 20;
/// Length of an IPv6 header, in bytes.
const IPV6_HEADER: usize = 40;
/// Length of a TCP header without options, in bytes.
const TCP_HEADER: usize = 20;

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
    /// The receiver should hand the data on at once.
    pub const PSH: Self = Self(0x08);
    /// The acknowledgement field counts.
    pub const ACK: Self = Self(0x10);

    /// Both sets of bits.
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all bits of `other` are set.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
}

/// The TCP options that a [`TcpSegment`] can carry. All others are skipped in reading.
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
    /// The next sequence number expected from the other side, where [`Flags::ACK`] is set.
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

/// Why bytes are not a [`TcpSegment`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotOurs {
    /// The packet ends before its headers say so.
    Truncated,
    /// An IP version, a protocol, an extension header or a fragment that no peer here speaks.
    OtherProtocol,
    /// A header says something impossible about its own length.
    BadLength,
    /// The IPv4 or the TCP checksum is wrong.
    BadChecksum,
}

impl TcpSegment {
    /// How much of the sequence space the segment takes: its data, and one each for SYN and FIN.
    pub fn sequence_length(&self) -> u32 {
        let controls = u32::from(self.flags.has(Flags::SYN)) + u32::from(self.flags.has(Flags::FIN));
        u32::try_from(self.payload.len()).unwrap_or(u32::MAX).wrapping_add(controls)
    }

    /// Whether the segment's data covers this sequence number.
    pub fn covers(&self, seq: u32) -> bool {
        // Sequence numbers wrap, so the distance from the start is compared and not the numbers.
        (seq.wrapping_sub(self.seq) as usize) < self.payload.len()
    }

    /// The packet from the IP header on, with correct lengths and checksums.
    ///
    /// The payload is cut to what one packet can hold, which is more than any caller sends.
    pub fn to_bytes(&self) -> Vec<u8> {
        let options = self.options.to_bytes();
        let room = usize::from(u16::MAX) - IPV4_HEADER - TCP_HEADER - options.len();
        let payload = &self.payload[..self.payload.len().min(room)];
        let mut tcp = Vec::with_capacity(TCP_HEADER + options.len() + payload.len());
        tcp.extend(self.from.port().to_be_bytes());
        tcp.extend(self.to.port().to_be_bytes());
        tcp.extend(self.seq.to_be_bytes());
        tcp.extend(self.ack.to_be_bytes());
        tcp.push((((TCP_HEADER + options.len()) / 4) as u8) << 4);
        tcp.push(self.flags.0);
        tcp.extend(self.window.to_be_bytes());
        tcp.extend([0; 4]); // checksum, filled in below, and the urgent pointer
        tcp.extend(&options);
        tcp.extend(payload);
        let sum = tcp_checksum(self.from.ip(), self.to.ip(), &tcp);
        tcp[16..18].copy_from_slice(&sum.to_be_bytes());
        let mut packet = match (self.from.ip(), self.to.ip()) {
            (IpAddr::V4(from), IpAddr::V4(to)) => ipv4_header(from, to, tcp.len()),
            (from, to) => ipv6_header(v6(from), v6(to), tcp.len()),
        };
        packet.extend(tcp);
        packet
    }

    /// Reads a packet from its IP header on. Bytes after the length that the IP header gives are ignored.
    ///
    /// # Errors
    /// [`NotOurs`], with the reason.
    pub fn parse(packet: &[u8]) -> Result<Self, NotOurs> {
        match packet.first().ok_or(NotOurs::Truncated)? >> 4 {
            4 => parse_ipv4(packet),
            6 => parse_ipv6(packet),
            _ => Err(NotOurs::OtherProtocol),
        }
    }
}

impl Options {
    /// The options, padded to whole words with NOP.
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = Vec::new();
        if let Some(mss) = self.mss {
            bytes.extend([2, 4]);
            bytes.extend(mss.to_be_bytes());
        }
        if self.sack_ok {
            bytes.extend([4, 2]);
        }
        if let Some(shift) = self.window_scale {
            bytes.extend([3, 3, shift]);
        }
        while bytes.len() % 4 != 0 {
            bytes.push(1);
        }
        bytes
    }

    /// Reads options; what is malformed ends the list, as in the kernel's `tcp_parse_options`.
    fn parse(mut bytes: &[u8]) -> Self {
        let mut options = Self::default();
        loop {
            match bytes {
                [] | [0, ..] => return options,
                [1, rest @ ..] => bytes = rest,
                [kind, length, rest @ ..] => {
                    let Some(body) = usize::from(*length).checked_sub(2).and_then(|n| rest.get(..n)) else {
                        return options;
                    };
                    match (kind, body) {
                        (2, [high, low]) => options.mss = Some(u16::from_be_bytes([*high, *low])),
                        (3, [shift]) => options.window_scale = Some(*shift),
                        (4, []) => options.sack_ok = true,
                        _ => {}
                    }
                    bytes = &rest[body.len()..];
                }
                [_] => return options,
            }
        }
    }
}

/// An IPv6 address; an IPv4 one in a mixed pair becomes its mapped form.
fn v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped(),
        IpAddr::V6(v6) => v6,
    }
}

fn ipv4_header(from: Ipv4Addr, to: Ipv4Addr, payload: usize) -> Vec<u8> {
    let mut header = vec![0x45, 0];
    header.extend(((IPV4_HEADER + payload) as u16).to_be_bytes());
    header.extend([0, 0, 0x40, 0, 64, TCP, 0, 0]); // no id, don't fragment, TTL 64, checksum below
    header.extend(from.octets());
    header.extend(to.octets());
    let sum = !fold(sum_words(0, &header));
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header
}

fn ipv6_header(from: Ipv6Addr, to: Ipv6Addr, payload: usize) -> Vec<u8> {
    let mut header = vec![0x60, 0, 0, 0];
    header.extend((payload as u16).to_be_bytes());
    header.extend([TCP, 64]); // next header, hop limit
    header.extend(from.octets());
    header.extend(to.octets());
    header
}

fn parse_ipv4(packet: &[u8]) -> Result<TcpSegment, NotOurs> {
    let header: &[u8; IPV4_HEADER] = packet.first_chunk().ok_or(NotOurs::Truncated)?;
    let header_length = usize::from(header[0] & 0x0f) * 4;
    let total = usize::from(u16::from_be_bytes([header[2], header[3]]));
    if header_length < IPV4_HEADER || total < header_length {
        return Err(NotOurs::BadLength);
    }
    let packet = packet.get(..total).ok_or(NotOurs::Truncated)?;
    if fold(sum_words(0, &packet[..header_length])) != 0xffff {
        return Err(NotOurs::BadChecksum);
    }
    let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff;
    if header[9] != TCP || fragment != 0 {
        return Err(NotOurs::OtherProtocol);
    }
    let address = |at: usize| IpAddr::V4(Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]));
    parse_tcp(address(12), address(16), &packet[header_length..])
}

fn parse_ipv6(packet: &[u8]) -> Result<TcpSegment, NotOurs> {
    let header: &[u8; IPV6_HEADER] = packet.first_chunk().ok_or(NotOurs::Truncated)?;
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let payload = packet.get(IPV6_HEADER..IPV6_HEADER + length).ok_or(NotOurs::Truncated)?;
    if header[6] != TCP {
        return Err(NotOurs::OtherProtocol);
    }
    let address = |at: usize| {
        let mut octets = [0; 16];
        octets.copy_from_slice(&header[at..at + 16]);
        IpAddr::V6(Ipv6Addr::from(octets))
    };
    parse_tcp(address(8), address(24), payload)
}

fn parse_tcp(from: IpAddr, to: IpAddr, tcp: &[u8]) -> Result<TcpSegment, NotOurs> {
    let header: &[u8; TCP_HEADER] = tcp.first_chunk().ok_or(NotOurs::Truncated)?;
    let data_at = usize::from(header[12] >> 4) * 4;
    if data_at < TCP_HEADER {
        return Err(NotOurs::BadLength);
    }
    let options = tcp.get(TCP_HEADER..data_at).ok_or(NotOurs::Truncated)?;
    // A correct checksum, summed over, gives all ones; its complement is zero.
    if tcp_checksum(from, to, tcp) != 0 {
        return Err(NotOurs::BadChecksum);
    }
    let u16_at = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let u32_at = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    Ok(TcpSegment {
        from: SocketAddr::new(from, u16_at(0)),
        to: SocketAddr::new(to, u16_at(2)),
        seq: u32_at(4),
        ack: u32_at(8),
        flags: Flags(header[13]),
        window: u16_at(14),
        options: Options::parse(options),
        payload: tcp[data_at..].to_vec(),
    })
}

/// The Internet checksum over the pseudo header and the TCP header with its data (RFC 9293, 3.1).
fn tcp_checksum(from: IpAddr, to: IpAddr, tcp: &[u8]) -> u16 {
    let addresses = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => sum_words(sum_words(0, &from.octets()), &to.octets()),
        (from, to) => sum_words(sum_words(0, &v6(from).octets()), &v6(to).octets()),
    };
    !fold(sum_words(addresses + u64::from(TCP) + tcp.len() as u64, tcp))
}

/// Adds 16-bit words; a last odd byte is the high half of a word.
fn sum_words(start: u64, bytes: &[u8]) -> u64 {
    bytes.chunks(2).fold(start, |sum, pair| {
        let low = pair.get(1).copied().unwrap_or(0);
        sum + u64::from(u16::from_be_bytes([pair[0], low]))
    })
}

/// Folds a sum into 16 bits with end-around carry.
fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

#[cfg(test)]
mod tests;
