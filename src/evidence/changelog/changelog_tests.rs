use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::evidence::StateSet;
use crate::kernel::ChangelogEntry;
use crate::matrix::Bugs;
use crate::verdict::{Case, Verdict};
use crate::words::State::{self, Affected, Fixed, FixedWithDefect, HalfFixed, NeverHad};

const BREAK: &str = "tcp: tcp_fragment() should apply sane memory limits";
const HALF_FIX: &str = "tcp: refine memory limit test in tcp_fragment()";
const FIX: &str = "tcp: be more careful in tcp_fragment()";
const MEND: &str = "tcp: fix tcp_rtx_queue_tail in case of empty retransmit queue";

static STALL: LazyLock<Bug> = LazyLock::new(|| {
    let bugs = Bugs::built_in();
    bugs.iter().find(|bug| bug.id.as_str() == "tcp-fragment-stall").expect("the bug").clone()
});

/// Weighs the stall by a changelog with these entries, newest first.
fn ask(entries: &[(&str, &str)], release: &str) -> Finding {
    ask_of(&STALL, entries, release)
}

fn ask_of(bug: &Bug, entries: &[(&str, &str)], release: &str) -> Finding {
    let entry = |(title, text): &(&str, &str)| ChangelogEntry { title: (*title).to_owned(), text: (*text).to_owned() };
    let changelog = ParsedChangelog::of(&Changelog { entries: entries.iter().map(entry).collect() });
    weigh(bug, &changelog, Release::parse(release).ok().as_ref())
}

#[test]
fn step_without_a_subject_is_found_by_its_commit_alone() {
    let mut bug = STALL.clone();
    bug.chain.iter_mut().filter(|step| step.commit.is_some()).for_each(|step| step.subject = None);
    let by_commit = "- tcp: own words for it\n- commit b617158dc096709d8600c53b6052144d12b89fab upstream\n";
    let finding = ask_of(&bug, &[("x", by_commit)], "4.19.62");
    assert_eq!(finding.states.only(), Some(Fixed), "{}", finding.why);
    let subjects =
        format!("- {BREAK}\n- {HALF_FIX}\n- {FIX}\n- 0001-tcp-be-more-careful-in-tcp_fragment.patch\n- \n- x\n");
    let finding = ask_of(&bug, &[("x", &subjects)], "4.19.62");
    assert!(finding.is_unknown() && finding.why.contains("names no step"), "{}", finding.why);
}

#[test]
fn each_of_several_fixes_must_be_listed() {
    let mut bug = STALL.clone();
    let part = "tcp: tell tcp_fragment() what is queued";
    let fix = bug.chain.iter().position(|step| step.role == Role::Fix).expect("a fix");
    let second = Step { commit: None, subject: Some(part.to_owned()), ..bug.chain[fix].clone() };
    bug.chain.insert(fix + 1, second);
    let (one, other, both) = (format!("- {FIX}\n"), format!("- {part}\n"), format!("- {FIX}\n- {part}\n"));
    let reverted = format!("- Revert \"{part}\"\n");
    type Entries<'a> = &'a [(&'a str, &'a str)];
    let table: &[(Entries, bool, bool)] = &[
        (&[("linux (4.19.62-1)", &one)], true, true),
        (&[("linux (4.19.62-1)", &other)], true, true),
        (&[("linux (4.19.62-1)", &both)], true, false),
        (&[("linux (4.19.62-1)", &one), ("linux (4.19.60-1)", &other)], true, false),
        (&[("linux (4.19.64-1)", &reverted), ("linux (4.19.62-1)", &both)], false, true),
    ];
    for (entries, fixed, half_fixed) in table {
        let finding = ask_of(&bug, entries, "4.19.64");
        let may = |state: State| finding.states.contains(state);
        assert_eq!((may(Fixed), may(HalfFixed)), (*fixed, *half_fixed), "{entries:?}: {}", finding.why);
        assert!(!may(Affected) && finding.strength == Strength::Weak, "{entries:?}: {}", finding.why);
    }
}

#[test]
fn steps_are_found_as_each_distribution_lists_them() {
    let debian = format!("\n  * New upstream stable update:\n    - {BREAK}\n    - {HALF_FIX}\n");
    let wrapped = "  * [x86] y: z\n  * tcp: be more careful in\n    tcp_fragment() (Closes: #930904)\n";
    let red_hat =
        format!("- [net] {BREAK} (Florian Westphal) [1719914] {{CVE-2019-11478}}\n- [net] {HALF_FIX} (A B) [1]");
    let suse = "- tcp: tcp_fragment() should apply sane memory limits\n  (bsc#1137586).\n- commit 0123456\n";
    let by_commit = "- tcp: own words for it\n- commit b617158dc096709d8600c53b6052144d12b89fab upstream\n";
    let picked = "- (cherry picked from commit b617158dc096)\n";
    let table: &[(&str, &str, &str, &str, &[State])] = &[
        ("Debian", "linux (4.19.55-1)", &debian, "4.19.55", &[HalfFixed, Fixed]),
        ("Debian, over two lines", "linux (4.19.62-1)", wrapped, "4.19.62", &[Fixed]),
        ("before 4.15 the fix may lack its mend", "linux (4.9.189-1)", wrapped, "4.9.189", &[Fixed, FixedWithDefect]),
        (
            "Red Hat",
            "2019-06-18 A B [3.10.0-957.21.3.el7]",
            &red_hat,
            "3.10.0-957.21.3.el7",
            &[HalfFixed, Fixed, FixedWithDefect],
        ),
        ("SUSE", "2019-06-18 a@suse.com", suse, "4.12.14-197.4.1", &[Affected, HalfFixed, Fixed, FixedWithDefect]),
        ("a stable commit's own line", "x", by_commit, "4.19.62", &[Fixed]),
        ("a cherry-pick's line", "x", picked, "4.19.62", &[Fixed]),
    ];
    for (name, title, text, release, states) in table {
        let finding = ask(&[(title, text)], release);
        assert_eq!(finding.states, states.iter().copied().collect::<StateSet>(), "{name}: {}", finding.why);
        assert_eq!((finding.witness, finding.strength), (Witness::Changelog, Strength::Weak));
        assert!(finding.why.contains(title) && finding.why.contains(": \""), "{}", finding.why);
    }
}

#[test]
fn step_that_is_only_mentioned_stays_open() {
    for text in [
        "- something else".to_owned(),
        String::new(),
        format!("- net: fix the stall that \"{FIX}\" cured elsewhere"),
        format!("- {FIX}, v2 of another thing"),
        format!("- x{FIX}"),
        "- tcp: mend it (Fixes: f070ef2ac667)".to_owned(),
        "- Fixes: f070ef2ac667 (\"tcp: x\")".to_owned(),
        // Too few digits to be trusted.
        "- commit b617158dc upstream".to_owned(),
        // The slack form has the half fix's subject, but its own commit.
        "- commit 46c7b5d6f2a5 upstream".to_owned(),
        format!("- Drop patches.suse/x.patch ({FIX})"),
        format!("- Prerequisite for: {FIX}"),
        format!("- Fixes: {FIX}"),
        format!("- Add what is needed for {FIX}"),
        format!("- Refresh after dropping 0001-tcp-be-more-careful-in-tcp_fragment.patch ({FIX})"),
        "- Delete patches.suse/tcp-be-more-careful-in-tcp_fragment.patch".to_owned(),
        "- patches.suse/tcp-be-more-careful-with-sockets.patch".to_owned(),
        "- tcp: be more careful in tcp_fragments".to_owned(),
        "- not affected by CVE-2019-11478".to_owned(),
        "- CVE-2019-114781.patch".to_owned(),
        "- drop CVE-2019-11478.patch".to_owned(),
        format!("- {FIX}\n- Revert \"{FIX}\""),
    ] {
        let finding = ask(&[("linux (4.19.62-1)", &text)], "4.19.62");
        assert!(finding.is_unknown(), "{text}: {:?}, {}", finding.states, finding.why);
    }
}

/// Words before or after a subject, a patch's name or a CVE that change its meaning. None may count as having the step.
#[test]
fn words_that_change_the_meaning_leave_the_step_open() {
    const PATCH: &str = "0001-tcp-be-more-careful-in-tcp_fragment.patch";
    let put_in = format!("- {BREAK}\n- {FIX}");
    for (before, after) in [
        ("", " (reverted, causes regressions)"),
        ("", " (Reverted)"),
        ("", " [not applied yet]"),
        ("", " (A B) [1719914] - disabled"),
        ("", " (A B), not in this build"),
        ("", ". Reverted in the next release"),
        ("", " (pending)"),
        ("", " (TODO)"),
        ("", " (dropped again)"),
        ("Add a test: ", ""),
        ("Add test for: ", ""),
        ("selftests: ", ""),
        ("Partially revert ", ""),
        ("Revert part of ", ""),
        ("Partial revert of \"", "\""),
        ("Drop ", ""),
        ("Drop \"", "\" (LP: #1)"),
        ("Disable ", ""),
        ("Remove ", ""),
        ("TODO: ", ""),
        ("WIP: ", ""),
        ("[WIP] ", ""),
        ("[not applied] ", ""),
        ("fixup: ", ""),
        ("Prepare for ", ""),
        ("Prepare: ", ""),
        ("Needed by ", ""),
        ("Do not apply ", ""),
        ("Don\u{2019}t backport ", ""),
        ("Postpone ", ""),
        ("Skip: ", ""),
        ("Rework of ", ""),
        ("Replace ", " by our own"),
        ("Document ", ""),
        ("Investigate ", ""),
        ("Without: ", ""),
        ("Not applied:\n  - ", ""),
        ("Drop these patches:\n    - ", ""),
    ] {
        for of in [FIX, PATCH] {
            let text = format!("- {before}{of}{after}");
            let finding = ask(&[("linux (4.19.62-1)", &text)], "4.19.62");
            assert!(finding.is_unknown(), "{text}: {:?}, {}", finding.states, finding.why);
            // It also doesn't remove what an older entry added.
            let both = [("linux (4.19.63-1)", text.as_str()), ("linux (4.19.62-1)", put_in.as_str())];
            let finding = ask(&both, "4.19.63");
            assert!(finding.states.contains(Fixed), "{text}: {:?}, {}", finding.states, finding.why);
        }
    }
    // Words that change the meaning leave the step open.
    let doubted = format!("- {FIX} (reverted, causes regressions)");
    let finding = ask(&[("linux (4.19.63-1)", &doubted), ("linux (4.19.62-1)", &put_in)], "4.19.63");
    assert!(finding.states.contains(Affected) && finding.why.contains("leave open"), "{}", finding.why);
    for text in [
        "- Vulnerable to CVE-2019-11478",
        "- CVE-2019-11478 is not fixed",
        "- CVE-2019-11478: TODO",
        "- Affected by CVE-2019-11478, pending",
        "- Track CVE-2019-11478",
        "- Add a test for CVE-2019-11478",
        "- Disable SACK (CVE-2019-11478)",
        "- Prepare for CVE-2019-11478",
        "- Revert \"x\" {CVE-2019-11478}",
        "- Still open:\n  - CVE-2019-11478 is in our tree",
        "- Not applied:\n  - CVE-2019-11478.patch",
    ] {
        let finding = ask(&[("linux (4.19.62-1)", text)], "4.19.62");
        assert!(finding.is_unknown(), "{text}: {:?}, {}", finding.states, finding.why);
    }
    let entries =
        [("linux (4.19.63-1)", "- Drop CVE-2019-11478.patch"), ("linux (4.19.62-1)", "- CVE-2019-11478.patch")];
    let finding = ask(&entries, "4.19.63");
    assert!(finding.is_unknown(), "{:?}, {}", finding.states, finding.why);
}

#[test]
fn subject_is_found_with_text_round_it() {
    let after_break: &[State] = &[Affected, HalfFixed, Fixed];
    for (text, states) in [
        (
            format!(
                "- CA-320001: backport tcp fixes: 0001-tcp-be-more-careful-in-tcp_fragment.patch: 6323c238bb43 {FIX}"
            ),
            &[Fixed][..],
        ),
        (
            format!("- CA-310001: 0002-tcp-tcp_fragment-should-apply-sane-memory-limits.patch: ec83921899a5 {BREAK}"),
            after_break,
        ),
        ("- 0002-tcp-tcp_fragment-should-apply-sane-memory-limits.patch".to_owned(), after_break),
        ("- patches.suse/tcp-be-more-careful-in-tcp_fragment.patch: refresh".to_owned(), &[Fixed]),
        ("- tcp: be more careful in tcp_fragment (C D)  [Orabug: 30000001]".to_owned(), &[Fixed]),
        ("- TCP: Be more careful in tcp_fragment()".to_owned(), &[Fixed]),
        (format!("- Backport \"{FIX}\" (LP: #1)"), &[Fixed]),
        (format!("- Cherry-pick b617158dc096: {FIX}"), &[Fixed]),
        (format!("- bsc#1137586: {FIX}."), &[Fixed]),
        (format!("- Revert {FIX}"), &[NeverHad, Affected, HalfFixed]),
        (format!("- Back out the patch \u{201c}{FIX}\u{201d}"), &[NeverHad, Affected, HalfFixed]),
        (format!("- Revert: [net] {FIX} (A B) [1]"), &[NeverHad, Affected, HalfFixed]),
        (format!("- Reverted commit b617158dc096 \"{FIX}\""), &[NeverHad, Affected, HalfFixed]),
        (format!("- Backport revert of \"{FIX}\""), &[NeverHad, Affected, HalfFixed]),
        (format!("- tcp: Revert \"{FIX}\""), &[NeverHad, Affected, HalfFixed]),
        (format!("- {FIX} (from stable 4.19.62, by J\u{f6}rg M.)"), &[Fixed]),
        (format!("- {FIX} // CVE-2019-11478"), &[Fixed]),
        (format!("- {FIX} (git-fixes) (networking-stable-19_08_01)"), &[Fixed]),
        (format!("- Stable update 4.19.62:\n  - {FIX}"), &[Fixed]),
        ("- linux/CVE-2019-11477.patch, linux/CVE-2019-11478.patch".to_owned(), after_break),
        ("- Fixes for CVE-2019-11477, CVE-2019-11478".to_owned(), after_break),
        ("- tcp: limit what is queued // CVE-2019-11478".to_owned(), after_break),
        ("- x {CVE-2019-11478}".to_owned(), after_break),
        // Upstream's patch replaces Ubuntu's own early one.
        (format!("- Revert \"UBUNTU: SAUCE: {BREAK}\"\n- {BREAK}"), after_break),
        (format!("- {FIX}\n- Revert \"UBUNTU: SAUCE: {FIX}\""), &[Fixed]),
    ] {
        let finding = ask(&[("linux (4.19.62-1)", &text)], "4.19.62");
        assert_eq!(finding.states, states.iter().copied().collect::<StateSet>(), "{text}: {}", finding.why);
        assert_eq!(finding.strength, Strength::Weak);
    }
    let cve = ask(&[("kernel 4.14.123-111.109", "- linux/CVE-2019-11478.patch")], "4.14.123-111.109.amzn2").why;
    assert!(cve.contains("names CVE-2019-11478, the CVE of the break, in kernel 4.14.123-111.109"), "{cve}");
}

/// Changelogs as vendors write them, with other numbers.
#[test]
fn vendors_changelogs_say_what_is_in() {
    let bot = "Build Bot";
    let red_hat = [
        "- [vhost] vhost: check a number (A B) [1750001 1750002] {CVE-2019-90001}",
        "- [net] tcp: add tcp_min_snd_mss sysctl (A B) [1719001 1719002] {CVE-2019-11479}\n\
         - [net] tcp: tcp_fragment() should apply sane memory limits (A B) [1719003 1719004] {CVE-2019-11478}",
    ];
    let mends = "- tcp: fix tcp_rtx_queue_tail in case of empty retransmit queue (A B)  [Orabug: 30000001]\n";
    let uek = format!(
        "{mends}- tcp: be more careful in tcp_fragment() (A B)  [Orabug: 30000001]\n\
         - tcp: refine memory limit test in tcp_fragment() (C D)  [Orabug: 30000002] {{CVE-2019-11478}}"
    );
    let uek_break = "- tcp: tcp_fragment() should apply sane memory limits (C D)  [Orabug: 29880001] {CVE-2019-11478}";
    let (errata, errata_break) = (uek.replace("()", ""), uek_break.replace("()", ""));
    let suse = [
        "- tcp: be more careful in tcp_fragment() (CVE-2019-11478 bsc#1137586\n  bsc#1139751).\n- Refresh\n  \
         patches.kabi/kabi-drop-LINUX_MIB_TCPWQUEUETOOBIG-snmp-counter.patch.\n- commit 0123456",
        "- tcp: refine memory limit test in tcp_fragment() (CVE-2019-11478\n  bsc#1140747).\n- commit 1234567",
        "- tcp: tcp_fragment() should apply sane memory limits\n  (CVE-2019-11478 bsc#1137586).\n- kabi: drop \
         LINUX_MIB_TCPWQUEUETOOBIG snmp counter (bsc#1137586).\n- commit 2345678",
    ];
    let ubuntu = [
        "\n  * Bionic update: upstream stable patchset 2019-08-01 (LP: #1838001)\n    - Revert \"UBUNTU: SAUCE: tcp: refine memory \
         limit test in tcp_fragment()\"\n    - Revert \"UBUNTU: SAUCE: tcp: tcp_fragment() should apply sane memory limits\"\n    \
         - tcp: tcp_fragment() should apply sane memory limits\n    - tcp: refine memory limit test in tcp_fragment()\n    \
         - tcp: be more careful in tcp_fragment()\n",
        "\n  * Regression (LP: #1834001)\n    - SAUCE: tcp: refine memory limit test in tcp_fragment()\n",
        "\n  * SACK (LP: #1831001)\n    - SAUCE: tcp: tcp_fragment() should apply sane memory limits\n",
    ];
    let debian = [
        "\n  [ X Y ]\n  * tcp: be more careful in tcp_fragment() (Closes: #900001)\n",
        "\n  * [x86] z\n  * tcp: refine memory limit test in tcp_fragment() (Closes: #930904)\n",
        "\n  * tcp: limit payload size of sacked skbs (CVE-2019-11477)\n  * tcp: tcp_fragment() should apply sane memory limits \
         (CVE-2019-11478)\n",
    ];
    let amazon = [
        "- linux/CVE-2019-11477.patch, linux/CVE-2019-11478.patch\n- tcp: limit payload size of sacked skbs",
        "- rebase to 4.14.123",
    ];
    let title = |release: &str| format!("{bot} [{release}]");
    for (name, release, entries, states) in [
        ("Red Hat", "4.18.0-80.11.2.el8_0", &red_hat[..], &[Affected, HalfFixed, Fixed][..]),
        ("Oracle", "4.14.35-1902.5.1.el7uek", &[&uek, uek_break], &[Fixed]),
        ("Oracle's errata", "4.14.35-1902.5.1.el7uek", &[&errata, &errata_break], &[Fixed]),
        ("SUSE", "4.12.14-197.15.1", &suse, &[Fixed, FixedWithDefect]),
        ("SUSE before the fix", "4.12.14-197.10.1", &suse[1..], &[HalfFixed, Fixed, FixedWithDefect]),
        ("Ubuntu", "4.15.0-62.69", &ubuntu, &[Fixed]),
        ("Ubuntu before the fix", "4.15.0-54.58", &ubuntu[1..], &[HalfFixed, Fixed]),
        ("Debian", "4.19.37-5+deb10u2", &debian, &[Fixed]),
        ("Amazon", "4.14.123-111.109.amzn2", &amazon, &[Affected, HalfFixed, Fixed, FixedWithDefect]),
    ] {
        let titles: Vec<String> = (0..entries.len()).map(|_| title(release)).collect();
        let entries: Vec<(&str, &str)> = titles.iter().map(String::as_str).zip(entries.iter().copied()).collect();
        let finding = ask(&entries, release);
        assert_eq!(finding.states, states.iter().copied().collect::<StateSet>(), "{name}: {}", finding.why);
    }
}

#[test]
fn revert_counts_on_its_own_line_of_releases() {
    let put_in = format!("- {BREAK}\n- {FIX}");
    let (out, again) = (format!("- Revert \"{FIX}\" (LP: #1)"), format!("- Revert \"Revert \"{FIX}\"\""));
    let low = format!("- [net] revert \"{FIX}\" (A B) [2]");
    let reapply = format!("- Reapply \"{FIX}\"");
    let first = ("linux (4.19.62-1)", put_in.as_str());
    type ChangelogRow<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [State]);
    let table: &[ChangelogRow] = &[
        ("put in", &[("linux (4.19.63-1)", "- x"), first], &[Fixed]),
        ("taken out", &[("linux (4.19.63-1)", &out), first], &[Affected, HalfFixed]),
        ("taken out, as Red Hat writes it", &[("linux (4.19.63-1)", &low), first], &[Affected, HalfFixed]),
        ("and put back", &[("linux (4.19.64-1)", &again), ("linux (4.19.63-1)", &out), first], &[Fixed]),
        ("and put back in new words", &[("linux (4.19.64-1)", &reapply), ("linux (4.19.63-1)", &out), first], &[Fixed]),
        (
            "taken out of an older line",
            &[("linux (5.10.1-1)", "- x"), ("linux (4.19.63-1)", &out), first],
            &[Affected, HalfFixed, Fixed],
        ),
        (
            "taken out, and nobody says of what",
            &[("2019 a@b", &out), ("2018 a@b", &put_in)],
            &[Affected, HalfFixed, Fixed],
        ),
    ];
    for (name, entries, states) in table {
        let finding = ask(entries, "4.19.62");
        assert_eq!(finding.states, states.iter().copied().collect::<StateSet>(), "{name}: {}", finding.why);
    }
    let why = ask(&[("linux (4.19.64-1)", "- x"), first, ("linux (4.19.1-1)", &format!("- {BREAK}"))], "4.19.62").why;
    assert!(why.contains("break since linux (4.19.1-1)") && why.contains("fix since linux (4.19.62-1)"), "{why}");
}

#[test]
fn changelog_decides_no_verdict_and_no_conflict() {
    let text = format!("- {BREAK}\n- {HALF_FIX}\n- {FIX}\n- {MEND}");
    let says = ask(&[("linux (4.9.191-1)", &text)], "4.9.191");
    assert_eq!(says.states.only(), Some(Fixed));
    let judged = Case::of_findings(vec![says.clone()]);
    assert_eq!((judged.verdict, judged.conflict), (Verdict::Unknown, false));
    let seen = Finding {
        witness: Witness::Runtime,
        states: StateSet::affected(),
        strength: Strength::Decisive,
        ..says.clone()
    };
    let judged = Case::of_findings(vec![says, seen]);
    assert_eq!((judged.verdict, judged.conflict), (Verdict::Affected, false));
    let never = ask(&[("linux (4.19.51-1)", &format!("- Revert \"{BREAK}\""))], "4.19.51");
    assert!(never.states.contains(NeverHad) && !never.states.contains(Affected), "{}", never.why);
}

proptest! {
    #[test]
    fn any_changelog_is_read_without_panic(
        title in ".{0,40}",
        text in "(- |\\* |  |\n|Revert |\"|tcp: be more careful in tcp_fragment\\(\\)|f070ef2ac667|commit |[a-z\u{e9}]{1,5}){0,40}",
    ) {
        let finding = ask(&[(&title, &text)], "4.19.62");
        prop_assert_eq!(finding.strength, Strength::Weak);
        prop_assert!(!finding.states.is_empty());
    }
}
