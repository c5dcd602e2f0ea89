//! Time lines of natural connections as files: a table of all segments, and a time-sequence graph (as from tcptrace)
//! for a browser.

use std::fmt::Write as _;

use backproof_protocol::Segment;

mod axis;
mod read;
mod svg;

pub use read::segments;
pub use svg::svg;

/// The most bytes of a time line's name in a file name.
const NAME_MAX: usize = 60;

/// A time line's name as part of a file name, or `None` if nothing usable is left. The name comes from a guest, so it
/// keeps only letters, digits and `. _ + -`, and one `-` replaces each run of other characters.
pub fn file_part(name: &str) -> Option<String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    let words: Vec<&str> = name.split(|c| !allowed(c)).filter(|word| !word.is_empty()).collect();
    let part = words.join("-");
    (part.len() <= NAME_MAX && part.starts_with(|c: char| c.is_ascii_alphanumeric())).then_some(part)
}

/// A segment, and what its position in the time line shows.
#[derive(Clone, Copy, Debug)]
pub struct Placed<'a> {
    /// The segment.
    pub segment: &'a Segment,
    /// Its first byte. Sequence numbers count from the connection's first, so numbers in the upper half of their space
    /// lie before it: keep-alive probes.
    pub from: i64,
    /// The byte after its last.
    pub to: i64,
    /// Whether it repeats data.
    pub again: bool,
}

/// The segments of a time line, in order, each with its position.
pub fn place(segments: &[Segment]) -> impl Iterator<Item = Placed<'_>> {
    let mut sent = None;
    segments.iter().map(move |segment| {
        let from = signed(segment.seq);
        let to = from + i64::from(segment.length);
        let carries = segment.data_way && segment.length > 0;
        let again = carries && sent.is_some_and(|sent| from < sent);
        if carries {
            sent = Some(sent.map_or(to, |sent: i64| sent.max(to)));
        }
        Placed { segment, from, to, again }
    })
}

/// A relative sequence number, negative before the connection's first.
pub fn signed(number: u32) -> i64 {
    i64::from(number.cast_signed())
}

/// All segments as rows of tab-separated values, below a line that explains the columns and one that names them.
pub fn tsv(segments: &[Segment]) -> String {
    let mut text = String::from(
        "# seconds since the first segment; way: `data` from the data's sender, `back` from its receiver; seq, end: \
         first byte and the byte after the last, relative to the connection's first; ack: acknowledged up to here; \
         flags: of the TCP header; sack: selectively acknowledged ranges; again: it repeats data; lost: on the wire\n\
         seconds\tway\tseq\tend\tack\tflags\tsack\tagain\tlost\n",
    );
    for Placed { segment, from, to, again } in place(segments) {
        let (seconds, micros) = (segment.at_us / 1_000_000, segment.at_us % 1_000_000);
        let way = if segment.data_way { "data" } else { "back" };
        let sack: Vec<String> = segment.sack.iter().map(|&(a, b)| format!("{}-{}", signed(a), signed(b))).collect();
        let yes = |is: bool| if is { "yes" } else { "" };
        let _ = writeln!(
            text,
            "{seconds}.{micros:06}\t{way}\t{from}\t{to}\t{}\t{}\t{}\t{}\t{}",
            signed(segment.ack),
            flags(segment.flags),
            sack.join(","),
            yes(again),
            yes(segment.lost),
        );
    }
    text
}

/// The names of a TCP header's flags, from bit 0 on (RFC 9293, section 3.1; RFC 3168 for the last two).
const FLAGS: [&str; 8] = ["FIN", "SYN", "RST", "PSH", "ACK", "URG", "ECE", "CWR"];

fn flags(bits: u8) -> String {
    let set = FLAGS.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
    set.map(|(_, name)| *name).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(super) fn segment(at_ms: u64, data_way: bool, seq: u32, length: u32, ack: u32) -> Segment {
        let (at_us, flags) = (at_ms * 1000, 0x10);
        Segment { at_us, data_way, seq, length, ack, flags, sack: Vec::new(), lost: false }
    }

    /// A connection that the bug stalls: a loss, duplicate acknowledgements with SACK, one lost retransmission, then
    /// silence except for a keep-alive probe.
    pub(super) fn stall() -> Vec<Segment> {
        let back = |at, ack, sack: &[(u32, u32)]| Segment { sack: sack.to_vec(), ..segment(at, false, 0, 0, ack) };
        vec![
            Segment { flags: 0x02, ..segment(0, true, 0, 0, 0) },
            Segment { flags: 0x12, ..segment(1, false, 0, 0, 1) },
            segment(2, true, 1, 14_480, 1),
            back(40, 14_481, &[]),
            Segment { lost: true, ..segment(41, true, 14_481, 1448, 1) },
            segment(42, true, 15_929, 13_032, 1),
            back(80, 14_481, &[(15_929, 28_961)]),
            Segment { lost: true, ..segment(281, true, 14_481, 1448, 1) },
            back(700, 14_481, &[(15_929, 28_961)]),
            segment(6500, true, u32::MAX, 0, 1),
        ]
    }

    #[test]
    fn guest_name_becomes_part_of_a_file_name_or_nothing() {
        for (name, part) in [
            ("write", Some("write")),
            ("natural write, 1% loss", Some("natural-write-1-loss")),
            ("k=3 mss=1460", Some("k-3-mss-1460")),
            ("../../etc/passwd", None),
            ("a/../../b", Some("a-..-..-b")),
            ("..", None),
            ("", None),
            ("größe", Some("gr-e")),
            ("\u{202e}\n", None),
        ] {
            assert_eq!(file_part(name).as_deref(), part, "{name:?}");
        }
        assert_eq!(file_part(&"a".repeat(NAME_MAX + 1)), None);
    }

    #[test]
    fn every_segment_is_a_row_and_repeated_data_is_marked() {
        let text = tsv(&stall());
        let rows: Vec<&str> = text.lines().skip(2).collect();
        assert_eq!(rows.len(), stall().len());
        assert_eq!(rows[0], "0.000000\tdata\t0\t0\t0\tSYN\t\t\t");
        assert_eq!(rows[6], "0.080000\tback\t0\t0\t14481\tACK\t15929-28961\t\t");
        assert_eq!(rows[7], "0.281000\tdata\t14481\t15929\t1\tACK\t\tyes\tyes");
        assert_eq!(rows[9], "6.500000\tdata\t-1\t-1\t1\tACK\t\t\t");
        let columns = |line: &str| line.split('\t').count();
        assert!(text.lines().skip(1).all(|line| columns(line) == 9), "{text}");
    }

    #[test]
    fn graph_of_a_stall_stays_the_reviewed_one() {
        let drawn = svg("stall-break  tcp-fragment-stall  write", &stall());
        assert_eq!(drawn, include_str!("time_line/stall.svg"), "open it in a browser, and keep it if it is right");
    }

    pub(super) fn any_segment() -> impl Strategy<Value = Segment> {
        let sack = proptest::collection::vec(any::<(u32, u32)>(), 0..5);
        (any::<u64>(), any::<bool>(), any::<u32>(), any::<u32>(), any::<u32>(), any::<u8>(), sack, any::<bool>())
            .prop_map(|(at_us, data_way, seq, length, ack, flags, sack, lost)| Segment {
                at_us,
                data_way,
                seq,
                length,
                ack,
                flags,
                sack,
                lost,
            })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(100))]

        #[test]
        fn hostile_time_line_makes_a_bounded_escaped_graph(
            segments in proptest::collection::vec(any_segment(), 0..60),
            title in "\\PC{0,80}|<script>[&\"'<>]{0,9}",
        ) {
            let drawn = svg(&title, &segments);
            prop_assert!(drawn.len() < 64 * 1024, "{} bytes", drawn.len());
            prop_assert!(!drawn.contains("NaN") && !drawn.contains("inf") && !drawn.contains("<script"));
            // No line leaves the picture.
            for number in drawn.split("x1=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
                let x: f64 = number.parse().expect("a number");
                prop_assert!((0.0..=svg::WIDTH).contains(&x), "{x}");
            }
            for number in drawn.split("y1=\"").skip(1).filter_map(|rest| rest.split('"').next()) {
                let y: f64 = number.parse().expect("a number");
                prop_assert!((0.0..=svg::HEIGHT).contains(&y), "{y}");
            }
            prop_assert_eq!(tsv(&segments).lines().count(), segments.len() + 2);
            let _ = file_part(&title).map(|part| assert!(!part.contains('/') && part.len() <= NAME_MAX));
        }
    }

    #[test]
    fn long_time_line_is_thinned_but_keeps_losses() {
        let mut segments: Vec<Segment> = (0..50_000).map(|n| segment(u64::from(n), true, n * 1000, 1000, 1)).collect();
        segments.push(Segment { lost: true, ..segment(60_000, true, 1000, 1000, 1) });
        let drawn = svg("long", &segments);
        assert!(drawn.len() < 400 * 1024, "{} bytes", drawn.len());
        assert!(drawn.contains("of 50,001 segments are drawn") && drawn.contains("class=\"lost\""));
    }
}
