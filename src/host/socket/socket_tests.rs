use super::*;

impl Socket {
    /// The connection of the public report: `skmem:(…tb8192…w22680…) rto:37760 backoff:7`.
    pub(in crate::host) fn reported() -> Self {
        Self {
            wmem_queued: Some(22680),
            sndbuf: Some(8192),
            rto_ms: Some(37_760),
            backoff: Some(7),
            timer: Some(Timer::Retransmit),
            ..Self::default()
        }
    }
}

#[test]
fn complaint_follows_from_the_known_values() {
    let with = |change: &dyn Fn(&mut Socket)| {
        let mut socket = Socket::reported();
        change(&mut socket);
        socket.complaint()
    };
    type SocketChange<'a> = &'a dyn Fn(&mut Socket);
    let table: [(SocketChange, Option<Complaint>); 23] = [
        (&|_| (), Some(Complaint::Overfull)),
        (&|s| s.last_sent_ms = Some(70_000), Some(Complaint::Silent)),
        // A dead peer: retransmissions leave the host, and nobody answers.
        (&|s| s.last_sent_ms = Some(10_000), Some(Complaint::Unanswered)),
        // Half a timeout ago: at the last firing or the one before.
        (&|s| s.last_sent_ms = Some(20_000), Some(Complaint::Overfull)),
        // Measured on a fixed kernel whose interface was down: `timer:(on,1.372ms,4) rto:3264 lastsnd:1892`.
        (
            &|s| {
                (s.rto_ms, s.expires_ms, s.last_sent_ms) = (Some(3264), Some(1372), Some(1892));
            },
            Some(Complaint::Unanswered),
        ),
        // Measured on a kernel with the half fix: `timer:(on,1.248ms,4) rto:3456`, last data 3.7 s old, and one
        // timeout before that, which is too early to tell.
        (
            &|s| {
                (s.rto_ms, s.expires_ms, s.last_sent_ms) = (Some(3456), Some(1248), Some(3750));
            },
            Some(Complaint::Silent),
        ),
        (
            &|s| {
                (s.rto_ms, s.expires_ms, s.last_sent_ms) = (Some(1728), Some(672), Some(1900));
            },
            Some(Complaint::Overfull),
        ),
        // The timer fired 5 s ago and the last data is 20 s old: that firing sent nothing.
        (
            &|s| {
                s.last_sent_ms = Some(20_000);
                s.expires_ms = Some(32_760);
            },
            Some(Complaint::Silent),
        ),
        (&|s| s.backoff = Some(0), None),
        (&|s| s.backoff = None, None),
        (&|s| s.wmem_queued = Some(16_384), None),
        (&|s| s.wmem_queued = Some(16_386), Some(Complaint::Overfull)),
        (&|s| s.timer = Some(Timer::Probe), Some(Complaint::ZeroWindow)),
        // With the break alone the first packets and all probes are refused, behind an open window.
        (&|s| (s.timer, s.last_ack_ms) = (Some(Timer::Probe), Some(7_000_000)), Some(Complaint::Overfull)),
        (&|s| s.timer = None, Some(Complaint::Overfull)),
        // A zero window can keep a long timeout: only data in flight, or an open window, makes it a stall.
        (&|s| (s.timer, s.last_sent_ms) = (None, Some(70_000)), Some(Complaint::Overfull)),
        (&|s| (s.timer, s.last_sent_ms, s.in_flight) = (None, Some(70_000), Some(0)), Some(Complaint::Overfull)),
        (&|s| (s.timer, s.last_sent_ms, s.in_flight) = (None, Some(70_000), Some(4)), Some(Complaint::Silent)),
        (&|s| (s.timer, s.last_sent_ms, s.peer_window) = (None, Some(70_000), Some(9)), Some(Complaint::Silent)),
        (&|s| s.sndbuf = None, Some(Complaint::Retransmitting)),
        (&|s| s.unacknowledged = Some(0), None),
        (&|s| s.timer = Some(Timer::None), None),
        (
            &|s| {
                s.sndbuf = None;
                s.unacknowledged = Some(1);
            },
            Some(Complaint::Retransmitting),
        ),
    ];
    for (n, (change, expected)) in table.into_iter().enumerate() {
        assert_eq!(with(change), expected, "row {n}");
    }
}

#[test]
fn long_timeout_names_what_excludes_a_zero_window() {
    let untold = |change: &dyn Fn(&mut Socket)| {
        let mut socket = Socket::reported();
        change(&mut socket);
        match socket.stuck() {
            Told::Untold(lacking) => lacking.words(),
            told => panic!("{told:?}"),
        }
    };
    let no_timer = untold(&|s| (s.timer, s.last_sent_ms) = (None, Some(70_000)));
    assert!(no_timer.contains("`ss -o`") && no_timer.contains("snd_wnd"), "{no_timer}");
    let no_time = untold(&|_| ());
    assert!(no_time.contains("lastsnd") && no_time.contains("snd_wnd"), "{no_time}");
}
