//! The chain of a bug: the commits that introduced and fixed it.

use super::super::fields;
use super::super::problems::Collector;
use super::super::text::expected_one_of;
use super::super::tree::YamlNode;
use super::{Upstream, releases};
use crate::words::{CommitId, Role};

/// The keys of a step.
pub(super) const KEYS: [&str; 7] = ["role", "commit", "subject", "files", "backports", "only-before", "effect"];

/// The keys of a backport.
pub(super) const BACKPORT_KEYS: [&str; 3] = ["line", "commit", "differs"];

/// One commit of a bug's chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Its role. Each of several breaks introduces the bug; several fixes are all required.
    pub role: Role,
    /// The upstream commit; none if the step exists only in stable trees, where git finds it by subject and files.
    pub commit: Option<CommitId>,
    /// Its upstream subject line. None only beside a `commit`: git then reads it from that commit, if a repository has it.
    pub subject: Option<String>,
    /// The files that it changes. Empty means unknown; never empty without a `commit`.
    pub files: Vec<String>,
    /// Its known backports, so that git finds those whose messages name no upstream commit.
    pub backports: Vec<Backport>,
    /// For a `fix-of-fix`: only kernels before this version need it (`4.15`), because later backports have no defect.
    pub only_before: Option<Upstream>,
    /// Its effect, in one sentence. For a `fix-of-fix`, the effect of its absence.
    pub effect: String,
}

/// A step's commit in another line of releases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backport {
    /// The line's common name: `4.19`, `UEK5`.
    pub line: String,
    /// The commit.
    pub commit: CommitId,
    /// Whether it is a different patch with the same subject, which may do less.
    pub differs: bool,
}

/// The steps of a chain, in its order. `None` if one could not be read.
pub(super) fn read(node: &YamlNode, problems: &mut Collector<'_>) -> Option<Vec<Step>> {
    let (mut steps, mut sound): (Vec<(Step, &YamlNode)>, bool) = (Vec::new(), true);
    for item in problems.items(node, "steps")? {
        let Some(step) = step(item, problems) else {
            sound = false;
            continue;
        };
        let same_commit = |known: &Step| known.commit.is_some() && known.commit == step.commit;
        let same_subject = |known: &Step| known.subject.is_some() && known.subject == step.subject;
        let twice = |(known, _): &&(Step, &YamlNode)| same_commit(known) || same_subject(known);
        if let Some((known, first)) = steps.iter().find(twice) {
            let note = || Some((first.span.clone(), "first given here".to_owned()));
            let what = if same_commit(known) { "commit" } else { "subject" };
            problems.add_with(&item.span, || format!("this {what} is given twice"), note);
        } else if let Some((last, _)) = steps.last().filter(|(last, _)| last.role > step.role) {
            let message = || format!("the step `{}` must come before `{}`", step.role, last.role);
            problems.add(&item.span, message);
        } else {
            steps.push((step, item));
        }
    }
    sound.then(|| steps.into_iter().map(|(step, _)| step).collect())
}

fn step(node: &YamlNode, problems: &mut Collector<'_>) -> Option<Step> {
    let fields = problems.mapping(node, "a mapping that describes a step", &KEYS)?;
    let role = problems.needed(&fields, "role", node).and_then(|node| problems.value(node, "role", role));
    let commit = fields.get("commit").map(|node| problems.value(node, "commit", commit));
    let subject = fields.get("subject").map(|node| problems.value(node, "subject", fields::line));
    let files = fields.get("files");
    let files = files.map(|node| problems.each(node, "files", |node, p| p.value(node, "file", fields::kernel_file)));
    let is_found = commit.is_some() || subject.is_some() && files.is_some();
    if !is_found {
        problems.add(&node.span, || {
            "git cannot find this step: expected a `commit`, or a `subject` and `files`".to_owned()
        });
    }
    let backports = fields.get("backports").map(|node| problems.each(node, "backports", backport));
    let only_before = fields.get("only-before").map(|node| problems.value(node, "release", releases::text));
    let effect = problems.needed(&fields, "effect", node).and_then(|n| problems.value(n, "effect", fields::paragraph));
    is_found.then_some(())?;
    Some(Step {
        role: role?,
        commit: commit.flatten(),
        subject: subject.flatten(),
        files: files.flatten().unwrap_or_default(),
        backports: backports.flatten().unwrap_or_default(),
        only_before: only_before.flatten(),
        effect: effect?,
    })
}

fn backport(node: &YamlNode, problems: &mut Collector<'_>) -> Option<Backport> {
    let fields = problems.mapping(node, "a mapping that describes a backport", &BACKPORT_KEYS)?;
    let line = problems.needed(&fields, "line", node).and_then(|node| problems.value(node, "line", fields::line));
    let found = problems.needed(&fields, "commit", node).and_then(|node| problems.value(node, "commit", commit));
    let differs = fields.get("differs").and_then(|node| problems.boolean(node)).unwrap_or(false);
    Some(Backport { line: line?, commit: found?, differs })
}

/// A role's name.
pub(super) fn role(text: &str) -> Result<Role, String> {
    let found = Role::ALL.into_iter().find(|role| role.as_str() == text);
    found.ok_or_else(|| expected_one_of(text, Role::ALL.map(Role::as_str)))
}

fn commit(text: &str) -> Result<CommitId, String> {
    text.parse().map_err(|_| "expected 12 to 40 lower-case hexadecimal digits".to_owned())
}
