//! Command lines that stand before their output, and what their options leave out.

use super::text::{bare, is_clock};

/// A command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The program, without its folder.
    pub program: String,
    /// Its arguments, up to a pipe.
    arguments: Vec<String>,
    /// Whether its output went through a program that may have left something out.
    is_filtered: bool,
    /// The host in the prompt before it: `db1` of `root@db1:~#`.
    pub host: Option<String>,
    /// The network namespace or container that it ran in, where that is not the prompt's: `netns blue`.
    pub place: Option<String>,
}

/// Programs whose outputs are read, and some that people run beside them: each ends the output before it.
#[rustfmt::skip]
const PROGRAMS: &[&str] = &[
    "ss", "nstat", "netstat", "uname", "sysctl", "dmesg", "journalctl", "cat", "grep", "egrep", "zgrep", "hostname",
    "hostnamectl", "ip", "date", "uptime", "free", "curl", "tcpdump", "lsof", "ethtool", "ps", "top", "head", "tail",
    "echo", "sudo", "watch", "ssh", "lscpu", "sar",
];

/// Programs that run another one, perhaps elsewhere.
#[rustfmt::skip]
const WRAPPERS: &[&str] = &[
    "ip", "ssh", "kubectl", "oc", "docker", "podman", "crictl", "nsenter", "watch", "timeout", "chroot", "xargs", "time",
];

/// Filters that leave nothing out.
const HARMLESS: &[&str] = &["cat", "tee", "ts", "less", "more", "column", "expand", "nl", "pbcopy"];

impl Command {
    /// The command line in a line of a text, with a prompt before it or without.
    pub fn of_line(line: &str) -> Option<Self> {
        /// Words of a prompt, and of what runs the command.
        const MOST: usize = 12;
        if line.len() > 1000 {
            return None;
        }
        // Most lines are none, which their first words tell.
        let program = line.split_whitespace().take(MOST).find(|word| !is_prompt(word))?;
        if !PROGRAMS.contains(&base(program)) && !WRAPPERS.contains(&base(program)) {
            return None;
        }
        let words: Vec<&str> = line.split_whitespace().collect();
        let first = words.iter().position(|word| !is_prompt(word))?;
        let (before, rest) = words.split_at(first);
        let program = rest.first()?;
        let mut at = 0;
        let mut is_elsewhere = false;
        if WRAPPERS.contains(&base(program)) || base(program) == "sudo" {
            let inner = rest.iter().take(MOST).skip(1).position(|word| is_read(base(word)));
            if let Some(inner) = inner {
                is_elsewhere = base(program) != "sudo";
                at = inner + 1;
            }
        }
        // A sentence that begins with such a word is none; `cat x` is one.
        let next = rest.get(at + 1);
        let is_sentence = before.is_empty() && next.is_some_and(|word| word.ends_with([':', ',']) && word.len() > 1);
        if is_sentence {
            return None;
        }
        Some(Self::of_words(before, rest, at, is_elsewhere))
    }

    /// A line that no prompt or program begins, and that tells of a command in it: `for p in 77; do nsenter -t $p -n ss`.
    fn within(line: &str) -> Option<Self> {
        if line.len() > 1000 {
            return None;
        }
        let marks = ['\'', '"', '`', '*', '=', ':', ',', '.', '(', ')'];
        let words: Vec<&str> =
            line.split_whitespace().map(|w| w.trim_matches(marks)).filter(|w| !w.is_empty()).collect();
        let is_program = |word: &&str| ["ss", "nstat", "netstat"].contains(&base(word)) && !word.contains("/net/");
        let at = words.iter().position(is_program)?;
        let is_argument = |word: &&str| {
            word.starts_with(['-', '|']) || ["dst", "src", "dport", "sport", "state", "exclude"].contains(word)
        };
        words.get(at + 1).filter(|word| is_argument(word))?;
        Some(Self::of_words(&[], &words, at, true))
    }

    /// The command `rest[at]`, behind a prompt and the words that run it.
    fn of_words(before: &[&str], rest: &[&str], at: usize, is_elsewhere: bool) -> Self {
        let program = base(rest[at]);
        let host = before.iter().find_map(|word| host_of(word));
        // Pipes and second commands may be glued to what they follow; `2>&1` is neither.
        let tail = rest[at + 1..].join(" ").replace("2>&1", "").replace("&>", ">");
        let end = tail.find(['|', ';', '&']).unwrap_or(tail.len());
        let (call, after) = tail.split_at(end);
        let mut arguments = Vec::new();
        for word in call.split_whitespace() {
            let (plain, redirected) = word.split_once('>').map_or((word, false), |(plain, _)| (plain, true));
            if !(plain.is_empty() || redirected && plain == "2") {
                arguments.push(plain.trim_matches(['\'', '"', '`']).to_owned());
            }
            if redirected {
                break;
            }
        }
        let is_second = rest[..at].iter().any(|word| word.contains([';', '|', '&']));
        let copied = || arguments.iter().find_map(|word| word.strip_prefix("/proc/")?.split_once("/net/"));
        let of_process =
            || copied().filter(|(pid, _)| !["self", "1"].contains(pid)).map(|(pid, _)| format!("/proc/{pid}"));
        let place = place_of(&rest[..at]).or_else(of_process);
        Self {
            program: program.to_owned(),
            is_filtered: is_filtered(after) || is_second,
            // What is run elsewhere says nothing of the host of this prompt.
            host: host.filter(|_| is_read(program) && !is_elsewhere),
            place,
            arguments,
        }
    }

    /// Whether what follows may be a part of an output, whatever program it is of.
    pub fn shows_a_part(&self) -> bool {
        self.is_filtered || ["head", "tail", "grep", "egrep", "zgrep"].contains(&self.program.as_str())
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
            is_filtered: false,
            host: None,
            place: None,
        })
    }

    /// Whether one of its short options, or this long one, is given.
    pub fn has(&self, short: char, long: &str) -> bool {
        self.arguments.iter().any(|argument| match argument.strip_prefix("--") {
            Some(name) => name == long,
            None => argument.strip_prefix('-').is_some_and(|letters| letters.contains(short)),
        })
    }

    /// What it left out, in words: a part of the connections of `ss` or `netstat`, of the counters of `nstat`.
    pub fn leaves_out(&self) -> Option<String> {
        // Options that leave nothing out; an unknown one may.
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
            // -F and -N take a file and a namespace; nobody knows which.
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

/// Where the words before a program run it: `ip netns exec blue`, `nsenter -t 77 -n`, `docker exec web`.
fn place_of(words: &[&str]) -> Option<String> {
    /// Programs that enter a namespace, a container or another host's shell.
    #[rustfmt::skip]
    const ENTER: &[&str] = &[
        "ip", "nsenter", "docker", "podman", "kubectl", "oc", "crictl", "chroot", "lxc", "incus", "lxc-attach", "pct",
        "unshare", "machinectl", "nerdctl", "ctr", "jexec", "vzctl", "ansible",
    ];
    let at = words.iter().position(|word| ENTER.contains(&base(word)))?;
    let words: Vec<&str> = words[at..].iter().copied().filter(|word| !["sudo", "--"].contains(word)).collect();
    let name: String = match words.as_slice() {
        [ip, .., "exec", name] if base(ip) == "ip" => format!("netns {name}"),
        _ => words.join(" "),
    };
    Some(name.chars().take(64).collect())
}

fn base(word: &str) -> &str {
    let word = word.trim_matches(['\'', '"', '`']);
    word.rsplit('/').next().unwrap_or(word)
}

/// Whether outputs of this program are read.
fn is_read(program: &str) -> bool {
    ["ss", "nstat", "netstat", "uname", "sysctl", "dmesg", "journalctl", "cat"].contains(&program)
}

/// `$`, `#`, `root@db1:~#`, `[root@db1`, `~]#`, `LC_ALL=C`, a time.
fn is_prompt(word: &str) -> bool {
    word.ends_with(['$', '#', '%', '>', '\u{276f}'])
        || word.contains('@')
        || word.starts_with('[')
        || word.ends_with(']')
        || is_clock(word)
        || word
            .split_once('=')
            .is_some_and(|(name, _)| !name.is_empty() && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'))
}

/// `db1` of `root@db1:~#` and `[root@db1`.
fn host_of(word: &str) -> Option<String> {
    let (_, host) = word.split_once('@')?;
    let host: String = host.chars().take_while(|c| c.is_ascii_alphanumeric() || "-_.".contains(*c)).collect();
    (!host.is_empty()).then_some(host)
}

/// Whether what is behind a call leaves something out, or is another command.
fn is_filtered(after: &str) -> bool {
    if after.contains([';', '&']) {
        return !after.trim_matches([';', '&', ' ', '\'', '"']).is_empty();
    }
    let mut stages = after.split('|').map(str::trim).filter(|stage| !stage.is_empty());
    stages.any(|stage| !HARMLESS.contains(&base(stage.split_whitespace().next().unwrap_or_default())))
}

/// A text's parts, each with the command line that stands before it.
pub fn parts(text: &str) -> Vec<(Option<Command>, &str)> {
    /// Command lines of one text.
    const MOST: usize = 10_000;
    let mut parts = Vec::new();
    let (mut begin, mut at, mut command) = (0, 0, None);
    for line in text.split_inclusive('\n') {
        let end = at + line.len();
        let found = (parts.len() < MOST).then(|| of_pasted(line)).flatten();
        if let Some(found) = found {
            parts.push((command.replace(found), &text[begin..at]));
            begin = end;
        }
        at = end;
    }
    parts.push((command, &text[begin..]));
    parts
}

/// A prompt may look like a mark of a quotation: `# ss -tmi`, `> $ ss -tmi`.
fn of_pasted(line: &str) -> Option<Command> {
    let marked = line.trim_start_matches(['>', '|', ' ', '\t']);
    Command::of_line(marked).or_else(|| Command::of_line(bare(line))).or_else(|| Command::within(line))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn command_lines_are_found_behind_prompts() {
        for (line, program, host) in [
            ("$ ss -tanmio", "ss", None),
            ("# /usr/sbin/ss -tanmio", "ss", None),
            ("root@db1:~# nstat -az", "nstat", Some("db1")),
            ("[root@db1 ~]# LC_ALL=C netstat -s", "netstat", Some("db1")),
            ("> $ sudo ss -tmi", "ss", None),
            ("ss -s", "ss", None),
            ("me@laptop:~$ ssh db1 ss -tanmio", "ss", None),
            ("ip netns exec blue ss -tmi", "ss", None),
            ("kubectl exec pod -- nstat -az", "nstat", None),
            ("12:00:01 # ss -tmi", "ss", None),
        ] {
            let found = of_pasted(line).unwrap_or_else(|| panic!("{line}"));
            assert_eq!((found.program.as_str(), found.host.as_deref()), (program, host), "{line}");
        }
        for (line, place) in [
            ("# ip netns exec blue nstat -az", Some("netns blue")),
            ("sudo ip netns exec blue nstat -az", Some("netns blue")),
            ("$ kubectl exec web -- ss -tanmio", Some("kubectl exec web")),
            ("# nsenter -t 77 -n ss -tanmio", Some("nsenter -t 77 -n")),
            ("# /usr/sbin/ip netns exec blue nstat -az", Some("netns blue")),
            ("# timeout 5 ip netns exec blue nstat -az", Some("netns blue")),
            ("# /usr/bin/docker exec web nstat -az", Some("/usr/bin/docker exec web")),
            ("# sudo -n nsenter -t 77 -n nstat -az", Some("nsenter -t 77 -n")),
            ("# ssh db1 docker exec web nstat -az", Some("docker exec web")),
            ("# lxc exec web -- nstat -az", Some("lxc exec web")),
            ("# for p in 77 78; do nsenter -t $p -n nstat -az; done", Some("nsenter -t $p -n")),
            ("# cat /proc/1234/net/netstat", Some("/proc/1234")),
            ("# cat /proc/self/net/netstat", None),
            ("$ ssh db1 ss -tanmio", None),
            ("# sudo ss -tanmio", None),
        ] {
            assert_eq!(of_pasted(line).expect("a command").place.as_deref(), place, "{line}");
        }
        for line in
            ["ESTAB 0 0 10.0.0.1:1 10.0.0.2:2", "# ESTAB 0 0 10.0.0.1:1 10.0.0.2:2", "TcpExt:", "", "> a", "#kernel"]
        {
            assert_eq!(of_pasted(line), None, "{line}");
        }
    }

    #[test]
    fn filters_are_said_to_leave_something_out() {
        for (line, leaves_out) in [
            ("ss -tanmio", false),
            ("ss --tcp --all --memory", false),
            ("ss -tmi dst 10.0.0.2", true),
            ("ss -tmi state established", true),
            ("ss -ltn", true),
            ("ss -4tn", true),
            ("ss -u", true),
            ("ss -tu", false),
            ("ss -tmi | grep 3306", true),
            ("ss -tmi | tee ss.txt", false),
            ("ss -tmi | head -20", true),
            ("ss -tmi > ss.txt", false),
            ("nstat -az", false),
            ("nstat -az 'TcpExtListen*'", true),
            ("nstat -az | grep -i listen", true),
            ("netstat -W -neopa", false),
            ("netstat -lnt", true),
            ("netstat -s | grep SYN", true),
            ("ss -tanmio|head", true),
            ("$ ss -tanmio > /tmp/x && head -3 /tmp/x", true),
            ("$ ss -tanmio>ss.txt; head -3 ss.txt", true),
            ("ss -tanmio 2>&1 | head -3", true),
            ("ss -tanmio 2>&1", false),
            ("ss -tanmio 2>/dev/null", false),
            ("ss -tanmio|cat", false),
            ("ss -tanmio --family=inet6", true),
            ("ss -tanmio --net=blue", true),
            ("ss -tmi -B", true),
            ("netstat -tanop --inet6", true),
            ("$ head -5 ss.txt", true),
            ("$ cat ss.txt | head -3", true),
            ("$ date; ss -tmi", true),
            ("db1:~ # ss -tmi dst 198.51.100.9", true),
            ("# doas ss -tmi dst 198.51.100.9", true),
            ("Output of `ss -tmi dst 198.51.100.9`:", true),
            ("Output of `ss -tanmio`:", false),
            ("=== ss -tanmio ===", false),
            ("db1:~ # ss -tanmio", false),
        ] {
            let command = of_pasted(line).unwrap_or_else(|| panic!("{line}"));
            assert_eq!(command.leaves_out().is_some(), leaves_out, "{line}");
        }
        let named = Command::of_file("ss_-peaonmi").expect("a command");
        assert!(named.has('m', "memory") && named.leaves_out().is_none());
        assert_eq!(Command::of_file("ss.txt"), None);
    }

    #[test]
    fn a_text_is_divided_at_its_commands() {
        let text = "a\n$ uname -a\nb\n$ ss -tmi\nc\nd\n";
        let parts: Vec<_> = parts(text).into_iter().map(|(c, part)| (c.map(|c| c.program), part)).collect();
        let expected = [(None, "a\n"), (Some("uname".to_owned()), "b\n"), (Some("ss".to_owned()), "c\nd\n")];
        assert_eq!(parts, expected);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn any_text_is_divided_without_losing_a_line(text in "(([$#>|@=é]|ss|nstat|-t|'| |a){0,9}\n?){0,6}") {
            let commands = parts(&text).len() - 1;
            let kept: usize = parts(&text).iter().map(|(_, part)| part.lines().count()).sum();
            prop_assert_eq!(kept + commands, text.lines().count());
            let _ = Command::of_file(&text);
        }
    }
}
