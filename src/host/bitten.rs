//! Judges, for each bug that leaves traces on a host, whether a reading shows that it occurred.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::counters::Count;
use super::socket::{Complaint, Socket, Told};
use super::{HostReading, Namespace, base_version};
use crate::words::{BugId, State};

/// Whether the bug has bitten the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BittenAnswer {
    /// No, not since it booted (or the namespace was made).
    Not,
    /// Not at this moment. A host keeps no record of the past.
    NotNow,
    /// The reading is not sufficient to decide.
    Unknown,
    /// The bug's conditions occurred. Any harm leaves no trace.
    Exposed,
    /// There are traces, but harmless events can leave them too.
    MayHaveBeen,
    /// It is happening.
    Now,
}

impl BittenAnswer {
    /// The answer as text, for a table's column.
    pub fn words(self) -> &'static str {
        match self {
            Self::Not => "no",
            Self::NotNow => "not now",
            Self::Unknown => "unknown",
            Self::Exposed => "was exposed",
            Self::MayHaveBeen => "may have been",
            Self::Now => "bitten now",
        }
    }
}

/// The verdict of a reading for one bug.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bitten {
    /// The bug.
    pub bug: BugId,
    /// Whether it has bitten.
    pub bitten: BittenAnswer,
    /// The reasons, one sentence each, the deciding one first.
    pub evidence: Vec<String>,
    /// Remedies on this kernel: they free stuck connections or prevent the bug.
    pub remedies: Vec<String>,
}

/// One namespace's answer for one bug, and a sentence that `in <names>` can follow.
type NamespaceAnswer = (BittenAnswer, String);

/// The verdicts of a reading, for each bug that leaves traces.
pub fn judge(reading: &HostReading) -> Vec<Bitten> {
    let judges: [(&str, Judge, Remedies); 3] = [
        ("tcp-fragment-stall", stall, stall_remedies),
        ("syn-cookie-data-loss", cookies, cookie_remedies),
        ("zero-window-user-timeout", zero_window, zero_window_remedies),
    ];
    let judged = judges.into_iter().filter_map(|(bug, of, remedies)| {
        let said: Vec<(NamespaceAnswer, &str)> = reading.namespaces.iter().map(|n| (of(n), n.name.as_str())).collect();
        let mut bitten = said.iter().map(|((answer, _), _)| *answer).max().unwrap_or(BittenAnswer::Unknown);
        // Cookies in the log and in no counter were sent in another namespace, or before a reboot.
        let mut logged = reading.host.floods.iter().flatten();
        if bug == "syn-cookie-data-loss" && logged.any(|line| line.to_lowercase().contains("sending cookies")) {
            bitten = bitten.max(BittenAnswer::Unknown);
        }
        let mut evidence = grouped(&said);
        evidence.extend(of_the_host(bug, reading));
        let remedies = if bitten >= BittenAnswer::Exposed { remedies(reading) } else { Vec::new() };
        // These names parse, as each is tested.
        Some(Bitten { bug: bug.parse().ok()?, bitten, evidence, remedies })
    });
    judged.collect()
}

type Judge = fn(&Namespace) -> NamespaceAnswer;
type Remedies = fn(&HostReading) -> Vec<String>;

/// Each sentence with the names of its namespaces, the worst first.
fn grouped(said: &[(NamespaceAnswer, &str)]) -> Vec<String> {
    let mut groups: BTreeMap<(std::cmp::Reverse<BittenAnswer>, &str), Vec<&str>> = BTreeMap::new();
    for ((answer, sentence), name) in said {
        groups.entry((std::cmp::Reverse(*answer), sentence)).or_default().push(name);
    }
    groups.into_iter().map(|((_, sentence), names)| format!("{sentence}, in {}", listed(&names))).collect()
}

/// `a, b and 3 more network namespaces`.
fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 3;
    match names {
        [] => String::new(),
        names if names.len() <= SHOWN => names.join(", "),
        names => format!("{} and {} more network namespaces", names[..SHOWN - 1].join(", "), names.len() - (SHOWN - 1)),
    }
}

/// Evidence of the whole machine.
fn of_the_host(bug: &str, reading: &HostReading) -> Vec<String> {
    let patches = reading.host.livepatches.iter().flatten();
    match bug {
        "tcp-fragment-stall" => patches
            .filter(|patch| patch.replaces("tcp_fragment"))
            .map(|patch| format!("the live patch {} replaces tcp_fragment, so the release no longer tells", patch.name))
            .collect(),
        "syn-cookie-data-loss" => {
            let newest = reading.host.floods.iter().flatten().next_back();
            newest.map(|line| format!("the kernel's log says: {line}")).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn count(namespace: &Namespace, name: &str) -> Count {
    namespace.counters.as_ref().map_or(Count::Unknown, |counters| counters.get(name))
}

/// The stall: connections that hold over twice their send buffer and send nothing, and the counter of refusals.
fn stall(namespace: &Namespace) -> NamespaceAnswer {
    let with = |complaint| namespace.sockets.as_ref().map_or(0, |sockets| sockets.count(complaint));
    let of = |complaint| namespace.sockets.iter().flat_map(move |sockets| sockets.with(complaint));
    let stuck = with(Complaint::Silent);
    // With a timer and the time of the last data, the next timeouts will decide.
    let is_early = |socket: &&Socket| matches!(socket.stuck(), Told::Yes(_));
    let early = of(Complaint::Overfull).filter(is_early).count();
    let untold = with(Complaint::Overfull).saturating_sub(early);
    let behind = of(Complaint::ZeroWindow).filter(|socket| socket.is_overfull() == Some(true)).count();
    let overfull = |n: usize| match n {
        1 => "1 connection holds over twice its send buffer".to_owned(),
        n => format!("{n} connections hold over twice their send buffer"),
    };
    let sends_nothing = || format!("{} and {} nothing", overfull(stuck), if stuck == 1 { "sends" } else { "send" });
    let look_again =
        || format!("{}; look again in 10 s: the next timeouts show whether anything is sent", overfull(early));
    let now = none_is_stuck(namespace).map_err(|why| format!("whether a connection is stuck is unknown: {why}"));
    let counter = match count(namespace, "TCPWqueueTooBig") {
        Count::Is(0) if stuck > 0 => {
            let why = format!("{}, but not by this bug: TCPWqueueTooBig is 0", sends_nothing());
            return (BittenAnswer::Not, why);
        }
        Count::Is(0) => return (BittenAnswer::Not, "TCPWqueueTooBig is 0".to_owned()),
        Count::Is(counted) => {
            let counted = format!("TCPWqueueTooBig is {counted}");
            let harmless = format!("{counted}, which a fixed kernel can count too");
            return match now {
                _ if stuck > 0 => (BittenAnswer::Now, format!("{counted}, and {}", sends_nothing())),
                _ if early > 0 => (BittenAnswer::MayHaveBeen, format!("{counted}, and {}", look_again())),
                _ if with(Complaint::Unanswered) > 0 => {
                    let n = overfull(with(Complaint::Unanswered));
                    (BittenAnswer::MayHaveBeen, format!("{harmless}; {n} and gets no answer to retransmissions"))
                }
                // A closed window would explain these.
                Err(why) if untold > 0 => (BittenAnswer::Unknown, format!("{harmless}; {why}")),
                _ if behind > 0 => {
                    (BittenAnswer::Unknown, format!("{harmless}; {} behind a zero window", overfull(behind)))
                }
                Err(why) => (BittenAnswer::MayHaveBeen, format!("{harmless}; {why}")),
                Ok(()) => (BittenAnswer::MayHaveBeen, format!("{harmless}; no connection is stuck now")),
            };
        }
        Count::NotThere => {
            "this kernel has no counter TCPWqueueTooBig (it never had the limit of CVE-2019-11478, or its vendor left the \
             counter out)"
        }
        Count::ZeroOrNotThere => "TCPWqueueTooBig is not listed: it is 0, or this kernel does not have it",
        Count::Unknown => "TCPWqueueTooBig was not seen (`nstat -az`)",
    };
    match now {
        _ if stuck > 0 => {
            let why =
                format!("{}; a route that is gone looks the same, and no counter tells them apart", sends_nothing());
            (BittenAnswer::MayHaveBeen, why)
        }
        _ if early > 0 => (BittenAnswer::Unknown, look_again()),
        Err(why) => (BittenAnswer::Unknown, format!("{why}; {counter}")),
        Ok(()) => (BittenAnswer::NotNow, format!("no connection is stuck; {counter}")),
    }
}

/// The reason if the reading has no connections.
const NO_CONNECTIONS: &str = "connections were not seen (`ss -tanmio`)";

/// Whether every connection was shown and none can be stuck.
fn none_is_stuck(namespace: &Namespace) -> Result<(), &str> {
    let Some(sockets) = &namespace.sockets else { return Err(NO_CONNECTIONS) };
    sockets.unsure.stuck.as_deref().map_or(Ok(()), Err)
}

/// Cookies: how many were sent, how many made a connection, and whether the accept queue overflowed.
fn cookies(namespace: &Namespace) -> NamespaceAnswer {
    let zero = |count| matches!(count, Count::Is(0) | Count::ZeroOrNotThere);
    let sent = count(namespace, "SyncookiesSent");
    let made = count(namespace, "SyncookiesRecv");
    let overflows = count(namespace, "ListenOverflows");
    match (sent, made) {
        (_, Count::Is(connections @ 1..)) => {
            let sentence = match overflows {
                Count::Is(full @ 1..) => format!(
                    "{connections} connections were made from SYN cookies, and the accept queue overflowed {full} times: \
                     any of them may have lost its first bytes"
                ),
                _ => format!(
                    "{connections} connections were made from SYN cookies: any that lost packets at its start may have \
                     lost its first bytes"
                ),
            };
            (BittenAnswer::Exposed, sentence)
        }
        (sent, made) if zero(sent) && zero(made) => (BittenAnswer::Not, "no SYN cookie was sent".to_owned()),
        (Count::Is(cookies), made) if zero(made) => {
            (BittenAnswer::Not, format!("{cookies} SYN cookies were sent, and no connection was made from one"))
        }
        (Count::Is(cookies @ 1..), _) => (
            BittenAnswer::Unknown,
            format!(
                "{cookies} SYN cookies were sent; how many made a connection (SyncookiesRecv) was not seen (`nstat -az`)"
            ),
        ),
        _ => (BittenAnswer::Unknown, "the counters of SYN cookies were not seen (`nstat -az`)".to_owned()),
    }
}

/// The longest usual wait behind a zero window, in seconds. Receivers are often busy for some seconds; a minute is a
/// usual TCP_USER_TIMEOUT.
const LONG_WAIT: u64 = 60;

/// Zero windows: no counter counts them, so only this moment can be judged.
fn zero_window(namespace: &Namespace) -> NamespaceAnswer {
    let Some(sockets) = &namespace.sockets else { return (BittenAnswer::Unknown, NO_CONNECTIONS.to_owned()) };
    let some = match sockets.count(Complaint::ZeroWindow) {
        0 => {
            return match &sockets.unsure.zero_window {
                None => (
                    BittenAnswer::NotNow,
                    "no connection waits behind a zero window; no counter counts those that did".to_owned(),
                ),
                Some(why) => (
                    BittenAnswer::Unknown,
                    format!("whether a connection waits behind a zero window is unknown: {why}"),
                ),
            };
        }
        1 => "1 connection waits behind a zero window".to_owned(),
        n => format!("{n} connections wait behind a zero window"),
    };
    // No data leaves while the window is closed, so the time of the last data gives the start.
    match (sockets.longest_zero_window_ms.map(|ms| ms / 1000), &sockets.unsure.zero_window) {
        (Some(longest @ LONG_WAIT..), unsure) => {
            let others = unsure
                .as_ref()
                .map_or_else(String::new, |why| format!("; whether another one waits is unknown: {why}"));
            let says = format!(
                "{some}, the longest for {longest} s: a shorter TCP_USER_TIMEOUT should have ended it, but that setting \
                 cannot be seen from outside{others}"
            );
            (BittenAnswer::Exposed, says)
        }
        _ if sockets.zero_window_of_unknown_age => {
            (BittenAnswer::Unknown, format!("{some}, for how long was not seen (`ss -i`)"))
        }
        (_, Some(why)) => (BittenAnswer::Unknown, format!("{some}; whether another one does is unknown: {why}")),
        (longest, None) => (BittenAnswer::NotNow, format!("{some}, none for longer than {} s", longest.unwrap_or(0))),
    }
}

/// The remedy that helps only if the kernel has the bug.
const TO_THE_FIX: &str = "to remove the bug, boot a kernel with the fix, or load a live patch that has it";

impl Bitten {
    /// Lowers the answer if the witnesses say that the kernel does not have the bug: fixed kernels have the limit and
    /// its counter too, and a connection can be stuck for another reason.
    pub fn though_not_affected(&mut self, state: Option<State>, reading: &HostReading) {
        if self.bitten < BittenAnswer::MayHaveBeen {
            return;
        }
        self.bitten = BittenAnswer::MayHaveBeen;
        self.remedies.retain(|remedy| remedy != TO_THE_FIX);
        let counts = |namespace| matches!(count(namespace, "TCPWqueueTooBig"), Count::Is(1..));
        let contradicts = state == Some(State::NeverHad) && reading.namespaces.iter().any(counts);
        self.evidence.push(if contradicts {
            "conflict: the witnesses say that this kernel never had the limit, but the counter of that limit is above 0; run \
             --probe"
                .to_owned()
        } else {
            "the witnesses say that this kernel is not affected: a fixed kernel refuses and counts too, and a connection can \
             be stuck for another reason"
                .to_owned()
        });
    }
}

fn stall_remedies(reading: &HostReading) -> Vec<String> {
    let mut remedies = vec![
        "a stuck connection resumes at its next timeout (2 minutes at most) if its application raises SO_SNDBUF above half \
         of the queued bytes; net.ipv4.tcp_wmem does not change existing sockets"
            .to_owned(),
    ];
    remedies.push(closing(reading));
    remedies.push(TO_THE_FIX.to_owned());
    remedies
}

fn zero_window_remedies(reading: &HostReading) -> Vec<String> {
    vec!["a connection resumes when its peer reads again".to_owned(), closing(reading)]
}

/// The way to close another process's connection: `SOCK_DESTROY` for TCP came with Linux 4.5 (commit c1e64e298b8c).
fn closing(reading: &HostReading) -> String {
    let restart = "restart the process that holds it";
    match reading.host.release.as_deref().and_then(base_version) {
        Some(version) if version < (4, 5) => {
            format!("to close it, {restart}: this kernel cannot close it from outside")
        }
        _ => format!(
            "to close it, run `ss -K dst <address> dport = <port>` as root (needs CONFIG_INET_DIAG_DESTROY, Linux 4.5 or \
             newer), or {restart}"
        ),
    }
}

fn cookie_remedies(reading: &HostReading) -> Vec<String> {
    let setting = |name: &str| {
        let values = reading.namespaces.iter().filter_map(|n| Some((n.settings.get(name)?, n.name.as_str())));
        values.take(1).map(|(value, whose)| format!(" (now {value} in {whose})")).collect::<String>()
    };
    vec![
        "lost bytes cannot be recovered, and no kernel release has a fix; applications see a broken protocol"
            .to_owned(),
        format!(
            "raise the queues until no cookie is sent: net.core.somaxconn{}, net.ipv4.tcp_max_syn_backlog{} and the \
             application's listen() backlog",
            setting("net.core.somaxconn"),
            setting("net.ipv4.tcp_max_syn_backlog")
        ),
        format!(
            "or set net.ipv4.tcp_syncookies=0{}, which removes the protection from SYN floods",
            setting("net.ipv4.tcp_syncookies")
        ),
    ]
}

#[cfg(test)]
#[path = "bitten_tests.rs"]
mod tests;
