//! The headers of a request, and the meaning of its answer's beginning.

use std::time::SystemTime;

use reqwest::StatusCode;
use reqwest::header::{self, HeaderMap, HeaderValue};

use super::headers::{self, ContentRange, Validator};
use super::partial::Partial;
use super::problem::FetchProblem;
use crate::kernel::quoted::Quoted;

/// Requests the missing rest, only of the file with this validator.
pub(super) fn range(from: u64, validator: &Validator) -> Result<HeaderMap, FetchProblem> {
    let odd = || FetchProblem::Garbled(Quoted::of(validator.as_str().as_bytes()));
    let proof = HeaderValue::from_str(validator.as_str()).map_err(|_| odd())?;
    let range = HeaderValue::from_str(&format!("bytes={from}-")).map_err(|_| odd())?;
    Ok(HeaderMap::from_iter([(header::RANGE, range), (header::IF_RANGE, proof)]))
}

/// Checks that an answer with these headers continues exactly at the end of the partial file. Returns the total size,
/// if known, or why it doesn't.
pub(super) fn continued(
    headers: &HeaderMap,
    validator: &Validator,
    partial: &Partial<'_>,
) -> Result<Option<u64>, String> {
    let range = headers::text(headers, &header::CONTENT_RANGE).unwrap_or("no range at all");
    let Some(ContentRange::Part { first, total, .. }) = ContentRange::parse(range) else {
        return Err(format!("the server sent another range ({})", Quoted::of(range.as_bytes())));
    };
    if first != partial.length() {
        return Err(format!("the server sent bytes from {first} on, expected from {} on", partial.length()));
    }
    if let (Some(before), Some(total)) = (partial.total(), total)
        && before != total
    {
        return Err(format!("the file now has {total} bytes, and had {before}"));
    }
    if let (Validator::Etag(before), Some(now)) = (validator, headers::text(headers, &header::ETAG))
        && before != now
    {
        return Err("the file has changed".to_owned());
    }
    Ok(total.or(partial.total()))
}

/// Whether the body marks its own end (RFC 9112, section 7.1).
pub(super) fn is_chunked(headers: &HeaderMap) -> bool {
    let last =
        |codings: &str| codings.rsplit(',').next().is_some_and(|last| last.trim().eq_ignore_ascii_case("chunked"));
    headers::text(headers, &header::TRANSFER_ENCODING).is_some_and(last)
}

/// The compression of a body, although none was requested.
pub(super) fn packed(headers: &HeaderMap) -> Option<Quoted> {
    let coding = headers::text(headers, &header::CONTENT_ENCODING)?;
    (!coding.eq_ignore_ascii_case("identity")).then(|| Quoted::of(coding.as_bytes()))
}

/// The meaning of a status without a file.
pub(super) fn said_no(status: StatusCode, headers: &HeaderMap) -> FetchProblem {
    let reason = status.canonical_reason().unwrap_or("without a name");
    match status.as_u16() {
        code @ (404 | 410) => FetchProblem::Gone(code),
        code @ (408 | 425 | 429 | 500..) => {
            let after = headers::retry_after(headers, SystemTime::now());
            FetchProblem::Busy { status: code, reason, after }
        }
        304 => FetchProblem::Unasked { status: 304, reason },
        300..400 => {
            let to = headers::text(headers, &header::LOCATION);
            let to = to.map_or("without an address".to_owned(), |to| format!("to {to}, which is not followed"));
            FetchProblem::Redirect(Quoted::of(format!("{to} (HTTP {status})").as_bytes()))
        }
        code @ 400.. => FetchProblem::Refused { status: code, reason },
        status => FetchProblem::Unasked { status, reason },
    }
}
