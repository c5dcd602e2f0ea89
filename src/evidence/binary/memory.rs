//! The kernel's memory, laid out as in its ELF file.

use std::collections::BTreeSet;
use std::ops::Range;

use object::Endianness;
use object::elf::{self, FileHeader64, PF_X, PT_LOAD};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};

use super::traps;

/// A kernel, loaded by its program headers.
pub(super) struct ImageMemory {
    bytes: Vec<u8>,
    segments: Vec<LoadedSegment>,
    /// The addresses of the traps that never return.
    fatal: BTreeSet<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct LoadedSegment {
    address: u64,
    file: Range<usize>,
    executable: bool,
}

/// More program headers than any kernel has.
const MOST_SEGMENTS: usize = 64;

impl ImageMemory {
    /// Reads the headers of a vmlinux.
    ///
    /// # Errors The defect. Reads well after "the kernel's ELF file ".
    pub(super) fn new(bytes: Vec<u8>) -> Result<Self, &'static str> {
        let data = bytes.as_slice();
        let header = FileHeader64::<Endianness>::parse(data).map_err(|_| "is not 64-bit")?;
        let endian = header.endian().map_err(|_| "has a broken header")?;
        if !matches!(endian, Endianness::Little) || header.e_machine(endian) != elf::EM_X86_64 {
            return Err("is not for x86-64");
        }
        let headers = header.program_headers(endian, data).map_err(|_| "is truncated")?;
        if headers.len() > MOST_SEGMENTS {
            return Err("has more program headers than a kernel");
        }
        let mut segments = Vec::new();
        for segment in headers.iter().filter(|s| s.p_type(endian) == PT_LOAD && s.p_filesz(endian) > 0) {
            let start = usize::try_from(segment.p_offset(endian)).map_err(|_| "is truncated")?;
            let length = usize::try_from(segment.p_filesz(endian)).map_err(|_| "is truncated")?;
            let end = start.checked_add(length).filter(|end| *end <= data.len()).ok_or("is truncated")?;
            let address = segment.p_vaddr(endian);
            address.checked_add(length as u64).ok_or("has a segment beyond the last address")?;
            segments.push(LoadedSegment {
                address,
                file: start..end,
                executable: segment.p_flags(endian) & PF_X == PF_X,
            });
        }
        if segments.is_empty() {
            return Err("has no loadable segments");
        }
        let mut memory = Self { bytes, segments, fatal: BTreeSet::new() };
        memory.fatal = traps::fatal(&memory);
        Ok(memory)
    }

    /// Whether the instruction at this address is a trap that never returns.
    pub(super) fn is_fatal(&self, address: u64) -> bool {
        self.fatal.contains(&address)
    }

    /// The address and the bytes of a section.
    pub(super) fn section(&self, name: &str) -> Option<(u64, &[u8])> {
        let data = self.bytes.as_slice();
        let header = FileHeader64::<Endianness>::parse(data).ok()?;
        let endian = header.endian().ok()?;
        let (_, section) = header.sections(endian, data).ok()?.section_by_name(endian, name.as_bytes())?;
        Some((section.sh_addr(endian), section.data(endian, data).ok()?))
    }

    /// The whole file.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The bytes from an address to the end of its segment. The file may have fewer.
    pub(super) fn from(&self, address: u64) -> Option<&[u8]> {
        self.segments.iter().find_map(|segment| {
            let offset = usize::try_from(address.checked_sub(segment.address)?).ok()?;
            self.bytes.get(segment.file.clone())?.get(offset..).filter(|rest| !rest.is_empty())
        })
    }

    /// The address of a file offset.
    pub(super) fn address_of(&self, place: usize) -> Option<u64> {
        let segment = self.segments.iter().find(|segment| segment.file.contains(&place))?;
        segment.address.checked_add((place - segment.file.start) as u64)
    }

    /// The executable bytes from `start` to before `end`, if all are in one segment.
    pub(super) fn code(&self, start: u64, end: u64) -> Option<&[u8]> {
        let length = usize::try_from(end.checked_sub(start)?).ok()?;
        self.segments.iter().filter(|segment| segment.executable).find_map(|segment| {
            let offset = usize::try_from(start.checked_sub(segment.address)?).ok()?;
            self.bytes.get(segment.file.clone())?.get(offset..offset.checked_add(length)?)
        })
    }
}
