use proptest::prelude::*;

use super::super::archive::Want;
use super::*;
use crate::kernel::compression::tests::compress;
use crate::kernel::fixtures::{RpmValue, cpio, cpio_entry, rpm, rpm_header, rpm_tags, sha256};

type Files = Vec<(String, Vec<u8>)>;
type Tags = Vec<(u32, RpmValue)>;

const FILE: u32 = 0o100_644;
const LINK: u32 = 0o120_777;

fn read_all(package: &[u8]) -> Result<(About, Changelog, Files), PackageError> {
    let mut files = Vec::new();
    let wanted = |path: &str| if path.starts_with("boot/") { Want::File } else { Want::No };
    let result = read(package, package.len() as u64, &wanted, &mut |path, bytes| {
        files.push((path, bytes));
        Ok(())
    });
    match result {
        Ok((about, changelog)) => Ok((about, changelog, files)),
        Err(ArchiveReadError::Package(error)) => Err(error),
        Err(ArchiveReadError::Taker(error)) => panic!("{error}"),
    }
}

/// The compressions of payloads, by their names in headers.
const PAYLOADS: [(&str, Compression); 6] = [
    ("gzip", Compression::Gzip),
    ("bzip2", Compression::Bzip2),
    ("lzma", Compression::Lzma),
    ("xz", Compression::Xz),
    ("zstd", Compression::Zstd),
    ("none", Compression::None),
];

fn file(name: &str, bytes: &[u8]) -> Vec<u8> {
    cpio_entry(name, FILE, (1, 1), bytes)
}

fn sample() -> Vec<u8> {
    cpio(&[
        cpio_entry("./boot", 0o040_755, (1, 2), b""),
        file("./boot/vmlinuz-1", b"image"),
        cpio_entry("./etc/link", LINK, (3, 1), b"../../etc"),
        file("./usr/share/doc/x", b"doc"),
        file("./boot/config-1", b""),
    ])
}

/// The package of this archive, with the payload's digest.
fn package(archive: &[u8], how: &str) -> Vec<u8> {
    let (_, form) = PAYLOADS.into_iter().find(|(name, _)| *name == how).unwrap();
    let payload = compress(form, archive);
    let mut tags = rpm_tags("kernel-core", how);
    tags.push((5092, RpmValue::texts(&[&sha256(&payload)])));
    tags.push((5093, RpmValue::Numbers(vec![8])));
    rpm(&tags, &payload)
}

#[test]
fn wanted_files_come_out_of_every_compression() {
    for (how, _) in PAYLOADS {
        let (about, _, files) = read_all(&package(&sample(), how)).unwrap_or_else(|e| panic!("{how}: {e}"));
        assert_eq!((about.package.as_str(), about.version.as_str()), ("kernel-core", "5.14.0-427.el9_4"));
        let expected = [("boot/vmlinuz-1".to_owned(), b"image".to_vec()), ("boot/config-1".to_owned(), Vec::new())];
        assert_eq!(files, expected, "{how}");
    }
}

#[test]
fn undeclared_payload_is_gzip_or_plain() {
    let mut tags = rpm_tags("kernel", "");
    tags.retain(|(tag, _)| *tag != 1125);
    for how in [Compression::Gzip, Compression::None] {
        assert_eq!(read_all(&rpm(&tags, &compress(how, &sample()))).unwrap().2.len(), 2, "{how:?}");
    }
    assert!(read_all(&rpm(&tags, b"")).is_err());
}

#[test]
fn version_has_its_epoch_and_changelog_titles_no_addresses() {
    let mut tags = rpm_tags("kernel", "none");
    tags.push((1003, RpmValue::Numbers(vec![1])));
    tags.push((1080, RpmValue::Numbers(vec![1_560_859_200, 1_560_772_800])));
    tags.push((
        1081,
        RpmValue::texts(&["Jan Stancek <jstancek@redhat.com> [3.10.0-957.21.3.el7]", "bwiedemann@suse.com"]),
    ));
    tags.push((1082, RpmValue::texts(&["- [net] tcp: x (A B) [1]\n- y", "- z"])));
    let (about, changelog, _) = read_all(&rpm(&tags, &sample())).unwrap();
    assert_eq!(about.version, "1:5.14.0-427.el9_4");
    let entries: Vec<_> = changelog.entries.iter().map(|e| (e.title.as_str(), e.text.as_str())).collect();
    assert_eq!(
        entries,
        [
            ("2019-06-18 Jan Stancek [3.10.0-957.21.3.el7]", "- [net] tcp: x (A B) [1]\n- y"),
            ("2019-06-17 bwiedemann@suse.com", "- z")
        ]
    );
}

#[test]
fn hard_links_share_the_content_of_the_last_name() {
    let linked = |name: &str, bytes: &[u8]| cpio_entry(name, FILE, (7, 3), bytes);
    let archive = cpio(&[
        linked("./boot/a", b""),
        file("./boot/other", b"other"),
        linked("./elsewhere", b""),
        linked("./boot/c", b"content"),
        // Empty content counts, too.
        cpio_entry("./boot/d", FILE, (8, 2), b""),
        cpio_entry("./boot/e", FILE, (8, 2), b""),
    ]);
    let named = |name: &str, bytes: &[u8]| (format!("boot/{name}"), bytes.to_vec());
    let expected =
        [named("other", b"other"), named("a", b"content"), named("c", b"content"), named("d", b""), named("e", b"")];
    assert_eq!(read_all(&package(&archive, "none")).unwrap().2, expected);
    let unwanted_last = cpio(&[linked("./boot/a", b""), linked("./boot/b", b""), linked("./elsewhere", b"content")]);
    assert_eq!(read_all(&package(&unwanted_last, "none")).unwrap().2.len(), 2);
    let waiting = cpio(&[linked("./boot/a", b""), linked("./boot/b", b"")]);
    let error = read_all(&package(&waiting, "none")).unwrap_err().to_string();
    assert!(error.contains("no content"), "{error}");
}

#[test]
fn large_file_archives_take_names_from_the_header() {
    // Two names of one content, a link, and an ordinary file.
    let tags = |names: &[&str]| {
        let mut tags = rpm_tags("kernel", "none");
        let numbers = |numbers: &[u32]| RpmValue::Numbers(numbers.to_vec());
        tags.push((1118, RpmValue::texts(&["/boot/", "/etc/"])));
        tags.push((1116, numbers(&[0, 1, 0, 0])));
        tags.push((1117, RpmValue::texts(names)));
        tags.push((5008, numbers(&[7, 3, 7, 5])));
        tags.push((1030, numbers(&[FILE, LINK, FILE, FILE])));
        tags.push((1095, numbers(&[1, 1, 1, 1])));
        tags.push((1096, numbers(&[1, 2, 1, 3])));
        tags
    };
    let entry = |index: u32, bytes: &[u8]| {
        let mut entry = format!("07070X{index:08x}\0\0").into_bytes();
        entry.extend(bytes);
        entry.resize(entry.len().next_multiple_of(4), 0);
        entry
    };
    let archive = |entries: &[Vec<u8>]| [entries.concat(), cpio(&[])].concat();
    let whole = archive(&[entry(0, b""), entry(1, b"../"), entry(2, b"content"), entry(3, b"image")]);
    let names = ["a", "link", "b", "vmlinuz-1"];
    let named = |name: &str, bytes: &[u8]| (format!("boot/{name}"), bytes.to_vec());
    let expected = [named("a", b"content"), named("b", b"content"), named("vmlinuz-1", b"image")];
    assert_eq!(read_all(&rpm(&tags(&names), &whole)).unwrap().2, expected);
    let hostile = ["a", "link", "b", "../../etc/passwd"];
    assert!(read_all(&rpm(&tags(&hostile), &whole)).unwrap_err().to_string().contains("leaves its folder"));
    let unknown = archive(&[entry(9, b"")]);
    assert!(read_all(&rpm(&tags(&names), &unknown)).unwrap_err().to_string().contains("not in the header"));
}

#[test]
fn hostile_entries_are_rejected() {
    let one = |name: &str, mode| cpio(&[cpio_entry(name, mode, (1, 1), b"")]);
    let long = format!("./boot/{}", "x".repeat(4096));
    for (archive, why) in [
        (one("/boot/vmlinuz-1", FILE), "absolute"),
        (one("./boot/../../x", FILE), "leaves its folder"),
        (one("../x", 0o040_755), "leaves its folder"),
        (one("./boot/vmlinuz-1", LINK), "a link"),
        (one("./dev/sda", 0o060_600), "device node"),
        (one("./dev/tty", 0o020_600), "device node"),
        (one("./run/x", 0o140_600), "device node"),
        (one("./boot/x", 0o170_000), "unknown kind"),
        (one(&long, FILE), "a name of"),
        (cpio(&[cpio_entry("./boot", LINK, (1, 1), b"etc"), file("./boot/vmlinuz-1", b"x")]), "below a link"),
        (cpio(&[file("./boot/a", b"1"), file("boot//a", b"2")]), "twice"),
    ] {
        let error = read_all(&package(&archive, "none")).unwrap_err();
        let refused = matches!(&error, PackageError::Hostile { .. } | PackageError::TooLarge(_));
        assert!(refused && error.to_string().contains(why), "{why}: {error}");
    }
}

#[test]
fn truncated_package_is_rejected_at_every_length() {
    for how in ["none", "xz", "gzip", "zstd"] {
        let package = package(&sample(), how);
        for length in 0..package.len() {
            assert!(read_all(&package[..length]).is_err(), "{how}: {length} of {}", package.len());
        }
    }
    // The same without any digest, except for the padding at the archive's end.
    let archive = sample();
    let old = rpm(&rpm_tags("kernel", "none"), &archive);
    for length in 0..old.len() - 4 {
        assert!(read_all(&old[..length]).is_err(), "{length} of {}", old.len());
    }
}

#[test]
fn flipped_bit_is_detected_by_every_kind_of_digest() {
    let archive = sample();
    let flip = |bytes: &[u8], at: usize| {
        let mut bytes = bytes.to_vec();
        bytes[at] ^= 1;
        bytes
    };
    let whole = package(&archive, "none");
    let payload = whole.len() - archive.len();
    let header = payload - 8;
    for at in (payload..whole.len()).chain([header]) {
        assert!(read_all(&flip(&whole, at)).is_err(), "byte {at}");
    }
    // rpm 4.11 of el7 writes only digests of the files.
    let mut tags = rpm_tags("kernel", "none");
    tags.push((1118, RpmValue::texts(&["/boot/"])));
    tags.push((1116, RpmValue::Numbers(vec![0])));
    tags.push((1117, RpmValue::texts(&["vmlinuz-1"])));
    tags.push((1035, RpmValue::texts(&[&sha256(b"image")])));
    tags.push((5011, RpmValue::Numbers(vec![8])));
    assert_eq!(read_all(&rpm(&tags, &archive)).unwrap().2.len(), 2);
    let at = archive.windows(5).position(|window| window == b"image").unwrap();
    let error = read_all(&rpm(&tags, &flip(&archive, at))).unwrap_err().to_string();
    assert!(error.contains("sha256") && error.contains("boot/vmlinuz-1"), "{error}");
}

#[test]
fn bombs_and_absurd_claims_are_rejected_early() {
    let zeros = |start: Vec<u8>| {
        let bomb = zstd::encode_all(start.chain(io::repeat(0).take(80 << 20)), 1).unwrap();
        rpm(&rpm_tags("kernel", "zstd"), &bomb)
    };
    let claims = |name: &str, name_length: u32, size: u32| {
        let mut entry = file(name, b"");
        entry[54..62].copy_from_slice(format!("{size:08x}").as_bytes());
        entry[94..102].copy_from_slice(format!("{name_length:08x}").as_bytes());
        entry
    };
    let header = |tags: u32, data: u32| {
        let mut package = rpm(&[], b"");
        let at = package.len() - 8;
        package[at..at + 4].copy_from_slice(&tags.to_be_bytes());
        package[at + 4..].copy_from_slice(&data.to_be_bytes());
        package
    };
    // 100 names of one content of 1 MB, in some hundred bytes.
    let names = (0..100).map(|n| cpio_entry(&format!("./boot/{n}"), FILE, (1, 100), &vec![0; (n / 99) << 20]));
    let links = compress(Compression::Zstd, &cpio(&names.collect::<Vec<_>>()));
    for (what, package) in [
        ("zeros behind the end", zeros(cpio(&[]))),
        ("a file of zeros", zeros(claims("./boot/a", 9, 79 << 20))),
        ("an unwanted file of zeros", zeros(claims("./a/bcdef", 10, 79 << 20))),
        ("a file of 4 GB", rpm(&rpm_tags("kernel", "none"), &claims("./boot/a", 9, u32::MAX))),
        ("a name of 4 GB", rpm(&rpm_tags("kernel", "none"), &claims("./boot/a", u32::MAX, 0))),
        ("a header of 4 GB", header(1, u32::MAX)),
        ("a header of 4 billion tags", header(u32::MAX, 1)),
        ("names of one content", rpm(&rpm_tags("kernel", "zstd"), &links)),
    ] {
        let error = read_all(&package).unwrap_err();
        assert!(matches!(error, PackageError::TooLarge(_)), "{what}: {error}");
    }
}

#[test]
fn other_packages_are_rejected_with_their_kind() {
    let with = |change: &dyn Fn(&mut Tags)| {
        let mut tags = rpm_tags("kernel", "none");
        change(&mut tags);
        rpm(&tags, &sample())
    };
    let set = |number: u32, text: &'static str| {
        with(&move |tags| {
            tags.retain(|(tag, _)| *tag != number);
            tags.push((number, RpmValue::text(text)));
        })
    };
    let lead = |at: usize, byte: u8| {
        let mut package = with(&|_| {});
        package[at] = byte;
        package
    };
    for (package, says) in [
        (Vec::new(), "is not an RPM package"),
        (b"hello".repeat(30), "is not an RPM package"),
        (b"drpm".repeat(30), "is a delta package"),
        (lead(4, 6), "expected format 3 or 4"),
        (lead(7, 1), "is a source package"),
        (lead(7, 2), "neither a binary nor a source"),
        (with(&|tags| tags.retain(|(tag, _)| *tag != 1044)), "is a source package"),
        (with(&|tags| tags.push((1106, RpmValue::Numbers(vec![1])))), "is a source package"),
        (with(&|tags| tags.push((5114, RpmValue::Numbers(vec![6])))), "of a later format"),
        (with(&|tags| tags.retain(|(tag, _)| *tag != 1000)), "has no name"),
        (with(&|tags| tags.push((1003, RpmValue::text("1")))), "should be numbers"),
        (with(&|tags| tags[0].1 = RpmValue::Numbers(vec![1])), "should be text"),
        (set(1022, "aarch64"), "is for aarch64, expected x86_64"),
        (set(1124, "drpm"), "is a delta package"),
        (set(1124, "tar"), "has its data in tar"),
        (set(1125, "rot13"), "has its data in rot13"),
    ] {
        let error = read_all(&package).unwrap_err().to_string();
        assert!(error.contains(says), "{says}: {error}");
    }
    assert!(read_all(&set(1022, "noarch")).is_ok());
}

#[test]
fn tag_pointing_outside_is_an_error() {
    let header = rpm_header(&[(1000, RpmValue::text("kernel"))]);
    for (at, value) in [(24, u32::MAX), (24, 1 << 31), (24, 7), (24, 6), (20, 5), (20, 4)] {
        let mut header = header.clone();
        header[at..at + 4].copy_from_slice(&u32::to_be_bytes(value));
        let (read, _) = Header::read(&mut &header[..]).unwrap();
        let text = read.text(tag::NAME);
        assert!(!matches!(&text, Ok(Some(text)) if !text.is_empty()), "{at} {value}: {text:?}");
    }
    let numbers = rpm_header(&[(1003, RpmValue::Numbers(vec![1]))]);
    for count in [2, u32::MAX] {
        let mut header = numbers.clone();
        header[28..32].copy_from_slice(&count.to_be_bytes());
        let (read, _) = Header::read(&mut &header[..]).unwrap();
        assert!(read.numbers(tag::EPOCH, header::MAX_ITEMS).is_err());
    }
}

proptest! {
    #[test]
    fn no_bytes_make_the_reader_panic(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        at in 0..2000usize,
        which in 0..6usize,
    ) {
        let _ = read_all(&bytes);
        let _ = read_all(&[MAGIC.as_slice(), b"\x03\0\0\0", &[0; 88], &bytes].concat());
        // The same bytes inside an honest package, whose header has no digest that would detect them first.
        let (name, how) = PAYLOADS[which];
        let mut package = rpm(&rpm_tags("kernel", name), &compress(how, &sample()));
        package[96 + 3 + 16] ^= 1;
        let at = at.min(package.len() - bytes.len());
        package[at..at + bytes.len()].copy_from_slice(&bytes);
        let _ = read_all(&package);
    }
}
