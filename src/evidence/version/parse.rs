//! Parses a release from a name, or from a kernel's banner: `uname -a`, /proc/version, /proc/version_signature.

use super::form::{is_name, is_numbers, named, without_tilde};
use super::package::{deb_package, one_word, packaged};
use super::release::{KnownPackage, Release, Vendor};
use super::{debian, names};
use crate::matrix::Upstream;

/// The longest text in bytes. A banner has 200 (init/version.c), and a package's path may have more.
const MAX: usize = 2000;

/// A text that names no kernel release.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotARelease {
    /// It names none.
    #[error(
        "`{0}` names no kernel release: expected what `uname -r` prints (4.19.57, 4.15.0-58-generic), a kernel package's \
         version or file name, or the line of /proc/version"
    )]
    Nothing(String),
    /// It names several.
    #[error("this line names several kernels: {0}, and {1}; give each on a line of its own")]
    Several(String, String),
}

impl Release {
    /// Parses a release.
    ///
    /// # Errors If the text has none.
    pub fn parse(text: &str) -> Result<Self, NotARelease> {
        let text = text.trim();
        let refuse = || NotARelease::Nothing(text.chars().filter(|c| !c.is_control()).take(100).collect());
        if text.len() > MAX || text.chars().any(char::is_control) {
            return Err(refuse());
        }
        parse(text).ok_or_else(refuse)
    }

    /// The release of a kernel named `kernel` in a Debian package of this version. The version is more exact, because
    /// `uname -r` may only have the ABI number.
    ///
    /// # Errors If neither contains one.
    pub fn of_deb(kernel: &str, version: &str) -> Result<Self, NotARelease> {
        let refuse = || NotARelease::Nothing(format!("{kernel} of version {version}"));
        deb_package(&format!("linux-image-{kernel}"), version).ok_or_else(refuse)
    }

    /// The release of a kernel in an RPM package of this name, and of this version without its epoch.
    ///
    /// # Errors If the package is not known to contain kernels.
    pub fn of_rpm(name: &str, version: &str) -> Result<Self, NotARelease> {
        let refuse = || NotARelease::Nothing(format!("{name}-{version}"));
        packaged(name, &format!("{version}.x86_64")).ok_or_else(refuse)
    }
}

fn parse(text: &str) -> Option<Release> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (name, banner) = match words.as_slice() {
        ["Ubuntu", signature, base] => return ubuntu_signature(signature, base),
        ["Linux", "version", name, rest @ ..] if rest.first().is_none_or(|word| word.starts_with(['(', '#'])) => {
            (*name, text)
        }
        // The host name comes first, except in `uname -sr`. `Linux Lite 5.4` is a distribution.
        ["Linux", _, name, rest @ ..] if is_unames(rest) && Upstream::prefix(name).is_some_and(|(_, n, _)| n > 2) => {
            (*name, text)
        }
        ["Linux", name, rest @ ..] if is_unames(rest) => (*name, text),
        [name] => return one_word(name),
        // `uname -rv`.
        [name, rest @ ..] if is_builds(rest) => (*name, text),
        _ => return None,
    };
    let tail = banner.find(" #").and_then(|at| banner.get(at + 2..)).unwrap_or_default();
    // A kernel's own name is never a package version.
    let named = named(name)?;
    let named = if named.by_form { named.of_nobody_known() } else { named };
    // A vendor in the kernel's name outweighs the builder in the banner.
    if matches!(named.vendor, Vendor::Other(..)) {
        return Some(named);
    }
    let other = names::banner(tail).or_else(|| names::builder(banner));
    let of_other = |named: Release| match other {
        Some(vendor) => Release { vendor, package: KnownPackage::Unknown, ..named },
        None => named.of_nobody_known(),
    };
    // A truncated banner contradicts nothing.
    let is_whole = tail.split_whitespace().any(|word| word.contains(':') || is_year(word));
    Some(match named.vendor {
        // Not every banner named Debian then.
        Vendor::Debian if named.base.line().numbers()[0] < 3 => match debian_before_3(banner) {
            Some(version) => with_version(named, version),
            None => named,
        },
        Vendor::Debian => match after_word(tail, "Debian") {
            Some(version) => with_version(named, version),
            None if is_whole || other.is_some() => of_other(named),
            None => named,
        },
        Vendor::Ubuntu | Vendor::UbuntuDerivative => match upload(tail) {
            // `#55+hf1829991-Ubuntu`: a build with additional patches.
            Some(upload) if !is_numbers(without_tilde(upload)) => named.of_nobody_known(),
            Some(upload) if !is_abis(&named, upload) => named.of_nobody_known(),
            Some(upload) => with_signature(with_upload(named, upload), tail),
            // `#67+lp1836816`.
            None if tail.split_whitespace().next().is_some_and(|count| count.contains('+')) => named.of_nobody_known(),
            None if is_whole || other.is_some() => of_other(named),
            None => named,
        },
        Vendor::KernelOrg(_) if upload(tail).is_some() => Release { vendor: Vendor::UbuntuDerivative, ..named },
        Vendor::KernelOrg(_) | Vendor::Unnamed if other.is_some() => of_other(named),
        _ => named,
    })
}

/// Whether it is empty, or what `uname -a` prints after a release. Sentences about kernels continue in other words.
fn is_unames(rest: &[&str]) -> bool {
    const MACHINES: [&str; 13] = [
        "x86_64",
        "aarch64",
        "ppc64le",
        "ppc64",
        "s390x",
        "i686",
        "i586",
        "i386",
        "armv6l",
        "armv7l",
        "riscv64",
        "unknown",
        "GNU/Linux",
    ];
    is_builds(rest) || rest.iter().all(|word| MACHINES.contains(word))
}

/// Whether it is a build number and the rest of `uname -v`: `#1 SMP`, `#64-Ubuntu`, `#1 Wed Jul 3 …`.
pub(super) fn is_builds(rest: &[&str]) -> bool {
    const NEXT: [&str; 15] = [
        "SMP",
        "PREEMPT",
        "Debian",
        "Raspbian",
        "NixOS",
        "repro",
        "mockbuild",
        "Mon",
        "Tue",
        "Wed",
        "Thu",
        "Fri",
        "Sat",
        "Sun",
        "ZEN",
    ];
    let Some(count) = rest.first().and_then(|word| word.strip_prefix('#')) else { return false };
    let next = rest.get(1).map(|word| word.split(['_', '-', ',']).next().unwrap_or(word));
    count.starts_with(|c: char| c.is_ascii_digit())
        && (count.contains('-') || next.is_none_or(|next| NEXT.contains(&next)))
}

fn is_year(word: &str) -> bool {
    word.len() == 4 && word.bytes().all(|b| b.is_ascii_digit())
}

/// The upload number in Ubuntu's banner: `64~16.04.1` of `#64~16.04.1-Ubuntu`.
fn upload(tail: &str) -> Option<&str> {
    tail.split_whitespace().next()?.strip_suffix("-Ubuntu")
}

/// Whether this upload number is possible for the release's ABI. The main kernel has at least as many uploads as ABIs.
fn is_abis(named: &Release, upload: &str) -> bool {
    let number = |text: &str| text.split(['.', '~']).next()?.parse::<u32>().ok();
    let KnownPackage::Abi(abi) = &named.package else { return true };
    let abi = abi.rsplit('-').next().and_then(number).filter(|abi| *abi < 1000);
    abi.zip(number(upload)).is_none_or(|(abi, upload)| upload >= abi)
}

/// `Linux version 2.6.32-5-amd64 (Debian 2.6.32-48squeeze6) (…`.
fn debian_before_3(banner: &str) -> Option<&str> {
    let (_, behind) = banner.split_once(" (Debian ")?;
    let is_first = !banner.get(..banner.len() - behind.len() - 9)?.contains('(');
    behind.split_once(')').map(|(version, _)| version).filter(|_| is_first)
}

/// Combines a name in Debian's form with the version in its package or banner. If they disagree, the vendor is unknown.
pub(super) fn with_version(named: Release, version: &str) -> Release {
    let agrees = |release: &Release| {
        if named.base_is_exact { release.base == named.base } else { release.base.line() == named.base.line() }
    };
    match debian::of_version(version).filter(agrees) {
        Some(release) => Release { flavour: named.flavour, ..release },
        None => named.of_nobody_known(),
    }
}

/// /proc/version_signature: `Ubuntu 4.15.0-58.64-generic 4.15.18`. It alone names the stable release inside.
fn ubuntu_signature(signature: &str, base: &str) -> Option<Release> {
    let (_, _, rest) = Upstream::prefix(signature)?;
    let mut parts = rest.strip_prefix('-')?.splitn(2, '-');
    let (upload, flavour) = (parts.next()?, parts.next());
    let end = signature.len() - flavour.map_or(0, |f| f.len() + 1);
    if !is_numbers(without_tilde(upload)) || !is_name(signature) {
        return None;
    }
    let vendor = flavour.and_then(names::ubuntu).unwrap_or(Vendor::UbuntuDerivative);
    let package = KnownPackage::Version(signature.get(..end)?.to_owned());
    Some(Release {
        vendor,
        base: base.parse().ok()?,
        base_is_exact: true,
        package,
        flavour: flavour.map(str::to_owned),
        by_form: false,
        is_line: false,
    })
}

/// Adds the upload number from Ubuntu's banner (`#64-Ubuntu`, `#64~16.04.1-Ubuntu`) to a release with an ABI number.
pub(super) fn with_upload(named: Release, upload: &str) -> Release {
    match &named.package {
        KnownPackage::Abi(abi) if is_numbers(without_tilde(upload)) => {
            Release { package: KnownPackage::Version(format!("{abi}.{upload}")), ..named }
        }
        _ => named,
    }
}

/// Boot messages have `(Ubuntu 5.4.0-150.167~18.04.1-generic 5.4.233)` after the banner, which names the base too.
fn with_signature(named: Release, tail: &str) -> Release {
    let mut words = tail.split_once("(Ubuntu ").map_or("", |(_, signature)| signature).split_whitespace();
    let signature =
        words.next().zip(words.next()).and_then(|(version, base)| ubuntu_signature(version, base.strip_suffix(')')?));
    signature.filter(|signature| signature.package == named.package).unwrap_or(named)
}

/// The word after this one.
fn after_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    text.split_whitespace().skip_while(|w| *w != word).nth(1)
}
