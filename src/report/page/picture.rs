//! The time-sequence picture of a connection: sequence numbers against time.
//!
//! The page draws it from short lists of numbers. Each list holds differences from the entry before, because those are
//! short: times in microseconds, sequence numbers in bytes.

use backproof_protocol::{Check, Role, Segment};
use serde::Serialize;

use crate::results::time_line::{Placed, place, signed};

/// The most segments of one kind in a picture: more would blur.
const DRAWN_MOST: usize = 300;

/// The most retransmission timeouts to mark. The eighth one is 255 times as late as the first.
const TIMEOUTS_MOST: u32 = 8;

/// The ACK flag (RFC 9293, section 3.1).
const ACK: u8 = 0x10;

/// A connection as the page draws it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(super) struct Picture {
    /// The name of its check.
    pub(super) check: String,
    /// The file beside the page with all of it.
    pub(super) file: String,
    /// Its last moment, in microseconds.
    end: u64,
    /// New data: time, first byte, bytes.
    data: Vec<i64>,
    /// Data sent again, alike.
    again: Vec<i64>,
    /// Data that the wire lost, alike.
    lost: Vec<i64>,
    /// What the receiver acknowledged: time, the next byte.
    acks: Vec<i64>,
    /// What it acknowledged selectively: time, first byte, bytes.
    sacks: Vec<i64>,
    /// When retransmission timeouts were due, counted from when the oldest unacknowledged byte was last sent, in
    /// microseconds: not differences.
    timeouts: Vec<u64>,
    /// How many segments were left out.
    #[serde(skip_serializing_if = "is_none")]
    left_out: usize,
}

fn is_none(count: &usize) -> bool {
    *count == 0
}

impl Picture {
    /// The picture of these segments. None if the kernel sent no data.
    pub(super) fn of(check: &Check, file: String, segments: &[Segment]) -> Option<Self> {
        let placed: Vec<Placed<'_>> = place(segments).collect();
        let carries = |p: &&Placed<'_>| p.segment.data_way && p.segment.length > 0;
        placed.iter().find(carries)?;
        let (odd, plain): (Vec<Placed<'_>>, Vec<Placed<'_>>) =
            placed.iter().filter(carries).partition(|p| p.again || p.segment.lost);
        let acks: Vec<Placed<'_>> =
            placed.iter().filter(|p| !p.segment.data_way && p.segment.flags & ACK != 0).copied().collect();
        let drawn = [thin(&plain), thin(&odd), thin(&acks)];
        let [plain_drawn, odd_drawn, acks_drawn] = &drawn;
        let left_out = plain.len() + odd.len() + acks.len() - drawn.iter().map(Vec::len).sum::<usize>();
        let sacks = acks_drawn.iter().flat_map(|p| {
            // TCP's options have room for four ranges (RFC 2018, section 3).
            p.segment.sack.iter().take(4).map(|&(from, to)| (p.segment.at_us, signed(from), signed(to)))
        });
        Some(Self {
            check: check.name.clone(),
            file,
            end: placed.iter().map(|p| p.segment.at_us).max().unwrap_or(0),
            data: bars(plain_drawn.iter().filter(|p| !p.segment.lost).map(range)),
            again: bars(odd_drawn.iter().filter(|p| p.again).map(range)),
            lost: bars(odd_drawn.iter().filter(|p| p.segment.lost).map(range)),
            acks: differences(acks_drawn.iter().map(|p| [time(p.segment.at_us), signed(p.segment.ack)])),
            sacks: bars(sacks),
            timeouts: timeouts(&placed, check),
            left_out,
        })
    }

    /// About how many bytes it takes in a page.
    pub(super) fn size(&self) -> usize {
        serde_json::to_string(self).map_or(usize::MAX, |json| json.len())
    }
}

fn range(placed: &Placed<'_>) -> (u64, i64, i64) {
    (placed.segment.at_us, placed.from, placed.to)
}

/// At most [`DRAWN_MOST`] of these, evenly spaced, including the last.
fn thin<'s>(of: &[Placed<'s>]) -> Vec<Placed<'s>> {
    let step = of.len().div_ceil(DRAWN_MOST).max(1);
    let mut thinned: Vec<Placed<'s>> = of.iter().rev().step_by(step).copied().collect();
    thinned.reverse();
    thinned
}

fn time(at_us: u64) -> i64 {
    i64::try_from(at_us).unwrap_or(i64::MAX)
}

/// Bars, each as the differences of its time and its first byte from the bar before, and its length.
fn bars(bars: impl Iterator<Item = (u64, i64, i64)>) -> Vec<i64> {
    let mut before = (0, 0);
    let mut flat = Vec::new();
    for (at_us, from, to) in bars {
        let at = time(at_us);
        flat.extend([at.wrapping_sub(before.0), from - before.1, to - from]);
        before = (at, from);
    }
    flat
}

fn differences(points: impl Iterator<Item = [i64; 2]>) -> Vec<i64> {
    let mut before = [0, 0];
    let mut flat = Vec::new();
    for point in points {
        flat.extend([point[0].wrapping_sub(before[0]), point[1] - before[1]]);
        before = point;
    }
    flat
}

/// When the kernel's retransmission timeouts were due in the longest silence of the data's sender: each doubles the time
/// since the oldest unacknowledged byte was last sent (RFC 6298, section 5).
fn timeouts(placed: &[Placed<'_>], check: &Check) -> Vec<u64> {
    let fact = |name: &str| check.facts.get(name).copied().flatten().and_then(|value| u64::try_from(value).ok());
    let Some(rto_ms) = fact("rto_ms").filter(|rto| (1..=120_000).contains(rto)) else { return Vec::new() };
    // A natural check reports the timeout at its end, after so many doublings.
    let doubled = if check.role == Role::Natural { fact("backoff").unwrap_or(0).min(16) } else { 0 };
    let first_us = (rto_ms >> doubled).max(1) * 1000;
    let end = placed.iter().map(|p| p.segment.at_us).max().unwrap_or(0);
    let sent: Vec<&Placed<'_>> = placed.iter().filter(|p| p.segment.data_way && p.segment.length > 0).collect();
    let mut silences: Vec<(u64, u64)> =
        sent.windows(2).filter_map(|pair| Some((pair.first()?.segment.at_us, pair.last()?.segment.at_us))).collect();
    silences.extend(sent.last().map(|last| (last.segment.at_us, end)));
    let longest = silences.into_iter().max_by_key(|(from, to)| to.saturating_sub(*from));
    let Some((from, to)) = longest.filter(|(from, to)| to.saturating_sub(*from) >= first_us / 2) else {
        return Vec::new();
    };
    // What was acknowledged when the silence was half over.
    let middle = from + (to - from) / 2;
    let acked = placed.iter().filter(|p| !p.segment.data_way && p.segment.flags & ACK != 0);
    let head = acked.filter(|p| p.segment.at_us <= middle).map(|p| signed(p.segment.ack)).max().unwrap_or(0);
    let Some(base) = sent.iter().rev().find(|p| p.segment.at_us <= from && p.from <= head && head < p.to) else {
        return Vec::new();
    };
    let due = (1..=TIMEOUTS_MOST).map(|n| base.segment.at_us.saturating_add(first_us.saturating_mul((1 << n) - 1)));
    due.take_while(|due| *due <= end).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use backproof_protocol::Shown;
    use proptest::prelude::*;

    use super::*;

    fn check(role: Role, facts: &[(&str, i64)]) -> Check {
        let facts: BTreeMap<String, Option<i64>> = facts.iter().map(|(k, v)| ((*k).to_owned(), Some(*v))).collect();
        Check { name: "small-sndbuf".to_owned(), role, shown: Shown::Yes, why: String::new(), facts }
    }

    fn segment(at_ms: u64, data_way: bool, seq: u32, length: u32, ack: u32) -> Segment {
        Segment { at_us: at_ms * 1000, data_way, seq, length, ack, flags: ACK, sack: Vec::new(), lost: false }
    }

    /// The first segment is lost, one ACK covers half of it, and the kernel sends it again when the timer expires, or not.
    fn connection(again: bool) -> Vec<Segment> {
        let mut segments = vec![
            segment(0, true, 0, 0, 0),
            segment(10, true, 1, 1000, 1),
            segment(11, true, 1001, 1000, 1),
            Segment { sack: vec![(1001, 2001)], ..segment(15, false, 1, 0, 501) },
        ];
        segments.extend(again.then(|| segment(210, true, 501, 500, 1)));
        segments.push(segment(1500, false, 1, 0, 501));
        segments
    }

    #[test]
    fn recovery_and_stall_mark_the_same_timeouts() {
        let check = check(Role::Recipe, &[("rto_ms", 200)]);
        let stall = Picture::of(&check, "wire.pcapng".to_owned(), &connection(false)).expect("a picture");
        assert_eq!(stall.timeouts, [210_000, 610_000, 1_410_000]);
        assert_eq!((stall.data.as_slice(), stall.again.len()), (&[10_000, 1, 1000, 1000, 1000, 1000][..], 0));
        assert_eq!(stall.sacks, [15_000, 1001, 1000]);
        let recovery = Picture::of(&check, "wire.pcapng".to_owned(), &connection(true)).expect("a picture");
        assert_eq!(recovery.again, [210_000, 501, 500]);
        assert_eq!(stall.acks, [15_000, 501, 1_485_000, 0]);
    }

    #[test]
    fn natural_check_reports_a_doubled_timeout() {
        let check = check(Role::Natural, &[("rto_ms", 1600), ("backoff", 3)]);
        let stall = Picture::of(&check, String::new(), &connection(false)).expect("a picture");
        assert_eq!(stall.timeouts.first(), Some(&210_000));
    }

    #[test]
    fn connection_without_data_has_no_picture() {
        let check = check(Role::Recipe, &[]);
        assert_eq!(Picture::of(&check, String::new(), &[segment(0, true, 0, 0, 0), segment(1, false, 5, 9, 1)]), None);
    }

    proptest! {
        #[test]
        fn hostile_segments_make_a_bounded_picture(
            segments in proptest::collection::vec(
                (any::<u64>(), any::<bool>(), any::<u32>(), any::<u32>(), any::<u32>(), any::<bool>()), 0..60),
            rto in any::<i64>(),
            backoff in any::<i64>(),
        ) {
            let segments: Vec<Segment> = segments
                .into_iter()
                .map(|(at_us, data_way, seq, length, ack, lost)| Segment {
                    at_us, lost, sack: vec![(seq, ack); 9], ..segment(0, data_way, seq, length, ack)
                })
                .collect();
            let check = check(Role::Natural, &[("rto_ms", rto), ("backoff", backoff)]);
            if let Some(picture) = Picture::of(&check, String::new(), &segments) {
                prop_assert!(picture.size() < 40_000);
                prop_assert!(picture.timeouts.len() <= 8);
            }
        }
    }

    #[test]
    fn long_connection_is_thinned() {
        let segments: Vec<Segment> = (0..50_000).map(|n| segment(u64::from(n), true, n * 1000, 1000, 1)).collect();
        let picture = Picture::of(&check(Role::Recipe, &[]), String::new(), &segments).expect("a picture");
        assert!(picture.size() < 10_000 && picture.left_out > 49_000, "{} bytes", picture.size());
    }
}
