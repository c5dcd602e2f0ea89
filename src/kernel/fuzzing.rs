//! This room's readers of foreign bytes, for `fuzz/`.

use super::archive::{Take, Want};
use super::changelog::Changelog;
use super::{apt, build, deb, fetch, mainline, rpm};

fn every_file(_: &str) -> Want {
    Want::UnlessLink
}

fn nowhere() -> impl FnMut(String, Vec<u8>) -> std::io::Result<()> {
    |_, _| Ok(())
}

/// A Debian package.
pub fn deb(bytes: &[u8]) {
    let take: Take = &mut nowhere();
    let _ = deb::read(bytes, &every_file, take);
}

/// An RPM package.
pub fn rpm(bytes: &[u8]) {
    let _ = rpm::read(bytes, bytes.len() as u64, &every_file, &mut nowhere());
}

/// A tar archive.
pub fn tarball(bytes: &[u8]) {
    let _ = deb::read_tar(bytes, "archive", &every_file, &mut nowhere());
}

/// A list of packages.
pub fn apt_index(bytes: &[u8]) {
    apt::fuzz(bytes);
}

/// A page of the archive of mainline builds, and its checksums.
pub fn archive_page(bytes: &[u8]) {
    mainline::fuzz_pages(bytes);
}

/// A key, and a signature.
pub fn signature(bytes: &[u8]) {
    mainline::fuzz_signature(bytes);
}

/// Headers of an answer.
pub fn http(bytes: &[u8]) {
    fetch::fuzz(bytes);
}

/// A changelog.
pub fn changelog(bytes: &[u8]) {
    let _ = Changelog::of_debian(&String::from_utf8_lossy(bytes));
}

/// A patch of a user, and the file that it changes.
pub fn patch(bytes: &[u8]) {
    build::fuzz_patch(bytes);
}
