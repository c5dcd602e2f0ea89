use super::*;
use crate::kernel::build::{CodeDifference, FunctionDifference};
use crate::run::{FunctionReach, SeedCount};

fn difference(functions: &[&str], data: &[&str]) -> CodeDifference {
    let function = |name: &&str| FunctionDifference {
        object: "net/a.o".to_owned(),
        name: (*name).to_owned(),
        before: Some(10),
        after: Some(12),
    };
    CodeDifference {
        functions: functions.iter().map(function).collect(),
        data: data.iter().map(|name| (*name).to_owned()).collect(),
        objects: Vec::new(),
    }
}

fn reach(functions: &[(&str, u32, u64, Option<&str>)]) -> CellReach {
    let one = |(name, boots, entries, why): &(&str, u32, u64, Option<&str>)| {
        let not_counted = why.map(str::to_owned);
        ((*name).to_owned(), FunctionReach { boots: *boots, entries: *entries, not_counted })
    };
    functions.iter().map(one).collect()
}

#[test]
fn verdicts_and_purpose_decide_the_flip() {
    use Flip::{Flips, NoVerdict, StaysAffected, StaysGood, WrongDirection};
    use Verdict::{Affected, NotAffected, Unknown};
    for (without, with, repair, breaks) in [
        (Affected, NotAffected, Flips, WrongDirection),
        (NotAffected, Affected, WrongDirection, Flips),
        (Affected, Affected, StaysAffected, StaysAffected),
        (NotAffected, NotAffected, StaysGood, StaysGood),
        (Unknown, NotAffected, NoVerdict, NoVerdict),
        (Affected, Unknown, NoVerdict, NoVerdict),
    ] {
        assert_eq!(Flip::of(without, with, Purpose::Repair), repair);
        assert_eq!(Flip::of(without, with, Purpose::Break), breaks);
    }
    assert_eq!([Flips, StaysGood, NoVerdict].map(Flip::exit), [Exit::Clean, Exit::Affected, Exit::NoVerdict]);
}

#[test]
fn cause_is_said_only_where_it_is_known() {
    let (same, data) = (difference(&[], &[]), difference(&[], &["net/a.o: v"]));
    let (one, two) = (difference(&["f"], &[]), difference(&["f", "g"], &[]));
    let mixed = difference(&["f"], &["net/a.o: v"]);
    let unreached = reach(&[("f", 3, 0, None)]);
    let no_op = "no-op: the change compiles to the same code and data";
    for (same_image, file, difference, reach, says) in [
        (true, "net/b.c", Some(&same), &unreached, "no-op: in this configuration the kernel has no object of net/b.c"),
        (true, "net/a.c", Some(&same), &unreached, no_op),
        (true, "net/a.c", None, &unreached, no_op),
        (false, "net/a.h", Some(&same), &unreached, no_op),
        (
            false,
            "arch/x86/kernel/vmlinux.lds.S",
            Some(&same),
            &unreached,
            "the reason is not known: the images differ, in parts that are not compared",
        ),
        (false, "net/a.c", Some(&data), &unreached, "only data differs, and its uses cannot be counted: net/a.o: v"),
        (false, "net/a.c", Some(&one), &unreached, "never reached: f did not run while the reproducer did"),
        (
            false,
            "net/a.c",
            Some(&two),
            &reach(&[("f", 3, 42, None), ("g", 3, 0, None)]),
            "reached: f ran 42 times in 3 boots while the reproducer did, so the change is wrong or not enough",
        ),
        (
            false,
            "net/a.c",
            Some(&two),
            &reach(&[("f", 3, 0, None), ("g", 0, 0, Some("no such function"))]),
            "the reason is not known: g: not counted: no such function",
        ),
        (false, "net/a.c", Some(&two), &unreached, "the reason is not known: g: not counted"),
        (
            false,
            "net/a.c",
            Some(&mixed),
            &unreached,
            "the reason is not known: f did not run, but data differs, too: net/a.o: v",
        ),
        (
            false,
            "net/a.c",
            None,
            &unreached,
            "the reason is not known: the code of both kernels was not kept; an empty --cache builds them again",
        ),
    ] {
        let files = vec![file.to_owned()];
        let not_compiled = files.iter().filter(|file| *file == "net/b.c").cloned().collect();
        let change = CodeChange { files, not_compiled, same_image, difference: difference.cloned() };
        assert_eq!(NoFlipCause::of(&change, reach).to_string(), says);
    }
}

#[test]
fn silence_counts_only_if_it_is_no_chance() {
    let count = |tried, affected| Some(SeedCount { tried, affected, first: None, broken: 0 });
    for (bad, good, more) in [
        (count(3, 3), count(3, 0), None),
        (count(3, 2), count(3, 0), None),
        (count(3, 1), count(3, 0), Some(8)),
        (count(20, 1), count(20, 0), Some(59)),
        (count(20, 1), count(60, 0), None),
        (None, None, None),
    ] {
        assert_eq!(SeedCount::more_seeds(bad, good), more, "{bad:?}");
    }
}
