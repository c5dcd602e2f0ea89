//! A data file of the site: one call of the frame's function, with JSON.

use std::io;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::web::inert::embedded_json;

/// How each data file starts, by which the site's own files are known.
pub(super) const PREFIX: &str = "backproof({\"site\":\"";

const OPENING: &str = "backproof(";
const CLOSING: &str = ");\n";

/// The bytes of a data file. The value starts with its kind, `site`.
pub(super) fn script(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let json = embedded_json(value).map_err(io::Error::other)?;
    Ok(format!("{OPENING}{json}{CLOSING}").into_bytes())
}

/// The value of a data file, if it is a whole one.
pub(super) fn parsed<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    let json = bytes.strip_prefix(OPENING.as_bytes())?.strip_suffix(CLOSING.as_bytes())?;
    serde_json::from_slice(json).ok()
}
