//! A quick parser of TCP segments for time lines, which ignores checksums and data.

use std::iter;

use etherparse::{IpNumber, Ipv4HeaderSlice, TcpOptionElement, TcpOptionsIterator, TcpSlice};

/// The parsed fields of a TCP segment in an IPv4 packet.
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
    /// The ranges that it selectively acknowledges: first byte, and the byte after the last.
    pub sack: Vec<(u32, u32)>,
}

impl Glance {
    /// Parses a packet from its IP header on; none if it is not a whole TCP segment in IPv4.
    pub fn at(packet: &[u8]) -> Option<Self> {
        let ip = Ipv4HeaderSlice::from_slice(packet).ok()?;
        let plain = ip.protocol() == IpNumber::TCP && !ip.is_fragmenting_payload();
        let segment = packet.get(ip.slice().len()..ip.total_len().into()).filter(|_| plain)?;
        let tcp = TcpSlice::from_slice(segment).ok()?;
        Some(Self {
            from_port: tcp.source_port(),
            to_port: tcp.destination_port(),
            seq: tcp.sequence_number(),
            ack: tcp.acknowledgment_number(),
            flags: tcp.slice()[13],
            length: u32::try_from(tcp.payload().len()).ok()?,
            sack: sack_blocks(tcp.options_iterator()),
        })
    }
}

/// The blocks of the first SACK option; a malformed option ends the list, as in the kernel's `tcp_parse_options`.
fn sack_blocks(options: TcpOptionsIterator) -> Vec<(u32, u32)> {
    let blocks = options.map_while(Result::ok).find_map(|option| match option {
        TcpOptionElement::SelectiveAcknowledgement(first, others) => Some((first, others)),
        _ => None,
    });
    blocks.into_iter().flat_map(|(first, others)| iter::once(first).chain(others.into_iter().flatten())).collect()
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
    fn quick_parser_agrees_with_the_full_one() {
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
    fn sack_blocks_are_found_after_other_options() {
        let block = |first: u32, end: u32| [first.to_be_bytes(), end.to_be_bytes()].concat();
        let timestamps = [1, 1, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0];
        let blocks = |options| sack_blocks(TcpOptionsIterator::from_slice(options));
        let two = [&timestamps[..], &[1, 1, 5, 18], &block(1, 2), &block(5, 9)].concat();
        assert_eq!(blocks(&two), [(1, 2), (5, 9)]);
        for none in [&timestamps[..], &[0, 5, 10][..], &two[..two.len() - 1], &[5, 0], &[5, 2]] {
            assert_eq!(blocks(none), [], "{none:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]

        #[test]
        fn any_packet_is_parsed_without_a_panic(
            mut bytes in proptest::collection::vec(any::<u8>(), 0..90), like_tcp: bool,
        ) {
            if like_tcp && bytes.len() >= 40 {
                let length = bytes.len() as u16;
                bytes[0] = 0x45;
                bytes[2..4].copy_from_slice(&length.to_be_bytes());
                bytes[6..8].fill(0);
                bytes[9] = IpNumber::TCP.0;
            }
            if let Some(glance) = Glance::at(&bytes) {
                prop_assert!(glance.length as usize <= bytes.len() && glance.sack.len() <= 5);
            }
        }
    }
}
