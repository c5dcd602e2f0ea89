use super::*;

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(Some(folder.path().join("cache"))).unwrap();
    (folder, store)
}

#[test]
fn what_is_put_in_is_found_under_its_hash_and_once() {
    let (_folder, store) = store();
    let sha256 = store.put(b"abc").unwrap();
    // FIPS 180-4's example.
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
fn what_is_put_in_again_is_never_taken_from_a_damaged_blob() {
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
fn a_flipped_bit_is_noticed_and_the_file_removed() {
    let (_folder, store) = store();
    let sha256 = store.put(b"abc").unwrap();
    fs::write(store.blob(&sha256), b"abb").unwrap();
    assert!(store.holds(&sha256, 3));
    assert!(!store.verify(&sha256).unwrap());
    assert!(!store.holds(&sha256, 3));
    assert!(!store.verify(&sha256).unwrap());
}

#[test]
fn drafts_of_killed_processes_are_removed_but_not_those_of_living_ones() {
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
fn a_folder_is_discarded_as_a_whole_and_what_a_kill_left_of_it_goes_with_the_drafts() {
    let (_folder, store) = store();
    let tree = store.path("controls/6.1/x");
    fs::create_dir_all(tree.join("src/net")).unwrap();
    fs::write(tree.join("src/net/x.c"), "x").unwrap();
    store.discard(&tree).unwrap();
    assert!(!tree.exists() && fs::read_dir(store.path("tmp")).unwrap().count() == 0);
    store.discard(&tree).unwrap();
    // As a process leaves it that was killed in the middle of removing; and a link is not followed.
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
fn a_draft_that_is_not_kept_leaves_nothing() {
    let (_folder, store) = store();
    let mut draft = store.draft().unwrap();
    draft.write_all(b"half").unwrap();
    drop(draft);
    assert_eq!(fs::read_dir(store.path("tmp")).unwrap().count(), 0);
}

#[test]
fn a_lock_keeps_others_out_until_it_is_dropped() {
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

#[test]
fn a_record_that_was_cut_counts_as_none() {
    let (_folder, store) = store();
    store.write_record("packages/a.json", &[1, 2, 3]).unwrap();
    assert_eq!(store.read_record::<Vec<u32>>("packages/a.json"), Some(vec![1, 2, 3]));
    fs::write(store.path("packages/a.json"), b"[1, 2").unwrap();
    assert_eq!(store.read_record::<Vec<u32>>("packages/a.json"), None);
    assert_eq!(store.read_record::<Vec<u32>>("packages/b.json"), None);
}
