//! A disk that is soon full, for tests.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A small file system in memory, which only root can mount. It goes when this is dropped.
pub struct SmallDisk(PathBuf);

impl SmallDisk {
    /// Mounts it on `folder`, which is made where it is missing, with options such as `size=64k`. `None` where that is
    /// not allowed.
    pub fn mount(folder: &Path, options: &str) -> Option<Self> {
        std::fs::create_dir_all(folder).expect("a folder");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder).output();
        mount.is_ok_and(|output| output.status.success()).then(|| Self(folder.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a file of it may still be open.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
