//! Listings of `ss` and `netstat`, of any age and with any of their options, as programs print them and as people paste
//! them. A connection begins at each `Recv-Q Send-Q address:port address:port`, on one line or on several.
//!
//! The module distinguishes facts that a listing did not show from facts that it denied. It also records that a listing
//! may be missing connections.

use super::command::ShellCommand;
use super::details::{self, SocketRecord};
use super::text::bare;
use crate::host::socket::{Socket, SocketSource, Sockets, Timer};

/// One listing of `ss` or `netstat`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SocketListing {
    /// The connections.
    pub sockets: Sockets,
    /// Whether any shows its memory (`-m`).
    memory: bool,
    /// Whether any shows its timeout (`-i`).
    timeouts: bool,
}

impl SocketListing {
    /// The information that its options did not show, as text.
    pub fn lacks(&self, name: &str) -> Option<String> {
        let is_netstat = self.sockets.source == SocketSource::Netstat;
        let lacks = match (self.memory, self.timeouts) {
            _ if self.sockets.connections == 0 => return None,
            (true, true) => return None,
            (false, false) if is_netstat => {
                "the sockets' memory and timeouts (netstat does not show them; `ss -tanmio` does)"
            }
            (false, false) => "the sockets' memory and timeouts (`ss` needs -m and -i)",
            (false, true) => "the sockets' memory (`ss` needs -m)",
            (true, false) => "the sockets' timeouts (`ss` needs -i)",
        };
        Some(format!("{lacks}: not in {name}"))
    }
}

/// States of connections, as `ss` and netstat write them.
#[rustfmt::skip]
const STATES: &[&str] = &[
    "ESTAB", "SYN-SENT", "SYN-RECV", "FIN-WAIT-1", "FIN-WAIT-2", "TIME-WAIT", "UNCONN", "CLOSE-WAIT", "LAST-ACK",
    "LISTEN", "CLOSING", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE",
    "CLOSE_WAIT", "LAST_ACK", "NEW-SYN-RECV", "BOUND-INACTIVE",
];

fn is_state(word: &str) -> bool {
    word.starts_with(|c: char| c.is_ascii_uppercase()) && STATES.contains(&word)
}

/// States in which nothing is queued.
const NOTHING_QUEUED: &[&str] = &["LISTEN", "TIME-WAIT", "UNCONN", "TIME_WAIT", "CLOSE", "BOUND-INACTIVE"];

/// Kinds of TCP sockets.
const TCP: &[&str] = &["tcp", "tcp6", "tcp4"];

/// Kinds of sockets that are listed alongside TCP's.
#[rustfmt::skip]
const OTHER_KINDS: &[&str] = &[
    "udp", "udp6", "raw", "raw6", "icmp6", "u_str", "u_dgr", "u_seq", "nl", "p_raw", "p_dgr", "v_str", "v_dgr", "sctp",
    "mptcp", "dccp", "tipc", "xdp", "v_seq", "unix", "ti_st", "udplite", "icmp",
];

/// Words of headings.
#[rustfmt::skip]
const HEADING: &[&str] = &[
    "Netid", "State", "Recv-Q", "Send-Q", "Local", "Peer", "Address:Port", "Address", "Port", "Process", "Proto",
    "Foreign", "User", "Inode", "PID/Program", "name", "Timer", "Security", "Context", "StateRecv-Q", "NetidState",
    "Address:PortProcess",
];

/// The most words of one connection; real ones have fewer.
const MAX_WORDS: usize = 600;

/// Reads the listings in a part of a text. `is_cut` means that the text continues.
pub fn read(text: &str, command: Option<&ShellCommand>, is_cut: bool) -> Vec<SocketListing> {
    let command =
        command.filter(|command| ["ss", "netstat"].contains(&command.program.as_str()) || command.shows_a_part());
    let mut reader = ListingReader { command, is_cut, ..ListingReader::default() };
    let mut width = 0;
    for line in text.lines() {
        reader.line(bare(line), width);
        width = line.trim_end().chars().count();
    }
    reader.finish();
    reader.listings
}

/// A word, and whether a line begins with it.
type ListingWord<'a> = (std::borrow::Cow<'a, str>, bool);

#[derive(Default)]
struct ListingReader<'a> {
    command: Option<&'a ShellCommand>,
    is_cut: bool,
    listings: Vec<SocketListing>,
    records: Vec<SocketRecord>,
    /// The words of the current connection, from its beginning on.
    words: Vec<ListingWord<'a>>,
    /// Whether `words` begin with a connection.
    is_open: bool,
    /// The heading's columns, if there was one.
    heading: Option<Heading>,
    /// Whether it had lines that are neither connections nor known.
    is_strange: bool,
    /// Whether there were such lines since the last connection: the text behind the listing is another one.
    strange_since: bool,
    /// Whether another program's output has begun.
    is_over: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
struct Heading {
    has_state: bool,
}

impl<'a> ListingReader<'a> {
    /// Takes a line; `width` is the length of the line before it.
    fn line(&mut self, line: &'a str, width: usize) {
        if line.is_empty() {
            return;
        }
        let words: Vec<&'a str> = line.split_whitespace().collect();
        if words.iter().all(|word| HEADING.contains(word)) || (line.contains("Recv-Q") && line.contains("Send-Q")) {
            if line.contains("Recv-Q") {
                self.finish();
                self.is_over = false;
                self.heading = Some(Heading { has_state: line.contains("State") });
            }
            return;
        }
        if line.starts_with("Active Internet connections") {
            self.close();
            return;
        }
        let is_continued = self.is_open && self.words.last().is_some_and(|(word, _)| details::is_unclosed(word));
        if !is_continued && is_of_another_program(line, &words) {
            self.close();
            self.is_over = true;
            return;
        }
        let looks_known =
            words.iter().any(|word| details::is_telling(word) || is_address(word) || STATES.contains(word))
                || words.iter().all(|word| details::is_known(word));
        let is_number = words.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_digit()));
        let is_piece = width >= WRAPPED && self.is_open && {
            let last = self.words.last().map_or("", |(word, _)| word.as_ref());
            is_number || details::glued(last, words[0], true).is_some()
        };
        if !is_continued && !looks_known && !is_piece {
            self.close();
            // Only a fence or a prompt ends a listing.
            let is_fence = line.bytes().all(|byte| b"`~=-_*$#%>".contains(&byte));
            self.strange_since |= !is_fence && !self.is_over && !is_prompt(words[0]);
            return;
        }
        self.add(&words, width);
    }

    fn add(&mut self, words: &[&'a str], width: usize) {
        let begins = |at: usize, words: &[&str]| {
            let number = |n: usize| words.get(n).is_some_and(|w| w.len() < 20 && w.bytes().all(|b| b.is_ascii_digit()));
            number(at) && number(at + 1) && (2..4).all(|n| words.get(at + n).is_some_and(|word| is_address(word)))
        };
        for (n, word) in words.iter().enumerate() {
            let glued = match self.words.last() {
                Some((last, _)) if n == 0 && !begins(0, words) => details::glued(last, word, width >= WRAPPED),
                _ => None,
            };
            match glued {
                Some(glued) => {
                    if let Some(last) = self.words.last_mut() {
                        last.0 = std::borrow::Cow::Owned(glued);
                    }
                }
                None => self.words.push(((*word).into(), n == 0)),
            }
            self.split();
        }
        if self.words.len() > MAX_WORDS {
            self.is_strange = true;
            self.close();
        }
    }

    /// Ends the connection before the last words if these begin another one.
    fn split(&mut self) {
        let Some(at) = self.words.len().checked_sub(4) else { return };
        let word = |n: usize| self.words.get(n).map_or("", |(word, _)| word.as_ref());
        let is_number = |n: usize| {
            let word = word(n);
            !word.is_empty() && word.len() < 20 && word.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !(is_number(at) && is_number(at + 1) && is_address(word(at + 2)) && is_address(word(at + 3))) {
            return;
        }
        let is_kind = |word: &str| TCP.contains(&word) || OTHER_KINDS.contains(&word);
        let mut begin = at;
        if begin > 0 && STATES.contains(&word(begin - 1)) {
            begin -= 1;
        }
        if begin > 0 && is_kind(word(begin - 1)) {
            begin -= 1;
        }
        let rest = self.words.split_off(begin);
        self.close();
        self.is_over = false;
        self.is_strange |= self.strange_since;
        self.strange_since = false;
        self.words = rest;
        self.is_open = true;
    }

    /// Ends the current connection.
    fn close(&mut self) {
        let words = std::mem::take(&mut self.words);
        let is_open = std::mem::take(&mut self.is_open);
        if words.is_empty() {
            return;
        }
        // The indented line alone, as people paste it, or the rest of a connection.
        let tells = words.iter().any(|(word, _)| details::tells_of_a_socket(word));
        if is_open || tells {
            self.records.push(record(&words, is_open));
            // A second state or more addresses belong to another connection, which does not begin like one.
            let states = words.iter().filter(|(word, _)| is_state(word)).count();
            let is_end =
                |word: &str| is_address(word) && (word.contains(['.', '[', '*']) || word.matches(':').count() > 1);
            let ends = words.iter().filter(|(word, _)| is_end(word) && !details::is_known(word)).count();
            let is_more = states > usize::from(is_open) || ends > 2 * usize::from(is_open);
            self.is_strange |= is_more || (!is_open && self.heading.is_some());
        } else if words.iter().any(|(word, _)| is_state(word) || is_address(word)) {
            // It begins like a connection, or is a piece of one.
            self.strange_since = true;
            self.is_strange |= words.iter().any(|(word, _)| is_state(word));
        }
    }

    /// Ends a listing.
    fn finish(&mut self) {
        self.close();
        let heading = self.heading.take();
        let is_strange = std::mem::take(&mut self.is_strange);
        // `[snip]`, `--More--`, half a word: the text behind the last connection may replace others.
        let is_followed = std::mem::take(&mut self.strange_since);
        let records = std::mem::take(&mut self.records);
        if records.is_empty() && heading.is_none() {
            return;
        }
        let is_netstat = records.iter().any(|record| record.is_netstat);
        let source = if is_netstat { SocketSource::Netstat } else { SocketSource::Ss };
        let mut listing = SocketListing { sockets: Sockets::new(source), ..SocketListing::default() };
        let is_called =
            |short, long| self.command.is_some_and(|command| command.program == "ss" && command.has(short, long));
        let timers = is_called('o', "options") || records.iter().any(|record| record.socket.timer.is_some());
        let mut no_state = false;
        for record in records.into_iter().filter(|record| record.counts) {
            let SocketRecord { mut socket, is_whole, has_state, .. } = record;
            listing.memory |= socket.sndbuf.is_some();
            listing.timeouts |= socket.rto_ms.is_some();
            // With -o, a connection without a timer has none.
            let has_fired = socket.backoff.is_some_and(|backoff| backoff > 0);
            if timers && is_whole && !is_netstat && !socket.damaged && !has_fired && socket.timer.is_none() {
                socket.timer = Some(Timer::None);
            }
            no_state |= !has_state;
            listing.sockets.take(socket);
        }
        let left_out = self.command.and_then(ShellCommand::leaves_out);
        let part = match self.command {
            _ if self.is_cut => Some("the listing is cut off"),
            _ if is_strange => Some("lines of the listing are broken: save it as a file instead of pasting it"),
            _ if is_followed => Some("other lines follow, so that the listing may be cut (save all of `ss -tanmio`)"),
            Some(_) => left_out.as_deref(),
            None if heading.is_none() => {
                Some("the listing has no heading, so that it may be a part of one (save all of `ss -tanmio`)")
            }
            None if no_state || heading.is_some_and(|heading| !heading.has_state) => {
                Some("the listing has no column State, so that it is of one state only (save all of `ss -tanmio`)")
            }
            None if listing.sockets.connections == 0 => {
                Some("the listing has no TCP connection, and its options are not known (save all of `ss -tanmio`)")
            }
            None => None,
        };
        listing.sockets.finish(part);
        self.listings.push(listing);
    }
}

/// `root@db1:~#`, `[root@db1 ~]#`, `bash-4.2$`, and the first line of a prompt of two lines.
fn is_prompt(word: &str) -> bool {
    word.contains('@') || word.ends_with(['$', '#']) || word.starts_with(['\u{250c}', '\u{256d}'])
}

/// The shortest line that may have been wrapped, in characters.
const WRAPPED: usize = 60;

/// One connection, from its words.
fn record(words: &[ListingWord<'_>], is_open: bool) -> SocketRecord {
    let mut record = SocketRecord { counts: true, is_whole: is_open, ..SocketRecord::default() };
    let mut rest = words;
    if is_open {
        let number = words.iter().position(|(word, _)| word.bytes().all(|byte| byte.is_ascii_digit())).unwrap_or(0);
        let (before, head) = words.split_at(number);
        let before: Vec<&str> = before.iter().map(|(word, _)| word.as_ref()).collect();
        let word = |n: usize| head.get(n).map_or("", |(word, _)| word.as_ref());
        let after = word(4);
        record.is_netstat = STATES.contains(&after) && before.iter().any(|word| TCP.contains(word));
        let state = if record.is_netstat { Some(after) } else { before.iter().copied().find(|w| STATES.contains(w)) };
        let is_other = before.iter().any(|word| OTHER_KINDS.contains(word));
        record.has_state = state.is_some();
        record.counts = !is_other && !state.is_some_and(|state| NOTHING_QUEUED.contains(&state));
        record.socket = Socket {
            local: shortened(word(2)),
            remote: shortened(word(3)),
            unacknowledged: word(1).parse().ok(),
            ..Socket::default()
        };
        rest = head.get(4..).unwrap_or_default();
    }
    record.take(rest);
    record
}

/// `192.0.2.1:80`, `[2001:db8::1]%eth0:443`, `*:*`, `host.example:https`, `:::22`.
fn is_address(word: &str) -> bool {
    let Some((host, port)) = word.rsplit_once(':') else { return false };
    let is_host = !host.is_empty()
        && host.len() <= 255
        && host.chars().all(|c| c.is_ascii_alphanumeric() || ".:-_[]%*".contains(c));
    let is_port = port == "*"
        || (!port.is_empty()
            && port.len() <= 32
            && port.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c)));
    is_host && is_port && !details::is_known(word) && !details::is_pair(word)
}

/// Lines of other outputs in the same text: each ends a connection.
fn is_of_another_program(line: &str, words: &[&str]) -> bool {
    let first = words.first().copied().unwrap_or_default();
    let is_section = words.len() == 1
        && line.len() > 1
        && line.ends_with(':')
        && line.bytes().all(|b| b.is_ascii_alphanumeric() || b == b':');
    let is_counter = words.len() == 3
        && first.starts_with(|c: char| c.is_ascii_uppercase())
        && !STATES.contains(&first)
        && words[2].contains('.')
        && words[2].parse::<f64>().is_ok();
    is_section
        || is_counter
        || ["TcpExt", "IpExt", "Linux ", "node_", "#", "==", "net.", "State"]
            .iter()
            .any(|begin| line.starts_with(begin))
        || super::netstat::is_sentence(line)
        || line.contains(" = ")
}

/// An address, cut to a sensible length: `[2001:db8::1]%eth0:443` is one of the longest.
fn shortened(address: &str) -> String {
    address.chars().take(80).collect()
}

#[cfg(test)]
#[path = "connections_tests.rs"]
mod tests;
