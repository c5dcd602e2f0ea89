//! Finds the guest's disks by what is on them: the kernel numbers them as it likes.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::judge::ProgramJudgement;
use backproof_protocol::Conclusion;

/// What a squashfs starts with (Documentation/filesystems/squashfs.rst).
const SQUASHFS_MAGIC: [u8; 4] = *b"hsqs";

/// What is on a disk of the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DiskContent {
    /// A rootfs: it is read-only.
    Rootfs,
    /// Nothing, when the guest started.
    Empty,
}

/// The drivers of disks, and where sysfs has them.
const DRIVERS: [(&str, &str); 2] = [("nfit", "/sys/bus/acpi/drivers/nfit"), ("nd_pmem", "/sys/bus/nd/drivers/nd_pmem")];

/// The device of a disk.
///
/// # Errors
/// A skip if the kernel has no driver for it.
pub(super) fn find(wanted: DiskContent) -> Result<PathBuf, ProgramJudgement> {
    wait_for_probing();
    let names = names_in("/sys/block", "pmem");
    let device = |name: &String| Path::new("/dev").join(name);
    let is_wanted = |path: &PathBuf| {
        let mut head = [0; SQUASHFS_MAGIC.len()];
        let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
        read.is_ok() && (head == SQUASHFS_MAGIC) == (wanted == DiskContent::Rootfs)
    };
    names.iter().map(device).find(is_wanted).ok_or_else(|| {
        if let Some((driver, _)) = DRIVERS.iter().find(|(_, place)| !Path::new(place).exists()) {
            let why = format!("this kernel lacks {driver}, which the reproducer's disk needs");
            return ProgramJudgement::of(Conclusion::Skip, why);
        }
        let what = if wanted == DiskContent::Rootfs { "the reproducer's rootfs" } else { "the reproducer" };
        ProgramJudgement::error(format!("the kernel found no disk for {what}, only {} other NVDIMMs", names.len()))
    })
}

/// Waits until the kernel has looked at all NVDIMMs: reading this file of a bus ends then (drivers/nvdimm/core.c).
fn wait_for_probing() {
    for bus in names_in("/sys/bus/nd/devices", "ndbus") {
        let _ = fs::read(Path::new("/sys/bus/nd/devices").join(bus).join("wait_probe"));
    }
}

/// The entries of a folder whose names start with this, in order.
fn names_in(folder: &str, start: &str) -> Vec<String> {
    let names = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = names.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    names.retain(|name| name.starts_with(start));
    names.sort();
    names
}
