//! Makes the initramfs that a guest boots into: the agent, its plan, and the modules and programs that it needs.

use std::collections::BTreeSet;
use std::io::{self, Write as _};

use backproof_protocol::{LIBRARIES_DIR, MODULES_DIR, PLAN_PATH, PROGRAMS_DIR, Plan, ROOTFS_DIR};
use cpio::newc::{Builder, ModeFileType, trailer};

use crate::kernel::Module;

mod libraries;
mod program;
mod rootfs;

pub use libraries::{Libraries, Library};
pub use program::{GuestProgram, PROGRAM_MAX, ProgramError};
use rootfs::RootfsEntry;
pub use rootfs::{GuestRootfs, Rootfs, RootfsImage, RootfsShelf};

/// The guest agent, built by the build script for static x86-64.
pub static AGENT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/backproof-agent"));

/// Character devices that must be there before the agent can mount anything: the kernel opens /dev/console for PID 1
/// itself, Rust's runtime aborts if a standard descriptor is closed and /dev/null is missing, and a kernel without
/// devtmpfs makes none. Numbers from the kernel's Documentation/admin-guide/devices.txt.
const NODES: [(&str, u32, u32); 6] = [
    ("dev/null", 1, 3),
    ("dev/console", 5, 1),
    ("dev/kmsg", 1, 11),
    ("dev/ttyS0", 4, 64),
    ("dev/ttyS1", 4, 65),
    ("dev/net/tun", 10, 200),
];

/// Folders of the guest: the mount points and the parents of the files.
const FOLDERS: [&str; 9] =
    ["dev", "dev/net", "proc", "sys", "tmp", "run", "backproof", "backproof/modules", "backproof/programs"];

/// An error creating a guest.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// A module's name is not a file name.
    #[error("module name `{0}` is not a file name")]
    ModuleName(String),
    /// The archive could not be written.
    #[error("cannot create the initramfs")]
    Archive(#[from] io::Error),
    /// The plan could not be written.
    #[error("cannot write the agent's plan")]
    Plan(#[from] serde_json::Error),
}

/// The file name of a module in the initramfs; [`Plan::modules`] names these, in load order.
pub fn module_file(name: &str) -> String {
    format!("{name}.ko")
}

/// The initramfs for `plan`: the same bytes for the same input, whenever and wherever it is made, so that its
/// SHA-256 says what a guest was.
///
/// The format is `newc` of the kernel's Documentation/driver-api/early-userspace/buffer-format.rst, uncompressed:
/// the kernel's own decompressors are optional, and unpacking two megabytes costs nothing.
///
/// # Errors
/// If a module's name has a slash or is empty, or something does not fit the format's 32-bit sizes.
pub fn initramfs(plan: &Plan, modules: &[Module], programs: &[&GuestProgram]) -> Result<Vec<u8>, GuestError> {
    let mut archive = Archive { bytes: Vec::with_capacity(AGENT.len() + (1 << 20)), inode: 0 };
    for folder in FOLDERS {
        archive.add(folder, ModeFileType::Directory, 0o755, &[])?;
    }
    for (path, major, minor) in NODES {
        archive.node(path, major, minor)?;
    }
    archive.add("init", ModeFileType::Regular, 0o755, AGENT)?;
    archive.add(relative(PLAN_PATH), ModeFileType::Regular, 0o644, &serde_json::to_vec(plan)?)?;
    for module in modules {
        let file = module_file(&module.name);
        if module.name.is_empty() || file.contains(['/', '\0']) {
            return Err(GuestError::ModuleName(module.name.clone()));
        }
        let path = format!("{}/{file}", relative(MODULES_DIR));
        archive.add(&path, ModeFileType::Regular, 0o644, &module.bytes)?;
    }
    let mut made: BTreeSet<String> = BTreeSet::new();
    let mut roots: Vec<(&GuestRootfs, String)> = Vec::new();
    for program in programs {
        // A bug's name is a file name.
        let folder = format!("{}/{}", relative(PROGRAMS_DIR), program.folder());
        archive.add(&folder, ModeFileType::Directory, 0o755, &[])?;
        made.insert(folder.clone());
        for (name, mode, bytes) in program.files() {
            archive.add(&format!("{folder}/{name}"), ModeFileType::Regular, mode, bytes)?;
        }
        if let Some((rootfs, files)) = program.rootfs().and_then(|rootfs| Some((rootfs, rootfs.in_initramfs()?))) {
            let root = format!("{folder}/{ROOTFS_DIR}");
            // Programs with the same rootfs share it.
            match roots.iter().find(|(known, _)| std::ptr::eq(*known, rootfs)) {
                Some((_, first)) => archive.add(&root, ModeFileType::Symlink, 0o777, format!("/{first}").as_bytes())?,
                None => {
                    archive.add_rootfs(&root, files)?;
                    roots.push((rootfs, root));
                }
            }
        }
        let libraries = program.libraries();
        let of_program = libraries.files.iter().map(|file| (format!("{folder}/{LIBRARIES_DIR}/{}", file.name), file));
        let loader = libraries.loader.iter().map(|file| (relative(&file.name).to_owned(), file));
        for (path, library) in of_program.chain(loader) {
            // Programs of one host have one loader.
            if made.insert(path.clone()) {
                archive.add_folders(&path, &mut made)?;
                archive.add(&path, ModeFileType::Regular, 0o755, &library.bytes)?;
            }
        }
    }
    Ok(trailer(archive.bytes)?)
}

/// A path of the guest as the archive names it.
fn relative(path: &str) -> &str {
    path.trim_start_matches('/')
}

struct Archive {
    bytes: Vec<u8>,
    inode: u32,
}

impl Archive {
    /// An entry's head. Every entry has an inode of its own: with equal ones the kernel would take two files with
    /// more than one link for the same file.
    fn entry(&mut self, path: &str, kind: ModeFileType, permissions: u32) -> Builder {
        self.inode += 1;
        Builder::new(path).ino(self.inode).mode(permissions).set_mode_file_type(kind)
    }

    fn add(&mut self, path: &str, kind: ModeFileType, permissions: u32, content: &[u8]) -> io::Result<()> {
        let size = u32::try_from(content.len()).map_err(|_| io::Error::other(format!("{path} is over 4 GiB")))?;
        let mut entry = self.entry(path, kind, permissions).write(&mut self.bytes, size);
        entry.write_all(content)?;
        entry.finish()?;
        Ok(())
    }

    fn add_rootfs(&mut self, root: &str, files: &Rootfs) -> io::Result<()> {
        self.add(root, ModeFileType::Directory, 0o755, &[])?;
        for (path, entry) in files.entries() {
            let path = format!("{root}/{path}");
            match entry {
                RootfsEntry::Folder { mode } => self.add(&path, ModeFileType::Directory, *mode, &[])?,
                RootfsEntry::File { mode, bytes } => self.add(&path, ModeFileType::Regular, *mode, bytes)?,
                RootfsEntry::Link { target } => self.add(&path, ModeFileType::Symlink, 0o777, target.as_bytes())?,
            }
        }
        Ok(())
    }

    /// The folders above a file that are not made yet.
    fn add_folders(&mut self, path: &str, made: &mut BTreeSet<String>) -> io::Result<()> {
        let above = path.match_indices('/').map(|(at, _)| &path[..at]);
        for folder in above.filter(|folder| !FOLDERS.contains(folder)) {
            if made.insert(folder.to_owned()) {
                self.add(folder, ModeFileType::Directory, 0o755, &[])?;
            }
        }
        Ok(())
    }

    fn node(&mut self, path: &str, major: u32, minor: u32) -> io::Result<()> {
        let entry = self.entry(path, ModeFileType::Char, 0o600).rdev_major(major).rdev_minor(minor);
        entry.write(&mut self.bytes, 0).finish()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use backproof_protocol::{Job, VERSION};
    use cpio::newc::Reader;

    use super::*;

    fn plan() -> Plan {
        let job = Job::new("a-bug", 5000);
        Plan { version: VERSION, modules: vec![module_file("tun")], jobs: vec![job], reach: Vec::new() }
    }

    fn module(name: &str) -> Module {
        Module { name: name.to_owned(), bytes: b"\x7fELF...".to_vec() }
    }

    #[test]
    fn archive_holds_agent_plan_modules_and_nodes() {
        let archive = initramfs(&plan(), &[module("tun")], &[]).expect("an initramfs");
        let mut rest = archive.as_slice();
        let mut found = Vec::new();
        loop {
            let mut reader = Reader::new(rest).expect("an entry");
            if reader.entry().is_trailer() {
                break;
            }
            let (name, mode, rdev) =
                (reader.entry().name().to_owned(), reader.entry().mode(), reader.entry().rdev_minor());
            let mut content = Vec::new();
            reader.read_to_end(&mut content).expect("its content");
            match name.as_str() {
                "init" => assert!(content == AGENT && mode == 0o100_755),
                "backproof/plan.json" => {
                    assert_eq!(serde_json::from_slice::<Plan>(&content).expect("a plan"), plan());
                }
                "backproof/modules/tun.ko" => assert_eq!(content, b"\x7fELF..."),
                "dev/ttyS1" => assert_eq!((mode, rdev), (0o020_600, 65)),
                _ => assert!(content.is_empty(), "{name}"),
            }
            found.push(name);
            rest = reader.finish().expect("the next entry");
        }
        for wanted in ["init", "backproof/plan.json", "backproof/modules/tun.ko", "dev/null", "dev/console", "proc"] {
            assert!(found.iter().any(|f| f == wanted), "{wanted} is missing in {found:?}");
        }
        assert!(found.iter().all(|f| !f.starts_with('/')), "{found:?}");
    }

    #[test]
    fn same_plan_gives_the_same_bytes() {
        let one = initramfs(&plan(), &[module("tun")], &[]).expect("an initramfs");
        assert_eq!(one, initramfs(&plan(), &[module("tun")], &[]).expect("an initramfs"));
    }

    #[test]
    fn module_cannot_leave_its_folder() {
        for name in ["", "../../init", "a/b", "a\0b"] {
            assert!(matches!(initramfs(&plan(), &[module(name)], &[]), Err(GuestError::ModuleName(_))), "{name:?}");
        }
    }
}
