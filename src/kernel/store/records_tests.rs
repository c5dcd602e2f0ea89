use std::os::unix::fs::symlink;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::*;

const NAME: &str = "packages/a.json";

fn store() -> (tempfile::TempDir, Store, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(Some(folder.path().join("cache"))).unwrap();
    let path = store.path(NAME);
    (folder, store, path)
}

#[test]
fn changed_byte_invalidates_a_record() {
    let (_folder, store, path) = store();
    let record = json!({ "release": "6.1.92", "files": [{ "path": "tun.ko", "size": 12 }], "etag": null });
    store.write_record(NAME, &record).unwrap();
    let good = fs::read(&path).unwrap();
    assert_eq!(store.read_record(NAME), Some(record));
    for at in 0..good.len() {
        for flip in [1, 2, 4, 8, 16, 32, 64, 128, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= flip;
            assert_eq!(unseal(NAME, &bad), None, "byte {at}, {flip:#x}");
        }
        // One byte changes on the disk.
        let mut bad = good.clone();
        bad[at] ^= 1;
        fs::write(&path, &bad).unwrap();
        assert_eq!(store.read_record::<Value>(NAME), None, "byte {at}");
        fs::write(&path, &good[..at]).unwrap();
        assert_eq!(store.read_record::<Value>(NAME), None, "cut at {at}");
    }
}

#[test]
fn flipped_bit_invalidates_a_large_record() {
    let files: Vec<Value> = (0..4_000).map(|n| json!({ "path": format!("kernel/{n}.ko"), "at": n * 4096 })).collect();
    let sealed = seal(NAME, &json!({ "files": files }).to_string()).unwrap().into_bytes();
    assert!(unseal(NAME, &sealed).is_some());
    // The bits are spread over the whole record (a Weyl sequence).
    for n in 0..1_000_usize {
        let bit = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) % (sealed.len() * 8);
        let mut bad = sealed.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(unseal(NAME, &bad), None, "bit {bit}");
    }
}

#[test]
fn record_is_valid_only_under_its_own_name() {
    let (_folder, store, path) = store();
    store.write_record(NAME, &json!({ "a": 1 })).unwrap();
    fs::copy(&path, store.path("packages/b.json")).unwrap();
    assert_eq!(store.read_record::<Value>("packages/b.json"), None);
    fs::write(&path, r#"{"a":1}"#).unwrap();
    assert_eq!(store.read_record::<Value>(NAME), None, "without a seal");
}

#[test]
fn non_file_counts_as_no_record_and_is_replaced() {
    let (folder, store, path) = store();
    let outside = folder.path().join("outside");
    fs::write(&outside, "the user's").unwrap();
    let fifo = |path: &Path| rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, 0o600.into(), 0);
    type Make<'a> = &'a dyn Fn(&Path);
    let make: [(&str, Make); 6] = [
        ("a FIFO", &|path| fifo(path).unwrap()),
        ("a folder", &|path| fs::create_dir_all(path.join("x")).unwrap()),
        ("an endless file", &|path| symlink("/dev/zero", path).unwrap()),
        ("a loop of links", &|path| symlink(path, path).unwrap()),
        ("a link to a file of the user's", &|path| symlink(&outside, path).unwrap()),
        ("a huge file", &|path| fs::File::create(path).unwrap().set_len(1 << 40).unwrap()),
    ];
    for (what, make) in make {
        make(&path);
        assert_eq!(store.read_record::<Value>(NAME), None, "{what}");
        store.write_record(NAME, &json!({ "a": what })).unwrap();
        assert_eq!(store.read_record(NAME), Some(json!({ "a": what })));
        fs::remove_file(&path).unwrap();
    }
    assert_eq!(fs::read_to_string(&outside).unwrap(), "the user's");
}
