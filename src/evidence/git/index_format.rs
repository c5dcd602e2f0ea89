//! Encodes the parts of an index's file.

use std::fs::File;
use std::io::{self, BufWriter, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;

use super::graph::Graph;
use super::message::{Abbreviation, MentionKind};
use super::table::{Table, sum};
use super::walk::{CommitFact, CommitFacts};

/// An index begins with this. The digits change with the layout and the message parser. A file with other digits is
/// rebuilt.
pub(super) const MAGIC: [u8; 16] = *b"backproof-git-09";

/// The length of the header: the magic, the manifest's offset, length and checksum, the stamp, and the header's
/// checksum.
pub(super) const HEADER: usize = 16 + 3 * 8 + STAMP + 8;

/// The longest stamp, in bytes.
pub(super) const STAMP: usize = 64;

/// The tables of a segment.
#[derive(Clone, Copy)]
pub(super) enum TableName {
    /// By number: name, time, hash of the subject.
    Commits,
    /// The first eight bytes of a name, and the number.
    Names,
    /// Hash of the subject, and the number.
    Subjects,
    /// The first eight digits of a mentioned commit, and the mention.
    Mentions,
    /// Hash of a subject, and the commits that mention reverting it.
    Undone,
    /// Hash of a subject, and the commits that quote it.
    Quoted,
    /// The mentions that revert merges.
    Merges,
    /// Numbers.
    Cuts,
    /// The output of [`Graph::encode`].
    Graph,
}

/// The record size in each table, in bytes.
pub(super) const SIZES: [usize; 9] = [36, 12, 12, 34, 12, 12, 34, 4, 4];

/// The sources of an index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Made {
    /// git's overlay on the objects ([`super::repository::Overlay::fingerprint`]).
    pub shape: String,
    /// The refs ([`super::repository::fingerprint`]).
    pub refs: String,
    /// The checked indexes of packs ([`super::packs::PackIndexes::stamp`]); empty if they must be checked again.
    pub packs: String,
    pub tags: Vec<GitTag>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Manifest {
    pub made: Made,
    pub segments: Vec<SegmentPlace>,
}

/// The position of a segment's directory, and its commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentPlace {
    pub first: u32,
    pub end: u32,
    pub at: u64,
    pub len: u64,
    pub sum: u64,
}

/// A commit that names another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Named {
    /// The mentioning commit.
    pub number: u32,
    /// The kind of mention.
    pub kind: MentionKind,
    /// The mentioned commit.
    pub commit: Abbreviation,
}

/// A tag that leads to a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct GitTag {
    pub name: String,
    pub number: u32,
    /// The commit time in seconds since 1970.
    pub time: i64,
    /// Whether it is kernel.org's tag of a release, which the commit's subject confirms.
    pub is_release: bool,
}

impl Named {
    pub fn encode(&self, bytes: &mut Vec<u8>) {
        bytes.extend(u64::from(self.commit.prefix()).to_le_bytes());
        bytes.extend(self.number.to_le_bytes());
        let (name, digits) = self.commit.parts();
        bytes.extend([self.kind as u8, digits]);
        bytes.extend(name);
    }

    pub fn decode(record: &[u8]) -> Option<Self> {
        let name = record.get(14..)?.first_chunk()?;
        let commit = Abbreviation::of_parts(*name, record[13])?;
        Some(Self { number: number_of(record), kind: MentionKind::from_number(record[12])?, commit })
    }
}

impl Manifest {
    pub fn encode(&self) -> Vec<u8> {
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

    pub fn decode(bytes: &[u8]) -> Option<Self> {
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

pub(super) fn word(rest: &mut &[u8]) -> Option<u64> {
    let (word, left) = rest.split_first_chunk()?;
    *rest = left;
    Some(u64::from_le_bytes(*word))
}

pub(super) fn text(rest: &mut &[u8]) -> Option<String> {
    let len = usize::try_from(word(rest)?).ok()?;
    let (text, left) = rest.split_at_checked(len)?;
    *rest = left;
    String::from_utf8(text.to_vec()).ok()
}

/// Writes a segment at the end of a file: the commits of `facts`, which are the graph's from `first` on.
pub(super) fn write_segment(
    file: &mut File,
    at: u64,
    facts: &CommitFacts,
    graph: &Graph,
    first: u32,
) -> io::Result<SegmentPlace> {
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
pub(super) fn records(of: usize, facts: &CommitFacts, graph: &Graph, first: u32) -> Vec<u8> {
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

/// Writes the manifest at the end of a file, and then the header that points to it.
pub(super) fn finish(file: &mut File, manifest: &Manifest) -> io::Result<()> {
    let at = file.seek(SeekFrom::End(0))?;
    let bytes = manifest.encode();
    file.write_all(&bytes)?;
    // The manifest must be on the disk before the header.
    file.sync_data()?;
    file.write_all_at(&header([at, bytes.len() as u64, sum(&bytes)], ""), 0)
}

/// The header: the manifest's offset, length and checksum.
pub(super) fn header(place: [u64; 3], stamp: &str) -> [u8; HEADER] {
    let mut head = [0; HEADER];
    head[..MAGIC.len()].copy_from_slice(&MAGIC);
    let words = place.iter().flat_map(|word| word.to_le_bytes());
    let stamp = stamp.bytes().chain(std::iter::repeat(0)).take(STAMP);
    head[MAGIC.len()..].iter_mut().zip(words.chain(stamp)).for_each(|(to, byte)| *to = byte);
    let total = sum(&head[..HEADER - 8]);
    head[HEADER - 8..].copy_from_slice(&total.to_le_bytes());
    head
}

pub(super) fn decode_header(head: &[u8; HEADER]) -> Option<[u64; 3]> {
    let (said, expected) = head.split_last_chunk()?;
    if !said.starts_with(&MAGIC) || sum(said) != u64::from_le_bytes(*expected) {
        return None;
    }
    let mut rest = &head[MAGIC.len()..];
    Some([word(&mut rest)?, word(&mut rest)?, word(&mut rest)?])
}

pub(super) fn decode_fact(record: &[u8]) -> Option<CommitFact> {
    let (sha, mut rest) = record.split_first_chunk()?;
    Some(CommitFact { sha: *sha, time: word(&mut rest)?.cast_signed(), subject: word(&mut rest)?.cast_signed() })
}

pub(super) fn key_of(record: &[u8]) -> u64 {
    record.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// The number that follows a record's key.
pub(super) fn number_of(record: &[u8]) -> u32 {
    record.get(8..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u32::from_le_bytes(*bytes))
}
