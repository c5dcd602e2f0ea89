//! Outputs of another host, for `fuzz/`.

use std::path::Path;

use super::{HostDraft, file, one_host};

/// A file with arbitrary contents, packed or not.
pub fn saved(bytes: &[u8]) {
    let mut draft = HostDraft::default();
    let _ = file(Path::new("saved"), bytes, bytes.len() as u64, &mut draft);
    let _ = one_host(&draft);
    draft.finish();
}
