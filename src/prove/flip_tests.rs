use super::*;
use crate::kernel::build::FunctionDifference;
use crate::run::FunctionReach;

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
fn cause_is_the_first_that_is_known() {
    let (same, code, data) =
        (difference(&[], &[]), difference(&["f"], &["net/a.o: v"]), difference(&[], &["net/a.o: v"]));
    let counted = reach(&[("f", 3, 0, None)]);
    for (same_image, not_compiled, difference, reach, says) in [
        (true, &["net/b.c"][..], Some(&same), &counted, "no-op: this configuration doesn't compile net/b.c"),
        (true, &[], Some(&same), &counted, "no-op: the change compiles to the same code and data"),
        (true, &[], None, &counted, "no-op: the change compiles to the same code and data"),
        (false, &[], Some(&same), &counted, "no-op: the change compiles to the same code and data"),
        (false, &[], Some(&data), &counted, "only data differs, and nobody counts its use: net/a.o: v"),
        (false, &[], Some(&code), &counted, "never reached: f did not run while the reproducer did"),
        (
            false,
            &[],
            Some(&code),
            &reach(&[("f", 3, 42, None), ("g", 3, 0, None)]),
            "reached: f ran 42 times in 3 boots while the reproducer did, so the change is wrong or not enough",
        ),
        (
            false,
            &[],
            Some(&code),
            &reach(&[("f", 3, 0, None), ("g", 0, 0, Some("no such function"))]),
            "whether the changed code ran is not known: g: not counted: no such function",
        ),
        (
            false,
            &[],
            Some(&code),
            &reach(&[]),
            "whether the changed code ran is not known: no guest counted its functions",
        ),
        (
            false,
            &[],
            None,
            &counted,
            "whether the changed code ran is not known: the code of both kernels was not kept: build them again with an \
             empty cache",
        ),
    ] {
        let not_compiled = not_compiled.iter().map(|file| (*file).to_owned()).collect();
        let change = ChangedCode { files: 1, not_compiled, same_image, difference };
        assert_eq!(NoFlipCause::of(&change, reach).to_string(), says);
    }
}
