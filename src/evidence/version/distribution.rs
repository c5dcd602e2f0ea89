//! Which steps distributions' kernels have.

use std::cmp::Ordering;

use super::parse::is_numbers;
use super::release::{Package, Release, Vendor};
use super::{Held, known, upstream};
use crate::kernel::versions::{dpkg, rpm};
use crate::matrix::{DistributionLine, PackageVersion, Releases, Spans};
use crate::words::Role;

/// The dossier's entry for a kernel: that of its line, or else of its distribution.
pub(super) fn entry<'a>(releases: &'a Releases, release: &Release) -> Option<&'a DistributionLine> {
    let base = release.base.to_string();
    let text = release.package.text().unwrap_or(&base);
    let of_line = |entry: &&DistributionLine| match &entry.line {
        None => true,
        Some(line) => {
            text.strip_prefix(line.as_str()).is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
        }
    };
    let own = releases.distributions.iter().filter(|entry| is_of(entry, release));
    let length = |entry: &&DistributionLine| entry.line.as_ref().map_or(0, |line| line.as_str().len());
    own.filter(of_line).max_by_key(|entry| (!entry.flavours.is_empty(), length(entry)))
}

/// Whether an entry speaks of a kernel's distribution, and of its flavour where that has numbers of its own.
fn is_of(entry: &DistributionLine, release: &Release) -> bool {
    let key = release.vendor.key();
    if entry.flavours.is_empty() {
        return entry.distribution == key;
    }
    let is_theirs = entry.distribution == key
        || (release.vendor == Vendor::UbuntuDerivative && entry.distribution == Vendor::Ubuntu.key());
    is_theirs && release.flavour.as_ref().is_some_and(|flavour| entry.flavours.contains(flavour))
}

/// What is known of a step in a distribution's kernel.
pub(super) fn held(releases: &Releases, entry: Option<&DistributionLine>, release: &Release, role: Role) -> Held {
    let start = release.start();
    let by_ancestry = upstream::mainline(releases, start, role);
    if releases.descendants && by_ancestry.has == Some(true) {
        let always = !releases.mainline.contains_key(&role);
        let says =
            if always { by_ancestry.says } else { format!("{} and so in what starts from {start}", by_ancestry.says) };
        return Held { says, ..by_ancestry };
    }
    let listed = entry.and_then(|entry| entry.steps.get(&role)).map(|spans| compared(role, spans, release));
    // Whoever took it out took it out of the base, too.
    if let Some((held, true)) = listed {
        return held;
    }
    let is_known = release.base_is_exact && known::exists(release.base);
    let base = is_known && entry.is_some_and(|entry| entry.contains_base);
    let in_base = base.then(|| upstream::held(releases, release.base, role)).filter(|held| held.has == Some(true));
    if let Some(held) = in_base {
        return Held { says: format!("{} and so in its base {}", held.says, release.base), ..held };
    }
    if let Some((held, _)) = listed {
        return held;
    }
    if releases.no_fix_anywhere && role != Role::Break {
        return Held { role, has: Some(false), says: upstream::nobody(role) };
    }
    let until = entry.and_then(|entry| entry.known_until.as_ref());
    let order = until.and_then(|until| order(release, until));
    match (until, order) {
        (Some(until), Some(Ordering::Less | Ordering::Equal)) => {
            Held { role, has: Some(false), says: format!("no {role} up to {until}") }
        }
        (Some(until), _) => {
            Held { role, has: None, says: format!("{role} unknown after {until}, the last that was looked at") }
        }
        (None, _) => Held { role, has: None, says: format!("{role} unknown") },
    }
}

/// What is known of a step that is listed, and whether it was taken out again.
fn compared(role: Role, spans: &Spans<PackageVersion>, release: &Release) -> (Held, bool) {
    if spans.named().any(|version| order(release, version).is_none()) {
        return (Held { role, has: None, says: format!("{role} perhaps, for the first with it is {spans}") }, false);
    }
    let standing = spans.at(|version| order(release, version).is_some_and(Ordering::is_ge));
    (upstream::compared(role, &standing), standing.is_out)
}

/// The order of a kernel's package against a version of the same line. An ABI number is as new as the upload that has
/// it. None where the name does not tell: Debian keeps an ABI number through many versions.
fn order(release: &Release, version: &PackageVersion) -> Option<Ordering> {
    let version = version.as_str();
    match (&release.package, release.vendor) {
        (Package::Unknown, _) | (Package::Abi(_), Vendor::Debian) => None,
        (Package::Abi(abi), _) if is_upload_of(version, abi) => Some(Ordering::Equal),
        (Package::Abi(text) | Package::Version(text), Vendor::Ubuntu | Vendor::UbuntuDerivative | Vendor::Debian) => {
            let (source, mark) = split_mark(text);
            let (with, without) = (dpkg::compare(text, version), dpkg::compare(source, version));
            // What is no rebuild may lack what came with the very version that it is named after.
            (is_rebuild(release.vendor, mark) || with == without).then_some(without)
        }
        (Package::Abi(text) | Package::Version(text), _) => Some(rpm::compare(text, version)),
    }
}

fn is_upload_of(version: &str, abi: &str) -> bool {
    version.strip_prefix(abi).is_some_and(|rest| rest.starts_with('.'))
}

/// Where a name has an ABI number only, the upload that the dossier lists under it.
pub(super) fn same_abi<'a>(entry: &'a DistributionLine, release: &Release) -> Option<&'a PackageVersion> {
    let Package::Abi(abi) = &release.package else { return None };
    let versions = entry.steps.values().flat_map(Spans::certain).chain(&entry.known_until);
    versions.filter(|_| release.vendor != Vendor::Debian).find(|version| is_upload_of(version.as_str(), abi))
}

/// The mark of this kernel's package that no convention explains, where it has one.
pub(super) fn foreign_mark(release: &Release) -> Option<&str> {
    let is_dpkg = matches!(release.vendor, Vendor::Ubuntu | Vendor::UbuntuDerivative | Vendor::Debian);
    let (_, mark) = split_mark(release.package.text().filter(|_| is_dpkg)?);
    (!is_rebuild(release.vendor, mark)).then_some(mark)
}

/// A version, and what stands behind the first `~` of its revision: `16.04.1`, `bpo9+1`; nothing where there is none. By
/// dpkg's order it is before the version without it.
fn split_mark(version: &str) -> (&str, &str) {
    let revision = version.rfind('-').unwrap_or(0);
    let mark = version.match_indices('~').map(|(at, _)| at).find(|at| *at > revision);
    let (source, mark) = mark.and_then(|at| version.split_at_checked(at)).unwrap_or((version, ""));
    (source, mark.strip_prefix('~').unwrap_or(mark))
}

/// Whether the mark says that the source is that of the version before it, rebuilt for an older release: Ubuntu's
/// `16.04.1` (its hardware enablement kernels), Debian's `bpo9+1` (its backports) and `deb9u1` (its older suites). `exp1`,
/// `rc1`, `ppa1` and whatever else there is may be from before that version.
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
