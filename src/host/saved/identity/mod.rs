//! The host of a text: `uname -a`, `uname -r`, /proc/version, `Linux version …` of a kernel's log, node_exporter's
//! `node_uname_info`, and the names in logs, prompts, headings and of `hostname`.

use super::command::{Part, ShellCommand};
use super::exporter;
use super::text::{bare, is_clock};

mod agreement;
mod names;

pub use agreement::{FoundIdentity, conflict};
pub use names::{container, without_prefixes};

/// A line's statement about the host.
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
    /// Its source.
    pub kind: IdentityKind,
    /// Whether the host's own name was seen under this name too.
    pub is_alias: bool,
}

/// The source of a host's name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum IdentityKind {
    /// The running kernel at the time of saving.
    #[default]
    Running,
    /// A log, which may reach back to earlier boots.
    Logged,
    /// A host's name before lines of a log.
    Log,
    /// A host's name in a prompt.
    Prompt,
    /// The collector's name for the host: a target of `ssh`, a heading of `ansible`, a metric's `instance`.
    Called,
    /// A name or role in an author's heading, which tells hosts apart, but may not be a host's own name.
    Heading,
    /// A name in an unusual prompt, which may be another word too.
    Nickname,
}

/// The longest release (`__NEW_UTS_LEN`, include/uapi/linux/utsname.h).
const LONGEST: usize = 64;

/// The most identities of a kind to keep: two are too many already.
const MOST: usize = 4;

impl Identity {
    /// As text, for an error.
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

/// The identities of the host in a part of a text, without repetitions.
pub fn of_part(part: &Part<'_>) -> Vec<Identity> {
    /// The most lines to search for a host's name in front; a large log has the same in all of them.
    const MOST_LINES: usize = 1_000_000;
    let mut found: Vec<Identity> = Vec::new();
    let mut keep = |identity: Identity| {
        let of_kind = found.iter().filter(|known| known.kind == identity.kind);
        let (number, is_known) = (of_kind.clone().count(), of_kind.clone().any(|known| *known == identity));
        if number < MOST && !is_known {
            found.push(identity);
        }
    };
    for (n, line) in part.text.lines().enumerate() {
        exporter::hosts(line).into_iter().chain(of_line(line)).for_each(&mut keep);
        if n < MOST_LINES {
            logged_by(line).map(|node| named(node, IdentityKind::Log)).into_iter().for_each(&mut keep);
        }
    }
    names::own(part).map(|node| named(&node, IdentityKind::Running)).into_iter().for_each(&mut keep);
    names::hostnamectl_release(part).map(|release| released(&release)).into_iter().for_each(&mut keep);
    // `uname -r` and `cat /proc/sys/kernel/osrelease` behind their own command lines.
    if part.command.as_ref().is_some_and(ShellCommand::prints_release) {
        let line = part.text.lines().map(bare).find(|line| !line.is_empty()).filter(|line| is_release(line));
        line.map(released).into_iter().for_each(&mut keep);
    }
    if part.place.is_some() {
        // A container has its own name, on the kernel of its host.
        found.iter_mut().for_each(|identity| identity.node = None);
    }
    found
}

/// The release, if the text contains nothing else.
pub fn alone(text: &str) -> Option<Identity> {
    let mut lines = text.lines().map(bare).filter(|line| !line.is_empty());
    let only = lines.next().filter(|_| lines.next().is_none());
    only.filter(|only| is_release(only)).map(released)
}

/// The names of a part's host from its surroundings: the prompt's, and the collector's.
pub fn around(part: &Part<'_>, own: &[Identity]) -> Vec<Identity> {
    let prompt = part.command.as_ref().and_then(|command| command.host.as_deref()).filter(|_| part.place.is_none());
    let mut found: Vec<Identity> = prompt.map(|host| named(host, IdentityKind::Prompt)).into_iter().collect();
    let is_alias = !found.is_empty() || own.iter().any(|identity| identity.node.is_some());
    if let Some(called) = &part.called {
        found.extend(called_all(called).into_iter().map(|identity| Identity { is_alias, ..identity }));
    }
    // The headings of namespaces tell no hosts apart.
    let is_here = part.place.is_none();
    let labels = [(&part.under, IdentityKind::Heading), (&part.nickname, IdentityKind::Nickname)];
    for (label, kind) in labels.into_iter().filter(|_| is_here) {
        let Some(label) = label.as_ref().filter(|_| kind == IdentityKind::Heading || part.called.is_none()) else {
            continue;
        };
        let kinds = [Some(kind), label.is_name.then_some(IdentityKind::Called)];
        found.extend(kinds.into_iter().flatten().map(|kind| Identity { is_alias, ..named(&label.name, kind) }));
    }
    found
}

/// Whether a text has outputs above its first heading.
#[derive(Debug, Default)]
pub struct NamelessPart {
    is_read: bool,
}

impl NamelessPart {
    /// Takes a part with known contents; returns the unnamed host above a heading that certainly names one.
    pub fn take(&mut self, part: &Part<'_>) -> Option<Identity> {
        let is_prompted =
            part.command.as_ref().is_some_and(|command| command.host.is_some()) || part.nickname.is_some();
        self.is_read |= part.under.is_none() && part.called.is_none() && part.place.is_none() && !is_prompted;
        let label = part.under.as_ref().filter(|label| self.is_read && (label.is_name || !label.is_loose))?;
        Some(named(&format!("the host above \"{}\"", label.name), IdentityKind::Heading))
    }
}

/// The hosts that one name of a heading or loop represents: `db[1-4]`, `$host` and `{}` are several.
pub fn called_all(name: &str) -> Vec<Identity> {
    let mut names = vec![name.to_owned()];
    if name.contains(['[', ',']) && !name.starts_with('[') || name.contains(['$', '{', '`']) {
        names.push(format!("other hosts of {name}"));
    }
    names.iter().map(|name| named(name, IdentityKind::Called)).collect()
}

fn released(release: &str) -> Identity {
    Identity { release: Some(release.to_owned()), ..Identity::default() }
}

fn named(node: &str, kind: IdentityKind) -> Identity {
    Identity { node: Some(node.to_owned()), kind, ..Identity::default() }
}

/// `Linux <node> <release> #<build> … <machine> [processor platform] GNU/Linux`, or
/// `Linux version <release> (…) #…`, anywhere in the line.
fn of_line(line: &str) -> Option<Identity> {
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
        let kind = if is_logged { IdentityKind::Logged } else { IdentityKind::Running };
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

/// `4.19.57`, `5.4.0-1-amd64`, `6.1-rc2+`: at least two numbers, but not an address. Only 2.6 releases have four numbers.
fn is_release(text: &str) -> bool {
    let is_usual = |c: char| c.is_ascii_alphanumeric() || "._+~:-".contains(c);
    let host = text.rsplit_once(':').map_or(text, |(host, _)| host);
    let is_address = host.parse::<std::net::Ipv4Addr>().is_ok() && !host.starts_with("2.6.");
    !is_address && text.len() <= LONGEST && text.chars().all(is_usual) && {
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
    use std::path::PathBuf;

    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Vec<Identity> {
        let mut found = Vec::new();
        for part in parts(text) {
            let own = of_part(&part);
            found.extend(around(&part, &own));
            found.extend(own);
        }
        found.extend(alone(text).filter(|_| found.is_empty()));
        found
    }

    fn release(text: &str) -> Option<String> {
        read(text).into_iter().find_map(|identity| identity.release)
    }

    #[test]
    fn releases_are_found_and_addresses_are_none() {
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
            ("10.0.0.1\n", None),
            ("192.168.1.254\n", None),
            ("10.0.0.1:3306\n", None),
            ("$ uname -r\n10.0.0.1\n", None),
            ("2.6.32.71\n", Some("2.6.32.71")),
            ("5.10.16.3-microsoft-standard-WSL2\n", Some("5.10.16.3-microsoft-standard-WSL2")),
            ("docker exec web uname -r\n4.19.57\n", Some("4.19.57")),
        ] {
            assert_eq!(release(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn wrapped_line_has_no_build() {
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
    fn names_of_two_hosts_conflict() {
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
            (log("db1", "4.19.57"), true),
            (log("localhost", "4.19.57"), true),
            (log("db2", "4.19.57"), false),
            (log("db1", "4.9.1"), false),
            (log("db1", "4.9.1") + &log("db1", "4.19.57"), true),
            (log("db1", "4.19.57") + &log("db2", "4.9.1"), false),
            ("root@db1:~# ss\nroot@db2:~# ss\n".to_owned(), false),
            ("root@db1:~# ss\n".to_owned(), true),
            ("[root@db2 ~]# ss\n".to_owned(), false),
            ("db2# ss\n".to_owned(), false),
            ("root@10.0.0.5:~# ss\n".to_owned(), true),
            ("[root@localhost ~]# ss\n".to_owned(), true),
            ("$ hostname\ndb2\n".to_owned(), false),
            (" Static hostname: db2\n".to_owned(), false),
            ("$ ssh db1 nstat -az\n".to_owned(), true),
            ("$ ssh db2 nstat -az\n".to_owned(), false),
            ("$ ssh root@10.0.0.5 nstat -az\n".to_owned(), false),
            (format!("$ ssh root@10.0.0.5 nstat -az\n$ ssh root@10.0.0.5 uname -a\n{one}"), true),
            ("db2 | CHANGED | rc=0 >>\n".to_owned(), false),
            // A name of ssh's configuration.
            (format!("$ ssh prod uname -a\n{one}"), true),
            (format!("$ ssh prod uname -a\n{one}$ ssh other nstat\n"), false),
            ("---------------\ndb[1-2]\n---------------\n".to_owned(), false),
            ("# docker exec web uname -n\n0123456789ab\n".to_owned(), true),
        ] {
            let found = read(&format!("{one}{other}")).into_iter().map(|it| (PathBuf::new(), it));
            let found: Vec<FoundIdentity> = found.collect();
            let all = conflict(&found, false).is_none();
            assert_eq!(all, agree, "{other}: {found:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn reading_never_panics(text in "(([a-z0-9:é ]{0,9}kernel: )?Linux (version )?)?[0-9a-z.é -]{0,40}( #.{0,40})?\n?.{0,20}") {
            for found in read(&text) {
                let release = found.release.unwrap_or_default();
                prop_assert!(release.len() <= LONGEST && !release.contains(char::is_control));
            }
        }
    }
}
