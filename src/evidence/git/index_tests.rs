use std::cell::Cell;
use std::fs;
use std::path::PathBuf;

use super::fixture::*;
use super::{Progress, Repository};
use crate::words::State;

fn file(fixture: &Fixture) -> PathBuf {
    let entries = fs::read_dir(fixture.dir.path().join("cache")).unwrap().flatten().map(|entry| entry.path());
    entries.into_iter().find(|path| path.extension().is_some_and(|e| e == "sqlite")).unwrap()
}

/// How many commits were written while indexing.
fn written(fixture: &Fixture) -> Option<u64> {
    let written = Cell::new(None);
    let progress = |progress| {
        if let Progress::Writing { commits } = progress {
            written.set(Some(commits));
        }
    };
    Repository::open(&fixture.path()).unwrap().index(&fixture.dir.path().join("cache"), &progress).unwrap();
    written.get()
}

#[test]
fn only_what_is_new_is_read() {
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
    // A tag that goes away is forgotten; commits that no ref leads to any more are ancestors of nothing.
    fixture.git.find_reference("refs/tags/v4.19.1").unwrap().delete().unwrap();
    assert_eq!(written(&fixture), Some(0));
    assert_eq!(fixture.ask(&bug, "stable").steps[0].first_tag, None);
}

#[test]
fn refs_are_read_anew_where_their_folders_have_changed_and_only_there() {
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
    // Written in its place, as git never does: only who reads the refs can see it.
    let next = fixture.commit(&[mainline.tip], "net: next", &[]);
    fs::write(heads.join("master"), format!("{next}\n")).unwrap();
    assert_eq!(written(&fixture), None);
    fixture.branch("other", next);
    assert_eq!(written(&fixture), Some(1));
    // Moved again, within the step of the file system's clock: too new to be believed.
    fixture.branch("other", fixture.commit(&[next], "net: after", &[]));
    assert_eq!(written(&fixture), Some(1));
    age();
    assert_eq!(written(&fixture), None);
    let packed = fixture.path().join("packed-refs");
    fs::write(&packed, format!("# pack-refs with: peeled \n{next} refs/heads/packed\n")).unwrap();
    // By this process's clock, which the file system need not share.
    fs::File::open(&packed).unwrap().set_modified(std::time::SystemTime::now()).unwrap();
    assert!(Repository::open(&fixture.path()).unwrap().refs_stamp().is_none());
}

#[test]
fn a_commit_that_no_ref_leads_to_is_read_when_it_is_asked_for() {
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

#[test]
fn a_damaged_index_is_thrown_away_and_made_anew() {
    let fixture = Fixture::new();
    let bug = bug(&fixture.mainline());
    fixture.index();
    let path = file(&fixture);
    let whole = fs::read(&path).unwrap();
    let mut tried = 0;
    let mut damage = |bytes: &[u8], what: &str| {
        fs::write(&path, bytes).unwrap();
        tried += 1;
        // The first may fail, and says so; whoever asks again is answered.
        let first = fixture.try_index().and_then(|index| index.ask(&bug, "master"));
        let answer = first.or_else(|_| fixture.try_index().and_then(|index| index.ask(&bug, "master")));
        assert_eq!(answer.unwrap().finding.states.only(), Some(State::Fixed), "{what}");
    };
    damage(b"", "empty");
    damage(b"not a database at all", "text");
    damage(&whole[..whole.len() / 2], "cut short");
    damage(&whole[..100], "only its head");
    let mut zeros = whole.clone();
    let half = zeros.len() / 2;
    zeros[half..].fill(0);
    damage(&zeros, "zeros");
    for at in (0..whole.len()).step_by(8192) {
        let mut flipped = whole.clone();
        for byte in flipped.iter_mut().skip(at + 8).step_by(97).take(50) {
            *byte ^= 0x55;
        }
        damage(&flipped, &format!("flipped from {at}"));
    }
    // A layout of another version of the program: user_version is at 60 of the file's head.
    let mut other = whole.clone();
    other[60..64].copy_from_slice(&99u32.to_be_bytes());
    damage(&other, "another layout");
    assert!(tried > 10);
}

#[test]
fn what_a_killed_process_leaves_does_no_harm() {
    let fixture = Fixture::new();
    let bug = bug(&fixture.mainline());
    let cache = fixture.dir.path().join("cache");
    fixture.index();
    let path = file(&fixture);
    // A draft that was half written, and its journal; a lock file that nobody holds.
    fs::remove_file(&path).unwrap();
    fs::write(path.with_extension("draft"), b"half of it").unwrap();
    fs::write(cache.join(format!("{}-journal", path.with_extension("draft").display())), b"x").unwrap();
    assert_eq!(fixture.ask(&bug, "master").finding.states.only(), Some(State::Fixed));
    assert!(path.exists() && !path.with_extension("draft").exists());
}

#[test]
fn several_threads_may_index_at_once() {
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
fn a_lock_that_is_held_is_told_of_and_given_up_on_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.lock");
    let told = Cell::new(0);
    let take = |patience: u64| {
        let patience = std::time::Duration::from_millis(patience);
        super::index::lock(&path, patience, &|progress| told.set(told.get() + u32::from(progress == Progress::Waiting)))
    };
    let held = take(1).unwrap();
    assert_eq!(told.get(), 0);
    let error = take(30).unwrap_err().to_string();
    assert!(error.contains(&path.display().to_string()) && error.contains("fuser"), "{error}");
    assert_eq!(told.get(), 1);
    drop(held);
    // Whoever waited in vain does not keep it.
    take(60_000).unwrap();
}
