use proptest::prelude::*;

use super::*;

#[test]
fn titles_name_kinds_and_functions() {
    for (title, kinds, frames) in [
        ("KASAN: use-after-free Read in tcp_foo", &[Kasan][..], &["tcp_foo"][..]),
        ("[syzbot] [net?] KASAN: slab-out-of-bounds Write in f (3)", &[Kasan], &["f"]),
        ("KCSAN: data-race in a_b / c.part.0", &[Kcsan], &["a_b", "c.part.0"]),
        ("general protection fault in f", &[Oops], &["f"]),
        ("WARNING in probe/usb_submit_urb", &[Warning], &["probe", "usb_submit_urb"]),
        ("BUG: unable to handle kernel NULL pointer dereference in f", &[Oops], &["f"]),
        ("WARNING in f", &[Warning], &["f"]),
        ("WARNING: refcount bug in f", &[Refcount, Warning], &["f"]),
        ("possible deadlock in f", &[Lockdep], &["f"]),
        ("INFO: task hung in f", &[HungTask], &["f"]),
        ("INFO: rcu detected stall in f", &[RcuStall], &["f"]),
        ("kernel BUG in f", &[Bug], &["f"]),
        ("UBSAN: array-index-out-of-bounds in f", &[Ubsan], &["f"]),
        ("BUG: stack guard page was hit in f", &[Oops], &["f"]),
        ("BUG: using __this_cpu_read() in preemptible code in f", &[Oops], &["f"]),
        ("kernel panic: stack is corrupted in f", &[Panic], &["f"]),
    ] {
        let read = crash(title).unwrap_or_else(|why| panic!("{title}: {why}"));
        assert_eq!((read.kinds.as_slice(), read.text), (kinds, None), "{title}");
        assert_eq!(read.frames, frames, "{title}");
    }
    for (title, text) in [
        ("kernel BUG at net/ipv4/tcp.c:123!", "net/ipv4/tcp.c:123!"),
        ("kernel BUG at ./include/linux/skbuff.h:12!", "include/linux/skbuff.h:12!"),
        ("BUG: Bad page state (5)", "page state"),
        ("kernel panic: corrupted stack end detected", "corrupted stack end detected"),
        ("kernel panic: Out of memory and no killable processes...", "Out of memory and no killable processes..."),
    ] {
        assert_eq!(crash(title).map(|words| words.text), Ok(Some(text.to_owned())), "{title}");
        assert!(is_title(title), "{title}");
    }
    for (title, why) in [
        ("memory leak in f", "kmemleak"),
        ("no output from test machine", "no report"),
        ("tcp is broken", "no title of a crash"),
        ("", "no title of a crash"),
        ("KASAN:", "names no function"),
        ("general protection fault", "names no function"),
        ("WARNING: kernel stack regs has bad 'bp' value", "names no function"),
        ("kernel panic: LINE", "names no function"),
        ("kernel BUG at ./include/linux/skbuff.h:LINE!", "names no function"),
        ("suspicious RCU usage at net/a.c:LINE", "names no function"),
        ("KASAN: use-after-free in net/ipv4/tcp.c", "names no function"),
        ("kernel panic: Attempted to kill init!", "guest's init"),
        ("INFO: task can't die in f", "linux-next"),
    ] {
        let read = crash(title);
        assert!(read.as_ref().is_err_and(|said| said.contains(why)), "{title}: {read:?}");
    }
}

#[test]
fn title_is_found_in_a_report() {
    let kasan = "[   12.3][ T9] ====\n[   12.3][ T9] BUG: KASAN: slab-use-after-free in tcp_ack+0x12/0x34 net/a.c:1\n";
    let fault = "<4>[ 1.2] general protection fault, probably for non-canonical address: 0000 [#1]\n\
                 [ 1.2] CPU: 0\n[ 1.2] RIP: 0010:nft_do_chain+0x5/0x9 net/netfilter/a.c:9\n";
    for (report, title) in [
        ("WARNING in foo\n\nsome text", Some("WARNING in foo")),
        (kasan, Some("KASAN: slab-use-after-free in tcp_ack")),
        (fault, Some("general protection fault in nft_do_chain")),
        (
            "------------[ cut here ]------------\nWARNING: CPU: 1 PID: 9 at net/a.c:12 a_b+0x1/0x2 net/a.c:12\n",
            Some("WARNING in a_b"),
        ),
        ("WARNING: CPU: 1 PID: 9 at net/a.c:12\nRIP: 0010:a_b+0x1/0x2\n", Some("WARNING in a_b")),
        ("kernel BUG at mm/a.c:3!\nRIP: 0010:c_d+0x1/0x2\n", Some("kernel BUG in c_d")),
        ("kernel BUG at mm/a.c:3!\nno address\n", None),
        ("memory leak in f\n", Some("memory leak in f")),
        ("nothing is wrong\n", None),
        ("", None),
    ] {
        assert_eq!(of_report(report).as_deref(), title, "{report}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_the_readers_panic(
        text in "(BUG: |KASAN: |WARNING: |kernel BUG at | in |RIP: |f\\+0x1|[\\[\\]<>: \n(2)]|\\PC){0,20}",
    ) {
        let _ = of_report(&text);
        if let Ok(words) = crash(&text) {
            prop_assert!(words.frames.iter().all(|name| is_function(name)));
            prop_assert!(!words.frames.is_empty() || words.text.is_some());
        }
    }
}
