use proptest::prelude::*;

use super::*;

#[test]
fn text_is_divided_at_its_commands() {
    let text = "a\n$ uname -a\nb\n$ ss -tmi\nc\nd\n";
    let parts: Vec<_> = parts(text).into_iter().map(|part| (part.command.map(|c| c.program), part.text)).collect();
    let expected = [(None, "a\n"), (Some("uname".to_owned()), "b\n"), (Some("ss".to_owned()), "c\nd\n")];
    assert_eq!(parts, expected);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn division_loses_no_line(text in "(([$#>|@=é]|ss|nstat|-t|'| |a){0,9}\n?){0,6}") {
        let commands = parts(&text).len() - 1;
        let kept: usize = parts(&text).iter().map(|part| part.text.lines().count()).sum();
        prop_assert_eq!(kept + commands, text.lines().count());
        let _ = ShellCommand::of_file(&text);
    }
}

/// The origin of the listing `here` in a text: its place, its host and its file.
fn origin(text: &str) -> [Option<String>; 3] {
    let part = parts(text).into_iter().find(|part| part.text.contains("here")).expect("the listing");
    [part.place, part.called, part.old]
}

#[test]
fn shells_are_spoken_for_until_they_are_left() {
    let (nsenter, docker) = (Some("nsenter -t 77 -n bash"), Some("docker exec -it web sh"));
    for (text, place, called) in [
        ("# nsenter -t 77 -n bash\n# ss -tan\nhere\n", nsenter, None),
        ("# docker exec -it web sh\n/ # ss -tan\nhere\n", docker, None),
        ("root@db1:~# docker exec -it web sh\n/ # exit\nroot@db1:~# ss -tan\nhere\n", None, None),
        ("# docker exec -it web sh\n# bash\n# exit\n# ss -tan\nhere\n", docker, None),
        ("# nsenter -t 77 -n bash\n# exit\nexit\n# ss -tan\nhere\n", None, None),
        // The second `exit` is bash's answer to the first.
        ("# nsenter -t 77 -n bash\n# docker exec -it web sh\n# exit\nexit\n# ss -tan\nhere\n", nsenter, None),
        ("# ssh db1\n# docker exec -it web sh\n# ss -tan\nhere\n", docker, Some("db1")),
        ("# docker exec -it web sh\n# ssh db1\n# ss -tan\nhere\n", None, Some("db1")),
        ("# ssh db1\n# docker exec -it web sh\nConnection to db1 closed.\n# ss -tan\nhere\n", None, None),
        ("$ ssh db1 ss -tan\nhere\n", None, Some("db1")),
        ("$ ssh db1 docker exec web ss -tan\nhere\n", Some("docker exec web"), Some("db1")),
        ("# ip netns exec blue \\\n>  ss -tan\nhere\n", Some("netns blue"), None),
        ("# docker exec web ./collect.sh\nhere\n", Some("docker exec web ./collect.sh"), None),
        ("$ ansible all -a 'ss -tan'\ndb1 | CHANGED | rc=0 >>\nhere\n", None, Some("db1")),
        ("---------------\ndb1\n---------------\nhere\n", None, Some("db1")),
        ("here\n", None, None),
    ] {
        let found = origin(text);
        assert_eq!([found[0].as_deref(), found[1].as_deref()], [place, called], "{text}");
    }
}

#[test]
fn printed_files_are_of_this_moment_when_just_written() {
    for (text, old) in [
        ("# ss -tan > ss.txt\n# cat ss.txt\nhere\n", None),
        ("# ss -tan | tee /tmp/ss.txt\nx\n# cat /tmp/ss.txt\nhere\n", None),
        ("# ss -tan > ss.txt\n# cd /var/tmp/old\n# cat ss.txt\nhere\n", Some("ss.txt")),
        ("# ss -tan > ss.txt\n# docker exec -it web sh\n# cat ss.txt\nhere\n", Some("ss.txt")),
        ("# cat ss.txt\nhere\n", Some("ss.txt")),
        ("# cat /proc/net/netstat\nhere\n", None),
        ("#==[ Configuration File ]===#\n# /etc/sysctl.conf\nhere\n", Some("/etc/sysctl.conf")),
    ] {
        assert_eq!(origin(text)[2].as_deref(), old, "{text}");
    }
    let parts = parts("# ip netns exec blue ss -tan > b.txt\n# cat b.txt\nhere\n");
    let last = parts.last().expect("a part");
    assert_eq!(last.place.as_deref(), Some("netns blue"));
    assert_eq!(last.command.as_ref().map(|command| command.program.as_str()), Some("ss"));
}
