//! Reads a folder as a rootfs.

use std::fs::{self, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

use super::{ROOTFS_MAX, Rootfs, RootfsEntry, is_hidden, unfit};

impl Rootfs {
    /// Adds everything in a folder.
    pub(super) fn add_folder(&mut self, folder: &Path) -> Result<(), String> {
        self.add_below(folder, "")
    }

    fn add_below(&mut self, folder: &Path, name: &str) -> Result<(), String> {
        let unreadable = |name: &str, error: io::Error| format!("cannot read {name} of its rootfs: {error}");
        let shown = if name.is_empty() { "the folder" } else { name };
        for entry in fs::read_dir(folder).map_err(|error| unreadable(shown, error))? {
            let entry = entry.map_err(|error| unreadable(shown, error))?;
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
                self.add_below(&entry.path(), &path)?;
            } else if kind.is_file() {
                self.fits(&path, about.len())?;
                let bytes = read(&entry.path()).map_err(|error| unreadable(&path, error))?;
                self.insert(path, RootfsEntry::File { mode, bytes })?;
            } else if !((kind.is_char_device() || kind.is_block_device()) && is_hidden(&path)) {
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
}

/// The content of a file that was no link a moment ago. If it is one now, another process wants a file of this host read.
pub(super) fn read(path: &Path) -> io::Result<Vec<u8>> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(ROOTFS_MAX + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
