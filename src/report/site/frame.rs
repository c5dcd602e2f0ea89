//! The site's frame, index.html: what a browser shows before the data is there, its style and its script.

use askama::Template;

use super::super::web::policy;
use super::overview::FORMAT;

/// Marks the frame as a site's own.
pub(super) const GENERATOR: &str = "<meta name=\"generator\" content=\"backproof report --site\">";

const STYLE: &str = concat!(include_str!("../web/base.css"), include_str!("site.css"));
const SCRIPT: &str = concat!(
    "'use strict';\n",
    include_str!("../web/elements.js"),
    include_str!("../web/rows.js"),
    include_str!("data.js"),
    include_str!("chart.js"),
    include_str!("kernels.js"),
    include_str!("filters.js"),
    include_str!("cell.js"),
    include_str!("night.js"),
    include_str!("trends.js"),
    include_str!("site.js"),
);

/// The script may add scripts, which are the site's data: by their addresses (`'self'`) it could not from `file://`, where a
/// file has no origin.
const DATA_SCRIPTS: &str = " 'strict-dynamic'";

#[derive(Template)]
#[template(path = "site.html", escape = "html")]
struct Frame {
    generator: &'static str,
    policy: String,
    format: u32,
    style: &'static str,
    script: &'static str,
}

/// The frame. It is the same for every history.
pub(super) fn frame() -> Result<String, askama::Error> {
    let policy = policy(SCRIPT, STYLE, DATA_SCRIPTS);
    Frame { generator: GENERATOR, policy, format: FORMAT, style: STYLE, script: SCRIPT }.render()
}
