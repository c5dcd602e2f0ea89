//! The releases that have each step of a bug's chain.

use std::cmp::Ordering;
use std::collections::{BTreeMap, HashSet};
use std::str::FromStr;

use super::super::fields;
use super::super::problems::Collector;
use super::super::text::{one_of, quote};
use super::super::tree::{Key, YamlNode};
use super::Step;
use super::spans::{self, Spans, Steps};
use super::upstream::{BadRelease, First, PackageVersion, ReleaseLine, ReleaseOrder, Upstream};
use crate::words::Role;

/// The keys of `releases`.
pub(super) const KEYS: [&str; 8] =
    ["mainline", "descendants", "no-fix-anywhere", "since", "stable", "ended-before-break", "distributions", "sources"];

/// The keys of a stable line.
pub(super) const STABLE_KEYS: [&str; 3] = ["line", "steps", "known-until"];

/// The keys of a distribution's line.
pub(super) const DISTRIBUTION_KEYS: [&str; 7] =
    ["distribution", "line", "flavours", "steps", "known-until", "contains-base", "source"];

/// The roles' names as keys.
const ROLES: [&str; 4] = ["break", "half-fix", "fix", "fix-of-fix"];

/// The first releases with each step, line by line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Releases {
    /// The first mainline tag with each step, such as `5.2-rc6`. An absent step is in no mainline release; an absent
    /// `break` was always there.
    pub mainline: Steps<Upstream>,
    /// Whether every tree based on a mainline release with a step has the step, including distributions' trees, because
    /// nobody has reverted it.
    pub descendants: bool,
    /// Whether neither kernel.org nor any distribution has fixed it, except as listed here.
    pub no_fix_anywhere: bool,
    /// The first line of kernel.org with a step: no older line has it, unless `stable` lists it. It doesn't apply to
    /// distributions, because they patch lines that have ended.
    pub since: BTreeMap<Role, ReleaseLine>,
    /// kernel.org's stable lines: the first release with each step that was added after the line's `.0`.
    pub stable: Vec<StableLine>,
    /// Stable lines that ended before they got the break (`4.20`).
    pub ended_before_break: Vec<ReleaseLine>,
    /// Lines of distributions. Their kernels are never judged by the upstream number alone.
    pub distributions: Vec<DistributionLine>,
    /// The sources of these facts.
    pub sources: Vec<String>,
}

/// One of kernel.org's stable lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StableLine {
    /// `4.19`.
    pub line: ReleaseLine,
    /// The first release with each step, such as `4.19.52`. An absent step is in the line if its `.0` has it.
    pub steps: Steps<Upstream>,
    /// The last release that was checked; later ones are unknown. Absent: all releases were checked.
    pub known_until: Option<Upstream>,
}

/// One line of a distribution's packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistributionLine {
    /// `ubuntu`, `debian`, `rhel`, `suse`, …: a name that `evidence::version` knows.
    pub distribution: String,
    /// The part of its versions that names the line: `4.15.0`, `3.10.0-957`. Absent: all lines without an entry.
    pub line: Option<PackageVersion>,
    /// Flavours with their own version numbers (Ubuntu's `aws`, `kvm`), to which the entry is limited. Empty: those
    /// that share the distribution's main numbers.
    pub flavours: Vec<String>,
    /// The first package version with each step.
    pub steps: Steps<PackageVersion>,
    /// The last version that was checked. Whether later ones have an unlisted step is unknown; if absent, this is
    /// unknown for all versions.
    pub known_until: Option<PackageVersion>,
    /// Whether each package contains the whole kernel.org release that its version names.
    pub contains_base: bool,
    /// The source of these facts.
    pub source: String,
}

impl DistributionLine {
    /// Whether both entries cover the same kernels.
    fn overlaps(&self, other: &Self) -> bool {
        let shares = |flavours: &[String]| flavours.iter().any(|flavour| other.flavours.contains(flavour));
        let same_flavour = (self.flavours.is_empty() && other.flavours.is_empty()) || shares(&self.flavours);
        self.distribution == other.distribution && self.line == other.line && same_flavour
    }
}

/// The releases. `chain` is the bug's, if it has one; only its steps are allowed.
pub(super) fn read(node: &YamlNode, chain: Option<&[Step]>, problems: &mut Collector<'_>) -> Option<Releases> {
    let fields = problems.mapping(node, "a mapping with `mainline` and `sources`", &KEYS)?;
    let mut reader = Reader { chain, problems };
    let mainline = reader.problems.needed(&fields, "mainline", node);
    let mainline = mainline.and_then(|node| {
        let steps = reader.steps(node, |_: &Upstream| Ok(()))?;
        reader.check_order(node, "mainline", &steps, None);
        Some(steps)
    });
    let mut flag = |key: &str| fields.get(key).and_then(|node| reader.problems.boolean(node)).unwrap_or(false);
    let (descendants, no_fix_anywhere) = (flag("descendants"), flag("no-fix-anywhere"));
    let since = fields.get("since").map(|node| reader.since(node));
    let stable = fields.get("stable").map(|node| reader.stable(node));
    let ended = fields.get("ended-before-break");
    let ended =
        ended.map(|node| reader.problems.each(node, "lines of releases", |node, p| p.value(node, "line", text)));
    let distributions = fields.get("distributions").map(|node| reader.distributions(node));
    let sources = reader.problems.needed(&fields, "sources", node);
    let sources = sources
        .and_then(|node| reader.problems.each(node, "sources", |node, p| p.value(node, "source", fields::paragraph)));
    let releases = Releases {
        mainline: mainline?,
        descendants,
        no_fix_anywhere,
        since: since.flatten().unwrap_or_default(),
        stable: stable.flatten().unwrap_or_default(),
        ended_before_break: ended.flatten().unwrap_or_default(),
        distributions: distributions.flatten().unwrap_or_default(),
        sources: sources?,
    };
    let mut seen: HashSet<ReleaseLine> = releases.stable.iter().map(|stable| stable.line).collect();
    let ended = fields.get("ended-before-break").unwrap_or(node);
    for line in releases.ended_before_break.iter().filter(|line| !seen.insert(**line)) {
        problems.add(&ended.span, || format!("the line {} is given twice", quote(&line.to_string())));
    }
    Some(releases)
}

/// A text with a grammar of its own.
pub(super) fn text<T: FromStr<Err = BadRelease>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|bad: BadRelease| bad.expected())
}

/// The name of a flavour: the end of `uname -r`.
fn flavour(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !text.is_empty() && text.len() <= 100 && text.chars().all(allowed) {
        return Ok(text.to_owned());
    }
    Err("expected a flavour, as in `aws`: the end of `uname -r`".to_owned())
}

/// A distribution's name.
fn check_distribution(text: &str) -> Result<(), String> {
    const MAX: usize = 100;
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !text.is_empty() && text.len() <= MAX && text.chars().all(allowed) {
        return Ok(());
    }
    Err("expected a distribution's name, as in `debian`: lower case letters, digits and `-`".to_owned())
}

/// Two steps in the wrong order: the later one came out first.
fn out_of_order<T: ReleaseOrder>(steps: &Steps<T>) -> Option<(Role, Role)> {
    let known = ROLES.iter().filter_map(|name| super::chain::role(name).ok());
    let known: Vec<_> = known
        .filter_map(|role| match steps.get(&role).map(Spans::first) {
            Some(First::Is(first)) => Some((role, first)),
            _ => None,
        })
        .collect();
    let is_swapped = |pair: &&[(Role, &T)]| pair[1].1.order(pair[0].1) == Some(Ordering::Less);
    known.windows(2).find(is_swapped).map(|pair| (pair[0].0, pair[1].0))
}

struct Reader<'c, 'p, 'a> {
    chain: Option<&'c [Step]>,
    problems: &'p mut Collector<'a>,
}

impl Reader<'_, '_, '_> {
    /// The first release with each step; `check` is applied to each release.
    fn steps<T: FromStr<Err = BadRelease> + ReleaseOrder>(
        &mut self,
        node: &YamlNode,
        check: impl Fn(&T) -> Result<(), String>,
    ) -> Option<Steps<T>> {
        let expected = "a mapping from steps to releases, as in `{ break: 5.2-rc6, fix: 5.3-rc2 }`";
        let fields = self.problems.mapping(node, expected, &ROLES)?;
        let mut steps = BTreeMap::new();
        for (name, key, node) in fields.iter() {
            let Ok(role) = super::chain::role(name) else { continue };
            self.in_chain(key, role);
            steps.extend(spans::read(node, &check, self.problems).map(|spans| (role, spans)));
        }
        Some(steps)
    }

    /// Reports a step that the chain doesn't have.
    fn in_chain(&mut self, key: &Key, role: Role) {
        if let Some(chain) = self.chain.filter(|chain| chain.iter().all(|step| step.role != role)) {
            self.problems.add(&key.span, || {
                let mut there: Vec<&str> = chain.iter().map(|step| step.role.as_str()).collect();
                there.dedup();
                format!("the chain has no step `{role}`: its steps are {}", one_of(there))
            });
        }
    }

    /// Reports steps that are not in the order of the chain, and releases that nobody can have checked.
    fn check_order<T: ReleaseOrder>(
        &mut self,
        node: &YamlNode,
        place: &str,
        steps: &Steps<T>,
        known_until: Option<(&YamlNode, &T)>,
    ) {
        if let Some((earlier, later)) = out_of_order(steps) {
            self.problems.add(&node.span, || {
                format!(
                    "in {place} the {later} comes before the {earlier}: expected the steps in the order of the chain"
                )
            });
        }
        let Some((node, until)) = known_until else { return };
        let is_later = |named: &&T| named.order(until) == Some(Ordering::Greater);
        if let Some(named) = steps.values().flat_map(Spans::certain).find(is_later) {
            self.problems.add(&node.span, || {
                format!("the step in {named} is later than this: expected the last release that was checked")
            });
        }
    }

    /// The first line with each step.
    fn since(&mut self, node: &YamlNode) -> Option<BTreeMap<Role, ReleaseLine>> {
        let expected = "a mapping from steps to lines, as in `{ break: \"5.1\" }`";
        let fields = self.problems.mapping(node, expected, &ROLES)?;
        let mut since = BTreeMap::new();
        for (name, key, node) in fields.iter() {
            let Ok(role) = super::chain::role(name) else { continue };
            self.in_chain(key, role);
            since.extend(self.problems.value(node, "line", text).map(|line| (role, line)));
        }
        Some(since)
    }

    fn stable(&mut self, node: &YamlNode) -> Option<Vec<StableLine>> {
        let (mut lines, mut seen) = (Vec::new(), HashSet::new());
        for item in self.problems.items(node, "stable lines")? {
            let Some(line) = self.stable_line(item) else { continue };
            if !seen.insert(line.line) {
                self.problems.add(&item.span, || format!("the line {} is given twice", quote(&line.line.to_string())));
            }
            lines.push(line);
        }
        Some(lines)
    }

    fn stable_line(&mut self, node: &YamlNode) -> Option<StableLine> {
        let fields = self.problems.mapping(node, "a mapping that describes a stable line", &STABLE_KEYS)?;
        let line = self.problems.needed(&fields, "line", node);
        let line: Option<ReleaseLine> = line.and_then(|node| self.problems.value(node, "line", text));
        let of_line = |release: &Upstream| match line.filter(|line| *line != release.line()) {
            Some(line) => Err(format!("expected a release of the line {line}, as in `{line}.1`")),
            None => Ok(()),
        };
        let steps = self.problems.needed(&fields, "steps", node).and_then(|node| self.steps(node, of_line));
        let known_until = fields.get("known-until").map(|node| {
            self.problems.value(node, "release", |written| {
                let release: Upstream = text(written)?;
                of_line(&release).map(|()| release)
            })
        });
        if known_until.is_none() && fields.get("steps").is_some_and(YamlNode::is_empty) {
            self.problems.add(&node.span, || "this line has no facts: expected a step, or `known-until`".to_owned());
        }
        if let Some(steps) = &steps {
            let until = fields.get("known-until").zip(known_until.as_ref().and_then(Option::as_ref));
            self.check_order(node, "this line", steps, until);
        }
        Some(StableLine { line: line?, steps: steps?, known_until: known_until.flatten() })
    }

    fn distributions(&mut self, node: &YamlNode) -> Option<Vec<DistributionLine>> {
        let mut lines: Vec<DistributionLine> = Vec::new();
        for item in self.problems.items(node, "lines of distributions")? {
            let Some(line) = self.distribution(item) else { continue };
            if lines.iter().any(|known| known.overlaps(&line)) {
                self.problems.add(&item.span, || {
                    let named = line.line.as_ref().map_or_else(String::new, ToString::to_string);
                    format!("the line {} of {} is given twice", quote(&named), line.distribution)
                });
            }
            lines.push(line);
        }
        Some(lines)
    }

    fn distribution(&mut self, node: &YamlNode) -> Option<DistributionLine> {
        let expected = "a mapping that describes a distribution's line";
        let fields = self.problems.mapping(node, expected, &DISTRIBUTION_KEYS)?;
        let distribution = self.problems.needed(&fields, "distribution", node);
        let distribution =
            distribution.and_then(|node| self.problems.checked(node, "distribution", check_distribution));
        let line = fields.get("line").map(|node| self.problems.value(node, "line", text));
        let flavours = fields.get("flavours");
        let flavours =
            flavours.map(|node| self.problems.each(node, "flavours", |node, p| p.value(node, "flavour", flavour)));
        let source = self.problems.needed(&fields, "source", node);
        let source = source.and_then(|node| self.problems.value(node, "source", fields::paragraph));
        let steps = fields.get("steps").map(|node| self.steps(node, |_: &PackageVersion| Ok(())));
        let known_until = fields.get("known-until").map(|node| self.problems.value(node, "version", text));
        let contains_base = fields.get("contains-base").and_then(|node| self.problems.boolean(node)).unwrap_or(false);
        if steps.is_none() && !contains_base {
            self.problems.add(&node.span, || "this line has no facts: expected `steps` or `contains-base`".to_owned());
        }
        if let Some(Some(steps)) = &steps {
            let until = fields.get("known-until").zip(known_until.as_ref().and_then(Option::as_ref));
            self.check_order(node, "this line", steps, until);
        }
        Some(DistributionLine {
            distribution: distribution?,
            line: line.flatten(),
            flavours: flavours.flatten().unwrap_or_default(),
            steps: steps.flatten().unwrap_or_default(),
            known_until: known_until.flatten(),
            contains_base,
            source: source?,
        })
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn distribution_name_is_one_word() {
        assert!(super::check_distribution("oracle-uek").is_ok() && super::check_distribution("Debian").is_err());
    }
}
