//! The program's terms as types: names, states, outcomes. All rooms use them; they use no room.

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
pub(crate) fn is_name(text: &str) -> bool {
    text.len() <= 100
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._+-".contains(c))
}

/// The conversions of a type that wraps a checked text.
macro_rules! checked_text {
    ($name:ident, $error:ident) => {
        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = $error;

            fn try_from(text: String) -> Result<Self, $error> {
                text.parse()
            }
        }

        impl From<$name> for String {
            fn from(text: $name) -> Self {
                text.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    };
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        checked_text!($name, BadName);

        impl FromStr for $name {
            type Err = BadName;

            fn from_str(text: &str) -> Result<Self, BadName> {
                if is_name(text) { Ok(Self(text.to_owned())) } else { Err(BadName(text.to_owned())) }
            }
        }
    };
}

name! {
    /// The name of one entry of the matrix.
    KernelName
}
name! {
    /// The name of a bug, its reproducer and its dossier.
    BugId
}
name! {
    /// The name of a profile. The kernel's own settings are the profile `default`.
    ProfileName
}

/// A file's sha256: 64 hexadecimal digits, converted to lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256(String);

/// A text that is not a sha256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a sha256: 64 hexadecimal digits")]
pub struct BadSha256;

checked_text!(Sha256, BadSha256);

impl FromStr for Sha256 {
    type Err = BadSha256;

    fn from_str(text: &str) -> Result<Self, BadSha256> {
        let is_one = text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if is_one { Ok(Self(text.to_ascii_lowercase())) } else { Err(BadSha256) }
    }
}

impl ProfileName {
    /// On the command line, means every profile; no profile has this name.
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

/// What one cell of a kernel judges: a bug under a profile. As text it is the bug's name, followed by `@profile` unless
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

/// A kernel's state in a bug's chain of commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// The kernel never had the commit that introduced the bug.
    NeverHad,
    /// It is broken.
    Affected,
    /// It has only a partial fix: still affected.
    HalfFixed,
    /// Repaired.
    Fixed,
    /// Fixed, but the fix has a defect.
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
    /// It introduces the bug.
    Break,
    /// It fixes a part; the kernel is still affected.
    HalfFix,
    /// It fixes the bug.
    Fix,
    /// It fixes a defect of the fix's backports.
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

/// A text that is not a commit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a commit: expected 12 to 40 lower-case hexadecimal digits")]
pub struct BadCommit(pub String);

/// A commit's SHA-1, or at least its first 12 digits, in lower case. The kernel's `Fixes:` lines have twelve
/// (Documentation/process/submitting-patches.rst).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CommitId(String);

checked_text!(CommitId, BadCommit);

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
    /// The cell's required outcome.
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
    /// A kernel is expected to pass.
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
#[path = "words_tests.rs"]
mod tests;
