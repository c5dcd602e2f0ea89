//! The index of a repository: built once, brought up to date when refs have moved, thrown away when damaged.
//!
//! One process at a time builds or appends, under a lock that ends with it. A first build goes to a draft that is
//! renamed when it is whole; an update is one transaction. So a kill at any moment leaves an index or none.

use std::cell::RefCell;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use git2::Oid;
use rustix::fs::{FlockOperation, flock};

use super::GitError;
use super::graph::Graph;
use super::repository::{Overlay, Repository, Tip, fingerprint};
use super::store::{Store, discard};
use super::walk::walk;

/// How long another process may hold the lock. Linux's whole history is read in less.
const PATIENCE: Duration = Duration::from_secs(10 * 60);

/// What indexing is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Another process indexes the same repository.
    Waiting,
    /// Commits are read: so many so far.
    Reading {
        /// The commits that were read.
        commits: u64,
    },
    /// So many new commits are written to the index.
    Writing {
        /// The new commits.
        commits: u64,
    },
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting => f.write_str("waiting for somebody else who reads it"),
            Self::Reading { commits } => write!(f, "reading the history: {commits} commits"),
            Self::Writing { commits } => write!(f, "writing the index: {commits} commits"),
        }
    }
}

/// The index of one repository, ready to be asked. Not for several threads at once; each opens its own.
pub struct Index {
    pub(super) repository: Repository,
    pub(super) overlay: Overlay,
    pub(super) inner: RefCell<Inner>,
    /// Who is told of what a question waits for.
    progress: Box<dyn Fn(Progress)>,
}

/// What a question may have to bring up to date: a revision that no ref leads to is read when it is asked for.
pub(super) struct Inner {
    pub store: Store,
    pub graph: Graph,
}

impl Repository {
    /// Opens the repository's index in this folder, after building it or bringing it up to date. The folder is made
    /// where it is missing; any number of repositories and processes may share it.
    ///
    /// # Errors
    /// Where the repository's commits cannot be read, or the folder not be written.
    pub fn index(&self, folder: &Path, progress: &dyn Fn(Progress)) -> Result<Index, GitError> {
        let opened = |repository, overlay, inner| {
            let (inner, progress) = (RefCell::new(inner), Box::new(|_| {}));
            Index { repository, overlay, inner, progress }
        };
        let again = Self::open(self.path())?;
        let overlay = self.overlay()?;
        let shape = overlay.fingerprint();
        let path = folder.join(format!("git-{}.sqlite", self.key()));
        // Looked at before the refs are read: what moves meanwhile is seen the next time.
        let stamp = self.refs_stamp();
        let mut kept = sound(&path, &shape)?;
        // Nothing moved: no lock, no reading of refs.
        if let Some((store, graph)) = kept.take_if(|(store, _)| stamp.is_some() && store.stamp() == stamp) {
            return Ok(opened(again, overlay, Inner { store, graph }));
        }
        let tips = self.tips()?;
        let refs = fingerprint(&tips);
        if let Some((store, graph)) = kept
            && store.meta("refs")?.as_deref() == Some(&refs)
        {
            store.set_stamp(stamp.as_deref());
            return Ok(opened(again, overlay, Inner { store, graph }));
        }
        fs::create_dir_all(folder).map_err(|source| cache(folder, "made", source))?;
        let _lock = lock(&path.with_extension("lock"), PATIENCE, progress)?;
        let meta = [("shape", shape.as_str()), ("refs", refs.as_str())];
        let inner = match sound(&path, &shape)? {
            Some((mut store, mut graph)) => {
                if store.meta("refs")?.as_deref() != Some(&refs) {
                    let targets: Vec<Oid> = tips.iter().map(|tip| tip.target).collect();
                    append(self, &overlay, &targets, &mut store, &mut graph, &meta, progress)?;
                    store.set_tags(&tags(self, &tips, &store)?)?;
                }
                Inner { store, graph }
            }
            None => build(self, &overlay, &tips, &path, &meta, progress)?,
        };
        inner.store.set_stamp(stamp.as_deref());
        Ok(opened(again, overlay, inner))
    }
}

impl Index {
    /// Tells this what a later question waits for: one about a revision that no ref leads to reads its commits first.
    pub fn telling(mut self, progress: impl Fn(Progress) + 'static) -> Self {
        self.progress = Box::new(progress);
        self
    }

    /// The number of a commit, which is read now where no ref led to it.
    pub(super) fn number(&self, oid: Oid) -> Result<u32, GitError> {
        let mut inner = self.inner.borrow_mut();
        let number = |inner: &Inner| inner.store.number(oid).map(|n| n.filter(|n| *n < inner.graph.len()));
        if let Some(number) = number(&inner)? {
            return Ok(number);
        }
        let _lock = lock(&inner.store.path().with_extension("lock"), PATIENCE, &*self.progress)?;
        // Another process may have appended since this one read the graph.
        let graph = inner.store.graph()?;
        let Inner { store, graph: ours } = &mut *inner;
        *ours = graph.ok_or_else(|| damaged(store.path()))?;
        append(&self.repository, &self.overlay, &[oid], store, ours, &[], &*self.progress)?;
        number(&inner)?.ok_or_else(|| self.repository.damaged(oid, "it could not be read"))
    }
}

fn damaged(path: &Path) -> GitError {
    discard(path);
    GitError::Index { path: path.to_owned(), what: "its parts do not fit together".to_owned() }
}

/// The index at this path, where it is whole and was made of a repository of this shape.
fn sound(path: &Path, shape: &str) -> Result<Option<(Store, Graph)>, GitError> {
    if !path.exists() {
        return Ok(None);
    }
    let Some(store) = Store::open(path)? else { return Ok(None) };
    if store.meta("shape")?.as_deref() != Some(shape) {
        return Ok(None);
    }
    Ok(store.graph()?.map(|graph| (store, graph)))
}

/// Takes the lock, or gives up after `patience`. It is held as long as the file is open.
pub(super) fn lock(path: &Path, patience: Duration, progress: &dyn Fn(Progress)) -> Result<File, GitError> {
    let failed = |source: io::Error| cache(path, "locked", source);
    let file = File::options().create(true).truncate(false).write(true).open(path).map_err(failed)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => return Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => progress(Progress::Waiting),
        Err(error) => return Err(failed(error.into())),
    }
    // flock(2) knows no deadline, so a thread waits. Where nobody listens any more, what it sends is dropped, and the
    // lock with it.
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

fn cache(path: &Path, doing: &'static str, source: io::Error) -> GitError {
    GitError::Cache { path: path.to_owned(), doing, source }
}

/// Reads and writes what is new.
fn append(
    repository: &Repository,
    overlay: &Overlay,
    targets: &[Oid],
    store: &mut Store,
    graph: &mut Graph,
    meta: &[(&str, &str)],
    progress: &dyn Fn(Progress),
) -> Result<(), GitError> {
    let from = graph.len();
    let facts = walk(repository, overlay, targets, graph, &mut |oid| store.number(oid), progress)?;
    progress(Progress::Writing { commits: facts.commits.len() as u64 });
    store.append(&facts, graph, from, meta)
}

/// Builds the index beside its place, and moves it there.
fn build(
    repository: &Repository,
    overlay: &Overlay,
    tips: &[Tip],
    path: &Path,
    meta: &[(&str, &str)],
    progress: &dyn Fn(Progress),
) -> Result<Inner, GitError> {
    // One draft at most is left by a killed process, for the lock is held.
    let draft = path.with_extension("draft");
    discard(&draft);
    let mut store = Store::create(&draft)?;
    let mut graph = Graph::default();
    let targets: Vec<Oid> = tips.iter().map(|tip| tip.target).collect();
    let facts = walk(repository, overlay, &targets, &mut graph, &mut |_| Ok(None), progress)?;
    progress(Progress::Writing { commits: facts.commits.len() as u64 });
    store.append(&facts, &graph, 0, meta)?;
    drop(facts);
    store.finish()?;
    let mut store = Store::open(&draft)?.ok_or_else(|| damaged(&draft))?;
    store.set_tags(&tags(repository, tips, &store)?)?;
    drop(store);
    let moved = File::open(&draft).and_then(|file| file.sync_all());
    // What stands there is damaged or of another shape; its journal must not be played into the new file.
    discard(path);
    moved.and_then(|()| fs::rename(&draft, path)).map_err(|source| cache(path, "put in place", source))?;
    let store = Store::open(path)?.ok_or_else(|| damaged(path))?;
    Ok(Inner { store, graph })
}

/// The tags and the commits that they name.
fn tags(repository: &Repository, tips: &[Tip], store: &Store) -> Result<Vec<(String, u32)>, GitError> {
    let mut tags = Vec::new();
    for tip in tips {
        let Some(name) = tip.name.strip_prefix("refs/tags/") else { continue };
        let number = match store.number(tip.target)? {
            Some(number) => Some(number),
            // An annotated tag whose ref does not say what it peels to.
            None => match repository.git().find_object(tip.target, None).and_then(|tag| tag.peel_to_commit()) {
                Ok(commit) => store.number(commit.id())?,
                Err(_) => None,
            },
        };
        tags.extend(number.map(|number| (name.to_owned(), number)));
    }
    Ok(tags)
}
