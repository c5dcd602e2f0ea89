use proptest::prelude::*;

use super::message::{Abbreviation, MentionKind};
use super::subject::plain_subject;
use super::subject_forms::{doubted_subjects, reverted_subjects};
use super::trailers::mentions;

const X: &str = "b617158dc096709d8600c53b6052144d12b89fab";
const Y: &str = "f070ef2ac66716357066b683fb0baf55f8191a2e";

fn said(body: &str) -> Vec<(MentionKind, String)> {
    let message = format!("subject: of a commit\n\n{}\n", body.replace("$X", X).replace("$Y", Y));
    mentions(message.as_bytes()).iter().map(|m| (m.kind, m.commit.to_hex())).collect()
}

#[test]
fn trailers_of_every_form_are_read() {
    for form in [
        "commit $X upstream.",
        "commit $X upstream",
        "Commit $X upstream.",
        "$X upstream.",
        "[ Upstream commit $X ]",
        "[Upstream commit $X]",
        "[ commit $X upstream ]",
        "Upstream commit $X",
        "upstream commit $X.",
        "upstream: $X",
        "This is upstream commit $X.",
        "mainline commit $X",
        "(cherry picked from commit $X)",
        "    (cherry picked from commit $X)",
        "(cherry-picked from commit $X)",
        "(cherry picked from commit $X linux-next)",
        "(cherry picked from commit $X upstream)",
        "(cherry picked from upstream commit $X)",
        "(cherry picked from commit $X\n https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git master)",
        "(backported from commit $X)",
        "(backported from commit $X upstream)",
        "Git-commit: $X",
        "git-commit: $X",
        "Upstream-commit: $X",
        "Upstream commit: $X",
        "Mainline-commit: $X",
        "Origin: upstream, https://git.kernel.org/linus/$X",
        "Origin: backport, https://git.kernel.org/cgit/linux/kernel/git/torvalds/linux.git/commit/?id=$X",
        "Origin: https://git.kernel.org/linus/$X",
        "Origin: upstream, commit: $X",
        "Upstream-Status: Backport [https://git.kernel.org/torvalds/c/$X]",
        "mainline inclusion\nfrom mainline-v5.3-rc2\ncommit $X\ncategory: bugfix",
        "commit $X\nAuthor: Eric <e@example.org>\nDate:   Fri Jul 19\n\n    subject: of a commit",
        "  commit $X\n  Author: Eric <e@example.org>\n\n      [net] Subject: of a commit.",
        "Upstream Status: linux.git\n\ncommit $X\nAuthor: Eric <e@example.org>\n\n    other: subject",
        "BACKPORT-OF: $X",
        "Upstream Status: [linux.git] commit $X",
        "Commit-ID: $X",
        "Backported-from: $X",
        "backport of (upstream) commit $X",
        "commit: $X upstream",
        "This is commit $X back-ported to 4.19.y",
        "This is present in Linus' tree as $X.",
        "Backport of $X:\n\nText.",
        "Upstream-Status: Backport\n[https://git.kernel.org/torvalds/c/$X]",
        "(cherry picked from commit\n$X)",
    ] {
        assert_eq!(said(form), [(MentionKind::Carries, X.to_owned())], "{form}");
    }
}

#[test]
fn sentences_about_commits_claim_nothing() {
    for text in [
        "Since commit $X upstream we refuse to split.",
        "commit $X upstream introduced the bug",
        "This is a follow-up to commit $X.",
        "> commit $X upstream.",
        "commit $X",
        "See https://git.kernel.org/linus/$X",
        "Upstream-Status: Submitted [https://example.org/$X]",
        "Origin: vendor, $X",
        "Bug: https://example.org/$X",
        "Fixes $X",
        "commit $X\nAuthor: Eric <e@example.org>\n\n    other: subject\n\nbroke it.",
        "It came with\nupstream commit $X\nand its friends.",
        "The bug was introduced\nin upstream commit $X.",
        "commit upstream.",
        "commit zzzzzzzzzzzzzzzz upstream.",
    ] {
        assert_eq!(said(text), [], "{text}");
    }
    let subject = format!("commit {X} upstream.\n\nbody\n");
    assert_eq!(mentions(subject.as_bytes()), [], "a subject claims nothing");
}

#[test]
fn reverts_and_fixes_are_distinguished() {
    let x = X.to_owned();
    for (text, expected) in [
        ("This reverts commit $X.", vec![(MentionKind::Reverts, x.clone())]),
        ("This reverts commit\n$X.", vec![(MentionKind::Reverts, x.clone())]),
        ("This reverts commit b617158dc096.", vec![(MentionKind::Reverts, "b617158dc096".to_owned())]),
        ("This reverts commit b617158dc096 (\"tcp: x\").", vec![(MentionKind::Reverts, "b617158dc096".to_owned())]),
        (
            "This reverts commits $Y and $X.",
            vec![(MentionKind::Reverts, Y.to_owned()), (MentionKind::Reverts, x.clone())],
        ),
        ("This reverts commit $X, reversing\nchanges made to $Y.", vec![(MentionKind::RevertsMerge, x.clone())]),
        ("This partially reverts commit $X.", vec![(MentionKind::RevertsPartly, x.clone())]),
        ("This is a revert of commit $X", vec![(MentionKind::Reverts, x.clone())]),
        ("This is a partial revert of commit $X", vec![(MentionKind::RevertsPartly, x.clone())]),
        ("This reverts commit b617158.", vec![(MentionKind::Reverts, "b617158".to_owned())]),
        ("After we revert commit $X all is well.", vec![(MentionKind::MayRevert, x.clone())]),
        ("Commit b617158 is\nBacked Out here.", vec![(MentionKind::MayRevert, "b617158".to_owned())]),
        ("Undo $X.", vec![(MentionKind::Reverts, x.clone())]),
        ("Let us undo what $X did.", vec![(MentionKind::MayRevert, x.clone())]),
        ("Backs out changeset $X", vec![(MentionKind::Reverts, x.clone())]),
        ("This reverts commits\n$Y\n$X", vec![(MentionKind::Reverts, Y.to_owned()), (MentionKind::Reverts, x.clone())]),
        (
            "This reverts commits:\n\n $Y (\"y: z\")\n $X (\"Revert $Y\")\n\nAfter $X all is bad.",
            vec![(MentionKind::Reverts, Y.to_owned()), (MentionKind::Reverts, x.clone())],
        ),
        (
            "This reverts commits $Y,\n$X.",
            vec![(MentionKind::Reverts, Y.to_owned()), (MentionKind::Reverts, x.clone())],
        ),
        ("This reverts commit $X which changed $Y.", vec![(MentionKind::Reverts, x.clone())]),
        ("This reverts most of commit $X.", vec![(MentionKind::RevertsPartly, x.clone())]),
        ("We revert.\n\nSee $X.", vec![]),
        ("We revert.\nFixes: $X (\"Revert \"y\"\")", vec![(MentionKind::Fixes, x.clone())]),
        ("Fixes: $X (\"tcp: x\")", vec![(MentionKind::Fixes, x.clone())]),
        ("fixes: b617158dc0 (tcp)", vec![(MentionKind::Fixes, "b617158dc0".to_owned())]),
        ("Fixes: commit $X", vec![(MentionKind::Fixes, x.clone())]),
    ] {
        assert_eq!(said(text), expected, "{text}");
    }
}

#[test]
fn several_commits_in_one_message_are_read() {
    let both = |kind| vec![(kind, X.to_owned()), (kind, Y.to_owned())];
    for (text, kind) in [
        ("[ Upstream commits $X\n  and $Y ]", MentionKind::Carries),
        ("commits $X and $Y upstream.", MentionKind::Carries),
        ("original patch commit ids: $X and $Y", MentionKind::MayCarry),
        (
            "This backports the following upstream commits all as one patch:\n\n$X (\"a: b\")\n$Y (\"c: d\")",
            MentionKind::MayCarry,
        ),
        ("Backport of upstream commits squashed together:\n * $X a: b\n * $Y c: d", MentionKind::MayCarry),
        ("(cherry picked from commits $X\n and $Y)", MentionKind::Carries),
    ] {
        assert_eq!(said(text), both(kind), "{text}");
    }
    for (text, expected) in [
        ("Git-commit: $X (partial)", MentionKind::MayCarry),
        ("Git-commit: $X (not applied)", MentionKind::MayCarry),
        ("[ Upstream commit $X conflicts here; skip it ]", MentionKind::MayCarry),
        ("Upstream commit $X is too large for us", MentionKind::MayCarry),
        ("[ Upstream commit $X deferred ]", MentionKind::MayCarry),
        ("Conflicts with upstream commit $X", MentionKind::MayCarry),
        ("(backport of parts of upstream commit $X)", MentionKind::MayCarry),
        ("We have backported $X here.", MentionKind::MayCarry),
    ] {
        assert_eq!(said(text), [(expected, X.to_owned())], "{text}");
    }
}

#[test]
fn subject_may_name_the_reverted_commit() {
    for (subject, kind) in [
        ("Revert $X", Some(MentionKind::Reverts)),
        ("x: revert commit b617158dc, simplify", Some(MentionKind::Reverts)),
        ("block: revert part of $X", Some(MentionKind::RevertsPartly)),
        ("x: fix $X", None),
    ] {
        let message = format!("{}\n\nText.\n", subject.replace("$X", X));
        let kinds: Vec<MentionKind> =
            mentions(message.as_bytes()).iter().map(|m| m.kind).filter(|k| *k != MentionKind::MayRevert).collect();
        assert_eq!(kinds, kind.into_iter().collect::<Vec<_>>(), "{subject}");
    }
}

#[test]
fn message_in_another_encoding_is_read() {
    let mut message = b"tcp: x\n\nJ\xf6rg says \xff\xfe\n\ncommit ".to_vec();
    message.extend(X.as_bytes());
    message.extend(b" upstream.\n\xe9\n");
    let found = mentions(&message);
    assert_eq!(found.iter().map(|m| m.commit.to_hex()).collect::<Vec<_>>(), [X]);
}

#[test]
fn reverted_subject_is_read_in_many_forms() {
    let x = "tcp: x";
    for (subject, undone) in [
        ("Revert \"tcp: x\"", Some(x)),
        ("Revert \"tcp: x\".", Some(x)),
        ("Revert: \"tcp: x\"", Some(x)),
        ("Revert 'tcp: x'", Some(x)),
        ("Revert \"tcp: x\" because of \"y\"", Some(x)),
        ("Revert \"Revert \"tcp: x\"\"", Some("Revert \"tcp: x\"")),
        ("Reapply \"tcp: x\"", Some("Revert \"tcp: x\"")),
        ("Reapply \"Reapply \"tcp: x\"\"", Some("Revert \"Reapply \"tcp: x\"\"")),
        ("Revert tcp: x", Some(x)),
        ("revert: tcp: x", Some(x)),
        ("Reverts: tcp: x", Some(x)),
        ("Back out tcp: x", Some(x)),
        ("Backed out: \"tcp: x\"", Some(x)),
        ("net: revert 'tcp: x'", Some(x)),
        ("tcp: revert x", Some(x)),
        ("net: UNDO \"tcp: x\"", Some(x)),
        ("un-revert tcp: x", Some("Revert \"tcp: x\"")),
        ("re-apply \"tcp: x\"", Some("Revert \"tcp: x\"")),
        ("tcp: revert to x", None),
        ("tcp: do not revert \"tcp: x\"", None),
    ] {
        let read = reverted_subjects(subject);
        assert_eq!(read.iter().any(|read| Some(read.as_str()) == undone), undone.is_some(), "{subject}: {read:?}");
        assert!(undone == Some(x) || !read.contains(&x.to_owned()), "{subject}: {read:?}");
    }
    for (message, doubted) in [
        ("y: z\n\nThis backs out\nthe change (\"tcp: x\").", true),
        ("y: z\n\nIt does as \"tcp: x\" did.", false),
        ("y: z\n\nWe revert.\n\nSee \"tcp: x\".", false),
        ("Reapply \"tcp: x\"", false),
    ] {
        let read = doubted_subjects(message.as_bytes(), &mentions(message.as_bytes()));
        assert_eq!(read.contains(&x.to_owned()), doubted, "{message}: {read:?}");
    }
}

#[test]
fn short_names_agree_as_far_as_they_go() {
    let name = |hex: &str| Abbreviation::parse(hex.as_bytes()).unwrap();
    for (one, other, expected) in [
        (X, "b617158dc", true),
        ("b617158dc", X, true),
        (X, "b617158dd", false),
        ("b617158dc0", "b617158dc", true),
        (X, Y, false),
        (X, "B617158DC096", true),
    ] {
        assert_eq!(name(one).agrees(name(other)), expected, "{one} {other}");
    }
    assert_eq!(name("b617158dc").to_hex(), "b617158dc");
    assert_eq!(name("b617158dc").prefix(), 0xb617_158d);
    assert!(Abbreviation::parse(b"b61715").is_none() && Abbreviation::parse(&[b'a'; 41]).is_none());
}

proptest! {
    #[test]
    fn any_message_is_read_without_panic(bytes in any::<Vec<u8>>(), words in "(commit |[0-9a-f]{8,40}|This reverts |Fixes: |Revert |back out|\"|'|\n|\\[|\\)){0,30}") {
        let message = [bytes.as_slice(), b"\n\n", words.as_bytes(), &bytes].concat();
        let _ = doubted_subjects(&message, &mentions(&message));
        let _ = plain_subject(&bytes);
    }

    #[test]
    fn range_of_a_short_name_holds_what_agrees(bytes in any::<[u8; 20]>(), digits in 8usize..=40) {
        let whole = Abbreviation::whole(bytes);
        let cut = Abbreviation::parse(&whole.to_hex().as_bytes()[..digits]).unwrap();
        let (low, high) = cut.range();
        prop_assert!(cut.agrees(whole) && low <= bytes && bytes <= high);
    }
}
