//! All that is needed to boot a guest again, byte for byte.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use backproof_repro::protocol::Plan;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::matrix::MachineType;
use crate::vm::{Accel, GuestSpec};

/// One boot, recorded: boot.json in the boot's folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// The kernel image, in the cache or where the user keeps it.
    pub image: PathBuf,
    /// SHA-256 of the image.
    pub image_sha256: String,
    /// The initramfs, in the cache.
    pub initramfs: PathBuf,
    /// SHA-256 of the initramfs.
    pub initramfs_sha256: String,
    /// Words for the kernel's command line beside those that every guest gets.
    pub cmdline: Option<String>,
    /// QEMU's machine.
    pub machine: MachineType,
    /// Guest memory in mebibytes.
    pub memory_mib: u32,
    /// Guest processors.
    pub cpus: u32,
    /// What ran the guest.
    pub accel: Accel,
    /// What the agent was told to do.
    pub plan: Plan,
    /// boot.sh: the QEMU command, to run by hand.
    #[serde(skip)]
    pub script: String,
}
