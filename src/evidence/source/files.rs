//! Reads source files from a folder, or from anything that returns a file for a path.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use super::patches::{is_patch, is_skipped};

/// The largest source file to read, in bytes. The kernel's network code has files of at most 250 KiB.
pub const MAX_FILE: u64 = 8 << 20;

/// Files of one source tree, by their paths in it.
///
/// A closure implements it too, for the files of a git revision.
pub trait SourceFiles {
    /// The file at `path`, as `net/ipv4/tcp_output.c`, or none if it does not exist.
    ///
    /// # Errors
    ///
    /// If it cannot be read, is not a regular file, or is larger than [`MAX_FILE`].
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>>;

    /// The patches outside the kernel's own folders. A closure has only those that a series names.
    ///
    /// # Errors
    ///
    /// If they cannot be listed.
    fn patches(&self) -> io::Result<Vec<String>> {
        Ok(Vec::new())
    }
}

impl<F: Fn(&str) -> io::Result<Option<Vec<u8>>>> SourceFiles for F {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        self(path)
    }
}

/// The most folders to search for patches.
const MOST_FOLDERS: usize = 60_000;

/// A source tree in a folder. It rejects links that lead out of the tree.
#[derive(Clone, Debug)]
pub struct SourceFolder {
    /// The canonical path.
    top: PathBuf,
}

impl SourceFolder {
    /// The tree at `path`.
    ///
    /// # Errors
    ///
    /// If it is not a folder.
    pub fn open(path: &Path) -> io::Result<Self> {
        let top = fs::canonicalize(path)?;
        if fs::metadata(&top)?.is_dir() { Ok(Self { top }) } else { Err(io::ErrorKind::NotADirectory.into()) }
    }
}

impl SourceFiles for SourceFolder {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        if !Path::new(path).components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path leaves the source tree"));
        }
        let found = match fs::canonicalize(self.top.join(path)) {
            Ok(found) => found,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        if !found.starts_with(&self.top) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is a link that leads out of the source tree"));
        }
        // The type is checked before opening, because opening a pipe would wait for a writer.
        if !fs::metadata(&found)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is not a regular file"));
        }
        bounded(File::open(&found)?).map(Some)
    }

    fn patches(&self) -> io::Result<Vec<String>> {
        let mut found = Vec::new();
        let (mut folders, mut seen) = (vec![String::new()], 0);
        while let Some(folder) = folders.pop() {
            seen += 1;
            if seen > MOST_FOLDERS {
                return Err(io::Error::other("it has more folders than the search limit"));
            }
            for entry in fs::read_dir(self.top.join(&folder))? {
                let entry = entry?;
                // No series can name a patch whose name is not UTF-8.
                let Ok(name) = entry.file_name().into_string() else { continue };
                let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
                if !entry.file_type()?.is_dir() {
                    found.extend(is_patch(&path).then_some(path));
                } else if name != ".git" && !(folder.is_empty() && is_skipped(&name)) {
                    folders.push(path);
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

/// Reads everything, up to the size of a source file.
pub(super) fn bounded(reader: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    reader.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        let why = format!("it is larger than any source file of the kernel ({} MiB)", MAX_FILE >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn folder_gives_its_files_and_nothing_from_outside() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "no").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir(at("net")).unwrap();
        fs::write(at("net/a.c"), "int a;").unwrap();
        symlink("net/a.c", at("inside")).unwrap();
        symlink(outside.path().join("secret"), at("outside")).unwrap();
        symlink(outside.path(), at("way-out")).unwrap();
        symlink("nowhere", at("dangling")).unwrap();
        symlink("loop", at("loop")).unwrap();
        let files = SourceFolder::open(folder.path()).unwrap();
        let read = |path: &str| files.read(path).map_err(|error| error.to_string());
        for path in ["net/a.c", "inside"] {
            assert_eq!(read(path), Ok(Some(b"int a;".to_vec())), "{path}");
        }
        for path in ["missing", "net/missing/b.c", "net/a.c/b", "dangling"] {
            assert_eq!(read(path), Ok(None), "{path}");
        }
        for (path, why) in [
            ("outside", "leads out"),
            ("way-out/secret", "leads out"),
            ("../x", "leaves the source tree"),
            ("/etc/passwd", "leaves the source tree"),
            ("net", "not a regular file"),
            ("loop", "symbolic links"),
        ] {
            assert!(matches!(read(path), Err(error) if error.contains(why)), "{path}: {:?}", read(path));
        }
    }

    #[test]
    fn oversized_file_is_rejected_unread() {
        let folder = tempfile::tempdir().unwrap();
        let file = File::create(folder.path().join("huge.c")).unwrap();
        file.set_len(2 << 30).unwrap();
        let error = SourceFolder::open(folder.path()).unwrap().read("huge.c").unwrap_err();
        assert!(error.to_string().contains("larger than any source file"), "{error}");
    }

    #[test]
    fn path_that_is_not_a_folder_is_rejected() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert_eq!(SourceFolder::open(file.path()).unwrap_err().kind(), io::ErrorKind::NotADirectory);
        assert_eq!(SourceFolder::open(Path::new("/nonexistent/x")).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
