//! Compares lines by their identifiers, so that another spelling of a line is still recognised: `/ 2` for `>> 1`, a
//! swapped comparison, or a line break.

use super::conditions::code;
use super::content::TELLING;

/// Identifiers that are in too many lines to tell anything.
const COMMON: [&[u8]; 32] = [
    b"bool",
    b"break",
    b"case",
    b"char",
    b"const",
    b"continue",
    b"do",
    b"else",
    b"false",
    b"for",
    b"goto",
    b"if",
    b"inline",
    b"int",
    b"likely",
    b"long",
    b"return",
    b"s32",
    b"s64",
    b"signed",
    b"size_t",
    b"sizeof",
    b"static",
    b"struct",
    b"switch",
    b"true",
    b"u32",
    b"u64",
    b"unlikely",
    b"unsigned",
    b"void",
    b"while",
];

/// The hashes of a text's identifiers, in order, without those in comments.
#[derive(Clone, Debug, Default)]
pub(super) struct CodeWords(Vec<u64>);

/// The identifiers of a line, in any order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LineWords {
    sum: u64,
    count: usize,
}

impl CodeWords {
    pub fn of(text: &[u8]) -> Self {
        Self(words(&code(text)).map(hash).collect())
    }

    /// Whether these identifiers are somewhere next to each other.
    pub fn have(&self, line: LineWords) -> bool {
        let words = &self.0;
        if line.count == 0 || words.len() < line.count {
            return false;
        }
        let mut sum = words[..line.count].iter().fold(0_u64, |sum, word| sum.wrapping_add(*word));
        let mut moves = words.iter().zip(&words[line.count..]);
        loop {
            if sum == line.sum {
                return true;
            }
            let Some((gone, come)) = moves.next() else { return false };
            sum = sum.wrapping_sub(*gone).wrapping_add(*come);
        }
    }
}

impl LineWords {
    /// None if the line is a comment, or its identifiers are too short to tell anything.
    pub fn of(line: &[u8]) -> Option<Self> {
        let code = code(line);
        if code.starts_with(b"#include") {
            return None;
        }
        // In the middle of a comment.
        if code.starts_with(b"* ") {
            return None;
        }
        let (mut letters, mut all) = (0, Self { sum: 0, count: 0 });
        for word in words(&code) {
            letters += word.len();
            all = Self { sum: all.sum.wrapping_add(hash(word)), count: all.count + 1 };
        }
        (letters >= TELLING).then_some(all)
    }
}

fn words(code: &[u8]) -> impl Iterator<Item = &[u8]> {
    let words = code.split(|b| !b.is_ascii_alphanumeric() && *b != b'_');
    words.filter(|word| word.first().is_some_and(|b| !b.is_ascii_digit()) && COMMON.binary_search(word).is_err())
}

/// FNV-1a.
pub(super) fn hash(word: &[u8]) -> u64 {
    word.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_spelling_of_a_line_is_recognised() {
        let line = LineWords::of(b"if (unlikely((sk->queued_bytes >> 1) > sk->send_buffer)) {").unwrap();
        for (text, is_it) in [
            ("if (unlikely((sk->queued_bytes >> 1) > sk->send_buffer)) {", true),
            ("if (sk->queued_bytes / 2 > sk->send_buffer)\n\treturn;", true),
            ("a(b);\nif (sk->queued_bytes >\n    2 * sk->send_buffer /* why */) {\nc(d);", true),
            ("if (2 * sk->send_buffer < sk->queued_bytes)", true),
            ("if (sk->queued_bytes > sk->send_buffer + slack)", true),
            ("if (sk->queued_bytes > limit)", false),
            ("/* if (sk->queued_bytes / 2 > sk->send_buffer) */", false),
            ("sk->queued_bytes += size; x = sk->send_buffer;", false),
            ("", false),
        ] {
            assert_eq!(CodeWords::of(text.as_bytes()).have(line), is_it, "{text}");
        }
        for common in
            ["return -EINVAL;", "/* a comment of several long words */", "* SO_SNDBUF values of old ones", "}"]
        {
            assert_eq!(LineWords::of(common.as_bytes()), None, "{common}");
        }
        assert!(COMMON.is_sorted());
    }
}
