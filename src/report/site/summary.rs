//! What an update of a site did, and how far one is.

use std::fmt::{self, Write as _};
use std::path::PathBuf;

use serde::Serialize;

use super::super::formats::Document;
use super::super::kernels::bytes;
use super::super::style::{LOUD, Style};
use super::super::text::visible;
use crate::json;

/// The version of the shape of [`SiteSummary`].
pub(super) const SUMMARY_VERSION: u32 = 1;

/// What an update of a site did.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub struct SiteSummary {
    /// 1.
    pub schema_version: u32,
    /// The page to open.
    #[serde(serialize_with = "json::path")]
    pub index: PathBuf,
    /// The runs that the site shows.
    pub nights: usize,
    /// How many files were written, and their bytes.
    pub written: usize,
    /// Their bytes.
    pub bytes: u64,
    /// How many files were removed.
    pub removed: usize,
    /// Why everything was written again, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub again: Option<&'static str>,
}

impl Document for SiteSummary {
    fn text(&self, _: Style) -> String {
        let mut text = String::new();
        let count = |count: usize, one: &str| if count == 1 { format!("1 {one}") } else { format!("{count} {one}s") };
        let _ = write!(
            text,
            "{LOUD}{}{LOUD:#}  {}; ",
            visible(&self.index.display().to_string()),
            count(self.nights, "night")
        );
        let _ = match self.written {
            0 => write!(text, "up to date"),
            written => write!(text, "{} written ({})", count(written, "file"), bytes(self.bytes)),
        };
        if self.removed > 0 {
            let _ = write!(text, ", {} removed", self.removed);
        }
        if let Some(why) = self.again {
            let _ = write!(text, "; {why}");
        }
        text.push('\n');
        text
    }
}

/// How far an update of a site is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SiteProgress {
    /// Another process writes the site.
    Waiting,
    /// So many nights are done.
    Nights {
        /// This many …
        done: usize,
        /// … of these.
        total: usize,
    },
}

impl fmt::Display for SiteProgress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting => f.write_str("waiting for another backproof that writes this site"),
            Self::Nights { done, total } => write!(f, "writing the site: {done} of {total} nights"),
        }
    }
}
