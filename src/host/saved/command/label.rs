//! Headings that people write above the outputs of each host: `client:`, `Host: db1`, `=== db2 ===`, `==> db1.txt <==`.

use super::super::text::bare;
use super::vocabulary::{is_neutral, is_role, is_user};
use super::{ShellCommand, live};

/// A host in a heading or an unusual prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostLabel {
    /// The name, or the role.
    pub name: String,
    /// Whether it has the form of a host's own name.
    pub is_name: bool,
    /// Whether it may be another word, unless an output follows at once.
    pub is_loose: bool,
}

/// Words that a host's name follows: `Host: db1`, `node db1`.
const BEFORE_NAME: &[&str] =
    &["host", "hostname", "server", "node", "machine", "box", "vm", "pod", "container", "client"];

/// Words before the place of a sentence: `on the client`.
const BEFORE_ROLE: &[&str] = &["on", "from", "at", "of", "the", "my", "our", "this", "that", "a"];

/// Words that tell two hosts of one role apart: `good machine`, `old server`.
#[rustfmt::skip]
const TELLING: &[&str] = &[
    "good", "bad", "working", "broken", "old", "new", "first", "second", "third", "other", "left", "right", "patched",
    "unpatched",
];

/// The shortest line that may have been wrapped, in characters.
const WRAPPED: usize = 60;

/// The longest heading, in bytes.
const LONGEST: usize = 120;

/// The host that a line names as the heading of the following lines. The lines around it matter too; `following` finds the
/// next one with words in it.
pub fn of<'t>([before, line, next]: [&str; 3], following: &dyn Fn() -> &'t str) -> Option<HostLabel> {
    let raw = line.trim_start_matches(['>', ' ', '\t']).trim_end();
    if raw.is_empty() || raw.len() > LONGEST {
        return None;
    }
    if let Some(name) = raw.strip_prefix("HOSTNAME=").or_else(|| raw.strip_prefix("HOST=")).filter(|name| is_word(name))
    {
        let is_name = name.contains(|c: char| c.is_ascii_digit());
        return Some(HostLabel { name: name.to_owned(), is_name, is_loose: false });
    }
    let is_rule = |line: &str, marks: &str| {
        let line = bare(line);
        line.len() > 2 && line.chars().all(|c| marks.contains(c))
    };
    let file = raw.strip_prefix("==> ").and_then(|rest| rest.strip_suffix(" <=="));
    let is_more = is_rule(before, ":") && is_rule(next, ":");
    // A word before anything else may be a mark of a cut, `[shortened]`.
    let begins = |label: &HostLabel| !label.is_loose || begins_output(following(), label.is_name);
    if let Some(file) = file.or_else(|| Some(raw).filter(|_| is_more)) {
        return of_file(file);
    }
    if raw.contains(['=', '/', '|', '\\', '$', '%', ';']) && !raw.contains("==") && !raw.contains("pod/") {
        return None;
    }
    let is_mark = |c: char| "=#*-~_+<>[](){}`'\"@ :\u{2500}\u{2550}".contains(c);
    let inner = raw.trim_start_matches(is_mark);
    let title = inner.trim_end_matches(is_mark);
    let is_underlined = is_rule(next, "=-~#*_\u{2500}\u{2550}");
    let is_sentence = raw.ends_with(':');
    let is_marked = is_underlined || title.len() < raw.len();
    let words: Vec<&str> = title.split_whitespace().take(15).collect();
    if words.len() > 14 || (words.len() > 4 && !is_sentence) {
        return None;
    }
    let label = named(&words).or_else(|| of_role(&words, is_sentence)).filter(begins)?;
    // A lone word within an output is a piece of it.
    let is_piece = before.trim_end().chars().count() >= WRAPPED;
    let is_alone = label.is_name && (bare(before).is_empty() || (!is_piece && begins_output(following(), false)));
    (is_marked || !label.is_loose || is_alone).then_some(label)
}

/// The host in the words of a title: `db1`, `Output from db1`, `Host: db1`, `web01 (10.0.0.5)`.
fn named(words: &[&str]) -> Option<HostLabel> {
    let trimmed = |word: &str| word.trim_matches([':', ',', '(', ')', '`', '\'', '"', '[', ']', '@']).to_owned();
    if let [pod] = words
        && pod.starts_with("pod/")
    {
        return Some(HostLabel { name: (*pod).to_owned(), is_name: false, is_loose: false });
    }
    let is_filler = |word: &&str| {
        let word = trimmed(word).to_lowercase();
        ["on", "from", "of", "at", "output", "outputs", "the", "for", "side", "data", "results"]
            .contains(&word.as_str())
    };
    let is_before_name = |word: &str| BEFORE_NAME.contains(&trimmed(word).to_lowercase().as_str());
    let mut rest: Vec<&str> = words.iter().copied().filter(|word| !is_filler(word)).collect();
    let is_placed = words.iter().any(|word| ["on", "from"].contains(&word.to_lowercase().as_str()));
    let is_labelled = rest.len() > 1 && is_before_name(rest[0]);
    if is_labelled {
        rest.remove(0);
    }
    if let [name, address] = rest.as_slice()
        && address.starts_with('(')
    {
        rest = vec![name];
    }
    let [word] = rest.as_slice() else { return None };
    let name = trimmed(word);
    if is_role(&name) {
        let name = name.to_lowercase();
        return Some(HostLabel { name, is_name: false, is_loose: false });
    }
    let is_letter = is_labelled && name.len() == 1 && name.chars().all(char::is_alphanumeric);
    if is_letter {
        let name = format!("{} {name}", trimmed(words[0]).to_lowercase());
        return Some(HostLabel { name, is_name: false, is_loose: false });
    }
    let is_address = name.parse::<std::net::IpAddr>().is_ok();
    let is_numbered = name.contains(|c: char| c.is_ascii_digit());
    let is_single = words.len() == 1 && name.starts_with(|c: char| c.is_ascii_lowercase());
    let is_host =
        is_address || (is_word(&name) && !is_neutral(&name) && (is_numbered || is_labelled || is_placed || is_single));
    let is_name = is_address || is_numbered;
    is_host.then_some(HostLabel { name, is_name, is_loose: !is_labelled })
}

/// The only role that a title or sentence names: `CLIENT`, `server side`, `netstat on the client`.
fn of_role(words: &[&str], is_sentence: bool) -> Option<HostLabel> {
    let plain: Vec<String> =
        words.iter().map(|word| word.trim_matches([':', ',', '(', ')', '.', '`', '\'', '"']).to_lowercase()).collect();
    let kind = plain.iter().find(|word| TELLING.contains(&word.as_str()));
    let is_named = |word: &str| is_role(word) || (kind.is_some() && BEFORE_NAME.contains(&word));
    let mut roles = plain.iter().enumerate().filter(|(_, word)| is_named(word));
    let (at, role) = roles.next()?;
    if roles.any(|(_, other)| other != role) {
        return None;
    }
    let before = |n: usize| at.checked_sub(n).and_then(|at| plain.get(at)).map_or("", String::as_str);
    let is_other = |word: &str| ["to", "with", "by", "for", "between", "via"].contains(&word);
    let is_place = BEFORE_ROLE.contains(&before(1)) && !is_other(before(1)) && !is_other(before(2));
    let is_title = plain.len() <= 4 && plain.iter().all(|word| word == role || is_neutral(word));
    // `server 1`, `good machine`.
    let which = plain.get(at + 1).filter(|word| word.len() <= 2 && word.chars().all(char::is_alphanumeric));
    let name = which.or(kind).map_or_else(|| role.clone(), |which| format!("{role} {which}"));
    let is_role_title = is_title || (which.is_some() && plain.len() == 2);
    (is_role_title || (is_sentence && is_place)).then_some(HostLabel { name, is_name: false, is_loose: false })
}

/// The host in a file's path: what is left of it without the names of programs and folders.
fn of_file(path: &str) -> Option<HostLabel> {
    let is_letter = |word: &&str| word.len() == 1 && word.bytes().all(|byte| byte.is_ascii_alphabetic());
    let parts = path.split(['/', '.', '_', '-', ' ']);
    let mut words: Vec<&str> = parts.filter(|word| is_letter(word) || !is_neutral(word)).take(8).collect();
    if words.iter().all(is_letter) {
        words.clear();
    }
    let name = words.join("-");
    (!name.is_empty() && !path.starts_with("/proc/")).then(|| HostLabel {
        name: name.chars().take(64).collect(),
        is_name: false,
        is_loose: true,
    })
}

/// The host in an unusual prompt: `[db1 ~]$`, `{db1} $`, `(client) #`. The line before may be its first half.
pub fn of_prompt(prompt: &str, before: &str) -> Option<HostLabel> {
    let label = |text: &str| {
        // `~/src (feature1) $`: behind a folder, brackets have a branch.
        let folder = text.find(['~', '/']).unwrap_or(text.len());
        let text = text[folder..].find('(').map_or(text, |at| &text[..folder + at]);
        let is_apart = |c: char| {
            c.is_whitespace() || "[]{}()<>@:$#%|,\u{276f}\u{279c}\u{327f}\u{250c}\u{2500}\u{256d}".contains(c)
        };
        let words = text
            .split(is_apart)
            .map(|word| word.trim_matches(['-', '=']))
            .filter(|word| !word.starts_with(['/', '~']) && word.len() > 1);
        let mut names = words.filter(|word| is_word(word) && !is_neutral(word) && !is_user(word));
        let name = names.next()?.to_owned();
        let is_name = name.contains(|c: char| c.is_ascii_digit());
        Some(HostLabel { name, is_name, is_loose: false })
    };
    let is_half = prompt.trim().chars().count() <= 3 && before.split_whitespace().count() <= 6 && {
        let begins = before.trim_start().starts_with(['\u{250c}', '\u{256d}']);
        begins || before.contains('@') || before.split_whitespace().any(|word| word.starts_with(['~', '/']))
    };
    label(prompt).or_else(|| label(before).filter(|_| is_half && !before.contains(['=', ';', '\''])))
}

fn is_word(name: &str) -> bool {
    (2..=64).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// Whether a line begins an output, or may begin one.
fn begins_output(line: &str, or_may: bool) -> bool {
    #[rustfmt::skip]
    const BEGIN: &[&str] = &[
        "State", "Netid", "Recv-Q", "Active Internet", "Tcp:", "TcpExt", "Ip:", "IpExt", "Linux ", "node_", "HELP node_",
        "TYPE node_", "#kernel", "{\"kernel\"", "sl ", "Static hostname",
    ];
    const MAY: &[&str] = &["ESTAB", "LISTEN", "TIME-WAIT", "tcp", "net."];
    let (raw, line) = (line.trim(), bare(line));
    let begins = |words: &[&str]| words.iter().any(|begin| line.starts_with(begin));
    let is_may = begins(MAY) || line.starts_with(|c: char| c.is_ascii_digit());
    begins(BEGIN) || (or_may && is_may) || ShellCommand::of_line(raw).is_some() || live::typed(raw).is_some()
}

/// Whether a line has only marks: a rule, a fence, nothing.
pub fn is_rule(line: &str) -> bool {
    bare(line).chars().all(|c| "=-~*_:#`+|\u{2500}\u{2550}".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_of_people_name_a_host() {
        for (line, expected) in [
            ("client:", Some("client")),
            ("Client", Some("client")),
            ("CLIENT:", Some("client")),
            ("server side:", Some("server")),
            ("On the server:", Some("server")),
            ("*** Sender ***", Some("sender")),
            ("**client**", Some("client")),
            ("and on the client nothing is stuck, netstat there:", Some("client")),
            ("ss (server):", Some("server")),
            ("server 1:", Some("server 1")),
            ("old server:", Some("server old")),
            ("good machine:", Some("machine good")),
            ("host A:", Some("host A")),
            ("Machine B:", Some("machine B")),
            ("VM 2:", Some("vm 2")),
            ("Host: db1", Some("db1")),
            ("Hostname: prod", Some("prod")),
            ("node db1", Some("db1")),
            ("On db1:", Some("db1")),
            ("Output from prod:", Some("prod")),
            ("db1", Some("db1")),
            ("db1:", Some("db1")),
            ("[db1]", Some("db1")),
            ("<db1>", Some("db1")),
            ("`db1`:", Some("db1")),
            ("DB1 output:", Some("DB1")),
            ("web01 (10.0.0.5):", Some("web01")),
            ("HOSTNAME=db1", Some("db1")),
            ("db1>", Some("db1")),
            ("==> db-a <==", Some("db-a")),
            ("==> a.txt <==", None),
            ("10.0.0.5:", Some("10.0.0.5")),
            ("# 10.0.0.5", Some("10.0.0.5")),
            ("alpha:", Some("alpha")),
            ("=== alpha ===", Some("alpha")),
            ("--- pod/x-1 ---", Some("pod/x-1")),
            ("==> db1.txt <==", Some("db1")),
            ("==> /tmp/hosts/db2/ss.txt <==", Some("db2")),
            ("==> alpha-netstat.txt <==", Some("alpha")),
            ("==> ss.txt <==", None),
            ("==> /tmp/netstat_before.log <==", None),
            ("==> /proc/net/netstat <==", None),
            ("Output:", None),
            ("Before:", None),
            ("after:", None),
            ("=== netstat ===", None),
            ("ss output:", None),
            ("connections:", None),
            ("Step 1:", None),
            ("step1:", None),
            ("=== part2 ===", None),
            ("sample1", None),
            ("Day 2:", None),
            ("IPv4:", None),
            ("tcp6:", None),
            ("eth0:", None),
            ("t0:", None),
            ("4.19.57:", None),
            ("Tcp:", None),
            ("TcpExt:", None),
            ("alpha", None),
            ("Hello", None),
            ("connections between client and server:", None),
            ("connections to the client:", None),
            ("The server has the problem since Monday.", None),
            ("Machine ID: 0123456789abcdef", None),
            ("NUMA node0 CPU(s): 0-3", None),
            ("net.core.somaxconn = 128", None),
            ("ESTAB 0 0 10.0.0.1:22 10.0.0.2:9", None),
            ("", None),
        ] {
            assert_eq!(of(["", line, ""], &|| "State Recv-Q").map(|label| label.name).as_deref(), expected, "{line}");
        }
        let names = |around| of(around, &|| "$ ss -tan").map(|label: HostLabel| label.name);
        assert_eq!(names(["", "CLIENT", "======"]).as_deref(), Some("client"));
        assert_eq!(names(["", "alpha", "-----"]).as_deref(), Some("alpha"));
        assert_eq!(names(["::::::::", "db1/ss.txt", "::::::::"]).as_deref(), Some("db1"));
        for (line, following) in [
            ("[shortened]", "ESTAB 0 0 10.0.0.1:22 10.0.0.2:9"),
            ("alpha:", "It hangs."),
            ("db1:", "It hangs."),
            ("db1", ""),
        ] {
            assert_eq!(of(["", line, ""], &|| following), None, "{line}");
        }
        assert_eq!(of([&"x".repeat(80), "a3", ""], &|| "State Recv-Q"), None);
        assert_eq!(of(["rto:204", "db1", ""], &|| "ESTAB 0 0"), None);
        assert_eq!(of(["rto:204", "db1", ""], &|| "Tcp:").map(|label| label.name).as_deref(), Some("db1"));
    }

    #[test]
    fn unusual_prompts_name_their_host() {
        for (prompt, before, expected) in [
            ("[db1 ~]$", "", Some("db1")),
            ("{db1} $", "", Some("db1")),
            ("[root db1 ~]#", "", Some("db1")),
            ("[db1:/tmp]$", "", Some("db1")),
            ("<db1>$", "", Some("db1")),
            ("(client) $", "", Some("client")),
            ("-db1$", "", Some("db1")),
            ("db1=>", "", Some("db1")),
            ("client ~$", "", Some("client")),
            ("@db1 #", "", Some("db1")),
            ("\u{2514}\u{2500}#", "\u{250c}\u{2500}\u{2500}(root\u{327f}db1)-[~]", Some("db1")),
            ("$", "root@db1 in ~", Some("db1")),
            ("\u{276f}", "db1 in ~", Some("db1")),
            ("(venv) $", "", None),
            ("(py39) $", "", None),
            ("~/src (feature1) $", "", None),
            ("[~]$", "", None),
            ("[root ~]#", "", None),
            ("[12:00:01] $", "", None),
            ("bash-4.2$", "", None),
            ("/tmp #", "", None),
            ("$", "ESTAB 0 0 10.0.0.1:22 10.0.0.2:9", None),
            ("#", "", None),
        ] {
            assert_eq!(of_prompt(prompt, before).map(|label| label.name).as_deref(), expected, "{prompt} {before}");
        }
    }
}
