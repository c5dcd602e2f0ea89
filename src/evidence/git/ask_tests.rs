use super::fixture::*;
use super::{GitTestimony, How};
use crate::evidence::{StateSet, Strength};
use crate::words::{Role, State};

fn of(testimony: &GitTestimony, role: Role) -> &super::StepFound {
    testimony.steps.iter().find(|step| step.role == role).unwrap()
}

fn set(states: &[State]) -> StateSet {
    states.iter().copied().collect()
}

#[test]
fn mainline_s_own_releases_are_told_by_ancestry() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    for (revision, state) in [
        ("v4.14", State::NeverHad),
        ("v4.19", State::NeverHad),
        ("v5.2-rc6", State::HalfFixed),
        ("v5.2-rc6~1", State::HalfFixed),
        ("v5.2-rc6~2", State::Affected),
        ("v5.3-rc2", State::Fixed),
        ("master", State::Fixed),
    ] {
        let testimony = fixture.ask(&bug, revision);
        let finding = &testimony.finding;
        assert_eq!((finding.states.only(), finding.strength), (Some(state), Strength::Strong), "{}", finding.why);
    }
    let fixed = fixture.ask(&bug, "master");
    let fix = of(&fixed, Role::Fix);
    assert_eq!((fix.how.clone(), fix.first_tag.as_deref()), (How::Itself, Some("v5.3-rc2")));
    assert_eq!(of(&fixed, Role::Break).first_tag.as_deref(), Some("v5.2-rc6"));
    assert_eq!(of(&fixed, Role::FixOfFix).how, How::NotNeeded);
    assert_eq!(fixed.warnings, [""; 0]);
}

/// Asks about a branch of each row's name, and compares the states, the strength, and how a step was recognised.
fn on_4_14(fixture: &Fixture, mainline: &Mainline, sublevel: u32) -> git2::Oid {
    let version = format!("4.14.{sublevel}");
    fixture.commit(&[mainline.v4_14], format!("Linux {version}"), &[("Makefile", &makefile(&version))])
}

fn on_4_19(fixture: &Fixture, mainline: &Mainline) -> git2::Oid {
    fixture.commit(&[mainline.v4_19], "Linux 4.19.50", &[("Makefile", &makefile("4.19.50"))])
}

#[test]
fn every_form_of_backport_is_found_and_nothing_that_only_speaks_of_it() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let base = on_4_19(&fixture, &mainline);
    let forms: &[(&str, bool)] = &[
        ("commit {} upstream.", true),
        ("[ Upstream commit {} ]", true),
        ("(cherry picked from commit {})", true),
        ("(backported from commit {})", true),
        ("Git-commit: {}\nPatch-mainline: v5.3-rc2", true),
        ("Upstream-commit: {}", true),
        ("Origin: upstream, https://git.kernel.org/linus/{}", true),
        ("Upstream-Status: Backport [https://git.kernel.org/linus/{}]", true),
        ("mainline inclusion\nfrom mainline-v5.3-rc2\ncommit {}", true),
        ("This is a backport of commit {}.", true),
        ("Backport of {} upstream.", true),
        ("upstream {} commit.", true),
        ("backport of stable commit {}", true),
        ("(cherry picked from commit\n{}\ngit://git.example.org/x)", true),
        ("This is not commit {} upstream, but near it.", false),
        ("Fixes: {}", false),
        ("Since commit {} upstream we are careful.", false),
    ];
    for (at, (form, _)) in forms.iter().enumerate() {
        let say = |oid: git2::Oid| format!("net: some vendor's subject\n\n{}\n", form.replace("{}", &oid.to_string()));
        let broken = fixture.line(base, &[(&say(mainline.break_), "a_text_of_the_vendor_s_own\n")]);
        fixture.branch(&format!("broken-{at}"), broken);
        fixture.branch(&format!("fixed-{at}"), fixture.line(broken, &[(&say(mainline.fix), "another_text\n")]));
    }
    let index = fixture.index();
    for (at, (form, found)) in forms.iter().enumerate() {
        for (branch, state) in [("broken", State::Affected), ("fixed", State::Fixed)] {
            let testimony = index.ask(&bug, &format!("{branch}-{at}")).unwrap();
            let finding = &testimony.finding;
            // Who speaks of the step and claims nothing may have it in words that are not known.
            if *found {
                let told = (finding.states.only(), finding.strength);
                assert_eq!(told, (Some(state), Strength::Strong), "{form}: {finding:?}");
            } else {
                assert!(
                    finding.states.contains(State::NeverHad) && finding.states.contains(state),
                    "{form}: {finding:?}"
                );
            }
            let how = &of(&testimony, Role::Break).how;
            assert_eq!(matches!(how, How::Trailer { .. }), *found, "{form}: {how}");
        }
    }
}

#[test]
fn an_abbreviated_name_counts_where_it_can_mean_one_commit_only() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let base = on_4_19(&fixture, &mainline);
    for digits in [8, 11, 12, 20] {
        let message = format!("x: y\n\ncommit {} upstream.\n", &mainline.break_.to_string()[..digits]);
        fixture.branch(&format!("with-{digits}"), fixture.line(base, &[(&message, BROKEN)]));
    }
    // Another commit's abbreviation.
    let message = format!("x: y\n\ncommit {} upstream.\n", &mainline.half_fix.to_string()[..12]);
    fixture.branch("another", fixture.line(base, &[(&message, "text_of_another_commit\n")]));
    for digits in [8, 11, 12, 20] {
        let states = fixture.ask(&bug, &format!("with-{digits}")).finding.states;
        assert_eq!(states.only(), Some(State::Affected), "{digits}");
    }
    assert_eq!(of(&fixture.ask(&bug, "another"), Role::Break).how, How::NotFound);

    // Eight digits of a commit that the repository does not have may mean anything.
    let mut elsewhere = bug.clone();
    let foreign = "0123456789abcdef0123456789abcdef01234567";
    elsewhere.chain[0].commit = Some(foreign.parse().unwrap());
    elsewhere.chain[0].subject = "no such subject".to_owned();
    for (digits, found) in [(8, false), (10, true), (12, true)] {
        let message = format!("x: z\n\ncommit {} upstream.\n", &foreign[..digits]);
        fixture.branch("foreign", fixture.line(base, &[(&message, BROKEN)]));
        let how = of(&fixture.ask(&elsewhere, "foreign"), Role::Break).how.clone();
        assert_eq!(matches!(how, How::Trailer { .. }), found, "{digits}: {how}");
    }
}

#[test]
fn known_backports_and_what_is_picked_from_them_are_found() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let mut bug = bug(&mainline);
    let base = on_4_19(&fixture, &mainline);
    // The dossier knows it; its message says nothing.
    let known = fixture.line(base, &[("tcp: stable's own words", BROKEN)]);
    fixture.branch("known", known);
    bug.chain[0].backports = vec![backport("4.19", known, true)];
    // A vendor picks from stable, and another one from that vendor.
    let vendor = fixture.commit(&[base], format!("v: x\n\n(cherry picked from commit {known})\n"), &[(FILE, BROKEN)]);
    fixture.branch("vendor", vendor);
    let second = fixture.commit(&[base], format!("w: x\n\n(cherry picked from commit {vendor})\n"), &[(FILE, BROKEN)]);
    fixture.branch("second", second);
    for (branch, expected) in [
        ("known", How::KnownBackport { line: "4.19".to_owned(), differs: true }),
        ("vendor", How::Trailer { line: format!("(cherry picked from commit {known})") }),
        ("second", How::Trailer { line: format!("(cherry picked from commit {vendor})") }),
    ] {
        let testimony = fixture.ask(&bug, branch);
        assert_eq!(of(&testimony, Role::Break).how, expected);
        assert_eq!(testimony.finding.states.only(), Some(State::Affected), "{}", testimony.finding.why);
    }
    assert!(fixture.ask(&bug, "known").finding.why.contains("another patch under the same subject"));
}

#[test]
fn a_subject_alone_is_a_hint_and_the_same_patch_is_evidence() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let base = on_4_19(&fixture, &mainline);
    let broken = fixture.line(base, &[(BREAK_SUBJECT, BROKEN), (HALF_SUBJECT, HALF)]);
    fixture.branch("same-patch", fixture.line(broken, &[(FIX_SUBJECT, FIXED)]));
    let slack = "head_of_the_fragment_function\nrefuse_above_twice_128_kib\nmore_of_it_in_this_old_kernel\n";
    fixture.branch("other-patch", fixture.line(broken, &[(FIX_SUBJECT, slack)]));
    let elsewhere = fixture.commit(&[broken], FIX_SUBJECT, &[("drivers/x.c", "something_else_entirely\n")]);
    fixture.branch("other-file", elsewhere);
    let other = fixture.commit(&[mainline.tip], "tcp: another fix", &[("net/other.c", "of_another_commit_s_own\n")]);
    fixture.branch("next", other);
    let trap = format!("{FIX_SUBJECT}\n\n[ Upstream commit {other} ]\n");
    fixture.branch("other-upstream", fixture.line(broken, &[(&trap, slack)]));
    let marked = format!("BACKPORT: {FIX_SUBJECT}");
    fixture.branch("marked", fixture.line(broken, &[(&marked, slack)]));
    use State::{Fixed, HalfFixed};
    for (branch, how, state, strength) in [
        ("same-patch", "the same patch", Fixed, Strength::Strong),
        ("other-patch", "same subject, different patch", Fixed, Strength::Weak),
        ("marked", "same subject, different patch", Fixed, Strength::Weak),
        ("other-file", "not found", HalfFixed, Strength::Strong),
        ("other-upstream", "not found", HalfFixed, Strength::Strong),
    ] {
        let testimony = fixture.ask(&bug, branch);
        let found = of(&testimony, Role::Fix).how.to_string();
        assert!(found.starts_with(how), "{branch}: {found}");
        let finding = testimony.finding;
        assert_eq!((finding.states.only(), finding.strength), (Some(state), strength), "{branch}: {}", finding.why);
        assert_eq!(testimony.warnings.len(), usize::from(how == "not found"), "{branch}: {:?}", testimony.warnings);
    }
}

#[test]
fn a_kernel_before_4_15_needs_the_mend_of_the_fix() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let picked = |subject: &str, oid| format!("{subject}\n\ncommit {oid} upstream.\n");
    let fixed = fixture.line(
        on_4_14(&fixture, &mainline, 140),
        &[
            (&picked(BREAK_SUBJECT, mainline.break_), BROKEN),
            (&picked(HALF_SUBJECT, mainline.half_fix), HALF),
            (&picked(FIX_SUBJECT, mainline.fix), FIXED),
        ],
    );
    fixture.branch("fixed", fixed);
    let fixes = format!("{MEND_SUBJECT}\n\nFixes: {} (\"tcp: be more careful\")\n", &fixed.to_string()[..12]);
    fixture.branch("mended", fixture.line(fixed, &[(&fixes, MENDED)]));
    fixture.branch("hinted", fixture.line(fixed, &[(MEND_SUBJECT, MENDED)]));
    use State::{Fixed, FixedWithDefect};
    for (branch, states, how) in [
        ("fixed", &[FixedWithDefect][..], How::NotFound),
        ("mended", &[Fixed], How::SubjectAndFixes),
        ("hinted", &[Fixed, FixedWithDefect], How::SameSubject { patch: super::testimony::PatchCompared::Unknown }),
    ] {
        let testimony = fixture.ask(&bug, branch);
        assert_eq!((testimony.finding.states, testimony.finding.strength), (set(states), Strength::Strong), "{branch}");
        assert_eq!(of(&testimony, Role::FixOfFix).how, how);
    }
}

/// What happens to a stable branch, commit by commit: `+` applies the fix, `-N` reverts the commit at place N by name,
/// `~N` by its subject only, `/N` in part; `u-` and `u+` are backports of upstream's own revert and re-application.
#[test]
fn reverts_are_followed_to_any_depth() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let up_revert = fixture
        .line(mainline.tip, &[(&format!("Revert \"{FIX_SUBJECT}\"\n\nThis reverts commit {}.\n", mainline.fix), HALF)]);
    let up_again = fixture.line(up_revert, &[(FIX_SUBJECT, FIXED)]);
    fixture.branch("master", up_again);
    let picked = |subject: &str, oid| format!("{subject}\n\ncommit {oid} upstream.\n");
    let base = fixture.line(
        on_4_19(&fixture, &mainline),
        &[(&picked(BREAK_SUBJECT, mainline.break_), BROKEN), (&picked(HALF_SUBJECT, mainline.half_fix), HALF)],
    );
    use State::{Fixed, HalfFixed};
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
        let mut tip = base;
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
            // The file's text is left out of it: `what_the_files_say_…` is about that.
            let text = if *what == "-up" { format!("{HALF}x\n") } else { format!("t_{at}_{}\n", made.len()) };
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
fn a_revert_takes_out_what_came_before_it_and_nothing_beside_it() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let picked = |subject: &str, oid| format!("{subject}\n\ncommit {oid} upstream.\n");
    let base = fixture.line(on_4_19(&fixture, &mainline), &[(&picked(BREAK_SUBJECT, mainline.break_), BROKEN)]);
    let fix = |from| fixture.line(from, &[(&picked(FIX_SUBJECT, mainline.fix), FIXED)]);
    let revert = |from, of: git2::Oid| {
        fixture.line(from, &[(&format!("Revert \"{FIX_SUBJECT}\"\n\nThis reverts commit {of}.\n"), BROKEN)])
    };
    let stable = fix(base);
    let vendor = fix(base);
    // The vendor reverts its own pick, and then takes stable's.
    let cleared = revert(vendor, vendor);
    fixture.branch("beside", fixture.commit(&[cleared, stable], "Merge stable", &[(FILE, FIXED)]));
    // Both are in, and one of them is reverted: the lines are gone.
    let both = fixture.commit(&[vendor, stable], "Merge stable", &[(FILE, FIXED)]);
    fixture.branch("after", revert(both, stable));
    // A merge that brought it is reverted as a whole, and then that revert is.
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
        ("beside", State::Fixed),
        ("after", State::Affected),
        ("merge", State::Affected),
        ("merge-again", State::Fixed),
        ("other-merge", State::Fixed),
        ("octopus", State::Fixed),
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
fn what_a_merge_brings_or_takes_by_itself_leaves_the_state_open() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let picked = |subject: &str, oid| format!("{subject}\n\ncommit {oid} upstream.\n");
    let broken = fixture.line(
        on_4_19(&fixture, &mainline),
        &[(&picked(BREAK_SUBJECT, mainline.break_), BROKEN), (&picked(HALF_SUBJECT, mainline.half_fix), HALF)],
    );
    let fixed = fixture.line(broken, &[(&picked(FIX_SUBJECT, mainline.fix), FIXED)]);
    let other = fixture.commit(&[broken], "net: other", &[("net/o.c", "x\n")]);
    fixture.branch("undone", fixture.commit(&[fixed, other], "Merge other", &[(FILE, HALF)]));
    fixture.branch("brought", fixture.commit(&[broken, other], "Merge other", &[(FILE, FIXED)]));
    // Nobody says anything at all, and the break is there.
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
fn absence_is_told_only_where_the_history_can() {
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
    // What is before the break's own commit does not matter.
    let late = import("4.19.57", "a_text_of_a_vendor_kernel\n");
    branch("import-then-break", fixture.line(late, &[(&format!("x\n\ncommit {} upstream.", mainline.break_), BROKEN)]));
    // A stable update in one commit.
    let update =
        fixture.commit(&[on_4_19(&fixture, &mainline)], "Update to 4.19.62", &[("Makefile", &makefile("4.19.62"))]);
    branch("squashed-update", update);
    // Another project's history was merged in.
    let foreign = fixture.commit(&[], "btrfs: initial", &[("fs/btrfs/x.c", "x\n"), ("Makefile", "obj-m := btrfs.o\n")]);
    branch("merged-in", fixture.commit(&[mainline.v4_19, foreign], "Merge btrfs", &[("fs/btrfs/x.c", "x\n")]));
    // A folder of one's own, into which a kernel was put.
    let readme = fixture.commit(&[], "Initial commit", &[("README", "x\n")]);
    let files = [("Makefile", makefile("4.19.50")), (FILE, "a_text_of_a_vendor_kernel\n".to_owned())];
    let files = files.each_ref().map(|(path, text)| (*path, text.as_str()));
    branch("import-later", fixture.commit(&[readme], "Add kernel source", &files));
    // Of a line that the dossier does not know.
    let jump = makefile("4.16.9");
    branch("jump", fixture.commit(&[mainline.v4_14], "Merge 4.16.9 into vendor", &[("Makefile", &jump)]));
    // No kernel at all.
    branch("foreign", foreign);
    let never = set(&[State::NeverHad]);
    for (branch, states, says) in [
        ("import-old", StateSet::all(), "a 4.19.51, which may hold steps already"),
        ("import-tagged", StateSet::all(), "a 4.14.35, which may hold steps already"),
        ("import-late", StateSet::all(), "a 4.19.57, which may hold steps already"),
        ("import-ended", StateSet::all(), "a 4.20.3, which may hold steps already"),
        ("import-unknown", StateSet::all(), "a 3.18.20, which"),
        ("import-mainline", StateSet::all(), "a 5.2.0-rc5, which may hold steps already"),
        ("import-then-break", set(&[State::Affected, State::HalfFixed]), "a 4.19.57 has it"),
        ("squashed-update", StateSet::all(), "squashed update"),
        ("merged-in", never, ""),
        ("import-later", StateSet::all(), "brings a kernel in without its history"),
        ("jump", StateSet::all(), "makes a 4.16.9 of a 4.14.0 in one commit"),
        ("foreign", StateSet::all(), "no kernel's Makefile"),
    ] {
        let finding = fixture.ask(&bug, branch).finding;
        // A kernel whose version says that it needs no mend is never fixed with that defect.
        let expected: StateSet = match branch {
            "foreign" => states,
            "import-unknown" | "import-tagged" => states,
            _ => states.iter().filter(|state| *state != State::FixedWithDefect).collect(),
        };
        assert_eq!((finding.states, finding.why.contains(says)), (expected, true), "{branch}: {}", finding.why);
    }
}

#[test]
fn a_step_is_absent_only_where_nothing_that_changes_its_files_speaks_of_it() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let picked = |subject: &str, oid| format!("{subject}\n\ncommit {oid} upstream.\n");
    let broken = fixture.line(
        on_4_19(&fixture, &mainline),
        &[(&picked(BREAK_SUBJECT, mainline.break_), BROKEN), (&picked(HALF_SUBJECT, mainline.half_fix), HALF)],
    );
    let (fix, break_) = (mainline.fix.to_string(), mainline.break_.to_string());
    let other = fixture.commit(&[mainline.tip], format!("net: after\n\nAs in {fix}.\n"), &[(FILE, "other\n")]);
    fixture.branch("next", other);
    let text = "a_text_of_neither_kind_at_all\n";
    let table: &[(&str, String, &str, bool)] = &[
        ("bare", format!("net: x\n\n{fix}\n"), FILE, true),
        ("link", format!("net: x\n\nLink: https://git.kernel.org/linus/{fix}\n"), FILE, true),
        ("list", format!("Update\n\n* {FIX_SUBJECT} ({})\n* other\n", &fix[..12]), FILE, true),
        ("list of subjects", format!("Update\n\n- {FIX_SUBJECT}\n- net: other\n"), FILE, true),
        ("quoted", format!("net: x\n\nTake \"{FIX_SUBJECT}\" in.\n"), FILE, true),
        ("eight digits", format!("net: x\n\nas {} does\n", &fix[..8]), FILE, true),
        ("in the subject", format!("net: take {}\n", &fix[..12]), FILE, true),
        ("fixes the break", format!("net: x\n\nFixes: {} (\"x\")\n", &break_[..12]), FILE, true),
        ("another file", format!("net: x\n\n{fix}\n"), "net/o.c", false),
        ("seven digits, all decimal", format!("net: x\n\nas {} does\n", &fix[..7]), FILE, false),
        ("revert", format!("Revert \"{FIX_SUBJECT}\"\n\nThis reverts commit {fix}.\n"), FILE, false),
        ("words of upstream", format!("net: after\n\ncommit {other} upstream.\n\nAs in {fix}.\n"), FILE, false),
        ("silence", "net: x\n".to_owned(), FILE, false),
    ];
    for (name, message, file, _) in table {
        fixture.branch(&name.replace([' ', ','], "-"), fixture.commit(&[broken], message, &[(file, text)]));
    }
    // What a release took is known, as long as it has none of the step's lines.
    let released = fixture.commit(&[broken], &table[0].1, &[(FILE, &format!("{HALF}a_line_of_its_own_below\n"))]);
    let released = fixture.commit(&[released], "Linux 4.19.60\n", &[("Makefile", &makefile("4.19.60"))]);
    fixture.tag("v4.19.60", released);
    let index = fixture.index();
    for (name, _, _, speaks) in table.iter().chain([&("v4.19.60", String::new(), "", false)]) {
        let testimony = index.ask(&bug, &name.replace([' ', ','], "-")).unwrap();
        let expected = if *speaks { set(&[State::HalfFixed, State::Fixed]) } else { set(&[State::HalfFixed]) };
        assert_eq!(testimony.finding.states, expected, "{name}: {}", testimony.finding.why);
        let warned = testimony.warnings.iter().any(|warning| warning.contains("does not say what it is: read it"));
        assert_eq!(warned, *speaks, "{name}: {:?}", testimony.warnings);
    }
}

#[test]
fn a_cut_is_before_the_break_only_where_it_is_a_release_of_kernel_org() {
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
        assert_eq!(finding.why.contains("may hold steps already"), !is_told, "{branch}: {}", finding.why);
    }
}

#[test]
fn later_commits_that_fix_a_step_are_warned_of_once() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let message =
        |extra: &str| format!("tcp: fix the fix\n\n{extra}Fixes: {} (\"tcp\")\n", &mainline.fix.to_string()[..12]);
    let later = fixture.commit(&[mainline.tip], message(""), &[("net/later.c", "x\n")]);
    fixture.branch("next", later);
    for stable in 0..3 {
        let backport = message(&format!("[ Upstream commit {later} ]\n\n"));
        let base = fixture.commit(&[mainline.v4_19], format!("stable {stable}"), &[]);
        fixture.branch(&format!("stable-{stable}"), fixture.commit(&[base], backport, &[("net/later.c", "x\n")]));
    }
    for (revision, says) in [("master", "and is not in this revision"), ("next", "and is in this revision")] {
        let warnings = fixture.ask(&bug, revision).warnings;
        assert!(
            matches!(warnings.as_slice(), [one] if one.contains("tcp: fix the fix") && one.ends_with(says)),
            "{warnings:?}"
        );
    }
}

#[test]
fn patches_of_a_packaging_tree_count() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let base = on_4_19(&fixture, &mainline);
    let diff = format!("---\n--- a/{FILE}\n+++ b/{FILE}\n@@ -1 +1 @@\n-x\n+y\n");
    let patch =
        |subject: &str, trailer: &str| format!("From: A <a@b.c>\nSubject: [PATCH] {subject}\n\n{trailer}\n{diff}");
    let origin = |oid| format!("Origin: upstream, https://git.kernel.org/linus/{oid}");
    let break_ = patch(BREAK_SUBJECT, &origin(mainline.break_));
    let suse = patch("tcp: whatever", &format!("Git-commit: {}\nPatch-mainline: v5.3", mainline.fix));
    let exported = format!("From {} Mon Sep 17 00:00:00 2001\n{}", mainline.fix, patch("tcp: x", ""));
    let revert = patch(&format!("Revert \"{FIX_SUBJECT}\""), &format!("This reverts commit {}.", mainline.fix));
    let folded = format!("Subject: [PATCH] tcp: be more careful in\n fragment()\n\n{diff}");
    let elsewhere = folded.replace(FILE, "drivers/x.c");
    let claims_elsewhere = suse.replace(FILE, "drivers/x.c");
    let claims_nothing = suse.replace(&diff, "");
    let far_below = suse.replace(&diff, &format!("--- a/x.c\n+++ b/x.c\n{}{diff}", "+x\n".repeat(30_000)));
    let removes = suse.replace(&format!("+++ b/{FILE}"), "+++ /dev/null");
    type Files<'a> = &'a [(&'a str, &'a str)];
    use State::{Affected, Fixed, NeverHad};
    let debian = "debian/patches/series";
    let table: &[(&str, Files, State, Strength)] = &[
        (
            "break",
            &[(debian, "# x\nbugfix/all/break.patch\n"), ("debian/patches/bugfix/all/break.patch", &break_)],
            Affected,
            Strength::Strong,
        ),
        (
            "not in the series",
            &[(debian, "#break.patch\n"), ("debian/patches/break.patch", &break_)],
            NeverHad,
            Strength::Strong,
        ),
        (
            "SUSE",
            &[
                ("series.conf", "\t# comment\n\tpatches.suse/b\n\tpatches.suse/f # x\n"),
                ("patches.suse/b", &break_),
                ("patches.suse/f", &suse),
            ],
            Fixed,
            Strength::Strong,
        ),
        (
            "SUSE, guarded",
            &[
                ("series.conf", "\tpatches.suse/b\n+rt\tpatches.suse/f\n"),
                ("patches.suse/b", &break_),
                ("patches.suse/f", &suse),
            ],
            Affected,
            Strength::Strong,
        ),
        (
            "exported by git",
            &[(debian, "b\nf\n"), ("debian/patches/b", &break_), ("debian/patches/f", &exported)],
            Fixed,
            Strength::Strong,
        ),
        (
            "by subject",
            &[(debian, "b\nf\n"), ("debian/patches/b", &break_), ("debian/patches/f", &folded)],
            Fixed,
            Strength::Weak,
        ),
        (
            "by subject, of another file",
            &[(debian, "b\nf\n"), ("debian/patches/b", &break_), ("debian/patches/f", &elsewhere)],
            Affected,
            Strength::Strong,
        ),
        (
            "by trailer, of another file",
            &[(debian, "b\nf\n"), ("debian/patches/b", &break_), ("debian/patches/f", &claims_elsewhere)],
            Affected,
            Strength::Strong,
        ),
        (
            "by trailer, of nothing",
            &[(debian, "b\nf\n"), ("debian/patches/b", &break_), ("debian/patches/f", &claims_nothing)],
            Affected,
            Strength::Strong,
        ),
        (
            "by trailer, the file far below",
            &[(debian, "b\nf\n"), ("debian/patches/b", &break_), ("debian/patches/f", &far_below)],
            Fixed,
            Strength::Strong,
        ),
        (
            "by trailer, removing the file",
            &[(debian, "b\nf\n"), ("debian/patches/b", &break_), ("debian/patches/f", &removes)],
            Fixed,
            Strength::Strong,
        ),
        (
            "reverted by a later patch",
            &[
                (debian, "b\nf\nr\n"),
                ("debian/patches/b", &break_),
                ("debian/patches/f", &exported),
                ("debian/patches/r", &revert),
            ],
            Affected,
            Strength::Strong,
        ),
        ("out of the folder", &[(debian, "../../b\n/b\n"), ("b", &break_)], NeverHad, Strength::Strong),
    ];
    for (at, (_, files, ..)) in table.iter().enumerate() {
        fixture.branch(&format!("case-{at}"), fixture.commit(&[base], "packaging", files));
    }
    let index = fixture.index();
    for (at, (name, _, state, strength)) in table.iter().enumerate() {
        let GitTestimony { finding, warnings, .. } = index.ask(&bug, &format!("case-{at}")).unwrap();
        assert_eq!((finding.states.only(), finding.strength), (Some(*state), *strength), "{name}: {}", finding.why);
        let warned = warnings.iter().any(|warning| warning.contains("changes none of its files"));
        assert_eq!(warned, name.contains("of another file") || name.contains("of nothing"), "{name}: {warnings:?}");
    }
}

#[test]
fn a_step_that_a_later_commit_speaks_of_undoing_never_stands_for_certain() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let picked = |subject: &str, oid| format!("{subject}\n\ncommit {oid} upstream.\n");
    let base = fixture.line(
        on_4_19(&fixture, &mainline),
        &[(&picked(BREAK_SUBJECT, mainline.break_), BROKEN), (&picked(HALF_SUBJECT, mainline.half_fix), HALF)],
    );
    let fixed = fixture.line(base, &[(&picked(FIX_SUBJECT, mainline.fix), FIXED)]);
    let (sha, seven) = (fixed.to_string(), fixed.to_string()[..7].to_owned());
    use State::{Fixed, HalfFixed};
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
    // What brings the break back need not name the commit that took it out.
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
        assert!(finding.states.contains(State::Affected), "{name}: {finding:?}");
    }
}

#[test]
fn a_commit_that_says_it_is_the_step_and_changes_none_of_its_files_does_not_count() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let picked = |subject: &str, oid| format!("{subject}\n\ncommit {oid} upstream.\n");
    let broken = fixture.line(on_4_19(&fixture, &mainline), &[(&picked(BREAK_SUBJECT, mainline.break_), BROKEN)]);
    let docs = fixture.commit(&[broken], picked("docs: tcp", mainline.fix), &[("Documentation/tcp.rst", "text\n")]);
    fixture.branch("docs", docs);
    let testimony = fixture.ask(&bug, "docs");
    assert_eq!(testimony.finding.states.only(), Some(State::Affected), "{}", testimony.finding.why);
    assert!(testimony.warnings.iter().any(|w| w.contains("changes none of its files")), "{:?}", testimony.warnings);
}

#[test]
fn a_mend_of_another_file_does_not_keep_the_fix_from_being_compared() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let mut bug = bug(&mainline);
    bug.chain[3].files = vec!["include/net/tcp.h".to_owned()];
    let picked = |subject: &str, oid| format!("{subject}\n\ncommit {oid} upstream.\n");
    let broken = fixture.line(on_4_14(&fixture, &mainline, 140), &[(&picked(BREAK_SUBJECT, mainline.break_), BROKEN)]);
    let fixed = fixture.line(broken, &[(&picked(FIX_SUBJECT, mainline.fix), FIXED)]);
    let fixes = format!("{MEND_SUBJECT}\n\nFixes: {} (\"tcp\")\n", &fixed.to_string()[..12]);
    let mended = fixture.commit(&[fixed], fixes, &[("include/net/tcp.h", "x\n")]);
    let other = fixture.commit(&[broken], "net: other", &[("net/o.c", "x\n")]);
    fixture.branch("kept", fixture.commit(&[mended, other], "Merge", &[("net/o.c", "x\n")]));
    fixture.branch("dropped", fixture.commit(&[mended, other], "Merge", &[(FILE, BROKEN)]));
    assert_eq!(fixture.ask(&bug, "kept").finding.states, set(&[State::Fixed]));
    let finding = fixture.ask(&bug, "dropped").finding;
    assert!(finding.states.contains(State::Affected) && finding.why.contains("took it out"), "{finding:?}");
}
