//! A kernel tree's own version: the first lines of its Makefile.

use std::fmt;

use serde::Serialize;

use crate::matrix::Upstream;

/// A kernel tree's version in its Makefile: VERSION, PATCHLEVEL, SUBLEVEL and EXTRAVERSION.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MakefileVersion {
    /// VERSION: the 4 of 4.19.57.
    pub version: u32,
    /// PATCHLEVEL: the 19.
    pub patchlevel: u32,
    /// SUBLEVEL: the 57; 0 where the Makefile leaves it empty.
    pub sublevel: u32,
    /// EXTRAVERSION, as `-rc5`; empty in a release.
    pub extraversion: String,
}

/// The most bytes of a Makefile to read. The four lines are its first.
const HEAD: usize = 16 * 1024;

impl MakefileVersion {
    /// Reads the text of a kernel's top Makefile. None where it is another project's.
    pub(super) fn parse(makefile: &[u8]) -> Option<Self> {
        let is_plain =
            |text: &str| text.len() <= 64 && text.chars().all(|c| c.is_ascii_alphanumeric() || "._+-~".contains(c));
        let text = String::from_utf8_lossy(&makefile[..makefile.len().min(HEAD)]);
        let value = |key: &str| {
            let mut lines = text.lines().filter_map(|line| line.split_once('='));
            lines.find(|(name, _)| name.trim_end() == key).map(|(_, value)| value.trim().to_owned())
        };
        let sublevel = value("SUBLEVEL").unwrap_or_default();
        Some(Self {
            version: value("VERSION")?.parse().ok()?,
            patchlevel: value("PATCHLEVEL")?.parse().ok()?,
            sublevel: if sublevel.is_empty() { 0 } else { sublevel.parse().ok()? },
            // A value that make would have to evaluate does not belong to a kernel.
            extraversion: Some(value("EXTRAVERSION").unwrap_or_default()).filter(|extra| is_plain(extra))?,
        })
    }

    /// Its place in the order of kernel.org's releases. None if no such release is possible.
    pub(super) fn release(&self) -> Option<Upstream> {
        let text = self.to_string();
        Upstream::prefix(&text).map(|(release, ..)| release)
    }

    /// Whether it is before `4.15` in the sense of a dossier's `only-before`: candidates of 4.15 are not.
    pub(super) fn is_before(&self, release: Upstream) -> bool {
        self.release().is_some_and(|own| (own.line(), own.stable()) < (release.line(), release.stable()))
    }
}

impl fmt::Display for MakefileVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}{}", self.version, self.patchlevel, self.sublevel, self.extraversion)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_makefile_gives_the_version_that_the_kernel_reports() {
        for (makefile, expected, line) in [
            ("VERSION = 4\nPATCHLEVEL = 19\nSUBLEVEL = 57\nEXTRAVERSION =\nNAME = x\n", "4.19.57", "4.19"),
            ("# SPDX\nVERSION = 5\nPATCHLEVEL = 2\nSUBLEVEL = 0\nEXTRAVERSION = -rc5\n", "5.2.0-rc5", "5.2"),
            ("VERSION = 2\nPATCHLEVEL = 6\nSUBLEVEL = 12\nEXTRAVERSION =-rc2\n", "2.6.12-rc2", "2.6.12"),
            ("VERSION = 3\nPATCHLEVEL = 10\nSUBLEVEL =\n", "3.10.0", "3.10"),
        ] {
            let version = MakefileVersion::parse(makefile.as_bytes()).unwrap();
            let found = version.release().map(|release| release.line().to_string());
            assert_eq!((version.to_string().as_str(), found.as_deref()), (expected, Some(line)));
        }
        let shell = "VERSION = 5\nPATCHLEVEL = 2\nEXTRAVERSION = $(shell rm)\n";
        for other in
            [shell, "", "all:\n\tcc x.c\n", "VERSION = 1.2.3\n", "VERSION = 4\n", "VERSION = x\nPATCHLEVEL = 1\n"]
        {
            assert_eq!(MakefileVersion::parse(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn a_candidate_of_4_15_is_not_before_4_15() {
        let before: Upstream = "4.15".parse().unwrap();
        for (sublevel, patchlevel, extra, expected) in [(137, 14, "", true), (0, 15, "-rc1", false), (0, 15, "", false)]
        {
            let version = MakefileVersion { version: 4, patchlevel, sublevel, extraversion: extra.to_owned() };
            assert_eq!(version.is_before(before), expected, "{version}");
        }
    }
}
