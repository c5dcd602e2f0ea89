//! Tests files and claims that have a part of a step, or nothing of it.

use super::fixture::*;
use super::placements::Right::{Open, Told};
use super::placements::*;
use crate::evidence::Strength;
use crate::words::State::{Affected, Fixed, NeverHad};

#[test]
fn part_of_a_step_without_its_commit_leaves_it_open() {
    let mut all = Placements::new();
    let (base, broken) = (all.base, all.broken());
    let half = OLD.replace(">> 1", "/ 2");
    let breaks = [
        ("all", OLD.to_owned()),
        ("/ 2", half.clone()),
        (
            "swapped",
            OLD.replace(
                "(queue->queued_bytes >> 1) > queue->send_buffer",
                "queue->send_buffer * 2 < queue->queued_bytes",
            ),
        ),
        ("without the event", half.replace("\t\tcount_event(queue, EVENT_QUEUE_TOO_BIG);\n", "")),
        ("event only", "\tif (vendor_says(queue))\n\t\tcount_event(queue, EVENT_QUEUE_TOO_BIG);\n".to_owned()),
        ("in two lines", OLD.replace(" > ", " >\n\t    ")),
    ];
    for (name, limit) in &breaks {
        for (message, words) in [("net: update of the vendor", "silently"), ("Merge x", "in a merge")] {
            let other = all.fixture.commit(&[base], "net: other", &[("net/o.c", "x\n")]);
            let parents = if words == "silently" { vec![base] } else { vec![base, other] };
            let tip = all.fixture.commit(&parents, message, &[(FILE, &file(limit))]);
            all.ask_later(&format!("break {words}: {name}"), tip, Open(NeverHad, Affected));
        }
        // In a copy, or in a renamed file.
        for copy in ["net/core/fragment.c", "net/ipv4/fragment_vendor.c", "vendor/net/ipv4/fragment.c"] {
            let tip = all.fixture.commit(&[base], "net: of the vendor", &[(copy, &file(limit))]);
            all.ask_later(&format!("break in a copy {copy}: {name}"), tip, Open(NeverHad, Affected));
            let tip = all.fixture.commit(&[base], "net: of the vendor", &[(copy, &file(limit)), (FILE, "")]);
            all.ask_later(&format!("break in a renamed {copy}: {name}"), tip, Open(NeverHad, Affected));
            let stub = "#include \"of_the_vendor.c\"\n";
            let tip = all.fixture.commit(&[base], "net: of the vendor", &[(copy, &file(limit)), (FILE, stub)]);
            all.ask_later(&format!("break in a file that replaces it {copy}: {name}"), tip, Open(NeverHad, Affected));
        }
        let tip =
            all.fixture.commit(&[base], "net: of the vendor", &[("net/ipv4/queue_split.c", &file("")), (FILE, "")]);
        let tip = all.fixture.commit(&[tip], "net: more", &[("net/ipv4/queue_split.c", &file(limit))]);
        all.ask_later(&format!("break in a file of another name: {name}"), tip, Open(NeverHad, Affected));
        // Reverted, and back in part.
        let reverted = all.on(broken, &format!("Revert \"x\"\n\nThis reverts commit {broken}.\n"), &file(""));
        all.ask_later("break, reverted", reverted, Told(NeverHad));
        let tip = all.on(reverted, "net: tidy up", &file(limit));
        all.ask_later(&format!("break, reverted and back: {name}"), tip, Open(NeverHad, Affected));
        let kept = all.on(broken, &format!("Revert \"x\"\n\nThis reverts commit {broken}.\n"), &file(limit));
        if *limit != OLD {
            all.ask_later(&format!("break, a revert that keeps it: {name}"), kept, Open(NeverHad, Affected));
        }
    }
    for (name, limit) in
        [("all", NEW.to_owned()), ("a line", PARTLY.to_owned()), ("respelled", NEW.replace(">> 1", "/ 2"))]
    {
        let tip = all.on(broken, "net: update of the vendor", &file(&limit));
        all.ask_later(&format!("fix silently: {name}"), tip, Open(Affected, Fixed));
    }
    let tip =
        all.on(broken, "net: say more", &file(&format!("\t/* SLACK_OF_PACKETS is not in limit_of_queue. */\n{OLD}")));
    all.ask_later("fix in a comment only", tip, Told(Affected));
    all.check();
}

#[test]
fn claim_without_a_line_of_the_step_is_open() {
    let mut all = Placements::new();
    let (base, broken) = (all.base, all.broken());
    let (claims_break, claims_fix) = (all.claim(all.break_), all.claim(all.fix));
    let other = "\tsomething_else_of_the_vendor(queue, packet);\n";
    let comments = [
        ("a comment", "\t/* be careful */\n".to_owned()),
        ("a comment with its lines", format!("\t/*\n{NEW}\t */\n")),
        ("lines of comment", NEW.lines().chain(OLD.lines()).map(|line| format!("\t// {line}\n")).collect()),
        ("another thing", other.to_owned()),
        ("white space", "\n\n".to_owned()),
    ];
    for (name, text) in &comments {
        let tip = all.on(base, &claims_break, &file(text));
        all.ask_later(&format!("break: {name}"), tip, Open(NeverHad, Affected));
        let tip = all.on(broken, &claims_fix, &file(&format!("{OLD}{text}")));
        all.ask_later(&format!("fix: {name}"), tip, Open(Affected, Fixed));
        let fixed = all.on(tip, &claims_fix, &file(NEW));
        all.ask_later(&format!("fix: {name}, and then the fix"), fixed, Told(Fixed));
        let both = format!("net: x\n\ncommit {} upstream.\ncommit {} upstream.\n", all.break_, all.fix);
        let tip = all.on(base, &both, &file(text));
        all.ask_later(&format!("both: {name}"), tip, Open(NeverHad, Fixed));
        // Reverts that change nothing of it.
        let fixed = all.fixed();
        let tip =
            all.on(fixed, &format!("Revert \"x\"\n\nThis reverts commit {fixed}.\n"), &file(&format!("{NEW}{text}")));
        all.ask_later(&format!("fix, a revert of {name}"), tip, Open(Affected, Fixed));
    }
    // A part of it.
    let tip = all.on(base, &claims_break, &file("\tcount_event(queue, EVENT_QUEUE_TOO_BIG);\n"));
    all.ask_later("break: half of it", tip, Told(Affected));
    let tip = all.on(broken, &claims_fix, &file(PARTLY));
    all.ask_later("fix: a line of three", tip, Open(Affected, Fixed));
    let tip = all.on(broken, &claims_fix, &file(&NEW.replace(">> 1", "/ 2")));
    all.ask_later("fix: respelled", tip, Open(Affected, Fixed));
    let both = format!("net: x\n\ncommit {} upstream.\ncommit {} upstream.\n", all.break_, all.fix);
    all.ask_later("both in one", all.on(base, &both, &file(NEW)), Told(Fixed));
    // Without upstream's commit, words count.
    let mut alone = all.bug.clone();
    alone.chain[1].commit = Some("0123456789abcdef0123456789abcdef01234567".parse().unwrap());
    let claim = "net: x\n\ncommit 0123456789abcdef0123456789abcdef01234567 upstream.\n";
    all.fixture.branch("alone", all.on(broken, claim, &file(other)));
    let finding = all.fixture.ask(&alone, "alone").finding;
    assert_eq!((finding.states.only(), finding.strength), (Some(Fixed), Strength::Strong), "{}", finding.why);
    all.check();
}

#[test]
fn claim_of_a_break_with_few_of_its_lines_is_open() {
    let mut all = Placements::new();
    let lines =
        ["first", "second", "third", "fourth", "fifth"].map(|word| format!("\tthe_{word}_line_of_the_break();\n"));
    let with = |lines: &[String]| file(&lines.concat());
    all.break_ = all.on(all.base, "net: five lines", &with(&lines));
    all.bug.chain[0].commit = Some(all.break_.to_string().parse().unwrap());
    all.fixture.branch("five", all.break_);
    for some in 1..=lines.len() {
        let tip = all.on(all.base, &all.claim(all.break_), &with(&lines[..some]));
        let right = if some < 3 { Open(NeverHad, Affected) } else { Told(Affected) };
        all.ask_later(&format!("{some} of five"), tip, right);
    }
    // A step that only removes lines, removed silently.
    let kept = all.on(all.base, "net: a check", &with(&lines));
    let kept = all.fixture.commit(&[kept], "Linux 4.19.51\n", &[("Makefile", &makefile("4.19.51"))]);
    all.fixture.tag("v4.19.51", kept);
    let removes = all.on(kept, "net: remove the check", &file(""));
    all.fixture.branch("removes", removes);
    all.check();
    all.questions.clear();
    all.bug.chain[0].commit = Some(removes.to_string().parse().unwrap());
    all.bug.chain.truncate(1);
    all.ask_later("kept", kept, Told(NeverHad));
    all.ask_later("removed", removes, Told(Affected));
    let silent = all.on(kept, "net: tidy up", &file(""));
    all.ask_later("removed silently", silent, Open(NeverHad, Affected));
    let partly = all.on(kept, "net: tidy up", &with(&lines[..3]));
    all.ask_later("removed silently in part", partly, Open(NeverHad, Affected));
    all.check();
}
