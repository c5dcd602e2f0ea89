//! The archive's index pages: Apache's listings (mod_autoindex), with a page of the archive's own above them.
//!
//! Only a page's relative links with known names of the archive are used. So a page can omit something, but can add
//! nothing.

use memchr::memmem;

use crate::matrix::MainlineVersion;

/// The largest page, in bytes. A row of a listing has 200, and an archive has some thousands of folders.
pub(super) const LARGEST: u64 = 4 << 20;

/// The most links of a page.
const MOST_LINKS: usize = 20_000;

/// The longest useful link, in bytes; the longest names of packages have 90.
const LONGEST_LINK: usize = 200;

/// Why a page is not an index. Reads well after "the page … ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnIndex {
    /// It has no name of the archive, so it is another site's page, or a captive portal's.
    #[error("is not an index of the archive of mainline builds: it has no link to {0}")]
    Foreign(&'static str),
    /// It has more links than any index.
    #[error("is not an index of the archive of mainline builds: it has more than {MOST_LINKS} links")]
    TooManyLinks,
}

/// The place of a version's packages and checksums.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ArchiveLayout {
    /// In the version's folder, together with those of other architectures: the older layout (v5.6 of 2020).
    Flat,
    /// In its folder `amd64/`: the newer layout (v6.13 of 2025).
    PerArchitecture,
}

impl ArchiveLayout {
    /// The folder below the version's, with a `/` at its end.
    pub(super) fn folder(self) -> &'static str {
        match self {
            Self::Flat => "",
            Self::PerArchitecture => "amd64/",
        }
    }
}

/// The versions that the archive's root has, in their order.
pub(super) fn versions(page: &[u8]) -> Result<Vec<MainlineVersion>, NotAnIndex> {
    let folder = |link: &str| link.strip_suffix('/').and_then(|name| name.parse().ok());
    let mut versions: Vec<MainlineVersion> = links(page)?.into_iter().filter_map(folder).collect();
    versions.sort_unstable();
    versions.dedup();
    if versions.is_empty() { Err(NotAnIndex::Foreign("a folder of a version, as `v5.2/`")) } else { Ok(versions) }
}

/// The possible places of the checksums of amd64's packages, by the page of a version's folder. Empty if nothing was
/// built.
pub(super) fn layouts(page: &[u8]) -> Result<Vec<ArchiveLayout>, NotAnIndex> {
    let links = links(page)?;
    // Folders of failed builds have only files other than packages.
    let known = |link: &str| {
        let (first, below) = link.split_once('/').unwrap_or((link, ""));
        let file = below.is_empty() && is_file(link);
        file || ["amd64", "arm64", "armhf", "i386", "ppc64el", "s390x", "riscv64"].contains(&first)
    };
    if !links.iter().any(|link| known(link)) {
        return Err(NotAnIndex::Foreign("a package, `CHECKSUMS`, `COMMIT` or a log of a build"));
    }
    let package = |link: &str| link.starts_with("linux-") && link.ends_with("_amd64.deb");
    let flat = links.iter().any(|link| package(link));
    let below =
        links.iter().filter_map(|link| link.strip_prefix("amd64/")).any(|rest| rest.is_empty() || package(rest));
    let layouts = [(flat, ArchiveLayout::Flat), (below, ArchiveLayout::PerArchitecture)];
    Ok(layouts.into_iter().filter_map(|(there, layout)| there.then_some(layout)).collect())
}

fn is_file(link: &str) -> bool {
    let package = link.starts_with("linux-") && link.ends_with(".deb");
    let beside = ["CHECKSUMS", "CHECKSUMS.gpg", "COMMIT", "SOURCES", "BUILT", "REBUILD", "CHANGES", "crack.bundle"];
    package || link.starts_with("BUILD.LOG") || beside.contains(&link)
}

/// The links of a page that can be names of the archive: relative, short, and without escapes.
fn links(page: &[u8]) -> Result<Vec<&str>, NotAnIndex> {
    let mut links = Vec::new();
    for at in memmem::find_iter(page, b"href=\"") {
        if links.len() == MOST_LINKS {
            return Err(NotAnIndex::TooManyLinks);
        }
        let rest = &page[at + b"href=\"".len()..];
        let rest = &rest[..rest.len().min(LONGEST_LINK + 1)];
        let Some(end) = memchr::memchr(b'"', rest) else { continue };
        let plain = |link: &&str| link.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._+~/".contains(&b));
        links.extend(std::str::from_utf8(&rest[..end]).ok().filter(plain));
    }
    Ok(links)
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
