//! The witness `binary`: judges a kernel's machine code without booting it. x86-64 only.

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use memchr::memmem;

use super::exhibits::Exhibits;
use super::{Finding, Witness};
use crate::kernel::{self, KernelConfig, LARGEST_VMLINUX, NoVmlinux};
use crate::matrix::Bug;

mod clocks;
mod facts;
#[cfg(test)]
pub(crate) mod fixture;
mod flow;
mod function;
mod guards;
mod kallsyms;
mod memory;
#[cfg(test)]
pub(crate) mod snippets;
mod traps;
mod values;
mod weigh;

pub use weigh::weigh;

use kallsyms::{NoSymbols, Symbols};
use memory::ImageMemory;

/// Looks at the image for a bug, if there is an image.
pub(super) fn look(exhibits: &Exhibits<'_>, bug: &Bug) -> Option<Finding> {
    Some(match exhibits.binary.as_ref()? {
        Ok(binary) => weigh(bug, binary),
        Err(why) => Finding::unknown(Witness::Binary, why),
    })
}

/// Why a file cannot be judged.
#[derive(Debug, thiserror::Error)]
pub enum BinaryError {
    /// It cannot be read.
    #[error("cannot read the image: {0}")]
    Io(#[from] io::Error),
    /// It is too large to be a kernel.
    #[error("expected a kernel image, found a file of {0} bytes, which is too large")]
    TooLarge(u64),
    /// It is not a regular file.
    #[error("expected a kernel image, found a folder, a pipe or a device")]
    NotAFile,
    /// It contains no kernel.
    #[error(transparent)]
    NoVmlinux(#[from] NoVmlinux),
    /// The kernel in it is damaged or invalid.
    #[error("the kernel's ELF file {0}")]
    BadElf(&'static str),
    /// It lacks the banner that every kernel has.
    #[error("expected a Linux kernel, found an x86-64 ELF file without the banner `Linux version …`")]
    NoBanner,
}

/// A kernel's image, unpacked and read.
pub struct Binary {
    memory: ImageMemory,
    release: String,
    config: Option<KernelConfig>,
    symbols: Result<Symbols, NoSymbols>,
}

/// The start of the kernel's banner (init/version.c).
const BANNER: &[u8] = b"Linux version ";

impl Binary {
    /// Reads the file of an image: see [`Binary::read`].
    ///
    /// # Errors
    /// See [`BinaryError`].
    pub fn open(path: &Path) -> Result<Self, BinaryError> {
        // Opening a pipe would block until somebody writes to it.
        if !path.metadata()?.is_file() {
            return Err(BinaryError::NotAFile);
        }
        let file = File::open(path)?;
        let metadata = file.metadata()?;
        if metadata.len() > LARGEST_VMLINUX {
            return Err(BinaryError::TooLarge(metadata.len()));
        }
        let mut bytes = Vec::new();
        file.take(LARGEST_VMLINUX).read_to_end(&mut bytes)?;
        Self::read(bytes)
    }

    /// Reads an image: a bzImage, a vmlinux, or a compressed vmlinux. Its unpacked size is bounded, and its content
    /// must be consistent.
    ///
    /// # Errors See [`BinaryError`]. A kernel without symbols is not an error; [`weigh`] reports that.
    pub fn read(image: Vec<u8>) -> Result<Self, BinaryError> {
        if image.len() as u64 > LARGEST_VMLINUX {
            return Err(BinaryError::TooLarge(image.len() as u64));
        }
        let unpacked = match kernel::vmlinux(&image)? {
            Cow::Owned(vmlinux) => Some(vmlinux),
            Cow::Borrowed(part) if part.len() < image.len() => Some(part.to_vec()),
            Cow::Borrowed(_) => None,
        };
        let memory = ImageMemory::new(unpacked.unwrap_or(image)).map_err(BinaryError::BadElf)?;
        let release = release(memory.bytes()).ok_or(BinaryError::NoBanner)?;
        let symbols = Symbols::read(&memory);
        let config = config(memory.bytes());
        Ok(Self { memory, release, config, symbols })
    }

    /// `uname -r`, from the kernel's banner.
    pub fn release(&self) -> &str {
        &self.release
    }

    /// Its configuration, if the image contains it (CONFIG_IKCONFIG).
    pub fn config(&self) -> Option<&KernelConfig> {
        self.config.as_ref()
    }

    /// The bytes of a function's machine code, with the parts and clones that the compiler made of it. None if it has none:
    /// it is inlined, or not compiled.
    ///
    /// # Errors
    /// Why the image shows no symbols.
    pub fn function_size(&self, function: &str) -> Result<Option<u64>, String> {
        let symbols = self.symbols.as_ref().map_err(ToString::to_string)?;
        let sizes: Vec<u64> = symbols.pieces(function).into_iter().map(|(_, code)| code.end - code.start).collect();
        Ok((!sizes.is_empty()).then(|| sizes.iter().sum()))
    }

    /// Whether the image has a string that ends with this text, because linkers let strings share their ends.
    pub fn has_string(&self, text: &str) -> bool {
        let bytes = self.memory.bytes();
        memmem::find_iter(bytes, text).any(|at| bytes.get(at + text.len()) == Some(&0))
    }
}

/// The release in the kernel's banner.
fn release(bytes: &[u8]) -> Option<String> {
    memmem::find_iter(bytes, BANNER).find_map(|at| kernel::as_release(bytes.get(at + BANNER.len()..)?))
}

/// The configuration that CONFIG_IKCONFIG puts into the image (kernel/configs.c): gzip, between two markers.
fn config(bytes: &[u8]) -> Option<KernelConfig> {
    const LARGEST: u64 = 4 << 20;
    memmem::find_iter(bytes, b"IKCFG_ST\x1f\x8b").take(16).find_map(|at| {
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(bytes.get(at + 8..)?).take(LARGEST).read_to_end(&mut text).ok()?;
        KernelConfig::parse(&text).ok()
    })
}

#[cfg(test)]
#[path = "binary_tests.rs"]
mod tests;
