//! Which releases have which steps of a bug's chain.

use std::collections::{BTreeMap, HashSet};

use super::super::fields;
use super::super::problems::Collector;
use super::super::text::{one_of, quote};
use super::super::tree::Node;
use super::{Step, release_text};
use crate::words::Role;

/// The keys of `releases`.
pub(super) const KEYS: [&str; 5] = ["mainline", "stable", "ended-before-break", "distributions", "sources"];

/// The keys of a stable line.
pub(super) const STABLE_KEYS: [&str; 3] = ["line", "steps", "known-until"];

/// The keys of a distribution's line.
pub(super) const DISTRIBUTION_KEYS: [&str; 5] = ["distribution", "line", "steps", "known-until", "source"];

/// The roles' names as keys.
const ROLES: [&str; 4] = ["break", "half-fix", "fix", "fix-of-fix"];

/// The first releases with each step, line by line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Releases {
    /// Mainline: the first tag with each step, as `5.2-rc6`. A step that is absent is in no mainline release; a `break`
    /// that is absent has always been there.
    pub mainline: BTreeMap<Role, String>,
    /// kernel.org's stable lines: the first release with each step, where the step came after the line's `.0`.
    pub stable: Vec<StableLine>,
    /// Stable lines that ended before the break reached them: they never had it (`4.20`).
    pub ended_before_break: Vec<String>,
    /// Lines of distributions, whose kernels are never judged by the number they start from alone.
    pub distributions: Vec<DistributionLine>,
    /// Where these facts come from.
    pub sources: Vec<String>,
}

/// One of kernel.org's stable lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StableLine {
    /// `4.19`.
    pub line: String,
    /// The first release with each step, as `4.19.52`.
    pub steps: BTreeMap<Role, String>,
    /// The last release that was looked at; what later ones have is not known.
    pub known_until: Option<String>,
}

/// One line of a distribution's packages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistributionLine {
    /// `ubuntu`, `debian`, `rhel`, `suse`, …: a name that the witness `version` knows.
    pub distribution: String,
    /// The part of its versions that names the line: `4.15.0`, `3.10.0-957`.
    pub line: String,
    /// The first package version with each step.
    pub steps: BTreeMap<Role, String>,
    /// The last version that was looked at; what later ones have is not known.
    pub known_until: Option<String>,
    /// Where these facts come from.
    pub source: String,
}

/// The releases. `chain` is the bug's, where there is one: a step that it does not have is in no release.
pub(super) fn read(node: &Node, chain: Option<&[Step]>, problems: &mut Collector<'_>) -> Option<Releases> {
    let fields = problems.mapping(node, "a mapping with `mainline` and `sources`", &KEYS)?;
    let mut reader = Reader { chain, problems };
    let mainline = reader.problems.needed(&fields, "mainline", node);
    let mainline = mainline.and_then(|node| reader.steps(node, release_text::check));
    let stable = fields.get("stable").map(|node| reader.stable(node));
    let ended = fields.get("ended-before-break").map(|node| {
        reader.problems.each(node, "lines of releases", |node, p| p.checked(node, "line", release_text::check_line))
    });
    let distributions = fields.get("distributions").map(|node| reader.distributions(node));
    let sources = reader.problems.needed(&fields, "sources", node);
    let sources = sources
        .and_then(|node| reader.problems.each(node, "sources", |node, p| p.value(node, "source", fields::paragraph)));
    let releases = Releases {
        mainline: mainline?,
        stable: stable.flatten().unwrap_or_default(),
        ended_before_break: ended.flatten().unwrap_or_default(),
        distributions: distributions.flatten().unwrap_or_default(),
        sources: sources?,
    };
    let mut seen: HashSet<&str> = releases.stable.iter().map(|stable| stable.line.as_str()).collect();
    let ended = fields.get("ended-before-break").unwrap_or(node);
    for line in releases.ended_before_break.iter().filter(|line| !seen.insert(line)) {
        problems.add(&ended.span, || format!("the line {} is given twice", quote(line)));
    }
    Some(releases)
}

struct Reader<'c, 'p, 'a> {
    chain: Option<&'c [Step]>,
    problems: &'p mut Collector<'a>,
}

impl Reader<'_, '_, '_> {
    /// The first release with each step.
    fn steps(&mut self, node: &Node, check: impl Fn(&str) -> Result<(), String>) -> Option<BTreeMap<Role, String>> {
        let expected = "a mapping from steps to releases, as in `{ break: 5.2-rc6, fix: 5.3-rc2 }`";
        let fields = self.problems.mapping(node, expected, &ROLES)?;
        let mut steps = BTreeMap::new();
        for (name, key, node) in fields.iter() {
            let Ok(role) = super::chain::role(name) else { continue };
            if let Some(chain) = self.chain.filter(|chain| chain.iter().all(|step| step.role != role)) {
                self.problems.add(&key.span, || {
                    let there = one_of(chain.iter().map(|step| step.role.as_str()));
                    format!("the chain has no step `{role}`: its steps are {there}")
                });
            }
            if let Some(release) = self.problems.checked(node, "release", &check) {
                steps.insert(role, release);
            }
        }
        Some(steps)
    }

    fn stable(&mut self, node: &Node) -> Option<Vec<StableLine>> {
        let (mut lines, mut seen) = (Vec::new(), HashSet::new());
        for item in self.problems.items(node, "stable lines")? {
            let Some(line) = self.stable_line(item) else { continue };
            if !seen.insert(line.line.clone()) {
                self.problems.add(&item.span, || format!("the line {} is given twice", quote(&line.line)));
            }
            lines.push(line);
        }
        Some(lines)
    }

    fn stable_line(&mut self, node: &Node) -> Option<StableLine> {
        let fields = self.problems.mapping(node, "a mapping that describes a stable line", &STABLE_KEYS)?;
        let line = self.problems.needed(&fields, "line", node);
        let line = line.and_then(|node| self.problems.checked(node, "line", release_text::check_line));
        let of_line = |text: &str| match &line {
            Some(line) => release_text::check_of_line(text, line),
            None => release_text::check(text),
        };
        let steps = self.problems.needed(&fields, "steps", node).and_then(|node| self.steps(node, of_line));
        let known_until = fields.get("known-until").map(|node| self.problems.checked(node, "release", of_line));
        if known_until.is_none() && fields.get("steps").is_some_and(Node::is_empty) {
            self.problems.add(&node.span, || {
                "this line says nothing: expected a step, or how far it was looked at (`known-until`)".to_owned()
            });
        }
        Some(StableLine { line: line.clone()?, steps: steps?, known_until: known_until.flatten() })
    }

    fn distributions(&mut self, node: &Node) -> Option<Vec<DistributionLine>> {
        let (mut lines, mut seen) = (Vec::new(), HashSet::new());
        for item in self.problems.items(node, "lines of distributions")? {
            let Some(line) = self.distribution(item) else { continue };
            if !seen.insert((line.distribution.clone(), line.line.clone())) {
                let message = || format!("the line {} of {} is given twice", quote(&line.line), line.distribution);
                self.problems.add(&item.span, message);
            }
            lines.push(line);
        }
        Some(lines)
    }

    fn distribution(&mut self, node: &Node) -> Option<DistributionLine> {
        let expected = "a mapping that describes a distribution's line";
        let fields = self.problems.mapping(node, expected, &DISTRIBUTION_KEYS)?;
        let mut text = |key: &str, what: &str, check: fn(&str) -> Result<(), String>| {
            self.problems.needed(&fields, key, node).and_then(|node| self.problems.checked(node, what, check))
        };
        let distribution = text("distribution", "distribution", release_text::check_distribution);
        let line = text("line", "line", release_text::check_package);
        let source = self.problems.needed(&fields, "source", node);
        let source = source.and_then(|node| self.problems.value(node, "source", fields::paragraph));
        let steps = self.problems.needed(&fields, "steps", node);
        let steps = steps.and_then(|node| self.steps(node, release_text::check_package));
        let known_until = fields.get("known-until");
        let known_until = known_until.map(|n| self.problems.checked(n, "version", release_text::check_package));
        Some(DistributionLine {
            distribution: distribution?,
            line: line?,
            steps: steps?,
            known_until: known_until.flatten(),
            source: source?,
        })
    }
}
