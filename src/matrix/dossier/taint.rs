//! The kernel's taint: what it says of itself (Documentation/admin-guide/tainted-kernels.rst).

use std::fmt;

/// The letters of the bits, from bit 0 on, and what they mean. A kernel that is not proprietary shows `G` for bit 0.
const LETTERS: [(char, &str); 20] = [
    ('P', "a proprietary module"),
    ('F', "a module forced to load"),
    ('S', "a system out of its specification"),
    ('R', "a module forced to unload"),
    ('M', "a machine check"),
    ('B', "a bad page or object"),
    ('U', "set by a program"),
    ('D', "an oops or BUG"),
    ('A', "an overridden ACPI table"),
    ('W', "a warning"),
    ('C', "a staging driver"),
    ('I', "a workaround for firmware"),
    ('O', "a module from out of tree"),
    ('E', "an unsigned module"),
    ('L', "a soft lockup"),
    ('K', "a live patch"),
    ('X', "set by the distribution"),
    ('T', "a randomized structure layout"),
    ('N', "a test of the kernel"),
    ('J', "debugging of firmware"),
];

/// Some bits of the kernel's taint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TaintFlags(u64);

impl TaintFlags {
    /// The bits of this value of `kernel.tainted`.
    pub fn of(value: u64) -> Self {
        Self(value)
    }

    /// The bit of this letter. None if no bit has it.
    pub fn of_letter(letter: char) -> Option<Self> {
        LETTERS.iter().position(|(known, _)| *known == letter).map(|bit| Self(1 << bit))
    }

    /// Whether it has none.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those of either.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that the other has not.
    #[must_use]
    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The bits of a list of letters.
    pub(super) fn of_letters(letters: &[Self]) -> Self {
        letters.iter().fold(Self::default(), |all, one| all.or(*one))
    }

    /// One letter.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut letters = text.chars();
        let one = letters.next().filter(|_| letters.next().is_none()).and_then(Self::of_letter);
        let known = || LETTERS.iter().map(|(letter, _)| letter.to_string()).collect::<Vec<_>>().join(", ");
        one.ok_or_else(|| format!("expected a letter of the kernel's taint: one of {}", known()))
    }
}

/// `W (a warning), B (a bad page or object)`.
impl fmt::Display for TaintFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_bit = |bit: usize| match LETTERS.get(bit) {
            Some((letter, meaning)) => format!("{letter} ({meaning})"),
            None => format!("bit {bit}"),
        };
        let shown: Vec<String> = (0..64).filter(|bit| self.0 >> bit & 1 == 1).map(of_bit).collect();
        f.pad(&shown.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_have_the_kernel_s_bits() {
        for (letter, bit) in [("P", 0), ("B", 5), ("U", 6), ("D", 7), ("W", 9), ("L", 14), ("N", 18)] {
            assert_eq!(TaintFlags::parse(letter), Ok(TaintFlags::of(1 << bit)), "{letter}");
        }
        for bad in ["", "G", "w", "WB", "9", "é"] {
            assert!(TaintFlags::parse(bad).is_err_and(|why| why.contains("one of P, F, S")), "{bad}");
        }
        let shown = TaintFlags::of(1 << 9 | 1 << 5 | 1 << 63).to_string();
        assert_eq!(shown, "B (a bad page or object), W (a warning), bit 63");
    }
}
