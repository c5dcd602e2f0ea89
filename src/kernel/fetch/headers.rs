//! Reads a server's headers as untrusted input.

use std::time::{Duration, SystemTime};

use reqwest::header::{self, HeaderMap, HeaderName};
use serde::{Deserialize, Serialize};

/// The longest header that is kept or shown, in bytes; servers' entity tags have about forty.
const LONGEST: usize = 1000;

/// The least age of a Last-Modified that distinguishes two versions of a file (RFC 9110, section 8.8.2.2: a file may
/// change twice within a second, and clocks of servers behind one name differ).
const SETTLED: Duration = Duration::from_secs(60);

/// The longest time, in seconds: a hundred years.
const VERY_LONG: u64 = 100 * 365 * 86_400;

/// Proves that the rest of a file belongs to the partial one (RFC 9110, section 13.1.5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Validator {
    /// A strong entity tag, with its quotes.
    Etag(String),
    /// A date that is old enough.
    LastModified(String),
}

impl Validator {
    /// The strongest validator of an answer; none if it has only a weak entity tag and a recent date.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        if let Some(tag) = text(headers, &header::ETAG).filter(|tag| is_strong(tag)) {
            return Some(Self::Etag(tag.to_owned()));
        }
        let modified = text(headers, &header::LAST_MODIFIED)?;
        let age = date(text(headers, &header::DATE)?)?.duration_since(date(modified)?).ok()?;
        (age >= SETTLED).then(|| Self::LastModified(modified.to_owned()))
    }

    /// Its text, for If-Range.
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Etag(text) | Self::LastModified(text) => text,
        }
    }
}

/// Whether it is a strong entity tag (RFC 9110, section 8.8.3).
fn is_strong(tag: &str) -> bool {
    let opaque = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    opaque.is_some_and(|opaque| !opaque.contains('"'))
}

/// A header's text, unless it is absurdly long.
pub(super) fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim).filter(|text| !text.is_empty() && text.len() <= LONGEST)
}

/// `Content-Range` of a 206 or 416 (RFC 9110, section 14.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ContentRange {
    /// `bytes 5-9/10`, or `bytes 5-9/*`.
    Part { first: u64, last: u64, total: Option<u64> },
    /// `bytes */10`.
    Unsatisfied { total: u64 },
}

impl ContentRange {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (unit, rest) = text.split_once(' ')?;
        let (range, total) = rest.trim().split_once('/')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        if range == "*" {
            return Some(Self::Unsatisfied { total: whole(total)? });
        }
        let (first, last) = range.split_once('-')?;
        let (first, last) = (whole(first)?, whole(last)?);
        let total = if total == "*" { None } else { Some(whole(total)?) };
        (first <= last && total.is_none_or(|total| last < total)).then_some(Self::Part { first, last, total })
    }
}

/// Decimal digits only, because `parse` accepts a sign.
pub(super) fn whole(text: &str) -> Option<u64> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// The time in `Retry-After`: seconds, or a date (RFC 9110, section 10.2.3). A number that overflows, or a year out of
/// range, means a very long time, not none.
pub(super) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = text(headers, &header::RETRY_AFTER)?;
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return Some(Duration::from_secs(text.parse().unwrap_or(VERY_LONG)));
    }
    if let Some(date) = date(text) {
        return Some(date.duration_since(now).unwrap_or_default());
    }
    // `Fri, 31 Dec 9999 23:59:59 GMT` is beyond the last instant that can be represented.
    let year = text.split_ascii_whitespace().nth(3).and_then(whole)?;
    (year >= 9999).then_some(Duration::from_secs(VERY_LONG))
}

/// HTTP's date, as in `Sun, 06 Nov 1994 08:49:37 GMT`. Servers no longer send the two obsolete formats.
fn date(text: &str) -> Option<SystemTime> {
    jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok().map(SystemTime::from)
}

/// Reads a value as each of these headers, for `fuzz/`.
#[cfg(fuzzing)]
pub(super) fn fuzz(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let _ = (ContentRange::parse(&text), date(&text), is_strong(&text));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect()
    }

    #[test]
    fn validator_needs_a_strong_tag_or_an_old_date() {
        let (old, now) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 09:49:37 GMT");
        let just_now = "Sun, 06 Nov 1994 09:49:20 GMT";
        let long = format!("\"{}\"", "x".repeat(2000));
        for (pairs, expected) in [
            (&[("etag", "\"a1\""), ("last-modified", old), ("date", now)][..], Some("\"a1\"")),
            (&[("etag", "W/\"a1\""), ("last-modified", old), ("date", now)], Some(old)),
            (&[("etag", "W/\"a1\"")], None),
            (&[("etag", "a1")], None),
            (&[("etag", "\"a\"b\"")], None),
            (&[("etag", "\"")], None),
            (&[("etag", &long)], None),
            (&[("last-modified", old)], None),
            (&[("last-modified", just_now), ("date", now)], None),
            (&[("last-modified", now), ("date", old)], None),
            (&[("last-modified", "yesterday"), ("date", now)], None),
            (&[], None),
        ] {
            let found = Validator::of(&headers(pairs));
            assert_eq!(found.as_ref().map(Validator::as_str), expected, "{pairs:?}");
        }
    }

    #[test]
    fn content_range_is_read_exactly_or_not_at_all() {
        let part = |first, last, total| Some(ContentRange::Part { first, last, total });
        for (text, expected) in [
            ("bytes 0-9/10", part(0, 9, Some(10))),
            ("bytes 5-9/*", part(5, 9, None)),
            ("Bytes 5-5/10", part(5, 5, Some(10))),
            ("bytes */10", Some(ContentRange::Unsatisfied { total: 10 })),
            ("bytes 5-10/10", None),
            ("bytes 9-5/10", None),
            ("bytes -5/10", None),
            ("bytes 5-/10", None),
            ("bytes +5-9/10", None),
            ("bytes */*", None),
            ("bytes=0-9/10", None),
            ("pages 0-9/10", None),
            ("bytes 0-99999999999999999999/*", None),
            ("", None),
        ] {
            assert_eq!(ContentRange::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (text, expected) in [
            ("0", Some(0)),
            ("120", Some(120)),
            ("99999999999999999999999", Some(VERY_LONG)),
            ("Fri, 31 Dec 9999 23:59:59 GMT", Some(VERY_LONG)),
            ("Fri, 31 Dec 99999 23:59:59 GMT", Some(VERY_LONG)),
            ("Sun, 06 Nov 1994 08:50:07 GMT", Some(30)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
        ] {
            let found = retry_after(&headers(&[("retry-after", text)]), now);
            assert_eq!(found, expected.map(Duration::from_secs), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_rejected(text in "\\PC{0,40}|(bytes|B)? ?[0-9*]{0,22}-?[0-9]{0,22}/?[0-9*]{0,22}") {
            if let Some(ContentRange::Part { first, last, total }) = ContentRange::parse(&text) {
                prop_assert!(first <= last && total.is_none_or(|total| last < total));
            }
            let _ = (is_strong(&text), date(&text), whole(&text));
        }

        #[test]
        fn written_headers_are_read_back(first in 0..1u64 << 40, length in 1..1u64 << 40, more in 0..1u64 << 40) {
            let (last, total) = (first + length - 1, first + length + more);
            let expected = ContentRange::Part { first, last, total: Some(total) };
            prop_assert_eq!(ContentRange::parse(&format!("bytes {first}-{last}/{total}")), Some(expected));
        }
    }
}
