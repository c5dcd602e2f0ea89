//! A folder of somebody else's files. Nothing outside of it is read.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Component, Path, PathBuf};

use super::ImportError;
use crate::regular;

/// The deepest folder to look into, and the most entries.
const WALK_MAX: (usize, usize) = (20, 500_000);

/// A folder whose files may be read.
#[derive(Debug)]
pub(super) struct SourceTree {
    root: PathBuf,
}

impl SourceTree {
    /// Opens a folder.
    pub(super) fn open(root: &Path) -> Result<Self, ImportError> {
        let unusable = |why: String| ImportError::unusable(root, why);
        let real = root.canonicalize().map_err(|error| unusable(error.to_string()))?;
        if !real.is_dir() {
            return Err(unusable("expected a folder".to_owned()));
        }
        Ok(Self { root: real })
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// The real path of a file or folder of the tree. None if it doesn't exist, or is outside.
    pub(super) fn place(&self, relative: impl AsRef<Path>) -> Option<PathBuf> {
        let relative = relative.as_ref();
        let is_below = relative.components().all(|part| matches!(part, Component::Normal(_)));
        let real = is_below.then(|| self.root.join(relative).canonicalize().ok()).flatten()?;
        real.starts_with(&self.root).then_some(real)
    }

    /// A regular file of the tree.
    pub(super) fn file(&self, relative: impl AsRef<Path>) -> Option<PathBuf> {
        self.place(relative).filter(|path| path.is_file())
    }

    /// A folder of the tree.
    pub(super) fn has_folder(&self, relative: &str) -> bool {
        self.place(relative).is_some_and(|path| path.is_dir())
    }

    /// The text of a file, with replacement characters for what is not UTF-8. None if there is none.
    pub(super) fn text(&self, relative: impl AsRef<Path>, limit: u64) -> io::Result<Option<String>> {
        let Some(path) = self.file(relative) else { return Ok(None) };
        let bytes = regular::read(&path, limit)?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// All regular files below a folder, as relative paths in their order. Links are not followed.
    pub(super) fn files_below(&self, relative: &str) -> io::Result<Vec<PathBuf>> {
        let (deepest, most) = WALK_MAX;
        let (mut found, mut entries) = (Vec::new(), 0);
        let mut todo = vec![(PathBuf::from(relative), 0)];
        while let Some((folder, depth)) = todo.pop() {
            for entry in fs::read_dir(self.root.join(&folder))? {
                let entry = entry?;
                entries += 1;
                if entries > most {
                    return Err(io::Error::other(format!("it has more than {most} entries")));
                }
                let (kind, path) = (entry.file_type()?, folder.join(entry.file_name()));
                if kind.is_dir() && depth < deepest {
                    todo.push((path, depth + 1));
                } else if kind.is_file() {
                    found.push(path);
                }
            }
        }
        found.sort();
        Ok(found)
    }
}

/// Whether somebody may execute the file.
pub(super) fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn only_files_of_the_tree_are_found() {
        let dir = tempfile::tempdir().expect("a folder");
        fs::write(dir.path().join("secret"), "x").expect("a file");
        let root = dir.path().join("tree");
        fs::create_dir_all(root.join("a/b")).expect("folders");
        fs::write(root.join("a/b/file"), b"1\xff").expect("a file");
        symlink("../secret", root.join("out")).expect("a link");
        symlink("a/b/file", root.join("in")).expect("a link");
        symlink("..", root.join("a/loop")).expect("a link");
        let tree = SourceTree::open(&root).expect("a tree");
        assert_eq!(tree.text("a/b/file", 10).expect("a text").as_deref(), Some("1\u{fffd}"));
        assert!(tree.file("in").is_some() && tree.text("a/b/file", 1).is_err());
        let absolute = dir.path().join("secret").display().to_string();
        for outside in ["out", "../secret", "a/../../secret", absolute.as_str(), "", "a/b", "gone"] {
            assert_eq!(tree.file(outside), None, "{outside}");
        }
        assert_eq!(tree.files_below("").expect("files"), [PathBuf::from("a/b/file")]);
        assert!(SourceTree::open(&root.join("a/b/file")).is_err());
    }
}
