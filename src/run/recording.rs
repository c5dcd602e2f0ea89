//! Everything needed to boot a guest again, byte for byte.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use backproof_protocol::Plan;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::json;
use crate::kernel::hex;
use crate::matrix::MachineType;
use crate::regular;
use crate::vm::{Accel, Deadlines, GuestDisk, GuestSpec, HostLoad, VirtualTime};

/// The largest image or initramfs, in bytes.
const MAX_FILE: u64 = 4 << 30;

/// The record of one boot: boot.json in the boot's folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// The kernel image, or the kernel unpacked from it, in the cache.
    #[serde(serialize_with = "json::path")]
    pub image: PathBuf,
    /// SHA-256 of the image.
    pub image_sha256: String,
    /// The release that the image names, if any.
    #[serde(default)]
    pub release: Option<String>,
    /// The initramfs, in the cache.
    #[serde(serialize_with = "json::path")]
    pub initramfs: PathBuf,
    /// SHA-256 of the initramfs.
    pub initramfs_sha256: String,
    /// Parameters for the kernel's command line, beside those of every guest.
    pub cmdline: Option<String>,
    /// QEMU's machine.
    pub machine: MachineType,
    /// Guest memory in mebibytes.
    pub memory_mib: u32,
    /// Guest processors.
    pub cpus: u32,
    /// Its disks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub disks: Vec<GuestDisk>,
    /// The matrix's limit for the time until the agent responds, if it has one.
    pub boot_limit: Option<Duration>,
    /// What ran the guest.
    pub accel: Accel,
    /// Its virtual time; None for the host's.
    #[serde(flatten)]
    pub time: Option<VirtualTime>,
    /// What QEMU says of itself to `--version`.
    #[serde(default)]
    pub qemu: String,
    /// Sha256 of QEMU's program, version and firmware, in virtual time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qemu_sha256: Option<String>,
    /// The agent's jobs.
    pub plan: Plan,
    /// boot.sh, the QEMU command to run by hand. It is a file of its own, beside boot.json.
    #[serde(skip)]
    pub script: Vec<u8>,
}

/// Why a guest cannot be booted again.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// A file of the boot cannot be read.
    #[error("cannot read {what} {path}: it is no longer in the cache; run the matrix again", path = path.display())]
    Gone {
        /// `the kernel image`, `the rootfs` or `the initramfs`.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file has changed since.
    #[error("{what} {path} has changed since that boot: its SHA-256 is {found}, and was {wanted}", path = path.display())]
    Changed {
        /// `the kernel image`, `the rootfs` or `the initramfs`.
        what: &'static str,
        /// Its path.
        path: PathBuf,
        /// Its SHA-256 now.
        found: String,
        /// Its SHA-256 at that boot.
        wanted: String,
    },
}

impl Recording {
    /// The guest of this recording. Its files are checked by their SHA-256.
    ///
    /// # Errors
    /// If a file is gone or has changed.
    pub fn load(&self) -> Result<GuestSpec, RecordingError> {
        read("the kernel image", &self.image, &self.image_sha256)?;
        for (path, sha256) in self.disks.iter().filter_map(GuestDisk::file) {
            read("the rootfs", path, sha256)?;
        }
        Ok(self.spec(read("the initramfs", &self.initramfs, &self.initramfs_sha256)?))
    }

    /// The guest with this initramfs.
    pub(super) fn spec(&self, initramfs: Vec<u8>) -> GuestSpec {
        GuestSpec {
            image: self.image.clone(),
            release: self.release.clone(),
            initramfs,
            jobs: self.plan.jobs.clone(),
            cmdline_extra: self.cmdline.clone(),
            machine: self.machine,
            memory_mib: self.memory_mib,
            cpus: self.cpus,
            disks: self.disks.clone(),
            accel: self.accel,
            time: self.time,
        }
    }

    /// The guest's deadlines on this host now, with up to `jobs` guests at once.
    /// The host's load does not matter in virtual time.
    pub(super) fn deadlines(&self, jobs: usize) -> Deadlines {
        let load = self.time.map_or_else(|| HostLoad::beside(jobs, self.cpus), |_| HostLoad::IDLE);
        let deadlines = Deadlines::new(self.accel, load);
        self.boot_limit.map_or(deadlines, |limit| deadlines.with_boot_limit(limit))
    }
}

fn read(what: &'static str, path: &Path, wanted: &str) -> Result<Vec<u8>, RecordingError> {
    let gone = |source| RecordingError::Gone { what, path: path.to_owned(), source };
    let bytes = regular::read(path, MAX_FILE).map_err(gone)?;
    let found = hex(Sha256::new_with_prefix(&bytes));
    if found == wanted {
        return Ok(bytes);
    }
    Err(RecordingError::Changed { what, path: path.to_owned(), found, wanted: wanted.to_owned() })
}
