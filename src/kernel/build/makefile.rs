//! Recognises a kernel's source by its top Makefile.

use std::fs;
use std::path::Path;

use super::error::BuildError;

/// Only these first bytes of a Makefile are read; VERSION and PATCHLEVEL are its second and third line.
const MAKEFILE_HEAD: usize = 4096;

/// The error for a Makefile that is not a kernel's.
pub(in crate::kernel) const NO_VERSION: &str = "its Makefile names no VERSION and PATCHLEVEL";

/// The release line of a tree, or why it has none.
pub(in crate::kernel) fn release_of(tree: &Path) -> Result<String, String> {
    let text = fs::read(tree.join("Makefile")).map_err(|error| format!("its Makefile cannot be read ({error})"))?;
    let release = version(&text).ok_or(NO_VERSION)?;
    if tree.join("arch/x86").is_dir() { Ok(release) } else { Err("it has no folder arch/x86".to_owned()) }
}

/// `VERSION.PATCHLEVEL` at the head of a kernel's Makefile.
pub(in crate::kernel) fn version(makefile: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(&makefile[..makefile.len().min(MAKEFILE_HEAD)]).into_owned();
    let number = |name: &str| {
        let value = head.lines().find_map(|line| line.strip_prefix(name)?.trim_start().strip_prefix('='))?.trim();
        let digits = (1..=4).contains(&value.len()) && value.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| value.to_owned())
    };
    Some(format!("{}.{}", number("VERSION")?, number("PATCHLEVEL")?))
}

/// Rejects a tree that kbuild would not build elsewhere (the top Makefile, `outputmakefile`).
pub(in crate::kernel) fn refuse_built(tree: &Path) -> Result<(), BuildError> {
    let signs = [".config", "include/config", "arch/x86/include/generated"];
    match signs.into_iter().find(|sign| tree.join(sign).exists()) {
        Some(there) => Err(BuildError::BuiltIn { path: tree.to_owned(), there }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn release_line_is_read_only_from_a_kernel_makefile() {
        for (makefile, expected) in [
            (&b"# SPDX\nVERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 3\nEXTRAVERSION =\n"[..], Some("6.12")),
            (b"VERSION=6\nPATCHLEVEL=1", Some("6.1")),
            (b"VERSION = 1.0\nPATCHLEVEL = 1\n", None),
            (b"VERSION = 6\nSUBLEVEL = 1\n", None),
            (b"VERSION = $(shell date)\nPATCHLEVEL = 1\n", None),
            (b"all:\n\ttrue\n", None),
            (b"", None),
        ] {
            assert_eq!(version(makefile).as_deref(), expected, "{}", String::from_utf8_lossy(makefile));
        }
    }

    proptest! {
        #[test]
        fn no_makefile_makes_the_reader_panic(text in "(VERSION|PATCHLEVEL| ?= ?|[0-9]{1,6}|\\n|\\PC){0,30}") {
            if let Some(line) = version(text.as_bytes()) {
                prop_assert!(line.bytes().all(|b| b.is_ascii_digit() || b == b'.'), "{}", line);
            }
        }
    }
}
