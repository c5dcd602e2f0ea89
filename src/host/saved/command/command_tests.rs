use super::*;

#[test]
fn command_lines_are_found_behind_prompts() {
    for (line, program, host) in [
        ("$ ss -tanmio", "ss", None),
        ("# /usr/sbin/ss -tanmio", "ss", None),
        ("root@db1:~# nstat -az", "nstat", Some("db1")),
        ("[root@db1 ~]# LC_ALL=C netstat -s", "netstat", Some("db1")),
        ("> $ sudo ss -tmi", "ss", None),
        ("ss -s", "ss", None),
        ("me@laptop:~$ ssh db1 ss -tanmio", "ss", None),
        ("ip netns exec blue ss -tmi", "ss", None),
        ("kubectl exec pod -- nstat -az", "nstat", None),
        ("12:00:01 # ss -tmi", "ss", None),
    ] {
        let found = command_of(line).unwrap_or_else(|| panic!("{line}"));
        assert_eq!((found.program.as_str(), found.host.as_deref()), (program, host), "{line}");
    }
    for (line, place) in [
        ("# ip netns exec blue nstat -az", Some("netns blue")),
        ("sudo ip netns exec blue nstat -az", Some("netns blue")),
        ("$ kubectl exec web -- ss -tanmio", Some("kubectl exec web")),
        ("# nsenter -t 77 -n ss -tanmio", Some("nsenter -t 77 -n")),
        ("# /usr/sbin/ip netns exec blue nstat -az", Some("netns blue")),
        ("# timeout 5 ip netns exec blue nstat -az", Some("netns blue")),
        ("# /usr/bin/docker exec web nstat -az", Some("/usr/bin/docker exec web")),
        ("# sudo -n nsenter -t 77 -n nstat -az", Some("nsenter -t 77 -n")),
        ("# ssh db1 docker exec web nstat -az", Some("docker exec web")),
        ("# lxc exec web -- nstat -az", Some("lxc exec web")),
        ("# for p in 77 78; do nsenter -t $p -n nstat -az; done", Some("nsenter -t $p -n")),
        ("# cat /proc/1234/net/netstat", Some("/proc/1234")),
        ("# cat /proc/self/net/netstat", None),
        ("$ ssh db1 ss -tanmio", None),
        ("# sudo ss -tanmio", None),
    ] {
        assert_eq!(command_of(line).expect("a command").place.as_deref(), place, "{line}");
    }
    for line in
        ["ESTAB 0 0 10.0.0.1:1 10.0.0.2:2", "# ESTAB 0 0 10.0.0.1:1 10.0.0.2:2", "TcpExt:", "", "> a", "#kernel"]
    {
        assert_eq!(command_of(line), None, "{line}");
    }
}

#[test]
fn filters_leave_something_out() {
    for (line, leaves_out) in [
        ("ss -tanmio", false),
        ("ss --tcp --all --memory", false),
        ("ss -tmi dst 10.0.0.2", true),
        ("ss -tmi state established", true),
        ("ss -ltn", true),
        ("ss -4tn", true),
        ("ss -u", true),
        ("ss -tu", false),
        ("ss -tmi | grep 3306", true),
        ("ss -tmi | tee ss.txt", false),
        ("ss -tmi | head -20", true),
        ("ss -tmi > ss.txt", false),
        ("nstat -az", false),
        ("nstat -az 'TcpExtListen*'", true),
        ("nstat -az | grep -i listen", true),
        ("netstat -W -neopa", false),
        ("netstat -lnt", true),
        ("netstat -s | grep SYN", true),
        ("ss -tanmio|head", true),
        ("$ ss -tanmio > /tmp/x && head -3 /tmp/x", true),
        ("$ ss -tanmio>ss.txt; head -3 ss.txt", true),
        ("ss -tanmio 2>&1 | head -3", true),
        ("ss -tanmio 2>&1", false),
        ("ss -tanmio 2>/dev/null", false),
        ("ss -tanmio|cat", false),
        ("ss -tanmio --family=inet6", true),
        ("ss -tanmio --net=blue", true),
        ("ss -tmi -B", true),
        ("netstat -tanop --inet6", true),
        ("$ head -5 ss.txt", true),
        ("$ cat ss.txt | head -3", true),
        ("$ date; ss -tmi", true),
        ("db1:~ # ss -tmi dst 198.51.100.9", true),
        ("# doas ss -tmi dst 198.51.100.9", true),
        ("Output of `ss -tmi dst 198.51.100.9`:", true),
        ("Output of `ss -tanmio`:", false),
        ("=== ss -tanmio ===", false),
        ("db1:~ # ss -tanmio", false),
        ("ssh db1 'head -5 ss.txt'", true),
    ] {
        let command = command_of(line).unwrap_or_else(|| panic!("{line}"));
        assert_eq!(command.leaves_out().is_some(), leaves_out, "{line}");
    }
    let named = ShellCommand::of_file("ss_-peaonmi").expect("a command");
    assert!(named.has('m', "memory") && named.leaves_out().is_none());
    assert_eq!(ShellCommand::of_file("ss.txt"), None);
}

#[test]
fn nstat_shows_increments_without_a() {
    for (line, increments) in [
        ("nstat", true),
        ("nstat -z", true),
        ("nstat -az", false),
        ("nstat --ignore --zeros", false),
        ("nstat -rz", false),
        ("nstat -az > /dev/null; sleep 60; nstat -z", true),
        ("nstat > /tmp/first; sleep 60; nstat -az", true),
        ("(nstat > /dev/null; sleep 1; nstat -z)", true),
        ("sleep 60; nstat -z", true),
        ("watch nstat -z", true),
        ("ss -tan; nstat -z", true),
        ("ss -tan; nstat -az", false),
        ("ss -tanmio", false),
    ] {
        let command = command_of(line).unwrap_or_else(|| panic!("{line}"));
        assert_eq!(command.shows_increments, increments, "{line}");
    }
    assert!(ShellCommand::of_file("nstat_-z").is_some_and(|command| command.shows_increments));
}

#[test]
fn files_without_a_time_differ_from_live_ones() {
    for (line, file) in [
        ("$ cat /var/tmp/old/netstat.txt", Some("/var/tmp/old/netstat.txt")),
        ("$ cat netstat", Some("netstat")),
        ("cat a.txt b.txt", Some("a.txt")),
        ("$ cat /proc/net/netstat old.txt", Some("old.txt")),
        ("$ less nstat.txt", Some("nstat.txt")),
        ("$ zcat ss.txt.gz", Some("ss.txt.gz")),
        ("$ grep TcpExt nstat.txt", Some("nstat.txt")),
        ("$ head -20 ss.txt", Some("ss.txt")),
        ("$ cat /etc/sysctl.conf", Some("/etc/sysctl.conf")),
        ("$ cat /proc/net/netstat", None),
        ("$ grep -i tcpext /proc/net/netstat", None),
        ("$ cat /var/log/messages", None),
        ("$ grep flooding kern.log", None),
        ("$ ss -tanmio", None),
        ("$ date; cat /var/tmp/old/netstat.txt", Some("/var/tmp/old/netstat.txt")),
        ("$ uname -r; cat old.txt | head", Some("old.txt")),
    ] {
        assert_eq!(command_of(line).expect("a command").printed.as_deref(), file, "{line}");
    }
}
