//! Checks the tree of a dossier from end to end, and makes the [`Bug`] of it.

use std::path::Path;

use super::super::file::{self, FileShape};
use super::super::problems::{Collector, Problems};
use super::super::read::Fields;
use super::super::text::quote;
use super::super::tree::YamlNode;
use super::reproducer::Owner;
use super::{Bug, Step, chain, fields, mitigation, releases, reproducer, signature, source_signature};
use crate::words::{BugId, Role};

/// The keys of a dossier.
pub(super) const KEYS: [&str; 14] = [
    "id",
    "title",
    "summary",
    "applies-if",
    "chain",
    "break-unknown",
    "without-break",
    "releases",
    "source",
    "binary",
    "strings",
    "reproducer",
    "mitigations",
    "references",
];

/// The longest title, in characters: it has to fit into a line of a report.
const TITLE_MAX: usize = 80;

/// The message for a CVE record in place of a dossier.
pub(super) const CVE_RECORD: &str = "this is a CVE record, not a dossier: docs/dossiers.md#from-a-cve-record explains how \
                                     to convert it";

/// Whether a file is a CVE record as its numbering authorities publish them: JSON, with these two keys
/// (https://github.com/CVEProject/cve-schema).
pub(super) fn is_cve_record(bytes: &[u8]) -> bool {
    let has = |key: &str| memchr::memmem::find(bytes, key.as_bytes()).is_some();
    bytes.trim_ascii_start().starts_with(b"{") && has("\"cveMetadata\"") && has("\"containers\"")
}

/// Reads a dossier.
pub(super) fn read(bytes: &[u8], path: &Path, owner: Owner<'_>) -> Result<Bug, Problems> {
    let expected =
        FileShape { file: "a bug's dossier", root: "a mapping with `id`, `title`, `summary` and `references`" };
    if is_cve_record(bytes) {
        return Err(Problems::of_file(path.to_owned(), CVE_RECORD.to_owned()));
    }
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    let bug = file::read(bytes, path, expected, |root, problems| bug(root, stem, owner, problems))?;
    let text = matches!(owner, Owner::User(_)).then(|| String::from_utf8_lossy(bytes).into_owned());
    Ok(Bug { text, ..bug })
}

fn bug(root: &YamlNode, stem: &str, owner: Owner<'_>, problems: &mut Collector<'_>) -> Option<Bug> {
    let fields = problems.mapping(root, "a mapping with `id`, `title`, `summary` and `references`", &KEYS)?;
    let id = problems.needed(&fields, "id", root).and_then(|node| id(node, stem, problems));
    let title = problems.needed(&fields, "title", root).and_then(|node| problems.value(node, "title", title));
    let summary = problems.needed(&fields, "summary", root);
    let summary = summary.and_then(|node| problems.value(node, "summary", fields::paragraph));
    let applies_if = fields.get("applies-if");
    let applies_if =
        applies_if.map(|node| problems.each(node, "options", |node, p| p.value(node, "option", fields::option)));
    let chain = fields.get("chain").map(|node| chain::read(node, problems));
    // Without a readable chain, no release is checked against it.
    let steps = chain.as_ref().and_then(Option::as_deref);
    let break_unknown = fields.get("break-unknown").map(|node| break_unknown(node, steps, &fields, problems));
    let without_break = fields.get("without-break").map(|node| problems.value(node, "text", fields::paragraph));
    let releases = fields.get("releases").map(|node| releases::read(node, steps, problems));
    let source = fields.get("source").map(|node| source_signature::read(node, problems));
    let binary = fields.get("binary").map(|node| signature::read(node, problems));
    let strings = fields.get("strings").map(|node| signature::read_strings(node, problems));
    let reproducer = fields.get("reproducer").map(|node| reproducer::read(node, owner, problems));
    let mitigations = fields.get("mitigations");
    let mitigations = mitigations.map(|node| mitigation::read(node, reproducer.as_ref(), problems));
    let references = problems.needed(&fields, "references", root);
    let references =
        references.and_then(|n| problems.each(n, "references", |n, p| p.value(n, "reference", fields::paragraph)));
    // Values that could not be read are already reported, so there is no bug then.
    Some(Bug {
        id: id?,
        title: title?,
        summary: summary?,
        applies_if: applies_if.map_or(Some(Vec::new()), |options| options)?,
        chain: chain.flatten().unwrap_or_default(),
        break_unknown: break_unknown.unwrap_or(Some(false))?,
        without_break: without_break.flatten(),
        releases: releases.flatten(),
        source: source.flatten().unwrap_or_default(),
        binary: binary.flatten().unwrap_or_default(),
        strings: strings.flatten().unwrap_or_default(),
        reproducer: reproducer.flatten(),
        mitigations: mitigations.unwrap_or_default(),
        references: references?,
        text: None,
    })
}

/// Whether the break is unknown. Then nothing may name it.
fn break_unknown(
    node: &YamlNode,
    steps: Option<&[Step]>,
    fields: &Fields<'_>,
    problems: &mut Collector<'_>,
) -> Option<bool> {
    let is_unknown = problems.boolean(node)?;
    let is_named = steps.is_some_and(|steps| steps.iter().any(|step| step.role == Role::Break));
    if is_unknown && (is_named || fields.get("releases").is_some()) {
        problems
            .add(&node.span, || "the break is unknown, so neither `chain` nor `releases` may tell of it".to_owned());
        return None;
    }
    Some(is_unknown)
}

/// The bug's name. It must be its file's too, so that users find the file, and no folder has a bug twice.
fn id(node: &YamlNode, stem: &str, problems: &mut Collector<'_>) -> Option<BugId> {
    let id: BugId = problems.name(node, "a bug's name")?;
    if id.as_str() != stem {
        problems.add(&node.span, || format!("this bug's file is named {}: expected the same name", quote(stem)));
    }
    Some(id)
}

fn title(text: &str) -> Result<String, String> {
    let title = fields::line(text)?;
    let length = title.chars().count();
    if length <= TITLE_MAX {
        Ok(title)
    } else {
        Err(format!("expected at most {TITLE_MAX} characters, found {length}"))
    }
}
