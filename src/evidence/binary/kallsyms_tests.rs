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
    Symbols::read(&Memory::new(image).unwrap())
}

#[test]
fn every_order_and_form_that_kernels_have_had_is_read() {
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

#[test]
fn a_kernel_without_a_table_or_with_a_damaged_one_has_no_symbols() {
    let (image, table) = fixture::vmlinux(OF_6_1, &functions(), &[]);
    assert!(read(image.clone()).is_ok());
    let without: Vec<u8> = [&image[..table.start], &vec![0; table.len()], &image[table.end..]].concat();
    assert_eq!(read(without).err(), Some(NoSymbols::TableMissing));
    // The first name: its length no longer leads to the next.
    let first = table.start + image[table.clone()].windows(7).position(|bytes| bytes == b"\x06T_text").unwrap();
    let mut damaged = image.clone();
    damaged[first + 7] = 200;
    assert_eq!(read(damaged).err(), Some(NoSymbols::NamesMissing));
    // The offsets, turned round: nothing ascends.
    let mut descending = image;
    descending[table.start + 40..table.start + 80].reverse();
    assert_eq!(read(descending).err(), Some(NoSymbols::AddressesWrong));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_flipped_byte_of_the_table_never_gives_a_function_that_others_are_not_called_at(
        place in any::<prop::sample::Index>(), flip in 1..=255_u8, which in 0..LAYOUTS.len()
    ) {
        let functions = functions();
        let (mut image, table) = fixture::vmlinux(LAYOUTS[which], &functions, &[]);
        image[table.start + place.index(table.len())] ^= flip;
        if let Ok(symbols) = read(image) {
            prop_assert!(symbols.addresses.is_sorted());
            // A damaged name is another name, and a moved address is caught by who calls it (function.rs).
            prop_assert!(symbols.named("_stext").count() == 1 && symbols.named("_etext").count() == 1);
        }
    }

    #[test]
    fn a_table_that_is_cut_short_never_makes_the_reader_panic(length in any::<prop::sample::Index>(), which in 0..LAYOUTS.len()) {
        let (image, table) = fixture::vmlinux(LAYOUTS[which], &functions(), &[]);
        let mut cut = image.clone();
        let end = table.start + length.index(table.len());
        cut[end..].fill(0);
        let _ = read(cut);
    }
}
