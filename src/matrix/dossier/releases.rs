//! Which releases have which steps of a bug's chain.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::upstream::{First, Line, PackageVersion, Upstream};
use crate::words::Role;

/// The first releases with each step, line by line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Releases {
    /// Mainline: the first tag with each step, as `5.2-rc6`. A step that is absent is in no mainline release; a `break`
    /// that is absent has always been there.
    pub mainline: BTreeMap<Role, First<Upstream>>,
    /// Whether every tree that starts from a mainline release with a step has the step, distributions' trees too: that
    /// is so where nobody has reverted it.
    #[serde(default)]
    pub descendants: bool,
    /// Whether nobody has repaired it, neither kernel.org nor any distribution, but for what is listed here.
    #[serde(default)]
    pub no_fix_anywhere: bool,
    /// kernel.org's stable lines: the first release with each step, where the step came after the line's `.0`.
    #[serde(default)]
    pub stable: Vec<StableLine>,
    /// Stable lines that ended before the break reached them: they never had it (`4.20`).
    #[serde(default)]
    pub ended_before_break: Vec<Line>,
    /// Lines of distributions, whose kernels are never judged by the number they start from alone.
    #[serde(default)]
    pub distributions: Vec<DistributionLine>,
    /// Where these facts come from.
    pub sources: Vec<String>,
}

/// One of kernel.org's stable lines.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct StableLine {
    /// `4.19`.
    pub line: Line,
    /// The first release with each step, as `4.19.52`. A step that is absent is there where the line's `.0` has it.
    pub steps: BTreeMap<Role, First<Upstream>>,
    /// The last release that was looked at; what later ones have got since is not known. Absent: the line is known to
    /// its end.
    #[serde(default)]
    pub known_until: Option<Upstream>,
}

/// One line of a distribution's packages.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DistributionLine {
    /// `ubuntu`, `debian`, `rhel`, `suse`, …: a name that `evidence::version` knows.
    pub distribution: String,
    /// The part of its versions that names the line: `4.15.0`, `3.10.0-957`. Absent: all lines that have no entry.
    #[serde(default)]
    pub line: Option<PackageVersion>,
    /// The first package version with each step.
    #[serde(default)]
    pub steps: BTreeMap<Role, First<PackageVersion>>,
    /// The last version that was looked at. Whether later ones have a step that is not listed is not known; absent, it
    /// is not known of any.
    #[serde(default)]
    pub known_until: Option<PackageVersion>,
    /// Whether each package contains the whole kernel.org release that its version names.
    #[serde(default)]
    pub contains_base: bool,
    /// Where these facts come from.
    pub source: String,
}
