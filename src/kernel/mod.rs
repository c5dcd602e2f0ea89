//! Obtains kernels: packages, images and build trees become an image, its modules and its configuration.
//!
//! Everything from outside (packages, images, modules, apt's output) is read by pure functions that are bounded in memory
//! and time. Files are written only into the [`Store`], under names that this program chose.

mod apt;
mod archive;
mod assemble;
pub mod build;
pub mod cache;
mod changelog;
mod clock;
pub(crate) mod compression;
mod config;
pub mod control;
mod deb;
mod direct;
mod error;
mod error_class;
mod fetch;
mod file_error;
#[cfg(test)]
pub(crate) mod fixtures;
#[cfg(fuzzing)]
pub mod fuzzing;
mod image;
mod kind;
mod local;
mod mainline;
mod meta;
mod module_aliases;
mod modules;
mod obtain;
mod obtained;
mod origin;
mod pack;
mod package;
mod payload;
mod progress;
mod provenance;
mod quoted;
mod remote;
mod rpm;
mod source_kind;
mod sources;
mod store;
mod tarball;
pub mod versions;

pub use apt::available as apt_available;
pub use assemble::image_release;
pub use changelog::{Changelog, ChangelogEntry};
pub use config::{KernelConfig, NotAConfig, Setting, Unset};
pub use direct::BootImage;
pub use error::ObtainError;
pub use error_class::{Blame, ErrorClass};
pub use file_error::FileError;
pub(crate) use image::as_release;
pub use image::{BUILT_IMAGE, Image, NotAnImage, identify};
pub use kind::{FileKind, file_kind};
pub use mainline::{MainlineListing, list as list_mainline};
pub use meta::stands_for;
pub use modules::{Module, ModulesError, module_name};
pub use obtain::Obtain;
pub use obtained::{Downloaded, Kernel};
pub use origin::{ConfigOrigin, Origin};
pub use package::PackageKind;
pub use payload::NoVmlinux;
pub(crate) use payload::{LARGEST_VMLINUX, vmlinux};
pub use progress::{Progress, Stale};
pub use provenance::{ArchiveSignature, Provenance, Vouched};
pub use quoted::Quoted;
pub use remote::fetch;
pub use source_kind::{Cached, Resolved};
pub use sources::{cached, is_in_archives, obtain, resolve, shared_index, why_not_locked};
pub(crate) use store::hex;
pub use store::{Kept, Leases, Store, StoreLock, sha256_of};
pub(crate) use tarball::compression as tarball_compression;

pub use crate::matrix::LockedFile;
