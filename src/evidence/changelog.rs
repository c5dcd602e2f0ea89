//! The witness `changelog`: which steps of a bug's chain the changelog of a kernel's package names.
//!
//! A changelog is written for people. It may name a patch by the subject of another one, and leave out what it has; so
//! this witness only ever gives hints. A step that is named narrows the states down. One that is not named says nothing:
//! the changelog may not reach back to it, the package may have begun with it, or its builders may list no patches.

mod items;
mod says;

use std::collections::BTreeSet;

use super::git::states::{Chain, Presence};
use super::version::Release;
use super::{Finding, Strength, Witness};
use crate::kernel::{Changelog, Quoted};
use crate::matrix::{Bug, Step, Upstream};
use crate::words::Role;
use items::{Item, items};
use says::Says;

/// A changelog, ready to be asked about any number of bugs.
pub struct Listing {
    /// The newest first.
    entries: Vec<Entry>,
}

struct Entry {
    title: String,
    items: Vec<Item>,
}

/// What the changelog says of one step, after all of its entries.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Found {
    role: Role,
    says: Says,
    /// The entry that first said so.
    title: String,
    /// How it said so.
    line: String,
    /// The number of a CVE that it stands for, where nothing else of it is named.
    cve: Option<String>,
}

impl Listing {
    /// Parts a changelog into what it lists.
    pub fn of(changelog: &Changelog) -> Self {
        let entries = changelog.entries.iter();
        let entries = entries.map(|entry| Entry { title: entry.title.clone(), items: items(&entry.text) });
        Self { entries: entries.collect() }
    }

    /// What it says last of a step, and since when.
    fn find(&self, step: &Step) -> Option<Found> {
        let mut found: Option<Found> = None;
        for entry in self.entries.iter().rev() {
            let said: Vec<(Says, &Item)> =
                entry.items.iter().filter_map(|item| Some((says::of_step(item, step)?, item))).collect();
            let Some((_, first)) = said.first() else { continue };
            // Within one entry nobody knows what came first.
            // But for Ubuntu, which takes its own early patch out where it takes upstream's.
            let is_sauce = |item: &Item| item.text.contains("SAUCE:");
            let replaces = said.iter().any(|(says, item)| *says == Says::In && !is_sauce(item));
            let others = said.iter().filter(|(says, item)| !(replaces && *says == Says::Out && is_sauce(item)));
            let says = match others.map(|(says, _)| *says).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()[..]
            {
                [only] => only,
                _ => Says::Doubtful,
            };
            if found.as_ref().is_none_or(|found| found.says != says) {
                let item = said.iter().find(|(said, _)| *said == says).map_or(first, |(_, item)| item);
                let (title, line) = (entry.title.clone(), item.text.clone());
                found = Some(Found { role: step.role, says, title, line, cve: None });
            }
        }
        found
    }

    /// The oldest item that names one of these CVEs.
    fn find_cve(&self, role: Role, cves: &[String]) -> Option<Found> {
        let items = self.entries.iter().rev().flat_map(|entry| entry.items.iter().map(move |item| (entry, item)));
        let mut named = items.filter_map(|(entry, item)| {
            let cve = cves.iter().find(|cve| says::names_cve(item, cve))?.clone();
            let (title, line) = (entry.title.clone(), item.text.clone());
            Some(Found { role, says: Says::In, title, line, cve: Some(cve) })
        });
        named.next()
    }

    /// Whether an entry is of the same line of releases as the newest one. A later line begins with what upstream has,
    /// whatever was taken out before.
    fn is_of_newest_line(&self, title: &str) -> bool {
        let newest = self.entries.first().and_then(|entry| release(&entry.title));
        newest.is_some_and(|newest| release(title).is_some_and(|own| own.line() == newest.line()))
    }

    fn presence(&self, found: &Found) -> Presence {
        match found.says {
            Says::In => Presence { hint: Some(true), ..Presence::OPEN },
            Says::Out if self.is_of_newest_line(&found.title) => Presence { hint: Some(false), ..Presence::OPEN },
            Says::Out | Says::Doubtful => Presence::OPEN,
        }
    }

    /// `its changelog (812 entries, from linux (6.1.192-2) back to linux-2.6 (2.6.32-1))`.
    fn reach(&self) -> String {
        match self.entries.as_slice() {
            [] => "its changelog is empty".to_owned(),
            [only] => format!("its changelog (one entry, {})", shown(&only.title)),
            [newest, .., oldest] => {
                let (newest, oldest) = (shown(&newest.title), shown(&oldest.title));
                format!("its changelog ({} entries, from {newest} back to {oldest})", self.entries.len())
            }
        }
    }
}

/// What the changelog of a kernel's package says of a bug. The kernel's release tells which steps it can do without.
pub fn weigh(bug: &Bug, listing: &Listing, release: Option<&Release>) -> Finding {
    if bug.chain.is_empty() {
        return Finding::unknown(Witness::Changelog, "no commit of this bug is known that a changelog could name");
    }
    let said = |step: &Step| listing.find(step).or_else(|| listing.find_cve(step.role, &cves(bug, step.role)));
    let found: Vec<Found> = bug.chain.iter().filter_map(said).collect();
    if found.is_empty() {
        let why = format!("{} names no step of the chain, which says nothing", listing.reach());
        return Finding::unknown(Witness::Changelog, why);
    }
    let told = found.iter().map(Found::told).collect::<Vec<_>>().join("; ");
    if found.iter().all(|found| listing.presence(found).hint.is_none()) {
        return Finding::unknown(Witness::Changelog, format!("{} {told}", listing.reach()));
    }
    let presence = |step: &Step, said: Option<Found>| match said {
        Some(found) => listing.presence(&found),
        None if is_needless(step, release) => Presence::IN,
        None => Presence::OPEN,
    };
    let steps = bug.chain.iter().map(|step| (step.role, presence(step, said(step))));
    let chain = Chain::of(steps);
    let (states, _) = chain.conclude();
    let why = format!("{} {told}. A subject can stand for another patch, so this is a hint", listing.reach());
    Finding::new(Witness::Changelog, states, Strength::Weak, why)
}

impl Found {
    fn told(&self) -> String {
        let (role, title, line) = (self.role, shown(&self.title), shown(&self.line));
        match self.says {
            Says::In => match &self.cve {
                Some(cve) => format!("names {cve}, which the {role} is known by, in {title}: \"{line}\""),
                None => format!("has the {role} since {title}: \"{line}\""),
            },
            Says::Out => format!("takes the {role} out in {title}: \"{line}\""),
            Says::Doubtful => format!("speaks of undoing the {role} in {title}, which says nothing: \"{line}\""),
        }
    }
}

fn shown(text: &str) -> Quoted {
    Quoted::of(text.as_bytes())
}

/// The CVEs that a step is known by: the break, where a kernel without it is open to one; the fix, where the bug itself has
/// a number.
fn cves(bug: &Bug, role: Role) -> Vec<String> {
    let is_of_break = |cve: &str| bug.without_break.as_ref().is_some_and(|says| says.contains(cve));
    // Of several steps a number does not say which.
    let is_one = bug.chain.iter().filter(|step| step.role == role).count() == 1;
    let of_role = |cve: &&str| match role {
        _ if !is_one => false,
        Role::Break => is_of_break(cve),
        Role::Fix => !is_of_break(cve),
        Role::HalfFix | Role::FixOfFix => false,
    };
    bug.cves().filter(of_role).map(str::to_owned).collect()
}

/// Whether kernels of this release can do without the step.
fn is_needless(step: &Step, release: Option<&Release>) -> bool {
    let limit = step.only_before;
    let (Some(limit), Some(own)) = (limit, release.map(Release::base)) else { return false };
    // As git's witness has it: candidates of the limit do not need it.
    (own.line(), own.stable()) >= (limit.line(), limit.stable())
}

/// The release in an entry's title: `linux (4.19.37-4)`, `… [3.10.0-957.21.3.el7]`, `… - 5.1.15-300`.
fn release(title: &str) -> Option<Upstream> {
    let words = title.split(|c: char| c.is_whitespace() || "()[]".contains(c));
    words.filter_map(Upstream::prefix).map(|(release, ..)| release).next_back()
}

#[cfg(test)]
#[path = "changelog/changelog_tests.rs"]
mod tests;
