//! Tests the releases before, at and after each step.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::matrix::{self, Bugs, Source, Step};
use crate::words::Expectation;
use State::{Affected, Fixed, FixedWithDefect, HalfFixed, NeverHad};

const STALL: &str = "tcp-fragment-stall";
const COOKIE: &str = "syn-cookie-data-loss";
const WINDOW: &str = "zero-window-user-timeout";

fn bug(id: &str) -> Bug {
    let id = id.parse().expect("a name");
    let mut bug = Bugs::built_in().get(&id).expect("a built-in bug").clone();
    // The chain says which lines need the fix of the fix, whether or not a line lists it.
    if id.as_str() == STALL && bug.chain.iter().all(|step| step.role != Role::FixOfFix) {
        bug.chain.push(Step {
            role: Role::FixOfFix,
            commit: None,
            subject: Some("tcp: fix tcp_rtx_queue_tail in case of empty retransmit queue".to_owned()),
            files: vec!["net/ipv4/tcp_output.c".to_owned()],
            backports: Vec::new(),
            only_before: Some("4.15".parse().expect("a release")),
            effect: "Without it, an empty retransmit queue can hit a BUG().".to_owned(),
        });
    }
    bug
}

fn found(bug: &Bug, text: &str) -> (StateSet, String) {
    let release = Release::parse(text).unwrap_or_else(|error| panic!("{error}"));
    let finding = weigh(bug, &release);
    assert_eq!((finding.witness, finding.strength), (Witness::Version, Strength::Weak));
    assert!(!finding.why.contains('\n') && finding.why.len() > 10, "{text}: {}", finding.why);
    (finding.states, finding.why)
}

fn check(id: &str, rows: &[(&str, &[State])]) {
    let bug = bug(id);
    let wrong = rows.iter().filter_map(|(text, states)| {
        let expected: StateSet = states.iter().copied().collect();
        let (got, why) = found(&bug, text);
        (got != expected).then(|| format!("{id}: {text}: {:?}: {why}", got.iter().collect::<Vec<_>>()))
    });
    let wrong: Vec<String> = wrong.collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const ALL: &[State] = &State::ALL;
const NEVER: &[State] = &[NeverHad];
const BROKEN: &[State] = &[Affected];
const HALF: &[State] = &[HalfFixed];
const GOOD: &[State] = &[Fixed];
const DEFECT: &[State] = &[FixedWithDefect];
const HALF_OR_GOOD: &[State] = &[HalfFixed, Fixed];
const OPEN: &[State] = &[Affected, Fixed];

#[test]
fn stall_is_known_at_every_kernel_org_boundary() {
    check(
        STALL,
        &[
            ("4.4.181", NEVER),
            ("4.4.182", BROKEN),
            ("4.4.183", BROKEN),
            ("4.4.184", HALF),
            ("4.4.185", HALF),
            ("4.4.188", HALF),
            ("4.4.189", DEFECT),
            ("4.4.190", DEFECT),
            ("4.4.191", GOOD),
            ("4.4.302", GOOD),
            ("4.9", NEVER),
            ("4.9.181", NEVER),
            ("4.9.182", BROKEN),
            ("4.9.183", BROKEN),
            ("4.9.184", HALF),
            ("4.9.188", HALF),
            ("4.9.189", DEFECT),
            ("4.9.190", DEFECT),
            ("4.9.191", GOOD),
            ("4.9.192", GOOD),
            ("4.14.126", NEVER),
            ("4.14.127", BROKEN),
            ("4.14.130", BROKEN),
            ("4.14.131", HALF),
            ("4.14.132", HALF),
            ("4.14.137", HALF),
            ("4.14.138", DEFECT),
            ("4.14.139", DEFECT),
            ("4.14.141", DEFECT),
            ("4.14.142", GOOD),
            ("4.14.143", GOOD),
            ("4.19", NEVER),
            ("4.19.0", NEVER),
            ("4.19.51", NEVER),
            ("4.19.52", BROKEN),
            ("4.19.53", BROKEN),
            ("4.19.54", BROKEN),
            ("4.19.55", HALF),
            ("4.19.56", HALF),
            ("4.19.57", HALF),
            ("4.19.61", HALF),
            ("4.19.62", GOOD),
            ("4.19.63", GOOD),
            ("5.1", NEVER),
            ("5.1.10", NEVER),
            ("5.1.11", BROKEN),
            ("5.1.13", BROKEN),
            ("5.1.14", HALF),
            ("5.1.15", HALF),
            ("5.1.20", HALF),
            ("5.1.21", GOOD),
            ("5.2-rc5", NEVER),
            ("5.2-rc6", HALF),
            ("5.2-rc7", HALF),
            ("5.2", HALF),
            ("5.2.0", HALF),
            ("5.2.1", HALF),
            ("5.2.3", HALF),
            ("5.2.4", GOOD),
            ("5.2.21", GOOD),
            ("5.3-rc1", HALF),
            ("5.3.0-rc1", HALF),
            ("5.3-rc2", GOOD),
            ("5.3-rc3", GOOD),
            ("5.3", GOOD),
            ("5.3.1", GOOD),
            ("5.10.262", GOOD),
            ("6.12", GOOD),
            ("6.12.107", GOOD),
            ("7.2-rc3", GOOD),
            ("3.16", NEVER),
            ("3.16.68", NEVER),
            ("3.16.69", BROKEN),
            ("3.16.70", &[Affected, HalfFixed]),
            ("3.16.74", &[Affected, HalfFixed]),
            ("3.16.75", &[Affected, HalfFixed, Fixed, FixedWithDefect]),
            ("3.16.85", &[Affected, HalfFixed, Fixed, FixedWithDefect]),
            ("4.15", NEVER),
            ("4.15.18", NEVER),
            ("4.16.18", NEVER),
            ("4.17.19", NEVER),
            ("4.18.20", NEVER),
            ("4.20.17", NEVER),
            ("5.0.21", NEVER),
            ("4.13", NEVER),
            ("4.13.16", NEVER),
            ("4.12.14", NEVER),
            ("3.10.108", NEVER),
            ("3.18.140", NEVER),
            ("2.6.32.71", NEVER),
            ("4.13.16-mine", ALL),
        ],
    );
}

#[test]
fn trees_beyond_a_release_leave_the_rest_open() {
    check(
        STALL,
        &[
            // Fixes and breaks are in their maintainer's tree before any mainline candidate.
            ("5.3-rc1+", HALF_OR_GOOD),
            ("5.3.0-rc1+", HALF_OR_GOOD),
            ("5.3.0-rc2+", GOOD),
            ("5.3.0-rc1-00123-gdeadbeefcafe", HALF_OR_GOOD),
            ("5.2.0-rc5+", ALL),
            ("5.2.0-rc4+", ALL),
            ("5.2.0+", HALF_OR_GOOD),
            // A name does not describe the commits after a tag, or the uncommitted changes.
            ("4.19.57-00012-gdeadbeef", HALF_OR_GOOD),
            ("v4.19.61-3-gdeadbeef", HALF_OR_GOOD),
            ("4.19.51-3-gdeadbeef", ALL),
            ("4.19.51-dirty", ALL),
            ("4.19.53-dirty", &[Affected, HalfFixed, Fixed]),
            ("4.19.57-dirty", HALF_OR_GOOD),
            ("4.19.62-dirty", GOOD),
            ("4.19.62-3-gdeadbeef-dirty", GOOD),
            ("4.19.62-rc1-3-gdeadbeef", HALF_OR_GOOD),
            ("5.2.0-next-20190710", HALF_OR_GOOD),
            ("4.19.62-rc1", HALF_OR_GOOD),
            ("4.19.63-rc1", GOOD),
            ("4.19.61-rc1", HALF),
            ("4.19.90-rt35", GOOD),
        ],
    );
    check(WINDOW, &[("5.0.0+", ALL), ("4.20.0+", ALL), ("5.0.0", NEVER), ("5.10.11-dirty", GOOD)]);
    check(COOKIE, &[("6.1.192-dirty", BROKEN), ("6.1.0-rc3+", BROKEN)]);
}

#[test]
fn unreleased_numbers_are_not_judged() {
    for id in [STALL, COOKIE, WINDOW] {
        check(
            id,
            &[
                ("9.9.9", ALL),
                ("9.0", ALL),
                ("7.21", ALL),
                ("2.7.1", ALL),
                ("2.6.40", ALL),
                ("3.20", ALL),
                ("4.21.0", ALL),
                ("4.21.0-100-generic", ALL),
                ("5.20.0-1-amd64", ALL),
                ("4.19.326", ALL),
                ("4.19.999", ALL),
                ("4.19.999-mine", ALL),
                ("4.14.355-openela-rc1", ALL),
                ("5.9.17", ALL),
                ("6.1.501", ALL),
                ("2.6.32.72", ALL),
                ("5.3-rc99", ALL),
                // One without Linux, and one with.
                ("4.4.0-19041-Microsoft", ALL),
                ("Linux h 4.4.0-19041-Microsoft #488-Microsoft Mon Sep 01 13:43:00 PST 2020 x86_64 GNU/Linux", ALL),
            ],
        );
    }
    check(STALL, &[("5.10.16.3-microsoft-standard-WSL2", GOOD), ("4.19.999-1", ALL)]);
    check(COOKIE, &[("5.10.16.3-microsoft-standard-WSL2", BROKEN), ("4.14.355-perf+", BROKEN)]);
    for text in ["6.20", "6.20.3", "7.3", "7.5", "7.5.12", "7.20-rc3", "8.0", "8.3.1-1-amd64"] {
        check(STALL, &[(text, GOOD)]);
        let (_, why) = found(&bug(STALL), text);
        assert!(why.contains("was the newest line when"), "{text}: {why}");
    }
    for text in ["6.19.3", "7.2-rc3", "6.12.107", "5.10.262", "4.19.325"] {
        let (states, why) = found(&bug(STALL), text);
        assert!(states == GOOD.iter().copied().collect() && !why.contains("newest"), "{text}: {why}");
    }
}

#[test]
fn unknown_tilde_mark_leaves_all_open() {
    check(
        STALL,
        &[
            ("4.15.0-52.56~16.04.1", BROKEN),
            ("4.15.0-52.56~18.04", BROKEN),
            ("4.15.0-52.56~x", ALL),
            ("4.15.0-52.56~ppa1", ALL),
            ("4.15.0-52.56~20190601.1", ALL),
            ("4.15.0-52.56~deb9u1", ALL),
            ("4.15.0-52.56~16.04.1~x", ALL),
            ("4.15.0-52.55~x", ALL),
            ("4.15.0-53.57~x", ALL),
            ("4.15.0-59.66~x", ALL),
            ("4.15.0-59.66~22.04.1", GOOD),
            ("4.15.0-60.67~x", ALL),
            ("4.15.0-52-generic #56~x-Ubuntu SMP", ALL),
            ("4.19.37-4~bpo9+1", BROKEN),
            ("4.19.37-4~deb9u1", BROKEN),
            ("4.19.37-4~exp1", &[NeverHad, Affected]),
            ("4.19.37-4~debug1", ALL),
            ("4.19.37-4~16.04.1", ALL),
            ("4.19.37-3~exp1", NEVER),
            ("4.19.37-5~exp1", BROKEN),
            ("4.19.37-5+deb10u1~x", ALL),
            ("4.15.0-51.55~lp1829991", ALL),
            ("4.19.37-3~mycorp1", ALL),
            ("3.10.0-957.21.3.el7", BROKEN),
        ],
    );
    let (_, why) = found(&bug(STALL), "4.15.0-52.56~x");
    assert!(why.contains("`~x` is no known mark of a rebuild"), "{why}");
}

#[test]
fn first_ubuntu_uploads_may_be_candidates() {
    check(
        STALL,
        &[
            ("5.3.0-1-generic", HALF_OR_GOOD),
            ("5.3.0-1.2", HALF_OR_GOOD),
            ("5.3.0-1003-aws", HALF_OR_GOOD),
            ("5.3.0-18-generic", HALF_OR_GOOD),
            ("5.3.0-26-generic", GOOD),
            ("5.3.0-1032-aws", GOOD),
            ("5.2.0-8-generic", ALL),
            ("5.4.0-1-generic", GOOD),
            ("Ubuntu 5.3.0-1.2-generic 5.3.0-rc1", HALF_OR_GOOD),
        ],
    );
    let (_, why) = found(&bug(STALL), "5.3.0-1.2");
    assert!(why.contains("a number this low may be a candidate of 5.3"), "{why}");
}

/// Distributions added the break to 4.15, 4.18 and 5.0, after these lines had ended.
#[test]
fn local_version_has_at_least_what_its_release_has() {
    check(
        STALL,
        &[
            ("4.18.0-vendor", ALL),
            ("4.18.20-xen-domU", ALL),
            ("4.15.0-r5", ALL),
            ("4.19.50-rt19", ALL),
            ("4.14.68-lede", ALL),
            ("4.9.124-fslc", ALL),
            ("5.0.0-trunk-amd64", ALL),
            ("4.18.0-vendor+", ALL),
            ("4.18.0-00012-gdeadbeef-vendor", ALL),
            ("4.13.16-mine", ALL),
            ("4.19.53-mine", &[Affected, HalfFixed, Fixed]),
            ("4.19.57-mine", HALF_OR_GOOD),
            ("5.3-rc1-mine", HALF_OR_GOOD),
            ("4.14.140-mine", &[Fixed, FixedWithDefect]),
            ("4.14.142-mine", GOOD),
            ("4.19.62-mine", GOOD),
            ("4.19.90-rt35", GOOD),
            ("6.1.192-mine", GOOD),
        ],
    );
    check(WINDOW, &[("5.0.0-mine", ALL), ("5.9.16-mine", OPEN), ("5.10.11-mine", GOOD)]);
    // There is no fix that anyone could add.
    check(COOKIE, &[("6.1.192-mine", BROKEN)]);
}

#[test]
fn half_fix_without_break_stays_open() {
    let steps = |in_: [bool; 3]| {
        let step = |(role, has)| StepHeld { role, has: Some(has), says: String::new() };
        [Role::Break, Role::HalfFix, Role::Fix].into_iter().zip(in_).map(step).collect::<Vec<_>>()
    };
    for (in_, expected) in [
        ([false, false, false], NEVER),
        ([true, false, false], BROKEN),
        ([true, true, false], HALF),
        ([false, true, false], &[NeverHad, HalfFixed]),
        ([false, true, true], GOOD),
        ([false, false, true], GOOD),
    ] {
        assert_eq!(states(&steps(in_)), expected.iter().copied().collect(), "{in_:?}");
    }
}

#[test]
fn distribution_kernels_are_judged_by_their_entries() {
    check(
        STALL,
        &[
            // Ubuntu: one ABI number, one upload.
            ("4.15.0-51-generic", NEVER),
            ("4.15.0-52-generic", BROKEN),
            ("4.15.0-53-generic", BROKEN),
            ("4.15.0-54-generic", HALF),
            ("4.15.0-58-generic", HALF),
            ("4.15.0-58-lowlatency", HALF),
            ("4.15.0-59-generic", GOOD),
            ("4.15.0-60-generic", GOOD),
            ("4.15.0-213-generic", GOOD),
            ("4.15.0-52.55", NEVER),
            ("4.15.0-52.56", BROKEN),
            ("4.15.0-52.56~16.04.1", BROKEN),
            ("4.15.0-54.57", BROKEN),
            ("4.15.0-54.58", HALF),
            ("4.15.0-58.64~16.04.1", HALF),
            ("4.15.0-59.65", HALF),
            ("4.15.0-59.66", GOOD),
            ("4.15.0-59.66~16.04.1", GOOD),
            ("4.15.0-60.67", GOOD),
            ("4.15.0-1040-aws", NEVER),
            ("4.15.0-1041-aws", BROKEN),
            ("4.15.0-1043-aws", HALF),
            ("4.15.0-1044-aws", HALF_OR_GOOD),
            // The number doesn't tell the flavour.
            ("4.15.0-1041.43", ALL),
            ("4.15.0-1047-azure", BROKEN),
            ("4.15.0-1055-azure", HALF_OR_GOOD),
            ("4.15.0-1036-gke", ALL),
            ("4.4.0-1084-aws", &[NeverHad, Affected]),
            // Trusty's builds have lower numbers than xenial's.
            ("4.4.0-1046-aws", &[NeverHad, Affected]),
            ("4.4.0-1085-aws", BROKEN),
            ("4.4.0-1087-aws", HALF),
            ("4.4.0-1048-kvm", BROKEN),
            ("4.4.0-1048.55", ALL),
            ("4.4.0-1111-raspi2", BROKEN),
            ("4.4.0-1115-snapdragon", BROKEN),
            ("4.18.0-1018-aws", BROKEN),
            ("5.0.0-1008-gcp", BROKEN),
            ("5.0.0-1010-gcp", HALF),
            ("Linux h 5.0.0-1008-kvm #8-Ubuntu SMP Tue Jun 4 12:00:00 UTC 2019 x86_64 GNU/Linux", BROKEN),
            ("4.4.0-150-generic", NEVER),
            ("4.4.0-151-generic", BROKEN),
            ("4.4.0-153-generic", BROKEN),
            ("4.4.0-154-generic", HALF),
            ("4.4.0-154.181", HALF),
            ("4.4.0-155-generic", &[HalfFixed, Fixed, FixedWithDefect]),
            ("4.4.0-165-generic", &[HalfFixed, Fixed, FixedWithDefect]),
            ("4.4.0-166-generic", GOOD),
            ("4.4.0-210-generic", GOOD),
            ("4.18.0-21-generic", NEVER),
            ("4.18.0-22-generic", BROKEN),
            ("4.18.0-22-snapdragon", BROKEN),
            // From the main source package, with a flavour that has another package too.
            ("4.15.0-58-snapdragon", HALF),
            ("4.15.0-1056-snapdragon", BROKEN),
            ("4.15.0-58-aws", ALL),
            // Their makers patch releases of kernel.org's, and keep the number.
            ("Linux nas 3.10.105 #25426 SMP Wed Jul 8 03:19:05 CST 2020 x86_64 GNU/Linux synology_avoton_1815+", ALL),
            ("Linux OpenWrt 4.14.123 #0 SMP Mon Jun 10 10:00:00 2019 mips GNU/Linux", ALL),
            ("Linux version 4.9.152 (b@build) (gcc version 7.3.0 (OpenWrt GCC)) #0 Sat Mar 2 10:00:00 2019", ALL),
            (
                "Linux version 4.19.51 (oe-user@oe-host) (gcc version 8.3.0 (GCC)) #1 SMP Thu Jul 4 10:00:00 UTC 2019",
                ALL,
            ),
            ("Linux db1 4.19.51 #1 SMP Thu Jul 4 10:00:00 UTC 2019 x86_64 GNU/Linux", NEVER),
            ("4.18.0-24-generic", BROKEN),
            ("4.18.0-25-generic", HALF),
            ("4.18.0-26-generic", HALF_OR_GOOD),
            ("5.0.0-16-generic", NEVER),
            ("5.0.0-17-generic", BROKEN),
            ("5.0.0-19-generic", BROKEN),
            ("5.0.0-20-generic", HALF),
            ("5.0.0-32-generic", HALF_OR_GOOD),
            ("4.13.0-45-generic", ALL),
            ("5.3.0-26-generic", GOOD),
            ("5.4.0-100-generic", GOOD),
            ("5.4.0-1041-aws", GOOD),
            ("5.2.0-20-generic", HALF_OR_GOOD),
            // Debian: a package contains the whole release that its version names.
            ("4.19.37-3", NEVER),
            ("4.19.37-1", NEVER),
            ("4.19.37-4", BROKEN),
            ("4.19.37-5", BROKEN),
            ("4.19.37-5+deb10u1", HALF),
            ("4.19.37-5+deb10u1~bpo9+1", HALF),
            ("4.19.37-5+deb10u2", HALF_OR_GOOD),
            ("4.19.67-2", GOOD),
            ("4.19.0-5-amd64", ALL),
            ("4.19.0-0.bpo.5-amd64", ALL),
            ("4.9.168-1+deb9u2", NEVER),
            ("4.9.168-1+deb9u3", BROKEN),
            ("4.9.168-1+deb9u4", HALF),
            ("4.9.168-1+deb9u4~deb8u1", HALF),
            ("4.9.168-1+deb9u5", &[HalfFixed, Fixed, FixedWithDefect]),
            ("4.9.189-3", &[Fixed, FixedWithDefect]),
            ("4.9.210-1", GOOD),
            ("3.16.68-1", NEVER),
            ("3.16.68-2", BROKEN),
            ("3.16.70-1", HALF),
            ("3.16.74-1", &[Affected, HalfFixed, Fixed, FixedWithDefect]),
            // Others may number builds like this, so only the base's steps are certain.
            ("4.9.177-31", ALL),
            ("4.9.156-14", ALL),
            ("4.9.156-4", ALL),
            ("4.9.144-3", ALL),
            ("4.9.168-31", ALL),
            ("4.9.168-1", NEVER),
            ("Linux h 4.9.0-9-amd64 #1 SMP Debian 4.9.144-3 (2019-02-02) x86_64 GNU/Linux", NEVER),
            ("Linux h 4.9.0-9-amd64 #1 SMP Wed Jul 3 12:00:00 UTC 2019 x86_64 GNU/Linux", ALL),
            ("6.1.0-18-cloud-amd64", GOOD),
            ("6.12.94+deb13-amd64", GOOD),
            ("5.3~rc1-1~exp1", HALF_OR_GOOD),
            ("5.3~rc2-1~exp1", GOOD),
            ("5.2.6-1", GOOD),
            // Others are judged by the dossier's line or by ancestry, or not at all.
            ("3.10.0-957.21.3.el7.x86_64", BROKEN),
            ("3.10.0-957.21.2.el7.x86_64", NEVER),
            ("3.10.0-957.27.2.el7.x86_64", &[Affected, HalfFixed, Fixed, FixedWithDefect]),
            ("3.10.0-957.21.3.rt56.935.el7.x86_64", ALL),
            ("3.10.0-957.21.3.el7.centos.plus.x86_64", ALL),
            ("3.10.0-1062.el7.x86_64", ALL),
            ("4.18.0-80.el8.x86_64", NEVER),
            ("4.18.0-80.1.2.el8_0.x86_64", NEVER),
            ("4.18.0-80.4.2.el8_0.x86_64", BROKEN),
            ("4.18.0-80.6.1.el8_0.x86_64", NEVER),
            ("4.18.0-80.7.1.el8_0.x86_64", BROKEN),
            ("4.18.0-80.11.2.el8_0.x86_64", BROKEN),
            ("4.18.0-80.15.1.el8_0.x86_64", &[Affected, HalfFixed, Fixed]),
            ("4.18.0-147.el8.x86_64", ALL),
            ("2.6.32-754.14.2.el6.x86_64", NEVER),
            ("2.6.32-754.15.3.el6.x86_64", BROKEN),
            ("2.6.32-754.35.1.el6.x86_64", &[Affected, HalfFixed, Fixed, FixedWithDefect]),
            ("3.10.0-693.50.3.el7.x86_64", BROKEN),
            ("4.12.14-195-default", ALL),
            ("4.12.14-197.4-default", BROKEN),
            ("kernel-default-4.12.14-197.4.1.x86_64.rpm", BROKEN),
            ("4.12.14-197.7-default", &[Affected, HalfFixed, Fixed, FixedWithDefect]),
            ("4.4.180-94.97-default", BROKEN),
            ("4.14.35-1902.0.18.el7uek.x86_64", NEVER),
            ("4.14.35-1902.2.0.el7uek.x86_64", BROKEN),
            ("4.14.123-110.109.amzn2.x86_64", ALL),
            ("4.14.123-111.109.amzn2.x86_64", BROKEN),
            ("4.14.123-86.109.amzn1.x86_64", BROKEN),
            ("5.14.0-427.el9.x86_64", GOOD),
            ("5.1.15-300.fc30.x86_64", HALF_OR_GOOD),
            ("5.3.0-0.rc1.git0.1.fc31.x86_64", HALF_OR_GOOD),
            ("5.3.0-0.rc2.git0.1.fc31.x86_64", GOOD),
            ("4.14.35-1902.3.2.el7uek.x86_64", &[Affected, HalfFixed, Fixed, FixedWithDefect]),
            ("4.14.133-113.105.amzn2.x86_64", &[HalfFixed, Fixed, FixedWithDefect]),
            ("6.1.61-85.141.amzn2023.x86_64", GOOD),
            ("4.14.117-perf+", ALL),
            ("4.14.137+", &[HalfFixed, Fixed, FixedWithDefect]),
            ("4.19.57-v7+", HALF_OR_GOOD),
            ("4.19.57+", HALF_OR_GOOD),
            ("5.10.107-android13-4-00001-gdeadbeefcafe", GOOD),
            ("5.1.15-arch1-1-ARCH", HALF_OR_GOOD),
            ("4.15.18-1-pve", ALL),
        ],
    );
}

#[test]
fn whole_release_vendors_have_what_their_base_has() {
    for text in [
        "4.14.154-128.181.amzn2.x86_64",
        "4.19.76-linuxkit",
        "4.19.75-flatcar",
        "5.2.5-200.fc30.x86_64",
        "5.1.21-5.fc30.x86_64",
        "4.19.75-v7l+",
        "4.19.75+",
        "4.14.150+",
        "5.2.5-arch1-1-ARCH",
        "4.19.75-1-lts",
        "4.19.75-gentoo-r1",
        "4.19.75-0-virt",
        "4.19.75-1.ph3",
        "4.19.104-microsoft-standard",
        "5.2.5-1.el7.elrepo.x86_64",
        "Linux h 4.19.75 #1-NixOS SMP Sat Sep 21 05:19:49 UTC 2019 x86_64 GNU/Linux",
        "4.19.75-Unraid",
        "4.19.75_1",
        "5.2.5-1-MANJARO",
        "5.2.5-1-default",
    ] {
        check(STALL, &[(text, GOOD)]);
    }
    check(
        STALL,
        &[
            // The vendor may have added steps that the base lacks, even the break.
            ("4.14.124-111.109.amzn2.x86_64", ALL),
            ("4.19.50-v7+", ALL),
            ("4.19.57-linuxkit", HALF_OR_GOOD),
            ("4.14.140-125.amzn2.x86_64", &[Fixed, FixedWithDefect]),
            // A vendor that stays on one release takes single patches, so the number alone tells nothing.
            ("4.12.14-150.22-default", ALL),
            ("4.4.178-94.91-default", ALL),
            ("4.19.75-perf+", ALL),
            ("4.15.18-1-pve", ALL),
            ("4.19.90-2003.4.0.0036.oe1.x86_64", ALL),
            // No such release.
            ("4.19.999-linuxkit", ALL),
        ],
    );
    check(WINDOW, &[("5.10.184-175.731.amzn2.x86_64", GOOD), ("5.10.9-flatcar", OPEN)]);
    let (_, why) = found(&bug(STALL), "4.19.57-linuxkit");
    assert!(why.contains("half-fix since 4.19.55 and so in its base 4.19.57"), "{why}");
    assert!(why.contains("no fix in its base 4.19.57, but LinuxKit may have added it"), "{why}");
    assert!(why.contains("docs/kernels.md"), "{why}");
}

/// A dossier with one line of a distribution.
fn dossier(mainline: &str, flags: &str, line: &str) -> Bug {
    let folder = tempfile::tempdir().expect("a folder");
    let text = format!(
        "id: a-bug\ntitle: a\nsummary: b\nreferences: [c]\nreleases:\n  mainline: {mainline}\n{flags}  distributions:\n    \
         - {{ distribution: ubuntu, line: 5.4.0, {line}, source: d }}\n  sources: [e]\n"
    );
    std::fs::write(folder.path().join("a-bug.yaml"), text).expect("a file");
    let bugs = Bugs::built_in().with_folder(folder.path()).unwrap_or_else(|error| panic!("{error:?}"));
    bugs.iter().find(|bug| bug.id.as_str() == "a-bug").expect("the bug").clone()
}

#[test]
fn unlisted_step_is_open_when_mainline_has_it() {
    let fix = "steps: { fix: 5.4.0-60.67 }";
    let (before, after) = ("5.4.0-59-generic", "5.4.0-60-generic");
    let known = format!("{fix}, known-until: 5.4.0-70.78");
    for (mainline, flags, line, expected) in [
        // The bug always existed.
        ("{}", "", fix, BROKEN),
        ("{}", "", known.as_str(), BROKEN),
        ("{ fix: 5.9 }", "", known.as_str(), BROKEN),
        ("{ fix: 5.9 }", "  ended-before-break: [\"5.4\"]\n", fix, BROKEN),
        // The bug came before the line started.
        ("{ break: 5.1 }", "  descendants: true\n", fix, BROKEN),
        ("{ break: 5.1 }", "", known.as_str(), &[NeverHad, Affected]),
        ("{ break: 5.1 }", "", fix, &[NeverHad, Affected]),
        ("{ break: 5.4-rc1..5.5 }", "", known.as_str(), &[NeverHad, Affected]),
        // The bug came later, and was not backported.
        ("{ break: 5.6 }", "", known.as_str(), NEVER),
        ("{ break: 5.6 }", "", fix, &[NeverHad, Affected]),
    ] {
        let bug = dossier(mainline, flags, line);
        let (states, why) = found(&bug, before);
        assert_eq!(states, expected.iter().copied().collect(), "{mainline} {flags} {line}: {why}");
        let (states, why) = found(&bug, after);
        assert_eq!(states, GOOD.iter().copied().collect(), "{mainline} {flags} {line}: {why}");
    }
    // A mainline fix that nobody checked for in this line.
    let bug = dossier("{ break: 5.1, fix: 5.3 }", "", "steps: { break: 5.4.0-10.13 }, known-until: 5.4.0-70.78");
    let (states, why) = found(&bug, before);
    assert_eq!(states, OPEN.iter().copied().collect(), "{why}");
    let upstream = dossier("{ fix: 5.9 }", "  ended-before-break: [\"5.3\"]\n", fix);
    assert_eq!(found(&upstream, "5.3.18").0, OPEN.iter().copied().collect());
}

#[test]
fn line_stands_for_all_its_releases() {
    let said = |id: &str, text: &str| {
        let release = Release::whole_line(text).unwrap_or_else(|| panic!("{text}"));
        (weigh(&bug(id), &release), first_good(&bug(id), &release).map(|advice| advice.to_string()))
    };
    for (id, text, states, parts) in [
        (
            STALL,
            "4.19",
            &[NeverHad, Affected, HalfFixed, Fixed][..],
            &[
                "kernel.org's line 4.19: never-had from 4.19 to 4.19.51; affected from 4.19.52 to 4.19.54; half-fixed from \
                 4.19.55 to 4.19.61; fixed from 4.19.62 to 4.19.325",
            ][..],
        ),
        (STALL, "5.2", &[HalfFixed, Fixed], &["half-fixed from 5.2 to 5.2.3; fixed from 5.2.4 to 5.2.21"]),
        (STALL, "4.19.y", &[NeverHad, Affected, HalfFixed, Fixed], &["line 4.19"]),
        (STALL, "linux-5.2.y", &[HalfFixed, Fixed], &["line 5.2"]),
        (STALL, "6.12", GOOD, &["fixed from 6.12 on"]),
        (STALL, "4.20", NEVER, &["never-had from 4.20 to 4.20.17"]),
        (STALL, "3.15", NEVER, &["never-had from 3.15 to 3.15.10"]),
        (STALL, "9.9", ALL, &["no such release is known"]),
        (WINDOW, "5.7", BROKEN, &["affected from 5.7 to 5.7.19"]),
        (WINDOW, "5.10", OPEN, &["affected from 5.10 to 5.10.10; fixed from 5.10.11 on"]),
        (COOKIE, "2.6.32", BROKEN, &["affected from 2.6.32 to 2.6.32.71"]),
    ] {
        let (finding, _) = said(id, text);
        assert_eq!(finding.states, states.iter().copied().collect(), "{text}: {}", finding.why);
        assert!(parts.iter().all(|part| finding.why.contains(part)), "{text}: {}", finding.why);
    }
    assert!(said(STALL, "4.19").1.is_some_and(|advice| advice.contains("all releases from 4.19.62 on are good")));
    assert!(said(WINDOW, "5.7").1.is_some_and(|advice| advice.contains("the oldest later one is 5.10.11")));
    assert_eq!(said(STALL, "6.12").1, None);
    for text in ["4.19.0", "v4.19", "4.19-rc1", "4.19-mine", "2.6", "4", "", "4.19.57", "4.19.y.z", "x4.19"] {
        assert_eq!(Release::whole_line(text), None, "{text}");
    }
}

#[test]
fn unrepaired_bug_is_in_every_kernel() {
    for text in [
        "2.6.32.71",
        "3.10.0-957.21.3.el7.x86_64",
        "4.19.57",
        "4.13.16",
        "5.3-rc1+",
        "4.15.0-1041-aws",
        "4.19.0-5-amd64",
        "6.12.94+deb13-amd64",
        "4.12.14-197.4-default",
        "7.0",
        "6.6.20+rpt-rpi-v8",
        "4.19.67-2",
        "5.15.0-1041.46",
    ] {
        check(COOKIE, &[(text, BROKEN)]);
    }
    assert_eq!(first_good(&bug(COOKIE), &Release::parse("6.12").expect("a release")), None);
    // linux-next may have patches that no release has.
    check(COOKIE, &[("6.12.0-rc1-next-20241001", OPEN)]);
}

#[test]
fn inexact_fix_release_leaves_its_range_open() {
    check(
        WINDOW,
        &[
            ("4.20", NEVER),
            ("5.0", NEVER),
            ("5.1-rc3", &[NeverHad, Affected]),
            ("5.1", BROKEN),
            ("5.1.21", BROKEN),
            ("5.3.18", BROKEN),
            ("5.4", BROKEN),
            ("5.4.92", BROKEN),
            ("5.4.93", GOOD),
            ("5.4.94", GOOD),
            ("5.9.16", BROKEN),
            ("5.10", BROKEN),
            ("5.10.8", BROKEN),
            ("5.10.10", BROKEN),
            ("5.10.11-rc1", OPEN),
            ("5.10.11", GOOD),
            ("5.10.12", GOOD),
            ("5.11-rc3", BROKEN),
            ("5.11-rc4", OPEN),
            ("5.11-rc5", OPEN),
            ("5.11-rc6", GOOD),
            ("5.11", GOOD),
            ("5.11.1", GOOD),
            ("6.12", GOOD),
            ("4.19.57", NEVER),
            ("4.14.131", NEVER),
            ("3.16.85", NEVER),
            ("2.6.32.71", NEVER),
            ("4.19.57-mine", ALL),
            ("4.19.67-2", ALL),
            ("5.4.0-79-generic", OPEN),
            ("5.4.0-80-generic", GOOD),
            ("5.4.0-100-generic", GOOD),
            ("5.4.0-150-generic", GOOD),
            ("Ubuntu 5.4.0-77.86-generic 5.4.119", GOOD),
            ("Ubuntu 5.4.0-1041.43-aws 5.4.94", GOOD),
            ("Ubuntu 5.4.0-60.67-generic 5.4.78", OPEN),
            ("5.4.0-1041-aws", OPEN),
            ("5.15.0-100-generic", GOOD),
            ("4.18.0-553.el8_10.x86_64", ALL),
            ("5.14.0-427.el9.x86_64", GOOD),
            ("5.10.46-4", GOOD),
            ("5.10.4-1", OPEN),
            ("5.10.0-8-amd64", OPEN),
            ("6.1.0-18-cloud-amd64", GOOD),
        ],
    );
}

#[test]
fn reason_names_the_deciding_releases() {
    for (id, text, parts) in [
        (STALL, "4.19.57", &["break since 4.19.52", "half-fix since 4.19.55", "fix not before 4.19.62"] as &[&str]),
        (STALL, "4.14.140", &["fix since 4.14.138", "fix-of-fix not before 4.14.142"]),
        (STALL, "6.12", &["fix since mainline's 5.3-rc2"]),
        (STALL, "4.20.17", &["no break in a line of kernel.org's before 5.2"]),
        (WINDOW, "4.14.131", &["no break in a line of kernel.org's before 5.1"]),
        (STALL, "4.19.57-dirty", &["it has all of 4.19.57", "may have added patches"]),
        (STALL, "4.19.999", &["no such release is known: the line 4.19 ended with 4.19.325"]),
        (STALL, "4.21.0", &["no such release is known: 4.20 was followed by 5.0"]),
        (STALL, "2.6.40", &["2.6 ended with 2.6.39"]),
        (STALL, "2.7.1", &["2.6 was followed by 3.0"]),
        (STALL, "9.9.9", &["the newest line that is known is 7.2"]),
        (STALL, "4.4.0-19041-Microsoft", &["WSL 1 emulates Linux", "no Linux kernel"]),
        (
            STALL,
            "4.19.57-mine",
            &["half-fix since 4.19.55", "fix not before 4.19.62 in kernel.org's own", "it has all of 4.19.57"],
        ),
        (STALL, "4.18.20-vendor", &["no break in a line of kernel.org's before 5.2 in kernel.org's own"]),
        (
            STALL,
            "4.15.0-52-generic",
            &["Ubuntu 4.15.0, ABI 52, flavour generic", "4.15.0-52.56", "stands for the upload", "bionic"],
        ),
        (STALL, "4.15.0-1036-gke", &["flavour gke", "the base number alone decides nothing"]),
        (STALL, "4.19.0-5-amd64", &["no package version"]),
        (STALL, "4.19.67-2", &["fix since 4.19.62 and so in its base 4.19.67"]),
        (STALL, "3.10.0-957.21.3.el7.x86_64", &["break since 3.10.0-957.21.3.el7", "netdev"]),
        (STALL, "3.16.80", &["fix unknown after 3.16.74"]),
        (STALL, "5.3.0-rc1+", &["fix not before 5.3-rc2 in kernel.org's own", "what the later commits are"]),
        (COOKIE, "4.12.14-197.4-default", &["all kernels have had it", "nobody has a fix"]),
        (WINDOW, "5.10.11", &["fix since 5.10.11"]),
        (WINDOW, "5.11-rc5", &["one of 5.11-rc4 to 5.11-rc6"]),
        (WINDOW, "5.15.0-100-generic", &["in what starts from 5.15"]),
    ] {
        let (_, why) = found(&bug(id), text);
        assert!(parts.iter().all(|part| why.contains(part)), "{text}: {why}");
    }
    let without = Bug { releases: None, chain: Vec::new(), ..bug(STALL) };
    assert_eq!(found(&without, "4.19.57").0, StateSet::all());
}

#[test]
fn bad_kernel_gets_the_first_good_release() {
    for (id, text, expected) in [
        (STALL, "4.19.57", Some("of this line: 4.19.62")),
        (STALL, "4.19.62", None),
        (STALL, "4.19.51", None),
        (STALL, "4.14.130", Some("of this line: 4.14.142")),
        (STALL, "4.14.138", Some("of this line: 4.14.142")),
        (STALL, "4.4.189", Some("of this line: 4.4.191")),
        (STALL, "5.2-rc7", Some("of this line: 5.2.4")),
        (STALL, "5.3-rc1", Some("of this line: 5.3-rc2")),
        (STALL, "3.16.69", Some("the oldest later one is 4.4.191")),
        (STALL, "4.15.0-58-generic", Some("of this line: 4.15.0-59.66")),
        (STALL, "4.15.0-1036-gke", Some("its numbers are its own")),
        (STALL, "4.15.0-1041-aws", Some("starts from 5.3 or later")),
        (STALL, "4.19.0-5-amd64", Some("uname -v")),
        (STALL, "4.19.37-5+deb10u1", Some("first package of Debian with the base 4.19.62 or later")),
        (STALL, "4.4.0-154-generic", Some("of this line: 4.4.0-166.195")),
        (STALL, "3.10.0-957.21.3.el7.x86_64", Some("starts from 5.3 or later")),
        (STALL, "3.16.80", Some("--git")),
        (STALL, "4.12.14-150.22-default", Some("--boot")),
        (STALL, "5.3.0-rc1+", Some("the revision")),
        (COOKIE, "4.19.57", None),
        (WINDOW, "5.9.3", Some("the oldest later one is 5.10.11")),
        (WINDOW, "5.4.9", Some("of this line: 5.4.93")),
        (WINDOW, "5.10.10", Some("of this line: 5.10.11")),
        (WINDOW, "5.10.11", None),
        (WINDOW, "5.11-rc5", Some("--git")),
        (STALL, "4.19.57-mine", Some("the repository that it was built from (--git)")),
        (STALL, "4.18.0-vendor", Some("the revision")),
        (STALL, "6.1.192-mine", None),
        (STALL, "4.19.57-dirty", Some("the repository that it was built from (--git)")),
        (STALL, "9.9.9", Some("check the name")),
        (COOKIE, "4.4.0-19041-Microsoft", Some("Windows")),
    ] {
        let advice = first_good(&bug(id), &Release::parse(text).expect(text)).map(|advice| advice.to_string());
        let fits = match (&advice, expected) {
            (Some(advice), Some(part)) => advice.contains(part),
            (advice, expected) => advice.is_none() && expected.is_none(),
        };
        assert!(fits, "{id}: {text}: {advice:?}");
    }
}

/// A dossier with these releases, in YAML.
fn with_releases(releases: &str) -> Bug {
    let text = format!(
        "id: mine\ntitle: A bug\nsummary: It goes wrong.\nreferences: [a page]\nreleases:\n{releases}\n  sources: [here]\n"
    );
    Bug::parse(&text, std::path::Path::new("mine.yaml")).unwrap_or_else(|problems| panic!("{problems}"))
}

#[track_caller]
fn check_releases(releases: &str, rows: &[(&str, &[State])]) {
    let bug = with_releases(releases);
    for (text, states) in rows {
        let (got, why) = found(&bug, text);
        assert_eq!(got, states.iter().copied().collect(), "{text}: {why}");
    }
}

#[test]
fn since_tells_which_lines_never_had_a_step() {
    // A bug from 4.16, fixed in 6.9 and two stable lines.
    check_releases(
        "  mainline: { break: 4.16-rc1, fix: 6.9-rc8 }\n  since: { break: \"4.16\" }\n  stable:\n    \
         - { line: \"4.19\", steps: { fix: 4.19.314 } }\n    - { line: \"6.8\", steps: { fix: 6.8.10 } }",
        &[
            ("4.14.336", NEVER),
            ("4.15.18", NEVER),
            ("2.6.32.71", NEVER),
            ("4.15", NEVER),
            ("4.16.18", OPEN),
            ("4.19.313", BROKEN),
            ("4.19.314", GOOD),
            ("6.8.9", BROKEN),
            ("6.8.10", GOOD),
            ("6.9", GOOD),
            // A packager may have added the break to an older line.
            ("4.15.0-213-generic", ALL),
            ("4.14.336-mine", ALL),
            ("4.14.336-180.562.amzn2.x86_64", ALL),
        ],
    );
    // A bug without a fix before 6.18.
    check_releases(
        "  mainline: { break: 4.14-rc1, fix: 7.0-rc1 }\n  since: { break: \"4.14\", fix: \"6.18\" }\n  stable:\n    \
         - { line: \"6.12\", steps: {}, known-until: 6.12.80 }\n    - { line: \"6.18\", steps: { fix: 6.18.22 } }",
        &[
            ("4.13.16", NEVER),
            ("5.10.200", BROKEN),
            ("6.9", BROKEN),
            ("6.9.12", BROKEN),
            ("6.12.80", BROKEN),
            ("6.12.90", BROKEN),
            ("6.18.21", BROKEN),
            ("6.18.22", GOOD),
            ("6.19.3", OPEN),
            ("7.0", GOOD),
        ],
    );
    let stale = with_releases(
        "  mainline: { break: 4.14-rc1, fix: 7.0-rc1 }\n  since: { fix: \"6.18\" }\n  stable:\n    \
         - { line: \"6.18\", steps: { fix: 6.18.22 } }",
    );
    let advice = first_good(&stale, &Release::parse("5.10.200").expect("a release")).map(|advice| advice.to_string());
    assert!(advice.as_ref().is_some_and(|advice| advice.contains("6.18.22")), "{advice:?}");
}

#[test]
fn reverted_step_is_out_until_it_comes_again() {
    let releases = "  mainline: { break: 4.19-rc1, fix: 5.3-rc2 }\n  stable:\n    \
                    - { line: \"4.19\", steps: { fix: [{ in: 4.19.62, out: 4.19.70 }, { in: 4.19.80 }] } }\n    \
                    - { line: \"5.2\", steps: { break: [{ in: 5.2, out: 5.2.9 }] } }\n  distributions:\n    \
                    - { distribution: debian, contains-base: true, line: \"4.19\", source: here, \
                    steps: { fix: [{ in: 4.19.62-1, out: 4.19.85-2 }] } }";
    check_releases(
        releases,
        &[
            ("4.19.61", BROKEN),
            ("4.19.62", GOOD),
            ("4.19.69", GOOD),
            ("4.19.70", BROKEN),
            ("4.19.79", BROKEN),
            ("4.19.80", GOOD),
            ("5.2.8", BROKEN),
            ("5.2.9", NEVER),
            ("5.3", GOOD),
            // The packagers removed a step that its base has.
            ("4.19.85-1", GOOD),
            ("4.19.85-2", BROKEN),
            ("linux-image-4.19.0-9-amd64_4.19.90-1_amd64.deb", BROKEN),
            ("4.19.90-1", OPEN),
        ],
    );
    let bug = with_releases(releases);
    for (text, expected) in [("4.19.61", "4.19.80"), ("4.19.72", "4.19.80"), ("5.2.1", "5.2.9")] {
        let advice = first_good(&bug, &Release::parse(text).expect(text)).map(|advice| advice.to_string());
        assert!(advice.as_ref().is_some_and(|advice| advice.ends_with(expected)), "{text}: {advice:?}");
    }
}

#[test]
fn removed_step_is_not_there_by_ancestry() {
    check_releases(
        "  mainline: { break: 4.9-rc1, fix: 5.3-rc2 }\n  descendants: true\n  distributions:\n    \
         - { distribution: ubuntu, line: 5.3.0, steps: { fix: [{ in: 5.3.0-1.1, out: 5.3.0-20.21 }] }, source: here }",
        &[("5.3.0-30-generic", BROKEN), ("5.3.0-19.20", GOOD)],
    );
    check_releases(
        "  mainline: { break: 4.9-rc1, fix: [{ in: 5.4-rc1, out: 5.4-rc3 }, { in: 5.6-rc1 }] }\n  descendants: true",
        &[("5.4.0-1009-aws", OPEN), ("5.4.0-42-generic", OPEN)],
    );
    check_releases(
        "  mainline: { break: 4.1-rc1 }\n  descendants: true\n  distributions:\n    \
         - { distribution: debian, steps: { fix: 4.9.168-1+deb9u4 }, known-until: 4.9.168-1+deb9u4, source: here }",
        &[("4.9.168-1+deb9u4", GOOD), ("5.10.46-5", OPEN), ("4.19.37-5+deb10u1", OPEN)],
    );
}

#[test]
fn rpm_builds_of_other_branches_stay_open() {
    check_releases(
        "  mainline: { break: 5.2-rc6, fix: 5.3-rc2 }\n  distributions:\n    \
         - { distribution: rhel, steps: { break: 3.10.0-957.21.3.el7, fix: 3.10.0-1062.el7 }, source: here }\n    \
         - { distribution: rhel, line: 4.18.0-80, steps: { break: 4.18.0-80.4.2.el8_0 }, \
         known-until: 4.18.0-80.4.2.el8_0, source: here }\n    \
         - { distribution: suse, steps: { break: 4.12.14-197.4.1 }, source: here }\n    \
         - { distribution: fedora, steps: { break: 5.1.9-300.fc30, fix: 5.1.20-300.fc30 }, source: here }",
        &[
            ("3.10.0-957.21.2.el7.x86_64", &[NeverHad, Fixed]),
            ("3.10.0-957.21.3.el7.x86_64", OPEN),
            ("3.10.0-862.34.2.el7.x86_64", ALL),
            ("3.10.0-1062.el7.x86_64", GOOD),
            ("3.10.0-1100.el7.x86_64", GOOD),
            ("4.18.0-80.4.2.el8.x86_64", BROKEN),
            ("4.12.14-95.19-default", ALL),
            ("5.1.20-200.fc29.x86_64", ALL),
            ("5.1.9-200.fc29.x86_64", ALL),
            ("5.1.19-300.fc30.x86_64", BROKEN),
        ],
    );
}

#[test]
fn contradicting_facts_of_a_line_decide_nothing() {
    // The line starts from a release with the break.
    check_releases(
        "  mainline: { break: 5.2-rc6, fix: 5.3-rc2 }\n  since: { break: \"5.4\", fix: \"5.6\" }\n  \
         ended-before-break: [\"5.5\"]",
        &[("5.4.5", GOOD), ("5.5.3", GOOD), ("5.1.5", NEVER)],
    );
    // kernel.org took the fix out of a line, and so did those who follow it.
    check_releases(
        "  mainline: { break: 4.0-rc1, fix: 4.10-rc2 }\n  descendants: true\n  stable:\n    \
         - { line: \"4.19\", steps: { fix: [{ in: \"4.19\", out: 4.19.70 }] } }",
        &[
            ("4.19.75", BROKEN),
            ("4.19.75-1.el7.elrepo.x86_64", OPEN),
            ("4.19.72-v7+", OPEN),
            ("4.19.60-v7+", GOOD),
            ("4.14.72-v7+", GOOD),
        ],
    );
}

#[test]
fn flavour_with_own_numbers_has_own_lines() {
    check_releases(
        "  mainline: { break: 5.2-rc6, fix: 5.3-rc2 }\n  distributions:\n    \
         - { distribution: ubuntu, line: 4.4.0, steps: { break: 4.4.0-151.178 }, known-until: 4.4.0-154.181, source: here }\n    \
         - { distribution: ubuntu, line: 4.4.0, flavours: [aws], steps: { break: 4.4.0-1085.96 }, known-until: 4.4.0-1087.98, source: here }\n    \
         - { distribution: ubuntu, line: 4.4.0, flavours: [kvm, raspi2], steps: { break: 4.4.0-1048.55 }, known-until: 4.4.0-1048.55, source: here }",
        &[
            ("4.4.0-150-generic", NEVER),
            ("4.4.0-151-generic", BROKEN),
            ("4.4.0-151-lowlatency", BROKEN),
            ("4.4.0-1084-aws", NEVER),
            ("4.4.0-1085-aws", BROKEN),
            ("4.4.0-1048-kvm", BROKEN),
            ("4.4.0-1047-kvm", NEVER),
            ("4.4.0-1047-raspi2", NEVER),
            ("linux-image-4.4.0-1085-aws_4.4.0-1085.96_amd64.deb", BROKEN),
            // The number's flavour is unknown, and the other flavours are not listed.
            ("4.4.0-1085.96", ALL),
            ("4.4.0-1085-gcp", ALL),
            ("4.4.0-1085-azure", ALL),
        ],
    );
}

proptest! {
    #[test]
    fn weighing_never_contradicts_itself(text in "[2-7]\\.[0-9]{1,2}(\\.[0-9]{1,3})?([-+~.][0-9a-z+~.]{1,8}){0,4}") {
        if let Ok(release) = Release::parse(&text) {
            static BUGS: LazyLock<Bugs> = LazyLock::new(Bugs::built_in);
            for bug in BUGS.iter() {
                let finding = weigh(bug, &release);
                prop_assert!(!finding.states.is_empty(), "{}: {}", text, finding.why);
                let _ = first_good(bug, &release);
            }
        }
    }
}

#[test]
fn default_matrix_agrees_with_mainline_names() {
    let path = std::path::Path::new("kernels.yaml");
    let matrix = matrix::parse(include_str!("../../../kernels.yaml"), path, &Bugs::built_in()).expect("a matrix");
    let mut compared = 0;
    for kernel in &matrix.kernels {
        let Source::Mainline { version, .. } = &kernel.source else { continue };
        // The name of such a kernel: `4.19.57-041957-generic`.
        let release = format!("{}-generic", version.numbers());
        for id in [STALL, WINDOW] {
            let (states, why) = found(&bug(id), &release);
            let expected = kernel.expected(&id.parse().expect("a name"));
            let Expectation::State(state) = expected else { panic!("{release}: {expected:?}") };
            assert_eq!(states, [state].into_iter().collect(), "{id}: {why}");
            compared += 1;
        }
    }
    assert!(compared > 40, "{compared}");
}
