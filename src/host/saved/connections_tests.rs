use proptest::prelude::*;

use super::*;
use crate::host::Complaint;
use crate::host::socket::Unsure;

/// The line of the public report.
const REPORTED: &str =
    "\t skmem:(r0,rb16384,t0,tb8192,f1896,w22680,o0,bl0,d0) ts sack cubic wscale:7,7 rto:37760 backoff:7 rtt:0.2/0.1";

const HEAD: &str = "State  Recv-Q Send-Q Local Address:Port  Peer Address:Port Process\n";

const STUCK: &str = "ESTAB  0      21984       10.0.0.1:3306      10.0.0.2:40000 users:((\"mysqld\",pid=1234,fd=20)) timer:(on,12sec,7) uid:106 ino:4711 sk:1\n\
    \t skmem:(r0,rb16384,t0,tb8192,f1896,w22680,o0,bl0,d0) cubic rto:37760 backoff:7 lastsnd:60000 lastrcv:60001 retrans:1/7\n";

const IDLE: &str = "ESTAB  0      0           10.0.0.1:22        10.0.0.9:5000  timer:(keepalive,1min40sec,0) ino:1\n\
    \t skmem:(r0,rb131072,t0,tb87040,f0,w0,o0,bl0,d0) cubic rto:204 lastsnd:5 lastrcv:5\n\
    LISTEN 0      128          0.0.0.0:22         0.0.0.0:*     ino:2\n\
    \t skmem:(r0,rb131072,t0,tb16384,f0,w0,o0,bl0,d0) cubic cwnd:10\n";

fn one(text: &str) -> SocketListing {
    let mut listings = read(text, None, false);
    assert_eq!(listings.len(), 1, "{text}");
    listings.remove(0)
}

fn named(text: &str, command: &str) -> SocketListing {
    read(text, ShellCommand::of_line(command).as_ref(), false).remove(0)
}

#[test]
fn reported_line_alone_is_overfull() {
    for text in [REPORTED, REPORTED.trim_start()] {
        let listing = one(text);
        let found: Vec<_> = listing.sockets.with(Complaint::Overfull).collect();
        assert_eq!((found.len(), found[0].rto_ms, found[0].wmem_queued), (1, Some(37_760), Some(22_680)));
        assert!(listing.sockets.unsure.stuck.is_some(), "others were not shown");
    }
}

#[test]
fn new_listing_is_read_with_timers_and_users() {
    let listing = one(&format!("{HEAD}{STUCK}{IDLE}"));
    assert_eq!(listing.sockets.connections, 2);
    assert_eq!(listing.lacks("ss"), None);
    let found: Vec<_> = listing.sockets.with(Complaint::Silent).collect();
    assert_eq!(found.len(), 1, "{listing:?}");
    assert_eq!(found[0].process.as_deref(), Some("mysqld (1234)"));
    assert_eq!((found[0].expires_ms, found[0].retransmits, found[0].inode), (Some(12_000), Some(7), Some(4711)));
    assert_eq!(found[0].remote, "10.0.0.2:40000");
    assert_eq!(listing.sockets.unsure.stuck, None);
}

#[test]
fn one_line_listing_is_read_with_old_users() {
    let text = "Netid State Recv-Q Send-Q Local Address:Port Peer Address:Port\n\
        tcp ESTAB 0 500 [::1]:80 [::1]:9 users:((\"a: b\",77,3)) timer:(persist,5.120ms,3) skmem:(r0,rb1,t0,tb4608,f0,w600,o0) rto:200 backoff:3 lastsnd:90000\n\
        udp ESTAB 0 500 10.0.0.1:53 10.0.0.2:9 skmem:(r0,rb1,t0,tb1,f0,w600,o0)\n\
        tcp TIME-WAIT 0 0 10.0.0.1:80 10.0.0.2:9\n";
    let listing = one(text);
    assert_eq!(listing.sockets.connections, 1);
    let found = listing.sockets.with(Complaint::ZeroWindow).next().expect("one behind a zero window");
    assert_eq!((found.process.as_deref(), found.expires_ms), (Some("a: b (77)"), Some(5120)));
}

/// The usual forms of a pasted listing.
fn pasted(text: &str) -> Vec<String> {
    let before = |mark: &str| text.lines().map(|line| format!("{mark}{line}\n")).collect::<String>();
    let wrapped = |width: usize| {
        let mut wrapped = String::new();
        for line in text.lines() {
            let mut length = 0;
            for word in line.split(' ') {
                if length > 0 && length + 1 + word.len() > width {
                    wrapped.push('\n');
                    length = 0;
                } else if length > 0 || word.is_empty() {
                    wrapped.push(' ');
                    length += 1;
                }
                wrapped.push_str(word);
                length += word.len();
            }
            wrapped.push('\n');
        }
        wrapped
    };
    let broken = |width: usize| {
        let pieces = |line: &str| {
            let characters: Vec<char> = line.chars().collect();
            characters.chunks(width).map(|piece| piece.iter().collect::<String>() + "\n").collect::<String>()
        };
        text.lines().map(pieces).collect::<String>()
    };
    let mut all: Vec<String> =
        ["    ", "> ", ">> ", "> > ", "# ", "| ", "// ", " * ", "12:00:01 ", "1725877589.814789 ", "[  12.000001] "]
            .iter()
            .map(|mark| before(mark))
            .collect();
    all.extend([60, 72, 80, 100, 160].map(wrapped));
    all.extend([72, 80, 100, 132, 160].map(broken));
    all.push(text.replace("\n\t ", " "));
    all.push(text.replace('\n', "\n\n"));
    all.push(text.replace("    ", "\t"));
    all
}

#[test]
fn stuck_connection_is_found_however_it_is_pasted() {
    for text in pasted(&format!("{HEAD}{IDLE}{STUCK}{IDLE}")) {
        let listings = read(&text, None, false);
        let silent: usize = listings.iter().map(|listing| listing.sockets.count(Complaint::Silent)).sum();
        assert_eq!(silent, 1, "{text}\n{listings:?}");
        let found = listings.iter().find_map(|listing| listing.sockets.with(Complaint::Silent).next()).expect("one");
        assert_eq!((found.remote.as_str(), found.wmem_queued), ("10.0.0.2:40000", Some(22_680)), "{text}");
    }
}

#[test]
fn listing_denies_nothing_it_did_not_show() {
    let busy = "ESTAB 0 500 10.0.0.1:80 10.0.0.2:9";
    let memory = "skmem:(r0,rb1,t0,tb87040,f0,w600,o0,bl0,d0)";
    let full = "skmem:(r0,rb1,t0,tb4608,f0,w22600,o0,bl0,d0)";
    let info = "cubic rto:204 rtt:1/0.5 cwnd:10 bytes_acked:5 lastsnd:5 lastrcv:5 lastack:5 unacked:1 rcv_space:9";
    let older = "cubic rto:204 rtt:1/0.5 cwnd:10 send 0.3Mbps rcv_space:9";
    let timer = "timer:(on,200ms,0)";
    // Whether the listing denies a stuck connection, and one that waits behind a zero window.
    for (lines, denies) in [
        (format!("{busy}\n"), (false, false)),
        (format!("{busy}\n\t {memory}\n"), (true, false)),
        (format!("{busy}\n\t {full}\n"), (false, false)),
        (format!("{busy}\n\t {info}\n"), (true, true)),
        (format!("{busy}\n\t {older}\n"), (false, false)),
        (format!("{busy} {timer}\n"), (true, true)),
        (format!("{busy} timer:(on,12sec,7)\n"), (false, false)),
        (format!("{busy} timer:(on,12sec,7)\n\t {memory}\n"), (true, false)),
        (format!("{busy} timer:(on,12sec,7)\n\t {memory} {info} snd_wnd:65535\n"), (true, true)),
        (format!("{busy}\n\t {memory} {info}\n"), (true, true)),
        (format!("{busy}\n\t mem:(r0,w600,f0,t0) {older}\n"), (false, false)),
        // Cut off: the missing text may be `backoff:7`.
        (format!("{busy}\n\t {full} ts sack cubic wscale:7,7 rto:44288\n"), (false, false)),
        // Elided.
        (
            format!("{busy}\n\t {full} cubic rto:44288 [...] lastsnd:5 lastack:5 unacked:1 retrans:1/3\n"),
            (false, false),
        ),
        (format!("{busy}\n\t {full} cubic rto:44288 ... lastsnd:5 lastack:5 unacked:1 retrans:1/3\n"), (false, false)),
        (
            format!("{busy}\n\t {full} cubic rto:44288 \u{2026} lastsnd:5 lastack:5 unacked:1 retrans:1/3\n"),
            (false, false),
        ),
        (format!("{busy}\n\t skmem:(r0,rb1,t0,tb87040,f0,w6\n"), (false, false)),
        // Nothing is queued.
        ("ESTAB 0 0 10.0.0.1:80 10.0.0.2:9\n".to_owned(), (true, true)),
        // Malformed lines.
        (format!("{IDLE}ESTAB 0 5oo 10.0.0.1:80 10.0.0.2:9\n"), (false, false)),
        (format!("{IDLE}ESTAB 0 500 10.0.0.1:80\n"), (false, false)),
        (format!("{IDLE}ESTAB 0 500\n"), (false, false)),
        (format!("ESTAB 0 500 10.0.0.1\n{IDLE}"), (false, false)),
    ] {
        let listing = one(&format!("{HEAD}{lines}"));
        let unsure = &listing.sockets.unsure;
        assert_eq!((unsure.stuck.is_none(), unsure.zero_window.is_none()), denies, "{lines}{listing:?}");
    }
}

#[test]
fn only_a_whole_listing_denies() {
    let whole = |text: &str, command: Option<&str>| {
        let command = command.and_then(ShellCommand::of_line);
        let listings = read(text, command.as_ref(), false);
        listings.iter().all(|listing| listing.sockets.unsure == Unsure::default()) && !listings.is_empty()
    };
    let stateless = "Recv-Q Send-Q Local Address:Port Peer Address:Port\n0 0 10.0.0.1:80 10.0.0.2:9\n";
    for (text, command, expected) in [
        (format!("{HEAD}{IDLE}"), None, true),
        (IDLE.to_owned(), None, false),
        (IDLE.to_owned(), Some("ss -Htanmio"), true),
        (stateless.to_owned(), None, false),
        (HEAD.to_owned(), None, false),
        (HEAD.to_owned(), Some("ss -tanmio"), true),
        (format!("{HEAD}LISTEN 0 128 0.0.0.0:22 0.0.0.0:*\n"), None, false),
        (format!("{HEAD}{IDLE}"), Some("ss -tanmio dst 10.0.0.9"), false),
        (format!("{HEAD}{IDLE}"), Some("ss -tanmio state established"), false),
        (format!("{HEAD}{IDLE}"), Some("ss -tanmio | grep ESTAB"), false),
        (format!("{HEAD}{IDLE}"), Some("ss -lnt"), false),
        (format!("{HEAD}{IDLE}[snip]\n"), None, false),
        (format!("{HEAD}{IDLE}...\n"), None, false),
        (format!("{HEAD}{IDLE}... 300 more lines ...\n"), None, false),
        (format!("{HEAD}{IDLE}<truncated>\n"), None, false),
        (format!("{HEAD}{IDLE}--More--\n"), None, false),
        (format!("{HEAD}{IDLE}EST"), None, false),
        (format!("{HEAD}{IDLE}[...]\n\nTcpExtListenDrops 35 0.0\n"), None, false),
        (format!("{HEAD}{IDLE}```\n"), None, true),
        (format!("{HEAD}{IDLE}root@db1:~# exit\n"), None, true),
    ] {
        assert_eq!(whole(&text, command), expected, "{command:?}\n{text}");
    }
    let cut = read(&format!("{HEAD}{IDLE}"), None, true);
    assert!(cut[0].sockets.unsure.stuck.is_some());
}

#[test]
fn listing_without_state_says_what_it_lacks() {
    let text = "Recv-Q Send-Q Local Address:Port Peer Address:Port\n0 21984 10.0.0.1:mysql 10.0.0.2:40000 timer:(on,12sec,7)\n";
    let listing = one(text);
    assert_eq!(listing.sockets.with(Complaint::Retransmitting).count(), 1);
    assert!(listing.lacks("ss").is_some_and(|lacks| lacks.contains("-m and -i")));
}

#[test]
fn zero_window_probe_is_no_stall() {
    let head = "ESTAB 0 150112 10.0.0.1:80 10.0.0.2:9";
    let memory = "skmem:(r0,rb87380,t0,tb46080,f1040,w154112,o0,bl0,d0)";
    let probe = |rest: &str| format!("{HEAD}{head}\n\t {memory} cubic rto:220 backoff:6 rtt:1.1/0.5 {rest}\n");
    for (text, stuck, behind) in [
        // Probes leave the timeout as it is, nothing is in flight, and the peer answers.
        (probe("lastsnd:901200 lastrcv:901300 lastack:4400 notsent:150112"), 0, 1),
        // Nobody answers: the peer is gone, or the first transmission is rejected.
        (probe("lastsnd:901200 lastrcv:901300 lastack:901300 notsent:150112"), 0, 0),
        // The listing does not show whether anything is in flight.
        (probe("lastsnd:901200 lastack:4400"), 0, 0),
        // The timeout has grown, and something is in flight.
        (probe("lastsnd:901200 lastack:901300 unacked:5 notsent:9").replace("rto:220", "rto:14080"), 1, 0),
        // The window is open.
        (probe("lastsnd:901200 lastack:901300 notsent:150112 snd_wnd:65535"), 1, 0),
        // The window is closed, however long the timeout is.
        (probe("lastsnd:12000 lastack:99000 notsent:150112 snd_wnd:0").replace("rto:220", "rto:14080"), 0, 1),
        // Nothing is in flight, and the peer answers.
        (probe("lastsnd:12000 lastack:900 notsent:150112").replace("rto:220", "rto:14080"), 0, 1),
        // A slow path's timeout is long by itself.
        (
            probe("lastsnd:901200 lastack:4400")
                .replace("rtt:1.1/0.5", "rtt:9000/1200")
                .replace("rto:220", "rto:14080"),
            0,
            0,
        ),
    ] {
        let sockets = one(&text).sockets;
        let found = (sockets.count(Complaint::Silent), sockets.count(Complaint::ZeroWindow));
        assert_eq!(found, (stuck, behind), "{text}{sockets:?}");
        // Facts that were not shown are not denied.
        assert_eq!(sockets.unsure.stuck.is_none(), stuck == 1 || behind == 1, "{text}{sockets:?}");
    }
}

#[test]
fn netstat_is_read_with_its_timers() {
    let text = "Active Internet connections (servers and established)\n\
        Proto Recv-Q Send-Q Local Address           Foreign Address         State       User       Inode      PID/Program name     Timer\n\
        tcp        0      0 0.0.0.0:22              0.0.0.0:*               LISTEN      0          900        1/sshd               off (0.00/0/0)\n\
        tcp        0  19912 192.0.2.10:3306         198.51.100.20:41822     ESTABLISHED 27         4711       1234/mysqld          on (30.50/7/0)\n\
        tcp6       0    500 2001:db8::1:80          2001:db8::2:9           CLOSE_WAIT  27         4712       77/nginx: worker     probe (5.12/0/3)\n\
        tcp        0      0 192.0.2.10:22           198.51.100.9:50222      ESTABLISHED 0          4713       -                    keepalive (100.00/0/0)\n\
        udp        0      0 0.0.0.0:53              0.0.0.0:*                           0          4714       -                    off (0.00/0/0)\n";
    for text in [text.to_owned(), text.replace('\n', "\n> "), text.replace("ESTABLISHED ", "ESTABLISHED\n")] {
        let sockets = one(&text).sockets;
        assert_eq!((sockets.connections, sockets.source), (3, SocketSource::Netstat), "{text}{sockets:?}");
        let found = sockets.with(Complaint::Retransmitting).next().expect("one that retransmits");
        assert_eq!((found.expires_ms, found.retransmits), (Some(30_500), Some(7)), "{text}");
        assert_eq!(found.process.as_deref(), Some("mysqld (1234)"), "{text}");
        assert_eq!(sockets.count(Complaint::ZeroWindow), 1, "{text}");
        assert!(sockets.unsure.stuck.is_some_and(|why| why.contains("memory")), "{text}");
    }
    let plain = "Active Internet connections (w/o servers)\n\
        Proto Recv-Q Send-Q Local Address           Foreign Address         State      \n\
        tcp        0      0 192.0.2.10:22           198.51.100.9:50222      ESTABLISHED\n";
    assert_eq!(one(plain).sockets.unsure, Unsure::default());
    let busy = one(&plain.replace("0      0 192", "0    500 192"));
    assert!(busy.sockets.unsure.stuck.is_some() && busy.sockets.unsure.zero_window.is_some());
}

#[test]
fn text_without_connections_has_no_listing() {
    for text in [
        "",
        "nothing",
        "TcpExtListenDrops 5 0.0\n",
        "see http://example.org:80 and 10.0.0.1:80\n",
        "sockets: used 290\n",
    ] {
        assert_eq!(read(text, None, false), [], "{text}");
    }
}

#[test]
fn command_line_tells_the_columns() {
    // With -o, and nothing that has a timer: none of them probes.
    let quiet = "ESTAB 0 500 10.0.0.1:80 10.0.0.2:9\n";
    let text = format!("{HEAD}{quiet}");
    assert!(named(&text, "ss -tan").sockets.unsure.zero_window.is_some());
    assert!(named(&text, "ss -tano").sockets.unsure.zero_window.is_none());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// No mutation of a stuck connection's lines yields a claim that none is stuck.
    #[test]
    fn damage_never_denies_that_a_connection_is_stuck(at in 0_usize..900, with in "(\n|\n> |[a-z0-9 :,()é\n]{0,6})", cut in 0_usize..9) {
        let text = format!("{HEAD}{STUCK}");
        let at = (HEAD.len()..=(HEAD.len() + at % STUCK.len())).rev().find(|n| text.is_char_boundary(*n)).unwrap_or(0);
        let end = (at + cut).min(text.len());
        let damaged = format!("{}{with}{}", &text[..at], &text[end..]);
        let damaged = format!("{HEAD}{IDLE}{}", &damaged[HEAD.len()..]);
        let listings = read(&damaged, None, false);
        let found = |listing: &SocketListing| {
            [Complaint::Silent, Complaint::Overfull, Complaint::Unanswered].iter().any(|c| listing.sockets.count(*c) > 0)
        };
        // A mutation may change a figure into another one: then the connection is read as written.
        let is_read = listings.iter().any(|listing| listing.sockets.connections >= 2);
        prop_assert!(
            is_read || listings.iter().any(found) || listings.iter().all(|listing| listing.sockets.unsure.stuck.is_some()),
            "{damaged}\n{listings:?}"
        );
    }

    #[test]
    fn reading_never_panics(text in "((ESTAB|tcp|\t)? ?[0-9]{0,22} [0-9]{0,3} é?[a-z:]{0,6} [:x]{0,3} (skmem:|timer:|users:)?\\(?\\(?[a-z0-9,\"é=]{0,22}\\)?\n){0,4}") {
        let _ = read(&text, None, false);
        let _ = read(&format!("{text}skmem:("), None, true);
    }
}
