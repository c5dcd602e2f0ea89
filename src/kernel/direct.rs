//! The vmlinux inside an image, for QEMU to enter directly (PVH: `arch/x86/platform/pvh`, `XEN_ELFNOTE_PHYS32_ENTRY`). Under
//! emulation, the decompressor of a bzImage costs a quarter of a boot, and the kernel is the same without it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::file_error::FileError;
use super::image::{Image, identify};
use super::obtained::Kernel;
use super::payload::{LARGEST_VMLINUX, vmlinux};
use super::store::Store;
use crate::matrix::Upstream;
use crate::regular;

/// The way that vmlinux files are unpacked and chosen. Records of another way don't count.
const WAY: u32 = 1;

/// An image that QEMU boots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BootImage {
    /// Its file.
    pub path: PathBuf,
    /// Its sha256.
    pub sha256: String,
}

/// `unpacked/<sha256 of the image>.json`.
#[derive(Serialize, Deserialize)]
struct UnpackedImage {
    way: u32,
    /// None if the image has no kernel that QEMU enters directly.
    vmlinux: Option<String>,
    size: u64,
}

impl Kernel {
    /// Its image as it came.
    pub fn boot_image(&self) -> BootImage {
        BootImage { path: self.image.clone(), sha256: self.image_sha256.clone() }
    }

    /// The vmlinux in its image, if QEMU can enter it directly. It is unpacked once and kept in the store.
    pub fn direct_image(&self, store: &Store) -> Option<BootImage> {
        if !self.has_pvh_entry() {
            return None;
        }
        let below = format!("unpacked/{}.json", self.image_sha256);
        let known = store.own_record(&below).filter(|known: &UnpackedImage| known.way == WAY);
        let known = known.filter(|known| known.vmlinux.as_ref().is_none_or(|sha256| store.holds(sha256, known.size)));
        let unpacked = match known {
            Some(known) => {
                store.touch(&below);
                known
            }
            None => {
                // Without space for it the image boots as it came.
                let unpacked = unpack(&self.image, store);
                let unpacked = unpacked.inspect_err(|error| tracing::debug!(%error, "an unpacked kernel is not kept"));
                let made = unpacked.ok()?;
                if let Err(error) = store.write_record(&below, &made) {
                    tracing::debug!(%error, "an unpacked kernel is not recorded");
                }
                made
            }
        };
        let sha256 = unpacked.vmlinux?;
        Some(BootImage { path: store.blob(&sha256), sha256 })
    }

    /// Whether its entry is for any hypervisor. Before Linux 5.0 (`CONFIG_PVH`) the same note led to an entry for Xen.
    fn has_pvh_entry(&self) -> bool {
        if let Some(config) = &self.config {
            return config.is_builtin("PVH");
        }
        let base = self.release.as_deref().and_then(Upstream::prefix);
        base.is_some_and(|(base, ..)| base.line().numbers()[0] >= 5)
    }
}

impl BootImage {
    /// Whether its file still has its sha256. A damaged one is removed.
    ///
    /// # Errors
    /// If it cannot be read, or not be removed.
    pub fn is_intact(&self, store: &Store) -> Result<bool, FileError> {
        store.verify(&self.sha256)
    }
}

/// Unpacks an image's kernel into the store.
fn unpack(image: &Path, store: &Store) -> Result<UnpackedImage, FileError> {
    let file = regular::read(image, LARGEST_VMLINUX).map_err(|e| FileError::io("read", image, e))?;
    // A vmlinux needs no unpacking, and nothing else can be entered.
    let is_packed = matches!(identify(&*file), Ok(Image::BzImage { .. }));
    let kernel = is_packed.then(|| vmlinux(&file).ok()).flatten();
    Ok(match kernel.filter(|kernel| identify(&**kernel) == Ok(Image::Vmlinux)) {
        Some(kernel) => UnpackedImage { way: WAY, vmlinux: Some(store.put(&kernel)?), size: kernel.len() as u64 },
        None => UnpackedImage { way: WAY, vmlinux: None, size: 0 },
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::image::tests::elf;
    use super::super::payload::tests::bzimage_with;
    use super::super::provenance::Provenance;
    use super::*;

    /// A note that leads to the PVH entry, and one that doesn't.
    const PVH: u32 = 18;
    const OTHER: u32 = 1;

    /// The kernel of an image in a store.
    fn kernel(store: &Store, image: &[u8], release: &str) -> Kernel {
        let sha256 = store.put(image).expect("an image");
        let path = store.blob(&sha256);
        let from = Provenance::File { path: path.clone(), sha256: sha256.clone() };
        Kernel::of_image(path, sha256, Some(release.to_owned()), from)
    }

    #[test]
    fn only_a_kernel_with_a_pvh_entry_is_entered_directly() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(Some(folder.path().join("cache"))).expect("a cache");
        let vmlinux = elf(62, 2, PVH);
        for (image, release, direct) in [
            (bzimage_with(&vmlinux), "6.1.0-57-cloud-amd64", true),
            (bzimage_with(&vmlinux), "5.0.0", true),
            // Its note leads to an entry for Xen.
            (bzimage_with(&vmlinux), "4.19.50", false),
            (bzimage_with(&vmlinux), "a-kernel", false),
            (bzimage_with(&elf(62, 2, OTHER)), "6.1.0", false),
            (bzimage_with(b"\x7fELF, and no more"), "6.1.0", false),
            (vmlinux.clone(), "6.1.0", false),
        ] {
            let kernel = kernel(&store, &image, release);
            for _ in 0..2 {
                let found = kernel.direct_image(&store);
                assert_eq!(found.is_some(), direct, "{release}");
                assert!(found.is_none_or(|found| fs::read(found.path).expect("a file") == vmlinux));
            }
        }
    }

    #[test]
    fn damaged_unpacked_kernel_is_made_again() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Store::open(Some(folder.path().join("cache"))).expect("a cache");
        let vmlinux = elf(62, 2, PVH);
        let kernel = kernel(&store, &bzimage_with(&vmlinux), "6.1.0");
        let image = kernel.direct_image(&store).expect("an image");
        let mut flipped = vmlinux.clone();
        flipped[20] ^= 1;
        fs::write(&image.path, &flipped).expect("a file");
        assert!(!image.is_intact(&store).expect("a check"));
        let again = kernel.direct_image(&store).expect("an image");
        assert_eq!((&again, fs::read(&again.path).expect("a file")), (&image, vmlinux));
    }
}
