use std::fs::File;
use std::io::Write as _;
use std::time::{Duration, SystemTime};

use super::*;

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(Some(folder.path().join("cache"))).unwrap();
    (folder, store)
}

#[test]
fn blob_is_stored_once_under_its_hash() {
    let (_folder, store) = store();
    let sha256 = store.put(b"abc").unwrap();
    // The example of FIPS 180-4.
    assert_eq!(sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(store.put(b"abc").unwrap(), sha256);
    assert_eq!(fs::read(store.blob(&sha256)).unwrap(), b"abc");
    assert!(store.verify(&sha256).unwrap());
    let file = store.folder().join("elsewhere");
    fs::write(&file, b"abc").unwrap();
    assert_eq!(store.adopt(&file).unwrap(), sha256);
    assert_eq!(fs::read_dir(store.path("blobs")).unwrap().count(), 1);
    assert_eq!(fs::read_dir(store.path("tmp")).unwrap().count(), 0);
}

#[test]
fn storing_again_replaces_a_damaged_blob() {
    let (folder, store) = store();
    let sha256 = store.put(b"kernel").unwrap();
    fs::write(store.blob(&sha256), b"kernal").unwrap();
    assert_eq!(store.put(b"kernel").unwrap(), sha256);
    assert_eq!(fs::read(store.blob(&sha256)).unwrap(), b"kernel");
    fs::write(store.blob(&sha256), b"kernal").unwrap();
    let image = folder.path().join("image");
    fs::write(&image, b"kernel").unwrap();
    assert_eq!(store.adopt(&image).unwrap(), sha256);
    assert_eq!(fs::read(store.blob(&sha256)).unwrap(), b"kernel");
}

#[test]
fn file_with_a_flipped_bit_is_removed() {
    let (_folder, store) = store();
    let sha256 = store.put(b"abc").unwrap();
    fs::write(store.blob(&sha256), b"abb").unwrap();
    assert!(store.holds(&sha256, 3));
    assert!(!store.verify(&sha256).unwrap());
    assert!(!store.holds(&sha256, 3));
    assert!(!store.verify(&sha256).unwrap());
}

#[test]
fn drafts_are_removed_only_when_their_process_is_dead() {
    let (_folder, store) = store();
    let stale = store.path("tmp/draft-stale");
    fs::write(&stale, b"half").unwrap();
    let living = store.draft().unwrap();
    let again = Store::open(Some(store.folder().to_owned())).unwrap();
    assert!(living.file.path().exists() && stale.exists());
    drop(living);
    Store::open(Some(again.folder().to_owned())).unwrap();
    assert!(!stale.exists());
}

#[test]
fn discarded_folder_goes_whole_or_with_the_drafts() {
    let (_folder, store) = store();
    let tree = store.path("controls/6.1/x");
    fs::create_dir_all(tree.join("src/net")).unwrap();
    fs::write(tree.join("src/net/x.c"), "x").unwrap();
    store.discard(&tree).unwrap();
    assert!(!tree.exists() && fs::read_dir(store.path("tmp")).unwrap().count() == 0);
    store.discard(&tree).unwrap();
    // The remains of a process that was killed while removing; and a link that must not be followed.
    let left = store.path("tmp/draft-left");
    fs::create_dir_all(left.join("discarded/src")).unwrap();
    let (outside, file) = (store.path("controls/outside"), store.path("controls/outside/file"));
    fs::create_dir_all(&outside).unwrap();
    fs::write(&file, "x").unwrap();
    std::os::unix::fs::symlink(&outside, left.join("discarded/src/net")).unwrap();
    std::os::unix::fs::symlink(&outside, store.path("tmp/link")).unwrap();
    Store::open(Some(store.folder().to_owned())).unwrap();
    assert!(fs::read_dir(store.path("tmp")).unwrap().count() == 0 && file.exists());
}

#[test]
fn dropped_draft_leaves_nothing() {
    let (_folder, store) = store();
    let mut draft = store.draft().unwrap();
    draft.write_all(b"half").unwrap();
    drop(draft);
    assert_eq!(fs::read_dir(store.path("tmp")).unwrap().count(), 0);
}

#[test]
fn lock_excludes_others_until_dropped() {
    let (_folder, store) = store();
    let lock = store.lock("x", || panic!("nobody holds it")).unwrap();
    let (tell, told) = std::sync::mpsc::channel();
    let other = store.clone();
    let thread = std::thread::spawn(move || {
        let lock = other.lock("x", || tell.send("waiting").unwrap()).unwrap();
        tell.send("locked").unwrap();
        drop(lock);
    });
    assert_eq!(told.recv(), Ok("waiting"));
    assert!(told.try_recv().is_err());
    drop(lock);
    assert_eq!(told.recv(), Ok("locked"));
    thread.join().unwrap();
}

/// Everything below a folder, with its content and time.
fn picture(folder: &Path) -> Vec<(PathBuf, Option<Vec<u8>>, SystemTime)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap()) {
        let time = entry.metadata().unwrap().modified().unwrap();
        if entry.path().is_dir() {
            found.push((entry.path(), None, time));
            found.extend(picture(&entry.path()));
        } else {
            found.push((entry.path(), fs::read(entry.path()).ok(), time));
        }
    }
    found.sort();
    found
}

#[test]
fn lower_stores_are_read_and_never_written() {
    let (folder, below) = store();
    let shared = below.put(b"shared").unwrap();
    let record = |n: u32| serde_json::json!({ "n": n });
    below.write_record("packages/a.json", &record(1)).unwrap();
    for file in [below.blob(&shared), below.path("packages/a.json")] {
        File::open(file).unwrap().set_modified(SystemTime::now() - Duration::from_secs(86400)).unwrap();
    }
    let before = picture(below.folder());
    let own = Store::open(Some(folder.path().join("own"))).unwrap().over(&[below.folder().to_owned()]).unwrap();
    assert!(own.holds(&shared, 6) && own.verify(&shared).unwrap());
    assert_eq!(own.put(b"shared").unwrap(), shared);
    assert_eq!(own.blob(&shared), below.blob(&shared));
    assert!(own.leases([own.blob(&shared).as_path()]).unwrap().is_some());
    assert_eq!(own.keep(b"shared").unwrap().path, below.blob(&shared));
    assert_eq!(own.read_record("packages/a.json"), Some(record(1)));
    own.write_record("packages/a.json", &record(2)).unwrap();
    assert_eq!(own.records::<serde_json::Value>("packages/a.json").collect::<Vec<_>>(), [record(2), record(1)]);
    let new = own.put(b"new").unwrap();
    assert_eq!(fs::read_dir(own.path("blobs")).unwrap().count(), 1);
    assert!(own.blob(&new).starts_with(own.folder()));
    assert_eq!(picture(below.folder()), before);
}

#[test]
fn damaged_file_in_a_lower_store_is_rebuilt_above() {
    let (folder, below) = store();
    let sha256 = below.put(b"kernel").unwrap();
    fs::write(below.blob(&sha256), b"kernal").unwrap();
    let own = Store::open(Some(folder.path().join("own"))).unwrap().over(&[below.folder().to_owned()]).unwrap();
    assert!(own.holds(&sha256, 6), "its size tells nothing");
    assert!(!own.verify(&sha256).unwrap());
    assert!(!own.holds(&sha256, 6));
    assert_eq!(own.put(b"kernel").unwrap(), sha256);
    assert!(own.verify(&sha256).unwrap() && own.blob(&sha256).starts_with(own.folder()));
    assert_eq!(fs::read(below.path(&format!("blobs/{sha256}"))).unwrap(), b"kernal");
}

#[test]
fn missing_lower_store_is_an_error() {
    let (folder, own) = store();
    let error = own.over(&[folder.path().join("absent")]).unwrap_err().to_string();
    assert!(error.contains("is it mounted?"), "{error}");
}

#[test]
fn lease_holds_the_file_that_now_has_the_name() {
    let (_folder, store) = store();
    let sha256 = store.put(b"abc").unwrap();
    let path = store.blob(&sha256);
    assert!(store.leases([path.as_path()]).unwrap().is_some());
    fs::remove_file(&path).unwrap();
    assert!(store.leases([path.as_path()]).unwrap().is_none());
    // The collector holds the old file's lock; the new file of that name is another one.
    store.put(b"abc").unwrap();
    let old = File::open(&path).unwrap();
    fs::remove_file(&path).unwrap();
    store.put(b"abc").unwrap();
    store.remove_same(&old, &path).unwrap();
    assert!(path.exists());
}
