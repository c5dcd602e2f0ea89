//! Tests whether a missing step proves absence.

use super::fixture::*;
use crate::evidence::StateSet;
use crate::words::State;

#[test]
fn content_of_a_merge_leaves_the_state_open() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let broken = half_fixed(&fixture, &mainline);
    let fixed = fixture.line(broken, &[(&picked(FIX_SUBJECT, mainline.fix), FIXED)]);
    let other = fixture.commit(&[broken], "net: other", &[("net/o.c", "x\n")]);
    fixture.branch("undone", fixture.commit(&[fixed, other], "Merge other", &[(FILE, HALF)]));
    fixture.branch("brought", fixture.commit(&[broken, other], "Merge other", &[(FILE, FIXED)]));
    // No message mentions the break, but the files have it.
    fixture.branch("squashed", fixture.commit(&[on_4_19(&fixture, &mainline)], "Update", &[(FILE, BROKEN)]));
    use State::{Affected, Fixed, HalfFixed, NeverHad};
    for (branch, states, says) in [
        ("undone", &[HalfFixed, Fixed][..], "took it out"),
        ("brought", &[HalfFixed, Fixed], "brought them"),
        ("squashed", &[NeverHad, Affected], "brought them"),
    ] {
        let finding = fixture.ask(&bug, branch).finding;
        assert_eq!((finding.states, finding.why.contains(says)), (set(states), true), "{branch}: {finding:?}");
    }
}

#[test]
fn absence_counts_only_in_a_complete_history() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let import = |version: &str, text: &str| {
        let files = [("Makefile", makefile(version)), (FILE, text.to_owned())];
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        fixture.commit(&[], format!("Import {version}"), &files)
    };
    let branch = |name: &str, commit| fixture.branch(name, commit);
    branch("import-old", import("4.19.51", "a_text_of_a_vendor_kernel\n"));
    // A vendor may keep the tag of the release that it imports.
    let tagged = import("4.14.35", "a_text_of_a_vendor_kernel\n");
    branch("import-tagged", tagged);
    fixture.tag("v4.14.35", tagged);
    branch("import-late", import("4.19.57", "a_text_of_a_vendor_kernel\n"));
    branch("import-ended", import("4.20.3", "a_text_of_a_vendor_kernel\n"));
    branch("import-unknown", import("3.18.20", "a_text_of_a_vendor_kernel\n"));
    branch("import-mainline", import("5.2-rc5", "a_text_of_a_vendor_kernel\n"));
    // Commits before the break's own commit don't matter.
    let late = import("4.19.57", "a_text_of_a_vendor_kernel\n");
    branch("import-then-break", fixture.line(late, &[(&format!("x\n\ncommit {} upstream.", mainline.break_), BROKEN)]));
    // A stable update in one commit.
    let update =
        fixture.commit(&[on_4_19(&fixture, &mainline)], "Update to 4.19.62", &[("Makefile", &makefile("4.19.62"))]);
    branch("squashed-update", update);
    // Another project's history was merged in.
    let foreign = fixture.commit(&[], "btrfs: initial", &[("fs/btrfs/x.c", "x\n"), ("Makefile", "obj-m := btrfs.o\n")]);
    branch("merged-in", fixture.commit(&[mainline.v4_19, foreign], "Merge btrfs", &[("fs/btrfs/x.c", "x\n")]));
    // A repository to which a kernel was added later.
    let readme = fixture.commit(&[], "Initial commit", &[("README", "x\n")]);
    let files = [("Makefile", makefile("4.19.50")), (FILE, "a_text_of_a_vendor_kernel\n".to_owned())];
    let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
    branch("import-later", fixture.commit(&[readme], "Add kernel source", &files));
    // A line that the dossier does not list.
    let jump = makefile("4.16.9");
    branch("jump", fixture.commit(&[mainline.v4_14], "Merge 4.16.9 into vendor", &[("Makefile", &jump)]));
    // Not a kernel.
    branch("foreign", foreign);
    let never = set(&[State::NeverHad]);
    for (branch, states, says) in [
        ("import-old", StateSet::all(), "a 4.19.51, which may already have steps"),
        ("import-tagged", StateSet::all(), "a 4.14.35, which may already have steps"),
        ("import-late", StateSet::all(), "a 4.19.57, which may already have steps"),
        ("import-ended", StateSet::all(), "a 4.20.3, which may already have steps"),
        ("import-unknown", StateSet::all(), "a 3.18.20, which"),
        ("import-mainline", StateSet::all(), "a 5.2.0-rc5, which may already have steps"),
        ("import-then-break", set(&[State::Affected, State::HalfFixed]), "a 4.19.57 has it"),
        ("squashed-update", StateSet::all(), "squashed update"),
        ("merged-in", never, ""),
        ("import-later", StateSet::all(), "adds a kernel without its history"),
        ("jump", StateSet::all(), "turns a 4.14.0 into a 4.16.9 in one commit"),
        ("foreign", StateSet::all(), "no readable kernel Makefile"),
    ] {
        let finding = fixture.ask(&bug, branch).finding;
        // A kernel whose version doesn't need the fix of the fix is never fixed with that defect.
        let expected: StateSet = match branch {
            "foreign" => states,
            "import-unknown" | "import-tagged" => states,
            _ => states.iter().filter(|state| *state != State::FixedWithDefect).collect(),
        };
        assert_eq!((finding.states, finding.why.contains(says)), (expected, true), "{branch}: {}", finding.why);
    }
}

#[test]
fn cut_is_trusted_only_at_a_release() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let vendor =
        fixture.commit(&[mainline.v4_19], "Import the vendor's 4.19.17", &[("Makefile", &makefile("4.19.17"))]);
    fixture.tag("v4.19.17", vendor);
    let vendor = fixture.commit(&[vendor], "net: of its own", &[("net/v.c", "x\n")]);
    fixture.branch("vendor", vendor);
    let stable = fixture.commit(&[mainline.v4_19], "Linux 4.19.50", &[("Makefile", &makefile("4.19.50"))]);
    fixture.branch("untagged", fixture.commit(&[stable], "net: more", &[("net/s.c", "x\n")]));
    let release = fixture.commit(&[mainline.v4_19], "Linux 4.19.51", &[("Makefile", &makefile("4.19.51"))]);
    fixture.tag("v4.19.51", release);
    fixture.branch("release", fixture.commit(&[release], "net: more", &[("net/s.c", "x\n")]));
    let cuts: String = [vendor, stable, release].iter().map(|cut| format!("{cut}\n")).collect();
    std::fs::write(fixture.path().join("shallow"), cuts).unwrap();
    for (branch, is_told) in [("vendor", false), ("untagged", false), ("release", true)] {
        let finding = fixture.ask(&bug, branch).finding;
        assert_eq!(finding.states.only() == Some(State::NeverHad), is_told, "{branch}: {}", finding.why);
        assert_eq!(finding.why.contains("may already have steps"), !is_told, "{branch}: {}", finding.why);
    }
}
