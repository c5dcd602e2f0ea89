//! Judges a transfer over the lossy link: pure functions.

use std::collections::BTreeMap;

use super::judge::{guard_fires, skmem};
use super::loss::TURNS_BAD;
use super::transfer::BYTES;
use crate::sut::socket::{Memory, TcpInfo};
use backproof_protocol::{Check, Role, Shown};

/// This many timeouts without a retransmission count as silence.
pub const TIMEOUTS: u8 = super::judge::TIMEOUTS;

/// The observations of one transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransferObservation {
    /// Determined which packets got lost.
    pub seed: u64,
    /// Send memory at the end.
    pub memory: Memory,
    /// `TCP_INFO` at the end.
    pub info: TcpInfo,
    /// Whether segments can be longer than the MSS; none if the kernel does not say.
    pub gso: Option<bool>,
    /// Bytes that the server's application has written.
    pub written: u64,
    /// Bytes that the client's application has read.
    pub received: u64,
    /// Segments that the wire lost.
    pub lost: u32,
    /// Segments with data that went out again.
    pub again: u32,
    /// TCPWqueueTooBig before the connection was opened; none if the kernel lacks it.
    pub too_big_before: Option<u64>,
    /// TCPWqueueTooBig at the end.
    pub too_big_after: Option<u64>,
    /// The outcome.
    pub course: TransferCourse,
}

/// The outcome of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferCourse {
    /// The client has read everything.
    Finished {
        /// Milliseconds from the client's SYN on.
        after_ms: u64,
    },
    /// The server went silent with data to send.
    Silent(TransferSilence),
    /// Neither in time.
    Undecided {
        /// Milliseconds from the client's SYN on.
        after_ms: u64,
    },
}

/// A server that went silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferSilence {
    /// Milliseconds since the server last sent what the client waits for, or the client last got that.
    pub quiet_ms: u64,
    /// Doublings of the timeout in that time.
    pub timeouts: u8,
    /// The timeout at the end, in milliseconds.
    pub rto_ms: u64,
    /// Duplicate acknowledgements in that time.
    pub dup_acks: u32,
    /// Segments with other data that it sent in that time.
    pub other_data: u32,
    /// Whether it acknowledged the client's probe, which proves that the wire works.
    pub answered: bool,
    /// Whether it sent what the client waits for after the probe.
    pub resumed: bool,
}

/// Judges one transfer. An `Err` says why it could not be carried out.
pub fn judge(name: &str, seen: &Result<TransferObservation, String>) -> Check {
    let (shown, why, facts) = match seen {
        Err(error) => (Shown::Unclear, error.clone(), BTreeMap::new()),
        Ok(seen) => {
            let (shown, why) = judge_seen(seen);
            (shown, why, facts(seen))
        }
    };
    Check { name: name.to_owned(), role: Role::Natural, shown, why, facts }
}

fn judge_seen(seen: &TransferObservation) -> (Shown, String) {
    let TransferObservation { received, lost, again, .. } = seen;
    let counter = match (seen.too_big_before, seen.too_big_after) {
        (Some(before), Some(after)) => format!("TCPWqueueTooBig {before} to {after}"),
        _ => "no counter TCPWqueueTooBig".to_owned(),
    };
    let so_far = format!("{received} of {BYTES} bytes");
    match &seen.course {
        TransferCourse::Finished { after_ms } if *lost == 0 => {
            (Shown::Unclear, format!("{so_far} arrived after {after_ms} ms, but nothing was lost"))
        }
        TransferCourse::Finished { after_ms } => (
            Shown::No,
            format!("{so_far} arrived after {after_ms} ms: {lost} segments lost, {again} sent again; {counter}"),
        ),
        TransferCourse::Undecided { after_ms } => {
            (Shown::Unclear, format!("after {after_ms} ms {so_far} had arrived, and the server was not silent"))
        }
        TransferCourse::Silent(silence) => {
            let TransferSilence { quiet_ms, timeouts, rto_ms, dup_acks, other_data, answered, resumed } = silence;
            let other =
                if *other_data == 0 { "nothing".to_owned() } else { format!("{other_data} segments of new data") };
            let silent = format!(
                "after {so_far} the next was not sent for {quiet_ms} ms, {timeouts} timeouts and {dup_acks} duplicate \
                 ACKs, which were answered by {other}: {} rto:{rto_ms} backoff:{} unacked:{}; {counter}",
                skmem(&seen.memory),
                seen.info.backoff,
                seen.info.unacked,
            );
            let not_counted = seen.too_big_before.is_some() && seen.too_big_before == seen.too_big_after;
            match (answered, resumed) {
                _ if guard_fires(&seen.memory, 0) == Some(false) => {
                    (Shown::Unclear, format!("{silent}; but the send buffer is not full enough for this bug"))
                }
                _ if not_counted => {
                    (Shown::Unclear, format!("{silent}; but the counter did not grow, so it was not this bug"))
                }
                (_, true) => (Shown::Unclear, format!("{silent}; but it was sent later")),
                (false, _) => (Shown::Unclear, format!("{silent}; but the kernel did not answer the client")),
                (true, false) => (Shown::Yes, silent),
            }
        }
    }
}

fn facts(seen: &TransferObservation) -> BTreeMap<String, Option<i64>> {
    let number = |n: u64| i64::try_from(n).ok();
    let silence = if let TransferCourse::Silent(silence) = &seen.course { Some(silence) } else { None };
    let finished_ms = if let TransferCourse::Finished { after_ms } = &seen.course { number(*after_ms) } else { None };
    [
        ("seed", number(seen.seed)),
        ("link_turns_bad_permille", number(TURNS_BAD)),
        ("sndbuf_bytes", number(seen.memory.sndbuf)),
        ("wmem_queued_bytes", seen.memory.wmem_queued.and_then(number)),
        ("rto_ms", Some(i64::from(seen.info.rto_us / 1000))),
        ("backoff", Some(seen.info.backoff.into())),
        ("unacked_segments", Some(seen.info.unacked.into())),
        ("gso", seen.gso.map(i64::from)),
        ("written_bytes", number(seen.written)),
        ("received_bytes", number(seen.received)),
        ("lost_segments", Some(seen.lost.into())),
        ("retransmitted_segments", Some(seen.again.into())),
        ("too_big_before", seen.too_big_before.and_then(number)),
        ("too_big_after", seen.too_big_after.and_then(number)),
        ("finished_ms", finished_ms),
        ("silent_ms", silence.and_then(|s| number(s.quiet_ms))),
        ("timeouts", silence.map(|s| s.timeouts.into())),
        ("dup_acks", silence.map(|s| s.dup_acks.into())),
        ("new_data_segments", silence.map(|s| s.other_data.into())),
        ("probe_answered", silence.map(|s| s.answered.into())),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn silent_seen(silence: TransferSilence) -> TransferObservation {
        TransferObservation {
            seed: 1,
            memory: Memory { sndbuf: 8192, outq: 20_000, wmem_queued: Some(22_680) },
            info: TcpInfo {
                established: true,
                probes: 0,
                total_retrans: 0,
                retransmits: 3,
                backoff: 3,
                rto_us: 1_600_000,
                snd_mss: 1448,
                unacked: 9,
            },
            gso: Some(true),
            written: 60_000,
            received: 40_000,
            lost: 7,
            again: 2,
            too_big_before: Some(0),
            too_big_after: Some(3),
            course: TransferCourse::Silent(silence),
        }
    }

    #[test]
    fn silence_counts_only_on_a_proven_wire() {
        let silence = TransferSilence {
            quiet_ms: 1400,
            timeouts: 3,
            rto_ms: 1600,
            dup_acks: 4,
            other_data: 0,
            answered: true,
            resumed: false,
        };
        let table = [
            (TransferCourse::Finished { after_ms: 900 }, 7, Shown::No),
            (TransferCourse::Finished { after_ms: 900 }, 0, Shown::Unclear),
            (TransferCourse::Undecided { after_ms: 8000 }, 7, Shown::Unclear),
            (TransferCourse::Silent(silence), 7, Shown::Yes),
            (TransferCourse::Silent(TransferSilence { answered: false, ..silence }), 7, Shown::Unclear),
            (TransferCourse::Silent(TransferSilence { resumed: true, ..silence }), 7, Shown::Unclear),
        ];
        for (course, lost, expected) in table {
            let seen = TransferObservation { lost, course, ..silent_seen(silence) };
            let check = judge("write", &Ok(seen.clone()));
            assert_eq!((check.shown, check.role), (expected, Role::Natural), "{seen:?}");
        }
        let seen = |memory, too_big_after| TransferObservation { memory, too_big_after, ..silent_seen(silence) };
        let full = silent_seen(silence).memory;
        for (memory, after, expected) in [
            (full, Some(3), Shown::Yes),
            (full, Some(0), Shown::Unclear),
            (Memory { wmem_queued: Some(9000), ..full }, Some(3), Shown::Unclear),
            (Memory { wmem_queued: None, ..full }, Some(3), Shown::Yes),
        ] {
            assert_eq!(judge("write", &Ok(seen(memory, after))).shown, expected, "{memory:?} {after:?}");
        }
        assert_eq!(judge("write", &Err("no TUN".to_owned())).shown, Shown::Unclear);
    }
}
