//! Finds the kernel in a line of a package list, and whether it is installed.

use super::package::{deb, one_word};
use super::pasted::{ARCHES, Pasted};
use super::release::{KnownPackage, Release, Vendor};
use super::{debian, meta};
use crate::matrix::Upstream;

/// The packages in a line of a package list.
pub(super) fn packages(line: &str, words: &[&str]) -> Vec<Pasted> {
    // `i+ | kernel-default | package | 4.12.14-197.4.1 | x86_64 | …`
    let columns: Vec<&str> = line.split('|').map(str::trim).collect();
    if let [_, name, "package", version, arch, ..] = columns.as_slice() {
        let note = (!columns[0].starts_with('i')).then(|| NOT_INSTALLED.to_owned());
        return of_rpm(name, version, arch).map(|found| Pasted { note, ..found }).into_iter().collect();
    }
    // `v | updates | kernel-default | 4.12.14-197.4.1 | 4.12.14-197.7.1 | x86_64`: the third number is the upgrade.
    if let [_, _, name, installed, upgrade, arch] = columns.as_slice()
        && Upstream::prefix(installed).is_some()
        && Upstream::prefix(upgrade).is_some()
    {
        let note = Some(format!("installed; the upgrade to {upgrade} is not"));
        return of_rpm(name, installed, arch).map(|found| Pasted { note, ..found }).into_iter().collect();
    }
    let status = Status::of(line, words);
    if let Some(installed) = status.installed.filter(|installed| is_kernel_file(installed)) {
        let found = one_word(installed).map(|release| Pasted::taken(release, installed.to_owned()));
        return found.map(|found| Pasted { note: status.note, ..found }).into_iter().collect();
    }
    let found = words.iter().enumerate().filter_map(|(at, word)| {
        let rest = words.get(at + 1..).unwrap_or_default();
        let listed = rest.iter().map(|word| word.trim_matches(['(', ')', '[', ']', ','])).find(|word| is_version(word));
        of_package(word, status.installed.filter(|_| listed.is_some()).or(listed))
    });
    found.map(|found| Pasted { note: status.note.clone().or(found.note), ..found }).collect()
}

fn is_version(word: &str) -> bool {
    Upstream::prefix(word.rsplit_once(':').map_or(word, |(_, version)| version)).is_some()
}

/// The note on a package that is listed but not installed.
pub(super) const NOT_INSTALLED: &str = "which is not installed";

/// The fields of a list's entry in addition to the package's name and version.
#[derive(Default)]
struct Status<'a> {
    /// The installed version, if the listed one is an upgrade.
    installed: Option<&'a str>,
    /// A note for people.
    note: Option<String>,
}

impl<'a> Status<'a> {
    fn of(line: &'a str, words: &[&'a str]) -> Self {
        let not_installed = || Self { note: Some(NOT_INSTALLED.to_owned()), ..Self::default() };
        let inside = |key: &str| line.split_once(key)?.1.split([']', ')']).next()?.split_whitespace().next();
        let first = words.first().copied().unwrap_or_default();
        let is_listed = |at: usize, of: fn(&str) -> bool| words.get(at).is_some_and(|word| of(word));
        // `apt list --upgradable`, `pacman -Ss`, and `apt-get -s upgrade`, which has `Inst name [old] (new …)`.
        let old = inside("[upgradable from: ").or_else(|| inside("[installed: "));
        let replaced = words.get(2).and_then(|word| word.strip_prefix('[')?.strip_suffix(']'));
        if let Some(installed) = old.or(replaced.filter(|old| first == "Inst" && is_version(old))) {
            let mut versions =
                words.iter().map(|word| word.trim_matches(['(', '[', ']'])).filter(|word| is_version(word));
            let upgrade = versions.find(|word| *word != installed);
            let note = upgrade.map(|upgrade| format!("installed; the upgrade to {upgrade} is not"));
            return Self { installed: Some(installed), note };
        }
        if let Some(upgrade) = inside("upgradable to: ") {
            return Self { note: Some(format!("installed; the upgrade to {upgrade} is not")), ..Self::default() };
        }
        // dpkg's states of a removed package: `rc`, `deinstall ok config-files`.
        let is_state = |word: &str| {
            let is_wanted = (2..=3).contains(&word.len()) && word.starts_with(['u', 'i', 'r', 'p', 'h']);
            is_wanted && word[1..].starts_with(['c', 'n'])
        };
        let is_gone = ["deinstall", "config-files", "not-installed"].iter().any(|word| words.contains(word));
        let is_left = is_gone || line.contains("[residual-config]") || (first.is_ascii() && is_state(first));
        // Lists of available packages: apt's with a suite after the name, pacman's, apk's, and yum's, which marks the
        // repository of installed packages with `@`.
        let is_had = line.contains("[installed");
        let (name, place) = first.split_once('/').unwrap_or((first, ""));
        let is_apt = !place.is_empty() && !place.split(',').any(|suite| suite == "now") && is_listed(2, is_arch);
        let is_pacman = ["core", "extra", "testing"].contains(&name) && !place.is_empty();
        let is_apk = is_listed(1, is_arch) && is_listed(2, |word| word.starts_with('{'));
        let is_yum = words.len() == 3
            && first.rsplit_once('.').is_some_and(|(_, arch)| is_arch(arch))
            && !words[2].starts_with('@')
            && words[2] != "installed";
        let is_offered = !is_had && (is_apt || is_pacman || is_apk || is_yum) || first == "Inst";
        if is_left || is_offered { not_installed() } else { Self::default() }
    }
}

fn is_arch(word: &str) -> bool {
    ARCHES.contains(&word) || ["noarch", "all"].contains(&word)
}

/// A package with a name in the form of lists: `linux-image-4.15.0-58-generic:amd64`, `linux/bionic,now`,
/// `kernel.x86_64`, `core/linux`.
fn of_package(word: &str, version: Option<&str>) -> Option<Pasted> {
    let repositories = ["core/", "extra/", "local/", "testing/"];
    let name = repositories.iter().find_map(|repository| word.strip_prefix(repository)).unwrap_or(word);
    let name = name.split('/').next().unwrap_or(name).trim_end_matches(',');
    let name = name.split_once(':').map_or(name, |(name, _)| name);
    let taken = |release, version: &str| {
        let taken = if version.is_empty() { name.to_owned() } else { format!("{name} {version}") };
        Some(Pasted::taken(release, taken))
    };
    if let Some((kernel, arch)) = name.rsplit_once('.').filter(|(_, arch)| ARCHES.contains(arch) || *arch == "noarch") {
        let listed = version.filter(|_| is_kernels(kernel)).and_then(|version| of_rpm(kernel, version, arch));
        return listed.or_else(|| is_kernel_file(name).then(|| taken(one_word(name)?, "")).flatten());
    }
    let Some(version) = version else {
        return is_kernel_file(name).then(|| taken(one_word(name)?, "")).flatten();
    };
    if let Some(release) = of_arch(name, version) {
        return taken(release, version);
    }
    let of_debian = name.starts_with("linux-") && (has_release(name) || names_flavour(name));
    if let Some(release) = of_debian.then(|| deb(&format!("{name}_{version}"))).flatten() {
        let note = meta::kernel(name, version).map(|_| "a metapackage".to_owned());
        return taken(release, version).map(|found| Pasted { note, ..found });
    }
    is_kernel_file(name).then(|| taken(one_word(name)?, "")).flatten()
}

/// `linux-image-amd64`, `linux-generic`: packages that depend on the kernel's.
fn names_flavour(name: &str) -> bool {
    let mut flavours = ["linux-image-", "linux-headers-", "linux-"].iter().filter_map(|begin| name.strip_prefix(begin));
    flavours.any(debian::is_flavour) || meta::flavour(name).is_some()
}

/// Whether a package's name has a kernel's release in it.
fn has_release(name: &str) -> bool {
    name.match_indices('-').any(|(at, _)| {
        let rest = name.get(at + 1..).and_then(Upstream::prefix);
        rest.is_some_and(|(_, numbers, _)| numbers > 2)
    })
}

/// Whether it is a package name with its version: `kernel-core-4.18.0-80.el8.x86_64`, `linux-image-4.15.0-58-generic`.
fn is_kernel_file(name: &str) -> bool {
    ["kernel-", "linux-", "vmlinuz-", "gentoo-", "pve-kernel-", "proxmox-kernel-"]
        .iter()
        .any(|begin| name.starts_with(begin))
        && has_release(name)
}

fn is_kernels(name: &str) -> bool {
    let others = ["kernel-firmware", "kernel-wifi", "kernel-macros", "kernel-livepatch"];
    name == "kernel" || (name.starts_with("kernel-") && !others.iter().any(|other| name.starts_with(other)))
}

fn of_rpm(name: &str, version: &str, arch: &str) -> Option<Pasted> {
    let version = version.rsplit_once(':').map_or(version, |(_, version)| version);
    let file = format!("{name}-{version}.{arch}");
    let release = one_word(&file).filter(|_| is_kernels(name))?;
    Some(Pasted::taken(release, file))
}

/// Packages of Arch Linux and Manjaro: `linux 5.1.15.arch1-1`, `linux-lts 4.19.57-1`, `linux419 4.19.57-1`.
fn of_arch(name: &str, version: &str) -> Option<Release> {
    let flavour = name.strip_prefix("linux")?;
    let (base, numbers, rest) = Upstream::prefix(version)?;
    let manjaro = flavour.len() >= 2 && flavour.bytes().all(|b| b.is_ascii_digit());
    let is_built = rest.rsplit_once('-').is_some_and(|(_, build)| build.bytes().all(|b| b.is_ascii_digit()));
    let vendor = match flavour {
        _ if manjaro => Vendor::Other("manjaro", "Manjaro"),
        "" if rest.starts_with(".arch") => Vendor::Other("arch", "Arch Linux"),
        "-lts" | "-zen" | "-hardened" if is_built && !rest.contains("ubuntu") => Vendor::Other("arch", "Arch Linux"),
        _ => return None,
    };
    let base_is_exact = base.stable() > 0 || numbers == 2;
    Some(Release {
        vendor,
        base,
        base_is_exact,
        package: KnownPackage::Unknown,
        flavour: None,
        by_form: false,
        is_line: false,
    })
}
