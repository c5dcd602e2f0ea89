//! Writes a lock file.

use std::fmt::Write as _;
use std::fs::{self, File, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::read::VERSION;
use super::{Lock, Locked, LockedFile};
use crate::matrix::fields;
use crate::words::KernelName;

pub(super) fn text(lock: &Lock, matrix: &Path) -> String {
    let matrix = matrix.file_name().unwrap_or_default().to_string_lossy();
    let matrix: String = matrix.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    let mut text = format!(
        "# What the kernels of {matrix} were resolved to. `backproof run` takes exactly these files, and\n\
         # `backproof kernels update` writes the newest ones here. Keep it beside the matrix, in the same\n\
         # repository (docs/kernels.md).\n\
         version: {VERSION}\n"
    );
    text += if lock.kernels.is_empty() { "kernels: []\n" } else { "kernels:\n" };
    for (name, locked) in &lock.kernels {
        kernel(&mut text, name, locked);
    }
    text
}

fn kernel(text: &mut String, name: &KernelName, locked: &Locked) {
    let Locked { source, when, release, files } = locked;
    let _ = writeln!(text, "  - name: {}", scalar(name.as_str()));
    let _ = writeln!(text, "    source: {}", scalar(source));
    let _ = writeln!(text, "    locked: {when}");
    if let Some(release) = release {
        let _ = writeln!(text, "    release: {}", scalar(release));
    }
    let _ = writeln!(text, "    files:");
    for LockedFile { name, version, sha256, size, addresses } in files {
        let _ = writeln!(text, "      - name: {}", scalar(name));
        if let Some(version) = version {
            let _ = writeln!(text, "        version: {}", scalar(version));
        }
        let _ = writeln!(text, "        sha256: {sha256}");
        if *size > 0 {
            let _ = writeln!(text, "        size: {size}");
        }
        if !addresses.is_empty() {
            let _ = writeln!(text, "        addresses:");
        }
        for address in addresses {
            let _ = writeln!(text, "          - {}", scalar(address));
        }
    }
}

/// Replaces the lock file atomically.
pub(super) fn replace(path: &Path, text: &str) -> io::Result<()> {
    // A link is kept, and its target is replaced.
    let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = fields::folder_of(&path);
    let mode = Permissions::from_mode(0o666);
    let mut draft = tempfile::Builder::new().prefix(".kernels.lock-").permissions(mode).tempfile_in(folder)?;
    draft.write_all(text.as_bytes())?;
    draft.as_file().sync_all()?;
    draft.persist(&path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

/// A text as YAML: plain if it reads back the same, or else quoted as in JSON.
fn scalar(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._+~/:()@ -".contains(c);
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(plain)
        && !text.ends_with([' ', ':'])
        && !text.contains(": ")
        && !text.eq_ignore_ascii_case("null");
    if is_plain { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}
