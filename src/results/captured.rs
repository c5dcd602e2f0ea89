//! Reads a run's captures back: the TCP connections of a wire.pcapng.

use std::collections::BTreeMap;
use std::net::IpAddr;

use backproof_protocol::Segment;
use etherparse::{
    IpNumber, Ipv4HeaderSlice, Ipv6HeaderSlice, TcpOptionElement, TcpOptionReadError, TcpOptionsIterator, TcpSlice,
};
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::{Block, PcapNgReader};

/// The most packets to read: a cell's capture has at most 64 KiB of them.
const PACKETS_MOST: usize = 20_000;

/// Bits 0 and 1 of a packet's flags: sent by the tested kernel.
const OUTBOUND: u32 = 2;

/// The segments of one captured connection. The tested kernel sends the data, and numbers count from each side's first.
#[derive(Clone, Debug, PartialEq)]
pub struct CapturedConnection {
    /// The check that made it.
    pub check: String,
    /// Its segments, in order.
    pub segments: Vec<Segment>,
}

/// The connections of a pcapng file, in order of appearance. Damaged packets are left out, and a file that was cut short
/// gives what it has.
pub fn captured(file: &[u8]) -> Vec<CapturedConnection> {
    let Ok(mut reader) = PcapNgReader::new(file) else { return Vec::new() };
    let mut connections: Vec<(ConnectionStart, CapturedConnection)> = Vec::new();
    let mut places: BTreeMap<(String, Ends), usize> = BTreeMap::new();
    for _ in 0..PACKETS_MOST {
        let packet = match reader.next_block() {
            Some(Ok(Block::EnhancedPacket(packet))) => CapturedPacket::of(&packet),
            Some(Ok(_)) => continue,
            Some(Err(_)) | None => break,
        };
        let Some(packet) = packet else { continue };
        let place = *places.entry((packet.check.clone(), packet.ends)).or_insert_with(|| {
            let connection = CapturedConnection { check: packet.check.clone(), segments: Vec::new() };
            connections.push((ConnectionStart { at_us: packet.at_us, first: [None, None] }, connection));
            connections.len() - 1
        });
        if let Some((start, connection)) = connections.get_mut(place) {
            connection.segments.push(start.relative(&packet));
        }
    }
    connections.into_iter().map(|(_, connection)| connection).collect()
}

/// Both ends of a connection: the kernel's, then its peer's.
type Ends = ((IpAddr, u16), (IpAddr, u16));

/// What a connection's numbers count from.
struct ConnectionStart {
    at_us: u64,
    /// The first sequence number of each direction: the peer's, then the kernel's.
    first: [Option<u32>; 2],
}

impl ConnectionStart {
    fn relative(&mut self, packet: &CapturedPacket) -> Segment {
        let [mine, other] = if packet.out { [1, 0] } else { [0, 1] };
        let own = *self.first[mine].get_or_insert(packet.seq);
        let acked = self.first[other].unwrap_or(packet.ack);
        Segment {
            at_us: packet.at_us.saturating_sub(self.at_us),
            data_way: packet.out,
            seq: packet.seq.wrapping_sub(own),
            length: packet.length,
            ack: packet.ack.wrapping_sub(acked),
            flags: packet.flags,
            sack: packet.sack.iter().map(|(a, b)| (a.wrapping_sub(acked), b.wrapping_sub(acked))).collect(),
            lost: false,
        }
    }
}

/// A TCP segment as captured.
struct CapturedPacket {
    check: String,
    at_us: u64,
    out: bool,
    ends: Ends,
    seq: u32,
    ack: u32,
    flags: u8,
    length: u32,
    sack: Vec<(u32, u32)>,
}

impl CapturedPacket {
    /// The TCP segment of a packet. None if it is something else, or damaged.
    fn of(packet: &EnhancedPacketBlock<'_>) -> Option<Self> {
        let (mut check, mut out) = (None, None);
        for option in &packet.options {
            match option {
                EnhancedPacketOption::Comment(text) => check = Some(text.to_string()),
                EnhancedPacketOption::Flags(flags) => out = Some(flags & 3 == OUTBOUND),
                _ => {}
            }
        }
        let ip = IpOfTcp::of(&packet.data)?;
        let tcp = TcpSlice::from_slice(packet.data.get(ip.header..)?).ok()?;
        let header = tcp.header_slice();
        let (source, target) = ((ip.source, tcp.source_port()), (ip.target, tcp.destination_port()));
        let out = out?;
        Some(Self {
            check: check?,
            at_us: u64::try_from(packet.timestamp.as_micros()).ok()?,
            out,
            ends: if out { (source, target) } else { (target, source) },
            seq: tcp.sequence_number(),
            ack: tcp.acknowledgment_number(),
            flags: *header.get(13)?,
            // The capture may have less of it.
            length: u32::try_from(ip.length.checked_sub(ip.header + header.len())?).ok()?,
            sack: sack(&tcp),
        })
    }
}

/// What an IP header says of a TCP segment.
struct IpOfTcp {
    source: IpAddr,
    target: IpAddr,
    /// Bytes of the header.
    header: usize,
    /// Bytes of header and payload.
    length: usize,
}

impl IpOfTcp {
    fn of(packet: &[u8]) -> Option<Self> {
        if let Ok(ip) = Ipv4HeaderSlice::from_slice(packet) {
            let (source, target) = (ip.source_addr().into(), ip.destination_addr().into());
            let (header, length) = (ip.slice().len(), ip.total_len().into());
            (ip.protocol() == IpNumber::TCP).then_some(Self { source, target, header, length })
        } else {
            let ip = Ipv6HeaderSlice::from_slice(packet).ok()?;
            let (source, target) = (ip.source_addr().into(), ip.destination_addr().into());
            let header = ip.slice().len();
            let length = header + usize::from(ip.payload_length());
            (ip.next_header() == IpNumber::TCP).then_some(Self { source, target, header, length })
        }
    }
}

/// The selectively acknowledged ranges. Unknown options, such as MD5 signatures, are skipped; a damaged one ends the list.
fn sack(tcp: &TcpSlice<'_>) -> Vec<(u32, u32)> {
    let (mut ranges, mut options) = (Vec::new(), tcp.options_iterator());
    loop {
        let rest = options.rest();
        match options.next() {
            Some(Ok(TcpOptionElement::SelectiveAcknowledgement(first, others))) => {
                ranges.push(first);
                ranges.extend(others.into_iter().flatten());
            }
            Some(Ok(_)) => {}
            Some(Err(TcpOptionReadError::UnknownId(_))) => {
                // Its length counts its own two bytes.
                let length = rest.get(1).map_or(0, |length| usize::from(*length));
                let Some(after) = rest.get(length.max(2)..) else { break };
                options = TcpOptionsIterator::from_slice(after);
            }
            Some(Err(_)) | None => break,
        }
    }
    ranges
}

#[cfg(test)]
mod tests {
    use backproof_protocol::Packet;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::super::pcapng::pcapng;
    use super::*;

    /// A segment over IPv4 without data in the capture.
    fn packet(at_us: u64, out: bool, seq: u32, ack: u32, length: u16, options: &[u8]) -> Packet {
        let offset = 20 + options.len();
        let mut ip = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, 6, 0, 0];
        ip[2..4].copy_from_slice(&(20 + u16::try_from(offset).expect("short") + length).to_be_bytes());
        let (kernel, peer) = ([10, 0, 0, 1], [10, 0, 0, 2]);
        let (ends, ports) = if out { ([kernel, peer], [80_u16, 4000]) } else { ([peer, kernel], [4000, 80]) };
        ip.extend(ends.concat());
        ip.extend(ports.iter().flat_map(|port| port.to_be_bytes()));
        ip.extend(seq.to_be_bytes().into_iter().chain(ack.to_be_bytes()));
        ip.extend([u8::try_from((offset / 4) << 4).expect("short"), 0x10, 1, 0, 0, 0, 0, 0]);
        ip.extend(options);
        Packet { at_us, out, check: "write".to_owned(), length: 20 + u32::from(length), data: STANDARD.encode(ip) }
    }

    fn capture() -> Vec<u8> {
        let sack = [1, 1, 5, 10, 0, 0, 0x10, 0x64, 0, 0, 0x20, 0x64];
        let packets = [
            packet(500, false, 7_000, 0, 0, &[]),
            packet(600, true, 100, 7_001, 0, &[]),
            packet(900, true, 101, 7_001, 1460, &[]),
            packet(950, false, 7_001, 101, 0, &sack),
        ];
        pcapng(&packets).expect("a file")
    }

    #[test]
    fn capture_becomes_a_connection_with_relative_numbers() {
        let read = captured(&capture());
        assert_eq!(read.len(), 1);
        let segments: Vec<_> = read[0].segments.iter().map(|s| (s.at_us, s.data_way, s.seq, s.length, s.ack)).collect();
        assert_eq!(
            segments,
            [(0, false, 0, 0, 0), (100, true, 0, 0, 1), (400, true, 1, 1460, 1), (450, false, 1, 0, 1)]
        );
        assert_eq!(read[0].segments[3].sack, [(4096, 8192)]);
        assert_eq!(read[0].check, "write");
    }

    #[test]
    fn capture_that_is_cut_short_gives_what_it_has() {
        let file = capture();
        for length in 0..file.len() {
            let read = captured(&file[..length]);
            assert!(read.len() <= 1 && read.iter().all(|c| c.segments.len() <= 4), "{length}");
        }
    }

    proptest! {
        #[test]
        fn damaged_capture_is_read_without_panic(
            damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..12),
        ) {
            let mut file = capture();
            for (index, byte) in damage {
                let at = index.index(file.len());
                file[at] = byte;
            }
            prop_assert!(captured(&file).iter().map(|c| c.segments.len()).sum::<usize>() <= 4);
        }
    }
}
