//! A parsed release string or package version.

use std::fmt;

use crate::matrix::Upstream;

/// A kernel's release, parsed from its name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    pub(super) vendor: Vendor,
    /// Its base: the exact kernel.org release if `base_is_exact`, else some release of that line.
    pub(super) base: Upstream,
    pub(super) base_is_exact: bool,
    pub(super) package: KnownPackage,
    /// `generic`, `cloud-amd64`, `debug`.
    pub(super) flavour: Option<String>,
    /// Whether the vendor is guessed from the form of the number, which others may use too.
    pub(super) by_form: bool,
    /// Whether it means all releases of `base`'s line.
    pub(super) is_line: bool,
}

/// The maker of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vendor {
    /// kernel.org, or a local build of its source.
    KernelOrg(Beyond),
    /// Ubuntu's main kernel, whose flavours share its numbers.
    Ubuntu,
    /// An Ubuntu kernel for a cloud or a board, with its own numbers.
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
    /// Another vendor: the name in dossiers, and the name for people.
    Other(&'static str, &'static str),
    /// An unknown vendor that names kernels like a distribution.
    Unnamed,
}

/// The difference between a tree and the release that it is named after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beyond {
    /// It is exactly the release.
    Nothing,
    /// It has a local version (`-mine`, `-vendor`) or uncommitted changes (`-dirty`), so any patch may be on top.
    Local,
    /// It has further commits of any origin (`+`, or the count of `git describe`).
    Commits,
    /// It is linux-next, which also has everything that waits for the next merge window.
    Next,
}

/// The known part of the package's version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum KnownPackage {
    /// Nothing.
    Unknown,
    /// The part in the release string: `4.15.0-58`. Debian keeps it for many versions.
    Abi(String),
    /// The full version.
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
    /// Its vendor.
    pub fn vendor(&self) -> Vendor {
        self.vendor
    }

    /// Whether the builder chose the name. Such a name gives the base release, but not the patches added or removed.
    pub fn is_builders_own(&self) -> bool {
        matches!(self.vendor, Vendor::KernelOrg(beyond) if beyond != Beyond::Nothing)
    }

    /// Whether it is only a kernel.org release, not a build's or a package's name.
    pub fn is_bare_number(&self) -> bool {
        matches!(self.vendor, Vendor::KernelOrg(_)) && self.flavour.is_none() && self.package == KnownPackage::Unknown
    }

    /// The kernel.org release that it is based on; if only the line is known, the first release of that line.
    pub fn base(&self) -> Upstream {
        self.base
    }

    /// The earliest mainline release or candidate that it may be based on. Ubuntu's first uploads of a line are based
    /// on candidates: 5.3.0-1.2 on 5.3-rc1. The first uploads of a released kernel were 5.3.0-18 and
    /// 6.8.0-31, and 5.3.0-1003 for clouds.
    pub(super) fn start(&self) -> Upstream {
        const CANDIDATES: u32 = 20;
        let start = self.base.mainline();
        let number = self.package.text().and_then(|text| text.rsplit_once('-')).map(|(_, number)| number);
        let number = number.and_then(|number| number.split(['.', '~', '+']).next()?.parse::<u32>().ok());
        // Numbers for clouds and boards start at 1000.
        let is_early = number.is_some_and(|number| number % 1000 < CANDIDATES);
        match self.vendor {
            Vendor::Ubuntu | Vendor::UbuntuDerivative if is_early && !self.base_is_exact => start.with_candidate(1),
            _ => start,
        }
    }

    /// The same release with an unknown vendor, because its name shows that the apparent one did not make it.
    pub(super) fn of_nobody_known(self) -> Self {
        Self { vendor: Vendor::Unnamed, package: KnownPackage::Unknown, by_form: false, ..self }
    }

    /// Its full package version, if known.
    pub fn package(&self) -> Option<&str> {
        match &self.package {
            KnownPackage::Version(version) => Some(version),
            _ => None,
        }
    }
}

impl fmt::Display for Release {
    /// Describes the parsed release for people.
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
