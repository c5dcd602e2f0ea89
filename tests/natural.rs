//! The natural checks and the profiles on real kernels, through the guest agent alone: one boot a kernel, with all its
//! jobs side by side.

use std::collections::BTreeMap;

use backproof::kernel::Kernel;
use backproof::vm::Boot;
use backproof_protocol::{Check, Conclusion, Job, Message, Report, Role, Segment, Shown};

mod common;
use common::guests;

const STALL: &str = "tcp-fragment-stall";
const COOKIE: &str = "syn-cookie-data-loss";

/// The transfers of the natural checks.
const TRANSFERS: [&str; 3] = ["write", "sendfile", "write sndbuf=15000"];

/// The bursts of the natural checks.
const BURSTS: [&str; 2] = ["tcpstore somaxconn=128", "tcpstore somaxconn=16"];

fn natural(bug: &str) -> Job {
    Job { natural: true, ..Job::new(bug, 60_000) }
}

fn under(profile: &str, bug: &str, sysctls: &[(&str, &str)]) -> Job {
    let sysctls: BTreeMap<_, _> = sysctls.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Job { id: format!("{bug}@{profile}"), sysctls, ..Job::new(bug, 60_000) }
}

async fn run(kernel: &Kernel, jobs: Vec<Job>) -> Boot {
    let boot = guests::boot_jobs(kernel, jobs).await;
    assert!(boot.end.is_ok(), "{:?}", boot.end);
    boot
}

#[track_caller]
fn report<'a>(boot: &'a Boot, job: &str) -> &'a Report {
    boot.report(job).unwrap_or_else(|| panic!("no report of {job}: {:?}", boot.messages))
}

/// The natural check of this name.
#[track_caller]
fn on_the_natural_road<'a>(report: &'a Report, name: &str) -> &'a Check {
    let check = report.checks.iter().find(|c| c.name == name);
    let check = check.unwrap_or_else(|| panic!("no check {name} in {report:#?}"));
    assert_eq!(check.role, Role::Natural, "{name}");
    check
}

fn time_line(boot: &Boot, name: &str) -> Vec<Segment> {
    let pieces = boot.messages.iter().filter_map(|message| match message {
        Message::TimeLine(line) if line.name == name => Some(line.unpack(&mut 1_000_000).expect("segments")),
        _ => None,
    });
    pieces.flatten().collect()
}

#[tokio::test]
async fn transfers_finish_on_a_good_kernel() {
    let large = [("net.core.somaxconn", "4096"), ("net.ipv4.tcp_max_syn_backlog", "4096")];
    let jobs = vec![
        natural(STALL),
        natural(COOKIE),
        under("syn-cookies-off", COOKIE, &[("net.ipv4.tcp_syncookies", "0")]),
        under("large-queues", COOKIE, &large),
        under("syn-cookies-always", COOKIE, &[("net.ipv4.tcp_syncookies", "2")]),
        under("large-send-buffers", STALL, &[("net.ipv4.tcp_wmem", "4096 1048576 4194304")]),
    ];
    let boot = run(&guests::debian_12(), jobs).await;

    let stall = report(&boot, STALL);
    assert_eq!(stall.conclusion, Conclusion::NotAffected, "{stall:#?}");
    for name in TRANSFERS {
        let check = on_the_natural_road(stall, name);
        assert_eq!(check.shown, Shown::No, "{name}: {}", check.why);
        let line = time_line(&boot, name);
        let lost = line.iter().filter(|s| s.lost).count();
        assert_eq!(Some(lost as i64), check.facts["lost_segments"], "{name}");
        let frontier = line.iter().filter(|s| s.data_way).map(|s| s.seq + s.length).max();
        // The SYN takes a sequence number too.
        assert_eq!(frontier.map(|end| i64::from(end) - 1), check.facts["received_bytes"], "{name}");
        assert!(line.iter().any(|s| !s.data_way && !s.sack.is_empty()), "{name}: nothing was selectively acknowledged");
        assert!(line.is_sorted_by_key(|s| s.at_us));
    }

    let cookie = report(&boot, COOKIE);
    assert_eq!(cookie.conclusion, Conclusion::Affected, "{cookie:#?}");
    for name in BURSTS {
        let check = on_the_natural_road(cookie, name);
        assert_eq!(check.shown, Shown::Yes, "{name}: {}", check.why);
        for counter in ["syncookies_sent", "listen_overflows", "listen_drops", "clients_served"] {
            assert!(check.facts[counter] > Some(0), "{name}: {counter} in {:?}", check.facts);
        }
    }

    for (profile, expected) in [
        ("syn-cookies-off", Conclusion::Mitigated),
        ("large-queues", Conclusion::Mitigated),
        ("syn-cookies-always", Conclusion::Affected),
    ] {
        let report = report(&boot, &format!("{COOKIE}@{profile}"));
        assert_eq!(report.conclusion, expected, "{report:#?}");
    }

    let buffers = report(&boot, &format!("{STALL}@large-send-buffers"));
    assert_eq!(buffers.conclusion, Conclusion::NotAffected, "{buffers:#?}");
    assert_eq!(on_the_natural_road(buffers, "system-sndbuf").shown, Shown::No);
}

#[tokio::test]
async fn transfers_go_silent_on_a_broken_kernel() {
    let jobs = vec![
        natural(STALL),
        natural(COOKIE),
        under("large-send-buffers", STALL, &[("net.ipv4.tcp_wmem", "4096 1048576 4194304")]),
    ];
    let kernel = guests::control("6.1", "stall-break");
    let boot = run(&kernel, jobs).await;
    let stall = report(&boot, STALL);
    assert_eq!(stall.conclusion, Conclusion::Affected, "{stall:#?}");
    // Which segments of a transfer are lost when depends on the schedule, and in a few a transfer escapes.
    let silent = TRANSFERS.into_iter().filter(|name| on_the_natural_road(stall, name).shown == Shown::Yes);
    let silent: Vec<&str> = silent.collect();
    assert!(!silent.is_empty(), "{:#?}", stall.checks);
    for name in silent {
        let check = on_the_natural_road(stall, name);
        assert!(check.facts["wmem_queued_bytes"] > check.facts["sndbuf_bytes"].map(|n| 2 * n), "{:?}", check.facts);
        assert!(check.facts["too_big_after"] > check.facts["too_big_before"], "{:?}", check.facts);
        // The last segment that the client waits for was lost, and never sent again.
        let line = time_line(&boot, name);
        let waits_for = line.iter().rfind(|s| !s.data_way).expect("an acknowledgement").ack;
        let sent: Vec<_> = line.iter().filter(|s| s.data_way && s.length > 0 && s.seq == waits_for).collect();
        assert!(matches!(sent[..], [Segment { lost: true, .. }]), "{name}: {sent:?}");
    }
    let buffers = report(&boot, &format!("{STALL}@large-send-buffers"));
    assert_eq!(buffers.conclusion, Conclusion::Affected, "{buffers:#?}");
    assert!(buffers.why.contains("system's buffer recovered"), "{}", buffers.why);
    // The kernel limits these messages for all namespaces together, and a server without cookies uses them up.
    let line = &on_the_natural_road(report(&boot, COOKIE), BURSTS[0]).why;
    assert!(line.contains("SYN flooding on port"), "{line}");
}

#[tokio::test]
async fn strict_cookies_lose_no_data() {
    let jobs = vec![natural(COOKIE), under("syn-cookies-off", COOKIE, &[("net.ipv4.tcp_syncookies", "0")])];
    let kernel = guests::control("6.1", "syn-cookie-strict");
    let boot = run(&kernel, jobs).await;
    let cookie = report(&boot, COOKIE);
    assert_eq!(cookie.conclusion, Conclusion::NotAffected, "{cookie:#?}");
    for name in BURSTS {
        let check = on_the_natural_road(cookie, name);
        assert_eq!((check.shown, check.facts["clients_lost_data"]), (Shown::No, Some(0)), "{name}: {}", check.why);
        assert!(check.facts["clients_told"] > Some(0), "{name}: {}", check.why);
    }
    let off = report(&boot, &format!("{COOKIE}@syn-cookies-off"));
    assert_eq!(off.conclusion, Conclusion::NotAffected, "{off:#?}");
}
