//! The identity of a QEMU for a guest: the bytes of the program and of the firmware that it loads. A guest in virtual time
//! has the same output only in the same QEMU.

use std::path::PathBuf;
use std::process::Command;

use sha2::{Digest as _, Sha256};

use super::qemu::{Qemu, VERSION_LIMIT};
use crate::child::{self, NoAnswer};
use crate::kernel::{FileError, Store, hex};

/// The firmware that q35, pc and microvm load to boot a kernel directly (QEMU's `hw/i386/pc.c`, `x86.c`, `microvm.c`).
const FIRMWARE: [&str; 6] =
    ["bios-256k.bin", "bios-microvm.bin", "kvmvapic.bin", "linuxboot.bin", "linuxboot_dma.bin", "pvh.bin"];

/// Why QEMU's files are unknown.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// One cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// QEMU does not say where its firmware is.
    #[error("`-L help`: {0}")]
    Silent(#[from] NoAnswer),
}

impl Qemu {
    /// The sha256 of the program, its version and its firmware. Shared libraries don't count: they emulate nothing.
    ///
    /// # Errors
    /// If a file cannot be read, or QEMU does not say where its firmware is.
    pub fn identity(&self, store: &Store) -> Result<String, IdentityError> {
        let mut all = Sha256::new();
        let program = store.file_sha256(self.program())?;
        all.update(format!("{}\n{program}\n", self.banner()));
        // QEMU searches its data folders in this order, and prints one a line.
        let output = child::ask(Command::new(self.program()).args(["-L", "help"]), VERSION_LIMIT)?;
        let folders: Vec<PathBuf> = String::from_utf8_lossy(&output.stdout).lines().map(PathBuf::from).collect();
        for name in FIRMWARE {
            let found = folders.iter().map(|folder| folder.join(name)).find(|file| file.is_file());
            let sha256 = found.map(|file| store.file_sha256(&file)).transpose()?;
            all.update(format!("{name} {}\n", sha256.as_deref().unwrap_or("-")));
        }
        Ok(hex(all))
    }
}
