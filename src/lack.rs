//! What a full file system lacks.

use std::path::Path;

/// What there is none of where something could not be written: `space is left`, or `inodes are left`, which is what
/// "no space left on device" means on a file system that holds as many files as it can.
pub fn at(path: &Path) -> &'static str {
    let found = path.ancestors().find_map(|path| rustix::fs::statvfs(path).ok());
    // A file system that has no inodes to count says 0 of 0.
    let has_none = found.is_some_and(|found| found.f_files > 0 && found.f_favail == 0);
    if has_none { "inodes are left (df -i)" } else { "space is left" }
}
