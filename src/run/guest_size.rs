//! What a guest has: processors, memory and disks, by the matrix and by what its reproducers need.

use super::trial::Trial;
use crate::kernel::Store;
use crate::matrix::KernelEntry;
use crate::vm::{EMPTY_DISK_STEP_MIB, GuestDisk};

/// Default guest memory. Debian's kernels use 100 MiB of it themselves.
const MEMORY_MIB: u32 = 256;

/// Default guest processors. Reproducers mostly wait, and a second emulated processor makes the boot slower.
const CPUS: u32 = 1;

/// A guest's processors: as the matrix says, and at least what its reproducers need.
pub(super) fn cpus(entry: &KernelEntry, trials: &[Trial<'_>]) -> u32 {
    let needed = trials.iter().filter_map(|trial| trial.size().cpus).max();
    entry.guest.cpus.unwrap_or(CPUS).max(needed.unwrap_or(CPUS))
}

/// A guest's memory in MiB, likewise.
pub(super) fn memory_mib(entry: &KernelEntry, trials: &[Trial<'_>], programs: usize, disks: &[GuestDisk]) -> u32 {
    let needed = trials.iter().filter_map(|trial| trial.size().memory_mib).max().unwrap_or(0);
    let usual = || usual_memory_mib(programs).saturating_add(disk_memory_mib(disks));
    entry.guest.memory_mib.unwrap_or_else(usual).max(needed)
}

/// Memory that a kernel needs for disks: a `struct page` of 64 bytes for each of their pages, and as much for its caches.
fn disk_memory_mib(disks: &[GuestDisk]) -> u32 {
    let mib: u64 = disks.iter().map(GuestDisk::mib).sum();
    u32::try_from(mib / 32).unwrap_or(u32::MAX)
}

/// The disks of a guest with these trials, which ask for the same. The empty one is the first, because its size is a
/// multiple of what old kernels map at once.
pub(super) fn disks(store: &Store, trials: &[Trial<'_>]) -> anyhow::Result<Vec<GuestDisk>> {
    let mut disks = Vec::new();
    if let Some(mib) = trials.iter().find_map(|trial| trial.size().disk_mib) {
        disks.push(GuestDisk::Empty { mib: mib.next_multiple_of(EMPTY_DISK_STEP_MIB) });
    }
    if let Some(image) = trials.iter().find_map(Trial::image) {
        let path = image.kept(store)?.to_owned();
        disks.push(GuestDisk::Image { path, sha256: image.sha256().to_owned(), bytes: image.size() as u64 });
    }
    Ok(disks)
}

/// Default memory with these bytes of programs and added modules, which are in memory twice while the initramfs is unpacked.
fn usual_memory_mib(programs: usize) -> u32 {
    MEMORY_MIB.saturating_add(u32::try_from(programs.div_ceil(1 << 20)).unwrap_or(u32::MAX).saturating_mul(2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guest_memory_grows_with_its_programs() {
        for (bytes, mib) in [(0, MEMORY_MIB), (1, MEMORY_MIB + 2), (10 << 20, MEMORY_MIB + 20), (usize::MAX, u32::MAX)]
        {
            assert_eq!(usual_memory_mib(bytes), mib, "{bytes}");
        }
    }
}
