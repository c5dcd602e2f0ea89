//! Releases of kernel.org, and the first release with a step.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// A text that is not a release.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{found}` is not {expected}")]
pub struct BadRelease {
    found: String,
    expected: &'static str,
}

impl BadRelease {
    /// The expected form, as the end of a message.
    pub fn expected(&self) -> String {
        format!("expected {}", self.expected)
    }
}

fn bad(found: &str, expected: &'static str) -> BadRelease {
    BadRelease { found: found.chars().take(100).collect(), expected }
}

/// A line of releases: `4.19`, or `2.6.32` before 3.0, when lines had three numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReleaseLine {
    version: u16,
    patchlevel: u16,
    sublevel: u16,
}

impl ReleaseLine {
    /// Its numbers: the third is 0 from 3.0 on.
    pub fn numbers(self) -> [u16; 3] {
        [self.version, self.patchlevel, self.sublevel]
    }
}

impl fmt::Display for ReleaseLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.version < 3 {
            write!(f, "{}.{}.{}", self.version, self.patchlevel, self.sublevel)
        } else {
            write!(f, "{}.{}", self.version, self.patchlevel)
        }
    }
}

/// A release of kernel.org: `5.3-rc1`, `5.3`, `4.19.57`. They sort as they came out within a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Upstream {
    line: ReleaseLine,
    stable: u16,
    /// The number of a release candidate, or [`Upstream::FINAL`], which is after all of them.
    candidate: u16,
}

impl Upstream {
    const FINAL: u16 = u16::MAX;

    /// Its line.
    pub fn line(self) -> ReleaseLine {
        self.line
    }

    /// The number after the line's: 57 in `4.19.57`, 0 in `5.3` and `5.3-rc1`.
    pub fn stable(self) -> u16 {
        self.stable
    }

    /// The mainline release or candidate that the line starts from; a mainline release starts from itself.
    #[must_use]
    pub fn mainline(self) -> Self {
        if self.stable == 0 { self } else { Self { line: self.line, stable: 0, candidate: Self::FINAL } }
    }

    /// Whether it is a release candidate.
    pub fn is_candidate(self) -> bool {
        self.candidate != Self::FINAL
    }

    /// The candidate's number, if it is one.
    pub fn candidate(self) -> Option<u16> {
        self.is_candidate().then_some(self.candidate)
    }

    /// The candidate with this number, of the same release.
    #[must_use]
    pub fn with_candidate(self, candidate: u16) -> Self {
        Self { candidate, ..self }
    }

    /// Reads the release at the start of a text. Returns the release, its count of numbers, and the rest.
    pub fn prefix(text: &str) -> Option<(Self, usize, &str)> {
        let (version, mut rest) = number(text)?;
        if !(2..=99).contains(&version) {
            return None;
        }
        let most = if version < 3 { 4 } else { 3 };
        let mut numbers = vec![version];
        while numbers.len() < most {
            let Some((next, after)) = rest.strip_prefix('.').and_then(number) else { break };
            numbers.push(next);
            rest = after;
        }
        let at = |i: usize| numbers.get(i).copied().unwrap_or(0);
        if numbers.len() < 2 {
            return None;
        }
        let (sublevel, stable) = if version < 3 { (at(2), at(3)) } else { (0, at(2)) };
        let line = ReleaseLine { version, patchlevel: at(1), sublevel };
        let candidate = rest.strip_prefix("-rc").and_then(number);
        let ends = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric());
        let (candidate, rest) = candidate.filter(|(_, rest)| ends(rest)).unwrap_or((Self::FINAL, rest));
        Some((Self { line, stable, candidate }, numbers.len(), rest))
    }
}

/// Digits that are a number below the largest, and the rest.
fn number(text: &str) -> Option<(u16, &str)> {
    let end = text.bytes().position(|b| !b.is_ascii_digit()).unwrap_or(text.len());
    let number = text.get(..end)?.parse().ok().filter(|n| *n < Upstream::FINAL)?;
    Some((number, text.get(end..)?))
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.line.fmt(f)?;
        if self.stable > 0 {
            write!(f, ".{}", self.stable)?;
        }
        if self.is_candidate() { write!(f, "-rc{}", self.candidate) } else { Ok(()) }
    }
}

impl FromStr for Upstream {
    type Err = BadRelease;

    fn from_str(text: &str) -> Result<Self, BadRelease> {
        let whole = Self::prefix(text).filter(|(_, _, rest)| rest.is_empty());
        whole.map(|(release, ..)| release).ok_or_else(|| bad(text, "a kernel's release, as `5.2-rc6` or `4.19.52`"))
    }
}

impl FromStr for ReleaseLine {
    type Err = BadRelease;

    fn from_str(text: &str) -> Result<Self, BadRelease> {
        let line = text.parse::<Upstream>().ok().filter(|r| r.stable == 0 && !r.is_candidate()).map(Upstream::line);
        line.ok_or_else(|| bad(text, "a line of kernel releases, as `4.19`"))
    }
}

/// The suffixes that `uname -r` and the names of RPM files append to a version.
const ARCHES: [&str; 8] = ["x86_64", "aarch64", "ppc64le", "ppc64", "s390x", "i686", "armv7hl", "src"];

/// The version of a package, as its distribution writes it, without its epoch. Only the package manager's rules can sort
/// versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PackageVersion(String);

impl PackageVersion {
    /// The version as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a flavour stands behind the last `-`, as in `4.15.0-52-generic` and `4.19.0-5-amd64`. SUSE's revisions may begin
/// with `lp`, and Gentoo's and Alpine's with `r`.
fn has_flavour(version: &str) -> bool {
    let last = version.rsplit_once('-').map_or("", |(_, last)| last);
    let is_revision = ["lp", "r"]
        .iter()
        .any(|begin| last.strip_prefix(begin).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())));
    last.starts_with(|c: char| c.is_ascii_alphabetic()) && !is_revision
}

impl fmt::Display for PackageVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for PackageVersion {
    type Err = BadRelease;

    fn from_str(text: &str) -> Result<Self, BadRelease> {
        const EXPECTED: &str = "a package's version, as `4.15.0-52.56` or `3.10.0-957.21.3.el7`";
        let allowed = |c: char| c.is_ascii_alphanumeric() || ".+-~_".contains(c);
        // Kernels are compared without epoch and architecture, so either would sort as another version.
        let is_epoch = |epoch: &str| !epoch.is_empty() && epoch.bytes().all(|byte| byte.is_ascii_digit());
        let version = text.split_once(':').filter(|(epoch, _)| is_epoch(epoch)).map_or(text, |(_, version)| version);
        let version = version.rsplit_once('.').filter(|(_, arch)| ARCHES.contains(arch)).map_or(version, |(v, _)| v);
        if !version.starts_with(|c: char| c.is_ascii_digit()) || text.len() > 100 || !version.chars().all(allowed) {
            return Err(bad(text, EXPECTED));
        }
        if has_flavour(version) {
            return Err(bad(text, "a package's version, as `4.15.0-52.56`, and no name that `uname -r` prints"));
        }
        Ok(Self(version.to_owned()))
    }
}

/// The order in which two releases came out, as far as it is certain.
pub trait ReleaseOrder: fmt::Display {
    /// None if it is unknown.
    fn order(&self, other: &Self) -> Option<Ordering>;
}

impl ReleaseOrder for Upstream {
    fn order(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl ReleaseOrder for PackageVersion {
    /// Package managers agree where the first difference is one of two numbers: `4.15.0-52.56` and `4.15.0-60.67`.
    fn order(&self, other: &Self) -> Option<Ordering> {
        let (one, other) = (self.0.as_bytes(), other.0.as_bytes());
        let same = one.iter().zip(other).take_while(|(a, b)| a == b).count();
        if same == one.len() && same == other.len() {
            return Some(Ordering::Equal);
        }
        let begin = one[..same].iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |at| at + 1);
        let number = |version: &[u8]| {
            let digits = version[begin..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            std::str::from_utf8(&version[begin..begin + digits]).ok()?.parse::<u128>().ok()
        };
        let order = number(one)?.cmp(&number(other)?);
        (order != Ordering::Equal).then_some(order)
    }
}

/// The first release with a step, perhaps inexact. `4.19.52`: exactly this one. `5.10.9..5.10.13`: all before 5.10.9
/// lack it, and 5.10.13 has it. `3.16.70..`: none certainly has it. `..4.18.0-25.26`: none before certainly lacks it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum First<T> {
    /// Exactly this one.
    Is(T),
    /// Inexact. At least one is set.
    Among {
        /// The first release that may have it; all before it lack it.
        from: Option<T>,
        /// A release that has it, like all later ones.
        by: Option<T>,
    },
}

impl<T> First<T> {
    /// The releases that are named.
    pub fn named(&self) -> impl Iterator<Item = &T> {
        let (one, other) = match self {
            Self::Is(first) => (Some(first), None),
            Self::Among { from, by } => (from.as_ref(), by.as_ref()),
        };
        one.into_iter().chain(other)
    }

    /// Whether a release has it, if known. `reaches` says whether that release is another one or later.
    pub fn is_in(&self, reaches: impl Fn(&T) -> bool) -> Option<bool> {
        match self {
            Self::Is(first) => Some(reaches(first)),
            Self::Among { by: Some(by), .. } if reaches(by) => Some(true),
            Self::Among { from: Some(from), .. } if !reaches(from) => Some(false),
            Self::Among { .. } => None,
        }
    }

    /// The first release that certainly has it.
    pub fn certain(&self) -> Option<&T> {
        match self {
            Self::Is(first) => Some(first),
            Self::Among { by, .. } => by.as_ref(),
        }
    }
}

impl<T: fmt::Display> fmt::Display for First<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(first) => first.fmt(f),
            Self::Among { from: Some(from), by: Some(by) } => write!(f, "one of {from} to {by}"),
            Self::Among { from: Some(from), by: None } => write!(f, "{from} or later"),
            Self::Among { by: Some(by), .. } => write!(f, "{by} or earlier"),
            Self::Among { .. } => f.write_str("an unknown release"),
        }
    }
}

impl<T: FromStr<Err = BadRelease>> FromStr for First<T> {
    type Err = BadRelease;

    fn from_str(text: &str) -> Result<Self, BadRelease> {
        let Some((from, by)) = text.split_once("..") else { return text.parse().map(Self::Is) };
        let end = |text: &str| if text.is_empty() { Ok(None) } else { text.parse().map(Some) };
        match (end(from)?, end(by)?) {
            (None, None) => Err(bad(text, "a release: expected one on a side of the `..`")),
            (from, by) => Ok(Self::Among { from, by }),
        }
    }
}

#[cfg(test)]
#[path = "upstream_tests.rs"]
mod tests;
