//! Quotes the lines behind a finding.

use super::tree::SourceTree;
use crate::matrix::c::Lines;

/// The most characters to quote from one place.
const MAX_QUOTE: usize = 200;

/// The most places to quote.
const MAX_PLACES: usize = 4;

/// Lines of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct QuotedLines<'t> {
    pub file: &'t str,
    pub lines: Lines,
}

/// The places with their code, as `net/ipv4/tcp_output.c:1626-1633 “limit = …”`; none if the list is empty.
pub(super) fn quote(tree: &SourceTree, places: &[QuotedLines]) -> Option<String> {
    let quotes: Vec<String> = merged(places).into_iter().take(MAX_PLACES).map(|place| one(tree, place)).collect();
    (!quotes.is_empty()).then(|| quotes.join(", "))
}

/// Sorts the places and merges adjacent ones.
fn merged<'t>(places: &[QuotedLines<'t>]) -> Vec<QuotedLines<'t>> {
    let mut sorted = places.to_vec();
    sorted.sort();
    let mut merged: Vec<QuotedLines> = Vec::new();
    for place in sorted {
        match merged.last_mut() {
            Some(last) if last.file == place.file && place.lines.first <= last.lines.last.saturating_add(1) => {
                last.lines.last = last.lines.last.max(place.lines.last);
            }
            _ => merged.push(place),
        }
    }
    merged
}

fn one(tree: &SourceTree, place: QuotedLines) -> String {
    let Lines { first, last } = place.lines;
    let count = usize::try_from(last.saturating_sub(first).saturating_add(1)).unwrap_or(usize::MAX);
    let skipped = usize::try_from(first.saturating_sub(1)).unwrap_or(usize::MAX);
    let lines = tree.text(place.file).unwrap_or_default().lines().skip(skipped).take(count);
    let code: Vec<&str> = lines.flat_map(str::split_whitespace).collect();
    // The file is untrusted: only printable characters may reach a terminal.
    let code = code.join(" ").replace(|c: char| c.is_control(), "?");
    let short: String = code.chars().take(MAX_QUOTE).collect();
    let dots = if short.len() < code.len() { "…" } else { "" };
    format!("{}:{} “{short}{dots}”", place.file, place.lines)
}
