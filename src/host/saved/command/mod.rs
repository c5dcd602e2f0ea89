//! Command lines before their output: the program, its place, and the output that its options omit.

mod boots;
mod divider;
mod folder;
mod heading;
mod label;
mod live;
mod parts;
mod place;
mod prompt;
mod replaced;
mod spelling;
mod vocabulary;

#[cfg(test)]
pub(super) use parts::command_of;
pub use parts::{Part, ended_boot, parts};

/// A command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShellCommand {
    /// The program, without its folder.
    pub program: String,
    /// Its arguments, up to a pipe.
    arguments: Vec<String>,
    /// Whether its output went through a program that may have omitted something.
    is_filtered: bool,
    /// Whether it ran `nstat` without `-a`, which prints the increments since the last run.
    pub shows_increments: bool,
    /// The host in the prompt before it: `db1` of `root@db1:~#`.
    pub host: Option<String>,
    /// The host that `ssh` ran it on.
    called: Option<String>,
    /// The network namespace or container that it ran in, if that is not the prompt's: `netns blue`.
    place: Option<String>,
    /// The file that its output went to.
    written: Option<String>,
    /// The file that it printed, if that is neither the kernel's own nor a log.
    printed: Option<String>,
}

/// Programs whose output is read, and some that people run in between: each ends the output before it.
#[rustfmt::skip]
const PROGRAMS: &[&str] = &[
    "ss", "nstat", "netstat", "uname", "sysctl", "dmesg", "journalctl", "cat", "grep", "egrep", "zgrep", "hostname",
    "hostnamectl", "ip", "date", "uptime", "free", "curl", "tcpdump", "lsof", "ethtool", "ps", "top", "head", "tail",
    "echo", "sudo", "watch", "ssh", "lscpu", "sar", "zcat", "xzcat", "bzcat",
];

/// Programs that print a file, and whose names are everyday words: they need a prompt before them.
const VIEWERS: &[&str] = &["less", "more", "zless", "bat", "tac", "nl", "sed", "awk", "jq", "strings", "cut", "sort"];

/// Programs that run another one, perhaps elsewhere.
#[rustfmt::skip]
const WRAPPERS: &[&str] = &[
    "ip", "ssh", "kubectl", "oc", "docker", "podman", "crictl", "nsenter", "watch", "timeout", "chroot", "xargs", "time",
    "lxc", "incus", "lxc-attach", "pct", "unshare", "machinectl", "nerdctl", "ctr", "mosh",
];

/// Filters that omit nothing.
const HARMLESS: &[&str] = &["cat", "tee", "ts", "less", "more", "column", "expand", "nl", "pbcopy"];

impl ShellCommand {
    /// The command line in a line of a text, with a prompt before it or without.
    pub fn of_line(line: &str) -> Option<Self> {
        /// The most words of a prompt and of wrappers.
        const MOST: usize = 12;
        if line.len() > 1000 {
            return None;
        }
        // Most lines have no command, as their first words show.
        let words: Vec<&str> = line.split_whitespace().take(MOST).collect();
        let first = prompt::length(&words);
        let program = base(words.get(first)?);
        if !PROGRAMS.contains(&program) && !WRAPPERS.contains(&program) && (first == 0 || !VIEWERS.contains(&program)) {
            return None;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let (before, rest) = words.split_at(first);
        let mut at = 0;
        let mut is_elsewhere = false;
        if WRAPPERS.contains(&program) || program == "sudo" {
            let inner = rest.iter().take(MOST).skip(1).position(|word| is_read(base(word)));
            if let Some(inner) = inner {
                is_elsewhere = program != "sudo";
                at = inner + 1;
            }
        }
        let next = rest.get(at + 1);
        let is_sentence = before.is_empty() && next.is_some_and(|word| word.ends_with([':', ',']) && word.len() > 1);
        if is_sentence {
            return None;
        }
        Some(Self::of_words(before, rest, at, is_elsewhere))
    }

    /// A line that no prompt or program begins, with a command in it: `for p in 77; do nsenter -t $p -n ss -tan`.
    fn within(line: &str) -> Option<Self> {
        if line.len() > 1000 {
            return None;
        }
        let marks = ['\'', '"', '`', '*', '=', ':', ',', '.', '(', ')'];
        let words: Vec<&str> =
            line.split_whitespace().map(|w| w.trim_matches(marks)).filter(|w| !w.is_empty()).collect();
        let is_argument = |word: &&str| {
            word.starts_with(['-', '|', '>']) || ["dst", "src", "dport", "sport", "state", "exclude"].contains(word)
        };
        let is_call = |(at, word): (usize, &&str)| {
            let is_program = ["ss", "nstat", "netstat"].contains(&base(word)) && !word.contains("/net/");
            is_program && words.get(at + 1).is_some_and(is_argument)
        };
        let at = words.iter().enumerate().position(is_call)?;
        Some(Self::of_words(&[], &words, at, true))
    }

    /// The command `rest[at]`, behind a prompt and the words that run it.
    fn of_words(before: &[&str], rest: &[&str], at: usize, is_elsewhere: bool) -> Self {
        let program = base(rest[at]);
        // Pipes and second commands may be glued to what they follow; `2>&1` is neither.
        let glue = if rest[at].ends_with(';') { "; " } else { "" };
        let tail = format!("{glue}{}", rest[at + 1..].join(" ")).replace("2>&1", "").replace("&>", ">");
        let end = tail.find(['|', ';', '&']).unwrap_or(tail.len());
        let (call, after) = tail.split_at(end);
        let mut written = after.split_once("tee ").map(|(_, file)| file.trim_start_matches("-a "));
        let mut arguments = Vec::new();
        let mut words = call.split_whitespace();
        while let Some(word) = words.next() {
            let (plain, file) = word.split_once('>').map_or((word, None), |(plain, file)| (plain, Some(file)));
            if !(plain.is_empty() || file.is_some() && plain == "2") {
                arguments.push(plain.trim_matches(['\'', '"', '`']).to_owned());
            }
            if let Some(file) = file.map(|file| file.trim_start_matches('>')) {
                let target = if file.is_empty() { words.next() } else { Some(file) };
                written = if plain == "2" { written } else { target };
                break;
            }
        }
        let written = written.and_then(|file| file.split_whitespace().next());
        let written = written.map(|file| file.trim_matches(['\'', '"', '`', ';']).to_owned());
        let is_second = rest[..at].iter().any(|word| word.contains([';', '|', '&']));
        let of_process =
            || arguments.iter().filter(|word| word.contains("/net/")).find_map(|word| place::process(word));
        // A wrapper around an unknown program, perhaps a script, stays in the same place.
        let is_script = at == 0 && WRAPPERS.contains(&program) && (program != "ip" || rest.contains(&"exec"));
        let wrapped = if is_script { rest } else { &rest[..at] };
        let mut command = Self {
            program: program.to_owned(),
            is_filtered: is_filtered(after) || is_second,
            // A command that runs elsewhere doesn't identify this prompt's host.
            host: prompt::host(before).filter(|_| is_read(program) && !is_elsewhere),
            called: place::host(wrapped),
            place: place::of(wrapped).or_else(of_process),
            arguments,
            written,
            printed: None,
            shows_increments: false,
        };
        let calls = after.split([';', '&']).map(str::split_whitespace);
        command.printed = printed(program, command.arguments.iter().map(String::as_str)).or_else(|| {
            calls.into_iter().find_map(|mut words| printed(base(words.next()?), words.take_while(|word| *word != "|")))
        });
        let mut later = after.split([';', '|', '&']).filter_map(|call| {
            let (program, options) = call.trim().split_once(' ').unwrap_or((call.trim(), ""));
            (base(program) == "nstat").then_some(options)
        });
        let is_whole = |options: &str| {
            options.split(' ').any(|word| {
                let letters = word.strip_prefix('-').filter(|letters| !letters.starts_with('-'));
                letters.is_some_and(|letters| letters.contains(['a', 'r'])) || ["--ignore", "--reset"].contains(&word)
            })
        };
        command.shows_increments = later.any(|options| !is_whole(options))
            || (program == "nstat" && !command.has('a', "ignore") && !command.has('r', "reset"));
        command
    }

    /// Whether it prints only the name of its host.
    pub fn prints_host(&self) -> bool {
        let options = || self.arguments.iter().filter(|word| word.starts_with('-'));
        let only = |letters: &str| options().all(|word| word.chars().skip(1).all(|c| letters.contains(c)));
        match self.program.as_str() {
            "hostname" => only("fs"),
            "uname" => only("n") && !self.arguments.is_empty(),
            "cat" => self.arguments.iter().any(|file| file == "/etc/hostname"),
            _ => false,
        }
    }

    /// Whether it may print only the kernel's release.
    pub fn prints_release(&self) -> bool {
        self.program == "uname" || self.arguments.iter().any(|file| file == "/proc/sys/kernel/osrelease")
    }

    /// Whether it prints a log, whose counters and connections are from an earlier time.
    pub fn prints_log(&self) -> bool {
        let is_log = |file: &String| !file.starts_with("/proc/") && is_log(file);
        self.program == "journalctl" || self.arguments.iter().any(is_log)
    }

    /// Whether the following text may be part of an output, of any program.
    pub fn shows_a_part(&self) -> bool {
        self.is_filtered
            || ["head", "tail", "grep", "egrep", "zgrep", "sed", "awk", "cut"].contains(&self.program.as_str())
    }

    /// The command whose output a report's file is named after: `ss_-peaonmi`, `netstat_-W_-neopa`.
    pub fn of_file(name: &str) -> Option<Self> {
        let words: Vec<&str> = name.split('_').filter(|word| !word.is_empty()).collect();
        let (program, arguments) = words.split_first()?;
        if !is_read(program) || !arguments.first()?.starts_with('-') {
            return None;
        }
        let stem = |word: &&str| word.split('.').next().unwrap_or_default().to_owned();
        Some(Self {
            program: (*program).to_owned(),
            arguments: arguments.iter().map(stem).collect(),
            shows_increments: *program == "nstat" && !arguments.iter().any(|word| word.contains('a')),
            ..Self::default()
        })
    }

    /// Whether one of its short options, or this long one, is given.
    pub fn has(&self, short: char, long: &str) -> bool {
        self.arguments.iter().any(|argument| match argument.strip_prefix("--") {
            Some(name) => name == long,
            None => argument.strip_prefix('-').is_some_and(|letters| letters.contains(short)),
        })
    }

    /// The omitted part of its output, as text: connections of `ss` or `netstat`, counters of `nstat`.
    pub fn leaves_out(&self) -> Option<String> {
        // Options that omit nothing; an unknown one may.
        let (letters, names): (&str, &[&str]) = match self.program.as_str() {
            "ss" => (
                "tanmpioeHOrZzTuwxdS",
                &[
                    "tcp",
                    "all",
                    "numeric",
                    "memory",
                    "processes",
                    "info",
                    "options",
                    "extended",
                    "no-header",
                    "oneline",
                ],
            ),
            "netstat" => (
                "tanpeoWvNTuwxs",
                &["tcp", "all", "numeric", "programs", "program", "timers", "extend", "wide", "verbose", "statistics"],
            ),
            "nstat" => ("azjprs", &["ignore", "zeros", "json", "pretty", "reset", "noupdate"]),
            _ => ("", &[]),
        };
        let is_harmless = |argument: &String| match argument.strip_prefix("--") {
            Some(name) => names.contains(&name),
            None => argument.chars().skip(1).all(|c| letters.contains(c)),
        };
        let is_named = !names.is_empty();
        let others = self.arguments.iter().any(|argument| !argument.starts_with('-'));
        let families = || {
            let tcp = self.has('t', "tcp");
            let other = [('u', "udp"), ('w', "raw"), ('x', "unix"), ('d', "dccp"), ('S', "sctp")];
            let one =
                [('4', "ipv4"), ('6', "ipv6"), ('l', "listening"), ('f', "family"), ('A', "query"), ('E', "events")];
            (!tcp && other.iter().any(|(short, long)| self.has(*short, long)))
                || one.iter().any(|(short, long)| self.has(*short, long))
        };
        let leaves = match self.program.as_str() {
            _ if self.shows_a_part() => true,
            _ if is_named && !self.arguments.iter().filter(|a| a.starts_with('-')).all(is_harmless) => true,
            // -F and -N take a file and a namespace, and nobody knows which.
            "ss" => others || families() || self.has('F', "filter") || self.has('s', "summary"),
            "netstat" => others || families(),
            _ => others,
        };
        leaves.then(|| format!("`{}` shows a part", self.line()))
    }

    /// The command line, shortened.
    fn line(&self) -> String {
        let words: Vec<&str> = [self.program.as_str()]
            .into_iter()
            .chain(self.arguments.iter().map(String::as_str))
            .chain(self.is_filtered.then_some("| …"))
            .collect();
        words.join(" ").chars().take(60).collect()
    }
}

fn base(word: &str) -> &str {
    let word = word.trim_matches(['\'', '"', '`', ';']);
    word.rsplit('/').next().unwrap_or(word)
}

/// The file that a program prints with these arguments, if that is neither the kernel's own nor a log.
fn printed<'a>(program: &str, arguments: impl Iterator<Item = &'a str>) -> Option<String> {
    let takes_pattern = ["grep", "egrep", "zgrep", "sed", "awk", "jq"].contains(&program);
    let prints = ["cat", "head", "tail", "zcat", "xzcat", "bzcat"].contains(&program) || VIEWERS.contains(&program);
    let is_file = |word: &&str| {
        let is_named = program == "cat" || word.contains(['/', '.']);
        is_named && !word.starts_with('-') && !word.bytes().all(|byte| byte.is_ascii_digit())
    };
    let mut files = arguments.skip(usize::from(takes_pattern)).filter(is_file);
    files.find(|file| (takes_pattern || prints) && !is_live_file(file)).map(str::to_owned)
}

/// Whether a file is the kernel's own or a log.
fn is_live_file(file: &str) -> bool {
    let is_own = ["/proc/", "/sys/", "/dev/"].iter().any(|folder| file.starts_with(folder));
    is_own || file == "/etc/hostname" || is_log(file)
}

fn is_log(file: &str) -> bool {
    let name = file.rsplit('/').next().unwrap_or(file);
    let logs = ["messages", "syslog", "kern.log", "dmesg", "journal", "boot.log"];
    file.starts_with("/var/log/") || logs.iter().any(|log| name.starts_with(log))
}

/// Whether outputs of this program are read.
fn is_read(program: &str) -> bool {
    const READ: [&str; 17] = [
        "ss",
        "nstat",
        "netstat",
        "uname",
        "sysctl",
        "dmesg",
        "journalctl",
        "cat",
        "hostname",
        "hostnamectl",
        "head",
        "tail",
        "grep",
        "egrep",
        "zgrep",
        "zcat",
        "xzcat",
    ];
    READ.contains(&program)
}

/// Whether the words behind a call omit something, or are another command.
fn is_filtered(after: &str) -> bool {
    if after.contains([';', '&']) {
        return !after.trim_matches([';', '&', ' ', '\'', '"']).is_empty();
    }
    let mut stages = after.split('|').map(str::trim).filter(|stage| !stage.is_empty());
    stages.any(|stage| !HARMLESS.contains(&base(stage.split_whitespace().next().unwrap_or_default())))
}

#[cfg(test)]
#[path = "command_tests.rs"]
mod tests;
