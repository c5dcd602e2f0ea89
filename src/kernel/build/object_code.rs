//! The code and data of one compiled object, in a form that doesn't depend on addresses: two compilations of a function
//! have the same [`CodeId`] if they are the same bytes after relocation.
//!
//! References are followed to names: a relocation (System V ABI for x86-64, 4.4) or a branch inside the section becomes
//! the symbol that it leads to, or the text of a string. Line numbers outside of code don't count: the tables of `WARN_ON`
//! and of dynamic debugging.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use iced_x86::{Decoder, DecoderOptions, FlowControl};
use object::read::elf::ElfFile64;
use object::{
    Object as _, ObjectSection as _, ObjectSymbol as _, Relocation, RelocationFlags, RelocationTarget, SectionKind,
    SymbolKind, elf,
};
use sha2::{Digest as _, Sha256};

use crate::kernel::store;

/// Sections of which only the lines of the source show.
const LINES: [&str; 3] = ["__bug_table", "__dyndbg", "__verbose"];
/// Code that replaces other code at boot; it has no symbols.
const REPLACEMENTS: &str = ".altinstr_replacement";

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

struct ObjectCode<'f> {
    file: &'f ElfFile64<'f>,
    sections: BTreeMap<usize, SectionCode<'f>>,
}

struct SectionCode<'f> {
    name: &'f str,
    kind: SectionKind,
    data: &'f [u8],
    relocations: BTreeMap<u64, Relocation>,
    symbols: Vec<Place<'f>>,
    hash: OnceCell<String>,
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
            let (symbols, hash) = (Vec::new(), OnceCell::new());
            sections.insert(section.index().0, SectionCode { name, kind, data, relocations, symbols, hash });
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
        for section in sections.values_mut() {
            section.symbols.sort_by_key(|place| (place.start, place.size));
        }
        Some(Self { file, sections })
    }

    fn symbols(&self) -> Option<Vec<CompiledSymbol>> {
        let mut found = Vec::new();
        for (index, section) in &self.sections {
            if LINES.contains(&section.name) || section.name.starts_with(".discard") {
                continue;
            }
            for place in &section.symbols {
                let content = match (section.data.is_empty(), place.is_function) {
                    // Without content: `.bss`.
                    (true, _) => section.name.as_bytes().to_vec(),
                    (false, true) => self.function(*index, section, place)?,
                    (false, false) => self.data(section, place.start, place.size)?,
                };
                let name = if place.is_function { place.name } else { unnumbered(place.name) };
                found.push(CompiledSymbol {
                    is_function: place.is_function,
                    name: name.to_owned(),
                    size: place.size,
                    id: hash(&content),
                });
            }
            if section.name == REPLACEMENTS {
                let size = section.data.len() as u64;
                let id = hash(&self.data(section, 0, size)?);
                found.push(CompiledSymbol { is_function: false, name: REPLACEMENTS.to_owned(), size, id });
            }
        }
        Some(found)
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

    /// The name of a place in a section.
    fn place(&self, index: usize, offset: u64) -> Option<String> {
        let section = self.sections.get(&index)?;
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
            // Tables of jumps and other constants without names: any change of the section counts.
            _ => format!("{} {}", section.name, section.hash()),
        })
    }
}

impl SectionCode<'_> {
    fn bytes(&self, start: u64, size: u64) -> Option<&[u8]> {
        let (start, end) = (usize::try_from(start).ok()?, usize::try_from(start.checked_add(size)?).ok()?);
        self.data.get(start..end)
    }

    /// A hash of its bytes and addends, which follows no reference.
    fn hash(&self) -> &str {
        self.hash.get_or_init(|| {
            let mut content = self.data.to_vec();
            for (field, relocation) in &self.relocations {
                put(&mut content, &field.to_le_bytes());
                put(&mut content, &relocation.addend().to_le_bytes());
            }
            hash(&content)
        })
    }
}

/// Whether a relocation counts from its own place.
fn is_relative(relocation: &Relocation) -> bool {
    matches!(relocation.flags(), RelocationFlags::Elf { r_type } if [elf::R_X86_64_PC32, elf::R_X86_64_PLT32, elf::R_X86_64_PC64, elf::R_X86_64_PC8, elf::R_X86_64_PC16].contains(&r_type))
}

/// Bytes that a relocation fills in.
fn width(relocation: &Relocation) -> usize {
    match relocation.flags() {
        RelocationFlags::Elf { r_type: elf::R_X86_64_64 | elf::R_X86_64_PC64 } => 8,
        RelocationFlags::Elf { r_type: elf::R_X86_64_8 | elf::R_X86_64_PC8 } => 1,
        RelocationFlags::Elf { r_type: elf::R_X86_64_16 | elf::R_X86_64_PC16 } => 2,
        _ => 4,
    }
}

fn blank(bytes: &mut [u8], at: usize, width: usize) {
    bytes.iter_mut().skip(at).take(width).for_each(|byte| *byte = 0);
}

/// A static variable's name without the number that tells it from others of the same name: `__func__.12`.
fn unnumbered(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((start, number)) if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) => start,
        _ => name,
    }
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
