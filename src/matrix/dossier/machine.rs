//! The patterns in `has` and `lacks` of a dossier's `binary:` signatures.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// One property of a function's machine code. As text, one of
///
/// | text | what it means |
/// |---|---|
/// | `string TEXT` | the image holds the text, as a string that ends there |
/// | `calls NAME` | the function calls that one, or jumps there at its end |
/// | `adds N`, `adds N..M` | a number of that size, or in that range, is added, subtracted, compared with or loaded |
/// | `halves` | something is shifted right by one, with its sign |
/// | `guard +N`, `guard +N..M` | half of a field of the first argument's structure is compared with another of its fields plus that number |
/// | `guard … straight` | and where half is more, the function returns -ENOMEM without asking anything else |
/// | `guard … asking` | and where half is more, it does so after asking something else |
/// | `guard … asking K` | and where half is more, it does so after looking at its Kth argument (1 to 6) |
/// | `guard … sparing N` | and where half is more, it does so unless one of its arguments equals one of at least N (1 to 6) things that it looks up |
/// | `elapsed NAME` | the time since a field was set (a global variable less a field of the first argument's structure, which the function sets to that variable) is compared with what the function NAME makes of another field |
/// | `forgotten NAME` | and the function NAME sets that field to 0 on every path through some place that stores the same global variable in another field |
/// | `sums K+N >> B` | the field N bytes behind the Kth argument is added or subtracted once, the sum is shifted right by B bits, and nothing else is made of the field |
///
/// Numbers are decimal, or hexadecimal after `0x`; a range holds both of its ends. The patterns follow values through
/// registers and the stack, so they don't depend on the compiler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MachinePattern {
    /// `string TEXT`
    Text(String),
    /// `calls NAME`
    Calls(String),
    /// `adds N..M`
    Adds(RangeInclusive<i64>),
    /// `halves`
    Halves,
    /// `guard +N..M …`
    Guard {
        /// The number that is added to the field.
        plus: RangeInclusive<i64>,
        /// The function's action above the limit; none if that doesn't matter.
        then: Option<Refusal>,
    },
    /// `elapsed NAME`
    Elapsed(String),
    /// `forgotten NAME`
    Forgotten(String),
    /// `sums K+N >> B`
    Sums {
        /// The argument, counted from 1.
        argument: u8,
        /// The field's offset in bytes.
        at: i64,
        /// By how many bits the sum is shifted.
        shift: u8,
    },
}

/// The function's path from the comparison to returning -ENOMEM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Immediately.
    Straight,
    /// After asking something else.
    Asking,
    /// After asking about this argument, counted from 1.
    AskingArgument(u8),
    /// Unless one of its arguments equals one of at least this many values that it looks up.
    Sparing(u8),
}

/// A text that is not a pattern for machine code.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a pattern for machine code: {expected}", expected = Self::expected())]
pub struct BadMachinePattern(pub String);

impl BadMachinePattern {
    /// The expected forms.
    pub fn expected() -> String {
        "expected `string TEXT`, `calls NAME`, `adds N` or `adds N..M`, `halves`, `elapsed NAME`, `forgotten NAME`, \
         `sums K+N >> B`, or `guard +N` or \
         `guard +N..M`, optionally followed by `straight`, `asking`, `asking 1` to `asking 6` or `sparing 1` to `sparing 6`"
            .to_owned()
    }
}

impl FromStr for MachinePattern {
    type Err = BadMachinePattern;

    fn from_str(text: &str) -> Result<Self, BadMachinePattern> {
        parse(text).ok_or_else(|| BadMachinePattern(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<MachinePattern> {
    let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
    match word {
        // A short text is in every image.
        "string" if rest.len() >= 4 && !rest.contains('\0') => Some(MachinePattern::Text(rest.to_owned())),
        "calls" => name(rest).map(MachinePattern::Calls),
        "elapsed" => name(rest).map(MachinePattern::Elapsed),
        "forgotten" => name(rest).map(MachinePattern::Forgotten),
        "adds" => range(rest).map(MachinePattern::Adds),
        "halves" => rest.is_empty().then_some(MachinePattern::Halves),
        "sums" => {
            let (field, shift) = rest.split_once(" >> ")?;
            let (argument, at) = field.split_once('+')?;
            let shift =
                number(shift).and_then(|shift| u8::try_from(shift).ok()).filter(|shift| (1..64).contains(shift))?;
            Some(MachinePattern::Sums { argument: argument_number(argument)?, at: number(at)?, shift })
        }
        "guard" => {
            let (plus, then) = rest.split_once(' ').unwrap_or((rest, ""));
            let plus = range(plus.strip_prefix('+')?)?;
            let then = match then.split_once(' ') {
                None if then.is_empty() => None,
                None if then == "straight" => Some(Refusal::Straight),
                None if then == "asking" => Some(Refusal::Asking),
                Some(("asking", argument)) => Some(Refusal::AskingArgument(argument_number(argument)?)),
                Some(("sparing", things)) => Some(Refusal::Sparing(argument_number(things)?)),
                _ => return None,
            };
            Some(MachinePattern::Guard { plus, then })
        }
        _ => None,
    }
}

/// The name of a function.
fn name(text: &str) -> Option<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    (!text.is_empty() && text.chars().all(is_name)).then(|| text.to_owned())
}

/// The number of an argument in a register, 1 to 6.
fn argument_number(text: &str) -> Option<u8> {
    number(text).and_then(|number| u8::try_from(number).ok()).filter(|number| (1..=6).contains(number))
}

fn range(text: &str) -> Option<RangeInclusive<i64>> {
    let (low, high) = text.split_once("..").unwrap_or((text, text));
    let (low, high) = (number(low)?, number(high)?);
    (low <= high).then_some(low..=high)
}

fn number(text: &str) -> Option<i64> {
    let number = match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse::<u32>(),
    };
    // Rust accepts a leading sign.
    number.ok().filter(|_| !text.contains('+')).map(i64::from)
}

impl fmt::Display for MachinePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let range = |range: &RangeInclusive<i64>| match (range.start(), range.end()) {
            (low, high) if low == high => format!("{low:#x}"),
            (low, high) => format!("{low:#x}..{high:#x}"),
        };
        match self {
            Self::Text(text) => write!(f, "string {text}"),
            Self::Calls(name) => write!(f, "calls {name}"),
            Self::Adds(numbers) => write!(f, "adds {}", range(numbers)),
            Self::Halves => f.write_str("halves"),
            Self::Elapsed(name) => write!(f, "elapsed {name}"),
            Self::Forgotten(name) => write!(f, "forgotten {name}"),
            Self::Sums { argument, at, shift } => write!(f, "sums {argument}+{at:#x} >> {shift}"),
            Self::Guard { plus, then: None } => write!(f, "guard +{}", range(plus)),
            Self::Guard { plus, then: Some(Refusal::Straight) } => write!(f, "guard +{} straight", range(plus)),
            Self::Guard { plus, then: Some(Refusal::Asking) } => write!(f, "guard +{} asking", range(plus)),
            Self::Guard { plus, then: Some(Refusal::AskingArgument(number)) } => {
                write!(f, "guard +{} asking {number}", range(plus))
            }
            Self::Guard { plus, then: Some(Refusal::Sparing(number)) } => {
                write!(f, "guard +{} sparing {number}", range(plus))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_pattern_is_read_back_from_its_text() {
        for text in [
            "string TCPWqueueTooBig",
            "calls skb_split",
            "adds 0x20000",
            "adds 0x20200..0x20a00",
            "halves",
            "guard +0x0",
            "guard +0x20000 straight",
            "guard +0x20200..0x20a00 asking",
            "guard +0x0 asking 2",
            "guard +0x20200..0x20a00 sparing 2",
            "sums 2+0x4 >> 24",
            "elapsed __msecs_to_jiffies",
            "forgotten tcp_ack",
        ] {
            let pattern = text.parse::<MachinePattern>();
            assert_eq!(pattern.as_ref().map(ToString::to_string), Ok(text.to_owned()));
        }
        let decimal = "adds 16..32".parse();
        assert_eq!(decimal, Ok(MachinePattern::Adds(16..=32)));
    }

    #[test]
    fn non_pattern_is_rejected_with_the_expected_form() {
        for text in [
            "",
            "string",
            "string ",
            "string abc",
            "calls",
            "calls a b",
            "calls a()",
            "adds",
            "adds x",
            "adds 2..1",
            "adds -1",
            "adds +1",
            "adds 0x100000000",
            "halves x",
            "guard",
            "guard 0",
            "guard +",
            "guard +0 gently",
            "guard +0 asking 0",
            "guard +0 asking 7",
            "guard +0 asking 2 3",
            "guard +0 sparing",
            "guard +0 sparing 0",
            "Halves",
            " halves",
            "jumps 5",
            "sums",
            "sums 2+4",
            "sums 0+4 >> 24",
            "sums 2+4 >> 0",
            "sums 2+4 >> 64",
            "sums 2 >> 24",
            "elapsed",
            "elapsed a b",
            "forgotten",
            "forgotten a()",
        ] {
            let error = text.parse::<MachinePattern>().map_err(|error| error.to_string());
            let told =
                error.as_ref().is_err_and(|told| told.contains(&format!("`{text}`")) && told.contains("adds N..M"));
            assert!(told, "{text:?}: {error:?}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "(string|calls|adds|guard|halves|elapsed|forgotten)? ?[+0-9a-fx. ]{0,12}.{0,8}") {
            if let Ok(pattern) = text.parse::<MachinePattern>() {
                prop_assert_eq!(pattern.to_string().parse(), Ok(pattern));
            }
        }
    }
}
