//! Reads tarballs: a whole rootfs, or one layer of an OCI image.

use std::collections::BTreeSet;
use std::io::{self, Read};

use tar::{Archive, Entry, EntryType};

use super::{ENTRIES_MAX, READ_MAX, ROOTFS_MAX, Rootfs, RootfsEntry, inside, is_hidden, unfit};
use crate::kernel::compression::{Compression, reader};

/// In a layer, a file whose name starts with this removes what the rest of the name names (OCI image specification, layer.md).
const WHITEOUT: &str = ".wh.";

/// In a layer, a file of this name removes everything in its folder that lower layers have.
const OPAQUE: &str = ".wh..wh..opq";

impl Rootfs {
    /// Adds a tarball, in which everything is there once.
    pub(super) fn add_tarball(&mut self, how: Compression, packed: impl Read) -> Result<(), String> {
        self.each_of(how, packed, |rootfs, path, new| {
            rootfs.add_parents(&path)?;
            rootfs.insert(path, new)
        })
    }

    /// Adds a layer, which replaces and removes entries of those below it.
    pub(super) fn add_layer(&mut self, how: Compression, packed: impl Read) -> Result<(), String> {
        let mut own = BTreeSet::new();
        self.each_of(how, packed, |rootfs, path, new| {
            // A layer may name a folder by a link of a lower layer, as in `lib/x` above `lib -> usr/lib`.
            let path = rootfs.resolve_folder(&path)?;
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
            let at = |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
            if name == OPAQUE {
                rootfs.remove_below(folder, &own);
                return Ok(());
            }
            if let Some(gone) = name.strip_prefix(WHITEOUT) {
                rootfs.remove(&at(gone), &own);
                return Ok(());
            }
            let is_folder = |entry: Option<&RootfsEntry>| matches!(entry, Some(RootfsEntry::Folder { .. }));
            if !(is_folder(rootfs.entries.get(&path)) && is_folder(Some(&new))) {
                rootfs.remove(&path, &BTreeSet::new());
            }
            rootfs.add_parents(&path)?;
            rootfs.insert(path.clone(), new)?;
            own.insert(path);
            Ok(())
        })
    }

    /// A path whose folder is resolved, but not its last name.
    fn resolve_folder(&self, path: &str) -> Result<String, String> {
        match path.rsplit_once('/') {
            Some((folder, name)) => Ok(match self.resolve(folder)?.as_str() {
                "" => name.to_owned(),
                folder => format!("{folder}/{name}"),
            }),
            None => Ok(path.to_owned()),
        }
    }

    /// Hands each entry of a tarball to `add`.
    fn each_of(
        &mut self,
        how: Compression,
        packed: impl Read,
        mut add: impl FnMut(&mut Self, String, RootfsEntry) -> Result<(), String>,
    ) -> Result<(), String> {
        // Heads and padding take at most 2 KiB an entry, without long names.
        let limit = ROOTFS_MAX + (ENTRIES_MAX as u64) * 2048;
        let unpacked = reader(how, packed, limit).map_err(damaged)?;
        let mut archive = Archive::new(unpacked);
        for entry in archive.entries().map_err(damaged)? {
            if let Some((path, new)) = self.read_entry(&mut entry.map_err(damaged)?)? {
                add(self, path, new)?;
            }
        }
        Ok(())
    }

    /// An entry, if it is one of the file system.
    fn read_entry(&mut self, entry: &mut Entry<'_, impl Read>) -> Result<Option<(String, RootfsEntry)>, String> {
        let (bytes, entries) = (self.read.0.saturating_add(entry.size()), self.read.1 + 1);
        if bytes > READ_MAX.0 || entries > READ_MAX.1 {
            let (bytes, entries) = READ_MAX;
            return Err(format!("its rootfs unpacks to more than {} GiB or {entries} entries", bytes >> 30));
        }
        self.read = (bytes, entries);
        let kind = entry.header().entry_type();
        if kind == EntryType::XGlobalHeader {
            return Ok(None);
        }
        let raw = entry.path_bytes().into_owned();
        let path = inside(&raw)?;
        let mode = entry.header().mode().map_err(damaged)? & 0o7777;
        let target = || {
            let name = entry.link_name_bytes().unwrap_or_default().into_owned();
            String::from_utf8(name).map_err(|_| format!("the link {path} in its rootfs is not UTF-8"))
        };
        let new = match kind {
            EntryType::Directory if path.is_empty() => return Ok(None),
            EntryType::Directory => RootfsEntry::Folder { mode },
            EntryType::Symlink => RootfsEntry::Link { target: target()? },
            EntryType::Link => {
                let other = inside(target()?.as_bytes())?;
                match self.entries.get(&self.resolve_folder(&other)?) {
                    Some(file @ (RootfsEntry::File { .. } | RootfsEntry::Link { .. })) => file.clone(),
                    _ => {
                        return Err(format!(
                            "{path} in its rootfs is a hard link to {other}, which is not an earlier file of the tarball"
                        ));
                    }
                }
            }
            EntryType::Regular | EntryType::Continuous => {
                // In a layer, it may replace a file.
                let replaced = match self.entries.get(&self.resolve_folder(&path)?) {
                    Some(RootfsEntry::File { bytes, .. }) => bytes.len() as u64,
                    _ => 0,
                };
                self.fits(&path, entry.size().saturating_sub(replaced))?;
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).map_err(damaged)?;
                RootfsEntry::File { mode, bytes }
            }
            EntryType::Fifo => return Err(unfit(&path, "a FIFO")),
            EntryType::Char | EntryType::Block if is_hidden(&path) => return Ok(None),
            EntryType::Char | EntryType::Block => return Err(unfit(&path, "a device node")),
            other => return Err(unfit(&path, &format!("an entry of type {:?}", other.as_byte() as char))),
        };
        Ok(Some((path, new)))
    }
}

fn damaged(error: io::Error) -> String {
    format!("its rootfs is not a whole tarball: {error}")
}
