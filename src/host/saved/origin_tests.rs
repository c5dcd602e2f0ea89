//! Texts from several hosts, other namespaces and other times.

use super::tests::{HEALTHY, NETSTAT, SS, UNAME, answer, read_bytes};
use super::*;
use crate::host::{BittenAnswer, bitten};

const NSTAT: &str = "#kernel\nTcpExtListenDrops 5 0.0\nTcpExtSyncookiesSent 0 0.0\nIpExtInOctets 5 0.0\n";

fn prefixed(mark: &str, text: &str) -> String {
    text.lines().map(|line| format!("{mark}{line}\n")).collect()
}

/// Answers for the host's namespace alone, and the names of all.
fn own_answers(text: &str) -> (Vec<BittenAnswer>, Vec<String>) {
    let mut reading = read_bytes(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
    let names = reading.namespaces.iter().map(|n| n.name.clone()).collect();
    reading.namespaces.truncate(1);
    (bitten::judge(&reading).into_iter().map(|bitten| bitten.bitten).collect(), names)
}

#[test]
fn other_namespaces_say_nothing_of_the_host() {
    let quiet = NETSTAT.replace("    TCPWqueueTooBig: 31\n", "");
    let text = format!(
        "# netstat -s | grep listen\n57 times the listen queue of a socket overflowed\n# ip netns exec blue netstat -s\n{quiet}"
    );
    let reading = read_bytes(text.as_bytes()).expect("a reading");
    let names: Vec<_> = reading.namespaces.iter().map(|n| n.name.as_str()).collect();
    assert_eq!(names, ["host", "netns blue"]);
    assert_eq!(answer(&reading, "syn-cookie-data-loss"), BittenAnswer::Unknown);
}

#[test]
fn shells_elsewhere_say_nothing_of_the_host() {
    let quiet = NETSTAT.replace("    TCPWqueueTooBig: 31\n", "");
    let both = format!("# ss -tanmio\n{HEALTHY}# netstat -s\n{quiet}");
    assert_eq!(own_answers(&both).0, [BittenAnswer::NotNow, BittenAnswer::Not, BittenAnswer::NotNow]);
    for enter in [
        "nsenter -t 77 -n bash",
        "nsenter -t 77 -n",
        "ip netns exec blue bash",
        "docker exec -it web sh",
        "kubectl exec -it web -- sh",
        "lxc exec web bash",
        "podman exec -it web /bin/bash",
        "machinectl shell web",
    ] {
        let (answers, names) = own_answers(&format!("root@db1:~# {enter}\n{both}"));
        assert_eq!(answers, [BittenAnswer::Unknown; 3], "{enter}");
        assert_eq!(names.len(), 2, "{enter}: {names:?}");
        let (answers, _) = own_answers(&format!("# {enter}\n{both}# exit\nexit\n{both}"));
        assert_eq!(answers, [BittenAnswer::NotNow, BittenAnswer::Not, BittenAnswer::NotNow], "{enter}");
    }
}

#[test]
fn printed_old_files_say_nothing_of_now() {
    let quiet = NETSTAT.replace("    TCPWqueueTooBig: 31\n", "");
    for command in
        ["cat /var/tmp/old/netstat.txt", "cat nstat.txt", "zcat old.gz", "date; cat /var/tmp/old/netstat.txt"]
    {
        let text = format!("$ uname -a\n{UNAME}$ {command}\n{quiet}{HEALTHY}");
        let reading = read_bytes(text.as_bytes()).expect("a reading");
        assert_eq!(own_answers(&text).0, [BittenAnswer::Unknown; 3], "{command}");
        assert!(reading.host.unseen.iter().any(|what| what.contains("earlier time")), "{:?}", reading.host.unseen);
        let error = read_bytes(format!("$ {command}\n{quiet}").as_bytes()).expect_err(command).to_string();
        assert!(error.contains("earlier time"), "{error}");
    }
    let text = format!("$ netstat -s > n.txt\n$ cat n.txt\n{quiet}$ cat /proc/version\n");
    assert_eq!(own_answers(&text).0[1], BittenAnswer::Not);
    // A release of an earlier boot is not the running one.
    let text = format!("$ cat old/uname.txt\n{UNAME}$ netstat -s\n{quiet}");
    assert_eq!(read_bytes(text.as_bytes()).expect("a reading").host.release, None);
}

#[test]
fn other_commands_output_says_nothing_of_now() {
    let quiet = NETSTAT.replace("    TCPWqueueTooBig: 31\n", "");
    for command in [
        "git show HEAD:nstat.txt",
        "curl http://example.org/nstat.txt",
        "wget -qO- http://example.org/nstat.txt",
        "unzip -p old.zip nstat.txt",
        "vim nstat.txt",
        "view nstat.txt",
        "rg TcpExt nstat.txt",
        "perl -ne print nstat.txt",
        "python3 show.py nstat.txt",
        "diff a b",
        "strings core",
        "tmux capture-pane -p",
        "for f in *.txt; do cat $f; done",
        "journalctl -u collect",
        "uname -r; git show HEAD:nstat.txt",
        "NS=\"nsenter -t 5 -n\"; $NS netstat -s",
        "dexec web netstat -s",
    ] {
        for prompt in ["$ ", "root@db1:~# ", "(venv) me@db1:~$ "] {
            let text =
                format!("$ uname -a\n{UNAME}{prompt}{command}\n{quiet}netstat -s\n{quiet}=== db1 ===\n{HEALTHY}");
            let reading = read_bytes(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(own_answers(&text).0, [BittenAnswer::Unknown; 3], "{text}");
            assert!(reading.host.unseen.iter().any(|what| what.contains("time")), "{:?}", reading.host.unseen);
            let (answers, _) = own_answers(&format!("{text}{prompt}netstat -s\n{quiet}{prompt}ss -tanmio\n{HEALTHY}"));
            assert_eq!(answers, [BittenAnswer::NotNow, BittenAnswer::Not, BittenAnswer::NotNow], "{text}");
        }
    }
    let text = format!("{UNAME}$ cat /var/log/messages\n{quiet}{HEALTHY}");
    assert_eq!(own_answers(&text).0, [BittenAnswer::Unknown; 3], "{text}");
    let text = format!("{UNAME}dexec web nstat -az\n{quiet}{HEALTHY}");
    assert_eq!(own_answers(&text).0, [BittenAnswer::Unknown; 3], "{text}");
}

#[test]
fn outputs_before_a_reboot_say_nothing_of_this_boot() {
    let quiet = NETSTAT.replace("    TCPWqueueTooBig: 31\n", "");
    let lists = format!("$ netstat -s\n{quiet}$ ss -tanmio\n{HEALTHY}");
    for command in ["sudo reboot", "shutdown -r now", "systemctl reboot", "kexec -e"] {
        let text = format!("{lists}$ {command}\n$ uname -r\n4.19.57\n");
        let reading = read_bytes(text.as_bytes()).expect("a reading");
        assert_eq!(own_answers(&text).0, [BittenAnswer::Unknown; 3], "{text}");
        assert!(reading.host.unseen.iter().any(|what| what.contains("earlier boot")), "{:?}", reading.host.unseen);
        let (answers, _) = own_answers(&format!("{text}{lists}"));
        assert_eq!(answers, [BittenAnswer::NotNow, BittenAnswer::Not, BittenAnswer::NotNow], "{text}");
    }
}

#[test]
fn reboot_in_one_file_makes_the_others_earlier() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("a file");
        path
    };
    let quiet = NETSTAT.replace("    TCPWqueueTooBig: 31\n", "");
    let facts = file("facts", &format!("$ uname -r\n4.19.40\n$ netstat -s\n{quiet}$ ss -tanmio\n{HEALTHY}"));
    let session = file("session", "$ sudo reboot\n$ uname -r\n4.19.57\n");
    for paths in [[facts.clone(), session.clone()], [session, facts]] {
        let reading = read(&paths).expect("one host");
        assert_eq!(reading.host.release.as_deref(), Some("4.19.57"), "{paths:?}");
        let unseen = reading.host.unseen.join("\n");
        assert!(unseen.contains("facts: it may be from before `sudo reboot` in session"), "{unseen}");
        let answers: Vec<_> = bitten::judge(&reading).into_iter().map(|bitten| bitten.bitten).collect();
        assert_eq!(answers, [BittenAnswer::Unknown; 3], "{paths:?}");
    }
    let (one, other) = (file("one", UNAME), file("other", "root@db2:~# reboot\nroot@db2:~# uname -r\n4.19.57\n"));
    assert!(matches!(read(&[one, other]), Err(SavedError::TwoHosts { .. })));
}

#[test]
fn redefined_programs_say_nothing_of_the_kernel() {
    let quiet = NETSTAT.replace("    TCPWqueueTooBig: 31\n", "");
    for definition in [
        "alias uname='echo 4.19.57'",
        "uname() { echo 4.19.57; }",
        "export PATH=/tmp/bin:$PATH",
        "PROC_ROOT=/old; export PROC_ROOT",
    ] {
        for (prompt, other) in [("$ ", "$ "), ("root@db1:~# ", "root@db1:~# ")] {
            let text = format!("{prompt}{definition}\n{other}uname -r\n4.19.57\n{other}netstat -s\n{quiet}");
            let reading = read_bytes(text.as_bytes());
            let release = reading.as_ref().ok().and_then(|reading| reading.host.release.clone());
            assert_eq!(release, None, "{text}");
        }
    }
    let text = format!("alias uname='echo 4.19.57'\nuname -r\n4.19.57\nnetstat -s\n{quiet}");
    assert_eq!(read_bytes(text.as_bytes()).expect("a reading").host.release, None);
    let text = "$ uname -r\n4.19.57\n$ alias uname='echo 5.2.1'\n$ uname -r\n5.2.1\n";
    assert_eq!(read_bytes(text.as_bytes()).expect("a reading").host.release.as_deref(), Some("4.19.57"));
}

#[test]
fn other_machines_and_boots_say_nothing_of_the_kernel() {
    let log = "Jun 27 12:00:00 db1 kernel: Linux version 4.9.1 (a@b) #1 SMP\n";
    for text in [
        format!("$ journalctl -k -b -1\n{log}$ cat /proc/net/netstat\n"),
        format!("journalctl -k -b -1\n{log}"),
        format!("# dmesg -F old.log\n{log}"),
    ] {
        let release = read_bytes(text.as_bytes()).ok().and_then(|reading| reading.host.release);
        assert_eq!(release, None, "{text}");
    }
    let text = format!("root@db1:~# uname -a\n{UNAME}root@db1:~# virsh console web\n# uname -r\n4.9.1\n");
    assert!(matches!(read_bytes(text.as_bytes()), Err(SavedError::TwoInOne { .. })));
    let text = "# cat /proc/sys/kernel/osrelease\n4.19.57\n";
    assert_eq!(read_bytes(text.as_bytes()).expect("a reading").host.release.as_deref(), Some("4.19.57"));
}

#[test]
fn marks_of_a_cut_leave_the_listing_open() {
    let whole = format!("$ ss -tanmio\n{HEALTHY}");
    assert_eq!(own_answers(&whole).0[0], BittenAnswer::NotNow);
    for mark in [
        "[output truncated, 3000 lines]",
        "[300 lines elided]",
        "[Read 300 lines]",
        "[exit 124]",
        "[timeout: command terminated after 30s]",
        ":",
    ] {
        assert_eq!(own_answers(&format!("{whole}{mark}\n")).0, [BittenAnswer::Unknown; 3], "{mark}");
        let list = NETSTAT.replace("    TCPWqueueTooBig: 31", mark);
        let (answers, _) = own_answers(&format!("$ netstat -s\n{list}"));
        assert_eq!(answers, [BittenAnswer::Unknown; 3], "{mark}");
    }
}

#[test]
fn one_file_of_two_hosts_is_rejected() {
    let other = "Linux db2 5.2.1 #1 SMP Wed Jul 3 12:00:00 UTC 2019 x86_64 GNU/Linux\n";
    let log =
        |node: &str, release: &str| format!("Jun 27 12:00:00 {node} kernel: Linux version {release} (a@b) #1 SMP\n");
    for text in [
        format!("{UNAME}{other}"),
        format!("> {UNAME}> {other}"),
        format!("{UNAME}{}", other.replace("5.2.1", "4.19.57")),
        log("db1", "4.19.57") + &log("db1", "5.2.1"),
        log("db1", "4.19.57") + &log("db2", "4.19.57"),
        format!("{UNAME}[    0.000000] Linux version 5.2.1 (a@b) #1 SMP\n"),
        format!("root@db1:~# ss -tmi\n{SS}root@db2:~# ss -tmi\n{SS}"),
        format!("db1# ss -tmi\n{SS}db2# nstat -az\n{NSTAT}"),
        format!("[root@db1 ~]# ss -tmi\n{SS}user@db2:~$ nstat -az\n{NSTAT}"),
        format!("root@db2:~# ss -tmi\n{SS}{UNAME}"),
        format!("root@db2:~# uname -a\n{UNAME}"),
        format!("$ ssh db1 ss -tmi\n{SS}$ ssh db2 nstat -az\n{NSTAT}"),
        format!("ssh db1\n$ ss -tmi\n{SS}$ exit\n$ ssh db2\n$ nstat -az\n{NSTAT}"),
        format!("$ nstat -az\n{NSTAT}$ ssh db1 ss -tmi\n{SS}"),
        format!("$ for h in db1 db2; do ssh $h ss -tmi; done\n{SS}"),
        format!("$ uname -a\n{UNAME}$ ssh root@10.0.0.5 nstat -az\n{NSTAT}"),
        format!("root@db1:~# ss -tmi\n{SS}root@db1:~# ssh 10.0.0.5\n# nstat -az\n{NSTAT}"),
        format!("db1 | CHANGED | rc=0 >>\n{SS}\ndb2 | CHANGED | rc=0 >>\n{HEALTHY}"),
        format!("---------------\ndb1\n---------------\n{SS}---------------\ndb2\n---------------\n{HEALTHY}"),
        format!("---------------\ndb[1-2] (2)\n---------------\n{HEALTHY}"),
        prefixed("db1: ", SS) + &prefixed("db2: ", HEALTHY),
        prefixed("10.0.0.5: ", SS) + &prefixed("10.0.0.6: ", HEALTHY),
        format!("db1:\n{}db2:\n{}", prefixed("    ", SS), prefixed("    ", HEALTHY)),
        format!("=== db1 ===\n{SS}=== db2 ===\n{HEALTHY}"),
        format!("$ hostname\ndb1\n$ ss -tmi\n{SS}$ hostname\ndb2\n$ nstat -az\n{NSTAT}"),
        format!("$ hostname\ndb2\n$ uname -a\n{UNAME}"),
        format!(" Static hostname: db2\n{UNAME}"),
        format!("$ cat /etc/hostname\ndb2\n$ uname -a\n{UNAME}"),
        "node_uname_info{nodename=\"a\",release=\"4.19.57\"} 1\nnode_uname_info{nodename=\"b\",release=\"4.19.57\"} 1\n".to_owned(),
    ] {
        let error = read_bytes(text.as_bytes()).expect_err(&text);
        assert!(matches!(error, SavedError::TwoInOne { .. }), "{text}: {error}");
        assert!(error.to_string().contains("split the file"), "{error}");
    }
    for text in [
        format!("{UNAME}{UNAME}"),
        // Older boots of the same host.
        format!("{UNAME}{}{}", log("db1", "4.9.1"), log("db1", "4.19.57")),
        format!("me@laptop:~$ ssh db1\nroot@db1:~# ss -tmi\n{SS}{UNAME}"),
        format!("me@laptop:~$ ssh db1 ss -tmi\n{SS}me@laptop:~$ ssh root@db1.example.org nstat -az\n{NSTAT}"),
        format!("$ ssh 10.0.0.5 'uname -a; ss -tmi'\n{UNAME}{SS}"),
        format!("db1 | CHANGED | rc=0 >>\n{UNAME}{SS}\ndb1 | CHANGED | rc=0 >>\n{NSTAT}"),
        format!("prod | CHANGED | rc=0 >>\n{UNAME}{SS}"),
        prefixed("db1: ", &format!("{UNAME}{SS}")),
        format!("root@db1:~# docker exec -it web sh\n/ # uname -a\n{}", UNAME.replace("db1", "0123456789ab")),
        format!("root@db1:~# ss -tmi\n{SS}root@db1:~# docker exec -it web sh\nroot@0123456789ab:/# ss -tmi\n{HEALTHY}"),
        format!("$ hostname\ndb1\n$ uname -a\n{UNAME}"),
    ] {
        read_bytes(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
    }
}

#[test]
fn files_of_two_releases_are_rejected() {
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

#[test]
fn sessions_elsewhere_say_nothing_of_the_host() {
    let quiet = NETSTAT.replace("    TCPWqueueTooBig: 31\n", "");
    let after = |own: &str, command: &str, other: &str| {
        own_answers(&format!(
            "{own}uname -r\n4.19.57\n{own}{command}\n{other}netstat -s\n{quiet}{other}ss -tan\n{HEALTHY}"
        ))
    };
    for command in [
        "sudo picocom -b 115200 /dev/ttyUSB0",
        "screen /dev/ttyUSB0 115200",
        "telnet 192.0.2.1",
        "ipmitool -H bmc sol activate",
        "sshpass -p x ssh root@db2",
        "qemu-system-x86_64 -nographic -kernel bzImage",
    ] {
        for own in ["me@laptop:~$ ", "$ "] {
            assert_eq!(after(own, command, "/ # ").0, [BittenAnswer::Unknown; 3], "{own}{command}");
        }
    }
    assert_eq!(after("me@laptop:~$ ", "./enter db2", "/ # ").0, [BittenAnswer::Unknown; 3]);
    for command in ["sudo -i", "bash", "date"] {
        assert_eq!(after("me@laptop:~$ ", command, "# ").0[1], BittenAnswer::Not, "{command}");
    }
    let left = format!("me@laptop:~$ telnet db2 25\nme@laptop:~$ netstat -s\n{quiet}");
    assert_eq!(own_answers(&left).0[1], BittenAnswer::Not);
}

#[test]
fn outputs_of_containers_are_not_the_hosts() {
    for name in ["3f2a9c1b7d5e", "web-7d9c6bd5f-x2k4q"] {
        for text in [
            format!("{}{NETSTAT}{HEALTHY}", UNAME.replace("db1", name)),
            format!("root@{name}:/# netstat -s\n{NETSTAT}root@{name}:/# ss -tan\n{HEALTHY}"),
        ] {
            let (answers, names) = own_answers(&text);
            assert_eq!(answers, [BittenAnswer::Unknown; 3], "{text}");
            assert_eq!(names, ["host".to_owned(), format!("container {name}")], "{text}");
        }
    }
}

#[test]
fn several_hosts_under_one_name_are_refused() {
    for begin in ["$ for i in 1 2; do ssh db$i ss -tan; done\n", "$ for i in 1 2; do ssh 10.0.0.$i ss -tan; done\n"] {
        let error = read_bytes(format!("{begin}{HEALTHY}{HEALTHY}").as_bytes()).expect_err(begin).to_string();
        assert!(error.contains("expected outputs of one host"), "{begin}: {error}");
    }
}
