use std::os::unix::fs::PermissionsExt as _;

use proptest::prelude::*;

use super::*;
use crate::kernel::compression::tests::compress;
use crate::kernel::fixtures::{deb, tar, tar_entry};

const MAKEFILE: &[u8] = b"VERSION = 6\nPATCHLEVEL = 1\n";

fn packed(name: &str, bytes: &[u8]) -> Vec<u8> {
    compress(compression(name).unwrap_or(Compression::None), bytes)
}

#[test]
fn every_kind_of_tarball_becomes_the_same_tree() {
    let tree = tar(&[("linux-6.1/Makefile", MAKEFILE), ("linux-6.1/arch/x86/Makefile", b"x")]);
    let dir = tempfile::tempdir().unwrap();
    for (at, name) in ["a.tar", "a.tar.xz", "a.tar.gz", "a.tgz", "a.tar.zst", "a.deb"].into_iter().enumerate() {
        let file = dir.path().join(name);
        let into = dir.path().join(at.to_string());
        let found = if name == "a.deb" {
            let inner = packed("x.tar.xz", &tree);
            fs::write(&file, deb(&tar(&[("./usr/src/linux-source-6.1.tar.xz", &inner)]))).unwrap();
            package(&file, &into).unwrap()
        } else {
            fs::write(&file, packed(name, &tree)).unwrap();
            assert_eq!(release(&file).unwrap(), "6.1", "{name}");
            tarball(&file, &into).unwrap()
        };
        assert_eq!(fs::read(found.join("Makefile")).unwrap(), MAKEFILE, "{name}");
        assert!(found.ends_with("tree/linux-6.1") && found.join("arch/x86").is_dir(), "{}", found.display());
    }
}

#[test]
fn tarball_without_a_top_folder_is_unpacked_too() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("archive.tar");
    // In the order of `git archive`.
    fs::write(
        &file,
        tar(&[("Documentation/Makefile", b"docs:\n"), ("Makefile", MAKEFILE), ("arch/x86/Makefile", b"x")]),
    )
    .unwrap();
    assert_eq!(release(&file).unwrap(), "6.1");
    let found = tarball(&file, &dir.path().join("in")).unwrap();
    assert_eq!(fs::read(found.join("Makefile")).unwrap(), MAKEFILE);
}

#[test]
fn hostile_tarball_writes_nothing_outside() {
    let mut link = tar_entry("linux/out", EntryType::Symlink, b"");
    link.extend(tar_entry("linux/out/file", EntryType::Regular, b"x"));
    for (bytes, why) in [
        (tar_entry("../outside", EntryType::Regular, b"x"), "leaves its folder"),
        (tar_entry("linux/node", EntryType::Char, b""), "no file, folder or link"),
        (link, "hostile"),
        (tar(&[("linux/Makefile", &[7; 5000])])[..700].to_vec(), "truncated"),
        (b"not a tar archive at all, but long enough to have a header".repeat(20), "damaged"),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.tar");
        fs::write(&file, bytes).unwrap();
        let said = tarball(&file, &dir.path().join("in")).map_err(|error| error.to_string());
        assert!(matches!(&said, Err(text) if text.contains(why) && text.contains("a.tar")), "{why}: {said:?}");
        assert!(!dir.path().join("outside").exists() && !Path::new("/etc/file").exists());
    }
}

#[test]
fn non_tarball_or_tarball_without_a_kernel_is_rejected() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty.tar");
    fs::write(&empty, tar(&[("a/b/c/Makefile", b"x")])).unwrap();
    fs::write(dir.path().join("other.tar"), tar(&[("a/Makefile", b"all:\n")])).unwrap();
    for (file, why) in [
        ("kernel.zip", "its name does not end as a tarball's"),
        ("empty.tar", "has no Makefile"),
        ("other.tar", "names no VERSION"),
    ] {
        let said = release(&dir.path().join(file)).map_err(|error| error.to_string());
        assert!(matches!(&said, Err(text) if text.contains(why)), "{said:?}");
    }
    let package_without = dir.path().join("a.deb");
    fs::write(&package_without, deb(&tar(&[("./usr/src/readme", b"x")]))).unwrap();
    let said = package(&package_without, dir.path()).map_err(|error| error.to_string());
    assert!(matches!(&said, Err(text) if text.contains("no tarball")), "{said:?}");
}

#[test]
fn copy_keeps_times_modes_and_links() {
    let dir = tempfile::tempdir().unwrap();
    let (from, to) = (dir.path().join("from"), dir.path().join("to"));
    fs::create_dir_all(from.join("scripts")).unwrap();
    fs::create_dir_all(from.join(".git/objects")).unwrap();
    fs::write(from.join("scripts/run"), "#!/bin/sh\n").unwrap();
    fs::set_permissions(from.join("scripts/run"), fs::Permissions::from_mode(0o755)).unwrap();
    let then = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    File::options().write(true).open(from.join("scripts/run")).unwrap().set_modified(then).unwrap();
    std::os::unix::fs::symlink("scripts/run", from.join("link")).unwrap();
    copy(&from, &to).unwrap();
    let copied = fs::metadata(to.join("scripts/run")).unwrap();
    assert_eq!((copied.modified().unwrap(), copied.mode() & 0o777), (then, 0o755));
    assert_eq!(fs::read_link(to.join("link")).unwrap(), Path::new("scripts/run"));
    assert!(!to.join(".git").exists());

    // Even root cannot write a file over a folder.
    fs::create_dir_all(dir.path().join("third/scripts/run")).unwrap();
    let said = copy(&from, &dir.path().join("third")).unwrap_err().to_string();
    assert!(said.contains("scripts/run"), "{said}");

    let before = stamp(&from).unwrap();
    fs::write(from.join(".git/objects/x"), "x").unwrap();
    assert_eq!(stamp(&from).unwrap(), before, "git's own files are no source");
    fs::write(from.join("scripts/run"), "#!/bin/sh\n").unwrap();
    assert_ne!(stamp(&from).unwrap().0, before.0, "the same bytes at another time");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn no_bytes_make_unpacking_panic_or_leave_the_folder(
        bytes in proptest::collection::vec(any::<u8>(), 0..1500), at in 0..512usize, cut in 0..3000usize,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let mut archive = tar(&[("linux/Makefile", MAKEFILE), ("linux/arch/x86/a", b"a")]);
        let end = (at + bytes.len()).min(archive.len());
        archive.splice(at..end, bytes);
        archive.truncate(cut);
        let file = dir.path().join("a.tar");
        fs::write(&file, archive).unwrap();
        let _ = (tarball(&file, &dir.path().join("in")).is_ok(), release(&file).is_ok());
        let mut there: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        there.sort();
        prop_assert!(there == ["a.tar", "in"] || there == ["a.tar"]);
    }
}
