//! The history of runs, `results/history.sqlite`, and what changed between two of them.
//!
//! The history is made from the runs' folders and can be made again from them, so nothing depends on it: a run that cannot
//! write it keeps its results and its exit code. Only this room knows SQLite.

mod baseline;
mod compare;
mod digest;
mod error;
mod file;
#[cfg(test)]
pub(crate) mod nights;
mod past;
mod prune;
mod rebuild;
mod rows;
mod schema;
mod sentence;
mod trend;

pub use compare::compare;
pub use digest::{CellDigest, GuestClock, KernelDigest, RunDigest};
pub use error::HistoryError;
pub use file::{HISTORY_FILE, HistoryFile, RunConclusion};
pub use past::{CellPast, CellSpan, KernelPast, RecordedRun};
pub use prune::{PruneReport, PrunedRun, prune};
pub use rebuild::{RebuildReport, SkippedRun};
pub use trend::{PastCell, RunsBefore};
