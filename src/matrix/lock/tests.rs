use proptest::prelude::*;

use super::*;

const SHA: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn parsed(text: &str) -> Result<Lock, String> {
    Lock::parse(text.as_bytes(), Path::new("kernels.lock")).map_err(|problems| problems.to_string())
}

fn file(name: &str) -> LockedFile {
    LockedFile {
        name: name.to_owned(),
        version: Some("1:6.1.192-2~x".to_owned()),
        sha256: SHA.to_owned(),
        size: 12,
        addresses: vec!["https://example.org/pool/a_1%3a6.deb".to_owned()],
    }
}

fn lock(name: &str, source: &str, release: Option<&str>, files: Vec<LockedFile>) -> Lock {
    let when = "2026-11-25T21:00:00Z".parse().unwrap();
    let locked = Locked { source: source.to_owned(), when, release: release.map(str::to_owned), files };
    Lock { kernels: BTreeMap::from([(name.parse().unwrap(), locked)]) }
}

#[test]
fn lock_survives_a_round_trip_and_reads_well() {
    let own = LockedFile { version: None, addresses: Vec::new(), ..file("bzImage: 1") };
    let unfetched = LockedFile { size: 0, ..own.clone() };
    let files = vec![file("linux-image-6.1"), own, unfetched];
    let lock = lock("a", "apt linux-image (sid)", Some("6.1.0-56"), files);
    let text = lock.text(Path::new("x/kernels.yaml")).unwrap();
    assert!(text.starts_with("# What the kernels of kernels.yaml were resolved to."), "{text}");
    assert!(
        text.contains("  - name: a\n    source: apt linux-image (sid)\n    locked: 2026-11-25T21:00:00Z\n"),
        "{text}"
    );
    assert!(text.contains("      - name: \"bzImage: 1\"\n        sha256: 0123"), "{text}");
    assert!(!text.contains("size: 0") && text.lines().all(|line| line.len() <= 120), "{text}");
    assert_eq!(parsed(&text), Ok(lock));
    let empty = Lock::default();
    assert_eq!(parsed(&empty.text(Path::new("kernels.yaml")).unwrap()), Ok(empty));
}

#[test]
fn every_mistake_is_reported_with_its_place() {
    let said = parsed(
        "version: 1\nkernels:\n  - name: a\n    source: s\n    locked: yesterday\n    files: []\n  - name: -b\n    sorce: s\n    \
         locked: 2026-11-25T21:00:00Z\n    files: [{ name: x, sha256: ABC, size: -1, addresses: [a b, \"x\"] }]\n",
    )
    .unwrap_err();
    for expected in [
        "kernels.lock:5:13: bad time `yesterday`: expected a time, as in 2026-11-25T21:00:00Z",
        "kernels.lock:6:12: expected a list of files, found an empty one",
        "kernels.lock:7:11:",
        "kernels.lock:8:5: unknown key `sorce`: did you mean `source`?",
        "bad sha256 `ABC`",
        "bad size `-1`",
        "bad address `a b`",
        "bad address `x`",
        "8 mistakes in kernels.lock",
    ] {
        assert!(said.contains(expected), "{expected}\n{said}");
    }
    let twice = lock("a", "s", None, vec![file("x")]).text(Path::new("k")).unwrap();
    let twice = twice.clone() + twice.split_once("kernels:\n").unwrap().1;
    assert!(parsed(&twice).unwrap_err().contains("locked twice"));
    for (text, expected) in
        [("", "empty"), ("version: 2\nkernels: []\n", "another release"), ("kernels: []\n", "missing")]
    {
        assert!(parsed(text).unwrap_err().contains(expected), "{text}");
    }
}

#[test]
fn changed_source_is_detected_but_another_path_is_not() {
    let matrix = |name: &str, deb: &str| {
        let text = format!("kernels: [{{ name: a, deb: [{deb}, /x/b.deb] }}]");
        crate::matrix::parse(&text, Path::new(name), &crate::matrix::Bugs::built_in()).unwrap()
    };
    for (name, deb, is_current) in [
        ("kernels.yaml", "a.deb", true),
        ("./kernels.yaml", "a.deb", true),
        ("/home/me/kernels.yaml", "a.deb", true),
        ("../k/kernels.yaml", "sub/a.deb", false),
        ("kernels.yaml", "c.deb", false),
    ] {
        let matrix = matrix(name, deb);
        let lock = lock("a", "deb a.deb /x/b.deb", None, vec![file("a.deb")]);
        let standing = lock.standing(&matrix.kernels[0], &matrix.path);
        assert_eq!(matches!(standing, InLock::Current(_)), is_current, "{name} {deb}");
        assert_eq!(Lock::default().standing(&matrix.kernels[0], &matrix.path), InLock::Absent);
    }
}

#[test]
fn source_line_is_independent_of_the_matrix_path() {
    for (source, line) in [
        ("deb: [a.deb, 'b c.deb']", "deb a.deb \"b c.deb\""),
        ("image: { file: bzImage, modules: m, config: .config }", "image bzImage (modules m) (config .config)"),
        ("image: bzImage", "image bzImage"),
        ("tree: ../linux", "tree ../linux"),
        ("apt: { package: linux-image, suite: sid }", "apt linux-image (sid)"),
        (
            "url: { address: 'https://a.example/b', sha256: trust-on-first-use }",
            "url https://a.example/b (trust-on-first-use)",
        ),
    ] {
        for name in ["kernels.yaml", "my dir/kernels.yaml", "/home/my dir/kernels.yaml", "./my dir/../kernels.yaml"] {
            let text = format!("kernels: [{{ name: a, {source} }}]");
            let matrix = crate::matrix::parse(&text, Path::new(name), &crate::matrix::Bugs::built_in()).unwrap();
            assert_eq!(source_line(&matrix.kernels[0], &matrix.path), line, "{name}");
        }
    }
}

#[test]
fn snapshot_archive_is_asked_as_of_the_lock() {
    let mut locked = lock("a", "s", None, vec![file("x")]).kernels.into_values().next().unwrap();
    let before = locked.clone();
    locked.add_archives(&["https://snapshot.example/archive/debian/{time}/".to_owned()]);
    let kept = "https://snapshot.example/archive/debian/20261125T210000Z/pool/a_1%3a6.deb";
    assert_eq!(locked.files[0].addresses, ["https://example.org/pool/a_1%3a6.deb", kept]);
    assert!(locked.is_same(&before) && locked != before);
    let once = locked.clone();
    locked.add_archives(&["https://snapshot.example/archive/debian/{time}/".to_owned()]);
    assert_eq!(locked, once);
    // A file of one's own is in no archive.
    let mut own = before;
    own.files[0].addresses.clear();
    own.add_archives(&["https://example.org".to_owned()]);
    assert!(own.files[0].addresses.is_empty());
}

#[test]
fn lock_too_long_to_be_read_again_is_not_written() {
    let kernels = (0..5000).map(|n| {
        let one = lock("a", "s", None, vec![file("x"), file("y")]);
        (format!("k{n}").parse().unwrap(), one.kernels.into_values().next().unwrap())
    });
    let all = Lock { kernels: kernels.collect() };
    assert_eq!(all.text(Path::new("k")), Err(TooLong(5000)));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_is_read_back_as_it_was(source in "[^\\p{Cc}]{1,40}", name in "[ -~]{1,40}", word in "[!-~]{1,40}") {
        let (source, name) = (source.trim(), name.trim());
        prop_assume!(!source.is_empty() && !name.is_empty() && !source.contains(['\u{fffe}', '\u{ffff}']));
        let file = LockedFile { version: Some(word.clone()), ..file(name) };
        let lock = lock("a", source, Some(&word), vec![file]);
        prop_assert_eq!(parsed(&lock.text(Path::new("kernels.yaml")).unwrap()), Ok(lock));
    }

    #[test]
    fn no_text_makes_the_reader_panic(
        text in "(version: 1\n|kernels:\n|  - name: |    files: |    source: |a|[|]|\\{|\\}|&|\\*|\"|'|\n|\\PC){0,60}",
        cut in 0usize..400,
    ) {
        let _ = parsed(&text);
        let good = lock("a", "s", None, vec![file("x")]).text(Path::new("k")).unwrap();
        let _ = parsed(good.get(..cut).unwrap_or(&good));
    }
}
