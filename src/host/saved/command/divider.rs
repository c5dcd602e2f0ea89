//! Follows the shells, commands, headings and boots of a text, line by line.

use std::collections::BTreeMap;

use super::super::text::bare;
use super::boots::BootSigns;
use super::folder::ProcFolder;
use super::label::{self, HostLabel};
use super::live::{self, LeadsTo};
use super::parts::{MOST, Part, of_pasted};
use super::place::{self, Shell};
use super::replaced::{self, Replacements};
use super::{ShellCommand, heading, is_read, prompt, spelling};

/// The state of a text's origin up to the current line.
#[derive(Debug, Default)]
pub struct Divider {
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
    pub ended: Option<String>,
    /// A command that may have begun a session elsewhere.
    session: Option<UnknownSession>,
    /// The redefinitions in the text.
    replacements: Replacements,
    /// Whether the current output is not trusted because its program was redefined.
    is_replaced: bool,
    /// The folder of the shell.
    folder: ProcFolder,
    /// The signs of the boot so far.
    boots: BootSigns,
    /// Whether the current output cannot tell when this host was booted.
    hides_boot: bool,
    /// The host in the last heading.
    under: Option<HostLabel>,
    /// The host in the last prompt, if that is unusual.
    nickname: Option<HostLabel>,
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
    /// The part that begins behind a line, which stands between two others; none if the line is output. `following` finds
    /// the next line with words.
    pub fn take<'t>(&mut self, around: [&str; 3], following: &dyn Fn() -> &'t str) -> Option<Part<'static>> {
        let [before, line, _] = around;
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
        let spelled = spelling::of_shell(&joined).or_else(|| self.in_folder(&joined));
        let is_spelled = spelled.is_some();
        let joined = spelled.unwrap_or(joined);
        let line = if is_spelled { joined.as_str() } else { line };
        if joined.is_empty() {
            self.command = None;
            return Some(Part { place: self.folder.process(), ..self.part() });
        }
        let words: Vec<&str> = joined.split_whitespace().collect();
        let typed = &words[prompt::length(&words)..];
        let call = live::typed(&joined).filter(|call| !call.is_empty());
        let is_prompted = typed.len() < words.len() || call.is_some();
        // `(venv) me@db1:~$`.
        let called: Vec<&str> = call.unwrap_or_default().split_whitespace().collect();
        let typed = if typed.len() == words.len() && call.is_some() { called.as_slice() } else { typed };
        let host = call.and_then(|_| prompt::host(&words[..words.len() - called.len().min(words.len())]));
        if let Some(call) = call {
            let prompt = joined.rfind(call).map_or("", |at| &joined[..at]);
            self.nickname = if host.is_none() { label::of_prompt(prompt, before) } else { None };
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
        if is_call {
            let is_time = || live::prints_boot(line_of_call);
            self.hides_boot = self.session.is_some() || self.is_replaced || (is_untrusted && !is_time());
        }
        // `top` prints its own name before the time.
        let is_uptime = joined.contains("load average");
        if !is_uptime && call.is_none() && command.is_some() {
            let prompt = &words[..words.len() - typed.len()];
            self.nickname = prompt::host(prompt).is_none().then(|| label::of_prompt(&prompt.join(" "), "")).flatten();
        }
        match command {
            Some(command) if !is_uptime => return Some(self.begin(command)),
            None if is_untrusted => {
                self.command = None;
                return Some(self.part());
            }
            _ => {}
        }
        if self.is_at_home() && self.boots.take(line, self.command.as_ref()) {
            self.ended = Some(shown(line.trim()));
            return Some(self.part());
        }
        self.heading(around, following)
    }

    /// A command line without its `cd` within /proc, and with the files there named in full; empty if nothing else is on it.
    fn in_folder(&mut self, joined: &str) -> Option<String> {
        let own = live::typed(joined).unwrap_or_else(|| bare(joined));
        let call = self.folder.take(own)?;
        self.written.retain(|file, _| file.starts_with('/'));
        let at = joined.rfind(own)?;
        Some(if call.is_empty() { call } else { format!("{}{call}", &joined[..at]) })
    }

    /// Whether the current output is this host's, and can tell when it was booted.
    fn is_at_home(&self) -> bool {
        let is_own = |command: &ShellCommand| {
            command.place.is_none() && command.called.is_none() && command.printed.is_none() && !command.prints_log()
        };
        !self.hides_boot
            && self.shells.iter().all(|shell| *shell == Shell::Same)
            && self.command.as_ref().is_none_or(is_own)
    }

    /// The part below a heading that names a host.
    fn heading<'t>(&mut self, around: [&str; 3], following: &dyn Fn() -> &'t str) -> Option<Part<'static>> {
        if let Some(host) = heading::of(around) {
            // Command lines below it are of that host too.
            let next = following();
            let is_above_command = ShellCommand::of_line(next).is_some() || live::typed(next).is_some();
            let label = HostLabel { name: host.clone(), is_name: true, is_loose: false };
            self.under = is_above_command.then_some(label);
            let called = if is_above_command { None } else { Some(host) };
            let part = self.part();
            return Some(Part { called: called.or_else(|| part.called.clone()), ..part });
        }
        // The name that `hostname` prints is an output.
        let is_ours = |command: &ShellCommand| {
            (is_read(&command.program) && !command.prints_host()) || live::prints_boot(&command.program)
        };
        if self.untrusted.is_some() || !self.command.as_ref().is_none_or(is_ours) {
            return None;
        }
        self.under = Some(label::of(around, following)?);
        Some(self.part())
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
        let (place, called) = match &self.command {
            Some(command) if command.called.is_some() => (command.place.clone(), command.called.clone()),
            command => (place(command.as_ref().and_then(|command| command.place.clone())), called),
        };
        let (under, nickname) = (self.under.clone(), self.nickname.clone());
        Part {
            command: self.command.clone(),
            place,
            called,
            under,
            nickname,
            untrusted: self.untrusted.clone(),
            ..Part::default()
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
