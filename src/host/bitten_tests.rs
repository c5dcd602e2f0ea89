use super::super::counters::{Absence, TcpExtCounters};
use super::super::socket::{Socket, SocketSource, Sockets, Timer};
use super::*;

fn namespace(counters: &[(&str, u64)], absent_means: Absence, sockets: Option<Vec<Socket>>) -> Namespace {
    let values = counters.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    let sockets = sockets.map(|all| {
        let mut sockets = Sockets::new(SocketSource::SockDiag);
        all.into_iter().for_each(|socket| sockets.take(socket));
        sockets.finish(None);
        sockets
    });
    let counters = Some(TcpExtCounters { values, absent_means });
    Namespace { name: "host".to_owned(), counters, sockets, ..Namespace::default() }
}

fn overfull(last_sent_ms: Option<u64>) -> Socket {
    Socket { last_sent_ms, ..Socket::reported() }
}

fn answer(bug: &str, namespaces: Vec<Namespace>) -> (BittenAnswer, Vec<String>) {
    let judged = judge(&HostReading { namespaces, ..HostReading::default() });
    let found = judged.into_iter().find(|bitten| bitten.bug.as_str() == bug).expect("the bug");
    (found.bitten, found.evidence)
}

#[test]
fn stall_is_now_with_counter_and_silent_connection() {
    let silent = || overfull(Some(70_000));
    let answers = || overfull(Some(10_000));
    let early = || overfull(Some(20_000));
    let untold = || overfull(None);
    // Perhaps a zero window behind a long timeout.
    let untimed = || Socket { timer: None, ..overfull(Some(70_000)) };
    let unshown = || Socket { sndbuf: None, ..overfull(None) };
    let behind = || Socket { timer: Some(Timer::Probe), last_ack_ms: Some(100), ..overfull(Some(90_000)) };
    let counter = "TCPWqueueTooBig";
    for (counters, absence, sockets, expected) in [
        (&[(counter, 4)][..], Absence::NotThere, Some(vec![silent()]), BittenAnswer::Now),
        (&[(counter, 4)], Absence::NotThere, Some(vec![untold()]), BittenAnswer::Unknown),
        (&[(counter, 4)], Absence::NotThere, Some(vec![untimed()]), BittenAnswer::Unknown),
        (&[(counter, 4)], Absence::NotThere, Some(vec![untimed(), silent()]), BittenAnswer::Now),
        (&[], Absence::NotThere, Some(vec![untimed()]), BittenAnswer::Unknown),
        (&[(counter, 4)], Absence::NotThere, Some(vec![answers()]), BittenAnswer::MayHaveBeen),
        (&[(counter, 4)], Absence::NotThere, Some(vec![early()]), BittenAnswer::MayHaveBeen),
        (&[(counter, 4)], Absence::NotThere, Some(vec![early(), silent()]), BittenAnswer::Now),
        (&[(counter, 4)], Absence::NotThere, Some(vec![]), BittenAnswer::MayHaveBeen),
        (&[(counter, 4)], Absence::NotThere, None, BittenAnswer::MayHaveBeen),
        (&[(counter, 0)], Absence::NotThere, Some(vec![silent()]), BittenAnswer::Not),
        (&[(counter, 0)], Absence::NotThere, None, BittenAnswer::Not),
        (&[], Absence::NotThere, Some(vec![silent()]), BittenAnswer::MayHaveBeen),
        (&[], Absence::NotThere, Some(vec![answers()]), BittenAnswer::NotNow),
        (&[], Absence::NotThere, Some(vec![early()]), BittenAnswer::Unknown),
        (&[], Absence::NotThere, Some(vec![unshown()]), BittenAnswer::Unknown),
        (&[], Absence::Nothing, Some(vec![]), BittenAnswer::NotNow),
        (&[(counter, 4)], Absence::NotThere, Some(vec![unshown()]), BittenAnswer::MayHaveBeen),
        (&[(counter, 4)], Absence::NotThere, Some(vec![behind()]), BittenAnswer::Unknown),
        (&[], Absence::ZeroOrNotThere, Some(vec![]), BittenAnswer::NotNow),
        (&[], Absence::ZeroOrNotThere, None, BittenAnswer::Unknown),
        (&[], Absence::Nothing, None, BittenAnswer::Unknown),
    ] {
        let case = format!("{counters:?} {absence:?} {sockets:?}");
        assert_eq!(answer("tcp-fragment-stall", vec![namespace(counters, absence, sockets)]).0, expected, "{case}");
    }
}

#[test]
fn cookies_expose_when_one_made_a_connection() {
    for (counters, absence, expected) in [
        (
            &[("SyncookiesSent", 9), ("SyncookiesRecv", 5), ("ListenOverflows", 3)][..],
            Absence::NotThere,
            BittenAnswer::Exposed,
        ),
        (
            &[("SyncookiesSent", 9), ("SyncookiesRecv", 5), ("ListenOverflows", 0)],
            Absence::NotThere,
            BittenAnswer::Exposed,
        ),
        (&[("SyncookiesSent", 9), ("SyncookiesRecv", 0)], Absence::NotThere, BittenAnswer::Not),
        (&[("SyncookiesSent", 0), ("SyncookiesRecv", 0)], Absence::NotThere, BittenAnswer::Not),
        (&[], Absence::ZeroOrNotThere, BittenAnswer::Not),
        (&[], Absence::NotThere, BittenAnswer::Unknown),
        (&[("SyncookiesSent", 0)], Absence::Nothing, BittenAnswer::Unknown),
        (&[("SyncookiesSent", 9)], Absence::Nothing, BittenAnswer::Unknown),
        (&[("SyncookiesRecv", 0)], Absence::Nothing, BittenAnswer::Unknown),
        (&[("SyncookiesRecv", 5)], Absence::Nothing, BittenAnswer::Exposed),
        (&[("ListenOverflows", 0)], Absence::Nothing, BittenAnswer::Unknown),
    ] {
        let namespaces = vec![namespace(counters, absence, None)];
        assert_eq!(answer("syn-cookie-data-loss", namespaces).0, expected, "{counters:?} {absence:?}");
    }
}

#[test]
fn worst_namespace_decides_and_is_named_first() {
    let quiet = |name: &str| Namespace {
        name: name.to_owned(),
        ..namespace(&[("TCPWqueueTooBig", 0)], Absence::NotThere, Some(vec![]))
    };
    let bad = Namespace {
        name: "docker 0123".to_owned(),
        ..namespace(&[("TCPWqueueTooBig", 7)], Absence::NotThere, Some(vec![overfull(Some(70_000))]))
    };
    let all = vec![quiet("host"), quiet("a"), bad, quiet("b"), quiet("c")];
    let (bitten, evidence) = answer("tcp-fragment-stall", all.clone());
    assert_eq!(bitten, BittenAnswer::Now);
    assert!(evidence[0].ends_with("in docker 0123"), "{evidence:?}");
    assert_eq!(evidence[1], "TCPWqueueTooBig is 0, in host, a and 2 more network namespaces");
    let unseen = Namespace { name: "x".to_owned(), ..Namespace::default() };
    assert_eq!(answer("tcp-fragment-stall", vec![quiet("host"), unseen]).0, BittenAnswer::Unknown);
    assert_eq!(answer("tcp-fragment-stall", vec![]).0, BittenAnswer::Unknown);
}

#[test]
fn remedies_fit_the_kernel_release() {
    for (release, offered) in [("4.4.182", false), ("3.10.0-957.21.3.el7", false), ("4.19.57", true)] {
        let namespaces =
            vec![namespace(&[("TCPWqueueTooBig", 4)], Absence::NotThere, Some(vec![overfull(Some(70_000))]))];
        let mut reading = HostReading { namespaces, ..HostReading::default() };
        reading.host.release = Some(release.to_owned());
        let remedies = judge(&reading).remove(0).remedies.join("\n");
        assert_eq!(remedies.contains("ss -K"), offered, "{release}");
    }
}

#[test]
fn zero_window_exposes_when_closed_for_a_minute() {
    for (last_sent, expected, said) in [
        (vec![Some(341_000)], BittenAnswer::Exposed, "the longest for 341 s"),
        (vec![Some(4_020)], BittenAnswer::NotNow, "none for longer than 4 s"),
        (vec![None], BittenAnswer::Unknown, "for how long was not seen"),
        (vec![Some(4_020), None], BittenAnswer::Unknown, "for how long was not seen"),
        (vec![Some(341_000), None], BittenAnswer::Exposed, "the longest for 341 s"),
        (vec![], BittenAnswer::NotNow, "no connection waits behind a zero window"),
    ] {
        let behind = |last_sent| Socket { timer: Some(Timer::Probe), backoff: Some(0), ..overfull(last_sent) };
        let sockets = last_sent.into_iter().map(behind).collect();
        let namespaces = vec![namespace(&[], Absence::NotThere, Some(sockets))];
        let (bitten, evidence) = answer("zero-window-user-timeout", namespaces);
        assert_eq!(bitten, expected);
        assert!(evidence[0].contains(said), "{evidence:?}");
    }
}

#[test]
fn partly_shown_connection_is_unknown_with_option() {
    let unshown = Socket { unacknowledged: Some(500), ..Socket::default() };
    let namespaces = vec![namespace(&[], Absence::NotThere, Some(vec![unshown]))];
    for (bug, says) in [("tcp-fragment-stall", "`ss -m`"), ("zero-window-user-timeout", "`ss -o`")] {
        let (bitten, evidence) = answer(bug, namespaces.clone());
        assert_eq!(bitten, BittenAnswer::Unknown, "{bug}");
        assert!(evidence[0].contains(says), "{evidence:?}");
    }
}
