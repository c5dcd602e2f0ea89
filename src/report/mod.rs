//! Shows runs to people and machines.
//!
//! The table and the JSON document show what a run came to; [`Live`] shows it while it goes on.

mod grid;
mod live;
mod table;
mod text;

pub use live::Live;
pub use table::{Style, table};
pub use text::visible;
