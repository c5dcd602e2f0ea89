//! Takes a kernel out of a tarball of a build tree, or of the output of `make tar-pkg` or `make dir-pkg`.
//!
//! A build tree's files get the names that they would have after installation, so other code needs no special case.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use super::archive::{ArchiveReadError, Choice, PackageError, Take, Want};
use super::compression::{self, Compression};
use super::deb;
use super::image::{self, BUILT_IMAGE, Image};
use super::modules;

/// The files of a build tree that a boot needs.
const CONFIG: &str = ".config";
const BUILTIN: &str = "modules.builtin";
const RELEASE: &str = "include/config/kernel.release";

/// The most bytes of kernel.release; a release has 64 at most.
const MAX_RELEASE: usize = 256;

/// The layout of a tarball.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Layout {
    /// The top folder, with a slash at its end; empty if there is none.
    top: String,
    /// The release, if it is a build tree, whose files have to be renamed.
    tree: Option<String>,
}

/// The compression of a tarball, by its first bytes, because its name may be wrong.
pub(crate) fn compression(head: &[u8]) -> Option<Compression> {
    Compression::of(head).or_else(|| (head.get(257..262) == Some(b"ustar")).then_some(Compression::None))
}

/// Reads the tarball at `path`, which `file` has open. Hands the files that `wanted` chooses by their installed paths
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

/// Finds the image, which shows the tarball's layout. Reads no further.
fn survey(path: &Path) -> Result<Layout, ArchiveReadError> {
    let failed = |source| PackageError::Damaged { part: "file", source };
    let file = BufReader::with_capacity(128 << 10, File::open(path).map_err(failed)?);
    let unpacked = open(file, size(path)?)?;
    let (mut found, mut nameless, mut release) = (None, None, None);
    let known = |path: &str| match is_installed_image(path) {
        _ if top_of(path, BUILT_IMAGE).is_some() || top_of(path, RELEASE).is_some() => Want::File,
        true => Want::UnlessLink,
        false => Want::No,
    };
    let read = deb::read_tar(unpacked, "archive", &known, &mut |path, bytes| {
        if is_installed_image(&path) {
            let top = path.split_once("boot/").map_or("", |(top, _)| top).to_owned();
            found = Some(Layout { top, tree: None });
        } else if let Some(top) = top_of(&path, BUILT_IMAGE) {
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
            // The rest cannot change the layout.
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

/// The top folder, if `path` is the tree's file `file`.
fn top_of<'a>(path: &'a str, file: &str) -> Option<&'a str> {
    let top = path.strip_suffix(file)?;
    let is_one_folder = top.strip_suffix('/').is_some_and(|name| !name.is_empty() && !name.contains('/'));
    (top.is_empty() || is_one_folder).then_some(top)
}

/// `boot/vmlinuz-…`, perhaps below a top folder.
fn is_installed_image(path: &str) -> bool {
    let below = path.strip_prefix("boot/").or_else(|| path.split_once('/')?.1.strip_prefix("boot/"));
    below.is_some_and(|file| file.starts_with("vmlinuz-") && !file.contains('/'))
}

impl Layout {
    /// The file's installed path; `None` if it is not installed.
    fn installed(&self, path: &str) -> Option<String> {
        let path = path.strip_prefix(self.top.as_str())?;
        let Some(release) = &self.tree else { return Some(path.to_owned()) };
        match path {
            BUILT_IMAGE => Some(format!("boot/vmlinuz-{release}")),
            CONFIG => Some(format!("boot/config-{release}")),
            BUILTIN => Some(format!("lib/modules/{release}/{BUILTIN}")),
            // Packaging leaves a second copy of the modules in the tree.
            _ if path.contains("lib/modules/") => None,
            _ => modules::name_of_file(path).map(|_| format!("lib/modules/{release}/kernel/{path}")),
        }
    }
}

#[cfg(test)]
#[path = "tarball_tests.rs"]
mod tests;
