use std::time::Duration;

use super::*;
use crate::matrix::Bug;
use crate::vm::Stage;

/// The crash oracle of a dossier with these lines.
pub(in crate::run) fn oracle(crash: &str) -> CrashOracle {
    let text = format!(
        "id: a-bug\ntitle: A bug\nsummary: It is there for the test.\nreferences: [a test]\nreproducer:\n  program: ./x\n  \
         deadline: 5s\n  crash: {crash}\n"
    );
    let bug = Bug::parse(&text, std::path::Path::new("a-bug.yaml")).unwrap_or_else(|problems| panic!("{problems}"));
    bug.reproducer.and_then(|it| it.own().and_then(|own| own.crash.clone())).expect("a crash oracle")
}

fn death(kind: SplatKind, excerpt: &str) -> Failure {
    let excerpt = excerpt.lines().map(|line| format!("[   12.345678] {line}")).collect();
    let (title, last_lines) = ("BUG: x in my_xmit".to_owned(), Vec::new());
    Failure { kind: FailureKind::Splat(kind), title, stage: Stage::Agent, excerpt, last_lines }
}

fn kind(crash: &str, failure: &Failure) -> Option<String> {
    fitting(CrashWanted::Described(&oracle(crash)), "a-bug", failure, None).map(|seen| seen.kind)
}

const OOPS: &str = "BUG: kernel NULL pointer dereference, address: 0000000000000010\n#PF: supervisor read access in kernel mode\n\
    Oops: 0000 [#1] PREEMPT SMP NOPTI\nCPU: 0 PID: 71 Comm: my-repro Not tainted 6.1.0\n\
    RIP: 0010:my_xmit.constprop.0+0x1a/0x40 [mydriver]\nCall Trace:\n <TASK>\n ? old_frame+0x1/0x2\n dev_hard_start_xmit+0x63/0x1e0\n \
    do_syscall_64+0x3b/0x90\n </TASK>\n---[ end trace 0000000000000000 ]---\nKernel panic - not syncing: Fatal exception";

/// A warning of somebody else's, and the oops.
const BOTH: &str = "------------[ cut here ]------------\nWARNING: CPU: 0 PID: 9 at net/other.c:12 other_work+0x1a/0x40\n\
    Call Trace:\n other_work+0x1a/0x40\n process_one_work+0x1/0x2\n---[ end trace 0000000000000000 ]---";

#[test]
fn crash_fits_if_one_report_has_everything() {
    let (oops, both) = (death(SplatKind::Oops, OOPS), death(SplatKind::Oops, &format!("{BOTH}\n{OOPS}")));
    for (crash, expected) in [
        ("{ kinds: [oops], frames: [my_xmit] }", Some("oops")),
        ("{ kinds: [warning, oops], frames: [do_syscall_64, my_xmit], modules: [mydriver] }", Some("oops")),
        ("{ kinds: [oops], match: \"NULL pointer.*address: 0000000000000010$\" }", Some("oops")),
        ("{ kinds: [oops], match: \"^BUG: kernel NULL\", frames: [my_xmit] }", Some("oops")),
        // The panic belongs to the oops that it follows.
        ("{ kinds: [panic], frames: [my_xmit] }", Some("panic")),
        ("{ kinds: [warning], frames: [my_xmit] }", None),
        ("{ kinds: [kasan], frames: [my_xmit] }", None),
        ("{ kinds: [oops], frames: [my_xmit, tcp_ack] }", None),
        ("{ kinds: [oops], frames: [xmit] }", None),
        ("{ kinds: [oops], modules: [other] }", None),
        ("{ kinds: [oops], match: \"no_such_function_of_any_kernel\" }", None),
        // What the stack only held is no frame.
        ("{ kinds: [oops], frames: [old_frame] }", None),
        // The kernel's own stamps are no part of the report.
        ("{ kinds: [oops], match: \"12\\\\.345678\" }", None),
    ] {
        assert_eq!(kind(crash, &oops).as_deref(), expected, "{crash}");
        assert_eq!(kind(crash, &both).as_deref(), expected, "with a foreign warning: {crash}");
    }
    assert_eq!(kind("{ kinds: [warning], frames: [other_work] }", &both).as_deref(), Some("warning"));
    // The kind of one report and the stack of another are no match.
    assert_eq!(kind("{ kinds: [warning], frames: [my_xmit] }", &both), None);
    assert_eq!(kind("{ kinds: [oops], frames: [other_work] }", &both), None);
}

#[test]
fn reports_without_an_end_line_are_told_apart() {
    let trace = "CPU: 0 PID: 9 Comm: other\nCall Trace:\n <TASK>\n foreign_free+0x1/0x2\n </TASK>";
    for (first, kind_of_first) in [
        ("BUG kmalloc-64 (Not tainted): Object already free", "slab"),
        ("BUG: KASAN: use-after-free in foreign_free+0x1/0x2", "kasan"),
        ("BUG: KFENCE: use-after-free read in foreign_free+0x1/0x2", "kfence"),
        ("WARNING: possible circular locking dependency detected", "lockdep"),
        ("BUG: sleeping function called from invalid context at f.c:1", "atomic"),
        ("rcu: INFO: rcu_sched self-detected stall on CPU", "rcu-stall"),
        ("watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [x:1]", "soft-lockup"),
    ] {
        let failure = death(SplatKind::Sanitizer, &format!("{first}\n{trace}\n{OOPS}"));
        assert_eq!(kind(&format!("{{ kinds: [{kind_of_first}], frames: [my_xmit] }}"), &failure), None, "{first}");
        let own = kind(&format!("{{ kinds: [{kind_of_first}], frames: [foreign_free] }}"), &failure);
        assert_eq!(own.as_deref(), Some(kind_of_first), "{first}");
        assert_eq!(kind("{ kinds: [oops], frames: [my_xmit] }", &failure).as_deref(), Some("oops"), "{first}");
    }
}

#[test]
fn words_above_a_title_belong_to_its_report() {
    let warn = "------------[ cut here ]------------\ncache_from_obj: Wrong slab cache. kmalloc-64 but object is from x\n\
                WARNING: CPU: 0 PID: 71 at mm/slab.h:381 kfree+0x1a/0x40\nCall Trace:\n kfree+0x1a/0x40";
    assert_eq!(
        kind("{ kinds: [warning], match: \"Wrong slab cache\" }", &death(SplatKind::Warning, warn)).as_deref(),
        Some("warning")
    );
}

#[test]
fn special_reports_have_kinds_of_their_own() {
    let table = [
        ("BUG: KASAN: use-after-free in f+0x1/0x2", "kasan"),
        ("BUG: KFENCE: use-after-free read in f+0x1/0x2", "kfence"),
        ("UBSAN: shift-out-of-bounds in f.c:1:2\n f+0x1/0x2", "ubsan"),
        ("WARNING: possible circular locking dependency detected\n f+0x1/0x2", "lockdep"),
        ("BUG: sleeping function called from invalid context at f.c:1\n f+0x1/0x2", "atomic"),
        (
            "------------[ cut here ]------------\nrefcount_t: underflow; use-after-free.\nWARNING: CPU: 0 PID: 1 at lib/refcount.c:28 f+0x1/0x2",
            "refcount",
        ),
        (
            "list_del corruption. prev->next should be x\n------------[ cut here ]------------\nkernel BUG at lib/list_debug.c:54!\nRIP: 0010:f+0x1/0x2",
            "list-corruption",
        ),
        ("BUG kmalloc-64 (Not tainted): Object already free\n f+0x1/0x2", "slab"),
        ("kernel BUG at f.c:1!\ninvalid opcode: 0000 [#1]\nRIP: 0010:f+0x1/0x2", "bug"),
        ("INFO: task my-repro:71 blocked for more than 120 seconds.\n f+0x1/0x2", "hung-task"),
        ("watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [x:1]\nRIP: 0010:f+0x1/0x2", "soft-lockup"),
        ("rcu: INFO: rcu_sched self-detected stall on CPU\n f+0x1/0x2", "rcu-stall"),
    ];
    for (text, name) in table {
        let failure = death(SplatKind::Sanitizer, text);
        assert_eq!(kind(&format!("{{ kinds: [{name}], frames: [f] }}"), &failure).as_deref(), Some(name), "{text}");
        let others: Vec<&str> = table.iter().map(|(_, other)| *other).filter(|other| *other != name).collect();
        let others =
            others.into_iter().filter(|other| !(name == "list-corruption" && *other == "bug")).collect::<Vec<_>>();
        assert_eq!(kind(&format!("{{ kinds: [{}], frames: [f] }}", others.join(", ")), &failure), None, "{text}");
    }
}

#[test]
fn hang_counts_only_for_the_job_that_hangs() {
    let hang = |job: &str| {
        let waiting = AwaitedEvent::Report { job: job.to_owned() };
        let kind = FailureKind::Hang { waiting, after: Duration::from_secs(9), limit: None };
        let dump =
            "NMI backtrace for cpu 0\nRIP: 0010:my_spin+0x1/0x2\nKernel panic - not syncing: NMI: Not continuing";
        Failure { kind, ..death(SplatKind::Oops, dump) }
    };
    let crash = "{ kinds: [hang], frames: [my_spin] }";
    assert_eq!(kind(crash, &hang("a-bug")).as_deref(), Some("hang"));
    assert_eq!(kind(crash, &hang("another")), None);
    // The panic is the answer to our own NMI.
    assert_eq!(kind("{ kinds: [panic], frames: [my_spin] }", &hang("a-bug")), None);
    assert_eq!(kind("{ kinds: [oops], frames: [my_spin] }", &hang("a-bug")), None);
    for other in [FailureKind::Reset, FailureKind::Lost, FailureKind::Flood, FailureKind::Host, FailureKind::Qemu] {
        let failure = Failure { kind: other, ..death(SplatKind::Oops, OOPS) };
        assert_eq!(kind("{ kinds: [oops, panic, hang], frames: [my_xmit] }", &failure), None, "{failure}");
    }
}

#[test]
fn replayed_crash_must_be_the_one_that_was_seen() {
    let oops = death(SplatKind::Oops, OOPS);
    let seen = fitting(CrashWanted::Described(&oracle("{ kinds: [oops], frames: [my_xmit] }")), "a-bug", &oops, None)
        .expect("it fits");
    assert_eq!(fitting(CrashWanted::Again(&seen), "a-bug", &oops, None), Some(seen.clone()));
    assert_eq!(seen.title, "BUG: kernel NULL pointer dereference");
    let other = death(SplatKind::Oops, &OOPS.replace("kernel NULL pointer dereference", "unable to handle page fault"));
    assert_eq!(fitting(CrashWanted::Again(&seen), "a-bug", &other, None), None);
}

#[test]
fn splat_taints_the_kernel_unless_it_was_tainted_before() {
    let warning =
        "------------[ cut here ]------------\nWARNING: CPU: 0 PID: 9 at f.c:1 f+0x1/0x2\nCall Trace:\n f+0x1/0x2";
    let (w, d) = (1 << 9, 1 << 7);
    for (crash, kind, text, tainted, expected) in [
        ("{ taint: [W] }", SplatKind::Warning, warning, Some(0), Some("taint")),
        ("{ taint: [W, D] }", SplatKind::Warning, warning, Some(d), Some("taint")),
        ("{ taint: [W] }", SplatKind::Warning, warning, Some(w), None),
        ("{ taint: [W] }", SplatKind::Warning, warning, None, None),
        ("{ taint: [D] }", SplatKind::Warning, warning, Some(0), None),
        ("{ taint: [D] }", SplatKind::Oops, OOPS, Some(w), Some("taint")),
        ("{ taint: [W] }", SplatKind::Oops, OOPS, Some(0), None),
        ("{ taint: [L] }", SplatKind::SoftLockup, "watchdog: BUG: soft lockup - CPU#0 stuck", Some(0), Some("taint")),
        ("{ taint: [B] }", SplatKind::Sanitizer, "BUG: KASAN: use-after-free in f+0x1/0x2", Some(0), Some("taint")),
        (
            "{ taint: [B] }",
            SplatKind::Sanitizer,
            "BUG kmalloc-64 (Not tainted): Object already free",
            Some(0),
            Some("taint"),
        ),
        ("{ taint: [B] }", SplatKind::Oops, "BUG: Bad page state in process x  pfn:1", Some(0), Some("taint")),
        ("{ taint: [B, W] }", SplatKind::Sanitizer, "WARNING: possible recursive locking detected", Some(0), None),
        // A report is about the kinds first, and functions are no condition of a taint.
        ("{ kinds: [oops], frames: [my_xmit], taint: [D] }", SplatKind::Oops, OOPS, Some(0), Some("oops")),
        ("{ kinds: [oops], frames: [other], taint: [D] }", SplatKind::Oops, OOPS, Some(0), Some("taint")),
        ("{ kinds: [oops], frames: [other], taint: [B] }", SplatKind::Oops, OOPS, Some(0), None),
    ] {
        let failure = death(kind, text);
        let wanted = oracle(crash);
        let tainted = tainted.map(TaintFlags::of);
        let seen = fitting(CrashWanted::Described(&wanted), "a-bug", &failure, tainted);
        assert_eq!(seen.as_ref().map(|seen| seen.kind.as_str()), expected, "{crash} {text} {tainted:?}");
        let again = seen.as_ref().and_then(|seen| fitting(CrashWanted::Again(seen), "a-bug", &failure, tainted));
        assert_eq!(again, seen);
    }
}
