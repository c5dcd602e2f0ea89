use std::collections::BTreeMap;

use backproof_protocol::{Conclusion, Message, Report};
use proptest::prelude::*;

use super::super::boot_end::GUEST_WORDS_MAX;
use super::super::crash::tests::oracle;
use super::super::settle::{JobTerms, by_boot};
use super::*;
use crate::evidence::Strength;
use crate::evidence::runtime::Ran;
use crate::matrix::MachineType;
use crate::shim::Shim;
use crate::verdict::Boots;
use crate::vm::fake::{Act, Scripts, agent, console, exit, shutdown, wait};
use crate::vm::{Accel, Deadlines, GuestSpec, HostLoad, Hypervisor};

const W: u64 = 1 << 9;
const U: u64 = 1 << 6;

/// A guest that ended well, with this taint before and after its job, and these leaks.
fn end(before: Option<u64>, tainted: Option<u64>, leaks: Option<LeakScan>) -> BootEnd {
    let job = "a-bug".to_owned();
    let report = Report {
        job: job.clone(),
        conclusion: Conclusion::NotAffected,
        why: "its program ended".to_owned(),
        checks: Vec::new(),
        reported: false,
        took_ms: 1,
    };
    BootEnd {
        tainted: before.map(|value| (job.clone(), value)).into_iter().collect(),
        aftermath: BTreeMap::from([(job.clone(), Aftermath { job, tainted, leaks })]),
        reports: vec![report],
        ..BootEnd::default()
    }
}

/// The outcome, and why.
fn settled(crash: &str, end: &BootEnd) -> (&'static str, String) {
    let (oracle, sysctls) = (oracle(crash), BTreeMap::new());
    let ran = Ran { sysctls: &sysctls, own_program: true };
    let terms = JobTerms { ran, crash: Some(CrashWanted::Described(&oracle)), strings: &[], alone: true };
    let settlement = by_boot(&"a-bug".parse().expect("a job"), terms, end);
    match settlement.boots {
        Boots::Showed(finding) if finding.is_affected() => {
            assert_eq!(finding.strength, Strength::Decisive);
            let seen = settlement.crash.expect("a crash");
            // A replay without the dossier sees the same.
            let again = read_books(CrashWanted::Again(&seen), end, "a-bug").bug;
            assert_eq!(again.as_ref(), Some(&seen));
            ("fail", finding.why + "\n" + &seen.excerpt.join("\n"))
        }
        Boots::Showed(finding) => ("pass", finding.why),
        Boots::Inapplicable { reason, .. } => ("skip", reason),
        Boots::Broke(reason) => ("error", reason),
        other => panic!("{other:?}"),
    }
}

#[test]
fn taint_shows_the_bug_only_if_its_bit_was_set_meanwhile() {
    for (crash, before, after, outcome, words) in [
        ("{ taint: [W] }", Some(0), Some(W), "fail", "became tainted: W (a warning)\nbefore: not tainted\nafter: W"),
        ("{ taint: [B, W] }", Some(U), Some(U | W), "fail", "(taint): the kernel became tainted: W"),
        ("{ taint: [W] }", Some(0), Some(0), "pass", "its program ended"),
        ("{ taint: [W] }", Some(0), Some(U), "pass", "its program ended"),
        ("{ taint: [W] }", Some(U), Some(U), "pass", "its program ended"),
        ("{ taint: [W] }", Some(W), Some(W), "error", "tainted before the reproducer ran: W (a warning), so the taint"),
        ("{ taint: [W] }", Some(W), Some(W | U), "error", "so the taint shows nothing"),
        ("{ taint: [W, U] }", Some(W), Some(W), "pass", "; the kernel was tainted before the reproducer ran: W"),
        ("{ taint: [W, U] }", Some(W), Some(W | U), "fail", "became tainted: U"),
        ("{ taint: [W] }", None, Some(W), "error", "could not be read"),
        ("{ taint: [W] }", Some(0), None, "error", "could not be read"),
        // A taint has no stack.
        ("{ kinds: [oops], frames: [f], taint: [W] }", Some(0), Some(W), "fail", "(taint)"),
        ("{ kinds: [oops], frames: [f] }", Some(0), Some(W), "pass", "its program ended"),
    ] {
        let found = settled(crash, &end(before, after, None));
        assert!(found.0 == outcome && found.1.contains(words), "{crash} {before:?} {after:?}: {found:?}");
    }
    let silent = BootEnd { aftermath: BTreeMap::new(), ..end(Some(0), None, None) };
    assert_eq!(settled("{ taint: [W] }", &silent).0, "error");
}

/// A record of kmemleak with these functions on its stack.
fn record(functions: &[&str]) -> LeakRecord {
    let mut lines = vec![
        "unreferenced object 0xffff888003b1e0c0 (size 32):".to_owned(),
        "  comm \"my_name+0x1/0x2\", pid 71, jiffies 4294892374 (age 8.560s)".to_owned(),
        "  hex dump (first 32 bytes):".to_owned(),
        "    01 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00  my_bytes+0x1/0x2".to_owned(),
        "  backtrace:".to_owned(),
    ];
    lines.extend(functions.iter().map(|name| format!("    [<00000000c9b8a6f1>] {name}+0x1a/0x40 [mydriver]")));
    LeakRecord { lines, times: 3 }
}

#[test]
fn leak_is_the_bug_only_if_its_stack_fits() {
    use LeakScan::{Failed, Scanned, Unavailable};
    let found = |records, cut| Some(Scanned { records, cut });
    let mine = || record(&["__kmalloc", "my_open.isra.0", "do_sys_open"]);
    let other = || record(&["__kmalloc", "other_open"]);
    let only = "{ kinds: [memory-leak], frames: [my_open] }";
    let both = "{ kinds: [memory-leak, kasan], frames: [my_open] }";
    let off = || Some(Unavailable("this kernel has no kmemleak".to_owned()));
    let failed = || Some(Failed("cannot write `scan`".to_owned()));
    for (crash, leaks, outcome, words) in [
        (
            only,
            found(vec![other(), mine()], false),
            "fail",
            "(memory-leak): memory leak in my_open\nunreferenced object",
        ),
        (only, found(vec![mine()], true), "fail", "(3 objects of this size and stack)"),
        (only, found(vec![other()], false), "pass", "its program ended (a hint"),
        (only, found(vec![other()], false), "pass", "; kmemleak reported 3 other leaked objects"),
        (only, found(vec![other()], true), "error", "more leaks than are kept"),
        (only, found(Vec::new(), false), "pass", "its program ended"),
        (only, off(), "skip", "cannot report memory leaks: this kernel has no kmemleak"),
        (only, failed(), "error", "kmemleak failed while the reproducer ran: cannot write"),
        (only, None, "error", "did not report"),
        // KASAN could still have shown it.
        (both, off(), "pass", "; the kernel cannot report memory leaks"),
        (both, failed(), "error", "kmemleak failed"),
        (both, found(vec![mine()], false), "fail", "my_open"),
        ("{ kinds: [memory-leak], modules: [mydriver] }", found(vec![other()], false), "fail", "other_open"),
        ("{ kinds: [memory-leak], match: \"size 32\" }", found(vec![other()], false), "fail", "size 32"),
        ("{ kinds: [memory-leak], match: \"size 64\" }", found(vec![other()], false), "pass", ""),
        // What a program is called, and what it wrote, is no function.
        ("{ kinds: [memory-leak], frames: [my_name] }", found(vec![mine()], false), "pass", ""),
        ("{ kinds: [memory-leak], frames: [my_bytes] }", found(vec![mine()], false), "pass", ""),
        ("{ kinds: [kasan], frames: [my_open] }", found(vec![mine()], false), "pass", ""),
    ] {
        let settled = settled(crash, &end(None, None, leaks.clone()));
        assert!(settled.0 == outcome && settled.1.contains(words), "{crash} {leaks:?}: {settled:?}");
    }
    // Both books at once.
    let crash = "{ kinds: [memory-leak], frames: [my_open], taint: [W] }";
    for (before, after, leaks, outcome) in [
        (0, W, off(), "fail"),
        (0, 0, off(), "pass"),
        (W, W, off(), "error"),
        (W, W, found(Vec::new(), false), "error"),
        (0, 0, found(vec![mine()], false), "fail"),
        (0, 0, failed(), "error"),
    ] {
        let settled = settled(crash, &end(Some(before), Some(after), leaks.clone()));
        assert_eq!(settled.0, outcome, "{before} {after} {leaks:?}: {settled:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_record_of_a_guest_is_bounded_and_no_control_character_passes(
        lines in proptest::collection::vec("\\PC{0,400}|[\u{0}-\u{1f}]{0,20}|  backtrace:|    my_open\\+0x1/0x2", 0..40),
        times in any::<u32>(),
    ) {
        let is_mine = lines.iter().skip_while(|line| !line.trim_start().starts_with("backtrace")).skip(1);
        let is_mine = is_mine.into_iter().any(|line| line.contains(" my_open+0x1/0x2"));
        let leaks = LeakScan::Scanned { records: vec![LeakRecord { lines, times }], cut: false };
        let oracle = oracle("{ kinds: [memory-leak], frames: [my_open] }");
        let shown = read_books(CrashWanted::Described(&oracle), &end(None, None, Some(leaks)), "a-bug");
        if is_mine {
            prop_assert!(shown.bug.is_some());
        }
        for line in shown.bug.iter().flat_map(|seen| seen.excerpt.iter().chain([&seen.title])) {
            prop_assert!(line.chars().count() <= GUEST_WORDS_MAX + 20 && !line.contains(char::is_control), "{:?}", line);
        }
    }
}

const BOOTED: &str = "[    0.000000] Linux version 6.1.0\r\n[    2.000000] Run /init as init process\r\n";
const HELLO: &str =
    r#"{"type":"hello","version":3,"agent":"0","release":"6.1.0","build":"","cpus":1,"uptime_ms":2100,"features":{}}"#;
const REPORT: &str = r#"{"type":"report","job":"a-bug","conclusion":"not-affected","why":"","checks":[],"took_ms":1}"#;
const WARNING: &str = "[    3.000000] ------------[ cut here ]------------\r\n[    3.000001] WARNING: CPU: 0 PID: 9 at \
                       net/other.c:12 other_work+0x1a/0x40\r\n[    3.000002] Call Trace:\r\n[    3.000003]  \
                       other_work+0x1a/0x40\r\n[    3.000004] ---[ end trace 0000000000000000 ]---\r\n";

/// Boots a scripted guest whose job starts with this line, with what happens after its report.
async fn booted(started: &str, after: Vec<Act>) -> BootEnd {
    let line = |text: &str| agent(&format!("{text}\n"));
    let mut script = vec![wait(100), console(BOOTED), line(HELLO), line(started), line(REPORT), wait(1000)];
    script.extend(after);
    script.push(exit(0));
    let oracle = oracle("{ kinds: [memory-leak], frames: [my_open], taint: [W] }");
    let mut job = backproof_protocol::Job::new("a-bug", 5000);
    job.run.books = oracle.books();
    let spec = GuestSpec {
        image: "bzImage".into(),
        release: None,
        initramfs: Vec::new(),
        jobs: vec![job],
        cmdline_extra: None,
        machine: MachineType::default(),
        memory_mib: 256,
        cpus: 1,
        disks: Vec::new(),
        accel: Accel::Tcg,
        time: None,
    };
    let hypervisor = Hypervisor::Scripted(Scripts::new(vec![script]));
    let deadlines = Deadlines::new(Accel::Tcg, HostLoad::IDLE);
    let booted = hypervisor.boot(&Shim::at("/nonexistent".into()), &spec, &deadlines, &mut |_| {}).await;
    BootEnd::of(&booted, 1)
}

fn ends_well(aftermath: &str) -> Vec<Act> {
    let lines = format!("{aftermath}\n{{\"type\":\"end\",\"reports\":1}}\n");
    vec![agent(&lines), console("[    4.000000] reboot: machine restart\r\n"), shutdown("guest-reset")]
}

#[tokio::test(start_paused = true)]
async fn books_of_scripted_guests_decide_their_cells() {
    let crash = "{ kinds: [memory-leak], frames: [my_open], taint: [W] }";
    let after = |tainted: u64, records: Vec<LeakRecord>| {
        let leaks = Some(LeakScan::Scanned { records, cut: false });
        let message = Message::Aftermath(Aftermath { job: "a-bug".to_owned(), tainted: Some(tainted), leaks });
        serde_json::to_string(&message).expect("serialises")
    };
    let (clean, tainted) =
        (r#"{"type":"started","job":"a-bug","tainted":0}"#, r#"{"type":"started","job":"a-bug","tainted":512}"#);
    let leaked = || vec![record(&["my_open"])];
    let none = Vec::new;
    let twice = format!("{}\n{}", after(0, none()), after(W, leaked()));
    // Two scans and a wait of seconds are no hang.
    let late = || [vec![wait(50_000)], ends_well(&after(0, none()))].concat();
    let dies = |message: String| vec![agent(&format!("{message}\n")), wait(1000), console(WARNING)];
    for (started, acts, outcome) in [
        (clean, ends_well(&after(0, none())), "pass"),
        (clean, ends_well(&after(W, none())), "fail"),
        (clean, ends_well(&after(0, leaked())), "fail"),
        (clean, ends_well(&after(0, vec![record(&["other_open"])])), "pass"),
        (tainted, ends_well(&after(W, none())), "error"),
        (clean, late(), "pass"),
        // The first word counts.
        (clean, ends_well(&twice), "pass"),
        // The agent says nothing of the books.
        (clean, ends_well(""), "error"),
        (r#"{"type":"started","job":"a-bug"}"#, ends_well(&after(W, none())), "error"),
        // A warning ends the guest, and taints it.
        (clean, vec![console(WARNING)], "fail"),
        (tainted, vec![console(WARNING)], "error"),
        (tainted, dies(after(W, leaked())), "fail"),
        // The books of another job.
        (clean, ends_well(&after(W, leaked()).replace("a-bug", "b-bug")), "error"),
    ] {
        let end = booted(started, acts.clone()).await;
        let failure = end.failure.clone();
        let (sysctls, oracle) = (BTreeMap::new(), oracle(crash));
        let ran = Ran { sysctls: &sysctls, own_program: true };
        let terms = JobTerms { ran, crash: Some(CrashWanted::Described(&oracle)), strings: &[], alone: true };
        let boots = by_boot(&"a-bug".parse().expect("a job"), terms, &end).boots;
        let found = match &boots {
            Boots::Showed(finding) if finding.is_affected() => "fail",
            Boots::Showed(_) => "pass",
            _ => "error",
        };
        assert_eq!(found, outcome, "{started} {acts:?}: {boots:?} {failure:?}");
    }
}
