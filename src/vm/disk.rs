//! The disks of a guest: NVDIMMs, which its kernel has as block devices (`/dev/pmem0`). They are memory, so reading and
//! writing them needs no work of the host, and a guest in virtual time never waits for it.
//!
//! QEMU's docs/nvdimm.txt has the options.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::json;

/// The kernel's modules for such disks.
pub const DISK_MODULES: [&str; 2] = ["nfit", "nd_pmem"];

/// An empty disk is a multiple of this many MiB: before 5.3, a kernel maps a section of 128 MiB as a whole, and refuses
/// another disk in it (`SECTION_SIZE_BITS` of arch/x86/include/asm/sparsemem.h).
pub const EMPTY_DISK_STEP_MIB: u32 = 128;

/// A disk of a guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuestDisk {
    /// An empty one, which ends with the guest.
    Empty {
        /// Its size in MiB.
        mib: u32,
    },
    /// A read-only one.
    Image {
        /// Its content.
        #[serde(serialize_with = "json::path")]
        path: PathBuf,
        /// The file's sha256.
        sha256: String,
        /// The file's size in bytes.
        bytes: u64,
    },
}

impl GuestDisk {
    /// Its size in MiB, rounded up.
    pub(crate) fn mib(&self) -> u64 {
        match self {
            Self::Empty { mib } => u64::from(*mib),
            Self::Image { bytes, .. } => bytes.div_ceil(1 << 20),
        }
    }

    /// Its file and the file's sha256, if it has one.
    pub fn file(&self) -> Option<(&Path, &str)> {
        match self {
            Self::Empty { .. } => None,
            Self::Image { path, sha256, .. } => Some((path, sha256)),
        }
    }

    /// What its content is, independent of the place of its file.
    pub(super) fn fingerprint(&self) -> String {
        match self {
            Self::Empty { mib } => format!("empty disk of {mib} MiB"),
            Self::Image { sha256, .. } => format!("disk {sha256}"),
        }
    }

    /// The memory behind it, as the value of `-object`.
    pub(super) fn memory(&self, number: usize) -> OsString {
        match self {
            Self::Empty { mib } => format!("memory-backend-memfd,id=disk{number},size={mib}M").into(),
            Self::Image { path, bytes, .. } => {
                let options =
                    format!("memory-backend-file,id=disk{number},size={bytes},share=on,readonly=on,mem-path=");
                let mut value = options.into_bytes();
                value.extend(doubled_commas(path));
                OsString::from_vec(value)
            }
        }
    }

    /// The device, as the value of `-device`. A kernel does not write to an unarmed one.
    pub(super) fn device(&self, number: usize) -> String {
        let unarmed = if matches!(self, Self::Image { .. }) { ",unarmed=on" } else { "" };
        format!("nvdimm,id=nvdimm{number},memdev=disk{number}{unarmed}")
    }
}

/// A path as a value of a QEMU option, where a comma stands for the next option and two for one.
fn doubled_commas(path: &Path) -> Vec<u8> {
    let bytes = path.as_os_str().as_bytes().iter();
    bytes.flat_map(|&byte| std::iter::repeat_n(byte, if byte == b',' { 2 } else { 1 })).collect()
}
