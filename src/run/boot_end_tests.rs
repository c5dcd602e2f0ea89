use std::time::Duration;

use backproof_protocol::{Capture, Conclusion, TimeLine};

use super::super::settle::by_boot;
use super::*;
use crate::evidence::runtime::Ran;
use crate::verdict::Boots;
use crate::vm::{Accel, AwaitedEvent, FailureKind, Finished, HostRecord, SplatKind, Stage, Transcript};

/// What comes of a boot in which the guest said this.
fn end_of(messages: Vec<Message>) -> BootEnd {
    BootEnd::of(&boot_of(messages, HostRecord::default()), 2)
}

/// A boot in which the guest said this, on a host that did that.
fn boot_of(messages: Vec<Message>, host: HostRecord) -> Boot {
    Boot {
        own_death: None,
        accel: Accel::Tcg,
        time: None,
        transcript: Transcript::default(),
        stage: Stage::Started,
        banner: None,
        messages,
        running: Vec::new(),
        end: Ok(Finished { reports: 0 }),
        warnings: Vec::new(),
        wall: Duration::ZERO,
        cpu: None,
        host,
    }
}

#[test]
fn time_lines_of_a_hostile_guest_are_bounded() {
    let segment = Segment { at_us: 0, data_way: true, seq: 0, length: 1, ack: 0, flags: 0, sack: vec![], lost: false };
    // A line that packs well: a guest could send thousands of these.
    let many = vec![segment.clone(); 1500];
    let line = |name: usize, segments| {
        Message::TimeLine(TimeLine::pack("a-bug", &format!("line-{name}"), segments).expect("packs"))
    };
    let end = end_of((0..200).map(|n| line(n % (2 * MAX_TIME_LINES), &many)).collect());
    let lines = &end.wire.get("a-bug").expect("time lines").time_lines;
    assert_eq!(lines.len(), MAX_TIME_LINES);
    let kept: usize = lines.values().map(Vec::len).sum();
    assert!((MAX_SEGMENTS..MAX_SEGMENTS + 2 * 1500).contains(&kept), "{kept}");
    assert!(end.notes.iter().any(|note| note.starts_with("time lines were cut")), "{:?}", end.notes);

    // Few segments can be large too.
    let wide = [Segment { sack: vec![(0, 0); 40_000], ..segment }];
    let end = end_of((0..200).map(|_| line(0, &wide)).collect());
    let lines = &end.wire.get("a-bug").expect("time lines").time_lines;
    let ranges: usize = lines.values().flatten().map(|segment| segment.sack.len()).sum();
    assert!((1..MAX_UNPACKED / 6).contains(&ranges), "{ranges}");
}

#[test]
fn packets_of_a_hostile_guest_are_bounded() {
    let packet = Packet { at_us: 0, out: true, check: "c".repeat(200_000), length: 0, data: String::new() };
    let capture = Message::Capture(Capture::pack("a-bug", &[packet]).expect("packs"));
    let end = end_of(vec![capture; 500]);
    let kept: usize = end.wire.get("a-bug").expect("packets").packets.iter().map(|p| p.check.len()).sum();
    assert!((1..MAX_UNPACKED).contains(&kept), "{kept}");
}

#[test]
fn errors_of_a_busy_host_say_so_with_the_remedy() {
    let busy = || HostRecord { runnable: 17.0, processors: 2, ..HostRecord::default() };
    let failed = |kind| {
        let (title, stage) = ("it took too long".to_owned(), Stage::Agent);
        Failure { kind, title, stage, excerpt: Vec::new(), last_lines: Vec::new() }
    };
    let first_line = |kind, host, jobs| {
        let boot = Boot { end: Err(failed(kind)), ..boot_of(Vec::new(), host) };
        BootEnd::of(&boot, jobs).failure.unwrap_or_default().lines().next().unwrap_or_default().to_owned()
    };
    let hang = || FailureKind::Hang { waiting: AwaitedEvent::Hello, after: Duration::from_secs(60), limit: None };
    let said = "host too busy: 17 runnable on 2 processors";
    for (kind, host, jobs, end) in [
        (hang(), busy(), 2, format!("; {said}; rerun with --jobs 1")),
        (hang(), busy(), 1, format!("; {said}; rerun when it is quieter")),
        (FailureKind::Splat(SplatKind::SoftLockup), busy(), 2, format!("; {said}; rerun with --jobs 1")),
        (FailureKind::Splat(SplatKind::Oops), busy(), 2, "(the agent runs)".to_owned()),
        (FailureKind::NotBootable, busy(), 2, "(the agent runs)".to_owned()),
        (hang(), HostRecord::default(), 2, "(the agent runs)".to_owned()),
    ] {
        let line = first_line(kind.clone(), host, jobs);
        assert!(line.ends_with(&end), "{kind:?}: {line}");
    }

    let report = |conclusion| {
        let (job, why, checks) = ("a-bug".to_owned(), "late".to_owned(), Vec::new());
        Message::Report(Report { job, conclusion, why, checks, reported: false, took_ms: 1 })
    };
    let sysctls = BTreeMap::new();
    let settled = |conclusion, host| {
        let end = BootEnd::of(&boot_of(vec![report(conclusion)], host), 2);
        let ran = Ran { sysctls: &sysctls, own_program: false };
        let terms = crate::run::settle::JobTerms { ran, crash: None, strings: &[], alone: true };
        match by_boot(&"a-bug".parse().expect("a job"), terms, &end).boots {
            Boots::Broke(reason) => reason,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(settled(Conclusion::Error, busy()), format!("late; {said}; rerun with --jobs 1"));
    assert_eq!(settled(Conclusion::Error, HostRecord::default()), "late");
    let incoherent = settled(Conclusion::NotAffected, busy());
    assert!(incoherent.ends_with("it lists no recipe"), "{incoherent}");
}

#[test]
fn program_that_said_affected_is_believed_only_if_its_guest_died_by_itself() {
    let failed = |kind| {
        let (title, stage) = ("x".to_owned(), Stage::Agent);
        Failure { kind, title, stage, excerpt: Vec::new(), last_lines: Vec::new() }
    };
    let busy = || HostRecord { runnable: 17.0, processors: 2, ..HostRecord::default() };
    let hang = || FailureKind::Hang { waiting: AwaitedEvent::End, after: Duration::from_secs(60), limit: None };
    let settled = |kind, host, alone| {
        let (job, why, checks) = ("a-bug".to_owned(), "seen".to_owned(), Vec::new());
        let report =
            Report { job: job.clone(), conclusion: Conclusion::Affected, why, checks, reported: false, took_ms: 1 };
        let boot =
            boot_of(vec![Message::Started { job, tainted: None, uptime_ms: None }, Message::Report(report)], host);
        let end = BootEnd::of(&Boot { end: Err(failed(kind)), ..boot }, 2);
        let sysctls = BTreeMap::new();
        let ran = Ran { sysctls: &sysctls, own_program: true };
        let terms = crate::run::settle::JobTerms { ran, crash: None, strings: &[], alone };
        by_boot(&"a-bug".parse().expect("a job"), terms, &end).boots
    };
    for (kind, host, alone, is_believed) in [
        (FailureKind::Splat(SplatKind::Oops), HostRecord::default(), true, true),
        (FailureKind::Splat(SplatKind::Oops), busy(), true, true),
        (FailureKind::Splat(SplatKind::Oops), HostRecord::default(), false, false),
        (FailureKind::Splat(SplatKind::SoftLockup), busy(), true, false),
        (hang(), HostRecord::default(), true, true),
        (hang(), busy(), true, false),
        (FailureKind::Host, HostRecord::default(), true, false),
        (FailureKind::Qemu, HostRecord::default(), true, false),
        (FailureKind::Impostor, HostRecord::default(), true, false),
    ] {
        let boots = settled(kind.clone(), host, alone);
        assert_eq!(matches!(boots, Boots::Showed(_)), is_believed, "{kind:?}: {boots:?}");
    }
}
