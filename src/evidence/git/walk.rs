//! Walks from tips to facts: reads each new commit once, and numbers it after its parents.

use std::collections::HashMap;

use git2::{ObjectType, Oid};

use super::commit::RawCommit;
use super::graph::Graph;
use super::message::{Abbreviation, MentionKind, cves, unclaimed};
use super::repository::Repository;
use super::subject::{plain_subject, quoted_subjects, subject_hash};
use super::subject_forms::{doubted_subjects, reverted_subjects};
use super::trailers::mentions;
use super::{GitError, IndexProgress};
use crate::repository::is_readable;

/// The repository is reopened after this many objects, because libgit2 caches up to 256 MiB.
const REOPEN: usize = 32 * 1024;
/// The number of commits between two progress reports.
const TOLD: usize = 8 * 1024;

/// The facts of one commit, except its parents.
#[derive(Clone, Copy, Debug)]
pub(super) struct CommitFact {
    pub sha: [u8; 20],
    /// The commit time in seconds since 1970.
    pub time: i64,
    /// The hash of its plain subject.
    pub subject: i64,
}

/// Commits that are new to the index, in the order of their numbers.
#[derive(Default)]
pub(super) struct CommitFacts {
    pub commits: Vec<CommitFact>,
    /// The commit's number, the kind of mention, and the mentioned commit.
    pub mentions: Vec<(u32, MentionKind, Abbreviation)>,
    /// The commit's number, and the hash of a subject that it mentions reverting.
    pub undone_subjects: Vec<(u32, i64)>,
    /// The commit's number, and the hash of a subject that it quotes, or of a CVE that it names.
    pub quoted_subjects: Vec<(u32, i64)>,
    /// Commits with parents that are missing or hidden by a graft.
    pub cuts: Vec<u32>,
}

impl CommitFacts {
    /// Appends others.
    pub fn followed_by(mut self, other: Self) -> Self {
        self.commits.extend(other.commits);
        self.mentions.extend(other.mentions);
        self.undone_subjects.extend(other.undone_subjects);
        self.quoted_subjects.extend(other.quoted_subjects);
        self.cuts.extend(other.cuts);
        self
    }
}

/// The commits of the first pass, in order of discovery.
#[derive(Default)]
struct Discovered {
    facts: Vec<CommitFact>,
    /// The position and number of a commit's parents in `parents`.
    places: Vec<(u32, u32)>,
    /// Numbers below `base` are already in the index. Higher ones are newly discovered.
    parents: Vec<u32>,
    mentions: Vec<(u32, MentionKind, Abbreviation)>,
    undone_subjects: Vec<(u32, i64)>,
    quoted_subjects: Vec<(u32, i64)>,
    cut: Vec<u32>,
    missing: Vec<u32>,
}

/// Reads the ancestors of `tips` that `known` does not have, and adds them to `graph`.
pub(super) fn walk(
    repository: &Repository,
    tips: &[Oid],
    graph: &mut Graph,
    known: &mut dyn FnMut(Oid) -> Result<Option<u32>, GitError>,
    progress: &dyn Fn(IndexProgress),
) -> Result<CommitFacts, GitError> {
    let (base, overlay) = (graph.len(), repository.overlay());
    let mut git = repository.again()?;
    let loose = repository.loose();
    let mut found = Discovered::default();
    let mut ids: HashMap<[u8; 20], u32> = HashMap::new();
    let mut open: Vec<u32> = Vec::new();
    let mut starts = Vec::new();

    for tip in tips {
        if !is_readable(&git, *tip) {
            return Err(repository.damaged(*tip, "it is truncated"));
        }
        // A tag may name a tree or a blob, such as v2.6.11-tree in linux.git.
        let Ok(object) = git.find_object(*tip, None) else { continue };
        let Ok(commit) = object.peel(ObjectType::Commit) else { continue };
        let id = discover(commit.id(), base, &mut found, &mut ids, &mut open, known)?;
        starts.push(id);
    }
    let mut read = 0usize;
    while let Some(id) = open.pop() {
        let here = (id - base) as usize;
        let Ok(oid) = Oid::from_bytes(&found.facts[here].sha) else { continue };
        read += 1;
        if read.is_multiple_of(REOPEN) {
            git = repository.again()?;
        }
        if read.is_multiple_of(TOLD) {
            progress(IndexProgress::Reading { commits: read as u64 });
        }
        let actual = overlay.actual(oid);
        if loose.contains(&actual.as_bytes()[0]) && !is_readable(&git, actual) {
            return Err(repository.damaged(oid, "it is truncated, or not compressed as git does"));
        }
        let odb = git.odb().map_err(|e| repository.unreadable(&e))?;
        let object = match odb.read(actual) {
            Ok(object) => object,
            Err(error) if error.code() == git2::ErrorCode::NotFound => {
                found.missing.push(id);
                continue;
            }
            Err(error) => return Err(repository.damaged(oid, error.message())),
        };
        let commit = (object.kind() == ObjectType::Commit).then(|| RawCommit::parse(object.data())).flatten();
        let commit = commit.ok_or_else(|| repository.damaged(oid, "it is not a commit"))?;
        let parents = overlay.parents(oid, &commit.parents);
        if parents.iter().filter(|parent| commit.parents.contains(parent)).count() < commit.parents.len() {
            found.cut.push(id);
        }
        let start = found.parents.len();
        let numbers: Vec<u32> = parents
            .into_iter()
            .map(|parent| discover(parent, base, &mut found, &mut ids, &mut open, known))
            .collect::<Result<_, _>>()?;
        if start + numbers.len() > Graph::MOST || found.facts.len() > Graph::MOST {
            return Err(repository.damaged(oid, "there are more than a thousand million commits"));
        }
        found.places[here] = (start as u32, numbers.len() as u32);
        found.parents.extend(numbers);
        found.facts[here].time = commit.time;
        let subject = plain_subject(commit.subject());
        found.facts[here].subject = subject_hash(&subject);
        let said = mentions(commit.message);
        let mut undone = reverted_subjects(&subject);
        // A merge's message repeats those of its commits.
        if commit.parents.len() < 2 {
            undone.extend(doubted_subjects(commit.message, &said));
            let named = unclaimed(commit.message, &said);
            found.mentions.extend(named.into_iter().map(|commit| (id, MentionKind::Names, commit)));
            let quoted = quoted_subjects(commit.message);
            let quoted = quoted.into_iter().chain(cves(commit.message));
            found.quoted_subjects.extend(quoted.map(|quoted| (id, subject_hash(&quoted))));
        }
        let hashes = undone.iter().map(|undone| (id, subject_hash(&plain_subject(undone.as_bytes()))));
        found.undone_subjects.extend(hashes);
        found.mentions.extend(said.into_iter().map(|m| (id, m.kind, m.commit)));
    }
    drop(ids);
    Ok(number(found, &starts, graph))
}

/// The number of a commit: from the index, or a new one for a commit to read.
fn discover(
    oid: Oid,
    base: u32,
    found: &mut Discovered,
    ids: &mut HashMap<[u8; 20], u32>,
    open: &mut Vec<u32>,
    known: &mut dyn FnMut(Oid) -> Result<Option<u32>, GitError>,
) -> Result<u32, GitError> {
    let mut sha = [0; 20];
    sha.copy_from_slice(oid.as_bytes());
    if let Some(id) = ids.get(&sha) {
        return Ok(*id);
    }
    if let Some(number) = known(oid)? {
        return Ok(number);
    }
    let id = base + found.facts.len() as u32;
    found.facts.push(CommitFact { sha, time: 0, subject: 0 });
    found.places.push((0, 0));
    ids.insert(sha, id);
    open.push(id);
    Ok(id)
}

/// Numbers the commits so that parents come first: depth first, the first parent's history before the others'. This
/// gives a line of commits neighbouring numbers, which keeps the index small.
fn number(mut found: Discovered, starts: &[u32], graph: &mut Graph) -> CommitFacts {
    let base = graph.len();
    for id in &found.missing {
        // It is removed as a parent, which truncates its children's history there.
        found.places[(id - base) as usize] = (0, 0);
    }
    let missing: std::collections::HashSet<u32> = found.missing.iter().copied().collect();
    const UNSEEN: u32 = u32::MAX;
    const OPEN: u32 = u32::MAX - 1;
    let mut final_numbers = vec![UNSEEN; found.facts.len()];
    let mut facts = CommitFacts::default();
    let mut cut: std::collections::HashSet<u32> = found.cut.iter().copied().collect();
    let mut stack: Vec<(u32, u32)> = Vec::new();
    let mut parents = Vec::new();
    for start in starts.iter().filter(|start| **start >= base) {
        stack.push((*start, 0));
        while let Some((id, next)) = stack.pop() {
            let here = (id - base) as usize;
            if missing.contains(&id) || (next == 0 && final_numbers[here] != UNSEEN) {
                continue;
            }
            final_numbers[here] = OPEN;
            let (at, count) = found.places[here];
            if next < count {
                stack.push((id, next + 1));
                let parent = found.parents[(at + next) as usize];
                if parent >= base && final_numbers[(parent - base) as usize] == UNSEEN {
                    stack.push((parent, 0));
                }
                continue;
            }
            parents.clear();
            for parent in &found.parents[at as usize..(at + count) as usize] {
                if *parent < base {
                    parents.push(*parent);
                } else if missing.contains(parent) {
                    cut.insert(id);
                } else {
                    parents.push(final_numbers[(*parent - base) as usize]);
                }
            }
            // Grafts can create a cycle: a parent that is still open is its own ancestor. The cycle is broken here.
            let number = graph.len();
            if parents.iter().any(|parent| *parent >= number) {
                cut.insert(id);
                parents.retain(|parent| *parent < number);
            }
            if !graph.push(&parents) {
                break;
            }
            final_numbers[here] = number;
            facts.commits.push(found.facts[here]);
            if cut.contains(&id) {
                facts.cuts.push(number);
            }
        }
    }
    let final_number = |id: u32| Some(final_numbers[(id - base) as usize]).filter(|number| *number < OPEN);
    facts.mentions =
        found.mentions.iter().filter_map(|(id, kind, commit)| Some((final_number(*id)?, *kind, *commit))).collect();
    let numbered = |subjects: &[(u32, i64)]| -> Vec<(u32, i64)> {
        subjects.iter().filter_map(|(id, hash)| Some((final_number(*id)?, *hash))).collect()
    };
    facts.undone_subjects = numbered(&found.undone_subjects);
    facts.quoted_subjects = numbered(&found.quoted_subjects);
    facts
}
