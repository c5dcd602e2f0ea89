//! The kernels of a matrix, as a table and as JSON.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anstyle::Style as Colour;
use serde::Serialize;

use super::bytes;
use crate::json;
use crate::kernel::Cached;
use crate::matrix::{Locked, LockedFile};
use crate::report::formats::Document;
use crate::report::style::{DIM, LOUD, Style};
use crate::report::text::{columns, fit, fit_middle, pad, visible};
use crate::words::KernelName;

/// The version of the JSON document's shape.
const SCHEMA_VERSION: u32 = 1;

/// The least columns of a kernel's name and of its release.
const LEAST: usize = 12;

/// The kernels of a matrix.
#[derive(Debug, Serialize)]
pub struct KernelsDocument {
    schema_version: u32,
    /// The matrix.
    pub matrix: String,
    /// Its lock file, if it has one.
    #[serde(serialize_with = "json::optional_path")]
    pub lock: Option<PathBuf>,
    /// Its kernels, in its order.
    pub kernels: Vec<KernelRow>,
}

/// A kernel of a matrix.
#[derive(Debug, Serialize)]
pub struct KernelRow {
    /// Its name.
    pub name: KernelName,
    /// Its source in one line.
    pub source: String,
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// Whether it runs only when named.
    pub opt_in: bool,
    /// Its entry in the lock.
    pub locked: Option<LockedRow>,
    /// Whether it is cached.
    pub cached: Cached,
    /// Bytes of its files, if known.
    pub bytes: Option<u64>,
}

/// A kernel's entry in the lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LockedRow {
    /// Its release.
    pub release: Option<String>,
    /// The version of its first package, which is named or has the image.
    pub version: Option<String>,
    /// When it was locked.
    pub when: String,
    /// Whether the matrix still has the same source.
    pub current: bool,
    /// Its files.
    pub files: Vec<LockedFile>,
}

impl LockedRow {
    /// The row of a lock entry.
    pub fn of(locked: &Locked, current: bool) -> Self {
        let version = locked.files.iter().find_map(|file| file.version.clone());
        let (release, when, files) = (locked.release.clone(), locked.when.to_string(), locked.files.clone());
        Self { release, version, when, current, files }
    }

    /// The release, and the version if known.
    pub(super) fn words(&self) -> String {
        match (&self.release, &self.version) {
            (Some(release), Some(version)) => format!("{release} ({version})"),
            (Some(one), None) | (None, Some(one)) => one.clone(),
            (None, None) => "yes".to_owned(),
        }
    }
}

impl KernelsDocument {
    /// The document of a matrix, and of its lock file if it exists.
    pub fn of(matrix: &Path, lock: Option<PathBuf>, kernels: Vec<KernelRow>) -> Self {
        Self { schema_version: SCHEMA_VERSION, matrix: matrix.display().to_string(), lock, kernels }
    }
}

impl Document for KernelsDocument {
    fn text(&self, style: Style) -> String {
        let rows: Vec<[String; 5]> = self.kernels.iter().map(cells).collect();
        let heads = ["kernel", "source", "locked to", "here", "size"];
        let longest = |at: usize| {
            let longest = rows.iter().map(|row| columns(&row[at])).max().unwrap_or(0);
            longest.max(heads[at].len())
        };
        let mut widths: [usize; 5] = std::array::from_fn(longest);
        // If it is too wide, the source shrinks first, then the lock, then the name.
        let mut over = (widths.iter().sum::<usize>() + 2 * (widths.len() - 1)).saturating_sub(style.width);
        for at in [1, 2, 0] {
            let taken = over.min(widths[at].saturating_sub(LEAST));
            widths[at] -= taken;
            over -= taken;
        }
        let mut text = String::new();
        let line = |text: &mut String, cells: [&str; 5]| {
            let cut = |at: usize| if at == 1 { fit_middle(cells[at], widths[at]) } else { fit(cells[at], widths[at]) };
            let [a, b, c, d] = std::array::from_fn(|at| pad(&cut(at), widths[at]));
            let line = format!("{a}  {b}  {c}  {d}  {:>size$}", cells[4], size = widths[4]);
            let _ = write!(text, "{}", line.trim_end());
        };
        let _ = write!(text, "{LOUD}");
        line(&mut text, heads);
        let _ = writeln!(text, "{LOUD:#}");
        for (row, kernel) in rows.iter().zip(&self.kernels) {
            let colour = if kernel.opt_in { DIM } else { Colour::new() };
            let _ = write!(text, "{colour}");
            line(&mut text, row.each_ref().map(String::as_str));
            let _ = writeln!(text, "{colour:#}");
        }
        let asked = self.kernels.iter().filter(|kernel| kernel.opt_in).count();
        if asked > 0 {
            let _ = writeln!(text, "{DIM}{asked} of them run only if named, or selected by tag{DIM:#}");
        }
        if self.kernels.iter().filter_map(|kernel| kernel.locked.as_ref()).any(|locked| !locked.current) {
            let _ = writeln!(text, "{DIM}*: the matrix has a new source; `backproof kernels update` locks it{DIM:#}");
        }
        text
    }
}

fn cells(kernel: &KernelRow) -> [String; 5] {
    let locked = kernel.locked.as_ref().map_or_else(
        || "-".to_owned(),
        |locked| if locked.current { locked.words() } else { format!("* {}", locked.words()) },
    );
    let cached = match kernel.cached {
        Cached::Yes => "cached",
        Cached::No => "no",
        Cached::Local => "local",
        Cached::Missing => "missing",
    };
    let size = kernel.bytes.map_or_else(|| "-".to_owned(), bytes);
    [kernel.name.to_string(), visible(&kernel.source), visible(&locked), cached.to_owned(), size]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, source: &str, locked: Option<(&str, bool)>, opt_in: bool) -> KernelRow {
        let when = "2026-11-25T21:00:00Z".to_owned();
        let locked = locked.map(|(release, current)| LockedRow {
            release: Some(release.to_owned()),
            version: Some("6.1.192-2".to_owned()),
            when: when.clone(),
            current,
            files: Vec::new(),
        });
        let (name, source) = (name.parse().unwrap(), source.to_owned());
        KernelRow { name, source, tags: BTreeSet::new(), opt_in, locked, cached: Cached::Yes, bytes: Some(3 << 20) }
    }

    #[test]
    fn list_fits_100_columns_and_escapes_sources() {
        let rows = vec![
            row("debian-12", "apt linux-image-cloud-amd64 (bookworm)", Some(("6.1.0-56-cloud-amd64", true)), false),
            row(&"n".repeat(100), &"/long".repeat(40), Some((&"6".repeat(80), false)), true),
            row("c", "deb \u{1b}[2J", None, false),
        ];
        let document = KernelsDocument::of(Path::new("kernels.yaml"), None, rows);
        let text = anstream::adapter::strip_str(&document.text(Style::default())).to_string();
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
        assert!(text.contains("debian-12") && text.contains("cached") && text.contains("3.0 MiB"), "{text}");
        assert!(text.contains("1 of them run only if named") && text.contains("*: the matrix"), "{text}");
        let whole = document.text(Style { width: usize::MAX, ..Style::default() });
        assert!(whole.contains(&"/long".repeat(40)) && !whole.contains('…'), "{whole}");
        assert!(!whole.contains("\u{1b}[2J"));
    }
}
