//! Opens repositories for the rooms `kernel` and `evidence`, and resolves revisions. If libgit2 can't read something,
//! the error says what to do.

mod change;
mod error;
mod packs;
mod revision;
mod row;

use std::fs::{self, File};
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::read::ZlibDecoder;
use git2::Oid;
use tempfile::TempDir;

pub use change::{ChangeCommit, ChangeError, MOST_COMMITS, RevisionChange};
pub use error::RepositoryError;
pub(crate) use packs::PackIndexes;
pub(crate) use revision::{no_such_revision, resolve};
pub use row::{RevisionRows, RowRevision};

/// The longest configuration, list of grafts or list of shallow commits to read, in bytes.
pub(crate) const LONGEST: u64 = 64 << 20;
/// A folder's time is trusted only if it is at least this old, because file systems store times in steps of up to two
/// seconds.
pub(crate) const SETTLED: Duration = Duration::from_secs(3);
/// The largest loose object to read, in bytes. git handles such files separately (core.bigFileThreshold).
const LARGEST_OBJECT: u64 = 512 << 20;

/// The places of a repository: bare, a working tree's top folder, or a linked worktree. It may be a partial clone.
pub(crate) struct RepositoryPlace {
    /// The path from the user.
    pub path: PathBuf,
    /// The folder with its objects and refs, which linked worktrees share.
    pub common: PathBuf,
    /// The path that libgit2 opens, perhaps the stand-in's.
    opens: PathBuf,
    /// The stand-in for a partial clone, removed with this value.
    _stand_in: Option<TempDir>,
}

impl RepositoryPlace {
    /// Finds a repository, and checks that libgit2 supports it.
    ///
    /// # Errors
    /// If there is none, or libgit2 cannot read it.
    pub(crate) fn find(path: &Path) -> Result<Self, RepositoryError> {
        if !path.exists() {
            return Err(RepositoryError::Missing(path.to_owned()));
        }
        let folder = git_folder(path).ok_or_else(|| RepositoryError::NotARepository(path.to_owned()))?;
        let common = common_folder(&folder);
        let common = fs::canonicalize(&common).unwrap_or(common);
        let partial = match extensions(path, &common)? {
            Extensions::Readable => None,
            Extensions::Partial => Some(stand_in(&folder, &common).map_err(|source| RepositoryError::Unreadable {
                path: path.to_owned(),
                what: format!("no stand-in for a partial clone could be made: {source}"),
            })?),
        };
        let opens = partial.as_ref().map_or_else(|| path.to_owned(), |dir| dir.path().to_owned());
        Ok(Self { path: path.to_owned(), common, opens, _stand_in: partial })
    }

    /// Opens it. libgit2's caches start empty.
    ///
    /// # Errors
    /// If libgit2 cannot read it.
    pub(crate) fn open(&self) -> Result<git2::Repository, RepositoryError> {
        git2::Repository::open(&self.opens).map_err(|error| match error.code() {
            git2::ErrorCode::Owner => {
                RepositoryError::ForeignOwner(fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone()))
            }
            git2::ErrorCode::NotFound => RepositoryError::NotARepository(self.path.clone()),
            _ => self.unreadable(&error),
        })
    }

    /// The indexes of its packs.
    pub(crate) fn pack_indexes(&self) -> PackIndexes {
        PackIndexes::of(&self.common.join("objects"))
    }

    /// Whether it is a partial clone, for which git fetches missing objects on demand. Packs from such a remote are
    /// marked.
    pub(crate) fn is_partial(&self) -> bool {
        let mut packs = fs::read_dir(self.common.join("objects/pack")).into_iter().flatten().flatten();
        packs.any(|entry| entry.path().extension().is_some_and(|end| end == "promisor"))
    }

    /// The error that libgit2 cannot read it.
    pub(crate) fn unreadable(&self, error: &git2::Error) -> RepositoryError {
        RepositoryError::Unreadable { path: self.path.clone(), what: error.message().to_owned() }
    }

    /// The error that one of its objects is damaged.
    pub(crate) fn damaged(&self, object: Oid, what: impl Into<String>) -> RepositoryError {
        RepositoryError::Damaged { path: self.path.clone(), object: object.to_string(), what: what.into() }
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// Whether libgit2 can read an object. libgit2 1.9 hangs on a truncated loose object, because it waits for more
/// compressed bytes. Packed objects are fine.
pub(crate) fn is_readable(git: &git2::Repository, object: Oid) -> bool {
    let name = object.to_string();
    match File::open(git.commondir().join("objects").join(&name[..2]).join(&name[2..])) {
        Ok(file) => loose_is_whole(file),
        Err(_) => true,
    }
}

/// Whether a loose object has the length in its header: `commit 123`, a zero byte, and 123 bytes, compressed.
fn loose_is_whole(file: File) -> bool {
    let mut text = ZlibDecoder::new(BufReader::new(file));
    let mut head = Vec::new();
    let mut byte = [0];
    while head.len() < 32 {
        match text.read_exact(&mut byte) {
            Ok(()) if byte[0] == 0 => break,
            Ok(()) => head.push(byte[0]),
            Err(_) => return false,
        }
    }
    let size = std::str::from_utf8(&head).ok().and_then(|head| head.split_once(' ')?.1.parse::<u64>().ok());
    // One extra byte is enough to detect a wrong header.
    let mut read = |size: u64| std::io::copy(&mut text.by_ref().take(size + 1), &mut std::io::sink());
    size.filter(|size| *size < LARGEST_OBJECT).is_some_and(|size| read(size).is_ok_and(|read| read == size))
}

/// The folder with HEAD: `path` itself, its `.git`, or the target of its `.git` file (gitrepository-layout(5)).
fn git_folder(path: &Path) -> Option<PathBuf> {
    let dot = path.join(".git");
    if dot.is_file() {
        let text = small_text(&dot)?;
        return Some(path.join(text.strip_prefix("gitdir:")?.trim()));
    }
    [dot, path.to_owned()].into_iter().find(|folder| folder.join("HEAD").exists() || folder.join("config").exists())
}

fn common_folder(folder: &Path) -> PathBuf {
    match small_text(&folder.join("commondir")) {
        Some(text) => folder.join(text.trim()),
        None => folder.to_owned(),
    }
}

fn small_text(path: &Path) -> Option<String> {
    let size = fs::metadata(path).ok()?.len();
    if size > LONGEST { None } else { fs::read_to_string(path).ok() }
}

enum Extensions {
    Readable,
    Partial,
}

/// Checks the extensions in the configuration, because libgit2 has the same error for all.
fn extensions(path: &Path, common: &Path) -> Result<Extensions, RepositoryError> {
    let Ok(config) = git2::Config::open(&common.join("config")) else { return Ok(Extensions::Readable) };
    let value = |name: &str| config.get_string(&format!("extensions.{name}")).ok();
    let version = config.get_i32("core.repositoryformatversion").unwrap_or(0);
    if value("objectformat").is_some_and(|format| !format.eq_ignore_ascii_case("sha1")) {
        return Err(RepositoryError::Sha256(path.to_owned()));
    }
    if value("refstorage").is_some_and(|format| !format.eq_ignore_ascii_case("files")) {
        return Err(RepositoryError::Reftable(path.to_owned()));
    }
    // Version 0 has no mandatory extensions (git's repository-version.txt).
    if version == 0 {
        return Ok(Extensions::Readable);
    }
    let mut partial = false;
    let Ok(mut entries) = config.entries(Some("^extensions\\.")) else { return Ok(Extensions::Readable) };
    while let Some(Ok(entry)) = entries.next() {
        let name = String::from_utf8_lossy(entry.name_bytes()).to_lowercase();
        match name.trim_start_matches("extensions.") {
            "partialclone" => partial = true,
            "noop" | "objectformat" | "refstorage" | "worktreeconfig" | "preciousobjects" | "relativeworktrees" => {}
            other => {
                return Err(RepositoryError::Extension { path: path.to_owned(), what: format!("extensions.{other}") });
            }
        }
    }
    Ok(if partial { Extensions::Partial } else { Extensions::Readable })
}

/// Creates a bare repository that uses another's objects and refs, because libgit2 rejects partial clones by their
/// configuration. Missing objects are handled by each caller.
fn stand_in(folder: &Path, common: &Path) -> std::io::Result<TempDir> {
    use std::os::unix::fs::symlink;
    let dir = tempfile::Builder::new().prefix("backproof-git-").tempdir()?;
    fs::write(dir.path().join("config"), "[core]\n\trepositoryformatversion = 0\n\tbare = true\n")?;
    fs::copy(folder.join("HEAD"), dir.path().join("HEAD"))?;
    for name in ["objects", "refs", "packed-refs", "shallow"] {
        if common.join(name).exists() {
            symlink(common.join(name), dir.path().join(name))?;
        }
    }
    Ok(dir)
}
