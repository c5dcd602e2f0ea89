//! A bounded packet capture.

use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use backproof_protocol::Packet;

/// The number of bytes of each packet to keep: all headers, and enough data to recognise it.
const SNAP_LENGTH: usize = 128;

/// The packets of one wire, in the order in which it saw them.
///
/// Once a packet does not fit, no later one is kept, so the capture depends only on the packets.
#[derive(Debug)]
pub struct WireCapture {
    started: Instant,
    room: usize,
    full: bool,
    packets: Vec<Packet>,
}

impl WireCapture {
    /// An empty capture that keeps at most `room` bytes of packets; `started` is when the job started.
    pub fn new(started: Instant, room: usize) -> Self {
        Self { started, room, full: false, packets: Vec::new() }
    }

    /// Keeps the packet's beginning, while there is room. `out` means that the kernel under test sent it.
    pub fn record(&mut self, check: &str, out: bool, packet: &[u8]) {
        let data = &packet[..packet.len().min(SNAP_LENGTH)];
        self.full |= data.len() > self.room;
        if self.full {
            return;
        }
        self.room -= data.len();
        self.packets.push(Packet {
            at_us: u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX),
            out,
            check: check.to_owned(),
            length: u32::try_from(packet.len()).unwrap_or(u32::MAX),
            data: STANDARD.encode(data),
        });
    }

    /// The packets, and whether some did not fit.
    pub fn into_packets(self) -> (Vec<Packet>, bool) {
        (self.packets, self.full)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_capture_keeps_only_its_beginning() {
        let mut capture = WireCapture::new(Instant::now(), 128 + 40);
        for size in [1500, 40, 1, 0] {
            capture.record("check", true, &vec![7; size]);
        }
        let (packets, cut) = capture.into_packets();
        let lengths: Vec<_> = packets.iter().map(|p| p.length).collect();
        assert_eq!((lengths, cut), (vec![1500, 40], true));
        assert_eq!(STANDARD.decode(&packets[0].data).map(|d| d.len()), Ok(SNAP_LENGTH));
    }
}
