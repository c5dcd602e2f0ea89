//! `nstat` of iproute2, as text and as JSON, and copies of /proc/net/netstat: lists of counters by name.
//!
//! Only a complete list proves that a counter is absent.

use super::command::ShellCommand;
use super::text::bare;
use crate::host::counters::{Absence, TcpExtCounters};

/// Counters of TcpExt that every kernel since 2.6.32 has, from the list's beginning to its end (net/ipv4/proc.c): a list
/// without one of them is incomplete.
#[rustfmt::skip]
const EVERYWHERE: &[&str] = &[
    "SyncookiesSent", "SyncookiesRecv", "SyncookiesFailed", "EmbryonicRsts", "PruneCalled", "OutOfWindowIcmps", "TW",
    "DelayedACKs", "ListenOverflows", "ListenDrops", "TCPHPHits", "TCPPureAcks", "TCPLostRetransmit", "TCPTimeouts",
    "TCPAbortOnData", "TCPAbortOnTimeout",
];

/// A list of counters.
#[derive(Default)]
struct CounterList<'a> {
    values: Vec<(&'a str, u64)>,
    /// Whether a counter's number could not be read.
    is_broken: bool,
}

/// The counters, if the text is one of `nstat`: `TcpExt<name> <value> <rate>` a line, or `{"kernel": {…}}`.
pub fn read(text: &str, command: Option<&ShellCommand>) -> Option<TcpExtCounters> {
    let mut list = from_lines(text);
    list.add(from_json(text));
    if list.values.is_empty() {
        return None;
    }
    list.is_broken = command.is_some_and(ShellCommand::shows_a_part) || list.is_broken;
    // Increments of zero do not describe the time before.
    if command.is_some_and(|command| command.shows_increments) || shows_increments(text) {
        list.values.retain(|(_, value)| *value > 0);
        list.is_broken = true;
    }
    let command = command.filter(|command| command.program == "nstat");
    // The group IpExt follows (net/ipv4/proc.c): if it does not, the list was cut off or filtered.
    list.is_broken |= !text.contains("IpExt") || command.is_some_and(|command| command.leaves_out().is_some());
    Some(list.counters())
}

/// Whether a list without its command can only be one of increments (`nstat -z`): it has received segments, but no
/// connection, reset or bad segment that would explain them.
fn shows_increments(text: &str) -> bool {
    let value = |name: &str| {
        let (_, rest) = text.split_once(name)?;
        let rest = rest.strip_prefix('"').map_or(rest, |rest| rest.trim_start().trim_start_matches(':')).trim_start();
        rest.split(|c: char| !c.is_ascii_digit()).next()?.parse::<u64>().ok()
    };
    const EXPLAIN: [&str; 5] = ["TcpActiveOpens", "TcpPassiveOpens", "TcpAttemptFails", "TcpInErrs", "TcpOutRsts"];
    value("TcpInSegs").is_some_and(|segments| segments > 0) && EXPLAIN.iter().all(|name| value(name) == Some(0))
}

impl<'a> CounterList<'a> {
    fn add(&mut self, other: Self) {
        self.values.extend(other.values);
        self.is_broken |= other.is_broken;
    }

    /// Of several values of a counter, the largest, which is the latest.
    fn counters(mut self) -> TcpExtCounters {
        self.values.sort_unstable();
        let is_whole =
            !self.is_broken && EVERYWHERE.iter().all(|name| self.values.iter().any(|(known, _)| known == name));
        // Without -z there are no zeros, and without -a none either.
        let absent = if is_whole { Absence::NotThere } else { Absence::Nothing };
        TcpExtCounters::of(self.values.into_iter(), absent)
    }
}

fn from_lines(text: &str) -> CounterList<'_> {
    let mut list = CounterList::default();
    // Lines between counters may replace others: `[300 lines elided]`.
    let mut is_interrupted = false;
    for line in text.lines().map(bare) {
        if !line.contains("TcpExt") {
            is_interrupted |= !line.is_empty();
            continue;
        }
        let words: Vec<&str> = line.split_ascii_whitespace().take(8).collect();
        // Perhaps behind a file's name and a colon (`grep`).
        let of_name =
            |word: &'_ str| word.rsplit(':').next().and_then(|word| word.strip_prefix("TcpExt")).map(str::len);
        let Some(at) = words.iter().position(|word| of_name(word).is_some_and(|length| length > 0)) else { continue };
        let name = &words[at][words[at].len() - of_name(words[at]).unwrap_or(0)..];
        if !name.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            continue;
        }
        list.is_broken |= std::mem::take(&mut is_interrupted) && !list.values.is_empty();
        let is_rate = words.get(at + 2).is_some_and(|rate| rate.parse::<f64>().is_ok()) && words.len() == at + 3;
        match words.get(at + 1).and_then(|value| value.parse().ok()) {
            Some(value) if is_rate => list.values.push((name, value)),
            _ => list.is_broken = true,
        }
    }
    list
}

/// `"TcpExtListenDrops": 5`, anywhere: the document may be quoted or cut off.
fn from_json(text: &str) -> CounterList<'_> {
    let mut list = CounterList::default();
    for (at, before) in text.match_indices("\"TcpExt") {
        let rest = &text[at + before.len()..];
        let Some((name, rest)) = rest.split_once('"').filter(|(name, _)| name.len() < 64) else { continue };
        let Some(value) = rest.trim_start().strip_prefix(':') else { continue };
        let value = value.trim_start();
        let digits = value.bytes().take_while(u8::is_ascii_digit).count();
        let is_ended = value[digits..].starts_with(|c: char| c == ',' || c == '}' || c.is_whitespace());
        match value[..digits].parse() {
            Ok(value) if is_ended => list.values.push((name, value)),
            _ => list.is_broken = true,
        }
    }
    list
}

/// A copy of /proc/net/netstat, perhaps wrapped: the names behind `TcpExt:`, then the values behind another one. None
/// if the text has no such pair, or if the two do not match.
pub fn from_proc(text: &str) -> Option<TcpExtCounters> {
    let mut groups: Vec<Vec<&str>> = Vec::new();
    let mut is_in = false;
    for line in text.lines().map(bare) {
        let words = match line.split_once(':') {
            Some(("TcpExt", rest)) => {
                groups.push(Vec::new());
                is_in = true;
                rest
            }
            Some(_) => {
                is_in = false;
                continue;
            }
            None => line,
        };
        let is_plain = |word: &str| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        is_in &= words.split_ascii_whitespace().all(is_plain);
        if let Some(group) = groups.last_mut().filter(|_| is_in) {
            group.extend(words.split_ascii_whitespace());
        }
    }
    // Several copies, one after another: the largest values are the latest.
    let mut list = CounterList::default();
    for pair in groups.chunks(2) {
        let [names, values] = pair else {
            list.is_broken = true;
            continue;
        };
        if names.is_empty() || names.len() != values.len() {
            return None;
        }
        let values = names.iter().zip(values).map(|(name, value)| Some((*name, value.parse().ok()?)));
        list.values.extend(values.collect::<Option<Vec<_>>>()?);
    }
    (!list.values.is_empty()).then(|| list.counters())
}

#[cfg(test)]
mod tests {
    use super::super::command::command_of;
    use super::*;
    use crate::host::Count;
    use proptest::prelude::*;

    fn whole(value: u64, line: impl Fn(&str, u64) -> String) -> String {
        let one = |name: &&str| line(name, if *name == "SyncookiesSent" { value } else { 0 });
        EVERYWHERE.iter().map(one).collect()
    }

    fn lines(value: u64) -> String {
        format!(
            "#kernel\n{}IpExtInOctets 5 0.0\n",
            whole(value, |name, value| format!("TcpExt{name:<26}{value:<18} 0.0\n"))
        )
    }

    fn json(value: u64) -> String {
        let list = whole(value, |name, value| format!("\"TcpExt{name}\":{value},"));
        format!("{{\"kernel\":{{{list}\"IpExtInOctets\":5}}}}")
    }

    fn get(text: &str, name: &str) -> Count {
        read(text, None).expect("counters").get(name)
    }

    #[test]
    fn whole_list_tells_which_counters_are_absent() {
        for text in [lines(3), json(3), lines(3).replace('\n', "\n> "), lines(3).replace('\n', "\n1725877589.825149 ")]
        {
            assert_eq!(get(&text, "SyncookiesSent"), Count::Is(3), "{text}");
            assert_eq!(get(&text, "ListenDrops"), Count::Is(0), "{text}");
            assert_eq!(get(&text, "TCPWqueueTooBig"), Count::NotThere, "{text}");
        }
    }

    #[test]
    fn absence_from_a_partial_list_is_unknown() {
        let nstat = |line: &str| command_of(line);
        for (text, command) in [
            (lines(3).replace("TcpExtTCPTimeouts", "TcpExtTCPOther"), None),
            (json(3).replace("TCPTimeouts", "TCPOther"), None),
            (lines(3).replace("TcpExtTW                        0", "TcpExtTW    1,000"), None),
            ("TcpExtListenOverflows 57 0.0\nIpExtInOctets 5 0.0\n".to_owned(), None),
            (lines(3).replace("IpExt", "Icmp"), None),
            (lines(3).replace("TcpExtTW ", "[300 lines elided]\nTcpExtTW "), None),
            (json(3).replace(",\"IpExtInOctets\":5}", ""), None),
            (r#"{"kernel":{"TcpExtListenOverflows":0,"TcpExtListenDrops":0}}"#.to_owned(), None),
            (r#"{"kernel":{"TcpExtListenOverflows":57,"TcpExtListenDr"#.to_owned(), None),
            (lines(3), nstat("nstat -z")),
            (lines(3), nstat("nstat -az > /dev/null; sleep 60; nstat -z")),
            (lines(3), nstat("nstat -az 'Tcp*'")),
            (lines(3), nstat("nstat -az | grep -v 0")),
        ] {
            let counters = read(&text, command.as_ref()).expect("counters");
            assert_eq!(counters.get("TCPWqueueTooBig"), Count::Unknown, "{command:?} {text}");
        }
        // Nothing was added since the last run.
        for line in ["nstat -z", "nstat -az > first; sleep 60; nstat -z", "(nstat > /dev/null; sleep 1; nstat -z)"] {
            let counters = read(&lines(0), nstat(line).as_ref());
            assert!(counters.is_none_or(|counters| counters.get("SyncookiesSent") == Count::Unknown), "{line}");
        }
        // The options are unknown, but segments without any connection cannot be all since the boot.
        let tcp = |opens: u32| {
            format!("TcpActiveOpens {opens} 0.0\nTcpPassiveOpens 0 0.0\nTcpAttemptFails 0 0.0\nTcpInSegs 7 0.0\n")
                + "TcpInErrs 0 0.0\nTcpOutRsts 0 0.0\n"
        };
        for (opens, expected) in [(0, Count::Unknown), (1, Count::Is(0))] {
            let listed = format!("{}{}", tcp(opens), lines(0).trim_start_matches("#kernel\n"));
            let counters = read(&listed, None);
            assert_eq!(
                counters.map_or(Count::Unknown, |counters| counters.get("SyncookiesSent")),
                expected,
                "{listed}"
            );
        }
        for bad in ["", "{", "{}", "[]", r#"{"kernel":{}}"#, "TcpExt 1 2 3\n", "TcpExtListenDrops 5", "TcpExt:\n"] {
            assert_eq!(read(bad, None), None, "{bad:?}");
        }
    }

    #[test]
    fn netstat_copies_are_read_wrapped_and_quoted() {
        let names: String = EVERYWHERE.iter().map(|name| format!(" {name}")).collect();
        let values: String = (0..EVERYWHERE.len()).map(|n| format!(" {n}")).collect();
        let copy = format!("TcpExt:{names}\nTcpExt:{values}\nIpExt: A\nIpExt: 1\n");
        let wrapped = copy.replace(" TW ", "\nTW ").replace(" 9", "\n9");
        for text in [copy.clone(), wrapped, copy.replace('\n', "\n> ")] {
            let counters = from_proc(&text).expect("counters");
            assert_eq!(
                (counters.get("ListenOverflows"), counters.get("TCPWqueueTooBig")),
                (Count::Is(8), Count::NotThere)
            );
        }
        let later = copy.replace(" 8 ", " 80 ");
        for twice in [format!("{copy}{later}"), format!("{later}{copy}")] {
            assert_eq!(from_proc(&twice).expect("counters").get("ListenOverflows"), Count::Is(80));
        }
        let short = from_proc("TcpExt: SyncookiesSent\nTcpExt: 0\n").expect("counters");
        assert_eq!((short.get("SyncookiesSent"), short.get("TCPWqueueTooBig")), (Count::Is(0), Count::Unknown));
        for none in ["", "TcpExt: A\n", "TcpExt: A B\nTcpExt: 1\n", "TcpExt: A\nTcpExt: x\n", "IpExt: A\nIpExt: 1\n"] {
            assert_eq!(from_proc(none), None, "{none:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn reading_never_panics(text in "(\\{\"kernel\":)?((\\{)?\"?(Tcp|Ip)Ext[a-zA-Zé]{0,9}[\": ]{0,3}[0-9]{0,22} [0-9.]{0,4}\n?){0,4}") {
            let _ = read(&text, None);
            let _ = from_proc(&text);
        }
    }
}
