//! The list of an archive of kernels.

use std::fmt::Write as _;

use serde::Serialize;

use crate::kernel::MainlineListing;
use crate::report::formats::Document;
use crate::report::style::Style;
use crate::report::text::visible;

/// The version of the JSON document's shape.
const SCHEMA_VERSION: u32 = 1;

/// The versions of an archive.
#[derive(Debug, Serialize)]
pub struct ArchiveDocument {
    schema_version: u32,
    /// The archive's address.
    pub archive: String,
    /// The matching versions, in order.
    pub versions: Vec<String>,
    /// Always `unverified`, because nobody signs an index.
    pub signature: &'static str,
    /// Why the list may be stale, if it is a cached copy.
    pub stale: Option<String>,
}

impl ArchiveDocument {
    /// The document of a listing.
    pub fn of(listing: &MainlineListing) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            archive: listing.address.to_string(),
            versions: listing.versions.iter().map(ToString::to_string).collect(),
            signature: "unverified",
            stale: listing.stale.as_ref().map(|stale| stale.why.clone()),
        }
    }
}

impl Document for ArchiveDocument {
    fn text(&self, _: Style) -> String {
        let mut text = String::new();
        for version in &self.versions {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{version}");
        }
        let (count, plural) = (self.versions.len(), if self.versions.len() == 1 { "" } else { "s" });
        let _ = writeln!(text, "{count} version{plural} in {}", visible(&self.archive));
        let _ = writeln!(text, "signature: {} (nobody signs an index; checksums may be signed)", self.signature);
        if let Some(why) = &self.stale {
            let _ = writeln!(text, "cached copy: {}", visible(why));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::kernel::Stale;

    #[test]
    fn versions_are_listed_with_their_origin() {
        let version = |text: &str| text.parse().expect("a version");
        let mut listing = MainlineListing {
            address: "https://mirror.example/mainline/".parse().expect("an address"),
            versions: vec![version("v4.19.57")],
            stale: None,
        };
        let text = ArchiveDocument::of(&listing).text(Style::default());
        assert!(text.starts_with("v4.19.57\n1 version in https://mirror.example/mainline/\nsignature: unverified ("));
        listing.versions.clear();
        listing.stale = Some(Stale { age: Duration::from_secs(60), why: "offline mode".to_owned() });
        let text = ArchiveDocument::of(&listing).text(Style::default());
        assert!(text.starts_with("0 versions in ") && text.contains("cached copy: offline mode"), "{text}");
    }
}
