//! The forms of a bug's steps in machine code.

use super::super::fields;
use super::super::problems::Collector;
use super::super::text::{expected_one_of, quote};
use super::super::tree::YamlNode;
use super::{BadMachinePattern, MachinePattern};
use crate::words::State;

/// The keys of a signature.
pub(super) const KEYS: [&str; 2] = ["function", "cases"];

/// The keys of a case.
pub(super) const CASE_KEYS: [&str; 4] = ["states", "has", "lacks", "says"];

/// The forms of one function in each state of a bug. The first case that matches decides; if none does, the function
/// says nothing. Only states that all signatures of a bug allow remain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// The function.
    pub function: String,
    /// Its possible forms, the most specific first.
    pub cases: Vec<SignatureCase>,
}

/// One possible form of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureCase {
    /// The states that remain possible.
    pub states: Vec<State>,
    /// Patterns that must all match.
    pub has: Vec<MachinePattern>,
    /// Patterns that must not match.
    pub lacks: Vec<MachinePattern>,
    /// The meaning of a match, in half a sentence.
    pub says: String,
}

/// A text that only kernels in some states have: a string of the image, or the name of a running kernel's counter. It is
/// found without a symbol table, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TellingString {
    /// The whole text.
    pub text: String,
    /// The states in which no kernel has it.
    pub excludes: Vec<State>,
    /// Why, in half a sentence.
    pub says: String,
}

/// The keys of a telling string.
pub(super) const STRING_KEYS: [&str; 3] = ["text", "excludes", "says"];

/// The telling strings of a bug.
pub(super) fn read_strings(node: &YamlNode, problems: &mut Collector<'_>) -> Option<Vec<TellingString>> {
    problems.each(node, "strings", |node, problems| {
        let fields = problems.mapping(node, "a mapping that describes a string", &STRING_KEYS)?;
        let text = problems.needed(&fields, "text", node).and_then(|node| problems.value(node, "text", telling));
        let excludes = problems.needed(&fields, "excludes", node).and_then(|node| states(node, problems));
        let says = problems.needed(&fields, "says", node).and_then(|n| problems.value(n, "text", fields::paragraph));
        Some(TellingString { text: text?, excludes: excludes?, says: says? })
    })
}

/// A short text is in every image.
fn telling(text: &str) -> Result<String, String> {
    let is_good = text.len() >= 4 && text.chars().all(|c| !c.is_control());
    is_good.then(|| text.to_owned()).ok_or_else(|| "expected at least 4 characters".to_owned())
}

/// The signatures of a bug.
pub(super) fn read(node: &YamlNode, problems: &mut Collector<'_>) -> Option<Vec<Signature>> {
    problems.each(node, "signatures", signature)
}

fn signature(node: &YamlNode, problems: &mut Collector<'_>) -> Option<Signature> {
    let fields = problems.mapping(node, "a mapping that describes a signature", &KEYS)?;
    let function = problems.needed(&fields, "function", node);
    let function = function.and_then(|node| problems.value(node, "function", fields::function));
    let cases = problems.needed(&fields, "cases", node).and_then(|node| problems.each(node, "cases", case));
    Some(Signature { function: function?, cases: cases? })
}

fn case(node: &YamlNode, problems: &mut Collector<'_>) -> Option<SignatureCase> {
    let fields = problems.mapping(node, "a mapping that describes a case", &CASE_KEYS)?;
    let mut patterns = |key: &str| {
        let node = fields.get(key);
        let read = |text: &str| text.parse().map_err(|_: BadMachinePattern| BadMachinePattern::expected());
        node.map(|node| problems.each(node, "patterns", |node, p| p.value(node, "pattern", read)))
    };
    let (has, lacks) = (patterns("has"), patterns("lacks"));
    if has.is_none() && lacks.is_none() {
        problems.add(&node.span, || "this case matches everything: expected `has` or `lacks`".to_owned());
    }
    let states = problems.needed(&fields, "states", node).and_then(|node| states(node, problems));
    let says = problems.needed(&fields, "says", node).and_then(|n| problems.value(n, "text", fields::paragraph));
    let patterns = |read: Option<Option<Vec<MachinePattern>>>| read.flatten().unwrap_or_default();
    Some(SignatureCase { states: states?, has: patterns(has), lacks: patterns(lacks), says: says? })
}

/// States, each once.
pub(super) fn states(node: &YamlNode, problems: &mut Collector<'_>) -> Option<Vec<State>> {
    let mut states = Vec::new();
    for item in problems.items(node, "states")? {
        let state = problems.value(item, "state", |text| {
            let found = State::ALL.into_iter().find(|state| state.as_str() == text);
            found.ok_or_else(|| expected_one_of(text, State::ALL.map(State::as_str)))
        });
        match state {
            Some(state) if states.contains(&state) => {
                problems.add(&item.span, || format!("the state {} is listed twice", quote(state.as_str())));
            }
            state => states.extend(state),
        }
    }
    Some(states)
}
