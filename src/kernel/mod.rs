//! Obtains kernels: packages, images and build trees become an image, its modules and its configuration.

/// A kernel module, ready to load.
pub struct Module {
    /// Its name in the kernel's words: `tun`.
    pub name: String,
    /// The ELF file, decompressed.
    pub bytes: Vec<u8>,
}
