//! Understands the text that names a subject.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::evidence::version::{NotARelease, Pasted, Release};
use crate::matrix::{BadMainlineVersion, MainlineVersion, Remote};

/// Something that a kernel is known by.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A release string or package version, alone or in a line. A bare `4.19` is the line of releases.
    Release(Pasted),
    /// A file: a package, an image or a tarball, recognised by its content.
    File(PathBuf),
    /// A folder with kernel source, built or not.
    Tree(PathBuf),
    /// A file to fetch.
    Address(Remote),
    /// A build of the archive of mainline builds.
    Mainline(MainlineVersion),
    /// A commit of the named repository.
    Revision(String),
}

/// Why a text was not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unclear {
    /// It looks like a path, but no file exists there.
    #[error(
        "no such file: expected a release as `uname -r` prints it, or the path of a package, an image, a source tree or \
         a tarball"
    )]
    Missing,
    /// It looks like an address, but cannot be fetched.
    #[error("it is no address to fetch from: {0}")]
    BadAddress(String),
    /// It starts with `mainline:`, but names no build.
    #[error("it names no mainline build: {0}")]
    BadMainline(#[from] BadMainlineVersion),
    /// It is not a release.
    #[error(
        "{0}; expected a release as `uname -r` prints it, a package's version, or the path of a file or source tree"
    )]
    NoRelease(String),
    /// It is a line with several kernels.
    #[error("{0}")]
    Several(NotARelease),
}

impl Unclear {
    /// Whether it is bad usage: it names something that doesn't exist, or is malformed.
    pub fn is_misnamed(&self) -> bool {
        !matches!(self, Self::NoRelease(_) | Self::Several(_))
    }
}

/// File names of kernels end with these.
const FILES: [&str; 11] = [".deb", ".rpm", ".ddeb", ".udeb", ".tar", ".tgz", ".gz", ".xz", ".bz2", ".zst", ".img"];

/// Marks a mainline build. Without it, `v4.19.57` is a release or a revision.
const MAINLINE: &str = "mainline:";

impl Subject {
    /// Understands a text. An address wins over an existing file, and a file over a release of that name. With a
    /// repository, everything else is a revision.
    ///
    /// # Errors
    /// If it was not understood.
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
            // The file exists; opening it tells why it cannot be read.
            Err(error) if error.kind() == ErrorKind::PermissionDenied => return Ok(Self::File(path.to_owned())),
            Err(_) if in_repository => return Ok(Self::Revision(text.to_owned())),
            Err(_) => {}
        }
        // Lines of `uname -a` and kernel parameters contain slashes too.
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
