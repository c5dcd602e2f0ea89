//! Parses texts of a history, for `fuzz/`.

use super::commit::RawCommit;
use super::quilt::QuiltPatch;

/// Parses the bytes as a commit and as a quilt patch.
pub fn git(bytes: &[u8]) {
    let _ = RawCommit::parse(bytes).map(|commit| commit.subject().len());
    let _ = QuiltPatch::parse("a.patch", bytes, &[0, 1]);
}
