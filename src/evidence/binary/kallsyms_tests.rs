use proptest::prelude::*;

use super::super::fixture::{self, LAYOUTS, OF_6_1};
use super::*;

fn functions() -> Vec<fixture::Code<'static>> {
    fixture::with_caller(vec![
        ("tcp_fragment", vec![0x90; 40]),
        ("tcp_fragment.cold", vec![0xc3; 8]),
        ("tcp_fragment_else", vec![0xc3; 8]),
        ("skb_split", vec![0xc3; 16]),
    ])
}

fn read(image: Vec<u8>) -> Result<Symbols, NoSymbols> {
    Symbols::read(&ImageMemory::new(image).unwrap())
}

#[test]
fn every_order_and_form_of_the_table_is_read() {
    let functions = functions();
    for layout in LAYOUTS {
        let symbols = read(fixture::vmlinux(layout, &functions, &[]).0).unwrap();
        let at = fixture::address_of(&functions, "tcp_fragment");
        assert_eq!(symbols.named("tcp_fragment").collect::<Vec<_>>(), [at], "{layout:?}");
        assert_eq!(symbols.named("filler_77").collect::<Vec<_>>(), [fixture::BASE + 77 * 16], "{layout:?}");
        assert_eq!(symbols.at(at).collect::<Vec<_>>(), ["tcp_fragment"], "{layout:?}");
        assert_eq!(symbols.at(at + 1).count(), 0);
        let pieces = symbols.pieces("tcp_fragment");
        assert_eq!(pieces, [("tcp_fragment", at..at + 48), ("tcp_fragment.cold", at + 48..at + 64)], "{layout:?}");
    }
}

/// Symbols as in CONFIG_KALLSYMS_ALL: data after the code, and symbols without a known kind of section.
fn of_all(letters: &str) -> Vec<(u64, String)> {
    let place = |number: usize| fixture::BASE + (1 << 20) + 8 * number as u64;
    letters.chars().enumerate().map(|(number, letter)| (place(number), format!("{letter}thing_{number}"))).collect()
}

#[test]
fn every_nm_type_is_read() {
    let functions = functions();
    for layout in LAYOUTS {
        // The letters of nm(1), and the one for an empty section.
        let mut more = of_all("AaBbCcDdGgiINnPpRrSsTtUuVvWw-?1");
        more.extend(["?__smp_locks", "?__nosave_begin"].map(|name| (fixture::BASE + (2 << 20), name.to_owned())));
        let symbols = read(fixture::vmlinux_with(layout, &functions, &[], more).0).unwrap();
        let at = fixture::address_of(&functions, "tcp_fragment");
        assert_eq!(symbols.named("tcp_fragment").collect::<Vec<_>>(), [at], "{layout:?}");
        assert_eq!(symbols.named("__smp_locks").count(), 1, "{layout:?}");
        assert_eq!(symbols.named("thing_30").count(), 1, "{layout:?}");
    }
}

#[test]
fn invalid_name_is_skipped_and_many_reject_the_table() {
    let functions = functions();
    // A token encodes seven of its letters, so the packed name is short enough.
    let long = format!("T{}", "filler_".repeat(LONGEST_NAME / 7 + 1));
    for strange in ["T", "t\u{2}name", long.as_str()] {
        let more = |count: usize| (0..count).map(|_| (fixture::BASE + (1 << 20), strange.to_owned())).collect();
        let symbols = read(fixture::vmlinux_with(OF_6_1, &functions, &[], more(3)).0).unwrap();
        let at = fixture::address_of(&functions, "tcp_fragment");
        assert_eq!(symbols.named("tcp_fragment").collect::<Vec<_>>(), [at], "{strange:?}");
        let many = read(fixture::vmlinux_with(OF_6_1, &functions, &[], more(100)).0);
        assert_eq!(many.err(), Some(NoSymbols::NamesMissing), "{strange:?}");
    }
}

#[test]
fn data_is_not_part_of_a_function() {
    let functions = functions();
    let at = fixture::address_of(&functions, "tcp_fragment");
    let data = ["dtcp_fragment.__already_done", "bstrange", "rtcp_fragment.descriptor", "dtcp_fragment"];
    let more = data.iter().map(|name| (fixture::BASE + (1 << 20), (*name).to_owned())).collect();
    let symbols = read(fixture::vmlinux_with(OF_6_1, &functions, &[], more).0).unwrap();
    let pieces = symbols.pieces("tcp_fragment");
    assert_eq!(pieces, [("tcp_fragment", at..at + 48), ("tcp_fragment.cold", at + 48..at + 64)]);
}

#[test]
fn large_table_is_read() {
    let functions = functions();
    let more = (0..250_000_u64).map(|number| (fixture::BASE + (1 << 20) + number, format!("dvariable_{number}")));
    for layout in [OF_6_1, LAYOUTS[4]] {
        let symbols = read(fixture::vmlinux_with(layout, &functions, &[], more.clone().collect()).0).unwrap();
        assert_eq!(symbols.named("variable_249999").count(), 1, "{layout:?}");
    }
}

#[test]
fn kernel_without_a_valid_table_has_no_symbols() {
    let (image, table) = fixture::vmlinux(OF_6_1, &functions(), &[]);
    assert!(read(image.clone()).is_ok());
    let without: Vec<u8> = [&image[..table.start], &vec![0; table.len()], &image[table.end..]].concat();
    assert_eq!(read(without).err(), Some(NoSymbols::TableMissing));
    // The first name gets a wrong length.
    let first = table.start + image[table.clone()].windows(7).position(|bytes| bytes == b"\x06T_text").unwrap();
    let mut damaged = image.clone();
    damaged[first + 7] = 200;
    assert_eq!(read(damaged).err(), Some(NoSymbols::NamesMissing));
    // Reversed offsets, so that nothing ascends.
    let mut descending = image;
    descending[table.start + 40..table.start + 80].reverse();
    assert_eq!(read(descending).err(), Some(NoSymbols::AddressesWrong));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn flipped_byte_keeps_the_symbols_in_order(
        place in any::<prop::sample::Index>(), flip in 1..=255_u8, which in 0..LAYOUTS.len()
    ) {
        let functions = functions();
        let (mut image, table) = fixture::vmlinux(LAYOUTS[which], &functions, &[]);
        image[table.start + place.index(table.len())] ^= flip;
        if let Ok(symbols) = read(image) {
            prop_assert!(symbols.addresses.is_sorted());
            // A damaged name is a different name, and function.rs catches a moved address because nothing calls it.
            prop_assert!(symbols.named("_stext").count() == 1 && symbols.named("_etext").count() == 1);
        }
    }

    #[test]
    fn names_of_any_type_and_length_are_read(
        names in proptest::collection::vec("[!-~][!-~]{1,300}", 0..300), which in 0..LAYOUTS.len()
    ) {
        let functions = functions();
        let is_free = |name: &&String| !["_text", "_stext", "_etext", "linux_banner", "tcp_fragment"].contains(&&name[1..]);
        let place = |number: usize| fixture::BASE + (1 << 20) + 16 * number as u64;
        let more: Vec<_> = names.iter().filter(is_free).enumerate().map(|(n, name)| (place(n), name.clone())).collect();
        let symbols = read(fixture::vmlinux_with(LAYOUTS[which], &functions, &[], more.clone()).0).unwrap();
        let at = fixture::address_of(&functions, "tcp_fragment");
        prop_assert_eq!(symbols.named("tcp_fragment").collect::<Vec<_>>(), [at]);
        for (place, name) in more.iter().filter(|(_, name)| !name.contains("filler_")) {
            prop_assert!(symbols.at(*place).any(|found| *found == name[1..]), "{}", name);
        }
    }

    #[test]
    fn truncated_table_is_read_without_a_panic(length in any::<prop::sample::Index>(), which in 0..LAYOUTS.len()) {
        let (image, table) = fixture::vmlinux(LAYOUTS[which], &functions(), &[]);
        let mut cut = image.clone();
        let end = table.start + length.index(table.len());
        cut[end..].fill(0);
        let _ = read(cut);
    }
}
