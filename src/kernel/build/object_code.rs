//! The code and data of one compiled object, in a form that doesn't depend on addresses: two compilations of a function
//! have the same [`CodeId`] if they are the same bytes after relocation.
//!
//! References are followed to names: a relocation (System V ABI for x86-64, 4.4) or a branch inside the section becomes
//! the symbol that it leads to, or the text of a string. All bytes that are loaded count; only the line numbers in the table
//! of `WARN_ON` and the tables of the unwinder don't. An entry of a table about code counts as a part of its function.

use std::collections::{BTreeMap, BTreeSet};

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, Mnemonic};
use object::read::elf::ElfFile64;
use object::{
    Object as _, ObjectSection as _, ObjectSymbol as _, Relocation, RelocationTarget, SectionFlags, SectionKind,
    SymbolKind, elf,
};
use sha2::{Digest as _, Sha256};

use super::relocation::{is_relative, width};
use crate::kernel::store;

/// The table of `WARN_ON` and `BUG`, and the size of its entries (`struct bug_entry` in include/asm-generic/bug.h, with
/// CONFIG_DEBUG_BUGVERBOSE and relative pointers): the line is in two bytes from the eighth on.
const BUG_TABLE: (&str, u64) = ("__bug_table", 12);

/// Tables about places in functions, whose entries begin with such a place (include/asm-generic/vmlinux.lds.h).
const CODE_TABLES: [&str; 6] =
    ["__bug_table", "__ex_table", "__jump_table", ".altinstructions", ".parainstructions", ".static_call_sites"];

/// The sections of objtool's tables for the unwinder, which follow from the code.
const UNWINDER: &str = ".orc_";

/// One function or variable of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CompiledSymbol {
    /// Whether it is code.
    pub is_function: bool,
    pub name: String,
    /// Bytes.
    pub size: u64,
    /// A hash of its content, 32 hexadecimal digits.
    pub id: String,
}

impl CompiledSymbol {
    fn new(is_function: bool, name: String, size: u64, mut content: Vec<u8>) -> Self {
        put(&mut content, &size.to_le_bytes());
        Self { is_function, name, size, id: hash(&content) }
    }

    /// An object that cannot be read, as one piece of data.
    pub(super) fn whole(bytes: &[u8]) -> Self {
        Self { is_function: false, name: "(all of it)".to_owned(), size: bytes.len() as u64, id: hash(bytes) }
    }
}

/// The functions and variables of an object file, in the order of their addresses; none if it is not an object of x86-64.
pub(super) fn compiled_symbols(bytes: &[u8]) -> Option<Vec<CompiledSymbol>> {
    let file: ElfFile64<'_> = ElfFile64::parse(bytes).ok()?;
    if file.architecture() != object::Architecture::X86_64 || file.kind() != object::ObjectKind::Relocatable {
        return None;
    }
    ObjectCode::read(&file)?.symbols()
}

/// What tables say of functions, which are named by their section and their start.
type CodeEntries = BTreeMap<(usize, u64), Vec<u8>>;

struct ObjectCode<'f> {
    file: &'f ElfFile64<'f>,
    sections: BTreeMap<usize, SectionCode<'f>>,
}

struct SectionCode<'f> {
    name: &'f str,
    kind: SectionKind,
    /// Whether it is a part of the kernel.
    is_loaded: bool,
    data: &'f [u8],
    relocations: BTreeMap<u64, Relocation>,
    symbols: Vec<Place<'f>>,
    /// Where something begins that others refer to, with a symbol or without.
    starts: BTreeSet<u64>,
}

/// A symbol's place in its section.
struct Place<'f> {
    start: u64,
    size: u64,
    name: &'f str,
    is_function: bool,
}

impl<'f> ObjectCode<'f> {
    fn read(file: &'f ElfFile64<'f>) -> Option<Self> {
        let mut sections = BTreeMap::new();
        for section in file.sections() {
            let (name, kind, data) = (section.name().ok()?, section.kind(), section.data().ok()?);
            let relocations = section.relocations().collect();
            let is_loaded = matches!(section.flags(), SectionFlags::Elf { sh_flags, .. } if sh_flags.contains(elf::SHF_ALLOC))
                && ![".discard", UNWINDER].iter().any(|start| name.starts_with(start));
            let (symbols, starts) = (Vec::new(), BTreeSet::new());
            let code = SectionCode { name, kind, is_loaded, data, relocations, symbols, starts };
            sections.insert(section.index().0, code);
        }
        for symbol in file.symbols() {
            let is_function = match symbol.kind() {
                SymbolKind::Text => true,
                SymbolKind::Data | SymbolKind::Tls => false,
                _ => continue,
            };
            let section = symbol.section_index().and_then(|index| sections.get_mut(&index.0));
            let (Some(section), size @ 1..) = (section, symbol.size()) else { continue };
            section.symbols.push(Place { start: symbol.address(), size, name: symbol.name().ok()?, is_function });
        }
        let mut starts: Vec<(usize, u64)> = Vec::new();
        for section in sections.values() {
            for relocation in section.relocations.values() {
                let RelocationTarget::Symbol(index) = relocation.target() else { continue };
                let symbol = file.symbol_by_index(index).ok()?;
                let beyond = if is_relative(relocation) { width(relocation) as i64 } else { 0 };
                let at = symbol.address().checked_add_signed(relocation.addend().checked_add(beyond)?);
                starts.extend(symbol.section_index().map(|index| index.0).zip(at));
            }
        }
        for (index, at) in starts {
            sections.entry(index).and_modify(|section| _ = section.starts.insert(at));
        }
        for section in sections.values_mut() {
            section.symbols.sort_by_key(|place| (place.start, place.size));
            let places = section.symbols.iter().flat_map(|place| [place.start, place.start.saturating_add(place.size)]);
            section.starts.extend(places);
        }
        Some(Self { file, sections })
    }

    fn symbols(&self) -> Option<Vec<CompiledSymbol>> {
        let loaded = || self.sections.iter().filter(|(_, section)| section.is_loaded);
        let (mut found, mut entries) = (Vec::new(), CodeEntries::new());
        for (_, section) in loaded() {
            let rest = self.rest(section, &mut entries)?;
            if !rest.is_empty() {
                found.push(CompiledSymbol::new(false, format!("rest of {}", section.name), rest.len() as u64, rest));
            }
        }
        for (index, section) in loaded() {
            for place in &section.symbols {
                let mut content = match (section.data.is_empty(), place.is_function) {
                    // Without content: `.bss`.
                    (true, _) => section.name.as_bytes().to_vec(),
                    (false, true) => self.function(*index, section, place)?,
                    (false, false) => self.data(section, place.start, place.size)?,
                };
                content.extend(entries.get(&(*index, place.start)).into_iter().flatten());
                let name = if place.is_function { place.name.to_owned() } else { unnumbered(place.name) };
                found.push(CompiledSymbol::new(place.is_function, name, place.size, content));
            }
        }
        Some(found)
    }

    /// What no symbol covers: assembler without sizes, tables, constants. References to constants follow them already.
    fn rest(&self, section: &SectionCode<'f>, entries: &mut CodeEntries) -> Option<Vec<u8>> {
        if section.kind == SectionKind::ReadOnlyString || section.data.is_empty() {
            return Some(Vec::new());
        }
        let (mut rest, mut at) = (Vec::new(), 0);
        let end = section.data.len() as u64;
        let covered = section.symbols.iter().map(|place| (place.start, place.start.saturating_add(place.size)));
        for (start, after) in covered.chain([(end, end)]) {
            if at < start && !section.is_padding(at, start.min(end) - at)? {
                self.split(section, at, start.min(end), &mut rest, entries)?;
            }
            at = at.max(after);
        }
        Some(rest)
    }

    /// Divides bytes without a symbol between the functions that they point into, and the rest: otherwise a function's
    /// change would show as changed data, too.
    fn split(
        &self,
        section: &SectionCode<'f>,
        from: u64,
        to: u64,
        rest: &mut Vec<u8>,
        entries: &mut CodeEntries,
    ) -> Option<()> {
        let is_table = CODE_TABLES.contains(&section.name);
        let mut pieces = vec![(from, None)];
        // Elsewhere only the reference itself is the function's; relative ones count from places that nothing tells.
        for (field, relocation) in section.relocations.range(from..to).filter(|(_, at)| is_table || !is_relative(at)) {
            let Some((function, is_inside)) = self.function_at(relocation) else { continue };
            pieces.push((*field, is_inside.then_some(function)));
            if !is_table {
                pieces.push((field + width(relocation) as u64, None));
            }
        }
        let ends = pieces.iter().skip(1).map(|piece| piece.0).chain([to]);
        for ((start, owner), end) in pieces.iter().zip(ends).filter(|((start, _), end)| start < end) {
            let content = self.data(section, *start, end - start)?;
            put(owner.map_or(&mut *rest, |owner| entries.entry(owner).or_default()), &content);
        }
        Some(())
    }

    /// The function that a reference leads to, and whether it leads behind its start.
    fn function_at(&self, relocation: &Relocation) -> Option<((usize, u64), bool)> {
        let RelocationTarget::Symbol(index) = relocation.target() else { return None };
        let symbol = self.file.symbol_by_index(index).ok()?;
        let (section, at) = (symbol.section_index()?.0, symbol.address().checked_add_signed(relocation.addend())?);
        let place = self.sections.get(&section)?.symbols.iter().rfind(|place| place.start <= at)?;
        let is_in = place.is_function && at - place.start <= place.size;
        is_in.then_some(((section, place.start), at > place.start))
    }

    /// A function's instructions, each with the names that it refers to.
    fn function(&self, index: usize, section: &SectionCode<'f>, place: &Place<'f>) -> Option<Vec<u8>> {
        let end = place.start.checked_add(place.size)?;
        let code = section.bytes(place.start, place.size)?;
        let mut decoder = Decoder::with_ip(64, code, place.start, DecoderOptions::NONE);
        let mut content = Vec::new();
        while decoder.can_decode() {
            let instruction = decoder.decode();
            let (at, after) = (instruction.ip(), instruction.next_ip());
            let mut bytes = section.bytes(at, after - at)?.to_vec();
            let mut names = Vec::new();
            for (field, relocation) in section.relocations.range(at..after) {
                blank(&mut bytes, (field - at) as usize, width(relocation));
                // The processor counts from the end of the instruction, the linker from the field.
                let beyond = if is_relative(relocation) { after - field } else { 0 };
                names.push(self.target(relocation, beyond as i64)?);
            }
            let branches = matches!(
                instruction.flow_control(),
                FlowControl::Call | FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch
            );
            let target = instruction.near_branch_target();
            if names.is_empty() && branches && !(place.start..end).contains(&target) {
                let offsets = decoder.get_constant_offsets(&instruction);
                blank(&mut bytes, offsets.immediate_offset(), offsets.immediate_size());
                names.push(self.place(index, target)?);
            }
            put(&mut content, &bytes);
            put(&mut content, names.join(" ").as_bytes());
        }
        Some(content)
    }

    /// Bytes, with the names that they refer to.
    fn data(&self, section: &SectionCode<'f>, start: u64, size: u64) -> Option<Vec<u8>> {
        let mut bytes = section.bytes(start, size)?.to_vec();
        let mut content = section.name.as_bytes().to_vec();
        for (field, relocation) in section.relocations.range(start..start.checked_add(size)?) {
            blank(&mut bytes, (field - start) as usize, width(relocation));
            put(&mut content, &(field - start).to_le_bytes());
            put(&mut content, self.target(relocation, 0)?.as_bytes());
        }
        if section.name == BUG_TABLE.0 && section.stride() == Some(BUG_TABLE.1) {
            (0..bytes.len()).step_by(BUG_TABLE.1 as usize).for_each(|entry| blank(&mut bytes, entry + 8, 2));
        }
        put(&mut content, &bytes);
        Some(content)
    }

    /// What a relocation refers to, `beyond` bytes after its addend.
    fn target(&self, relocation: &Relocation, beyond: i64) -> Option<String> {
        let offset = relocation.addend().checked_add(beyond)?;
        let symbol = match relocation.target() {
            RelocationTarget::Symbol(index) => self.file.symbol_by_index(index).ok()?,
            _ => return None,
        };
        match (symbol.kind(), symbol.section_index()) {
            (SymbolKind::Section, Some(section)) => self.place(section.0, offset as u64),
            // Labels of the compiler have other names after each change.
            (_, Some(section)) if symbol.name().is_ok_and(|name| name.starts_with(".L")) => {
                self.place(section.0, symbol.address().checked_add_signed(offset)?)
            }
            _ => Some(format!("{}+{offset}", unnumbered(symbol.name().ok()?))),
        }
    }

    /// A hash of a constant without a name, up to what is referred to next. It follows references to code only, so it ends.
    fn nameless(&self, section: &SectionCode<'f>, offset: u64) -> Option<String> {
        let end = section.data.len() as u64;
        let next = section.starts.range(offset.checked_add(1)?..).next().copied().unwrap_or(end).min(end);
        let mut bytes = section.bytes(offset, next.saturating_sub(offset))?.to_vec();
        let mut content = Vec::new();
        for (field, relocation) in section.relocations.range(offset..next) {
            blank(&mut bytes, (field - offset) as usize, width(relocation));
            let RelocationTarget::Symbol(index) = relocation.target() else { return None };
            let symbol = self.file.symbol_by_index(index).ok()?;
            let is_code = symbol.section_index().and_then(|index| self.sections.get(&index.0));
            let target = match is_code.is_some_and(|section| section.kind == SectionKind::Text) {
                // An entry of a relative table counts from the table.
                true if is_relative(relocation) => self.target(relocation, -((field - offset) as i64))?,
                true => self.target(relocation, 0)?,
                false => format!("{}+{}", unnumbered(symbol.name().ok()?), relocation.addend()),
            };
            put(&mut content, target.as_bytes());
        }
        put(&mut content, &bytes);
        Some(hash(&content))
    }

    /// The name of a place in a section.
    fn place(&self, index: usize, offset: u64) -> Option<String> {
        let section = self.sections.get(&index)?;
        // What is not loaded, such as marks for objtool, has no place in the kernel.
        if !section.is_loaded {
            return Some(section.name.to_owned());
        }
        let before = section.symbols.iter().rfind(|place| place.start <= offset);
        // The end of a symbol belongs to it: a loop's last address.
        if let Some(place) = before.filter(|place| offset - place.start <= place.size) {
            return Some(format!("{}+{}", unnumbered(place.name), offset - place.start));
        }
        let rest = section.data.get(usize::try_from(offset).ok()?..).unwrap_or_default();
        Some(match section.kind {
            SectionKind::ReadOnlyString => {
                let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
                format!("{:?}", String::from_utf8_lossy(&rest[..end]))
            }
            _ if section.name.starts_with(".rodata.cst") => format!("{:02x?}", rest.get(..16).unwrap_or(rest)),
            SectionKind::Text => section.name.to_owned(),
            // A table of jumps, or another constant without a name.
            _ => format!("{} {}", section.name, self.nameless(section, offset)?),
        })
    }
}

impl SectionCode<'_> {
    fn bytes(&self, start: u64, size: u64) -> Option<&[u8]> {
        let (start, end) = (usize::try_from(start).ok()?, usize::try_from(start.checked_add(size)?).ok()?);
        self.data.get(start..end)
    }

    /// Whether these bytes only align what follows them.
    fn is_padding(&self, start: u64, size: u64) -> Option<bool> {
        const WIDEST: u64 = 64;
        let bytes = self.bytes(start, size)?;
        if size >= WIDEST || self.relocations.range(start..start + size).next().is_some() {
            return Some(false);
        }
        if self.kind != SectionKind::Text {
            return Some(bytes.iter().all(|byte| *byte == 0));
        }
        let is_filler = |instruction: Instruction| matches!(instruction.mnemonic(), Mnemonic::Nop | Mnemonic::Int3);
        Some(Decoder::with_ip(64, bytes, start, DecoderOptions::NONE).into_iter().all(is_filler))
    }

    /// The distance between the first fields of its entries, if each has two references.
    fn stride(&self) -> Option<u64> {
        let mut fields = self.relocations.keys().copied();
        let (first, third) = (fields.next()?, fields.nth(1).unwrap_or(self.data.len() as u64));
        third.checked_sub(first)
    }
}

fn blank(bytes: &mut [u8], at: usize, width: usize) {
    bytes.iter_mut().skip(at).take(width).for_each(|byte| *byte = 0);
}

/// A variable's name without the numbers that the compiler and the kernel's macros give it: `__func__.12`, and the counters
/// and lines in `__initcall__kmod_tcp__1_2_init6`.
fn unnumbered(name: &str) -> String {
    if ["__initcall__", "__UNIQUE_ID_", "__addressable_"].iter().any(|start| name.starts_with(start)) {
        return name.split('_').filter(|word| word.is_empty() || !is_number(word)).collect::<Vec<_>>().join("_");
    }
    match name.rsplit_once('.') {
        Some((start, number)) if is_number(number) => start.to_owned(),
        _ => name.to_owned(),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

/// Appends a part with its length, so that two different lists never give the same content.
fn put(content: &mut Vec<u8>, part: &[u8]) {
    content.extend((part.len() as u64).to_le_bytes());
    content.extend(part);
}

fn hash(content: &[u8]) -> String {
    let mut id = store::hex(Sha256::new_with_prefix(content));
    id.truncate(32);
    id
}

#[cfg(test)]
#[path = "object_code_tests.rs"]
mod tests;
