use super::super::counters::{Absence, Counters};
use super::super::socket::{Socket, Sockets, Source, Timer};
use super::*;

fn namespace(counters: &[(&str, u64)], absent_means: Absence, sockets: Option<Vec<Socket>>) -> Namespace {
    let values = counters.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
    let sockets = sockets.map(|all| {
        let mut sockets = Sockets::new(Source::SockDiag);
        all.into_iter().for_each(|socket| sockets.take(socket));
        sockets.finish(None);
        sockets
    });
    let counters = Some(Counters { values, absent_means });
    Namespace { name: "host".to_owned(), counters, sockets, ..Namespace::default() }
}

fn overfull(last_sent_ms: Option<u64>) -> Socket {
    Socket {
        wmem_queued: Some(22680),
        sndbuf: Some(8192),
        rto_ms: Some(37_760),
        backoff: Some(7),
        timer: Some(Timer::Retransmit),
        last_sent_ms,
        ..Socket::default()
    }
}

fn answer(bug: &str, namespaces: Vec<Namespace>) -> (Answer, Vec<String>) {
    let judged = judge(&Reading { namespaces, ..Reading::default() });
    let found = judged.into_iter().find(|bitten| bitten.bug.as_str() == bug).expect("the bug");
    (found.bitten, found.evidence)
}

#[test]
fn a_stall_is_now_only_with_its_counter_and_a_connection_that_sends_nothing() {
    let silent = || overfull(Some(70_000));
    let answers = || overfull(Some(10_000));
    let early = || overfull(Some(20_000));
    let untold = || overfull(None);
    let unshown = || Socket { sndbuf: None, ..overfull(None) };
    let behind = || Socket { timer: Some(Timer::Probe), last_ack_ms: Some(100), ..overfull(Some(90_000)) };
    let counter = "TCPWqueueTooBig";
    for (counters, absence, sockets, expected) in [
        (&[(counter, 4)][..], Absence::NotThere, Some(vec![silent()]), Answer::Now),
        (&[(counter, 4)], Absence::NotThere, Some(vec![untold()]), Answer::Now),
        (&[(counter, 4)], Absence::NotThere, Some(vec![answers()]), Answer::MayHaveBeen),
        (&[(counter, 4)], Absence::NotThere, Some(vec![early()]), Answer::MayHaveBeen),
        (&[(counter, 4)], Absence::NotThere, Some(vec![early(), silent()]), Answer::Now),
        (&[(counter, 4)], Absence::NotThere, Some(vec![]), Answer::MayHaveBeen),
        (&[(counter, 4)], Absence::NotThere, None, Answer::MayHaveBeen),
        (&[(counter, 0)], Absence::NotThere, Some(vec![silent()]), Answer::Not),
        (&[(counter, 0)], Absence::NotThere, None, Answer::Not),
        (&[], Absence::NotThere, Some(vec![silent()]), Answer::MayHaveBeen),
        (&[], Absence::NotThere, Some(vec![answers()]), Answer::NotNow),
        (&[], Absence::NotThere, Some(vec![early()]), Answer::Unknown),
        (&[], Absence::NotThere, Some(vec![unshown()]), Answer::Unknown),
        (&[], Absence::Nothing, Some(vec![]), Answer::NotNow),
        (&[(counter, 4)], Absence::NotThere, Some(vec![unshown()]), Answer::MayHaveBeen),
        (&[(counter, 4)], Absence::NotThere, Some(vec![behind()]), Answer::Unknown),
        (&[], Absence::ZeroOrNotThere, Some(vec![]), Answer::NotNow),
        (&[], Absence::ZeroOrNotThere, None, Answer::Unknown),
        (&[], Absence::Nothing, None, Answer::Unknown),
    ] {
        let case = format!("{counters:?} {absence:?} {sockets:?}");
        assert_eq!(answer("tcp-fragment-stall", vec![namespace(counters, absence, sockets)]).0, expected, "{case}");
    }
}

#[test]
fn cookies_expose_where_a_connection_was_made_from_one() {
    for (counters, absence, expected) in [
        (
            &[("SyncookiesSent", 9), ("SyncookiesRecv", 5), ("ListenOverflows", 3)][..],
            Absence::NotThere,
            Answer::Exposed,
        ),
        (&[("SyncookiesSent", 9), ("SyncookiesRecv", 5), ("ListenOverflows", 0)], Absence::NotThere, Answer::Exposed),
        (&[("SyncookiesSent", 9), ("SyncookiesRecv", 0)], Absence::NotThere, Answer::Not),
        (&[("SyncookiesSent", 0), ("SyncookiesRecv", 0)], Absence::NotThere, Answer::Not),
        (&[], Absence::ZeroOrNotThere, Answer::Not),
        (&[], Absence::NotThere, Answer::Unknown),
        (&[("SyncookiesSent", 0)], Absence::Nothing, Answer::Unknown),
        (&[("SyncookiesSent", 9)], Absence::Nothing, Answer::Unknown),
        (&[("SyncookiesRecv", 0)], Absence::Nothing, Answer::Unknown),
        (&[("SyncookiesRecv", 5)], Absence::Nothing, Answer::Exposed),
        (&[("ListenOverflows", 0)], Absence::Nothing, Answer::Unknown),
    ] {
        let namespaces = vec![namespace(counters, absence, None)];
        assert_eq!(answer("syn-cookie-data-loss", namespaces).0, expected, "{counters:?} {absence:?}");
    }
}

#[test]
fn the_worst_namespace_speaks_for_the_host_and_is_named_first() {
    let quiet = |name: &str| Namespace {
        name: name.to_owned(),
        ..namespace(&[("TCPWqueueTooBig", 0)], Absence::NotThere, Some(vec![]))
    };
    let bad = Namespace {
        name: "docker 0123".to_owned(),
        ..namespace(&[("TCPWqueueTooBig", 7)], Absence::NotThere, Some(vec![overfull(None)]))
    };
    let all = vec![quiet("host"), quiet("a"), bad, quiet("b"), quiet("c")];
    let (bitten, evidence) = answer("tcp-fragment-stall", all.clone());
    assert_eq!(bitten, Answer::Now);
    assert!(evidence[0].ends_with("in docker 0123"), "{evidence:?}");
    assert_eq!(evidence[1], "TCPWqueueTooBig is 0, in host, a and 2 more network namespaces");
    let unseen = Namespace { name: "x".to_owned(), ..Namespace::default() };
    assert_eq!(answer("tcp-fragment-stall", vec![quiet("host"), unseen]).0, Answer::Unknown);
    assert_eq!(answer("tcp-fragment-stall", vec![]).0, Answer::Unknown);
}

#[test]
fn a_remedy_that_this_kernel_does_not_have_is_not_offered() {
    for (release, offered) in [("4.4.182", false), ("3.10.0-957.21.3.el7", false), ("4.19.57", true)] {
        let namespaces = vec![namespace(&[("TCPWqueueTooBig", 4)], Absence::NotThere, Some(vec![overfull(None)]))];
        let mut reading = Reading { namespaces, ..Reading::default() };
        reading.host.release = Some(release.to_owned());
        let remedies = judge(&reading).remove(0).remedies.join("\n");
        assert_eq!(remedies.contains("ss -K"), offered, "{release}");
    }
}

#[test]
fn a_closed_window_matters_once_it_has_been_closed_for_long() {
    for (last_sent, expected, said) in [
        (vec![Some(341_000)], Answer::Exposed, "the longest for 341 s"),
        (vec![Some(4_020)], Answer::NotNow, "none for longer than 4 s"),
        (vec![None], Answer::Unknown, "for how long was not seen"),
        (vec![Some(4_020), None], Answer::Unknown, "for how long was not seen"),
        (vec![Some(341_000), None], Answer::Exposed, "the longest for 341 s"),
        (vec![], Answer::NotNow, "no connection waits behind a zero window"),
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
fn a_connection_that_was_not_shown_whole_is_not_denied() {
    let unshown = Socket { unacknowledged: Some(500), ..Socket::default() };
    let namespaces = vec![namespace(&[], Absence::NotThere, Some(vec![unshown]))];
    for (bug, says) in [("tcp-fragment-stall", "`ss -m`"), ("zero-window-user-timeout", "`ss -o`")] {
        let (bitten, evidence) = answer(bug, namespaces.clone());
        assert_eq!(bitten, Answer::Unknown, "{bug}");
        assert!(evidence[0].contains(says), "{evidence:?}");
    }
}
