use super::*;
use proptest::prelude::*;

fn addresses() -> impl Strategy<Value = (IpAddr, IpAddr)> {
    prop_oneof![
        any::<([u8; 4], [u8; 4])>().prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b))),
        any::<([u8; 16], [u8; 16])>().prop_map(|(a, b)| (IpAddr::from(a), IpAddr::from(b))),
    ]
}

prop_compose! {
    fn segments()(
        (from, to) in addresses(),
        ports in any::<(u16, u16)>(),
        (seq, ack, flags, window) in any::<(u32, u32, u8, u16)>(),
        (mss, window_scale, sack_ok) in any::<(Option<u16>, Option<u8>, bool)>(),
        payload in prop::collection::vec(any::<u8>(), 0..64),
    ) -> TcpSegment {
        TcpSegment {
            from: SocketAddr::new(from, ports.0), to: SocketAddr::new(to, ports.1), seq, ack,
            flags: Flags(flags), window, options: Options { mss, window_scale, sack_ok }, payload,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn written_segment_is_read_back(segment in segments(), trailer in prop::collection::vec(any::<u8>(), 0..8)) {
        let mut bytes = segment.to_bytes();
        prop_assert_eq!(TcpSegment::parse(&bytes), Some(segment.clone()));
        bytes.extend(trailer);
        prop_assert_eq!(TcpSegment::parse(&bytes), Some(segment));
    }

    #[test]
    fn checksum_of_zero_is_read_in_both_forms(segment in segments()) {
        // A checksum is the complement of a sum. If it is added to that sum, the new checksum is zero.
        let at = if segment.from.is_ipv4() { 36..38 } else { 56..58 };
        let checksum = |bytes: &[u8]| u16::from_be_bytes([bytes[at.start], bytes[at.start + 1]]);
        let windowless = TcpSegment { window: 0, ..segment };
        let segment = TcpSegment { window: checksum(&windowless.to_bytes()), ..windowless };
        let mut bytes = segment.to_bytes();
        prop_assert_eq!(checksum(&bytes), 0);
        prop_assert_eq!(TcpSegment::parse(&bytes), Some(segment.clone()));
        bytes[at].fill(0xff);
        prop_assert_eq!(TcpSegment::parse(&bytes), Some(segment));
    }

    #[test]
    fn any_bytes_are_parsed_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        let _ = TcpSegment::parse(&bytes);
    }

    #[test]
    fn damaged_packet_is_never_parsed_as_the_same_segment(
        segment in segments(), at in any::<prop::sample::Index>(), bit in 0..8_u8,
    ) {
        let bytes = segment.to_bytes();
        let at = at.index(bytes.len());
        prop_assert!(TcpSegment::parse(&bytes[..at]).is_none());
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << bit;
        // Fields that no checksum covers (IPv6: traffic class, flow label, hop limit) may change unseen.
        let uncovered = segment.from.is_ipv6() && (at < 4 || at == 7);
        prop_assert!(uncovered || TcpSegment::parse(&flipped) != Some(segment));
    }

    #[test]
    fn any_options_are_parsed_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = Options::parse(TcpOptionsIterator::from_slice(&bytes));
    }
}

#[test]
fn segment_covers_its_own_bytes_when_numbers_wrap() {
    let mut segment = TcpSegment {
        from: "10.0.0.1:1".parse().expect("an address"),
        to: "10.0.0.2:2".parse().expect("an address"),
        seq: u32::MAX,
        ack: 0,
        flags: Flags::ACK,
        window: 0,
        options: Options::default(),
        payload: vec![0; 3],
    };
    let covered = |s: &TcpSegment, seq| s.covers(seq);
    for (seq, expected) in [(u32::MAX - 1, false), (u32::MAX, true), (0, true), (1, true), (2, false)] {
        assert_eq!(covered(&segment, seq), expected, "{seq}");
    }
    assert_eq!(segment.sequence_length(), 3);
    segment.flags = Flags::SYN.and(Flags::FIN);
    assert_eq!(segment.sequence_length(), 5);
}

/// Bytes from their hexadecimal digits.
fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes().chunks(2).filter_map(|two| u8::from_str_radix(str::from_utf8(two).ok()?, 16).ok()).collect()
}

#[test]
fn packets_of_linux_6_1_survive_a_round_trip() {
    // SYN-ACKs that a kernel put on a TUN device: one over IPv4, and one with a cookie over IPv6.
    let v4 = bytes(
        "4500003400004000400626340a4700010a47000200509c405ad572a3000f424180121c84919a0000020405b40101040201030300",
    );
    let segment = TcpSegment::parse(&v4).expect("IPv4");
    assert_eq!((segment.from.to_string(), segment.seq), ("10.71.0.1:80".to_owned(), 0x5ad5_72a3));
    assert_eq!(segment.flags, Flags::SYN.and(Flags::ACK));
    assert_eq!(segment.options, Options { mss: Some(1460), window_scale: Some(0), sack_ok: true });
    let v6 = bytes(
        "600bcca300180640fd710000000000000000000000000001fd710000000000000000000000000002\
         0d629c5ac80c559a019bfcc16012fd20da620000020405a0",
    );
    let segment = TcpSegment::parse(&v6).expect("IPv6");
    assert_eq!((segment.from.to_string(), segment.ack), ("[fd71::1]:3426".to_owned(), 0x019b_fcc1));
    let mut written = segment.to_bytes();
    written[..4].copy_from_slice(&v6[..4]); // the kernel's flow label
    assert_eq!(written, v6);
}

#[test]
fn packet_of_linux_with_a_checksum_of_all_ones_is_read() {
    // An RST that Linux 6.18 put on a TUN device. Its sequence number was chosen so that the checksum is zero.
    let packet = bytes(
        "600a5b2300140640fd710000000000000000000000000001fd710000000000000000000000000002\
         00509c400000186a0000000050040000ffff0000",
    );
    let segment = TcpSegment::parse(&packet).expect("IPv6");
    assert_eq!((segment.flags, segment.seq), (Flags::RST, 0x186a));
}
