//! A run's folder, `results/<run-id>/`. A crash at any moment keeps the finished results.

mod captured;
mod document;
mod dossiers;
mod files;
mod folder;
mod pcapng;
mod read;
pub mod time_line;

pub use captured::{CapturedConnection, captured};
pub use document::{MatrixDocument, QemuRecord, RunHost, RunRecord, SCHEMA_VERSION, Unjudged};
pub use dossiers::read_dossier;
pub use files::{FolderError, new_file_beside, replace_file, write_file};
pub use folder::Folder;
pub use read::{ReadError, boot_folder, find_run, read_document, read_recording, read_transcript};
