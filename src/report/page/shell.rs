//! The frame of the page: what a browser shows before its script runs, and the policy that it must keep.

use std::io::{self, Write};

use askama::Template;

use super::super::web::inert::inert;
use super::super::web::policy;
use crate::results::MatrixDocument;

/// The style, and the script in its parts.
const STYLE: &str = concat!(include_str!("../web/base.css"), include_str!("page.css"));
const SCRIPT: &str = concat!(
    "'use strict';\n",
    include_str!("../web/elements.js"),
    include_str!("../web/rows.js"),
    include_str!("data.js"),
    include_str!("table.js"),
    include_str!("picture.js"),
    include_str!("cookies.js"),
    include_str!("cell.js"),
    include_str!("page.js"),
);

/// The frame, filled in.
#[derive(Template)]
#[template(path = "page.html", escape = "html")]
pub(super) struct Shell {
    title: String,
    policy: String,
    style: &'static str,
    script: &'static str,
    id: String,
    verdict: &'static str,
    tone: &'static str,
    summary: String,
    /// What was run, where and how: labels and values.
    facts: Vec<(&'static str, String)>,
    /// JSON that can stand in a script element.
    overview: String,
    details: String,
}

impl Shell {
    pub(super) fn of(document: &MatrixDocument, overview: String, details: String) -> Self {
        let (verdict, tone) = verdict(document);
        let run = &document.run;
        let tally = &document.summary;
        let id = inert(&run.id);
        let kernels = document.cells.iter().map(|cell| &cell.kernel).collect::<std::collections::BTreeSet<_>>().len();
        let facts = vec![
            ("started", inert(&run.started)),
            ("took", format!("{:.0} s", run.seconds)),
            ("matrix", inert(&run.matrix)),
            ("command", inert(&format!("backproof {}", run.arguments.join(" ")))),
            ("accelerator", inert(&run.accelerator)),
            ("time", inert(&run.time)),
            ("QEMU", inert(&run.qemu.version)),
            ("host", inert(&format!("Linux {}, {} processors", run.host.kernel, run.host.cpus))),
            ("backproof", inert(&run.tool)),
        ];
        Self {
            title: format!("{verdict}: backproof run {id}"),
            policy: policy(SCRIPT, STYLE, ""),
            style: STYLE,
            script: SCRIPT,
            id,
            verdict,
            tone,
            summary: format!(
                "{} cells of {kernels} kernels: {} pass, {} fail, {} error, {} skip; {} unexpected, {} in conflict",
                document.cells.len(),
                tally.pass,
                tally.fail,
                tally.error,
                tally.skip,
                tally.unexpected,
                tally.conflicts
            ),
            facts: facts.into_iter().filter(|(_, value)| !value.is_empty()).collect(),
            overview,
            details,
        }
    }

    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let page = self.render().map_err(io::Error::other)?;
        out.write_all(page.as_bytes())
    }
}

/// The run in a few words, and how they look.
fn verdict(document: &MatrixDocument) -> (&'static str, &'static str) {
    let tally = &document.summary;
    match () {
        () if !document.cannot_be_trusted.is_empty() => ("Verdicts cannot be trusted", "bad"),
        () if document.run.interrupted => ("Interrupted", "broken"),
        () if !document.run.finished => ("Not finished", "broken"),
        () if tally.conflicts > 0 => ("Witnesses in conflict", "bad"),
        () if tally.surprises > 0 => ("Unexpected results", "bad"),
        () if document.exit_code != crate::exit::Exit::Clean => ("No verdict", "broken"),
        () => ("All as expected", "good"),
    }
}
