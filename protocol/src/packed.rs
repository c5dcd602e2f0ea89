//! Packets and time lines from the wire, compressed.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::MAX_LINE;

/// A piece of a packet capture. The pieces of one job make one list of packets.
///
/// It is compressed because a serial port is slow (each byte is an exit of the virtual machine) and one reproducer's
/// packets are similar.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capture {
    /// The job's id.
    pub job: String,
    /// [`Packet`]s in the order in which the wire saw them: a JSON array, as a DEFLATE stream (RFC 1951), in standard
    /// base64 with padding.
    pub packed: String,
}

/// The most bytes that one capture may unpack to. No agent sends more than four times the longest line.
const MAX_UNPACKED: usize = 4 * MAX_LINE;

/// A capture that cannot be unpacked.
#[derive(Debug, thiserror::Error)]
pub enum BadCapture {
    /// The text is not base64.
    #[error("the capture is not base64")]
    Base64(#[from] base64::DecodeError),
    /// The bytes are not a DEFLATE stream, or unpack to more than allowed.
    #[error("the capture cannot be unpacked, or is too large")]
    Deflate,
    /// The unpacked JSON is not a list of packets.
    #[error("the capture is not a list of packets")]
    Packets(#[from] serde_json::Error),
}

impl Capture {
    /// Packs packets.
    ///
    /// # Errors
    /// None known: these types always serialize.
    pub fn pack(job: &str, packets: &[Packet]) -> serde_json::Result<Self> {
        Ok(Self { job: job.to_owned(), packed: pack(packets)? })
    }

    /// The packets. Their unpacked size in bytes is subtracted from `room`.
    ///
    /// # Errors
    /// If the data is malformed or does not fit into `room`.
    pub fn unpack(&self, room: &mut usize) -> Result<Vec<Packet>, BadCapture> {
        unpack(&self.packed, room)
    }
}

/// A list as JSON, as a DEFLATE stream, in base64.
fn pack(list: &[impl Serialize]) -> serde_json::Result<String> {
    let json = serde_json::to_vec(list)?;
    // Level 1 is the fastest, and already finds the similarities between packets.
    Ok(STANDARD.encode(miniz_oxide::deflate::compress_to_vec(&json, 1)))
}

fn unpack<T: serde::de::DeserializeOwned>(packed: &str, room: &mut usize) -> Result<Vec<T>, BadCapture> {
    let bytes = STANDARD.decode(packed)?;
    let json = miniz_oxide::inflate::decompress_to_vec_with_limit(&bytes, MAX_UNPACKED.min(*room));
    let json = json.map_err(|_| BadCapture::Deflate)?;
    // The parsed packets take about as many bytes.
    *room = room.saturating_sub(json.len());
    Ok(serde_json::from_slice(&json)?)
}

/// The time line of one connection, in both directions: sequence numbers against time. Pieces with one name make one
/// list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeLine {
    /// The job's id.
    pub job: String,
    /// The name of the [`Check`](crate::Check) that it belongs to: `write`, `sendfile` …
    pub name: String,
    /// [`Segment`]s in the order in which the wire saw them, packed as in [`Capture::packed`].
    pub packed: String,
}

impl TimeLine {
    /// Packs segments.
    ///
    /// # Errors
    /// None known.
    pub fn pack(job: &str, name: &str, segments: &[Segment]) -> serde_json::Result<Self> {
        Ok(Self { job: job.to_owned(), name: name.to_owned(), packed: pack(segments)? })
    }

    /// The segments. Their unpacked size in bytes is subtracted from `room`.
    ///
    /// # Errors
    /// If the data is malformed or does not fit into `room`.
    pub fn unpack(&self, room: &mut usize) -> Result<Vec<Segment>, BadCapture> {
        unpack(&self.packed, room)
    }
}

/// One segment of a time line. Sequence numbers are relative to each direction's first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// Microseconds since the connection's first segment.
    pub at_us: u64,
    /// Whether the sender of the data sent it, not its receiver.
    pub data_way: bool,
    /// Sequence number of its first byte.
    pub seq: u32,
    /// Bytes of data.
    pub length: u32,
    /// The acknowledgement number.
    pub ack: u32,
    /// The flags of the TCP header (RFC 9293, section 3.1).
    pub flags: u8,
    /// The ranges that it selectively acknowledges (RFC 2018): first byte, and the byte after the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sack: Vec<(u32, u32)>,
    /// Whether the wire lost it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lost: bool,
}

/// One captured packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packet {
    /// Microseconds since the job started.
    pub at_us: u64,
    /// Whether the kernel under test sent it, rather than received it.
    pub out: bool,
    /// The name of its check.
    pub check: String,
    /// The packet's length in bytes before it was cut.
    pub length: u32,
    /// The first bytes from the IP header on, in standard base64 with padding.
    pub data: String,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn packet(data: &[u8]) -> Packet {
        Packet { at_us: 1, out: true, check: "check".to_owned(), length: 1500, data: STANDARD.encode(data) }
    }

    #[test]
    fn packed_packets_are_small_and_complete() {
        let packets = vec![packet(&[0x55; 128]); 150];
        let capture = Capture::pack("a-bug", &packets).expect("packs");
        assert!(capture.packed.len() < 4096, "{} bytes", capture.packed.len());
        let mut room = 200_000;
        assert_eq!(capture.unpack(&mut room).expect("unpacks"), packets);
        let taken = 200_000 - room;
        assert!(taken > 150 * 128, "{taken}");
        assert!(matches!(capture.unpack(&mut (taken - 1)), Err(BadCapture::Deflate)));
    }

    #[test]
    fn oversized_capture_is_rejected() {
        let bomb = miniz_oxide::deflate::compress_to_vec(&vec![b' '; 64 << 20], 9);
        let capture = Capture { job: String::new(), packed: STANDARD.encode(bomb) };
        assert!(matches!(capture.unpack(&mut (1 << 30)), Err(BadCapture::Deflate)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn any_text_is_unpacked_or_rejected(bytes in proptest::collection::vec(any::<u8>(), 0..400), text in ".{0,80}") {
            for packed in [STANDARD.encode(&bytes), text, STANDARD.encode(miniz_oxide::deflate::compress_to_vec(&bytes, 1))] {
                let _ = Capture { job: String::new(), packed }.unpack(&mut 1_000_000);
            }
        }
    }
}
