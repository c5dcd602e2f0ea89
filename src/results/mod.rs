//! A run's folder, `results/<run-id>/`. A crash at any moment keeps the finished results.

mod captured;
mod changes;
mod document;
mod dossiers;
mod files;
mod folder;
mod lease;
mod new_folder;
mod pcapng;
mod read;
pub mod time_line;

pub use captured::{CapturedConnection, captured};
pub use changes::{
    CHANGES_VERSION, CellStanding, ChangeKind, ComparedRun, NotCompared, RunChange, RunChanges, RunSelection,
};
pub use document::{MatrixDocument, QemuRecord, RunHost, RunRecord, SCHEMA_VERSION, Unjudged};
pub use dossiers::read_dossier;
pub use files::{FolderError, new_file_beside, replace_file, write_document, write_file};
pub use folder::Folder;
pub(crate) use lease::lock_if_possible;
pub use lease::{RunLease, is_running};
pub use read::{ReadError, boot_folder, find_run, read_document, read_recording, read_transcript};
