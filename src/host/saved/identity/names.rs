//! Lines that name their host without a kernel: `hostname`, `hostnamectl`, and prefixes of `pdsh` and `clush`.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::super::command::Part;
use super::super::text::bare;
use super::super::{details, netstat};
use super::{FoundIdentity, IdentityKind, is_release};

/// The host's name in a part's own output: that of `hostname`, `uname -n`, /etc/hostname or `hostnamectl`.
pub fn own(part: &Part<'_>) -> Option<String> {
    let lines = || part.text.lines().map(bare).filter(|line| !line.is_empty());
    // A transient name overrides the static one.
    let value = |key: &str| {
        let mut values = lines().filter_map(|line| line.strip_prefix(key).map(str::trim));
        values.find(|value| is_name(value) && *value != "n/a").map(str::to_owned)
    };
    let of_hostnamectl = value("Transient hostname:").or_else(|| value("Static hostname:"));
    let prints_name = part.command.as_ref().is_some_and(|command| command.prints_host());
    of_hostnamectl.or_else(|| lines().next().filter(|line| prints_name && is_name(line)).map(str::to_owned))
}

/// The container of the texts, if their host has the form of a container's name.
pub fn container(identities: &[FoundIdentity]) -> Option<String> {
    let is_own = |kind| matches!(kind, IdentityKind::Running | IdentityKind::Prompt);
    let mut names = identities.iter().filter(|(_, it)| is_own(it.kind)).filter_map(|(_, it)| it.node.as_deref());
    names.find(|name| is_containers(name)).map(|name| format!("container {name}"))
}

/// Docker names a host after the first twelve digits of its container, and Kubernetes after the pod: a workload's name,
/// the hash of its template and five letters, all without vowels.
fn is_containers(name: &str) -> bool {
    let is_hex = |c: char| c.is_ascii_digit() || ('a'..='f').contains(&c);
    let is_of_docker = name.len() == 12 && name.chars().all(is_hex) && name.contains(|c: char| c.is_ascii_digit());
    let is_random = |word: &str| word.chars().all(|c| "bcdfghjklmnpqrstvwxz2456789".contains(c));
    let mut words = name.rsplit('-');
    let (last, hash) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let is_hash = (8..=10).contains(&hash.len()) && is_random(hash) && hash.contains(|c: char| c.is_ascii_digit());
    is_of_docker || (last.len() == 5 && is_random(last) && is_hash && words.next().is_some())
}

/// The release that `hostnamectl` shows along with the name.
pub fn hostnamectl_release(part: &Part<'_>) -> Option<String> {
    let lines = || part.text.lines().map(bare);
    let release = lines().find_map(|line| line.strip_prefix("Kernel: Linux ")).filter(|release| is_release(release));
    release.filter(|_| lines().any(|line| line.starts_with("Static hostname:"))).map(str::to_owned)
}

fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
}

/// A text without the hosts' names that `pdsh`, `clush` and `grep` put before each line, and these names.
pub fn without_prefixes(text: &str) -> (Cow<'_, str>, Vec<String>) {
    /// The most names to return; two are too many already.
    const MOST: usize = 4;
    let mut names = BTreeSet::new();
    for line in text.lines() {
        let name = prefixed(line).filter(|(_, rest)| is_output(rest)).map(|(name, _)| name);
        names.extend(name.filter(|_| names.len() < MOST));
    }
    if names.is_empty() {
        return (Cow::Borrowed(text), Vec::new());
    }
    let mut plain = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        match prefixed(line).filter(|(name, _)| names.contains(name)) {
            Some((_, rest)) => plain.push_str(rest.strip_prefix(' ').unwrap_or(rest)),
            None => plain.push_str(line),
        }
    }
    (Cow::Owned(plain), names.into_iter().map(str::to_owned).collect())
}

/// `db1: ESTAB 0 0 …`: the name, and the text behind it.
fn prefixed(line: &str) -> Option<(&str, &str)> {
    let (name, rest) = line.trim_start_matches(['>', ' ', '\t']).split_once(':')?;
    let is_own = name.ends_with("Ext") || ["Kernel", "kernel", "Tcp", "Ip", "Udp", "Icmp"].contains(&name);
    let is_host = name.contains(|c: char| c.is_ascii_alphabetic()) || name.split('.').count() == 4;
    let is_apart = rest.is_empty() || rest.starts_with([' ', '\t']) || rest.starts_with("TcpExt");
    (is_name(name) && is_host && !is_own && is_apart).then_some((name, rest))
}

/// Whether a line can only belong to a supported output.
fn is_output(line: &str) -> bool {
    let line = bare(line);
    let words: Vec<&str> = line.split_whitespace().take(7).collect();
    let is_number = |word: &&str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
    let begins_connection =
        words.windows(4).any(|four| four[..2].iter().all(is_number) && four[2..].iter().all(|end| end.contains(':')));
    match words.as_slice() {
        [] => false,
        ["Linux", _, release, ..] => is_release(release),
        [first, ..] if first.starts_with("TcpExt") => true,
        ["State" | "Netid", "Recv-Q" | "State", ..] => true,
        [first, "=", ..] => first.starts_with("net."),
        [first, ..] if details::tells_of_a_socket(first) => true,
        _ => begins_connection || (netstat::is_sentence(line) && line.contains("SYN")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::command::parts;
    use super::*;

    #[test]
    fn hosts_are_named_by_their_own_outputs() {
        for (text, expected) in [
            ("$ hostname\ndb1\n", Some("db1")),
            ("$ hostname -f\ndb1.example.org\n", Some("db1.example.org")),
            ("$ uname -n\ndb1\n", Some("db1")),
            ("$ cat /etc/hostname\ndb1\n", Some("db1")),
            (" Static hostname: db1\n       Icon name: computer-vm\n", Some("db1")),
            (" Static hostname: db1\nTransient hostname: web\n", Some("web")),
            (" Static hostname: n/a\nTransient hostname: web\n", Some("web")),
            ("$ hostname -I\n10.0.0.1\n", None),
            ("$ uname -r\n4.19.57\n", None),
            ("$ cat notes\ndb1\n", None),
            ("db1\n", None),
        ] {
            let found = parts(text).iter().find_map(own);
            assert_eq!(found.as_deref(), expected, "{text}");
        }
        let shown = " Static hostname: db1\n          Kernel: Linux 4.15.0-58-generic\n";
        assert_eq!(hostnamectl_release(&parts(shown)[0]).as_deref(), Some("4.15.0-58-generic"));
    }

    #[test]
    fn prefixes_of_hosts_are_taken_off() {
        let ss = "db1: State Recv-Q Send-Q\ndb1: ESTAB 0 0 10.0.0.1:22 10.0.0.2:9\ndb1: \t skmem:(r0)\n";
        let plain = "State Recv-Q Send-Q\nESTAB 0 0 10.0.0.1:22 10.0.0.2:9\n\t skmem:(r0)\n";
        assert_eq!(without_prefixes(ss), (plain.into(), vec!["db1".to_owned()]));
        let both = "db1: TcpExtListenDrops 5 0.0\n10.0.0.5: TcpExtListenDrops 6 0.0\n";
        assert_eq!(without_prefixes(both).1, ["10.0.0.5", "db1"]);
        for text in [
            "TcpExt: SyncookiesSent\nTcpExt: 0\n",
            "Kernel: Linux db1 4.19.57 #1\n",
            "10.0.0.1:3306 10.0.0.2:40000\n",
            "    TCPWqueueTooBig: 31\n",
            "ESTAB 0 0 10.0.0.1:22 10.0.0.2:9\n",
            "timer:(on,12sec,7) 0 0 a:1 b:2\n",
        ] {
            assert_eq!(without_prefixes(text).1, Vec::<String>::new(), "{text}");
        }
    }
}
