//! What a relocation of x86-64 fills in.

use object::{Relocation, RelocationFlags, elf};

/// Whether a relocation counts from its own place.
pub(super) fn is_relative(relocation: &Relocation) -> bool {
    matches!(relocation.flags(), RelocationFlags::Elf { r_type } if [elf::R_X86_64_PC32, elf::R_X86_64_PLT32, elf::R_X86_64_PC64, elf::R_X86_64_PC8, elf::R_X86_64_PC16].contains(&r_type))
}

/// Bytes that a relocation fills in.
pub(super) fn width(relocation: &Relocation) -> usize {
    match relocation.flags() {
        RelocationFlags::Elf { r_type: elf::R_X86_64_64 | elf::R_X86_64_PC64 } => 8,
        RelocationFlags::Elf { r_type: elf::R_X86_64_8 | elf::R_X86_64_PC8 } => 1,
        RelocationFlags::Elf { r_type: elf::R_X86_64_16 | elf::R_X86_64_PC16 } => 2,
        _ => 4,
    }
}
