use super::*;
use crate::host::{Answer, Complaint, Count, bitten};

fn write(folder: &Path, files: &[(&str, &str)]) {
    for (path, text) in files {
        let path = folder.join(path);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        std::fs::write(path, text).expect("written");
    }
}

const UNAME: &str = "Linux db1 4.19.57 #1 SMP Wed Jul 3 12:00:00 UTC 2019 x86_64 GNU/Linux\n";
const NETSTAT: &str =
    "Tcp:\n    1 active connection openings\nTcpExt:\n    32 delayed acks sent\n    TCPWqueueTooBig: 31\nIpExt:\n";
const SS: &str = "State Recv-Q Send-Q Local Address:Port Peer Address:Port\nESTAB 0 21984 10.0.0.1:3306 10.0.0.2:40000\n\
    \t skmem:(r0,rb16384,t0,tb8192,f1896,w22680,o0,bl0,d0) rto:37760 backoff:7\n";

fn answer(reading: &Reading, bug: &str) -> Answer {
    bitten::judge(reading).into_iter().find(|b| b.bug.as_str() == bug).expect("the bug").bitten
}

#[test]
fn a_sosreport_of_the_reported_host_says_that_it_is_bitten_now() {
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
    assert_eq!(answer(&reading, "tcp-fragment-stall"), Answer::Now);
    // netstat leaves zeros out, and this counter is there in every kernel.
    assert_eq!(answer(&reading, "syn-cookie-data-loss"), Answer::Not);
    assert!(reading.host.unseen.iter().any(|what| what.contains("live patches")), "{:?}", reading.host.unseen);
}

#[test]
fn several_files_and_several_outputs_in_one_file_make_one_host() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(
        folder.path(),
        &[("all.txt", &format!("$ uname -a\n{UNAME}$ netstat -s\n{NETSTAT}\n$ ss -tmi\n{SS}")), ("r", "5.2.1\n")],
    );
    let reading = read(&[folder.path().join("all.txt")]).expect("a reading");
    assert_eq!(reading.host.release.as_deref(), Some("4.19.57"));
    let own = &reading.namespaces[0];
    assert_eq!(own.counters.as_ref().map(|c| c.get("TCPWqueueTooBig")), Some(Count::Is(31)));
    assert_eq!(own.sockets.as_ref().map(|s| s.with(Complaint::Overfull).count()), Some(1));
    let both = read(&[folder.path().join("r"), folder.path().join("all.txt")]);
    assert!(matches!(both, Err(SavedError::TwoHosts { .. })), "{both:?}");
}

#[test]
fn what_was_not_saved_is_said_and_what_is_not_known_is_an_error() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    write(folder.path(), &[("release", "5.2.1\n"), ("junk", "hello\nworld\n")]);
    let reading = read(&[folder.path().join("release")]).expect("a reading");
    for what in ["counters", "connections", "settings", "log"] {
        assert!(reading.host.unseen.iter().any(|unseen| unseen.contains(what)), "{what}: {:?}", reading.host.unseen);
    }
    assert_eq!(answer(&reading, "tcp-fragment-stall"), Answer::Unknown);
    let junk = read(&[folder.path().join("junk")]);
    assert!(matches!(junk, Err(SavedError::NothingKnown { .. })), "{junk:?}");
    let absent = read(&[folder.path().join("absent")]);
    assert!(matches!(absent, Err(SavedError::Unreadable { .. })), "{absent:?}");
    let device = read(&[PathBuf::from("/dev/zero")]);
    assert!(matches!(device, Err(SavedError::Unreadable { .. })), "{device:?}");
}

#[test]
fn what_is_of_two_releases_is_of_two_hosts() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let (one, same, other) = (file("u1", "4.19.57\n"), file("u2", "4.19.57\n"), file("u3", "6.1.0-25-amd64\n"));
    let both = read(&[one.clone(), same.clone()]).expect("one host");
    assert_eq!(both.host.release.as_deref(), Some("4.19.57"));
    let error = read(&[one, same, other]).expect_err("two hosts").to_string();
    for part in ["u1 is of Linux 4.19.57", "u3 of Linux 6.1.0-25-amd64"] {
        assert!(error.contains(part), "{error}");
    }
}
