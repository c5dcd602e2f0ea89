//! The objects of a repository as git shows them: with replacements, grafts and the end of a shallow clone. Objects are
//! cached, because the next dossier needs the same ones.

use std::cell::{OnceCell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use git2::{ObjectType, Oid};

use super::commit::RawCommit;
use super::line_pairs::LinePairs;
use super::line_words::CodeWords;
use super::repository::Overlay;
use crate::repository::is_readable;

/// The size of each cache in bytes. A full cache is cleared.
const KEPT: usize = 64 << 20;
/// The largest tree or file to read, in bytes. The kernel's largest C files have some 1 MiB.
pub(super) const LARGEST: usize = 32 << 20;

/// The objects of a repository.
pub(super) struct Objects {
    git: git2::Repository,
    overlay: Overlay,
    commits: RefCell<ObjectCache<Rc<CommitObject>>>,
    trees: RefCell<ObjectCache<Rc<[u8]>>>,
    files: RefCell<ObjectCache<Rc<FileText>>>,
}

/// A commit as git shows it.
pub(super) struct CommitObject {
    pub tree: Oid,
    /// Its parents, after grafts and shallow ends.
    pub parents: Vec<Oid>,
    /// The parents that the object itself names.
    pub named_parents: Vec<Oid>,
    /// In any encoding.
    pub message: Vec<u8>,
}

/// A file's text.
#[derive(Default)]
pub(super) struct FileText {
    pub text: Vec<u8>,
    lines: OnceCell<HashSet<Vec<u8>>>,
    words: OnceCell<CodeWords>,
    pairs: OnceCell<LinePairs>,
}

/// The entry at a path of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TreeEntry {
    File(Oid),
    Folder(Oid),
    /// A submodule's commit.
    Module(Oid),
    Nothing,
    /// The repository lacks a folder of the path.
    Lacking,
}

impl TreeEntry {
    pub fn id(self) -> Option<Oid> {
        match self {
            Self::File(id) | Self::Folder(id) | Self::Module(id) => Some(id),
            Self::Nothing | Self::Lacking => None,
        }
    }
}

impl FileText {
    /// The result of `of` for the text, computed once.
    pub fn lines(&self, of: impl FnOnce(&[u8]) -> HashSet<Vec<u8>>) -> &HashSet<Vec<u8>> {
        self.lines.get_or_init(|| of(&self.text))
    }

    /// Its identifiers, computed once.
    pub fn words(&self) -> &CodeWords {
        self.words.get_or_init(|| CodeWords::of(&self.text))
    }

    /// Its lines with their neighbours, computed once.
    pub fn pairs(&self) -> &LinePairs {
        self.pairs.get_or_init(|| LinePairs::of(&self.text))
    }
}

impl Objects {
    pub fn new(git: git2::Repository, overlay: Overlay) -> Self {
        let (commits, trees, files) = Default::default();
        Self { git, overlay, commits, trees, files }
    }

    /// libgit2's repository, without the overlay.
    pub fn raw(&self) -> &git2::Repository {
        &self.git
    }

    pub fn overlay(&self) -> &Overlay {
        &self.overlay
    }

    /// A commit. None if it is missing, unreadable, or not a commit.
    pub fn commit(&self, oid: Oid) -> Option<Rc<CommitObject>> {
        if let Some(commit) = self.commits.borrow().get(oid) {
            return Some(commit);
        }
        let bytes = self.read(self.overlay.actual(oid), ObjectType::Commit)?;
        let raw = RawCommit::parse(&bytes)?;
        let commit = Rc::new(CommitObject {
            tree: raw.tree,
            parents: self.overlay.parents(oid, &raw.parents),
            message: raw.message.to_vec(),
            named_parents: raw.parents,
        });
        self.commits.borrow_mut().keep(oid, Rc::clone(&commit), commit.message.len());
        Some(commit)
    }

    /// A commit's first parent, if the repository has it.
    pub fn first_parent(&self, oid: Oid) -> Option<Rc<CommitObject>> {
        self.commit(*self.commit(oid)?.parents.first()?)
    }

    /// The entry at this path of a tree.
    pub fn entry(&self, tree: Oid, path: &str) -> TreeEntry {
        let mut at = TreeEntry::Folder(tree);
        for name in path.split('/') {
            let TreeEntry::Folder(folder) = at else { return TreeEntry::Nothing };
            let Some(bytes) = self.tree(folder) else { return TreeEntry::Lacking };
            at = entries(&bytes)
                .find(|entry| entry.name == name.as_bytes())
                .map_or(TreeEntry::Nothing, |entry| entry.is);
        }
        at
    }

    /// The names in a folder, except those that are not UTF-8. None if the repository lacks it.
    pub fn names(&self, tree: Oid, folder: &str) -> Option<Vec<(String, TreeEntry)>> {
        let folder = if folder.is_empty() { TreeEntry::Folder(tree) } else { self.entry(tree, folder) };
        let bytes = match folder {
            TreeEntry::Folder(id) => self.tree(id)?,
            TreeEntry::File(_) | TreeEntry::Module(_) | TreeEntry::Nothing => return Some(Vec::new()),
            TreeEntry::Lacking => return None,
        };
        let name = |entry: NamedEntry| Some((std::str::from_utf8(entry.name).ok()?.to_owned(), entry.is));
        Some(entries(&bytes).filter_map(name).collect())
    }

    /// A file. None if the repository lacks it, or it is too large.
    pub fn file(&self, id: Oid) -> Option<Rc<FileText>> {
        if let Some(file) = self.files.borrow().get(id) {
            return Some(file);
        }
        let text = self.read(self.overlay.actual(id), ObjectType::Blob)?;
        let file = Rc::new(FileText { text, ..FileText::default() });
        // The cached lines and words may be as long as the text, and the pairs several times that.
        self.files.borrow_mut().keep(id, Rc::clone(&file), 12 * file.text.len());
        Some(file)
    }

    fn tree(&self, id: Oid) -> Option<Rc<[u8]>> {
        if let Some(tree) = self.trees.borrow().get(id) {
            return Some(tree);
        }
        let bytes: Rc<[u8]> = self.read(self.overlay.actual(id), ObjectType::Tree)?.into();
        self.trees.borrow_mut().keep(id, Rc::clone(&bytes), bytes.len());
        Some(bytes)
    }

    fn read(&self, id: Oid, wanted: ObjectType) -> Option<Vec<u8>> {
        if !is_readable(&self.git, id) {
            return None;
        }
        let odb = self.git.odb().ok()?;
        // git2 panics on unknown object kinds, which a damaged pack may have.
        let look = std::panic::AssertUnwindSafe(|| {
            let (size, kind) = odb.read_header(id).ok()?;
            let is_it = kind == wanted && size <= LARGEST;
            is_it.then(|| odb.read(id).ok().map(|object| object.data().to_vec())).flatten()
        });
        std::panic::catch_unwind(look).ok().flatten()
    }
}

/// Cached objects, by name.
struct ObjectCache<T> {
    bytes: usize,
    all: HashMap<Oid, T>,
}

impl<T> Default for ObjectCache<T> {
    fn default() -> Self {
        Self { bytes: 0, all: HashMap::new() }
    }
}

impl<T: Clone> ObjectCache<T> {
    fn get(&self, id: Oid) -> Option<T> {
        self.all.get(&id).cloned()
    }

    fn keep(&mut self, id: Oid, object: T, bytes: usize) {
        // The overhead of a cache entry.
        let bytes = bytes + 128;
        if self.bytes + bytes > KEPT {
            *self = Self::default();
        }
        self.bytes += bytes;
        self.all.insert(id, object);
    }
}

/// An entry of a tree object.
struct NamedEntry<'a> {
    name: &'a [u8],
    is: TreeEntry,
}

/// The entries of a tree object: `100644 name`, a zero byte, and a 20-byte object name (gitformat-pack(5), git's
/// tree.c).
fn entries(bytes: &[u8]) -> impl Iterator<Item = NamedEntry<'_>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let end = rest.iter().position(|byte| *byte == 0)?;
        let (head, tail) = rest.split_at(end);
        let (id, after) = tail.get(1..)?.split_first_chunk::<20>()?;
        let space = head.iter().position(|byte| *byte == b' ')?;
        let (mode, name) = (&head[..space], &head[space + 1..]);
        rest = after;
        let id = Oid::from_bytes(id).ok()?;
        let is = match mode {
            b"40000" | b"040000" => TreeEntry::Folder(id),
            b"160000" => TreeEntry::Module(id),
            // Links are files that contain their target.
            _ => TreeEntry::File(id),
        };
        Some(NamedEntry { name, is })
    })
}
