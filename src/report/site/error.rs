//! Why a site cannot be written.

use std::io;
use std::path::{Path, PathBuf};

use crate::history::HistoryError;
use crate::lack;

/// Why a site cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum SiteError {
    /// The history cannot be read.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The folder belongs to somebody else.
    #[error("{folder} has other files, such as {found}, and no site of backproof; name an empty or a new folder", folder = folder.display())]
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// One of its files.
        found: String,
    },
    /// There is something else.
    #[error("{folder} is not a folder; name an empty or a new one", folder = .0.display())]
    NotFolder(PathBuf),
    /// A file cannot be written.
    #[error("cannot write {path}: {why}; {remedy}", path = path.display(), remedy = remedy(path, why))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        why: io::Error,
    },
}

impl SiteError {
    /// Whether the user has to name another folder.
    pub fn is_usage(&self) -> bool {
        matches!(self, Self::Foreign { .. } | Self::NotFolder(_))
    }

    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |why| Self::Io { path, why }
    }
}

fn remedy(path: &Path, why: &io::Error) -> String {
    match why.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("no {}; free some, and write the site again", lack::at(path))
        }
        _ => "check its permissions, or name another folder".to_owned(),
    }
}
