//! Cuts a stream of bytes into lines without ever holding more than one line's limit.

/// One line of a stream, without its newline.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum BoundedLine<'a> {
    /// A line that fits the limit.
    Whole(&'a [u8]),
    /// The head of a line that is longer than the limit. The rest of it is dropped.
    TooLong(&'a [u8]),
}

/// Cuts bytes into lines of a bounded length.
#[derive(Debug)]
pub(crate) struct Splitter {
    line: Vec<u8>,
    limit: usize,
    /// The current line was reported as too long; its rest is dropped.
    dropping: bool,
}

impl Splitter {
    /// Lines may have `limit` bytes without their newline.
    pub(crate) fn new(limit: usize) -> Self {
        Self { line: Vec::new(), limit, dropping: false }
    }

    /// Takes the next bytes and calls `each` for every line that they complete.
    pub(crate) fn push(&mut self, bytes: &[u8], mut each: impl FnMut(BoundedLine<'_>)) {
        for piece in bytes.split_inclusive(|&b| b == b'\n') {
            let (text, complete) = match piece.strip_suffix(b"\n") {
                Some(text) => (text, true),
                None => (piece, false),
            };
            self.take(text, &mut each);
            if complete {
                if !self.dropping {
                    each(BoundedLine::Whole(&self.line));
                }
                self.line.clear();
                self.dropping = false;
            }
        }
    }

    /// The line that has no newline yet, and how many bytes of it there are: a stream may end in it.
    pub(crate) fn unfinished(&self) -> &[u8] {
        if self.dropping { &[] } else { &self.line }
    }

    fn take(&mut self, text: &[u8], each: &mut impl FnMut(BoundedLine<'_>)) {
        if self.dropping {
            return;
        }
        let room = self.limit - self.line.len();
        self.line.extend_from_slice(&text[..text.len().min(room)]);
        if text.len() > room {
            each(BoundedLine::TooLong(&self.line));
            self.line.clear();
            self.dropping = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lines(limit: usize, pieces: &[&[u8]]) -> Vec<(bool, Vec<u8>)> {
        let mut splitter = Splitter::new(limit);
        let mut out = Vec::new();
        for piece in pieces {
            splitter.push(piece, |line| {
                out.push(match line {
                    BoundedLine::Whole(text) => (true, text.to_vec()),
                    BoundedLine::TooLong(text) => (false, text.to_vec()),
                });
            });
        }
        out
    }

    #[test]
    fn overlong_line_is_reported_once() {
        let got = lines(4, &[b"abcd\nab", b"cde", b"fgh\nx\n\n"]);
        let want: Vec<(bool, Vec<u8>)> =
            vec![(true, b"abcd".into()), (false, b"abcd".into()), (true, b"x".into()), (true, b"".into())];
        assert_eq!(got, want);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn read_boundaries_make_no_difference(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..300),
            cuts in proptest::collection::vec(0usize..300, 0..6),
            limit in 1usize..40,
        ) {
            let mut cuts: Vec<usize> = cuts.into_iter().map(|c| c.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|w| &bytes[w[0]..w[1]]).collect();
            let cut = lines(limit, &pieces);
            prop_assert_eq!(&cut, &lines(limit, &[&bytes]));
            prop_assert!(cut.iter().all(|(_, line)| line.len() <= limit));
        }
    }
}
