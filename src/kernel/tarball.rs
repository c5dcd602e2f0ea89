//! Takes a kernel out of a tarball of a build: of a build tree, or of what `make tar-pkg` and `make dir-pkg` install.
//!
//! A build tree's files are handed over under the names that they would have once they are installed, so that nobody
//! else has to know where they came from.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::archive::{ArchiveReadError, Choice, PackageError, Take, Want};
use super::compression::{self, Compression};
use super::deb;
use super::image::{self, Image};
use super::modules;

/// Where a build tree has what a boot needs.
const BZIMAGE: &str = "arch/x86/boot/bzImage";
const CONFIG: &str = ".config";
const BUILTIN: &str = "modules.builtin";
const RELEASE: &str = "include/config/kernel.release";

/// Bytes of kernel.release; a release has 64 at most.
const MAX_RELEASE: usize = 256;

/// How a tarball is laid out.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Layout {
    /// The folder around all, with a slash at its end; empty where there is none.
    top: String,
    /// The release, where it is a build tree and its files have to be renamed.
    tree: Option<String>,
}

/// How a tarball is compressed, by its first bytes: names lie.
pub(crate) fn compression(head: &[u8]) -> Option<Compression> {
    Compression::of(head).or_else(|| (head.get(257..262) == Some(b"ustar")).then_some(Compression::None))
}

/// Reads the tarball at `path`, which `file` has open, and hands every file that `wanted` chooses by its installed path
/// to `take`.
///
/// # Errors
/// As [`deb::read`].
pub fn read(path: &Path, file: impl Read, wanted: Choice, take: Take) -> Result<(), ArchiveReadError> {
    let layout = survey(path)?;
    let unpacked = open(file, size(path)?)?;
    let chosen = |path: &str| layout.installed(path).map_or(Want::No, |path| wanted(&path));
    deb::read_tar(unpacked, "archive", &chosen, &mut |path, bytes| match layout.installed(&path) {
        Some(path) => take(path, bytes),
        None => Ok(()),
    })
}

fn size(path: &Path) -> Result<u64, PackageError> {
    Ok(std::fs::metadata(path).map_err(|source| PackageError::Damaged { part: "file", source })?.len())
}

fn open<'a>(mut file: impl Read + 'a, size: u64) -> Result<Box<dyn Read + 'a>, PackageError> {
    let failed = |source| PackageError::Damaged { part: "compressed data", source };
    let mut head = Vec::new();
    (&mut file).take(512).read_to_end(&mut head).map_err(failed)?;
    let how = compression(&head)
        .ok_or(PackageError::NoKernel("expected a tar archive, plain or by gzip, xz, zstd or bzip2"))?;
    compression::reader(how, io::Cursor::new(head).chain(file), compression::bound(size)).map_err(failed)
}

/// Finds the image, and with it how the tarball is laid out. Reads no further than that takes.
fn survey(path: &Path) -> Result<Layout, ArchiveReadError> {
    let failed = |source| PackageError::Damaged { part: "file", source };
    let file = BufReader::with_capacity(128 << 10, File::open(path).map_err(failed)?);
    let unpacked = open(file, size(path)?)?;
    let (mut found, mut nameless, mut release) = (None, None, None);
    let known = |path: &str| match is_installed_image(path) {
        _ if top_of(path, BZIMAGE).is_some() || top_of(path, RELEASE).is_some() => Want::File,
        true => Want::UnlessLink,
        false => Want::No,
    };
    let read = deb::read_tar(unpacked, "archive", &known, &mut |path, bytes| {
        if is_installed_image(&path) {
            let top = path.split_once("boot/").map_or("", |(top, _)| top).to_owned();
            found = Some(Layout { top, tree: None });
        } else if let Some(top) = top_of(&path, BZIMAGE) {
            match image::identify(&bytes[..]) {
                Ok(Image::BzImage { release: Some(release) }) => {
                    found = Some(Layout { top: top.to_owned(), tree: Some(release) });
                }
                _ => nameless = Some(top.to_owned()),
            }
        } else if bytes.len() <= MAX_RELEASE
            && let Some(top) = top_of(&path, RELEASE)
        {
            release = image::as_release(&bytes).map(|release| (top.to_owned(), release));
        }
        match found {
            // Nothing that follows says more.
            Some(_) => Err(io::ErrorKind::Other.into()),
            None => Ok(()),
        }
    });
    match (found, read) {
        (Some(layout), _) => Ok(layout),
        (None, Err(error)) => Err(error),
        (None, Ok(())) => match (nameless, release) {
            (Some(top), Some((of, release))) if top == of => Ok(Layout { top, tree: Some(release) }),
            (Some(_), _) => Err(PackageError::NoKernel("its bzImage does not say its release").into()),
            (None, _) => Err(PackageError::NoKernel("expected arch/x86/boot/bzImage or boot/vmlinuz-…").into()),
        },
    }
}

/// The folder around all, where `path` is the tree's file `file`.
fn top_of<'a>(path: &'a str, file: &str) -> Option<&'a str> {
    let top = path.strip_suffix(file)?;
    let is_one_folder = top.strip_suffix('/').is_some_and(|name| !name.is_empty() && !name.contains('/'));
    (top.is_empty() || is_one_folder).then_some(top)
}

/// `boot/vmlinuz-…`, perhaps in a folder around all.
fn is_installed_image(path: &str) -> bool {
    let below = path.strip_prefix("boot/").or_else(|| path.split_once('/')?.1.strip_prefix("boot/"));
    below.is_some_and(|file| file.starts_with("vmlinuz-") && !file.contains('/'))
}

impl Layout {
    /// What the file would be called once it is installed; `None` where it would not be.
    fn installed(&self, path: &str) -> Option<String> {
        let path = path.strip_prefix(self.top.as_str())?;
        let Some(release) = &self.tree else { return Some(path.to_owned()) };
        match path {
            BZIMAGE => Some(format!("boot/vmlinuz-{release}")),
            CONFIG => Some(format!("boot/config-{release}")),
            BUILTIN => Some(format!("lib/modules/{release}/{BUILTIN}")),
            // What packaging in the tree left has the same modules a second time.
            _ if path.contains("lib/modules/") => None,
            _ => modules::name_of_file(path).map(|_| format!("lib/modules/{release}/kernel/{path}")),
        }
    }
}

#[cfg(test)]
#[path = "tarball_tests.rs"]
mod tests;
