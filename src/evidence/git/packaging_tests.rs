//! Tests patches in a tree, in the forms of distributions.

use super::GitTestimony;
use super::fixture::*;
use crate::evidence::{StateSet, Strength};
use crate::words::State;

/// Files of a packaging tree: path and text.
type PackagingFiles<'a> = &'a [(&'a str, &'a str)];

fn diff(file: &str) -> String {
    format!("---\n--- a/{file}\n+++ b/{file}\n@@ -1 +1 @@\n-x\n+y\n")
}

fn patch(subject: &str, trailer: &str, file: &str) -> String {
    format!("From: A <a@b.c>\nSubject: [PATCH] {subject}\n\n{trailer}\n{}", diff(file))
}

#[test]
fn patches_of_a_series_count() {
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
    use State::{Affected, Fixed, NeverHad};
    let debian = "debian/patches/series";
    let table: &[(&str, PackagingFiles, State, Strength)] = &[
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
fn patches_count_only_where_surely_applied() {
    use State::{Affected, Fixed, HalfFixed, NeverHad};
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let break_ = patch("tcp: x", &format!("Upstream commit: {0}\ncommit {0} upstream.", mainline.break_), FILE);
    let fix = patch("tcp: y", &format!("commit {} upstream.", mainline.fix), FILE);
    let said_reversed = fix.replace("[PATCH] tcp: y", "[PATCH] Reverse of tcp: y");
    let unsaid = diff(FILE);
    let elsewhere = break_.replace(FILE, "drivers/x.c");
    let spec = |text: &str| format!("Name: kernel\nPatch1: b.patch\nPatch2: f.patch\n%prep\n{text}\n");
    let all = spec("%autosetup -p1");
    let none = spec("%setup -q");
    let some = spec("%patch1 -p1\n%if %{with_fix}\n%patch2 -p1\n%endif");
    let apply = spec("ApplyPatch b.patch\nApplyOptionalPatch f.patch");
    let commented = "Name: kernel\nPatch1: b.patch\n#Patch2: f.patch\n%prep\n%autosetup\n".to_owned();
    let big = "Name: kernel\nPatch1: patch-1-vendor.patch\n%prep\n%autosetup\n".to_owned();
    let taken = spec("%patch1 -p1\n%patch2 -p1\n%patch2 -Rp1");
    let gone = "Name: kernel\nPatch1: patch-1-%{vendor}.patch\n%prep\n%autosetup\n".to_owned();
    let turned = format!(
        "Subject: [PATCH] tcp: y\n\ncommit {} upstream.\n---\n--- a/{FILE}\n+++ b/{FILE}\n@@ -1,3 +1,3 @@\n \
         head_of_the_fragment_function\n-refuse_above_the_limit_and_slack\n+refuse_unless_it_is_the_write_queue\n",
        mainline.fix
    );
    const R: &str = "debian/patches/r.patch";
    const B: &str = "debian/patches/b.patch";
    const F: &str = "debian/patches/f.patch";
    let open: &[State] = &[NeverHad, Affected];
    let table: &[(&str, PackagingFiles, &[State], &str)] = &[
        ("a spec", &[("kernel.spec", &all), ("b.patch", &break_), ("f.patch", &fix)], &[Fixed], "b.patch says"),
        (
            "a spec and its sources",
            &[("SPECS/kernel.spec", &all), ("SOURCES/b.patch", &break_), ("SOURCES/f.patch", &fix)],
            &[Fixed],
            "SOURCES/f.patch says",
        ),
        ("Fedora's functions", &[("kernel.spec", &apply), ("b.patch", &break_), ("f.patch", &fix)], &[Fixed], ""),
        (
            "a condition",
            &[("kernel.spec", &some), ("b.patch", &break_), ("f.patch", &fix)],
            &[Affected, Fixed],
            "f.patch names the fix",
        ),
        (
            "a comment",
            &[("kernel.spec", &commented), ("b.patch", &break_), ("f.patch", &fix)],
            &[Affected, Fixed],
            "f.patch names the fix",
        ),
        ("a spec that applies none", &[("kernel.spec", &none), ("b.patch", &break_)], open, "b.patch names the break"),
        (
            "two specs",
            &[("kernel.spec", &all), ("kernel-rt.spec", &none), ("b.patch", &break_), ("f.patch", &fix)],
            open,
            "b.patch names the break",
        ),
        ("one large patch", &[("kernel.spec", &big), ("patch-1-vendor.patch", &unsaid)], open, "does not say"),
        ("a patch that is not there", &[("kernel.spec", &gone), ("b.patch", &elsewhere)], &[NeverHad], ""),
        ("a patch of other files", &[("target/linux/generic/pending-6.6/1.patch", &elsewhere)], &[NeverHad], ""),
        ("a packed patch", &[("PKGBUILD", "x"), ("b.patch.xz", "\u{1}")], open, "b.patch.xz cannot be read"),
        (
            "a series with a reversal",
            &[("debian/patches/series", "b.patch\nf.patch -R\n"), (B, &break_), (F, &fix)],
            &[Affected, Fixed],
            "f.patch",
        ),
        (
            "a series with a long option",
            &[("debian/patches/series", "b.patch\nf.patch --reverse\n"), (B, &break_), (F, &fix)],
            &[Affected, Fixed],
            "f.patch",
        ),
        (
            "a series with a cluster of options",
            &[("debian/patches/series", "b.patch\nf.patch -Rp1\n"), (B, &break_), (F, &fix)],
            &[Affected, Fixed],
            "f.patch",
        ),
        (
            "a series with a level",
            &[("debian/patches/series", "b.patch -p1\nf.patch -p 1\n"), (B, &break_), (F, &fix)],
            &[Fixed],
            "",
        ),
        (
            "a series that reverses the break",
            &[("debian/patches/series", "b.patch\nb.patch -R\n"), (B, &break_)],
            &[NeverHad, Affected],
            "b.patch",
        ),
        (
            "SUSE's series with a reversal",
            &[
                ("series.conf", "\tpatches.suse/b\n\tpatches.suse/f -R\n"),
                ("patches.suse/b", &break_),
                ("patches.suse/f", &fix),
            ],
            &[Affected, Fixed],
            "patches.suse/f",
        ),
        (
            "a patch whose subject says that it is reversed",
            &[("debian/patches/series", "b.patch\nf.patch\n"), (B, &break_), (F, &said_reversed)],
            &[Affected, Fixed],
            "f.patch",
        ),
        (
            "a patch whose lines are reversed, alone",
            &[("debian/patches/series", "b.patch\nr.patch\n"), (B, &break_), (R, &turned)],
            &[Affected, Fixed],
            "r.patch",
        ),
        (
            "a series that applies and takes out",
            &[("debian/patches/series", "b.patch -p1\nf.patch\nf.patch -R\n"), (B, &break_), (F, &fix)],
            &[Affected, Fixed],
            "f.patch",
        ),
        (
            "a spec that takes out",
            &[("kernel.spec", &taken), ("b.patch", &break_), ("f.patch", &fix)],
            &[Affected, Fixed],
            "",
        ),
        (
            "a series with a patch whose lines are reversed",
            &[("debian/patches/series", "b.patch\nf.patch\nr.patch\n"), (B, &break_), (F, &fix), (R, &turned)],
            &[Affected, Fixed],
            "r.patch",
        ),
        (
            "a series, and a patch beside it",
            &[("debian/patches/series", "\n"), ("debian/patches/b.patch", &break_)],
            &[NeverHad],
            "",
        ),
    ];
    let mut number = 0;
    let mut judge = |says: &str, files: PackagingFiles, expected: &[State], why: &str| {
        let tip = fixture.commit(&[mainline.v4_19], format!("packaging: {says}"), files);
        number += 1;
        fixture.branch(&format!("packaging-{number}"), tip);
        let finding = fixture.ask(&bug, &format!("packaging-{number}")).finding;
        assert!(finding.why.contains(why), "{says}: {}", finding.why);
        if let [only] = expected {
            assert_eq!(
                (finding.states.only(), finding.strength),
                (Some(*only), Strength::Strong),
                "{says}: {}",
                finding.why
            );
        } else {
            assert!(expected.iter().all(|state| finding.states.contains(*state)), "{says}: {}", finding.why);
        }
    };
    for (says, files, expected, why) in table {
        judge(says, files, expected, why);
    }
    for place in [
        "target/linux/generic/backport-6.6/100-tcp.patch",
        "target/linux/ath79/patches-6.6/100-tcp.patch",
        "main/linux-lts/tcp.patch",
        "0001-tcp.patch",
        "sys-kernel/some-sources/files/tcp.patch",
        "1000_linux-4.19.1.patch",
        "recipes-kernel/linux/files/tcp.patch",
        "srcpkgs/linux4.19/patches/tcp.patch",
        "pkgs/os-specific/linux/kernel/tcp.patch",
        "board/acme/patches/linux/tcp.patch",
        "patch/kernel/archive/tcp.patch",
        "patches/kernel/tcp.diff",
        "debian/patches-rt/tcp.patch",
    ] {
        judge(place, &[(place, &break_)], open, &format!("{place} names the break and may be applied"));
        judge(place, &[(place, &unsaid)], open, &format!("{place} changes files of the break"));
    }
    // A revert that may be applied.
    let revert = patch(&format!("Revert \"{FIX_SUBJECT}\""), &format!("This reverts commit {}.", mainline.fix), FILE);
    let tip = fixture.commit(&[mainline.tip], "packaging", &[("patches/kernel/revert.patch", &revert)]);
    fixture.branch("revert", tip);
    let finding = fixture.ask(&bug, "revert").finding;
    assert!(finding.states.contains(Fixed) && finding.states.contains(HalfFixed), "{}", finding.why);
}

#[test]
fn patch_that_silently_reverses_lines_leaves_it_open() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let turned = |new: &str| {
        format!(
            "Subject: tcp: old check\n\n--- a/{FILE}\n+++ b/{FILE}\n@@ -1,3 +1,3 @@\n head_of_the_fragment_function\n\
             -refuse_above_the_limit_and_slack\n+{new}\n"
        )
    };
    let (half, other) = (turned("refuse_unless_it_is_the_write_queue"), turned("refuse_in_some_other_way_of_ours"));
    let more = turned("x").replace("-refuse_above", "+refuse_sometimes_above");
    for (branch, series, patch, is_open) in [
        ("series", "tcp.patch\n", &half, true),
        ("other", "tcp.patch\n", &other, true),
        ("lying", "", &half, true),
        ("more", "tcp.patch\n", &more, false),
    ] {
        let (list, place) = ("debian/patches/series", "debian/patches/tcp.patch");
        let lying = [("patches/tcp.patch", patch.as_str())];
        let listed = [(list, series), (place, patch.as_str())];
        let files: PackagingFiles = if series.is_empty() { &lying } else { &listed };
        fixture.branch(branch, fixture.commit(&[mainline.tip], "Import", files));
        let states = fixture.ask(&bug, branch).finding.states;
        assert_eq!(states != [State::Fixed].into_iter().collect(), is_open, "{branch}: {states:?}");
        assert!(states.contains(State::Fixed), "{branch}");
    }
}

#[test]
fn packaging_without_a_kernel_is_described() {
    let fixture = Fixture::new();
    let mainline = fixture.mainline();
    let bug = bug(&mainline);
    let break_ = patch("tcp: x", &format!("commit {} upstream.", mainline.break_), FILE);
    let fix = patch("tcp: y", &format!("commit {} upstream.", mainline.fix), FILE);
    let spec = "Name: kernel\nPatch1: b.patch\nPatch2: f.patch\n%prep\n%autosetup\n";
    let import = fixture.commit(&[], "Import", &[("kernel.spec", spec), ("b.patch", &break_), ("f.patch", &fix)]);
    fixture.branch("fixed", import);
    let fixed = fixture.ask(&bug, "fixed").finding;
    let repaired: StateSet = [State::Fixed, State::FixedWithDefect].into_iter().collect();
    assert_eq!((fixed.states, fixed.strength), (repaired, Strength::Strong), "{}", fixed.why);
    let recipe = fixture.commit(&[], "Import", &[("main/linux-lts/APKBUILD", "x"), ("main/linux-lts/a.patch", "x\n")]);
    fixture.branch("alpine", recipe);
    let finding = fixture.ask(&bug, "alpine").finding;
    assert_eq!(finding.states, StateSet::all(), "{}", finding.why);
    let says = "the tree has 1 patches, of which 0 are surely applied (by main/linux-lts/APKBUILD)";
    assert!(finding.why.contains(says) && finding.why.contains("patched tree as source"), "{}", finding.why);
}
