//! The files of a source tree by content, named as git names them, so that a folder and a revision with the same files
//! are the same source.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::kernel::store;

/// The kind of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kernel) enum FileMode {
    Plain,
    /// A script that the build runs.
    Executable,
    Link,
}

impl FileMode {
    /// In git's words (git-ls-tree(1)).
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "100644",
            Self::Executable => "100755",
            Self::Link => "120000",
        }
    }
}

/// The name of a file's content: the SHA-1 of git's blob.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::kernel) struct BlobId(pub [u8; 20]);

impl BlobId {
    pub(super) fn of(content: &[u8]) -> Self {
        use sha1::{Digest as _, Sha1};
        let head = format!("blob {}\0", content.len());
        Self(Sha1::new().chain_update(head).chain_update(content).finalize().into())
    }
}

/// One file: its kind and its content.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::kernel) struct FileId {
    pub mode: FileMode,
    pub blob: BlobId,
}

/// `100644 <sha1>`, as in records of the cache.
impl Serialize for FileId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let hex: String = self.blob.0.iter().map(|b| format!("{b:02x}")).collect();
        serializer.serialize_str(&format!("{} {hex}", self.mode.as_str()))
    }
}

impl<'de> Deserialize<'de> for FileId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("expected a mode and a SHA-1"))
    }
}

impl FileId {
    fn parse(text: &str) -> Option<Self> {
        let (mode, hex) = text.split_once(' ')?;
        let modes = [FileMode::Plain, FileMode::Executable, FileMode::Link];
        let mode = modes.into_iter().find(|known| known.as_str() == mode)?;
        let mut blob = [0; 20];
        if hex.len() != 40 || !hex.is_ascii() {
            return None;
        }
        for (at, byte) in blob.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).ok()?;
        }
        Some(Self { mode, blob: BlobId(blob) })
    }
}

/// All files of a source tree, by their paths in it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::kernel) struct Listing {
    pub files: BTreeMap<String, FileId>,
}

impl Listing {
    /// A sha256 that changes with the name, kind or content of any file.
    pub(super) fn sha256(&self) -> String {
        self.sha256_of(|_| true)
    }

    /// The same of the files that Kconfig reads.
    pub(super) fn kconfig_sha256(&self) -> String {
        self.sha256_of(|path| path.rsplit('/').next().is_some_and(|name| name.starts_with("Kconfig")))
    }

    fn sha256_of(&self, is_of: impl Fn(&str) -> bool) -> String {
        let mut hash = Sha256::new();
        for (path, id) in self.files.iter().filter(|(path, _)| is_of(path)) {
            hash.update((path.len() as u64).to_le_bytes());
            hash.update(path);
            hash.update(id.mode.as_str());
            hash.update(id.blob.0);
        }
        store::hex(hash)
    }

    /// The link that a path leads through, if any: writing there would leave the tree.
    pub(super) fn link_above<'p>(&self, path: &'p str) -> Option<&'p str> {
        let above = path.match_indices('/').map(|(at, _)| &path[..at]);
        above.into_iter().find(|folder| self.files.get(*folder).is_some_and(|id| id.mode == FileMode::Link))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(content: &str) -> FileId {
        FileId { mode: FileMode::Plain, blob: BlobId::of(content.as_bytes()) }
    }

    #[test]
    fn content_has_the_name_that_git_gives_it() {
        let written = serde_json::to_string(&id("hello\n")).unwrap();
        assert_eq!(written, "\"100644 ce013625030ba8dba906f756967f9e9ca394464a\"");
        assert!(serde_json::from_str::<FileId>(&written).is_ok_and(|read| read == id("hello\n")));
    }

    #[test]
    fn sha256_changes_with_any_file() {
        let listing = |files: &[(&str, FileId)]| Listing {
            files: files.iter().map(|(path, id)| ((*path).to_owned(), *id)).collect(),
        };
        let executable = FileId { mode: FileMode::Executable, ..id("a") };
        let all = [
            listing(&[]),
            listing(&[("a", id("a"))]),
            listing(&[("a", id("b"))]),
            listing(&[("b", id("a"))]),
            listing(&[("a", executable)]),
            listing(&[("a", id("a")), ("net/Kconfig", id("a"))]),
        ];
        let mut sums: Vec<String> = all.iter().map(Listing::sha256).collect();
        sums.sort();
        sums.dedup();
        assert_eq!(sums.len(), all.len());
        let [.., without, with] = &all;
        assert_ne!(without.kconfig_sha256(), with.kconfig_sha256());
        assert_eq!(without.kconfig_sha256(), all[1].kconfig_sha256());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(1006(44|55) )?([0-9a-fA-F]{38,42}|\\PC{0,40})") {
            if let Some(id) = FileId::parse(&text) {
                prop_assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{}\"", text.to_lowercase()));
            }
        }
    }
}
