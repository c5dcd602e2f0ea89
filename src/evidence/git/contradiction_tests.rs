//! Tests histories whose messages and ancestry contradict the files.

use super::GitTestimony;
use super::fixture::*;
use crate::evidence::Strength;
use crate::words::{Role, State};

#[test]
fn empty_commit_is_not_a_step() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let broken = broken(&fixture, &mainline);
    let claim = picked("net: a vendor's own words", mainline.fix);
    fixture.branch("empty", fixture.commit(&[broken], &claim, &[]));
    // A merge that takes nothing from the other side.
    let other = fixture.line(broken, &[("net: other", FIXED)]);
    fixture.branch("empty-merge", fixture.commit(&[broken, other], &claim, &[]));
    // A tree with the file at another path, where a commit to other files may be the step.
    let moved = fixture.commit(&[broken], "Move it", &[(FILE, ""), ("vendor/fragment.c", BROKEN)]);
    fixture.branch("moved-empty", fixture.commit(&[moved], &claim, &[]));
    fixture.branch("moved", fixture.commit(&[moved], &claim, &[("vendor/fragment.c", FIXED)]));
    let mut unlisted = bug.clone();
    unlisted.chain.iter_mut().for_each(|step| step.files.clear());
    // A revert in a tree where the step's file has another name, or for a dossier that names no file.
    let fixed = fixture.commit(&[moved], &claim, &[("vendor/fragment.c", FIXED)]);
    let revert = format!("Revert \"net: a vendor's own words\"\n\nThis reverts commit {fixed}.\n");
    fixture.branch("moved-reverted", fixture.commit(&[fixed], revert, &[("vendor/fragment.c", BROKEN)]));
    for bug in [&bug, &unlisted] {
        let states = fixture.ask(bug, "moved-reverted").finding.states;
        assert!(states.contains(State::Affected), "{states:?}");
    }
    for (bug, branch, counts) in [
        (&bug, "empty", false),
        (&bug, "empty-merge", false),
        (&bug, "moved-empty", false),
        (&bug, "moved", true),
        (&unlisted, "empty", false),
        (&unlisted, "empty-merge", false),
        (&unlisted, "moved", true),
    ] {
        let testimony = fixture.ask(bug, branch);
        let state = if counts { State::Fixed } else { State::Affected };
        assert_eq!(testimony.finding.states.only(), Some(state), "{branch}: {}", testimony.finding.why);
        assert_eq!(testimony.warnings.iter().any(|warning| warning.contains(": ignored")), !counts, "{branch}");
    }
}

#[test]
fn silent_removal_leaves_a_step_open() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let mut bug = bug(&mainline);
    let broken = broken(&fixture, &mainline);
    // A fix that only adds lines.
    let added = format!("{BROKEN}never_refuse_the_head_of_the_queue\n");
    let upstream = fixture.line(mainline.break_, &[("tcp: let the head through", &added)]);
    fixture.branch("upstream", upstream);
    bug.chain[2] = step(Role::Fix, Some(upstream), "tcp: let the head through");
    bug.chain.remove(1);
    let side = fixture.line(broken, &[(&picked("tcp: let the head through", upstream), &added)]);
    let side = fixture.commit(&[side], "net: other", &[("net/o.c", "x\n")]);
    let ahead = fixture.commit(&[broken], "net: ahead", &[("net/a.c", "x\n")]);
    let ours = fixture.commit(&[ahead, side], "Merge the fix, -s ours", &[]);
    fixture.branch("ours", ours);
    fixture.branch("merged", fixture.commit(&[ahead, side], "Merge the fix", &[(FILE, &added), ("net/o.c", "x\n")]));
    // The merge is further down, on a branch of a branch.
    let topic = fixture.commit(&[ours], "net: topic", &[("net/t.c", "x\n")]);
    let main = fixture.commit(&[ours], "net: main", &[("net/m.c", "x\n")]);
    let after = fixture.commit(&[main, topic], "Merge topic", &[("net/t.c", "x\n")]);
    fixture.branch("ours-below", fixture.commit(&[after], "net: more", &[("net/n.c", "x\n")]));
    let late = fixture.commit(&[side, topic], "Merge the topic", &[(FILE, BROKEN), ("net/t.c", "x\n")]);
    fixture.branch("ours-beside", late);
    fixture.branch("silent", fixture.line(side, &[("net: tidy up", BROKEN)]));
    // The lines were rewritten, on the branch itself or on a side branch: that is normal development.
    let anew = "head_of_another_function\nwhich_does_it_in_another_way\n";
    let rewritten = fixture.line(side, &[("tcp: write it anew", anew)]);
    fixture.branch("rewritten", rewritten);
    let beside = fixture.commit(&[side], "net: beside", &[("net/b.c", "x\n")]);
    fixture.branch("rewritten-beside", fixture.commit(&[beside, rewritten], "Merge net", &[(FILE, anew)]));
    let open = set(&[State::Affected, State::Fixed]);
    for (branch, states, says) in [
        ("merged", set(&[State::Fixed]), ""),
        ("ours", open, "Merge the fix, -s ours"),
        ("ours-below", open, "Merge the fix, -s ours"),
        ("ours-beside", open, "Merge the fix, -s ours"),
        ("silent", open, "net: tidy up"),
        ("rewritten", set(&[State::Fixed]), ""),
        ("rewritten-beside", set(&[State::Fixed]), ""),
    ] {
        let finding = fixture.ask(&bug, branch).finding;
        assert_eq!((finding.states, finding.why.contains(says)), (states, true), "{branch}: {}", finding.why);
    }
}

#[test]
fn partly_removed_repair_is_never_strong() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    // A history without mainline's fix, so that there is only the claim to compare with.
    let mut alone = bug.clone();
    alone.chain[2].commit = Some("0123456789abcdef0123456789abcdef01234567".parse().unwrap());
    let claim = "net: a vendor's own words\n\ncommit 0123456789abcdef0123456789abcdef01234567 upstream.\n";
    let (one, two) = ("refuse_unless_it_is_the_write_queue", "and_not_the_head_of_the_queue_either");
    let half = format!("{HALF}{two}\n");
    let broken = fixture.line(broken(&fixture, &mainline), &[(&picked(HALF_SUBJECT, mainline.half_fix), &half)]);
    let full = format!("{FIXED}with_room_for_two_more_packets\n");
    let fixed = fixture.line(broken, &[(claim, &full)]);
    fixture.branch("whole", fixed);
    fixture.branch("on", fixture.line(fixed, &[("net: on", &format!("{full}and_something_new_below\n"))]));
    fixture.branch("to-the-break", fixture.line(fixed, &[("net: tidy up", BROKEN)]));
    fixture.branch("half-is-back", fixture.line(fixed, &[("net: tidy up", &format!("{full}{one}\n"))]));
    let weaker = fixture.line(fixed, &[("net: tune the limit", &full.replace("for_two_more", "for_no_more"))]);
    fixture.branch("weaker", weaker);
    let release = fixture.commit(&[weaker], "Linux 4.19.70\n", &[("Makefile", &makefile("4.19.70"))]);
    fixture.tag("v4.19.70", release);
    fixture.branch("comment-only", fixture.line(broken, &[(claim, &format!("/* careful */\n{half}"))]));
    fixture.branch("half-of-it", fixture.line(broken, &[(claim, &half.replace(two, "and_not_its_tail_either_way"))]));
    let claims_mainline = picked("net: a vendor's own words", mainline.fix);
    fixture.branch(
        "half-of-mainline",
        fixture.line(broken, &[(&claims_mainline, &format!("{half}some_of_the_fix_only\n"))]),
    );
    let (fixed, open) = (set(&[State::Fixed]), set(&[State::Affected, State::HalfFixed, State::Fixed]));
    for (bug, branch, states, strength) in [
        (&alone, "whole", fixed, Strength::Strong),
        (&alone, "on", fixed, Strength::Strong),
        (&alone, "to-the-break", open, Strength::Strong),
        (&alone, "half-is-back", open, Strength::Strong),
        (&alone, "weaker", fixed, Strength::Weak),
        (&alone, "v4.19.70", fixed, Strength::Strong),
        (&alone, "comment-only", fixed, Strength::Weak),
        (&alone, "half-of-it", fixed, Strength::Weak),
        (&bug, "half-of-mainline", set(&[State::HalfFixed, State::Fixed]), Strength::Strong),
    ] {
        let testimony = fixture.ask(bug, branch);
        let finding = &testimony.finding;
        assert_eq!((finding.states, finding.strength), (states, strength), "{branch}: {}", finding.why);
        let hinted = testimony.warnings.iter().any(|warning| warning.contains("a hint only"));
        assert_eq!(hinted, strength == Strength::Weak, "{branch}: {:?}", testimony.warnings);
    }
}

#[test]
fn repair_in_short_lines_or_in_part_is_open() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let mut bug = bug(&mainline);
    bug.chain.remove(1);
    let broken = broken(&fixture, &mainline);
    // All its lines are short, and a commit removes them silently.
    let short = format!("{BROKEN}if (!skb)\nreturn 0;\n");
    let upstream = fixture.line(mainline.break_, &[("tcp: check skb", &short)]);
    bug.chain[1] = step(Role::Fix, Some(upstream), "tcp: check skb");
    let picked_short = fixture.line(broken, &[(&picked("tcp: check skb", upstream), &short)]);
    fixture.branch("short", picked_short);
    fixture.branch("short-silent", fixture.line(picked_short, &[("net: tidy up", BROKEN)]));
    // Two files upstream, one of them here.
    let (other, text) = ("net/ipv4/other.c", "the_second_half_of_the_repair\n");
    let base = fixture.commit(&[mainline.break_], "net: other", &[(other, "x\n")]);
    let two = fixture.commit(&[base], "tcp: both files", &[(FILE, FIXED), (other, text)]);
    let mut both = bug.clone();
    both.chain[1] = step(Role::Fix, Some(two), "tcp: both files");
    both.chain[1].files.push(other.to_owned());
    let broken = fixture.commit(&[broken], "net: other", &[(other, "x\n")]);
    let claim = picked("net: a vendor's own words", two);
    fixture.branch("both", fixture.commit(&[broken], &claim, &[(FILE, FIXED), (other, text)]));
    fixture.branch("one", fixture.commit(&[broken], &claim, &[(FILE, FIXED)]));
    for (bug, branch, is_open) in
        [(&bug, "short", false), (&bug, "short-silent", true), (&both, "both", false), (&both, "one", true)]
    {
        let finding = fixture.ask(bug, branch).finding;
        assert!(finding.states.contains(State::Fixed), "{branch}: {}", finding.why);
        assert_eq!(finding.states.contains(State::Affected), is_open, "{branch}: {}", finding.why);
    }
}

#[test]
fn backport_with_under_half_of_the_lines_is_open() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let mut bug = bug(&mainline);
    bug.chain.remove(1);
    let broken = broken(&fixture, &mainline);
    let lines = ["first", "second", "third", "fourth", "fifth"].map(|word| format!("the_{word}_line_of_the_repair\n"));
    let with = |count: usize| format!("{NEVER}{}", lines[..count].concat());
    let upstream = fixture.line(mainline.break_, &[("tcp: five lines", &with(5))]);
    fixture.branch("upstream", upstream);
    bug.chain[1] = step(Role::Fix, Some(upstream), "tcp: five lines");
    let claim = picked("net: a vendor's own words", upstream);
    for count in 1..=5 {
        fixture.branch(&format!("with-{count}"), fixture.line(broken, &[(&claim, &with(count))]));
    }
    // A commit with only the subject counts no more than one with a claim.
    fixture.branch("subject-2", fixture.line(broken, &[("tcp: five lines", &with(2))]));
    let index = fixture.index();
    for (branch, is_open) in [
        ("with-1", true),
        ("with-2", true),
        ("subject-2", true),
        ("with-3", false),
        ("with-4", false),
        ("with-5", false),
    ] {
        let GitTestimony { finding, warnings, .. } = index.ask(&bug, branch).unwrap();
        assert!(finding.states.contains(State::Fixed), "{branch}: {}", finding.why);
        assert_eq!(finding.states.contains(State::Affected), is_open, "{branch}: {}", finding.why);
        let says = "of the 5 lines that upstream adds";
        assert_eq!(warnings.iter().any(|warning| warning.contains(says)), is_open, "{branch}: {warnings:?}");
        let is_hint = matches!(branch, "with-3" | "with-4");
        assert!(!is_hint || finding.strength == Strength::Weak, "{branch}: {}", finding.why);
        let warned = warnings.iter().any(|warning| warning.contains("lacks the line"));
        assert_eq!(warned, is_hint, "{branch}: {warnings:?}");
    }
}

#[test]
fn copy_of_a_file_that_differs_leaves_the_step_open() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let whole = bug(&mainline);
    let mut bug = whole.clone();
    bug.chain.remove(1);
    let broken = broken(&fixture, &mainline);
    let claim = picked("net: a vendor's own words", mainline.fix);
    let copies = [
        "net/core/fragment.c",
        "net/ipv4/fragment_vendor.c",
        "net/ipv4/vendor/fragment.c",
        "vendor/net/ipv4/fragment.c",
    ];
    for (at, copy) in copies.into_iter().enumerate() {
        let copied = fixture.commit(&[broken], "Move it, and leave a copy", &[(copy, BROKEN)]);
        fixture.branch(&format!("unfixed-{at}"), copied);
        fixture.branch(&format!("old-{at}"), fixture.commit(&[copied], &claim, &[(FILE, FIXED)]));
        fixture.branch(&format!("copy-{at}"), fixture.commit(&[copied], &claim, &[(copy, FIXED)]));
        fixture.branch(&format!("silent-{at}"), fixture.commit(&[copied], "net: x", &[(copy, FIXED)]));
        fixture.branch(&format!("subject-{at}"), fixture.commit(&[copied], FIX_SUBJECT, &[(copy, FIXED)]));
        fixture.branch(&format!("both-{at}"), fixture.commit(&[copied], &claim, &[(FILE, FIXED), (copy, FIXED)]));
        let other =
            fixture.commit(&[broken], "net: another", &[(copy, "a_file_of_another_kind\nwith_the_same_name\n")]);
        fixture.branch(&format!("other-{at}"), fixture.commit(&[other], &claim, &[(FILE, FIXED)]));
    }
    // By ancestry.
    let copied = fixture.commit(&[mainline.tip], "net: copy", &[("vendor/net/ipv4/fragment.c", BROKEN)]);
    fixture.branch("ancestry", copied);
    // Upstream has this copy too, so there is nothing to decide.
    let upstream = fixture.commit(&[mainline.break_], "net: copy", &[(copies[0], BROKEN)]);
    let upstream = fixture.line(upstream, &[("tcp: fix one of them", FIXED)]);
    let mut known = bug.clone();
    known.chain[1] = step(Role::Fix, Some(upstream), "tcp: fix one of them");
    let copied = fixture.commit(&[broken], "net: copy", &[(copies[0], BROKEN)]);
    fixture.branch("known", fixture.line(copied, &[(&picked("net: own words", upstream), FIXED)]));
    let index = fixture.index();
    let judge = |bug, branch: &str, expected: &[State]| {
        let GitTestimony { finding, warnings, .. } = index.ask(bug, branch).unwrap();
        assert_eq!(finding.states, set(expected), "{branch}: {}", finding.why);
        let is_open = expected.len() > 1;
        let warned = warnings.iter().any(|warning| warning.contains("find out which one is built"));
        assert_eq!((warned, finding.strength), (is_open, Strength::Strong), "{branch}: {warnings:?}");
    };
    use State::{Affected, Fixed};
    for at in 0..copies.len() {
        judge(&bug, &format!("unfixed-{at}"), &[Affected]);
        for form in ["old", "copy", "silent", "subject"] {
            judge(&bug, &format!("{form}-{at}"), &[Affected, Fixed]);
        }
        judge(&bug, &format!("both-{at}"), &[Fixed]);
        judge(&bug, &format!("other-{at}"), &[Fixed]);
    }
    judge(&whole, "ancestry", &[State::HalfFixed, Fixed]);
    judge(&known, "known", &[Fixed]);
}
