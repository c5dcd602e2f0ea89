//! Writes and reads the file of an index.
//!
//! ```text
//! header     where the manifest is, with its checksum; written in place, last of all
//! segment    what one update read: sorted tables, and a directory with the checksums of their blocks
//! …
//! manifest   which segments there are, what the refs were, and the tags; a new one with each update
//! ```
//!
//! Only the header is ever overwritten, so a reader sees the old state while another process appends. Every byte has a
//! checksum that is checked before use. A damaged file is removed when noticed, and rebuilt.

use std::fs::{self, File};
use std::io::{self, Seek as _, SeekFrom};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use git2::Oid;

use super::GitError;
use super::graph::Graph;
use super::index_format::{
    GitTag, HEADER, MAGIC, Made, Manifest, Named, SIZES, STAMP, TableName, decode_fact, decode_header, finish, header,
    key_of, number_of, write_segment,
};
use super::message::Abbreviation;
use super::table::{Blocks, Damage, Table};
use super::walk::{CommitFact, CommitFacts};

/// The longest manifest or directory to read, in bytes. Linux's have one megabyte.
const LONGEST: u64 = 256 << 20;

/// An update merges the last segments into its own if they have at most this many times as many commits. So the number
/// of segments grows only with the logarithm of the history.
const FACTOR: u64 = 4;

/// A file is rebuilt if its unused bytes exceed both its used bytes and this.
const SLACK: u64 = 16 << 20;

/// An open index file.
pub(super) struct IndexFile {
    path: PathBuf,
    blocks: Blocks,
    stamp: String,
    manifest: Manifest,
    segments: Vec<IndexSegment>,
}

struct IndexSegment {
    first: u32,
    end: u32,
    tables: Vec<Table>,
}

/// The result of opening the file.
pub(super) enum Opened {
    Missing,
    /// An index of another layout.
    Other,
    Damaged(Damage),
    Sound(Box<IndexFile>),
}

impl IndexFile {
    /// Creates a file of the first commits. Its refs are recorded later: see [`IndexFile::set_made`].
    pub fn create(path: &Path, facts: &CommitFacts, graph: &Graph, shape: &str) -> Result<(), GitError> {
        let write = || -> io::Result<()> {
            let mut file = File::options().write(true).create_new(true).open(path)?;
            let segments = vec![write_segment(&mut file, HEADER as u64, facts, graph, 0)?];
            finish(&mut file, &Manifest { made: Made { shape: shape.to_owned(), ..Made::default() }, segments })
        };
        write().map_err(|source| GitError::Cache { path: path.to_owned(), doing: "written", source })
    }

    /// Opens a file.
    pub fn open(path: &Path) -> Opened {
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Opened::Missing,
            Err(error) => return Opened::Damaged(Damage(error.to_string())),
            Ok(about) if !about.is_file() => return Opened::Damaged(Damage::new("it is not a regular file")),
            Ok(_) => {}
        }
        match Self::read(path) {
            Ok(Some(store)) => Opened::Sound(Box::new(store)),
            Ok(None) => Opened::Other,
            Err(damage) => Opened::Damaged(damage),
        }
    }

    fn read(path: &Path) -> Result<Option<Self>, Damage> {
        let file = regular(path, false).map_err(|error| Damage(error.to_string()))?;
        let length = file.metadata().map_err(|error| Damage(error.to_string()))?.len();
        let mut head = [0; HEADER];
        file.read_exact_at(&mut head, 0).map_err(|_| Damage::new("it is too short"))?;
        if head[..MAGIC.len()] != MAGIC && head.starts_with(&MAGIC[..MAGIC.len() - 2]) {
            return Ok(None);
        }
        let [at, len, expected] = decode_header(&head).ok_or_else(|| Damage::new("wrong checksum of the header"))?;
        let blocks = Blocks::new(file);
        let read = |at: u64, len: u64, expected: u64| {
            if at.checked_add(len).is_none_or(|end| end > length) || len > LONGEST {
                return Err(Damage::new("it is truncated"));
            }
            blocks.read(at, len as usize, expected)
        };
        let manifest = Manifest::decode(&read(at, len, expected)?).ok_or_else(|| Damage::new("no manifest"))?;
        let mut segments: Vec<IndexSegment> = Vec::new();
        for place in &manifest.segments {
            let directory = read(place.at, place.len, place.sum)?;
            let (words, _) = directory.as_chunks::<8>();
            let words: Vec<u64> = words.iter().copied().map(u64::from_le_bytes).collect();
            let mut rest = words.as_slice();
            let tables: Option<Vec<Table>> = SIZES.iter().map(|size| Table::decode(&mut rest, *size, length)).collect();
            let tables = tables.filter(|tables| {
                let follows = place.first == segments.last().map_or(0, |last| last.end);
                follows
                    && tables[TableName::Commits as usize].count() == u64::from(place.end.saturating_sub(place.first))
            });
            let tables = tables.ok_or_else(|| Damage::new("a directory that doesn't fit"))?;
            segments.push(IndexSegment { first: place.first, end: place.end, tables });
        }
        let stamp = &head[HEADER - 8 - STAMP..HEADER - 8];
        let stamp = String::from_utf8_lossy(stamp).trim_end_matches('\0').to_owned();
        Ok(Some(Self { path: path.to_owned(), blocks, stamp, manifest, segments }))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its sources.
    pub fn made(&self) -> &Made {
        &self.manifest.made
    }

    /// Whether the file has so much unused space that it should be rebuilt.
    pub fn is_bloated(&self) -> bool {
        let live: u64 = self.segments.iter().flat_map(|segment| &segment.tables).map(Table::len).sum();
        self.blocks.file().metadata().is_ok_and(|about| about.len() > 2 * live + SLACK)
    }

    /// Adds commits, the graph's from `from` on, all or nothing. The caller of this and of [`IndexFile::set_made`]
    /// holds the lock, and reopens the file afterwards.
    pub fn append(&self, mut facts: CommitFacts, graph: &Graph, from: u32) -> Result<(), GitError> {
        let mut segments = self.manifest.segments.clone();
        let mut first = from;
        while let Some(last) = segments.last()
            && u64::from(last.end - last.first) <= FACTOR * u64::from(graph.len() - first)
        {
            let earlier = &self.segments[segments.len() - 1];
            facts = self.sound(self.facts(earlier))?.followed_by(facts);
            first = last.first;
            segments.pop();
        }
        self.write(|file| {
            let end = file.seek(SeekFrom::End(0))?;
            if first < graph.len() {
                segments.push(write_segment(file, end, &facts, graph, first)?);
            }
            finish(file, &Manifest { made: self.made().clone(), segments })
        })
    }

    /// Records its current sources.
    pub fn set_made(&self, made: &Made) -> Result<(), GitError> {
        let manifest = Manifest { made: made.clone(), segments: self.manifest.segments.clone() };
        self.write(|file| finish(file, &manifest))
    }

    fn write(&self, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), GitError> {
        let written = regular(&self.path, true).and_then(|mut file| write(&mut file));
        written.map_err(|source| GitError::Cache { path: self.path.clone(), doing: "written", source })
    }

    /// The facts in a segment.
    fn facts(&self, segment: &IndexSegment) -> Result<CommitFacts, Damage> {
        let whole = |of: TableName| segment.tables[of as usize].whole(&self.blocks);
        let pairs = |of| -> Result<Vec<(u32, i64)>, Damage> {
            let bytes = whole(of)?;
            Ok(bytes.chunks_exact(12).map(|record| (number_of(record), key_of(record).cast_signed())).collect())
        };
        let mentions = whole(TableName::Mentions)?;
        let mentions: Option<Vec<_>> = mentions.chunks_exact(34).map(Named::decode).collect();
        let mentions = mentions.ok_or_else(|| Damage::new("a mention of an unknown kind"))?;
        Ok(CommitFacts {
            commits: whole(TableName::Commits)?.chunks_exact(36).filter_map(decode_fact).collect(),
            mentions: mentions.into_iter().map(|named| (named.number, named.kind, named.commit)).collect(),
            undone_subjects: pairs(TableName::Undone)?,
            quoted_subjects: pairs(TableName::Quoted)?,
            cuts: whole(TableName::Cuts)?.as_chunks().0.iter().copied().map(u32::from_le_bytes).collect(),
        })
    }

    /// The graph.
    pub fn graph(&self) -> Result<Graph, GitError> {
        let mut graph = Graph::default();
        for segment in &self.segments {
            let bytes = self.sound(segment.tables[TableName::Graph as usize].whole(&self.blocks))?;
            if graph.len() != segment.first || !graph.decode(&bytes) || graph.len() != segment.end {
                return Err(self.damaged(&Damage::new("a history that doesn't hold together")));
            }
        }
        Ok(graph)
    }

    /// The stamp of the refs' folders when the refs last matched this index.
    pub fn stamp(&self) -> Option<&str> {
        Some(self.stamp.as_str()).filter(|stamp| !stamp.is_empty())
    }

    /// Records the stamp. The caller holds the lock. If the write fails, the refs are read again next time.
    pub fn set_stamp(&self, stamp: &str) {
        let write = || -> io::Result<()> {
            let file = regular(&self.path, true)?;
            let mut head = [0; HEADER];
            file.read_exact_at(&mut head, 0)?;
            let mut ours = [0; HEADER];
            self.blocks.file().read_exact_at(&mut ours, 0)?;
            match decode_header(&head) {
                // Another process may have put another file there.
                Some(place) if head == ours => file.write_all_at(&header(place, stamp), 0),
                _ => Ok(()),
            }
        };
        let _ = write();
    }

    /// The number of a commit.
    pub fn number(&self, oid: Oid) -> Result<Option<u32>, GitError> {
        let mut sha = [0; 20];
        sha.copy_from_slice(oid.as_bytes());
        Ok(self.between(sha, sha)?.first().copied())
    }

    /// The commits that fit a name, two at most, because more than one is already ambiguous.
    pub fn starting(&self, name: Abbreviation) -> Result<Vec<u32>, GitError> {
        let (low, high) = name.range();
        self.between(low, high)
    }

    /// The commits whose names are in this inclusive range, two at most.
    fn between(&self, low: [u8; 20], high: [u8; 20]) -> Result<Vec<u32>, GitError> {
        let begin = |sha: [u8; 20]| sha.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
        let mut found = Vec::new();
        for at in self.numbers(TableName::Names, begin(low), begin(high))? {
            if found.len() < 2 && self.commit(at)?.is_some_and(|(sha, _)| (low..=high).contains(&sha)) {
                found.push(at);
            }
        }
        Ok(found)
    }

    /// A commit's name and commit time.
    pub fn commit(&self, number: u32) -> Result<Option<([u8; 20], i64)>, GitError> {
        Ok(self.fact(number)?.map(|fact| (fact.sha, fact.time)))
    }

    /// The hash of a commit's plain subject.
    pub fn subject(&self, number: u32) -> Result<Option<i64>, GitError> {
        Ok(self.fact(number)?.map(|fact| fact.subject))
    }

    fn fact(&self, number: u32) -> Result<Option<CommitFact>, GitError> {
        let Some(segment) = self.segments.iter().find(|segment| (segment.first..segment.end).contains(&number)) else {
            return Ok(None);
        };
        let record = segment.tables[TableName::Commits as usize].get(&self.blocks, u64::from(number - segment.first));
        Ok(self.sound(record)?.as_deref().and_then(decode_fact))
    }

    /// The commits with this plain subject.
    pub fn with_subject(&self, hash: i64) -> Result<Vec<u32>, GitError> {
        self.numbers(TableName::Subjects, hash.cast_unsigned(), hash.cast_unsigned())
    }

    /// The commits that mention reverting the one with this subject.
    pub fn undoing_subject(&self, hash: i64) -> Result<Vec<u32>, GitError> {
        self.numbers(TableName::Undone, hash.cast_unsigned(), hash.cast_unsigned())
    }

    /// The commits that quote this subject.
    pub fn quoting_subject(&self, hash: i64) -> Result<Vec<u32>, GitError> {
        self.numbers(TableName::Quoted, hash.cast_unsigned(), hash.cast_unsigned())
    }

    /// The commits that name a commit that may be this one.
    pub fn naming(&self, commit: Abbreviation) -> Result<Vec<Named>, GitError> {
        // A name of seven digits is stored as eight, with a trailing zero.
        let mut prefixes = vec![commit.prefix(), commit.prefix() & !0xf];
        prefixes.dedup();
        let mut found = Vec::new();
        for prefix in prefixes {
            let all = self.named(TableName::Mentions, prefix.into(), prefix.into())?;
            found.extend(all.into_iter().filter(|named| named.commit.agrees(commit)));
        }
        found.sort();
        Ok(found)
    }

    /// The commits that revert merges.
    pub fn reverting_merges(&self) -> Result<Vec<Named>, GitError> {
        let mut found = self.named(TableName::Merges, 0, u64::MAX)?;
        found.sort();
        Ok(found)
    }

    /// All tags.
    pub fn tags(&self) -> &[GitTag] {
        &self.manifest.made.tags
    }

    /// The commits with missing parents.
    pub fn cuts(&self) -> Result<Vec<u32>, GitError> {
        let mut found = Vec::new();
        for segment in &self.segments {
            let bytes = self.sound(segment.tables[TableName::Cuts as usize].whole(&self.blocks))?;
            found.extend(bytes.as_chunks().0.iter().copied().map(u32::from_le_bytes));
        }
        Ok(found)
    }

    /// The numbers under these keys, sorted.
    fn numbers(&self, of: TableName, low: u64, high: u64) -> Result<Vec<u32>, GitError> {
        let mut found = Vec::new();
        self.each(of, low, high, &mut |record| {
            found.push(number_of(record));
            true
        })?;
        found.sort_unstable();
        Ok(found)
    }

    fn named(&self, of: TableName, low: u64, high: u64) -> Result<Vec<Named>, GitError> {
        let mut found = Vec::new();
        self.each(of, low, high, &mut |record| {
            found.extend(Named::decode(record));
            true
        })?;
        Ok(found)
    }

    fn each(&self, of: TableName, low: u64, high: u64, each: &mut dyn FnMut(&[u8]) -> bool) -> Result<(), GitError> {
        for segment in &self.segments {
            self.sound(segment.tables[of as usize].in_range(&self.blocks, low, high, each))?;
        }
        Ok(())
    }

    fn sound<T>(&self, read: Result<T, Damage>) -> Result<T, GitError> {
        read.map_err(|damage| self.damaged(&damage))
    }

    /// Removes the file, so that the next question rebuilds it. Damage may be found in the middle of a question.
    fn damaged(&self, damage: &Damage) -> GitError {
        let inode = |about: io::Result<fs::Metadata>| about.ok().map(|about| (about.dev(), about.ino()));
        // Another process may have rebuilt it by now.
        if inode(fs::metadata(&self.path)) == inode(self.blocks.file().metadata()) {
            let _ = fs::remove_file(&self.path);
        }
        GitError::Index { path: self.path.clone(), what: damage.0.clone() }
    }
}

/// Opens only regular files, because opening a FIFO would block.
pub(super) fn regular(path: &Path, write: bool) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).write(write).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is not a regular file")) }
}
