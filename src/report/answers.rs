//! The answers to "is it affected?", for people: a line a bug with the verdict, then why, then what to do.

use std::fmt::Write as _;

use super::table::{BAD, BROKEN, DIM, GOOD, LOUD, Style};
use super::text::{visible, wrap};
use crate::answer::{Answer, Answers, BugAnswer};
use crate::evidence::Strength;
use crate::verdict::{Verdict, contradiction};

/// The answers as text, coloured with ANSI sequences (print it through `anstream`). Conflicts come first.
pub fn answers(answers: &Answers, style: Style) -> String {
    let mut text = String::new();
    conflicts(&mut text, answers, style);
    for answer in &answers.subjects {
        subject(&mut text, answer, style);
    }
    if answers.subjects.len() > 1 {
        summary(&mut text, answers);
    }
    text
}

fn conflicts(text: &mut String, answers: &Answers, style: Style) {
    for answer in &answers.subjects {
        for bug in answer.bugs.iter().filter(|bug| bug.conflict) {
            let line = format!("{} {}: {}", answer.subject, bug.bug, contradiction(&bug.findings));
            for (index, part) in wrap(&visible(&line), style.width.saturating_sub(10)).iter().enumerate() {
                let label = if index == 0 { "CONFLICT" } else { "" };
                let _ = writeln!(text, "{BAD}{label:8}{BAD:#}  {part}");
            }
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
}

fn subject(text: &mut String, answer: &Answer, style: Style) {
    let name = visible(&answer.subject);
    let understood = answer.understood.as_deref().map(visible).filter(|understood| *understood != name);
    let _ = writeln!(
        text,
        "{LOUD}{name}{LOUD:#}{}",
        understood.map_or_else(String::new, |is| format!("  {DIM}{is}{DIM:#}"))
    );
    if let Some(problem) = &answer.problem {
        labelled(text, "problem", problem, style);
    }
    // Where nothing could be looked at, the bugs are unknown for that one reason.
    if answer.problem.is_some() && answer.bugs.iter().all(|bug| bug.findings.is_empty()) {
        let _ = writeln!(text, "    {BROKEN}unknown{BROKEN:#}\n");
        return;
    }
    let width = answer.bugs.iter().map(|bug| bug.bug.as_str().len()).max().unwrap_or(0);
    for bug in &answer.bugs {
        verdict(text, bug, width, style);
    }
    text.push('\n');
}

fn verdict(text: &mut String, answer: &BugAnswer, width: usize, style: Style) {
    let (colour, word) = match answer.verdict {
        Verdict::Affected => (BAD, "AFFECTED"),
        Verdict::NotAffected => (GOOD, "not affected"),
        Verdict::Unknown => (BROKEN, "unknown"),
    };
    let state = answer.state.filter(|state| state.as_str() != answer.verdict.to_string());
    let state = state.map_or_else(String::new, |state| format!(" ({state})"));
    let conflict = if answer.conflict { " CONFLICT" } else { "" };
    let _ = writeln!(text, "  {:width$}  {colour}{word}{conflict}{colour:#}{state}", answer.bug.as_str());
    for finding in &answer.findings {
        let weak = if finding.strength == Strength::Weak && !finding.is_unknown() { " (a hint)" } else { "" };
        labelled(text, &format!("{}{weak}", finding.witness), &finding.why, style);
    }
    for warning in &answer.warnings {
        labelled(text, "warning", warning, style);
    }
    for advice in &answer.advice {
        labelled(text, advice.kind.label(), &advice.says, style);
    }
}

/// A label, and text set in behind it.
fn labelled(text: &mut String, label: &str, what: &str, style: Style) {
    let indent = label.chars().count() + 6;
    for (index, part) in wrap(&visible(what), style.width.saturating_sub(indent)).iter().enumerate() {
        let label = if index == 0 { format!("    {label}: ") } else { " ".repeat(indent) };
        let _ = writeln!(text, "{label}{part}");
    }
}

fn summary(text: &mut String, answers: &Answers) {
    let summary = answers.summary;
    let _ = write!(
        text,
        "{} subjects: {} affected, {} not affected, {} unknown",
        answers.subjects.len(),
        summary.affected,
        summary.not_affected,
        summary.unknown
    );
    if summary.conflicts > 0 {
        let _ = write!(text, "; {BAD}{} in conflict{BAD:#}", summary.conflicts);
    }
    text.push('\n');
}
