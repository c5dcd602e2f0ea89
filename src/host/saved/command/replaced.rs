//! Aliases, functions and variables that make a command print something other than the running kernel's state.

use super::{base, live};

/// Folders of the system's own programs.
const SYSTEM: [&str; 6] = ["/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];

/// The most definitions to keep.
const MOST: usize = 100;

/// The redefinitions in a text so far, with their lines.
#[derive(Debug, Default)]
pub struct Replacements {
    found: Vec<Replacement>,
}

#[derive(Debug)]
struct Replacement {
    what: Replaced,
    /// The line that defined it.
    line: String,
}

#[derive(Debug, PartialEq, Eq)]
enum Replaced {
    /// A program, by an alias.
    Alias(String),
    /// A program, by a function or the shell's table of programs.
    Program(String),
    /// Any program that is not called by its full path (PATH).
    Search,
    /// Any program, by a variable of this name, or by a mount on /proc.
    All(String),
}

impl Replacements {
    /// Takes a command line; returns the line whose definition decides its output, if there is one.
    pub fn take(&mut self, typed: &str) -> Option<String> {
        let calls = live::calls(typed);
        let mut only_here = None;
        for name in function(typed) {
            self.keep(Replaced::Program(name), typed);
        }
        for (words, _) in &calls {
            let assigned = words.iter().take_while(|word| assignment(word).is_some()).count();
            let (variables, rest) = words.split_at(assigned);
            let (program, arguments) = rest.split_first().map_or(("", rest), |(first, rest)| (base(first), rest));
            match program {
                "alias" => {
                    let hides = arguments.iter().filter_map(|word| word.split_once('=')).filter(|(n, v)| hides(n, v));
                    hides.for_each(|(name, _)| self.keep(Replaced::Alias(name.to_owned()), typed));
                }
                "unalias" => {
                    let all = arguments.iter().any(|word| word == "-a");
                    let is_undone = |what: &_| matches!(what, Replaced::Alias(name) if all || arguments.contains(name));
                    self.found.retain(|found| !is_undone(&found.what));
                }
                "unset" => self.found.retain(|found| match &found.what {
                    Replaced::Program(name) | Replaced::All(name) => !arguments.contains(name),
                    Replaced::Alias(_) | Replaced::Search => true,
                }),
                "hash" => {
                    let name = arguments.iter().position(|word| word == "-p").and_then(|at| arguments.get(at + 2));
                    name.iter().for_each(|name| self.keep(Replaced::Program((*name).clone()), typed));
                }
                "mount" | "sudo"
                    if arguments.iter().any(|word| word.starts_with("/proc/")) && typed.contains("mount ") =>
                {
                    self.keep(Replaced::All("/proc".to_owned()), typed);
                }
                "" | "export" | "declare" | "typeset" => {
                    variables.iter().chain(arguments).filter_map(|word| misleading(word)).for_each(|what| {
                        self.keep(what, typed);
                    });
                }
                _ => {
                    // `env LD_PRELOAD=x uname`, `sudo PROC_ROOT=/old ss`.
                    let is_set = words.iter().any(|word| misleading(word).is_some());
                    let is_posed = words.iter().any(|word| word == "--uname-2.6");
                    only_here = only_here.or((is_set || is_posed).then(|| typed.to_owned()));
                }
            }
        }
        only_here.map(|line| shown(&line)).or_else(|| {
            let is_hit = |found: &&Replacement| {
                let mut called = calls.iter().flat_map(|(words, _)| words).flat_map(|word| word.split_whitespace());
                match &found.what {
                    Replaced::Alias(name) | Replaced::Program(name) => called.any(|word| word == name),
                    Replaced::Search => called.any(live::prints_state),
                    Replaced::All(_) => true,
                }
            };
            self.found.iter().find(is_hit).map(|found| found.line.clone())
        })
    }

    fn keep(&mut self, what: Replaced, line: &str) {
        // Beyond the limit, no output is trusted.
        let what = if self.found.len() < MOST { what } else { Replaced::All("more".to_owned()) };
        if self.found.iter().all(|found| found.what != what) {
            self.found.push(Replacement { what, line: shown(line) });
        }
    }
}

/// Whether a line without a prompt before it defines something.
pub fn is_definition(line: &str) -> bool {
    let line = line.trim();
    line.starts_with("alias ") && line.contains('=') || line.contains('{') && !function(line).is_empty()
}

/// Whether an alias runs anything but its own name with colours.
fn hides(name: &str, value: &str) -> bool {
    let mut words = value.split_whitespace();
    words.next() != Some(name) || !words.all(|word| word.starts_with("--color"))
}

/// The function that a line defines: `uname() {`, `function uname {`.
fn function(line: &str) -> Vec<String> {
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    let begins = line.split([';', '&']).map(str::trim);
    let name = begins.filter_map(|call| match call.strip_prefix("function ") {
        Some(rest) => rest.split([' ', '(', '{']).next(),
        None => {
            call.split_once('(').filter(|(_, rest)| rest.trim_start().starts_with(')')).map(|(name, _)| name.trim())
        }
    });
    name.filter(|name| is_name(name)).map(str::to_owned).collect()
}

/// The name and value of a variable that a word sets.
fn assignment(word: &str) -> Option<(&str, &str)> {
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    };
    word.split_once('=').filter(|(name, _)| is_name(name))
}

/// The redefinition by a word that sets a variable: `PROC_ROOT=/old` (nstat and ss), `TCPDIAG_FILE=old` (ss),
/// `LD_PRELOAD=x.so`.
fn misleading(word: &str) -> Option<Replaced> {
    let (name, value) = assignment(word)?;
    let is_input = name.starts_with("PROC_") || name.starts_with("LD_") || name == "TCPDIAG_FILE";
    let is_usual = |folder: &str| SYSTEM.contains(&folder.trim_end_matches('/'));
    // Text behind the old path hides nothing.
    let mut before = value.split(':').take_while(|folder| !["$PATH", "${PATH}"].contains(folder));
    match name {
        "PATH" => (!before.all(is_usual)).then_some(Replaced::Search),
        _ => is_input.then(|| Replaced::All(name.to_owned())),
    }
}

fn shown(line: &str) -> String {
    line.trim().chars().take(60).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redefinitions_decide_what_later_commands_print() {
        for (lines, is_replaced) in [
            (&["alias uname='echo 4.19.57'", "uname -r"][..], true),
            (&["alias uname='echo 4.19.57'", "uname -r | tee x"], true),
            (&["alias uname='echo 4.19.57'", "ssh db1 'uname -r'"], true),
            (&["alias uname='echo 4.19.57'", "/bin/uname -r"], false),
            (&["alias uname='echo 4.19.57'", "ss -tan"], false),
            (&["alias uname='echo 4.19.57'", "unalias uname", "uname -r"], false),
            (&["alias uname='echo 4.19.57'", "unalias -a", "uname -r"], false),
            (&["alias grep='grep --color=auto'", "grep TcpExt /proc/net/netstat"], false),
            (&["alias nstat='nstat -z'", "nstat -a"], true),
            (&["uname() { echo 4.19.57; }", "uname -r"], true),
            (&["function uname { echo 4.19.57; }", "uname -r"], true),
            (&["uname () {", "uname -r"], true),
            (&["uname() { echo 4.19.57; }", "unset -f uname", "uname -r"], false),
            (&["uname() { echo 4.19.57; }", "unalias -a", "uname -r"], true),
            (&["export PATH=/tmp/bin:$PATH", "uname -r"], true),
            (&["export PATH=/tmp/bin:$PATH", "/usr/bin/uname -r"], false),
            (&["export PATH=$PATH:/tmp/bin", "uname -r"], false),
            (&["PATH=/usr/sbin:$PATH", "ss -tan"], false),
            (&["export PROC_ROOT=/var/tmp/old", "nstat -az"], true),
            (&["export PROC_ROOT=/var/tmp/old", "unalias -a", "nstat -az"], true),
            (&["export PROC_ROOT=/var/tmp/old", "unset PROC_ROOT", "nstat -az"], false),
            (&["PROC_NET_NETSTAT=old nstat -az"], true),
            (&["PROC_NET_NETSTAT=old nstat -az", "nstat -az"], false),
            (&["env LD_PRELOAD=./x.so uname -r"], true),
            (&["TCPDIAG_FILE=old ss -tanmio"], true),
            (&["LC_ALL=C nstat -az"], false),
            (&["setarch x86_64 --uname-2.6 uname -r"], true),
            (&["sudo mount --bind old /proc/net/netstat", "cat /proc/net/netstat"], true),
            (&["hash -p /tmp/x uname", "uname -r"], true),
        ] {
            let mut replacements = Replacements::default();
            let last = lines.iter().map(|line| replacements.take(line)).last().flatten();
            assert_eq!(last.is_some(), is_replaced, "{lines:?}: {last:?}");
        }
        let mut replacements = Replacements::default();
        for at in 0..=MOST {
            replacements.take(&format!("alias a{at}=true"));
        }
        assert!(replacements.take("uname -r").is_some(), "a definition was forgotten");
        assert!(is_definition("alias uname='echo 4'") && is_definition("uname() {"));
        for output in ["alias: no such command", "skmem:(r0) timer:(on)", "tcp_fragment() failed"] {
            assert!(!is_definition(output), "{output}");
        }
    }
}
