//! The forms in which public trees say that a commit carries or reverts another.

/// A form of words, with `$X` for a commit and `$S` for its subject.
pub struct MessageForm {
    /// The subject.
    pub subject: &'static str,
    pub body: &'static str,
    /// Whether the words alone decide. If not, the answer may stay open if there are no files to compare.
    pub tells: bool,
}

pub const fn told(subject: &'static str, body: &'static str) -> MessageForm {
    MessageForm { subject, body, tells: true }
}

pub const fn open(subject: &'static str, body: &'static str) -> MessageForm {
    MessageForm { subject, body, tells: false }
}

/// A vendor's own subject.
pub const OWN: &str = "net: a vendor's own words";

pub const BACKPORTS: &[MessageForm] = &[
    // The stable team.
    told("$S", "commit $X upstream."),
    told(OWN, "[ Upstream commit $X ]"),
    told(OWN, "Upstream commit $X."),
    told(OWN, "upstream commit: $X"),
    told(OWN, "commit: $X upstream"),
    told(OWN, "[ Upstream commits $X\n  and $Y ]"),
    told(OWN, "This is commit $X back-ported to 4.19."),
    told(OWN, "backport of upstream commit $X"),
    told(OWN, "Backport of commit $X upstream."),
    told(OWN, "Backport of $X:\n\nIt did not apply."),
    told(OWN, "This is upstream commit $X, backported to 4.19."),
    told(OWN, "(Upstream commit $X)"),
    told(OWN, "[backport of upstream commit $X, with minor conflicts resolved]"),
    told(OWN, "This patch is present in Linus' tree as $X."),
    told(OWN, "Present in mainline as commit $X."),
    // git, Ubuntu, Android, ChromeOS.
    told(OWN, "(cherry picked from commit $X)"),
    told(OWN, "(cherry picked from commit\n$X)"),
    told(OWN, "(backported from commit $X)\nSigned-off-by: A <a@b.c>"),
    told(OWN, "(cherry picked from commit $X linux-next)"),
    told(
        "UPSTREAM: $S",
        "BUG=none\n(cherry picked from commit $X\n git://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git master)",
    ),
    told(
        "BACKPORT: $S",
        "Bug: 135\n(cherry picked from commit $X)\nChange-Id: I5e6f5e6f5e6f5e6f5e6f5e6f5e6f5e6f5e6f5e6f",
    ),
    told(
        "FROMGIT: $S",
        "(cherry picked from commit $X\n https://git.kernel.org/pub/scm/linux/kernel/git/netdev/net.git main)",
    ),
    told(OWN, "(adapted from commit $X)"),
    // SUSE, and those that follow it.
    told(OWN, "Git-commit: $X\nPatch-mainline: v5.3-rc2\nReferences: bsc#1"),
    told(OWN, "Alt-commit: $X"),
    told(OWN, "Upstream-commit: $X"),
    told(OWN, "Commit-ID: $X"),
    told(OWN, "Backported-from: $X"),
    told(OWN, "Upstream commit id: $X"),
    told(OWN, "Original-commit: $X"),
    // Red Hat and CentOS Stream.
    told(OWN, "JIRA: https://issues.example.org/RHEL-1\nUpstream Status: commit $X"),
    told(OWN, "Bugzilla: https://bugzilla.example.org/1\nUpstream Status: linux.git commit $X"),
    told(OWN, "Upstream Status: [linux.git] commit $X\nConflicts: none"),
    told(OWN, "Upstream-Status: linux.git\n\ncommit $X\nAuthor: E <e@example.org>\nDate:   Fri Jul 19 2019\n\n    $S"),
    told(
        "$S",
        "JIRA: https://issues.example.org/RHEL-1\n\ncommit $X\nAuthor: E <e@example.org>\nDate:   Fri Jul 19 2019\n\n    $S\n\n    Text.",
    ),
    told("[net] $S", "commit $X\nAuthor: E <e@example.org>\nDate:   Fri Jul 19 2019\n\n    $S"),
    // openEuler, Anolis, Tencent, OpenELA.
    told(OWN, "mainline inclusion\nfrom mainline-v5.3-rc2\ncommit $X\ncategory: bugfix\nbugzilla: 1\nCVE: NA"),
    told(
        OWN,
        "stable inclusion\nfrom stable-v4.19.62\ncommit $X\ncategory: bugfix\n\n--------------\n\n[ Upstream commit $X ]",
    ),
    told("anolis: $S", "ANBZ: #1\n\ncommit $X upstream."),
    told(OWN, "Upstream: https://git.kernel.org/torvalds/c/$X"),
    // Debian, Yocto, distributions by DEP-3.
    told(OWN, "Origin: upstream, https://git.kernel.org/linus/$X"),
    told(OWN, "Origin: backport, https://git.kernel.org/cgit/linux/kernel/git/torvalds/linux.git/commit/?id=$X"),
    told(OWN, "Upstream-Status: Backport [https://git.kernel.org/linus/$X]"),
    told(OWN, "Upstream-Status: Backport\n[https://git.kernel.org/torvalds/c/$X]"),
    // Squashed commits.
    open(
        OWN,
        "This backports the following upstream commits all as one patch:\n\n  $X (\"$S\")\n  $Y (\"net: other\")",
    ),
    open(OWN, "original patch commit ids: $X and $Y"),
    open(OWN, "Squashed backport of upstream commits:\n$Y net: other\n$X $S"),
    open(OWN, "Backports of these commits:\n * $Y net: other\n * $X $S"),
    open(OWN, "(backport of parts of upstream commit $X)"),
    open(OWN, "Git-commit: $X (partial)"),
    // In words, and in links.
    open(OWN, "Link: https://git.kernel.org/linus/$X"),
    open(OWN, "Take $X in, for it helps us, too."),
    open(OWN, "As \"$S\" does upstream."),
    open(OWN, "* $S"),
    open(OWN, "commit $X\nAuthor: E <e@example.org>\nDate:   Fri Jul 19 2019\n\n    $S\n\nis what we do here."),
    open("$S", "No word of where it is from."),
    open("[PATCH] $S.", "No word of where it is from."),
];

pub const REVERTS: &[MessageForm] = &[
    told("Revert \"$S\"", "This reverts commit $X."),
    told("Revert \"$S\"", "This reverts commit $7."),
    told("revert \"$S\"", "This reverts commit\n$X."),
    told(OWN, "This reverts commit $X because it broke things."),
    told(OWN, "This reverts $X commit."),
    told(OWN, "This reverts: $X"),
    told(OWN, "Reverts: $X (\"$S\")"),
    told(OWN, "Revert commit $X."),
    told(OWN, "This is a revert of upstream commit $X"),
    told(OWN, "This reverts commits $X and $Y."),
    told(OWN, "This reverts commits $Y,\n$X."),
    told(OWN, "This reverts commits:\n\n  $Y (\"net: other\")\n  $X (\"$S\")\n\nThey broke things."),
    told(OWN, "This reverts the following two commits:\n- $Y\n- $X"),
    told(OWN, "Backs out commit $X."),
    told(OWN, "This backs out changeset $X"),
    told("Revert $X", "It broke things."),
    told("net: revert commit $X", "It broke things."),
    told(
        "Revert \"$S\"",
        "commit $X\nAuthor: E <e@example.org>\nDate:   Fri Jul 19 2019\n\n    $S\n\nIt broke things.",
    ),
    told("Revert \"$S\"", "  commit $X\n  Author: E <e@example.org>\n  Date:   Fri Jul 19 2019\n\n      $S"),
    open("Revert \"$S\"", "It broke things."),
    open("Revert \"$S\"", "commit $X upstream."),
    open("revert: $S", "It broke things."),
    open("Reverts: $S", "It broke things."),
    open("Revert '$S'.", "It broke things."),
    open("[PATCH] Revert \"[PATCH] $S\"", "It broke things."),
    open("Backout: $S", "It broke things."),
    open("Back out $S", "It broke things."),
    open("Backed out $S", "It broke things."),
    open("tcp: Revert \"$S\"", "It broke things."),
    open("ALSA: net - revert '$S'", "It broke things."),
    open("UPSTREAM: Revert \"$S\"", "It broke things."),
    open("Undo $S", "It broke things."),
    open("Revert \"$S\" for now", "It broke things."),
    open(OWN, "commit $X upstream.\n\nIt is reverted here."),
    open(OWN, "Back to what it was before.\n\ncommit $X\nAuthor: E <e@example.org>\nDate:   Fri Jul 19 2019\n\n    $S"),
    open(OWN, "Since $X nothing works, so go back."),
    open(OWN, "We take out \"$S\", so revert it."),
    open(OWN, "(cherry picked from commit $X)"),
];

/// Forms that re-apply a reverted commit. The first is git's own.
pub const AGAIN: &[MessageForm] = &[
    told("Revert \"$S\"", "This reverts commit $X."),
    told("Reapply \"$S\"", "This reverts commit $X."),
    open("Reapply \"$O\"", "All is well."),
    open("un-revert $O", "All is well."),
    open("Revert \"$S\"", "All is well."),
    open("revert of revert of $O", "All is well."),
];

/// Forms of naming the break, the half fix and the fix in one squashed commit.
pub const SQUASHED: &[&str] = &[
    "This backports the following upstream commits all as one patch:\n\n  $B (\"a: b\")\n  $H (\"c: d\")\n  $F (\"e: f\")",
    "original patch commit ids: $B, $H and $F",
    "[ Upstream commits $B,\n  $H\n  and $F ]",
    "commit $B upstream.\ncommit $H upstream.\ncommit $F upstream.",
    "Squash of upstream commits:\n$B a: b\n$H c: d\n$F e: f",
    "Backported from these:\n* a: b ($B)\n* c: d ($H)\n* e: f ($F)",
    "(cherry picked from commit $B)\n(cherry picked from commit $H)\n(cherry picked from commit $F)",
];
