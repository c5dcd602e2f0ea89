//! The program's words as types: names, states, outcomes. Every room uses them, and they know none of the rooms.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that is not a usable name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a usable name: expected a letter or digit, then letters, digits and any of `. _ + -`, at most 100 in all"
)]
pub struct BadName(pub String);

/// Names become folders, so they are checked once, here: `[A-Za-z0-9][A-Za-z0-9._+-]*`, at most 100 bytes.
fn is_name(text: &str) -> bool {
    text.len() <= 100
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._+-".contains(c))
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                if is_name(text) { Ok(Self(text.to_owned())) } else { Err(BadName(text.to_owned())) }
            }
        }

        impl TryFrom<String> for $name {
            type Error = BadName;

            fn try_from(text: String) -> Result<Self, BadName> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

name! {
    /// The name of one entry of the matrix.
    KernelName
}
name! {
    /// The name of a bug, which is its reproducer's and its dossier's too.
    BugId
}
name! {
    /// The name of a profile. The kernel's own settings are the profile `default`.
    ProfileName
}

/// A file's sha256: 64 hexadecimal digits, in lower case whatever was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256(String);

/// A text that is no sha256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a sha256: 64 hexadecimal digits")]
pub struct BadSha256;

impl Sha256 {
    /// The digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Sha256 {
    type Err = BadSha256;

    fn from_str(text: &str) -> Result<Self, BadSha256> {
        let is_one = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if is_one { Ok(Self(text.to_ascii_lowercase())) } else { Err(BadSha256) }
    }
}

impl TryFrom<String> for Sha256 {
    type Error = BadSha256;

    fn try_from(text: String) -> Result<Self, BadSha256> {
        text.parse()
    }
}

impl From<Sha256> for String {
    fn from(sum: Sha256) -> Self {
        sum.0
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl ProfileName {
    /// What stands for every profile on the command line; no profile is called so.
    pub const ALL: &'static str = "all";

    /// The kernel's own settings.
    pub fn default_profile() -> Self {
        Self("default".to_owned())
    }

    /// Whether it is the kernel's own settings.
    pub fn is_default(&self) -> bool {
        *self == Self::default_profile()
    }
}

/// What one cell of a kernel asks: a bug, under a profile. As text it is the bug's name, and `@profile` behind it unless
/// that is the default: the id of the agent's job, and the name of the cell's folder. No name has an `@`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId {
    /// The bug.
    pub bug: BugId,
    /// The profile.
    pub profile: ProfileName,
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.profile.is_default() { self.bug.fmt(f) } else { f.pad(&format!("{}@{}", self.bug, self.profile)) }
    }
}

impl FromStr for JobId {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        match text.split_once('@') {
            None => Ok(Self { bug: text.parse()?, profile: ProfileName::default_profile() }),
            Some((bug, profile)) => Ok(Self { bug: bug.parse()?, profile: profile.parse()? }),
        }
    }
}

impl TryFrom<String> for JobId {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.to_string()
    }
}

/// Where a kernel stands in a bug's chain of commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The commit that broke it never was in this kernel.
    NeverHad,
    /// It is broken.
    Affected,
    /// A first repair is in, which did not repair everything: still affected.
    HalfFixed,
    /// Repaired.
    Fixed,
    /// Repaired, by a repair that has a defect of its own.
    FixedWithDefect,
}

impl State {
    /// All states, in the order of the chain.
    pub const ALL: [Self; 5] = [Self::NeverHad, Self::Affected, Self::HalfFixed, Self::Fixed, Self::FixedWithDefect];

    /// Its name in files and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NeverHad => "never-had",
            Self::Affected => "affected",
            Self::HalfFixed => "half-fixed",
            Self::Fixed => "fixed",
            Self::FixedWithDefect => "fixed-with-defect",
        }
    }

    /// Whether a kernel in this state shows the bug.
    pub fn is_affected(self) -> bool {
        matches!(self, Self::Affected | Self::HalfFixed)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a step of a bug's chain does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// It brings the bug in.
    Break,
    /// It repairs a part; the kernel is still affected.
    HalfFix,
    /// It repairs the bug.
    Fix,
    /// It mends a defect of the fix's backports.
    FixOfFix,
}

impl Role {
    /// All roles, in the order of the chain.
    pub const ALL: [Self; 4] = [Self::Break, Self::HalfFix, Self::Fix, Self::FixOfFix];

    /// Its name in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Break => "break",
            Self::HalfFix => "half-fix",
            Self::Fix => "fix",
            Self::FixOfFix => "fix-of-fix",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A text that names no commit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no commit: expected 12 to 40 lower-case hexadecimal digits")]
pub struct BadCommit(pub String);

/// A commit's SHA-1, or at least its first 12 digits, in lower case. Twelve is what the kernel's own `Fixes:` lines have
/// (Documentation/process/submitting-patches.rst).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommitId(String);

impl CommitId {
    /// Its digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for CommitId {
    type Err = BadCommit;

    fn from_str(text: &str) -> Result<Self, BadCommit> {
        let digits = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if digits && (12..=40).contains(&text.len()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadCommit(text.to_owned()))
        }
    }
}

impl TryFrom<String> for CommitId {
    type Error = BadCommit;

    fn try_from(text: String) -> Result<Self, BadCommit> {
        text.parse()
    }
}

impl From<CommitId> for String {
    fn from(id: CommitId) -> Self {
        id.0
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// How a cell ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// The kernel is not affected.
    Pass,
    /// The kernel is affected.
    Fail,
    /// The harness or the guest broke: there is no verdict.
    Error,
    /// The question does not apply to this kernel.
    Skip,
}

impl Outcome {
    /// All outcomes.
    pub const ALL: [Self; 4] = [Self::Pass, Self::Fail, Self::Error, Self::Skip];

    /// Its name in files and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Error => "error",
            Self::Skip => "skip",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the matrix expects of a cell: an outcome, or a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Expectation {
    /// The cell must end so.
    Outcome(Outcome),
    /// The cell's ledger must leave this state possible, and its outcome must be that state's.
    State(State),
}

impl Expectation {
    /// The expectation with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        let outcome = Outcome::ALL.into_iter().find(|o| o.as_str() == name).map(Self::Outcome);
        outcome.or_else(|| State::ALL.into_iter().find(|s| s.as_str() == name).map(Self::State))
    }

    /// Its name in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Outcome(outcome) => outcome.as_str(),
            Self::State(state) => state.as_str(),
        }
    }

    /// All names that [`Expectation::from_name`] knows.
    pub fn names() -> impl Iterator<Item = &'static str> {
        Outcome::ALL.into_iter().map(Outcome::as_str).chain(State::ALL.into_iter().map(State::as_str))
    }
}

impl Default for Expectation {
    /// A kernel is expected to be free of bugs.
    fn default() -> Self {
        Self::Outcome(Outcome::Pass)
    }
}

impl TryFrom<String> for Expectation {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        Self::from_name(&name).ok_or_else(|| format!("`{name}` is neither an outcome nor a state"))
    }
}

impl From<Expectation> for String {
    fn from(expectation: Expectation) -> Self {
        expectation.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_folders_so_nothing_else_is_one() {
        for good in ["debian-11", "v4.19.57", "a", "0x", "linux-6.1+deb12_cloud"] {
            assert_eq!(good.parse::<KernelName>().map(String::from).as_deref(), Ok(good));
        }
        let long = "a".repeat(101);
        for bad in ["", ".", "..", "-x", "a/b", "a b", "é", "a\n", long.as_str()] {
            assert!(bad.parse::<KernelName>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_job_s_id_comes_back_from_its_text() {
        for text in ["a-bug", "a-bug@large-queues", "a.b+c@d_e"] {
            assert_eq!(text.parse::<JobId>().map(String::from).as_deref(), Ok(text));
        }
        assert_eq!("a-bug@default".parse::<JobId>().map(String::from).as_deref(), Ok("a-bug"));
        for bad in ["", "@", "a@", "@b", "a@b@c", "a/b@c", "a@../c"] {
            assert!(bad.parse::<JobId>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_expectation_is_an_outcome_or_a_state() {
        for name in Expectation::names() {
            assert!(Expectation::from_name(name).is_some(), "{name}");
        }
        assert_eq!(Expectation::from_name("affected"), Some(Expectation::State(State::Affected)));
        assert_eq!(Expectation::from_name("pass"), Some(Expectation::Outcome(Outcome::Pass)));
        assert_eq!(Expectation::from_name("PASS"), None);
    }
}
