//! The witness `changelog`: which steps of a bug's chain the changelog of a kernel's package names.
//!
//! People write changelogs. A changelog may name a patch by the subject of another, or omit patches, so this witness
//! only gives hints. A named step narrows the states. A missing step says nothing: the changelog may not reach back to
//! it, the package may have started with it, or its builders may list no patches.

mod grammar;
mod items;

use std::collections::BTreeSet;

use super::exhibits::Exhibits;
use super::git::states::{ChainPresence, Presence};
use super::version::Release;
use super::{Finding, Strength, Witness};
use crate::kernel::{Changelog, Quoted};
use crate::matrix::{Bug, Step, Upstream};
use crate::words::Role;
use grammar::{ItemSays, SoughtStep};
use items::{ChangelogItem, items};

/// A parsed changelog, for any number of bugs.
pub struct ParsedChangelog {
    /// Newest first.
    entries: Vec<ParsedEntry>,
}

struct ParsedEntry {
    title: String,
    items: Vec<ChangelogItem>,
}

/// The statement of the whole changelog about one step.
#[derive(Clone, Debug, PartialEq, Eq)]
struct StepMention {
    role: Role,
    says: ItemSays,
    /// The entry that first said so.
    title: String,
    /// The line that said so.
    line: String,
    /// The CVE of the step, if the line names only that.
    cve: Option<String>,
}

impl ParsedChangelog {
    /// Splits a changelog into its items.
    pub fn of(changelog: &Changelog) -> Self {
        let entries = changelog.entries.iter();
        let entries = entries.map(|entry| ParsedEntry { title: entry.title.clone(), items: items(&entry.text) });
        Self { entries: entries.collect() }
    }

    /// Its statement about a step, by the step's subject and commits, or else by its CVEs.
    fn find(&self, step: &Step, cves: &[String]) -> Option<StepMention> {
        let sought = SoughtStep::new(step);
        let by_name = self.last_word(step.role, &|item| grammar::of_step(item, &sought));
        by_name.or_else(|| {
            let mut named = cves.iter().filter_map(|cve| {
                let found = self.last_word(step.role, &|item| grammar::of_cve(item, cve))?;
                Some(StepMention { cve: Some(cve.clone()), ..found })
            });
            named.next()
        })
    }

    /// The statement of the newest entry that mentions the subject of `says_of`, and the first entry with the same statement.
    fn last_word(&self, role: Role, says_of: &dyn Fn(&ChangelogItem) -> Option<ItemSays>) -> Option<StepMention> {
        let mut found: Option<StepMention> = None;
        for entry in self.entries.iter().rev() {
            let said: Vec<(ItemSays, &ChangelogItem)> =
                entry.items.iter().filter_map(|item| Some((says_of(item)?, item))).collect();
            let Some((_, first)) = said.first() else { continue };
            // The order within one entry says nothing. But Ubuntu removes its own early patch when it adds upstream's.
            let is_sauce = |item: &ChangelogItem| item.text.contains("SAUCE:");
            let replaces = said.iter().any(|(says, item)| *says == ItemSays::In && !is_sauce(item));
            let others = said.iter().filter(|(says, item)| !(replaces && *says == ItemSays::Out && is_sauce(item)));
            let all: BTreeSet<ItemSays> = others.map(|(says, _)| *says).collect();
            let says = match all.into_iter().collect::<Vec<_>>()[..] {
                [only] => only,
                _ => ItemSays::Doubtful,
            };
            if found.as_ref().is_none_or(|found| found.says != says) {
                let item = said.iter().find(|(said, _)| *said == says).map_or(first, |(_, item)| item);
                let (title, line) = (entry.title.clone(), item.text.clone());
                found = Some(StepMention { role, says, title, line, cve: None });
            }
        }
        found
    }

    /// Whether an entry is of the same line of releases as the newest one. A later line starts from upstream's state, so
    /// reverts in older lines do not count.
    fn is_of_newest_line(&self, title: &str) -> bool {
        let newest = self.entries.first().and_then(|entry| release(&entry.title));
        newest.is_some_and(|newest| release(title).is_some_and(|own| own.line() == newest.line()))
    }

    fn presence(&self, found: &StepMention) -> Presence {
        match found.says {
            ItemSays::In => Presence { hint: Some(true), ..Presence::OPEN },
            ItemSays::Out if self.is_of_newest_line(&found.title) => Presence { hint: Some(false), ..Presence::OPEN },
            ItemSays::Out | ItemSays::Doubtful => Presence::OPEN,
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

/// Looks at the package's changelog for a bug, if there is a changelog.
pub(super) fn look(exhibits: &Exhibits<'_>, bug: &Bug) -> Option<Finding> {
    Some(match exhibits.changelog.as_ref()? {
        Ok(changelog) => weigh(bug, changelog, exhibits.known_release()),
        Err(why) => Finding::unknown(Witness::Changelog, why),
    })
}

/// Weighs a bug by a kernel package's changelog. The kernel's release tells which steps it doesn't need.
pub fn weigh(bug: &Bug, changelog: &ParsedChangelog, release: Option<&Release>) -> Finding {
    if bug.chain.is_empty() {
        return Finding::unknown(Witness::Changelog, "the dossier names no commit that a changelog could name");
    }
    let said: Vec<(&Step, Option<StepMention>)> =
        bug.chain.iter().map(|step| (step, changelog.find(step, &cves(bug, step.role)))).collect();
    let found: Vec<&StepMention> = said.iter().filter_map(|(_, mention)| mention.as_ref()).collect();
    if found.is_empty() {
        let why = format!("{} names no step of the chain, which proves nothing", changelog.reach());
        return Finding::unknown(Witness::Changelog, why);
    }
    let told = found.iter().map(|found| found.told()).collect::<Vec<_>>().join("; ");
    if found.iter().all(|found| changelog.presence(found).hint.is_none()) {
        return Finding::unknown(Witness::Changelog, format!("{} {told}", changelog.reach()));
    }
    let presence = |(step, said): &(&Step, Option<StepMention>)| match said {
        Some(found) => changelog.presence(found),
        None if is_needless(step, release) => Presence::IN,
        None => Presence::OPEN,
    };
    let steps = said.iter().map(|of_step| (of_step.0.role, presence(of_step)));
    let chain = ChainPresence::of(bug, steps);
    let (states, _) = chain.conclude();
    let why = format!("{} {told}. Two patches can share a subject, so this is a hint", changelog.reach());
    Finding::new(Witness::Changelog, states, Strength::Weak, why)
}

impl StepMention {
    fn told(&self) -> String {
        let (role, title, line) = (self.role, shown(&self.title), shown(&self.line));
        match self.says {
            ItemSays::In => match &self.cve {
                Some(cve) => format!("names {cve}, the CVE of the {role}, in {title}: \"{line}\""),
                None => format!("has the {role} since {title}: \"{line}\""),
            },
            ItemSays::Out => format!("takes the {role} out in {title}: \"{line}\""),
            ItemSays::Doubtful => {
                format!("names the {role} in {title} in words that leave open whether it is in: \"{line}\"")
            }
        }
    }
}

fn shown(text: &str) -> Quoted {
    Quoted::of(text.as_bytes())
}

/// The CVEs of a step: of the break, if kernels without it are vulnerable to one; of the fix, if the bug itself has a
/// CVE.
fn cves(bug: &Bug, role: Role) -> Vec<String> {
    let is_of_break = |cve: &str| bug.without_break.as_ref().is_some_and(|says| says.contains(cve));
    // A CVE does not distinguish several steps.
    let is_one = bug.chain.iter().filter(|step| step.role == role).count() == 1;
    let of_role = |cve: &&str| match role {
        _ if !is_one => false,
        Role::Break => is_of_break(cve),
        Role::Fix => !is_of_break(cve),
        Role::HalfFix | Role::FixOfFix => false,
    };
    bug.cves().filter(of_role).map(str::to_owned).collect()
}

/// Whether kernels of this release don't need the step.
fn is_needless(step: &Step, release: Option<&Release>) -> bool {
    let limit = step.only_before;
    let (Some(limit), Some(own)) = (limit, release.map(Release::base)) else { return false };
    // As in the witness `git`, candidates of the limit don't need it.
    (own.line(), own.stable()) >= (limit.line(), limit.stable())
}

/// The release in an entry's title: `linux (4.19.37-4)`, `… [3.10.0-957.21.3.el7]`, `… - 5.1.15-300`.
fn release(title: &str) -> Option<Upstream> {
    let words = title.split(|c: char| c.is_whitespace() || "()[]".contains(c));
    words.filter_map(Upstream::prefix).map(|(release, ..)| release).next_back()
}

#[cfg(test)]
mod changelog_tests;
