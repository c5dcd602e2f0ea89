//! Opens a repository. If libgit2 can't read it, the error says what to do.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::{self, File};
use std::io::{BufReader, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use flate2::read::ZlibDecoder;
use git2::Oid;
use sha2::{Digest as _, Sha256};
use tempfile::TempDir;

use super::GitError;
use super::commit;
use super::objects::Objects;
use super::packs::PackIndexes;

/// The longest configuration, list of grafts or list of shallow commits to read, in bytes.
const LONGEST: u64 = 64 << 20;
/// A folder's time is trusted only if it is at least this old, because file systems store times in steps of up to two
/// seconds.
pub(super) const SETTLED: Duration = Duration::from_secs(3);
/// The largest loose object to read, in bytes. git handles such files separately (core.bigFileThreshold).
const LARGEST_OBJECT: u64 = 512 << 20;

/// A kernel's repository.
pub struct Repository {
    /// The path from the user.
    path: PathBuf,
    /// The folder with its objects and refs, which linked worktrees share.
    common: PathBuf,
    /// The path that libgit2 opens, perhaps the stand-in's.
    opens: PathBuf,
    /// The stand-in for a partial clone, removed with this value.
    _stand_in: Option<TempDir>,
    objects: Objects,
}

/// git's overlay on the objects: a shallow clone's end, grafts, replaced objects.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Overlay {
    /// Commits whose parents were not fetched.
    pub shallow: HashSet<Oid>,
    /// Commits whose parents differ from those in their objects.
    pub grafts: HashMap<Oid, Vec<Oid>>,
    /// Replaced objects and their replacements.
    pub replaced: BTreeMap<Oid, Oid>,
}

/// A ref: its name, and its fully peeled target.
pub(super) struct Tip {
    pub name: String,
    pub target: Oid,
}

impl Repository {
    /// Opens a repository: bare, a working tree's top folder, or a linked worktree. It may be a partial clone that has
    /// the commits.
    ///
    /// # Errors If there is none, or libgit2 cannot read it. Each error says what to do.
    pub fn open(path: &Path) -> Result<Self, GitError> {
        if !path.exists() {
            return Err(GitError::Missing(path.to_owned()));
        }
        let folder = git_folder(path).ok_or_else(|| GitError::NotARepository(path.to_owned()))?;
        let common = common_folder(&folder);
        let common = fs::canonicalize(&common).unwrap_or(common);
        let partial = match extensions(path, &common)? {
            Extensions::Readable => None,
            Extensions::Partial => Some(stand_in(&folder, &common).map_err(|source| GitError::Unreadable {
                path: path.to_owned(),
                what: format!("no stand-in for a partial clone could be made: {source}"),
            })?),
        };
        let opens = partial.as_ref().map_or_else(|| path.to_owned(), |dir| dir.path().to_owned());
        let git = open(&opens, path)?;
        let overlay = overlay(path, &common, &git)?;
        Ok(Self { path: path.to_owned(), common, opens, _stand_in: partial, objects: Objects::new(git, overlay) })
    }

    /// The path from the user.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is a shallow clone.
    pub fn is_shallow(&self) -> bool {
        self.objects.raw().is_shallow()
    }

    /// Its objects.
    pub(super) fn git(&self) -> &Objects {
        &self.objects
    }

    /// git's overlay on them.
    pub(super) fn overlay(&self) -> &Overlay {
        self.objects.overlay()
    }

    /// The same repository, opened again: libgit2's caches start empty.
    pub(super) fn again(&self) -> Result<git2::Repository, GitError> {
        open(&self.opens, &self.path)
    }

    /// A unique name for its index, which all its worktrees share.
    pub(super) fn key(&self) -> String {
        use std::os::unix::ffi::OsStrExt as _;
        hex(&Sha256::digest(self.common.as_os_str().as_bytes())[..16])
    }

    /// Its refs that lead to commits, sorted by name.
    pub(super) fn tips(&self) -> Result<Vec<Tip>, GitError> {
        let mut tips = Vec::new();
        for reference in self.objects.raw().references().map_err(|e| self.unreadable(&e))? {
            // An unreadable ref (a broken file under refs/) is skipped.
            let Ok(reference) = reference else { continue };
            if reference.kind() != Some(git2::ReferenceType::Direct) {
                continue;
            }
            let name = String::from_utf8_lossy(reference.name_bytes()).into_owned();
            if name.starts_with("refs/replace/") {
                continue;
            }
            // Packed refs include the peeled target of a tag. Loose tags must be peeled.
            let Some(target) = reference.target_peel().or_else(|| reference.target()) else { continue };
            tips.push(Tip { name, target });
        }
        tips.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(tips)
    }

    /// A text that changes when any ref is created, moved or removed. It is computed without reading the refs, because
    /// reading thousands of them takes longer than a question. git and libgit2 write a ref to a temporary file and
    /// rename it, which changes its folder's time. None if something changed so recently that a further change might
    /// have the same time.
    pub(super) fn refs_stamp(&self) -> Option<String> {
        let mut digest = Sha256::new();
        let lately = SystemTime::now().checked_sub(SETTLED)?;
        let mut settled = true;
        let mut note = |path: &Path| {
            let Ok(about) = fs::metadata(path) else { return digest.update(b"none") };
            settled &= about.modified().is_ok_and(|time| time < lately);
            let seen = (path, about.mtime(), about.mtime_nsec(), about.ino(), about.len());
            digest.update(format!("{seen:?}"));
        };
        note(&self.common.join("packed-refs"));
        let mut folders = vec![self.common.join("refs")];
        while let Some(folder) = folders.pop() {
            note(&folder);
            let entries = fs::read_dir(&folder).into_iter().flatten().flatten();
            let below = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
            let mut below: Vec<PathBuf> = below.map(|entry| entry.path()).collect();
            below.sort();
            folders.extend(below);
        }
        settled.then(|| hex(&digest.finalize()))
    }

    /// Whether a commit is the kernel.org release of this tag, which its subject must confirm.
    pub(super) fn is_release(&self, oid: Oid, tag: &str) -> bool {
        let Some(version) = tag.strip_prefix('v') else { return false };
        let Some(commit) = self.objects.commit(oid) else { return false };
        // The first releases in git have the subjects `Linux-2.6.12-rc2` and `Linux v2.6.12-rc3`.
        let said = String::from_utf8_lossy(commit::subject(&commit.message)).into_owned();
        let said = said.strip_prefix("Linux").and_then(|rest| rest.strip_prefix([' ', '-']));
        said.is_some_and(|said| said.strip_prefix('v').unwrap_or(said) == version)
    }

    /// The existing folders of loose objects: `objects/ab` for names that begin with `ab`.
    pub(super) fn loose(&self) -> HashSet<u8> {
        let folders = fs::read_dir(self.common.join("objects")).into_iter().flatten().flatten();
        folders.filter_map(|entry| u8::from_str_radix(entry.file_name().to_str()?, 16).ok()).collect()
    }

    /// The indexes of its packs.
    pub(super) fn pack_indexes(&self) -> PackIndexes {
        PackIndexes::of(&self.common.join("objects"))
    }

    /// Whether it is a partial clone, for which git fetches missing objects on demand. Packs from such a remote are
    /// marked.
    pub(super) fn is_partial(&self) -> bool {
        let mut packs = fs::read_dir(self.common.join("objects/pack")).into_iter().flatten().flatten();
        packs.any(|entry| entry.path().extension().is_some_and(|end| end == "promisor"))
    }

    pub(super) fn unreadable(&self, error: &git2::Error) -> GitError {
        unreadable(&self.path, error)
    }

    pub(super) fn damaged(&self, object: Oid, what: impl Into<String>) -> GitError {
        GitError::Damaged { path: self.path.clone(), object: object.to_string(), what: what.into() }
    }
}

/// Reads git's overlay on the objects of the repository at `path`.
fn overlay(path: &Path, common: &Path, git: &git2::Repository) -> Result<Overlay, GitError> {
    let lines = |name: &str| -> Result<Vec<Vec<Oid>>, GitError> {
        let file = common.join(name);
        let Ok(about) = fs::metadata(&file) else { return Ok(Vec::new()) };
        let is_readable = about.is_file() && about.len() <= LONGEST;
        let text = if is_readable { fs::read_to_string(&file).ok() } else { None };
        let text = text.ok_or_else(|| GitError::Unreadable {
            path: path.to_owned(),
            what: format!("{} cannot be read as text", file.display()),
        })?;
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        Ok(lines.map(|line| line.split(' ').filter_map(|hex| Oid::from_str(hex).ok()).collect()).collect())
    };
    let mut overlay = Overlay::default();
    overlay.shallow.extend(lines("shallow")?.into_iter().flatten());
    for line in lines("info/grafts")? {
        if let [commit, parents @ ..] = line.as_slice() {
            overlay.grafts.insert(*commit, parents.to_vec());
        }
    }
    if let Ok(references) = git.references_glob("refs/replace/*") {
        for reference in references.flatten() {
            let name = String::from_utf8_lossy(reference.name_bytes()).into_owned();
            let from = name.strip_prefix("refs/replace/").and_then(|hex| Oid::from_str(hex).ok());
            if let (Some(from), Some(to)) = (from, reference.target()) {
                overlay.replaced.insert(from, to);
            }
        }
    }
    Ok(overlay)
}

impl Overlay {
    /// The object that replaces this one. git follows at most five replacements in a row (MAXREPLACEDEPTH in its
    /// replace-object.c).
    pub fn actual(&self, oid: Oid) -> Oid {
        (0..5).fold(oid, |at, _| *self.replaced.get(&at).unwrap_or(&at))
    }

    /// The effective parents of a commit whose object names these.
    pub fn parents(&self, oid: Oid, named: &[Oid]) -> Vec<Oid> {
        if self.shallow.contains(&oid) {
            return Vec::new();
        }
        self.grafts.get(&oid).map_or_else(|| named.to_vec(), Clone::clone)
    }

    /// A text that changes with it.
    pub fn fingerprint(&self) -> String {
        let mut digest = Sha256::new();
        let mut shallow: Vec<_> = self.shallow.iter().collect();
        shallow.sort();
        let mut grafts: Vec<_> = self.grafts.iter().collect();
        grafts.sort();
        digest.update(format!("{shallow:?} {grafts:?} {:?}", self.replaced));
        hex(&digest.finalize())
    }
}

/// A text that changes when any ref does.
pub(super) fn fingerprint(tips: &[Tip]) -> String {
    let mut digest = Sha256::new();
    for tip in tips {
        digest.update(tip.name.as_bytes());
        digest.update(b"\0");
        digest.update(tip.target.as_bytes());
    }
    hex(&digest.finalize())
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

fn open(opens: &Path, path: &Path) -> Result<git2::Repository, GitError> {
    git2::Repository::open(opens).map_err(|error| match error.code() {
        git2::ErrorCode::Owner => GitError::ForeignOwner(fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())),
        git2::ErrorCode::NotFound => GitError::NotARepository(path.to_owned()),
        _ => unreadable(path, &error),
    })
}

fn unreadable(path: &Path, error: &git2::Error) -> GitError {
    GitError::Unreadable { path: path.to_owned(), what: error.message().to_owned() }
}

/// Whether libgit2 can read an object. libgit2 1.9 hangs on a truncated loose object, because it waits for more
/// compressed bytes. Packed objects are fine.
pub(super) fn is_readable(git: &git2::Repository, object: Oid) -> bool {
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
fn extensions(path: &Path, common: &Path) -> Result<Extensions, GitError> {
    let Ok(config) = git2::Config::open(&common.join("config")) else { return Ok(Extensions::Readable) };
    let value = |name: &str| config.get_string(&format!("extensions.{name}")).ok();
    let version = config.get_i32("core.repositoryformatversion").unwrap_or(0);
    if value("objectformat").is_some_and(|format| !format.eq_ignore_ascii_case("sha1")) {
        return Err(GitError::Sha256(path.to_owned()));
    }
    if value("refstorage").is_some_and(|format| !format.eq_ignore_ascii_case("files")) {
        return Err(GitError::Reftable(path.to_owned()));
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
            other => return Err(GitError::Extension { path: path.to_owned(), what: format!("extensions.{other}") }),
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
