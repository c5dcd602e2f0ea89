//! The system's own apt: its archives and its configuration.

use std::fs;
use std::path::{Path, PathBuf};

use super::child;
use super::error::AptError;
use super::sources::{self, Archive};
use crate::kernel::file_error::FileError;
use crate::kernel::obtain::Obtain;

/// The system's archives and its apt configuration.
pub(super) struct System {
    configuration: Vec<(String, String)>,
    archives: Vec<Archive>,
    searched: String,
}

impl System {
    pub(super) fn read(with: &Obtain) -> Result<Self, AptError> {
        let configuration = child::system_configuration(with)?;
        let value = |name: &str| {
            let found = configuration.iter().rev().find(|(n, _)| n == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        // apt composes them so: each is relative to the one before unless it is absolute.
        let etc = Path::new("/").join(value("Dir")).join(value("Dir::Etc"));
        let (list, parts) = (etc.join(value("Dir::Etc::sourcelist")), etc.join(value("Dir::Etc::sourceparts")));
        let mut files = vec![list.clone()];
        if let Ok(entries) = fs::read_dir(&parts) {
            let mut found: Vec<PathBuf> = entries.flatten().map(|e| e.path()).collect();
            found.sort();
            files.extend(found);
        }
        let mut archives = Vec::new();
        for file in files.iter().filter(|f| f.is_file()) {
            // Skip a file that only root may read.
            let Ok(text) = fs::read_to_string(file) else { continue };
            match file.extension().and_then(|e| e.to_str()) {
                Some("sources") => archives.extend(sources::deb822(&text)),
                Some("list") => archives.extend(sources::one_line(&text)),
                _ => {}
            }
        }
        Ok(Self { configuration, archives, searched: format!("{}, {}", list.display(), parts.display()) })
    }

    pub(super) fn own_suite(&self) -> Result<String, AptError> {
        sources::own_suite(&self.archives).ok_or_else(|| self.no_mirror())
    }

    /// The system's archives that serve a suite: the suite itself, its updates and its security archive.
    pub(super) fn serving(&self, suite: &str) -> Result<Vec<Archive>, AptError> {
        if let Some(other) = sources::not_debian(&self.archives, suite) {
            return Err(AptError::NotDebian { mirror: other.uri.clone() });
        }
        sources::serving(&self.archives, suite).ok_or_else(|| self.no_mirror())
    }

    fn no_mirror(&self) -> AptError {
        AptError::NoMirror { searched: self.searched.clone() }
    }

    /// Writes the private configuration for a suite, with the folders that it names. Returns its file.
    pub(super) fn configure(&self, folder: &Path, with: &Obtain) -> Result<PathBuf, FileError> {
        for below in ["sources", "lists/partial", "cache/archives/partial", "log"] {
            let path = folder.join(below);
            fs::create_dir_all(&path).map_err(|e| FileError::io("create", &path, e))?;
        }
        let file = folder.join("apt.conf");
        with.store.write_text(&file, &child::private_configuration(&self.configuration, folder))?;
        Ok(file)
    }
}
