//! Ubuntu's metapackages, which only depend on a kernel: `linux-image-aws 4.15.0.1041.41`.

use super::form::{is_numbers, named, without_tilde};
use super::names;
use super::release::Release;
use crate::matrix::Upstream;

/// The part between `linux-` and the flavour.
const KINDS: [&str; 11] = [
    "signed-image-",
    "signed-",
    "image-unsigned-",
    "image-extra-",
    "image-",
    "headers-",
    "tools-",
    "cloud-tools-",
    "modules-extra-",
    "modules-",
    "meta-",
];

/// The kernel that a metapackage depends on.
pub(super) fn kernel(package: &str, version: &str) -> Option<Release> {
    let (_, numbers, rest) = Upstream::prefix(version)?;
    // The ABI number of the kernel, and the metapackage's own.
    let tail = rest.strip_prefix('.').filter(|tail| numbers == 3 && is_numbers(without_tilde(tail)))?;
    let (abi, own) = without_tilde(tail).split_once('.')?;
    let base = version.strip_suffix(rest)?;
    (!own.contains('.')).then(|| named(&format!("{base}-{abi}-{}", flavour(package)?)))?
}

/// The flavour in a metapackage's name: `aws` of `linux-headers-aws`, `generic` of `linux-image-generic-hwe-18.04`.
pub(super) fn flavour(package: &str) -> Option<&str> {
    let rest = package.strip_prefix("linux-")?;
    let rest = KINDS.iter().find_map(|kind| rest.strip_prefix(kind)).unwrap_or(rest);
    // The release that it is for: `-hwe-18.04-edge`, `-lts-xenial`, `-20.04`.
    let suffix = |(at, _): &(usize, &str)| {
        let suffix = &rest[at + 1..];
        suffix.starts_with(|c: char| c.is_ascii_digit() && suffix.contains('.'))
            || ["hwe", "lts", "edge", "wip"].contains(&suffix.split('-').next().unwrap_or_default())
    };
    let end = rest.match_indices('-').find(suffix).map_or(rest.len(), |(at, _)| at);
    match &rest[..end] {
        // These depend on the kernel of the flavour generic.
        "meta" | "virtual" | "server" => Some("generic"),
        flavour => names::ubuntu(flavour).map(|_| flavour),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metapackages_have_the_flavour_of_their_kernel() {
        for (package, version, expected) in [
            ("linux-image-aws", "4.15.0.1041.41", Some("Ubuntu 4.15.0, ABI 1041, flavour aws")),
            ("linux-aws", "4.15.0.1041.40", Some("Ubuntu 4.15.0, ABI 1041, flavour aws")),
            ("linux-generic", "5.4.0.100.104", Some("Ubuntu 5.4.0, ABI 100, flavour generic")),
            ("linux-headers-generic", "5.4.0.100.104", Some("Ubuntu 5.4.0, ABI 100, flavour generic")),
            ("linux-image-virtual", "5.4.0.100.104", Some("Ubuntu 5.4.0, ABI 100, flavour generic")),
            ("linux-meta", "5.4.0.100.104", Some("Ubuntu 5.4.0, ABI 100, flavour generic")),
            ("linux-meta-azure", "5.4.0.1100.94", Some("Ubuntu 5.4.0, ABI 1100, flavour azure")),
            ("linux-signed-generic", "4.4.0.154.162", Some("Ubuntu 4.4.0, ABI 154, flavour generic")),
            ("linux-image-generic-hwe-18.04", "5.4.0.100.113~18.04.87", Some("Ubuntu 5.4.0, ABI 100, flavour generic")),
            ("linux-generic-hwe-16.04-edge", "4.15.0.58.79", Some("Ubuntu 4.15.0, ABI 58, flavour generic")),
            ("linux-image-aws-lts-18.04", "4.15.0.1041.41", Some("Ubuntu 4.15.0, ABI 1041, flavour aws")),
            ("linux-image-oem-20.04", "5.6.0.1050.46", Some("Ubuntu 5.6.0, ABI 1050, flavour oem")),
            ("linux-image-lowlatency", "4.15.0.58.60", Some("Ubuntu 4.15.0, ABI 58, flavour lowlatency")),
            ("linux-image-kvm", "4.15.0.1041.41", Some("Ubuntu 4.15.0, ABI 1041, flavour kvm")),
            ("linux-image-mine", "4.15.0.1041.41", None),
            ("linux-generic", "5.4.0-100.113", None),
            ("linux-generic", "5.4.0.100", None),
            ("linux-firmware", "1.173.9", None),
        ] {
            let found = kernel(package, version).map(|release| release.to_string());
            assert_eq!(found.as_deref(), expected, "{package} {version}");
        }
    }
}
