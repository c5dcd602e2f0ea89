use std::fs;
use std::path::Path;

use git2::Oid;

use super::GitError;
use super::graph::Graph;
use super::index_file::{IndexFile, Opened};
use super::index_format::{GitTag, Made};
use super::message::{Abbreviation, MentionKind};
use super::walk::{CommitFact, CommitFacts};

/// Pseudo-random numbers, the same each time (splitmix64).
fn mixed(n: u64) -> u64 {
    let n = (n ^ (n >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    n ^ (n >> 31)
}

fn sha(number: u32) -> [u8; 20] {
    let mut sha = [0; 20];
    for (at, part) in sha.chunks_mut(8).enumerate() {
        part.copy_from_slice(&mixed(u64::from(number) * 4 + at as u64 + 1).to_be_bytes()[..part.len()]);
    }
    sha
}

/// Made-up commits with these numbers. Each names the one before, and some share subjects.
fn facts(graph: &mut Graph, count: u32) -> CommitFacts {
    let mut facts = CommitFacts::default();
    for number in graph.len()..graph.len() + count {
        let parents = [number.checked_sub(1), number.checked_sub(7).filter(|_| number.is_multiple_of(5))];
        assert!(graph.push(&parents.into_iter().flatten().collect::<Vec<_>>()));
        facts.commits.push(CommitFact { sha: sha(number), time: i64::from(number), subject: subject(number) });
        let named = Abbreviation::whole(sha(number.saturating_sub(1)));
        let short = Abbreviation::parse(&named.to_hex().as_bytes()[..7]).unwrap();
        facts.mentions.push((number, MentionKind::Carries, named));
        facts.mentions.push((
            number,
            if number.is_multiple_of(9) { MentionKind::RevertsMerge } else { MentionKind::Fixes },
            short,
        ));
        facts.undone_subjects.extend((number.is_multiple_of(4)).then_some((number, subject(number / 2))));
        facts.quoted_subjects.extend((number.is_multiple_of(3)).then_some((number, subject(number / 3))));
        facts.cuts.extend((number.is_multiple_of(64)).then_some(number));
    }
    facts
}

fn subject(number: u32) -> i64 {
    mixed(u64::from(number / 3)).cast_signed()
}

/// The answers to all queries of a store, as text, in steps of `step`.
fn everything(store: &IndexFile, count: u32, step: usize) -> Result<String, GitError> {
    use std::fmt::Write as _;
    let mut said = String::new();
    let _ = write!(said, "{:?} {:?} {:?}", store.made(), store.cuts()?, store.reverting_merges()?);
    let graph = store.graph()?;
    for number in (0..count + 3).step_by(step) {
        let name = Abbreviation::whole(sha(number));
        let short = Abbreviation::parse(&name.to_hex().as_bytes()[..9]).unwrap();
        let subject = subject(number);
        let _ = write!(
            said,
            "\n{number} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {:?}",
            graph.parents(number),
            store.commit(number)?,
            store.subject(number)?,
            store.number(Oid::from_bytes(&sha(number)).unwrap())?,
            store.starting(name)?,
            store.starting(short)?,
            store.naming(name)?,
            store.with_subject(subject)?,
            store.undoing_subject(subject)?,
            store.quoting_subject(subject)?,
        );
    }
    Ok(said)
}

fn open(path: &Path) -> Result<IndexFile, String> {
    match IndexFile::open(path) {
        Opened::Sound(store) => Ok(*store),
        Opened::Missing => Err("missing".to_owned()),
        Opened::Other => Err("another layout".to_owned()),
        Opened::Damaged(damage) => Err(damage.0),
    }
}

/// Writes a store in several segments, by one build and these updates.
fn written(path: &Path, parts: &[u32]) -> u32 {
    let mut graph = Graph::default();
    let first = facts(&mut graph, parts[0]);
    IndexFile::create(path, &first, &graph, "shape").unwrap();
    for count in &parts[1..] {
        let from = graph.len();
        let more = facts(&mut graph, *count);
        open(path).unwrap().append(more, &graph, from).unwrap();
    }
    let tag =
        |number: u32| GitTag { name: format!("v{number}"), number, time: 1, is_release: number.is_multiple_of(2) };
    let made = Made {
        shape: "shape".to_owned(),
        refs: "refs".to_owned(),
        packs: "packs".to_owned(),
        tags: (0..9).map(tag).collect(),
    };
    open(path).unwrap().set_made(&made).unwrap();
    open(path).unwrap().set_stamp("stamp");
    graph.len()
}

#[test]
fn index_file_answers_the_same_for_any_segments() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, parts) = (dir.path().join("whole"), dir.path().join("parts"));
    let count = written(&whole, &[1500]);
    assert_eq!(written(&parts, &[1, 1200, 250, 40, 1, 1, 1, 5, 0, 1]), count);
    let said = everything(&open(&whole).unwrap(), count, 1).unwrap();
    assert_eq!(said, everything(&open(&parts).unwrap(), count, 1).unwrap());
    for (at, line) in said.lines().skip(1).take(count as usize).enumerate() {
        let number = at as u32;
        let group: Vec<u32> = (number / 3 * 3..number / 3 * 3 + 3).filter(|other| *other < count).collect();
        assert!(line.contains(&format!("Some(({:?}, {number}))", sha(number))), "{line}");
        assert!(
            line.contains(&format!("Some({number}) [{number}] [{number}]")) && line.contains(&format!("{group:?}"))
        );
    }
}

#[test]
fn flipped_bit_never_changes_an_answer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    for (parts, flips) in [(&[40, 9, 2][..], None), (&[4000, 900, 100][..], Some(1000))] {
        let count = written(&path, parts);
        let step = if flips.is_some() { 19 } else { 1 };
        let expected = everything(&open(&path).unwrap(), count, step).unwrap();
        let whole = fs::read(&path).unwrap();
        let bits = whole.len() as u64 * 8;
        let all: Vec<u64> = match flips {
            Some(flips) => (0..flips).map(|n| mixed(n) % bits).collect(),
            // Each byte of the small one.
            None => (0..bits).step_by(8).map(|bit| bit + bit / 8 % 8).collect(),
        };
        let mut unnoticed = 0;
        for bit in &all {
            let mut flipped = whole.clone();
            flipped[(bit / 8) as usize] ^= 1 << (bit % 8);
            fs::write(&path, &flipped).unwrap();
            let Ok(store) = open(&path) else { continue };
            match everything(&store, count, step) {
                Ok(said) => {
                    assert_eq!(said, expected, "bit {bit}");
                    unnoticed += 1;
                }
                Err(GitError::Index { .. }) => assert!(!path.exists(), "bit {bit}: the damaged file is left"),
                Err(error) => panic!("bit {bit}: {error}"),
            }
        }
        // Unread parts may have any content: superseded manifests, and segments merged into later ones.
        assert!(unnoticed < all.len() / 2, "{unnoticed} of {}", all.len());
        let _ = fs::remove_file(&path);
    }
}

#[test]
fn other_layout_is_distinguished_from_damage() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    assert_eq!(open(&path).map(|_| ()).unwrap_err(), "missing");
    written(&path, &[5]);
    let whole = fs::read(&path).unwrap();
    fs::write(&path, [b"backproof-git-99", &whole[16..]].concat()).unwrap();
    assert_eq!(open(&path).map(|_| ()).unwrap_err(), "another layout");
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        assert!(!matches!(IndexFile::open(&path), Opened::Sound(_) | Opened::Other), "cut to {length}");
    }
}
