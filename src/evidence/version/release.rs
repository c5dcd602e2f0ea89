//! What a release string or package version is understood as.

use std::fmt;

use crate::matrix::Upstream;

/// A kernel's release, as its name tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    pub(super) vendor: Vendor,
    /// What it starts from: the kernel.org release where `base_is_exact`, else a release of that line.
    pub(super) base: Upstream,
    pub(super) base_is_exact: bool,
    pub(super) package: KnownPackage,
    /// `generic`, `cloud-amd64`, `debug`.
    pub(super) flavour: Option<String>,
    /// Whether no more than the form of its number says whose it is. Somebody else may number builds so too.
    pub(super) by_form: bool,
    /// Whether all releases of `base`'s line are meant.
    pub(super) is_line: bool,
}

/// Who made a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    /// kernel.org, or somebody who built on its source under a name of their own.
    KernelOrg(Beyond),
    /// Ubuntu's main kernel, whose flavours share its numbers.
    Ubuntu,
    /// A kernel of Ubuntu's with numbers of its own: for a cloud or a board.
    UbuntuDerivative,
    /// Debian.
    Debian,
    /// Red Hat Enterprise Linux, or a rebuild of it: CentOS, AlmaLinux, Rocky Linux.
    Rhel,
    /// Fedora.
    Fedora,
    /// Oracle's Unbreakable Enterprise Kernel.
    OracleUek,
    /// SUSE Linux Enterprise or openSUSE.
    Suse,
    /// Amazon Linux.
    Amazon,
    /// Another one, by the name that a dossier may use, and the one for people.
    Other(&'static str, &'static str),
    /// Somebody who names kernels as distributions do.
    Unnamed,
}

/// How far a tree has gone beyond the release that it is named after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beyond {
    /// It is the release.
    Nothing,
    /// It has a local version of somebody's own (`-mine`, `-vendor`), or changes that are not committed (`-dirty`): any patch
    /// may be on top.
    Local,
    /// It has further commits (`+`, or the count of `git describe`), which are kernel.org's, a maintainer's, or anybody's.
    Commits,
    /// It is linux-next, which is ahead of mainline by everything that waits for the next merge window.
    Next,
}

/// What is known of the package's version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KnownPackage {
    /// Nothing.
    Unknown,
    /// What the release string has of it: `4.15.0-58`. Debian keeps it through many versions.
    Abi(String),
    /// All of it.
    Version(String),
}

impl KnownPackage {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Unknown => None,
            Self::Abi(text) | Self::Version(text) => Some(text),
        }
    }
}

impl Vendor {
    /// The name that dossiers use.
    pub fn key(self) -> &'static str {
        match self {
            Self::KernelOrg(_) => "kernel.org",
            Self::Ubuntu => "ubuntu",
            Self::UbuntuDerivative => "ubuntu-derivative",
            Self::Debian => "debian",
            Self::Rhel => "rhel",
            Self::Fedora => "fedora",
            Self::OracleUek => "oracle-uek",
            Self::Suse => "suse",
            Self::Amazon => "amazon",
            Self::Other(key, _) => key,
            Self::Unnamed => "unnamed",
        }
    }
}

impl fmt::Display for Vendor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::KernelOrg(_) => "kernel.org",
            Self::Ubuntu | Self::UbuntuDerivative => "Ubuntu",
            Self::Debian => "Debian",
            Self::Rhel => "RHEL (or a rebuild of it)",
            Self::Fedora => "Fedora",
            Self::OracleUek => "Oracle UEK",
            Self::Suse => "SUSE",
            Self::Amazon => "Amazon Linux",
            Self::Other(_, name) => name,
            Self::Unnamed => "an unnamed distribution's kernel",
        })
    }
}

impl Release {
    /// Who made it.
    pub fn vendor(&self) -> Vendor {
        self.vendor
    }

    /// Whether whoever built it chose the name: it says which release the tree began as, and not what was put in or taken out.
    pub fn is_builders_own(&self) -> bool {
        matches!(self.vendor, Vendor::KernelOrg(beyond) if beyond != Beyond::Nothing)
    }

    /// Whether it is a release of kernel.org's and nothing else: no build's, and no package's.
    pub fn is_bare_number(&self) -> bool {
        matches!(self.vendor, Vendor::KernelOrg(_)) && self.flavour.is_none() && self.package == KnownPackage::Unknown
    }

    /// The kernel.org release that it starts from; where the name tells the line only, the first one of that line.
    pub fn base(&self) -> Upstream {
        self.base
    }

    /// The release or candidate of mainline's that it starts from at the least. Ubuntu's number for a line begins with
    /// candidates of its release: 5.3.0-1.2 is one of 5.3-rc1. The first uploads of a released kernel were 5.3.0-18 and
    /// 6.8.0-31, and 5.3.0-1003 for clouds.
    pub(super) fn start(&self) -> Upstream {
        const CANDIDATES: u32 = 20;
        let start = self.base.mainline();
        let number = self.package.text().and_then(|text| text.rsplit_once('-')).map(|(_, number)| number);
        let number = number.and_then(|number| number.split(['.', '~', '+']).next()?.parse::<u32>().ok());
        // Those of clouds and boards count from 1000.
        let is_early = number.is_some_and(|number| number % 1000 < CANDIDATES);
        match self.vendor {
            Vendor::Ubuntu | Vendor::UbuntuDerivative if is_early && !self.base_is_exact => start.with_candidate(1),
            _ => start,
        }
    }

    /// The same release, where its name shows that the vendor it looked like did not make it.
    pub(super) fn of_nobody_known(self) -> Self {
        Self { vendor: Vendor::Unnamed, package: KnownPackage::Unknown, by_form: false, ..self }
    }

    /// Its package's version, where the text gives all of it.
    pub fn package(&self) -> Option<&str> {
        match &self.package {
            KnownPackage::Version(version) => Some(version),
            _ => None,
        }
    }
}

impl fmt::Display for Release {
    /// For people: what it was understood as.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_line {
            return write!(f, "kernel.org's line {}", self.base.line());
        }
        match (&self.package, self.vendor) {
            (KnownPackage::Abi(text), Vendor::Ubuntu | Vendor::UbuntuDerivative | Vendor::Debian) => {
                let (base, abi) = text.split_once('-').unwrap_or((text, "?"));
                write!(f, "{} {base}, ABI {abi}", self.vendor)?;
            }
            (KnownPackage::Version(text) | KnownPackage::Abi(text), vendor) => write!(f, "{vendor} {text}")?,
            (KnownPackage::Unknown, vendor @ Vendor::KernelOrg(_)) => write!(f, "{vendor} {}", self.base)?,
            (KnownPackage::Unknown, vendor) => write!(f, "{vendor}, based on {}", self.base)?,
        }
        match (&self.flavour, self.vendor) {
            (Some(local), Vendor::KernelOrg(_)) => write!(f, " with the local version {local}")?,
            (Some(flavour), _) => write!(f, ", flavour {flavour}")?,
            (None, _) => {}
        }
        if self.by_form {
            f.write_str(" (by the form of its version)")?;
        }
        f.write_str(match self.vendor {
            Vendor::KernelOrg(Beyond::Commits) => " and further commits",
            Vendor::KernelOrg(Beyond::Next) => " and linux-next's commits",
            _ => "",
        })
    }
}
