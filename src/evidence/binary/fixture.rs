//! Small kernels for the tests: an ELF file with a banner, a few hundred functions, and kallsyms in any of its forms.

use super::kallsyms::AddressForm;

/// The kernel's link address (arch/x86/include/asm/page_64_types.h).
pub(crate) const BASE: u64 = 0xffff_ffff_8100_0000;
/// The segment's offset in the file.
const OFFSET: usize = 0x1000;
/// The number of empty functions before those of the test.
const FILLERS: usize = 700;

/// The layout of the symbol table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SymbolLayout {
    /// The form of the addresses.
    pub(crate) form: AddressForm,
    /// Whether the addresses follow the tokens, as since 6.5.
    pub(crate) addresses_last: bool,
    /// The alignment of the arrays: 8 or 4.
    pub(crate) align: usize,
    /// The size of a marker and of the symbol count in bytes: 4, or 8 before 4.20.
    pub(crate) word: usize,
}

/// The layout of an SMP kernel 6.1.
pub(crate) const OF_6_1: SymbolLayout =
    SymbolLayout { form: AddressForm::AbsolutePercpu, addresses_last: false, align: 8, word: 4 };

/// All layouts that kernels have had.
pub(crate) const LAYOUTS: [SymbolLayout; 6] = [
    SymbolLayout { form: AddressForm::Whole, addresses_last: false, align: 8, word: 8 },
    SymbolLayout { form: AddressForm::Relative, addresses_last: false, align: 8, word: 8 },
    SymbolLayout { form: AddressForm::Relative, addresses_last: false, align: 8, word: 4 },
    OF_6_1,
    SymbolLayout { form: AddressForm::Relative, addresses_last: true, align: 8, word: 4 },
    SymbolLayout { form: AddressForm::FromPlace, addresses_last: true, align: 4, word: 4 },
];

/// A function: its name and its code.
pub(crate) type Code<'a> = (&'a str, Vec<u8>);

/// The address of a function.
pub(crate) fn address_of(functions: &[Code], name: &str) -> u64 {
    let mut at = BASE + 16 * FILLERS as u64;
    for (this, code) in functions {
        if *this == name {
            return at;
        }
        at += code.len().next_multiple_of(16) as u64;
    }
    panic!("no {name}")
}

/// A `call` from one function, at offset `at`, to another.
pub(crate) fn call(functions: &[Code], from: &str, at: usize, to: &str) -> Vec<u8> {
    let next = address_of(functions, from) + at as u64 + 5;
    let distance = address_of(functions, to).wrapping_sub(next) as u32;
    [&[0xe8][..], &distance.to_le_bytes()].concat()
}

/// Adds a function that calls all others.
pub(crate) fn with_caller(mut functions: Vec<Code>) -> Vec<Code> {
    let others: Vec<String> = functions.iter().map(|(name, _)| (*name).to_owned()).collect();
    functions.push(("caller", vec![0; 5 * others.len() + 1]));
    let calls: Vec<u8> =
        others.iter().enumerate().flat_map(|(i, name)| call(&functions, "caller", 5 * i, name)).chain([0xc3]).collect();
    functions.pop();
    functions.push(("caller", calls));
    functions
}

/// The image of a kernel, and the position of its symbol table.
pub(crate) fn vmlinux(layout: SymbolLayout, functions: &[Code], strings: &[&str]) -> (Vec<u8>, std::ops::Range<usize>) {
    vmlinux_with(layout, functions, strings, Vec::new())
}

/// The same with more symbols: an address each, and a name prefixed with its type.
pub(crate) fn vmlinux_with(
    layout: SymbolLayout,
    functions: &[Code],
    strings: &[&str],
    more: Vec<(u64, String)>,
) -> (Vec<u8>, std::ops::Range<usize>) {
    let mut text = Vec::new();
    let mut symbols = vec![(BASE, "T_text".to_owned()), (BASE, "T_stext".to_owned())];
    for filler in 0..FILLERS {
        symbols.push((BASE + text.len() as u64, format!("tfiller_{filler}")));
        text.extend([0xc3; 16]);
    }
    for (name, code) in functions {
        symbols.push((BASE + text.len() as u64, format!("T{name}")));
        text.extend(code);
        text.resize(text.len().next_multiple_of(16), 0xcc);
    }
    symbols.push((BASE + text.len() as u64, "T_etext".to_owned()));
    if layout.form == AddressForm::AbsolutePercpu {
        symbols.insert(0, (0x40, "Apercpu".to_owned()));
    }
    symbols.extend(more);
    symbols.sort_by_key(|(address, _)| *address);
    let mut data = text;
    data.extend(b"\0Linux version 6.1.0-test (builder@host) #1 SMP\n\0");
    for string in strings {
        data.extend(string.as_bytes());
        data.push(0);
    }
    data.resize(data.len().next_multiple_of(layout.align), 0);
    let start = data.len();
    kallsyms(&mut data, layout, &symbols);
    let table = OFFSET + start..OFFSET + data.len();
    data.extend([0; 64]);
    (elf(&data), table)
}

fn kallsyms(data: &mut Vec<u8>, layout: SymbolLayout, symbols: &[(u64, String)]) {
    let align = |data: &mut Vec<u8>| data.resize(data.len().next_multiple_of(layout.align), 0);
    let addresses = |data: &mut Vec<u8>| {
        let base = BASE;
        for (address, _) in symbols {
            let offset = match layout.form {
                AddressForm::Whole => {
                    data.extend(address.to_le_bytes());
                    continue;
                }
                AddressForm::Relative => address.wrapping_sub(base) as u32,
                AddressForm::FromPlace => address.wrapping_sub(BASE + data.len() as u64) as u32,
                AddressForm::AbsolutePercpu if *address < BASE => *address as u32,
                AddressForm::AbsolutePercpu => base.wrapping_sub(1).wrapping_sub(*address) as u32,
            };
            data.extend(offset.to_le_bytes());
        }
        align(data);
        if matches!(layout.form, AddressForm::Relative | AddressForm::AbsolutePercpu) {
            data.extend(base.to_le_bytes());
        }
    };
    if !layout.addresses_last {
        addresses(data);
    }
    data.extend(&(symbols.len() as u64).to_le_bytes()[..layout.word]);
    align(data);
    // Each printable letter has a token, and one more token encodes a whole word.
    let texts = |token: u8| match token {
        200 => "filler_".to_owned(),
        token if token.is_ascii_graphic() => char::from(token).to_string(),
        2 => "\t".to_owned(),
        _ => String::new(),
    };
    let mut markers = Vec::new();
    let names = data.len();
    for (index, (_, name)) in symbols.iter().enumerate() {
        if index % 256 == 0 {
            markers.push((data.len() - names) as u64);
        }
        let packed = name.replace("filler_", "\u{1}");
        let packed: Vec<u8> = packed.bytes().map(|b| if b == 1 { 200 } else { b }).collect();
        match packed.len() {
            short @ ..0x80 => data.push(short as u8),
            long => data.extend([long as u8 | 0x80, (long >> 7) as u8]),
        }
        data.extend(packed);
    }
    align(data);
    for marker in markers {
        data.extend(&marker.to_le_bytes()[..layout.word]);
    }
    align(data);
    let tokens = data.len();
    let mut index = Vec::new();
    for token in 0..=255 {
        index.extend(((data.len() - tokens) as u16).to_le_bytes());
        data.extend(texts(token).bytes().chain([0]));
    }
    align(data);
    data.extend(index);
    align(data);
    if layout.addresses_last {
        addresses(data);
    }
}

/// An ELF file with one segment, at [`BASE`].
pub(crate) fn elf(data: &[u8]) -> Vec<u8> {
    let mut file = Vec::new();
    file.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    for half in [2_u16, 62] {
        file.extend(half.to_le_bytes());
    }
    file.extend(1_u32.to_le_bytes());
    for word in [BASE, 64, 0] {
        file.extend(word.to_le_bytes());
    }
    file.extend(0_u32.to_le_bytes());
    for half in [64_u16, 56, 1, 64, 0, 0] {
        file.extend(half.to_le_bytes());
    }
    // PT_LOAD, readable and executable.
    for word in [1_u32, 5] {
        file.extend(word.to_le_bytes());
    }
    for word in [OFFSET as u64, BASE, 0x100_0000, data.len() as u64, data.len() as u64, 0x1000] {
        file.extend(word.to_le_bytes());
    }
    file.resize(OFFSET, 0);
    file.extend(data);
    file
}

/// The same with a section: its name, its position in `data`, and its length.
pub(crate) fn elf_with_section(data: &[u8], name: &str, at: usize, length: usize) -> Vec<u8> {
    let mut file = elf(data);
    let names = file.len();
    let list = format!("\0{name}\0.shstrtab\0");
    file.extend(list.as_bytes());
    let headers = file.len();
    // The first section is empty. Each has name, type, flags, address, offset, size, link, info, alignment and entry
    // size.
    let section = (1, 1, BASE + at as u64, OFFSET + at, length);
    let strings = (name.len() as u32 + 2, 3, 0, names, list.len());
    for (name, kind, address, offset, size) in [(0, 0, 0, 0, 0), section, strings] {
        file.extend([name, kind].into_iter().flat_map(u32::to_le_bytes));
        file.extend([0, address, offset as u64, size as u64].into_iter().flat_map(u64::to_le_bytes));
        file.extend([0_u8; 24]);
    }
    file[40..48].copy_from_slice(&(headers as u64).to_le_bytes());
    for (at, half) in [(58, 64_u16), (60, 3), (62, 2)] {
        file[at..at + 2].copy_from_slice(&half.to_le_bytes());
    }
    file
}
