//! Tests the built-in signatures on imitations of the functions.

use std::io;

use proptest::prelude::*;

use self::stall::{FIX, TAIL, fragment};
use super::*;
use crate::matrix::Bugs;

#[path = "stall_tests.rs"]
mod stall;

const OUTPUT: &str = "net/ipv4/tcp_output.c";
const TCP_H: &str = "include/net/tcp.h";
const TIMER: &str = "net/ipv4/tcp_timer.c";
const INPUT: &str = "net/ipv4/tcp_input.c";
const COOKIES: &str = "net/ipv4/syncookies.c";
const COOKIES6: &str = "net/ipv6/syncookies.c";

/// Weighs a bug by these files.
fn weighed(bug: &str, files: &[(&str, &str)]) -> Finding {
    let bugs = Bugs::built_in();
    let bug = bugs.get(&bug.parse().unwrap()).unwrap();
    weigh(bug, &|path: &str| -> io::Result<Option<Vec<u8>>> {
        let makefile = ("Makefile", "VERSION = 5\nPATCHLEVEL = 2\n");
        let found = files.iter().chain([&makefile]).find(|(name, _)| *name == path);
        Ok(found.map(|(_, text)| text.as_bytes().to_vec()))
    })
}

/// The states as text, `unknown` if all are possible.
fn states(finding: &Finding) -> String {
    if finding.states == StateSet::all() {
        return "unknown".to_owned();
    }
    finding.states.iter().map(State::as_str).collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn says(bug: &str, files: &[(&str, &str)], expected: &str) {
    let finding = weighed(bug, files);
    assert_eq!(states(&finding), expected, "{}\n{files:#?}", finding.why);
    let strength = if expected == "unknown" { Strength::Weak } else { Strength::Strong };
    assert_eq!((finding.witness, finding.strength), (Witness::Source, strength));
}

/// A tcp_probe_timer() that contains these lines.
fn probe_timer(lines: &str) -> String {
    format!(
        "static void tcp_probe_timer(struct sock *sk)\n{{\n\tstruct inet_connection_sock *icsk = inet_csk(sk);\n\
         \tstruct sk_buff *skb = tcp_send_head(sk);\n\tu32 start_ts;\n\n\tif (tp->packets_out || !skb) {{\n\
         \t\ticsk->icsk_probes_out = 0;\n\t\treturn;\n\t}}\n{lines}\n\tmax_probes = tcp_retries2(sk);\n\
         \tif (icsk->icsk_probes_out >= max_probes) {{\nabort:\t\ttcp_write_err(sk);\n\t}} else {{\n\
         \t\ttcp_send_probe0(sk);\n\t}}\n}}\n"
    )
}

/// A tcp_ack() that contains these lines.
fn ack(lines: &str) -> String {
    format!(
        "static int tcp_ack(struct sock *sk, const struct sk_buff *skb, int flag)\n{{\n\tif (before(ack, una)) {{\n\
         \t\tif (before(ack, una - window))\n\t\t\treturn -SKB_DROP_REASON_TCP_TOO_OLD_ACK;\n\t\tgoto old_ack;\n\t}}\n\
         \ticsk->icsk_probes_out = 0;\n{lines}\n\tif (!prior_packets)\n\t\tgoto no_queue;\n\treturn 1;\n\
         no_queue:\n\treturn 1;\nold_ack:\n\treturn 0;\n}}\n"
    )
}

#[test]
fn every_form_of_the_zero_window_s_clock_is_named() {
    let fix = "if (!icsk->icsk_probes_tstamp)\n\ticsk->icsk_probes_tstamp = tcp_jiffies32;\nelse if (icsk->icsk_user_timeout &&\n\
               \t(s32)(tcp_jiffies32 - icsk->icsk_probes_tstamp) >= msecs_to_jiffies(icsk->icsk_user_timeout))\n\tgoto abort;";
    let later = "if (!icsk->icsk_probes_tstamp) {\n\ticsk->icsk_probes_tstamp = tcp_jiffies32;\n} else {\n\
                 \tu32 user_timeout = READ_ONCE(icsk->icsk_user_timeout);\n\n\tif (user_timeout &&\n\
                 \t(s32)(tcp_jiffies32 - icsk->icsk_probes_tstamp) >= msecs_to_jiffies(user_timeout))\n\t\tgoto abort;\n}";
    let model = "if (icsk->icsk_user_timeout) {\n\tu32 elapsed = tcp_model_timeout(sk, icsk->icsk_probes_out, tcp_probe0_base(sk));\n\
                 \tif (elapsed >= icsk->icsk_user_timeout)\n\t\tgoto abort;\n}";
    let stamp = "start_ts = tcp_skb_timestamp(skb);\nif (!start_ts)\n\tskb->skb_mstamp = tp->tcp_mstamp;\n\
                 else if (icsk->icsk_user_timeout && (s32)(tcp_time_stamp(tp) - start_ts) > icsk->icsk_user_timeout)\n\tgoto abort;";
    let older_stamp = stamp.replace("tcp_time_stamp(tp)", "tcp_time_stamp").replace("(skb)", "(tcp_send_head(sk))");
    // 4.13 to 4.18.
    let in_jiffies = stamp
        .replace("start_ts) > icsk->icsk_user_timeout", "start_ts) >\n\t\t jiffies_to_msecs(icsk->icsk_user_timeout)");
    assert_ne!(in_jiffies, stamp);
    let forget = "icsk->icsk_probes_tstamp = 0;";
    let on_opening = format!("if (opened) {{ {forget} }}");
    for (timer, acked, expected) in [
        (fix, "", "fixed"),
        (later, "", "fixed"),
        (fix, forget, "affected"),
        (later, forget, "affected"),
        // Conditional statements and conditional compilation.
        (fix, on_opening.as_str(), "unknown"),
        (fix, &format!("#ifdef CONFIG_X\n{forget}\n#endif"), "unknown"),
        (fix, "VENDOR_ON_ACK(sk);", "unknown"),
        (fix, "NET_INC_STATS(sock_net(sk), LINUX_MIB_TCPPUREACKS);", "fixed"),
        (model, "", "affected"),
        (stamp, "", "never-had"),
        (&older_stamp, "", "never-had"),
        (&in_jiffies, "", "never-had"),
        (&in_jiffies.replace("(skb)", "(tcp_send_head(sk))"), "", "never-had"),
        (&in_jiffies.replace("skb->skb_mstamp", "tcp_send_head(sk)->skb_mstamp"), "", "never-had"),
        // An unknown function of the limit may mean anything.
        (&in_jiffies.replace("jiffies_to_msecs", "vendor_limit"), "", "unknown"),
        (&in_jiffies.replace("start_ts) >", "start_ts) <"), "", "unknown"),
        // Before 3.18 the function only counted probes.
        ("", "", "unknown"),
    ] {
        says("zero-window-user-timeout", &[(TIMER, &probe_timer(timer)), (INPUT, &ack(acked))], expected);
    }
    says("zero-window-user-timeout", &[(TIMER, &probe_timer(fix))], "unknown");
    says("zero-window-user-timeout", &[(TIMER, &probe_timer(model))], "affected");
}

#[test]
fn strict_cookie_check_is_told_from_the_usual_one() {
    let check = |hash: &str| {
        format!(
            "static __u32 check_tcp_syn_cookie(__u32 cookie, __be32 saddr, __u32 sseq)\n{{\n\
             \tu32 diff, count = tcp_cookie_time();\n\n\tcookie -= cookie_hash(saddr, daddr, sport, dport, 0, 0) + sseq;\n\
             \tdiff = (count - (cookie >> COOKIEBITS)) & ((__u32) -1 >> COOKIEBITS);\n\tif (diff >= MAX_SYNCOOKIE_AGE)\n\
             \t\treturn (__u32)-1;\n\n\treturn (cookie -\n\t\t{hash})\n\t\t& COOKIEMASK;\n}}\n"
        )
    };
    let usual = &check("cookie_hash(saddr, daddr, sport, dport, count - diff, 1)");
    let strict = &check("siphash_2u32(cookie_hash(saddr, daddr, sport, dport, count - diff, 1), sseq, &secret[1])");
    let other = &check("cookie_hash(saddr ^ sseq, daddr, sport, dport, count - diff, 1)");
    let swapped = &check("siphash_2u32(cookie_hash(saddr, daddr, sport, dport, count - diff, 1), saddr, &secret[1])");
    for (four, six, expected) in [
        (usual, usual, "affected"),
        (usual, strict, "affected"),
        (strict, strict, "fixed"),
        (strict, usual, "half-fixed"),
        (strict, other, "unknown"),
        (other, usual, "unknown"),
        (swapped, swapped, "unknown"),
    ] {
        says("syn-cookie-data-loss", &[(COOKIES, four), (COOKIES6, six)], expected);
    }
    says("syn-cookie-data-loss", &[(COOKIES, strict)], "unknown");
}

#[test]
fn unreadable_source_is_unknown_with_the_reason() {
    let bugs = Bugs::built_in();
    let bug = bugs.get(&"tcp-fragment-stall".parse().unwrap()).unwrap();
    type Read = fn(&str) -> io::Result<Option<Vec<u8>>>;
    let cases: [(Read, &str); 5] = [
        (|_| Ok(None), "not a kernel source"),
        (
            |path| Ok((path == "Makefile").then(|| b"VERSION=6\nPATCHLEVEL=1\n".to_vec())),
            "there is no net/ipv4/tcp_output.c",
        ),
        (|_| Err(io::ErrorKind::PermissionDenied.into()), "cannot be read: permission denied"),
        (|_| Ok(Some(vec![0x7f, b'E', b'L', b'F', 0])), "is not a text file"),
        (|_| Ok(Some(b"int x;\n".to_vec())), "does not define tcp_fragment()"),
    ];
    for (read, why) in cases {
        let finding = weigh(bug, &read);
        assert_eq!((states(&finding).as_str(), finding.strength), ("unknown", Strength::Weak));
        assert!(finding.why.contains(why), "{}", finding.why);
    }
}

#[test]
fn release_is_read_from_the_makefile() {
    for (makefile, expected) in [
        (Ok(Some("# x\nVERSION = 6\nPATCHLEVEL = 12\nSUBLEVEL = 117\nEXTRAVERSION =\n")), Ok(Some("6.12.117"))),
        (Ok(Some("VERSION = 3\nPATCHLEVEL = 10\nEXTRAVERSION = -957.el7\nVERSION = 9\n")), Ok(Some("3.10.0-957.el7"))),
        (Ok(Some("all:\n\ttrue\n")), Ok(None)),
        (Ok(None), Ok(None)),
        (Err(io::ErrorKind::PermissionDenied), Err(io::ErrorKind::PermissionDenied)),
    ] {
        let files = |path: &str| -> io::Result<_> {
            assert_eq!(path, "Makefile");
            makefile.map(|text: Option<&str>| text.map(|text| text.as_bytes().to_vec())).map_err(io::Error::from)
        };
        let release = release(&files).map_err(|error| error.kind());
        assert_eq!(release.as_ref().map(Option::as_deref).map_err(|kind| *kind), expected, "{makefile:?}");
    }
}

#[test]
fn every_file_of_a_signature_is_wanted_once() {
    let bugs = Bugs::built_in();
    let expected = BTreeSet::from(["Makefile", TCP_H, INPUT, OUTPUT, TIMER, COOKIES, COOKIES6]);
    assert_eq!(wanted(bugs.iter()), expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(25))]

    #[test]
    fn damaged_file_is_weighed_without_a_panic(
        at in any::<prop::sample::Index>(),
        cut in 0..40_usize,
        with in "([{}();#\n\"'/*>&!=+-]|[a-z]){0,12}",
    ) {
        let mut code = fragment(FIX);
        let from = at.index(code.len());
        code.replace_range(from..(from + cut).min(code.len()), &with);
        let finding = weighed("tcp-fragment-stall", &[(OUTPUT, &code), (TCP_H, TAIL)]);
        prop_assert!(!finding.states.is_empty() && !finding.why.is_empty());
    }
}
