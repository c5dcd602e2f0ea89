use super::*;

#[test]
fn typed_words_are_not_taken_for_outputs() {
    for (line, expected) in [
        ("$ git show x", Some("git show x")),
        ("> $ git show x", Some("git show x")),
        ("# vim x", Some("vim x")),
        ("root@db1:~# vim x", Some("vim x")),
        ("[root@db1 ~]# vim x", Some("vim x")),
        ("(venv) me@db1:~$ vim x", Some("vim x")),
        ("me@db1 ~/src (main) $ vim x", Some("vim x")),
        ("bash-4.2$ vim x", Some("vim x")),
        ("db1:~ # vim x", Some("vim x")),
        ("/ # vim x", Some("vim x")),
        ("\u{279c}  ~ git:(main) vim x", Some("vim x")),
        ("12:00:01 $ vim x", Some("vim x")),
        ("{db1} $ vim x", Some("vim x")),
        ("[db1]$ vim x", Some("vim x")),
        ("(db1)# vim x", Some("vim x")),
        ("<db1>$ vim x", Some("vim x")),
        ("@db1 # vim x", Some("vim x")),
        ("\u{2514}\u{2500}# vim x", Some("vim x")),
        ("[300 lines]", None),
        ("(gdb) bt", None),
        ("# TYPE node_netstat_TcpExt_ListenDrops untyped", None),
        ("# net.core.somaxconn = 128", None),
        ("# skmem:(r0) cubic", None),
        ("#kernel", None),
        ("> ESTAB 0 0 10.0.0.1:22 10.0.0.2:9", None),
        ("[    0.000000] Linux version 4.19.57 (a@b) #1 SMP", None),
        ("Linux db1 4.19.57 #1 SMP", None),
        ("### db1", None),
        ("", None),
    ] {
        assert_eq!(typed(line), expected, "{line}");
    }
}

#[test]
fn only_known_commands_print_live_state() {
    for line in [
        "nstat -az",
        "sudo -u root nstat -az",
        "LC_ALL=C timeout 5 /usr/sbin/ss -tanmio",
        "env LC_ALL=C netstat -s | grep -E 'SYN|listen'",
        "watch -n 1 'nstat -az | head'",
        "cat /proc/net/netstat",
        "cat just-written",
        "ss -tanmio 2>&1 | tee ss.txt",
        "nstat -az > n.txt # before",
        "ssh 10.0.0.5 'uname -a; ss -tmi'",
        "ssh -p 22 root@db1 \"nstat -az\"",
        "date; nstat -az",
        "docker exec web nstat -az",
        "journalctl -k",
        "bash -c 'nstat -az'",
        "for h in db1 db2; do ssh $h ss -tmi; done",
        "ansible all -a 'ss -tan'",
    ] {
        assert!(is_live(line, &|file| file == "just-written"), "{line}");
    }
    for line in [
        "git show HEAD:nstat.txt",
        "uname -a; git show HEAD:nstat.txt",
        "curl http://example.org/nstat.txt",
        "unzip -p old.zip nstat.txt",
        "vim nstat.txt",
        "rg TcpExt nstat.txt",
        "python3 show.py nstat.txt",
        "head nstat",
        "more < ss.old",
        "grep TcpExt nstat",
        "for f in *.txt; do cat $f; done",
        "journalctl -u collect",
        "./nstat -az",
        "NS=\"nsenter -t 5 -n\"; $NS nstat -az",
        "$NS nstat -az",
        "dexec web nstat -az",
        "ssh db1 cat nstat.txt",
        "ssh db1 git show HEAD:nstat.txt",
        "nstat -az | ./show old",
        "echo \"$(git show HEAD:nstat.txt)\"",
        "nstat -az || zcat old.gz",
        "date",
    ] {
        assert!(!is_live(line, &|_| false), "{line}");
    }
}

#[test]
fn commands_that_end_a_boot_are_known() {
    for line in
        ["sudo reboot", "shutdown -r now", "systemctl reboot", "kexec -e", "date; reboot", "ssh db1 sudo reboot"]
    {
        assert!(ends_boot(line), "{line}");
    }
    for line in ["shutdown -c", "grep reboot x", "systemctl status", "kexec -l x", "last reboot", ""] {
        assert!(!ends_boot(line), "{line}");
    }
}
