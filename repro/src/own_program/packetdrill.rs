//! Reads the outcome of packetdrill. It exits with 1 for a mismatch as for any other failure, so its messages decide.

use std::process::ExitStatus;

use super::judge::{ProgramJudgement, one_line, signal_of};
use backproof_protocol::Conclusion;

/// The most characters of a message to quote.
const QUOTED: usize = 300;

/// How messages begin that compare what a system call did with what the script expects. Others are about the script.
const COMPARED: [&str; 16] = [
    "Expected result",
    "Expected non-negative",
    "Expected revents",
    "Expected msg_flags",
    "Expected errno",
    "Bad getsockopt",
    "Bad ioctl",
    "Bad data",
    "Bad timestamp",
    "Bad errno",
    "Bad origin",
    "Bad code",
    "Bad info",
    "epoll_event->",
    "cmsgs do not match",
    "received ",
];

/// System calls that set a connection up. If one fails, the script did not come to what it tests.
const SETUP: [&str; 6] = ["socket", "bind", "listen", "open", "fcntl", "setsockopt"];

/// Errors of a call or a network that is not there, by their numbers on Linux: ENOSYS, EOPNOTSUPP, EADDRNOTAVAIL, ENETDOWN,
/// ENETUNREACH.
const UNAVAILABLE: [&str; 5] = ["errno 38 ", "errno 95 ", "errno 99 ", "errno 100 ", "errno 101 "];

/// What packetdrill said on stderr.
#[derive(Debug, Default)]
pub(super) struct PacketdrillLines {
    mismatch: Option<String>,
    failure: Option<String>,
    last: Option<String>,
}

impl PacketdrillLines {
    /// Takes a line of stderr.
    pub(super) fn line(&mut self, line: &str) {
        let quoted = || one_line(line.trim()).chars().take(QUOTED).collect::<String>();
        if line.trim().is_empty() {
            return;
        }
        match is_mismatch(line) {
            Some(true) => _ = self.mismatch.get_or_insert_with(quoted),
            Some(false) => _ = self.failure.get_or_insert_with(quoted),
            None => {}
        }
        self.last = Some(quoted());
    }
}

/// Whether a message about a packet or a call reports a mismatch. None for any other message.
fn is_mismatch(line: &str) -> Option<bool> {
    if let Some((_, why)) = line.split_once(": error handling packet: ") {
        // An emulated guest is late by milliseconds. A packet that does not come at all has another message.
        return Some(!why.starts_with("timing error"));
    }
    let (_, rest) = line.split_once(": runtime error in ")?;
    let (call, why) = rest.split_once(" call: ")?;
    let is_compared = COMPARED.iter().any(|start| why.starts_with(start));
    Some(is_compared && !SETUP.contains(&call) && !UNAVAILABLE.iter().any(|errno| why.contains(errno)))
}

/// Judges packetdrill's end.
pub(super) fn judge(status: ExitStatus, lines: &PacketdrillLines) -> ProgramJudgement {
    let said = |line: &Option<String>| line.as_ref().map_or_else(String::new, |line| format!(": {line}"));
    match (status.code(), &lines.mismatch, &lines.failure) {
        (None, ..) => ProgramJudgement::error(format!("packetdrill was killed by {}", signal_of(status))),
        (Some(0), None, None) => {
            let why = "packetdrill saw what its script expects".to_owned();
            ProgramJudgement::of(Conclusion::NotAffected, why)
        }
        (Some(0), ..) => {
            let why = lines.mismatch.as_ref().or(lines.failure.as_ref()).map_or("", String::as_str);
            ProgramJudgement::error(format!("packetdrill exited with 0 although it printed `{why}`"))
        }
        (Some(1), Some(_), None) => {
            let why = format!("packetdrill reports a mismatch{}", said(&lines.mismatch));
            ProgramJudgement::of(Conclusion::Affected, why).reported(true)
        }
        (Some(code), _, Some(_)) => ProgramJudgement::error(format!(
            "packetdrill exited with {code} without a mismatch{}",
            said(&lines.failure)
        )),
        (Some(code), ..) => {
            ProgramJudgement::error(format!("packetdrill exited with {code} without a mismatch{}", said(&lines.last)))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;

    use proptest::prelude::*;

    use super::*;

    fn judged(code: i32, text: &str) -> ProgramJudgement {
        let mut lines = PacketdrillLines::default();
        text.lines().for_each(|line| lines.line(line));
        judge(ExitStatus::from_raw(code << 8), &lines)
    }

    #[test]
    fn only_a_mismatch_is_affected() {
        use Conclusion::{Affected, Error, NotAffected};
        let packet = "a.pkt:9: error handling packet: live packet field tcp_seq: expected: 1 (0x1) vs actual: 2 (0x2)";
        let read = "a.pkt:9: runtime error in read call: Expected result 10 but got 0";
        let bind = "a.pkt:3: runtime error in bind call: Expected result 0 but got -1 with errno 99 (Cannot assign)";
        let connect = "a.pkt:3: runtime error in connect call: Expected result 0 but got -1 with errno 101 (Network)";
        let late = "a.pkt:9: error handling packet: timing error: expected outbound packet at 0.2 sec";
        let unknown = "a.pkt:9: runtime error in recvmsg call: unknown symbol: 'CMSG_LEVEL_IP'";
        for (code, text, conclusion, why) in [
            (0, "", NotAffected, "saw what its script expects"),
            (0, "a.pkt:9: warning handling packet: timing error", NotAffected, "saw what"),
            (1, packet, Affected, "tcp_seq: expected: 1"),
            (1, read, Affected, "Expected result 10 but got 0"),
            (1, bind, Error, "without a mismatch: a.pkt:3: runtime error in bind"),
            (1, connect, Error, "without a mismatch"),
            (1, late, Error, "timing error"),
            (1, unknown, Error, "unknown symbol"),
            (1, "sh: ip: not found\nopen tun device: No such file", Error, "without a mismatch: open tun device"),
            (1, "a.pkt:1: parse error at 'x'", Error, "parse error"),
            (1, "", Error, "without a mismatch"),
            (2, packet, Error, "exited with 2"),
            (0, packet, Error, "although it printed"),
        ] {
            let found = judged(code, text);
            assert_eq!(found.conclusion, conclusion, "{code} {text:?}: {found:?}");
            assert!(found.why.contains(why), "{code} {text:?}: {}", found.why);
        }
        assert_eq!(judge(ExitStatus::from_raw(6), &PacketdrillLines::default()).conclusion, Error);
    }

    proptest! {
        #[test]
        fn affected_needs_exit_status_1(code in 0..256_i32, text in "(: error handling packet: |: runtime error in |read| call: |\\PC|\n){0,10}") {
            let found = judged(code, &text);
            prop_assert!(found.conclusion != Conclusion::Affected || code == 1);
            prop_assert!(!found.why.contains(char::is_control));
        }
    }
}
