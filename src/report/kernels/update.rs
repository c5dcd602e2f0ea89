//! What an update of a lock changes.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use super::LockedRow;
use crate::matrix::Locked;
use crate::report::text::{visible, wrap};
use crate::words::KernelName;

/// The version of the JSON document's shape.
const SCHEMA_VERSION: u32 = 1;

/// What `kernels update` came to.
#[derive(Debug, Serialize)]
pub struct UpdateDocument {
    schema_version: u32,
    /// The lock file.
    pub lock: PathBuf,
    /// Whether it was written.
    pub written: bool,
    /// What became of each kernel.
    pub kernels: Vec<Change>,
}

/// What became of a kernel.
#[derive(Debug, Serialize)]
pub struct Change {
    /// The kernel.
    pub kernel: KernelName,
    /// What became of it.
    #[serde(flatten)]
    pub what: Changed,
}

/// What becomes of a kernel's entry.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "change")]
pub enum Changed {
    /// It was not there.
    Added {
        /// What it is now.
        new: LockedRow,
    },
    /// It is resolved to something else.
    Updated {
        /// What it was.
        old: LockedRow,
        /// What it is now.
        new: LockedRow,
    },
    /// The matrix has no such kernel any more.
    Removed {
        /// What it was.
        old: LockedRow,
    },
    /// It is resolved to the same.
    Unchanged,
    /// It cannot be locked.
    NotLockable {
        /// Why.
        why: String,
    },
    /// It could not be resolved; its entry stays as it is.
    Failed {
        /// Why.
        why: String,
    },
}

impl Changed {
    /// The change from what it was to something else.
    pub fn of(old: Option<&Locked>, new: &Locked) -> Self {
        match old {
            Some(old) => Self::Updated { old: old.into(), new: new.into() },
            None => Self::Added { new: new.into() },
        }
    }
}

impl UpdateDocument {
    /// Of these changes, none of them written yet.
    pub fn of(lock: &Path, kernels: Vec<Change>) -> Self {
        Self { schema_version: SCHEMA_VERSION, lock: lock.to_owned(), written: false, kernels }
    }

    /// Whether the file would change.
    pub fn is_change(&self) -> bool {
        let changes = |change: &Change| {
            matches!(change.what, Changed::Added { .. } | Changed::Updated { .. } | Changed::Removed { .. })
        };
        self.kernels.iter().any(changes)
    }

    /// Whether this kernel's entry goes.
    pub fn removes(&self, name: &KernelName) -> bool {
        self.kernels.iter().any(|change| change.kernel == *name && matches!(change.what, Changed::Removed { .. }))
    }

    /// What changes, for people.
    pub fn text(&self) -> String {
        let (good, new_colour, bad) =
            (AnsiColor::Green.on_default(), AnsiColor::Yellow.on_default(), AnsiColor::Red.on_default());
        let dim = Style::new().dimmed();
        let mut text = String::new();
        for Change { kernel, what } in &self.kernels {
            let (style, verb, said) = match what {
                Changed::Added { new } => (good, "added", new.words()),
                Changed::Updated { old, new } if old.words() == new.words() => {
                    (new_colour, "changed", format!("{}, with other files or addresses", new.words()))
                }
                Changed::Updated { old, new } => (new_colour, "changed", format!("{} → {}", old.words(), new.words())),
                Changed::Removed { old } => (bad, "removed", format!("{}: not in the matrix any more", old.words())),
                Changed::Unchanged => continue,
                Changed::NotLockable { why } => (dim, "not locked", why.clone()),
                Changed::Failed { why } => (bad, "FAILED", why.clone()),
            };
            let mut lines = wrap(&visible(&said), 84).into_iter();
            let first = lines.next().unwrap_or_default();
            let _ = writeln!(text, "{style}{verb:10}{style:#}  {kernel}: {first}");
            for line in lines {
                let _ = writeln!(text, "{:12}{line}", "");
            }
        }
        let unchanged = self.kernels.iter().filter(|change| matches!(change.what, Changed::Unchanged)).count();
        if unchanged > 0 {
            let _ = writeln!(text, "{unchanged} unchanged");
        }
        text
    }

    /// What became of the file, for people.
    pub fn end(&self) -> String {
        let path = visible(&self.lock.display().to_string());
        match (self.written, self.is_change()) {
            (true, _) => format!("{path} is written\n"),
            (false, true) => format!("{path} is left as it was; --yes writes it\n"),
            (false, false) => format!("{path} needs no change\n"),
        }
    }
}
