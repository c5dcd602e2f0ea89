use std::sync::Arc;

use proptest::prelude::*;
use tar::EntryType;

use super::*;

/// A tarball of these entries: kind, path, target or content.
pub(super) fn tarball(entries: &[(EntryType, &str, &str)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (kind, path, text) in entries {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(*kind);
        header.set_mode(0o755);
        // The builder itself rejects bad names.
        let old = header.as_old_mut();
        old.name[..path.len()].copy_from_slice(path.as_bytes());
        let is_file = *kind == EntryType::Regular;
        if !is_file {
            old.linkname[..text.len()].copy_from_slice(text.as_bytes());
        }
        let content = if is_file { text.as_bytes() } else { b"" };
        header.set_size(content.len() as u64);
        header.set_cksum();
        tar.append(&header, content).expect("an entry");
    }
    tar.into_inner().expect("a tarball")
}

fn read(bytes: &[u8]) -> Result<Rootfs, String> {
    let mut rootfs = Rootfs::default();
    rootfs.add_tarball(Compression::None, bytes)?;
    rootfs.check()?;
    Ok(rootfs)
}

#[test]
fn links_of_a_rootfs_stay_inside_it() {
    use EntryType::{Link, Regular, Symlink};
    let rootfs = read(&tarball(&[
        (Regular, "./usr/bin/python3.11", "program"),
        (Symlink, "bin", "usr/bin"),
        (Symlink, "usr/bin/python3", "/../bin/python3.11"),
        (Link, "usr/bin/other", "usr/bin/python3.11"),
        (Symlink, "loop", "loop"),
        (Symlink, "out", "../../../../etc/passwd"),
    ]))
    .expect("a rootfs");
    for path in ["/usr/bin/python3", "/bin/python3", "/bin/../bin/other"] {
        assert_eq!(rootfs.file(path), Ok((0o755, b"program".as_slice())), "{path}");
    }
    assert!(rootfs.file("/loop").expect_err("a loop").contains("too many links"));
    for path in ["/out", "/bin", "/nothing", "/bin/python3/below"] {
        assert!(rootfs.file(path).expect_err("missing").contains("has no file"), "{path}");
    }
}

#[test]
fn bad_tarballs_are_rejected_by_name() {
    type TarEntries<'a> = &'a [(EntryType, &'a str, &'a str)];
    use EntryType::{Block, Char, Fifo, Link, Regular, Symlink};
    let table: [(TarEntries, &str); 10] = [
        (&[(Regular, "../evil", "")], "../evil leads out"),
        (&[(Regular, "a/../../evil", "")], "a/../../evil leads out"),
        (&[(Link, "a", "../../etc/shadow")], "../../etc/shadow leads out"),
        (&[(Link, "a", "b")], "a in its rootfs is a hard link to b, which is not"),
        (&[(Symlink, "a", "/etc"), (Regular, "a/passwd", "")], "is below a, which is not a folder"),
        (&[(Char, "etc/null", "")], "etc/null in its rootfs is a device node"),
        (&[(Block, "sda", "")], "sda in its rootfs is a device node"),
        (&[(Fifo, "pipe", "")], "pipe in its rootfs is a FIFO"),
        (&[(Symlink, "proc", "/etc")], "/proc of its rootfs is not a folder"),
        (&[(Regular, "backproof/agent", "")], "has /backproof"),
    ];
    for (entries, why) in table {
        let error = read(&tarball(entries)).expect_err(why);
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn device_nodes_below_dev_are_left_out() {
    let read = read(&tarball(&[(EntryType::Char, "dev/null", ""), (EntryType::Block, "dev/vda", "")]));
    assert_eq!(read.expect("a rootfs").entries.len(), 0);
}

#[test]
fn rootfs_of_a_folder_follows_no_link() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = tempfile::NamedTempFile::new().expect("a file");
    fs::write(secret.path(), "secret").expect("a file");
    fs::create_dir(folder.path().join("sub")).expect("a folder");
    std::os::unix::fs::symlink(secret.path(), folder.path().join("sub/link")).expect("a link");
    let rootfs = Rootfs::load(folder.path()).expect("a rootfs");
    let target = secret.path().to_str().expect("UTF-8").to_owned();
    assert_eq!(rootfs.entries.get("sub/link"), Some(&RootfsEntry::Link { target }));
    assert!(folder::read(&folder.path().join("sub/link")).is_err(), "the link replaced a file just now");
}

#[test]
fn paths_that_no_guest_can_have_are_rejected() {
    let mut rootfs = Rootfs::default();
    let file = || RootfsEntry::File { mode: 0o644, bytes: Vec::new() };
    let link = |length: usize| RootfsEntry::Link { target: "x".repeat(length) };
    let (deep, deepest) = ("a/".repeat(DEPTH_MAX) + "a", "b/".repeat(DEPTH_MAX - 1) + "b");
    assert!(rootfs.add_parents(&deep).is_err() && rootfs.entries.is_empty());
    assert!(rootfs.add_parents(&deepest).is_ok());
    for (path, entry, fits) in [
        ("x".repeat(NAME_MAX), file(), true),
        ("y".repeat(NAME_MAX + 1), file(), false),
        ("nul\0".to_owned(), file(), false),
        ("link".to_owned(), link(PATH_MAX), true),
        ("long".to_owned(), link(PATH_MAX + 1), false),
    ] {
        assert_eq!(rootfs.insert(path.clone(), entry).is_ok(), fits, "{path:.20}");
    }
}

#[test]
fn only_a_large_rootfs_is_on_a_disk() {
    let of = |bytes: usize| {
        let mut rootfs = Rootfs::default();
        rootfs.insert("data".to_owned(), RootfsEntry::File { mode: 0o644, bytes: vec![0; bytes] }).expect("a file");
        GuestRootfs::of(&Arc::new(rootfs)).expect("its form")
    };
    let (small, large) = (of(INITRAMFS_MAX as usize), of(INITRAMFS_MAX as usize + 1));
    assert!(small.in_initramfs().is_some() && small.image().is_none());
    // Blocks of zeros take no room.
    let image = large.image().expect("an image");
    assert_eq!((large.in_initramfs(), image.size(), image.sha256().len()), (None, 2 << 20, 64));
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic_or_leave_the_root(
        mut bytes in Just(tarball(&[(EntryType::Regular, "a/b", "x"), (EntryType::Symlink, "c", "a"), (EntryType::Link, "d", "a/b")])),
        changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..8),
    ) {
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(rootfs) = read(&bytes) {
            for (path, _) in rootfs.entries() {
                prop_assert!(path.split('/').all(|part| !matches!(part, "" | "." | "..")), "{path}");
            }
        }
    }
}
