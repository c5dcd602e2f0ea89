//! /proc/net/tcp and tcp6, for kernels without `sock_diag` and for inaccessible namespaces: they have timers, but not
//! memory (`tcp4_seq_show`, net/ipv4/tcp_ipv4.c).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::socket::{Socket, Sockets, Timer};

/// `TCP_TIME_WAIT`, `TCP_LISTEN` and `TCP_NEW_SYN_RECV` (include/net/tcp_states.h): nothing is queued in these.
const NOTHING_QUEUED: [u8; 3] = [6, 10, 12];

/// Milliseconds in a tick of USER_HZ, the unit of these figures for any HZ (include/asm-generic/param.h).
const MS_A_TICK: u64 = 10;

/// Takes the connections of one of the two files, and counts the malformed lines.
pub fn take(text: &str, sockets: &mut Sockets) -> usize {
    let mut strange = 0;
    for line in text.lines().skip(1) {
        match connection(line) {
            Some((state, _)) if NOTHING_QUEUED.contains(&state) => {}
            Some((_, socket)) => sockets.take(socket),
            None => strange += 1,
        }
    }
    strange
}

/// The contents of a saved copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    /// The number of malformed lines.
    pub strange: usize,
    /// Whether it is a copy of tcp, with IPv4 addresses.
    pub v4: bool,
    /// Whether it is a copy of tcp6.
    pub v6: bool,
}

/// Takes the connections of a saved copy, which may be indented, quoted or wrapped at blanks. None for other texts.
pub fn take_copy(text: &str, sockets: &mut Sockets) -> Option<Copied> {
    let is_slot = |token: &str| {
        token.strip_suffix(':').is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
    };
    // Most texts have no such line.
    let begins = |line: &str| {
        let mut words = line.split_ascii_whitespace().skip_while(|word| !is_slot(word)).skip(1);
        words.next().is_some_and(|word| address(word).is_some())
    };
    if !text.lines().any(|line| line.contains("local_address") || begins(line)) {
        return None;
    }
    let tokens: Vec<&str> = text.split_ascii_whitespace().collect();
    let begins = |n: usize| {
        is_slot(tokens[n]) && tokens.get(n + 1..n + 3).is_some_and(|ends| ends.iter().all(|end| address(end).is_some()))
    };
    let starts: Vec<usize> = (0..tokens.len()).filter(|n| begins(*n)).collect();
    if starts.is_empty()
        && !tokens.windows(3).any(|words| matches!(words, ["sl", "local_address", "rem_address" | "remote_address"]))
    {
        return None;
    }
    let mut copied = Copied::default();
    // `[...]`, `[snip]`, `--More--` replace missing lines.
    let is_elision = |token: &&&str| {
        let small = token.to_ascii_lowercase();
        small.contains('\u{2026}') || ["..", "snip", "trunc", "more"].iter().any(|mark| small.contains(mark))
    };
    copied.strange += tokens.iter().skip(starts.first().copied().unwrap_or(0)).filter(is_elision).count();
    for (n, start) in starts.iter().enumerate() {
        let end = starts.get(n + 1).copied().unwrap_or(tokens.len());
        let is_v6 = tokens[start + 1].len() > 16;
        copied.v6 |= is_v6;
        copied.v4 |= !is_v6;
        match of_fields(&tokens[*start..end.min(start + 13)]) {
            Some((state, _)) if NOTHING_QUEUED.contains(&state) => {}
            Some((_, socket)) => sockets.take(socket),
            None => copied.strange += 1,
        }
    }
    Some(copied)
}

fn connection(line: &str) -> Option<(u8, Socket)> {
    of_fields(&line.split_ascii_whitespace().take(13).collect::<Vec<_>>())
}

/// `sl local_address rem_address st tx_queue:rx_queue tr:tm->when retrnsmt uid timeout inode ref pointer rto …`
fn of_fields(fields: &[&str]) -> Option<(u8, Socket)> {
    let field = |n: usize| fields.get(n).copied();
    let state = u8::from_str_radix(field(3)?, 16).ok()?;
    let (queued, _) = field(4)?.split_once(':')?;
    let (timer, when) = field(5)?.split_once(':')?;
    let timer = match u8::from_str_radix(timer, 16).ok()? {
        0 => Some(Timer::None),
        1 => Some(Timer::Retransmit),
        4 => Some(Timer::Probe),
        _ => Some(Timer::Other),
    };
    let retransmits = u32::from_str_radix(field(6)?, 16).ok()?;
    let probes: u32 = field(8)?.parse().ok()?;
    Some((
        state,
        Socket {
            local: address(field(1)?)?,
            remote: address(field(2)?)?,
            inode: field(9)?.parse().ok().filter(|n| *n != 0),
            timer,
            expires_ms: timer
                .filter(|timer| *timer != Timer::None)
                .and_then(|_| u64::from_str_radix(when, 16).ok())
                .map(|t| t.saturating_mul(MS_A_TICK)),
            // Unanswered probes have their own count.
            retransmits: Some(if timer == Some(Timer::Probe) { probes } else { retransmits }),
            // Connections without a timer have fewer fields.
            rto_ms: field(12).and_then(|n| n.parse::<u64>().ok()).map(|t| t.saturating_mul(MS_A_TICK)),
            unacknowledged: u64::from_str_radix(queued, 16).ok(),
            ..Socket::default()
        },
    ))
}

/// `0100007F:1F90`: the address in words of the machine's byte order, the port as a number.
fn address(text: &str) -> Option<String> {
    let (address, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let word = |n: usize| u32::from_str_radix(address.get(n * 8..n * 8 + 8)?, 16).ok().map(u32::to_ne_bytes);
    match address.len() {
        8 => Some(format!("{}:{port}", Ipv4Addr::from(word(0)?))),
        32 => {
            let mut bytes = [0; 16];
            for n in 0..4 {
                bytes[n * 4..n * 4 + 4].copy_from_slice(&word(n)?);
            }
            Some(format!("[{}]:{port}", Ipv6Addr::from(bytes)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::socket::{Complaint, SocketSource};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn copies_are_read_when_quoted_and_wrapped() {
        let copy = "> sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             >   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 900 1 x 100\n\
             >   1: 0100007F:0CEA 0200000A:9C40 01 00005000:00000000 01:000004B0 00000007\n 0 0 4711 2 x 3776 4 1 1 7\n\
             >   2: 0100007F:0CEA 0200000A:9C40 01 00005000\n";
        let mut sockets = Sockets::new(SocketSource::Proc);
        assert_eq!(take_copy(copy, &mut sockets), Some(Copied { strange: 1, v4: true, v6: false }));
        assert_eq!((sockets.connections, sockets.count(Complaint::Retransmitting)), (1, 1));
        let elided = copy.replace(">   1:", "> [...]\n>   1:");
        assert_eq!(take_copy(&elided, &mut Sockets::new(SocketSource::Proc)).map(|copied| copied.strange), Some(2));
        assert_eq!(take_copy("1: a b\n", &mut sockets), None);
    }

    const HEAD: &str =
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n";

    fn read(lines: &str) -> (Sockets, usize) {
        let mut sockets = Sockets::new(SocketSource::Proc);
        let strange = take(&format!("{HEAD}{lines}"), &mut sockets);
        (sockets, strange)
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn retransmitting_connections_are_read_without_listeners() {
        let (sockets, strange) = read(
            "   0: 0100007F:0CEA 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 900 1 x 100 0 0 10 0\n\
             \x20  1: 0100007F:0CEA 0200000A:9C40 01 00005000:00000000 01:000004B0 00000007     0        0 4711 2 x 3776 4 1 1 7\n\
             \x20  2: 0100007F:0CEA 0200000A:9C41 01 00000010:00000000 04:000004B0 00000000     0        5 4712 2 x 3776 4 1 1 7\n\
             \x20  3: 0100007F:0CEA 0200000A:9C42 01 00000000:00000000 00:00000000 00000000     0        0 4713 1 x 20 4 1 10 -1\n",
        );
        assert_eq!((sockets.connections, strange), (3, 0));
        let stuck = sockets.with(Complaint::Retransmitting).next().expect("one that retransmits");
        assert_eq!((stuck.local.as_str(), stuck.remote.as_str()), ("127.0.0.1:3306", "10.0.0.2:40000"));
        assert_eq!((stuck.rto_ms, stuck.expires_ms, stuck.inode), (Some(37_760), Some(12_000), Some(4711)));
        assert_eq!(sockets.with(Complaint::ZeroWindow).count(), 1);
    }

    #[test]
    fn own_kernels_files_are_read() {
        for file in ["/proc/self/net/tcp", "/proc/self/net/tcp6"] {
            if let Ok(text) = std::fs::read_to_string(file) {
                assert_eq!(take(&text, &mut Sockets::new(SocketSource::Proc)), 0, "{text}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn reading_never_panics(text in "([0-9A-Fa-f:é ]{0,60}\n){0,4}") {
            read(&text);
            take_copy(&text, &mut Sockets::new(SocketSource::Proc));
        }
    }
}
