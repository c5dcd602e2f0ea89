//! Checks programs of others, and reads from them what they need of a guest.

use std::path::Path;

use backproof_protocol::GuestMount;
use memchr::memmem;

use super::{ImportRootfs, Rejected, RejectionKind};
use crate::guest::{GuestProgram, Libraries, Library, PROGRAM_MAX};
use crate::regular;

/// Texts of a program that opens files of a mounted file system.
const MOUNTS: [(&[u8], GuestMount); 6] = [
    (b"/dev/ptmx\0", GuestMount::Devpts),
    (b"/dev/pts\0", GuestMount::Devpts),
    (b"/dev/shm/\0", GuestMount::Shm),
    (b"/sys/kernel/debug/", GuestMount::Debugfs),
    (b"/sys/kernel/tracing/", GuestMount::Tracefs),
    (b"/dev/hugepages", GuestMount::Hugetlbfs),
];

/// The bytes of a program's file.
pub(super) fn read(name: &str, path: &Path) -> Result<Vec<u8>, Rejected> {
    regular::read(path, PROGRAM_MAX as u64)
        .map_err(|error| Rejected::new(name, RejectionKind::Unfit, format!("cannot read {}: {error}", path.display())))
}

/// Whether a program runs in a guest, with this rootfs if there is one.
pub(super) fn check(name: &str, bytes: &[u8], rootfs: Option<&ImportRootfs>) -> Result<(), Rejected> {
    let checked = match rootfs {
        Some(rootfs) => GuestProgram::check_in(rootfs.files(), bytes),
        None if bytes.starts_with(b"#!") => {
            return Err(Rejected::new(name, RejectionKind::Script, "a script: a guest has no interpreter"));
        }
        None => GuestProgram::check(bytes),
    };
    checked.map_err(|why| Rejected::new(name, RejectionKind::Unfit, why))
}

/// The libraries of a program that are in its own folder: they go with it. Those of the host are taken along by each run.
pub(super) fn own_libraries(name: &str, bytes: &[u8], path: &Path) -> Result<Vec<Library>, Rejected> {
    let all = Libraries::of(bytes, path).map_err(|why| Rejected::new(name, RejectionKind::Unfit, why))?;
    let is_own = |library: &Library| path.parent().is_some_and(|folder| library.path.starts_with(folder));
    Ok(all.files.into_iter().filter(is_own).collect())
}

/// The file systems that a program seems to use.
pub(super) fn mounts(bytes: &[u8]) -> Vec<GuestMount> {
    let used = MOUNTS.iter().filter(|(text, _)| memmem::find(bytes, text).is_some());
    let mut mounts: Vec<GuestMount> = used.map(|(_, mount)| *mount).collect();
    mounts.sort();
    mounts.dedup();
    mounts
}
