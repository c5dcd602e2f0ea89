//! The content of the cache, and the removed items.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde::Serialize;

use super::bytes;
use crate::json;
use crate::kernel::Store;
use crate::kernel::cache::{CacheItem, CacheKind, Collected, Why};
use crate::report::formats::Document;
use crate::report::style::{DIM, LOUD, Style};
use crate::report::text::{fit, pad, visible};

/// The version of the JSON document's shape.
const SCHEMA_VERSION: u32 = 1;

/// Columns of an item's line without its name.
const BESIDE_NAME: usize = 40;

/// The result of `kernels gc`.
#[derive(Debug, Serialize)]
pub struct GcDocument<'a> {
    schema_version: u32,
    /// The cache.
    #[serde(serialize_with = "json::path")]
    pub cache: PathBuf,
    /// The read-only caches below it.
    #[serde(serialize_with = "json::paths")]
    pub cache_from: Vec<PathBuf>,
    /// Whether nothing was actually removed.
    pub dry_run: bool,
    /// Bytes on the disk that are left, or would be.
    pub left_bytes: u64,
    /// The items that are left, by kind.
    pub kinds: Vec<OfKind>,
    /// Items that were removed, or would be.
    pub removed: Vec<&'a CacheItem>,
    /// Bytes that this frees.
    pub removed_bytes: u64,
    /// Items that exceed the limits but were kept.
    pub kept: Vec<Stayed<'a>>,
    /// Whether limits were given. Without any, the text says how to give them.
    #[serde(skip)]
    limited: bool,
}

/// The items of one kind that are left.
#[derive(Debug, Serialize)]
pub struct OfKind {
    /// The kind.
    pub kind: CacheKind,
    /// The number of items.
    pub items: usize,
    /// Bytes on the disk.
    pub bytes: u64,
}

/// An item that exceeds the limits but was kept.
#[derive(Debug, Serialize)]
pub struct Stayed<'a> {
    #[serde(flatten)]
    item: &'a CacheItem,
    /// Why it stayed.
    why: Why,
}

impl<'a> GcDocument<'a> {
    /// The document of a collection.
    pub fn of(store: &Store, limited: bool, dry_run: bool, collected: &'a Collected) -> Self {
        let left = || collected.left.iter().chain(collected.kept.iter().map(|(item, _)| item));
        let mut kinds: BTreeMap<CacheKind, OfKind> = BTreeMap::new();
        for item in left() {
            let of_kind = kinds.entry(item.kind).or_insert(OfKind { kind: item.kind, items: 0, bytes: 0 });
            of_kind.items += 1;
            of_kind.bytes += item.bytes;
        }
        Self {
            schema_version: SCHEMA_VERSION,
            cache: store.folder().to_owned(),
            cache_from: store.lower().to_vec(),
            dry_run,
            left_bytes: left().map(|item| item.bytes).sum(),
            kinds: kinds.into_values().collect(),
            removed: collected.removed.iter().collect(),
            removed_bytes: collected.removed.iter().map(|item| item.bytes).sum(),
            kept: collected.kept.iter().map(|(item, why)| Stayed { item, why: *why }).collect(),
            limited,
        }
    }

    /// Why the cache is still larger than the limit.
    pub fn why_left(&self) -> &'static str {
        let stayed = |why| self.kept.iter().any(|stayed| stayed.why == why);
        match (stayed(Why::InUse), stayed(Why::JustUsed)) {
            (true, false) => "the rest is in use",
            (false, true) => "the rest was just used",
            _ => "the rest is in use, or was just used",
        }
    }
}

impl Document for GcDocument<'_> {
    fn text(&self, style: Style) -> String {
        let width = style.width;
        let mut text = String::new();
        for item in &self.removed {
            let _ = writeln!(text, "{}", line(if self.dry_run { "to remove" } else { "removed" }, item, "", width));
        }
        for Stayed { item, why } in &self.kept {
            let why = match why {
                Why::InUse => "in use",
                Why::JustUsed => "just used",
            };
            let _ = writeln!(text, "{}", line("kept", item, why, width));
        }
        if self.limited {
            let verb = if self.dry_run { "would be freed" } else { "freed" };
            let _ = writeln!(text, "{LOUD}{} {verb}{LOUD:#} ({})\n", bytes(self.removed_bytes), self.removed.len());
        }
        for OfKind { kind, items, bytes: size } in &self.kinds {
            let _ = writeln!(text, "{:>10}  {items:>5}  {}", bytes(*size), kind.plural());
        }
        let left = match self.removed.is_empty() {
            true => "",
            false if self.dry_run => " would be left",
            false => " left",
        };
        let folder = visible(&self.cache.display().to_string());
        let _ = writeln!(text, "{LOUD}{:>10}{LOUD:#}  {:>5}  in {folder}{left}", bytes(self.left_bytes), "");
        for folder in &self.cache_from {
            let folder = visible(&folder.display().to_string());
            let _ = writeln!(text, "{DIM}{:>10}  {:>5}  in {folder} (read-only){DIM:#}", "", "");
        }
        if !self.limited && !self.kinds.is_empty() {
            let _ = writeln!(text, "{DIM}nothing removed; --older-than 30d or --max-size 20G removes files{DIM:#}");
        }
        text
    }
}

fn line(verb: &str, item: &CacheItem, why: &str, width: usize) -> String {
    let days = item.age().as_secs() / (24 * 60 * 60);
    let columns = width.saturating_sub(BESIDE_NAME);
    let name = pad(&fit(&visible(&item.name), columns), columns);
    let line = format!("{verb:9} {:>9}  {days:>4} d  {name}  {why}", bytes(item.bytes));
    line.trim_end().to_owned()
}
