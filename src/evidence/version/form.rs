//! Parses a release by the form of its name: `uname -r`, or a package's version.

use super::release::{Beyond, KnownPackage, Release, Vendor};
use super::{debian, names, rpm};
use crate::matrix::{Upstream, mainline_numbers};

/// The longest name of a release in bytes. `uname -r` has at most 64 (include/uapi/linux/utsname.h), and package file
/// names repeat it.
const MAX_NAME: usize = 250;

/// Parses the name of a release or the version of a package. A name with a release candidate is never the release.
pub(super) fn named(name: &str) -> Option<Release> {
    by_form(name).map(|found| found.unless_candidate(name))
}

impl Release {
    /// Clears the vendor if the name has a candidate's number (`5.3.0_rc1`, `5.3.rc1-1.1`, `5.3.0-0.rc1.1.mga8`) but
    /// was parsed as the full release. Debian's versions (`5.3~rc5-1~exp1`) are exempt because they sort before the
    /// release.
    pub(super) fn unless_candidate(self, name: &str) -> Self {
        let is_debian = self.vendor == Vendor::Debian && name.contains("~rc");
        // A candidate of a stable release has the patches queued for it.
        let is_whole = !self.base.is_candidate() && self.base.stable() == 0 && !is_debian;
        if is_whole && speaks_of_candidate(name) { self.of_nobody_known() } else { self }
    }
}

/// Whether the text has `rc` and a number as a word, or after a number.
fn speaks_of_candidate(text: &str) -> bool {
    let lower = text.to_ascii_lowercase();
    lower.match_indices("rc").any(|(at, rc)| {
        let before = lower.get(..at).and_then(|before| before.chars().next_back());
        let behind =
            lower.get(at + rc.len()..).and_then(|behind| behind.trim_start_matches(['-', '.', '_']).chars().next());
        before.is_none_or(|c| !c.is_ascii_alphabetic()) && behind.is_some_and(|c| c.is_ascii_digit())
    })
}

fn by_form(name: &str) -> Option<Release> {
    let name = name.strip_prefix('v').unwrap_or(name);
    let (base, numbers, rest) = Upstream::prefix(name)?;
    if is_address(name) || !is_name(name) || rest.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    // Most distributions name a whole line by a release whose third number is 0.
    let base_is_exact = base.stable() > 0 || numbers == 2 || base.is_candidate();
    let plain = |vendor, flavour: Option<&str>| Release {
        vendor,
        base,
        base_is_exact,
        package: KnownPackage::Unknown,
        flavour: flavour.map(str::to_owned),
        by_form: false,
        is_line: false,
    };
    let with = |vendor, package, flavour: Option<&str>| Release { package, ..plain(vendor, flavour) };
    let kernel_org = |beyond, local: Option<&str>| Release {
        base_is_exact: true,
        ..plain(Vendor::KernelOrg(beyond), local.filter(|l| !l.is_empty()))
    };
    if base == base.with_candidate(0) {
        // There has never been an `-rc0`.
        return Some(plain(Vendor::Unnamed, None));
    }
    if rest.is_empty() {
        return Some(kernel_org(Beyond::Nothing, None));
    }
    if let Some(found) = rpm::named(name, rest, &plain(Vendor::Unnamed, None)) {
        return Some(found);
    }
    let of_debian =
        debian::of_bare_version(name).filter(|_| base_is_exact || numbers == 2 || base.line().numbers()[0] < 3);
    if let Some(found) = of_debian.filter(|found| !found.by_form || rest.starts_with("~rc")) {
        return Some(found);
    }
    if let Some(found) = debian::of_name(name, numbers, rest, &plain(Vendor::Unnamed, None)) {
        return Some(found);
    }
    if rest == "+" {
        // Container-Optimized OS and Raspberry Pi call their kernels `4.14.137+`. They don't use mainline releases.
        return Some(if base.stable() == 0 {
            kernel_org(Beyond::Commits, None)
        } else {
            plain(Vendor::Other("plus", "a tree beyond a stable release (as Google's and Raspberry Pi's)"), None)
        });
    }
    if let Some(date) = rest.strip_prefix("-next-") {
        return is_numbers(date).then(|| kernel_org(Beyond::Next, Some(rest)));
    }
    let Some(tail) = rest.strip_prefix('-') else {
        // A suffix without a `-` comes from packaging.
        let void = rest.strip_prefix('_').filter(|n| is_numbers(n)).map(|_| Vendor::Other("void", "Void Linux"));
        let vendor = names::other(rest).or(void).unwrap_or(Vendor::Unnamed);
        return Some(plain(vendor, rest.split_once('-').map(|(_, flavour)| flavour)));
    };
    let (first, flavour) = tail.split_once('-').map_or((tail, None), |(first, rest)| (first, Some(rest)));
    let upto = |text: &str| name.get(..name.len() - text.len()).map(|n| n.trim_end_matches('-').to_owned());
    if let Some(base) = mainline_build(base, numbers, first).filter(|_| flavour.is_some_and(is_main_flavour)) {
        return Some(Release { base, ..kernel_org(Beyond::Nothing, Some(rest)) });
    }
    let numbered = is_numbers(first);
    if let (true, Some(flavour)) = (numbered, flavour) {
        let abi = KnownPackage::Abi(upto(flavour)?);
        if is_count_and_hash(first, flavour) {
            return Some(kernel_org(Beyond::Commits, Some(rest)));
        }
        if let Some(vendor) = names::ubuntu(flavour).filter(|_| base.stable() == 0 && numbers == 3) {
            let (number, dotted) = (ubuntu_number(first), first.contains('.'));
            let vendor = number.map(|own| if own == Vendor::Ubuntu { vendor } else { own });
            let package = if dotted { KnownPackage::Version(upto(flavour)?) } else { abi };
            return Some(
                vendor
                    .map_or_else(|| plain(Vendor::Unnamed, Some(tail)), |vendor| with(vendor, package, Some(flavour))),
            );
        }
        if let Some(main) = names::suse(flavour).filter(|_| first.contains('.') || !names::is_common(flavour)) {
            return Some(with(if main { Vendor::Suse } else { rpm::SUSE_OTHER }, abi, Some(flavour)));
        }
    }
    let bare = first.split(['+', '~']).next().unwrap_or(first);
    if flavour.is_none() && first.starts_with(|c: char| c.is_ascii_digit()) && is_numbers(bare) {
        if let Some(vendor) = names::other(tail) {
            return Some(plain(vendor, None));
        }
        let upload = Some(bare).filter(|bare| bare.contains('.') && base.stable() == 0 && numbers == 3);
        let found = match upload.and_then(ubuntu_number) {
            Some(vendor) if without_tilde(first) == bare => {
                Some(with(vendor, KnownPackage::Version(name.to_owned()), None))
            }
            Some(_) => None,
            None => debian::of_bare_version(name).filter(|_| base_is_exact && !bare.contains('.')),
        };
        return Some(found.unwrap_or_else(|| plain(Vendor::Unnamed, None)));
    }
    // A malformed candidate (`5.3.0-rc0`, `-RC1`, `-rc1a`) may precede the release that it names.
    if !base.is_candidate() && first.get(..2).is_some_and(|begin| begin.eq_ignore_ascii_case("rc")) {
        return Some(plain(Vendor::Unnamed, Some(tail)));
    }
    if let Some(vendor) = names::other(tail) {
        return Some(plain(vendor, Some(tail)));
    }
    // `5.3.18-lp152.19-default`.
    if first.starts_with("lp1") && names::suse(tail.rsplit('-').next().unwrap_or(tail)).is_some() {
        return Some(plain(rpm::SUSE_OTHER, Some(tail)));
    }
    // `4.9.0-3-foo`: distributions count builds. A hash without a count (`-g1a2b3c4d`) means that git found no tag, so
    // the tree is not a clone of kernel.org's.
    let counted = first.starts_with(|c: char| c.is_ascii_digit());
    if counted || names::ubuntu(tail).is_some() || is_hash(first) {
        return Some(plain(Vendor::Unnamed, Some(tail)));
    }
    Some(kernel_org(Beyond::Local, Some(rest)))
}

/// The release of one of Ubuntu's mainline builds: `5.1.15-050115`, `5.3.0-050300rc1`. They are kernel.org's source
/// with Ubuntu's packaging and configuration, and their number repeats the release's.
fn mainline_build(base: Upstream, numbers: usize, number: &str) -> Option<Upstream> {
    let candidate = number.split_once("rc").filter(|_| base.stable() == 0 && !base.is_candidate());
    let release = match candidate {
        Some((_, candidate)) => base.with_candidate(candidate.parse().ok().filter(|n| *n < u16::MAX)?),
        None => base,
    };
    let expected = mainline_numbers(release);
    (numbers == 3 && expected.split_once('-').is_some_and(|(_, expected)| expected == number)).then_some(release)
}

/// Whether mainline builds have this flavour.
fn is_main_flavour(flavour: &str) -> bool {
    names::ubuntu(flavour) == Some(Vendor::Ubuntu)
}

/// The vendor of an ABI number (`58`) or upload number (`58.64`), if it can be Ubuntu's. The main kernel has at least
/// as many uploads as ABI numbers, and numbers for clouds and boards begin at 1000. Daily mainline builds of any source
/// have 99x.
pub(super) fn ubuntu_number(number: &str) -> Option<Vendor> {
    let (abi, upload) = number.split_once('.').map_or((number, None), |(abi, upload)| (abi, Some(upload)));
    let abi: u32 = abi.parse().ok()?;
    let upload: Option<u32> = upload.map(|upload| upload.parse().map_err(|_| ())).transpose().ok()?;
    match abi {
        1..990 if upload.is_none_or(|upload| upload >= abi) => Some(Vendor::Ubuntu),
        1000..2000 => Some(Vendor::UbuntuDerivative),
        _ => None,
    }
}

/// Whether it is exactly what `git describe` appends to a tag: `00012-gdeadbeef`, `00012-gdeadbeef-dirty`
/// (scripts/setlocalversion). Any other words are a local version.
fn is_count_and_hash(count: &str, hash: &str) -> bool {
    let hash = hash.strip_suffix('+').unwrap_or(hash);
    count.bytes().all(|b| b.is_ascii_digit()) && is_hash(hash.strip_suffix("-dirty").unwrap_or(hash))
}

fn is_hash(text: &str) -> bool {
    let digits = text.strip_prefix('g').unwrap_or_default();
    (7..=40).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit())
}

pub(super) fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME && text.chars().all(|c| c.is_ascii_alphanumeric() || "._+~-:^".contains(c))
}

/// Whether it is an IPv4 address, perhaps with a port. Only 2.6 has releases of just four numbers.
fn is_address(text: &str) -> bool {
    let host = text.split_once(':').map_or(text, |(host, _)| host);
    !text.starts_with("2.6.") && host.parse::<std::net::Ipv4Addr>().is_ok()
}

/// Whether it is digits separated by `.`.
pub(super) fn is_numbers(text: &str) -> bool {
    text.split('.').all(|part| !part.is_empty() && part.len() <= 9 && part.bytes().all(|b| b.is_ascii_digit()))
}

pub(super) fn without_tilde(text: &str) -> &str {
    text.split('~').next().unwrap_or(text)
}
