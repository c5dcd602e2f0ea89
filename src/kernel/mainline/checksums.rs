//! A folder's `CHECKSUMS`: comments, and for each kind of sum a section of lines `sum  name`.
//!
//! The format is known from published files. v4.14.120 of 2019 starts with
//! `# Checksums for v4.14.120, check with the command below:`, has the sections `# Checksums-Sha1:` and
//! `# Checksums-Sha256:` with an empty line between them, and lists `COMMIT` too. v6.13 of 2025 has one file for each
//! architecture's folder.

use std::collections::BTreeMap;

use crate::kernel::quoted::Quoted;
use crate::kernel::store::is_sha256;

/// The largest file, in bytes. A version with all architectures had 9 KiB in 2019.
pub(super) const LARGEST: u64 = 1 << 20;

/// The most listed files.
const MOST: usize = 5_000;

/// The start of a section.
const SECTION: &str = "# Checksums-";

/// Why checksums are rejected. Reads well after "the checksums … ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadChecksums {
    /// They are not text.
    #[error("are not text")]
    NotText,
    /// They have no sha256.
    #[error("have no section `# Checksums-Sha256:`, and other checksums are not used")]
    NoSha256,
    /// A line of the section has another format.
    #[error("have an invalid line {line}: expected a sha256 and a name, found `{text}`")]
    BadLine {
        /// Its number.
        line: usize,
        /// Its text.
        text: Quoted,
    },
    /// A name has two sums.
    #[error("list `{0}` twice, with different sums")]
    Contradiction(Quoted),
    /// They list more files than any folder has.
    #[error("list more than {MOST} files")]
    TooMany,
}

/// The sha256 of each listed file. Names are unchecked.
pub(super) fn parse(text: &[u8]) -> Result<BTreeMap<&str, &str>, BadChecksums> {
    let text = std::str::from_utf8(text).map_err(|_| BadChecksums::NotText)?;
    let mut sums = BTreeMap::new();
    let (mut in_section, mut there) = (false, false);
    for (number, line) in text.lines().enumerate() {
        if let Some(kind) = line.strip_prefix(SECTION) {
            in_section = kind.trim_end() == "Sha256:";
            there |= in_section;
        } else if !in_section || line.trim().is_empty() || line.starts_with('#') {
            continue;
        } else {
            let bad = || BadChecksums::BadLine { line: number + 1, text: Quoted::of(line.as_bytes()) };
            // shasum(1) writes a space, or a `*` for binary mode, before the name.
            let (sum, name) = line.split_once(' ').ok_or_else(bad)?;
            let name = name.strip_prefix([' ', '*']).filter(|name| !name.is_empty()).ok_or_else(bad)?;
            if !is_sha256(sum) {
                return Err(bad());
            }
            if sums.insert(name, sum).is_some_and(|before| before != sum) {
                return Err(BadChecksums::Contradiction(Quoted::of(name.as_bytes())));
            }
            if sums.len() > MOST {
                return Err(BadChecksums::TooMany);
            }
        }
    }
    if there { Ok(sums) } else { Err(BadChecksums::NoSha256) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fixtures::checksums;
    use super::*;

    #[test]
    fn only_the_section_of_sha256_is_read() {
        let [a, b] = ["a", "b"].map(|digit| digit.repeat(64));
        let text = checksums(&[("COMMIT", &a), ("linux-x_amd64.deb", &b)]);
        assert!(text.contains("# Checksums-Sha1:\n"));
        let expected = BTreeMap::from([("COMMIT", a.as_str()), ("linux-x_amd64.deb", b.as_str())]);
        assert_eq!(parse(text.as_bytes()), Ok(expected.clone()));
        // The newer format has a `#` instead of the older one's empty line, and mirrors may change the ends of lines.
        assert_eq!(parse(text.replace("\n\n#\n", "\n#\n").as_bytes()), Ok(expected.clone()));
        assert_eq!(parse(text.replace('\n', "\r\n").as_bytes()), Ok(expected.clone()));
        let later = format!("{text}#\n# Checksums-Sha512:\n{}  COMMIT\n", "c".repeat(128));
        assert_eq!(parse(later.as_bytes()), Ok(expected));
    }

    #[test]
    fn file_without_a_valid_list_of_sha256_is_rejected() {
        let sum = "a".repeat(64);
        let section = |lines: &str| format!("# Checksums-Sha256:\n{lines}");
        let sha1 = format!("# Checksums-Sha1:\n{}  a.deb\n", "a".repeat(40));
        let bad = |text: &str| BadChecksums::BadLine { line: 2, text: Quoted::of(text.as_bytes()) };
        for (text, expected) in [
            (String::new(), BadChecksums::NoSha256),
            (sha1, BadChecksums::NoSha256),
            ("<html><body>Please log in</body></html>".to_owned(), BadChecksums::NoSha256),
            (format!("{sum}  a.deb\n"), BadChecksums::NoSha256),
            (section("abc  a.deb\n"), bad("abc  a.deb")),
            (section(&format!("{sum}\n")), bad(&sum)),
            (section(&format!("{sum}  \n")), bad(&format!("{sum}  "))),
            (section(&format!("{}  a.deb\n", sum.to_uppercase())), bad(&format!("{}  a.deb", sum.to_uppercase()))),
            (
                section(&format!("{sum}  a.deb\n{}  a.deb\n", "b".repeat(64))),
                BadChecksums::Contradiction(Quoted::of(b"a.deb")),
            ),
        ] {
            assert_eq!(parse(text.as_bytes()), Err(expected), "{text}");
        }
        assert_eq!(parse(b"# Checksums-Sha256:\n\xff"), Err(BadChecksums::NotText));
        let many: String = (0..=MOST).map(|n| format!("{sum}  {n}\n")).collect();
        assert_eq!(parse(section(&many).as_bytes()), Err(BadChecksums::TooMany));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), text in "(# Checksums-Sha256:\n)?[a-f0-9 *#\n]{0,200}") {
            let _ = (parse(&bytes), parse(text.as_bytes()));
        }

        #[test]
        fn written_checksums_are_read_back(names in prop::collection::btree_set("[a-z0-9._-]{1,30}", 0..9)) {
            let sum = "0".repeat(64);
            let files: Vec<_> = names.iter().map(|name| (name.as_str(), sum.as_str())).collect();
            let text = checksums(&files);
            prop_assert_eq!(parse(text.as_bytes()), Ok(files.into_iter().collect()));
        }
    }
}
