//! Recognises typed commands that print the live state of this host, and those that end a boot. The output of any other
//! command may be an old file, or from another machine.

use super::super::text::{bare, is_clock};
use super::{VIEWERS, base, place};

/// Programs that print the state of the running kernel.
const LIVE: &[&str] = &["ss", "nstat", "netstat", "uname", "sysctl", "dmesg", "hostname", "hostnamectl"];

/// Programs that print files; the kernel's own files are live.
const PRINTERS: &[&str] = &["cat", "head", "tail", "zcat", "xzcat", "bzcat", "grep", "egrep", "fgrep", "zgrep"];

/// Printers whose first argument is not a file.
const WITH_PATTERN: &[&str] = &["grep", "egrep", "fgrep", "zgrep", "sed", "awk", "jq"];

/// Programs that print neither counters nor connections.
#[rustfmt::skip]
const SILENT: &[&str] = &[
    "date", "uptime", "sleep", "true", "echo", "id", "whoami", "pwd", "free", "wait", "clear", "lscpu", "done", "fi", "for",
    "esac", "cd",
];

/// Filters that add no output.
const FILTERS: &[&str] = &["tee", "ts", "column", "expand", "pbcopy", "uniq", "tr", "wc", "rev"];

/// Programs that run a command on several hosts and print a heading before each output.
const RUNNERS: &[&str] = &["ansible", "clush", "pdsh", "dsh", "salt", "pssh", "parallel-ssh"];

const SHELLS: &[&str] = &["sh", "bash", "ash", "dash", "zsh", "ksh"];

/// The most levels of quoted commands within commands.
const DEEPEST: usize = 4;

/// The command typed behind a prompt, if the line certainly has one: `$`, `root@db1:~#`, `(venv) me@db1 ~ %`.
pub fn typed(line: &str) -> Option<&str> {
    behind_prompt(line.trim_start_matches(['>', '|', ' ', '\t'])).or_else(|| behind_prompt(bare(line)))
}

fn behind_prompt(line: &str) -> Option<&str> {
    /// The most words of a prompt.
    const MOST: usize = 6;
    const ENDS: [char; 7] = ['$', '#', '%', '>', '\u{276f}', '\u{279c}', '\u{3bb}'];
    let mut rest = line.trim();
    for at in 0..MOST {
        let word = rest.split_whitespace().next()?;
        let behind = rest[word.len()..].trim_start();
        let stem = word.trim_end_matches(ENDS);
        let is_end = stem.len() < word.len();
        if is_end && stem.is_empty() {
            let is_alone = word.chars().count() == 1 && word != ">";
            let is_prompt = is_alone && (word != "#" || is_typed(behind));
            return is_prompt.then(|| without_folder(behind));
        }
        let is_host = |name: &str| {
            name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '-')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        let is_place = stem.contains(['@', '~']) || stem.contains(":/") || (at > 0 && stem.ends_with([']', ')']));
        let is_bracketed = stem.len() > 2 && stem.starts_with(['[', '(', '{', '<']) && stem.ends_with([']', ')', '}'])
            || { word.starts_with('<') && word.ends_with(['$', '#', '%']) && word.contains('>') };
        let is_corner = stem.starts_with(['\u{2514}', '\u{2570}']);
        let is_named = is_place || is_bracketed || is_corner;
        if is_end && (is_named || (at == 0 && is_host(stem)) || (at > 0 && stem.starts_with('/'))) {
            return Some(behind);
        }
        let is_begin = is_place
            || word.starts_with(['[', '(', '{', '<', '/', '~', '@'])
            || is_clock(word)
            || is_host(word) && behind.starts_with(['~', '/']);
        if !is_begin {
            return None;
        }
        rest = behind;
    }
    None
}

/// Whether the words behind `#` are a command, not a comment, metric or quoted output.
fn is_typed(text: &str) -> bool {
    let mut words = text.split_whitespace();
    let Some(first) = words.next() else { return true };
    let is_assigned = first.split_once('=').is_some_and(|(name, _)| !name.is_empty());
    let is_program = first.starts_with(|c: char| c.is_ascii_lowercase() || "./~$({\"'!".contains(c))
        && !first.contains(":(")
        && !first.ends_with(':');
    (is_assigned || is_program) && words.next() != Some("=")
}

/// Some prompts have the folder behind their mark: `➜  ~ git:(main) ✗`.
fn without_folder(text: &str) -> &str {
    let mut rest = text;
    while let Some(word) = rest.split_whitespace().next()
        && (word.starts_with('~') || word.starts_with("git:(") || word == "\u{2717}")
    {
        rest = rest[word.len()..].trim_start();
    }
    rest
}

/// Whether a line without a prompt is a command, not a sentence.
pub fn is_bare_call(line: &str) -> bool {
    let line = bare(line);
    let begins = line.starts_with(|c: char| c.is_ascii_lowercase() || c == '$')
        || line.split_once('=').is_some_and(|(name, _)| name.bytes().all(|byte| byte.is_ascii_uppercase()));
    begins && !line.ends_with(':') && !line.contains('`')
}

/// The target of the session that a command line may begin; none if it stays on this machine.
pub fn may_lead_away(typed: &str) -> Option<LeadsTo> {
    /// Commands that change the prompt, but not the machine.
    const STAYING: &[&str] = &["export", "set", "unset", "source", ".", "alias", "unalias", "stty", "shopt", "history"];
    let calls = calls(typed);
    let is_unknown = |(words, is_filter): &(Vec<String>, bool)| {
        let program = without_wrappers(words).first().map(|word| base(word));
        program.is_some_and(|program| !STAYING.contains(&program))
            && call(words, *is_filter, &|_| false, 0) == Printed::Anything
    };
    match calls.iter().any(|(words, _)| place::is_console(without_wrappers(words))) {
        true => Some(LeadsTo::Machine),
        false => calls.iter().any(is_unknown).then_some(LeadsTo::Anywhere),
    }
}

/// The possible target of a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeadsTo {
    /// Another machine.
    Machine,
    /// Unknown, perhaps this machine.
    Anywhere,
}

/// Whether a program that runs a command on many hosts is called.
pub fn is_runner(typed: &str) -> bool {
    typed.split_whitespace().map(base).find(|word| *word != "sudo").is_some_and(|word| RUNNERS.contains(&word))
}

/// The kind of output a command prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Printed {
    /// The current state.
    Live,
    /// Neither counters nor connections.
    Nothing,
    /// Anything.
    Anything,
}

/// Whether a typed line prints only live state. `is_written` knows files that live commands have just written.
pub fn is_live(typed: &str, is_written: &dyn Fn(&str) -> bool) -> bool {
    line(typed, is_written, 0) == Printed::Live
}

fn line(typed: &str, is_written: &dyn Fn(&str) -> bool, depth: usize) -> Printed {
    if depth > DEEPEST || typed.contains("$(") || typed.contains('`') {
        return Printed::Anything;
    }
    let mut all = Printed::Nothing;
    for (words, is_filter) in calls(typed) {
        match call(&words, is_filter, is_written, depth) {
            Printed::Anything => return Printed::Anything,
            Printed::Live => all = Printed::Live,
            Printed::Nothing => {}
        }
    }
    all
}

fn call(words: &[String], is_filter: bool, is_written: &dyn Fn(&str) -> bool, depth: usize) -> Printed {
    let words = without_wrappers(words);
    let Some((first, rest)) = words.split_first() else { return Printed::Nothing };
    let program = base(first);
    let inner = |words: &[String]| line(&words.join(" "), is_written, depth + 1);
    // A program in a user's own folder may print anything.
    if first.contains('/') && !first.starts_with('/') {
        return Printed::Anything;
    }
    if SHELLS.contains(&program) || program == "watch" {
        let skipped = match program {
            "watch" => options(rest, &["-n", "--interval"]),
            _ => {
                rest.iter().position(|word| word.starts_with('-') && word.ends_with('c')).map_or(rest.len(), |n| n + 1)
            }
        };
        let called = rest.get(skipped..).unwrap_or_default();
        return if called.is_empty() { Printed::Anything } else { inner(called) };
    }
    if place::is_ssh(program) {
        let plain: Vec<&str> = rest.iter().map(String::as_str).collect();
        let taken = place::ssh(&plain).map_or(rest.len(), |(_, taken)| taken);
        let called = rest.get(taken..).unwrap_or_default();
        let called = if called.first().is_some_and(|word| word == "--") { &called[1..] } else { called };
        return inner(called);
    }
    let has_exec = rest.iter().any(|word| word == "exec");
    // Other code distinguishes the place that it enters.
    if place::ENTER.contains(&program) && (program != "ip" || has_exec) {
        return Printed::Live;
    }
    if RUNNERS.contains(&program) {
        let is_named = |word: &String| word.split_whitespace().next().is_some_and(|word| LIVE.contains(&base(word)));
        return if rest.iter().any(is_named) { Printed::Live } else { Printed::Anything };
    }
    let is_set = |options: &[&str]| rest.iter().any(|word| options.contains(&word.as_str()));
    match program {
        "journalctl" | "dmesg" if reads_old_log(program, rest) => Printed::Anything,
        "journalctl" if is_set(&["-k", "--dmesg"]) => Printed::Live,
        "ip" => Printed::Nothing,
        _ if LIVE.contains(&program) => Printed::Live,
        _ if SILENT.contains(&program) || (is_filter && FILTERS.contains(&program)) => Printed::Nothing,
        _ if PRINTERS.contains(&program) || VIEWERS.contains(&program) => {
            let is_file = |word: &&String| {
                let is_named = !is_filter || program == "cat" || word.contains(['/', '.']);
                is_named && !word.starts_with('-') && !word.bytes().all(|byte| byte.is_ascii_digit())
            };
            let plain = rest.iter().filter(|word| !word.starts_with('-'));
            let skipped = usize::from(WITH_PATTERN.contains(&program));
            let files: Vec<&String> = plain.skip(skipped).filter(is_file).collect();
            match (files.first(), is_filter) {
                (None, true) => Printed::Nothing,
                (None, false) => Printed::Anything,
                _ if files.iter().all(|file| super::is_live_file(file) || is_written(file)) => Printed::Live,
                _ => Printed::Anything,
            }
        }
        _ => Printed::Anything,
    }
}

/// Whether a bare word calls a program that prints the state of the running kernel, or a file of it.
pub fn prints_state(word: &str) -> bool {
    LIVE.contains(&word) || PRINTERS.contains(&word)
}

/// Whether a program prints the files that it is given.
pub fn prints_files(program: &str) -> bool {
    PRINTERS.contains(&program)
}

/// Whether the first argument of a program is not a file.
pub fn takes_pattern(program: &str) -> bool {
    WITH_PATTERN.contains(&program)
}

/// Whether a command line prints when the host was booted, and nothing that is read otherwise.
pub fn prints_boot(typed: &str) -> bool {
    const PROGRAMS: [&str; 6] = ["uptime", "w", "who", "top", "date", "echo"];
    calls(typed).iter().all(|(words, _)| {
        let program = without_wrappers(words).first().map_or("", |word| base(word));
        PROGRAMS.contains(&program)
    })
}

/// Whether a command line prints the log of another boot or machine.
pub fn prints_old_log(typed: &str) -> bool {
    calls(typed).iter().any(|(words, _)| {
        let Some((program, rest)) = without_wrappers(words).split_first() else { return false };
        reads_old_log(base(program), rest)
    })
}

/// `journalctl -b -1`, `journalctl --file=old`, `dmesg -F old`: the arguments that name a log of another boot.
fn reads_old_log(program: &str, arguments: &[String]) -> bool {
    let begins = |options: &[&str]| arguments.iter().any(|word| options.iter().any(|option| word.starts_with(option)));
    let of_boot = arguments.iter().enumerate().find_map(|(at, word)| match word.as_str() {
        "-b" | "--boot" | "-kb" => arguments.get(at + 1).map(String::as_str).filter(|_| at + 1 < arguments.len()),
        word => word.strip_prefix("--boot=").or_else(|| word.strip_prefix("-b")),
    });
    // A boot is a number or an ID; anything else is the next option.
    let is_boot = |word: &str| {
        let number = word.trim_start_matches(['-', '+']);
        number != "0" && number.starts_with(|c: char| c.is_ascii_hexdigit()) && (word.len() < 5 || number.len() >= 32)
    };
    match program {
        "journalctl" => {
            of_boot.is_some_and(is_boot)
                || begins(&["--file", "-D", "--directory", "--root", "--image", "-M", "--machine"])
        }
        "dmesg" => begins(&["-F", "--file", "-K", "--kmsg-file"]),
        _ => false,
    }
}

/// The number of words that options take; some take the next word too.
fn options(words: &[String], with_word: &[&str]) -> usize {
    let mut at = 0;
    while let Some(word) = words.get(at).filter(|word| word.starts_with('-')) {
        at += if with_word.contains(&word.as_str()) { 2 } else { 1 };
    }
    at
}

/// A call without variables, `sudo`, `env`, `timeout` and their like.
fn without_wrappers(words: &[String]) -> &[String] {
    let mut rest = words;
    while let Some((first, behind)) = rest.split_first() {
        let name = first.split_once('=').map(|(name, _)| name);
        let is_variable = name.is_some_and(|name| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        });
        let taken = match base(first) {
            _ if is_variable => 0,
            "sudo" | "doas" => options(behind, &["-u", "-g", "-h", "-p", "-U", "-D", "-C", "-r", "-t"]),
            "timeout" => options(behind, &["-s", "-k", "--signal", "--kill-after"]) + 1,
            "nice" | "ionice" | "stdbuf" => options(behind, &["-n", "-c", "-p", "-i", "-o", "-e"]),
            "env" | "time" => options(behind, &["-u", "-o", "-f"]),
            "command" | "exec" | "nohup" | "do" | "then" | "else" | "while" | "until" | "if" | "!" => 0,
            _ => return rest,
        };
        rest = behind.get(taken..).unwrap_or_default();
    }
    rest
}

/// The calls of a line, without redirections, and whether each is behind a pipe. Quotes are taken off.
pub fn calls(line: &str) -> Vec<(Vec<String>, bool)> {
    let line = line.replace("2>&1", " ").replace("&>", " >").replace(">&", " >");
    let mut calls = Vec::new();
    let (mut words, mut word, mut quote, mut is_filter) = (Vec::new(), String::new(), None, false);
    for c in line.chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            (c, Some(_)) => word.push(c),
            ('\'' | '"', None) => quote = Some(c),
            ('#', None) if word.is_empty() => break,
            (';' | '&' | '|' | '\n', None) => {
                words.push(std::mem::take(&mut word));
                calls.push((std::mem::take(&mut words), is_filter));
                is_filter = c == '|';
            }
            ('(' | ')' | '{' | '}' | ' ' | '\t', None) => words.push(std::mem::take(&mut word)),
            (c, None) => word.push(c),
        }
    }
    words.push(word);
    calls.push((words, is_filter));
    for (words, _) in &mut calls {
        let mut is_target = false;
        words.retain(|word| {
            let is_redirection = word.contains('>') && !word.contains(' ');
            let is_kept = !word.is_empty() && !is_target && !is_redirection;
            if !word.is_empty() {
                is_target = is_redirection && word.ends_with('>');
            }
            is_kept
        });
    }
    calls
}

/// Whether a typed line ends the boot: output before it does not describe the next boot.
pub fn ends_boot(typed: &str) -> bool {
    let is_end = |words: &[String]| {
        let words = without_wrappers(words);
        let at = words.iter().position(|word| place::is_ssh(base(word)));
        let words = match at {
            Some(at) => without_wrappers(words.get(at + 2..).unwrap_or_default()),
            None => words,
        };
        let Some((program, rest)) = words.split_first() else { return false };
        let has = |options: &[&str]| rest.iter().any(|word| options.contains(&word.as_str()));
        match base(program) {
            "reboot" | "halt" | "poweroff" => !has(&["--help", "-w", "--wtmp-only"]),
            "shutdown" => !has(&["--help", "-c", "-k", "--show"]),
            "systemctl" => has(&["reboot", "kexec", "poweroff", "halt", "soft-reboot"]),
            "kexec" => has(&["-e", "--exec"]),
            "init" | "telinit" => has(&["0", "6"]),
            _ => false,
        }
    };
    typed.contains("/proc/sysrq-trigger") || calls(typed).iter().any(|(words, _)| is_end(words))
}

#[cfg(test)]
#[path = "live_tests.rs"]
mod tests;
