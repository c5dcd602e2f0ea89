//! A look at a TCP segment that passes by: what a time line needs, without its checksums and without its data.

/// The protocol number of TCP.
const TCP: u8 = 6;
/// The kind of the option that acknowledges selectively (RFC 2018).
const SACK: u8 = 5;

/// What one look at an IPv4 packet with a TCP segment shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glance {
    /// The sender's port.
    pub from_port: u16,
    /// The receiver's port.
    pub to_port: u16,
    /// Sequence number of the first byte.
    pub seq: u32,
    /// The acknowledgement number.
    pub ack: u32,
    /// The flags of the TCP header.
    pub flags: u8,
    /// Bytes of data.
    pub length: u32,
    /// What it selectively acknowledges: first byte, and the byte after the last.
    pub sack: Vec<(u32, u32)>,
}

impl Glance {
    /// Looks at a packet from its IP header on; none if it is not a whole TCP segment in IPv4.
    pub fn at(packet: &[u8]) -> Option<Self> {
        let ip: &[u8; 20] = packet.first_chunk()?;
        let header = usize::from(ip[0] & 0x0f) * 4;
        let total = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
        let fragment = u16::from_be_bytes([ip[6], ip[7]]) & 0x3fff;
        if ip[0] >> 4 != 4 || header < ip.len() || ip[9] != TCP || fragment != 0 {
            return None;
        }
        let segment = packet.get(header..total)?;
        let tcp: &[u8; 20] = segment.first_chunk()?;
        let data_at = usize::from(tcp[12] >> 4) * 4;
        let options = segment.get(tcp.len()..data_at)?;
        let u32_at = |at: usize| u32::from_be_bytes([tcp[at], tcp[at + 1], tcp[at + 2], tcp[at + 3]]);
        Some(Self {
            from_port: u16::from_be_bytes([tcp[0], tcp[1]]),
            to_port: u16::from_be_bytes([tcp[2], tcp[3]]),
            seq: u32_at(4),
            ack: u32_at(8),
            flags: tcp[13],
            length: u32::try_from(segment.len() - data_at).ok()?,
            sack: sack_blocks(options),
        })
    }
}

/// The blocks of the first SACK option; what is malformed ends the list, as in the kernel's `tcp_parse_options`.
fn sack_blocks(mut options: &[u8]) -> Vec<(u32, u32)> {
    loop {
        match options {
            [1, rest @ ..] => options = rest,
            [kind, length, rest @ ..] if *kind != 0 => {
                let Some(body) = usize::from(*length).checked_sub(2).and_then(|n| rest.get(..n)) else {
                    return Vec::new();
                };
                if *kind == SACK {
                    let number = |bytes: &[u8]| bytes.first_chunk().map_or(0, |b| u32::from_be_bytes(*b));
                    return body.chunks_exact(8).map(|pair| (number(pair), number(&pair[4..]))).collect();
                }
                options = &rest[body.len()..];
            }
            _ => return Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::packet::{Flags, Options, TcpSegment};
    use proptest::prelude::*;

    fn packet(payload: usize) -> Vec<u8> {
        TcpSegment {
            from: ([10, 0, 0, 1], 80).into(),
            to: ([10, 0, 0, 2], 40000).into(),
            seq: 7,
            ack: 9,
            flags: Flags::ACK,
            window: 1,
            options: Options { mss: Some(1460), window_scale: Some(7), sack_ok: true },
            payload: vec![0; payload],
        }
        .to_bytes()
    }

    #[test]
    fn a_look_sees_what_the_full_reader_sees() {
        let glance = Glance::at(&packet(5)).expect("a segment");
        assert_eq!((glance.from_port, glance.to_port, glance.seq, glance.ack), (80, 40000, 7, 9));
        assert_eq!((glance.flags, glance.length, glance.sack), (0x10, 5, Vec::new()));
        let mut udp = packet(5);
        udp[9] = 17;
        let whole = packet(5);
        for bad in [&[][..], &whole[..whole.len() - 1], &udp, &[0x60; 60]] {
            assert_eq!(Glance::at(bad), None);
        }
    }

    #[test]
    fn sack_blocks_are_found_behind_other_options() {
        let block = |first: u32, end: u32| [first.to_be_bytes(), end.to_be_bytes()].concat();
        let timestamps = [1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0];
        let two = [&timestamps[..], &[1, 1, SACK, 18], &block(1, 2), &block(5, 9)].concat();
        assert_eq!(sack_blocks(&two), [(1, 2), (5, 9)]);
        for none in [&timestamps[..], &[0, SACK, 10][..], &two[..two.len() - 1], &[SACK, 0], &[SACK, 2]] {
            assert_eq!(sack_blocks(none), [], "{none:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn any_packet_is_looked_at_without_a_panic(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..90), like_tcp: bool,
        ) {
            if like_tcp && bytes.len() >= 40 {
                let length = bytes.len() as u16;
                bytes[0] = 0x45;
                bytes[2..4].copy_from_slice(&length.to_be_bytes());
                bytes[6..8].fill(0);
                bytes[9] = TCP;
            }
            if let Some(glance) = Glance::at(&bytes) {
                prop_assert!(glance.length as usize <= bytes.len() && glance.sack.len() <= 5);
            }
        }
    }
}
