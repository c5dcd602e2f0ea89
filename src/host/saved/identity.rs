//! Which host a text is of: `uname -a`, `uname -r`, /proc/version, `Linux version …` of a kernel's log, node_exporter's
//! `node_uname_info`, and the names in logs and prompts.

use super::command::Command;
use super::exporter;
use super::text::{bare, is_clock};

/// What a line says of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// `uname -r`.
    pub release: Option<String>,
    /// `uname -v`.
    pub build: Option<String>,
    /// `uname -m`.
    pub machine: Option<String>,
    /// `uname -n`.
    pub node: Option<String>,
    /// Where it was found.
    pub kind: Kind,
}

/// How firm a word is that a text says of its host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// What was running when it was saved.
    #[default]
    Running,
    /// What a log says, which may reach back to earlier boots.
    Logged,
    /// A host's name before lines of a log.
    Log,
    /// A host's name in a prompt.
    Prompt,
}

/// The longest release (`__NEW_UTS_LEN`, include/uapi/linux/utsname.h).
const LONGEST: usize = 64;

/// Different ones of a kind that are kept: two are too many already.
const MOST: usize = 4;

impl Identity {
    /// Whether both can be of one host: what both name agrees.
    pub fn agrees(&self, other: &Self) -> bool {
        if self.kind != other.kind {
            return true;
        }
        fn same(a: Option<&String>, b: Option<&String>, agree: impl Fn(&str, &str) -> bool) -> bool {
            a.zip(b).is_none_or(|(a, b)| agree(a, b))
        }
        // `db1` and `db1.example`; addresses have no short form.
        let stem = |name: &str| match name.starts_with(|c: char| c.is_ascii_digit() || c == '[') {
            true => name.to_owned(),
            false => name.split('.').next().unwrap_or_default().to_ascii_lowercase(),
        };
        // Some programs cut it off.
        let begins = |a: &str, b: &str| {
            let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            let (a, b) = (words(a), words(b));
            a.starts_with(&b) || b.starts_with(&a)
        };
        let is_running = self.kind == Kind::Running;
        same(self.release.as_ref(), other.release.as_ref(), |a, b| a == b)
            && same(self.node.as_ref(), other.node.as_ref(), |a, b| stem(a) == stem(b))
            && (!is_running || same(self.build.as_ref(), other.build.as_ref(), begins))
    }

    /// In words, for an error.
    pub fn words(&self) -> String {
        match (&self.node, &self.release) {
            (Some(node), Some(release)) => format!("{node} with Linux {release}"),
            (Some(node), None) => node.clone(),
            (None, Some(release)) => match &self.build {
                Some(build) => format!("Linux {release} {}", build.chars().take(60).collect::<String>()),
                None => format!("Linux {release}"),
            },
            (None, None) => "a host".to_owned(),
        }
    }
}

/// What a text says of its host, without repetitions. A bare release has to be the only line.
pub fn read(text: &str, parts: &[(Option<Command>, &str)]) -> Vec<Identity> {
    let mut found: Vec<Identity> = Vec::new();
    let mut keep = |identity: Identity| {
        let of_kind = found.iter().filter(|known| known.kind == identity.kind);
        let (number, is_known) = (of_kind.clone().count(), of_kind.clone().any(|known| *known == identity));
        if number < MOST && !is_known {
            found.push(identity);
        }
    };
    for (n, line) in text.lines().enumerate() {
        of_line(line).into_iter().for_each(&mut keep);
        // Names in front of a log's lines; a large log has the same in all of them.
        if n < 1_000_000 {
            logged_by(line).map(|node| named(node, Kind::Log)).into_iter().for_each(&mut keep);
        }
    }
    for host in parts.iter().filter_map(|(command, _)| command.as_ref()?.host.as_ref()) {
        keep(named(host, Kind::Prompt));
    }
    if found.is_empty() {
        let mut lines = text.lines().map(bare).filter(|line| !line.is_empty());
        let only = lines.next().filter(|_| lines.next().is_none());
        found.extend(only.filter(|only| is_release(only)).map(released));
    }
    // `uname -r` behind its own command line.
    for (command, part) in parts {
        if command.as_ref().is_some_and(|command| command.program == "uname") {
            let line = part.lines().map(bare).find(|line| !line.is_empty()).filter(|line| is_release(line));
            found.extend(line.map(released));
        }
    }
    found
}

fn released(release: &str) -> Identity {
    Identity { release: Some(release.to_owned()), ..Identity::default() }
}

fn named(node: &str, kind: Kind) -> Identity {
    Identity { node: Some(node.to_owned()), kind, ..Identity::default() }
}

/// `Linux <node> <release> #<build> … <machine> [processor platform] GNU/Linux`, or `Linux version <release> (…) #…`,
/// wherever it stands in the line; or node_exporter's metric.
fn of_line(line: &str) -> Option<Identity> {
    if let Some(labels) = exporter::uname(line) {
        return Some(labels);
    }
    let at = line.find("Linux ")?;
    let (before, line) = line.split_at(at);
    let rest = line.strip_prefix("Linux ")?;
    let rest = rest.split(['"', '\'', '<']).next().unwrap_or(rest).trim_end();
    let mut words = rest.split_whitespace();
    let (node, release) = (words.next()?, words.next()?);
    if !is_release(release) {
        return None;
    }
    let build = rest.find(" #").map(|at| &rest[at + 1..]);
    if node == "version" {
        // `Linux version <release> (<builder>) … #<build> <date>`; a sentence has less, and a wrapped line too.
        let build = build.filter(|_| words.next().is_some_and(|word| word.starts_with('(')))?;
        let is_whole = build.ends_with(')') || build.split(' ').next_back().is_some_and(is_year);
        // A log has a time or `kernel:` before it.
        let is_logged = before.trim_end().ends_with([']', ':']) || bare(before).len() < before.trim().len();
        let kind = if is_logged { Kind::Logged } else { Kind::Running };
        let build = is_whole.then(|| build.chars().take(200).collect());
        return Some(Identity { build, kind, ..released(release) });
    }
    // Without a comment in brackets after it, nothing comes between the release and the build.
    let build = build.filter(|_| words.next().is_some_and(|word| word.starts_with('#')))?;
    const MACHINES: &[&str] =
        &["x86_64", "i686", "i586", "i386", "aarch64", "armv7l", "armv8l", "ppc64le", "s390x", "riscv64", "ppc64"];
    let machine = build.split(' ').find(|word| MACHINES.contains(word));
    // Without its machine, the line is a sentence, or wrapped within the build.
    if machine.is_none() && !bare(before).is_empty() {
        return None;
    }
    let end = machine.and_then(|machine| build.find(&format!(" {machine}"))).unwrap_or(build.len());
    Some(Identity {
        build: machine.map(|_| build[..end].chars().take(200).collect()),
        machine: machine.map(str::to_owned),
        node: Some(node.chars().take(LONGEST).collect()),
        ..released(release)
    })
}

/// The host that a line of a system's log names: `Mar  3 04:05:06 db1 kernel: …`.
fn logged_by(line: &str) -> Option<&str> {
    let (before, _) = line.split_once(" kernel:")?;
    let mut words = before.split_whitespace().rev().take(2);
    let (node, time) = (words.next()?, words.next()?);
    let clock = time.rsplit('T').next().unwrap_or(time);
    let is_name = node.len() <= LONGEST && node.starts_with(|c: char| c.is_ascii_alphanumeric());
    (is_name && is_clock(clock)).then_some(node)
}

fn is_year(word: &str) -> bool {
    word.len() == 4 && word.bytes().all(|byte| byte.is_ascii_digit())
}

/// `4.19.57`, `5.4.0-1-amd64`, `6.1-rc2+`: two numbers at least, and nothing that no release has.
fn is_release(text: &str) -> bool {
    let is_usual = |c: char| c.is_ascii_alphanumeric() || "._+~:-".contains(c);
    text.len() <= LONGEST && text.chars().all(is_usual) && {
        let mut numbers = text.splitn(2, '.');
        let digits = |part: Option<&str>, whole: bool| {
            part.is_some_and(|part| {
                let count = part.bytes().take_while(u8::is_ascii_digit).count();
                (1..=3).contains(&count) && (!whole || count == part.len())
            })
        };
        digits(numbers.next(), true) && digits(numbers.next(), false)
    }
}

#[cfg(test)]
mod tests {
    use super::super::command::parts;
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Vec<Identity> {
        super::read(text, &parts(text))
    }

    fn release(text: &str) -> Option<String> {
        read(text).into_iter().find_map(|identity| identity.release)
    }

    #[test]
    fn releases_are_found_and_other_texts_are_none() {
        let debian = "Linux db1 4.19.0-5-amd64 #1 SMP Debian 4.19.37-5 (2019-06-19) x86_64 GNU/Linux\n";
        let found = read(debian).remove(0);
        assert_eq!(found.release.as_deref(), Some("4.19.0-5-amd64"));
        assert_eq!(found.build.as_deref(), Some("#1 SMP Debian 4.19.37-5 (2019-06-19)"));
        assert_eq!((found.machine.as_deref(), found.node.as_deref()), (Some("x86_64"), Some("db1")));
        let version = "Linux version 4.19.57 (a@b) (gcc version 8.3.0 (Debian 8.3.0-6)) #3 SMP Wed Jul 3 2019\n";
        for (text, expected) in [
            ("Linux h 3.10.0-957.el7.x86_64 #1 SMP Tue Jun 18 2019 x86_64 GNU/Linux", Some("3.10.0-957.el7.x86_64")),
            (version, Some("4.19.57")),
            (&format!("[    0.000000] {version}"), Some("4.19.57")),
            (&format!("Jun 27 12:00:00 db1 kernel: {version}"), Some("4.19.57")),
            (&format!("> > {debian}"), Some("4.19.0-5-amd64")),
            (&format!("root@db1:~# uname -a\n{debian}"), Some("4.19.0-5-amd64")),
            ("$ uname -r\n5.2.1\n$ ss -tmi\nState\n", Some("5.2.1")),
            ("5.2.1\n", Some("5.2.1")),
            ("\n 6.1.0-9-cloud-amd64 \n", Some("6.1.0-9-cloud-amd64")),
            ("5.2.1\nanother line\n", None),
            ("6\n", None),
            ("4.19.57 and more\n", None),
            ("1234.5\n", None),
            ("4.x\n", None),
            ("Linux version 4.19.40 was fine. Since the upgrade connections hang:\n", None),
            ("Linux version 4.19.5\n7 (builder@example) (gcc version 8.3.0 (GCC)) #1 SMP Wed Jul 3 2019\n", None),
            ("On Linux foo 4.19.40 #1 worked\n", None),
            ("", None),
            ("Linux is not a release #1", None),
        ] {
            assert_eq!(release(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn build_of_a_wrapped_line_is_unknown() {
        for text in [
            "Linux db1 4.9.0-9-amd64 #1 SMP Debian 4.9.168-1\n+deb9u3 (2019-06-16) x86_64 GNU/Linux\n",
            "Linux db1 4.15.0-52-generic #5\n6-Ubuntu SMP Tue Jun 4 22:49:08 UTC 2019 x86_64 GNU/Linux\n",
            "Linux version 4.9.0-9-amd64 (a@b) (gcc version 6.3.0) #1 SMP Debian 4.9.168-1\n+deb9u3 (2019-06-16)\n",
        ] {
            let found = read(text).remove(0);
            assert!(found.release.is_some() && found.build.is_none(), "{found:?}");
        }
    }

    #[test]
    fn lines_of_two_hosts_do_not_agree() {
        let uname =
            |node: &str, release: &str, build: &str| format!("Linux {node} {release} {build} x86_64 GNU/Linux\n");
        let log = |node: &str, release: &str| {
            format!("Jun 27 12:00:00 {node} kernel: Linux version {release} (a@b) #1 SMP\n")
        };
        let one = uname("db1", "4.19.57", "#1 SMP Wed Jul 3 2019");
        for (other, agree) in [
            (one.clone(), true),
            (uname("db1.example", "4.19.57", "#1 SMP"), true),
            (uname("db2", "4.19.57", "#1 SMP Wed Jul 3 2019"), false),
            (uname("db1", "5.2.1", "#1 SMP Wed Jul 3 2019"), false),
            (uname("db1", "4.19.57", "#2 SMP Thu Jul 4 2019"), false),
            (log("db1", "4.9.1"), true),
            (log("db1", "4.9.1") + &log("db1", "4.9.2"), false),
            (log("db1", "4.9.1") + &log("db2", "4.9.1"), false),
            ("root@db1:~# ss\nroot@db2:~# ss\n".to_owned(), false),
        ] {
            let found = read(&format!("{one}{other}"));
            let all = found.iter().all(|a| found.iter().all(|b| a.agrees(b)));
            assert_eq!(all, agree, "{other}: {found:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn any_text_is_read_without_a_panic(text in "(([a-z0-9:é ]{0,9}kernel: )?Linux (version )?)?[0-9a-z.é -]{0,40}( #.{0,40})?\n?.{0,20}") {
            for found in read(&text) {
                let release = found.release.unwrap_or_default();
                prop_assert!(release.len() <= LONGEST && !release.contains(char::is_control));
            }
        }
    }
}
