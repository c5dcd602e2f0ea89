//! The gate's answer as text: the answer, why, what was accepted, the difference from the baseline.

use std::fmt::Write as _;

use super::formats::Document;
use super::style::{BAD, BROKEN, DIM, GOOD, LOUD, Style};
use super::text::{fit, paragraph, visible};
use super::validation_page::{change, verdict};
use crate::validate::{FileCheck, Gate, GateCell, Validation, WrittenFiles};

impl Document for Validation {
    fn text(&self, style: Style) -> String {
        let colour = match self.gate {
            Gate::Open => GOOD,
            Gate::Closed => BAD,
            Gate::NoAnswer => BROKEN,
        };
        let release = self.candidate.release.as_deref().map(|release| format!("  {}", visible(release)));
        let mut text = format!("{colour}{}{colour:#}  {LOUD}{}{LOUD:#}", self.gate, visible(&self.candidate.subject));
        let _ = writeln!(text, "{DIM}{}{DIM:#}", release.unwrap_or_default());
        let widest = self.cells.iter().map(|cell| cell.job().to_string().len()).max().unwrap_or(0);
        for cell in &self.cells {
            row(&mut text, cell, widest, style);
        }
        // The rows have the others.
        let own = |reason: &&String| !self.cells.iter().any(|cell| reason.starts_with(&format!("{}: ", cell.job())));
        for reason in self.reasons.iter().filter(own) {
            paragraph(&mut text, "  why: ", reason, style);
        }
        let label = |text: &mut String, label: &str, what: &str| paragraph(text, &format!("  {label:9} "), what, style);
        label(&mut text, "controls", &self.controls.says());
        if let (Some(baseline), Some(difference)) = (&self.baseline, &self.difference) {
            let name = visible(&baseline.subject);
            match difference.is_empty() {
                true => {
                    label(&mut text, "baseline", &format!("{name}: nothing that a known bug may depend on differs"))
                }
                false => label(&mut text, "baseline", &format!("{name} differs:")),
            }
            for line in change(difference) {
                paragraph(&mut text, "            - ", &line, style);
            }
        }
        if let Some(folder) = &self.folder {
            let (page, statement, vex) = (WrittenFiles::PAGE, WrittenFiles::STATEMENT, WrittenFiles::VEX);
            label(&mut text, "attach", &format!("{page}, {statement} and {vex} in {}", visible(folder)));
        }
        text
    }
}

/// One cell: what it asks of the gate, the verdict, why.
fn row(text: &mut String, cell: &GateCell, widest: usize, style: Style) {
    let (colour, word) = match cell.gate {
        _ if !cell.counts => (DIM, "not counted"),
        Gate::Open if cell.accepted.is_some() => (GOOD, "accepted"),
        Gate::Open => (GOOD, "open"),
        Gate::Closed => (BAD, "closed"),
        Gate::NoAnswer => (BROKEN, "no answer"),
    };
    let verdict = verdict(cell);
    let head = format!("  {colour}{word:11}{colour:#}  {:widest$}  {verdict}", cell.job().to_string());
    let _ = writeln!(text, "{head}");
    let indent = "               ";
    if !cell.counts && !style.explain {
        paragraph(text, indent, &format!("no fix exists (--bug {} counts it)", cell.bug), style);
    } else if style.explain || !matches!(cell.gate, Gate::Open) || cell.accepted.is_some() {
        paragraph(text, indent, &cell.why, style);
    }
}

impl Document for FileCheck {
    fn text(&self, style: Style) -> String {
        let (file, document) =
            (visible(&self.file.display().to_string()), visible(&self.document.display().to_string()));
        match &self.is {
            Some(name) => {
                let line = format!("{document} is about it, as {}: sha256 {}", visible(name), self.sha256);
                format!("{GOOD}match{GOOD:#}  {file}\n  {line}\n")
            }
            None => {
                let mut text =
                    format!("{BAD}NO MATCH{BAD:#}  {file}\n  its sha256 is {}; {document} is about:\n", self.sha256);
                for (name, sha256) in &self.files {
                    let _ = writeln!(text, "  {sha256}  {}", fit(&visible(name), style.width.saturating_sub(68)));
                }
                text
            }
        }
    }
}
