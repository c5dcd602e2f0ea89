//! Shows runs to people and machines.
//!
//! The table and the JSON document show what a run came to; [`Live`] shows it while it goes on, and [`Building`] does so
//! for control kernels. [`host()`] shows a host.

mod answers;
mod bugs;
mod building;
mod fetching;
mod grid;
mod host;
mod indexing;
mod kernels;
mod line;
mod live;
mod stderr;
mod table;
mod text;

pub use answers::answers;
pub use bugs::{bugs, story};
pub use building::Building;
pub use fetching::Fetching;
pub use host::host;
pub use indexing::Indexing;
pub use kernels::{
    ArchiveDocument, Change, Changed, GcDocument, KernelRow, KernelsDocument, LockedRow, UpdateDocument, bytes,
};
pub use live::Live;
pub use stderr::say;
pub use table::{Style, table};
pub use text::{visible, wrap};
