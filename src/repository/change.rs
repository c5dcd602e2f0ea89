//! Takes commits out of a revision, or puts them in, in memory: nothing is written to the repository.

use std::path::Path;

use git2::{Commit, DiffOptions, Index, Oid, Patch, Signature, Sort, Time, Tree};

use super::{RepositoryError, RepositoryPlace, resolve};

/// The most commits of one change.
pub const MOST_COMMITS: usize = 1000;

/// A change of a revision: commits that it has, or could have, and what the files are with the first of them, with the
/// first two, and so on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevisionChange {
    /// The revision's commit.
    pub at: String,
    /// The commits, the oldest first.
    pub commits: Vec<ChangeCommit>,
    /// Whether the revision has them, so that the versions without them are made.
    pub is_in: bool,
    /// For each number of commits from none to all: the patch that makes it of the revision. It is empty for the revision
    /// itself.
    pub versions: Vec<Vec<u8>>,
    /// Merges in the range, which were left out: their commits are in the range themselves.
    pub merges: usize,
}

/// A commit of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeCommit {
    /// Its name.
    pub id: String,
    /// The first line of its message.
    pub subject: String,
}

/// Why a change cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The repository, or a revision of it, cannot be read.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The revision's files don't fit the commit.
    #[error(
        "{commit} {} {at}: {}; name its backport, or give the change as a patch (--patch)",
        if *.reverse { "cannot be taken out of" } else { "doesn't apply to" }, list(.conflicts)
    )]
    Conflict {
        /// The commit.
        commit: String,
        /// The revision.
        at: String,
        /// Whether it was to be taken out.
        reverse: bool,
        /// The files and places.
        conflicts: Vec<String>,
    },
    /// The range has no commits.
    #[error("{range} has no commits: expected an older revision, `..`, and one of its descendants")]
    Empty {
        /// The range.
        range: String,
    },
    /// The range has too many.
    #[error("{range} has more than {MOST_COMMITS} commits: `prove --between` finds the one that matters")]
    TooMany {
        /// The range.
        range: String,
    },
    /// The end of the range is no descendant of its beginning.
    #[error("{range}: {from} is not in the history of {to}{}; expected an older revision first", if *.shallow { " as far as this shallow clone has it (`git fetch --unshallow`)" } else { "" })]
    Unrelated {
        /// The range.
        range: String,
        /// Its beginning.
        from: String,
        /// Its end.
        to: String,
        /// Whether the repository is shallow.
        shallow: bool,
    },
    /// The revision has only a part of the commits.
    #[error("{at} has a part of {what}: name the rest of it, or a revision with all or none of it")]
    Part {
        /// The commits.
        what: String,
        /// The revision.
        at: String,
    },
    /// The parent of a commit is not there.
    #[error(
        "{commit} has no parent in {path}, so there is nothing without it; `git fetch --unshallow` brings the parent to a shallow clone"
    )]
    NoParent {
        /// The repository.
        path: String,
        /// The commit.
        commit: String,
    },
    /// The commits change no file of the revision.
    #[error("{what} changes no file of {at}")]
    Nothing {
        /// The commits.
        what: String,
        /// The revision.
        at: String,
    },
}

impl ChangeError {
    /// Whether another command line would help.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Repository(error) => error.is_usage(),
            _ => true,
        }
    }
}

impl RevisionChange {
    /// The change by `commits` (a commit, or a range `A..B`) at the revision `at`; without that, at the end of the commits.
    ///
    /// # Errors
    /// See [`ChangeError`].
    pub fn of(path: &Path, at: Option<&str>, commits: &str) -> Result<Self, ChangeError> {
        let place = RepositoryPlace::find(path)?;
        place.pack_indexes().check()?;
        let git = place.open()?;
        let odb = git.odb().map_err(|error| place.unreadable(&error))?;
        // Merged files and commits of the versions stay in memory.
        let _memory = odb.add_new_mempack_backend(i32::MAX).map_err(|error| place.unreadable(&error))?;
        let changer = Changer { git: &git, place: &place };
        let ChangeCommits { ids, end: last, merges } = changer.commits(commits)?;
        if ids.is_empty() {
            return Err(ChangeError::Empty { range: commits.to_owned() });
        }
        let (at, name) = match at {
            Some(revision) => (resolve(&git, &place, revision)?, revision.to_owned()),
            None => (last, short(last)),
        };
        let has = |commit: Oid| {
            let is_below =
                commit == at || git.graph_descendant_of(at, commit).map_err(|error| changer.failed(&error))?;
            Ok::<bool, ChangeError>(is_below)
        };
        let is_ancestor = has(last)?;
        if let Some(first) = ids.first()
            && !is_ancestor
            && has(*first)?
        {
            return Err(ChangeError::Part { what: commits.to_owned(), at: name });
        }
        // A backport brings a commit in that is no ancestor; a revert takes one out that is.
        let mut is_in = is_ancestor;
        let mut versions = changer.versions(at, &name, &ids, is_in)?;
        let is_nothing = |versions: &[Vec<u8>], is_in: bool| {
            let other = if is_in { versions.first() } else { versions.last() };
            other.is_none_or(Vec::is_empty)
        };
        if is_nothing(&versions, is_in) {
            is_in = !is_in;
            versions = changer.versions(at, &name, &ids, is_in)?;
        }
        if is_nothing(&versions, is_in) {
            return Err(ChangeError::Nothing { what: commits.to_owned(), at: name });
        }
        let described = ids.iter().map(|id| changer.describe(*id)).collect::<Result<_, _>>()?;
        Ok(Self { at: at.to_string(), commits: described, is_in, versions, merges })
    }
}

/// The commits that a change names.
struct ChangeCommits {
    /// Those that change something, the oldest first.
    ids: Vec<Oid>,
    /// The newest, which may be a merge.
    end: Oid,
    /// How many merges were left out.
    merges: usize,
}

struct Changer<'g> {
    git: &'g git2::Repository,
    place: &'g RepositoryPlace,
}

impl<'g> Changer<'g> {
    fn commits(&self, named: &str) -> Result<ChangeCommits, ChangeError> {
        let Some((from, to)) = named.split_once("..") else {
            let end = resolve(self.git, self.place, named)?;
            return Ok(ChangeCommits { ids: vec![end], end, merges: 0 });
        };
        let range = || named.to_owned();
        // As in git, an end that is left out is HEAD.
        let (from, to) = (if from.is_empty() { "HEAD" } else { from }, if to.is_empty() { "HEAD" } else { to });
        let (from_id, to_id) = (resolve(self.git, self.place, from)?, resolve(self.git, self.place, to)?);
        if from_id == to_id {
            return Err(ChangeError::Empty { range: range() });
        }
        if !self.git.graph_descendant_of(to_id, from_id).map_err(|error| self.failed(&error))? {
            let (from, to, shallow) = (from.to_owned(), to.to_owned(), self.git.is_shallow());
            return Err(ChangeError::Unrelated { range: range(), from, to, shallow });
        }
        let walk = || {
            let mut walk = self.git.revwalk()?;
            walk.set_sorting(Sort::TOPOLOGICAL | Sort::REVERSE)?;
            walk.push(to_id)?;
            walk.hide(from_id)?;
            Ok(walk)
        };
        let (mut ids, mut merges) = (Vec::new(), 0);
        for id in walk().map_err(|error| self.failed(&error))? {
            let id = id.map_err(|error| self.failed(&error))?;
            match self.commit(id)?.parent_count() > 1 {
                true => merges += 1,
                false => ids.push(id),
            }
            if ids.len() > MOST_COMMITS {
                return Err(ChangeError::TooMany { range: range() });
            }
        }
        Ok(ChangeCommits { ids, end: to_id, merges })
    }

    /// The patch for each number of commits, from none to all.
    fn versions(&self, at: Oid, name: &str, ids: &[Oid], is_in: bool) -> Result<Vec<Vec<u8>>, ChangeError> {
        let base = self.commit(at)?;
        let tree = self.tree(&base)?;
        let (mut versions, mut now) = (vec![Vec::new()], self.commit(at)?);
        let order: Box<dyn Iterator<Item = &Oid>> =
            if is_in { Box::new(ids.iter().rev()) } else { Box::new(ids.iter()) };
        for id in order {
            now = self.step(&now, name, *id, is_in)?;
            versions.push(self.patch(&tree, &self.tree(&now)?)?);
        }
        if is_in {
            versions.reverse();
        }
        Ok(versions)
    }

    /// One commit more, or less.
    fn step(&self, now: &Commit<'_>, name: &str, id: Oid, reverse: bool) -> Result<Commit<'g>, ChangeError> {
        let commit = self.commit(id)?;
        if commit.parent_count() == 0 {
            let path = self.place.path.display().to_string();
            return Err(ChangeError::NoParent { path, commit: short(id) });
        }
        // The first parent of a merge is the branch that it was merged into.
        let mainline = u32::from(commit.parent_count() > 1);
        let merged = match reverse {
            true => self.git.revert_commit(&commit, now, mainline, None),
            false => self.git.cherrypick_commit(&commit, now, mainline, None),
        };
        let mut index = merged.map_err(|error| self.failed(&error))?;
        if index.has_conflicts() {
            let conflicts = self.conflicts(&index);
            return Err(ChangeError::Conflict { commit: short(id), at: name.to_owned(), reverse, conflicts });
        }
        let made = index.write_tree_to(self.git).and_then(|tree| {
            let (tree, nobody) = (self.git.find_tree(tree)?, Signature::new("none", "none", &Time::new(0, 0))?);
            self.git.commit(None, &nobody, &nobody, "", &tree, &[now])
        });
        self.commit(made.map_err(|error| self.failed(&error))?)
    }

    /// Each conflict: the file, and the first line of its first hunk.
    fn conflicts(&self, index: &Index) -> Vec<String> {
        const MOST: usize = 5;
        let conflicts = index.conflicts().into_iter().flatten().flatten();
        let line = |conflict: git2::IndexConflict| {
            let sides = [&conflict.our, &conflict.their, &conflict.ancestor];
            let path = sides.into_iter().flatten().next().map(|side| String::from_utf8_lossy(&side.path).into_owned());
            let path = path.unwrap_or_default();
            let (Some(ancestor), Some(our), Some(their)) = (&conflict.ancestor, &conflict.our, &conflict.their) else {
                return format!("{path}: only one of them has this file");
            };
            let merged = self.git.merge_file_from_index(ancestor, our, their, None);
            let text = merged.map(|merged| String::from_utf8_lossy(merged.content()).into_owned()).unwrap_or_default();
            let mut lines = text.lines().enumerate().skip_while(|(_, line)| !line.starts_with("<<<<<<<")).skip(1);
            match lines.next() {
                Some((at, line)) => format!("{path}: the hunk at line {at} does not match: `{}`", line.trim()),
                None => format!("{path}: the change does not match"),
            }
        };
        conflicts.take(MOST).map(line).collect()
    }

    /// The patch between two trees. Binary files are left out, because no kernel is compiled from one.
    fn patch(&self, before: &Tree<'_>, after: &Tree<'_>) -> Result<Vec<u8>, ChangeError> {
        let mut options = DiffOptions::new();
        // Not as the user's configuration has them.
        options.context_lines(3).old_prefix("a/").new_prefix("b/");
        let mut read = || {
            let diff = self.git.diff_tree_to_tree(Some(before), Some(after), Some(&mut options))?;
            let mut text = Vec::new();
            for index in 0..diff.deltas().len() {
                let patch = Patch::from_diff(&diff, index)?.filter(|patch| !patch.delta().flags().is_binary());
                if let Some(mut patch) = patch {
                    text.extend_from_slice(&patch.to_buf()?);
                }
            }
            Ok(text)
        };
        read().map_err(|error| self.failed(&error))
    }

    fn describe(&self, id: Oid) -> Result<ChangeCommit, ChangeError> {
        let commit = self.commit(id)?;
        let subject = commit.message_bytes().split(|byte| *byte == b'\n').find(|line| !line.is_empty());
        let subject = String::from_utf8_lossy(subject.unwrap_or_default()).trim().to_owned();
        Ok(ChangeCommit { id: id.to_string(), subject })
    }

    fn commit(&self, id: Oid) -> Result<Commit<'g>, ChangeError> {
        self.git.find_commit(id).map_err(|error| self.failed(&error))
    }

    fn tree(&self, commit: &Commit<'g>) -> Result<Tree<'g>, ChangeError> {
        commit.tree().map_err(|error| self.failed(&error))
    }

    fn failed(&self, error: &git2::Error) -> ChangeError {
        self.place.unreadable(error).into()
    }
}

fn short(id: Oid) -> String {
    id.to_string().chars().take(12).collect()
}

fn list(conflicts: &[String]) -> String {
    conflicts.join("; ")
}

#[cfg(test)]
#[path = "change_tests.rs"]
mod tests;
