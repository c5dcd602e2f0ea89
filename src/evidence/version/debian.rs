//! Recognises Debian's kernels.
//!
//! Boards, phones and appliances number their builds too (`4.9.177-31`), so Debian needs a sign of its own: an ABI
//! number with one of its flavours, a mark that only its versions have (`+deb9u3`), or its name in the banner. If a
//! version only has the form of Debian's, [`Release::by_form`] is set.

use super::form::{is_name, is_numbers};
use super::release::{KnownPackage, Release, Vendor};
use crate::matrix::Upstream;

/// Its flavours: debian/config/ of its source package, and dropped ones.
const FLAVOURS: [&str; 62] = [
    "amd64",
    "cloud-amd64",
    "rt-amd64",
    "686",
    "686-pae",
    "rt-686-pae",
    "686-bigmem",
    "486",
    "586",
    "arm64",
    "cloud-arm64",
    "rt-arm64",
    "arm64-16k",
    "rt-arm64-16k",
    "cloud-arm64-16k",
    "armmp",
    "armmp-lpae",
    "rt-armmp",
    "marvell",
    "rpi",
    "kirkwood",
    "orion5x",
    "versatile",
    "ixp4xx",
    "iop32x",
    "mv78xx0",
    "mx5",
    "omap",
    "4kc-malta",
    "5kc-malta",
    "mips32r2el",
    "mips64r2el",
    "mips32r2eb",
    "mips64r2eb",
    "mips64r6el",
    "octeon",
    "loongson-2e",
    "loongson-2f",
    "loongson-3",
    "sb1-bcm91250a",
    "sb1a-bcm91480b",
    "r5k-cobalt",
    "s390x",
    "powerpc",
    "powerpc-smp",
    "powerpc64",
    "powerpc64-64k",
    "powerpc64le",
    "powerpc64le-64k",
    "riscv64",
    "loong64",
    "sparc64",
    "sparc64-smp",
    "parisc",
    "parisc-smp",
    "parisc64",
    "parisc64-smp",
    "alpha-generic",
    "alpha-smp",
    "itanium",
    "mckinley",
    "m68k",
];

/// No line has had as many ABI numbers: 5.10's had 46 when this was written.
const LAST_ABI: u32 = 99;
/// No release since 3.0 has had as many revisions: 4.19.37 had six.
const LAST_REVISION: u32 = 9;
/// The first line whose `uname -r` has no ABI number: `6.6.9-amd64`.
const WITHOUT_ABI: (u16, u16) = (6, 6);

/// Whether Debian has this flavour.
pub(super) fn is_flavour(flavour: &str) -> bool {
    let flavour = ["-dbg", "-unsigned"].iter().find_map(|end| flavour.strip_suffix(end)).unwrap_or(flavour);
    FLAVOURS.contains(&flavour)
}

/// Parses the `uname -r` of Debian's kernels: `4.19.0-5-amd64`, `4.19.0-0.bpo.5-amd64`, `6.12.94+deb13-amd64`.
/// `numbers` is how many numbers the release has, `rest` the text after them, `plain` the release as parsed so far.
pub(super) fn of_name(name: &str, numbers: usize, rest: &str, plain: &Release) -> Option<Release> {
    let base = plain.base;
    let with = |package, flavour: &str| {
        let flavour = Some(flavour.to_owned());
        Some(Release { vendor: Vendor::Debian, package, flavour, ..plain.clone() })
    };
    if let Some(suffix) = rest.strip_prefix('+') {
        let (suite, flavour) = suffix.split_once('-').filter(|(_, flavour)| is_flavour(flavour))?;
        let suite = suite.strip_prefix("deb").filter(|n| is_number(n)).or(suite.strip_prefix("bpo"))?;
        return (suite.is_empty() || is_number(suite)).then(|| with(KnownPackage::Unknown, flavour)).flatten();
    }
    let tail = rest.strip_prefix('-')?;
    if is_flavour(tail) {
        let [version, minor, _] = base.line().numbers();
        return ((version, minor) >= WITHOUT_ABI).then(|| with(KnownPackage::Unknown, tail)).flatten();
    }
    // The name only has the line, although the sources may be a stable release's.
    let (abi, flavour) = tail.split_once('-').filter(|(_, flavour)| is_flavour(flavour))?;
    if base.stable() > 0 || numbers != 3 {
        return None;
    }
    let backported = || {
        let number = abi.strip_prefix("0.bpo.").or_else(|| abi.strip_prefix("0.deb")?.split_once('.').map(|(_, n)| n));
        number.is_some_and(|number| number.split('.').all(is_number))
    };
    match abi.parse::<u32>() {
        Ok(number) if is_number(abi) && number <= LAST_ABI => {
            let end = name.len() - flavour.len() - 1;
            with(KnownPackage::Abi(name.get(..end)?.to_owned()), flavour)
        }
        _ if abi == "trunk" || backported() => with(KnownPackage::Unknown, flavour),
        _ => None,
    }
}

/// Parses a package version that is known to be Debian's: `4.19.37-5+deb10u1`, `7.2~rc3-1~exp1`, `1:6.6.15-2`. None if
/// it has a mark that Debian doesn't use: `4.1.33-1+cl3u18` is Cumulus'.
pub(super) fn of_version(version: &str) -> Option<Release> {
    let version = version.rsplit_once(':').map_or(version, |(_, version)| version);
    let (base, rest) = base(version)?;
    let revision = Revision::of(rest)?;
    let is_known = is_name(version) && revision.may_be_debians();
    let (vendor, package) = (Vendor::Debian, KnownPackage::Version(version.to_owned()));
    is_known.then_some(Release {
        vendor,
        base,
        base_is_exact: true,
        package,
        flavour: None,
        by_form: false,
        is_line: false,
    })
}

/// Parses a package version of an unknown vendor.
pub(super) fn of_bare_version(version: &str) -> Option<Release> {
    let release = of_version(version)?;
    let revision = Revision::of(base(version)?.1)?;
    if revision.is_debians() {
        return Some(release);
    }
    let number = revision.number.parse::<u32>().ok();
    let is_likely = release.base.line().numbers()[0] < 3 || number.is_some_and(|number| number <= LAST_REVISION);
    is_likely.then_some(Release { by_form: true, ..release })
}

/// The base of a version, and the rest: the `-2` of `7.2~rc3-2`.
fn base(version: &str) -> Option<(Upstream, &str)> {
    let (base, _, rest) = Upstream::prefix(version)?;
    let candidate = rest.strip_prefix("~rc").and_then(|rest| {
        let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        Some((rest.get(..end)?.parse().ok().filter(|n| *n < u16::MAX)?, rest.get(end..)?))
    });
    let (base, rest) = candidate.map_or((base, rest), |(n, rest)| (base.with_candidate(n), rest));
    // Canonical continued some lines, and Debian used its releases: `3.16.7-ckt25-2`.
    let of_canonical = rest.strip_prefix("-ckt").and_then(|rest| rest.find('-').and_then(|at| rest.get(at..)));
    Some((base, of_canonical.unwrap_or(rest)))
}

/// The parts of a Debian revision: `5` and `+deb10u1`.
struct Revision<'a> {
    /// `5`, or `3.1` for a non-maintainer upload.
    number: &'a str,
    suffix: &'a str,
}

impl<'a> Revision<'a> {
    fn of(rest: &'a str) -> Option<Self> {
        let rest = rest.strip_prefix('-')?;
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at_checked(end)?;
        (is_numbers(number) && number.split('.').count() <= 2).then_some(Self { number, suffix })
    }

    /// The marks, each with its sign: `+deb9u3`, `~bpo9+1`.
    fn marks(&self) -> impl Iterator<Item = (char, &'a str)> + use<'a> {
        let mut left = self.suffix;
        std::iter::from_fn(move || {
            let sign = left.chars().next()?;
            let rest = left.strip_prefix(['+', '~']).unwrap_or(left);
            let ends = |c: char| c == '~' || (c == '+' && !rest.starts_with("bpo"));
            let mark;
            (mark, left) = rest.split_at_checked(rest.find(ends).unwrap_or(rest.len()))?;
            Some((sign, mark))
        })
    }

    /// Whether all marks may be Debian's. After a `~` anybody may mark a rebuild.
    fn may_be_debians(&self) -> bool {
        self.marks().all(|(sign, mark)| sign == '~' || is_debians(sign, mark) || is_rebuilt_binary(mark))
    }

    /// Whether it has a mark that only Debian uses.
    fn is_debians(&self) -> bool {
        self.marks().any(|(sign, mark)| is_debians(sign, mark))
    }
}

/// Whether the mark is Debian's: a stable update (`+deb9u3`), a rebuild for an older suite (`~deb8u1`, `~bpo9+1`), the
/// experimental suite, or a stable update before 2012.
fn is_debians(sign: char, mark: &str) -> bool {
    let counted = |text: &str, between: char| {
        text.split_once(between).is_some_and(|(suite, count)| is_number(suite) && is_number(count))
    };
    let numbered = |word: &str| mark.strip_prefix(word).is_some_and(is_number);
    let updated = mark.strip_prefix("deb").is_some_and(|rest| counted(rest, 'u'));
    match sign {
        '+' => updated,
        '~' => updated || mark.strip_prefix("bpo").is_some_and(|rest| counted(rest, '+')) || numbered("exp"),
        _ => ["etch", "lenny", "squeeze"].iter().any(|suite| numbered(suite)),
    }
}

/// `b1`: a rebuild of the same source.
fn is_rebuilt_binary(mark: &str) -> bool {
    mark.strip_prefix('b').is_some_and(is_number)
}

fn is_number(text: &str) -> bool {
    is_numbers(text) && !text.contains('.')
}
