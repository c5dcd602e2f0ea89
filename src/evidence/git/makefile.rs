//! A kernel tree's own version: the first lines of its Makefile.

use std::fmt;

use serde::Serialize;

/// What a kernel tree's Makefile calls it: VERSION, PATCHLEVEL, SUBLEVEL and EXTRAVERSION.
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

/// How much of a Makefile is looked at. The four lines are its first.
const HEAD: usize = 16 * 1024;

impl MakefileVersion {
    /// Reads the text of a kernel's top Makefile. None where it is another project's.
    pub(super) fn parse(makefile: &[u8]) -> Option<Self> {
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
            extraversion: value("EXTRAVERSION").unwrap_or_default(),
        })
    }

    /// The line that it belongs to, as `4.19`; for the 2.6 kernels, `2.6.32`.
    pub fn line(&self) -> String {
        if self.version < 3 {
            format!("{}.{}.{}", self.version, self.patchlevel, self.sublevel)
        } else {
            format!("{}.{}", self.version, self.patchlevel)
        }
    }

    /// The candidate that it is: the 5 of `-rc5`.
    pub(super) fn candidate(&self) -> Option<u32> {
        let digits = self.extraversion.strip_prefix("-rc")?;
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        digits[..end].parse().ok()
    }

    /// Where it stands in the order of kernel.org's releases.
    pub(super) fn release(&self) -> Release {
        Release(self.version, self.patchlevel, self.sublevel, self.candidate().unwrap_or(u32::MAX))
    }

    /// Whether it is before `4.15` in the sense of a dossier's `only-before`: candidates of 4.15 are not.
    pub(super) fn is_before(&self, release: Release) -> bool {
        (self.version, self.patchlevel, self.sublevel) < (release.0, release.1, release.2)
    }
}

impl fmt::Display for MakefileVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}{}", self.version, self.patchlevel, self.sublevel, self.extraversion)
    }
}

/// A release of kernel.org, in their order: version, patchlevel, sublevel, candidate (the largest number where it is
/// none, for a release comes after its candidates).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Release(pub u32, pub u32, pub u32, pub u32);

impl Release {
    /// Reads `5.2`, `4.19.52` or `5.2-rc6`.
    pub fn parse(text: &str) -> Option<Self> {
        let (numbers, candidate) = match text.split_once("-rc") {
            Some((numbers, candidate)) => (numbers, candidate.parse().ok()?),
            None => (text, u32::MAX),
        };
        let mut numbers = numbers.split('.').map(|n| n.parse::<u32>().ok());
        let (version, patchlevel) = (numbers.next()??, numbers.next()??);
        let sublevel = match numbers.next() {
            Some(sublevel) => sublevel?,
            None => 0,
        };
        numbers.next().is_none().then_some(Self(version, patchlevel, sublevel, candidate))
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
            assert_eq!((version.to_string().as_str(), version.line().as_str()), (expected, line));
        }
        for other in ["", "all:\n\tcc x.c\n", "VERSION = 1.2.3\n", "VERSION = 4\n", "VERSION = x\nPATCHLEVEL = 1\n"] {
            assert_eq!(MakefileVersion::parse(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn releases_have_kernel_org_s_order() {
        let order = ["2.6.12-rc2", "4.14.137", "4.15-rc1", "4.15", "4.19.51", "5.1.0", "5.2-rc5", "5.2-rc10", "5.2.1"];
        let releases: Vec<_> = order.iter().map(|text| Release::parse(text).unwrap()).collect();
        assert!(releases.is_sorted() && releases.windows(2).all(|pair| pair[0] != pair[1]));
        for wrong in ["", "5", "5.x", "5.2.1.1", "5.2-rcx", "v5.2"] {
            assert_eq!(Release::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_candidate_of_4_15_is_not_before_4_15() {
        let before = Release::parse("4.15").unwrap();
        for (sublevel, patchlevel, extra, expected) in [(137, 14, "", true), (0, 15, "-rc1", false), (0, 15, "", false)]
        {
            let version = MakefileVersion { version: 4, patchlevel, sublevel, extraversion: extra.to_owned() };
            assert_eq!(version.is_before(before), expected, "{version}");
        }
    }
}
