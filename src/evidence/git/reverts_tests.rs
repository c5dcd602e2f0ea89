//! Tests reverts, and reverts of reverts.

use super::How;
use super::fixture::*;
use super::placements::Right::{Open, Told};
use super::placements::*;
use crate::evidence::Strength;
use crate::words::State::{Affected, Fixed};
use crate::words::{Role, State};

/// The rows describe a stable branch, commit by commit: `+` applies the fix, `-N` reverts the commit at place N by
/// name, `~N` by its subject only, `/N` in part; `u-` and `u+` are backports of upstream's own revert and
/// re-application.
#[test]
fn reverts_are_followed_to_any_depth() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let up_revert = fixture
        .line(mainline.tip, &[(&format!("Revert \"{FIX_SUBJECT}\"\n\nThis reverts commit {}.\n", mainline.fix), HALF)]);
    let up_again = fixture.line(up_revert, &[(FIX_SUBJECT, FIXED)]);
    fixture.branch("master", up_again);
    let base = fixture.line(
        on_4_19(&fixture, &mainline),
        &[(&picked(BREAK_SUBJECT, mainline.break_), BROKEN), (&picked(HALF_SUBJECT, mainline.half_fix), HALF)],
    );
    use State::HalfFixed;
    let table: &[(&[&str], &[State], Strength)] = &[
        (&["+"], &[Fixed], Strength::Strong),
        (&["+", "-0"], &[HalfFixed], Strength::Strong),
        (&["+", "-0", "-1"], &[Fixed], Strength::Strong),
        (&["+", "-0", "-1", "-2"], &[HalfFixed], Strength::Strong),
        (&["+", "-0", "-1", "-2", "-3"], &[Fixed], Strength::Strong),
        (&["+", "-0", "-1", "-2", "-3", "-4"], &[HalfFixed], Strength::Strong),
        (&["+", "-0", "+"], &[Fixed], Strength::Strong),
        (&["+", "-0", "+", "-2"], &[HalfFixed], Strength::Strong),
        (&["+", "-0", "+", "-2", "-3"], &[Fixed], Strength::Strong),
        (&["+", "~0"], &[HalfFixed], Strength::Weak),
        (&["+", "~0", "~1"], &[Fixed], Strength::Weak),
        (&["+", "~0", "+"], &[Fixed], Strength::Strong),
        (&["+", "/0"], &[HalfFixed], Strength::Weak),
        (&["+", "u-"], &[HalfFixed], Strength::Strong),
        (&["+", "u-", "u+"], &[Fixed], Strength::Strong),
        (&["+", "u-", "-1"], &[Fixed], Strength::Strong),
        (&["-up"], &[HalfFixed], Strength::Strong),
    ];
    for (at, (happens, ..)) in table.iter().enumerate() {
        let mut made: Vec<(git2::Oid, String)> = Vec::new();
        let (mut tip, mut is_in) = (base, false);
        for what in *happens {
            let target = what.get(1..).and_then(|n| n.parse::<usize>().ok());
            let (subject, body) = match (what.chars().next(), target) {
                (Some('+'), _) => (FIX_SUBJECT.to_owned(), format!("commit {} upstream.", mainline.fix)),
                (Some('-'), Some(n)) => {
                    (format!("Revert \"{}\"", made[n].1), format!("This reverts commit {}.", made[n].0))
                }
                (Some('~'), Some(n)) => (format!("Revert \"{}\"", made[n].1), "It broke things.".to_owned()),
                (Some('/'), Some(n)) => ("tcp: x".to_owned(), format!("This partially reverts commit {}.", made[n].0)),
                // A revert of something that is not in this branch.
                (Some('-'), None) => {
                    (format!("Revert \"{FIX_SUBJECT}\""), format!("This reverts commit {}.", mainline.fix))
                }
                (Some('u'), _) if what.ends_with('-') => (
                    format!("Revert \"{FIX_SUBJECT}\""),
                    format!("commit {up_revert} upstream.\n\nThis reverts commit {}.", mainline.fix),
                ),
                _ => (FIX_SUBJECT.to_owned(), format!("commit {up_again} upstream.")),
            };
            is_in = matches!(*what, "+" | "u+") || *what != "-up" && !is_in;
            // The file has only one line of the fix, so that most rests on the words.
            let fix = if is_in { "refuse_above_the_limit_and_slack\n" } else { "" };
            let text = if *what == "-up" { format!("{HALF}x\n") } else { format!("t\n{fix}") };
            tip = fixture.commit(&[tip], format!("{subject}\n\n{body}\n"), &[(FILE, &text)]);
            made.push((tip, subject));
        }
        fixture.branch(&format!("case-{at}"), tip);
    }
    let index = fixture.index();
    for (at, (happens, states, strength)) in table.iter().enumerate() {
        let testimony = index.ask(&bug, &format!("case-{at}")).unwrap();
        let finding = &testimony.finding;
        assert_eq!((finding.states, finding.strength), (set(states), *strength), "{happens:?}: {}", finding.why);
        let fix = of(&testimony, Role::Fix);
        let reverted = happens[0] == "+" && !states.contains(&Fixed);
        assert_eq!(fix.reverted_by.is_some(), reverted, "{happens:?}: {fix:?}");
    }
    // Upstream's own history has both, by ancestry.
    let upstream = |oid: git2::Oid| index.ask(&bug, &oid.to_string()).unwrap().finding.states;
    assert_eq!((upstream(up_revert), upstream(up_again)), (set(&[HalfFixed]), set(&[Fixed])));
}

#[test]
fn revert_removes_only_earlier_commits() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let base = fixture.line(on_4_19(&fixture, &mainline), &[(&picked(BREAK_SUBJECT, mainline.break_), BROKEN)]);
    let fix = |from| fixture.line(from, &[(&picked(FIX_SUBJECT, mainline.fix), FIXED)]);
    let revert = |from, of: git2::Oid| {
        fixture.line(from, &[(&format!("Revert \"{FIX_SUBJECT}\"\n\nThis reverts commit {of}.\n"), BROKEN)])
    };
    let stable = fix(base);
    let vendor = fix(base);
    // The vendor reverts its own pick, and then merges stable's.
    let cleared = revert(vendor, vendor);
    fixture.branch("beside", fixture.commit(&[cleared, stable], "Merge stable", &[(FILE, FIXED)]));
    // Both are in. Reverting one of them removes the lines.
    let both = fixture.commit(&[vendor, stable], "Merge stable", &[(FILE, FIXED)]);
    fixture.branch("after", revert(both, stable));
    // The merge that brought it is reverted, and then that revert is reverted.
    let merge = fixture.commit(&[base, stable], "Merge branch 'net'", &[(FILE, FIXED)]);
    let message =
        format!("Revert \"Merge branch 'net'\"\n\nThis reverts commit {merge}, reversing\nchanges made to {base}.\n");
    let undone = fixture.line(merge, &[(&message, BROKEN)]);
    fixture.branch("merge", undone);
    let message = format!("Revert \"Revert \"Merge branch 'net'\"\"\n\nThis reverts commit {undone}.\n");
    fixture.branch("merge-again", fixture.line(undone, &[(&message, FIXED)]));
    // The first parent of the reverted merge had it already.
    let other = fixture.commit(&[base], "net: other", &[("net/o.c", "x\n")]);
    let merge = fixture.commit(&[stable, other], "Merge branch 'other'", &[("net/o.c", "x\n")]);
    let message = format!(
        "Revert \"Merge branch 'other'\"\n\nThis reverts commit {merge}, reversing\nchanges made to {stable}.\n"
    );
    fixture.branch("other-merge", fixture.commit(&[merge], message, &[("net/o.c", "")]));
    // An octopus brings it in.
    fixture.branch("octopus", fixture.commit(&[base, other, stable], "Merge all", &[(FILE, FIXED)]));
    for (branch, state) in [
        ("beside", Fixed),
        ("after", Affected),
        ("merge", Affected),
        ("merge-again", Fixed),
        ("other-merge", Fixed),
        ("octopus", Fixed),
    ] {
        let finding = fixture.ask(&bug, branch).finding;
        assert_eq!(
            (finding.states.only(), finding.strength),
            (Some(state), Strength::Strong),
            "{branch}: {}",
            finding.why
        );
    }
}

#[test]
fn words_of_undoing_leave_a_step_open() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let base = fixture.line(
        on_4_19(&fixture, &mainline),
        &[(&picked(BREAK_SUBJECT, mainline.break_), BROKEN), (&picked(HALF_SUBJECT, mainline.half_fix), HALF)],
    );
    let fixed = fixture.line(base, &[(&picked(FIX_SUBJECT, mainline.fix), FIXED)]);
    let (sha, seven) = (fixed.to_string(), fixed.to_string()[..7].to_owned());
    use State::HalfFixed;
    let table: &[(&str, String, &str, &[State], Strength)] = &[
        ("form", format!("x: y\n\nThis is a revert of commit {sha}"), FILE, &[HalfFixed], Strength::Strong),
        ("suffix", format!("Revert \"{FIX_SUBJECT}\" because of z"), FILE, &[HalfFixed], Strength::Weak),
        ("quote", format!("Revert '{FIX_SUBJECT}'\n\nReverts {seven}"), FILE, &[HalfFixed], Strength::Strong),
        ("words", format!("x: y\n\nBack out what {seven} did"), FILE, &[HalfFixed, Fixed], Strength::Strong),
        ("subject", format!("UNDO {FIX_SUBJECT}"), FILE, &[HalfFixed], Strength::Weak),
        ("quoted", format!("tcp: x\n\nUndo \"{FIX_SUBJECT}\""), FILE, &[HalfFixed, Fixed], Strength::Strong),
        ("elsewhere", format!("x: y\n\nBack out what {sha} did"), "net/o.c", &[Fixed], Strength::Strong),
    ];
    for (name, message, file, ..) in table {
        fixture.branch(name, fixture.commit(&[fixed], message, &[(file, "a_text_of_neither_kind_at_all\n")]));
    }
    // A commit that re-applies the break need not name the commit that removed it.
    let (subject, text) = (format!("Revert \"{BREAK_SUBJECT}\""), "a_text_of_neither_kind_at_all\n");
    let broken = fixture.line(on_4_19(&fixture, &mainline), &[(&picked(BREAK_SUBJECT, mainline.break_), BROKEN)]);
    let reverted = fixture.line(broken, &[(&format!("{subject}\n\nThis reverts commit {broken}."), NEVER)]);
    fixture.branch("reapplied", fixture.line(reverted, &[(&format!("Reapply \"{BREAK_SUBJECT}\""), text)]));
    fixture.branch("brought-back", fixture.line(reverted, &[("net: update", BROKEN)]));
    let index = fixture.index();
    for (name, _, _, states, strength) in table {
        let finding = index.ask(&bug, name).unwrap().finding;
        assert_eq!((finding.states, finding.strength), (set(states), *strength), "{name}: {}", finding.why);
    }
    for name in ["reapplied", "brought-back"] {
        let finding = index.ask(&bug, name).unwrap().finding;
        assert!(finding.states.contains(Affected), "{name}: {finding:?}");
    }
}

#[test]
fn revert_that_quotes_its_target_does_not_carry_it() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let broken = broken(&fixture, &mainline);
    let quoting = |subject: &str| picked(&format!("Revert \"{subject}\""), mainline.fix);
    // The file matches neither, so only the messages count.
    let text = "a_text_of_neither_kind_at_all\n";
    let fixed = fixture.line(broken, &[(&picked(FIX_SUBJECT, mainline.fix), FIXED)]);
    fixture.branch("reverted", fixture.line(fixed, &[(&quoting(FIX_SUBJECT), text)]));
    fixture.branch("alone", fixture.line(broken, &[(&quoting(FIX_SUBJECT), text)]));
    let vendor = fixture.line(broken, &[(&picked("net: a vendor's own words", mainline.fix), FIXED)]);
    fixture.branch("vendor", fixture.line(vendor, &[(&quoting("net: a vendor's own words"), text)]));
    let again = picked(&format!("Reapply \"{FIX_SUBJECT}\""), mainline.fix);
    let reverted = fixture.line(fixed, &[(&quoting(FIX_SUBJECT), text)]);
    fixture.branch("reapplied", fixture.line(reverted, &[(&again, FIXED)]));
    // With the name too, the fix is surely out, however often the revert quotes it.
    let twice =
        fixture.line(reverted, &[(&format!("net: x\n\nThis reverts commit {}.\n", mainline.fix), "another_text\n")]);
    fixture.branch("twice", twice);
    use State::{Affected, Fixed};
    use Strength::{Strong, Weak};
    for (branch, state, strength, found) in [
        ("reverted", Affected, Weak, true),
        ("alone", Affected, Strong, false),
        ("vendor", Affected, Weak, true),
        ("reapplied", Fixed, Strong, true),
        ("twice", Affected, Strong, true),
    ] {
        let testimony = fixture.ask(&bug, branch);
        let finding = &testimony.finding;
        assert_eq!((finding.states.only(), finding.strength), (Some(state), strength), "{branch}: {}", finding.why);
        assert_eq!(of(&testimony, Role::Fix).how != How::NotFound, found, "{branch}: {}", finding.why);
    }
    let diff = format!("---\n--- a/{FILE}\n+++ b/{FILE}\n@@ -1 +1 @@\n-x\n+y\n");
    let patch = |subject: &str| format!("Subject: [PATCH] {subject}\n\ncommit {} upstream.\n\n{diff}", mainline.fix);
    let (fix, revert) = (patch(FIX_SUBJECT), patch(&format!("Revert \"{FIX_SUBJECT}\"")));
    let series = "debian/patches/series";
    let packaged = |series_text: &str| {
        let files = [(series, series_text), ("debian/patches/f", &fix), ("debian/patches/r", &revert)];
        fixture.commit(&[broken], "packaging", &files)
    };
    fixture.branch("quilt-fixed", packaged("f\n"));
    fixture.branch("quilt-revert", packaged("r\n"));
    fixture.branch("quilt-both", packaged("f\nr\n"));
    for (branch, state) in [("quilt-fixed", Fixed), ("quilt-revert", Affected), ("quilt-both", Affected)] {
        let finding = fixture.ask(&bug, branch).finding;
        assert_eq!(finding.states.only(), Some(state), "{branch}: {}", finding.why);
    }
}

/// A commit that names the fix and removes its lines may have reverted it, or written it in another way.
#[test]
fn rewrite_is_told_from_a_silent_revert() {
    let mut all = Placements::new();
    // Upstream's fix only adds: a comment of four lines and a check.
    let comment =
        |words: [&str; 4]| format!("\t/* {}\n\t * {}\n\t * {}\n\t * {} */\n", words[0], words[1], words[2], words[3]);
    let first = comment(["Zero windows", "leave nothing queued", "behind the head,", "so the timer stops"]);
    let again = comment(["With a zero window", "nothing waits behind", "the head of the queue.", "Keep the timer on"]);
    let check = "\tif (queue->is_waiting_for_the_window && queue->is_probing_the_peer)\n\t\trestart_the_timer_of_the_queue(queue);\n";
    let better =
        "\tif (window_of_the_peer_is_closed(queue->peer_of_the_queue))\n\t\trestart_the_timer_when_it_opens(queue);\n";
    let with = |comment: &str, check: &str| file(&format!("{OLD}{comment}{check}"));
    let fix = all.on(all.break_, "net: keep the timer on", &with(&first, check));
    all.fixture.branch("own", fix);
    all.bug.chain[1].commit = Some(fix.to_string().parse().unwrap());
    all.bug.chain[1].subject = Some("net: keep the timer on".to_owned());
    all.fix = fix;
    let fixed = all.on(all.broken(), &picked("net: a vendor's own words", fix), &with(&first, check));
    all.ask_later("fixed", fixed, Told(Fixed));
    let names = |what: &str| format!("net: {what}\n\nFixes: {:.12} (\"net: keep the timer on\")\n", fix.to_string());
    let on = |all: &Placements, what: &str, text: &str| all.on(fixed, &names(what), text);
    let moved = with(&again, "").replace(OPEN, &format!("{OPEN}{check}"));
    let header = format!("static inline void check_it(void)\n{{\n{check}}}\n");
    let files = [(FILE, with(&first, "")), ("net/check.h", header)];
    let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
    let elsewhere = all.fixture.commit(&[fixed], names("move the check"), &files);
    for (name, tip, right) in [
        ("comment rewritten, check moved", on(&all, "say it better", &moved), Told(Fixed)),
        ("comment rewritten", on(&all, "say it better", &with(&again, check)), Told(Fixed)),
        ("comment removed", on(&all, "say less", &with("", check)), Told(Fixed)),
        ("check rewritten", on(&all, "check it better", &with(&first, better)), Open(Affected, Fixed)),
        ("all rewritten", on(&all, "do it better", &with(&again, better)), Open(Affected, Fixed)),
        ("check removed", on(&all, "it is of no use", &with(&first, "")), Open(Affected, Affected)),
        ("all removed", on(&all, "it is of no use", &file(OLD)), Open(Affected, Affected)),
        ("moved to another file", elsewhere, Open(Affected, Fixed)),
        ("replaced by a short line", on(&all, "short", &with(&first, "\tdo_it(q);\n")), Open(Affected, Fixed)),
    ] {
        all.ask_later(name, tip, right);
    }
    all.check();
}

#[test]
fn earlier_attempt_is_no_backport_of_the_later_one() {
    let mut all = Placements::new();
    // Upstream applied the same patch twice, and the second one is the fix.
    let reverted = all.on(all.fix, "net: go back", &file(OLD));
    let again = all.on(reverted, &format!("{FIX_SUBJECT}\n\nOnce more.\n"), &file(NEW));
    all.fixture.branch("again", again);
    let first = all.fix;
    all.bug.chain[1].commit = Some(again.to_string().parse().unwrap());
    all.ask_later("the second", again, Told(Fixed));
    all.ask_later("the first", first, Open(Affected, Fixed));
    let claim = picked("net: a vendor's own words", again);
    let tip = all.on(all.broken(), &claim, &file(NEW));
    all.ask_later("a backport of the second", tip, Told(Fixed));
    all.check();
}

#[test]
fn short_code_tells_more_than_a_long_comment() {
    let mut all = Placements::new();
    let with = |comment: &str, guard: &str, end: &str| file(&format!("{OLD}{comment}{guard}\tprobe();\n{end}"));
    let (guard, end) = ("#ifdef CONFIG_IA64\n", "#endif\n");
    let (first, again) = ("\t/* Only that one has a probe here */\n", "\t/* No other machine can be probed here */\n");
    let before = all.on(all.break_, "net: probe", &with("", "", ""));
    let fix = all.on(before, "net: probe that one only", &with(first, guard, end));
    all.fixture.branch("own", fix);
    all.bug.chain[1].commit = Some(fix.to_string().parse().unwrap());
    all.bug.chain[1].subject = Some("net: probe that one only".to_owned());
    let names = format!("net: say it better\n\nFixes: {:.12} (\"net: probe that one only\")\n", fix.to_string());
    all.ask_later("fixed", fix, Told(Fixed));
    let reworded = all.on(fix, &names, &with(again, guard, end));
    all.ask_later("comment reworded", reworded, Told(Fixed));
    let moved =
        all.fixture.commit(&[fix], "net: rename it", &[(FILE, ""), ("net/core/split.c", &with(first, guard, end))]);
    all.ask_later("renamed", moved, Told(Fixed));
    all.check();
}
