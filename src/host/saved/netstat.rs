//! `netstat -s` of net-tools, which tells counters in sentences and leaves out those that are zero (statistics.c).

use crate::host::counters::{Absence, Counters};

/// How its sentences end, and the counter that they tell. Older versions say `ignored` where newer ones say `dropped`.
const SENTENCES: [(&str, &str); 6] = [
    (" invalid SYN cookies received", "SyncookiesFailed"),
    (" SYN cookies received", "SyncookiesRecv"),
    (" SYN cookies sent", "SyncookiesSent"),
    (" times the listen queue of a socket overflowed", "ListenOverflows"),
    (" SYNs to LISTEN sockets dropped", "ListenDrops"),
    (" SYNs to LISTEN sockets ignored", "ListenDrops"),
];

/// Words of sentences that nearly every host prints. Where none is there, another language is spoken, and a missing
/// sentence says nothing.
const ENGLISH: [&str; 6] = [
    "time wait in",
    "delayed acks sent",
    "packet headers predicted",
    "acknowledgments",
    "SYN cookies",
    "connections reset",
];

/// The counters, where the text has the section `TcpExt:` of `netstat -s`.
pub fn read(text: &str) -> Option<Counters> {
    let mut lines = text.lines().skip_while(|line| line.trim_end() != "TcpExt:").skip(1);
    let mut section = Vec::new();
    let mut is_whole = false;
    for line in lines.by_ref() {
        if !line.starts_with([' ', '\t']) {
            // The group IpExt, which follows on every kernel since 2.6.25.
            is_whole = line.trim_end().ends_with(':');
            break;
        }
        section.push(line.trim());
    }
    if section.is_empty() {
        return None;
    }
    let english = section.iter().any(|line| ENGLISH.iter().any(|words| line.contains(words)));
    let absent = if is_whole && english { Absence::ZeroOrNotThere } else { Absence::Nothing };
    Some(Counters::of(section.into_iter().filter_map(counter), absent))
}

fn counter(line: &str) -> Option<(&str, u64)> {
    // What net-tools has no sentence for is `name: value`.
    if let Some((name, value)) = line.split_once(": ") {
        return Some((name, value.trim().parse().ok()?));
    }
    SENTENCES.iter().find_map(|(end, name)| Some((*name, line.strip_suffix(end)?.trim().parse().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Count;
    use proptest::prelude::*;

    const TEXT: &str = "Tcp:\n    401 active connection openings\nTcpExt:\n    1200 SYN cookies sent\n    \
                        800 SYN cookies received\n    3 invalid SYN cookies received\n    210 TCP sockets finished time \
                        wait in fast timer\n    57 times the listen queue of a socket overflowed\n    57 SYNs to LISTEN \
                        sockets dropped\n    TCPWqueueTooBig: 31\nIpExt:\n    InOctets: 1\n";

    #[test]
    fn sentences_are_read_and_a_missing_one_is_zero_or_no_counter() {
        let counters = read(TEXT).expect("counters");
        for (name, value) in [
            ("SyncookiesSent", 1200),
            ("SyncookiesRecv", 800),
            ("SyncookiesFailed", 3),
            ("ListenOverflows", 57),
            ("ListenDrops", 57),
            ("TCPWqueueTooBig", 31),
        ] {
            assert_eq!(counters.get(name), Count::Is(value), "{name}");
        }
        let quiet = "TcpExt:\n    32 delayed acks sent\nIpExt:\n";
        assert_eq!(read(quiet).expect("counters").get("TCPWqueueTooBig"), Count::ZeroOrNotThere);
    }

    #[test]
    fn a_cut_or_foreign_text_says_nothing_of_what_is_missing() {
        let cut = &TEXT[..TEXT.find("    57 SYNs").expect("there")];
        let german = "TcpExt:\n    1200 SYN-Cookies verschickt\nIpExt:\n";
        for text in [cut, german] {
            assert_eq!(read(text).expect("counters").get("TCPWqueueTooBig"), Count::Unknown, "{text}");
        }
        for none in ["", "TcpExt:\n", "TcpExt:\nIpExt:\n", "TcpExt: 1\n"] {
            assert_eq!(read(none), None, "{none:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn any_text_is_read_without_a_panic(text in "(TcpExt:\n)?([ \t][0-9]{0,22} ?(SYN cookies sent|.{0,20})\n?){0,5}") {
            let _ = read(&text);
        }
    }
}
