//! Tests files that were renamed, split or removed.

use git2::Oid;

use super::fixture::*;
use super::placements::Right::{Open, Told};
use super::placements::*;
use crate::words::State::{Affected, Fixed, NeverHad};

#[test]
fn renamed_file_is_followed_or_open() {
    let mut all = Placements::new();
    let (broken, fixed) = (all.broken(), all.fixed());
    let mut never = all.base;
    for to in ["net/core/fragment.c", "net/ipv4/queue_split.c", "vendor/split/of_the_queue.c"] {
        let moved = |from: Oid, text: &str| all.fixture.commit(&[from], "net: rename it", &[(FILE, ""), (to, text)]);
        let on = |from: Oid, message: &str, limit: &str| all.fixture.commit(&[from], message, &[(to, &file(limit))]);
        let (in_, out, without) = (moved(fixed, &file(NEW)), moved(broken, &file(OLD)), moved(never, &file("")));
        let changed = all.fixture.commit(&[in_], "net: on", &[(to, &(file(NEW) + "int more_of_the_vendor;\n"))]);
        let twice = all.fixture.commit(&[in_], "net: rename it", &[(to, ""), ("net/third.c", &file(NEW))]);
        let claim = all.claim(all.fix);
        let mut rows = vec![
            ("kept", in_, Told(Fixed)),
            ("kept, unfixed", out, Told(Affected)),
            ("kept, never", without, Told(NeverHad)),
            ("changed elsewhere", changed, Told(Fixed)),
            ("renamed twice", twice, Told(Fixed)),
            ("undone", on(in_, "net: tidy up", OLD), Open(Affected, Fixed)),
            ("undone in part", on(in_, "net: tidy up", PARTLY), Open(Affected, Fixed)),
            ("undone while renamed", moved(fixed, &file(OLD)), Open(Affected, Fixed)),
            ("taken out", on(in_, "net: tidy up", ""), Open(Affected, Fixed)),
            ("fixed silently", on(out, "net: tidy up", NEW), Open(Affected, Fixed)),
            ("fixed silently while renamed", moved(broken, &file(NEW)), Open(Affected, Fixed)),
            ("broken silently", on(without, "net: tidy up", OLD), Open(NeverHad, Affected)),
            ("claimed", on(out, &claim, NEW), Told(Fixed)),
            ("claimed and undone", on(on(out, &claim, NEW), "net: tidy up", OLD), Open(Affected, Fixed)),
            ("gone", all.fixture.commit(&[in_], "net: remove it", &[(to, "")]), Open(Affected, Fixed)),
            ("gone, unfixed", all.fixture.commit(&[out], "net: remove it", &[(to, "")]), Open(NeverHad, Affected)),
        ];
        for (name, limit) in turned_off(NEW, OLD) {
            rows.push((name, on(in_, "net: make it an option", &limit), Open(Affected, Fixed)));
            rows.push((name, on(out, &claim, &limit), Open(Affected, Fixed)));
        }
        // A split: the function goes to another file, and the rest stays.
        let rest = [HEAD, "int rest_of_the_fragment_file;\n"].concat();
        let split = |from: Oid, limit: &str| {
            let text = [OPEN, limit, CLOSE].concat();
            all.fixture.commit(&[from], "net: split it", &[(FILE, &rest), (to, &text)])
        };
        let (in_, out) = (split(fixed, NEW), split(broken, OLD));
        // A similar file nearby may be the one that is built.
        rows.push(("split", in_, Open(Fixed, Fixed)));
        rows.push(("split, unfixed", out, Open(Affected, Affected)));
        let text = [OPEN, OLD, CLOSE].concat();
        let undone = all.fixture.commit(&[in_], "net: tidy up", &[(to, &text)]);
        rows.push(("split and undone", undone, Open(Affected, Fixed)));
        for (name, tip, right) in rows {
            all.ask_later(&format!("{name}, {to}"), tip, right);
        }
        never = all.on(never, "net: on", &(file("") + "int more_of_the_vendor;\n"));
    }
    all.check();
}

#[test]
fn older_path_of_a_renamed_file_is_found() {
    let mut all = Placements::new();
    // Upstream renames the file before the break, so older trees have it under its older name.
    for newer in ["net/newer/fragment.c", "net/newer/of_the_queue.c"] {
        let upstream = all.fixture.commit(&[all.base], "net: rename it", &[(FILE, ""), (newer, &file(""))]);
        let on = |from: Oid, message: &str, text: &str| all.fixture.commit(&[from], message, &[(newer, text)]);
        let break_ = on(upstream, "net: the break", &file(OLD));
        let fix = on(break_, "net: the fix", &file(NEW));
        all.fixture.branch("newer", fix);
        for (step, commit) in all.bug.chain.iter_mut().zip([break_, fix]) {
            (step.commit, step.files) = (Some(commit.to_string().parse().unwrap()), vec![newer.to_owned()]);
        }
        (all.break_, all.fix, all.questions) = (break_, fix, Vec::new());
        all.ask_later("itself", fix, Told(Fixed));
        all.ask_later("never", all.base, Told(NeverHad));
        let (broken, fixed) = (all.broken(), all.fixed());
        all.ask_later("broken", broken, Told(Affected));
        all.ask_later("fixed", fixed, Told(Fixed));
        all.ask_later("undone", all.on(fixed, "net: tidy up", &file(OLD)), Open(Affected, Fixed));
        all.ask_later("undone in part", all.on(fixed, "net: tidy up", &file(PARTLY)), Open(Affected, Fixed));
        all.ask_later(
            "claimed only",
            all.on(broken, &all.claim(fix), &file(&format!("{OLD}\n"))),
            Open(Affected, Fixed),
        );
        for (name, limit) in turned_off(NEW, OLD) {
            all.ask_later(name, all.on(broken, &all.claim(fix), &file(&limit)), Open(Affected, Fixed));
        }
        if newer.ends_with("fragment.c") {
            all.ask_later("broken silently", all.on(all.base, "net: tidy up", &file(OLD)), Open(NeverHad, Affected));
        }
        all.check();
    }
}

#[test]
fn file_that_was_never_there_has_no_step() {
    let mut all = Placements::new();
    let newer = "net/newer/main.c";
    let break_ = all.fixture.commit(&[all.base], "net: new driver", &[(newer, &file(OLD))]);
    all.fixture.branch("newer", break_);
    all.bug.chain.truncate(1);
    all.bug.chain[0].commit = Some(break_.to_string().parse().unwrap());
    all.bug.chain[0].files = vec![newer.to_owned()];
    all.ask_later("it", break_, Told(Affected));
    all.ask_later("before it", all.base, Told(NeverHad));
    let other = "#include <net/queue.h>\nint main_of_another_driver;\n";
    let others = [("net/one/main.c", other), ("net/two/main.c", other), ("net/main.c", other)];
    let tip = all.fixture.commit(&[all.base], "net: drivers", &others);
    all.ask_later("before it, with others", tip, Told(NeverHad));
    let tip = all.fixture.commit(&[all.base], "net: the vendor's driver", &[("net/one/main.c", &file(OLD))]);
    all.ask_later("in a vendor's folder", tip, Open(NeverHad, Affected));
    let gone = all.fixture.commit(&[break_], "net: remove it", &[(newer, "")]);
    all.ask_later("removed", gone, Open(NeverHad, Affected));
    all.check();
}

#[test]
fn rename_is_not_blamed_for_lines_that_a_later_commit_removed() {
    let mut all = Placements::new();
    let fixed = all.fixed();
    let names = ["net/brief/split.c", "net/core/fragment_of_the_queue.c"];
    // A name that the file had for only one commit, long ago.
    let brief = all.fixture.commit(&[fixed], "net: rename it", &[(FILE, ""), (names[0], &file(NEW))]);
    let mut tip = all.fixture.commit(&[brief], "net: rename it again", &[(names[0], ""), (names[1], &file(NEW))]);
    for n in 0..9 {
        tip = all.fixture.commit(&[tip], format!("net: {n}"), &[("net/other.c", &format!("int other_{n};\n"))]);
    }
    let rewritten = "\tif (is_above_all_limits_of_the_queue(queue, packet))\n\t\treturn -ENOMEM;\n";
    let removed = all.fixture.commit(&[tip], "net: tidy up", &[(names[1], &file(""))]);
    let rewrote = all.fixture.commit(&[tip], "net: do it better", &[(names[1], &file(rewritten))]);
    all.ask_later("renamed twice", tip, Told(Fixed));
    all.ask_later("removed", removed, Open(Affected, Fixed));
    all.ask_later("rewritten", rewrote, Open(Affected, Fixed));
    let release = all.fixture.commit(&[removed], "Linux 4.19.70\n", &[("Makefile", &makefile("4.19.70"))]);
    all.fixture.tag("v4.19.70", release);
    let vendor = all.fixture.commit(&[release], "net: a vendor's own", &[("net/other.c", "int ours;\n")]);
    all.ask_later("removed by kernel.org", vendor, Told(Fixed));
    all.check();
    let why = all.fixture.index().ask(&all.bug, "q-1").unwrap();
    let says = format!("{} {:?}", why.finding.why, why.warnings);
    assert!(says.contains("tidy up") && !says.contains("rename it"), "{says}");
}
