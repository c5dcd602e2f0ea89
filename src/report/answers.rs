//! The answers to "is it affected?" as text: verdict, reason, advice; the evidence on request.

use std::fmt::Write as _;

use anstyle::Style as Colour;

use super::formats::Document;
use super::style::{BAD, BROKEN, DIM, GOOD, LOUD, Style};
use super::table::conflicts;
use super::text::{columns, fit, paragraph, visible};
use crate::answer::{AnswerTally, Answers, BugAnswer, SubjectAnswer};
use crate::evidence::{Finding, Strength};
use crate::verdict::{Advice, Judgement, Verdict};
use crate::words::State;

/// Why a bug does not change the exit code.
pub(super) const NOT_COUNTED: &str = "no fix exists (--fail-on any counts it)";

/// Conflicts come first. The answers can be taken once.
impl<I: Iterator<Item = SubjectAnswer>> Document for Answers<I> {
    fn text(&self, style: Style) -> String {
        let (mut complaints, mut subjects) = (Vec::new(), String::new());
        while let Some(answer) = self.take_next() {
            for bug in &answer.bugs {
                let who = bug.judgement.contradiction();
                complaints.extend(who.map(|who| format!("{} {}: {who}", answer.subject, bug.bug)));
            }
            subject(&mut subjects, &answer, style);
        }
        let tally = self.tally();
        let mut text = String::new();
        conflicts(&mut text, &complaints, style);
        text += &subjects;
        if tally.subjects > 1 {
            summary(&mut text, tally);
        }
        if !style.explain && tally.answers() > 0 {
            let _ = writeln!(text, "{DIM}--explain shows the evidence{DIM:#}");
        }
        text
    }
}

fn subject(text: &mut String, answer: &SubjectAnswer, style: Style) {
    let name = visible(&answer.subject);
    let understood = answer.understood.as_deref().map(visible).filter(|understood| *understood != name);
    let _ = write!(text, "{LOUD}{name}{LOUD:#}");
    let indent = columns(&name) + 2;
    match understood {
        Some(is) if indent + columns(&is) <= style.width => {
            let _ = writeln!(text, "  {DIM}{is}{DIM:#}");
        }
        Some(is) => {
            text.push('\n');
            let _ = write!(text, "{DIM}");
            paragraph(text, "  ", &is, style);
            let _ = write!(text, "{DIM:#}");
        }
        None => text.push('\n'),
    }
    if let Some(problem) = &answer.problem {
        labelled(text, "problem", problem, style);
    }
    if let Some(stale) = &answer.stale {
        labelled(text, "stale", &format!("could not check for updates; judged {stale}"), style);
    }
    // Without any evidence, all bugs are unknown for the same reason.
    if answer.problem.is_some() && answer.bugs.iter().all(|bug| bug.judgement.findings.is_empty()) {
        let _ = writeln!(text, "    {BROKEN}unknown{BROKEN:#}\n");
        return;
    }
    let mut bugs: Vec<&BugAnswer> = answer.bugs.iter().collect();
    bugs.sort_by_key(|bug| urgency(bug));
    let widths = Widths::of(&bugs);
    let understood_as = answer.understood.as_deref().unwrap_or(&answer.subject);
    for bug in bugs {
        match style.explain {
            true => explained(text, bug, widths, style),
            false => brief(text, bug, understood_as, widths, style),
        }
    }
    text.push('\n');
}

/// The order of reading: conflicts, affected, unknown, the rest.
fn urgency(answer: &BugAnswer) -> u8 {
    let Judgement { verdict, conflict, .. } = &answer.judgement;
    match verdict {
        _ if *conflict => 0,
        Verdict::Affected if answer.counts => 1,
        Verdict::Unknown => 2,
        Verdict::Affected => 3,
        Verdict::NotAffected => 4,
    }
}

/// The widths of the columns before the reasons.
#[derive(Clone, Copy)]
struct Widths {
    verdict: usize,
    bug: usize,
}

impl Widths {
    fn of(bugs: &[&BugAnswer]) -> Self {
        let widest = |of: fn(&BugAnswer) -> usize| bugs.iter().map(|bug| of(bug)).max().unwrap_or(0);
        Self { verdict: widest(|bug| columns(&word(&bug.judgement).1)), bug: widest(|bug| bug.bug.as_str().len()) }
    }

    fn head(self, answer: &BugAnswer) -> String {
        let (colour, word) = word(&answer.judgement);
        format!("  {colour}{word:verdict$}{colour:#}  {:bug$}", answer.bug, verdict = self.verdict, bug = self.bug)
    }
}

/// The verdict, with the state if it says more: `AFFECTED (half-fixed)`, `not-affected (fixed)`.
pub(super) fn word(judgement: &Judgement) -> (Colour, String) {
    let (colour, word) = match judgement.verdict {
        _ if judgement.conflict => (BAD, "CONFLICT"),
        Verdict::Affected => (BAD, "AFFECTED"),
        Verdict::NotAffected => (GOOD, "not-affected"),
        Verdict::Unknown => (BROKEN, "unknown"),
    };
    let state = judgement.state.filter(|state| state.as_str() != judgement.verdict.to_string());
    let state = state.map(|state| if judgement.state_guessed { format!("{state}?") } else { state.to_string() });
    let more: Vec<String> = state.into_iter().chain(judgement.qualifier().map(str::to_owned)).collect();
    (colour, if more.is_empty() { word.to_owned() } else { format!("{word} ({})", more.join(", ")) })
}

/// One line with the reason, and one with what to do.
fn brief(text: &mut String, answer: &BugAnswer, understood: &str, widths: Widths, style: Style) {
    let head = widths.head(answer);
    let indent = 2 + widths.verdict + 2 + widths.bug + 2;
    let is_left_out = answer.judgement.is_left_out(answer.counts);
    let why = if is_left_out { Some(NOT_COUNTED.to_owned()) } else { why(&answer.judgement) };
    // The line above names the subject.
    let why = why.map(|why| lead(&why.replacen(&format!(": {understood}: "), ": ", 1), answer.judgement.state));
    let why = why.map(|why| fit(&visible(&why), style.width.saturating_sub(indent))).unwrap_or_default();
    let _ = writeln!(text, "{}", format!("{head}  {DIM}{why}{DIM:#}").trim_end());
    let do_first = answer.judgement.advice.first().filter(|_| !is_left_out);
    if let Some(Advice { kind, says }) = do_first {
        let line = format!("    {}: {}", kind.label(), visible(says));
        let _ = writeln!(text, "{}", fit(&line, style.width));
    }
}

/// Moves the clause about the deciding step to the front, because the end may be cut.
fn lead(why: &str, state: Option<State>) -> String {
    let begins: &[&str] = match state {
        Some(State::Fixed) => &["fix since"],
        Some(State::HalfFixed | State::Affected) => &["fix not", "no fix "],
        Some(State::FixedWithDefect) => &["fix-of-fix not", "no fix-of-fix"],
        Some(State::NeverHad) => &["no break", "break not"],
        None => &[],
    };
    let (witness, clauses) = why.split_once(": ").unwrap_or(("", why));
    let mut clauses: Vec<&str> = clauses.split("; ").collect();
    let Some(at) = clauses.iter().position(|clause| begins.iter().any(|begin| clause.starts_with(begin))) else {
        return why.to_owned();
    };
    let first = clauses.remove(at);
    clauses.insert(0, first);
    let clauses = clauses.join("; ");
    if witness.is_empty() { clauses } else { format!("{witness}: {clauses}") }
}

/// The surest finding, or the reason that there is no verdict.
pub(super) fn why(judgement: &Judgement) -> Option<String> {
    let of = |finding: &Finding| format!("{}: {}", finding.witness, finding.why);
    match judgement.verdict {
        Verdict::Unknown => judgement.reason.clone(),
        Verdict::Affected | Verdict::NotAffected => judgement.surest().map(of),
    }
}

/// The verdict, then all evidence.
fn explained(text: &mut String, answer: &BugAnswer, widths: Widths, style: Style) {
    let judgement = &answer.judgement;
    let _ = writeln!(text, "{}", widths.head(answer).trim_end());
    if judgement.is_left_out(answer.counts) {
        labelled(text, "not counted", NOT_COUNTED, style);
    }
    evidence(text, judgement, style);
}

/// The evidence behind a judgement, and all advice.
pub(super) fn evidence(text: &mut String, judgement: &Judgement, style: Style) {
    for finding in &judgement.findings {
        let weak = if finding.strength == Strength::Weak && !finding.is_unknown() { " (a hint)" } else { "" };
        labelled(text, &format!("{}{weak}", finding.witness), &finding.why, style);
    }
    if let Some(reason) = &judgement.reason {
        labelled(text, "reason", reason, style);
    }
    for warning in &judgement.warnings {
        labelled(text, "warning", warning, style);
    }
    for advice in &judgement.advice {
        labelled(text, advice.kind.label(), &advice.says, style);
    }
}

fn labelled(text: &mut String, label: &str, what: &str, style: Style) {
    paragraph(text, &format!("    {label}: "), what, style);
}

fn summary(text: &mut String, tally: AnswerTally) {
    let AnswerTally { subjects, summary, .. } = tally;
    let answers = tally.answers();
    let _ = write!(
        text,
        "{subjects} subjects, {answers} answers: {} affected, {} not affected, {} unknown",
        summary.affected, summary.not_affected, summary.unknown
    );
    if summary.not_counted > 0 {
        let _ = write!(text, "; {} affected not counted", summary.not_counted);
    }
    if summary.conflicts > 0 {
        let _ = write!(text, "; {BAD}{} in conflict{BAD:#}", summary.conflicts);
    }
    text.push('\n');
}

#[cfg(test)]
#[path = "answers_tests.rs"]
mod tests;
