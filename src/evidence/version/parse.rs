//! Reads a release from what people have at hand: `uname -r`, a package's version or file name, a kernel's banner.

use super::release::{Beyond, Package, Release, Vendor};
use super::{debian, names, rpm};
use crate::matrix::{Upstream, mainline_numbers};

/// The longest text, in bytes: a banner has 200 (init/version.c), a package's path may have more.
const MAX: usize = 2000;

/// The longest name of a release, in bytes: `uname -r` has at most 64 (include/uapi/linux/utsname.h), and package file
/// names repeat it.
const MAX_NAME: usize = 250;

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
    /// Reads a release.
    ///
    /// # Errors
    /// Where the text has none.
    pub fn parse(text: &str) -> Result<Self, NotARelease> {
        let text = text.trim();
        let refuse = || NotARelease::Nothing(text.chars().filter(|c| !c.is_control()).take(100).collect());
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
        ["Linux", "version", name, rest @ ..] if rest.first().is_none_or(|word| word.starts_with(['(', '#'])) => {
            (*name, text)
        }
        // The host's name stands first, but for `uname -sr`. `Linux Lite 5.4` is a distribution.
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
    // No kernel calls itself what its package's version is.
    let named = named(name)?;
    let named = if named.by_form { named.of_nobody_known() } else { named };
    // What is in the kernel's name itself says more than who built it.
    if matches!(named.vendor, Vendor::Other(..)) {
        return Some(named);
    }
    let other = names::banner(tail).or_else(|| names::banner(banner).filter(|v| v.key() == "android"));
    let of_other = |named: Release| match other {
        Some(vendor) => Release { vendor, package: Package::Unknown, ..named },
        None => named.of_nobody_known(),
    };
    // A banner that was cut off contradicts nobody.
    let is_whole = tail.split_whitespace().any(|word| word.contains(':') || is_year(word));
    Some(match named.vendor {
        // It was not yet in every banner then.
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
            // `#55+hf1829991-Ubuntu`: somebody put something in.
            Some(upload) if !is_numbers(without_tilde(upload)) => named.of_nobody_known(),
            Some(upload) => with_signature(with_upload(named, upload), tail),
            None if is_whole || other.is_some() => of_other(named),
            None => named,
        },
        Vendor::KernelOrg(_) if upload(tail).is_some() => Release { vendor: Vendor::UbuntuDerivative, ..named },
        Vendor::KernelOrg(_) | Vendor::Unnamed if other.is_some() => of_other(named),
        _ => named,
    })
}

/// Whether it is what `uname -a` prints behind a release, or nothing: sentences about kernels go on in other words.
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

/// Whether it is the count of a build, and what `uname -v` has behind it: `#1 SMP`, `#64-Ubuntu`, `#1 Wed Jul 3 …`.
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

/// The upload's number in Ubuntu's banner: `64~16.04.1` of `#64~16.04.1-Ubuntu`.
fn upload(tail: &str) -> Option<&str> {
    tail.split_whitespace().next()?.strip_suffix("-Ubuntu")
}

/// `Linux version 2.6.32-5-amd64 (Debian 2.6.32-48squeeze6) (…`.
fn debian_before_3(banner: &str) -> Option<&str> {
    let (_, behind) = banner.split_once(" (Debian ")?;
    let is_first = !banner.get(..banner.len() - behind.len() - 9)?.contains('(');
    behind.split_once(')').map(|(version, _)| version).filter(|_| is_first)
}

/// A kernel that calls itself as Debian's do, with the version that its package has or its banner names: where they
/// don't agree, it is somebody else's.
fn with_version(named: Release, version: &str) -> Release {
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
    let package = Package::Version(signature.get(..end)?.to_owned());
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

/// Ubuntu's banner has the upload's number, `#64-Ubuntu` or `#64~16.04.1-Ubuntu`, and the release the ABI's.
fn with_upload(named: Release, upload: &str) -> Release {
    match &named.package {
        Package::Abi(abi) if is_numbers(without_tilde(upload)) => {
            Release { package: Package::Version(format!("{abi}.{upload}")), ..named }
        }
        _ => named,
    }
}

/// What boot messages have behind the banner, `(Ubuntu 5.4.0-150.167~18.04.1-generic 5.4.233)`, names the base too.
fn with_signature(named: Release, tail: &str) -> Release {
    let mut words = tail.split_once("(Ubuntu ").map_or("", |(_, signature)| signature).split_whitespace();
    let signature =
        words.next().zip(words.next()).and_then(|(version, base)| ubuntu_signature(version, base.strip_suffix(')')?));
    signature.filter(|signature| signature.package == named.package).unwrap_or(named)
}

/// A release, a package's version or a file's name.
pub(super) fn one_word(text: &str) -> Option<Release> {
    let name = text.rsplit('/').next()?;
    // `linux-image-4.15.0-58-generic:amd64`, as dpkg has it, and `kernel-0:3.10.0-957.el7.x86_64`, as dnf does.
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
    // `vmlinuz-…`, `linux-image-…`, `kernel-default-…`: the release begins behind the last `-` before a digit and `.`.
    let at =
        name.match_indices('-').map(|(at, _)| at + 1).find(|at| name.get(*at..).is_some_and(begins_with_release))?;
    let (prefix, release) = name.split_at_checked(at)?;
    let prefix = prefix.trim_end_matches('-');
    if let Some((_, vendor)) = OF_OTHERS.iter().find(|(begin, _)| prefix.starts_with(begin)) {
        let named = named(release)?;
        // Alpine counts as `-r0`.
        let is_theirs = vendor.key() != "alpine" || release.rsplit_once("-r").is_some_and(|(_, n)| is_numbers(n));
        return is_theirs.then_some(Release { vendor: *vendor, flavour: None, ..named });
    }
    if let Some(package) = prefix.strip_prefix("kernel-").filter(|_| !release.contains(".fc")) {
        return Some(rpm::with_flavour(named(release)?, package, release));
    }
    // What is in /boot is called after `uname -r`, which is no package's version.
    let named = known_prefix(prefix).then(|| named(release)).flatten()?;
    let is_package = ["linux", "kernel"].contains(&prefix);
    Some(if named.by_form && !is_package { named.of_nobody_known() } else { named })
}

/// What the packages of those are called who don't name themselves in the version.
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
    let (package, version) = (parts.next()?, parts.next()?);
    let version = version.rsplit_once("%3a").map_or(version, |(_, version)| version);
    if !is_name(version) || !(package.starts_with("linux-") || package.starts_with("kernel-")) {
        return None;
    }
    let start = package.match_indices('-').map(|(at, _)| at + 1);
    let release = start.filter_map(|at| package.get(at..)).find(|rest| {
        // `linux-source-4.19` is called after its line.
        Upstream::prefix(rest).is_some_and(|(_, numbers, _)| numbers > 2 || rest.contains('-'))
    });
    // A meta package, as linux-image-amd64_6.1.76-1.
    let Some(release) = release else {
        let flavour = package.strip_prefix("linux-image-").or_else(|| package.strip_prefix("linux-"));
        let of_debian = flavour.filter(|flavour| debian::is_flavour(flavour)).and_then(|_| debian::of_version(version));
        let of_ubuntu = || ubuntu_meta(version).filter(|_| flavour.is_some_and(|f| names::ubuntu(f).is_some()));
        let of_version = || named(version).filter(|named| named.vendor != Vendor::Unnamed);
        return of_debian.or_else(of_ubuntu).or_else(of_version);
    };
    let of_version = named(version);
    let named = named(release.strip_suffix("-unsigned").unwrap_or(release))?;
    // `linux-source-4.15.0_4.15.0-52.56`: the version says what the name leaves out.
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
        (Vendor::Ubuntu | Vendor::UbuntuDerivative, Package::Abi(abi)) => {
            match version.strip_prefix(abi.as_str()).and_then(|rest| rest.strip_prefix('.')) {
                Some(upload) if is_numbers(without_tilde(upload)) => with_upload(named.clone(), upload),
                // `+mine1`: whoever built it on Ubuntu's put something in.
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

/// `4.15.0.58.60`, the version of a package that depends on the kernel with the ABI number 58.
fn ubuntu_meta(version: &str) -> Option<Release> {
    let (_, numbers, rest) = Upstream::prefix(version)?;
    let (abi, _) = rest.strip_prefix('.')?.split_once('.').filter(|_| numbers == 3 && is_numbers(version))?;
    let base = version.strip_suffix(rest)?;
    named(&format!("{base}-{abi}-generic"))
}

pub(super) fn is_name(text: &str) -> bool {
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
    let Some(tail) = rest.strip_prefix('-') else {
        // Whatever hangs on a number without a `-` is somebody's packaging.
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
        let abi = Package::Abi(upto(flavour)?);
        if is_count_and_hash(first, flavour) {
            return Some(kernel_org(Beyond::Commits, Some(rest)));
        }
        if let Some(vendor) = names::ubuntu(flavour).filter(|_| base.stable() == 0 && numbers == 3) {
            let (number, dotted) = (ubuntu_number(first), first.contains('.'));
            let vendor = number.map(|own| if own == Vendor::Ubuntu { vendor } else { own });
            let package = if dotted { Package::Version(upto(flavour)?) } else { abi };
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
            Some(vendor) if without_tilde(first) == bare => Some(with(vendor, Package::Version(name.to_owned()), None)),
            Some(_) => None,
            None => debian::of_bare_version(name).filter(|_| base_is_exact && !bare.contains('.')),
        };
        return Some(found.unwrap_or_else(|| plain(Vendor::Unnamed, None)));
    }
    // What begins like a candidate and is none (`5.3.0-rc0`, `-RC1`, `-rc1a`) may be before the release that it names.
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

/// Whose an ABI number (`58`) or an upload's (`58.64`) is, where it can be Ubuntu's: the main kernel's uploads are at
/// least as many as its ABI numbers, and those of clouds and boards begin at 1000.
fn ubuntu_number(number: &str) -> Option<Vendor> {
    let (abi, upload) = number.split_once('.').map_or((number, None), |(abi, upload)| (abi, Some(upload)));
    let abi: u32 = abi.parse().ok()?;
    let upload: Option<u32> = upload.map(|upload| upload.parse().map_err(|_| ())).transpose().ok()?;
    match abi {
        1..1000 if upload.is_none_or(|upload| upload >= abi) => Some(Vendor::Ubuntu),
        1000..2000 => Some(Vendor::UbuntuDerivative),
        _ => None,
    }
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
