//! What a commit's message names: the upstream commit that it carries, commits that it reverts, commits that it fixes.
//!
//! [`mentions`](super::trailers::mentions) reads which.

/// The longest message that is looked at, in bytes. The longest of Linux's are merges, with some 100 KiB.
pub(super) const LONGEST: usize = 1 << 20;
/// The most that one message may name. Squashed updates of vendors name thousands.
pub(super) const MOST: usize = 20_000;

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
    /// As many as most words have at most that happen to be made of such letters ("defaced").
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
    pub fn is_address_or_date(self) -> bool {
        let hex = self.to_hex();
        let is_decimal = hex.bytes().all(|b| b.is_ascii_digit());
        let is_date = hex.len() == 8 && hex.starts_with("20");
        // Numbers of bugs have seven digits.
        hex.starts_with("ffff") || hex.starts_with("0000") || is_decimal && (is_date || hex.len() < 8)
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
pub(in crate::evidence) enum MentionKind {
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
    /// It has a word of backporting beside that commit's name, or a list of commits below one: it may carry that commit,
    /// or some of it.
    MayCarry = 8,
}

impl MentionKind {
    /// The kind with this number in the index.
    pub fn from_number(number: u8) -> Option<Self> {
        use MentionKind::{Carries, Fixes, MayCarry, MayRevert, Names, Reverts, RevertsMerge, RevertsPartly};
        [Carries, Reverts, RevertsMerge, RevertsPartly, Fixes, MayRevert, Names, MayCarry]
            .into_iter()
            .find(|kind| *kind as u8 == number)
    }
}

/// One commit that a message names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::evidence) struct Mention<'a> {
    /// How.
    pub kind: MentionKind,
    /// Which.
    pub commit: Abbreviation,
    /// The line that says so, trimmed.
    pub line: &'a [u8],
}

/// The commits that a message names and `claimed` says nothing of, its subject's among them.
pub(super) fn unclaimed(message: &[u8], claimed: &[Mention<'_>]) -> Vec<Abbreviation> {
    let message = &message[..message.len().min(LONGEST)];
    let mut found: Vec<Abbreviation> = Vec::new();
    for line in message.split(|b| *b == b'\n') {
        for (_, commit) in names(line).into_iter().filter(|(_, commit)| !commit.is_address_or_date()) {
            if found.len() < MOST && !claimed.iter().any(|mention| mention.commit == commit) {
                found.push(commit);
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// The CVEs that a text names, in upper case.
pub(super) fn cves(text: &[u8]) -> Vec<String> {
    const MARK: &[u8] = b"CVE-";
    let text = &text[..text.len().min(LONGEST)];
    let starts = text.windows(MARK.len()).enumerate().filter(|(_, window)| window.eq_ignore_ascii_case(MARK));
    let mut found: Vec<String> = starts
        .filter_map(|(at, _)| {
            let behind = &text[at + MARK.len()..];
            let number: Vec<u8> =
                behind.iter().copied().take_while(|b| b.is_ascii_digit() || *b == b'-').take(24).collect();
            let (year, number) = std::str::from_utf8(&number).ok()?.trim_end_matches('-').split_once('-')?;
            (year.len() == 4 && number.len() >= 4 && !number.contains('-')).then(|| format!("CVE-{year}-{number}"))
        })
        .take(MOST)
        .collect();
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
        let word = &line[at..end];
        // `v5.3-rc1-123-gabcdef123456`, as git-describe(1) calls a commit.
        let is_described = word.first() == Some(&b'g') && at > 0 && line[at - 1] == b'-';
        let described = || word.get(1..).filter(|_| is_described).and_then(Abbreviation::parse);
        if let Some(commit) = Abbreviation::parse(word).or_else(described) {
            found.push((at..end, commit));
        }
        at = end + 1;
    }
    if found.iter().any(|(_, commit)| commit.digits >= Abbreviation::USUAL) {
        found.retain(|(_, commit)| commit.digits >= Abbreviation::USUAL);
    }
    found
}
