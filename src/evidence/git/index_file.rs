//! The file of an index: what it holds, and how it is written and read.
//!
//! ```text
//! header     where the manifest is, with its checksum; written in place, last of all
//! segment    what one update read: sorted tables, and a directory with the checksums of their blocks
//! …
//! manifest   which segments there are, what the refs were, and the tags; a new one with each update
//! ```
//!
//! Nothing but the header is ever overwritten, so whoever reads while another process appends sees what was there
//! before. Every byte is under a checksum that is checked before the byte is believed. A file that is damaged is removed
//! by whoever notices, and built anew.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use git2::Oid;

use super::GitError;
use super::graph::Graph;
use super::message::{Abbreviation, MentionKind};
use super::table::{Blocks, Damage, Table, sum};
use super::walk::{CommitFact, CommitFacts};

/// What an index begins with. The digits are the number of this layout, and of what messages are read for: a file with
/// another one is built anew.
const MAGIC: [u8; 16] = *b"backproof-git-09";
/// The length of the header: the magic, where the manifest is, its length and checksum, the stamp, the header's checksum.
const HEADER: usize = 16 + 3 * 8 + STAMP + 8;
/// The longest stamp, in bytes.
const STAMP: usize = 64;
/// The longest manifest or directory that is read, in bytes. Linux's have one megabyte.
const LONGEST: u64 = 256 << 20;
/// An update takes those of the last segments into its own that have at most so many times as many commits. So the
/// number of segments grows with the logarithm of the history only.
const FACTOR: u64 = 4;
/// How many bytes may be in no segment any more before the file is built anew, beside as many as are in one.
const SLACK: u64 = 16 << 20;

/// The tables of a segment.
#[derive(Clone, Copy)]
enum TableName {
    /// By number: name, time, hash of the subject.
    Commits,
    /// The first eight bytes of a name, and the number.
    Names,
    /// Hash of the subject, and the number.
    Subjects,
    /// The first eight digits that are named, and who names them how.
    Mentions,
    /// Hash of a subject, and who speaks of undoing it.
    Undone,
    /// Hash of a subject, and who quotes it.
    Quoted,
    /// Those of the mentions that revert merges.
    Merges,
    /// Numbers.
    Cuts,
    /// What [`Graph::encode`] gives.
    Graph,
}

/// Bytes of a record in each table.
const SIZES: [usize; 9] = [36, 12, 12, 34, 12, 12, 34, 4, 4];

/// An open index file.
pub(super) struct IndexFile {
    path: PathBuf,
    blocks: Blocks,
    stamp: String,
    manifest: Manifest,
    segments: Vec<IndexSegment>,
}

/// What an index was made of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Made {
    /// What git lays over the objects ([`super::repository::Overlay::fingerprint`]).
    pub shape: String,
    /// The refs ([`super::repository::fingerprint`]).
    pub refs: String,
    /// The indexes of packs that were checked ([`super::packs::PackIndexes::stamp`]); empty where they are to be checked
    /// again.
    pub packs: String,
    pub tags: Vec<GitTag>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Manifest {
    made: Made,
    segments: Vec<SegmentPlace>,
}

/// Where a segment's directory is, and which commits it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct SegmentPlace {
    first: u32,
    end: u32,
    at: u64,
    len: u64,
    sum: u64,
}

struct IndexSegment {
    first: u32,
    end: u32,
    tables: Vec<Table>,
}

/// A commit that names another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    /// The commit that says so.
    pub number: u32,
    /// How.
    pub kind: MentionKind,
    /// What it says.
    pub commit: Abbreviation,
}

/// A tag that leads to a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GitTag {
    pub name: String,
    pub number: u32,
    /// When its commit was committed, in seconds since 1970.
    pub time: i64,
    /// Whether it is kernel.org's tag of a release: the commit's subject says so too.
    pub is_release: bool,
}

/// What lies where an index should be.
pub(super) enum Opened {
    Missing,
    /// An index of another layout.
    Other,
    Damaged(Damage),
    Sound(Box<IndexFile>),
}

impl IndexFile {
    /// Makes a file of the first commits. It says of no refs yet that it was made of them: see [`IndexFile::set_made`].
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
            Ok(about) if !about.is_file() => return Opened::Damaged(Damage::new("it is no regular file")),
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
                return Err(Damage::new("it is cut short"));
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

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it was made of.
    pub fn made(&self) -> &Made {
        &self.manifest.made
    }

    /// Whether so much of the file is in no segment any more that it had better be built anew.
    pub fn is_bloated(&self) -> bool {
        let live: u64 = self.segments.iter().flat_map(|segment| &segment.tables).map(Table::len).sum();
        self.blocks.file().metadata().is_ok_and(|about| about.len() > 2 * live + SLACK)
    }

    /// Adds commits, the graph's from `from` on, all or nothing. Whoever calls it, or [`IndexFile::set_made`], holds the lock,
    /// and opens the file anew afterwards.
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

    /// Says what it is made of by now.
    pub fn set_made(&self, made: &Made) -> Result<(), GitError> {
        let manifest = Manifest { made: made.clone(), segments: self.manifest.segments.clone() };
        self.write(|file| finish(file, &manifest))
    }

    fn write(&self, write: impl FnOnce(&mut File) -> io::Result<()>) -> Result<(), GitError> {
        let written = regular(&self.path, true).and_then(|mut file| write(&mut file));
        written.map_err(|source| GitError::Cache { path: self.path.clone(), doing: "written", source })
    }

    /// What was written into a segment.
    fn facts(&self, segment: &IndexSegment) -> Result<CommitFacts, Damage> {
        let whole = |of: TableName| segment.tables[of as usize].whole(&self.blocks);
        let pairs = |of| -> Result<Vec<(u32, i64)>, Damage> {
            let bytes = whole(of)?;
            Ok(bytes.chunks_exact(12).map(|record| (number_of(record), key_of(record).cast_signed())).collect())
        };
        let mentions = whole(TableName::Mentions)?;
        let mentions: Option<Vec<_>> = mentions.chunks_exact(34).map(Named::decode).collect();
        let mentions = mentions.ok_or_else(|| Damage::new("a mention of no known kind"))?;
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

    /// What the folders of refs looked like when the refs were last found to be those of this index.
    pub fn stamp(&self) -> Option<&str> {
        Some(self.stamp.as_str()).filter(|stamp| !stamp.is_empty())
    }

    /// Notes that. Whoever calls it holds the lock. Where it can't be written, the refs are read again the next time.
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

    /// The commits whose names begin so, two at most: more than one is one too many.
    pub fn starting(&self, name: Abbreviation) -> Result<Vec<u32>, GitError> {
        let (low, high) = name.range();
        self.between(low, high)
    }

    /// The commits whose names are in this range, the ends included; two at most.
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

    /// A commit's name, and when it was committed.
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

    /// The commits that speak of undoing the one with this subject.
    pub fn undoing_subject(&self, hash: i64) -> Result<Vec<u32>, GitError> {
        self.numbers(TableName::Undone, hash.cast_unsigned(), hash.cast_unsigned())
    }

    /// The commits that quote this subject.
    pub fn quoting_subject(&self, hash: i64) -> Result<Vec<u32>, GitError> {
        self.numbers(TableName::Quoted, hash.cast_unsigned(), hash.cast_unsigned())
    }

    /// The commits that name a commit that may be this one.
    pub fn naming(&self, commit: Abbreviation) -> Result<Vec<Named>, GitError> {
        // A name of seven digits lies under eight, the last of them a zero.
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

    /// The commits whose parents are not all here.
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

    /// Removes the file. Damage is met in the middle of a question too: without the file, the next one starts from the
    /// repository.
    fn damaged(&self, damage: &Damage) -> GitError {
        let inode = |about: io::Result<fs::Metadata>| about.ok().map(|about| (about.dev(), about.ino()));
        // Another process may have built it anew by now.
        if inode(fs::metadata(&self.path)) == inode(self.blocks.file().metadata()) {
            let _ = fs::remove_file(&self.path);
        }
        GitError::Index { path: self.path.clone(), what: damage.0.clone() }
    }
}

impl Named {
    fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend(u64::from(self.commit.prefix()).to_le_bytes());
        bytes.extend(self.number.to_le_bytes());
        let (name, digits) = self.commit.parts();
        bytes.extend([self.kind as u8, digits]);
        bytes.extend(name);
    }

    fn decode(record: &[u8]) -> Option<Self> {
        let name = record.get(14..)?.first_chunk()?;
        let commit = Abbreviation::of_parts(*name, record[13])?;
        Some(Self { number: number_of(record), kind: MentionKind::from_number(record[12])?, commit })
    }
}

impl Manifest {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let text = |bytes: &mut Vec<u8>, text: &str| {
            bytes.extend((text.len() as u64).to_le_bytes());
            bytes.extend(text.as_bytes());
        };
        text(&mut bytes, &self.made.shape);
        text(&mut bytes, &self.made.refs);
        text(&mut bytes, &self.made.packs);
        bytes.extend((self.segments.len() as u64).to_le_bytes());
        for place in &self.segments {
            let words = [place.first.into(), place.end.into(), place.at, place.len, place.sum];
            bytes.extend(words.iter().flat_map(|word: &u64| word.to_le_bytes()));
        }
        bytes.extend((self.made.tags.len() as u64).to_le_bytes());
        for tag in &self.made.tags {
            text(&mut bytes, &tag.name);
            let words = [tag.number.into(), tag.time.cast_unsigned(), tag.is_release.into()];
            bytes.extend(words.iter().flat_map(|word: &u64| word.to_le_bytes()));
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let mut made =
            Made { shape: text(&mut rest)?, refs: text(&mut rest)?, packs: text(&mut rest)?, tags: Vec::new() };
        let mut segments = Vec::new();
        for _ in 0..word(&mut rest)? {
            let mut number = || u32::try_from(word(&mut rest)?).ok();
            let (first, end) = (number()?, number()?);
            segments.push(SegmentPlace {
                first,
                end,
                at: word(&mut rest)?,
                len: word(&mut rest)?,
                sum: word(&mut rest)?,
            });
        }
        for _ in 0..word(&mut rest)? {
            let name = text(&mut rest)?;
            let number = u32::try_from(word(&mut rest)?).ok()?;
            let (time, is_release) = (word(&mut rest)?.cast_signed(), word(&mut rest)? != 0);
            made.tags.push(GitTag { name, number, time, is_release });
        }
        Some(Self { made, segments })
    }
}

fn word(rest: &mut &[u8]) -> Option<u64> {
    let (word, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(u64::from_le_bytes(*word))
}

fn text(rest: &mut &[u8]) -> Option<String> {
    let len = usize::try_from(word(rest)?).ok()?;
    let (text, left) = rest.split_at_checked(len)?;
    *rest = left;
    String::from_utf8(text.to_vec()).ok()
}

/// Writes a segment at the end of a file: the commits of `facts`, which are the graph's from `first` on.
fn write_segment(file: &mut File, at: u64, facts: &CommitFacts, graph: &Graph, first: u32) -> io::Result<SegmentPlace> {
    file.seek(SeekFrom::Start(at))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let (mut tables, mut end) = (Vec::new(), at);
    for (of, size) in SIZES.into_iter().enumerate() {
        let bytes = records(of, facts, graph, first);
        tables.push(Table::of(end, size, &bytes));
        out.write_all(&bytes)?;
        end += bytes.len() as u64;
    }
    let mut words = Vec::new();
    tables.iter().for_each(|table| table.encode(&mut words));
    let directory: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
    out.write_all(&directory)?;
    out.flush()?;
    Ok(SegmentPlace { first, end: graph.len(), at: end, len: directory.len() as u64, sum: sum(&directory) })
}

/// The records of a table, sorted.
fn records(of: usize, facts: &CommitFacts, graph: &Graph, first: u32) -> Vec<u8> {
    let by_key = |mut pairs: Vec<(u64, u32)>| -> Vec<u8> {
        pairs.sort_unstable();
        let mut bytes = Vec::with_capacity(pairs.len() * 12);
        for (key, number) in pairs {
            bytes.extend(key.to_le_bytes());
            bytes.extend(number.to_le_bytes());
        }
        bytes
    };
    let commits = || (first..).zip(&facts.commits);
    let subjects = |subjects: &[(u32, i64)]| {
        by_key(subjects.iter().map(|(number, hash)| (hash.cast_unsigned(), *number)).collect())
    };
    let mentions = |is_wanted: &dyn Fn(MentionKind) -> bool| {
        let all = facts.mentions.iter().filter(|(_, kind, _)| is_wanted(*kind));
        let mut all: Vec<Named> =
            all.map(|(number, kind, commit)| Named { number: *number, kind: *kind, commit: *commit }).collect();
        all.sort_unstable_by_key(|named| (named.commit.prefix(), *named));
        let mut bytes = Vec::with_capacity(all.len() * 34);
        all.iter().for_each(|named| named.encode(&mut bytes));
        bytes
    };
    const TABLES: [TableName; 9] = [
        TableName::Commits,
        TableName::Names,
        TableName::Subjects,
        TableName::Mentions,
        TableName::Undone,
        TableName::Quoted,
        TableName::Merges,
        TableName::Cuts,
        TableName::Graph,
    ];
    match TABLES[of] {
        TableName::Commits => {
            let mut bytes = Vec::with_capacity(facts.commits.len() * 36);
            for CommitFact { sha, time, subject } in &facts.commits {
                bytes.extend(sha);
                bytes.extend(time.to_le_bytes());
                bytes.extend(subject.to_le_bytes());
            }
            bytes
        }
        TableName::Names => {
            let begin = |sha: &[u8; 20]| sha.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
            by_key(commits().map(|(number, fact)| (begin(&fact.sha), number)).collect())
        }
        TableName::Subjects => by_key(commits().map(|(number, fact)| (fact.subject.cast_unsigned(), number)).collect()),
        TableName::Mentions => mentions(&|_| true),
        TableName::Undone => subjects(&facts.undone_subjects),
        TableName::Quoted => subjects(&facts.quoted_subjects),
        TableName::Merges => mentions(&|kind| kind == MentionKind::RevertsMerge),
        TableName::Cuts => facts.cuts.iter().flat_map(|number| number.to_le_bytes()).collect(),
        TableName::Graph => graph.encode(first, graph.len()),
    }
}

/// Writes the manifest at the end of a file, and then the header that leads to it.
fn finish(file: &mut File, manifest: &Manifest) -> io::Result<()> {
    let at = file.seek(SeekFrom::End(0))?;
    let bytes = manifest.encode();
    file.write_all(&bytes)?;
    // What the header leads to is on the disk before the header is.
    file.sync_data()?;
    file.write_all_at(&header([at, bytes.len() as u64, sum(&bytes)], ""), 0)
}

/// The header: where the manifest is, its length and checksum.
fn header(place: [u64; 3], stamp: &str) -> [u8; HEADER] {
    let mut head = [0; HEADER];
    head[..MAGIC.len()].copy_from_slice(&MAGIC);
    let words = place.iter().flat_map(|word| word.to_le_bytes());
    let stamp = stamp.bytes().chain(std::iter::repeat(0)).take(STAMP);
    head[MAGIC.len()..].iter_mut().zip(words.chain(stamp)).for_each(|(to, byte)| *to = byte);
    let total = sum(&head[..HEADER - 8]);
    head[HEADER - 8..].copy_from_slice(&total.to_le_bytes());
    head
}

fn decode_header(head: &[u8; HEADER]) -> Option<[u64; 3]> {
    let (said, expected) = head.split_last_chunk()?;
    if !said.starts_with(&MAGIC) || sum(said) != u64::from_le_bytes(*expected) {
        return None;
    }
    let mut rest = &head[MAGIC.len()..];
    Some([word(&mut rest)?, word(&mut rest)?, word(&mut rest)?])
}

fn decode_fact(record: &[u8]) -> Option<CommitFact> {
    let (sha, mut rest) = record.split_first_chunk()?;
    Some(CommitFact { sha: *sha, time: word(&mut rest)?.cast_signed(), subject: word(&mut rest)?.cast_signed() })
}

fn key_of(record: &[u8]) -> u64 {
    record.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// The number that follows a record's key.
fn number_of(record: &[u8]) -> u32 {
    record.get(8..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}

/// Opens a regular file, and nothing else: a FIFO would never come back.
pub(super) fn regular(path: &Path, write: bool) -> io::Result<File> {
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = File::options().read(true).write(write).custom_flags(flags).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("it is no regular file")) }
}
