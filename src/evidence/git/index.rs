//! The index of a repository: built once, updated when refs move, rebuilt when damaged.
//!
//! One process at a time builds or appends, under a lock that ends with the process. A first build goes to a draft,
//! which is renamed when complete. An update counts once the header points to it. So a kill at any moment leaves a
//! complete index or none.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use git2::Oid;
use rustix::fs::{FlockOperation, flock};

use super::GitError;
use super::graph::Graph;
use super::index_file::{IndexFile, Opened, regular};
use super::index_format::{GitTag, Made};
use super::packaging::Packaging;
use super::repository::{Repository, Tip, fingerprint};
use super::walk::walk;

/// The file extension of indexes.
pub(super) const EXTENSION: &str = "index";
/// The longest time that another process may hold the lock. Reading Linux's whole history takes less.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// The progress of indexing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IndexProgress {
    /// Another process indexes the same repository.
    Waiting,
    /// Commits are being read.
    Reading {
        /// The commits read so far.
        commits: u64,
    },
    /// The index is damaged and is being rebuilt.
    Rebuilding,
    /// New commits are being written to the index.
    Writing {
        /// The number of new commits.
        commits: u64,
    },
}

impl fmt::Display for IndexProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting => f.write_str("waiting for another process that indexes it"),
            Self::Rebuilding => f.write_str("the index is damaged: rebuilding it"),
            Self::Reading { commits } => write!(f, "reading the history: {commits} commits"),
            Self::Writing { commits } => write!(f, "writing the index: {commits} commits"),
        }
    }
}

/// The open index of one repository. Each thread must open its own.
pub struct GitIndex {
    pub(super) repository: Repository,
    pub(super) inner: RefCell<Inner>,
    /// The patches in the tree of the last revision, cached for the next dossier.
    pub(super) packaging: RefCell<Option<(Oid, Rc<Packaging>)>>,
    /// The defect of the old index, if it was damaged and rebuilt.
    pub(super) damage: RefCell<Option<String>>,
    /// Called while a question waits.
    progress: Box<dyn Fn(IndexProgress)>,
}

/// The parts that a question may have to update, because unreferenced revisions are read on demand.
pub(super) struct Inner {
    pub store: IndexFile,
    pub graph: Graph,
}

impl Repository {
    /// Opens the repository's index in this folder, after building or updating it. A missing folder is created. Any
    /// number of repositories and processes may share it.
    ///
    /// # Errors If the repository's commits cannot be read, or the folder cannot be written.
    pub fn index(&self, folder: &Path, progress: &dyn Fn(IndexProgress)) -> Result<GitIndex, GitError> {
        // The repository is opened again so that libgit2's caches start empty, and grafts and replace refs are read
        // again.
        let repository = Self::open(self.path())?;
        let path = folder.join(format!("git-{}.{EXTENSION}", repository.key()));
        let opened = |repository, inner, damage| GitIndex {
            repository,
            inner: RefCell::new(inner),
            packaging: RefCell::default(),
            damage: RefCell::new(damage),
            progress: Box::new(|_| {}),
        };
        // The stamp is taken before the refs are read, so that a ref that moves meanwhile is seen next time.
        let stamp = repository.refs_stamp();
        let lock_file = path.with_extension("lock");
        let packs = repository.pack_indexes();
        let found = on_disk(&path, &repository.overlay().fingerprint());
        let known = match &found {
            IndexOnDisk::Sound(inner) => Some(inner.store.made().packs.as_str()),
            IndexOnDisk::Nothing | IndexOnDisk::Damaged(_) => None,
        };
        let is_known = packs.stamp().is_some() && packs.stamp() == known;
        if !is_known {
            // libgit2 has opened no pack yet.
            packs.check()?;
        }
        if let IndexOnDisk::Sound(inner) = found
            && (is_known || packs.stamp().is_none())
        {
            // No ref moved, so the refs need not be read.
            let is_settled = stamp.is_some() && inner.store.stamp() == stamp.as_deref();
            if is_settled || inner.store.made().refs == fingerprint(&repository.tips()?) {
                if let (false, Some(stamp), Ok(Ok(_lock))) = (is_settled, &stamp, try_lock(&lock_file)) {
                    inner.store.set_stamp(stamp);
                }
                return Ok(opened(repository, *inner, None));
            }
        }
        fs::create_dir_all(folder).map_err(|source| cache(folder, "made", source))?;
        let _lock = lock(&lock_file, PATIENCE, progress)?;
        let (inner, damage) = brought_up_to_date(&repository, packs.stamp(), &path, progress)?;
        if let Some(stamp) = stamp {
            inner.store.set_stamp(&stamp);
        }
        Ok(opened(repository, inner, damage))
    }
}

impl GitIndex {
    /// Sets the callback for the progress of later questions, which first index unreferenced revisions.
    pub fn telling(mut self, progress: impl Fn(IndexProgress) + 'static) -> Self {
        self.progress = Box::new(progress);
        self
    }

    /// The number of a commit. An unreferenced commit is indexed now.
    pub(super) fn number(&self, oid: Oid) -> Result<u32, GitError> {
        let mut inner = self.inner.borrow_mut();
        let number = |inner: &Inner| inner.store.number(oid).map(|n| n.filter(|n| *n < inner.graph.len()));
        if let Some(number) = number(&inner)? {
            return Ok(number);
        }
        let path = inner.store.path().to_owned();
        let _lock = lock(&path.with_extension("lock"), PATIENCE, &*self.progress)?;
        // Another process may have appended since this one read the graph.
        let IndexOnDisk::Sound(mut current) = on_disk(&path, &self.repository.overlay().fingerprint()) else {
            return Err(GitError::Index { path, what: "it changed meanwhile".to_owned() });
        };
        append(&self.repository, &[oid], &mut current, &*self.progress)?;
        *inner = *current;
        number(&inner)?.ok_or_else(|| self.repository.damaged(oid, "it could not be read"))
    }

    /// Opens the index again after damage, and rebuilds it unless another process did.
    pub(super) fn renew(&self, what: String) -> Result<(), GitError> {
        let mut inner = self.inner.borrow_mut();
        let path = inner.store.path().to_owned();
        (self.progress)(IndexProgress::Rebuilding);
        let _lock = lock(&path.with_extension("lock"), PATIENCE, &*self.progress)?;
        let packs = self.repository.pack_indexes();
        packs.check()?;
        (*inner, _) = brought_up_to_date(&self.repository, packs.stamp(), &path, &*self.progress)?;
        self.damage.replace(Some(what));
        Ok(())
    }
}

/// The index on the disk.
enum IndexOnDisk {
    /// Nothing usable.
    Nothing,
    Damaged(String),
    Sound(Box<Inner>),
}

/// The index at this path, if it is intact and from a repository of this shape.
fn on_disk(path: &Path, shape: &str) -> IndexOnDisk {
    let store = match IndexFile::open(path) {
        Opened::Missing | Opened::Other => return IndexOnDisk::Nothing,
        Opened::Damaged(damage) => return IndexOnDisk::Damaged(damage.0),
        Opened::Sound(store) if store.made().shape != shape || store.is_bloated() => return IndexOnDisk::Nothing,
        Opened::Sound(store) => store,
    };
    match store.graph() {
        Ok(graph) => IndexOnDisk::Sound(Box::new(Inner { store: *store, graph })),
        Err(GitError::Index { what, .. }) => IndexOnDisk::Damaged(what),
        Err(error) => IndexOnDisk::Damaged(error.to_string()),
    }
}

/// The index of the current refs, and the defect of the old one. The caller holds the lock.
fn brought_up_to_date(
    repository: &Repository,
    packs: Option<&str>,
    path: &Path,
    progress: &dyn Fn(IndexProgress),
) -> Result<(Inner, Option<String>), GitError> {
    let tips = repository.tips()?;
    let shape = repository.overlay().fingerprint();
    let made = Made {
        shape: shape.clone(),
        refs: fingerprint(&tips),
        packs: packs.unwrap_or_default().to_owned(),
        tags: Vec::new(),
    };
    let is_made_of = |known: &Made| known.refs == made.refs && (packs.is_none() || known.packs == made.packs);
    let damage = match on_disk(path, &shape) {
        IndexOnDisk::Sound(inner) if is_made_of(inner.store.made()) => return Ok((*inner, None)),
        IndexOnDisk::Sound(mut inner) => match update(repository, &tips, &mut inner, made.clone(), progress) {
            Ok(()) => return Ok((*inner, None)),
            // An update reads more of it than opening does.
            Err(GitError::Index { what, .. }) => Some(what),
            Err(error) => return Err(error),
        },
        IndexOnDisk::Nothing => None,
        IndexOnDisk::Damaged(what) => Some(what),
    };
    if damage.is_some() {
        progress(IndexProgress::Rebuilding);
    }
    Ok((build(repository, &tips, path, made, progress)?, damage))
}

/// Takes the lock, or gives up after `patience`. The lock is held as long as the file is open.
pub(super) fn lock(path: &Path, patience: Duration, progress: &dyn Fn(IndexProgress)) -> Result<File, GitError> {
    let failed = |source: io::Error| cache(path, "locked", source);
    let file = match try_lock(path).map_err(failed)? {
        Ok(file) => return Ok(file),
        Err(file) => file,
    };
    progress(IndexProgress::Waiting);
    // flock(2) has no timeout, so a thread waits. After a timeout it drops the lock as soon as it gets it.
    let (sender, receiver) = channel();
    let wait = move || {
        let locked = rustix::io::retry_on_intr(|| flock(&file, FlockOperation::LockExclusive));
        let _ = sender.send(locked.map(|()| file));
    };
    thread::Builder::new().name("index-lock".to_owned()).spawn(wait).map_err(failed)?;
    match receiver.recv_timeout(patience) {
        Ok(locked) => locked.map_err(|error| failed(error.into())),
        Err(RecvTimeoutError::Timeout) => Err(GitError::Locked { path: path.to_owned(), waited: patience }),
        Err(RecvTimeoutError::Disconnected) => Err(failed(io::Error::other("the thread that waited for it ended"))),
    }
}

/// Takes the lock if it is free, or returns the file.
fn try_lock(path: &Path) -> io::Result<Result<File, File>> {
    let file = match regular(path, true) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            File::options().create(true).truncate(false).write(true).open(path)?
        }
        opened => opened?,
    };
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Ok(file)),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(Err(file)),
        Err(error) => Err(error.into()),
    }
}

fn cache(path: &Path, doing: &'static str, source: io::Error) -> GitError {
    GitError::Cache { path: path.to_owned(), doing, source }
}

/// Reads these commits and their ancestors, and writes those that are new.
fn append(
    repository: &Repository,
    targets: &[Oid],
    inner: &mut Inner,
    progress: &dyn Fn(IndexProgress),
) -> Result<(), GitError> {
    let from = inner.graph.len();
    let Inner { store, graph } = inner;
    let facts = walk(repository, targets, graph, &mut |oid| store.number(oid), progress)?;
    progress(IndexProgress::Writing { commits: facts.commits.len() as u64 });
    if graph.len() > from {
        store.append(facts, graph, from)?;
        *store = reopened(store.path())?;
    }
    Ok(())
}

/// Updates an index to the current refs.
fn update(
    repository: &Repository,
    tips: &[Tip],
    inner: &mut Inner,
    made: Made,
    progress: &dyn Fn(IndexProgress),
) -> Result<(), GitError> {
    let targets: Vec<Oid> = tips.iter().map(|tip| tip.target).collect();
    append(repository, &targets, inner, progress)?;
    inner.store.set_made(&Made { tags: tags(repository, tips, &inner.store)?, ..made })?;
    inner.store = reopened(inner.store.path())?;
    Ok(())
}

/// Builds the index in a draft, and renames it.
fn build(
    repository: &Repository,
    tips: &[Tip],
    path: &Path,
    made: Made,
    progress: &dyn Fn(IndexProgress),
) -> Result<Inner, GitError> {
    // A killed process leaves at most one draft, because of the lock.
    let draft = path.with_extension("draft");
    let _ = fs::remove_file(&draft);
    let mut graph = Graph::default();
    let targets: Vec<Oid> = tips.iter().map(|tip| tip.target).collect();
    let facts = walk(repository, &targets, &mut graph, &mut |_| Ok(None), progress)?;
    progress(IndexProgress::Writing { commits: facts.commits.len() as u64 });
    IndexFile::create(&draft, &facts, &graph, &made.shape)?;
    drop(facts);
    let store = reopened(&draft)?;
    store.set_made(&Made { tags: tags(repository, tips, &store)?, ..made })?;
    let moved = File::open(&draft).and_then(|file| file.sync_all()).and_then(|()| fs::rename(&draft, path));
    moved.map_err(|source| cache(path, "put in place", source))?;
    Ok(Inner { store: reopened(path)?, graph })
}

/// A file that was just written.
fn reopened(path: &Path) -> Result<IndexFile, GitError> {
    match IndexFile::open(path) {
        Opened::Sound(store) => Ok(*store),
        Opened::Damaged(damage) => Err(GitError::Index { path: path.to_owned(), what: damage.0 }),
        Opened::Missing | Opened::Other => {
            Err(GitError::Index { path: path.to_owned(), what: "it went away while it was written".to_owned() })
        }
    }
}

/// The tags and the commits that they name.
fn tags(repository: &Repository, tips: &[Tip], store: &IndexFile) -> Result<Vec<GitTag>, GitError> {
    let known: HashMap<(&str, u32), &GitTag> =
        store.tags().iter().map(|tag| ((tag.name.as_str(), tag.number), tag)).collect();
    let mut tags = Vec::new();
    for tip in tips {
        let Some(name) = tip.name.strip_prefix("refs/tags/") else { continue };
        let number = match store.number(tip.target)? {
            Some(number) => Some(number),
            // An annotated tag whose ref lacks the peeled commit.
            None => match repository.git().raw().find_object(tip.target, None).and_then(|tag| tag.peel_to_commit()) {
                Ok(commit) => store.number(commit.id())?,
                Err(_) => None,
            },
        };
        let Some(number) = number else { continue };
        if let Some(tag) = known.get(&(name, number)) {
            tags.push((*tag).clone());
        } else if let Some((sha, time)) = store.commit(number)? {
            let is_release = Oid::from_bytes(&sha).is_ok_and(|oid| repository.is_release(oid, name));
            tags.push(GitTag { name: name.to_owned(), number, time, is_release });
        }
    }
    Ok(tags)
}
