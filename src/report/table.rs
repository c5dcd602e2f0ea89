//! A run as a table, and below it the reason for every cell that is not a plain pass.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use backproof_protocol::Role;

use super::changes::changed;
use super::formats::RunFormat;
use super::grid::{colour, grid, word};
use super::style::{BAD, BROKEN, DIM, GOOD, LOUD, Style};
use super::text::{columns, fit, hanging, paragraph, visible, wrap};
use crate::evidence::{Finding, Witness};
use crate::results::{MatrixDocument, is_running};
use crate::run::{Cell, CellTally, ControlFault};
use crate::words::Outcome;

/// Prints a run as a table.
pub(super) const FORMAT: RunFormat = RunFormat {
    name: "table",
    help: "For people",
    write: |run, style, out| out.write_all(table(run.document, Some(run.folder), style).as_bytes()),
};

/// The run as text with ANSI colours. `folder` has its evidence.
pub fn table(document: &MatrixDocument, folder: Option<&Path>, style: Style) -> String {
    let mut text = String::new();
    distrust(&mut text, document, style);
    conflicts(&mut text, &document.conflicts, style);
    differing(&mut text, document, style);
    changed(&mut text, document.changes.as_ref(), style);
    grid(&mut text, document, style);
    for alike in alike(told(document)) {
        reasons(&mut text, &alike, style);
    }
    boots(&mut text, document, style);
    for note in footer(document, folder, style) {
        let _ = writeln!(text, "{note}");
    }
    text
}

/// First of all: a control kernel was judged wrongly.
fn distrust(text: &mut String, document: &MatrixDocument, style: Style) {
    if document.cannot_be_trusted.is_empty() {
        return;
    }
    let _ = writeln!(text, "{BAD}THIS RUN'S VERDICTS CANNOT BE TRUSTED: a control kernel was judged wrongly{BAD:#}");
    for complaint in &document.cannot_be_trusted {
        hanging(text, "  ", "    ", complaint, style);
    }
    text.push('\n');
}

/// Boots that did not repeat a cached boot come before the verdicts, because something is not as it seems.
fn differing(text: &mut String, document: &MatrixDocument, style: Style) {
    for complaint in &document.differing {
        let what = format!("{complaint}; the cached boot's files are beside it, and the next run boots it again");
        paragraph(text, &format!("{BAD}TRANSCRIPT DIFFERS{BAD:#}  "), &what, style);
    }
    if !document.differing.is_empty() {
        text.push('\n');
    }
}

/// Conflicts come before the verdicts, because one of the strong witnesses is wrong.
pub(super) fn conflicts(text: &mut String, complaints: &[String], style: Style) {
    for complaint in complaints {
        paragraph(text, &format!("{BAD}CONFLICT{BAD:#}  "), complaint, style);
    }
    if !complaints.is_empty() {
        text.push('\n');
    }
}

/// The cells that get a paragraph: those that are not a plain pass, and those with warnings, advice or natural checks.
/// Conflicts come first.
fn told(document: &MatrixDocument) -> Vec<&Cell> {
    let shown = |cell: &Cell| document.run.natural && natural(cell).next().is_some();
    let is_sure = |c: &Cell| !c.judgement.conflict && !c.judgement.unproven && c.judgement.against.is_empty();
    let is_plain = |c: &Cell| c.outcome == Outcome::Pass && c.expected && is_sure(c);
    let has_more = |c: &Cell| {
        shown(c) || !(c.judgement.warnings.is_empty() && c.judgement.advice.is_empty() && c.trials.retried.is_empty())
    };
    // While the run goes on, a cell without a verdict is no news.
    let is_due = |c: &Cell| !document.run.finished && c.is_pending();
    let is_told = |c: &&Cell| (!is_plain(c) || has_more(c)) && !is_due(c);
    let mut cells: Vec<&Cell> = document.cells.iter().filter(is_told).collect();
    // The sort is stable, so each group keeps the matrix's order.
    cells.sort_by_key(|c| (!c.judgement.conflict, c.expected));
    cells
}

/// The natural checks, one line each.
fn natural(cell: &Cell) -> impl Iterator<Item = String> {
    let checks = cell.trials.checks.iter().filter(|check| check.role == Role::Natural);
    checks.map(|check| format!("natural {}: {}", check.name, check.why))
}

/// The findings to quote: the runtime's, and those against the judgement; in a conflict all.
fn spoken(cell: &Cell) -> impl Iterator<Item = &Finding> {
    let judgement = &cell.judgement;
    let is_told = |f: &&Finding| judgement.conflict || f.witness == Witness::Runtime || judgement.is_against(f);
    judgement.findings.iter().filter(is_told)
}

/// The names of the witnesses that agree with the judgement.
fn agreeing(cell: &Cell) -> String {
    let spoken: Vec<&Finding> = spoken(cell).collect();
    let others = cell.judgement.findings.iter().filter(|f| !f.is_unknown() && !spoken.contains(f));
    others.map(|f| f.witness.as_str()).collect::<Vec<_>>().join(", ")
}

/// Groups cells with the same end and reasons. Otherwise a bug without a fix, or a kernel that doesn't boot, would fill
/// the screen.
fn alike(cells: Vec<&Cell>) -> Vec<Vec<&Cell>> {
    let same = |a: &Cell, b: &Cell| {
        let whys = |c: &Cell| spoken(c).map(|f| f.why.clone()).collect::<Vec<_>>();
        (a.bug == b.bug || a.judgement.reason.is_some())
            && word(a) == word(b)
            && a.judgement.reason == b.judgement.reason
            && whys(a) == whys(b)
            && agreeing(a) == agreeing(b)
            && a.judgement.warnings == b.judgement.warnings
            && a.judgement.advice == b.judgement.advice
            && a.trials.retried == b.trials.retried
            && natural(a).eq(natural(b))
    };
    let mut groups: Vec<Vec<&Cell>> = Vec::new();
    for cell in cells {
        match groups.iter_mut().find(|group| group.first().is_some_and(|first| same(first, cell))) {
            Some(group) => group.push(cell),
            None => groups.push(vec![cell]),
        }
    }
    groups
}

/// The kernels (with their profiles) and bugs of these cells; kernels with the same bugs share an entry.
fn heads<'a>(cells: &[&'a Cell]) -> Vec<(Vec<String>, Vec<&'a str>)> {
    let mut by_kernel: Vec<(String, Vec<&str>)> = Vec::new();
    for cell in cells {
        let kernel = match cell.profile.is_default() {
            true => cell.kernel.to_string(),
            false => format!("{} @{}", cell.kernel, cell.profile),
        };
        match by_kernel.iter_mut().find(|(known, _)| *known == kernel) {
            Some((_, bugs)) => bugs.push(cell.bug.as_str()),
            None => by_kernel.push((kernel, vec![cell.bug.as_str()])),
        }
    }
    let mut heads: Vec<(Vec<String>, Vec<&str>)> = Vec::new();
    for (kernel, bugs) in by_kernel {
        match heads.iter_mut().find(|(_, known)| *known == bugs) {
            Some((kernels, _)) => kernels.push(kernel),
            None => heads.push((vec![kernel], bugs)),
        }
    }
    heads
}

fn reasons(text: &mut String, cells: &[&Cell], style: Style) {
    let Some(cell) = cells.first() else { return };
    let (colour, said) = (colour(cell), word(cell));
    for (kernels, bugs) in heads(cells) {
        let (kernels, bugs) = (kernels.join(", "), bugs.join(", "));
        let room = style.width.saturating_sub(2 + columns(&said));
        // Bugs follow the kernels on the same line if there is room, else on the next.
        let mut lines = wrap(&kernels, room.saturating_sub(columns(&bugs) + 2).max(style.width / 2));
        let beside = lines.last().is_some_and(|last| columns(last) + 2 + columns(&bugs) <= room);
        if beside {
            lines.iter_mut().next_back().into_iter().for_each(|last| *last += &format!("  {bugs}"));
        } else {
            lines.extend(wrap(&bugs, room.saturating_sub(2)).into_iter().map(|line| format!("  {line}")));
        }
        let _ = writeln!(text, "{}  {colour}{said}{colour:#}", lines.join("\n"));
    }
    let judgement = &cell.judgement;
    let is_judged = matches!(cell.outcome, Outcome::Pass | Outcome::Fail);
    if style.explain {
        let mut line = |label: &str, what: &str| paragraph(text, &format!("  {label}: "), what, style);
        spoken(cell).for_each(|finding| line(finding.witness.as_str(), &finding.why));
        let agreeing = agreeing(cell);
        if !agreeing.is_empty() && is_judged {
            line("agree", &agreeing);
        }
        judgement.warnings.iter().for_each(|warning| line("warning", warning));
        judgement.advice.iter().for_each(|advice| line(advice.kind.label(), &advice.says));
    } else {
        // One line says why, and one what to do.
        let one = |label: &str, what: &str| fit(&format!("  {label}: {}", visible(what)), style.width);
        let why = judgement.surest().filter(|_| is_judged);
        let why = why.map(|finding| one(finding.witness.as_str(), &finding.why));
        let warning = judgement.warnings.first().map(|warning| one("warning", warning));
        let to_do = judgement.advice.first().map(|advice| one(advice.kind.label(), &advice.says));
        for part in [why, warning, to_do].into_iter().flatten() {
            let _ = writeln!(text, "{part}");
        }
    }
    if let Some(reason) = &judgement.reason {
        // An excerpt of the console keeps its lines.
        let mut parts = reason.lines();
        paragraph(text, "  reason: ", parts.next().unwrap_or_default(), style);
        for part in parts {
            let _ = writeln!(text, "{DIM}    {}{DIM:#}", fit(&visible(part), style.width.saturating_sub(4)));
        }
    }
    for first in &cell.trials.retried {
        let broke = first.reason.lines().next().unwrap_or_default();
        paragraph(text, "  retried: ", &format!("{} broke: {broke}", first.boot), style);
    }
    if let Some(loaded) = &cell.trials.autoloaded {
        paragraph(text, "  modules: ", &format!("{}, as the kernel requested", loaded.modules.join(", ")), style);
    }
    for check in natural(cell) {
        hanging(text, "  ", "    ", &check, style);
    }
}

/// Kernels that may be stale, and failed boots whose jobs ran again in a later one, because no cell's reason names
/// them.
fn boots(text: &mut String, document: &MatrixDocument, style: Style) {
    for kernel in &document.kernels {
        if let Some(stale) = &kernel.stale {
            let line = format!("{}  may not be the newest: {}", kernel.name, stale);
            remark(text, &line, style);
        }
        for (index, boot) in kernel.boots.iter().enumerate() {
            let mut later = kernel.boots.iter().skip(index + 1);
            let followed =
                later.find(|later| later.time == boot.time && later.jobs.iter().any(|job| boot.jobs.contains(job)));
            // The footer tells that KVM gave way to TCG.
            if followed.is_none_or(|later| later.accelerator != boot.accelerator) {
                continue;
            }
            let Some(first) = boot.failure.as_deref().and_then(|f| f.lines().next()) else { continue };
            let line = format!("{}  boot-{} failed and was followed by another: {first}", kernel.name, boot.number);
            remark(text, &line, style);
        }
    }
}

fn remark(text: &mut String, line: &str, style: Style) {
    let _ = write!(text, "{DIM}");
    hanging(text, "", "  ", line, style);
    let _ = write!(text, "{DIM:#}");
}

fn footer(document: &MatrixDocument, folder: Option<&Path>, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    if !told(document).is_empty() {
        lines.push(String::new());
    }
    lines.extend(unfinished(document, folder));
    lines.push(match document.run.finished {
        true => summary(&document.summary, document.run.interrupted),
        false => summary(&CellTally::of(document.cells.iter().filter(|cell| !cell.is_pending())), false),
    });
    lines.extend(controls(document));
    lines.extend(shared_guests(document));
    lines.push(format!("accelerator  {}", visible(&document.run.accelerator)));
    if !document.run.time.is_empty() {
        lines.push(format!("time         {}", visible(&document.run.time)));
    }
    lines.extend(seeds(document));
    lines.extend(cached_boots(document).map(|cached| format!("cached       {cached}")));
    if let Some(folder) = folder {
        let hint = if style.explain { "" } else { "  (--explain shows it here)" };
        lines.push(format!("evidence     {}{hint}", folder.display()));
    }
    lines
}

/// How far an unfinished run is, and whether it goes on.
fn unfinished(document: &MatrixDocument, folder: Option<&Path>) -> Option<String> {
    let total = document.cells.len();
    let judged = document.cells.iter().filter(|cell| !cell.is_pending()).count();
    let so_far = format!("{judged} of {total} cells judged so far");
    match folder.map(is_running) {
        _ if document.run.finished => None,
        Some(true) => Some(format!("{LOUD}the run is still going on{LOUD:#}: {so_far}")),
        _ => Some(format!("{BAD}the run did not finish{BAD:#}: it was killed, or runs on another host; {so_far}")),
    }
}

/// The results of several seeds, if there were several: one line for cells that are alike.
fn seeds(document: &MatrixDocument) -> Vec<String> {
    let mut alike: BTreeMap<String, usize> = BTreeMap::new();
    for count in document.cells.iter().filter_map(|cell| cell.trials.seeds) {
        *alike.entry(count.to_string()).or_default() += 1;
    }
    let cells = |count| if count == 1 { "1 cell".to_owned() } else { format!("{count} cells") };
    let heads = std::iter::once("seeds        ").chain(std::iter::repeat("             "));
    alike.iter().zip(heads).map(|((says, count), head)| format!("{head}{}: {says}", cells(*count))).collect()
}

/// The number of boots taken from the cache, if any.
pub fn cached_boots(document: &MatrixDocument) -> Option<String> {
    let boots = || document.kernels.iter().flat_map(|kernel| &kernel.boots);
    let mut days: Vec<String> =
        boots().filter_map(|boot| boot.cached).map(|judged| judged.strftime("%Y-%m-%d").to_string()).collect();
    let count = days.len();
    days.sort();
    let when = match (days.first()?, days.last()?) {
        (first, last) if first == last => first.clone(),
        (first, last) => format!("{first} to {last}"),
    };
    Some(format!("{count} of {} boots, judged {when} (--fresh boots them again)", boots().count()))
}

/// The results of the controls, if there are any.
fn controls(document: &MatrixDocument) -> Option<String> {
    let tally = document.summary;
    if tally.controls == 0 {
        return None;
    }
    let stood = tally.controls - tally.controls_wrong - tally.controls_unproven;
    let mut line = format!("controls     {stood} of {} judged as made", tally.controls);
    if tally.controls_wrong > 0 {
        let _ = write!(line, "; {BAD}{} judged wrongly{BAD:#}", tally.controls_wrong);
    }
    let unproven = document.cells.iter().filter(|cell| cell.control_fault() == Some(ControlFault::Unproven));
    let unproven: Vec<String> = unproven.map(|cell| format!("{} on {}", cell.job(), cell.kernel)).collect();
    if !unproven.is_empty() {
        let _ = write!(line, "; {BROKEN}not proven on this run: {}{BROKEN:#}", unproven.join(", "));
    }
    Some(line)
}

/// The most bugs to name that shared a guest.
const SHARING_NAMED: usize = 3;

/// The bugs whose programs shared a guest, because each could have written the others' reports.
fn shared_guests(document: &MatrixDocument) -> Option<String> {
    let sharing = document.cells.iter().filter(|cell| !cell.trials.shared_with.is_empty());
    let bugs: BTreeSet<&str> = sharing.map(|cell| cell.bug.as_str()).collect();
    let bugs: Vec<&str> = bugs.into_iter().collect();
    let says = "any of these programs could have written another's report (share-guest)";
    let named = bugs.get(..SHARING_NAMED).unwrap_or(&bugs).join(", ");
    let more = match bugs.len().saturating_sub(SHARING_NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    (!bugs.is_empty()).then(|| format!("shared guest {named}{more}: {says}"))
}

/// The run in one line.
pub(super) fn summary(tally: &CellTally, interrupted: bool) -> String {
    let total = tally.pass + tally.fail + tally.error + tally.skip;
    let mut line = String::new();
    if tally.controls_wrong > 0 {
        let _ = write!(line, "{BAD}verdicts cannot be trusted{BAD:#}; ");
    }
    let unproven = if tally.unproven > 0 { format!(" ({} unproven)", tally.unproven) } else { String::new() };
    let _ = write!(
        line,
        "{total} cells: {} pass{unproven}, {} fail, {} error, {} skip; ",
        tally.pass, tally.fail, tally.error, tally.skip
    );
    let _ = match (interrupted, tally.unexpected, tally.conflicts) {
        (true, ..) => write!(line, "{BAD}interrupted{BAD:#}"),
        (false, 0, 0) => write!(line, "{GOOD}all as expected{GOOD:#}"),
        (false, unexpected, 0) => write!(line, "{BAD}{unexpected} unexpected{BAD:#}"),
        (false, unexpected, conflicts) => write!(line, "{BAD}{conflicts} in conflict, {unexpected} unexpected{BAD:#}"),
    };
    if tally.unexplained > 0 {
        let _ = write!(line, "; {BAD}{} with an unexplained guest crash{BAD:#}", tally.unexplained);
    }
    if tally.retried > 0 {
        let _ = write!(line, "; {} retried", tally.retried);
    }
    if tally.differing > 0 {
        let _ = write!(line, "; {BAD}the run has no verdict: a transcript differs from the cached one{BAD:#}");
    }
    if tally.unexpected_skips > 0 {
        line.push_str("; the run has no verdict: a cell was skipped that should have been judged");
    }
    line
}

#[cfg(test)]
#[path = "table_tests.rs"]
pub(super) mod tests;
