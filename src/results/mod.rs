//! What a run leaves behind: `results/<run-id>/`, written so that a crash at any moment keeps what was finished.

mod document;
mod files;
mod folder;
mod pcapng;
mod read;
mod time_line;

pub use document::{MatrixDocument, QemuRecord, RunHost, RunRecord, SCHEMA_VERSION, Unjudged};
pub use files::FolderError;
pub use folder::Folder;
pub use read::{ReadError, boot_folder, find_run, read_document, read_recording};
