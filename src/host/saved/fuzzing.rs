//! Outputs of another host, for `fuzz/`.

use super::Draft;

/// A file of anything.
pub fn saved(bytes: &[u8]) {
    let _ = Draft::default().take("saved", &String::from_utf8_lossy(bytes), false);
}
