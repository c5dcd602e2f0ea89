//! What the fuzz targets in `fuzz/` call: whatever reads foreign bytes, for the way that it ends only. A reader may refuse
//! anything, and has to come to an end without a panic, in bounded memory and time.

use std::io;
use std::path::Path;

use crate::evidence::binary::{self, Binary};
use crate::evidence::source::{self, SourceFiles};
use crate::evidence::version::{self, Pasted};
use crate::kernel;
use crate::matrix::{self, Bugs};
use crate::validate;

pub use crate::evidence::git::fuzzing::git;
pub use crate::host::saved::fuzzing::saved;
pub use crate::kernel::fuzzing::*;
pub use crate::vm::fuzzing::*;

/// A matrix.
pub fn matrix(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = matrix::parse(text, Path::new("kernels.yaml"), &Bugs::built_in());
    }
}

/// A dossier.
pub fn dossier(bytes: &[u8]) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        let _ = matrix::Bug::parse(text, Path::new("a-bug.yaml"));
    }
}

/// A gate's policy.
pub fn policy(bytes: &[u8]) {
    let _ = matrix::GatePolicy::parse(bytes, Path::new("gate.yaml"), &Bugs::built_in());
}

/// A document that a rollout attached.
pub fn attached(bytes: &[u8]) {
    let _ = validate::files_in(bytes);
}

/// A release's name, and what is said of every bug by it.
pub fn release(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(Pasted { release, .. }) = Pasted::find(text) else { return };
    for bug in Bugs::built_in().iter() {
        let _ = version::weigh(bug, &release);
        let _ = version::first_good(bug, &release);
    }
}

/// An image, and what is said of every bug by it.
pub fn image(bytes: &[u8]) {
    let _ = kernel::identify(bytes);
    if let Ok(binary) = Binary::read(bytes.to_vec()) {
        for bug in Bugs::built_in().iter() {
            let _ = binary::weigh(bug, &binary);
        }
    }
}

/// A tree whose every file is this one.
struct Everywhere<'a>(&'a [u8]);

impl SourceFiles for Everywhere<'_> {
    fn read(&self, _: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(Some(self.0.to_vec()))
    }
}

/// Source code, and what is said of every bug by it.
pub fn source(bytes: &[u8]) {
    let _ = source::release(&Everywhere(bytes));
    for bug in Bugs::built_in().iter() {
        let _ = source::weigh(bug, &Everywhere(bytes));
    }
}
