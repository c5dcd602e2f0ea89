//! Details that `ss` and `netstat` show of one connection behind its addresses.

use std::borrow::Cow;

use crate::host::socket::{Socket, Timer};

/// One connection during the reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketRecord {
    /// The facts that were shown.
    pub socket: Socket,
    /// Whether it is a TCP connection that can have something queued.
    pub counts: bool,
    /// Whether `netstat` printed it.
    pub is_netstat: bool,
    /// Whether its state was shown.
    pub has_state: bool,
    /// Whether it has its addresses, so that its line is complete.
    pub is_whole: bool,
}

/// Names that `ss` gives figures (ss.c, `tcp_stats_print` and its neighbours).
#[rustfmt::skip]
const KEYS: &[&str] = &[
    "skmem", "mem", "timer", "users", "uid", "ino", "sk", "cgroup", "rto", "backoff", "rtt", "ato", "qack", "mss",
    "pmtu", "rcvmss", "advmss", "cwnd", "ssthresh", "bytes_sent", "bytes_retrans", "bytes_acked", "bytes_received",
    "segs_out", "segs_in", "data_segs_out", "data_segs_in", "lastsnd", "lastrcv", "lastack", "delivered",
    "delivered_ce", "busy", "rwnd_limited", "sndbuf_limited", "unacked", "retrans", "lost", "sacked", "dsack_dups",
    "fackets", "reordering", "reord_seen", "rcv_rtt", "rcv_space", "rcv_ssthresh", "notsent", "minrtt", "rcv_ooopack",
    "snd_wnd", "rcv_wnd", "rehash", "wscale", "bbr", "dctcp", "vegas", "fwmark", "class_id", "tos", "tclass", "ulp",
    "fallback_mode",
];

/// Words without a figure, congestion controls and names before a rate among them.
#[rustfmt::skip]
const WORDS: &[&str] = &[
    "ts", "usec_ts", "sack", "ecn", "ecnseen", "fastopen", "bidir", "app_limited", "send", "pacing_rate",
    "delivery_rate", "max_pacing_rate", "cubic", "reno", "bic", "bbr", "bbr1", "bbr2", "bbr3", "dctcp", "dctcp-reno",
    "vegas", "veno", "westwood", "hybla", "htcp", "highspeed", "illinois", "scalable", "yeah", "lp", "nv", "cdg",
    "prague", "brutal", "<->", "-->", "<--", "---", "on", "off", "probe", "keepalive", "timewait", "-",
];

/// Names that versions of `ss` with `backoff:` print too, so that a missing `backoff:` is 0 (iproute2 3.17, commit
/// 624a06e6 of 2014), and that come after it.
#[rustfmt::skip]
const NEWER: &[&str] = &[
    "lastsnd", "lastrcv", "lastack", "pmtu", "rcvmss", "advmss", "bytes_sent", "bytes_retrans", "bytes_acked",
    "bytes_received", "segs_out", "segs_in", "data_segs_out", "data_segs_in", "delivered", "busy", "rwnd_limited",
    "sndbuf_limited", "rcv_ssthresh", "notsent", "minrtt", "rcv_ooopack", "snd_wnd", "rcv_wnd", "rehash", "reord_seen",
];

/// Names that come after `unacked:`, so that a missing one is 0, if the version has it at all.
#[rustfmt::skip]
const AFTER_UNACKED: &[&str] = &[
    "retrans", "lost", "sacked", "dsack_dups", "fackets", "reordering", "reord_seen", "rcv_rtt", "rcv_space",
    "rcv_ssthresh", "notsent", "minrtt", "rcv_ooopack", "snd_wnd", "rcv_wnd", "rehash", "tcp-ulp-tls", "tcp-ulp-mptcp",
];

fn key(word: &str) -> Option<&str> {
    word.split_once(':').map(|(name, _)| name).filter(|name| KEYS.contains(name) || name.starts_with("tcp-ulp"))
}

/// Whether a listing of connections has such a word behind the addresses.
pub fn is_known(word: &str) -> bool {
    is_telling(word) || WORDS.contains(&word)
}

/// Whether only a listing of connections has such a word.
pub fn is_telling(word: &str) -> bool {
    let is_rate =
        word.strip_suffix("bps").is_some_and(|rate| rate.starts_with(|c: char| c.is_ascii_digit() || c == '/'));
    key(word).is_some() || is_rate || triple(word).is_some() || ["<->", "-->", "<--"].contains(&word)
}

/// Whether it has the form of a figure with a name, of this or a newer version: `delivered_ce:5`.
pub fn is_pair(word: &str) -> bool {
    word.split_once(':').is_some_and(|(name, value)| {
        name.contains('_') && !value.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    })
}

/// Whether it implies a socket, even if the rest of its lines is missing.
pub fn tells_of_a_socket(word: &str) -> bool {
    ["skmem:(", "mem:(", "rto:"].iter().any(|begin| word.starts_with(begin))
}

/// Whether a bracket that it opens is not closed.
pub fn is_unclosed(word: &str) -> bool {
    word.contains(":(") && word.matches('(').count() > word.matches(')').count()
}

/// The word that a line break split into these two pieces.
pub fn glued(last: &str, first: &str, is_wrapped: bool) -> Option<String> {
    /// The most bytes of a word; real ones have fewer.
    const LONGEST: usize = 2000;
    if last.len() > LONGEST {
        return None;
    }
    let whole = || format!("{last}{first}");
    // Process names have blanks; other bracketed words do not.
    if is_unclosed(last) && !last.starts_with("users:") {
        return Some(whole());
    }
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let goes_on = last.ends_with(|c: char| c.is_ascii_digit() || ":,/.".contains(c))
        && first.starts_with(|c: char| c.is_ascii_digit())
        && last.contains([':', ','])
        && (is_number(first) || !first.contains(':'));
    let is_piece = !is_known(last) && !is_known(first) && is_known(&whole()) && !last.is_empty();
    let is_address = last.contains('.')
        && last.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        && first.contains(':')
        && first.starts_with(|c: char| c.is_ascii_digit() || ".:".contains(c));
    let is_opened = last.ends_with(':') && first.starts_with('(');
    (is_wrapped && (is_opened || goes_on && !is_known(first) || is_piece || is_address)).then(whole)
}

impl SocketRecord {
    /// Takes the named words behind the addresses: `skmem:(…)`, `timer:(…)`, `users:(…)`, `rto:`, `backoff:` and so on.
    pub fn take(&mut self, words: &[(Cow<'_, str>, bool)]) {
        let mut seen = FiguresSeen::default();
        let mut n = 0;
        while let Some((word, is_first)) = words.get(n) {
            n += 1;
            if self.is_netstat {
                self.take_netstat(word, words.get(n).map_or("", |(next, _)| next));
                continue;
            }
            let mut word = Cow::Borrowed(word.as_ref());
            // `users:(("tmux: server",pid=1,fd=2))`.
            while word.starts_with("users:((") && !word.contains("))") && word.len() < 4096 {
                let Some((next, _)) = words.get(n) else { break };
                word = Cow::Owned(format!("{word} {next}"));
                n += 1;
            }
            let is_last = words.get(n).is_none_or(|(_, begins)| *begins);
            let is_edge = (*is_first && n > 1) || (is_last && n < words.len());
            // At the edges of lines, an unknown word may be a piece of something.
            let fits = (!is_edge || is_known(&word) || is_pair(&word)) && !is_unclosed(&word);
            let is_read = self.take_word(&word, &mut seen);
            // `[...]` replaces omitted words.
            let is_elision = !word.starts_with("users:") && !is_known(&word) && {
                word.contains("..") || word.contains('\u{2026}') || word.starts_with(['[', '<', '('])
            };
            self.socket.damaged |= !fits || !is_read || is_elision;
        }
        self.conclude(&seen);
    }

    /// Takes one word; returns whether its figure could be read.
    fn take_word(&mut self, word: &str, seen: &mut FiguresSeen) -> bool {
        let socket = &mut self.socket;
        let Some((name, value)) = word.split_once(':') else { return true };
        seen.newer |= NEWER.contains(&name);
        seen.after_unacked |= AFTER_UNACKED.contains(&name);
        seen.after_last_sent |= ["lastrcv", "lastack"].contains(&name);
        fn set<T>(slot: &mut Option<T>, value: Option<T>) -> bool {
            let is_read = value.is_some();
            *slot = value.or(slot.take());
            is_read
        }
        match name {
            // tb is sk_sndbuf, w is sk_wmem_queued (ss.c, print_skmeminfo; `t` is sk_wmem_alloc). The older `mem:(…)`
            // (print of INET_DIAG_MEMINFO) has w and no tb.
            "skmem" | "mem" => {
                let inside = value.trim_start_matches('(').split(')').next().unwrap_or_default();
                let of = |name: &str| inside.split(',').find_map(|item| item.strip_prefix(name)?.parse().ok());
                let is_queue_read = set(&mut socket.wmem_queued, of("w"));
                is_queue_read && (name == "mem" || set(&mut socket.sndbuf, of("tb")))
            }
            "timer" => {
                let inside = value.trim_start_matches('(').trim_end_matches(')');
                let mut parts = inside.split(',');
                socket.timer = match parts.next() {
                    Some("on") => Some(Timer::Retransmit),
                    Some("persist") => Some(Timer::Probe),
                    Some("keepalive" | "timewait" | "unknown") => Some(Timer::Other),
                    _ => None,
                };
                socket.expires_ms = parts.next().and_then(duration_ms);
                set(&mut socket.retransmits, parts.next().and_then(|n| n.parse().ok())) && socket.timer.is_some()
            }
            "users" => {
                socket.process = value.strip_prefix("((").and_then(holder).or(socket.process.take());
                true
            }
            "rto" => set(&mut socket.rto_ms, milliseconds(value)),
            "backoff" => set(&mut socket.backoff, value.parse().ok()),
            "lastsnd" => set(&mut socket.last_sent_ms, milliseconds(value)),
            "lastack" => set(&mut socket.last_ack_ms, milliseconds(value)),
            "unacked" => set(&mut socket.in_flight, value.parse().ok()),
            "snd_wnd" => set(&mut socket.peer_window, value.parse().ok()),
            "ino" => set(&mut socket.inode, value.parse().ok()),
            "rtt" => {
                let (trip, variance) = value.split_once('/').unwrap_or((value, "0"));
                let fresh = milliseconds(trip).zip(milliseconds(variance));
                set(&mut socket.fresh_rto_ms, fresh.map(|(trip, by)| trip.saturating_add(by.saturating_mul(4))))
            }
            _ => true,
        }
    }

    /// Versions of `ss` that know a figure omit it if it is 0.
    fn conclude(&mut self, seen: &FiguresSeen) {
        let socket = &mut self.socket;
        if !seen.newer || socket.rto_ms.is_none() || socket.damaged {
            return;
        }
        socket.backoff.get_or_insert(0);
        if seen.after_unacked {
            socket.in_flight.get_or_insert(0);
        }
        if seen.after_last_sent {
            socket.last_sent_ms.get_or_insert(0);
        }
    }

    /// netstat's `-o` gives `on (12.34/7/0)`: seconds, retransmissions, probes; its `-p` gives `1234/mysqld`.
    fn take_netstat(&mut self, word: &str, next: &str) {
        let socket = &mut self.socket;
        let timer = match word {
            "on" => Timer::Retransmit,
            "probe" => Timer::Probe,
            "off" => Timer::None,
            "keepalive" | "timewait" => Timer::Other,
            _ => {
                if let Some((pid, name)) =
                    word.split_once('/').filter(|(pid, name)| !pid.is_empty() && !name.is_empty())
                    && let Ok(pid) = pid.parse::<u32>()
                {
                    socket.process = Some(named(name, pid));
                }
                return;
            }
        };
        let Some((left, retransmits, probes)) = triple(next) else { return };
        socket.timer = Some(timer);
        socket.expires_ms = Some(left).filter(|_| timer != Timer::None);
        socket.retransmits = Some(if timer == Timer::Probe { probes } else { retransmits });
    }
}

/// Names that were seen of one connection.
#[derive(Default)]
struct FiguresSeen {
    newer: bool,
    after_unacked: bool,
    after_last_sent: bool,
}

/// `(12.34/7/0)`: milliseconds and two numbers.
fn triple(word: &str) -> Option<(u64, u32, u32)> {
    let mut parts = word.strip_prefix('(')?.strip_suffix(')')?.split('/');
    let seconds: f64 = parts.next()?.parse().ok().filter(|seconds: &f64| seconds.is_finite() && *seconds >= 0.0)?;
    let numbers = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    parts.next().is_none().then_some(((seconds * 1000.0) as u64, numbers.0, numbers.1))
}

/// `"mysqld",pid=1234,fd=20`, or `"mysqld",1234,20` of older versions.
fn holder(user: &str) -> Option<String> {
    let (name, rest) = user.strip_prefix('"')?.split_once('"')?;
    let pid = rest.trim_start_matches(',').split([',', ')']).next()?;
    let pid: u32 = pid.strip_prefix("pid=").unwrap_or(pid).parse().ok()?;
    Some(named(name, pid))
}

fn named(process: &str, pid: u32) -> String {
    format!("{} ({pid})", process.chars().take(32).collect::<String>())
}

/// Milliseconds, with a fraction in some versions.
fn milliseconds(text: &str) -> Option<u64> {
    let value: f64 = text.parse().ok()?;
    // Saturates: all values larger than any timer's are equivalent.
    (value.is_finite() && value >= 0.0).then_some(value as u64)
}

/// `12sec`, `1min40sec`, `200ms`, and `5.120sec` (`5.120ms` in some versions) for five seconds and 120 milliseconds
/// (ss.c, print_ms_timer).
fn duration_ms(text: &str) -> Option<u64> {
    let (minutes, rest) = match text.split_once("min") {
        Some((minutes, rest)) => (minutes.parse::<u64>().ok()?, rest),
        None => (0, text),
    };
    let number = rest.strip_suffix("sec").or_else(|| rest.strip_suffix("ms"));
    let (seconds, ms) = match number {
        None if rest.is_empty() => (0, 0),
        None => return None,
        Some(number) => match number.split_once('.') {
            Some((seconds, ms)) => (seconds.parse().ok()?, ms.parse().ok()?),
            None if rest.ends_with("ms") => (0, number.parse().ok()?),
            None => (number.parse().ok()?, 0),
        },
    };
    minutes.checked_mul(60)?.checked_add(seconds)?.checked_mul(1000)?.checked_add(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_ss_writes_them() {
        for (text, expected) in [
            ("12sec", Some(12_000)),
            ("1min40sec", Some(100_000)),
            ("200ms", Some(200)),
            ("5.120ms", Some(5120)),
            ("5.120sec", Some(5120)),
            ("2min", Some(120_000)),
            ("soon", None),
            ("", Some(0)),
            ("99999999999999999999sec", None),
            ("18446744073709551615min", None),
        ] {
            assert_eq!(duration_ms(text), expected, "{text}");
        }
    }

    #[test]
    fn broken_words_are_glued_only_where_the_line_was_wrapped() {
        for (last, first, expected) in [
            ("skmem:(r0,rb16", "384,t0,tb8192)", Some("skmem:(r0,rb16384,t0,tb8192)")),
            ("backof", "f:7", Some("backoff:7")),
            ("rto:442", "88", Some("rto:44288")),
            ("10.0.0.1:33", "06", Some("10.0.0.1:3306")),
            ("wscale:7,", "7", Some("wscale:7,7")),
            ("sk", ":1", Some("sk:1")),
            ("timer:", "(on,12sec,7)", Some("timer:(on,12sec,7)")),
            ("192.0.", "2.10:3306", Some("192.0.2.10:3306")),
            ("192.0.2.10", ":3306", Some("192.0.2.10:3306")),
            ("rto:44288", "backoff:7", None),
            ("19912", "192.0.2.10:3306", None),
            ("cubic", "rto:1", None),
            ("10.0.0.1:3306", "10.0.0.2:40000", None),
        ] {
            assert_eq!(glued(last, first, true).as_deref(), expected, "{last} {first}");
        }
        assert_eq!(glued("rto:442", "88", false), None);
    }
}
