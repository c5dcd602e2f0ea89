//! The file systems and device nodes that the agent needs.

use std::fs;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::{MountFlags, mount};

/// Device nodes to make if the kernel has no devtmpfs: path, major and minor number
/// (Documentation/admin-guide/devices.txt).
const NODES: [(&str, u32, u32); 5] = [
    ("/dev/null", 1, 3),
    ("/dev/urandom", 1, 9),
    ("/dev/console", 5, 1),
    ("/dev/ttyS1", 4, 65),
    ("/dev/net/tun", 10, 200),
];

/// Mounts /proc, /sys and /dev, and makes the nodes that are still missing. Returns what went wrong.
pub fn mount_all() -> Vec<String> {
    let mut notes = Vec::new();
    for (kind, at) in [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")] {
        let _ = fs::create_dir_all(at); // if this fails, so does the mount
        // EBUSY: the kernel has already mounted it (CONFIG_DEVTMPFS_MOUNT).
        match mount(kind, at, kind, MountFlags::empty(), None) {
            Ok(()) | Err(rustix::io::Errno::BUSY) => {}
            Err(error) => notes.push(format!("cannot mount {kind} on {at}: {error}")),
        }
    }
    let _ = fs::create_dir_all("/dev/net");
    for (path, major, minor) in NODES {
        if Path::new(path).exists() {
            continue;
        }
        let mode = Mode::from_raw_mode(0o600);
        if let Err(error) = mknodat(CWD, path, FileType::CharacterDevice, mode, makedev(major, minor)) {
            notes.push(format!("cannot create {path}: {error}"));
        }
    }
    notes
}
