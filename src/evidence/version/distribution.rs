//! Decides which steps distributions' kernels have.

use std::cmp::Ordering;

use super::form::{is_numbers, ubuntu_number, without_tilde};
use super::release::{KnownPackage, Release, Vendor};
use super::{StepHeld, known, upstream, whole_releases};
use crate::kernel::versions::{dpkg, rpm};
use crate::matrix::{DistributionLine, PackageVersion, Releases, Spans, Upstream};
use crate::words::Role;

/// The dossier's entry for a kernel: for its line, or else for its distribution.
pub(super) fn entry<'a>(releases: &'a Releases, release: &Release) -> Option<&'a DistributionLine> {
    best(releases, release, |entry| !release.by_form || entry.line.is_none() || names(entry, release.base))
}

fn best<'a>(
    releases: &'a Releases,
    release: &Release,
    is_meant: impl Fn(&DistributionLine) -> bool,
) -> Option<&'a DistributionLine> {
    let base = release.base.to_string();
    let text = release.package.text().unwrap_or(&base);
    let of_line = |entry: &DistributionLine| match &entry.line {
        None => true,
        Some(line) => {
            text.strip_prefix(line.as_str()).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
        }
    };
    let own = releases.distributions.iter().filter(|entry| is_of(entry, release) && of_line(entry) && is_meant(entry));
    let length = |entry: &DistributionLine| entry.line.as_ref().map_or(0, |line| line.as_str().len());
    own.max_by_key(|entry| (!entry.flavours.is_empty(), length(entry)))
}

/// Whether an entry names a version of this base. If so, a version that only looks like the distribution's is treated
/// as its upload, because others are unlikely to use the same base release.
fn names(entry: &DistributionLine, base: Upstream) -> bool {
    let versions = entry.steps.values().flat_map(Spans::named).chain(&entry.known_until);
    let mut bases = versions.filter_map(|version| Upstream::prefix(version.as_str()));
    bases.any(|(named, ..)| named == base)
}

/// Whether an entry is for a kernel's distribution, and for its flavour if that has its own numbers.
fn is_of(entry: &DistributionLine, release: &Release) -> bool {
    let key = release.vendor.key();
    if entry.flavours.is_empty() {
        return entry.distribution == key;
    }
    let is_theirs = entry.distribution == key
        || (release.vendor == Vendor::UbuntuDerivative && entry.distribution == Vendor::Ubuntu.key());
    is_theirs
        && release.flavour.as_ref().is_some_and(|flavour| entry.flavours.contains(flavour))
        && counts_alike(entry, release)
}

/// Whether the versions of an entry count as this kernel's does. Ubuntu builds some flavours twice: `4.15.0-58-snapdragon`
/// is of its main source package, and `4.15.0-1057-snapdragon` of one with numbers of its own.
fn counts_alike(entry: &DistributionLine, release: &Release) -> bool {
    let of = |version: &str| ubuntu_number(without_tilde(version).rsplit_once('-')?.1);
    let Some(own) = release.package.text().and_then(of) else { return true };
    let is_ubuntu = matches!(release.vendor, Vendor::Ubuntu | Vendor::UbuntuDerivative);
    let mut versions = entry.steps.values().flat_map(Spans::named).chain(&entry.known_until);
    !is_ubuntu || versions.all(|version| of(version.as_str()).is_none_or(|other| other == own))
}

/// Whether a distribution's kernel has a step, if known.
pub(super) fn held(releases: &Releases, entry: Option<&DistributionLine>, release: &Release, role: Role) -> StepHeld {
    let held = of_entry(releases, entry, release, role);
    // The vendor is unknown, so only what both possible vendors have is certain.
    let by_form =
        best(releases, release, |_| release.by_form).map(|entry| of_entry(releases, Some(entry), release, role));
    match by_form {
        Some(theirs) if theirs.has != held.has => StepHeld { has: None, says: format!("{role} unknown"), role },
        _ => held,
    }
}

fn of_entry(releases: &Releases, entry: Option<&DistributionLine>, release: &Release, role: Role) -> StepHeld {
    let listed = entry.and_then(|entry| entry.steps.get(&role)).map(|spans| compared(role, spans, release));
    // If the distribution removed the step, it also removed it from its base.
    if let Some((held, true)) = listed {
        return held;
    }
    let start = release.start();
    let mut by_ancestry = upstream::mainline(releases, start, role);
    // If mainline removed the step later, a candidate as the possible base tells nothing.
    if upstream::mainline(releases, release.base.mainline(), role).has == Some(false) && by_ancestry.has == Some(true) {
        by_ancestry =
            StepHeld { has: None, says: format!("{role} unknown: mainline took it out again"), ..by_ancestry };
    }
    // A bug that always existed is in every derived kernel.
    let always = role == Role::Break && !releases.mainline.contains_key(&role);
    let is_out = releases.stable.iter().any(|line| {
        line.line == release.base.line() && line.steps.get(&role).is_some_and(|spans| spans.was_taken_out())
    });
    // A step that kernel.org removed from the line was removed from its derivatives too.
    if by_ancestry.has == Some(true) && (releases.descendants || always) && !is_out {
        let says =
            if always { by_ancestry.says } else { format!("{} and so in what starts from {start}", by_ancestry.says) };
        return StepHeld { says, ..by_ancestry };
    }
    let is_known = release.base_is_exact && known::exists(release.base);
    let takes_all = entry.is_some_and(|entry| entry.contains_base) || whole_releases::source(release).is_some();
    let in_base = (is_known && takes_all).then(|| upstream::held(releases, release.base, role));
    if let Some(held) = in_base.as_ref().filter(|held| held.has == Some(true)) {
        let says = format!("{} and so in its base {}", held.says, release.base);
        return StepHeld { says, ..*held };
    }
    if let Some((held, _)) = listed {
        return held;
    }
    if releases.no_fix_anywhere && role != Role::Break {
        return StepHeld { role, has: Some(false), says: upstream::nobody(role) };
    }
    let until = entry.and_then(|entry| entry.known_until.as_ref());
    let order = until.and_then(|until| order(release, until));
    let none_listed = matches!(order, Some(Ordering::Less | Ordering::Equal));
    let (has, says) = match until {
        // The line started with what mainline had, unless the distribution removed it.
        _ if by_ancestry.has == Some(true) => {
            (None, format!("{}, but perhaps taken out of this line", by_ancestry.says))
        }
        Some(until) if none_listed && by_ancestry.has == Some(false) => {
            (Some(false), format!("no {role} up to {until}"))
        }
        Some(until) if !none_listed => {
            (None, format!("{role} unknown after {until}, the last version that was checked"))
        }
        _ if in_base.is_some_and(|held| held.has == Some(false)) => {
            (None, format!("no {role} in its base {}, but {} may have added it", release.base, release.vendor))
        }
        _ => (None, format!("{role} unknown")),
    };
    StepHeld { role, has, says }
}

/// Whether a kernel has a listed step, if known, and whether the step was removed again.
fn compared(role: Role, spans: &Spans<PackageVersion>, release: &Release) -> (StepHeld, bool) {
    if spans.named().any(|version| order(release, version).is_none()) {
        return (StepHeld { role, has: None, says: format!("{role} perhaps: first in {spans}") }, false);
    }
    let standing = spans.at(|version| order(release, version).is_some_and(Ordering::is_ge));
    (upstream::compared(role, &standing), standing.is_out)
}

/// Compares a kernel's package with a version of the same line. An ABI number is as new as its upload. None if the name
/// doesn't tell, because Debian keeps an ABI number for many versions.
fn order(release: &Release, version: &PackageVersion) -> Option<Ordering> {
    let version = version.as_str();
    // Versions of different lines are not comparable, even if one has higher numbers.
    if Upstream::prefix(version).is_some_and(|(base, ..)| base.line() != release.base.line()) {
        return None;
    }
    match (&release.package, release.vendor) {
        (KnownPackage::Unknown, _) | (KnownPackage::Abi(_), Vendor::Debian) => None,
        (KnownPackage::Abi(abi), _) if is_upload_of(version, abi) => Some(Ordering::Equal),
        (
            KnownPackage::Abi(text) | KnownPackage::Version(text),
            Vendor::Ubuntu | Vendor::UbuntuDerivative | Vendor::Debian,
        ) => {
            let (source, mark) = split_mark(text);
            // If it is not a plain rebuild, it may have less or more than the version that it is named after.
            let (with, without) = (dpkg::compare(text, version), dpkg::compare(source, version));
            let is_upload = release.vendor == Vendor::Debian && mark.strip_prefix("exp").is_some_and(is_numbers);
            (is_rebuild(release.vendor, mark) || (is_upload && with == without)).then_some(without)
        }
        (KnownPackage::Abi(text) | KnownPackage::Version(text), vendor) => rpm_order(vendor, text, version),
    }
}

/// The order of two versions of RPM packages, where their numbers count the same.
fn rpm_order(vendor: Vendor, text: &str, version: &str) -> Option<Ordering> {
    let order = Some(rpm::compare(text, version));
    match vendor {
        // Each suite counts the builds of a release by itself: `5.1.20-200.fc29` and `5.1.20-300.fc30`.
        Vendor::Fedora | Vendor::Amazon => order.filter(|_| suite(text) == suite(version)),
        Vendor::Rhel | Vendor::Suse | Vendor::OracleUek => {
            let (own, other) = (build(text), build(version));
            match own.first().cmp(&other.first()) {
                _ if Upstream::prefix(text).map(|found| found.0) != Upstream::prefix(version).map(|found| found.0) => {
                    order
                }
                // `.el8` and `.el8_0` are the same build.
                Ordering::Equal if own == other && suite(text).is_some() && suite(version).is_some() => {
                    Some(Ordering::Equal)
                }
                Ordering::Equal => order,
                // 862.34.2 is of a branch that gets patches of its own, and younger than 957.21.3. Only builds of the main
                // line come one after another.
                Ordering::Greater if other.len() == 1 && vendor == Vendor::Rhel => order,
                Ordering::Less if own.len() == 1 && vendor == Vendor::Rhel => order,
                _ => None,
            }
        }
        _ => order,
    }
}

/// The suite that a package is built for: `fc30`, `amzn2`, `el8_0`.
fn suite(version: &str) -> Option<&str> {
    let last = version.rsplit_once('.').map(|(_, last)| last)?;
    last.starts_with(|c: char| c.is_ascii_alphabetic()).then_some(last)
}

/// The numbers of a build: 957, 21 and 3 of `3.10.0-957.21.3.el7`.
fn build(version: &str) -> Vec<u32> {
    let release = version.split_once('-').map_or("", |(_, release)| release);
    release.split('.').map_while(|number| number.parse().ok()).collect()
}

fn is_upload_of(version: &str, abi: &str) -> bool {
    version.strip_prefix(abi).is_some_and(|rest| rest.starts_with('.'))
}

/// The upload that the dossier lists for an ABI number, if the name has only that.
pub(super) fn same_abi<'a>(entry: &'a DistributionLine, release: &Release) -> Option<&'a PackageVersion> {
    let KnownPackage::Abi(abi) = &release.package else { return None };
    let versions = entry.steps.values().flat_map(Spans::certain).chain(&entry.known_until);
    versions.filter(|_| release.vendor != Vendor::Debian).find(|version| is_upload_of(version.as_str(), abi))
}

/// The mark of this kernel's package that no convention explains, if any.
pub(super) fn foreign_mark(release: &Release) -> Option<&str> {
    let is_dpkg = matches!(release.vendor, Vendor::Ubuntu | Vendor::UbuntuDerivative | Vendor::Debian);
    let (_, mark) = split_mark(release.package.text().filter(|_| is_dpkg)?);
    (!is_rebuild(release.vendor, mark)).then_some(mark)
}

/// Splits a version at the first `~` of its revision: `16.04.1`, `bpo9+1`; empty if there is none. dpkg sorts a marked
/// version before the plain one.
fn split_mark(version: &str) -> (&str, &str) {
    let revision = version.rfind('-').unwrap_or(0);
    let mark = version.match_indices('~').map(|(at, _)| at).find(|at| *at > revision);
    let (source, mark) = mark.and_then(|at| version.split_at_checked(at)).unwrap_or((version, ""));
    (source, mark.strip_prefix('~').unwrap_or(mark))
}

/// Whether the mark means a rebuild of the same source for an older release: Ubuntu's `16.04.1` (its hardware
/// enablement kernels), Debian's `bpo9+1` (its backports) and `deb9u1` (its older suites). All other marks, such as
/// `exp1`, `rc1` and `ppa1`, may be older than that version.
fn is_rebuild(vendor: Vendor, mark: &str) -> bool {
    match (vendor, mark.get(..3)) {
        _ if mark.is_empty() => true,
        (Vendor::Ubuntu | Vendor::UbuntuDerivative, _) => {
            let month = mark.split('.').nth(1);
            is_numbers(mark) && mark.find('.') == Some(2) && matches!(month, Some("04" | "10"))
        }
        (Vendor::Debian, Some(word @ ("bpo" | "deb"))) => {
            let between = if word == "bpo" { '+' } else { 'u' };
            let (suite, count) = mark.trim_start_matches(word).split_once(between).unwrap_or_default();
            [suite, count].iter().all(|n| !n.contains('.') && is_numbers(n))
        }
        _ => false,
    }
}
