//! The order of package versions, by the rules of their package managers.

pub mod dpkg;
pub mod rpm;

use std::cmp::Ordering;

/// Compares digits of any length as numbers.
fn number(a: &[u8], b: &[u8]) -> Ordering {
    let (_, a) = split_while(a, |c| c == b'0');
    let (_, b) = split_while(b, |c| c == b'0');
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// The leading bytes that belong together, and the rest.
fn split_while(text: &[u8], keep: impl Fn(u8) -> bool) -> (&[u8], &[u8]) {
    text.split_at(text.iter().position(|&c| !keep(c)).unwrap_or(text.len()))
}
