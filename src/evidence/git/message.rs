//! What a commit's message names: the upstream commit that it carries, commits that it reverts, commits that it fixes.
//!
//! Forms are taken as whole lines. A sentence that mentions a commit in passing ("since commit X upstream, …") is no
//! claim to be it.

use sha2::{Digest as _, Sha256};

use super::undoing::doubted_commits;

/// The longest message that is looked at, in bytes. The longest of Linux's are merges, with some 100 KiB.
const LONGEST: usize = 1 << 20;
/// The most that one message may name. Squashed updates of vendors name thousands.
const MOST: usize = 20_000;

/// A commit's name in a message: 7 to 40 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::evidence) struct Abbreviation {
    /// The digits, two a byte, filled up with zeros.
    bytes: [u8; 20],
    /// How many digits there are.
    digits: u8,
}

impl Abbreviation {
    /// The fewest digits that are looked at: git itself abbreviated Linux's commits to 7 until 2016.
    const FEWEST: usize = 7;
    /// The fewest digits for saying what is carried or fixed. Names of 7 have long become ambiguous, but a revert that
    /// is not read is worse than one too many.
    const USUAL: u8 = 8;
    /// The fewest digits that are taken at their word where the repository cannot tell: of a million commits, one in a
    /// million has another's first ten.
    const ENOUGH: u8 = 10;

    /// Reads hexadecimal digits, of either case.
    pub fn parse(hex: &[u8]) -> Option<Self> {
        if !(Self::FEWEST..=40).contains(&hex.len()) {
            return None;
        }
        let mut bytes = [0; 20];
        for (at, digit) in hex.iter().enumerate() {
            let value = u8::try_from(char::from(*digit).to_digit(16)?).ok()?;
            bytes[at / 2] |= value << (4 * (1 - at % 2));
        }
        Some(Self { bytes, digits: u8::try_from(hex.len()).ok()? })
    }

    /// The whole name of a commit.
    pub fn whole(bytes: [u8; 20]) -> Self {
        Self { bytes, digits: 40 }
    }

    /// The first eight digits: what the index sorts by.
    pub fn prefix(self) -> u32 {
        u32::from_be_bytes([self.bytes[0], self.bytes[1], self.bytes[2], self.bytes[3]])
    }

    /// Whether the two may be the same commit: one is the beginning of the other.
    pub fn agrees(self, other: Self) -> bool {
        let digits = usize::from(self.digits.min(other.digits));
        let whole = digits / 2;
        let half = digits % 2 == 0 || self.bytes[whole] >> 4 == other.bytes[whole] >> 4;
        self.bytes[..whole] == other.bytes[..whole] && half
    }

    /// Whether it has digits enough to be taken at its word.
    pub fn is_enough(self) -> bool {
        self.digits >= Self::ENOUGH
    }

    /// Whether it rather is a kernel's address or a date than a commit's name: messages are full of both.
    fn is_address_or_date(self) -> bool {
        let hex = self.to_hex();
        let is_decimal = hex.bytes().all(|b| b.is_ascii_digit());
        hex.starts_with("ffff") || hex.starts_with("0000") || is_decimal && hex.len() == 8 && hex.starts_with("20")
    }

    /// The lowest and the highest whole name that it may stand for.
    pub fn range(self) -> ([u8; 20], [u8; 20]) {
        let mut highest = self.bytes;
        for at in usize::from(self.digits)..40 {
            highest[at / 2] |= 0xf << (4 * (1 - at % 2));
        }
        (self.bytes, highest)
    }

    /// Its first bytes, the rest zeros, and how many digits of them it has: what the index keeps.
    pub fn parts(self) -> ([u8; 20], u8) {
        (self.bytes, self.digits)
    }

    /// The name of which [`Abbreviation::parts`] are these.
    pub fn of_parts(bytes: [u8; 20], digits: u8) -> Option<Self> {
        (Self::FEWEST..=40).contains(&usize::from(digits)).then_some(Self { bytes, digits })
    }

    /// The digits, in lower case.
    pub fn to_hex(self) -> String {
        let mut hex: String = self.bytes.iter().map(|b| format!("{b:02x}")).collect();
        hex.truncate(usize::from(self.digits));
        hex
    }
}

/// How a message names another commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(in crate::evidence) enum Kind {
    /// It carries that commit.
    Carries = 1,
    /// It reverts that commit.
    Reverts = 2,
    /// It reverts that merge, and so all that the merge brought.
    RevertsMerge = 3,
    /// It says that it reverts that commit in part, or in effect.
    RevertsPartly = 4,
    /// It says `Fixes:`.
    Fixes = 5,
    /// It has a word of undoing beside that commit's name, and may mean anything.
    MayRevert = 6,
    /// It names that commit, and claims nothing of it in words that are known.
    Names = 7,
}

impl Kind {
    /// The kind with this number in the index.
    pub fn from_number(number: u8) -> Option<Self> {
        use Kind::{Carries, Fixes, MayRevert, Names, Reverts, RevertsMerge, RevertsPartly};
        [Carries, Reverts, RevertsMerge, RevertsPartly, Fixes, MayRevert, Names]
            .into_iter()
            .find(|kind| *kind as u8 == number)
    }
}

/// One commit that a message names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::evidence) struct Mention<'a> {
    /// How.
    pub kind: Kind,
    /// Which.
    pub commit: Abbreviation,
    /// The line that says so, trimmed.
    pub line: &'a [u8],
}

/// All commits that a message names, in its order.
pub(in crate::evidence) fn mentions(message: &[u8]) -> Vec<Mention<'_>> {
    let message = &message[..message.len().min(LONGEST)];
    let mut found = Vec::new();
    let mut lines = message.split(|b| *b == b'\n').map(<[u8]>::trim_ascii).peekable();
    let (mut previous, mut inclusion, mut first): (&[u8], _, _) = (b"", false, true);
    while let Some(line) = lines.next() {
        if found.len() >= MOST {
            break;
        }
        // openEuler's and its relatives' form: `mainline inclusion`, and the bare commit a line or two below.
        inclusion |= line.ends_with(b" inclusion");
        // A subject that mentions a commit claims nothing.
        let names = if first { Vec::new() } else { names(line) };
        first &= line.is_empty();
        if !names.is_empty() {
            let next = lines.peek().copied().unwrap_or_default();
            // `git log`'s own heading, pasted into a message: the form of Red Hat's kernels.
            let heading = inclusion || next.starts_with(b"Author:") || next.starts_with(b"Merge:");
            found.extend(claim(line, previous, next, heading, &names).into_iter().take(MOST - found.len()));
        }
        if !line.is_empty() {
            previous = line;
        }
    }
    let doubted = doubted_commits(message, &found);
    found.extend(doubted.into_iter().take(MOST.saturating_sub(found.len())));
    found
}

/// The commits that a message names and `claimed` says nothing of, its subject's among them.
pub(super) fn unclaimed(message: &[u8], claimed: &[Mention<'_>]) -> Vec<Abbreviation> {
    let message = &message[..message.len().min(LONGEST)];
    let mut found: Vec<Abbreviation> = Vec::new();
    let is_usual = |commit: &Abbreviation| commit.digits >= Abbreviation::USUAL && !commit.is_address_or_date();
    for line in message.split(|b| *b == b'\n') {
        for (_, commit) in names(line).into_iter().filter(|(_, commit)| is_usual(commit)) {
            if found.len() < MOST && !claimed.iter().any(|mention| mention.commit == commit) {
                found.push(commit);
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The subjects that a message quotes: what a list of changes has on a line, or quotation marks around it.
pub(super) fn quoted_subjects(message: &[u8]) -> Vec<String> {
    let message = &message[..message.len().min(LONGEST)];
    let mut found = Vec::new();
    for line in message.split(|b| *b == b'\n').skip(1).map(<[u8]>::trim_ascii) {
        let text = String::from_utf8_lossy(line);
        let item = ["* ", "- ", "+ "].iter().find_map(|mark| text.strip_prefix(mark));
        // A commit's name may stand before the subject, or behind it in brackets.
        let item = item.map(|item| item.rsplit_once(" (").map_or(item, |(subject, _)| subject));
        let mut marks = text.split('"');
        let (_, first) = (marks.next(), marks.next());
        let quoted =
            [first, text.split_once('"').and_then(|(_, rest)| rest.rsplit_once('"')).map(|(inside, _)| inside)];
        // Every subject of Linux says what it is about before a colon.
        let subjects = item.into_iter().chain(quoted.into_iter().flatten()).filter(|text| text.contains(": "));
        found.extend(subjects.map(|subject| plain_subject(subject.as_bytes())));
        if found.len() >= MOST {
            break;
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Where the names of commits are in a line, and which. Words of seven letters that could be digits ("defaced") are
/// names only where there is no better one.
pub(super) fn names(line: &[u8]) -> Vec<(std::ops::Range<usize>, Abbreviation)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < line.len() {
        let is_word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        let end = at + line[at..].iter().position(|b| !is_word(b)).unwrap_or(line.len() - at);
        if let Some(commit) = Abbreviation::parse(&line[at..end]) {
            found.push((at..end, commit));
        }
        at = end + 1;
    }
    if found.iter().any(|(_, commit)| commit.digits >= Abbreviation::USUAL) {
        found.retain(|(_, commit)| commit.digits >= Abbreviation::USUAL);
    }
    found
}

/// What one line claims of the commits that it names.
fn claim<'a>(
    line: &'a [u8],
    previous: &[u8],
    next: &[u8],
    heading: bool,
    names: &[(std::ops::Range<usize>, Abbreviation)],
) -> Vec<Mention<'a>> {
    // Of several words that look like a name (a link has some), the longest is the commit.
    let Some((place, longest)) = names.iter().rev().max_by_key(|(_, commit)| commit.digits) else {
        return Vec::new();
    };
    let lower = |bytes: &[u8]| String::from_utf8_lossy(bytes).to_lowercase();
    let before = lower(&line[..place.start]);
    // A line that is too long breaks before the name.
    let wrapped = if before.is_empty() { lower(previous) } else { String::new() };
    let before = if wrapped.ends_with("picked from commit") { wrapped.as_str() } else { before.as_str() };
    let before = before.trim_start_matches(['[', '(', '*', ' ']).trim_end_matches([' ', '<', '"', '\'']);
    let after = lower(&line[place.end..]);
    let after = after.trim_matches([' ', '.', ',', ';', ')', ']', '>', '"', '\'']);

    let reverts = |kind| names.iter().map(|(_, commit)| Mention { kind, commit: *commit, line }).collect();
    let opening = if wrapped.ends_with("reverts commit") { wrapped.as_str() } else { before };
    // The first name's opening decides, for `This reverts commits A and B.` has the longest anywhere.
    let start = names.first().map_or_else(String::new, |(place, _)| lower(&line[..place.start]));
    let opening = if names.len() > 1 { start.trim() } else { opening };
    if let Some(kind) = revert(opening) {
        let merge = after.starts_with("reversing") || lower(next).starts_with("reversing changes");
        return match kind {
            Kind::Reverts if merge => vec![Mention { kind: Kind::RevertsMerge, commit: *longest, line }],
            kind => reverts(kind),
        };
    }
    if longest.digits < Abbreviation::USUAL {
        return Vec::new();
    }
    let fixes = before.strip_prefix("fixes:").is_some_and(|rest| matches!(rest.trim(), "" | "commit"));
    let kind = match () {
        () if fixes => Kind::Fixes,
        () if carries(before, after, heading) => Kind::Carries,
        () => return Vec::new(),
    };
    vec![Mention { kind, commit: *longest, line }]
}

/// What a line that opens so says of reverting.
fn revert(opening: &str) -> Option<Kind> {
    match opening {
        "this reverts commit"
        | "reverts commit"
        | "revert commit"
        | "this reverts"
        | "this reverts commits"
        | "this reverts upstream commit"
        | "this reverts the commit"
        | "this reverts stable commit"
        | "this is a revert of"
        | "this is a revert of commit"
        | "this is a revert of upstream commit"
        | "this is the revert of commit"
        | "revert of commit" => Some(Kind::Reverts),
        "this is a partial revert of" | "this is a partial revert of commit" => Some(Kind::RevertsPartly),
        // "This partially reverts commit", "This effectively reverts commit".
        other if other.starts_with("this ") && other.ends_with("reverts commit") && other.len() < 60 => {
            Some(Kind::RevertsPartly)
        }
        _ => None,
    }
}

/// Whether a line with these words around a commit's name says that this commit carries that one.
fn carries(before: &str, after: &str, heading: bool) -> bool {
    // stable: `commit X upstream.`, `[ Upstream commit X ]`, `Upstream commit X`, `X upstream.`
    match before {
        "commit" | ""
            if matches!(after, "upstream" | "upstream commit" | "in mainline" | "in upstream" | "mainline") =>
        {
            return true;
        }
        "upstream" if after == "commit" => return true,
        "upstream commit" | "this is upstream commit" | "commit upstream" | "mainline commit" | "upstream" => {
            return after.is_empty() || after == "upstream";
        }
        "commit" if heading => return after.is_empty(),
        // People's own words, where they are the whole line.
        "this is a backport of"
        | "this is a backport of commit"
        | "this is a backport of upstream commit"
        | "this is a backport of mainline commit"
        | "this is a backport of stable commit"
        | "backport of"
        | "backport of upstream commit"
        | "backport of mainline commit"
        | "backport of stable commit" => {
            return matches!(after, "" | "upstream" | "upstream commit" | "from upstream" | "in mainline");
        }
        // git cherry-pick -x, Ubuntu, Android, ChromeOS.
        "cherry picked from commit"
        | "cherry-picked from commit"
        | "cherry picked from"
        | "cherry-picked from"
        | "cherry picked from upstream commit"
        | "cherry picked from mainline commit"
        | "cherry picked from stable commit"
        | "backported from commit"
        | "backported from upstream commit"
        | "backported from mainline commit"
        | "backported from"
        | "backport of commit"
        | "backport from commit"
        | "adapted from commit"
        | "picked from commit" => return true,
        _ => {}
    }
    let Some((key, value)) = before.split_once(':') else { return false };
    let value = value.trim();
    match key.trim() {
        // SUSE, Red Hat, Oracle, and what people write by hand.
        "git-commit" | "upstream-commit" | "upstream commit" | "commit-upstream" | "mainline-commit"
        | "original-commit" | "stable-commit" | "upstream" | "backport-of" | "backport-commit" | "mainline commit"
        | "linux-commit" => {
            matches!(value, "" | "commit" | "upstream" | "upstream commit") || value.starts_with("http")
        }
        // DEP-3: `Origin: upstream, https://…`, `Origin: backport, commit:X`, `Origin: https://git.kernel.org/linus/X`.
        "origin" => value.is_empty() || ["upstream", "backport", "http", "commit"].iter().any(|w| value.starts_with(w)),
        // Yocto: `Upstream-Status: Backport [https://…?id=X]`.
        "upstream-status" => value.starts_with("backport") || value.starts_with("accepted"),
        _ => false,
    }
}

/// A subject as everybody writes it: without the marks that trees put before it, without doubled spaces.
pub(in crate::evidence) fn plain_subject(subject: &[u8]) -> String {
    let text = String::from_utf8_lossy(subject);
    let mut text = text.trim();
    loop {
        let before = text;
        for mark in
            ["UPSTREAM:", "BACKPORT:", "FROMGIT:", "FROMLIST:", "CHROMIUM:", "ANDROID:", "UBUNTU:", "SAUCE:", "stable:"]
        {
            text = text.strip_prefix(mark).unwrap_or(text).trim_start();
        }
        // `[PATCH 4.19 12/34]`, `[Backport]`, `[net]`; never the whole subject.
        if let Some((_, rest)) = text.strip_prefix('[').and_then(|inside| inside.split_once(']')) {
            text = if rest.trim().is_empty() { text } else { rest.trim_start() };
        }
        if text == before {
            return text.split_whitespace().collect::<Vec<_>>().join(" ");
        }
    }
}

/// What the index keeps of a subject.
pub(super) fn subject_hash(plain: &str) -> i64 {
    let digest = Sha256::digest(plain.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(first)
}
