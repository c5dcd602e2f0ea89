use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use super::fixture::Fixture;
use super::{GitError, Repository};
use crate::repository::{PackIndexes, RepositoryError};

fn packed(fixture: &Fixture, arguments: &[&str]) -> Vec<PathBuf> {
    let done = Command::new("git").arg("-C").arg(fixture.path()).args(arguments).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    PackIndexes::of(&fixture.path().join("objects")).files().to_vec()
}

/// Overwrites a file, which git makes read-only.
fn put(file: &Path, bytes: &[u8]) {
    fs::remove_file(file).unwrap();
    fs::write(file, bytes).unwrap();
}

#[test]
fn flipped_byte_in_a_pack_index_is_rejected() {
    let fixture = Fixture::new();
    fixture.mainline();
    let files = packed(&fixture, &["repack", "-adq"]);
    let [file] = files.as_slice() else { panic!("{files:?}") };
    let whole = fs::read(file).unwrap();
    assert!(fixture.try_index().is_ok());
    for at in 0..whole.len() {
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        put(file, &flipped);
        // The cached index was made with the intact file, and must not vouch for this one.
        match fixture.try_index().map(|_| ()) {
            Err(error @ GitError::Repository(RepositoryError::PackIndex { .. })) if at > 0 => drop(error),
            Err(error @ GitError::Repository(RepositoryError::PackIndex { .. })) => {
                let says = error.to_string();
                assert!(says.contains("its checksum is wrong") && says.contains("index-pack"), "{says}");
            }
            other => panic!("byte {at}: {other:?}"),
        }
    }
    for length in [0, 19, 20, whole.len() - 1] {
        put(file, &whole[..length]);
        assert!(
            matches!(fixture.try_index().map(|_| ()), Err(GitError::Repository(RepositoryError::PackIndex { .. }))),
            "cut to {length}"
        );
    }
    put(file, &whole);
    assert!(fixture.try_index().is_ok());
}

#[test]
fn damaged_index_of_an_alternate_is_rejected() {
    let (fixture, other) = (Fixture::new(), Fixture::new());
    other.mainline();
    packed(&other, &["repack", "-adq"]);
    let list = fixture.path().join("objects/info/alternates");
    fs::create_dir_all(list.parent().unwrap()).unwrap();
    fs::write(list, format!("{}\n", other.path().join("objects").display())).unwrap();
    let files = packed(&other, &["multi-pack-index", "write"]);
    assert_eq!(files.len(), 2, "{files:?}");
    let index = || Repository::open(&fixture.path())?.index(&fixture.dir.path().join("cache"), &|_| {});
    assert!(index().is_ok());
    for file in files {
        let mut flipped = fs::read(&file).unwrap();
        let middle = flipped.len() / 2;
        flipped[middle] ^= 1;
        let whole = fs::read(&file).unwrap();
        put(&file, &flipped);
        assert!(
            matches!(index().map(|_| ()), Err(GitError::Repository(RepositoryError::PackIndex { .. }))),
            "{}",
            file.display()
        );
        put(&file, &whole);
    }
}

#[test]
fn pack_indexes_are_checked_again_only_when_changed() {
    let fixture = Fixture::new();
    fixture.mainline();
    let [file] = &packed(&fixture, &["repack", "-adq"])[..] else { panic!("one pack") };
    let age = |seconds| {
        let old = SystemTime::now() - std::time::Duration::from_secs(seconds);
        File::open(file).unwrap().set_modified(old).unwrap();
    };
    let stamp = || PackIndexes::of(&fixture.path().join("objects")).stamp().map(str::to_owned);
    age(0);
    assert_eq!(stamp(), None, "too new to be believed");
    age(60);
    let old = stamp();
    assert!(old.is_some() && old == stamp());
    age(90);
    assert_ne!(stamp(), old);
}
