//! The commits that a message names: the upstream commit that it carries, commits that it reverts, commits that it
//! fixes.
//!
//! [`mentions`](super::trailers::mentions) finds them.

/// The longest message to read, in bytes. Linux's longest are merges, with some 100 KiB.
pub(super) const LONGEST: usize = 1 << 20;
/// The most commits that one message may name. Vendors' squashed updates name thousands.
pub(super) const MOST: usize = 20_000;

/// A commit's name in a message: 7 to 40 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::evidence) struct Abbreviation {
    /// The digits, two in each byte, padded with zeros.
    bytes: [u8; 20],
    /// The number of digits.
    digits: u8,
}

impl Abbreviation {
    /// The fewest digits to accept. git abbreviated Linux's commits to 7 until 2016.
    const FEWEST: usize = 7;
    /// Few words of only such letters ("defaced") are longer than this.
    const USUAL: u8 = 8;
    /// The fewest digits to trust without asking the repository. Among a million commits, one in a million shares its
    /// first ten digits with another.
    const ENOUGH: u8 = 10;

    /// Parses hexadecimal digits in either case.
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

    /// The first eight digits, the sort key of the index.
    pub fn prefix(self) -> u32 {
        u32::from_be_bytes([self.bytes[0], self.bytes[1], self.bytes[2], self.bytes[3]])
    }

    /// Whether both may be the same commit, because one is a prefix of the other.
    pub fn agrees(self, other: Self) -> bool {
        let digits = usize::from(self.digits.min(other.digits));
        let whole = digits / 2;
        let half = digits % 2 == 0 || self.bytes[whole] >> 4 == other.bytes[whole] >> 4;
        self.bytes[..whole] == other.bytes[..whole] && half
    }

    /// Whether it has enough digits to be trusted.
    pub fn is_enough(self) -> bool {
        self.digits >= Self::ENOUGH
    }

    /// Whether it is more likely a kernel address or a date, which are common in messages, than a commit's name.
    pub fn is_address_or_date(self) -> bool {
        let hex = self.to_hex();
        let is_decimal = hex.bytes().all(|b| b.is_ascii_digit());
        let is_date = hex.len() == 8 && hex.starts_with("20");
        // Bug numbers have seven digits.
        hex.starts_with("ffff") || hex.starts_with("0000") || is_decimal && (is_date || hex.len() < 8)
    }

    /// The lowest and highest full name that match it.
    pub fn range(self) -> ([u8; 20], [u8; 20]) {
        let mut highest = self.bytes;
        for at in usize::from(self.digits)..40 {
            highest[at / 2] |= 0xf << (4 * (1 - at % 2));
        }
        (self.bytes, highest)
    }

    /// Its bytes, padded with zeros, and its number of digits, as stored in the index.
    pub fn parts(self) -> ([u8; 20], u8) {
        (self.bytes, self.digits)
    }

    /// The inverse of [`Abbreviation::parts`].
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

/// The way in which a message names another commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(in crate::evidence) enum MentionKind {
    /// It carries that commit.
    Carries = 1,
    /// It reverts that commit.
    Reverts = 2,
    /// It reverts that merge, and so everything that the merge brought.
    RevertsMerge = 3,
    /// It says that it reverts that commit in part, or in effect.
    RevertsPartly = 4,
    /// It says `Fixes:`.
    Fixes = 5,
    /// It has a word of undoing next to that commit's name, and may mean anything.
    MayRevert = 6,
    /// It names that commit without a known claim.
    Names = 7,
    /// It has a word of backporting next to that commit's name, or above a list with it. It may carry that commit, or a
    /// part of it.
    MayCarry = 8,
}

impl MentionKind {
    /// Whether it has words of reverting.
    pub fn speaks_of_reverting(self) -> bool {
        matches!(self, Self::Reverts | Self::RevertsMerge | Self::RevertsPartly | Self::MayRevert)
    }

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
    /// The kind.
    pub kind: MentionKind,
    /// The named commit.
    pub commit: Abbreviation,
    /// The line that says so, trimmed.
    pub line: &'a [u8],
}

/// The commits that a message or its subject names, except those in `claimed`.
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

/// The names of commits in a line, and their positions. Words of seven letters that could be digits ("defaced") are
/// names only if there is no better one.
pub(super) fn names(line: &[u8]) -> Vec<(std::ops::Range<usize>, Abbreviation)> {
    let mut found = Vec::new();
    let mut at = 0;
    while at < line.len() {
        let is_word = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        let end = at + line[at..].iter().position(|b| !is_word(b)).unwrap_or(line.len() - at);
        let word = &line[at..end];
        // `v5.3-rc1-123-gabcdef123456` is a name from git-describe(1).
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
