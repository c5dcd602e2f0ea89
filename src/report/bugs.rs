//! The known bugs as text: one line each, or the story of one.

use std::fmt::Write as _;

use super::Style;
use super::style::{DIM, LOUD};
use super::text::{fit, paragraph, visible};
use crate::matrix::Bug;

/// The bugs, one line each.
pub fn bugs(bugs: &[&Bug], style: Style) -> String {
    let width = bugs.iter().map(|bug| bug.id.as_str().len()).max().unwrap_or(0);
    let mut text = String::new();
    for bug in bugs {
        let boots = if bug.reproducer.is_some() { "boots" } else { "reads" };
        let title = fit(&visible(&bug.title), style.width.saturating_sub(width + 9));
        let _ = writeln!(text, "{LOUD}{:width$}{LOUD:#}  {boots}  {title}", bug.id);
    }
    let _ = writeln!(
        text,
        "{DIM}boots: has a reproducer; reads: judged without a boot. `backproof bugs show BUG` describes one{DIM:#}"
    );
    text
}

/// The story of a bug: the failure, the commits that added and removed it, the advice, and further reading.
pub fn story(bug: &Bug, style: Style) -> String {
    let mut text = format!("{LOUD}{}{LOUD:#}  {}\n", bug.id, visible(&bug.title));
    paragraph(&mut text, "  ", &bug.summary, style);
    let _ = writeln!(text, "\n{LOUD}commits{LOUD:#}");
    for step in &bug.chain {
        let commit = step.commit.as_ref().and_then(|commit| commit.as_str().get(..12));
        let name: Vec<&str> = commit.into_iter().chain(step.subject.as_deref()).collect();
        paragraph(&mut text, &format!("  {:11} ", step.role.to_string()), &name.join(" "), style);
        paragraph(&mut text, "              ", &step.effect, style);
    }
    if let Some(open) = &bug.without_break {
        paragraph(&mut text, "  never-had:  ", open, style);
    }
    let reproducer = match &bug.reproducer {
        Some(_) => "a reproducer provokes it on the booted kernel",
        None => "its dossier has no reproducer, so no kernel is booted for it",
    };
    let _ = writeln!(text, "\n{LOUD}proof{LOUD:#}");
    paragraph(&mut text, "  ", reproducer, style);
    if !bug.mitigations.is_empty() {
        let _ = writeln!(text, "\n{LOUD}mitigations{LOUD:#}");
    }
    for mitigation in &bug.mitigations {
        let holds = if mitigation.holds { "" } else { " (does not help)" };
        paragraph(&mut text, "  - ", &format!("{}{holds}: {}", mitigation.measure, mitigation.says), style);
    }
    if !bug.references.is_empty() {
        let _ = writeln!(text, "\n{LOUD}sources{LOUD:#}");
    }
    for reference in &bug.references {
        paragraph(&mut text, "  - ", reference, style);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::text::columns;
    use super::*;
    use crate::matrix::Bugs;

    #[test]
    fn bugs_fit_the_width_and_stories_list_all_commits() {
        let known = Bugs::built_in();
        let all: Vec<&Bug> = known.iter().collect();
        for width in [60, 80, 100] {
            let style = Style { width, ..Style::default() };
            let listed = anstream::adapter::strip_str(&bugs(&all, style)).to_string();
            assert!(listed.lines().take(all.len()).all(|line| columns(line) <= width), "{listed}");
            for bug in &all {
                let told = anstream::adapter::strip_str(&story(bug, style)).to_string();
                assert!(told.starts_with(bug.id.as_str()) && listed.contains(bug.id.as_str()));
                for commit in bug.chain.iter().filter_map(|step| step.commit.as_ref()) {
                    assert!(told.contains(&commit.as_str()[..12]), "{told}");
                }
            }
        }
    }
}
