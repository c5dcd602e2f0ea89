//! What was asked about: from the text that a person gave to what the witnesses can look at.

use std::path::{Path, PathBuf};

use super::{Advice, Answer, BugAnswer};
use crate::evidence::exhibits::Exhibits;
use crate::evidence::version::Release;
use crate::matrix::Bug;
use crate::verdict::Ledger;

/// Something that a kernel is known by.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A release string or package version.
    Release(Release),
    /// A file: a package, an image or a tarball; told by its content.
    File(PathBuf),
    /// A folder with kernel source.
    Tree(PathBuf),
    /// A commit of the repository that was named.
    Revision(String),
}

/// A text of which nothing can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// It looks like a path, and nothing is there.
    #[error(
        "there is no such file, and it is no release either: expected a release as `uname -r` prints it, a package, an image, a source tree or a tarball"
    )]
    Missing,
    /// It is no release.
    #[error(
        "{0}; expected a release as `uname -r` prints it, a package's version, or a file (a package, an image, a source tree, a tarball)"
    )]
    NoRelease(String),
}

/// What is asked, and with what it may be answered.
pub struct Asked<'a> {
    /// The bugs.
    pub bugs: Vec<&'a Bug>,
}

impl Subject {
    /// What the text means. A file that is there is meant before a release of the same name; where a repository was named,
    /// everything else is a revision.
    ///
    /// # Errors
    /// Where nothing can be made of it.
    pub fn of(text: &str, in_repository: bool) -> Result<Self, Unclear> {
        let path = Path::new(text);
        match path.metadata() {
            Ok(data) if data.is_dir() => return Ok(Self::Tree(path.to_owned())),
            Ok(_) => return Ok(Self::File(path.to_owned())),
            Err(_) if in_repository => return Ok(Self::Revision(text.to_owned())),
            Err(_) => {}
        }
        // Of a package file that is not here its name still says what it is.
        let name = path.file_name().and_then(|name| name.to_str()).filter(|_| text.contains('/'));
        match Release::parse(name.unwrap_or(text)) {
            Ok(release) => Ok(Self::Release(release)),
            Err(_) if name.is_some() => Err(Unclear::Missing),
            Err(error) => Err(Unclear::NoRelease(error.to_string())),
        }
    }
}

impl Asked<'_> {
    /// Answers about one subject, as it was given.
    pub fn answer(&self, text: &str) -> Answer {
        let nothing = |problem: String| Answer {
            subject: text.to_owned(),
            understood: None,
            problem: Some(problem),
            bugs: self.bugs.iter().map(|bug| self.conclude(bug, &Exhibits::default())).collect(),
        };
        let subject = match Subject::of(text, false) {
            Ok(subject) => subject,
            Err(unclear) => return nothing(unclear.to_string()),
        };
        match subject {
            Subject::Release(release) => {
                let understood = release.to_string();
                let exhibits = Exhibits { release: Some(Ok(release)) };
                let bugs = self.bugs.iter().map(|bug| self.conclude(bug, &exhibits)).collect();
                Answer { subject: text.to_owned(), understood: Some(understood), problem: None, bugs }
            }
            _ => nothing("not yet".to_owned()),
        }
    }

    fn conclude(&self, bug: &Bug, exhibits: &Exhibits) -> BugAnswer {
        let ledger = Ledger { findings: exhibits.findings(bug) };
        let upgrade: Vec<Advice> = Vec::new();
        BugAnswer::of(bug, ledger, upgrade, "give its image or package, or boot it")
    }
}
