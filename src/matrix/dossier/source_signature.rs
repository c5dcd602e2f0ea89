//! The forms of a bug's steps in source code.

use super::super::fields;
use super::super::problems::Collector;
use super::super::tree::YamlNode;
use super::{SourcePattern, signature};
use crate::words::State;

/// The keys of a signature.
pub(super) const KEYS: [&str; 4] = ["function", "file", "harmless", "cases"];

/// The keys of a case.
pub(super) const CASE_KEYS: [&str; 5] = ["states", "has", "lacks", "elsewhere", "says"];

/// The keys of `elsewhere`.
pub(super) const ELSEWHERE_KEYS: [&str; 4] = ["function", "file", "has", "lacks"];

/// The forms of one function of the source in each state of a bug. The first case that matches decides; if none does, the
/// function says nothing. Only states that all signatures of a bug allow remain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceSignature {
    /// The function.
    pub function: String,
    /// Its file, such as `net/ipv4/tcp_output.c`.
    pub file: String,
    /// Statements that are irrelevant to the bug; a case's `lacks` ignores them.
    pub harmless: Vec<SourcePattern>,
    /// Its possible forms, the most specific first.
    pub cases: Vec<SourceCase>,
}

/// One possible form of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceCase {
    /// The states that remain possible.
    pub states: Vec<State>,
    /// Patterns that must all match. A metavariable is the same in all of them.
    pub has: Vec<SourcePattern>,
    /// Patterns that must not match, except in code that `has` or `harmless` matches.
    pub lacks: Vec<SourcePattern>,
    /// Other functions that must match for this case.
    pub elsewhere: Vec<Elsewhere>,
    /// The meaning of a match, in half a sentence.
    pub says: String,
}

/// The required form of another function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elsewhere {
    /// The function.
    pub function: String,
    /// Its file.
    pub file: String,
    /// Patterns that must all match.
    pub has: Vec<SourcePattern>,
    /// Patterns that must not match.
    pub lacks: Vec<SourcePattern>,
}

/// The signatures of a bug.
pub(super) fn read(node: &YamlNode, problems: &mut Collector<'_>) -> Option<Vec<SourceSignature>> {
    problems.each(node, "signatures", signature)
}

fn signature(node: &YamlNode, problems: &mut Collector<'_>) -> Option<SourceSignature> {
    let fields = problems.mapping(node, "a mapping that describes a signature", &KEYS)?;
    let function = problems.needed(&fields, "function", node);
    let function = function.and_then(|node| problems.value(node, "function", fields::function));
    let file = problems.needed(&fields, "file", node);
    let file = file.and_then(|node| problems.value(node, "file", fields::kernel_file));
    let harmless = fields.get("harmless").map(|node| patterns(node, problems));
    let cases = problems.needed(&fields, "cases", node).and_then(|node| problems.each(node, "cases", case));
    let harmless = harmless.flatten().unwrap_or_default();
    Some(SourceSignature { function: function?, file: file?, harmless, cases: cases? })
}

fn case(node: &YamlNode, problems: &mut Collector<'_>) -> Option<SourceCase> {
    let fields = problems.mapping(node, "a mapping that describes a case", &CASE_KEYS)?;
    let has = fields.get("has").map(|node| patterns(node, problems));
    let lacks = fields.get("lacks").map(|node| patterns(node, problems));
    let elsewhere = fields.get("elsewhere").map(|node| problems.each(node, "functions", elsewhere));
    if has.is_none() && lacks.is_none() && elsewhere.is_none() {
        problems.add(&node.span, || "this case matches everything: expected `has`, `lacks` or `elsewhere`".to_owned());
    }
    let states = problems.needed(&fields, "states", node).and_then(|node| signature::states(node, problems));
    let says = problems.needed(&fields, "says", node).and_then(|n| problems.value(n, "text", fields::paragraph));
    let (has, lacks) = (has.flatten().unwrap_or_default(), lacks.flatten().unwrap_or_default());
    Some(SourceCase { states: states?, has, lacks, elsewhere: elsewhere.flatten().unwrap_or_default(), says: says? })
}

fn elsewhere(node: &YamlNode, problems: &mut Collector<'_>) -> Option<Elsewhere> {
    let fields = problems.mapping(node, "a mapping that describes another function", &ELSEWHERE_KEYS)?;
    let function = problems.needed(&fields, "function", node);
    let function = function.and_then(|node| problems.value(node, "function", fields::function));
    let file = problems.needed(&fields, "file", node);
    let file = file.and_then(|node| problems.value(node, "file", fields::kernel_file));
    let has = fields.get("has").map(|node| patterns(node, problems));
    let lacks = fields.get("lacks").map(|node| patterns(node, problems));
    if has.is_none() && lacks.is_none() {
        problems.add(&node.span, || "this matches every function: expected `has` or `lacks`".to_owned());
    }
    let (has, lacks) = (has.flatten().unwrap_or_default(), lacks.flatten().unwrap_or_default());
    Some(Elsewhere { function: function?, file: file?, has, lacks })
}

fn patterns(node: &YamlNode, problems: &mut Collector<'_>) -> Option<Vec<SourcePattern>> {
    problems.each(node, "patterns", |node, problems| {
        problems.value(node, "pattern", |text| text.parse().map_err(|bad: super::BadPattern| bad.why))
    })
}
