//! Parses the names of kernels in RPMs.

use super::form::is_numbers;
use super::names;
use super::release::{KnownPackage, Release, Vendor};
use crate::matrix::Upstream;

/// A SUSE kernel without the numbers of the main one.
pub(super) const SUSE_OTHER: Vendor = Vendor::Other("suse-other", "SUSE");
/// The bases of Red Hat's kernels, by the number after `el`.
const BASES: [(&str, &str); 6] =
    [("5", "2.6.18"), ("6", "2.6.32"), ("7", "3.10"), ("8", "4.18"), ("9", "5.14"), ("10", "6.12")];

/// A kernel derived from Red Hat's, to which Red Hat's numbers don't apply.
const RHEL_OTHER: Vendor = Vendor::Other("rhel-other", "RHEL (or a rebuild of it)");

/// Parses names in the form of RPMs: `3.10.0-957.21.3.el7.x86_64`.
pub(super) fn named(name: &str, rest: &str, plain: &Release) -> Option<Release> {
    let word = |begin: &str| {
        rest.split(['-', '.', '_', '+'])
            .any(|w| w.strip_prefix(begin).is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit())))
    };
    let has = |text: &str| rest.contains(text);
    let (el, fc, amzn) = (word("el"), word("fc"), word("amzn"));
    if !(el || fc || amzn) {
        return None;
    }
    let vendor = match () {
        () if el && has("uek") => Vendor::OracleUek,
        () if el => names::other(rest).unwrap_or(if is_red_hats_base(plain.base, rest) {
            Vendor::Rhel
        } else {
            // Another vendor's kernel for this system: CentOS' Xen, XCP-ng.
            Vendor::Unnamed
        }),
        () if fc && is_fedoras(rest) => Vendor::Fedora,
        () if fc => names::other(rest).unwrap_or(Vendor::Unnamed),
        () => Vendor::Amazon,
    };
    let (version, flavour) = name.split_once('+').map_or((name, None), |(v, f)| (v, Some(f)));
    let version = without_arch(version.strip_suffix(".debug").unwrap_or(version));
    let base = if has("-0.rc") {
        let number = rest.split(['-', '.', '_']).find_map(|word| word.strip_prefix("rc")?.parse::<u16>().ok());
        number.filter(|n| *n < u16::MAX).map_or(plain.base, |n| plain.base.with_candidate(n))
    } else {
        plain.base
    };
    let flavour = flavour.map(str::to_owned);
    let (vendor, package) = match vendor {
        // Red Hat's numbers don't apply to real-time kernels, or to names with additional words.
        Vendor::Rhel if flavour.as_deref().is_some_and(|f| f.starts_with("rt")) => (RHEL_OTHER, KnownPackage::Unknown),
        Vendor::Rhel if !is_red_hats(version) => (RHEL_OTHER, KnownPackage::Unknown),
        Vendor::Other(..) | Vendor::Unnamed => (vendor, KnownPackage::Unknown),
        // Further words come from a rebuild: `el7uek.bug1`, `amzn2.test`.
        Vendor::OracleUek if !is_build_for(version, ".el", "uek") => (Vendor::Unnamed, KnownPackage::Unknown),
        Vendor::Amazon if !is_build_for(version, ".amzn", "") => (Vendor::Unnamed, KnownPackage::Unknown),
        Vendor::Fedora if !version.rsplit_once(".fc").is_some_and(|(_, suite)| is_numbers(suite)) => {
            (Vendor::Unnamed, KnownPackage::Unknown)
        }
        _ => (vendor, KnownPackage::Version(version.to_owned())),
    };
    Some(Release { vendor, base, package, flavour, ..plain.clone() })
}

/// Whether this is the base of Red Hat's kernels for the `el` in the name.
fn is_red_hats_base(base: Upstream, rest: &str) -> bool {
    let mut words = rest.split(['-', '.', '_', '+']).filter_map(|word| word.strip_prefix("el"));
    let el = words.next().map(|el| el.trim_end_matches(|c: char| c.is_ascii_alphabetic()));
    BASES.iter().any(|(known, from)| el == Some(known) && base.to_string() == *from)
}

/// Whether it is Fedora's own `-300.fc30`, or a candidate's `-0.rc1.git0.1.fc31`. Other words come from third-party
/// builds.
fn is_fedoras(rest: &str) -> bool {
    let build = rest.split_once(".fc").map_or(rest, |(build, _)| build);
    build.split(['-', '.']).filter(|word| !word.is_empty()).all(|word| {
        let is_numbered = |begin: &str| word.strip_prefix(begin).is_some_and(is_numbers);
        let is_snapshot = word
            .split_once("git")
            .is_some_and(|(date, hash)| is_numbers(date) && hash.bytes().all(|b| b.is_ascii_hexdigit()));
        is_numbers(word) || is_numbered("rc") || is_numbered("git") || is_snapshot
    })
}

/// Whether it is only numbers and `.el7` or `.el8_0`.
fn is_red_hats(version: &str) -> bool {
    let Some((_, release)) = version.split_once('-') else { return false };
    let Some((numbers, el)) = release.split_once(".el") else { return false };
    is_numbers(numbers) && el.split('_').all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// Whether it is only numbers, the mark, the suite's number and the end of the mark.
fn is_build_for(version: &str, mark: &str, end: &str) -> bool {
    let build = version.split_once('-').and_then(|(_, release)| release.split_once(mark));
    build.is_some_and(|(numbers, suite)| {
        let suite = suite.strip_suffix(end).unwrap_or_default();
        is_numbers(numbers) && !suite.is_empty() && suite.bytes().all(|b| b.is_ascii_digit())
    })
}

/// Whether it is `197.4.1` or `lp151.28.7.1`. Fixes for one customer (`.PTF.1137586`) and snapshots (`.g0a1b2c3`) have
/// more words.
fn is_suses(version: &str) -> bool {
    let build = version.split_once('-').map(|(_, build)| build.strip_prefix("lp").unwrap_or(build));
    build.is_some_and(is_numbers)
}

/// Adds the flavour from the package name, where SUSE, Red Hat's `kernel-rt` and Oracle's `kernel-uek` have it:
/// `kernel-default-4.12.14-197.4.1.x86_64`.
pub(super) fn with_flavour(named: Release, package: &str, release: &str) -> Release {
    const MAIN: [&str; 21] = [
        "core",
        "modules",
        "modules-core",
        "modules-extra",
        "modules-internal",
        "devel",
        "devel-matched",
        "headers",
        "tools",
        "tools-libs",
        "debuginfo",
        "doc",
        "firmware",
        "abi-whitelists",
        "abi-stablelists",
        "uek",
        "uek-core",
        "uek-modules",
        "uek-devel",
        "ml",
        "lt",
    ];
    if MAIN.contains(&package) {
        return named;
    }
    let package =
        ["-devel", "-base", "-core", "-modules"].iter().find_map(|end| package.strip_suffix(end)).unwrap_or(package);
    let flavour = Some(package.to_owned());
    let suse = names::suse(package).filter(|_| !release.contains(".el"));
    match (suse, named.vendor) {
        (Some(main), Vendor::Unnamed | Vendor::Suse) => {
            let version = without_arch(release);
            if !is_suses(version) {
                return Release { vendor: SUSE_OTHER, package: KnownPackage::Unknown, flavour, ..named };
            }
            let vendor = if main { Vendor::Suse } else { SUSE_OTHER };
            Release { vendor, package: KnownPackage::Version(version.to_owned()), flavour, ..named }
        }
        (_, Vendor::Rhel) if package.starts_with("debug") || package.starts_with("64k") => Release { flavour, ..named },
        (_, vendor) => {
            let vendor = if vendor == Vendor::Rhel { RHEL_OTHER } else { vendor };
            Release { vendor, package: KnownPackage::Unknown, flavour, ..named }
        }
    }
}

/// Strips the architecture.
fn without_arch(text: &str) -> &str {
    const ARCHES: [&str; 11] =
        ["x86_64", "aarch64", "ppc64le", "ppc64", "s390x", "i686", "i586", "armv7hl", "noarch", "src", "nosrc"];
    text.rsplit_once('.').filter(|(_, arch)| ARCHES.contains(arch)).map_or(text, |(rest, _)| rest)
}
