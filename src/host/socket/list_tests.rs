use super::super::Timer;
use super::*;

#[test]
fn sockets_deny_nothing_that_was_not_shown() {
    let denies = |socket: Socket| {
        let mut sockets = Sockets::new(SocketSource::Ss);
        assert!(sockets.unsure.stuck.is_some() && sockets.unsure.zero_window.is_some());
        sockets.take(socket);
        sockets.finish(None);
        (sockets.unsure.stuck.is_none(), sockets.unsure.zero_window.is_none())
    };
    let shown = || Socket {
        wmem_queued: Some(600),
        sndbuf: Some(8192),
        rto_ms: Some(204),
        backoff: Some(0),
        timer: Some(Timer::Retransmit),
        retransmits: Some(0),
        last_sent_ms: Some(5),
        unacknowledged: Some(500),
        ..Socket::default()
    };
    type ShownChange<'a> = &'a dyn Fn(&mut Socket);
    let table: [(ShownChange, (bool, bool)); 11] = [
        (&|_| (), (true, true)),
        (&|s| s.sndbuf = None, (true, true)),
        (&|s| (s.sndbuf, s.backoff, s.retransmits) = (None, Some(3), Some(3)), (false, false)),
        (&|s| (s.sndbuf, s.backoff, s.retransmits) = (None, None, None), (false, false)),
        (&|s| (s.backoff, s.retransmits) = (Some(3), Some(3)), (true, false)),
        (&|s| (s.backoff, s.peer_window) = (Some(3), Some(9000)), (true, true)),
        (&|s| s.timer = None, (true, false)),
        (&|s| (s.timer, s.in_flight) = (None, Some(1)), (true, true)),
        (&|s| s.damaged = true, (false, false)),
        (&|s| *s = Socket { unacknowledged: Some(0), ..Socket::default() }, (true, true)),
        (&|s| *s = Socket { unacknowledged: Some(1), ..Socket::default() }, (false, false)),
    ];
    for (n, (change, expected)) in table.into_iter().enumerate() {
        let mut socket = shown();
        change(&mut socket);
        assert_eq!(denies(socket), expected, "row {n}");
    }
}

#[test]
fn two_listings_keep_the_gravest_of_both() {
    let listing = |source, sockets: Vec<Socket>| {
        let mut listing = Sockets::new(source);
        sockets.into_iter().for_each(|socket| listing.take(socket));
        listing.finish(None);
        listing
    };
    let at = |remote: &str, change: &dyn Fn(&mut Socket)| {
        let mut socket = Socket { remote: remote.to_owned(), ..Socket::reported() };
        change(&mut socket);
        socket
    };
    let unseen = at("a", &|s| s.sndbuf = None);
    let silent = at("a", &|s| s.last_sent_ms = Some(70_000));
    let behind = at("b", &|s| s.timer = Some(Timer::Probe));
    let netstat = || listing(SocketSource::Netstat, vec![unseen.clone(), behind.clone()]);
    let ss = || listing(SocketSource::Ss, vec![silent.clone()]);
    for (mut one, other) in [(netstat(), ss()), (ss(), netstat())] {
        one.merge(other);
        let counts = [Complaint::Silent, Complaint::Retransmitting, Complaint::ZeroWindow].map(|c| one.count(c));
        assert_eq!((one.source, counts), (SocketSource::Ss, [1, 0, 1]));
    }
    let mut told = listing(SocketSource::Ss, Vec::new());
    told.merge(listing(SocketSource::Netstat, vec![unseen.clone()]));
    assert!(told.unsure.stuck.is_some(), "it never had that connection");
    let mut told = listing(SocketSource::Ss, vec![at("a", &|s| s.backoff = Some(0))]);
    told.merge(listing(SocketSource::Netstat, vec![unseen]));
    assert_eq!(told.unsure, Unsure::default());
}

#[test]
fn kept_sockets_are_bounded_and_all_are_counted() {
    let mut sockets = Sockets::new(SocketSource::Ss);
    for _ in 0..MAX_WAITING + 5 {
        sockets.take(Socket::reported());
    }
    sockets.take(Socket { last_sent_ms: Some(70_000), ..Socket::reported() });
    sockets.take(Socket { timer: Some(Timer::Probe), last_sent_ms: Some(903_000), ..Socket::reported() });
    assert_eq!((sockets.connections, sockets.waiting_in_all), (MAX_WAITING + 7, MAX_WAITING + 7));
    assert_eq!(sockets.waiting.len(), MAX_WAITING);
    let beyond = (sockets.count(Complaint::Silent), sockets.longest_zero_window_ms);
    assert_eq!(beyond, (1, Some(903_000)));
}
