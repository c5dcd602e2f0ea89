//! Names what a full file system has run out of.

use std::path::Path;

/// The end of a message that starts with "no": `space is left`, or `inodes are left`, because a file system without
/// inodes also reports "no space left on device".
pub fn at(path: &Path) -> &'static str {
    let found = path.ancestors().find_map(|path| rustix::fs::statvfs(path).ok());
    // A file system that doesn't count inodes reports 0 of 0.
    let has_none = found.is_some_and(|found| found.f_files > 0 && found.f_favail == 0);
    if has_none { "inodes are left (df -i)" } else { "space is left" }
}
