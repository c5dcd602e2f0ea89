//! `netstat -s` of net-tools, which prints counters as sentences and omits zeros (statistics.c).

use super::command::ShellCommand;
use super::text::bare;
use crate::host::counters::{Absence, TcpExtCounters};

/// The ends of its sentences, and their counters. Older versions print `ignored`, newer ones `dropped`.
const SENTENCES: [(&str, &str); 6] = [
    ("invalid SYN cookies received", "SyncookiesFailed"),
    ("SYN cookies received", "SyncookiesRecv"),
    ("SYN cookies sent", "SyncookiesSent"),
    ("times the listen queue of a socket overflowed", "ListenOverflows"),
    ("SYNs to LISTEN sockets dropped", "ListenDrops"),
    ("SYNs to LISTEN sockets ignored", "ListenDrops"),
];

/// The words of its sentences about TcpExt, in lowercase. A line with another word is damaged, a translation, or from an
/// unknown version; then a missing sentence proves nothing.
#[rustfmt::skip]
const VOCABULARY: &[&str] = &[
    "a", "aborted", "ack", "acks", "acknowledgements", "acknowledgments", "activated", "active", "after", "and", "at",
    "backlog", "bad", "because", "blocks", "buffer", "by", "bytes", "classic", "close", "closed", "collapsed",
    "congestion", "connection", "connections", "containing", "context", "cookies", "data", "delayed", "detected",
    "direct", "directly", "dropped", "dsack", "dsacks", "due", "during", "early", "embryonic", "established",
    "estimated", "events", "expired", "fack", "fail", "failed", "fast", "finished", "for", "forward", "from", "fully",
    "further", "had", "header", "headers", "heuristic", "hoe", "icmp", "ignored", "in", "invalid", "into", "is", "it",
    "late", "linger", "listen", "locked", "loss", "lost", "low", "memory", "mode", "more", "no", "not", "of", "old",
    "on", "or", "order", "other", "out", "over", "overflow", "overflowed", "overrun", "packet", "packets", "partial",
    "partially", "passive", "paws", "payload", "period", "predicted", "prequeue", "prequeued", "pressure", "process",
    "processed", "processing", "protection", "pruned", "queue", "queued", "queues", "quick", "ran", "receive",
    "received", "receiver", "receiving", "recovered", "recovery", "recvmsg", "recycled", "reject", "rejected",
    "rejects", "reno", "reorder", "reordering", "reset", "resets", "retransmissions", "retransmit", "retransmited",
    "retransmits", "retransmitted", "rst", "sack", "sacks", "scheduled", "segment", "segments", "selective", "send",
    "sending", "sent", "sequence", "slow", "socket", "sockets", "spurious", "stamp", "stamps", "start", "state", "step",
    "syn", "syn_recv", "syns", "syn-ack", "system", "tcp", "than", "that", "the", "their", "they", "time", "timeout",
    "timeouts", "timer", "times", "timestamp", "timestamps", "to", "too", "twice", "unable", "undone", "unexpected",
    "user", "using", "wait", "was", "were", "window", "windows", "with", "without", "wrong", "retrans", "overlapping",
];

/// The number of lines that the section `Tcp:` has on every host, including zeros; a filtered list has fewer.
const TCP_LINES: usize = 8;

/// The counters, if the text has the section `TcpExt:` of `netstat -s`, or sentences of it.
pub fn read(text: &str, command: Option<&ShellCommand>) -> Option<TcpExtCounters> {
    let mut found = Vec::new();
    let (mut section, mut tcp_lines, mut ext_lines) = ("", 0, 0);
    let (mut is_ended, mut is_english, mut is_broken) = (false, true, false);
    for line in text.lines().map(bare).filter(|line| !line.is_empty()) {
        if let Some(name) = heading(line) {
            // The group IpExt follows on every kernel since 2.6.25.
            is_ended |= section == "TcpExt" && ext_lines > 0;
            section = name;
            continue;
        }
        let is_in = section == "TcpExt";
        tcp_lines += usize::from(section == "Tcp");
        ext_lines += usize::from(is_in);
        match sentence(line) {
            Some((name, Some(value))) => found.push((name, value)),
            Some((_, None)) => is_broken = true,
            None if is_in => match line.split_once(": ") {
                // net-tools prints counters without a sentence as `name: value`.
                Some((name, value)) if is_name(name) => match value.trim().parse() {
                    Ok(value) => found.push((name, value)),
                    Err(_) => is_broken = true,
                },
                // Each sentence has its number; a line without a number is a piece of another.
                _ => {
                    let has_number = line.bytes().any(|byte| byte.is_ascii_digit());
                    is_english &= has_number && line.split_whitespace().all(is_word);
                }
            },
            None => {}
        }
    }
    if ext_lines == 0 && found.is_empty() {
        return None;
    }
    let is_filtered = command.is_some_and(|command| {
        command.shows_a_part() || command.program == "netstat" && command.leaves_out().is_some()
    });
    let is_whole = is_ended && tcp_lines >= TCP_LINES && is_english && !is_broken && !is_filtered;
    let absent = if is_whole { Absence::ZeroOrNotThere } else { Absence::Nothing };
    Some(TcpExtCounters::of(found.into_iter(), absent))
}

/// A group's heading.
fn heading(line: &str) -> Option<&str> {
    let name = line.strip_suffix(':')?;
    (name.len() >= 2 && name.len() <= 12 && name.starts_with(|c: char| c.is_ascii_uppercase()) && is_name(name))
        .then_some(name)
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric())
}

fn is_word(word: &str) -> bool {
    let word = word.trim_matches([',', '.', ':', '(', ')']).to_ascii_lowercase();
    word.bytes().all(|byte| byte.is_ascii_digit()) || VOCABULARY.contains(&word.as_str())
}

/// One of the sentences about a watched counter, and its number if that can be read.
fn sentence(line: &str) -> Option<(&'static str, Option<u64>)> {
    let (end, name) = SENTENCES.iter().find(|(end, _)| line.ends_with(end))?;
    let before = line.strip_suffix(end)?;
    // `12345 SYN cookies sent`, perhaps behind a file's name and a colon (`grep`).
    let number = before.trim_end().rsplit([' ', '\t', ':']).next().unwrap_or_default();
    let mut words = before.split_whitespace().rev().skip(1);
    let is_alone = words.next().is_none_or(|word| word.ends_with(':')) && words.next().is_none();
    Some((name, number.parse().ok().filter(|_| is_alone)))
}

/// Whether a line is one of `netstat -s`.
pub fn is_sentence(line: &str) -> bool {
    let mut words = line.split_whitespace();
    let is_number = words.next().is_some_and(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
    is_number
        && words.clone().count() >= 2
        && words.all(|word| is_word(word) && !word.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::Count;
    use proptest::prelude::*;

    const TCP: &str = "Tcp:\n    401 active connection openings\n    9 passive connection openings\n    0 failed connection \
                       attempts\n    0 connection resets received\n    3 connections established\n    88 segments \
                       received\n    99 segments sent out\n    1 segments retransmitted\n    0 bad segments received\n    \
                       4 resets sent\n";
    const EXT: &str = "TcpExt:\n    1200 SYN cookies sent\n    \
                       800 SYN cookies received\n    3 invalid SYN cookies received\n    210 TCP sockets finished time \
                       wait in fast timer\n    57 times the listen queue of a socket overflowed\n    57 SYNs to LISTEN \
                       sockets dropped\n    Quick ack mode was activated 5 times\n    TCPWqueueTooBig: 31\n";
    const IP: &str = "IpExt:\n    InOctets: 1\n";

    fn read(text: &str) -> Option<TcpExtCounters> {
        super::read(text, None)
    }

    #[test]
    fn sentences_are_read_and_missing_ones_may_be_zero() {
        let counters = read(&format!("{TCP}{EXT}{IP}")).expect("counters");
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
        let quiet = format!("{TCP}TcpExt:\n    32 delayed acks sent\n{IP}");
        for text in [quiet.clone(), quiet.replace("    ", ""), quiet.replace('\n', "\n> ")] {
            assert_eq!(read(&text).expect("counters").get("TCPWqueueTooBig"), Count::ZeroOrNotThere, "{text}");
        }
    }

    #[test]
    fn missing_sentence_says_nothing_when_list_is_partial() {
        let quiet = "TcpExt:\n    32 delayed acks sent\n";
        let with = |line: &str| format!("{TCP}{quiet}    {line}\n{IP}");
        for text in [
            // Cut off, or a part.
            format!("{TCP}{quiet}"),
            format!("{quiet}{IP}"),
            format!("{}\n{quiet}{IP}", &TCP[..60]),
            "    57 times the listen queue of a socket overflowed\n".to_owned(),
            // Translated, wholly or in part.
            with("5321 SYN-Cookies verschickt"),
            with("5321 pacotes enviados"),
            with("5321 SYN küpsist saadetud"),
            with("5321 cookies SYN envoyés"),
            // A malformed number.
            with("1,204 SYN cookies sent"),
            with("12 34 SYN cookies sent"),
            with("-5 SYN cookies sent"),
            with("TCPOther: many"),
            // Wrapped.
            with("1204 SYN cookies\nsent"),
            with("1204 SYN\n> cookies sent"),
            with("1204\nSYN cookies sent"),
        ] {
            let counters = read(&text).expect("counters");
            for name in ["SyncookiesSent", "SyncookiesRecv", "TCPWqueueTooBig"] {
                assert_eq!(counters.get(name), Count::Unknown, "{name}: {text}");
            }
        }
        let filtered = ShellCommand::of_line("$ netstat -s | grep -v x");
        let counters = super::read(&format!("{TCP}{quiet}{IP}"), filtered.as_ref()).expect("counters");
        assert_eq!(counters.get("SyncookiesSent"), Count::Unknown);
    }

    #[test]
    fn lone_sentences_are_read() {
        let grep = "out.txt:    1204 SYN cookies sent\n911 times the listen queue of a socket overflowed\n";
        let counters = read(grep).expect("counters");
        assert_eq!(counters.get("ListenOverflows"), Count::Is(911));
        assert_eq!(counters.get("SyncookiesSent"), Count::Is(1204));
        assert_eq!(counters.get("SyncookiesRecv"), Count::Unknown);
        for none in ["", "TcpExt:\n", "TcpExt:\nIpExt:\n", "TcpExt: 1\n", "Tcp:\n 1 active connection openings\n"] {
            assert_eq!(read(none), None, "{none:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn reading_never_panics(text in "(TcpExt:\n)?([ \t][0-9]{0,22} ?(SYN cookies sent|.{0,20})\n?){0,5}") {
            let _ = read(&text);
        }
    }
}
