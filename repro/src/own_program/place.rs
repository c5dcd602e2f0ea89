//! The surroundings of a user's program in a guest: mounts of its own, so that it leaves none behind.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use nix::sched::{CloneFlags, unshare};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind_recursive, mount_change};

use super::disks::{self, DiskContent};
use super::judge::ProgramJudgement;
use backproof_protocol::{Conclusion, GuestMount, ROOTFS_DIR};

/// Moves this process into a mount namespace with an empty /tmp, and an IPC namespace where the kernel has them. Mounts,
/// files there and System V objects end with the program.
pub(super) fn enter_new() -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNS).map_err(|error| format!("cannot make a mount namespace: {error}"))?;
    let _ = unshare(CloneFlags::CLONE_NEWIPC);
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

/// Where a program's rootfs is made, before it becomes the root: a folder of every guest.
const NEW_ROOT: &str = "/run";

/// The folders there of a rootfs that is on a disk: the disk, what is written above it, and both together.
const LOWER: &str = "/run/lower";
const UPPER: &str = "/run/upper";
const WORK: &str = "/run/work";
const MERGED: &str = "/run/merged";

/// What a program sees of the guest beside its rootfs.
const SHARED: [&str; 4] = ["dev", "proc", "sys", "tmp"];

/// Makes the rootfs of the program in `folder` this process's root, with the program's own files at the same path as without
/// one. What a program changes ends with its mounts.
pub(super) fn enter_rootfs(folder: &Path, on_disk: bool) -> Result<(), ProgramJudgement> {
    let failed = |what: &str, error: &dyn std::fmt::Display| {
        ProgramJudgement::error(format!("cannot {what} the reproducer's rootfs: {error}"))
    };
    mount("tmpfs", NEW_ROOT, "tmpfs", MountFlags::empty(), Some(c"mode=755,size=100%"))
        .map_err(|error| failed("mount tmpfs for", &error))?;
    let root = Path::new(if on_disk { MERGED } else { NEW_ROOT });
    if on_disk {
        mount_disk()?;
    } else {
        copy_below(&folder.join(ROOTFS_DIR), root).map_err(|error| failed("copy", &error))?;
    }
    for name in SHARED {
        let (from, to) = (Path::new("/").join(name), root.join(name));
        fs::create_dir_all(&to).map_err(|error| failed("make a mount point in", &error))?;
        mount_bind_recursive(&from, &to).map_err(|error| failed("mount into", &error))?;
    }
    let beside = root.join(folder.strip_prefix("/").unwrap_or(folder));
    fs::create_dir_all(&beside).map_err(|error| failed("make a folder in", &error))?;
    for entry in fs::read_dir(folder).map_err(|error| failed("list the files beside", &error))?.flatten() {
        if entry.path().is_file() {
            fs::copy(entry.path(), beside.join(entry.file_name()))
                .map_err(|error| failed("copy files into", &error))?;
        }
    }
    std::os::unix::fs::chroot(root).map_err(|error| failed("enter", &error))?;
    std::env::set_current_dir("/tmp").map_err(|error| failed("enter /tmp of", &error))
}

/// Mounts the disk with the rootfs, and above it a place for what the program writes.
fn mount_disk() -> Result<(), ProgramJudgement> {
    let disk = disks::find(DiskContent::Rootfs)?;
    for folder in [LOWER, UPPER, WORK, MERGED] {
        fs::create_dir(folder).map_err(|error| ProgramJudgement::error(format!("cannot make {folder}: {error}")))?;
    }
    let failed = |kind: &'static str| {
        move |error| match error {
            Errno::NODEV => skip(kind),
            // Its metadata name zlib, although nothing is compressed.
            Errno::INVAL if kind == "squashfs" => skip("squashfs with zlib"),
            error => ProgramJudgement::error(format!("cannot mount the reproducer's rootfs as {kind}: {error}")),
        }
    };
    mount(&disk, LOWER, "squashfs", MountFlags::RDONLY, None).map_err(failed("squashfs"))?;
    let layers = c"lowerdir=/run/lower,upperdir=/run/upper,workdir=/run/work";
    mount("overlay", MERGED, "overlay", MountFlags::empty(), Some(layers)).map_err(failed("overlay"))
}

/// Copies a folder's content: files and folders with their permissions, links as they are.
fn copy_below(from: &Path, to: &Path) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target, about) = (entry.path(), to.join(entry.file_name()), entry.metadata()?);
        if about.is_symlink() {
            symlink(fs::read_link(&source)?, &target)?;
        } else if about.is_dir() {
            fs::create_dir(&target)?;
            copy_below(&source, &target)?;
            fs::set_permissions(&target, about.permissions())?;
        } else {
            // With its permissions.
            fs::copy(&source, &target)?;
        }
    }
    Ok(())
}

/// The users and groups of a guest: getpwnam(3) and getgrnam(3) of many tests look for `nobody`.
const USERS: [(&str, &str); 2] = [
    ("/etc/passwd", "root:x:0:0::/tmp:/bin/sh\nnobody:x:65534:65534::/tmp:/bin/sh\n"),
    ("/etc/group", "root:x:0:\nnobody:x:65534:\nnogroup:x:65534:\n"),
];

/// Names the usual users, unless an earlier program has.
pub(super) fn name_users() {
    for (path, users) in USERS {
        // A program that needs no users runs without them, too.
        let _ = fs::create_dir_all("/etc");
        if !Path::new(path).exists() {
            let _ = fs::write(path, users);
        }
    }
}

/// The name of a shell among a program's files.
const SHELL: &str = "sh";

/// Links the files beside a program into its working directory, where programs of others expect them, and a shell to
/// where system(3) runs it. `own_root` says whether the program has a rootfs, and so a /bin of its own.
pub(super) fn link_files(folder: &Path, program: &Path, own_root: bool) -> Result<(), String> {
    let entries = fs::read_dir(folder).map_err(|error| format!("cannot list {}: {error}", folder.display()))?;
    for path in entries.flatten().map(|entry| entry.path()).filter(|path| path != program && path.is_file()) {
        let Some(name) = path.file_name() else { continue };
        // Without tmpfs, another program may have left a file of that name in /tmp.
        let _ = symlink(&path, Path::new("/tmp").join(name));
        if name == SHELL && !Path::new("/bin/sh").exists() {
            // A guest has no shell of its own. Without tmpfs, programs that share it use the first.
            let _ = fs::create_dir_all("/bin");
            if !own_root {
                let _ = mount("tmpfs", "/bin", "tmpfs", MountFlags::empty(), None);
            }
            let _ = symlink(&path, "/bin/sh");
        }
    }
    Ok(())
}

fn skip(kind: &str) -> ProgramJudgement {
    ProgramJudgement::of(Conclusion::Skip, format!("this kernel lacks {kind}, which the reproducer needs"))
}
