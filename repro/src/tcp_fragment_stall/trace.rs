//! The time line of one connection: sequence numbers against time, in both directions.

use std::time::Instant;

use crate::wire::between::Way;
use crate::wire::glance::Glance;
use backproof_protocol::Segment;

/// The most segments to keep. A transfer over a lossy link has a few hundred.
const ROOM: usize = 600;

/// The SYN flag (RFC 9293, section 3.1).
const SYN: u8 = 0x02;

/// The traffic of one connection.
#[derive(Debug, Default)]
pub struct ConnectionTrace {
    segments: Vec<Segment>,
    /// The time of the first segment, and the initial sequence numbers of server and client.
    start: Option<Instant>,
    first: [Option<u32>; 2],
    /// The end of the data that has gone out.
    frontier: u32,
    from_server: u32,
    lost: u32,
    again: u32,
    /// The sequence number that the client waits for, once it has acknowledged anything.
    waits_for: Option<u32>,
    since: TraceWait,
}

/// The traffic since the client last acknowledged something new, or the server last sent what the client waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceWait {
    /// Counts these waits. Another number means another wait.
    pub number: u32,
    /// Duplicate acknowledgements from the client.
    pub dup_acks: u32,
    /// Segments from the server with other data.
    pub other_data: u32,
}

impl ConnectionTrace {
    /// Whether a packet carries data.
    pub fn has_data(&self, packet: &[u8]) -> bool {
        Glance::at(packet).is_some_and(|g| g.length > 0)
    }

    /// Records a packet that left an end, and whether the wire loses it.
    pub fn note(&mut self, way: Way, packet: &[u8], lost: bool) {
        let Some(glance) = Glance::at(packet) else { return };
        let at = self.start.get_or_insert_with(Instant::now).elapsed();
        self.add(u64::try_from(at.as_micros()).unwrap_or(u64::MAX), way, &glance, lost);
    }

    fn add(&mut self, at_us: u64, way: Way, glance: &Glance, lost: bool) {
        let data_way = way == Way::ToClient;
        let (mine, theirs) = if data_way { (0, 1) } else { (1, 0) };
        let seq = glance.seq.wrapping_sub(*self.first[mine].get_or_insert(glance.seq));
        // Before the other side has sent anything there is nothing to acknowledge.
        let relative = |number: u32, first: Option<u32>| first.map_or(0, |first| number.wrapping_sub(first));
        let ack = relative(glance.ack, self.first[theirs]);
        let sack =
            glance.sack.iter().map(|(a, b)| (relative(*a, self.first[theirs]), relative(*b, self.first[theirs])));
        if data_way {
            self.from_server += 1;
            self.lost += u32::from(lost);
            self.again += u32::from(glance.length > 0 && seq < self.frontier);
            self.frontier = self.frontier.max(seq.saturating_add(glance.length));
            let wanted = self.waits_for.unwrap_or(1);
            if wanted.wrapping_sub(seq) < glance.length {
                self.since = TraceWait { number: self.since.number + 1, ..TraceWait::default() };
            } else {
                self.since.other_data += u32::from(glance.length > 0);
            }
        } else if glance.length == 0 && glance.flags & SYN == 0 {
            if self.waits_for == Some(ack) {
                self.since.dup_acks += 1;
            } else {
                self.since = TraceWait { number: self.since.number + 1, ..TraceWait::default() };
            }
            self.waits_for = Some(ack);
        }
        if self.segments.len() < ROOM {
            let (length, flags, sack) = (glance.length, glance.flags, sack.collect());
            self.segments.push(Segment { at_us, data_way, seq, length, ack, flags, sack, lost });
        }
    }

    /// The number of segments that the server sent.
    pub fn server_segments(&self) -> u32 {
        self.from_server
    }

    /// The number of segments that the wire lost.
    pub fn lost(&self) -> u32 {
        self.lost
    }

    /// The number of segments that began with data sent before.
    pub fn again(&self) -> u32 {
        self.again
    }

    /// The traffic since the last progress.
    pub fn waiting(&self) -> TraceWait {
        self.since
    }

    /// The segments, in order.
    pub fn into_segments(self) -> Vec<Segment> {
        self.segments
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glance(seq: u32, ack: u32, length: u32, sack: &[(u32, u32)]) -> Glance {
        Glance { from_port: 1, to_port: 2, seq, ack, flags: 0x10, length, sack: sack.to_vec() }
    }

    #[test]
    fn numbers_are_relative_and_repetitions_are_counted() {
        let (client, server) = (1_000, u32::MAX - 1);
        let mut line = ConnectionTrace::default();
        line.add(0, Way::ToServer, &Glance { flags: SYN, ..glance(client, 0, 0, &[]) }, false);
        line.add(1, Way::ToClient, &Glance { flags: 0x12, ..glance(server, client + 1, 0, &[]) }, false);
        line.add(2, Way::ToServer, &glance(client + 1, 0, 0, &[]), false);
        line.add(3, Way::ToClient, &glance(u32::MAX, client + 1, 100, &[]), true);
        line.add(4, Way::ToClient, &glance(99, client + 1, 100, &[]), false);
        line.add(5, Way::ToServer, &glance(client + 1, u32::MAX, 0, &[(99, 199)]), false);
        assert_eq!((line.waiting().dup_acks, line.lost(), line.again()), (0, 1, 0));
        line.add(6, Way::ToServer, &glance(client + 1, u32::MAX, 0, &[(99, 199)]), false);
        line.add(6, Way::ToClient, &glance(199, client + 1, 50, &[]), false);
        let waiting = line.waiting();
        assert_eq!((waiting.dup_acks, waiting.other_data), (1, 1));
        line.add(7, Way::ToClient, &glance(u32::MAX, client + 1, 100, &[]), false);
        assert_eq!(line.waiting(), TraceWait { number: waiting.number + 1, dup_acks: 0, other_data: 0 });
        assert_eq!((line.again(), line.server_segments()), (1, 5));
        let segments = line.into_segments();
        let brief: Vec<_> = segments.iter().map(|s| (s.data_way, s.seq, s.ack, s.lost)).collect();
        assert_eq!(brief[..2], [(false, 0, 0, false), (true, 0, 1, false)]);
        assert_eq!(brief[3..6], [(true, 1, 1, true), (true, 101, 1, false), (false, 1, 1, false)]);
        assert_eq!(segments[5].sack, [(101, 201)]);
    }
}
