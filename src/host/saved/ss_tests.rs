use proptest::prelude::*;

use super::*;
use crate::host::Complaint;

/// The line of the public report.
const REPORTED: &str =
    "\t skmem:(r0,rb16384,t0,tb8192,f1896,w22680,o0,bl0,d0) ts sack cubic wscale:7,7 rto:37760 backoff:7 rtt:0.2/0.1";

const NEW: &str = "State  Recv-Q Send-Q Local Address:Port  Peer Address:Port Process\n\
    ESTAB  0      21984       10.0.0.1:3306      10.0.0.2:40000 users:((\"mysqld\",pid=1234,fd=20)) timer:(on,12sec,7) uid:106 ino:4711 sk:1\n\
    \t skmem:(r0,rb16384,t0,tb8192,f1896,w22680,o0,bl0,d0) cubic rto:37760 backoff:7 lastsnd:60000 lastrcv:60001 retrans:1/7\n\
    ESTAB  0      0           10.0.0.1:22        10.0.0.9:5000  timer:(keepalive,1min40sec,0) ino:1\n\
    \t skmem:(r0,rb131072,t0,tb87040,f0,w0,o0,bl0,d0) cubic rto:204 lastsnd:5 lastrcv:5\n\
    LISTEN 0      128          0.0.0.0:22         0.0.0.0:*     ino:2\n\
    \t skmem:(r0,rb131072,t0,tb16384,f0,w0,o0,bl0,d0) cubic cwnd:10\n";

#[test]
fn the_reported_line_alone_is_an_overfull_connection() {
    for text in [REPORTED, REPORTED.trim_start()] {
        let listing = read(text).expect("a listing");
        let found: Vec<_> = listing.sockets.with(Complaint::Overfull).collect();
        assert_eq!((found.len(), found[0].rto_ms, found[0].wmem_queued), (1, Some(37_760), Some(22_680)));
    }
}

#[test]
fn a_new_listing_is_read_with_timers_and_users() {
    let listing = read(NEW).expect("a listing");
    assert_eq!(listing.sockets.connections, 2);
    assert_eq!(listing.lacks("ss"), None);
    let found: Vec<_> = listing.sockets.with(Complaint::Silent).collect();
    assert_eq!(found.len(), 1, "{listing:?}");
    assert_eq!(found[0].process.as_deref(), Some("mysqld (1234)"));
    assert_eq!((found[0].expires_ms, found[0].retransmits, found[0].inode), (Some(12_000), Some(1), Some(4711)));
    assert_eq!(found[0].remote, "10.0.0.2:40000");
}

#[test]
fn one_line_a_connection_and_old_users_and_other_kinds_are_read() {
    let text = "Netid State Recv-Q Send-Q Local Address:Port Peer Address:Port\n\
        tcp ESTAB 0 500 [::1]:80 [::1]:9 users:((\"a\",77,3)) timer:(persist,5.120ms,3) skmem:(r0,rb1,t0,tb4608,f0,w600,o0) rto:200 backoff:3 lastsnd:90000\n\
        udp ESTAB 0 500 10.0.0.1:53 10.0.0.2:9 skmem:(r0,rb1,t0,tb1,f0,w600,o0)\n\
        tcp TIME-WAIT 0 0 10.0.0.1:80 10.0.0.2:9\n";
    let listing = read(text).expect("a listing");
    assert_eq!(listing.sockets.connections, 1);
    let found = listing.sockets.with(Complaint::ZeroWindow).next().expect("one behind a zero window");
    assert_eq!((found.process.as_deref(), found.expires_ms), (Some("a (77)"), Some(5120)));
}

#[test]
fn without_a_state_column_connections_are_found_and_what_lacks_is_said() {
    let text = "Recv-Q Send-Q Local Address:Port Peer Address:Port\n0 21984 10.0.0.1:mysql 10.0.0.2:40000 timer:(on,12sec,7)\n";
    let listing = read(text).expect("a listing");
    assert_eq!(listing.sockets.with(Complaint::Retransmitting).count(), 1);
    assert!(listing.lacks("ss").is_some_and(|lacks| lacks.contains("-m and -i")));
}

#[test]
fn other_listings_are_none() {
    let netstat = "Active Internet connections (servers and established)\n\
        Proto Recv-Q Send-Q Local Address           Foreign Address         State\n\
        tcp        0      0 0.0.0.0:22              0.0.0.0:*               LISTEN\n";
    for text in ["", "nothing", netstat] {
        assert_eq!(read(text), None, "{text}");
    }
}

#[test]
fn times_are_read_as_ss_writes_them() {
    for (text, expected) in [
        ("12sec", Some(12_000)),
        ("1min40sec", Some(100_000)),
        ("200ms", Some(200)),
        ("5.120ms", Some(5120)),
        ("2min", Some(120_000)),
        ("soon", None),
        ("99999999999999999999sec", None),
        ("18446744073709551615min", None),
    ] {
        assert_eq!(duration_ms(text), expected, "{text}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_damaged_listing_is_read_without_a_panic(at in 0_usize..900, with in ".{0,6}") {
        let at = (0..=at.min(NEW.len())).rev().find(|n| NEW.is_char_boundary(*n)).unwrap_or(0);
        let _ = read(&format!("{}{with}{}", &NEW[..at], &NEW[at..]));
        let _ = read(&NEW[..at]);
        let _ = duration_ms(&with);
        let _ = holder(&with);
    }

    #[test]
    fn any_text_is_read_without_a_panic(text in "((ESTAB|tcp|\t)? ?[0-9]{0,22} [0-9]{0,3} é?[a-z:]{0,6} [:x]{0,3} (skmem:|timer:|users:)?\\(?\\(?[a-z0-9,\"é=]{0,22}\\)?\n){0,4}") {
        let _ = read(&text);
        let _ = read(&format!("{text}skmem:("));
    }
}
