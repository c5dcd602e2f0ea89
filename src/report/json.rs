//! A run as JSON: the content of its matrix.json.

use super::formats::RunFormat;
use crate::json;

pub(super) const FORMAT: RunFormat =
    RunFormat { name: "json", help: "For machines", write: |run, _, out| json::write(out, run.document) };
