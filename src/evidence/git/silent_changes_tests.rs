//! Tests commits that put a step in, undo it or turn it off, and that say nothing of it.

use git2::Oid;

use super::fixture::*;
use super::placements::Right::{Open, Told};
use super::placements::*;
use crate::words::State::{Affected, Fixed, NeverHad};

const BEFORE: &str = "int give(struct queue *q)\n{\n\tint err;\n\n\tlock(q);\n\terr = take(q);\n\tput(q);\n\tunlock(q);\n\tif (err)\n\t\treturn err;\n\tq->n = 0;\n\tdone(q);\n\treturn 0;\n}\n\nint other(struct queue *q)\n{\n\tlock(q);\n\tunlock(q);\n\treturn 0;\n}\n";

/// A step's change, from the text before it to the text after it.
type Change = (&'static str, &'static str, &'static str);

/// Steps that only neighbours tell.
const STEPS: [Change; 8] = [
    ("a short line", "\terr = take(q);\n", "\tif (!q)\n\t\treturn 0;\n\terr = take(q);\n"),
    ("a move", "\tput(q);\n\tunlock(q);\n", "\tunlock(q);\n\tput(q);\n"),
    ("a move far away", "\tq->n = 0;\n\tdone(q);\n", "\tdone(q);\n"),
    ("a short line gone", "\tif (err)\n\t\treturn err;\n\tq->n", "\tq->n"),
    ("another value", "\tq->n = 0;\n", "\tq->n = 1;\n"),
    ("a line twice", "\tdone(q);\n\treturn 0;\n", "\tdone(q);\n\tdone(q);\n\treturn 0;\n"),
    (
        "a block moved",
        "\tlock(q);\n\terr = take(q);\n\tput(q);\n\tunlock(q);\n",
        "\terr = take(q);\n\tlock(q);\n\tput(q);\n\tunlock(q);\n",
    ),
    ("a block", "\tlock(q);\n\terr = take(q);\n", "\tlock(q);\n\tif (q) {\n\t\tput(q);\n\t}\n\terr = take(q);\n"),
];

struct Silent {
    all: Placements,
    /// The last release before the fix, with the break.
    broken: Oid,
    /// The last release, with the fix.
    fixed: Oid,
}

fn replaced(text: &str, one: &str, other: &str) -> String {
    assert!(text.contains(one), "{one} in {text}");
    text.replacen(one, other, 1)
}

/// The first step of a chain is `old` to BEFORE, and the second BEFORE to `new`.
fn silent(old: &str, new: &str) -> Silent {
    let mut all = Placements::new();
    let release = |all: &Placements, parent, version: &str| {
        let commit = all.fixture.commit(&[parent], format!("Linux {version}\n"), &[("Makefile", &makefile(version))]);
        all.fixture.tag(&format!("v{version}"), commit);
        commit
    };
    let root = all.on(all.base, "net: give", old);
    let root = release(&all, root, "5.4");
    all.break_ = all.on(root, "net: the break", BEFORE);
    let broken = release(&all, all.break_, "5.5");
    all.fix = all.on(broken, "net: the fix", new);
    let fixed = release(&all, all.fix, "5.6");
    all.base = root;
    all.fixture.branch("master", fixed);
    for (step, commit) in all.bug.chain.iter_mut().zip([all.break_, all.fix]) {
        step.commit = Some(commit.to_string().parse().unwrap());
    }
    all.bug.releases = None;
    Silent { all, broken, fixed }
}

#[test]
fn step_that_is_undone_or_applied_silently_is_open() {
    for (name, old, new) in STEPS {
        let with = replaced(BEFORE, old, new);
        let Silent { mut all, broken, fixed } = silent(&replaced(BEFORE, "\tlock(q);\n\terr", "\terr"), &with);
        let vendor = |text: &str| {
            replaced(text, "int other(struct queue *q)\n{\n", "int other(struct queue *q)\n{\n\tlog(q);\n")
        };
        let words = format!("Revert \"net: the fix\"\n\nThis reverts commit {}.\n", all.fix);
        let reverted = all.on(fixed, &words, BEFORE);
        for (how, on, text, right) in [
            ("fix undone", fixed, BEFORE.to_owned(), Open(Affected, Fixed)),
            ("fix undone with more", fixed, vendor(BEFORE), Open(Affected, Fixed)),
            ("fix applied", broken, with.clone(), Open(Affected, Fixed)),
            ("fix applied with more", broken, vendor(&with), Open(Affected, Fixed)),
            ("fix kept", fixed, vendor(&with), Told(Fixed)),
            ("no fix", broken, vendor(BEFORE), Told(Affected)),
            ("fix reverted", reverted, vendor(BEFORE), Told(Affected)),
            ("fix reverted and back", reverted, with.clone(), Open(Affected, Fixed)),
        ] {
            let tip = all.on(on, "net: rework", &text);
            all.ask_later(&format!("{name}: {how}"), tip, right);
        }
        all.check();
    }
}

#[test]
fn break_that_is_undone_or_applied_silently_is_open() {
    for (name, old, new) in STEPS {
        let without = replaced(BEFORE, old, new);
        let Silent { mut all, broken, .. } =
            silent(&without, &replaced(BEFORE, "\tdone(q);\n", "\tdone(q);\n\tdone_again(q);\n"));
        let tip = all.on(all.base, "net: rework", BEFORE);
        all.ask_later(&format!("{name}: break applied"), tip, Open(NeverHad, Affected));
        let tip = all.on(broken, "net: rework", &without);
        all.ask_later(&format!("{name}: break undone"), tip, Open(NeverHad, Affected));
        all.check();
    }
}

#[test]
fn harmless_change_around_a_fix_leaves_it_in() {
    let fix = "\tif (!q)\n\t\treturn 0;\n\terr = take(q);\n";
    let with = replaced(BEFORE, "\terr = take(q);\n", fix);
    let Silent { mut all, broken, fixed } = silent(&replaced(BEFORE, "\tlock(q);\n\terr", "\terr"), &with);
    for (name, one, other) in [
        ("a line in it", "\tif (!q)\n", "\tlog(q);\n\tif (!q)\n"),
        ("a comment in it", "\tif (!q)\n", "\t/* why\n\t * so */\n\tif (!q)\n"),
        ("white space", "\tif (!q)\n\t\treturn 0;\n", "    if ( !q )\n\n      return 0;\n"),
        ("brackets", "\tif (!q)\n\t\treturn 0;\n", "\tif (!q) {\n\t\treturn 0;\n\t}\n"),
        ("a block around it", fix, "\t{\n\tif (!q)\n\t\treturn 0;\n\terr = take(q);\n\t}\n"),
        ("another function", "\tlock(q);\n\tunlock(q);\n", "\tunlock(q);\n"),
        ("a condition that never holds elsewhere", "\tlock(q);\n\tunlock(q);\n", "\tif (0)\n\t\tlock(q);\n"),
        ("a function before it", "int give(", "int before(void)\n{\n\treturn 0;\n}\n\nint give("),
        ("another name of the function", "int give(", "int give_it("),
        ("a block with the same end", "\tq->n = 0;\n", "\tif (busy(q)) {\n\t\treturn 0;\n\t}\n\tq->n = 0;\n"),
        ("a nested block", "\tq->n = 0;\n", "\tif (a) {\n\t\tif (b) {\n\t\t\tc();\n\t\t}\n\t}\n\tq->n = 0;\n"),
        ("another one of the same lines gone", "\tdone(q);\n\treturn 0;\n", "\treturn done(q);\n"),
        ("another line of the function", "\tq->n = 0;\n", "\tq->n = 2;\n"),
    ] {
        let tip = all.on(fixed, "net: rework", &replaced(&with, one, other));
        all.ask_later(&format!("fix: {name}"), tip, Told(Fixed));
        if BEFORE.contains(one) {
            let tip = all.on(broken, "net: rework", &replaced(BEFORE, one, other));
            all.ask_later(&format!("no fix: {name}"), tip, Told(Affected));
        }
    }
    for (name, one, other) in [
        ("never reached", "\tif (!q)\n", "\tif (0)\n\tif (!q)\n"),
        ("never holds", "\tif (!q)\n", "\tif (!q && 0)\n"),
        ("a part lost", "\tif (!q)\n", ""),
        ("another value", "\tif (!q)\n", "\tif (q)\n"),
        ("never compiled", "\tif (!q)\n\t\treturn 0;\n", "#if 0\n\tif (!q)\n\t\treturn 0;\n#endif\n"),
    ] {
        let tip = all.on(fixed, "net: rework", &replaced(&with, one, other));
        all.ask_later(&format!("fix: {name}"), tip, Open(Affected, Fixed));
    }
    all.check();
}
