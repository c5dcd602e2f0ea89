//! Reads regular files only, and only up to a size, because they may have been replaced by anything.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;

/// Opens a regular file for reading.
///
/// # Errors
/// If it cannot be opened, or is not a regular file: opening a FIFO would wait for its writer, and /dev/zero has no end.
pub fn open(path: &Path) -> io::Result<File> {
    open_with(path, OpenOptions::new().read(true))
}

/// As [`open`], with these options.
///
/// # Errors
/// The same.
pub fn open_with(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    // Of no effect on regular files (open(2)).
    let file = options.custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(io::Error::other("not a regular file")) }
}

/// The content of a regular file of at most `limit` bytes.
///
/// # Errors
/// If it cannot be read, is not a regular file, or is larger.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("larger than {limit} bytes")));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_regular_files_of_bounded_size_are_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("file"), "12345").expect("a file");
        std::fs::create_dir(path("folder")).expect("a folder");
        rustix::fs::mknodat(rustix::fs::CWD, path("fifo"), rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .expect("a FIFO");
        symlink(path("loop"), path("loop")).expect("a link");
        symlink("/dev/zero", path("endless")).expect("a link");
        symlink("file", path("link")).expect("a link");
        assert_eq!(read(&path("file"), 5).expect("its content"), b"12345");
        assert_eq!(read(&path("link"), 5).expect("its content"), b"12345");
        assert_eq!(read(&path("file"), 4).expect_err("too long").kind(), io::ErrorKind::FileTooLarge);
        for name in ["folder", "fifo", "loop", "endless", "missing"] {
            assert!(read(&path(name), 5).is_err(), "{name}");
        }
    }
}
