use std::io::Write;

use proptest::prelude::*;

use super::*;

/// A tar archive of these files.
fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, text) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(text.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, path, *text).unwrap();
    }
    builder.into_inner().unwrap()
}

fn open(bytes: &[u8], wanted: &[&str]) -> Result<Tarball, TarballError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    Tarball::open(file.path(), wanted.iter().copied())
}

const WANTED: [&str; 2] = ["Makefile", "net/a.c"];

#[test]
fn top_folder_may_have_any_name_or_be_missing() {
    let others: &[(&str, &[u8])] =
        &[("tools/Makefile", b"t"), ("Documentation/Makefile", b"d"), ("net/Makefile", b"n")];
    for top in ["linux-5.10/", "./linux-source-6.1/", "x/", "", "./"] {
        let with_top: Vec<_> = others.iter().map(|(path, text)| (format!("{top}{path}"), *text)).collect();
        let mine = [(format!("{top}Makefile"), &b"top"[..]), (format!("{top}net/a.c"), b"a")];
        let files: Vec<_> = with_top.iter().chain(&mine).map(|(path, text)| (path.as_str(), *text)).collect();
        let tarball = open(&tar(&files), &WANTED).unwrap();
        let read = |path: &str| tarball.read(path).unwrap();
        assert_eq!((read("Makefile"), read("net/a.c")), (Some(b"top".to_vec()), Some(b"a".to_vec())), "{top}");
        assert_eq!(read("missing"), None);
    }
}

#[test]
fn every_compression_is_recognised_by_its_bytes() {
    let plain = tar(&[("l/Makefile", b"m"), ("l/net/a.c", b"a")]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(&plain).unwrap();
    let packed = [
        plain.clone(),
        gzip.finish().unwrap(),
        liblzma::encode_all(&plain[..], 1).unwrap(),
        zstd::encode_all(&plain[..], 1).unwrap(),
    ];
    for bytes in packed {
        let tarball = open(&bytes, &WANTED).unwrap();
        assert_eq!(tarball.read("net/a.c").unwrap(), Some(b"a".to_vec()));
    }
}

#[test]
fn damage_after_the_wanted_files_is_an_error() {
    let mut bytes = tar(&[("l/Makefile", b"m"), ("l/net/a.c", b"a")]);
    // Without the archive's end, and with garbage in place of patches.
    bytes.truncate(4 * 512);
    bytes.extend([0xff; 4096]);
    assert!(matches!(open(&bytes, &WANTED), Err(TarballError::Damaged(_))));
}

#[test]
fn patches_are_read_from_any_folder() {
    let files: [(&str, &[u8]); 6] = [
        ("l/debian/patches/series", b"x\n"),
        ("l/Makefile", b"m"),
        ("l/net/a.c", b"a"),
        ("l/net/b.patch", b"of the kernel"),
        ("l/patches/tcp.patch", b"p"),
        ("l/tcp.diff.gz", b"z"),
    ];
    let tarball = open(&tar(&files), &WANTED).unwrap();
    assert_eq!(tarball.patches().unwrap(), ["patches/tcp.patch", "tcp.diff.gz"]);
    assert_eq!(tarball.read("patches/tcp.patch").unwrap(), Some(b"p".to_vec()));
    assert_eq!(tarball.read("debian/patches/series").unwrap(), Some(b"x\n".to_vec()));
}

#[test]
fn damaged_tarball_is_rejected_with_the_reason() {
    let long = tar(&[("l/Makefile", b"m"), ("l/net/a.c", &[b'a'; 2000])]);
    let huge = tar(&[("l/Makefile", &vec![b' '; usize::try_from(MAX_FILE).unwrap() + 1])]);
    let mut words = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    words.write_all(&[b'A'; 4096]).unwrap();
    let words = words.finish().unwrap();
    for (bytes, why) in [
        (&b""[..], "expected a tar archive"),
        (&words, "the unpacked data is not one"),
        (b"BZh91AY&SY", "damaged"),
        (b"\x7fELF", "expected a tar archive"),
        (&[0; 2048], "expected a tar archive"),
        (&long[..1024 + 900], "damaged"),
        (&huge, "larger than any source file"),
    ] {
        let error = open(bytes, &WANTED).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(why), "{error}");
    }
    assert!(matches!(Tarball::open(Path::new("/nonexistent"), WANTED), Err(TarballError::Io(_))));
    assert!(matches!(Tarball::open(Path::new("/"), WANTED), Err(TarballError::NotOne("expected a file"))));
}

#[test]
fn link_in_place_of_a_file_counts_as_missing() {
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    builder.append_link(&mut header, "l/net/a.c", "/etc/passwd").unwrap();
    let tarball = open(&builder.into_inner().unwrap(), &WANTED).unwrap();
    assert_eq!(tarball.read("net/a.c").unwrap(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_bytes_are_read_without_a_panic(at in 0..2560_usize, with in any::<[u8; 4]>(), cut in 0..3000_usize) {
        let mut bytes = tar(&[("l/Makefile", b"m"), ("l/net/a.c", b"a")]);
        bytes[at..at + 4].copy_from_slice(&with);
        bytes.truncate(cut);
        let _ = open(&bytes, &["Makefile", "net/a.c", "net/b.c"]);
    }
}
