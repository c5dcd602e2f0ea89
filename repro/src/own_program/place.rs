//! The surroundings of a user's program in a guest: mounts of its own, so that it leaves none behind.

use std::fs;
use std::path::Path;

use nix::sched::{CloneFlags, unshare};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};

use super::judge::ProgramJudgement;
use backproof_protocol::{Conclusion, GuestMount};

/// Moves this process into a mount namespace with an empty /tmp. Mounts and files there end with the program.
pub(super) fn enter_new() -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(|error| format!("cannot make a mount namespace: {error}"))?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    mount_change("/", private).map_err(|error| format!("cannot make the mounts private: {error}"))?;
    match mount("tmpfs", "/tmp", "tmpfs", MountFlags::empty(), Some(c"mode=1777")) {
        // A kernel without tmpfs has one /tmp for all programs.
        Ok(()) | Err(Errno::NODEV) => Ok(()),
        Err(error) => Err(format!("cannot mount tmpfs on /tmp: {error}")),
    }
}

/// Mounts what the program needs. A file system that the kernel lacks is a skip.
pub(super) fn mount_for(mounts: &[GuestMount]) -> Result<(), ProgramJudgement> {
    for &wanted in mounts {
        let (kind, at) = wanted.place();
        // Below /sys the kernel makes the folder, if it has the file system.
        let _ = fs::create_dir_all(at);
        if !Path::new(at).is_dir() {
            return Err(skip(kind));
        }
        match mount(kind, at, kind, MountFlags::empty(), None) {
            // EBUSY: it is mounted there already.
            Ok(()) | Err(Errno::BUSY) => {}
            Err(Errno::NODEV) => return Err(skip(kind)),
            Err(error) => return Err(ProgramJudgement::error(format!("cannot mount {kind} on {at}: {error}"))),
        }
    }
    Ok(())
}

fn skip(kind: &str) -> ProgramJudgement {
    ProgramJudgement::of(Conclusion::Skip, format!("this kernel lacks {kind}, which the reproducer needs"))
}
