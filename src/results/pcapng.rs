//! Writes captured packets as pcapng, which every packet tool reads (draft-ietf-opsawg-pcapng).

use std::borrow::Cow;
use std::time::Duration;

use backproof_protocol::Packet;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pcap_file::pcapng::PcapNgWriter;
use pcap_file::pcapng::blocks::enhanced_packet::{EnhancedPacketBlock, EnhancedPacketOption};
use pcap_file::pcapng::blocks::interface_description::{InterfaceDescriptionBlock, InterfaceDescriptionOption};
use pcap_file::{DataLink, PcapError};

/// A capture that cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// A packet is not base64.
    #[error("packet {0} of the capture is not base64")]
    NotBase64(usize),
    /// The file format refuses it.
    #[error("the capture does not fit pcapng")]
    Format(#[from] PcapError),
}

/// Flags of an enhanced packet block: bits 0 and 1 are the direction (pcapng, section 4.3.1).
const INBOUND: u32 = 1;
const OUTBOUND: u32 = 2;

/// The packets as a pcapng file of raw IP. The direction is the tested kernel's, the comment names the check, and times
/// count from the job's start.
pub fn pcapng(packets: &[Packet]) -> Result<Vec<u8>, CaptureError> {
    let mut writer = PcapNgWriter::new(Vec::new())?;
    let name = InterfaceDescriptionOption::IfName(Cow::Borrowed("wire"));
    // The library writes nanoseconds; without this option readers take them for microseconds.
    let nanoseconds = InterfaceDescriptionOption::IfTsResol(9);
    writer.write_pcapng_block(InterfaceDescriptionBlock {
        linktype: DataLink::RAW,
        snaplen: 0,
        options: vec![name, nanoseconds],
    })?;
    for (index, packet) in packets.iter().enumerate() {
        let data = STANDARD.decode(&packet.data).map_err(|_| CaptureError::NotBase64(index))?;
        let direction = if packet.out { OUTBOUND } else { INBOUND };
        writer.write_pcapng_block(EnhancedPacketBlock {
            interface_id: 0,
            timestamp: Duration::from_micros(packet.at_us),
            original_len: packet.length.max(u32::try_from(data.len()).unwrap_or(u32::MAX)),
            data: Cow::Owned(data),
            options: vec![
                EnhancedPacketOption::Flags(direction),
                EnhancedPacketOption::Comment(Cow::Borrowed(&packet.check)),
            ],
        })?;
    }
    Ok(writer.into_inner())
}

#[cfg(test)]
mod tests {
    use pcap_file::pcapng::{Block, PcapNgReader};

    use super::*;

    fn packet(at_us: u64, out: bool, data: &[u8]) -> Packet {
        Packet { at_us, out, check: "small-sndbuf".to_owned(), length: 1500, data: STANDARD.encode(data) }
    }

    #[test]
    fn times_directions_and_checks_come_back() {
        let file = pcapng(&[packet(200_000, true, b"E..."), packet(523_285, false, b"E,..")]).expect("a file");
        let mut reader = PcapNgReader::new(file.as_slice()).expect("a reader");
        let mut seen = Vec::new();
        let mut resolution = None;
        while let Some(block) = reader.next_block() {
            match block.expect("a block") {
                Block::InterfaceDescription(interface) => {
                    resolution = interface.options.iter().find_map(|option| match option {
                        InterfaceDescriptionOption::IfTsResol(resolution) => Some(*resolution),
                        _ => None,
                    });
                }
                Block::EnhancedPacket(packet) => {
                    seen.push((packet.timestamp, packet.original_len, packet.options.len()))
                }
                _ => {}
            }
        }
        // The file must say nanoseconds; this library's reader would assume them anyway.
        assert_eq!(resolution, Some(9));
        let micros = Duration::from_micros;
        assert_eq!(seen, [(micros(200_000), 1500, 2), (micros(523_285), 1500, 2)]);
    }

    #[test]
    fn invalid_base64_is_reported_with_its_place() {
        let bad = Packet { data: "not base64!".to_owned(), ..packet(1, true, b"") };
        assert!(matches!(pcapng(&[packet(1, true, b"E"), bad]), Err(CaptureError::NotBase64(1))));
    }
}
