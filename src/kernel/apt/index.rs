//! The kernel packages of a suite, and which of them make up one kernel.

use std::collections::HashSet;
use std::io::{self, BufRead};

use serde::{Deserialize, Serialize};

use crate::kernel::store::is_sha256;
use crate::kernel::versions::dpkg;
use crate::matrix::LockedFile;

/// A kernel package that a mirror serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Served {
    pub name: String,
    pub version: String,
    depends: String,
    /// The file's address.
    pub uri: String,
    pub size: u64,
    pub sha256: String,
}

impl Served {
    /// Its form in the lock.
    pub(super) fn locked(&self) -> LockedFile {
        LockedFile {
            name: self.name.clone(),
            version: Some(self.version.clone()),
            sha256: self.sha256.clone(),
            size: self.size,
            addresses: vec![self.uri.clone()],
        }
    }

    /// The lock's file, at one of its addresses.
    pub(super) fn at(file: &LockedFile, address: &str) -> Self {
        Self {
            name: file.name.clone(),
            version: file.version.clone().unwrap_or_default(),
            depends: String::new(),
            uri: address.to_owned(),
            size: file.size,
            sha256: file.sha256.clone(),
        }
    }
}

/// The longest useful line in a Packages file, in bytes; the longest `Depends:` of a kernel package has 1,000.
const MAX_LINE: usize = 64 << 10;

/// Smaller packages only depend on others: they are too small for an image or modules.
const SMALLEST: u64 = 16 << 10;

/// The most packages of one kernel; no known kernel has more than four.
const MOST: usize = 20;

/// Reads the kernel packages (`linux-*`) in a Packages file whose paths are relative to `base`.
///
/// # Errors
/// If reading fails.
pub(super) fn read(mut packages: impl BufRead, base: &str) -> io::Result<Vec<Served>> {
    let mut found = Vec::new();
    let mut stanza = Stanza::default();
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = read_line(&mut packages, &mut line)?;
        if read == 0 || line.is_empty() {
            found.extend(std::mem::take(&mut stanza).finish(base));
            if read == 0 {
                return Ok(found);
            }
        } else {
            stanza.take(&line);
        }
    }
}

/// Reads a line without its end, and cuts it at [`MAX_LINE`]. Returns the number of bytes read.
fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<usize> {
    let mut total = 0;
    loop {
        let buffer = from.fill_buf()?;
        let end = buffer.iter().position(|&b| b == b'\n');
        let piece = &buffer[..end.unwrap_or(buffer.len())];
        line.extend(&piece[..piece.len().min(MAX_LINE - line.len())]);
        let used = end.map_or(buffer.len(), |at| at + 1);
        from.consume(used);
        total += used;
        if end.is_some() || used == 0 {
            return Ok(total);
        }
    }
}

#[derive(Default)]
struct Stanza {
    /// Set only for a kernel package; the fields of other packages (99 in 100) are dropped.
    name: Option<String>,
    fields: Vec<(&'static str, String)>,
}

impl Stanza {
    fn take(&mut self, line: &[u8]) {
        if let Some(name) = line.strip_prefix(b"Package: ") {
            let name = String::from_utf8_lossy(name).trim().to_owned();
            let kernel = name.starts_with("linux-") && !name.starts_with("linux-headers-") && !name.ends_with("-dbg");
            self.name = kernel.then_some(name);
        } else if self.name.is_some() {
            for field in ["Version", "Depends", "Filename", "Size", "SHA256"] {
                let value = line.strip_prefix(field.as_bytes()).and_then(|rest| rest.strip_prefix(b": "));
                if let Some(value) = value {
                    self.fields.push((field, String::from_utf8_lossy(value).trim().to_owned()));
                }
            }
        }
    }

    fn finish(mut self, base: &str) -> Option<Served> {
        let mut field = |name| {
            let at = self.fields.iter().position(|(n, _)| *n == name)?;
            Some(self.fields.swap_remove(at).1)
        };
        let (version, size) = (field("Version")?, field("Size")?.parse().ok()?);
        let (file, sha256) = (field("Filename")?, field("SHA256")?.to_ascii_lowercase());
        let uri = format!("{}/{file}", base.trim_end_matches('/'));
        let depends = field("Depends").unwrap_or_default();
        is_sha256(&sha256).then_some(Served { name: self.name?, version, depends, uri, size, sha256 })
    }
}

/// The packages of the kernel that `package` names or depends on: the package itself, and the kernel packages that it
/// depends on, unless they are too small for files.
///
/// # Errors
/// Similar names, if there is no such package.
pub(super) fn resolve<'a>(index: &'a [Served], package: &str) -> Result<Vec<&'a Served>, Vec<String>> {
    let newest = |name: &str| {
        let same = index.iter().filter(|p| p.name == name);
        same.max_by(|a, b| dpkg::compare(&a.version, &b.version))
    };
    let first = newest(package).ok_or_else(|| similar(index, package))?;
    let (mut chosen, mut names) = (vec![first], HashSet::from([package]));
    let mut next = 0;
    while let Some(parent) = chosen.get(next).copied() {
        next += 1;
        for group in parent.depends.split(',') {
            // The first served alternative counts, as for apt.
            let served = group.split('|').filter_map(Dependency::parse).find_map(|d| {
                let exact = index.iter().find(|p| p.name == d.name && Some(p.version.as_str()) == d.version);
                exact.or_else(|| newest(d.name))
            });
            let Some(served) = served.filter(|s| belongs(s, parent)) else { continue };
            if chosen.len() < MOST && names.insert(&served.name) {
                chosen.push(served);
            }
        }
    }
    chosen.retain(|p| p.size >= SMALLEST);
    Ok(chosen)
}

/// Whether a dependency is a part of the same kernel. Debian gives all parts one version; elsewhere a meta-package and
/// its image have different versions. `linux-base` is not a part.
fn belongs(served: &Served, parent: &Served) -> bool {
    let part = ["linux-image-", "linux-binary-", "linux-modules-"].iter().any(|p| served.name.starts_with(p));
    part || served.version == parent.version
}

struct Dependency<'a> {
    name: &'a str,
    /// The version in `(= version)`.
    version: Option<&'a str>,
}

impl<'a> Dependency<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (name, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
        let version = rest.trim().strip_prefix("(=").and_then(|v| v.strip_suffix(')')).map(str::trim);
        name.starts_with("linux-").then_some(Self { name, version })
    }
}

/// Up to three image packages with the most similar names.
fn similar(index: &[Served], package: &str) -> Vec<String> {
    let images = index.iter().filter(|p| p.name.starts_with("linux-image-")).map(|p| p.name.as_str());
    let mut ranked = images.collect::<HashSet<_>>().into_iter().collect::<Vec<_>>();
    ranked.sort_by_key(|name| (strsim::damerau_levenshtein(package, name), *name));
    ranked.into_iter().take(3).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stanza(name: &str, version: &str, depends: &str, size: u64) -> String {
        let sha256 = "0123456789abcdef".repeat(4);
        format!(
            "Package: {name}\nVersion: {version}\nDepends: {depends}\nDescription: a kernel\n\
             Filename: pool/{name}_{version}.deb\nSize: {size}\nSHA256: {sha256}\n\n"
        )
    }

    fn index(stanzas: &[String]) -> Vec<Served> {
        read(stanzas.concat().as_bytes(), "http://mirror.example/debian/").unwrap()
    }

    fn names(index: &[Served], package: &str) -> Vec<String> {
        let found = resolve(index, package).unwrap();
        found.iter().map(|p| format!("{} {}", p.name, p.version)).collect()
    }

    #[test]
    fn packages_file_yields_its_kernel_packages() {
        let found = index(&[
            stanza("linux-image-6.1-amd64", "6.1-1", "kmod", 20_000_000),
            stanza("bash", "5", "", 1),
            stanza("linux-headers-6.1-amd64", "6.1-1", "", 1),
            stanza("linux-image-6.1-amd64-dbg", "6.1-1", "", 1),
            "Package: linux-broken\nVersion: 1\nSize: x\n\n".to_owned(),
        ]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].uri, "http://mirror.example/debian/pool/linux-image-6.1-amd64_6.1-1.deb");
        assert_eq!(found[0].size, 20_000_000);
    }

    #[test]
    fn meta_package_leads_to_the_image_of_its_newest_version() {
        let found = index(&[
            stanza("linux-image-cloud-amd64", "6.1.10-1", "linux-image-6.1.0-1-cloud-amd64 (= 6.1.10-1)", 1000),
            stanza("linux-image-cloud-amd64", "6.1.9-1", "linux-image-6.1.0-0-cloud-amd64 (= 6.1.9-1)", 1000),
            stanza("linux-image-6.1.0-1-cloud-amd64", "6.1.10-1", "kmod, linux-base (>= 4.3~), a | b", 20_000_000),
            stanza("linux-image-6.1.0-1-cloud-amd64", "6.1.9-9", "", 20_000_000),
            stanza("linux-base", "4.9", "", 30_000),
        ]);
        assert_eq!(names(&found, "linux-image-cloud-amd64"), ["linux-image-6.1.0-1-cloud-amd64 6.1.10-1"]);
    }

    #[test]
    fn split_kernel_is_collected_from_its_parts() {
        let found = index(&[
            stanza(
                "linux-image-cloud-amd64",
                "7.2-1",
                "linux-base-cloud-amd64 (= 7.2-1), linux-image-7.2 (= 7.2-1)",
                1708,
            ),
            stanza("linux-base-cloud-amd64", "7.2-1", "linux-base-7.2 (= 7.2-1)", 1220),
            stanza(
                "linux-image-7.2",
                "7.2-1",
                "dracut | x, linux-base-7.2 (= 7.2-1), linux-binary-7.2 (= 7.2-1), linux-modules-7.2 (= 7.2-1)",
                1916,
            ),
            stanza("linux-base-7.2", "7.2-1", "", 400_000),
            stanza("linux-binary-7.2", "7.2-1", "linux-base-7.2 (= 7.2-1)", 13_000_000),
            stanza("linux-modules-7.2", "7.2-1", "kmod", 23_000_000),
        ]);
        let mut parts = names(&found, "linux-image-cloud-amd64");
        parts.sort();
        assert_eq!(parts, ["linux-base-7.2 7.2-1", "linux-binary-7.2 7.2-1", "linux-modules-7.2 7.2-1"]);
    }

    #[test]
    fn parts_that_depend_on_each_other_are_collected_once() {
        let found = index(&[
            stanza("linux-image-a", "1", "linux-modules-a", 20_000),
            stanza("linux-modules-a", "1", "linux-image-a", 20_000),
        ]);
        assert_eq!(names(&found, "linux-image-a"), ["linux-image-a 1", "linux-modules-a 1"]);
    }

    #[test]
    fn unknown_package_gets_similar_names() {
        let found = index(&[
            stanza("linux-image-amd64", "1", "", 1),
            stanza("linux-image-cloud-amd64", "1", "", 1),
            stanza("linux-image-6.1.0-1-rt-amd64", "1", "", 1),
            stanza("linux-libc-dev", "1", "", 1),
        ]);
        assert_eq!(resolve(&found, "linux-image-clod-amd64").unwrap_err()[0], "linux-image-cloud-amd64");
        assert_eq!(resolve(&[], "linux-image-amd64").unwrap_err(), Vec::<String>::new());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn no_bytes_make_the_reader_panic(
            text in "(Package: linux-a|Version: |Depends: |Filename: |Size: 99999|SHA256: |\\n|linux-a|,|\\||\\(=|\\)|\\PC){0,60}",
            bytes in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let found = read([text.as_bytes(), &bytes].concat().as_slice(), "x").unwrap();
            let _ = resolve(&found, "linux-a");
        }
    }
}
