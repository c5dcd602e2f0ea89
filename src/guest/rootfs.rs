//! The file system that a program sees as its root: a folder or a tarball, read into memory and checked. Links in it are
//! never followed on this host.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Component, Path};

use tar::EntryType;

use crate::kernel::compression::{Compression, reader};
use crate::regular;

/// The most bytes of its files. A guest has them twice in memory, at first as its initramfs and then as a copy for each
/// run; 64 MiB keep it below 400 MiB.
const ROOTFS_MAX: u64 = 64 << 20;

/// The most files, folders and links.
const ENTRIES_MAX: usize = 50_000;

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
}

impl Rootfs {
    /// Reads a folder or a tarball.
    ///
    /// # Errors
    /// What cannot be in a guest, by name, or the limit that is exceeded.
    pub(super) fn load(path: &Path) -> Result<Self, String> {
        let unreadable = |error: io::Error| format!("its rootfs cannot be read: {error}");
        let mut rootfs = Self::default();
        if fs::metadata(path).map_err(unreadable)?.is_dir() {
            if path.join("oci-layout").exists() {
                return Err("its rootfs is an OCI image layout: expected a folder or a tarball of files".to_owned());
            }
            rootfs.add_folder(path, "")?;
        } else {
            let mut file = regular::open(path).map_err(unreadable)?;
            let mut head = Vec::new();
            file.by_ref().take(6).read_to_end(&mut head).map_err(unreadable)?;
            let how = Compression::of(&head).unwrap_or(Compression::None);
            rootfs.add_tarball(how, head.as_slice().chain(file))?;
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
        let missing = || format!("its rootfs has no file {path:.200}");
        let mut left: Vec<&str> = path.split('/').rev().collect();
        let (mut at, mut links) = (Vec::new(), 0);
        while let Some(part) = left.pop() {
            match part {
                "" | "." => {}
                ".." => _ = at.pop(),
                name => {
                    at.push(name);
                    match self.entries.get(&at.join("/")) {
                        Some(RootfsEntry::Link { target }) => {
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
                        Some(RootfsEntry::File { mode, bytes }) if left.is_empty() => return Ok((*mode, bytes)),
                        Some(RootfsEntry::Folder { .. }) => {}
                        _ => return Err(missing()),
                    }
                }
            }
        }
        Err(missing())
    }

    fn add_folder(&mut self, folder: &Path, name: &str) -> Result<(), String> {
        let unreadable = |name: &str, error: io::Error| format!("cannot read {name} of its rootfs: {error}");
        for entry in fs::read_dir(folder).map_err(|error| unreadable(name, error))? {
            let entry = entry.map_err(|error| unreadable(name, error))?;
            let part = entry.file_name();
            let part =
                part.to_str().ok_or_else(|| format!("the name {} in its rootfs is not UTF-8", part.display()))?;
            let path = if name.is_empty() { part.to_owned() } else { format!("{name}/{part}") };
            // Of the link itself.
            let about = entry.metadata().map_err(|error| unreadable(&path, error))?;
            let (kind, mode) = (about.file_type(), about.permissions().mode() & 0o7777);
            if kind.is_symlink() {
                let target = fs::read_link(entry.path()).map_err(|error| unreadable(&path, error))?;
                let target = target.to_str().ok_or_else(|| format!("the link {path} in its rootfs is not UTF-8"))?;
                self.insert(path, RootfsEntry::Link { target: target.to_owned() })?;
            } else if kind.is_dir() {
                self.insert(path.clone(), RootfsEntry::Folder { mode })?;
                self.add_folder(&entry.path(), &path)?;
            } else if kind.is_file() {
                self.fits(&path, about.len())?;
                let bytes = regular::read(&entry.path(), ROOTFS_MAX).map_err(|error| unreadable(&path, error))?;
                self.insert(path, RootfsEntry::File { mode, bytes })?;
            } else {
                let what = match () {
                    () if kind.is_fifo() => "a FIFO",
                    () if kind.is_socket() => "a socket",
                    () => "a device node",
                };
                return Err(unfit(&path, what));
            }
        }
        Ok(())
    }

    fn add_tarball(&mut self, how: Compression, packed: impl Read) -> Result<(), String> {
        let damaged = |error: io::Error| format!("its rootfs is not a whole tarball: {error}");
        // Heads and padding take at most 2 KiB an entry, without long names.
        let limit = ROOTFS_MAX + (ENTRIES_MAX as u64) * 2048;
        let unpacked = reader(how, packed, limit).map_err(damaged)?;
        let mut archive = tar::Archive::new(unpacked);
        for entry in archive.entries().map_err(damaged)? {
            let mut entry = entry.map_err(damaged)?;
            let kind = entry.header().entry_type();
            if kind == EntryType::XGlobalHeader {
                continue;
            }
            let raw = entry.path_bytes().into_owned();
            let path = inside(&raw)?;
            let mode = entry.header().mode().map_err(damaged)? & 0o7777;
            let target = || {
                let name = entry.link_name_bytes().unwrap_or_default().into_owned();
                String::from_utf8(name).map_err(|_| format!("the link {path} in its rootfs is not UTF-8"))
            };
            let new = match kind {
                EntryType::Directory if path.is_empty() => continue,
                EntryType::Directory => RootfsEntry::Folder { mode },
                EntryType::Symlink => RootfsEntry::Link { target: target()? },
                EntryType::Link => {
                    let other = inside(target()?.as_bytes())?;
                    match self.entries.get(&other) {
                        Some(file @ RootfsEntry::File { .. }) => file.clone(),
                        _ => return Err(format!("{path} in its rootfs links to {other}, which is no file before it")),
                    }
                }
                EntryType::Regular | EntryType::Continuous => {
                    self.fits(&path, entry.size())?;
                    let mut bytes = Vec::new();
                    entry.read_to_end(&mut bytes).map_err(damaged)?;
                    RootfsEntry::File { mode, bytes }
                }
                EntryType::Fifo => return Err(unfit(&path, "a FIFO")),
                EntryType::Char | EntryType::Block => return Err(unfit(&path, "a device node")),
                other => return Err(unfit(&path, &format!("an entry of type {:?}", other.as_byte() as char))),
            };
            self.add_parents(&path)?;
            self.insert(path, new)?;
        }
        Ok(())
    }

    /// Folders that a tarball leaves out.
    fn add_parents(&mut self, path: &str) -> Result<(), String> {
        for (at, _) in path.match_indices('/') {
            if !self.entries.contains_key(&path[..at]) {
                self.insert(path[..at].to_owned(), RootfsEntry::Folder { mode: 0o755 })?;
            }
        }
        Ok(())
    }

    fn insert(&mut self, path: String, entry: RootfsEntry) -> Result<(), String> {
        if path.is_empty() || path.contains('\0') || path.len() > 4000 {
            return Err(format!("{path:.100?} is no path in a rootfs"));
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

fn unfit(path: &str, what: &str) -> String {
    format!("{path} in its rootfs is {what}: expected only files, folders and symbolic links")
}

/// A tarball's path, relative to the root.
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
#[path = "rootfs_tests.rs"]
mod tests;
