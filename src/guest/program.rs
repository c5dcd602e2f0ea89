//! A user's own reproducer: an x86-64 program, checked before anything boots.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use backproof_protocol::{LIBRARIES_DIR, ROOTFS_DIR};
use object::Endianness;
use object::elf::{EM_X86_64, ET_DYN, ET_EXEC, FileHeader64, PT_LOAD};
use object::read::elf::{FileHeader as _, ProgramHeader as _};

use super::libraries::{ElfNeeds, Libraries};
use super::rootfs::{GuestRootfs, Rootfs, RootfsShelf};
use crate::matrix::RootfsSource;
use crate::words::BugId;

/// The largest program, in bytes. A guest has it twice while its initramfs is unpacked.
pub const PROGRAM_MAX: usize = 32 << 20;

/// The most bytes of a program with the files beside it. The guest has them twice while its initramfs is unpacked.
const TOGETHER_MAX: usize = 256 << 20;

/// A program that can run in a guest.
#[derive(Clone, Debug)]
pub struct GuestProgram {
    bug: BugId,
    /// The program itself, then the files beside it.
    files: Vec<GuestFile>,
    libraries: Libraries,
    rootfs: Option<Arc<GuestRootfs>>,
    /// The program's path in the rootfs, if it is there.
    inside: Option<String>,
}

/// A file in the folder of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
struct GuestFile {
    name: String,
    mode: u32,
    bytes: Vec<u8>,
}

/// A file that cannot run in a guest.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It cannot be read.
    #[error("cannot read {path}, which the reproducer of `{bug}` needs: {source}", path = path.display())]
    Unreadable {
        /// Whose it is.
        bug: BugId,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is something else.
    #[error("the reproducer of `{bug}`, {path}, cannot run in a guest: {why} (docs/reproducers.md)", path = path.display())]
    Unfit {
        /// Whose it is.
        bug: BugId,
        /// The file.
        path: PathBuf,
        /// What it is, and what was expected.
        why: String,
    },
}

impl GuestProgram {
    /// Reads the program of a bug, and the files that it finds beside it.
    ///
    /// # Errors
    /// If a file or library cannot be read or is too large, two files have the same name, or the program is not for x86-64.
    pub fn load(
        bug: &BugId,
        path: &Path,
        beside: &[PathBuf],
        root: Option<&RootfsSource>,
        shelf: &mut RootfsShelf,
    ) -> Result<Self, ProgramError> {
        let unfit = |path: &Path, why| ProgramError::Unfit { bug: bug.clone(), path: path.to_owned(), why };
        let rootfs = root.map(|root| shelf.get(&root.path).map_err(|why| unfit(&root.path, why))).transpose()?;
        let (its_files, rootfs) = rootfs.unzip();
        let (mut files, mut libraries, mut inside) = (Vec::new(), Libraries::default(), None);
        match (&its_files, root) {
            (Some(rootfs), Some(RootfsSource { has_program: true, .. })) => {
                let name = path.to_str().ok_or_else(|| unfit(path, "its name is not UTF-8".to_owned()))?;
                runs_inside(rootfs, name).map_err(|why| unfit(path, why))?;
                inside = Some(name.to_owned());
            }
            _ => {
                let program = read(bug, path, PROGRAM_MAX)?;
                match &its_files {
                    Some(rootfs) => starts_inside(rootfs, &program.bytes).map_err(|why| unfit(path, why))?,
                    None => {
                        check(&program.bytes).map_err(|why| unfit(path, why))?;
                        libraries = Libraries::of(&program.bytes, path).map_err(|why| unfit(path, why))?;
                    }
                }
                files.push(GuestFile { mode: 0o755, ..program });
            }
        }
        let mut total = files.iter().map(|file| file.bytes.len()).sum::<usize>() + libraries.size();
        for path in beside {
            let file = read(bug, path, TOGETHER_MAX)?;
            total += file.bytes.len();
            if total > TOGETHER_MAX {
                let why = format!("with the files before it, it takes more than {} MiB", TOGETHER_MAX >> 20);
                return Err(unfit(path, why));
            }
            if [LIBRARIES_DIR, ROOTFS_DIR].contains(&file.name.as_str()) {
                return Err(unfit(
                    path,
                    "a file of this name would hide its libraries or its rootfs: rename it".to_owned(),
                ));
            }
            if files.iter().any(|other| other.name == file.name) {
                return Err(unfit(path, format!("another of its files is called `{}`, too", file.name)));
            }
            files.push(file);
        }
        Ok(Self { bug: bug.clone(), files, libraries, rootfs, inside })
    }

    /// Whether these bytes are a program that a guest can run.
    ///
    /// # Errors
    /// What they are instead, and what was expected.
    pub fn check(bytes: &[u8]) -> Result<(), String> {
        check(bytes)
    }

    /// Whether these bytes are a program or a script that a guest can run with this rootfs.
    ///
    /// # Errors
    /// What they are instead, or what the rootfs lacks.
    pub fn check_in(rootfs: &Rootfs, bytes: &[u8]) -> Result<(), String> {
        starts_inside(rootfs, bytes)
    }

    /// The bytes of a file that can be run in this rootfs.
    ///
    /// # Errors
    /// What it is instead, or what the rootfs lacks.
    pub fn inside<'a>(rootfs: &'a Rootfs, path: &str) -> Result<&'a [u8], String> {
        runs_inside(rootfs, path)
    }

    /// Whose it is, and the name of its folder in the guest.
    pub fn folder(&self) -> &str {
        self.bug.as_str()
    }

    /// Its path below the folder of all programs, or an absolute one in its rootfs.
    pub fn path(&self) -> String {
        if let Some(inside) = &self.inside {
            return inside.clone();
        }
        let name = self.files.first().map_or("", |program| &program.name);
        format!("{}/{name}", self.folder())
    }

    /// Its files: name, mode, content.
    pub fn files(&self) -> impl Iterator<Item = (&str, u32, &[u8])> {
        self.files.iter().map(|file| (file.name.as_str(), file.mode, file.bytes.as_slice()))
    }

    /// Its loader and libraries, if it is linked dynamically.
    pub fn libraries(&self) -> &Libraries {
        &self.libraries
    }

    /// The file system that it sees as its root, if it isn't the guest's.
    pub fn rootfs(&self) -> Option<&GuestRootfs> {
        self.rootfs.as_deref()
    }

    /// The same, to be used by another thread.
    pub fn shared_rootfs(&self) -> Option<Arc<GuestRootfs>> {
        self.rootfs.clone()
    }

    /// The bytes of these programs in one initramfs.
    pub fn together<'a>(programs: impl IntoIterator<Item = &'a Self>) -> usize {
        let (mut total, mut roots) = (0, Vec::<&GuestRootfs>::new());
        for program in programs {
            total += program.size();
            if let Some(rootfs) = program.rootfs()
                && let Some(files) = rootfs.in_initramfs()
                && !roots.iter().any(|known| std::ptr::eq(*known, rootfs))
            {
                total += files.size();
                roots.push(rootfs);
            }
        }
        total
    }

    /// The size of its files and libraries, in bytes. Its rootfs comes on top, unless another program has the same.
    pub fn size(&self) -> usize {
        self.files.iter().map(|file| file.bytes.len()).sum::<usize>() + self.libraries.size()
    }
}

/// A file of at most this many bytes.
fn read(bug: &BugId, path: &Path, most: usize) -> Result<GuestFile, ProgramError> {
    let unreadable = |source| ProgramError::Unreadable { bug: bug.clone(), path: path.to_owned(), source };
    let unfit = |why| ProgramError::Unfit { bug: bug.clone(), path: path.to_owned(), why };
    let about = std::fs::metadata(path).map_err(unreadable)?;
    // Only a file has an end: reading a FIFO could block for ever.
    if !about.is_file() {
        return Err(unfit("it is not a regular file".to_owned()));
    }
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| unfit("its name is not UTF-8".to_owned()))?.to_owned();
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    // One byte more than allowed tells a file that is too long.
    file.take(most as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > most {
        return Err(unfit(format!("it is larger than {} MiB", most >> 20)));
    }
    let mode = about.permissions().mode() & 0o777 | 0o444;
    Ok(GuestFile { name, mode, bytes })
}

/// The longest chain of interpreters, as in the kernel (execve(2)).
const INTERPRETERS_MAX: usize = 4;

/// The bytes of a file of a rootfs that can be run there.
fn runs_inside<'a>(rootfs: &'a Rootfs, path: &str) -> Result<&'a [u8], String> {
    let (mode, bytes) = rootfs.file(path)?;
    if mode & 0o111 == 0 {
        return Err(format!("{path} in its rootfs is not executable"));
    }
    starts_inside(rootfs, bytes).map(|()| bytes)
}

/// Whether the rootfs has all that a program or a script needs to start.
fn starts_inside(rootfs: &Rootfs, bytes: &[u8]) -> Result<(), String> {
    let mut bytes = bytes;
    for _ in 0..=INTERPRETERS_MAX {
        let Some(line) = bytes.strip_prefix(b"#!") else {
            check(bytes)?;
            let Some(loader) = ElfNeeds::of(bytes)?.interpreter else { return Ok(()) };
            return rootfs.file(&loader).map(|_| ()).map_err(|why| format!("its loader is {loader:.200}, and {why}"));
        };
        let line = String::from_utf8_lossy(line.split(|byte| *byte == b'\n').next().unwrap_or_default());
        // As the kernel splits it (fs/binfmt_script.c): a carriage return belongs to the name.
        let mut words = line.split([' ', '\t']).filter(|word| !word.is_empty());
        let name = words.next().unwrap_or_default();
        if !name.starts_with('/') {
            return Err(format!("it is a script for {name:.200?}: expected an absolute path after `#!`"));
        }
        let (mode, next) = rootfs.file(name).map_err(|why| format!("it is a script for {name:.200}, and {why}"))?;
        if mode & 0o111 == 0 {
            return Err(format!("it is a script for {name:.200}, which is not executable"));
        }
        // env(1) looks for the interpreter in PATH.
        if name.ends_with("/env")
            && let Some(command) = words.find(|word| !word.starts_with('-') && !word.contains('='))
            && !command.starts_with('/')
            && !rootfs.has_command(command)
        {
            return Err(format!("it is a script for {command:.200}, which its rootfs lacks"));
        }
        bytes = next;
    }
    Err("its interpreters are scripts themselves, too many of them".to_owned())
}

/// Whether the bytes are an x86-64 program (System V ABI, chapter 4 and 5). The kernel is the last to say.
fn check(bytes: &[u8]) -> Result<(), String> {
    let expected = "expected an x86-64 ELF program";
    if bytes.starts_with(b"#!") {
        return Err(format!("it is a script, and a guest has no interpreters: {expected}"));
    }
    if !bytes.starts_with(b"\x7fELF") {
        return Err(format!("it is not an ELF file: {expected}"));
    }
    let broken = |_| format!("it is a 32-bit, foreign or damaged ELF file: {expected}");
    let header = FileHeader64::<Endianness>::parse(bytes).map_err(broken)?;
    let endian = header.endian().map_err(broken)?;
    if endian != Endianness::Little || header.e_machine(endian) != EM_X86_64 {
        return Err(format!("it is for machine number {}: {expected}", header.e_machine(endian)));
    }
    if !matches!(header.e_type(endian), ET_EXEC | ET_DYN) {
        return Err(format!("it is an object file or a core dump, not a program: {expected}"));
    }
    let segments = header.program_headers(endian, bytes).map_err(broken)?;
    let entry = header.e_entry(endian);
    let mut starts = false;
    for segment in segments {
        let end = segment.p_offset(endian).checked_add(segment.p_filesz(endian));
        if end.is_none_or(|end| end > bytes.len() as u64) {
            return Err(format!("it is truncated: {expected}"));
        }
        if segment.p_type(endian) == PT_LOAD {
            let start = segment.p_vaddr(endian);
            starts |= entry != 0 && (start..start.saturating_add(segment.p_memsz(endian))).contains(&entry);
        }
    }
    if starts { Ok(()) } else { Err(format!("it has no entry point, as a library: {expected}")) }
}

#[cfg(test)]
#[path = "program_tests.rs"]
mod tests;
