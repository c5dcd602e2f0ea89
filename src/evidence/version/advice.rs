//! Advises which release an affected kernel should move to, or what would settle an unknown one.

use std::fmt;

use super::release::{Beyond, KnownPackage, Release, Vendor};
use super::{StateSet, distribution, held, known, line, names, needs_mend, states};
use crate::matrix::{Bug, ReleaseLine, Releases, Spans, Upstream};
use crate::words::{Role, State};

/// The advice about a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UpgradeAdvice {
    /// The first good release to move to.
    Move {
        /// The release or package version: `4.19.62`, `4.15.0-59.66`.
        release: String,
        /// Whether it is in the kernel's own line. If not, no good release of that line is known, and this is the
        /// oldest later one.
        own_line: bool,
    },
    /// The release has the fix, but patches on top of it removed it.
    TakenOut {
        /// The release or package version.
        release: String,
    },
    /// The missing evidence about an unknown kernel: the name, file or option to give, in one sentence.
    Settle(String),
}

impl fmt::Display for UpgradeAdvice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Move { release, own_line: true } => write!(f, "first good release of this line: {release}"),
            Self::Move { release, own_line: false } => {
                write!(f, "no good release of this line is known; the oldest later one is {release}")
            }
            Self::TakenOut { release } => {
                write!(f, "{release} had the fix when it was released: drop the later patch that removed it")
            }
            Self::Settle(how) => f.write_str(how),
        }
    }
}

/// The first good release for a kernel that is affected, half-fixed or fixed with a defect by its name. If the name
/// doesn't decide, the missing evidence. Nothing for a good kernel, or if no release is good.
pub fn first_good(bug: &Bug, release: &Release) -> Option<UpgradeAdvice> {
    let (Some(releases), Ok(steps)) = (&bug.releases, held(bug, release)) else {
        return Some(UpgradeAdvice::Settle(settle(release)));
    };
    let of_line = release.is_line.then(|| line::weigh(bug, release.base.line()).ok()).flatten();
    let states = of_line.map_or_else(|| states(&steps), |(states, _)| states);
    let good: StateSet = [State::NeverHad, State::Fixed].into_iter().collect();
    if states.and(good) == states {
        return None;
    }
    let bad = states.and(good).is_empty();
    if !bad {
        let is_line = release.is_line.then(|| line::settle(bug, release.base.line()));
        return Some(is_line.unwrap_or_else(|| UpgradeAdvice::Settle(settle(release))));
    }
    let mend = needs_mend(bug, release);
    match release.vendor {
        Vendor::KernelOrg(_) => of_kernel_org(bug, releases, release.base, mend),
        _ => of_distribution(bug, releases, release, mend),
    }
}

/// The first good release for an affected kernel, regardless of its name, if one is known.
pub fn upgrade(bug: &Bug, release: &Release) -> Option<UpgradeAdvice> {
    let releases = bug.releases.as_ref()?;
    if let Ok(steps) = held(bug, release)
        && steps.iter().any(|step| step.role == Role::Fix && step.has == Some(true))
        && states(&steps).and(StateSet::affected()).is_empty()
    {
        return match first_good(bug, release) {
            // The fix has a defect that a later release fixes.
            Some(better @ UpgradeAdvice::Move { .. }) => Some(better),
            _ => Some(UpgradeAdvice::TakenOut { release: release.to_string() }),
        };
    }
    let mend = needs_mend(bug, release);
    match release.vendor {
        Vendor::KernelOrg(_) => of_kernel_org(bug, releases, release.base, mend),
        _ => of_distribution(bug, releases, release, mend),
    }
}

fn of_kernel_org(bug: &Bug, releases: &Releases, base: Upstream, mend: bool) -> Option<UpgradeAdvice> {
    let own = good_of_line(releases, base.line(), mend).filter(|good| *good > base);
    if let Some(good) = own {
        return Some(UpgradeAdvice::Move { release: good.to_string(), own_line: true });
    }
    let later = later_lines(releases, base.line()).filter_map(|line| {
        let needs = |line: ReleaseLine| {
            let first: Option<Upstream> = line.to_string().parse().ok();
            first.is_some_and(|first| needs_mend(bug, &Release::of_kernel_org(first)))
        };
        good_of_line(releases, line, needs(line))
    });
    later.min().map(|good| UpgradeAdvice::Move { release: good.to_string(), own_line: false })
}

/// The first release of a line from which on all are good: they have the fix, and the fix of the fix if needed, or lack
/// the break again.
fn good_of_line(releases: &Releases, line: ReleaseLine, mend: bool) -> Option<Upstream> {
    let entry = releases.stable.iter().find(|entry| entry.line == line);
    let stable = |role: Role| entry.and_then(|entry| entry.steps.get(&role));
    let of_line = |first: &&Upstream| first.line() == line;
    let first = |role: Role| {
        let mainline = releases.mainline.get(&role).and_then(Spans::stands_since).filter(of_line);
        mainline.or_else(|| stable(role).and_then(Spans::stands_since)).copied()
    };
    let fixed = first(Role::Fix)
        .and_then(|fix| if mend { first(Role::FixOfFix).map(|mended| mended.max(fix)) } else { Some(fix) });
    // If the line got the break by itself, its own releases decide, because it may have got it again.
    let gone = match stable(Role::Break) {
        Some(spans) => spans.gone_since(),
        None => releases.mainline.get(&Role::Break).and_then(Spans::gone_since).filter(of_line),
    };
    let gone = gone.copied();
    fixed.into_iter().chain(gone).min()
}

fn later_lines(releases: &Releases, than: ReleaseLine) -> impl Iterator<Item = ReleaseLine> {
    let stable = releases.stable.iter().map(|entry| entry.line);
    let mainline = releases.mainline.get(&Role::Fix).and_then(Spans::stands_since).map(|fix| fix.line());
    stable.chain(mainline).filter(move |line| *line > than)
}

fn of_distribution(bug: &Bug, releases: &Releases, release: &Release, mend: bool) -> Option<UpgradeAdvice> {
    let entry = distribution::entry(releases, release);
    let steps = entry.map(|entry| &entry.steps);
    let of = |role: Role| steps.and_then(|steps| steps.get(&role));
    let fixed = of(if mend { Role::FixOfFix } else { Role::Fix }).and_then(Spans::stands_since);
    let own = fixed.or_else(|| of(Role::Break).and_then(Spans::gone_since));
    let own_line = true;
    if let Some(version) = own {
        return Some(UpgradeAdvice::Move { release: version.to_string(), own_line });
    }
    let base = entry.filter(|entry| entry.contains_base).and_then(|_| of_kernel_org(bug, releases, release.base, mend));
    if let Some(UpgradeAdvice::Move { release: good, own_line }) = base {
        let release = format!("the first package of {} with the base {good} or later", release.vendor);
        return Some(UpgradeAdvice::Move { release, own_line });
    }
    let fix = releases.mainline.get(&Role::Fix).and_then(Spans::stands_since).filter(|_| releases.descendants)?;
    let release = format!("a kernel of theirs that starts from {} or later", fix.line());
    Some(UpgradeAdvice::Move { release, own_line: false })
}

/// The missing evidence about an unknown kernel.
fn settle(release: &Release) -> String {
    let code = "give its image (/boot/vmlinuz-…) or package file to judge its code, or boot it (--boot)";
    match (release.vendor, &release.package) {
        (names::WSL1, _) => "ask about a Linux kernel: this one is Windows".to_owned(),
        _ if known::objection(release).is_some() => format!("check the name; or {code}"),
        _ if release.by_form => {
            format!("give its package's name or the whole line of `uname -a`; or {code}")
        }
        (Vendor::Debian, KnownPackage::Abi(_) | KnownPackage::Unknown) => {
            format!("give the package version, which `uname -v` prints after `Debian`; or {code}")
        }
        (Vendor::KernelOrg(Beyond::Local | Beyond::Commits | Beyond::Next), _) => {
            format!("give the repository that it was built from (--git) and the revision; or {code}")
        }
        (Vendor::UbuntuDerivative, _) => {
            format!("its numbers are its own, not those of the flavour generic: {code}")
        }
        (Vendor::KernelOrg(_), _) => format!("give a repository with this release (--git); or {code}"),
        _ => format!("its name does not tell: {code}"),
    }
}

impl Release {
    /// A release of kernel.org's.
    pub(super) fn of_kernel_org(base: Upstream) -> Self {
        let vendor = Vendor::KernelOrg(Beyond::Nothing);
        Self {
            vendor,
            base,
            base_is_exact: true,
            package: KnownPackage::Unknown,
            flavour: None,
            by_form: false,
            is_line: false,
        }
    }
}
