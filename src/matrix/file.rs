//! Reads a file into the tree of its YAML, for matrices and dossiers.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use super::problems::{Collector, Problems};
use super::tree::{self, YamlNode};

/// The largest file, in bytes.
pub const FILE_MAX: usize = 1024 * 1024;

/// The required content of a file, in words that follow "expected".
#[derive(Clone, Copy)]
pub(super) struct FileShape {
    /// The file.
    pub(super) file: &'static str,
    /// The outermost value.
    pub(super) root: &'static str,
}

/// The file's bytes; of a file that is too long (or /dev/zero), [`FILE_MAX`] and one more.
pub(super) fn bytes(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(FILE_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Reads the bytes as YAML and checks the tree.
pub(super) fn read<T>(
    bytes: &[u8],
    path: &Path,
    expected: FileShape,
    check: impl FnOnce(&YamlNode, &mut Collector<'_>) -> Option<T>,
) -> Result<T, Problems> {
    if bytes.len() > FILE_MAX {
        let message = format!("the file is larger than {} KiB: expected {}", FILE_MAX / 1024, expected.file);
        return Err(Problems::of_file(path.to_owned(), message));
    }
    let lossy = String::from_utf8_lossy(bytes);
    let mut problems = Collector::new(&lossy);
    let read = match std::str::from_utf8(bytes) {
        Err(error) => {
            // The lossy text has the same bytes up to here.
            let at = error.valid_up_to();
            let byte = bytes.get(at).copied().unwrap_or_default();
            problems.add(&(at..at), || format!("the byte 0x{byte:02x} is not UTF-8: expected UTF-8 text"));
            None
        }
        Ok(_) => tree::read(&mut problems, expected.root).and_then(|root| check(&root, &mut problems)),
    };
    match (read, problems.finish(path.to_owned())) {
        (_, Some(problems)) => Err(problems),
        (Some(read), None) => Ok(read),
        (None, None) => Err(Problems::of_file(path.to_owned(), format!("expected {}", expected.file))),
    }
}
