//! Parses a release from the name of a package or a file.

use super::form::{is_name, is_numbers, named, without_tilde};
use super::parse::{with_upload, with_version};
use super::release::{KnownPackage, Release, Vendor};
use super::{debian, meta, rpm};
use crate::matrix::Upstream;

/// Parses a release, a package's version or a file's name.
pub(super) fn one_word(text: &str) -> Option<Release> {
    let name = text.rsplit('/').next()?;
    // `linux-image-4.15.0-58-generic:amd64` from dpkg, and `kernel-0:3.10.0-957.el7.x86_64` from dnf.
    let name = name.split_once(':').filter(|(_, arch)| is_debian_arch(arch)).map_or(name, |(name, _)| name);
    let epochless = name.replacen("-0:", "-", 1);
    let name = epochless.as_str();
    if let Some(file) = name.strip_suffix(".deb") {
        return deb(file);
    }
    let name = name.strip_suffix(".rpm").unwrap_or(name);
    let name = [".tar", ".tar.gz", ".tar.xz", ".tar.bz2", ".tar.zst"]
        .iter()
        .find_map(|end| name.strip_suffix(end))
        .unwrap_or(name);
    if begins_with_release(name.strip_prefix('v').unwrap_or(name)) {
        return named(name);
    }
    // `vmlinuz-…`, `linux-image-…`, `kernel-default-…`: the release begins after the last `-` before a digit and `.`.
    let at =
        name.match_indices('-').map(|(at, _)| at + 1).find(|at| name.get(*at..).is_some_and(begins_with_release))?;
    let (prefix, release) = name.split_at_checked(at)?;
    packaged(prefix.trim_end_matches('-'), release)
}

/// The release in the name of a package or of a file in /boot, after the prefix.
pub(super) fn packaged(prefix: &str, release: &str) -> Option<Release> {
    if NO_KERNELS.contains(&prefix.strip_prefix("kernel-").unwrap_or_default()) {
        return None;
    }
    by_prefix(prefix, release).map(|found| found.unless_candidate(release))
}

/// Suffixes of `kernel-` in RPM packages that contain no kernel and are updated independently.
const NO_KERNELS: [&str; 11] = [
    "headers",
    "firmware",
    "doc",
    "abi-whitelists",
    "abi-stablelists",
    "tools",
    "tools-libs",
    "tools-libs-devel",
    "bootwrapper",
    "rpm-macros",
    "srpm-macros",
];

/// Prefixes of Debian packages that contain no kernel and are updated independently.
const NO_DEBIAN_KERNELS: [&str; 7] =
    ["linux-tools", "linux-cloud-tools", "linux-doc", "linux-libc-dev", "linux-perf", "linux-kbuild", "linux-firmware"];

fn by_prefix(prefix: &str, release: &str) -> Option<Release> {
    if let Some((_, vendor)) = OF_OTHERS.iter().find(|(begin, _)| prefix.starts_with(begin)) {
        let named = named(release)?;
        // Alpine's revisions have the form `-r0`.
        let is_theirs = vendor.key() != "alpine" || release.rsplit_once("-r").is_some_and(|(_, n)| is_numbers(n));
        return is_theirs.then_some(Release { vendor: *vendor, flavour: None, ..named });
    }
    if let Some(package) = prefix.strip_prefix("kernel-").filter(|_| !release.contains(".fc")) {
        return Some(rpm::with_flavour(named(release)?, package, release));
    }
    // Files in /boot are named after `uname -r`, which is not a package's version.
    let named = known_prefix(prefix).then(|| named(release)).flatten()?;
    let is_package = ["linux", "kernel"].contains(&prefix);
    Some(if named.by_form && !is_package { named.of_nobody_known() } else { named })
}

/// Package names of vendors that are not named in the version.
const OF_OTHERS: [(&str, Vendor); 6] = [
    ("gentoo-sources", Vendor::Other("gentoo", "Gentoo")),
    ("gentoo-kernel", Vendor::Other("gentoo", "Gentoo")),
    ("linux-lts", Vendor::Other("alpine", "Alpine Linux")),
    ("linux-virt", Vendor::Other("alpine", "Alpine Linux")),
    ("linux-vanilla", Vendor::Other("alpine", "Alpine Linux")),
    ("linux-edge", Vendor::Other("alpine", "Alpine Linux")),
];

fn is_debian_arch(text: &str) -> bool {
    ["amd64", "arm64", "armhf", "armel", "i386", "ppc64el", "s390x", "riscv64", "all"].contains(&text)
}

fn known_prefix(prefix: &str) -> bool {
    const KNOWN: [&str; 14] = [
        "pve-kernel",
        "proxmox-kernel",
        "linux",
        "linux-image",
        "linux-image-unsigned",
        "linux-headers",
        "linux-modules",
        "kernel",
        "kernel-core",
        "kernel-modules",
        "kernel-modules-core",
        "vmlinuz",
        "vmlinux",
        "bzImage",
    ];
    KNOWN.contains(&prefix) || matches!(prefix, "config" | "System.map" | "initrd.img" | "initramfs" | "Image")
}

/// `linux-image-4.15.0-58-generic_4.15.0-58.64_amd64`: name, version and architecture of a package.
pub(super) fn deb(file: &str) -> Option<Release> {
    let mut parts = file.splitn(3, '_');
    deb_package(parts.next()?, parts.next()?)
}

/// The release of a Debian package of this name and version.
pub(super) fn deb_package(package: &str, version: &str) -> Option<Release> {
    let is_none = NO_DEBIAN_KERNELS.iter().any(|begin| package.starts_with(begin));
    let found = by_deb(package, version).filter(|_| !is_none)?;
    Some(found.unless_candidate(package).unless_candidate(version))
}

fn by_deb(package: &str, version: &str) -> Option<Release> {
    let version = version.rsplit_once("%3a").map_or(version, |(_, version)| version);
    if !is_name(version) || !(package.starts_with("linux-") || package.starts_with("kernel-")) {
        return None;
    }
    let start = package.match_indices('-').map(|(at, _)| at + 1);
    let release = start.filter_map(|at| package.get(at..)).find(|rest| {
        // `linux-source-4.19` is named after its line.
        Upstream::prefix(rest).is_some_and(|(_, numbers, _)| numbers > 2 || rest.contains('-'))
    });
    // A metapackage, such as linux-image-amd64_6.1.76-1.
    let Some(release) = release else {
        let flavour = package.strip_prefix("linux-image-").or_else(|| package.strip_prefix("linux-"));
        let of_debian = flavour.filter(|flavour| debian::is_flavour(flavour)).and_then(|_| debian::of_version(version));
        let of_version = || named(version).filter(|named| named.vendor != Vendor::Unnamed);
        return of_debian.or_else(|| meta::kernel(package, version)).or_else(of_version);
    };
    let of_version = named(version);
    let named = named(release.strip_suffix("-unsigned").unwrap_or(release))?;
    // `linux-source-4.15.0_4.15.0-52.56`: the version is more exact than the name.
    if named.is_bare_number() {
        let is_whose = |of: &Release| !of.by_form && !matches!(of.vendor, Vendor::KernelOrg(_) | Vendor::Unnamed);
        let is_source = package.starts_with("linux-source");
        return match of_version.filter(|of| is_source || is_whose(of)) {
            Some(of) if of.base.line() == named.base.line() => Some(of),
            Some(_) => Some(named.of_nobody_known()),
            None if is_source => Some(named.of_nobody_known()),
            None => Some(named),
        };
    }
    Some(match (named.vendor, &named.package) {
        (Vendor::Ubuntu | Vendor::UbuntuDerivative, KnownPackage::Abi(abi)) => {
            match version.strip_prefix(abi.as_str()).and_then(|rest| rest.strip_prefix('.')) {
                Some(upload) if is_numbers(without_tilde(upload)) => with_upload(named.clone(), upload),
                // `+mine1`: a local build on top of Ubuntu's kernel.
                _ => named.of_nobody_known(),
            }
        }
        (Vendor::Debian, _) => with_version(named, version),
        _ => named,
    })
}

fn begins_with_release(text: &str) -> bool {
    Upstream::prefix(text).is_some()
}
