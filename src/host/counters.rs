//! Counters of a network namespace, by name. Kernels have different counters, so the absence of one is information, not
//! zero.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Counters of the group `TcpExt` (net/ipv4/proc.c) that concern the bugs.
pub const WATCHED: [&str; 6] =
    ["TCPWqueueTooBig", "SyncookiesSent", "SyncookiesRecv", "SyncookiesFailed", "ListenOverflows", "ListenDrops"];

/// The counters of one namespace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TcpExtCounters {
    /// The counters of [`WATCHED`] that were seen.
    pub values: BTreeMap<String, u64>,
    /// The meaning of a counter's absence from `values`.
    pub absent_means: Absence,
}

/// The meaning of a counter's absence, which depends on the program that listed the counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Absence {
    /// The kernel does not have it.
    NotThere,
    /// It is zero, or the kernel does not have it: `netstat -s`, and `nstat` without `-z`, leave zeros out.
    ZeroOrNotThere,
    /// Unknown: the list was cut short.
    Nothing,
}

/// One counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// It had this value.
    Is(u64),
    /// It was zero, or the kernel does not have it.
    ZeroOrNotThere,
    /// The kernel does not have it.
    NotThere,
    /// It was not seen.
    Unknown,
}

impl TcpExtCounters {
    /// The counter with this name, one of [`WATCHED`].
    pub fn get(&self, name: &str) -> Count {
        match (self.values.get(name), self.absent_means) {
            (Some(value), _) => Count::Is(*value),
            (None, Absence::NotThere) => Count::NotThere,
            (None, Absence::ZeroOrNotThere) => Count::ZeroOrNotThere,
            (None, Absence::Nothing) => Count::Unknown,
        }
    }

    /// The watched counters of a list.
    pub(super) fn of<'a>(all: impl Iterator<Item = (&'a str, u64)>, absent_means: Absence) -> Self {
        let kept = all.filter(|(name, _)| WATCHED.contains(name)).map(|(name, value)| (name.to_owned(), value));
        Self { values: kept.collect(), absent_means }
    }
}

/// Reads /proc/net/netstat: pairs of lines, `TcpExt: name…` and `TcpExt: value…`. None if there is no such pair, or if
/// its lines differ in length, as in a file that was cut short.
pub fn from_proc(text: &str) -> Option<TcpExtCounters> {
    // A line without its end may have lost digits of its last number.
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let mut lines = whole.filter_map(|line| line.strip_prefix("TcpExt:"));
    let names: Vec<&str> = lines.next()?.split_ascii_whitespace().collect();
    let values: Vec<&str> = lines.next()?.split_ascii_whitespace().collect();
    if names.len() != values.len() || names.is_empty() {
        return None;
    }
    let mut pairs = Vec::with_capacity(names.len());
    for (name, value) in names.into_iter().zip(values) {
        pairs.push((name, value.parse().ok()?));
    }
    Some(TcpExtCounters::of(pairs.into_iter(), Absence::NotThere))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn counters_are_read_by_name_and_absence_is_not_zero() {
        let text = "TcpExt: SyncookiesSent Foo TCPWqueueTooBig\nTcpExt: 3 9 7\nIpExt: InNoRoutes\nIpExt: 1\n";
        let counters = from_proc(text).expect("counters");
        assert_eq!(counters.get("SyncookiesSent"), Count::Is(3));
        assert_eq!(counters.get("TCPWqueueTooBig"), Count::Is(7));
        assert_eq!(counters.get("ListenDrops"), Count::NotThere);
        assert!(!counters.values.contains_key("Foo"));
    }

    #[test]
    fn truncated_table_is_none() {
        for text in [
            "",
            "TcpExt: SyncookiesSent\n",
            "TcpExt: SyncookiesSent ListenDrops\nTcpExt: 3\n",
            "TcpExt: SyncookiesSent\nTcpExt: 3",
            "TcpExt: SyncookiesSent\nTcpExt: many\n",
            "TcpExt:\nTcpExt:\n",
            "IpExt: A\nIpExt: 1\n",
        ] {
            assert_eq!(from_proc(text), None, "{text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn reading_never_panics(text in "(TcpExt:[ a-zA-Z0-9]{0,40}\n?){0,4}.{0,80}") {
            let _ = from_proc(&text);
        }
    }
}
