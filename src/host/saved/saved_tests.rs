use super::*;
use crate::host::{BittenAnswer, Complaint, Count, bitten};

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, text).expect("written");
    }
}

pub(super) const UNAME: &str = "Linux db1 4.19.57 #1 SMP Wed Jul 3 12:00:00 UTC 2019 x86_64 GNU/Linux\n";
pub(super) const NETSTAT: &str = "Tcp:\n    1 active connection openings\n    2 passive connection openings\n    0 failed connection \
                       attempts\n    0 connection resets received\n    3 connections established\n    5 segments \
                       received\n    6 segments sent out\n    0 segments retransmitted\n    0 bad segments received\n    \
                       4 resets sent\nTcpExt:\n    32 delayed acks sent\n    TCPWqueueTooBig: 31\nIpExt:\n    \
                       InOctets: 7\n";
pub(super) const SS: &str = "State Recv-Q Send-Q Local Address:Port Peer Address:Port\nESTAB 0 21984 10.0.0.1:3306 10.0.0.2:40000\n\
    \t skmem:(r0,rb16384,t0,tb8192,f1896,w22680,o0,bl0,d0) rto:37760 backoff:7 lastsnd:60000 unacked:4\n";

pub(super) const HEALTHY: &str = "State Recv-Q Send-Q Local Address:Port Peer Address:Port\nESTAB 0 0 10.0.0.1:22 10.0.0.2:40000\n\
    \t skmem:(r0,rb16384,t0,tb8192,f1896,w0,o0,bl0,d0) rto:204\n";

pub(super) fn answer(reading: &HostReading, bug: &str) -> BittenAnswer {
    bitten::judge(reading).into_iter().find(|b| b.bug.as_str() == bug).expect("the bug").bitten
}

#[test]
fn sosreport_of_reported_host_is_bitten_now() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(
        folder.path(),
        &[
            ("sosreport-db1/sos_commands/kernel/uname_-a", UNAME),
            ("sosreport-db1/sos_commands/networking/netstat_-s", NETSTAT),
            ("sosreport-db1/sos_commands/networking/ss_-peaonmi", SS),
            ("sosreport-db1/sos_commands/networking/ip_addr", "1: lo: <LOOPBACK>\n"),
            ("sosreport-db1/sos_commands/networking/namespaces/blue/ip_netns_exec_blue_netstat_-s", NETSTAT),
            ("sosreport-db1/sos_commands/kernel/sysctl_-a", "net.core.somaxconn = 128\n"),
        ],
    );
    let reading = read(&[folder.path().to_owned()]).expect("a reading");
    assert_eq!(reading.host.release.as_deref(), Some("4.19.57"));
    let names: Vec<_> = reading.namespaces.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names, ["host", "netns blue"]);
    assert_eq!(reading.namespaces[0].settings.get("net.core.somaxconn").map(String::as_str), Some("128"));
    assert_eq!(answer(&reading, "tcp-fragment-stall"), BittenAnswer::Now);
    // netstat omits zeros, and every kernel has this counter.
    assert_eq!(answer(&reading, "syn-cookie-data-loss"), BittenAnswer::Not);
    assert!(reading.host.unseen.iter().any(|what| what.contains("live patches")), "{:?}", reading.host.unseen);
}

#[test]
fn several_outputs_and_files_make_one_host() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(
        folder.path(),
        &[("all.txt", &format!("$ uname -a\n{UNAME}$ netstat -s\n{NETSTAT}\n$ ss -tmi\n{SS}")), ("r", "5.2.1\n")],
    );
    let reading = read(&[folder.path().join("all.txt")]).expect("a reading");
    assert_eq!(reading.host.release.as_deref(), Some("4.19.57"));
    let own = &reading.namespaces[0];
    assert_eq!(own.counters.as_ref().map(|c| c.get("TCPWqueueTooBig")), Some(Count::Is(31)));
    assert_eq!(own.sockets.as_ref().map(|s| s.count(Complaint::Silent)), Some(1));
    let both = read(&[folder.path().join("r"), folder.path().join("all.txt")]);
    assert!(matches!(both, Err(SavedError::TwoHosts { .. })), "{both:?}");
}

#[test]
fn missing_outputs_are_named_and_junk_is_rejected() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path(), &[("release", "5.2.1\n"), ("junk", "hello\nworld\n")]);
    let reading = read(&[folder.path().join("release")]).expect("a reading");
    for what in ["counters", "connections", "settings", "log"] {
        assert!(reading.host.unseen.iter().any(|unseen| unseen.contains(what)), "{what}: {:?}", reading.host.unseen);
    }
    assert_eq!(answer(&reading, "tcp-fragment-stall"), BittenAnswer::Unknown);
    let junk = read(&[folder.path().join("junk")]);
    assert!(matches!(junk, Err(SavedError::NothingKnown { .. })), "{junk:?}");
    let absent = read(&[folder.path().join("absent")]);
    assert!(matches!(absent, Err(SavedError::Unreadable { .. })), "{absent:?}");
    let device = read(&[PathBuf::from("/dev/zero")]);
    assert!(matches!(device, Err(SavedError::Unreadable { .. })), "{device:?}");
}

/// A file of these bytes, read.
pub(super) fn read_bytes(bytes: &[u8]) -> Result<HostReading, SavedError> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("saved");
    std::fs::write(&path, bytes).expect("written");
    read(&[path])
}

fn case(name: &str) -> Result<HostReading, SavedError> {
    read(&[Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts").join(name)])
}

#[test]
fn field_cases_get_their_right_answers() {
    use BittenAnswer::{Exposed, MayHaveBeen, Not, NotNow, Now, Unknown};
    const STALL: &str = "tcp-fragment-stall";
    const COOKIES: &str = "syn-cookie-data-loss";
    const WINDOW: &str = "zero-window-user-timeout";
    for (name, bug, right) in [
        ("h01-stuck-mysql.txt", STALL, Now),
        ("h01-stuck-mysql.txt", COOKIES, Unknown),
        ("h03-netstat-german.txt", COOKIES, Unknown),
        ("h03b-netstat-portuguese.txt", COOKIES, Unknown),
        ("h04-wrapped.txt", STALL, Now),
        ("h04b-wrapped.txt", STALL, Now),
        ("h05-nstat-pattern.json", COOKIES, Unknown),
        ("h05-nstat-pattern.json", STALL, Unknown),
        ("h05b-nstat-pattern-zero.json", COOKIES, Unknown),
        ("h05b-nstat-pattern-zero.json", STALL, Unknown),
        ("h06-dmesg-el6.txt", COOKIES, Unknown),
        ("h08-netstat-grep.txt", COOKIES, Exposed),
        ("h08-netstat-grep.txt", STALL, Unknown),
        ("h08b-nstat-grep.txt", COOKIES, Unknown),
        ("h10-indented.txt", STALL, Now),
        ("h11-quoted.txt", STALL, Now),
        ("h15-node-exporter.txt", COOKIES, Exposed),
        ("h15-node-exporter.txt", STALL, Unknown),
        ("h19-wrapped-160.txt", WINDOW, Exposed),
        ("h21-quoted-printable.txt", STALL, Now),
        ("h22-timestamps.txt", STALL, Now),
        ("h23-indented-two.txt", WINDOW, Exposed),
        ("h24-sosreport.tar.xz", STALL, Now),
        ("h25-supportconfig.txt", STALL, MayHaveBeen),
        ("h25-supportconfig.txt", COOKIES, Exposed),
        ("h26-proc-net-netstat.txt", COOKIES, Not),
        ("h26-proc-net-netstat.txt", STALL, Unknown),
        ("h27-ss-el6.txt", STALL, MayHaveBeen),
        ("h27-ss-el6.txt", WINDOW, Unknown),
        ("h30-ss-without-i.txt", STALL, MayHaveBeen),
        ("h30-ss-without-i.txt", WINDOW, Unknown),
        ("h31-ss-without-m.txt", STALL, Unknown),
        ("h31-ss-without-m.txt", WINDOW, Unknown),
        ("h32-ss-plain.txt", STALL, Unknown),
        ("h32-ss-plain.txt", WINDOW, Unknown),
        ("h33-established-filter.txt", STALL, MayHaveBeen),
        ("h34-zero-window-without-o.txt", STALL, Unknown),
        ("h34-zero-window-without-o.txt", WINDOW, Exposed),
    ] {
        let reading = case(name).unwrap_or_else(|error| panic!("{name}: {error}"));
        let judged = bitten::judge(&reading).into_iter().find(|b| b.bug.as_str() == bug).expect("the bug");
        assert_eq!(judged.bitten, right, "{name} {bug}: {judged:?}");
        assert!(![Not, NotNow].contains(&judged.bitten) || name == "h26-proc-net-netstat.txt");
        let said = judged.evidence.join(" ");
        assert!(!said.contains("no connection is stuck"), "{name}: {said}");
    }
}

#[test]
fn field_cases_show_their_details() {
    let reading = |name: &str| case(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    for name in [
        "h01-stuck-mysql.txt",
        "h07-dmesg.txt",
        "h11-quoted.txt",
        "h15-node-exporter.txt",
        "h24-sosreport.tar.xz",
        "h29-journal.txt",
    ] {
        assert_eq!(reading(name).host.release.as_deref(), Some("4.19.57"), "{name}");
    }
    for (name, lines) in [("h06-dmesg-el6.txt", 2), ("h07-dmesg.txt", 1), ("h29-journal.txt", 1)] {
        assert_eq!(reading(name).host.floods.map(|floods| floods.len()), Some(lines), "{name}");
    }
    for (name, connections) in
        [("h04-wrapped.txt", 1), ("h10-indented.txt", 3), ("h21-quoted-printable.txt", 1), ("h23-indented-two.txt", 2)]
    {
        let sockets = reading(name).namespaces.remove(0).sockets.expect("connections");
        assert_eq!(sockets.connections, connections, "{name}: {sockets:?}");
    }
    let quoted = reading("h22-timestamps.txt").namespaces.remove(0).sockets.expect("connections");
    let stuck = quoted.with(Complaint::Silent).next().expect("a stuck one");
    assert_eq!((stuck.local.as_str(), stuck.remote.as_str()), ("192.0.2.10:3306", "198.51.100.20:41822"));
    let settings = reading("h28-sysctl-noblank.txt").namespaces.remove(0).settings;
    assert_eq!(settings.len(), 2, "{settings:?}");
    let counters = reading("h08b-nstat-grep.txt").namespaces.remove(0).counters.expect("counters");
    assert_eq!((counters.get("ListenDrops"), counters.get("TCPWqueueTooBig")), (Count::Is(35), Count::Unknown));
}

/// Cases whose answer does not depend on the form of the paste.
const PASTED: [&str; 9] = [
    "h01-stuck-mysql.txt",
    "h04-wrapped.txt",
    "h10-indented.txt",
    "h15-node-exporter.txt",
    "h19-wrapped-160.txt",
    "h23-indented-two.txt",
    "h25-supportconfig.txt",
    "h27-ss-el6.txt",
    "h34-zero-window-without-o.txt",
];

#[test]
fn pasting_does_not_change_answers() {
    for name in PASTED {
        let plain = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hosts").join(name))
            .expect("a case");
        let answers = |bytes: &[u8]| {
            let reading =
                read_bytes(bytes).unwrap_or_else(|error| panic!("{name}: {error}: {}", String::from_utf8_lossy(bytes)));
            let bitten: Vec<BittenAnswer> = bitten::judge(&reading).into_iter().map(|bitten| bitten.bitten).collect();
            (bitten, reading.host.release)
        };
        let expected = answers(plain.as_bytes());
        let marked = |mark: &str| plain.lines().map(|line| format!("{mark}{line}\n")).collect::<String>().into_bytes();
        let wide =
            |mark: &[u8], of: fn(u16) -> [u8; 2]| [mark.to_vec(), plain.encode_utf16().flat_map(of).collect()].concat();
        let quoted_printable = || {
            let encoded = plain.replace('=', "=3D").replace('\t', "=09");
            let soft =
                |line: &str| line.as_bytes().chunks(72).map(String::from_utf8_lossy).collect::<Vec<_>>().join("=\n");
            encoded.lines().map(|line| soft(line) + "\n").collect::<String>().into_bytes()
        };
        let mut variants = vec![
            plain.replace('\n', "\r\n").into_bytes(),
            plain.replace(' ', "\u{a0}").into_bytes(),
            format!("<html><pre>{}</pre>", plain.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"))
                .into_bytes(),
            wide(&[0xff, 0xfe], u16::to_le_bytes),
            wide(&[0xfe, 0xff], u16::to_be_bytes),
        ];
        variants.extend(
            ["> ", ">> ", "    ", "\t", "| ", "12:00:01 ", "1725877589.814789 ", "Mar  3 04:05:06 "].map(marked),
        );
        if plain.lines().any(|line| line.len() > 80) {
            variants.push(quoted_printable());
        }
        for variant in variants {
            assert_eq!(answers(&variant), expected, "{name}: {}", String::from_utf8_lossy(&variant));
        }
    }
}

#[test]
fn part_of_a_text_never_denies() {
    let whole = |text: &str| {
        let reading = read_bytes(text.as_bytes()).expect("a reading");
        bitten::judge(&reading).into_iter().map(|bitten| bitten.bitten).collect::<Vec<_>>()
    };
    // The complete output says so.
    let quiet = NETSTAT.replace("    TCPWqueueTooBig: 31\n", "");
    let all = format!("$ netstat -s\n{quiet}$ ss -tanmio\n{HEALTHY}");
    assert_eq!(whole(&all), [BittenAnswer::NotNow, BittenAnswer::Not, BittenAnswer::NotNow]);
    // A part or a filtered output does not.
    for (text, denied) in [
        (format!("$ netstat -s | grep -v x\n{quiet}$ ss -tanmio\n{HEALTHY}"), [true, false, true]),
        (format!("$ netstat -s\n{quiet}$ ss -tanmio dst 10.0.0.2\n{HEALTHY}"), [false, true, false]),
        (quiet.clone(), [false, true, false]),
        (HEALTHY.to_owned(), [true, false, true]),
        (HEALTHY.lines().skip(1).map(|line| format!("{line}\n")).collect(), [false, false, false]),
        ("$ nstat\nTcpExtListenDrops 5 0.0\nIpExtInOctets 5 0.0\n".to_owned(), [false, false, false]),
    ] {
        let denies = whole(&text).into_iter().map(|answer| answer < BittenAnswer::Unknown).collect::<Vec<_>>();
        assert_eq!(denies, denied, "{text}");
    }
}

#[test]
fn cookies_are_unknown_when_only_the_log_has_them() {
    let quiet = NETSTAT.replace("    TCPWqueueTooBig: 31\n", "");
    let flood = "[ 9123.4] TCP: request_sock_TCP: Possible SYN flooding on port 3400. Sending cookies.\n";
    for (text, expected) in [(quiet.clone(), BittenAnswer::Not), (format!("{quiet}{flood}"), BittenAnswer::Unknown)] {
        let reading = read_bytes(text.as_bytes()).expect("a reading");
        assert_eq!(answer(&reading, "syn-cookie-data-loss"), expected, "{text}");
    }
}

#[test]
fn zero_window_with_long_timeout_is_not_bitten_now() {
    let ss = |details: &str| {
        let socket = "ESTAB 0 150112 192.0.2.10:8080 198.51.100.20:41822\n\t \
                      skmem:(r0,rb87380,t0,tb46080,f1040,w154112,o0,bl0,d0) cubic rto:25600";
        format!(
            "State Recv-Q Send-Q Local Address:Port Peer Address:Port\n{socket} {details}\nTcpExtTCPWqueueTooBig 9 0.0\n"
        )
    };
    for details in [
        "backoff:7 lastsnd:901200 lastrcv:901300",
        "backoff:7",
        "backoff:7 rtt:0.2/0.1 lastsnd:901200",
        "backoff:7 lastsnd:901200 lastack:901200 notsent:150112",
    ] {
        let reading = read_bytes(ss(details).as_bytes()).expect("a reading");
        let judged = bitten::judge(&reading).remove(0);
        assert_eq!(judged.bitten, BittenAnswer::Unknown, "{details}: {judged:?}");
        assert!(judged.evidence[0].contains("snd_wnd"), "{details}: {judged:?}");
    }
}

#[test]
fn proc_net_tcp_is_read_beside_ss() {
    let tcp = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n   \
               1: 0100007F:0CEA 0200000A:9C40 01 00005000:00000000 01:000004B0 00000007     0        0 4711 2 x 3776 4 1 1 7\n";
    let idle = tcp.replace("00005000", "00000000").replace("01:000004B0 00000007", "00:00000000 00000000");
    let tcp6 =
        "  sl  local_address                         remote_address                        st tx_queue rx_queue\n";
    let folder = tempfile::tempdir().expect("a temporary folder");
    let answers = |files: &[(&str, &str)]| {
        write(folder.path(), files);
        let paths: Vec<PathBuf> = files.iter().map(|(name, _)| folder.path().join(name)).collect();
        let reading = read(&paths).expect("a reading");
        ["tcp-fragment-stall", "zero-window-user-timeout"].map(|bug| answer(&reading, bug))
    };
    assert_eq!(answers(&[("tcp", tcp)]), [BittenAnswer::Unknown, BittenAnswer::Unknown]);
    assert_eq!(answers(&[("tcp", &idle)]), [BittenAnswer::Unknown, BittenAnswer::Unknown]);
    assert_eq!(answers(&[("tcp", &idle), ("tcp6", tcp6)]), [BittenAnswer::NotNow, BittenAnswer::NotNow]);
    assert_eq!(answers(&[("tcp", tcp), ("tcp6", tcp6)]), [BittenAnswer::Unknown, BittenAnswer::Unknown]);
    assert_eq!(answers(&[("tcp", tcp), ("ss", HEALTHY)]), [BittenAnswer::Unknown, BittenAnswer::Unknown]);
    let error = read_bytes(b"sockets: used 290\nTCP: inuse 5 orphan 0 tw 0 alloc 7 mem 1\n").expect_err("nothing");
    assert!(error.to_string().contains("found /proc/net/sockstat"), "{error}");
}
