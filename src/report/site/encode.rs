//! Nights as text: one letter for each result, and two for each time.

use crate::history::GuestClock;

/// The letters of results. The script has the same.
const LETTERS: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// The letter of a night in which the cell was not judged.
pub(super) const NONE: char = '-';

/// Where the letters of further results start, after the first 62. There are far fewer results than characters from here on.
const FURTHER: u32 = 0x4e00;

/// The letter of the result at this place of the file's list.
pub(super) fn letter(place: usize) -> char {
    match LETTERS.get(place) {
        Some(letter) => char::from(*letter),
        None => u32::try_from(place).ok().and_then(|place| char::from_u32(FURTHER + place)).unwrap_or('\u{fffd}'),
    }
}

/// The digits of times.
const DIGITS: &[u8; 64] = b"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_~";

/// Two digits for no time.
pub(super) const NO_TIME: [char; 2] = ['-', '-'];

/// Times by the host's clock start at this number; those by the guest's own at 0.
const REAL: u16 = 2048;

/// Two digits for a time in the guest: 100 · ln(1 + ms), which keeps it to one percent up to nine days.
pub(super) fn time(ms: Option<u64>, clock: GuestClock) -> [char; 2] {
    let Some(ms) = ms else { return NO_TIME };
    let steps = ((ms as f64).ln_1p() * 100.0).round().min(f64::from(REAL - 1)) as u16;
    let number = usize::from(steps + if clock == GuestClock::Real { REAL } else { 0 });
    let digit = |place: usize| DIGITS.get(place).copied().map_or('-', char::from);
    [digit(number / 64), digit(number % 64)]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_result_has_a_letter_of_its_own() {
        let letters: BTreeSet<char> = (0..2000).map(letter).collect();
        assert_eq!(letters.len(), 2000);
        assert!(letters.iter().all(|letter| letter.is_alphanumeric()));
        assert_eq!((letter(0), letter(61), letter(62)), ('a', '9', '\u{4e3e}'));
    }

    #[test]
    fn time_is_kept_to_one_percent_with_its_clock() {
        for ms in [0, 1, 30, 1000, 1_030, 65_432, 700_000_000] {
            for clock in [GuestClock::Virtual, GuestClock::Real] {
                let digits = time(Some(ms), clock);
                let place = |c: char| DIGITS.iter().position(|digit| char::from(*digit) == c).expect("a digit");
                let number = place(digits[0]) * 64 + place(digits[1]);
                assert_eq!(number >= usize::from(REAL), clock == GuestClock::Real);
                let read = ((number % usize::from(REAL)) as f64 / 100.0).exp_m1();
                assert!((read - ms as f64).abs() <= 0.006 * ms as f64 + 0.01, "{ms}: {read}");
            }
        }
        assert_eq!(time(Some(u64::MAX), GuestClock::Virtual), ['v', '~']);
        assert_eq!(time(None, GuestClock::Real), NO_TIME);
    }
}
