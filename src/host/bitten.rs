//! Has this host been bitten? What a reading means for each bug that leaves traces on a host.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::counters::Count;
use super::socket::Complaint;
use super::{Namespace, Reading, base_version};
use crate::words::{BugId, State};

/// Whether the host has been bitten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// No, not since it booted (or the namespace was made).
    Not,
    /// Not at this moment; nothing on a host tells of the past.
    NotNow,
    /// What was seen does not tell.
    Unknown,
    /// It did what the bug needs; whether harm came of it leaves no trace.
    Exposed,
    /// There are traces, which something harmless can leave too.
    MayHaveBeen,
    /// It is happening.
    Now,
}

impl Answer {
    /// In words, for the column of a table.
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

/// What a reading means for one bug.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bitten {
    /// The bug.
    pub bug: BugId,
    /// Whether it has bitten.
    pub bitten: Answer,
    /// What that stands on, one sentence each, what decides first.
    pub evidence: Vec<String>,
    /// What would free what is stuck, or keep it from happening, on this kernel.
    pub remedies: Vec<String>,
}

/// What one namespace says of one bug: the answer, and a sentence's beginning that `in <names>` can follow.
type Said = (Answer, String);

/// What a reading means for each bug that leaves traces.
pub fn judge(reading: &Reading) -> Vec<Bitten> {
    let judges: [(&str, Judge, Remedies); 3] = [
        ("tcp-fragment-stall", stall, stall_remedies),
        ("syn-cookie-data-loss", cookies, cookie_remedies),
        ("zero-window-user-timeout", zero_window, zero_window_remedies),
    ];
    let judged = judges.into_iter().filter_map(|(bug, of, remedies)| {
        let said: Vec<(Said, &str)> = reading.namespaces.iter().map(|n| (of(n), n.name.as_str())).collect();
        let mut bitten = said.iter().map(|((answer, _), _)| *answer).max().unwrap_or(Answer::Unknown);
        // The log tells of cookies that no counter shows: of another namespace, or of another time.
        let mut logged = reading.host.floods.iter().flatten();
        if bug == "syn-cookie-data-loss" && logged.any(|line| line.to_lowercase().contains("sending cookies")) {
            bitten = bitten.max(Answer::Unknown);
        }
        let mut evidence = grouped(&said);
        evidence.extend(of_the_host(bug, reading));
        let remedies = if bitten >= Answer::Exposed { remedies(reading) } else { Vec::new() };
        // These names are good ones, and each is tested.
        Some(Bitten { bug: bug.parse().ok()?, bitten, evidence, remedies })
    });
    judged.collect()
}

type Judge = fn(&Namespace) -> Said;
type Remedies = fn(&Reading) -> Vec<String>;

/// Sentences with the names of all namespaces that say the same, the worst first.
fn grouped(said: &[(Said, &str)]) -> Vec<String> {
    let mut groups: BTreeMap<(std::cmp::Reverse<Answer>, &str), Vec<&str>> = BTreeMap::new();
    for ((answer, sentence), name) in said {
        groups.entry((std::cmp::Reverse(*answer), sentence)).or_default().push(name);
    }
    groups.into_iter().map(|((_, sentence), names)| format!("{sentence}, in {}", listed(&names))).collect()
}

/// `a, b and 3 more`, or `all 5 network namespaces` would be wrong where others say something else.
fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 3;
    match names {
        [] => String::new(),
        names if names.len() <= SHOWN => names.join(", "),
        names => format!("{} and {} more network namespaces", names[..SHOWN - 1].join(", "), names.len() - (SHOWN - 1)),
    }
}

/// What the machine as a whole says of a bug.
fn of_the_host(bug: &str, reading: &Reading) -> Vec<String> {
    let patches = reading.host.livepatches.iter().flatten();
    match bug {
        "tcp-fragment-stall" => patches
            .filter(|patch| patch.replaces("tcp_fragment"))
            .map(|patch| {
                format!("the live patch {} replaces tcp_fragment: the release does not tell any more", patch.name)
            })
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
fn stall(namespace: &Namespace) -> Said {
    let too_big = count(namespace, "TCPWqueueTooBig");
    let with = |complaint| namespace.sockets.as_ref().map_or(0, |sockets| sockets.count(complaint));
    let of = |complaint| namespace.sockets.iter().flat_map(move |sockets| sockets.with(complaint));
    let unanswered = with(Complaint::Unanswered);
    // Where the time of the last data is there and does not tell, it is too early: the next timeouts will.
    let early = of(Complaint::Overfull).filter(|socket| socket.last_sent_ms.is_some()).count();
    let stuck = with(Complaint::Silent) + with(Complaint::Overfull).saturating_sub(early);
    let behind = of(Complaint::ZeroWindow).filter(|socket| socket.is_overfull() == Some(true)).count();
    let none = none_is_stuck(namespace);
    let holds = |n: usize| match n {
        1 => "1 connection holds over twice its send buffer and does not get rid of it".to_owned(),
        n => format!("{n} connections hold over twice their send buffer and do not get rid of it"),
    };
    match (too_big, stuck) {
        (Count::Is(counted @ 1..), 1..) => (Answer::Now, format!("TCPWqueueTooBig is {counted}, and {}", holds(stuck))),
        (Count::Is(counted @ 1..), 0) if early > 0 => (
            Answer::MayHaveBeen,
            format!(
                "TCPWqueueTooBig is {counted}, and {}; whether anything leaves shows after some more timeouts: look again \
                 in 10 s",
                holds(early)
            ),
        ),
        (Count::Is(counted @ 1..), 0) if unanswered > 0 => (
            Answer::MayHaveBeen,
            format!(
                "TCPWqueueTooBig is {counted}, which a fixed kernel may count too; what holds over twice its send buffer \
                 now ({unanswered}) is sent again, and its peer does not answer"
            ),
        ),
        (Count::Is(counted @ 1..), 0) if behind > 0 => (
            Answer::Unknown,
            format!(
                "TCPWqueueTooBig is {counted}, which a fixed kernel may count too; what holds over twice its send buffer \
                 now ({behind}) waits behind its peer's zero window"
            ),
        ),
        (Count::Is(counted @ 1..), 0) => {
            let now = match none {
                Ok(()) => "no connection is stuck now".to_owned(),
                Err(why) => format!("whether a connection is stuck now is unknown: {why}"),
            };
            (Answer::MayHaveBeen, format!("TCPWqueueTooBig is {counted}, which a fixed kernel may count too; {now}"))
        }
        (Count::Is(0), 0) => (Answer::Not, "TCPWqueueTooBig is 0".to_owned()),
        (Count::Is(0), 1..) => (Answer::Not, format!("{}, and not by this bug: TCPWqueueTooBig is 0", holds(stuck))),
        (_, 1..) => {
            (Answer::MayHaveBeen, format!("{}, and no counter tells this bug from a route that has gone", holds(stuck)))
        }
        (_, 0) if early > 0 => (
            Answer::Unknown,
            format!("{}; whether anything leaves shows after some more timeouts: look again in 10 s", holds(early)),
        ),
        (unseen, 0) => {
            let counter = match unseen {
                Count::NotThere => {
                    "this kernel has no counter TCPWqueueTooBig to tell of the past (it never had the limit of \
                     CVE-2019-11478, or its vendor left the counter out)"
                }
                Count::ZeroOrNotThere => "TCPWqueueTooBig is not listed: it is 0, or this kernel does not have it",
                _ => "TCPWqueueTooBig was not seen (`nstat -az`)",
            };
            match none {
                Ok(()) => (Answer::NotNow, format!("no connection is stuck; {counter}")),
                Err(why) => (Answer::Unknown, format!("whether a connection is stuck is unknown: {why}; {counter}")),
            }
        }
    }
}

/// What was not shown at all.
const NO_CONNECTIONS: &str = "connections were not seen (`ss -tanmio`)";

/// Says that no connection is stuck, where every connection was shown and none can be.
fn none_is_stuck(namespace: &Namespace) -> Result<(), &str> {
    let Some(sockets) = &namespace.sockets else { return Err(NO_CONNECTIONS) };
    sockets.unsure.stuck.as_deref().map_or(Ok(()), Err)
}

/// Cookies: were any sent, did any make a connection, and did the accept queue overflow meanwhile?
fn cookies(namespace: &Namespace) -> Said {
    let zero = |count| matches!(count, Count::Is(0) | Count::ZeroOrNotThere);
    let sent = count(namespace, "SyncookiesSent");
    let made = count(namespace, "SyncookiesRecv");
    let overflows = count(namespace, "ListenOverflows");
    match (sent, made) {
        (_, Count::Is(connections @ 1..)) => {
            let sentence = match overflows {
                Count::Is(full @ 1..) => format!(
                    "{connections} connections were made from SYN cookies, while the accept queue overflowed {full} times: \
                     any of them may have lost its first bytes"
                ),
                _ => format!(
                    "{connections} connections were made from SYN cookies; any that lost packets when it began may have \
                     lost its first bytes"
                ),
            };
            (Answer::Exposed, sentence)
        }
        (sent, made) if zero(sent) && zero(made) => (Answer::Not, "no SYN cookie was sent".to_owned()),
        (Count::Is(cookies), made) if zero(made) => {
            (Answer::Not, format!("SYN cookies were sent ({cookies}), and no connection was made from one"))
        }
        (Count::Is(cookies @ 1..), _) => (
            Answer::Unknown,
            format!(
                "SYN cookies were sent ({cookies}); SyncookiesRecv, how many made a connection, was not seen (`nstat -az`)"
            ),
        ),
        _ => (Answer::Unknown, "the counters of SYN cookies were not seen (`nstat -az`)".to_owned()),
    }
}

/// How long a connection may wait behind a zero window before anybody wonders, in seconds: receivers that are busy for
/// some seconds are everyday, and a minute is what applications set as TCP_USER_TIMEOUT.
const LONG_WAIT: u64 = 60;

/// Zero windows: nothing counts them, so only the moment can be judged.
fn zero_window(namespace: &Namespace) -> Said {
    let Some(sockets) = &namespace.sockets else { return (Answer::Unknown, NO_CONNECTIONS.to_owned()) };
    let some = match sockets.count(Complaint::ZeroWindow) {
        0 => {
            return match &sockets.unsure.zero_window {
                None => (
                    Answer::NotNow,
                    "no connection waits behind a zero window; nothing counts those that did".to_owned(),
                ),
                Some(why) => {
                    (Answer::Unknown, format!("whether a connection waits behind a zero window is unknown: {why}"))
                }
            };
        }
        1 => "1 connection waits behind a zero window".to_owned(),
        n => format!("{n} connections wait behind a zero window"),
    };
    // No data leaves while the window is closed, so the last of it tells how long that has been.
    match (sockets.longest_zero_window_ms.map(|ms| ms / 1000), &sockets.unsure.zero_window) {
        (Some(longest @ LONG_WAIT..), _) => (
            Answer::Exposed,
            format!(
                "{some}, the longest for {longest} s: a shorter TCP_USER_TIMEOUT, which cannot be seen from outside, \
                 should have ended it"
            ),
        ),
        _ if sockets.zero_window_of_unknown_age => {
            (Answer::Unknown, format!("{some}, for how long was not seen (`ss -i`)"))
        }
        (_, Some(why)) => (Answer::Unknown, format!("{some}; whether another one does is unknown: {why}")),
        (longest, None) => (Answer::NotNow, format!("{some}, none for longer than {} s", longest.unwrap_or(0))),
    }
}

/// What helps only where the kernel has the bug.
const TO_THE_FIX: &str = "to be rid of it, boot a kernel with the fix, or load a live patch that has it";

impl Bitten {
    /// What remains of it where the witnesses say that the kernel does not have the bug: fixed kernels have the limit and
    /// its counter too, and what is stuck is stuck for another reason then.
    pub fn though_not_affected(&mut self, state: Option<State>, reading: &Reading) {
        if self.bitten < Answer::MayHaveBeen {
            return;
        }
        self.bitten = Answer::MayHaveBeen;
        self.remedies.retain(|remedy| remedy != TO_THE_FIX);
        let counts = |namespace| matches!(count(namespace, "TCPWqueueTooBig"), Count::Is(1..));
        let contradicts = state == Some(State::NeverHad) && reading.namespaces.iter().any(counts);
        self.evidence.push(if contradicts {
            "the two contradict each other: the witnesses say that this kernel never had the limit, and the counter of that \
             limit is above 0; --probe tells"
                .to_owned()
        } else {
            "the witnesses say that this kernel is not affected: a fixed kernel refuses and counts too, and what is stuck may \
             wait for another reason"
                .to_owned()
        });
    }
}

fn stall_remedies(reading: &Reading) -> Vec<String> {
    let mut remedies = vec![
        "a connection that is stuck goes on at its next timeout (2 minutes at most) where its application raises that \
         socket's SO_SNDBUF above half of what is queued; nobody else can do that, and net.ipv4.tcp_wmem does not reach \
         a socket that is there already"
            .to_owned(),
    ];
    remedies.push(closing(reading));
    remedies.push(TO_THE_FIX.to_owned());
    remedies
}

fn zero_window_remedies(reading: &Reading) -> Vec<String> {
    vec!["a connection goes on when its peer reads again".to_owned(), closing(reading)]
}

/// How to close somebody else's connection: `SOCK_DESTROY` for TCP came with Linux 4.5 (commit c1e64e298b8c).
fn closing(reading: &Reading) -> String {
    let restart = "restart the process that holds it";
    match reading.host.release.as_deref().and_then(base_version) {
        Some(version) if version < (4, 5) => {
            format!("to close it, {restart}: this kernel has no way to do it from outside")
        }
        _ => format!(
            "to close it, `ss -K dst <address> dport = <port>` as root, where the kernel has CONFIG_INET_DIAG_DESTROY (Linux \
             4.5 or newer), or {restart}"
        ),
    }
}

fn cookie_remedies(reading: &Reading) -> Vec<String> {
    let setting = |name: &str| {
        let values = reading.namespaces.iter().filter_map(|n| Some((n.settings.get(name)?, n.name.as_str())));
        values.take(1).map(|(value, whose)| format!(" (now {value} in {whose})")).collect::<String>()
    };
    vec![
        "nothing brings lost bytes back, and no kernel release has a fix; applications see their own protocol broken"
            .to_owned(),
        format!(
            "make the queues so large that no cookie is sent: net.core.somaxconn{}, net.ipv4.tcp_max_syn_backlog{} and \
             the backlog that the application asks for in listen()",
            setting("net.core.somaxconn"),
            setting("net.ipv4.tcp_max_syn_backlog")
        ),
        format!(
            "or net.ipv4.tcp_syncookies=0{}, which gives up the protection from SYN floods",
            setting("net.ipv4.tcp_syncookies")
        ),
    ]
}

#[cfg(test)]
#[path = "bitten_tests.rs"]
mod tests;
