//! Texts from two hosts, two boots or another namespace that only headings, prompts or figures tell apart.

use super::tests::{HEALTHY, NETSTAT, UNAME, read_bytes};
use super::*;
use crate::host::{BittenAnswer, bitten};

fn quiet() -> String {
    NETSTAT.replace("    TCPWqueueTooBig: 31\n", "")
}

/// The answers for each bug.
fn answers(text: &str) -> Vec<BittenAnswer> {
    let reading = read_bytes(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
    bitten::judge(&reading).into_iter().map(|bitten| bitten.bitten).collect()
}

#[track_caller]
fn assert_refused(text: &str) {
    let error = read_bytes(text.as_bytes()).expect_err(text);
    assert!(matches!(error, SavedError::TwoInOne { .. }), "{text}: {error}");
    assert!(error.to_string().contains("split the file"), "{error}");
}

/// Headings of two hosts.
const HEADINGS: &[[&str; 2]] = &[
    ["client:", "server:"],
    ["Client", "Server"],
    ["On the client:", "On the server:"],
    ["## sender", "## receiver"],
    ["CLIENT\n======", "SERVER\n======"],
    ["**client**", "**server**"],
    ["The server says:", "and on the client nothing is stuck, netstat there:"],
    ["host A:", "host B:"],
    ["good machine:", "bad machine:"],
    ["Host: db1", "Host: db2"],
    ["Hostname: prod", "Hostname: test-bed"],
    ["node db1", "node db2"],
    ["On db1:", "On db2:"],
    ["db1:", "db2:"],
    ["db1", "db2"],
    ["DB1 output:", "DB2 output:"],
    ["alpha:", "beta:"],
    ["=== alpha ===", "=== beta ==="],
    ["[db1]", "[db2]"],
    ["web01 (10.0.0.5):", "web02 (10.0.0.6):"],
    ["10.0.0.5:", "10.0.0.6:"],
    ["==> db1 <==", "==> db2 <=="],
    ["==> db1/ss.txt <==", "==> db2/netstat.txt <=="],
    ["::::::::\nalpha/ss.txt\n::::::::", "::::::::\nbeta/netstat.txt\n::::::::"],
    ["--- pod/x ---", "--- pod/y ---"],
    ["[db1] run: ss -tanmio", "[db2] run: netstat -s"],
    // Only the second one has a heading.
    ["", "client:"],
    ["", "Host: db2"],
];

#[test]
fn headings_of_two_hosts_are_refused() {
    for [one, other] in HEADINGS {
        assert_refused(&format!("{one}\n{HEALTHY}\n{other}\n{}", quiet()));
        assert_refused(&format!("{one}\n{HEALTHY}{other}\n{}", quiet()));
        if !one.contains("run:") {
            assert_refused(&format!("{one}\n$ ss -tanmio\n{HEALTHY}{other}\n$ netstat -s\n{}", quiet()));
        }
    }
}

#[test]
fn headings_of_outputs_and_times_are_not_hosts() {
    for [one, other] in [
        ["Output:", "More:"],
        ["before:", "after:"],
        ["ss:", "netstat:"],
        ["=== step1 ===", "=== step2 ==="],
        ["part1:", "part2:"],
        ["t0:", "t1:"],
        ["ipv4:", "ipv6:"],
        ["connections:", "counters:"],
        ["==> ss.txt <==", "==> netstat.txt <=="],
        ["==> db1/ss.txt <==", "==> db1/netstat.txt <=="],
        ["server:", "server:"],
        ["On the server:", "Also on the server:"],
        ["Host: db1", "db1:"],
        ["## sockets", "## statistics"],
        ["mysqld:", "nginx:"],
    ] {
        for text in [
            format!("{one}\n{HEALTHY}\n{other}\n{}", quiet()),
            format!("{UNAME}{one}\n$ ss -tanmio\n{HEALTHY}\n{other}\n$ netstat -s\n{}", quiet()),
        ] {
            assert_eq!(answers(&text), [BittenAnswer::NotNow, BittenAnswer::Not, BittenAnswer::NotNow], "{text}");
        }
    }
    // One host under two headings, as its own name shows.
    let text = format!("client:\n{UNAME}{HEALTHY}\nserver:\n{UNAME}{}", quiet());
    assert_eq!(answers(&text), [BittenAnswer::NotNow, BittenAnswer::Not, BittenAnswer::NotNow]);
    // A heading of a cut is not a host's.
    assert_eq!(answers(&format!("$ ss -tanmio\n{HEALTHY}[shortened]\n")), [BittenAnswer::Unknown; 3]);
}

#[test]
fn unusual_prompts_of_two_hosts_are_refused() {
    for prompt in [
        "[NAME ~]$",
        "[NAME]$",
        "[NAME:~]$",
        "[root NAME ~]#",
        "{NAME} $",
        "{root@NAME}",
        "<NAME>$",
        "(NAME)#",
        "NAME ~$",
        "@NAME #",
        "NAME=>",
        "root@NAME in ~\n$",
        "\u{250c}\u{2500}\u{2500}(root\u{327f}NAME)-[~]\n\u{2514}\u{2500}#",
    ] {
        let typed = |name: &str, call: &str| format!("{} {call}\n", prompt.replace("NAME", name));
        for [one, other] in [["db1", "db2"], ["client", "server"], ["alpha", "beta"]] {
            let first = format!("{}{HEALTHY}", typed(one, "ss -tanmio"));
            assert_refused(&format!("{first}{}{}", typed(other, "netstat -s"), quiet()));
            let same = format!("{first}{}{}", typed(one, "netstat -s"), quiet());
            assert_eq!(answers(&same), [BittenAnswer::NotNow, BittenAnswer::Not, BittenAnswer::NotNow], "{same}");
        }
    }
    // Accounts, environments and folders are not hosts.
    for [one, other] in
        [["[root ~]#", "[oracle ~]$"], ["(venv) $", "(py39) $"], ["[/tmp]$", "[~]$"], ["bash-4.2$", "sh-5.1#"]]
    {
        let text = format!("{one} ss -tanmio\n{HEALTHY}{other} netstat -s\n{}", quiet());
        assert_eq!(answers(&text), [BittenAnswer::NotNow, BittenAnswer::Not, BittenAnswer::NotNow], "{text}");
    }
}

#[test]
fn labels_of_two_hosts_are_refused() {
    for label in ["node", "instance", "host", "hostname", "kubernetes_node", "fqdn", "pod"] {
        let counter = |name: &str, host: &str| format!("node_netstat_TcpExt_{name}{{{label}=\"{host}\"}} 0\n");
        assert_refused(&(counter("SyncookiesSent", "a") + &counter("SyncookiesRecv", "b")));
        answers(&(counter("SyncookiesSent", "a") + &counter("SyncookiesRecv", "a")));
    }
}

#[test]
fn files_of_another_process_are_not_the_hosts() {
    let copy = "TcpExt: SyncookiesSent SyncookiesRecv TCPWqueueTooBig\nTcpExt: 0 0 0\nIpExt: A\nIpExt: 5\n";
    for calls in [
        "cd /proc/77/net\ncat netstat\n",
        "cd /proc/77/net; cat netstat\n",
        "cd /proc/77/net\n",
        "$ cd /proc/77\n$ cat net/netstat\n",
        "$ (cd /proc/77/net && cat netstat)\n",
        "# pushd /proc/77/net\n# grep TcpExt netstat\n",
        "mininet> h1 cat /proc/net/netstat\n",
    ] {
        assert_eq!(answers(&format!("{calls}{copy}")), [BittenAnswer::Unknown; 3], "{calls}");
    }
    for calls in ["cd /proc/net\ncat netstat\n", "$ cd /proc/self/net\n$ cat netstat\n", "$ cat /proc/1/net/netstat\n"]
    {
        assert_eq!(answers(&format!("{calls}{copy}"))[1], BittenAnswer::Not, "{calls}");
    }
}

#[test]
fn outputs_before_a_shorter_uptime_say_nothing() {
    let up = |how: &str| format!(" 12:00:01 up {how},  2 users,  load average: 0.00, 0.01, 0.05\n");
    for (call, first, second) in [
        ("$ uptime\n", up("41 days,  3:02"), up("5 min")),
        ("", up("41 days,  3:02"), up("5 min")),
        ("$ w\n", up("3:02"), up("10 min")),
        ("$ top -bn1\n", format!("top -{}", up("3:02")), format!("top -{}", up("10 min"))),
        ("$ cat /proc/uptime\n", "350735.47 2.9\n".to_owned(), "99.4 2.9\n".to_owned()),
        ("$ uptime -s\n", "2024-01-01 00:00:00\n".to_owned(), "2024-01-03 00:00:00\n".to_owned()),
        ("$ who -b\n", "  system boot  2024-01-01 00:00\n".to_owned(), "  system boot  2024-01-03 00:00\n".to_owned()),
    ] {
        let text = |first: &str, second: &str| {
            format!("{call}{first}$ netstat -s\n{}{call}{second}$ ss -tanmio\n{HEALTHY}", quiet())
        };
        let found = answers(&text(&first, &second));
        assert_eq!(found, [BittenAnswer::NotNow, BittenAnswer::Unknown, BittenAnswer::NotNow], "{call}{second}");
        for (before, after) in [(&first, &first), (&second, &second)] {
            assert_eq!(answers(&text(before, after))[1], BittenAnswer::Not, "{call}{after}");
        }
    }
}

#[test]
fn readings_of_two_boots_are_refused() {
    let quiet = quiet();
    let earlier = quiet.replace("    5 segments received", "    999 segments received");
    for text in [format!("{earlier}{quiet}"), format!("$ netstat -s\n{earlier}$ netstat -s\n{quiet}")] {
        assert_refused(&text);
    }
    assert_eq!(answers(&format!("$ netstat -s\n{quiet}$ netstat -s\n{earlier}"))[1], BittenAnswer::Not);
    // After a reboot that a command shows, the earlier reading is not compared.
    let text = format!("$ netstat -s\n{earlier}$ sudo reboot\n$ netstat -s\n{quiet}");
    assert_eq!(answers(&text)[1], BittenAnswer::Not);
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let ahead = quiet.replace("    6 segments sent out", "    999 segments sent out");
    let (first, second, third) = (file("a", &earlier), file("b", &ahead), file("c", &quiet));
    let error = read(&[first.clone(), second]).expect_err("two boots");
    assert!(matches!(error, SavedError::TwoHosts { .. }), "{error}");
    // The order of files says nothing.
    read(&[first, third]).expect("one boot");
}
