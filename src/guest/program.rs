//! A user's own reproducer: a static x86-64 program, checked before anything boots.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use object::Endianness;
use object::elf::{DT_NEEDED, EM_X86_64, ET_DYN, ET_EXEC, FileHeader64, PT_DYNAMIC, PT_INTERP, PT_LOAD};
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _};

use crate::words::BugId;

/// The largest program, in bytes. A guest has it twice while its initramfs is unpacked.
pub const PROGRAM_MAX: usize = 32 << 20;

/// A program that can run in a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestProgram {
    bug: BugId,
    bytes: Vec<u8>,
}

/// A file that cannot run in a guest.
#[derive(Debug, thiserror::Error)]
pub enum ProgramError {
    /// It cannot be read.
    #[error("cannot read the reproducer of `{bug}`, {path}: {source}", path = path.display())]
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
    /// Reads the program of a bug.
    ///
    /// # Errors
    /// If the file cannot be read, is too large, or is not a static x86-64 program.
    pub fn load(bug: &BugId, path: &Path) -> Result<Self, ProgramError> {
        let unreadable = |source| ProgramError::Unreadable { bug: bug.clone(), path: path.to_owned(), source };
        let unfit = |why| ProgramError::Unfit { bug: bug.clone(), path: path.to_owned(), why };
        let mut bytes = Vec::new();
        // Only a file has an end: reading a FIFO could block for ever.
        if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
            return Err(unfit("it is not a regular file".to_owned()));
        }
        let file = File::open(path).map_err(unreadable)?;
        // One byte more than allowed tells a file that is too long.
        file.take(PROGRAM_MAX as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
        check(&bytes).map_err(unfit)?;
        Ok(Self { bug: bug.clone(), bytes })
    }

    /// Its file name in the guest.
    pub fn name(&self) -> &str {
        self.bug.as_str()
    }

    /// The program.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Whether the bytes are a static x86-64 program (System V ABI, chapter 4 and 5). The kernel is the last to say.
fn check(bytes: &[u8]) -> Result<(), String> {
    let expected = "expected a static x86-64 ELF program";
    if bytes.len() > PROGRAM_MAX {
        return Err(format!("it is larger than {} MiB", PROGRAM_MAX >> 20));
    }
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
    let dynamic = || format!("it is linked dynamically, and a guest has no libraries: {expected} (cc -static)");
    let entry = header.e_entry(endian);
    let mut starts = false;
    for segment in segments {
        let end = segment.p_offset(endian).checked_add(segment.p_filesz(endian));
        if end.is_none_or(|end| end > bytes.len() as u64) {
            return Err(format!("it is truncated: {expected}"));
        }
        match segment.p_type(endian) {
            PT_INTERP => return Err(dynamic()),
            PT_DYNAMIC => {
                let entries = segment.dynamic(endian, bytes).map_err(broken)?.unwrap_or_default();
                if entries.iter().any(|entry| entry.d_tag(endian) == DT_NEEDED) {
                    return Err(dynamic());
                }
            }
            PT_LOAD => {
                let start = segment.p_vaddr(endian);
                starts |= entry != 0 && (start..start.saturating_add(segment.p_memsz(endian))).contains(&entry);
            }
            _ => {}
        }
    }
    if starts { Ok(()) } else { Err(format!("it has no entry point, as a library: {expected}")) }
}

#[cfg(test)]
#[path = "program_tests.rs"]
mod tests;
