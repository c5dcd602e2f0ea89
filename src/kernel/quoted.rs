//! Text from outside, safe to show.

use std::fmt;

/// Text from outside, cut and escaped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quoted(String);

impl Quoted {
    /// At most 200 bytes of `text`, with everything unprintable escaped.
    pub fn of(text: &[u8]) -> Self {
        let cut = text.len() > 200;
        let mut shown = String::new();
        for &byte in &text[..text.len().min(200)] {
            match byte {
                b' '..=b'~' => shown.push(char::from(byte)),
                other => shown += &other.escape_ascii().to_string(),
            }
        }
        if cut {
            shown.push('…');
        }
        Self(shown)
    }
}

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
