use proptest::prelude::*;

use super::*;
use crate::kernel::compression::tests::compress;
use crate::kernel::fixtures::{CONTROL, ar, deb, tar, tar_entry};

type Files = Vec<(String, Vec<u8>)>;

fn read_all(package: &[u8]) -> Result<(About, Files), PackageError> {
    let mut files = Vec::new();
    let result =
        read(package, &|path| if path.starts_with("boot/") { Want::File } else { Want::No }, &mut |path, bytes| {
            files.push((path, bytes));
            Ok(())
        });
    match result {
        Ok(control) => Ok((control, files)),
        Err(ArchiveReadError::Package(error)) => Err(error),
        Err(ArchiveReadError::Taker(error)) => panic!("{error}"),
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    compress(Compression::Gzip, bytes)
}

fn sample() -> Vec<u8> {
    let long = format!("./boot/{}", "x".repeat(150));
    tar(&[("./boot/vmlinuz-1", b"image"), ("./usr/share/doc/x", b"doc"), (&long, b"long")])
}

#[test]
fn wanted_files_come_out_of_every_compression() {
    let data = sample();
    let control = tar(&[("./control", CONTROL.as_bytes())]);
    let xz = |bytes: &[u8]| liblzma::encode_all(bytes, 6).unwrap();
    let zstd = |bytes: &[u8]| zstd::encode_all(bytes, 3).unwrap();
    for (control_name, control, data_name, data) in [
        ("control.tar", control.clone(), "data.tar", data.clone()),
        ("control.tar.xz", xz(&control), "data.tar.xz", xz(&data)),
        ("control.tar.gz/", gzip(&control), "data.tar.gz/", gzip(&data)),
        ("control.tar.zst", zstd(&control), "data.tar.zst", zstd(&data)),
        ("control.tar", control.clone(), "data.tar.bz2", compress(Compression::Bzip2, &data)),
        ("control.tar", control.clone(), "data.tar.lzma", compress(Compression::Lzma, &data)),
    ] {
        let package =
            ar(&[("debian-binary", b"2.0\n"), ("_extra", b"x"), (control_name, &control), (data_name, &data)]);
        let (control, files) = read_all(&package).unwrap_or_else(|e| panic!("{data_name}: {e}"));
        assert_eq!((control.package.as_str(), control.version.as_str()), ("linux-image-test", "1.2-3"));
        let expected =
            [("boot/vmlinuz-1".to_owned(), b"image".to_vec()), (format!("boot/{}", "x".repeat(150)), b"long".to_vec())];
        assert_eq!(files, expected, "{data_name}");
    }
}

#[test]
fn a_pax_header_names_the_next_file() {
    let mut data = tar_entry("pax", EntryType::XHeader, b"18 path=./boot/xy\n");
    data.extend(tar_entry("short", EntryType::Regular, b"content"));
    data.extend([0; 1024]);
    assert_eq!(read_all(&deb(&data)).unwrap().1, [("boot/xy".to_owned(), b"content".to_vec())]);
}

#[test]
fn hostile_entries_are_rejected() {
    let entry = |path, kind| deb(&tar_entry(path, kind, b""));
    let long = {
        let mut data = tar_entry("././@LongLink", EntryType::GNULongName, b"./boot/../../etc/passwd\0");
        data.extend(tar_entry("x", EntryType::Regular, b""));
        deb(&data)
    };
    let below_link = {
        let mut data = tar_entry("./boot", EntryType::Symlink, b"");
        data.extend(tar_entry("./boot/vmlinuz-1", EntryType::Regular, b"x"));
        deb(&data)
    };
    let twice = deb(&tar(&[("./boot/a", b"1"), ("boot//a", b"2")]));
    for (package, why) in [
        (entry("/boot/vmlinuz-1", EntryType::Regular), "absolute"),
        (entry("./boot/../../x", EntryType::Regular), "leaves its folder"),
        (entry("../x", EntryType::Directory), "leaves its folder"),
        (entry("./boot/vmlinuz-1", EntryType::Symlink), "a link"),
        (entry("./boot/vmlinuz-1", EntryType::Link), "a link"),
        (entry("./dev/sda", EntryType::Block), "device node"),
        (entry("./boot/vmlinuz-1", EntryType::GNUSparse), "unknown kind"),
        (long, "leaves its folder"),
        (below_link, "below a link"),
        (twice, "twice"),
    ] {
        let error = read_all(&package).unwrap_err();
        assert!(matches!(&error, PackageError::Hostile { why: found, .. } if found.contains(why)), "{why}: {error}");
    }
}

#[test]
fn truncated_package_is_rejected_at_every_length() {
    for (name, data) in [("data.tar", sample()), ("data.tar.xz", liblzma::encode_all(&sample()[..], 6).unwrap())] {
        let control = tar(&[("./control", CONTROL.as_bytes())]);
        let package = ar(&[("debian-binary", b"2.0\n"), ("control.tar.gz", &gzip(&control)), (name, &data)]);
        // The last member's padding may be missing.
        let content = package.len() - data.len() % 2;
        for length in 0..content {
            assert!(read_all(&package[..length]).is_err(), "{name}: {length} of {}", package.len());
        }
        assert!(read_all(&package[..content]).is_ok());
    }
}

#[test]
fn flipped_bit_in_compressed_data_is_detected() {
    let data = liblzma::encode_all(&sample()[..], 6).unwrap();
    let package = deb(b"");
    for at in (0..data.len()).step_by(7) {
        let mut broken = data.clone();
        broken[at] ^= 0x10;
        let control = tar(&[("./control", CONTROL.as_bytes())]);
        let package = ar(&[("debian-binary", b"2.0\n"), ("control.tar", &control), ("data.tar.xz", &broken)]);
        assert!(read_all(&package).is_err(), "byte {at}");
    }
    assert!(read_all(&package).is_ok());
}

#[test]
fn bombs_and_absurd_sizes_are_rejected_early() {
    let header = |path: &str, kind, size| {
        let mut header = tar::Header::new_gnu();
        header.set_path(path).unwrap();
        header.set_size(size);
        header.set_entry_type(kind);
        header.set_cksum();
        header.as_bytes().to_vec()
    };
    // It unpacks to more than the 64 MiB that every package may have, from a few kB.
    let bomb = |start: &[u8]| zstd::encode_all(start.chain(io::repeat(0).take(80 << 20)), 1).unwrap();
    let control = tar(&[("./control", CONTROL.as_bytes())]);
    for (what, name, data) in [
        ("zeros after the end", "data.tar.zst", bomb(b"")),
        ("a file of zeros", "data.tar.zst", bomb(&header("./boot/a", EntryType::Regular, 79 << 20))),
        ("an unwanted file of zeros", "data.tar.zst", bomb(&header("./a", EntryType::Regular, 79 << 20))),
        ("a file of 300 GB", "data.tar", header("./boot/a", EntryType::Regular, 300 << 30)),
        ("a name of 1 GB", "data.tar", header("././@LongLink", EntryType::GNULongName, 1 << 30)),
    ] {
        let error =
            read_all(&ar(&[("debian-binary", b"2.0\n"), ("control.tar", &control), (name, &data)])).unwrap_err();
        assert!(matches!(error, PackageError::TooLarge(_)), "{what}: {error}");
    }
}

#[test]
fn other_files_are_not_taken_for_packages() {
    let control = tar(&[("./control", b"Package: x\nVersion: 1\nArchitecture: arm64\n")]);
    let foreign = ar(&[("debian-binary", b"2.0\n"), ("control.tar", &control), ("data.tar", b"")]);
    let lz4 = ar(&[
        ("debian-binary", b"2.0\n"),
        ("control.tar", &tar(&[("control", CONTROL.as_bytes())])),
        ("data.tar.lz4", b"x"),
    ]);
    for (bytes, says) in [
        (&b""[..], "is not a Debian package"),
        (b"hello, world", "is not a Debian package"),
        (b"!<arch>\nfoo.o/          0           0     0     644     4         `\nabcd", "debian-binary"),
        (&foreign, "is for arm64"),
        (&lz4, "is not supported"),
    ] {
        let error = read_all(bytes).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), at in 0..4000usize) {
        let _ = read_all(&bytes);
        // The same bytes inside an honest package.
        let mut package = deb(&sample());
        let at = at.min(package.len() - bytes.len());
        package[at..at + bytes.len()].copy_from_slice(&bytes);
        let _ = read_all(&package);
    }
}
