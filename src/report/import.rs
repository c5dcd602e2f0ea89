//! What an import did: the dossiers, and what could not be imported, with reasons and counts.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::Serialize;

use super::formats::Document;
use super::style::{BAD, DIM, GOOD, LOUD, Style};
use super::text::{fit, pad, paragraph, visible};
use crate::import::{ImportReport, Imported, Rejected, RejectionKind};

/// The version of the JSON document's shape.
const SCHEMA_VERSION: u32 = 1;

/// The widest name in a column.
const NAME_MAX: usize = 32;

/// An import, for people and machines.
#[derive(Serialize)]
pub struct ImportDocument<'a> {
    schema_version: u32,
    source: &'a str,
    version: Option<&'a str>,
    folder: String,
    imported: &'a [Imported],
    rejected: &'a [Rejected],
    rejected_by_kind: BTreeMap<RejectionKind, usize>,
    not_selected: usize,
}

impl<'a> ImportDocument<'a> {
    /// Of this import.
    pub fn of(report: &'a ImportReport) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            source: report.source,
            version: report.version.as_deref(),
            folder: report.folder.display().to_string(),
            imported: &report.imported,
            rejected: &report.rejected,
            rejected_by_kind: report.counts(),
            not_selected: report.not_selected,
        }
    }
}

impl Document for ImportDocument<'_> {
    fn text(&self, style: Style) -> String {
        let mut text = String::new();
        let ids = self.imported.iter().map(|one| one.id.as_str());
        let names = self.rejected.iter().map(|one| one.name.as_str());
        let width = ids.chain(names).map(|name| visible(name).chars().count()).max().unwrap_or(0).min(NAME_MAX);
        let name = |name: &str| pad(&fit(&visible(name), width), width);
        for one in self.imported {
            let word = if one.written { "imported" } else { "current " };
            let title = fit(&visible(&one.title), style.width.saturating_sub(width + 12));
            let _ = writeln!(text, "{GOOD}{word}{GOOD:#}  {LOUD}{}{LOUD:#}  {title}", name(one.id.as_str()));
            if style.explain {
                one.notes.iter().for_each(|note| paragraph(&mut text, "            ", note, style));
            }
        }
        for one in self.rejected {
            let why = fit(&visible(&one.why), style.width.saturating_sub(width + 12));
            let why = if style.explain { visible(&one.why) } else { why };
            let _ = writeln!(text, "{BAD}rejected{BAD:#}  {}  {why}", name(&one.name));
        }
        let version = self.version.map_or_else(String::new, |version| format!(" {}", visible(version)));
        let _ = writeln!(
            text,
            "\n{LOUD}{}{version}{LOUD:#}: {} imported, {} rejected",
            self.source,
            self.imported.len(),
            self.rejected.len(),
        );
        for (kind, count) in &self.rejected_by_kind {
            let _ = writeln!(text, "  {count:4}  {}", kind.as_str());
        }
        if self.not_selected > 0 {
            let _ = writeln!(text, "{DIM}  {:4}  not selected{DIM:#}", self.not_selected);
        }
        if !self.imported.is_empty() {
            paragraph(&mut text, "run: ", &format!("backproof run --dossiers {}", self.folder), style);
        }
        text
    }
}
