//! Outputs of another host, for `fuzz/`.

use std::path::Path;

use super::{Draft, file, one_host};

/// A file of anything, packed or not.
pub fn saved(bytes: &[u8]) {
    let mut draft = Draft::default();
    let _ = file(Path::new("saved"), bytes, bytes.len() as u64, &mut draft);
    let _ = one_host(&draft);
    draft.finish();
}
