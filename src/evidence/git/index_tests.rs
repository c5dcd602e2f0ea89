use std::cell::Cell;
use std::fs;
use std::path::PathBuf;

use super::fixture::*;
use super::{GitTestimony, IndexProgress, Repository};
use crate::matrix::Bug;
use crate::words::State;

fn file(fixture: &Fixture) -> PathBuf {
    let entries = fs::read_dir(fixture.dir.path().join("cache")).unwrap().flatten().map(|entry| entry.path());
    entries.into_iter().find(|path| path.extension().is_some_and(|e| e == "index")).unwrap()
}

/// The number of commits written while indexing.
fn written(fixture: &Fixture) -> Option<u64> {
    let written = Cell::new(None);
    let progress = |progress| {
        if let IndexProgress::Writing { commits } = progress {
            written.set(Some(commits));
        }
    };
    Repository::open(&fixture.path()).unwrap().index(&fixture.dir.path().join("cache"), &progress).unwrap();
    written.get()
}

#[test]
fn update_reads_only_new_commits() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    assert_eq!(written(&fixture), Some(9));
    assert_eq!(written(&fixture), None);
    let picked = format!("x\n\ncommit {} upstream.\n", mainline.break_);
    let broken = fixture.line(mainline.v4_19, &[(&picked, BROKEN), ("another: one", BROKEN)]);
    fixture.branch("stable", broken);
    fixture.tag("v4.19.1", broken);
    assert_eq!(written(&fixture), Some(2));
    assert_eq!(written(&fixture), None);
    let testimony = fixture.ask(&bug, "stable");
    assert_eq!(testimony.finding.states.only(), Some(State::Affected));
    assert_eq!(testimony.steps[0].first_tag.as_deref(), Some("v4.19.1"));
    // A deleted tag is forgotten. Commits that are no longer referenced are no longer anybody's ancestors.
    fixture.git.find_reference("refs/tags/v4.19.1").unwrap().delete().unwrap();
    assert_eq!(written(&fixture), Some(0));
    assert_eq!(fixture.ask(&bug, "stable").steps[0].first_tag, None);
}

#[test]
fn refs_are_read_again_only_when_changed() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let heads = fixture.path().join("refs/heads");
    let age = || {
        for folder in ["refs", "refs/heads", "refs/tags"] {
            let old = std::time::SystemTime::now() - std::time::Duration::from_secs(60);
            fs::File::open(fixture.path().join(folder)).unwrap().set_modified(old).unwrap();
        }
    };
    assert_eq!(written(&fixture), Some(9));
    age();
    assert_eq!(written(&fixture), None, "the refs are read, and found to be those");
    // Written in place, which git never does: only reading the refs can detect it.
    let next = fixture.commit(&[mainline.tip], "net: next", &[]);
    fs::write(heads.join("master"), format!("{next}\n")).unwrap();
    assert_eq!(written(&fixture), None);
    fixture.branch("other", next);
    assert_eq!(written(&fixture), Some(1));
    // Moved again within one step of the file system's clock, so the stamp is too new to be trusted.
    fixture.branch("other", fixture.commit(&[next], "net: after", &[]));
    assert_eq!(written(&fixture), Some(1));
    age();
    assert_eq!(written(&fixture), None);
    let packed = fixture.path().join("packed-refs");
    fs::write(&packed, format!("# pack-refs with: peeled \n{next} refs/heads/packed\n")).unwrap();
    // Uses this process's clock, because the file system's may differ.
    fs::File::open(&packed).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
    assert!(Repository::open(&fixture.path()).unwrap().refs_stamp().is_none());
}

#[test]
fn unreferenced_commit_is_read_when_asked_for() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let index = fixture.index();
    let picked = format!("x\n\ncommit {} upstream.\n", mainline.break_);
    let loose = fixture.line(mainline.v4_19, &[(&picked, BROKEN)]);
    let states = index.ask(&bug, &loose.to_string()).unwrap().finding.states;
    assert_eq!(states.only(), Some(State::Affected));
    assert_eq!(index.ask(&bug, "master").unwrap().finding.states.only(), Some(State::Fixed));
    assert_eq!(written(&fixture), None, "what was read is kept");
}

/// Replaces the index by these bytes, asks, checks the answer, and returns the warnings.
fn asked_of_damaged(fixture: &Fixture, bug: &Bug, bytes: &[u8], what: &str) -> Vec<String> {
    fs::write(file(fixture), bytes).unwrap();
    let testimony = fixture.try_index().and_then(|index| index.ask(bug, "master")).unwrap();
    assert_eq!(testimony.finding.states.only(), Some(State::Fixed), "{what}");
    testimony.warnings
}

#[test]
fn damaged_index_is_rebuilt_and_reported() {
    let fixture = Fixture::new();
    let bug = bug(&fixture.mainline());
    fixture.index();
    let whole = fs::read(file(&fixture)).unwrap();
    let damage = |bytes: &[u8], what: &str| {
        let warnings = asked_of_damaged(&fixture, &bug, bytes, what);
        let said = warnings.iter().any(|warning| warning.contains("was damaged"));
        assert!(said, "{what}: {warnings:?}");
    };
    damage(b"", "empty");
    damage(b"not an index at all", "text");
    damage(&whole[..whole.len() / 2], "cut short");
    damage(&whole[..50], "only its head");
    let mut zeros = whole.clone();
    let half = zeros.len() / 2;
    zeros[half..].fill(0);
    damage(&zeros, "zeros");
    damage(&vec![0; whole.len()], "only zeros");
    assert_eq!(asked_of_damaged(&fixture, &bug, &whole, "whole"), [""; 0]);
    // The layout of another program version is not damage.
    let other = [&b"backproof-git-00"[..], &whole[16..]].concat();
    assert_eq!(asked_of_damaged(&fixture, &bug, &other, "another layout"), [""; 0]);
}

#[test]
fn flipped_byte_never_changes_an_answer() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let picked = format!("x\n\ncommit {} upstream.\n", mainline.break_);
    fixture.branch("stable", fixture.line(mainline.v4_19, &[(&picked, BROKEN)]));
    // Two segments, the second from an update.
    fixture.index();
    fixture.branch("next", fixture.line(mainline.tip, &[("net: next", FIXED)]));
    let expected: Vec<GitTestimony> = ["master", "stable"].map(|name| fixture.ask(&bug, name)).into();
    let path = file(&fixture);
    let whole = fs::read(&path).unwrap();
    // The store's own tests flip every byte. This test samples them, because it rebuilds for each.
    for at in (0..whole.len()).step_by(29) {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(&path, &flipped).unwrap();
        let index = fixture.try_index().unwrap();
        for (name, expected) in ["master", "stable"].into_iter().zip(&expected) {
            let mut said = index.ask(&bug, name).unwrap();
            said.warnings.retain(|warning| !warning.contains("was damaged"));
            assert_eq!(said, *expected, "byte {at} of {}, {name}", whole.len());
        }
    }
}

#[test]
fn irregular_index_file_is_replaced() {
    let fixture = Fixture::new();
    let bug = bug(&fixture.mainline());
    fixture.index();
    let path = file(&fixture);
    for place in ["fifo", "device"] {
        fs::remove_file(&path).unwrap();
        match place {
            "fifo" => nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
            _ => std::os::unix::fs::symlink("/dev/zero", &path).unwrap(),
        }
        let testimony = fixture.ask(&bug, "master");
        assert_eq!(testimony.finding.states.only(), Some(State::Fixed), "{place}");
        assert!(testimony.warnings[0].contains("not a regular file"), "{:?}", testimony.warnings);
        assert!(fs::symlink_metadata(&path).unwrap().is_file());
    }
    let lock = path.with_extension("lock");
    fs::remove_file(&lock).unwrap();
    nix::unistd::mkfifo(&lock, nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::remove_file(&path).unwrap();
    let error = fixture.try_index().map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("cannot be locked"), "{error}");
}

#[test]
fn leftovers_of_a_killed_process_do_no_harm() {
    let fixture = Fixture::new();
    let bug = bug(&fixture.mainline());
    fixture.index();
    let path = file(&fixture);
    // A half-written draft, and a lock file without a lock.
    fs::remove_file(&path).unwrap();
    fs::write(path.with_extension("draft"), b"half of it").unwrap();
    assert_eq!(fixture.ask(&bug, "master").finding.states.only(), Some(State::Fixed));
    assert!(path.exists() && !path.with_extension("draft").exists());
    // An update that was killed before the header pointed to it.
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend_from_slice(b"half of an update");
    assert_eq!(asked_of_damaged(&fixture, &bug, &bytes, "half an update"), [""; 0]);
}

#[test]
fn concurrent_threads_can_index() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let (path, cache) = (fixture.path(), fixture.dir.path().join("cache"));
    let answer = || Repository::open(&path)?.index(&cache, &|_| {})?.ask(&bug, "master");
    for round in 0..3 {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..6).map(|_| scope.spawn(answer)).collect();
            for thread in threads {
                let testimony = thread.join().unwrap().unwrap();
                assert_eq!(testimony.finding.states.only(), Some(State::Fixed));
            }
        });
        fixture.branch("more", fixture.commit(&[mainline.tip], format!("more: {round}"), &[]));
    }
}

#[test]
fn held_lock_times_out_with_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.lock");
    let told = Cell::new(0);
    let take = |patience: u64| {
        let patience = std::time::Duration::from_millis(patience);
        super::index::lock(&path, patience, &|progress| {
            told.set(told.get() + u32::from(progress == IndexProgress::Waiting))
        })
    };
    let held = take(1).unwrap();
    assert_eq!(told.get(), 0);
    let error = take(30).unwrap_err().to_string();
    assert!(error.contains(&path.display().to_string()) && error.contains("fuser"), "{error}");
    assert_eq!(told.get(), 1);
    drop(held);
    // A waiter that timed out does not keep the lock.
    take(60_000).unwrap();
}
