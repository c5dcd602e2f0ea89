//! What was asked about: from the text that a person gave to what can be looked at.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::evidence::version::{NotARelease, Pasted, Release};
use crate::matrix::{BadMainlineVersion, MainlineVersion, Remote};

/// Something that a kernel is known by.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A release string or package version, or one that was found in a line. A bare `4.19` is the line of releases.
    Release(Pasted),
    /// A file: a package, an image or a tarball; told by its content.
    File(PathBuf),
    /// A folder with kernel source, built or not.
    Tree(PathBuf),
    /// A file to fetch.
    Address(Remote),
    /// A build of the archive of mainline builds.
    Mainline(MainlineVersion),
    /// A commit of the repository that was named.
    Revision(String),
}

/// A text of which nothing can be made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// It looks like a path, and nothing is there.
    #[error(
        "no such file: expected a release as `uname -r` prints it, or the path of a package, an image, a source tree or \
         a tarball"
    )]
    Missing,
    /// It looks like an address, and is none that can be fetched.
    #[error("it is no address to fetch from: {0}")]
    BadAddress(String),
    /// It asks for a mainline build, and names none.
    #[error("it names no mainline build: {0}")]
    BadMainline(#[from] BadMainlineVersion),
    /// It is no release.
    #[error(
        "{0}; expected a release as `uname -r` prints it, a package's version, or the path of a file or source tree"
    )]
    NoRelease(String),
    /// It is a line with several kernels in it.
    #[error("{0}")]
    Several(NotARelease),
}

impl Unclear {
    /// Whether it names something that is not there, or in a form that nothing has: a mistake of whoever asks.
    pub fn is_misnamed(&self) -> bool {
        !matches!(self, Self::NoRelease(_) | Self::Several(_))
    }
}

/// What files of kernels are called.
const FILES: [&str; 11] = [".deb", ".rpm", ".ddeb", ".udeb", ".tar", ".tgz", ".gz", ".xz", ".bz2", ".zst", ".img"];

/// What stands before the version of a mainline build: without it, `v4.19.57` is a release's name or a revision.
const MAINLINE: &str = "mainline:";

impl Subject {
    /// What the text means. An address is one before anything else. A file that is there is meant before a release of the same name; where a repository was named,
    /// everything else is a revision.
    ///
    /// # Errors
    /// Where nothing can be made of it.
    pub fn of(text: &str, in_repository: bool) -> Result<Self, Unclear> {
        if Remote::is_meant(text) {
            return Remote::parse(text).map(Self::Address).map_err(Unclear::BadAddress);
        }
        if let Some(version) = text.strip_prefix(MAINLINE) {
            return Ok(Self::Mainline(version.parse()?));
        }
        let path = Path::new(text);
        match path.metadata() {
            Ok(data) if data.is_dir() => return Ok(Self::Tree(path.to_owned())),
            Ok(_) => return Ok(Self::File(path.to_owned())),
            // Something is there, and whoever opens it is told so.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return Ok(Self::File(path.to_owned())),
            Err(_) if in_repository => return Ok(Self::Revision(text.to_owned())),
            Err(_) => {}
        }
        // Lines of `uname -a` and of a kernel's parameters have slashes too.
        let is_path = text.contains('/') && !text.contains(|c: char| c.is_whitespace() || c == '=');
        if is_path {
            return Err(Unclear::Missing);
        }
        if let Some(release) = Release::whole_line(text) {
            return Ok(Self::Release(Pasted::whole(release)));
        }
        match Pasted::find(text) {
            Ok(release) => Ok(Self::Release(release)),
            Err(several @ NotARelease::Several(..)) => Err(Unclear::Several(several)),
            Err(_) if FILES.iter().any(|end| text.ends_with(end)) => Err(Unclear::Missing),
            Err(error) => Err(Unclear::NoRelease(error.to_string())),
        }
    }
}
