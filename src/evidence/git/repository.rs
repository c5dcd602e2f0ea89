//! A repository with git's overlay on its objects: what the witness reads.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use git2::Oid;
use sha2::{Digest as _, Sha256};

use super::GitError;
use super::commit;
use super::objects::Objects;
use crate::repository::{LONGEST, PackIndexes, RepositoryError, RepositoryPlace, SETTLED, hex};

/// A kernel's repository.
pub struct Repository {
    place: RepositoryPlace,
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
        let place = RepositoryPlace::find(path)?;
        let git = place.open()?;
        let overlay = overlay(&place, &git)?;
        Ok(Self { place, objects: Objects::new(git, overlay) })
    }

    /// The path from the user.
    pub fn path(&self) -> &Path {
        &self.place.path
    }

    /// Where it is.
    pub(super) fn place(&self) -> &RepositoryPlace {
        &self.place
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
        Ok(self.place.open()?)
    }

    /// A unique name for its index, which all its worktrees share.
    pub(super) fn key(&self) -> String {
        use std::os::unix::ffi::OsStrExt as _;
        hex(&Sha256::digest(self.place.common.as_os_str().as_bytes())[..16])
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
        note(&self.place.common.join("packed-refs"));
        let mut folders = vec![self.place.common.join("refs")];
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
        let folders = fs::read_dir(self.place.common.join("objects")).into_iter().flatten().flatten();
        folders.filter_map(|entry| u8::from_str_radix(entry.file_name().to_str()?, 16).ok()).collect()
    }

    /// The indexes of its packs.
    pub(super) fn pack_indexes(&self) -> PackIndexes {
        self.place.pack_indexes()
    }

    /// Whether it is a partial clone, for which git fetches missing objects on demand.
    pub(super) fn is_partial(&self) -> bool {
        self.place.is_partial()
    }

    pub(super) fn unreadable(&self, error: &git2::Error) -> GitError {
        self.place.unreadable(error).into()
    }

    pub(super) fn damaged(&self, object: Oid, what: impl Into<String>) -> GitError {
        self.place.damaged(object, what).into()
    }
}

/// Reads git's overlay on the objects of a repository.
fn overlay(place: &RepositoryPlace, git: &git2::Repository) -> Result<Overlay, RepositoryError> {
    let lines = |name: &str| -> Result<Vec<Vec<Oid>>, RepositoryError> {
        let file = place.common.join(name);
        let Ok(about) = fs::metadata(&file) else { return Ok(Vec::new()) };
        let is_readable = about.is_file() && about.len() <= LONGEST;
        let text = if is_readable { fs::read_to_string(&file).ok() } else { None };
        let text = text.ok_or_else(|| RepositoryError::Unreadable {
            path: place.path.clone(),
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
