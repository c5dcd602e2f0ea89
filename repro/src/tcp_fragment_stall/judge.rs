//! Judges what a recipe observed: pure functions.

use std::collections::BTreeMap;

use crate::sut::socket::Memory;
use backproof_protocol::{Check, Role, Shown};

/// This many timeouts without a retransmission count as silence.
pub const TIMEOUTS: u8 = 3;

/// The observations of one recipe after the loss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StallObservation {
    /// Retransmission timeout at the moment of loss, in milliseconds.
    pub rto_ms: u64,
    /// Send memory at the moment of loss.
    pub memory: Memory,
    /// Maximum segment size for sending, in bytes.
    pub snd_mss: u32,
    /// Segments in flight at the moment of loss.
    pub unacked: u32,
    /// The window that the peer advertised, in bytes.
    pub window: u32,
    /// Whether segments can be longer than the MSS; none if the kernel does not say.
    pub gso: Option<bool>,
    /// TCPWqueueTooBig before the connection was opened; none if the kernel lacks it.
    pub too_big_before: Option<u64>,
    /// TCPWqueueTooBig at the end.
    pub too_big_after: Option<u64>,
    /// The number of connections tried: more than one if a set-up was too slow for the kernel's timer.
    pub connections: u8,
    /// The fate of the oldest byte.
    pub course: ByteCourse,
}

/// The fate of the oldest byte that is unacknowledged or never went out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ByteCourse {
    /// It was retransmitted.
    Retransmitted {
        /// Milliseconds after the loss.
        after_ms: u64,
        /// Bytes of data in the retransmission. It starts in the middle of an MSS, so it is one MSS long only if it was
        /// split off a longer segment.
        bytes: u32,
    },
    /// It was not sent for at least three timeouts.
    Silent(ByteSilence),
    /// Neither in time.
    Undecided {
        /// The awaited event.
        waited_for: String,
    },
}

/// A connection that went silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSilence {
    /// Whether the byte had gone out at least once.
    pub sent_once: bool,
    /// Segments in flight, as the kernel counts them.
    pub unacked: u32,
    /// Segments that the kernel has sent again since the loss, by its own count (`tcpi_total_retrans`).
    pub resent: u32,
    /// Repeated segments on the wire since the loss.
    pub seen_again: u32,
    /// Zero-window probes, which the kernel sends only if it thinks that the window is closed.
    pub window_probes: u64,
    /// Milliseconds of silence before the loss ended.
    pub ms: u64,
    /// Doublings of the timeout at that time.
    pub backoff: u8,
    /// The timeout at that time, in milliseconds.
    pub rto_ms: u64,
    /// Whether the kernel answered the peer's probe on this connection after the loss ended, which proves that the wire
    /// works.
    pub answered: bool,
    /// The time for which the connection was still watched after the loss ended, in milliseconds.
    pub watched_ms: u64,
    /// Whether the byte was sent after the loss ended.
    pub resumed: bool,
}

/// Whether `tcp_fragment`'s guard fires: half of `sk_wmem_queued` above `sk_sndbuf` and the slack. None if unknown:
/// without SO_MEMINFO, SIOCOUTQ is only a lower bound.
pub fn guard_fires(memory: &Memory, slack: u64) -> Option<bool> {
    let limit = memory.sndbuf + slack;
    match memory.wmem_queued {
        Some(queued) => Some(queued / 2 > limit),
        None if memory.outq / 2 > limit => Some(true),
        None => None,
    }
}

/// Judges one recipe or control. `slack` is what the guard that the recipe targets adds to `sk_sndbuf`. An `Err` says
/// why the recipe could not be carried out.
pub fn judge(name: &str, role: Role, slack: u64, seen: &Result<StallObservation, String>) -> Check {
    let (shown, why, facts) = match seen {
        Err(error) => (Shown::Unclear, error.clone(), BTreeMap::new()),
        Ok(seen) => {
            let (shown, why) = match &seen.course {
                ByteCourse::Undecided { waited_for } => (Shown::Unclear, format!("timed out waiting for {waited_for}")),
                ByteCourse::Retransmitted { after_ms, bytes } => {
                    judge_retransmission(role, slack, seen, *after_ms, *bytes)
                }
                ByteCourse::Silent(silence) => judge_silence(role, seen, silence),
            };
            (shown, why, facts(seen))
        }
    };
    Check { name: name.to_owned(), role, shown, why, facts }
}

fn judge_retransmission(role: Role, slack: u64, seen: &StallObservation, after_ms: u64, bytes: u32) -> (Shown, String) {
    let sent = format!("retransmitted after {after_ms} ms (rto:{}) with {}", seen.rto_ms, skmem(&seen.memory));
    if role != Role::Recipe {
        return (Shown::No, sent);
    }
    let limit = if slack == 0 { "sk_sndbuf".to_owned() } else { format!("sk_sndbuf + {slack}") };
    match (guard_fires(&seen.memory, slack), seen.gso) {
        (_, Some(false)) => (Shown::Unclear, format!("{sent}, but without GSO no segment has to be split")),
        _ if bytes < seen.snd_mss => {
            (Shown::Unclear, format!("{sent}, but its {bytes} bytes did not have to be split off a longer segment"))
        }
        (Some(true), _) => (Shown::No, format!("{sent}, where half of sk_wmem_queued was above {limit}")),
        (Some(false), _) => (Shown::Unclear, format!("{sent}, but half of sk_wmem_queued was not above {limit}")),
        (None, _) => (
            Shown::Unclear,
            format!("{sent}, but without SO_MEMINFO nothing proves half of sk_wmem_queued above {limit}"),
        ),
    }
}

fn judge_silence(role: Role, seen: &StallObservation, silence: &ByteSilence) -> (Shown, String) {
    let ByteSilence { ms, backoff, rto_ms, watched_ms, .. } = silence;
    let head =
        if silence.sent_once { "the oldest unacknowledged byte" } else { "the oldest byte, which never went out," };
    let counter = match (seen.too_big_before, seen.too_big_after) {
        (Some(before), Some(after)) => format!("TCPWqueueTooBig {before} to {after}"),
        _ => "no counter TCPWqueueTooBig".to_owned(),
    };
    let silent = format!(
        "{head} was not sent for {ms} ms, {} bytes unacknowledged, window {} open: {} rto:{rto_ms} backoff:{backoff}, {counter}",
        seen.memory.outq,
        seen.window,
        skmem(&seen.memory),
    );
    // The silence must be the kernel's, not the wire's.
    if silence.resent > silence.seen_again {
        let lost = silence.resent - silence.seen_again;
        return (Shown::Unclear, format!("{silent}; but the kernel counts {lost} segments sent again that never came"));
    }
    if !silence.sent_once && silence.unacked > 0 {
        return (Shown::Unclear, format!("{silent}; but the kernel has {} segments in flight", silence.unacked));
    }
    if silence.window_probes > 0 {
        let probes = silence.window_probes;
        return (Shown::Unclear, format!("{silent}; but the kernel takes the window for closed: {probes} probes"));
    }
    if !silence.answered {
        return (Shown::Unclear, format!("{silent}; but the kernel did not answer a probe"));
    }
    if silence.resumed {
        return (Shown::Unclear, format!("{silent}; but it was sent when the loss had ended"));
    }
    if role == Role::Recipe {
        if guard_fires(&seen.memory, 0) == Some(false) {
            return (Shown::Unclear, format!("{silent}; but the send buffer is not full enough for this bug"));
        }
        if seen.too_big_before.is_some() && seen.too_big_before == seen.too_big_after {
            return (Shown::Unclear, format!("{silent}; but the counter did not grow, so it was not this bug"));
        }
    }
    (Shown::Yes, format!("{silent}; still silent {watched_ms} ms after the loss ended, while it answers probes"))
}

/// Formats the memory like ss(8).
pub(super) fn skmem(memory: &Memory) -> String {
    match memory.wmem_queued {
        Some(queued) => format!("skmem:(tb{},w{queued})", memory.sndbuf),
        None => format!("skmem:(tb{}) outq:{}", memory.sndbuf, memory.outq),
    }
}

fn facts(seen: &StallObservation) -> BTreeMap<String, Option<i64>> {
    let number = |n: u64| i64::try_from(n).ok();
    let (mut retransmit_ms, mut retransmit_bytes, mut silence) = (None, None, None);
    match &seen.course {
        ByteCourse::Retransmitted { after_ms, bytes } => {
            retransmit_ms = number(*after_ms);
            retransmit_bytes = Some(i64::from(*bytes));
        }
        ByteCourse::Silent(seen) => silence = Some(seen),
        ByteCourse::Undecided { .. } => {}
    }
    [
        ("rto_ms", number(seen.rto_ms)),
        ("sndbuf_bytes", number(seen.memory.sndbuf)),
        ("wmem_queued_bytes", seen.memory.wmem_queued.and_then(number)),
        ("outq_bytes", number(seen.memory.outq)),
        ("snd_mss_bytes", Some(seen.snd_mss.into())),
        ("unacked_segments", Some(seen.unacked.into())),
        ("window_bytes", Some(seen.window.into())),
        ("connections", Some(seen.connections.into())),
        ("gso", seen.gso.map(i64::from)),
        ("wqueue_too_big_before", seen.too_big_before.and_then(number)),
        ("wqueue_too_big_after", seen.too_big_after.and_then(number)),
        ("retransmit_ms", retransmit_ms),
        ("retransmit_bytes", retransmit_bytes),
        ("silent_ms", silence.and_then(|s| number(s.ms))),
        ("backoff", silence.map(|s| s.backoff.into())),
        ("resent_segments", silence.map(|s| s.resent.into())),
        ("seen_again_segments", silence.map(|s| s.seen_again.into())),
        ("window_probes", silence.and_then(|s| number(s.window_probes))),
        ("silent_after_loss_ms", silence.and_then(|s| number(s.watched_ms))),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLACK: u64 = 0x20000;

    fn memory(sndbuf: u64, wmem_queued: Option<u64>, outq: u64) -> Memory {
        Memory { sndbuf, outq, wmem_queued }
    }

    fn seen(course: ByteCourse) -> StallObservation {
        StallObservation {
            rto_ms: 204,
            memory: memory(8192, Some(20376), 15000),
            snd_mss: 1460,
            unacked: 11,
            window: 32896,
            gso: Some(true),
            too_big_before: Some(0),
            too_big_after: Some(3),
            connections: 1,
            course,
        }
    }

    fn silence() -> ByteSilence {
        ByteSilence {
            sent_once: true,
            unacked: 11,
            resent: 0,
            seen_again: 0,
            window_probes: 0,
            ms: 1430,
            backoff: 3,
            rto_ms: 1632,
            answered: true,
            watched_ms: 612,
            resumed: false,
        }
    }

    #[test]
    fn guard_is_judged_by_memory_before_the_queue() {
        for (memory, slack, expected) in [
            (memory(8192, Some(16386), 0), 0, Some(true)),
            (memory(8192, Some(16385), 0), 0, Some(false)),
            (memory(8192, None, 16386), 0, Some(true)),
            (memory(8192, None, 16385), 0, None),
            (memory(4608, Some(473_240), 0), SLACK, Some(true)),
            (memory(4608, Some(2 * (4608 + SLACK)), 0), SLACK, Some(false)),
        ] {
            assert_eq!(guard_fires(&memory, slack), expected, "{memory:?} {slack}");
        }
    }

    #[test]
    fn retransmission_passes_only_if_the_guard_would_fire() {
        let sent = || seen(ByteCourse::Retransmitted { after_ms: 215, bytes: 1460 });
        for (seen, role, slack, expected) in [
            (sent(), Role::Recipe, 0, Shown::No),
            (sent(), Role::Recipe, SLACK, Shown::Unclear),
            (StallObservation { memory: memory(8192, Some(16000), 15000), ..sent() }, Role::Recipe, 0, Shown::Unclear),
            (StallObservation { memory: memory(8192, None, 15000), ..sent() }, Role::Recipe, 0, Shown::Unclear),
            (StallObservation { memory: memory(4608, None, 464_000), ..sent() }, Role::Recipe, SLACK, Shown::No),
            (StallObservation { gso: Some(false), ..sent() }, Role::Recipe, 0, Shown::Unclear),
            (seen(ByteCourse::Retransmitted { after_ms: 215, bytes: 1380 }), Role::Recipe, 0, Shown::Unclear),
            (StallObservation { gso: None, ..sent() }, Role::Recipe, 0, Shown::No),
            (
                StallObservation { memory: memory(2_000_000, Some(20000), 15000), ..sent() },
                Role::NegativeControl,
                0,
                Shown::No,
            ),
        ] {
            assert_eq!(judge("r", role, slack, &Ok(seen.clone())).shown, expected, "{role:?} {slack} {seen:?}");
        }
    }

    #[test]
    fn silence_is_the_bug_only_without_contrary_evidence() {
        let silent = |silence| seen(ByteCourse::Silent(silence));
        let whole = || silent(silence());
        for (seen, role, expected) in [
            (whole(), Role::Recipe, Shown::Yes),
            (silent(ByteSilence { sent_once: false, unacked: 0, ..silence() }), Role::Recipe, Shown::Yes),
            (silent(ByteSilence { sent_once: false, ..silence() }), Role::Recipe, Shown::Unclear),
            (silent(ByteSilence { resent: 1, ..silence() }), Role::Recipe, Shown::Unclear),
            (silent(ByteSilence { resent: 1, seen_again: 1, ..silence() }), Role::Recipe, Shown::Yes),
            (silent(ByteSilence { window_probes: 1, ..silence() }), Role::Recipe, Shown::Unclear),
            (silent(ByteSilence { window_probes: 1, ..silence() }), Role::NegativeControl, Shown::Unclear),
            (silent(ByteSilence { answered: false, ..silence() }), Role::Recipe, Shown::Unclear),
            (silent(ByteSilence { resumed: true, ..silence() }), Role::Recipe, Shown::Unclear),
            (StallObservation { memory: memory(8192, Some(16000), 15000), ..whole() }, Role::Recipe, Shown::Unclear),
            (StallObservation { memory: memory(8192, None, 15000), ..whole() }, Role::Recipe, Shown::Yes),
            (StallObservation { too_big_after: Some(0), ..whole() }, Role::Recipe, Shown::Unclear),
            (StallObservation { too_big_before: None, too_big_after: None, ..whole() }, Role::Recipe, Shown::Yes),
            (
                StallObservation { memory: memory(2_000_000, Some(16000), 15000), ..whole() },
                Role::NegativeControl,
                Shown::Yes,
            ),
            (seen(ByteCourse::Undecided { waited_for: "x".to_owned() }), Role::Recipe, Shown::Unclear),
            (seen(ByteCourse::Undecided { waited_for: "x".to_owned() }), Role::NegativeControl, Shown::Unclear),
        ] {
            assert_eq!(judge("r", role, 0, &Ok(seen.clone())).shown, expected, "{role:?} {seen:?}");
        }
        assert_eq!(judge("r", Role::Recipe, 0, &Err("no SYN-ACK".to_owned())).shown, Shown::Unclear);
    }

    #[test]
    fn reason_has_memory_and_timer_in_the_format_of_ss() {
        let check = judge("small-sndbuf", Role::Recipe, 0, &Ok(seen(ByteCourse::Silent(silence()))));
        assert!(
            check.why.contains("skmem:(tb8192,w20376) rto:1632 backoff:3, TCPWqueueTooBig 0 to 3"),
            "{}",
            check.why
        );
        assert_eq!(check.facts["wqueue_too_big_after"], Some(3));
        assert_eq!(check.facts["retransmit_ms"], None);
    }
}
