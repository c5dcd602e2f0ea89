//! The changes of a lock.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anstyle::AnsiColor;
use serde::Serialize;

use super::LockedRow;
use crate::json;
use crate::matrix::{Locked, LockedFile};
use crate::report::formats::Document;
use crate::report::style::{DIM, Style};
use crate::report::text::{hanging, visible};
use crate::words::KernelName;

/// The version of the JSON document's shape.
const SCHEMA_VERSION: u32 = 1;

/// Hexadecimal digits of a sha256 that people can compare.
const DIGITS: usize = 12;

/// The result of `kernels update`.
#[derive(Debug, Serialize)]
pub struct UpdateDocument {
    schema_version: u32,
    /// The lock file.
    #[serde(serialize_with = "json::path")]
    pub lock: PathBuf,
    /// Whether it was written.
    pub written: bool,
    /// The change of each kernel.
    pub kernels: Vec<Change>,
}

/// The change of one kernel.
#[derive(Debug, Serialize)]
pub struct Change {
    /// The kernel.
    pub kernel: KernelName,
    /// The change.
    #[serde(flatten)]
    pub what: Changed,
}

/// The change of a kernel's entry.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum Changed {
    /// It is new.
    Added {
        /// Its new lock.
        new: LockedRow,
    },
    /// It is resolved to other files.
    Changed {
        /// Its previous lock.
        old: LockedRow,
        /// Its new lock.
        new: LockedRow,
        /// Whether its files have the same bytes, from another address or source.
        same_bytes: bool,
    },
    /// The matrix no longer has this kernel.
    Removed {
        /// Its previous lock.
        old: LockedRow,
    },
    /// It is resolved to the same files.
    Unchanged,
    /// It cannot be locked.
    NotLockable {
        /// Why.
        why: String,
    },
    /// It is optional, and no longer served. Its entry stays.
    Gone {
        /// Why.
        why: String,
    },
    /// It could not be resolved. Its entry stays.
    Failed {
        /// Why.
        why: String,
    },
}

impl Changed {
    /// The change from an old entry, if any, to a new one.
    pub fn of(old: Option<&Locked>, new: &Locked) -> Self {
        match old {
            Some(old) => {
                let (same_bytes, current) = (old.has_same_bytes(new), old.source == new.source);
                Self::Changed { old: LockedRow::of(old, current), new: LockedRow::of(new, true), same_bytes }
            }
            None => Self::Added { new: LockedRow::of(new, true) },
        }
    }
}

impl UpdateDocument {
    /// The document of these changes, which are not written yet.
    pub fn of(lock: &Path, kernels: Vec<Change>) -> Self {
        Self { schema_version: SCHEMA_VERSION, lock: lock.to_owned(), written: false, kernels }
    }

    /// Whether the file would change.
    pub fn is_change(&self) -> bool {
        let changes = |change: &Change| {
            matches!(change.what, Changed::Added { .. } | Changed::Changed { .. } | Changed::Removed { .. })
        };
        self.kernels.iter().any(changes)
    }

    /// Whether this kernel's entry is removed.
    pub fn removes(&self, name: &KernelName) -> bool {
        self.kernels.iter().any(|change| change.kernel == *name && matches!(change.what, Changed::Removed { .. }))
    }

    /// The changes, for people to decide on.
    pub fn changes(&self, style: Style) -> String {
        let (good, new_colour, bad) =
            (AnsiColor::Green.on_default(), AnsiColor::Yellow.on_default(), AnsiColor::Red.on_default());
        let mut text = String::new();
        for Change { kernel, what } in &self.kernels {
            let (colour, verb, said) = match what {
                Changed::Added { new } => (good, "added", new.words()),
                Changed::Changed { old, new, same_bytes } => (new_colour, "changed", difference(old, new, *same_bytes)),
                Changed::Removed { old } => (bad, "removed", format!("{}: no longer in the matrix", old.words())),
                Changed::Unchanged => continue,
                Changed::NotLockable { why } => (DIM, "not locked", why.clone()),
                Changed::Gone { why } => (DIM, "gone", why.clone()),
                Changed::Failed { why } => (bad, "FAILED", why.clone()),
            };
            let indent = " ".repeat(12);
            let mut first = format!("{colour}{verb:10}{colour:#}  ");
            for said in format!("{kernel}: {said}").lines() {
                hanging(&mut text, &first, &indent, said, style);
                first.clone_from(&indent);
            }
        }
        let unchanged = self.kernels.iter().filter(|change| matches!(change.what, Changed::Unchanged)).count();
        if unchanged > 0 {
            let _ = writeln!(text, "{unchanged} unchanged");
        }
        text
    }
}

/// The text says whether the file was written. Its changes were shown before: see [`UpdateDocument::changes`].
impl Document for UpdateDocument {
    fn text(&self, _: Style) -> String {
        let path = visible(&self.lock.display().to_string());
        match (self.written, self.is_change()) {
            (true, _) => format!("{path} is written\n"),
            (false, true) => format!("{path} is not changed; --yes writes it\n"),
            (false, false) => format!("{path} is up to date\n"),
        }
    }
}

/// A change in lines: the versions, or for the same version the checksums of each file.
fn difference(old: &LockedRow, new: &LockedRow, same_bytes: bool) -> String {
    let (was, is) = (old.words(), new.words());
    if same_bytes {
        let from = if old.current { "from other addresses" } else { "from another source in the matrix" };
        return format!("{is}: the same bytes, {from}");
    }
    if was != is {
        return format!("{was} → {is}");
    }
    let mut text = format!("{is}, with other bytes");
    let short = |file: &LockedFile| format!("{}…", file.sha256.get(..DIGITS).unwrap_or(&file.sha256));
    for file in &new.files {
        match old.files.iter().find(|before| before.name == file.name) {
            Some(before) if before.sha256 == file.sha256 => {}
            Some(before) => {
                let _ = write!(text, "\n{}: sha256 {} → {}", file.name, short(before), short(file));
            }
            None => {
                let _ = write!(text, "\n{}: new, sha256 {}", file.name, short(file));
            }
        }
    }
    for before in old.files.iter().filter(|before| !new.files.iter().any(|file| file.name == before.name)) {
        let _ = write!(text, "\n{}: gone, sha256 {}", before.name, short(before));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn locked(version: &str, digit: char, address: &str) -> Locked {
        let sha256 = digit.to_string().repeat(64);
        let (name, version) = ("linux-image-6.1".to_owned(), Some(version.to_owned()));
        let file = LockedFile { name, version, sha256, size: 1, addresses: vec![address.to_owned()] };
        let when = "2026-11-25T21:00:00Z".parse().unwrap();
        Locked { source: "apt linux-image (sid)".to_owned(), when, release: Some("6.1".to_owned()), files: vec![file] }
    }

    fn document(name: &str, what: Changed) -> UpdateDocument {
        UpdateDocument::of(Path::new("k3.lock"), vec![Change { kernel: name.parse().unwrap(), what }])
    }

    #[test]
    fn changed_bytes_are_shown_by_their_sums() {
        let old = locked("1", 'e', "http://a/x");
        for (new, said) in [
            (locked("1", '9', "http://a/x"), "linux-image-6.1: sha256 eeeeeeeeeeee… → 999999999999…"),
            (locked("1", 'e', "http://b/x"), "6.1 (1): the same bytes, from other addresses"),
            (locked("2", '9', "http://a/x"), "6.1 (1) → 6.1 (2)"),
            (Locked { source: "apt x".to_owned(), ..old.clone() }, "the same bytes, from another source in the matrix"),
        ] {
            let document = document("a", Changed::of(Some(&old), &new));
            let text = document.changes(Style::default());
            assert!(text.contains(said), "{said}\n{text}");
            let json = serde_json::to_value(&document).unwrap();
            let change = &json["kernels"][0];
            assert_eq!(change["change"], "changed");
            assert_eq!(change["old"]["files"][0]["sha256"], old.files[0].sha256.as_str());
            assert_eq!(change["new"]["files"][0]["sha256"], new.files[0].sha256.as_str());
        }
    }

    #[test]
    fn update_fits_100_columns_and_gone_is_not_failed() {
        let why = "words ".repeat(60);
        let text = document(&"n".repeat(60), Changed::Gone { why }).changes(Style::default());
        let text = anstream::adapter::strip_str(&text).to_string();
        assert!(text.starts_with("gone") && text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }
}
