//! The header's list of the package's files. It is needed if the archive doesn't name them, in rpm's format for files
//! larger than 4 GB, or has no digest.

use std::collections::HashMap;

use super::header::{Header, MAX_ITEMS, tag};
use crate::kernel::archive::PackageError;

/// The files of the header.
#[derive(Default)]
pub(super) struct RpmFiles {
    files: Vec<RpmFile>,
    /// sha256 by path, if the archive has no digest.
    sha256: HashMap<String, String>,
}

/// A file of the header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RpmFile {
    /// Its path, without the leading `/`.
    pub name: Vec<u8>,
    /// Its kind and permissions, as in stat(2).
    pub mode: u32,
    /// Its bytes in the archive; 0 if a later name has its content.
    pub size: u64,
    /// The number of names of its content.
    pub links: u32,
    /// The content's identity, which its names share.
    pub content: Content,
}

/// A device and an inode.
pub(super) type Content = (u64, u64);

impl RpmFiles {
    /// Reads the list if it is needed. `digests` says whether the files' digests are.
    pub fn read(header: &Header, digests: bool) -> Result<Self, PackageError> {
        let numbers = |tag| header.numbers(tag, MAX_ITEMS);
        let long = numbers(tag::LONG_FILE_SIZES)?;
        let digests = digests && numbers(tag::FILE_DIGEST_ALGORITHM)?.first() == Some(&tag::SHA256);
        if long.is_empty() && !digests {
            return Ok(Self::default());
        }
        let folders = header.texts(tag::FOLDER_NAMES, MAX_ITEMS)?;
        let (indexes, names) = (numbers(tag::FOLDER_INDEXES)?, header.texts(tag::BASE_NAMES, MAX_ITEMS)?);
        let sizes = if long.is_empty() { numbers(tag::FILE_SIZES)? } else { long };
        let modes = numbers(tag::FILE_MODES)?;
        let (devices, inodes) = (numbers(tag::FILE_DEVICES)?, numbers(tag::FILE_INODES)?);
        let sha256 = if digests { header.texts(tag::FILE_DIGESTS, MAX_ITEMS)? } else { Vec::new() };
        let mut read = Self::default();
        // The last one of several names has their content.
        let mut sets: HashMap<Content, (u32, usize)> = HashMap::new();
        let path = |index: usize, name: &[u8]| {
            let folder = indexes.get(index).and_then(|at| folders.get(usize::try_from(*at).ok()?));
            let folder = folder.copied().unwrap_or_default();
            [folder.strip_prefix(b"/").unwrap_or(folder), name].concat()
        };
        let mut bytes = 0_usize;
        for (index, name) in names.iter().enumerate() {
            let of = |numbers: &[u64]| numbers.get(index).copied().unwrap_or_default();
            let name = path(index, name);
            // A hostile header can have one long folder for all files.
            bytes = bytes.saturating_add(name.len());
            if bytes > MAX_NAMES {
                return Err(PackageError::TooLarge(format!("more than {MAX_NAMES} bytes of file names")));
            }
            let content = (of(&devices), of(&inodes));
            let mode = u32::try_from(of(&modes)).unwrap_or_default();
            if is_regular(mode) {
                let (links, last) = sets.entry(content).or_default();
                (*links, *last) = (*links + 1, index);
            }
            let digest = sha256.get(index).filter(|digest| !digest.is_empty());
            if let Some(digest) = digest {
                let path = String::from_utf8_lossy(&name).into_owned();
                read.sha256.insert(path, String::from_utf8_lossy(digest).to_ascii_lowercase());
            }
            read.files.push(RpmFile { name, mode, size: of(&sizes), links: 1, content });
        }
        for (index, file) in read.files.iter_mut().enumerate().filter(|(_, file)| is_regular(file.mode)) {
            let (links, last) = sets.get(&file.content).copied().unwrap_or((1, index));
            file.links = links;
            file.size = if last == index { file.size } else { 0 };
        }
        Ok(read)
    }

    /// The file with this number.
    pub fn get(&self, index: u32) -> Option<&RpmFile> {
        self.files.get(index as usize)
    }

    /// The file's sha256 in the header, if the archive has no digest.
    pub fn sha256(&self, path: &str) -> Option<&str> {
        self.sha256.get(path).map(String::as_str)
    }
}

/// The most bytes of all names; the largest kernel packages have 1 MB.
const MAX_NAMES: usize = 64 << 20;

/// Whether stat(2) calls it a regular file.
pub(super) fn is_regular(mode: u32) -> bool {
    mode & 0o170_000 == 0o100_000
}
