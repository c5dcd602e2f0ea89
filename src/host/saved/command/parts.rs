//! Divides a text at its command lines, shells and headings, and records the origin of each part's output.

use std::collections::BTreeMap;

use super::super::text::bare;
use super::live::{self, LeadsTo};
use super::place::{self, Shell};
use super::replaced::{self, Replacements};
use super::{ShellCommand, heading, prompt};

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
    /// The printed file, if the age of its content is unknown.
    pub old: Option<String>,
    /// The reason to distrust the text's time or machine, regardless of its content.
    pub untrusted: Option<String>,
    /// The command behind it that ended the boot.
    ended_by: Option<String>,
}

/// The last command of a text that ended the boot.
pub fn ended_boot<'a>(parts: &'a [Part<'_>]) -> Option<&'a str> {
    parts.iter().rev().find_map(|part| part.ended_by.as_deref())
}

/// The most command lines, shells and headings of one text.
const MOST: usize = 10_000;

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
        if parts.len() < MOST
            && let Some(next) = divider.take(around)
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

/// The state of a text's origin up to the current line.
#[derive(Debug, Default)]
struct Divider {
    /// The open shells.
    shells: Vec<Shell>,
    /// The command of the current part.
    command: Option<ShellCommand>,
    /// A command line that continues on the next line.
    unfinished: String,
    /// Whether the last line left a shell: bash answers a typed `exit` with another one.
    has_left: bool,
    /// Files that commands of this text have written, with their parts.
    written: BTreeMap<String, Part<'static>>,
    /// Whether a line named the kind of the next one: a file of supportconfig.
    is_file_next: bool,
    /// Why the output of the last typed command is not trusted.
    untrusted: Option<String>,
    /// The command that has just ended the boot.
    ended: Option<String>,
    /// A command that may have begun a session elsewhere.
    session: Option<UnknownSession>,
    /// The redefinitions in the text.
    replacements: Replacements,
    /// Whether the current output is not trusted because its program was redefined.
    is_replaced: bool,
}

/// A session that a command may have begun. It lasts until a prompt names the original host.
#[derive(Debug)]
struct UnknownSession {
    /// The host in the prompt before the command.
    from: Option<String>,
    leads_to: LeadsTo,
    /// The command line.
    line: String,
}

impl UnknownSession {
    /// Whether a prompt with this host may be in the session. Other code distinguishes two hosts.
    fn has(&self, host: Option<&str>) -> bool {
        match (self.leads_to, host) {
            (_, None) => true,
            (LeadsTo::Machine, Some(host)) => self.from.as_deref() != Some(host),
            (LeadsTo::Anywhere, Some(_)) => false,
        }
    }
}

impl Divider {
    /// The part that begins behind a line, which stands between two others; none if the line is output.
    fn take(&mut self, [before, line, next]: [&str; 3]) -> Option<Part<'static>> {
        /// The most bytes of a command line.
        const LONGEST: usize = 2000;
        let has_left = std::mem::take(&mut self.has_left);
        let is_file = std::mem::take(&mut self.is_file_next);
        if line.trim().is_empty() {
            (self.has_left, self.is_file_next) = (has_left, is_file);
            return None;
        }
        if line.len() > LONGEST {
            return None;
        }
        let marked = line.trim_start_matches(['>', '|', ' ', '\t']);
        if line.starts_with("#==[") {
            self.is_file_next = line.contains("File");
            return None;
        }
        if is_file {
            let file = bare(line).split_whitespace().next().filter(|word| word.starts_with('/'))?;
            return Some(Part { old: Some(file.to_owned()), ..self.part() });
        }
        let joined = format!("{}{marked}", std::mem::take(&mut self.unfinished));
        let words: Vec<&str> = joined.split_whitespace().collect();
        let typed = &words[prompt::length(&words)..];
        let call = live::typed(&joined).filter(|call| !call.is_empty());
        let is_prompted = typed.len() < words.len() || call.is_some();
        // `(venv) me@db1:~$`.
        let called: Vec<&str> = call.unwrap_or_default().split_whitespace().collect();
        let typed = if typed.len() == words.len() && call.is_some() { called.as_slice() } else { typed };
        let host = call.and_then(|_| prompt::host(&words[..words.len() - called.len().min(words.len())]));
        if let Some(call) = call {
            self.session = self.session.take().filter(|session| session.has(host.as_deref()));
            let of_session =
                |session: &UnknownSession| format!("output after `{}`, which may be of another machine", session.line);
            self.untrusted = self.session.as_ref().map(of_session);
            if live::ends_boot(call) {
                self.ended = Some(shown(call));
                self.command = None;
                self.written.clear();
                return Some(self.part());
            }
        }
        if let [.., "\\"] = typed
            && joined.len() < LONGEST
            && ShellCommand::of_line(&joined).is_some()
        {
            self.unfinished = joined.trim_end().trim_end_matches('\\').to_owned();
            return None;
        }
        if matches!(typed, ["exit" | "logout"] | ["^D"]) && self.session.take().is_some() {
            self.command = None;
            return Some(self.part());
        }
        if self.leaves(typed, is_prompted, has_left) {
            self.command = None;
            self.written.clear();
            return Some(self.part());
        }
        if let Some(shell) = place::shell(typed) {
            self.shells.push(shell);
            self.command = None;
            self.written.clear();
            return Some(self.part());
        }
        if let Some(leads_to) = call.filter(|_| self.session.is_none()).and_then(live::may_lead_away)
            && (host.is_some() || leads_to == LeadsTo::Machine)
        {
            self.session = Some(UnknownSession { from: host, leads_to, line: shown(call.unwrap_or_default()) });
        }
        if typed.first() == Some(&"cd") {
            self.written.retain(|file, _| file.starts_with('/'));
        }
        let command = of_pasted(&joined, line);
        let is_written = |file: &str| self.written.contains_key(file);
        let line_of_call = call.unwrap_or(joined.trim());
        let is_call = call.is_some() || command.is_some() || replaced::is_definition(&joined);
        let replaced_by = if is_call { self.replacements.take(line_of_call) } else { None };
        if self.is_replaced && command.is_some() {
            (self.is_replaced, self.untrusted) = (false, None);
        }
        let is_untrusted = match (call, &command) {
            _ if replaced_by.is_some() => true,
            (Some(call), None) => !(live::is_runner(call) && live::is_live(call, &is_written)),
            (Some(call), Some(_)) => !live::is_live(call, &is_written),
            // An unknown word before a known command may lead elsewhere.
            (None, Some(_)) => {
                let is_known = ShellCommand::of_line(&joined).or_else(|| ShellCommand::of_line(bare(line))).is_some();
                let is_stranger = !is_known && !live::is_live(bare(&joined), &is_written);
                live::is_bare_call(&joined) && (is_stranger || live::prints_old_log(bare(&joined)))
            }
            (None, None) => false,
        };
        if is_untrusted {
            let line = shown(line_of_call);
            self.is_replaced = replaced_by.is_some();
            self.untrusted = Some(match replaced_by {
                Some(by) if by != line => format!("output of `{line}`, because `{by}` may have changed what it prints"),
                _ => format!("output of `{line}`, which may be of another time or machine"),
            });
        }
        match command {
            Some(command) => return Some(self.begin(command)),
            None if is_untrusted => {
                self.command = None;
                return Some(self.part());
            }
            None => {}
        }
        heading::of([before, line, next]).map(|host| Part { called: Some(host), ..self.part() })
    }

    /// Whether a line leaves a shell: `exit`, or ssh's message at the end of a connection.
    fn leaves(&mut self, typed: &[&str], is_prompted: bool, has_left: bool) -> bool {
        match typed {
            ["exit" | "logout"] | ["exit", _] | ["^D"] => {
                self.has_left = true;
                let is_echo = has_left && !is_prompted;
                if !is_echo {
                    self.shells.pop();
                }
                !is_echo
            }
            ["Connection", "to", host, "closed."] => {
                self.has_left = true;
                let is_host = |shell: &Shell| matches!(shell, Shell::Host(known) if known == host);
                let at = self.shells.iter().rposition(is_host);
                if let Some(at) = at {
                    self.shells.truncate(at);
                }
                at.is_some()
            }
            _ => false,
        }
    }

    /// A part of the current shell, with the current command.
    fn part(&self) -> Part<'static> {
        let host = self.shells.iter().rposition(|shell| matches!(shell, Shell::Host(_)));
        let called = host.and_then(|at| match &self.shells[at] {
            Shell::Host(name) => Some(name.clone()),
            _ => None,
        });
        let inner = &self.shells[host.map_or(0, |at| at + 1)..];
        let place = inner.iter().rev().find_map(|shell| match shell {
            Shell::Place(name) => Some(name.clone()),
            _ => None,
        });
        let place = |own: Option<String>| match (place, own) {
            (Some(shell), Some(own)) => Some(format!("{shell}: {own}").chars().take(64).collect()),
            (shell, own) => shell.or(own),
        };
        let untrusted = self.untrusted.clone();
        match &self.command {
            Some(command) if command.called.is_some() => {
                let (place, called) = (command.place.clone(), command.called.clone());
                Part { command: self.command.clone(), place, called, untrusted, ..Part::default() }
            }
            command => {
                let place = place(command.as_ref().and_then(|command| command.place.clone()));
                Part { command: command.clone(), place, called, untrusted, ..Part::default() }
            }
        }
    }

    /// The part that begins with a command.
    fn begin(&mut self, command: ShellCommand) -> Part<'static> {
        let (written, printed) = (command.written.clone(), command.printed.clone());
        let is_filtered = command.shows_a_part();
        self.command = Some(command);
        let mut part = self.part();
        let known = printed.as_ref().and_then(|file| self.written.get(file));
        match (known, printed) {
            (Some(known), _) => {
                part = known.clone();
                part.untrusted = part.untrusted.or_else(|| self.untrusted.clone());
                if let Some(command) = &mut part.command {
                    command.is_filtered |= is_filtered;
                }
            }
            (None, printed) => part.old = printed,
        }
        if let Some(file) = written.filter(|_| self.written.len() < MOST) {
            self.written.insert(file, part.clone());
        }
        part
    }
}

/// A command line, shortened.
fn shown(line: &str) -> String {
    line.chars().take(60).collect()
}

/// A prompt may look like the mark of quoted text: `# ss -tmi`, `> $ ss -tmi`.
fn of_pasted(marked: &str, line: &str) -> Option<ShellCommand> {
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
