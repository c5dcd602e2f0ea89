use std::fs;
use std::path::PathBuf;

use git2::{Repository, build::TreeUpdateBuilder};
use tempfile::TempDir;

use super::*;

/// A repository with one file.
struct Fixture {
    dir: TempDir,
    git: Repository,
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let git = Repository::init_bare(dir.path()).unwrap();
        Self { dir, git }
    }

    fn commit(&self, parents: &[Oid], subject: &str, text: &str) -> Oid {
        let parents: Vec<Commit<'_>> = parents.iter().map(|id| self.git.find_commit(*id).unwrap()).collect();
        let base = match parents.first() {
            Some(parent) => parent.tree().unwrap(),
            None => self.git.find_tree(self.git.treebuilder(None).unwrap().write().unwrap()).unwrap(),
        };
        let blob = self.git.blob(text.as_bytes()).unwrap();
        let mut update = TreeUpdateBuilder::new();
        update.upsert("net/tcp.c", blob, git2::FileMode::Blob);
        let tree = self.git.find_tree(update.create_updated(&self.git, &base).unwrap()).unwrap();
        let nobody = Signature::new("a", "a@example.org", &Time::new(0, 0)).unwrap();
        self.git.commit(None, &nobody, &nobody, subject, &tree, &parents.iter().collect::<Vec<_>>()).unwrap()
    }

    fn change(&self, at: Option<Oid>, commits: &str) -> Result<RevisionChange, ChangeError> {
        let at = at.map(|at| at.to_string());
        RevisionChange::of(self.dir.path(), at.as_deref(), commits)
    }

    fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.dir.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { found.push(path) }
            }
        }
        found.sort();
        found
    }
}

/// Lines from 0 to 30, some of them replaced.
fn text(replaced: &[(usize, &str)]) -> String {
    let line =
        |at: usize| replaced.iter().find(|(line, _)| *line == at).map_or(format!("line {at}"), |(_, t)| (*t).into());
    (0..30).map(|at| line(at) + "\n").collect()
}

fn has(patch: &[u8], line: &str) -> bool {
    String::from_utf8_lossy(patch).lines().any(|found| found == line)
}

#[test]
fn commit_is_taken_out_where_it_is_and_put_in_where_it_is_not() {
    let fixture = Fixture::new();
    let base = fixture.commit(&[], "base", &text(&[]));
    let fix = fixture.commit(&[base], "tcp: fix it", &text(&[(5, "fixed")]));
    let later = fixture.commit(&[fix], "later", &text(&[(5, "fixed"), (25, "later")]));
    let stable = fixture.commit(&[base], "stable", &text(&[(20, "stable")]));
    let out = fixture.change(Some(later), &fix.to_string()).unwrap();
    assert!(out.is_in && out.versions[1].is_empty() && out.commits[0].subject == "tcp: fix it");
    assert!(has(&out.versions[0], "-fixed") && has(&out.versions[0], "+line 5") && !has(&out.versions[0], "-later"));
    assert!(has(&out.versions[0], "--- a/net/tcp.c"), "{}", String::from_utf8_lossy(&out.versions[0]));

    let put = fixture.change(Some(stable), &fix.to_string()).unwrap();
    assert!(!put.is_in && put.versions[0].is_empty() && has(&put.versions[1], "+fixed"));

    // A backport has the change already.
    let backport = fixture.commit(&[stable], "backport", &text(&[(5, "fixed"), (20, "stable")]));
    let reverted = fixture.commit(&[fix], "revert", &text(&[]));
    let before = fixture.files();
    let out = fixture.change(Some(backport), &fix.to_string()).unwrap();
    assert!(out.is_in && has(&out.versions[0], "-fixed") && out.versions[1].is_empty());
    assert_eq!(fixture.change(None, &fix.to_string()).unwrap().at, fix.to_string());
    // A commit that was reverted is put in again.
    let put = fixture.change(Some(reverted), &fix.to_string()).unwrap();
    assert!(!put.is_in && put.versions[0].is_empty() && has(&put.versions[1], "+fixed"));
    // Whatever the user's git prints.
    fixture.git.config().unwrap().set_bool("diff.noprefix", true).unwrap();
    assert!(has(&fixture.change(Some(later), &fix.to_string()).unwrap().versions[0], "--- a/net/tcp.c"));

    assert_eq!(fixture.files(), before, "nothing was written");
}

#[test]
fn range_has_a_version_for_each_number_of_commits() {
    let fixture = Fixture::new();
    let base = fixture.commit(&[], "base", &text(&[]));
    let one = fixture.commit(&[base], "one", &text(&[(5, "one")]));
    let two = fixture.commit(&[one], "two", &text(&[(5, "two")]));
    let side = fixture.commit(&[one], "side", &text(&[(5, "one"), (15, "side")]));
    let merge = fixture.commit(&[two, side], "merge", &text(&[(5, "two"), (15, "side")]));
    let range = format!("{base}..{merge}");
    let out = fixture.change(None, &range).unwrap();
    assert_eq!((out.commits.len(), out.merges, out.is_in, out.versions.len()), (3, 1, true, 4));
    assert!(has(&out.versions[0], "-two") && has(&out.versions[0], "-side") && has(&out.versions[0], "+line 5"));
    assert!(has(&out.versions[1], "-two") && has(&out.versions[1], "+one"));
    assert!(out.versions[3].is_empty());
    let other = fixture.commit(&[base], "other", &text(&[(25, "other")]));
    let put = fixture.change(Some(other), &range).unwrap();
    assert!(!put.is_in && has(&put.versions[1], "+one") && has(&put.versions[3], "+side"));
    assert!(fixture.change(Some(merge), &merge.to_string()).unwrap().is_in, "a merge is one change");
    let part = fixture.change(Some(one), &range).unwrap_err();
    assert!(part.to_string().contains("has a part of"), "{part}");
}

#[test]
fn mistakes_are_told_with_their_places() {
    let fixture = Fixture::new();
    let base = fixture.commit(&[], "base", &text(&[]));
    let fix = fixture.commit(&[base], "fix", &text(&[(5, "fixed")]));
    let other = fixture.commit(&[base], "other", &text(&[(5, "changed otherwise")]));
    let empty = fixture.commit(&[base], "empty", &text(&[]));
    let gone = "1".repeat(40);
    for (at, commits, says) in [
        (Some(other), fix.to_string(), "doesn't apply to"),
        (Some(other), fix.to_string(), "net/tcp.c: the hunk at line 6 does not match: `changed otherwise`"),
        (None, format!("{fix}..{base}"), "expected an older revision first"),
        (None, format!("{fix}..{fix}"), "has no commits"),
        (None, empty.to_string(), "changes no file"),
        (None, base.to_string(), "has no parent"),
        (None, gone.clone(), "has no revision"),
        (None, format!("{gone}..{fix}"), "has no revision"),
    ] {
        let error = fixture.change(at, &commits).unwrap_err();
        assert!(error.to_string().contains(says) && error.is_usage(), "{error}");
    }
}
