//! Shows runs to people and machines.
//!
//! A [`RunFormat`] shows a finished run, and [`Live`] a run in progress. A [`Document`] is the result of another command.

mod answers;
mod bugs;
mod building;
mod changes;
mod ci;
mod fetching;
mod formats;
mod github;
mod gitlab;
mod grid;
mod host;
mod import;
mod indexing;
mod json;
mod junit;
mod kcidb;
mod kernels;
mod ktap;
mod line;
mod live;
mod openvex;
mod page;
mod past;
mod proof;
mod site;
mod slow_work;
mod stderr;
mod step_summary;
mod style;
mod table;
mod text;
mod validation;
mod validation_page;
mod web;

pub use bugs::{bugs, story};
pub use building::Building;
pub use fetching::Fetching;
pub use formats::{Document, RUN_FORMATS, RunFormat, RunReport};
pub use import::ImportDocument;
pub use indexing::Indexing;
pub use kernels::{
    ArchiveDocument, Change, Changed, GcDocument, KernelRow, KernelsDocument, LockedRow, UpdateDocument, bytes,
};
pub use live::Live;
pub use page::{PAGE, page};
pub use past::RecordedRuns;
pub use site::{SiteError, SiteProgress, SiteSummary, write_site};
pub use slow_work::SlowWork;
pub use stderr::say;
pub use style::Style;
pub use table::cached_boots;
pub use text::{hanging, pad, paragraph, visible};
pub use validation_page::markdown;
