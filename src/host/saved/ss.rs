//! `ss` of iproute2, of any age and with any of its options: one connection a line, or a line and an indented one.

use crate::host::socket::{Socket, Sockets, Source, Timer};

/// What a text of `ss` holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// The connections.
    pub sockets: Sockets,
    /// Whether any shows its memory (`-m`).
    memory: bool,
    /// Whether any shows its timeout (`-i`).
    timeouts: bool,
}

impl Listing {
    /// What the options that it was called with did not show.
    pub fn lacks(&self, name: &str) -> Option<String> {
        let lacks = match (self.memory, self.timeouts) {
            _ if self.sockets.connections == 0 => return None,
            (true, true) => return None,
            (false, false) => "the sockets' memory and timeouts (`ss` needs -m and -i)",
            (false, true) => "the sockets' memory (`ss` needs -m)",
            (true, false) => "the sockets' timeouts (`ss` needs -i)",
        };
        Some(format!("{lacks}: not in {name}"))
    }
}

/// States in which nothing is queued.
const NOTHING_QUEUED: [&str; 3] = ["LISTEN", "TIME-WAIT", "UNCONN"];

/// Kinds of sockets that `ss` lists beside TCP's.
const OTHER_KINDS: [&str; 19] = [
    "udp", "raw", "icmp6", "u_str", "u_dgr", "u_seq", "nl", "p_raw", "p_dgr", "v_str", "v_dgr", "sctp", "mptcp",
    "dccp", "tipc", "xdp", "v_seq", "unix", "ti_st",
];

/// Reads a listing, where the text is one: it has the heading of `ss`, or a line with a socket's memory.
pub fn read(text: &str) -> Option<Listing> {
    let is_heading = |line: &str| line.contains("Recv-Q") && line.contains("Send-Q") && line.contains("Local Address");
    // netstat's heading has `Foreign Address`.
    let is_listing = |line: &str| (is_heading(line) && line.contains("Peer Address")) || line.contains("skmem:(");
    if !text.lines().any(is_listing) {
        return None;
    }
    let mut listing = Listing { sockets: Sockets::new(Source::Ss), ..Listing::default() };
    let mut open: Option<Record> = None;
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if is_heading(line) {
            listing.close(open.take());
        } else if line.starts_with([' ', '\t']) && open.is_some() {
            open.iter_mut().for_each(|record| record.details(line));
        } else if let Some(record) = Record::of(line) {
            listing.close(open.replace(record));
        } else if line.contains("skmem:(") || line.contains("rto:") {
            // The indented line alone, as people paste it.
            let mut record = Record { counts: true, ..Record::default() };
            record.details(line);
            listing.close(open.replace(record));
        } else {
            // Another program's output in the same file.
            listing.close(open.take());
        }
    }
    listing.close(open);
    Some(listing)
}

impl Listing {
    fn close(&mut self, record: Option<Record>) {
        let Some(Record { socket, counts: true }) = record else { return };
        self.memory |= socket.sndbuf.is_some();
        self.timeouts |= socket.rto_ms.is_some();
        self.sockets.take(socket);
    }
}

/// One connection in the reading.
#[derive(Clone, Debug, Default)]
struct Record {
    socket: Socket,
    /// Whether it is a TCP connection that can have something queued.
    counts: bool,
}

impl Record {
    /// `[kind] [state] Recv-Q Send-Q local peer …`: `ss` leaves out a column that is the same for all.
    fn of(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let mut before = Vec::new();
        loop {
            let word = words.next()?;
            if word.parse::<u64>().is_ok() {
                break;
            }
            before.push(word);
            if before.len() > 2 {
                return None;
            }
        }
        let queued: u64 = words.next()?.parse().ok()?;
        let (local, remote) = (words.next()?, words.next()?);
        if !local.contains(':') || !remote.contains(':') {
            return None;
        }
        let other = before.iter().any(|word| OTHER_KINDS.contains(word) || NOTHING_QUEUED.contains(word));
        let socket = Socket {
            local: shortened(local),
            remote: shortened(remote),
            unacknowledged: Some(queued),
            ..Socket::default()
        };
        let mut record = Self { socket, counts: !other };
        record.details(line);
        Some(record)
    }

    /// Takes what is named in a line: `skmem:(…)`, `timer:(…)`, `users:(…)`, `rto:`, `backoff:`, `retrans:`, `lastsnd:`,
    /// `ino:`.
    fn details(&mut self, line: &str) {
        let socket = &mut self.socket;
        if let Some(memory) = bracketed(line, "skmem:(") {
            // tb is sk_sndbuf, w is sk_wmem_queued (ss.c, print_skmeminfo; `t` is sk_wmem_alloc).
            let of = |name: &str| memory.split(',').find_map(|item| item.strip_prefix(name)?.parse().ok());
            socket.sndbuf = of("tb").or(socket.sndbuf);
            socket.wmem_queued = of("w").or(socket.wmem_queued);
        }
        if let Some(timer) = bracketed(line, "timer:(") {
            let mut parts = timer.split(',');
            socket.timer = Some(match parts.next() {
                Some("on") => Timer::Retransmit,
                Some("persist") => Timer::Probe,
                _ => Timer::Other,
            });
            socket.expires_ms = parts.next().and_then(duration_ms);
            socket.retransmits = parts.next().and_then(|n| n.parse().ok()).or(socket.retransmits);
        }
        if let Some(user) = bracketed(line, "users:((") {
            socket.process = holder(user).or(socket.process.take());
        }
        for word in line.split_whitespace() {
            let Some((name, value)) = word.split_once(':') else { continue };
            match name {
                "rto" => socket.rto_ms = milliseconds(value).or(socket.rto_ms),
                "backoff" => socket.backoff = value.parse().ok().or(socket.backoff),
                "lastsnd" => socket.last_sent_ms = milliseconds(value).or(socket.last_sent_ms),
                "ino" => socket.inode = value.parse().ok().or(socket.inode),
                // `retrans:<in a row>/<in all>`.
                "retrans" => {
                    let in_a_row = value.split_once('/').and_then(|(now, _)| now.parse().ok());
                    socket.retransmits = in_a_row.or(socket.retransmits);
                }
                _ => {}
            }
        }
    }
}

/// An address of no more than a sensible length: `[2001:db8::1]%eth0:443` is one of the longest.
fn shortened(address: &str) -> String {
    address.chars().take(80).collect()
}

/// What follows `name`, up to the first closing bracket.
fn bracketed<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    let start = line.find(name)? + name.len();
    let rest = &line[start..];
    Some(&rest[..rest.find(')')?])
}

/// `"mysqld",pid=1234,fd=20`, or `"mysqld",1234,20` of older versions.
fn holder(user: &str) -> Option<String> {
    let (name, rest) = user.strip_prefix('"')?.split_once('"')?;
    let pid = rest.trim_start_matches(',').split(',').next()?;
    let pid: u32 = pid.strip_prefix("pid=").unwrap_or(pid).parse().ok()?;
    Some(format!("{} ({pid})", name.chars().take(32).collect::<String>()))
}

/// Milliseconds, with a fraction in some versions.
fn milliseconds(text: &str) -> Option<u64> {
    let value: f64 = text.parse().ok()?;
    // Saturates: what no timer has is as good as any other large number.
    (value.is_finite() && value >= 0.0).then_some(value as u64)
}

/// `12sec`, `1min40sec`, `200ms`, and `5.120ms` for five seconds and 120 milliseconds (ss.c, print_ms_timer).
fn duration_ms(text: &str) -> Option<u64> {
    let (minutes, rest) = match text.split_once("min") {
        Some((minutes, rest)) => (minutes.parse::<u64>().ok()?, rest),
        None => (0, text),
    };
    let (seconds, ms) = if let Some(seconds) = rest.strip_suffix("sec") {
        (seconds.parse().ok()?, 0)
    } else if let Some(rest) = rest.strip_suffix("ms") {
        match rest.split_once('.') {
            Some((seconds, ms)) => (seconds.parse().ok()?, ms.parse().ok()?),
            None => (0, rest.parse().ok()?),
        }
    } else if rest.is_empty() {
        (0, 0)
    } else {
        return None;
    };
    minutes.checked_mul(60)?.checked_add(seconds)?.checked_mul(1000)?.checked_add(ms)
}

#[cfg(test)]
#[path = "ss_tests.rs"]
mod tests;
