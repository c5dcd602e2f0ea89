//! The page of a validation, in Markdown, which is attached to a rollout.

use std::fmt::Write as _;

use super::text::{markdown_text as cell, visible};
use crate::matrix::Acceptance;
use crate::validate::{Candidate, Difference, Gate, GateCell, Validation};

/// The page.
pub fn markdown(validation: &Validation) -> String {
    let mut page = format!("# {}: {}\n\n", validation.gate, cell(&validation.candidate.subject));
    let mean = match validation.gate {
        Gate::Open => "Every bug that counts was judged, and none of them keeps this kernel from going out.",
        Gate::Closed => "This kernel must not go out:",
        Gate::NoAnswer => "Nobody knows whether this kernel may go out:",
    };
    let _ = writeln!(page, "{mean}\n");
    for reason in &validation.reasons {
        let _ = writeln!(page, "- {}", cell(reason));
    }
    page.push_str("\n## Bugs\n\n| bug | gate | verdict | why |\n|---|---|---|---|\n");
    for one in &validation.cells {
        let counts = if one.counts { one.gate.to_string() } else { "not counted".to_owned() };
        let _ = writeln!(page, "| {} | {counts} | {} | {} |", one.job(), verdict(one), cell(&one.why));
    }
    if !validation.accepted.is_empty() {
        page.push_str("\n## Accepted\n\n| bug | as | profile | until | by | reason |\n|---|---|---|---|---|---|\n");
        for accepted in &validation.accepted {
            let Acceptance { bug, what, profile, reason, by, until } = accepted;
            let optional = |text: Option<String>| text.map_or_else(|| "–".to_owned(), |text| cell(&text));
            let _ = writeln!(
                page,
                "| {bug} | {} | {} | {} | {} | {} |",
                what.as_str(),
                optional(profile.as_ref().map(ToString::to_string)),
                optional(until.map(|until| until.to_string())),
                optional(by.clone()),
                optional(reason.clone()),
            );
        }
    }
    kernel(&mut page, "What was judged", &validation.candidate);
    if let Some(baseline) = &validation.baseline {
        kernel(&mut page, "Baseline", baseline);
    }
    if let Some(difference) = &validation.difference {
        page.push_str("\n## Difference from the baseline\n\n");
        if difference.is_empty() && difference.not_compared.is_empty() {
            page.push_str("Nothing that a known bug may depend on differs.\n");
        }
        for line in change(difference) {
            let _ = writeln!(page, "- {}", cell(&line));
        }
    }
    page.push_str("\n## How\n\n");
    let _ = writeln!(page, "- controls: {}", validation.controls.says());
    if let Some(tool) = &validation.tool {
        let _ = writeln!(page, "- backproof {}, QEMU {}, {}", tool.backproof, tool.qemu, cell(&tool.accelerator));
        let _ = writeln!(page, "- time: {}\n- judged: {}", cell(&tool.time), tool.started);
    }
    if let Some(policy) = &validation.policy {
        let _ = writeln!(page, "- policy: {} (sha256 `{}`)", cell(&policy.name), policy.sha256);
    }
    for boot in &validation.boots {
        let time = boot
            .time
            .map_or_else(|| "real time".to_owned(), |time| format!("seed {}, shift {}", time.seed, time.shift));
        let transcript = boot.transcript_sha256.as_ref().map(|sum| format!(", transcript `{sum}`")).unwrap_or_default();
        let cached = boot.cached.map(|when| format!(", made {when}")).unwrap_or_default();
        let _ = writeln!(page, "- boot-{}: {time}{transcript}{cached}", boot.number);
    }
    if !validation.repeat.is_empty() {
        let commands: Vec<String> = validation.repeat.iter().map(|command| visible(command)).collect();
        let _ = write!(page, "\nTo repeat it:\n\n```\n{}\n```\n", commands.join("\n"));
    }
    page
}

fn kernel(page: &mut String, title: &str, candidate: &Candidate) {
    let release = candidate.release.as_deref().unwrap_or("unknown");
    let _ = write!(page, "\n## {title}\n\n{} (release {})\n\n", cell(&candidate.source), cell(release));
    page.push_str("| file | sha256 |\n|---|---|\n");
    for file in &candidate.files {
        let _ = writeln!(page, "| {} | `{}` |", cell(&file.name), file.sha256);
    }
}

/// The lines of a difference, and what could not be compared.
pub(super) fn change(difference: &Difference) -> Vec<String> {
    let mut lines = Vec::new();
    for change in &difference.cells {
        let (before, now) = (change.baseline.says(), change.candidate.says());
        lines.push(format!("{}: {before} before, {now} now", change.job()));
    }
    let number = |value: Option<i64>| value.map_or_else(|| "absent".to_owned(), |number| number.to_string());
    for change in &difference.counters {
        let (before, now) = (number(change.baseline), number(change.candidate));
        lines.push(format!("{}, {}: {} is {before} before, {now} now", change.bug, change.check, change.figure));
    }
    let set = |value: Option<bool>| match value {
        Some(true) => "set",
        Some(false) => "not set",
        None => "unknown",
    };
    for change in &difference.config {
        let bugs: Vec<&str> = change.bugs.iter().map(|bug| bug.as_str()).collect();
        let (before, now) = (set(change.baseline), set(change.candidate));
        lines.push(format!("{}: {before} before, {now} now ({})", change.option, bugs.join(", ")));
    }
    if !difference.modules_gone.is_empty() {
        let names: Vec<&str> = difference.modules_gone.iter().map(String::as_str).collect();
        let more = if difference.more_modules_gone > 0 {
            format!(" and {} more", difference.more_modules_gone)
        } else {
            String::new()
        };
        lines.push(format!("modules gone: {}{more}", names.join(", ")));
    }
    let bytes = |size: Option<u64>| size.map_or_else(|| "absent".to_owned(), |size| format!("{size} bytes"));
    for change in &difference.functions {
        let (before, now) = (bytes(change.baseline), bytes(change.candidate));
        lines.push(format!("{}(): {before} before, {now} now", change.function));
    }
    lines.extend(difference.not_compared.iter().map(|what| format!("not compared: {what}")));
    lines
}

/// The verdict of a cell, with the state if one remains.
pub(super) fn verdict(cell: &GateCell) -> String {
    match cell.state.filter(|state| state.as_str() != cell.verdict.to_string()) {
        Some(state) => format!("{} ({state})", cell.verdict),
        None => cell.verdict.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::formats::Document as _;
    use super::super::style::Style;
    use super::*;
    use crate::exit::Exit;
    use crate::validate::{ControlsJudged, JudgedFile, SCHEMA_VERSION};
    use crate::verdict::Verdict;
    use crate::words::{Outcome, ProfileName};

    /// What a hostile file name and guest leave.
    fn hostile() -> Validation {
        let name = "a.deb\n# OPEN\u{1b}[2J <script>|*b*`".to_owned();
        let cell = GateCell {
            bug: "a-bug".parse().unwrap(),
            profile: ProfileName::default_profile(),
            gate: Gate::Closed,
            counts: true,
            outcome: Outcome::Fail,
            verdict: Verdict::Affected,
            state: None,
            why: format!("runtime: {name}"),
            accepted: None,
            expired: None,
        };
        Validation {
            schema_version: SCHEMA_VERSION,
            gate: Gate::Closed,
            reasons: vec![format!("a-bug: {name}")],
            candidate: Candidate {
                subject: name.clone(),
                name: "candidate".parse().unwrap(),
                source: format!("deb {name}"),
                release: Some(name.clone()),
                files: vec![JudgedFile { name, sha256: "a".repeat(64) }],
            },
            cells: vec![cell],
            baseline: None,
            difference: None,
            controls: ControlsJudged::default(),
            policy: None,
            accepted: Vec::new(),
            tool: None,
            boots: Vec::new(),
            folder: None,
            repeat: Vec::new(),
            exit_code: Exit::Affected,
        }
    }

    #[test]
    fn foreign_text_stays_text() {
        let validation = hostile();
        let page = markdown(&validation);
        assert!(page.starts_with("# CLOSED: a.deb"), "{page}");
        assert!(!page.contains("\n# OPEN") && !page.contains("<script>") && !page.contains('\u{1b}'), "{page}");
        let rows = page.lines().filter(|line| line.starts_with("| a-bug"));
        let cells = |row: &str| row.replace("\\|", "").matches('|').count();
        assert_eq!(rows.map(cells).collect::<Vec<_>>(), [5], "{page}");
        for width in [60, 80, 100] {
            let text = validation.text(Style { width, explain: true });
            let text = anstream::adapter::strip_str(&text).to_string();
            assert!(text.starts_with("CLOSED  a.deb") && !text.contains("\n# OPEN"), "{text}");
        }
    }
}
