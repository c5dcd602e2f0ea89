//! Tables of fixed-size records in a file. Every block of a table has a checksum, which is checked whenever it is read.
//!
//! A directory has the checksum and the first key of each block, and its reader knows the directory's own checksum. So
//! a missing record surely doesn't exist: neither a damaged key nor a lost block can hide it.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::rc::Rc;

/// The largest block, in bytes.
const BLOCK: usize = 4096;
/// The most cached blocks: 32 MiB.
const KEPT: usize = 8192;

/// The defect of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Damage(pub String);

impl Damage {
    pub fn new(what: &str) -> Self {
        Self(what.to_owned())
    }
}

/// A file whose blocks are checked as they are read.
pub(super) struct Blocks {
    file: File,
    kept: RefCell<HashMap<u64, Rc<[u8]>>>,
}

impl Blocks {
    pub fn new(file: File) -> Self {
        Self { file, kept: RefCell::default() }
    }

    pub fn file(&self) -> &File {
        &self.file
    }

    /// Reads bytes with a known checksum.
    pub fn read(&self, at: u64, len: usize, expected: u64) -> Result<Vec<u8>, Damage> {
        let bytes = self.unchecked(at, len)?;
        if sum(&bytes) == expected { Ok(bytes) } else { Err(Damage(format!("wrong checksum at offset {at}"))) }
    }

    fn unchecked(&self, at: u64, len: usize) -> Result<Vec<u8>, Damage> {
        let mut bytes = vec![0; len];
        match self.file.read_exact_at(&mut bytes, at) {
            Ok(()) => Ok(bytes),
            Err(error) => Err(Damage(format!("{len} bytes at offset {at}: {error}"))),
        }
    }

    fn block(&self, at: u64, len: usize, expected: u64) -> Result<Rc<[u8]>, Damage> {
        if let Some(block) = self.kept.borrow().get(&at) {
            return Ok(Rc::clone(block));
        }
        let block: Rc<[u8]> = self.read(at, len, expected)?.into();
        let mut kept = self.kept.borrow_mut();
        if kept.len() >= KEPT {
            kept.clear();
        }
        kept.insert(at, Rc::clone(&block));
        Ok(block)
    }
}

/// A table in a file: its position and its blocks.
pub(super) struct Table {
    at: u64,
    /// The record size in bytes.
    size: usize,
    /// The number of records.
    count: u64,
    /// The first key and the checksum of each block.
    blocks: Vec<[u64; 2]>,
}

impl Table {
    /// The table of these records at this future position. Records with keys (see [`Table::in_range`]) must be sorted
    /// by key.
    pub fn of(at: u64, size: usize, bytes: &[u8]) -> Self {
        let blocks = bytes.chunks(BLOCK / size * size).map(|block| [key(block), sum(block)]).collect();
        Self { at, size, count: (bytes.len() / size) as u64, blocks }
    }

    /// Its size in the file, in bytes.
    pub fn len(&self) -> u64 {
        self.count * self.size as u64
    }

    /// The number of records.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Encodes the table for [`Table::decode`].
    pub fn encode(&self, words: &mut Vec<u64>) {
        words.extend([self.at, self.count]);
        words.extend(self.blocks.iter().flatten());
    }

    /// Decodes a table of a directory, and leaves the rest. None if it doesn't fit into a file of this length.
    pub fn decode(words: &mut &[u64], size: usize, file: u64) -> Option<Self> {
        let (head, rest) = words.split_at_checked(2)?;
        let (at, count) = (head[0], head[1]);
        let end = count.checked_mul(size as u64)?.checked_add(at)?;
        let blocks = usize::try_from(count.div_ceil((BLOCK / size) as u64)).ok()?.checked_mul(2)?;
        let (blocks, rest) = rest.split_at_checked(blocks)?;
        *words = rest;
        let (blocks, _) = blocks.as_chunks();
        (end <= file).then(|| Self { at, size, count, blocks: blocks.to_vec() })
    }

    /// The record at this position.
    pub fn get(&self, blocks: &Blocks, at: u64) -> Result<Option<Vec<u8>>, Damage> {
        if at >= self.count {
            return Ok(None);
        }
        let each = (BLOCK / self.size) as u64;
        let start = (at % each) as usize * self.size;
        let block = self.block(blocks, (at / each) as usize)?;
        Ok(block.get(start..start + self.size).map(<[u8]>::to_vec))
    }

    /// Calls `each` with the records whose keys (their first eight bytes, little-endian) are in this inclusive range,
    /// until it returns false.
    pub fn in_range(
        &self,
        blocks: &Blocks,
        low: u64,
        high: u64,
        each: &mut dyn FnMut(&[u8]) -> bool,
    ) -> Result<(), Damage> {
        // Equal keys may begin in the previous block.
        let first = self.blocks.partition_point(|[first, _]| *first < low).saturating_sub(1);
        for (at, _) in self.blocks.iter().enumerate().skip(first).take_while(|(_, [first, _])| *first <= high) {
            let block = self.block(blocks, at)?;
            let records = block.chunks_exact(self.size);
            let skipped = block.len() / self.size - count_from(&block, self.size, low);
            for record in records.skip(skipped).take_while(|record| key(record) <= high) {
                if !each(record) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// All records, concatenated.
    pub fn whole(&self, blocks: &Blocks) -> Result<Vec<u8>, Damage> {
        let bytes = blocks.unchecked(self.at, usize::try_from(self.len()).map_err(|_| Damage::new("too large"))?)?;
        let parts = bytes.chunks(BLOCK / self.size * self.size);
        match parts.zip(&self.blocks).position(|(part, [_, expected])| sum(part) != *expected) {
            None => Ok(bytes),
            Some(at) => Err(Damage(format!("wrong checksum in block {at} from offset {}", self.at))),
        }
    }

    fn block(&self, blocks: &Blocks, at: usize) -> Result<Rc<[u8]>, Damage> {
        let step = (BLOCK / self.size * self.size) as u64;
        let start = step * at as u64;
        let len = step.min(self.len().saturating_sub(start)) as usize;
        let expected = self.blocks.get(at).ok_or_else(|| Damage::new("a block is missing"))?[1];
        blocks.block(self.at + start, len, expected)
    }
}

/// The number of records of a sorted block with at least this key.
fn count_from(block: &[u8], size: usize, low: u64) -> usize {
    let count = block.len() / size;
    let (mut from, mut to) = (0, count);
    while from < to {
        let middle = from + (to - from) / 2;
        if key(&block[middle * size..]) < low {
            from = middle + 1;
        } else {
            to = middle;
        }
    }
    count - from
}

/// A record's key: its first eight bytes. Shorter records have none.
fn key(record: &[u8]) -> u64 {
    record.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes))
}

/// A checksum that any flipped or missing byte changes. Each word is mixed in by a reversible step (as in FNV-1a, but
/// eight bytes at a time, and rotated so that the highest bits reach the lowest), and so is the length.
pub(super) fn sum(bytes: &[u8]) -> u64 {
    let mix = |sum: u64, word: u64| (sum ^ word).wrapping_mul(0x0000_0100_0000_01b3).rotate_left(29);
    let (words, rest) = bytes.as_chunks::<8>();
    let whole = words.iter().fold(0xcbf2_9ce4_8422_2325, |sum, word| mix(sum, u64::from_le_bytes(*word)));
    mix(rest.iter().fold(whole, |sum, byte| mix(sum, u64::from(*byte))), bytes.len() as u64)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::*;

    fn table(keys: &[u64], size: usize) -> (Blocks, Table, Vec<u8>) {
        let mut bytes = b"before".to_vec();
        for (at, key) in keys.iter().enumerate() {
            bytes.extend(key.to_le_bytes());
            bytes.extend(std::iter::repeat_n(at as u8, size - 8));
        }
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&bytes).unwrap();
        let table = Table::of(6, size, &bytes[6..]);
        let mut words = Vec::new();
        table.encode(&mut words);
        let read = Table::decode(&mut words.as_slice(), size, bytes.len() as u64).unwrap();
        (Blocks::new(file), read, bytes)
    }

    proptest! {
        #[test]
        fn range_finds_all_keys_across_blocks(
            mut keys in prop::collection::vec(0u64..60, 0..900), size in 8usize..40, low in 0u64..62, more in 0u64..9
        ) {
            keys.sort_unstable();
            let (blocks, table, bytes) = table(&keys, size);
            let mut found = Vec::new();
            let mut take = |record: &[u8]| { found.push(key(record)); true };
            table.in_range(&blocks, low, low + more, &mut take).unwrap();
            let expected: Vec<u64> = keys.iter().copied().filter(|key| (low..=low + more).contains(key)).collect();
            prop_assert_eq!(found, expected);
            prop_assert_eq!(&table.whole(&blocks).unwrap()[..], &bytes[6..]);
            for at in 0..keys.len() as u64 {
                prop_assert_eq!(key(&table.get(&blocks, at).unwrap().unwrap()), keys[at as usize]);
            }
            prop_assert_eq!(table.get(&blocks, keys.len() as u64).unwrap(), None);
        }
    }

    #[test]
    fn flipped_bit_anywhere_changes_the_checksum() {
        let bytes: Vec<u8> = (0..61u8).collect();
        for bit in 0..bytes.len() * 8 {
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(sum(&flipped), sum(&bytes), "bit {bit}");
        }
        assert_ne!(sum(&[0; 8]), sum(&[0; 16]));
        assert_ne!(sum(&[]), sum(&[0]));
    }
}
