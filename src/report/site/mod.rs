//! The history as a static site: nights × kernels, a cell's past, a night, trends.
//!
//! index.html is a frame without data. Its script loads the data files, which are scripts too, so that the site also works
//! from `file://`: the overview of all runs, a file for the nights of each month, and one for what changed in each night.
//! The overview is written last and names the files of its nights by their content, so a reader never sees half an update.

mod changes;
mod data;
mod encode;
mod error;
mod folder;
mod frame;
mod nights;
mod overview;
mod plan;
mod summary;
mod update;

pub use error::SiteError;
pub use summary::{SiteProgress, SiteSummary};
pub use update::write_site;

#[cfg(test)]
#[path = "site_tests.rs"]
mod tests;
