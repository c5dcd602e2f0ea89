use super::super::fixture::{self, BASE};
use super::*;

/// A kernel with this code, and a table with an entry for each trap: its offset in the code, and its flags.
fn kernel(code: &[u8], size: usize, flags_at: usize, traps: &[(usize, u16)]) -> ImageMemory {
    let place = BASE + code.len() as u64;
    let entries = traps.iter().enumerate().flat_map(|(number, (at, flags))| {
        let from = place + (number * size) as u64;
        let mut entry = vec![0x55; size];
        entry[..4].copy_from_slice(&((BASE + *at as u64).wrapping_sub(from) as u32).to_le_bytes());
        entry[flags_at..flags_at + 2].copy_from_slice(&flags.to_le_bytes());
        entry
    });
    let table: Vec<u8> = entries.collect();
    ImageMemory::new(fixture::elf_with_section(&[code, &table].concat(), "__bug_table", code.len(), table.len()))
        .unwrap()
}

#[test]
fn only_traps_without_the_warning_flag_are_fatal() {
    // `ud2` four times.
    let code = [0x0f, 0x0b].repeat(4);
    for (size, flags) in ENTRIES {
        let memory = kernel(&code, size, flags, &[(0, 0x0901), (2, 0), (4, 0x0903), (6, 0x0900)]);
        assert_eq!(fatal(&memory), BTreeSet::from([BASE + 2, BASE + 6]), "{size}");
    }
}

#[test]
fn table_that_mostly_points_elsewhere_is_rejected() {
    let code = [&[0x0f, 0x0b].repeat(2)[..], &[0x90; 4]].concat();
    // The entry of a WARN() with arguments does not point at a trap.
    let few = kernel(&code, 12, 10, &[(0, 0), (2, 0), (0, 0), (4, 1)]);
    assert_eq!(fatal(&few), BTreeSet::from([BASE, BASE + 2]));
    let most = kernel(&code, 12, 10, &[(0, 0), (2, 0), (4, 0), (6, 0)]);
    assert!(fatal(&most).is_empty());
    let none = kernel(&code, 12, 10, &[]);
    assert!(fatal(&none).is_empty());
    let without = ImageMemory::new(fixture::elf(&code)).unwrap();
    assert!(fatal(&without).is_empty());
}
