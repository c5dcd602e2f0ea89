//! All that is needed to boot a guest again, byte for byte.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use backproof_protocol::Plan;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::json;
use crate::matrix::MachineType;
use crate::regular;
use crate::vm::{Accel, Deadlines, GuestSpec, HostLoad};

/// Bytes of an image or initramfs that are read.
const MAX_FILE: u64 = 4 << 30;

/// One boot, recorded: boot.json in the boot's folder.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// The kernel image, in the cache.
    #[serde(serialize_with = "json::path")]
    pub image: PathBuf,
    /// SHA-256 of the image.
    pub image_sha256: String,
    /// What the image calls itself, where it tells.
    #[serde(default)]
    pub release: Option<String>,
    /// The initramfs, in the cache.
    #[serde(serialize_with = "json::path")]
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
    /// How long the guest may take until its agent speaks, where the matrix says so.
    pub boot_limit: Option<Duration>,
    /// What ran the guest.
    pub accel: Accel,
    /// What the agent was told to do.
    pub plan: Plan,
    /// boot.sh: the QEMU command, to run by hand. Not in boot.json, for it lies beside it.
    #[serde(skip)]
    pub script: Vec<u8>,
}

/// A guest that cannot be booted again.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// A file that it was booted from cannot be read.
    #[error("{what} {path} cannot be read: it has left the cache; run the matrix again", path = path.display())]
    Gone {
        /// What it was.
        what: &'static str,
        /// Where it was.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file has changed since.
    #[error("{what} {path} is not what was booted then: its SHA-256 is {found}, and was {wanted}", path = path.display())]
    Changed {
        /// What it was.
        what: &'static str,
        /// Where it is.
        path: PathBuf,
        /// What it is now.
        found: String,
        /// What it was.
        wanted: String,
    },
}

impl Recording {
    /// The guest of this recording, with its files checked to be those of then.
    ///
    /// # Errors
    /// Where a file has gone or is another one.
    pub fn load(&self) -> Result<GuestSpec, RecordingError> {
        read("the kernel image", &self.image, &self.image_sha256)?;
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
            accel: self.accel,
        }
    }

    /// How long its waits may take on this host now, beside as many guests as `jobs` allows.
    pub(super) fn deadlines(&self, jobs: usize) -> Deadlines {
        let deadlines = Deadlines::new(self.accel, HostLoad::beside(jobs, self.cpus));
        self.boot_limit.map_or(deadlines, |limit| deadlines.with_boot_limit(limit))
    }
}

fn read(what: &'static str, path: &Path, wanted: &str) -> Result<Vec<u8>, RecordingError> {
    let gone = |source| RecordingError::Gone { what, path: path.to_owned(), source };
    let bytes = regular::read(path, MAX_FILE).map_err(gone)?;
    let found: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if found == wanted {
        return Ok(bytes);
    }
    Err(RecordingError::Changed { what, path: path.to_owned(), found, wanted: wanted.to_owned() })
}
