//! Which releases have which steps of a bug's chain.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::words::Role;

/// The first releases with each step, line by line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Releases {
    /// Mainline: the first tag with each step, as `5.2-rc6`. A step that is absent is in no mainline release; a `break`
    /// that is absent has always been there.
    pub mainline: BTreeMap<Role, String>,
    /// kernel.org's stable lines: the first release with each step, where the step came after the line's `.0`.
    #[serde(default)]
    pub stable: Vec<StableLine>,
    /// Stable lines that ended before the break reached them: they never had it (`4.20`).
    #[serde(default)]
    pub ended_before_break: Vec<String>,
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
    pub line: String,
    /// The first release with each step, as `4.19.52`.
    pub steps: BTreeMap<Role, String>,
    /// The last release that was looked at; what later ones have is not known.
    #[serde(default)]
    pub known_until: Option<String>,
}

/// One line of a distribution's packages.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct DistributionLine {
    /// `ubuntu`, `debian`, `rhel`, `suse`, …: a name that `evidence::version` knows.
    pub distribution: String,
    /// The part of its versions that names the line: `4.15.0`, `3.10.0-957`.
    pub line: String,
    /// The first package version with each step.
    pub steps: BTreeMap<Role, String>,
    /// The last version that was looked at; what later ones have is not known.
    #[serde(default)]
    pub known_until: Option<String>,
    /// Where these facts come from.
    pub source: String,
}
