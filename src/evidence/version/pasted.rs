//! Finds the kernel in a pasted line: from a package list, `kubectl`, `hostnamectl`, `neofetch`, or a log. The line
//! must show that it is about a kernel, because versions of other software look the same.

use super::known;
use super::package_list::{NOT_INSTALLED, packages};
use super::parse::{NotARelease, is_builds};
use super::release::{KnownPackage, Release, Vendor};
use crate::matrix::Upstream;

/// The longest line to search, in bytes.
const LONGEST: usize = 8000;

/// The most words to search, because each package name is compared with all later words.
const MOST_WORDS: usize = 300;

/// Keys of the running kernel before a colon or `=`, in lower case.
const KEYS: [&str; 9] = [
    "kernel version",
    "kernelversion",
    "kernel release",
    "kernel_release",
    "kernelrelease",
    "ansible_kernel",
    "running kernel",
    "vermagic",
    "kernel",
];

/// Facter's key for the release without its suffix, and Kubernetes' key for the full release.
const PERHAPS_CUT: &str = "kernelversion";

/// Keys of a package's version before a colon.
const VERSIONS: [&str; 3] = ["version", "installed", CANDIDATE];

/// apt's key for the version that it would install.
const CANDIDATE: &str = "candidate";

/// Architectures in the output of `uname -m`, and Debian's names for them.
pub(super) const ARCHES: [&str; 14] = [
    "x86_64", "aarch64", "ppc64le", "s390x", "i686", "i586", "armv7l", "armv7hl", "amd64", "arm64", "armhf", "i386",
    "ppc64el", "riscv64",
];

/// A kernel found in a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pasted {
    /// The kernel.
    pub release: Release,
    /// The part of the line that names it; none if it was the whole line.
    pub taken: Option<String>,
    /// A note for people: that it is not installed, or that another one is.
    pub note: Option<String>,
}

impl Pasted {
    /// Finds the kernel in a line.
    ///
    /// # Errors If it names none, or several.
    pub fn find(line: &str) -> Result<Self, NotARelease> {
        let whole: String = line.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).collect();
        let whole = whole.trim();
        let words: Vec<&str> = whole.split(' ').filter(|word| !word.is_empty()).collect();
        let (plain, refused) = match Release::parse(whole) {
            Ok(release) if words.len() < 2 => return Ok(Self::whole(line_of(release, whole))),
            Ok(release) => (Some(Self::whole(line_of(release, whole))), None),
            Err(refused) => (None, Some(refused)),
        };
        let nothing = || NotARelease::Nothing(whole.chars().filter(|c| !c.is_control()).take(100).collect());
        if whole.len() > LONGEST || words.len() > MOST_WORDS || whole.chars().any(char::is_control) {
            return plain.ok_or_else(nothing);
        }
        let mut chosen = plain;
        for way in [banner, packages, key, in_log, after_kernel, unmistakable] {
            let mut found = way(whole, &words);
            let Some(first) = found.pop() else { continue };
            let several = |one: &Self, other: &Self| {
                Err(NotARelease::Several(one.release.to_string(), other.release.to_string()))
            };
            match (&chosen, found.iter().find(|other| other.release != first.release)) {
                (Some(chosen), _) if !may_be_same(&chosen.release, &first.release) => return several(chosen, &first),
                (Some(_), _) => {}
                (None, Some(other)) => return several(other, &first),
                (None, None) => chosen = Some(first),
            }
        }
        let chosen = chosen.map(|found| {
            let text = found.taken.as_deref().unwrap_or(whole).to_owned();
            Self { release: found.release.unless_candidate(&text), ..found }
        });
        chosen.ok_or_else(|| refused.unwrap_or_else(nothing))
    }

    /// A text that is only a release.
    pub fn whole(release: Release) -> Self {
        Self { release, taken: None, note: None }
    }

    pub(super) fn taken(release: Release, taken: String) -> Self {
        Self { release, taken: Some(taken), note: None }
    }

    fn of(taken: &str) -> Option<Self> {
        let release = Release::parse(taken).ok()?;
        Some(Self::taken(line_of(release, taken), taken.to_owned()))
    }
}

/// Whether two parts of a line may mean the same kernel.
fn may_be_same(one: &Release, other: &Release) -> bool {
    let is_vague = |release: &Release| release.is_line || !release.base_is_exact;
    let is_vague = is_vague(one) || is_vague(other);
    let is_base = one.base == other.base || (is_vague && one.base.line() == other.base.line());
    is_base
        && match (&one.package, &other.package) {
            (KnownPackage::Version(one), KnownPackage::Version(other))
            | (KnownPackage::Abi(one), KnownPackage::Abi(other)) => one == other,
            _ => true,
        }
}

/// `Linux 4.19` and `linux-image-4.19` mean the line. `v4.19` and `linux-4.19.tar.xz` mean the release.
fn line_of(release: Release, text: &str) -> Release {
    let is_plain = release.is_bare_number() && !release.is_builders_own();
    if !is_plain || text.contains(".tar") || Upstream::prefix(text.strip_prefix('v').unwrap_or(text)).is_some() {
        return release;
    }
    let mut words = text.split([' ', '-', '_', '/']).filter_map(Upstream::prefix);
    let is_short = words.any(|(base, numbers, _)| base == release.base && numbers == 2);
    Some(release.base.line().to_string())
        .filter(|_| is_short && !release.base.is_candidate())
        .and_then(|line| Release::whole_line(&line))
        .unwrap_or(release)
}

/// `[    0.000000] Linux version 4.19.57 (…`.
fn banner(line: &str, _: &[&str]) -> Vec<Pasted> {
    let begin = line.find("Linux version ").and_then(|begin| line.get(begin..));
    begin.and_then(Pasted::of).into_iter().collect()
}

/// `Kernel Version:  4.14.138-114.102.amzn2.x86_64`, `"ansible_kernel": "…",`, `Kernel: x86_64 Linux 5.4.0-42-generic`.
fn key(line: &str, _: &[&str]) -> Vec<Pasted> {
    let lower = line.to_ascii_lowercase();
    let values = |key: &'static str| {
        let lower = &lower;
        lower.match_indices(key).filter_map(move |(at, key)| {
            let is_word = !lower.get(..at)?.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '-');
            let rest = line.get(at + key.len()..)?.trim_start_matches(['"', '\'', ' ', '.']);
            let value = rest.strip_prefix([':', '=']).filter(|_| is_word)?;
            Some(value.trim_matches(|c: char| " \"',;()".contains(c)))
        })
    };
    let kernel = KEYS.iter().flat_map(|key| values(key).map(move |value| (*key, value))).find_map(|(key, value)| {
        let value = ARCHES.iter().find_map(|arch| value.strip_prefix(arch)?.strip_prefix(' ')).unwrap_or(value);
        let first = || value.strip_prefix("Linux ").unwrap_or(value).split(' ').next();
        let word = || Pasted::of(first()?.trim_end_matches(['"', '\'', ',', ';', ')']));
        let found = Pasted::of(value).or_else(word)?;
        // A bare number of two parts after `Kernel Version` is the line.
        let release = whole_number(found.release, found.taken.as_deref().unwrap_or_default());
        let is_cut = key == PERHAPS_CUT && release.is_bare_number() && !release.is_line;
        let release = if is_cut { release.of_nobody_known() } else { release };
        Some(Pasted { release, ..found })
    });
    // The version of another package tells nothing.
    let of_package = || {
        let versions = VERSIONS.iter().flat_map(|key| values(key).map(move |value| (*key, value)));
        let of = |value: &str| Pasted::of(value).or_else(|| Pasted::of(value.split(' ').next()?));
        let found = versions.filter_map(|(key, value)| Some((key, of(value)?)));
        let noted =
            found.map(|(key, found)| Pasted { note: (key == CANDIDATE).then(|| NOT_INSTALLED.to_owned()), ..found });
        noted.filter(is_told).collect()
    };
    kernel.map_or_else(of_package, |kernel| vec![kernel])
}

/// A number of two parts means the line.
fn whole_number(release: Release, text: &str) -> Release {
    Release::whole_line(text).filter(|line| release.is_bare_number() && line.base == release.base).unwrap_or(release)
}

/// Whether the version alone shows that it is a kernel's.
fn is_told(found: &Pasted) -> bool {
    matches!(found.release.vendor(), Vendor::Ubuntu | Vendor::UbuntuDerivative | Vendor::Rhel | Vendor::OracleUek)
}

/// `Comm: x Not tainted 4.15.0-58-generic #64-Ubuntu`, `BOOT_IMAGE=/boot/vmlinuz-4.15.0-58-generic root=…`.
fn in_log(_: &str, words: &[&str]) -> Vec<Pasted> {
    let numbered = |word: &str| word.strip_prefix('#').is_some_and(|n| n.starts_with(|c: char| c.is_ascii_digit()));
    let mut pairs = words.windows(2).map(|pair| <[&str; 2]>::try_from(pair).unwrap_or_default());
    let at = pairs.position(|[name, number]| Upstream::prefix(name).is_some() && numbered(number));
    let is_kernels = |at: &usize| {
        let (before, behind) = (words.get(..*at).unwrap_or_default(), words.get(at + 1..).unwrap_or_default());
        is_builds(behind) || before.iter().any(|word| word.trim_end_matches(':').eq_ignore_ascii_case("tainted"))
    };
    if let Some(found) = at.filter(is_kernels).and_then(|at| Pasted::of(&words.get(at..)?.join(" "))) {
        return vec![found];
    }
    let images = ["vmlinuz-", "vmlinux-", "initrd.img-", "initramfs-"];
    let image = |word: &&str| {
        let begin = images.iter().find_map(|image| word.find(image))?;
        Pasted::of(word.get(begin..)?.trim_end_matches([',', ';', ')', '"', '\'']).trim_end_matches(".img"))
    };
    words.iter().filter_map(image).collect()
}

/// `Kernel 3.10.0-957.el7.x86_64 on an x86_64`.
fn after_kernel(_: &str, words: &[&str]) -> Vec<Pasted> {
    let names = words.iter().enumerate().filter(|(at, name)| {
        let before = |back: usize| at.checked_sub(back).and_then(|at| words.get(at)).copied();
        let is_kernels = match before(1) {
            // `Alpine Linux 3.10.2`: the number is the distribution's.
            Some("Linux") => {
                before(2).is_none_or(|word| word.ends_with([':', ',', ';', '|']) || ARCHES.contains(&word))
            }
            Some(word) => word.eq_ignore_ascii_case("kernel"),
            None => false,
        };
        is_kernels && Upstream::prefix(name).is_some()
    });
    let is_told = |at: usize| {
        let behind = words.get(at + 1);
        behind.is_none_or(|word| ["LTS", "on"].contains(word) || ARCHES.contains(word) || word.starts_with(['(', '#']))
    };
    let mut found = Vec::new();
    for (at, name) in names {
        let name = name.trim_end_matches([',', '.', ';', ')']);
        let of_name = Pasted::of(name).map(|found| Pasted { release: whole_number(found.release, name), ..found });
        found.extend(of_name.map(|found| (is_told(at), found)));
    }
    // A sentence may name two kernels: `I have kernel 4.19.55; it is fixed in kernel 4.19.62`.
    let others = words.iter().filter_map(|word| {
        let word = word.trim_matches(|c: char| "\"',;()[]".contains(c)).trim_end_matches('.');
        let is_release = Upstream::prefix(word).is_some_and(|(base, numbers, _)| numbers > 2 && known::exists(base));
        Pasted::of(word).filter(|_| is_release)
    });
    if found.iter().any(|(is_told, _)| *is_told) {
        found.into_iter().map(|(_, found)| found).chain(others).collect()
    } else {
        Vec::new()
    }
}

/// Names that only `uname -r` prints, because they have a vendor, and a flavour or an architecture.
fn unmistakable(_: &str, words: &[&str]) -> Vec<Pasted> {
    words.iter().filter_map(|word| uname(word)).collect()
}

fn uname(word: &str) -> Option<Pasted> {
    let word = word.trim_matches(|c: char| "\"',;()[]".contains(c));
    let found = Upstream::prefix(word).and_then(|_| Pasted::of(word))?;
    let release = &found.release;
    let is_whose = !matches!(release.vendor, Vendor::KernelOrg(_) | Vendor::Unnamed) && !release.by_form;
    let is_name = release.flavour.is_some() || ARCHES.iter().any(|arch| word.ends_with(arch));
    (is_whose && is_name).then_some(found)
}

impl std::fmt::Display for Pasted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.release.fmt(f)?;
        if let Some(taken) = &self.taken {
            write!(f, ", taken from `{taken}`")?;
        }
        self.note.as_ref().map_or(Ok(()), |note| write!(f, ", {note}"))
    }
}
