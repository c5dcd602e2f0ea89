//! A proof as text: whether the verdict flips, on what evidence, and where it turns.

use std::fmt::Write as _;

use super::formats::Document;
use super::style::{BAD, BROKEN, DIM, GOOD, LOUD, Style};
use super::text::{pad, paragraph, visible};
use crate::kernel::build::{CodeDifference, FunctionDifference};
use crate::prove::{ChangeProof, Flip, ProofSide, RowKernel, TurnProof};
use crate::verdict::Verdict;

/// Lines of a list to show; the rest is counted.
const MOST_LINES: usize = 6;

fn label(text: &mut String, label: &str, what: &str, style: Style) {
    paragraph(text, &format!("  {label:8} "), &visible(what), style);
}

/// A verdict in its colour.
fn coloured(verdict: Verdict) -> String {
    let colour = match verdict {
        Verdict::Affected => BAD,
        Verdict::NotAffected => GOOD,
        Verdict::Unknown => BROKEN,
    };
    format!("{colour}{}{colour:#}", verdict)
}

impl Document for ChangeProof {
    fn text(&self, style: Style) -> String {
        let colour = match self.flip {
            Flip::Flips => GOOD,
            Flip::WrongDirection | Flip::StaysAffected | Flip::StaysGood => BAD,
            Flip::NoVerdict => BROKEN,
        };
        let (what, bug) = (visible(&self.change.what), &self.bug);
        let of = if what.contains(bug.as_str()) { String::new() } else { format!("  {bug}") };
        let mut text = format!("{colour}{}{colour:#}  {LOUD}{what}{LOUD:#}{of}\n", self.flip);
        paragraph(&mut text, "  ", &visible(&self.why), style);
        let widest = self.sides.iter().map(|side| side.name.as_str().len()).max().unwrap_or(0);
        for side in &self.sides {
            row(&mut text, side, widest, style, self);
        }
        label(&mut text, "change", &self.told(), style);
        for turn in &self.turns_at {
            let part = self.change.parts.get(turn.last.saturating_sub(1)).map(|part| part.says()).unwrap_or_default();
            let of = self.change.parts.len();
            let line = match turn.first == turn.last {
                true => format!("{} of {of}: {part}", turn.last),
                false => format!("{} to {} of {of}: those between have no verdict", turn.first, turn.last),
            };
            label(&mut text, "turns at", &line, style);
        }
        listed(&mut text, "source", &self.remarks, style);
        let lines = match &self.code.difference {
            Some(difference) if !difference.is_empty() => differences(difference),
            Some(_) => vec!["no function or variable differs".to_owned()],
            None if self.code.same_image => vec!["both images are the same file".to_owned()],
            None => vec!["not compared".to_owned()],
        };
        listed(&mut text, "code", &lines, style);
        let reach = self.sides.last().map(|side| &side.reach);
        let reach: Vec<String> = reach.into_iter().flatten().map(|(name, reach)| format!("{name} {reach}")).collect();
        listed(&mut text, "reach", &reach, style);
        label(&mut text, "judged", &format!("{}; {}", self.tool.time, self.tool.accelerator), style);
        label(&mut text, "results", &self.folder, style);
        text
    }
}

impl ChangeProof {
    /// What was changed where.
    fn told(&self) -> String {
        let change = &self.change;
        let parts = match &change.parts[..] {
            [one] => one.says(),
            many => {
                format!("{} parts: {}", many.len(), many.iter().map(|part| part.says()).collect::<Vec<_>>().join(", "))
            }
        };
        let merges = if change.merges > 0 { format!("; {} merges left out", change.merges) } else { String::new() };
        let is_in = match change.is_in {
            true => "which has it; `without` is the source with it taken out",
            false => "which lacks it; `with` is the source with it applied",
        };
        format!("{parts}, in {}, {is_in}{merges}", change.origin)
    }
}

fn row(text: &mut String, side: &ProofSide, widest: usize, style: Style, proof: &ChangeProof) {
    let name = pad(side.name.as_str(), widest);
    let seeds = side.seeds.map(|seeds| format!("{} of {} seeds", seeds.affected, seeds.tried));
    let built = side.build.as_ref().map(|build| match build.compiled {
        1 => format!("compiled 1 object in {:.0} s", build.seconds),
        count => format!("compiled {count} objects in {:.0} s", build.seconds),
    });
    let release = side.release.as_deref().map(visible);
    let facts: Vec<String> = [seeds, release, built].into_iter().flatten().collect();
    let verdict = pad(&coloured(side.verdict), Verdict::NotAffected.to_string().len());
    let _ = writeln!(text, "  {name}  {verdict}  {DIM}{}{DIM:#}", facts.join(", "));
    let is_end = side.parts == 0 || side.parts == proof.change.parts.len();
    if style.explain || side.verdict == Verdict::Unknown && !is_end {
        for line in side.why.lines() {
            paragraph(text, "    ", &visible(line), style);
        }
    }
}

fn differences(difference: &CodeDifference) -> Vec<String> {
    let bytes = |size: Option<u64>| size.unwrap_or_default();
    let function = |one: &FunctionDifference| {
        let object = &one.object;
        match (one.before, one.after) {
            (before, after) if before == after => {
                format!("{} ({object}): other code, {} bytes", one.name, bytes(after))
            }
            (Some(before), None) => format!("{} ({object}): gone, had {before} bytes", one.name),
            (None, Some(after)) => format!("{} ({object}): new, {after} bytes", one.name),
            (before, after) => format!("{} ({object}): {} → {} bytes", one.name, bytes(before), bytes(after)),
        }
    };
    let functions = difference.functions.iter().map(function);
    functions.chain(difference.data.iter().cloned()).chain(difference.objects.iter().cloned()).collect()
}

/// A label before the first of these lines; the rest stands below.
fn listed(text: &mut String, name: &str, lines: &[String], style: Style) {
    let most = if style.explain { usize::MAX } else { MOST_LINES };
    for (at, line) in lines.iter().take(most).enumerate() {
        label(text, if at == 0 { name } else { "" }, line, style);
    }
    if lines.len() > most {
        label(text, "", &format!("and {} more (--explain)", lines.len() - most), style);
    }
}

impl Document for TurnProof {
    fn text(&self, style: Style) -> String {
        let mut text = format!("{LOUD}{}{LOUD:#}\n", self.bug);
        for line in &self.lines {
            paragraph(&mut text, "  ", &visible(line), style);
        }
        for search in &self.searches {
            let booted = search.row.iter().filter(|kernel| kernel.verdict.is_some()).count();
            label(&mut text, "searched", &format!("{} {}, {booted} judged", search.row.len(), search.what), style);
            let widest = search.row.iter().map(|kernel| kernel.label.len()).max().unwrap_or(0);
            for kernel in search.row.iter().filter(|kernel| kernel.verdict.is_some() || style.explain) {
                judged(&mut text, kernel, widest, style);
            }
        }
        label(&mut text, "boots", &self.boots.to_string(), style);
        label(&mut text, "judged", &format!("{}; {}", self.tool.time, self.tool.accelerator), style);
        label(&mut text, "results", &self.folder, style);
        text
    }
}

fn judged(text: &mut String, kernel: &RowKernel, widest: usize, style: Style) {
    let name = pad(&visible(&kernel.label), widest);
    match kernel.verdict {
        Some(verdict) => _ = writeln!(text, "    {name}  {}", coloured(verdict)),
        None => _ = writeln!(text, "    {name}  {DIM}not booted{DIM:#}"),
    }
    if let Some(reason) = &kernel.reason {
        paragraph(text, "      ", &visible(reason.lines().next().unwrap_or_default()), style);
    }
}
