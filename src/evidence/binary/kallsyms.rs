//! Reads the kernel's own symbol table (kallsyms) from its image.
//!
//! scripts/kallsyms.c writes it into the read-only data as several arrays, in one of two orders:
//! ```text
//! before 6.5: offsets, relative_base, num_syms, names, markers, [seqs_of_names,] token_table, token_index
//! since:      num_syms, names, markers, token_table, token_index, offsets, [relative_base,] seqs_of_names
//! ``` In an image without symbols nothing points at them. The token table is easy to recognise, and the other arrays
//! are found around it by their form. An inconsistent table is rejected, because a nearly right one would lead to the
//! wrong function.

use std::ops::Range;

use memchr::memmem;

use super::memory::ImageMemory;

/// The most symbols of a table. An allyesconfig has under a million.
const MOST_SYMBOLS: u32 = 1 << 21;
/// The fewest symbols. The smallest kernel with networking has some thousands.
const FEWEST_SYMBOLS: u32 = 500;
/// The longest name with its type: `KSYM_NAME_LEN` (include/linux/kallsyms.h). A longer packed name means that this is
/// not a table.
const LONGEST_NAME: usize = 512;
/// At most one in this many names may be invalid. In other data most are.
const NAMES_A_STRANGE_ONE: usize = 64;
/// A placeholder for an invalid name. No symbol has this name.
const STRANGE: &[u8] = b"?(strange)";
/// The names between two markers (scripts/kallsyms.c).
const NAMES_A_MARKER: usize = 256;
/// The names begin at most this many bytes before the token table.
const FARTHEST_NAMES: usize = 48 << 20;
/// The most names to read in the search for their beginning.
const MOST_STEPS: usize = 16 << 20;
/// The most token tables to try.
const MOST_TABLES: usize = 16;

/// The reason that there are no symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum NoSymbols {
    /// There is no token table.
    #[error("its symbol table (kallsyms) was not found: it was built without CONFIG_KALLSYMS, or is damaged")]
    TableMissing,
    /// There is a token table, but no names.
    #[error("the names of its symbol table (kallsyms) were not found")]
    NamesMissing,
    /// No place has plausible addresses.
    #[error("the addresses of its symbol table (kallsyms) are inconsistent")]
    AddressesWrong,
}

/// The kernel's symbols, by address.
pub(super) struct Symbols {
    addresses: Vec<u64>,
    /// The end of each name in `names`. Each starts at the end of the one before.
    ends: Vec<u32>,
    /// All names, each after its type letter.
    names: String,
}

impl Symbols {
    pub(super) fn read(memory: &ImageMemory) -> Result<Self, NoSymbols> {
        let bytes = memory.bytes();
        let mut found = NoSymbols::TableMissing;
        let mut steps = MOST_STEPS;
        for tokens in Tokens::find(bytes).take(MOST_TABLES) {
            let Some(table) = NameTable::find(bytes, tokens.table.start, &mut steps) else {
                found = NoSymbols::NamesMissing;
                continue;
            };
            let Some((ends, names)) = table.expand(bytes, &tokens) else {
                found = NoSymbols::NamesMissing;
                continue;
            };
            found = NoSymbols::AddressesWrong;
            let mut symbols = Self { addresses: Vec::new(), ends, names };
            for addresses in addresses(memory, table.start, table.count, tokens.end) {
                symbols.addresses = addresses;
                if symbols.make_sense(memory) {
                    return Ok(symbols);
                }
            }
        }
        Err(found)
    }

    pub(super) fn len(&self) -> usize {
        self.addresses.len()
    }

    /// A name, after its type letter.
    fn typed(&self, index: usize) -> &str {
        let start = index.checked_sub(1).map_or(0, |before| self.ends[before] as usize);
        &self.names[start..self.ends[index] as usize]
    }

    fn name(&self, index: usize) -> &str {
        &self.typed(index)[1..]
    }

    /// Whether the symbol may be code. With CONFIG_KALLSYMS_ALL data is listed too, and clang names a function's static
    /// variables `function.variable`. nm(1) explains the letters; `?` and unknown ones may be anything.
    fn may_be_code(&self, index: usize) -> bool {
        !self.typed(index).starts_with(|kind: char| "aAbBcCdDgGnNpPrRsSvV-".contains(kind))
    }

    /// The addresses of all symbols with this name.
    pub(super) fn named(&self, name: &str) -> impl Iterator<Item = u64> {
        (0..self.len()).filter(move |&index| self.name(index) == name).map(|index| self.addresses[index])
    }

    /// The names of the symbols at an address.
    pub(super) fn at(&self, address: u64) -> impl Iterator<Item = &str> {
        let first = self.addresses.partition_point(|&a| a < address);
        (first..self.len()).take_while(move |&i| self.addresses[i] == address).map(|i| self.name(i))
    }

    /// All symbols of a function: itself, and the compiler's parts and clones of it: `name.cold`, `name.part.0`,
    /// `name.isra.0`, `name.constprop.0`, `name.llvm.123`.
    pub(super) fn pieces(&self, function: &str) -> Vec<(&str, Range<u64>)> {
        let is_piece =
            |name: &str| name.strip_prefix(function).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'));
        let pieces = (0..self.len()).filter(|&index| is_piece(self.name(index)) && self.may_be_code(index));
        pieces.filter_map(|index| Some((self.name(index), self.range(self.addresses[index])?))).collect()
    }

    /// The begin and end of the kernel's text.
    pub(super) fn text(&self) -> Option<(u64, u64)> {
        self.named("_stext").next().zip(self.named("_etext").next())
    }

    /// The range from an address to the next symbol.
    fn range(&self, start: u64) -> Option<Range<u64>> {
        let next = self.addresses.partition_point(|&address| address <= start);
        Some(start..*self.addresses.get(next)?)
    }

    /// Whether this can be the kernel's table: its addresses ascend, and its text is the kernel's code.
    fn make_sense(&self, memory: &ImageMemory) -> bool {
        let one = |name: &str| {
            let mut found = self.named(name);
            found.next().filter(|_| found.next().is_none())
        };
        if !self.addresses.is_sorted() {
            return false;
        }
        let Some(((text, stext), etext)) = one("_text").zip(one("_stext")).zip(one("_etext")) else { return false };
        let banner =
            one("linux_banner").is_none_or(|at| memory.from(at).is_some_and(|b| b.starts_with(b"Linux version ")));
        text <= stext && stext < etext && memory.code(stext, etext).is_some() && banner
    }
}

/// The tokens that names consist of: `kallsyms_token_table` and `kallsyms_token_index`.
struct Tokens<'a> {
    table: Range<usize>,
    /// The end of the index.
    end: usize,
    texts: Vec<&'a [u8]>,
}

impl<'a> Tokens<'a> {
    /// All places that may be token tables. Many symbols have digits in their names, so each digit has its own token,
    /// and the table has `0` to `9` in a row. The index after the table must agree with it.
    fn find(bytes: &'a [u8]) -> impl Iterator<Item = Self> {
        memmem::find_iter(bytes, b"0\x001\x002\x003\x004\x005\x006\x007\x008\x009\0")
            .filter_map(move |digits| Self::around(bytes, digits))
    }

    fn around(bytes: &'a [u8], digits: usize) -> Option<Self> {
        let mut end = digits;
        for _ in usize::from(b'0')..256 {
            end += bytes.get(end..)?.iter().take(LONGEST_NAME).position(|&b| b == 0)? + 1;
        }
        // The index is aligned to 8, or to 4 in the 32-bit style of old kernels.
        [8, 4].into_iter().find_map(|align| {
            let index = end.next_multiple_of(align);
            let offsets: Vec<usize> = bytes
                .get(index..index + 512)?
                .chunks_exact(2)
                .map(|b| usize::from(u16::from_le_bytes([b[0], b[1]])))
                .collect();
            let start = digits.checked_sub(offsets[usize::from(b'0')])?;
            let ends = offsets[1..].iter().copied().chain([end - start]);
            let texts = offsets.iter().zip(ends).map(|(&from, to)| {
                let (nul, text) = bytes.get(start + from..start + to)?.split_last()?;
                (*nul == 0 && !text.contains(&0)).then_some(text)
            });
            let texts = texts.collect::<Option<Vec<_>>>()?;
            (offsets[0] == 0).then_some(Self { table: start..end, end: index + 512, texts })
        })
    }
}

/// The positions of `kallsyms_num_syms` and `kallsyms_names`.
struct NameTable {
    /// The position of the number of symbols.
    start: usize,
    /// The start of the names.
    names: usize,
    count: usize,
}

impl NameTable {
    /// Looks for the number of symbols. That many names must follow it, and then the markers with the offset of every
    /// 256th name.
    fn find(bytes: &[u8], before: usize, steps: &mut usize) -> Option<Self> {
        let nearest = before.checked_sub(8)? & !3;
        let farthest = before.saturating_sub(FARTHEST_NAMES);
        (farthest.next_multiple_of(4)..=nearest).rev().step_by(4).find_map(|start| {
            let count = u32_at(bytes, start).filter(|n| (FEWEST_SYMBOLS..MOST_SYMBOLS).contains(n))? as usize;
            // The number has 8 bytes before 4.20, and since then padding that aligns the names to 8.
            [start + 8, start + 4].into_iter().find_map(|names| {
                if names == start + 8 && u32_at(bytes, start + 4) != Some(0) {
                    return None;
                }
                let table = Self { start, names, count };
                table.is_whole(bytes, before, steps).then_some(table)
            })
        })
    }

    /// Whether all names are there, before `end`, followed by the markers.
    fn is_whole(&self, bytes: &[u8], end: usize, steps: &mut usize) -> bool {
        let mut at = self.names;
        let mut markers = Vec::with_capacity(self.count / NAMES_A_MARKER + 1);
        for index in 0..self.count {
            if index % NAMES_A_MARKER == 0 {
                markers.push(at - self.names);
            }
            let Some((length, text)) = name_at(bytes, at).filter(|_| *steps > 0) else { return false };
            *steps -= 1;
            at = text + length;
            if at > end {
                return false;
            }
        }
        // Before 4.20 a marker has 8 bytes.
        [(4, 8), (4, 4), (8, 8)].into_iter().any(|(size, align)| {
            let start = at.next_multiple_of(align);
            let stored = bytes.get(start..end).unwrap_or_default().chunks_exact(size);
            stored.len() >= markers.len()
                && stored.zip(&markers).all(|(bytes, &marker)| {
                    let (low, high) = bytes.split_at(4);
                    u32_at(low, 0) == u32::try_from(marker).ok() && high.iter().all(|&b| b == 0)
                })
        })
    }

    /// Expands the names: the end of each, and all of them. An invalid name is replaced; none if there are too many of
    /// them.
    fn expand(&self, bytes: &[u8], tokens: &Tokens) -> Option<(Vec<u32>, String)> {
        let mut at = self.names;
        let mut ends = Vec::with_capacity(self.count);
        let mut names = Vec::new();
        let mut strange = 0;
        for _ in 0..self.count {
            let (length, text) = name_at(bytes, at)?;
            let before = names.len();
            for &token in bytes.get(text..text + length)? {
                names.extend_from_slice(tokens.texts[usize::from(token)]);
                if names.len() - before > LONGEST_NAME {
                    break;
                }
            }
            let name = &names[before..];
            if !((2..=LONGEST_NAME).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic)) {
                names.truncate(before);
                names.extend_from_slice(STRANGE);
                strange += 1;
                if strange > self.count / NAMES_A_STRANGE_ONE {
                    return None;
                }
            }
            ends.push(u32::try_from(names.len()).ok()?);
            at = text + length;
        }
        Some((ends, String::from_utf8(names).ok()?))
    }
}

/// The length of the packed name at `at`, and the start of its text. From 6.1 on the highest bit of the length
/// announces a second length byte (ULEB128).
fn name_at(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let first = usize::from(*bytes.get(at)?);
    let (length, text) = if first & 0x80 == 0 {
        (first, at + 1)
    } else {
        (first & 0x7f | usize::from(*bytes.get(at + 1)?) << 7, at + 2)
    };
    (1..=LONGEST_NAME).contains(&length).then_some((length, text))
}

/// The form of the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AddressForm {
    /// Unsigned distances from a base.
    Relative,
    /// The same, but absolute per-CPU symbols are positive numbers and all others negative distances:
    /// CONFIG_KALLSYMS_ABSOLUTE_PERCPU, which SMP kernels had until 6.15.
    AbsolutePercpu,
    /// Distances from the entry's own address: 7.x.
    FromPlace,
    /// Whole addresses: before 4.6, and without CONFIG_KALLSYMS_BASE_RELATIVE.
    Whole,
}

/// The addresses, in each possible form and place.
fn addresses(memory: &ImageMemory, num_syms: usize, count: usize, tokens_end: usize) -> impl Iterator<Item = Vec<u64>> {
    let bytes = memory.bytes();
    // Since 6.5 the offsets follow the tokens, and the base follows them. If the token index is aligned to 8, so is its
    // end; if not, nothing is.
    let behind = [(tokens_end, (tokens_end + 4 * count).next_multiple_of(8))].into_iter();
    // Before 6.5 the offsets, the base and the number of symbols follow each other, each aligned to 8.
    let ahead = num_syms.checked_sub(8).and_then(|base| Some((base.checked_sub(4 * count)? & !7, base)));
    let relative = behind.chain(ahead).flat_map(|(offsets, base)| {
        [AddressForm::Relative, AddressForm::AbsolutePercpu, AddressForm::FromPlace].map(|form| (form, offsets, base))
    });
    let whole = num_syms.checked_sub(8 * count).map(|start| (AddressForm::Whole, start, num_syms));
    relative.chain(whole).filter_map(move |(form, start, base)| {
        if form == AddressForm::Whole {
            return Some(bytes.get(start..base)?.chunks_exact(8).filter_map(|b| u64_at(b, 0)).collect());
        }
        let offsets = bytes.get(start..start.checked_add(4 * count)?)?.chunks_exact(4).filter_map(|b| u32_at(b, 0));
        let base = u64_at(bytes, base).unwrap_or_default();
        let place = memory.address_of(start).unwrap_or_default();
        // kallsyms_sym_address() in kernel/kallsyms.c.
        Some(match form {
            AddressForm::Relative => offsets.map(|o| base.wrapping_add(u64::from(o))).collect(),
            AddressForm::FromPlace => {
                let places = (place..).step_by(4);
                offsets.zip(places).map(|(o, place)| place.wrapping_add_signed(i64::from(o as i32))).collect()
            }
            _ => offsets
                .map(|o| match o as i32 {
                    o if o >= 0 => o as u64,
                    o => base.wrapping_sub(1).wrapping_add(u64::from(o.unsigned_abs())),
                })
                .collect(),
        })
    })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().copied().map(u64::from_le_bytes)
}

#[cfg(test)]
#[path = "kallsyms_tests.rs"]
mod tests;
