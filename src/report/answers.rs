//! The answers to "is it affected?", for people: a line a bug with the verdict, then why, then what to do.

use std::fmt::Write as _;

use super::table::{BAD, BROKEN, DIM, GOOD, LOUD, Style, conflicts};
use super::text::{visible, wrap};
use crate::answer::{Answer, BugAnswer, Tally};
use crate::evidence::Strength;
use crate::verdict::{Verdict, contradiction};

/// Why a bug that a kernel has is left out of the exit code.
pub(super) const NOT_COUNTED: &str = "nobody has a fix (--fail-on any counts it)";

/// The answers as text, coloured with ANSI sequences (print it through `anstream`), and how they ended. Conflicts come
/// first.
pub fn answers(answers: impl Iterator<Item = Answer>, style: Style) -> (String, Tally) {
    let (mut complaints, mut subjects, mut tally) = (Vec::new(), String::new(), Tally::default());
    for answer in answers {
        tally.count(&answer);
        for bug in answer.bugs.iter().filter(|bug| bug.conflict) {
            complaints.push(format!("{} {}: {}", answer.subject, bug.bug, contradiction(&bug.findings)));
        }
        subject(&mut subjects, &answer, style);
    }
    let mut text = String::new();
    conflicts(&mut text, &complaints, style);
    text += &subjects;
    if tally.subjects > 1 {
        summary(&mut text, tally);
    }
    (text, tally)
}

fn subject(text: &mut String, answer: &Answer, style: Style) {
    let name = visible(&answer.subject);
    let understood = answer.understood.as_deref().map(visible).filter(|understood| *understood != name);
    let _ = write!(text, "{LOUD}{name}{LOUD:#}");
    let indent = name.chars().count() + 2;
    let fits = |is: &String| indent + is.chars().count() <= style.width;
    match understood {
        Some(is) if fits(&is) => {
            let _ = writeln!(text, "  {DIM}{is}{DIM:#}");
        }
        Some(is) => {
            text.push('\n');
            for part in wrap(&is, style.width.saturating_sub(2)) {
                let _ = writeln!(text, "  {DIM}{part}{DIM:#}");
            }
        }
        None => text.push('\n'),
    }
    if let Some(problem) = &answer.problem {
        labelled(text, "problem", problem, style);
    }
    if let Some(stale) = &answer.stale {
        labelled(text, "stale", &format!("nobody could be asked whether it changed; judged is {stale}"), style);
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
    let state = state.map(|state| if answer.state_guessed { format!("{state}, a guess") } else { state.to_string() });
    let more: Vec<String> = state.into_iter().chain(answer.unproven.then(|| "unproven".to_owned())).collect();
    let state = if more.is_empty() { String::new() } else { format!(" ({})", more.join(", ")) };
    let conflict = if answer.conflict { " CONFLICT" } else { "" };
    let _ = writeln!(text, "  {:width$}  {colour}{word}{conflict}{colour:#}{state}", answer.bug.as_str());
    if answer.verdict == Verdict::Affected && !answer.counts && !answer.conflict {
        labelled(text, "not counted", NOT_COUNTED, style);
    }
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

fn summary(text: &mut String, tally: Tally) {
    let Tally { subjects, summary, .. } = tally;
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
mod tests {
    use super::*;
    use crate::evidence::{Finding, StateSet, Witness};
    use crate::matrix::Bugs;
    use crate::verdict::Ledger;
    use crate::words::State;

    #[test]
    fn unproven_answer_is_marked() {
        let bugs = Bugs::built_in();
        let bug = bugs.iter().next().expect("a bug");
        let silent = Finding { states: StateSet::not_affected(), ..Finding::unknown(Witness::Runtime, "silent") };
        let fixed = Finding { states: [State::Fixed].into_iter().collect(), ..Finding::unknown(Witness::Version, "x") };
        for (findings, said) in [
            (vec![silent.clone()], "not affected (unproven)\n"),
            (vec![silent, fixed.clone()], "not affected (fixed, a guess, unproven)\n"),
            (vec![fixed], "not affected (fixed)\n"),
        ] {
            let bugs = vec![BugAnswer::of(bug, Ledger { findings }, None, "")];
            let answer =
                Answer { subject: "x".to_owned(), understood: None, problem: None, misnamed: false, stale: None, bugs };
            let (text, _) = answers([answer].into_iter(), Style::default());
            let text = anstream::adapter::strip_str(&text).to_string();
            assert!(text.contains(said), "{said:?} is missing in\n{text}");
        }
    }
}
