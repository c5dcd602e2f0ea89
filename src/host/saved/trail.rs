//! Compares the readings of all counters in a text, and in several: counters only rise until the next boot.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::command::ShellCommand;
use super::netstat;
use super::text::bare;

/// The most counters of one file and namespace.
const MAX_COUNTERS: usize = 2000;

/// The most files to compare with each other.
const MAX_FILES: usize = 16;

/// Figures that fall without a reboot.
const GAUGES: [&str; 5] = ["CurrEstab", "connections established", "Rto", "MaxConn", "DefaultTTL"];

/// The last values of all counters, by file.
#[derive(Debug, Default)]
pub struct CounterTrail {
    files: Vec<(PathBuf, BTreeMap<String, u64>)>,
}

/// Two readings that cannot be of one boot: the files, and a description of each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TwoBoots {
    /// The file of the one.
    pub first: PathBuf,
    /// A counter of it.
    pub one: String,
    /// The file of the other.
    pub second: PathBuf,
    /// The counter in the other.
    pub other: String,
}

impl CounterTrail {
    /// Takes the counters of a part of a file, with the command that printed it.
    pub fn take(&mut self, path: &Path, text: &str, command: Option<&ShellCommand>) -> Option<TwoBoots> {
        // Increments may fall.
        if command.is_some_and(|command| command.shows_increments) {
            return None;
        }
        if self.files.last().is_none_or(|(file, _)| file != path) {
            if self.files.len() >= MAX_FILES {
                return None;
            }
            self.files.push((path.to_owned(), BTreeMap::new()));
        }
        let (_, last) = self.files.last_mut()?;
        let mut fallen = None;
        for (name, value) in readings(text) {
            let is_full = last.len() >= MAX_COUNTERS;
            match last.get_mut(&name) {
                Some(before) => {
                    if value < *before && fallen.is_none() {
                        fallen = Some(TwoBoots {
                            first: path.to_owned(),
                            one: format!("a boot in which {name} was {before}"),
                            second: path.to_owned(),
                            other: format!("one in which it was {value}"),
                        });
                    }
                    *before = value;
                }
                None if is_full => {}
                None => drop(last.insert(name, value)),
            }
        }
        fallen.or_else(|| self.crossed())
    }

    /// The last file and another one, each of which is ahead of the other in some counter: no order of the two explains
    /// that.
    fn crossed(&self) -> Option<TwoBoots> {
        let ((path, last), others) = self.files.split_last()?;
        others.iter().find_map(|(other, values)| {
            let ahead = |order: fn(&u64, &u64) -> bool| {
                values.iter().find_map(|(name, value)| last.get(name).filter(|now| order(value, now)).map(|_| name))
            };
            let (down, up) = ahead(u64::gt).zip(ahead(u64::lt))?;
            Some(TwoBoots {
                first: other.clone(),
                one: format!("a boot that is ahead in {down}"),
                second: path.clone(),
                other: format!("one that is ahead in {up}"),
            })
        })
    }
}

/// The counters of `nstat`, /proc/net/netstat, `netstat -s` and node_exporter, in order.
fn readings(text: &str) -> Vec<(String, u64)> {
    let mut found = Vec::new();
    let mut names: Option<(&str, &str)> = None;
    let mut section = "";
    for line in text.lines().map(bare) {
        if let Some((group, rest)) = line.split_once(": ").filter(|(group, _)| is_group(group)) {
            match names.take().filter(|(known, _)| *known == group) {
                Some((_, names)) => {
                    let pairs = names.split_whitespace().zip(rest.split_whitespace());
                    let values =
                        pairs.filter_map(|(name, value)| Some((format!("{group}{name}"), value.parse().ok()?)));
                    found.extend(values);
                }
                None => names = Some((group, rest)),
            }
        }
        if let Some(group) = line.strip_suffix(':').filter(|group| is_group(group)) {
            section = group;
            continue;
        }
        let words: Vec<&str> = line.split_whitespace().take(4).collect();
        match words.as_slice() {
            [name, value, rate] if is_counter(name) && rate.parse::<f64>().is_ok() => {
                found.extend(value.parse().ok().map(|value| ((*name).to_owned(), value)));
            }
            [name, value] if name.starts_with("node_netstat_") => {
                let value = value.parse().ok().filter(|value: &f64| value.is_finite() && *value >= 0.0);
                found.extend(value.map(|value| ((*name).to_owned(), value as u64)));
            }
            [name, value] if !section.is_empty() && name.ends_with(':') => {
                found.extend(
                    value.parse().ok().map(|value| (format!("{section}{}", name.trim_end_matches(':')), value)),
                );
            }
            [number, ..] if !section.is_empty() && netstat::is_sentence(line) => {
                let words = line.strip_prefix(number).unwrap_or(line).trim();
                found.extend(number.parse().ok().map(|value| (format!("{section} `{words}`"), value)));
            }
            _ => {}
        }
    }
    for (at, _) in text.match_indices('"') {
        let rest = &text[at + 1..];
        let Some((name, rest)) = rest.split_once('"').filter(|(name, _)| name.len() < 64 && is_counter(name)) else {
            continue;
        };
        let digits = rest.trim_start().strip_prefix(':').map(str::trim_start);
        let value = digits.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
        found.extend(value.map(|value| (name.to_owned(), value)));
    }
    found.retain(|(name, _)| !GAUGES.iter().any(|gauge| name.contains(gauge)));
    found
}

fn is_group(name: &str) -> bool {
    ["TcpExt", "IpExt", "Tcp", "Ip", "Icmp", "Udp"].contains(&name)
}

/// `TcpExtListenDrops`, `TcpInSegs`.
fn is_counter(name: &str) -> bool {
    let begins =
        |group: &&str| name.strip_prefix(group).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_uppercase()));
    ["TcpExt", "IpExt", "Tcp", "Ip", "Icmp", "Udp"].iter().any(begins)
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn falling_counters_are_of_two_boots() {
        for (before, after, is_other) in [
            ("TcpInSegs 900 0.0\n", "TcpInSegs 5 0.0\n", true),
            ("TcpInSegs 5 0.0\n", "TcpInSegs 900 0.0\n", false),
            ("TcpInSegs 5 0.0\n", "TcpInSegs 5 0.0\n", false),
            ("TcpInSegs 900 0.0\n", "TcpOutSegs 5 0.0\n", false),
            ("TcpCurrEstab 900 0.0\n", "TcpCurrEstab 5 0.0\n", false),
            ("Tcp:\n    900 segments received\n", "Tcp:\n    5 segments received\n", true),
            ("Tcp:\n    900 connections established\n", "Tcp:\n    5 connections established\n", false),
            ("TcpExt:\n    TCPWqueueTooBig: 9\n", "TcpExt:\n    TCPWqueueTooBig: 8\n", true),
            ("TcpExt: A B\nTcpExt: 1 9\n", "TcpExt: A B\nTcpExt: 1 8\n", true),
            ("TcpExt: A B\nTcpExt: 1 9\n", "TcpExt: B A\nTcpExt: 9 1\n", false),
            (r#"{"kernel":{"TcpInSegs":900}}"#, r#"{"kernel":{"TcpInSegs":5}}"#, true),
            ("node_netstat_TcpExt_A 9\n", "node_netstat_TcpExt_A 8\n", true),
            ("node_netstat_TcpExt_A{node=\"a\"} 9\n", "node_netstat_TcpExt_A{node=\"b\"} 8\n", false),
        ] {
            let mut trail = CounterTrail::default();
            let path = Path::new("a");
            assert_eq!(trail.take(path, &format!("{before}{after}"), None).is_some(), is_other, "{before}{after}");
            let mut trail = CounterTrail::default();
            assert_eq!(trail.take(path, before, None), None);
            assert_eq!(trail.take(path, after, None).is_some(), is_other, "{before}{after}");
            // The order of files is unknown.
            let mut trail = CounterTrail::default();
            assert_eq!(trail.take(path, before, None), None);
            assert_eq!(trail.take(Path::new("b"), after, None), None, "{before}{after}");
        }
        let increments = ShellCommand::of_line("$ nstat");
        let falling = "TcpInSegs 900 0.0\nTcpInSegs 5 0.0\n";
        assert_eq!(CounterTrail::default().take(Path::new("a"), falling, increments.as_ref()), None);
    }

    #[test]
    fn files_of_two_boots_are_each_ahead() {
        let mut trail = CounterTrail::default();
        assert_eq!(trail.take(Path::new("a"), "TcpInSegs 900 0.0\nTcpOutSegs 9 0.0\n", None), None);
        let crossed = trail.take(Path::new("b"), "TcpInSegs 800 0.0\nTcpOutSegs 10 0.0\n", None).expect("two boots");
        assert_eq!(
            (crossed.one.as_str(), crossed.other.as_str()),
            ("a boot that is ahead in TcpInSegs", "one that is ahead in TcpOutSegs")
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn reading_never_panics(text in "(((TcpExt|Tcp|\"TcpA\"|node_netstat_A|é)[: ]{0,2}([0-9]{1,22}|[a-z]{1,5}|\"| ){0,5})\n){0,5}") {
            let _ = CounterTrail::default().take(Path::new("a"), &text, None);
        }
    }
}
