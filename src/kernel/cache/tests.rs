use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::*;
use crate::kernel::store::Store;

const INDEXES: KeptElsewhere = KeptElsewhere { folder: "git", plural: "indexes", extensions: &["index", "sqlite"] };

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(Some(folder.path().join("cache"))).unwrap();
    (folder, store)
}

/// Makes a file look as if it had not been used for so long.
fn age(path: &Path, age: Duration) {
    File::open(path).unwrap().set_modified(SystemTime::now() - age).unwrap();
}

/// A package's record with two blobs of its own and one that all such records share.
fn package(store: &Store, name: &str, days: u32) -> [String; 3] {
    let blobs = [format!("image {name}"), format!("pack {name}"), "shared".to_owned()];
    let blobs = blobs.map(|content| store.put(&content.repeat(1000).into_bytes()).unwrap());
    let [image, pack, shared] = &blobs;
    let record = serde_json::json!({ "package": name, "version": "1", "images": [{ "sha256": image }, { "sha256": shared }],
        "pack": { "sha256": pack, "size": 1 } });
    store.write_record(&format!("packages/{name}.json"), &record).unwrap();
    age(&store.path(&format!("packages/{name}.json")), days * DAY);
    blobs.iter().for_each(|blob| age(&store.blob(blob), days * DAY));
    blobs
}

fn older_than(days: u32) -> Limits {
    Limits { older_than: Some(days * DAY), max_bytes: None }
}

fn names(items: &[CacheItem]) -> Vec<&str> {
    items.iter().map(|item| item.name.as_str()).collect()
}

#[test]
fn gc_removes_old_items_but_not_blobs_shared_with_newer_ones() {
    let (_folder, store) = store();
    let old = package(&store, "old", 40);
    let new = package(&store, "new", 3);
    let loose = store.put(b"an initramfs").unwrap();
    age(&store.blob(&loose), 50 * DAY);
    let dry = collect(&store, &[INDEXES], older_than(30), true, || {}).unwrap();
    assert_eq!(names(&dry.removed), [&loose[..12], "old 1"]);
    assert!(store.path("packages/old.json").exists() && store.blob(&loose).exists(), "nothing goes in a dry run");

    let done = collect(&store, &[INDEXES], older_than(30), false, || {}).unwrap();
    assert_eq!(names(&done.removed), [&loose[..12], "old 1"]);
    assert_eq!((names(&done.left), done.kept.len()), (vec!["new 1"], 0));
    let is_there = |blob: &String| store.blob(blob).exists();
    assert_eq!(old.each_ref().map(is_there), [false, false, true]);
    assert_eq!(new.each_ref().map(is_there), [true, true, true]);
    assert!(!store.path("packages/old.json").exists() && !is_there(&loose));
    // The last record that names it takes it along.
    collect(&store, &[INDEXES], older_than(1), false, || {}).unwrap();
    assert_eq!(fs::read_dir(store.path("blobs")).unwrap().count(), 0);
}

#[test]
fn gc_removes_least_recently_used_first_and_controls_last() {
    let (_folder, store) = store();
    fs::create_dir_all(store.path("controls/kept")).unwrap();
    fs::create_dir_all(store.path("controls/6.1")).unwrap();
    let image = store.put(&[7; 9000]).unwrap();
    let record = serde_json::json!({ "control": "stock", "line": "6.1", "image_sha256": image });
    for path in ["controls/kept/a.json", "controls/6.1/stock.json"] {
        store.write_record(path, &record).unwrap();
        age(&store.path(path), 90 * DAY);
    }
    age(&store.blob(&image), 90 * DAY);
    package(&store, "old", 40);
    package(&store, "new", 3);
    let items = survey(&store, &[INDEXES]).unwrap();
    let total: u64 = items.iter().map(|item| item.bytes).sum();
    let limit = |max_bytes| Limits { older_than: None, max_bytes: Some(max_bytes) };
    let would_go = |max| names(&collect(&store, &[INDEXES], limit(max), true, || {}).unwrap().removed).join(", ");
    assert_eq!(would_go(total), "");
    assert_eq!(would_go(total - 1), "old 1");
    assert_eq!(would_go(0), "old 1, new 1, stock 6.1");
    collect(&store, &[INDEXES], limit(0), false, || {}).unwrap();
    assert!(survey(&store, &[INDEXES]).unwrap().is_empty());
    assert!(!store.path("controls/6.1/stock.json").exists());
}

#[test]
fn gc_of_an_answer_keeps_the_kernel_of_a_control() {
    let (_folder, store) = store();
    fs::create_dir_all(store.path("controls/kept")).unwrap();
    let (image, initramfs) = (store.put(&[7; 9000]).unwrap(), store.put(&[8; 9000]).unwrap());
    let control = serde_json::json!({ "control": "stock", "line": "6.1", "image_sha256": image });
    let boot = serde_json::json!({ "kernel": "a", "image_sha256": image, "initramfs_sha256": initramfs });
    for (path, record, days) in [("controls/kept/a.json", control, 9), ("boots/b.json", boot, 5)] {
        store.write_record(path, &record).unwrap();
        age(&store.path(path), days * DAY);
    }
    [&image, &initramfs].iter().for_each(|blob| age(&store.blob(blob), 5 * DAY));
    let total: u64 = survey(&store, &[]).unwrap().iter().map(|item| item.bytes).sum();
    let limits = Limits { older_than: None, max_bytes: Some(total - 1) };
    let done = collect(&store, &[], limits, false, || {}).unwrap();
    assert_eq!(names(&done.removed), ["a"]);
    assert!(store.blob(&image).exists() && !store.blob(&initramfs).exists() && !store.path("boots/b.json").exists());
}

#[test]
fn gc_keeps_leased_and_recently_used_items_whole() {
    let (_folder, store) = store();
    let blobs = package(&store, "used", 40);
    let lease = store.leases([store.blob(&blobs[1]).as_path()]).unwrap().unwrap();
    // The lease is old, but still held.
    blobs.iter().for_each(|blob| age(&store.blob(blob), 40 * DAY));
    let why = |store: &Store| {
        let done = collect(store, &[INDEXES], older_than(30), false, || {}).unwrap();
        assert!(done.removed.is_empty());
        done.kept.iter().map(|(_, why)| *why).collect::<Vec<_>>()
    };
    assert_eq!(why(&store), [Why::InUse]);
    assert!(store.path("packages/used.json").exists());
    drop(lease);
    age(&store.blob(&blobs[1]), Duration::from_secs(30));
    let limits = Limits { older_than: None, max_bytes: Some(0) };
    let done = collect(&store, &[INDEXES], limits, false, || {}).unwrap();
    assert_eq!(done.kept.iter().map(|(_, why)| *why).collect::<Vec<_>>(), [Why::JustUsed]);
    age(&store.blob(&blobs[1]), DAY);
    assert_eq!(collect(&store, &[INDEXES], limits, false, || {}).unwrap().removed.len(), 1);
}

#[test]
fn gc_keeps_a_blob_that_is_used_again() {
    let (_folder, store) = store();
    let blob = store.put(b"an initramfs").unwrap();
    let put = |store: &Store| drop(store.put(b"an initramfs").unwrap());
    let keep = |store: &Store| drop(store.keep(b"an initramfs").unwrap());
    for again in [&put as &dyn Fn(&Store), &keep] {
        age(&store.blob(&blob), 40 * DAY);
        again(&store);
        assert!(collect(&store, &[INDEXES], older_than(30), false, || {}).unwrap().removed.is_empty());
    }
}

#[test]
fn gc_keeps_a_build_tree_while_it_is_locked() {
    let (_folder, store) = store();
    let tree = store.path("controls/6.1/0123456789abcdef");
    fs::create_dir_all(tree.join("src/net")).unwrap();
    fs::write(tree.join("src/net/a.c"), "x").unwrap();
    for path in [tree.join("src"), tree.clone()] {
        age(&path, 40 * DAY);
    }
    let lock = store.lock("controls-6.1", || {}).unwrap();
    let done = collect(&store, &[INDEXES], older_than(30), false, || {}).unwrap();
    assert_eq!((done.kept.len(), done.kept[0].1), (1, Why::InUse));
    drop(lock);
    let done = collect(&store, &[INDEXES], older_than(30), false, || {}).unwrap();
    assert_eq!(names(&done.removed), ["6.1 0123456789abcdef"]);
    assert!(!tree.exists() && fs::read_dir(store.path("tmp")).unwrap().count() == 0);
}

#[test]
fn gc_removes_indexes_suites_and_downloads() {
    let (_folder, store) = store();
    let sha256 = store.put(b"a download").unwrap();
    for (path, content) in [
        ("apt/sid/index.json", "{}".to_owned()),
        ("apt/sid/lists/x_Packages", "x".to_owned()),
        ("git/git-0.sqlite", "x".to_owned()),
        ("git/git-0.sqlite-wal", "x".to_owned()),
        ("git/git-0.lock", String::new()),
        (&format!("downloads/{sha256}"), "a download".to_owned()),
        ("addresses/a.json", String::new()),
        ("partial/p", "x".to_owned()),
        ("quarantine/q", "x".to_owned()),
    ] {
        let path = store.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        if path.ends_with("addresses/a.json") {
            let record = serde_json::json!({ "url": "https://example.org/a.deb", "sha256": sha256 });
            store.write_record("addresses/a.json", &record).unwrap();
        }
        age(&path, 40 * DAY);
        age(path.parent().unwrap(), 40 * DAY);
    }
    age(&store.path("apt/sid"), 40 * DAY);
    age(&store.blob(&sha256), 40 * DAY);
    let done = collect(&store, &[INDEXES], older_than(30), false, || {}).unwrap();
    let mut gone: Vec<_> = done.removed.iter().map(|item| (item.kind, item.name.as_str())).collect();
    gone.sort();
    let expected = [
        (CacheKind::Boot, &sha256[..12]),
        (CacheKind::Download, "https://example.org/a.deb"),
        (CacheKind::SetAside, "p"),
        (CacheKind::SetAside, "q"),
        (CacheKind::Suite, "sid"),
        (CacheKind::Elsewhere(INDEXES), "git-0.sqlite"),
    ];
    assert_eq!(gone, expected);
    assert!(done.left.is_empty() && survey(&store, &[INDEXES]).unwrap().is_empty());
    assert!(!store.path("git/git-0.sqlite-wal").exists() && store.path("git/git-0.lock").exists());
}

#[test]
fn gc_removes_idle_partial_downloads_at_once() {
    let (_folder, store) = store();
    let partial = store.path("partial/a");
    fs::create_dir_all(partial.parent().unwrap()).unwrap();
    fs::write(&partial, "what filled the disk").unwrap();
    let limits = Limits { older_than: None, max_bytes: Some(0) };
    let fetching = store.lock("address-a", || {}).unwrap();
    let done = collect(&store, &[INDEXES], limits, false, || {}).unwrap();
    assert_eq!(done.kept.iter().map(|(_, why)| *why).collect::<Vec<_>>(), [Why::InUse]);
    drop(fetching);
    assert_eq!(names(&collect(&store, &[INDEXES], limits, false, || {}).unwrap().removed), ["a"]);
    assert!(!partial.exists());
}
