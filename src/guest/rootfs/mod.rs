//! The file system that a program sees as its root: a folder, a tarball or an OCI image, read into memory and checked. Links
//! in it are never followed on this host.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, Read as _};
use std::path::{Component, Path};

use backproof_protocol::ROOTFS_PATH;

use crate::kernel::compression::Compression;
use crate::regular;

mod folder;
mod form;
mod oci;
mod squashfs;
mod tarball;

pub use form::{GuestRootfs, RootfsImage, RootfsShelf};

/// The most bytes of its files.
const ROOTFS_MAX: u64 = 1 << 30;

/// The most bytes of files that travel in the initramfs. A guest has those twice in memory, at first as its initramfs and
/// then as a copy for each run; 64 MiB keep it below 400 MiB. More than that is on a disk.
const INITRAMFS_MAX: u64 = 64 << 20;

/// The most files, folders and links.
const ENTRIES_MAX: usize = 200_000;

/// The longest name and the longest path or target of a link in bytes, as in the kernel (`NAME_MAX` and `PATH_MAX` of
/// include/uapi/linux/limits.h), less what comes before them in a guest.
const NAME_MAX: usize = 255;
const PATH_MAX: usize = 3900;

/// The deepest folder. Nothing known is half as deep.
const DEPTH_MAX: usize = 128;

/// The most bytes and entries that are read of all layers together, with what later ones replace.
const READ_MAX: (u64, usize) = (4 << 30, 2_000_000);

/// The most links that a path leads through, as in the kernel (path_resolution(7)).
const LINKS_MAX: usize = 40;

/// Mount points of a guest: folders, if the file system has them.
const MOUNT_POINTS: [&str; 4] = ["dev", "proc", "sys", "tmp"];

/// A guest's own folder, in which a program's files are.
const OURS: &str = "backproof";

/// An entry of a file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RootfsEntry {
    Folder { mode: u32 },
    File { mode: u32, bytes: Vec<u8> },
    Link { target: String },
}

/// A file system for a program, by paths without a leading slash. Folders come before what is in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rootfs {
    entries: BTreeMap<String, RootfsEntry>,
    size: u64,
    /// What was read so far.
    read: (u64, usize),
}

impl Rootfs {
    /// Reads a folder, a tarball or an OCI image.
    ///
    /// # Errors
    /// What cannot be in a guest, by name, or the limit that is exceeded.
    pub fn load(path: &Path) -> Result<Self, String> {
        let unreadable = |error: io::Error| format!("its rootfs cannot be read: {error}");
        let mut rootfs = Self::default();
        if fs::metadata(path).map_err(unreadable)?.is_dir() {
            if path.join(oci::MARK).exists() {
                rootfs = oci::in_folder(path)?;
            } else {
                rootfs.add_folder(path)?;
            }
        } else {
            let mut file = regular::open(path).map_err(unreadable)?;
            let mut head = Vec::new();
            file.by_ref().take(6).read_to_end(&mut head).map_err(unreadable)?;
            let how = Compression::of(&head).unwrap_or(Compression::None);
            rootfs.add_tarball(how, head.as_slice().chain(file))?;
            if rootfs.file(oci::MARK).is_ok() {
                rootfs = oci::in_tarball(&rootfs)?;
            } else if rootfs.file("manifest.json").is_ok() && rootfs.entries().all(|(path, _)| !path.contains("bin/")) {
                return Err(
                    "its rootfs is an image in Docker's own format: expected files or an OCI layout, as `podman save \
                            --format oci-archive` and `skopeo copy docker-archive:FILE oci:FOLDER` write it"
                        .to_owned(),
                );
            }
        }
        rootfs.check()?;
        Ok(rootfs)
    }

    /// Its entries, with their paths.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&str, &RootfsEntry)> {
        self.entries.iter().map(|(path, entry)| (path.as_str(), entry))
    }

    /// The bytes of its files.
    pub(super) fn size(&self) -> usize {
        usize::try_from(self.size).unwrap_or(usize::MAX)
    }

    /// The file that a path leads to, through links.
    ///
    /// # Errors
    /// If there is none.
    pub(super) fn file(&self, path: &str) -> Result<(u32, &[u8]), String> {
        match self.entries.get(&self.resolve(path)?) {
            Some(RootfsEntry::File { mode, bytes }) => Ok((*mode, bytes)),
            _ => Err(format!("its rootfs has no file {path:.200}")),
        }
    }

    /// Whether anything is at this path.
    pub fn has(&self, path: &str) -> bool {
        self.resolve(path).is_ok_and(|path| self.entries.contains_key(&path))
    }

    /// Whether a guest mounts its own over this path.
    pub fn hides(path: &str) -> bool {
        let first = path.split('/').find(|part| !part.is_empty());
        first.is_some_and(|first| MOUNT_POINTS.contains(&first))
    }

    /// Whether it has a command of this name, in the folders of its `PATH`.
    pub fn has_command(&self, name: &str) -> bool {
        let is_executable =
            |folder: &str| self.file(&format!("{folder}/{name}")).is_ok_and(|(mode, _)| mode & 0o111 != 0);
        ROOTFS_PATH.split(':').any(is_executable)
    }

    /// The path to which a path leads through links, whether or not anything is there.
    fn resolve(&self, path: &str) -> Result<String, String> {
        let mut left: Vec<&str> = path.split('/').rev().collect();
        let (mut at, mut links) = (Vec::new(), 0);
        while let Some(part) = left.pop() {
            match part {
                "" | "." => {}
                ".." => _ = at.pop(),
                name => {
                    at.push(name);
                    if let Some(RootfsEntry::Link { target }) = self.entries.get(&at.join("/")) {
                        links += 1;
                        if links > LINKS_MAX {
                            return Err(format!("{path:.200} in its rootfs leads through too many links"));
                        }
                        at.pop();
                        if target.starts_with('/') {
                            at.clear();
                        }
                        left.extend(target.split('/').rev());
                    }
                }
            }
        }
        Ok(at.join("/"))
    }

    /// Adds folders that an archive leaves out.
    fn add_parents(&mut self, path: &str) -> Result<(), String> {
        check_path(path)?;
        for (at, _) in path.match_indices('/') {
            if !self.entries.contains_key(&path[..at]) {
                self.insert(path[..at].to_owned(), RootfsEntry::Folder { mode: 0o755 })?;
            }
        }
        Ok(())
    }

    /// Adds an entry, whose folder is there.
    fn insert(&mut self, path: String, entry: RootfsEntry) -> Result<(), String> {
        check_path(&path)?;
        if let RootfsEntry::Link { target } = &entry
            && (target.len() > PATH_MAX || target.contains('\0'))
        {
            return Err(format!("the link {path:.100} in its rootfs has no usable target: {target:.100?}"));
        }
        for (at, _) in path.match_indices('/') {
            if !matches!(self.entries.get(&path[..at]), Some(RootfsEntry::Folder { .. })) {
                return Err(format!("{path} in its rootfs is below {}, which is not a folder", &path[..at]));
            }
        }
        match (self.entries.get(&path), &entry) {
            (None, _) | (Some(RootfsEntry::Folder { .. }), RootfsEntry::Folder { .. }) => {}
            (Some(_), _) => return Err(format!("{path} is twice in its rootfs")),
        }
        if let RootfsEntry::File { bytes, .. } = &entry {
            self.fits(&path, bytes.len() as u64)?;
            self.size += bytes.len() as u64;
        }
        self.entries.insert(path, entry);
        if self.entries.len() > ENTRIES_MAX {
            return Err(format!("its rootfs has more than {ENTRIES_MAX} entries"));
        }
        Ok(())
    }

    /// Removes an entry, and everything below it, but nothing of `kept` and no folder above one of those.
    fn remove(&mut self, path: &str, kept: &BTreeSet<String>) {
        self.remove_below(path, kept);
        self.remove_one(path, kept);
    }

    /// Removes what is in a folder, likewise. Without a name, that is everything.
    fn remove_below(&mut self, folder: &str, kept: &BTreeSet<String>) {
        let below = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let inside = self.entries.range(below.clone()..).map(|(one, _)| one).take_while(|one| one.starts_with(&below));
        let all: Vec<String> = inside.cloned().collect();
        all.iter().for_each(|one| self.remove_one(one, kept));
    }

    fn remove_one(&mut self, path: &str, kept: &BTreeSet<String>) {
        let inside = format!("{path}/");
        let is_above = kept.range(inside.clone()..).next().is_some_and(|next| next.starts_with(&inside));
        if kept.contains(path) || is_above {
            return;
        }
        if let Some(RootfsEntry::File { bytes, .. }) = self.entries.remove(path) {
            self.size -= bytes.len() as u64;
        }
    }

    fn fits(&self, path: &str, more: u64) -> Result<(), String> {
        if self.size.saturating_add(more) <= ROOTFS_MAX {
            return Ok(());
        }
        Err(format!("its rootfs is larger than {} MiB (at {path}): leave out what it does not need", ROOTFS_MAX >> 20))
    }

    fn check(&self) -> Result<(), String> {
        if self.entries.contains_key(OURS) {
            return Err(format!("its rootfs has /{OURS}, where the program's own files are: rename it"));
        }
        for name in MOUNT_POINTS {
            if !matches!(self.entries.get(name), None | Some(RootfsEntry::Folder { .. })) {
                return Err(format!("/{name} of its rootfs is not a folder, and something is mounted there"));
            }
        }
        Ok(())
    }
}

/// Whether it is in /dev, which the guest's own hides.
fn is_hidden(path: &str) -> bool {
    path.starts_with("dev/")
}

/// Whether a guest can have a path.
fn check_path(path: &str) -> Result<(), String> {
    let is_name = |part: &str| !part.is_empty() && part.len() <= NAME_MAX && !part.contains('\0');
    let is_deep = path.split('/').count() > DEPTH_MAX;
    if is_deep || path.len() > PATH_MAX || !path.split('/').all(is_name) {
        return Err(format!(
            "{path:.100?} is no path in a rootfs: expected names of at most {NAME_MAX} bytes, {DEPTH_MAX} folders deep"
        ));
    }
    Ok(())
}

fn unfit(path: &str, what: &str) -> String {
    format!("{path} in its rootfs is {what}: expected only files, folders and symbolic links")
}

/// An archive's path, relative to the root.
fn inside(raw: &[u8]) -> Result<String, String> {
    let shown = String::from_utf8_lossy(raw);
    let path = std::str::from_utf8(raw).map_err(|_| format!("the name {shown} in its rootfs is not UTF-8"))?;
    let mut parts = Vec::new();
    for part in Path::new(path.trim_start_matches('/')).components() {
        match part {
            Component::Normal(part) => parts.push(part.to_str().unwrap_or_default()),
            Component::CurDir => {}
            _ => return Err(format!("{shown} leads out of its rootfs")),
        }
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod rootfs_tests;
