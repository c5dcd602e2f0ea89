//! Divides a text at its command lines, shells and headings, and records the origin of each part's output.

use super::super::text::bare;
use super::ShellCommand;
use super::divider::Divider;
use super::label::{self, HostLabel};

/// A piece of a text: the output of one command, if known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part<'a> {
    /// The text.
    pub text: &'a str,
    /// The command that printed it.
    pub command: Option<ShellCommand>,
    /// The network namespace or container it ran in, if that was not the host's own: `netns blue`.
    pub place: Option<String>,
    /// The host it ran on, in the words of the text's collector: the target of `ssh`, a heading of `ansible`.
    pub called: Option<String>,
    /// The host in the heading above it, in the words of the text's author.
    pub under: Option<HostLabel>,
    /// The host in an unusual prompt before its command.
    pub nickname: Option<HostLabel>,
    /// The printed file, if the age of its content is unknown.
    pub old: Option<String>,
    /// The reason to distrust the text's time or machine, regardless of its content.
    pub untrusted: Option<String>,
    /// The command behind it that ended the boot.
    pub(super) ended_by: Option<String>,
}

/// The last command of a text that ended the boot.
pub fn ended_boot<'a>(parts: &'a [Part<'_>]) -> Option<&'a str> {
    parts.iter().rev().find_map(|part| part.ended_by.as_deref())
}

/// The most command lines, shells and headings of one text.
pub(super) const MOST: usize = 10_000;

/// The parts of a text, in order.
pub fn parts(text: &str) -> Vec<Part<'_>> {
    let mut divider = Divider::default();
    let mut parts = Vec::new();
    let mut part = Part::default();
    let (mut begin, mut at) = (0, 0);
    let mut before = "";
    let mut lines = text.split_inclusive('\n').peekable();
    while let Some(line) = lines.next() {
        let end = at + line.len();
        let around = [before, line, lines.peek().copied().unwrap_or_default()];
        /// The most lines to look ahead.
        const AHEAD: usize = 6;
        let following = || lines.clone().take(AHEAD).find(|line| !label::is_rule(line)).unwrap_or_default();
        if parts.len() < MOST
            && let Some(next) = divider.take(around, &following)
        {
            parts.push(Part { text: &text[begin..at], ..std::mem::replace(&mut part, next) });
            begin = end;
            if let Some(line) = divider.ended.take() {
                let why = format!("output from before `{line}`, which is of an earlier boot");
                parts.iter_mut().next_back().into_iter().for_each(|part| part.ended_by = Some(line.clone()));
                parts.iter_mut().for_each(|part| part.untrusted = Some(why.clone()));
            }
        }
        (at, before) = (end, line);
    }
    parts.push(Part { text: &text[begin..], ..part });
    parts
}

/// A prompt may look like the mark of quoted text: `# ss -tmi`, `> $ ss -tmi`.
pub(super) fn of_pasted(marked: &str, line: &str) -> Option<ShellCommand> {
    let bare = || ShellCommand::of_line(bare(line));
    ShellCommand::of_line(marked).or_else(bare).or_else(|| ShellCommand::within(line))
}

#[cfg(test)]
pub(in crate::host::saved) fn command_of(line: &str) -> Option<ShellCommand> {
    of_pasted(line.trim_start_matches(['>', '|', ' ', '\t']), line)
}

#[cfg(test)]
#[path = "parts_tests.rs"]
mod tests;
