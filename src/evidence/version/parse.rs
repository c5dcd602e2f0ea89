//! Reads a release from what people have at hand: `uname -r`, a package's version or file name, a kernel's banner.

use super::release::{Beyond, Package, Release, Vendor};
use super::{names, rpm};
use crate::matrix::{Upstream, mainline_numbers};

/// The longest text, in bytes: a banner has 200 (init/version.c), a package's path may have more.
const MAX: usize = 2000;

/// The longest name of a release, in bytes: `uname -r` has at most 64 (include/uapi/linux/utsname.h), and package file
/// names repeat it.
const MAX_NAME: usize = 250;

/// A text that names no kernel release.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` names no kernel release: expected what `uname -r` prints (4.19.57, 4.15.0-58-generic), a kernel package's \
     version or file name, or the line of /proc/version"
)]
pub struct NotARelease(pub(super) String);

impl Release {
    /// Reads a release.
    ///
    /// # Errors
    /// Where the text has none.
    pub fn parse(text: &str) -> Result<Self, NotARelease> {
        let text = text.trim();
        let refuse = || NotARelease(text.chars().filter(|c| !c.is_control()).take(100).collect());
        if text.len() > MAX || text.chars().any(char::is_control) {
            return Err(refuse());
        }
        parse(text).ok_or_else(refuse)
    }
}

fn parse(text: &str) -> Option<Release> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (name, banner) = match words.as_slice() {
        ["Ubuntu", signature, base] => return ubuntu_signature(signature, base),
        ["Linux", "version", name, ..] => (*name, text),
        // The host's name stands first, but for `uname -sr`.
        ["Linux", _, name, ..] if begins_with_release(name) => (*name, text),
        ["Linux", name, ..] => (*name, text),
        [name] => return one_word(name),
        // `uname -rv`.
        [name, version, ..] if version.starts_with('#') => (*name, text),
        _ => return None,
    };
    let tail = banner.find(" #").and_then(|at| banner.get(at + 2..)).unwrap_or_default();
    let named = named(name)?;
    // What is in the kernel's name itself says more than who built it.
    if matches!(named.vendor, Vendor::Other(..)) {
        return Some(named);
    }
    if let Some(version) = after_word(tail, "Debian") {
        return debian_package(version).map(|package| Release { flavour: named.flavour, ..package });
    }
    if let Some(upload) = tail.split_whitespace().next().and_then(|word| word.strip_suffix("-Ubuntu")) {
        return Some(with_upload(named, upload));
    }
    let plain = matches!(named.vendor, Vendor::KernelOrg(_) | Vendor::Unnamed | Vendor::Debian);
    let other = names::banner(tail).or_else(|| names::banner(banner).filter(|v| v.key() == "android"));
    match other.filter(|_| plain) {
        Some(vendor) => Some(Release { vendor, ..named }),
        None => Some(named),
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
    let package = Package::Version(signature.get(..end)?.to_owned());
    Some(Release {
        vendor,
        base: base.parse().ok()?,
        base_is_exact: true,
        package,
        flavour: flavour.map(str::to_owned),
    })
}

/// Ubuntu's banner has the upload's number, `#64-Ubuntu` or `#64~16.04.1-Ubuntu`, and the release the ABI's.
fn with_upload(named: Release, upload: &str) -> Release {
    match (&named.package, named.vendor) {
        (Package::Abi(abi), Vendor::Ubuntu | Vendor::UbuntuDerivative) if is_numbers(without_tilde(upload)) => {
            Release { package: Package::Version(format!("{abi}.{upload}")), ..named }
        }
        (_, Vendor::KernelOrg(_)) => Release { vendor: Vendor::UbuntuDerivative, ..named },
        _ => named,
    }
}

/// A release, a package's version or a file's name.
fn one_word(text: &str) -> Option<Release> {
    let name = text.rsplit('/').next()?;
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
    // `vmlinuz-…`, `linux-image-…`, `kernel-default-…`: the release begins behind the last `-` before a digit and `.`.
    let at =
        name.match_indices('-').map(|(at, _)| at + 1).find(|at| name.get(*at..).is_some_and(begins_with_release))?;
    let (prefix, release) = name.split_at_checked(at)?;
    let prefix = prefix.trim_end_matches('-');
    if let Some(package) = prefix.strip_prefix("kernel-").filter(|_| !release.contains(".fc")) {
        return Some(rpm::with_flavour(named(release)?, package, release));
    }
    known_prefix(prefix).then(|| named(release)).flatten()
}

fn known_prefix(prefix: &str) -> bool {
    const KNOWN: [&str; 12] = [
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
fn deb(file: &str) -> Option<Release> {
    let mut parts = file.splitn(3, '_');
    let (package, version) = (parts.next()?, parts.next()?);
    let version = version.rsplit_once("%3a").map_or(version, |(_, version)| version);
    if !is_name(version) || !(package.starts_with("linux-") || package.starts_with("kernel-")) {
        return None;
    }
    let start = package.match_indices('-').map(|(at, _)| at + 1);
    let release = start.filter_map(|at| package.get(at..)).find(|rest| begins_with_release(rest));
    // A meta package, as linux-image-amd64_6.1.76-1.
    let Some(release) = release else { return named(version) };
    let named = named(release.strip_suffix("-unsigned").unwrap_or(release))?;
    match named.vendor {
        Vendor::Ubuntu | Vendor::UbuntuDerivative => {
            Some(Release { package: Package::Version(version.to_owned()), ..named })
        }
        Vendor::Debian => debian_package(version).map(|package| Release { flavour: named.flavour, ..package }),
        _ => Some(named),
    }
}

fn begins_with_release(text: &str) -> bool {
    Upstream::prefix(text).is_some()
}

fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME && text.chars().all(|c| c.is_ascii_alphanumeric() || "._+~-:^".contains(c))
}

/// Digits, and `.` between.
pub(super) fn is_numbers(text: &str) -> bool {
    text.split('.').all(|part| !part.is_empty() && part.len() <= 9 && part.bytes().all(|b| b.is_ascii_digit()))
}

fn without_tilde(text: &str) -> &str {
    text.split('~').next().unwrap_or(text)
}

/// A word that follows this one.
fn after_word<'a>(text: &'a str, word: &str) -> Option<&'a str> {
    text.split_whitespace().skip_while(|w| *w != word).nth(1)
}

/// Debian's own version: `4.19.37-5+deb10u1`, `7.2~rc3-1~exp1`, without or with an epoch.
fn debian_package(version: &str) -> Option<Release> {
    let version = version.rsplit_once(':').map_or(version, |(_, version)| version);
    let (base, _, rest) = Upstream::prefix(version)?;
    let candidate = rest.strip_prefix("~rc").and_then(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        Some((rest.get(..end)?.parse().ok().filter(|n| *n < u16::MAX)?, rest.get(end..)?))
    });
    let (base, rest) = candidate.map_or((base, rest), |(n, rest)| (base.with_candidate(n), rest));
    let revision = rest.strip_prefix('-').unwrap_or_default();
    if !revision.starts_with(|c: char| c.is_ascii_digit()) || !is_name(version) {
        return None;
    }
    let (vendor, package) = (Vendor::Debian, Package::Version(version.to_owned()));
    Some(Release { vendor: names::other(rest).unwrap_or(vendor), base, base_is_exact: true, package, flavour: None })
}

/// The name of a release or the version of a package, by its form.
fn named(name: &str) -> Option<Release> {
    let name = name.strip_prefix('v').unwrap_or(name);
    let (base, numbers, rest) = Upstream::prefix(name)?;
    if !is_name(name) || rest.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        return None;
    }
    // A release whose third number is 0 is how most distributions call a whole line.
    let base_is_exact = base.stable() > 0 || numbers == 2 || base.is_candidate();
    let plain = |vendor, flavour: Option<&str>| Release {
        vendor,
        base,
        base_is_exact,
        package: Package::Unknown,
        flavour: flavour.map(str::to_owned),
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
    if rest.starts_with("~rc") {
        return debian_package(name);
    }
    if rest == "+" {
        // Container-Optimized OS and Raspberry Pi call their kernels `4.14.137+`; nobody does that to a mainline one.
        return Some(if base.stable() == 0 {
            kernel_org(Beyond::Commits, None)
        } else {
            plain(Vendor::Other("plus", "a tree beyond a stable release (as Google's and Raspberry Pi's)"), None)
        });
    }
    if let Some(date) = rest.strip_prefix("-next-") {
        return is_numbers(date).then(|| kernel_org(Beyond::Next, Some(rest)));
    }
    let debian_suffix = |text: &str| ["+deb", "+bpo"].iter().any(|s| text.starts_with(s));
    let Some(tail) = rest.strip_prefix('-') else {
        // `6.12.94+deb13-amd64`; whatever else hangs on a number without a `-` is somebody's packaging.
        let flavour = rest.split_once('-').map(|(_, flavour)| flavour);
        let debian = debian_suffix(rest) && flavour.is_some_and(names::is_debian);
        let vendor = names::other(rest).filter(|_| !debian);
        let void = rest.strip_prefix('_').filter(|n| is_numbers(n)).map(|_| Vendor::Other("void", "Void Linux"));
        let vendor = if debian { Vendor::Debian } else { vendor.or(void).unwrap_or(Vendor::Unnamed) };
        return Some(plain(vendor, flavour));
    };
    let (first, flavour) = tail.split_once('-').map_or((tail, None), |(first, rest)| (first, Some(rest)));
    let upto = |text: &str| name.get(..name.len() - text.len()).map(|n| n.trim_end_matches('-').to_owned());
    if let Some(base) = mainline_build(base, numbers, first).filter(|_| flavour.is_some_and(is_main_flavour)) {
        return Some(Release { base, ..kernel_org(Beyond::Nothing, Some(rest)) });
    }
    let numbered = is_numbers(first);
    if let (true, Some(flavour)) = (numbered, flavour) {
        let abi = Package::Abi(upto(flavour)?);
        if is_count_and_hash(first, flavour) {
            return Some(kernel_org(Beyond::Commits, Some(rest)));
        }
        if names::is_debian(flavour) && !first.contains('.') {
            return Some(with(Vendor::Debian, abi, Some(flavour)));
        }
        if let Some(vendor) = names::ubuntu(flavour).filter(|_| base.stable() == 0 && numbers == 3) {
            let dotted = first.contains('.');
            let vendor = if is_derivative(first) { Vendor::UbuntuDerivative } else { vendor };
            let package = if dotted { Package::Version(upto(flavour)?) } else { abi };
            return Some(with(vendor, package, Some(flavour)));
        }
        if let Some(main) = names::suse(flavour) {
            return Some(with(if main { Vendor::Suse } else { rpm::SUSE_OTHER }, abi, Some(flavour)));
        }
    }
    let backported = ["0.bpo.", "0.deb"].iter().any(|begin| first.starts_with(begin));
    if let (true, Some(flavour)) = (backported, flavour.filter(|f| names::is_debian(f))) {
        return Some(plain(Vendor::Debian, Some(flavour)));
    }
    let bare = first.split(['+', '~']).next().unwrap_or(first);
    if flavour.is_none() && first.starts_with(|c: char| c.is_ascii_digit()) && is_numbers(bare) {
        if let Some(vendor) = names::other(tail) {
            return Some(plain(vendor, None));
        }
        return Some(match bare.split('.').count() {
            2 if base.stable() == 0 && numbers == 3 => {
                let vendor = if is_derivative(bare) { Vendor::UbuntuDerivative } else { Vendor::Ubuntu };
                with(vendor, Package::Version(name.to_owned()), None)
            }
            1 if base_is_exact => debian_package(name)?,
            _ => plain(Vendor::Unnamed, None),
        });
    }
    if names::is_debian(tail) {
        return Some(plain(Vendor::Debian, Some(tail)));
    }
    // What begins like a candidate and is none (`5.3.0-rc0`, `-RC1`, `-rc1a`) may be before the release that it names.
    if !base.is_candidate() && first.get(..2).is_some_and(|begin| begin.eq_ignore_ascii_case("rc")) {
        return Some(plain(Vendor::Unnamed, Some(tail)));
    }
    if let Some(vendor) = names::other(tail) {
        return Some(plain(vendor, Some(tail)));
    }
    // `5.3.18-lp152.19-default`.
    if names::suse(tail.rsplit('-').next().unwrap_or(tail)).is_some() {
        return Some(plain(rpm::SUSE_OTHER, Some(tail)));
    }
    // `4.9.0-3-foo`: who counts builds is a distribution. A hash without a count (`-g1a2b3c4d`) says that no tag was to be
    // found: the tree is no clone of kernel.org's.
    let counted = first.starts_with(|c: char| c.is_ascii_digit());
    if counted || names::ubuntu(tail).is_some() || is_hash(first) {
        return Some(plain(Vendor::Unnamed, Some(tail)));
    }
    Some(kernel_org(Beyond::Local, Some(rest)))
}

/// The release of which this is one of Ubuntu's builds of mainline: `5.1.15-050115`, `5.3.0-050300rc1`. They are
/// kernel.org's source under Ubuntu's packaging and configuration, and their number repeats the release's.
fn mainline_build(base: Upstream, numbers: usize, number: &str) -> Option<Upstream> {
    let candidate = number.split_once("rc").filter(|_| base.stable() == 0 && !base.is_candidate());
    let release = match candidate {
        Some((_, candidate)) => base.with_candidate(candidate.parse().ok().filter(|n| *n < u16::MAX)?),
        None => base,
    };
    let expected = mainline_numbers(release);
    (numbers == 3 && expected.split_once('-').is_some_and(|(_, expected)| expected == number)).then_some(release)
}

/// Whether such a build has this flavour.
fn is_main_flavour(flavour: &str) -> bool {
    names::ubuntu(flavour) == Some(Vendor::Ubuntu)
}

/// Whether Ubuntu's ABI or upload number is one of a cloud's or a board's: they begin at 1000.
fn is_derivative(number: &str) -> bool {
    number.split('.').next().and_then(|abi| abi.parse::<u32>().ok()).is_none_or(|abi| abi >= 1000)
}

/// What `git describe` gives behind a tag, and nothing else: `00012-gdeadbeef`, `00012-gdeadbeef-dirty`
/// (scripts/setlocalversion). Whatever further words there are, are somebody's own.
fn is_count_and_hash(count: &str, hash: &str) -> bool {
    let hash = hash.strip_suffix('+').unwrap_or(hash);
    count.bytes().all(|b| b.is_ascii_digit()) && is_hash(hash.strip_suffix("-dirty").unwrap_or(hash))
}

fn is_hash(text: &str) -> bool {
    let digits = text.strip_prefix('g').unwrap_or_default();
    (7..=40).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit())
}
