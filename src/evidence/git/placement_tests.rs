//! Tests steps whose lines are in the files, but perhaps not in the kernel.

use super::fixture::*;
use super::placements::Right::{Open, Told};
use super::placements::*;
use crate::words::State::{Affected, Fixed, NeverHad};

#[test]
fn step_that_is_turned_off_leaves_its_state_open() {
    let mut all = Placements::new();
    let (broken, fixed) = (all.broken(), all.fixed());
    let (claims_break, claims_fix) = (all.claim(all.break_), all.claim(all.fix));
    for (name, limit) in turned_off(NEW, OLD) {
        let text = file(&limit);
        let tip = all.on(broken, &claims_fix, &text);
        all.ask_later(&format!("fix, in its claim: {name}"), tip, Open(Affected, Fixed));
        let tip = all.on(tip, "net: tidy up", &format!("{text}\nint more_of_the_vendor;\n"));
        all.ask_later(&format!("fix, in its claim, then more: {name}"), tip, Open(Affected, Fixed));
        let tip = all.on(fixed, "net: make it an option", &text);
        all.ask_later(&format!("fix, later: {name}"), tip, Open(Affected, Fixed));
        let upstream = all.fixture.line(all.fix, &[("net: make it an option", &text)]);
        all.ask_later(&format!("fix itself, later: {name}"), upstream, Open(Affected, Fixed));
        let again = all.on(tip, "net: make it certain", &file(NEW));
        all.ask_later(&format!("fix, turned on again: {name}"), again, Told(Fixed));
        let mention = format!("net: x\n\nTake {} in, for it helps us, too.\n", all.fix);
        let tip = all.on(broken, &mention, &text);
        all.ask_later(&format!("fix, by its lines: {name}"), tip, Open(Affected, Fixed));
        let tip = all.on(broken, FIX_SUBJECT, &text);
        all.ask_later(&format!("fix, by its subject: {name}"), tip, Open(Affected, Fixed));
    }
    for (name, limit) in turned_off(OLD, "") {
        let text = file(&limit);
        let tip = all.on(all.base, &claims_break, &text);
        all.ask_later(&format!("break, in its claim: {name}"), tip, Open(NeverHad, Affected));
        let tip = all.on(broken, "net: make it an option", &text);
        all.ask_later(&format!("break, later: {name}"), tip, Open(NeverHad, Affected));
        let tip = all.fixture.line(all.break_, &[("net: make it an option", &text)]);
        all.ask_later(&format!("break itself, later: {name}"), tip, Open(NeverHad, Affected));
    }
    // A fix beside the old code, which stays.
    for (name, limit) in [
        ("old code below", format!("{NEW}{OLD}")),
        ("old code as an option", format!("{NEW}#ifdef CONFIG_OLD_LIMIT\n{OLD}#endif\n")),
        ("in a function that nothing calls", format!("{OLD}{CLOSE}\nint split_the_packet_new(void)\n{{\n{NEW}")),
    ] {
        let tip = all.on(broken, &claims_fix, &file(&limit));
        all.ask_later(&format!("fix: {name}"), tip, Open(Affected, Fixed));
    }
    // The whole file, and reverts that keep the lines as an option.
    let whole = format!("#if 0\n{}#endif\n{}", file(NEW), file(OLD));
    let tip = all.on(fixed, "net: our own", &whole);
    all.ask_later("fix in a file that is off", tip, Open(Affected, Fixed));
    let tip = all.on(broken, &claims_fix, &whole);
    all.ask_later("fix in a file that is off, in its claim", tip, Open(Affected, Fixed));
    for (name, limit) in turned_off(NEW, OLD).into_iter().filter(|(name, _)| !name.contains("comment")) {
        let tip = all.on(fixed, &format!("Revert \"x\"\n\nThis reverts commit {fixed}.\n"), &file(&limit));
        all.ask_later(&format!("fix, reverted by {name}"), tip, Open(Affected, Affected));
    }
    for (name, limit) in turned_off(OLD, "").into_iter().filter(|(name, _)| !name.contains("comment")) {
        let tip = all.on(broken, &format!("Revert \"x\"\n\nThis reverts commit {broken}.\n"), &file(&limit));
        all.ask_later(&format!("break, reverted by {name}"), tip, Open(NeverHad, Affected));
    }
    // In an existing block of the vendor's.
    let with = |limit: &str, inner: &str| {
        file(&format!(
            "{limit}#ifdef CONFIG_VENDOR\n\ttrace_of_the_vendor(queue);\n{inner}\ttrace_more_of_the_vendor(queue);\n#endif\n"
        ))
    };
    let vendor = all.on(all.base, "net: the vendor's own", &with("", ""));
    let tip = all.on(vendor, &claims_break, &with("", OLD));
    all.ask_later("break in a vendor's block", tip, Open(NeverHad, Affected));
    let tip = all.on(vendor, &claims_break, &with(OLD, ""));
    all.ask_later("break before a vendor's block", tip, Told(Affected));
    let tip = all.on(tip, &claims_fix, &with("", NEW));
    all.ask_later("fix in a vendor's block", tip, Open(Affected, Fixed));
    // Two versions of the function, of which one is fixed.
    let two = |one: &str, other: &str| {
        format!("{HEAD}#ifdef CONFIG_VENDOR\n{OPEN}{one}{CLOSE}#else\n{OPEN}{other}{CLOSE}#endif\n")
    };
    let both = all.on(all.base, &claims_break, &two(OLD, OLD));
    let tip = all.on(both, &claims_fix, &two(NEW, OLD));
    all.ask_later("fix in one of two functions", tip, Open(Affected, Fixed));
    all.check();
}

#[test]
fn backport_in_other_surroundings_stays_strong() {
    let mut all = Placements::new();
    let (claims_break, claims_fix) = (all.claim(all.break_), all.claim(all.fix));
    all.ask_later("never", all.base, Told(NeverHad));
    all.ask_later("never, other lines", all.other_base, Told(NeverHad));
    all.ask_later("break", all.broken(), Told(Affected));
    all.ask_later("fix", all.fixed(), Told(Fixed));
    // The vendor's whole function is an option, for the break and for the fix.
    let broken = all.on(all.other_base, &claims_break, &other_file(OLD));
    all.ask_later("break, other lines", broken, Told(Affected));
    let fixed = all.on(broken, &claims_fix, &other_file(NEW));
    all.ask_later("fix, other lines", fixed, Told(Fixed));
    let tip =
        all.on(fixed, "net: tidy up", &(other_file(NEW) + "#ifdef CONFIG_X\nint unused_of_the_vendor;\n#endif\n"));
    all.ask_later("fix, then other conditions", tip, Told(Fixed));
    let reverted = all.on(fixed, &format!("Revert \"x\"\n\nThis reverts commit {fixed}.\n"), &other_file(OLD));
    all.ask_later("fix, reverted", reverted, Told(Affected));
    // Words in comments.
    let tip = all.on(
        fixed,
        "net: say more",
        &other_file(&format!("\t/*\n\t * See the limit of the queue.\n{NEW}").replacen(
            "queue.\n",
            "queue.\n\t */\n",
            1,
        )),
    );
    all.ask_later("fix below a comment", tip, Told(Fixed));
    all.check();
}

#[test]
fn conditions_that_upstream_has_stay_strong() {
    let mut all = Placements::new();
    let base = all.base;
    // Upstream's step has a condition of its own, or stands in one that older trees ask in other words.
    let own = |limit: &str| file(&format!("#ifdef CONFIG_QUEUE_LIMIT\n{limit}#endif\n"));
    let around = |limit: &str, condition: &str| format!("{HEAD}#if {condition}\n{OPEN}{limit}{CLOSE}#endif\n");
    let (new, old) = ("IS_ENABLED(CONFIG_QUEUE)", "defined(CONFIG_QUEUE) || defined(CONFIG_QUEUE_MODULE)");
    let header = |limit: &str, guard: &str| format!("#ifndef {guard}\n#define {guard}\n{}#endif\n", file(limit));
    // Upstream's step adds lines that are off, or keeps the lines that it removes in another place, as an option.
    let off = |limit: &str| match limit {
        "" => file(""),
        limit => file(&format!("{limit}#if 0\n\ttrace_the_limit_of_the_queue(queue);\n#endif\n")),
    };
    let other = format!("#ifdef CONFIG_OTHER\nint split_the_other_packet(void)\n{{\n{OLD}}}\n#endif\n");
    let elsewhere = |limit: &str| file(limit) + &other;
    let texts: [(&str, [String; 3], [String; 3]); 6] = [
        ("off from the start", ["", OLD, NEW].map(off), ["", OLD, NEW].map(off)),
        ("kept elsewhere", ["", OLD, NEW].map(elsewhere), ["", OLD, NEW].map(elsewhere)),
        ("own condition", [file(""), own(OLD), own(NEW)], [file(""), own(OLD), own(NEW)]),
        ("other words", ["", OLD, NEW].map(|limit| around(limit, new)), ["", OLD, NEW].map(|limit| around(limit, old))),
        ("condition of older trees", ["", OLD, NEW].map(file), ["", OLD, NEW].map(|limit| around(limit, old))),
        (
            "guard",
            ["", OLD, NEW].map(|limit| header(limit, "_A_H")),
            ["", OLD, NEW].map(|limit| header(limit, "__B_H")),
        ),
    ];
    for (name, [first, with, fixed], [older, older_with, older_fixed]) in texts {
        let upstream = all.on(base, "net: before it", &first);
        let break_ = all.on(upstream, &format!("net: break, {name}"), &with);
        let fix = all.on(break_, &format!("net: fix, {name}"), &fixed);
        all.fixture.branch(&format!("upstream-{name}").replace(' ', "-"), fix);
        for (step, commit) in all.bug.chain.iter_mut().zip([break_, fix]) {
            step.commit = Some(commit.to_string().parse().unwrap());
        }
        (all.break_, all.fix, all.questions) = (break_, fix, Vec::new());
        all.ask_later("itself", fix, Told(Fixed));
        let older = all.on(base, "net: older", &older);
        let broken = all.on(older, &all.claim(break_), &older_with);
        let tip = all.on(broken, &all.claim(fix), &older_fixed);
        all.ask_later(&format!("never, {name}"), older, Told(NeverHad));
        all.ask_later(&format!("broken, {name}"), broken, Told(Affected));
        all.ask_later(&format!("fixed, {name}"), tip, Told(Fixed));
        let tip = all.on(
            tip,
            "net: make it an option",
            &older_fixed.replace(NEW, &format!("#ifdef CONFIG_Z\n{NEW}#endif\n")),
        );
        all.ask_later(&format!("off, {name}"), tip, Open(Affected, Fixed));
        all.check();
    }
    // kernel.org's own releases may add conditions later.
    let mut all = Placements::new();
    let fixed = all.fixed();
    let tip = all.on(fixed, "net: make it an option", &file(&format!("#ifdef CONFIG_Z\n{NEW}#endif\n")));
    let tip = all.fixture.commit(&[tip], "Linux 4.19.70\n", &[("Makefile", &makefile("4.19.70"))]);
    all.fixture.tag("v4.19.70", tip);
    all.ask_later("release", tip, Told(Fixed));
    all.check();
}
