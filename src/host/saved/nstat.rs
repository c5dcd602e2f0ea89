//! `nstat -az` of iproute2, as text and as JSON.

use serde_json::Value;

use crate::host::counters::{Absence, Counters};

/// The counters, where the text is one of `nstat`: `TcpExt<name> <value> <rate>` a line, or `{"kernel": {…}}`.
pub fn read(text: &str) -> Option<Counters> {
    if text.trim_start().starts_with('{') { from_json(text) } else { from_text(text) }
}

fn from_json(text: &str) -> Option<Counters> {
    let document: Value = serde_json::from_str(text).ok()?;
    // The key is the name of the source, which is `kernel` unless a user gave another.
    let groups = document.as_object()?.values().filter_map(Value::as_object);
    let all: Vec<(&str, u64)> = groups
        .flat_map(|group| group.iter())
        .filter_map(|(name, value)| Some((name.strip_prefix("TcpExt")?, value.as_u64()?)))
        .collect();
    if all.is_empty() {
        return None;
    }
    let absent = absence(&all);
    Some(Counters::of(all.into_iter(), absent))
}

fn from_text(text: &str) -> Option<Counters> {
    // A line without its end may have lost digits.
    let lines = || text.split_inclusive('\n').filter(|line| line.ends_with('\n')).filter_map(line);
    let all: Vec<(&str, u64)> =
        lines().filter_map(|(name, value)| Some((name.strip_prefix("TcpExt")?, value))).collect();
    if all.is_empty() {
        return None;
    }
    // The group IpExt follows (net/ipv4/proc.c): where it does not, the list was cut or filtered.
    let is_whole = lines().any(|(name, _)| name.starts_with("IpExt"));
    let absent = if is_whole { absence(&all) } else { Absence::Nothing };
    Some(Counters::of(all.into_iter(), absent))
}

/// Without `-z` there are no zeros.
fn absence(all: &[(&str, u64)]) -> Absence {
    if all.iter().any(|(_, value)| *value == 0) { Absence::NotThere } else { Absence::ZeroOrNotThere }
}

fn line(line: &str) -> Option<(&str, u64)> {
    let mut words = line.split_ascii_whitespace();
    let (name, value, rate) = (words.next()?, words.next()?.parse().ok()?, words.next()?);
    (words.next().is_none() && rate.parse::<f64>().is_ok()).then_some((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Count;
    use proptest::prelude::*;

    const TEXT: &str = "#kernel\nTcpExtSyncookiesSent            0                  0.0\n\
                        TcpExtTCPWqueueTooBig           12                 0.0\nIpExtInOctets  5  0.0\n";

    #[test]
    fn both_forms_are_read_and_what_is_absent_depends_on_the_form() {
        let counters = read(TEXT).expect("counters");
        assert_eq!(counters.get("TCPWqueueTooBig"), Count::Is(12));
        assert_eq!(counters.get("SyncookiesSent"), Count::Is(0));
        assert_eq!(counters.get("ListenDrops"), Count::NotThere);
        let json = r#"{"kernel":{"TcpExtTCPWqueueTooBig":12,"IpExtInOctets":5}}"#;
        let counters = read(json).expect("counters");
        assert_eq!(counters.get("TCPWqueueTooBig"), Count::Is(12));
        assert_eq!(counters.get("SyncookiesSent"), Count::ZeroOrNotThere);
        let cut = &TEXT[..TEXT.find("IpExt").expect("there")];
        assert_eq!(read(cut).expect("counters").get("ListenDrops"), Count::Unknown);
        for bad in ["", "{", "{}", "[]", r#"{"kernel":{}}"#, "TcpExt 1 2 3\n", "TcpExtListenDrops 5"] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn any_text_is_read_without_a_panic(text in "(\\{\"kernel\":)?((\\{)?\"?(Tcp|Ip)Ext[a-zA-Zé]{0,9}[\": ]{0,3}[0-9]{0,22} [0-9.]{0,4}\n?){0,4}") {
            let _ = read(&text);
        }
    }
}
