//! Pasted text: decoded, and each line without the prefixes of mail programs, editors and loggers.

use std::borrow::Cow;

/// The length of lines that end with a soft break in a quoted-printable text (RFC 2045, section 6.7: at most 76).
const SOFT_BREAK: std::ops::RangeInclusive<usize> = 50..=77;

/// The text in these bytes: UTF-8 or UTF-16, unpacked from a mail or a page, with plain blanks and line ends.
pub fn decode(bytes: &[u8]) -> String {
    let mut text = from_bytes(bytes);
    if text.contains('\r') {
        text = Cow::Owned(text.replace("\r\n", "\n").replace('\r', "\n"));
    }
    if is_quoted_printable(&text) {
        text = Cow::Owned(from_quoted_printable(&text));
    }
    if is_page(&text) {
        text = Cow::Owned(without_tags(&text));
    }
    if text.contains('&') {
        text = Cow::Owned(without_entities(&text));
    }
    if text.contains(|c: char| !c.is_ascii() || c == '\u{1b}') {
        text = Cow::Owned(plain(&text));
    }
    text.into_owned()
}

fn from_bytes(bytes: &[u8]) -> Cow<'_, str> {
    let wide = |bytes: &[u8], of: fn([u8; 2]) -> u16| {
        let units = bytes.chunks_exact(2).map(|pair| of([pair[0], pair[1]]));
        char::decode_utf16(units).map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER)).collect::<String>()
    };
    // Without a byte order mark, the zeros of ASCII decide.
    let zeros = |odd: usize| {
        let head = &bytes[..bytes.len().min(400)];
        head.len() >= 8 && head.iter().skip(odd).step_by(2).filter(|byte| **byte == 0).count() * 5 > head.len() * 2
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => Cow::Owned(wide(rest, u16::from_le_bytes)),
        [0xfe, 0xff, rest @ ..] => Cow::Owned(wide(rest, u16::from_be_bytes)),
        [0xef, 0xbb, 0xbf, rest @ ..] => String::from_utf8_lossy(rest),
        _ if zeros(1) && !zeros(0) => Cow::Owned(wide(bytes, u16::from_le_bytes)),
        _ if zeros(0) && !zeros(1) => Cow::Owned(wide(bytes, u16::from_be_bytes)),
        _ => String::from_utf8_lossy(bytes),
    }
}

/// Whether a mail declares it, or has lines of the right length that end with `=`: in a mail of this kind, no other line
/// does.
fn is_quoted_printable(text: &str) -> bool {
    let says = |line: &str| line.to_ascii_lowercase().starts_with("content-transfer-encoding: quoted-printable");
    let breaks = |line: &str| line.ends_with('=') && SOFT_BREAK.contains(&line.chars().count());
    text.lines().any(|line| breaks(line) || says(line))
}

fn from_quoted_printable(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let content = line.trim_end_matches('\n').trim_end_matches([' ', '\t']);
        let (content, is_soft) = content.strip_suffix('=').map_or((content, false), |content| (content, true));
        let mut rest = content.as_bytes();
        while let Some((byte, after)) = rest.split_first() {
            rest = after;
            match (byte, hex(after)) {
                (b'=', Some(value)) => {
                    bytes.push(value);
                    rest = &after[2..];
                }
                _ => bytes.push(*byte),
            }
        }
        if !is_soft && line.ends_with('\n') {
            bytes.push(b'\n');
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn hex(bytes: &[u8]) -> Option<u8> {
    let digits = std::str::from_utf8(bytes.get(..2)?).ok()?;
    u8::from_str_radix(digits, 16).ok().filter(|_| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_page(text: &str) -> bool {
    ["<pre", "<PRE", "<br", "<BR", "<html", "<HTML", "<code", "<div"].iter().any(|tag| text.contains(tag))
}

/// Without tags; block tags become line ends.
fn without_tags(text: &str) -> String {
    const LONGEST: usize = 2000;
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('<') {
        plain.push_str(&rest[..start]);
        let tag = &rest[start..];
        let is_tag = tag[1..].starts_with(|c: char| c.is_ascii_alphabetic() || c == '/');
        match tag.bytes().take(LONGEST).position(|byte| byte == b'>').filter(|_| is_tag) {
            Some(end) => {
                let name = tag[1..end].trim_start_matches('/').to_ascii_lowercase();
                if ["br", "p", "div", "li", "tr", "pre"].iter().any(|ends| name.split([' ', '/']).next() == Some(ends))
                {
                    plain.push('\n');
                }
                rest = &tag[end + 1..];
            }
            None => {
                plain.push('<');
                rest = &tag[1..];
            }
        }
    }
    plain.push_str(rest);
    plain
}

fn without_entities(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('&') {
        plain.push_str(&rest[..start]);
        let after = &rest[start + 1..];
        let entity = after.bytes().take(10).position(|byte| byte == b';').map(|end| &after[..end]);
        match entity.and_then(|entity| Some((entity.len(), character(entity)?))) {
            Some((length, c)) => {
                plain.push(c);
                rest = &after[length + 1..];
            }
            None => {
                plain.push('&');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    plain
}

fn character(entity: &str) -> Option<char> {
    match entity {
        "lt" => Some('<'),
        "gt" => Some('>'),
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "nbsp" => Some(' '),
        _ => {
            let number = entity.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(digits) => u32::from_str_radix(digits, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

/// Without colours (ECMA-48's control sequences), with plain blanks for all kinds of blanks, and plain quotation marks.
fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\u{1b}' => {
                if characters.next_if_eq(&'[').is_some() {
                    while characters.next_if(|c| c.is_ascii_digit() || ";?".contains(*c)).is_some() {}
                    characters.next_if(char::is_ascii_alphabetic);
                }
            }
            '\u{200b}' | '\u{200c}' | '\u{200d}' | '\u{feff}' | '\u{ad}' => {}
            '\u{201c}' | '\u{201d}' => plain.push('"'),
            '\u{2028}' | '\u{85}' => plain.push('\n'),
            c if c.is_whitespace() && !c.is_ascii() => plain.push(' '),
            c => plain.push(c),
        }
    }
    plain
}

/// A line without its prefixes: blanks, quotation marks of mails, marks of comments, and times.
pub fn bare(line: &str) -> &str {
    /// The most nested marks and times: `> > # [12:00:00] `.
    const MOST: usize = 24;
    let mut rest = line.trim_start();
    for _ in 0..MOST {
        let Some(shorter) = without_mark(rest).or_else(|| without_time(rest)) else { break };
        rest = shorter.trim_start();
    }
    rest.trim_end()
}

fn without_mark(line: &str) -> Option<&str> {
    if let Some(rest) = line.strip_prefix(['>', '|', '\u{2502}', '\u{bb}']) {
        return Some(rest);
    }
    let rest = line.strip_prefix("//").or_else(|| line.strip_prefix(['#', '*', ';', '+', '-']))?;
    (rest.is_empty() || rest.starts_with([' ', '\t'])).then_some(rest)
}

/// `[    0.000000]`, `1725877589.814789`, `12:00:01.5`, `2024-03-03T04:05:06Z`, `2024-03-03 04:05:06`, `Mar  3 04:05:06`.
fn without_time(line: &str) -> Option<&str> {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    if let Some(inside) = line.strip_prefix('[') {
        let end = inside.find(']').filter(|end| *end <= 40)?;
        let (inside, rest) = (&inside[..end], &inside[end + 1..]);
        // `[300 lines elided]` is a mark of a cut.
        let is_word = |word: &str| {
            let zones = ["T", "Z", "C", "UTC", "GMT", "AM", "PM", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
            word.is_empty() || MONTHS.contains(&word) || zones.contains(&word)
        };
        let is_time = inside.contains(|c: char| c.is_ascii_digit())
            && inside.split(|c: char| !c.is_ascii_alphabetic()).all(is_word)
            && inside.chars().all(|c| c.is_ascii_alphanumeric() || " .:+-/,".contains(c));
        return (is_time && (rest.is_empty() || rest.starts_with([' ', '\t']))).then_some(rest);
    }
    let (first, rest) = line.split_once([' ', '\t'])?;
    if is_clock(first) || is_seconds(first) {
        return Some(rest);
    }
    if let Some((date, clock)) = first.split_once('T').filter(|(date, _)| is_date(date)) {
        return (is_date(date) && is_clock(clock)).then_some(rest);
    }
    let (second, after) = rest.trim_start().split_once([' ', '\t'])?;
    if is_date(first) && is_clock(second) {
        return Some(after);
    }
    let (third, after) = after.trim_start().split_once([' ', '\t'])?;
    let is_day = second.len() <= 2 && second.bytes().all(|byte| byte.is_ascii_digit());
    (MONTHS.contains(&first) && is_day && is_clock(third)).then_some(after)
}

/// `12:00:01`, with a fraction, a zone or a colon behind it.
pub fn is_clock(word: &str) -> bool {
    let bytes = word.as_bytes();
    let digits = |range: std::ops::Range<usize>| bytes.get(range).is_some_and(|b| b.iter().all(u8::is_ascii_digit));
    let tail = bytes.get(8..).unwrap_or_default();
    digits(0..2)
        && digits(3..5)
        && digits(6..8)
        && bytes[2] == b':'
        && bytes[5] == b':'
        && tail.iter().all(|byte| byte.is_ascii_digit() || b".,:+-Z".contains(byte))
}

/// `2024-03-03`.
fn is_date(word: &str) -> bool {
    let bytes = word.as_bytes();
    bytes.len() == 10
        && bytes.iter().enumerate().all(|(n, b)| if n == 4 || n == 7 { b"-/".contains(b) } else { b.is_ascii_digit() })
}

/// Seconds since 1970, with a fraction.
fn is_seconds(word: &str) -> bool {
    let word = word.trim_end_matches(':');
    let Some((whole, fraction)) = word.split_once('.') else { return false };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    (9..=11).contains(&whole.len()) && digits(whole) && digits(fraction)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn marks_and_times_are_stripped() {
        for (line, expected) in [
            ("> > a b", "a b"),
            (">> \ta b  ", "a b"),
            (" * a", "a"),
            ("// a", "a"),
            ("# a", "a"),
            ("#kernel", "#kernel"),
            ("*:* a", "*:* a"),
            ("| a", "a"),
            ("[    0.000000] a", "a"),
            ("[Mon Mar  3 04:05:06 2024] a", "a"),
            ("[    T1] a", "a"),
            ("[output truncated, 3000 lines]", "[output truncated, 3000 lines]"),
            ("[exit 124]", "[exit 124]"),
            ("[::1]:80 a", "[::1]:80 a"),
            ("[2001:db8::1]:80 a", "[2001:db8::1]:80 a"),
            ("[root@h ~]# a", "[root@h ~]# a"),
            ("1725877589.814789 a", "a"),
            ("12:00:01 a", "a"),
            ("2024-03-03T04:05:06.123+00:00 a", "a"),
            ("2024-03-03 04:05:06 a", "a"),
            ("Mar  3 04:05:06 a", "a"),
            ("10.0.0.1:80 a", "10.0.0.1:80 a"),
            ("0 500 a", "0 500 a"),
            ("", ""),
        ] {
            assert_eq!(bare(line), expected, "{line:?}");
        }
    }

    #[test]
    fn every_encoding_gives_the_same_text() {
        let text = "a = 1\n\t\"b\" <-> c\n";
        let wide = |of: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(of).collect::<Vec<u8>>();
        let little = [vec![0xff, 0xfe], wide(u16::to_le_bytes)].concat();
        let big = [vec![0xfe, 0xff], wide(u16::to_be_bytes)].concat();
        for bytes in [
            text.as_bytes().to_vec(),
            [b"\xef\xbb\xbf".as_slice(), text.as_bytes()].concat(),
            little.clone(),
            big.clone(),
            little[2..].to_vec(),
            big[2..].to_vec(),
            text.replace('\n', "\r\n").into_bytes(),
            text.replace('\n', "\r").into_bytes(),
            text.replace(' ', "\u{a0}").into_bytes(),
            text.replace('<', "&lt;").replace('>', "&gt;").replace('"', "&#34;").into_bytes(),
            text.replace('a', "\u{1b}[01;31ma\u{1b}[0m").into_bytes(),
        ] {
            assert_eq!(decode(&bytes), text, "{bytes:?}");
        }
        assert_eq!(decode(b"<pre>x &amp;lt; y</pre>").trim(), "x &lt; y");
        assert_eq!(decode(b"a < b & c; <5\n"), "a < b & c; <5\n");
    }

    #[test]
    fn quoted_printable_is_decoded_when_lines_break_softly() {
        let long = "x".repeat(75);
        assert_eq!(decode(format!("{long}=\ny=3Dz\n").as_bytes()), format!("{long}y=z\n"));
        let settings = "net.core.somaxconn=128\nnet.ipv4.tcp_syncookies=\n";
        assert_eq!(decode(settings.as_bytes()), settings);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn decoding_bytes_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            decode(&bytes).lines().for_each(|line| assert!(bare(line).len() <= line.len()));
        }

        #[test]
        fn decoding_text_never_panics(
            text in "((&(lt|#x?[0-9a-f]{0,9}|é)?;?|<(pre|/|!)?|=[0-9A-F]{0,3}\n?|\u{1b}\\[?|é|[>#*|\\[\\]:. 0-9]{1,9}|x{0,80}){0,9}\n?){0,3}",
        ) {
            decode(text.as_bytes()).lines().for_each(|line| assert!(bare(line).len() <= line.len()));
        }
    }
}
