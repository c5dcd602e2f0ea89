//! Reads a time line's table back.

use backproof_protocol::Segment;

/// The most rows to read.
const ROWS_MOST: usize = 100_000;

/// The segments of a table that [`tsv`](super::tsv()) wrote. Damaged rows are left out.
pub fn segments(table: &str) -> Vec<Segment> {
    table.lines().skip(2).take(ROWS_MOST).filter_map(segment).collect()
}

fn segment(row: &str) -> Option<Segment> {
    let mut columns = row.split('\t');
    let mut next = || columns.next();
    let (seconds, micros) = next()?.split_once('.')?;
    let micros = micros.parse::<u64>().ok().filter(|micros| *micros < 1_000_000)?;
    let data_way = match next()? {
        "data" => true,
        "back" => false,
        _ => return None,
    };
    let (from, to) = (number(next()?)?, number(next()?)?);
    let (ack, flags, sack) = (number(next()?)?, next()?, next()?);
    let (_again, lost) = (next()?, next()?);
    let length = u32::try_from(to.checked_sub(from)?).ok()?;
    let ranges = sack.split(',').filter_map(range).map(|(from, to)| (unsigned(from), unsigned(to)));
    Some(Segment {
        at_us: seconds.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(micros)?,
        data_way,
        seq: unsigned(from),
        length,
        ack: unsigned(ack),
        flags: super::FLAGS
            .iter()
            .enumerate()
            .fold(0, |bits, (bit, name)| bits | u8::from(flags.split(',').any(|flag| flag == *name)) << bit),
        sack: ranges.collect(),
        lost: lost == "yes",
    })
}

/// A range of bytes. Both ends may be negative: `-5--1`.
fn range(text: &str) -> Option<(i64, i64)> {
    let dash = text.get(1..)?.find('-')? + 1;
    Some((number(text.get(..dash)?)?, number(text.get(dash + 1..)?)?))
}

fn number(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// The sequence number of a signed one. Numbers beyond 32 bits wrap, as TCP's do.
fn unsigned(number: i64) -> u32 {
    (number & i64::from(u32::MAX)) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::tests::{any_segment, stall};
    use super::super::tsv;
    use super::*;

    #[test]
    fn table_of_a_stall_comes_back() {
        assert_eq!(segments(&tsv(&stall())), stall());
    }

    proptest! {
        #[test]
        fn any_time_line_comes_back(written in proptest::collection::vec(any_segment(), 0..20)) {
            let written: Vec<Segment> =
                written.into_iter().map(|s| Segment { length: s.length & 0xffff, ..s }).collect();
            prop_assert_eq!(segments(&tsv(&written)), written);
        }

        #[test]
        fn damaged_table_is_read_without_panic(text in "(\\PC|[\\t\\n0-9.,-]|data|back){0,200}") {
            let _ = segments(&format!("\n\n{text}"));
        }
    }
}
