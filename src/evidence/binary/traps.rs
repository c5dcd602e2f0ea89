//! Finds the traps of BUG() in the kernel's own table of traps (`__bug_table`).
//!
//! WARN() and BUG() compile to the same instruction, `ud2`. The function continues after a WARN(), but never after a
//! BUG(), so unrelated code may follow a BUG().

use std::collections::BTreeSet;

use super::memory::ImageMemory;

/// `struct bug_entry` (include/asm-generic/bug.h): its size, and the offset of its flags. Without
/// CONFIG_DEBUG_BUGVERBOSE, with it, and since it contains a format.
const ENTRIES: [(usize, usize); 3] = [(8, 4), (12, 10), (16, 14)];
/// BUGFLAG_WARNING: the trap is a WARN().
const WARNING: u16 = 1;
const UD2: [u8; 2] = [0x0f, 0x0b];

/// The addresses of the traps that never return. Empty if there is no plausible table.
pub(super) fn fatal(memory: &ImageMemory) -> BTreeSet<u64> {
    let Some((start, table)) = memory.section("__bug_table") else { return BTreeSet::new() };
    let found = ENTRIES.into_iter().find_map(|(size, flags)| read(memory, start, table, size, flags));
    found.unwrap_or_default()
}

/// Reads a table of entries with this size. None unless most of them point at a trap: a WARN() with arguments points
/// elsewhere.
fn read(memory: &ImageMemory, start: u64, table: &[u8], size: usize, flags: usize) -> Option<BTreeSet<u64>> {
    let entries = table.chunks_exact(size);
    let count = entries.len();
    let traps = (start..).step_by(size).zip(entries).filter_map(|(place, entry)| {
        let distance = i32::from_le_bytes(*entry.first_chunk()?);
        let address = place.checked_add_signed(i64::from(distance))?;
        let is_trap = memory.code(address, address.checked_add(2)?)? == UD2;
        is_trap.then_some((address, u16::from_le_bytes(*entry.get(flags..)?.first_chunk()?)))
    });
    let traps: Vec<(u64, u16)> = traps.collect();
    let is_table = count > 0 && traps.len() >= count - count / 4;
    is_table.then(|| traps.iter().filter(|(_, flags)| flags & WARNING == 0).map(|(address, _)| *address).collect())
}

#[cfg(test)]
#[path = "traps_tests.rs"]
mod tests;
