//! Decides whether a function fits a case of a dossier.

use super::matching::{Bindings, Doubt, Hit, SearchedBody};
use crate::matrix::SourcePattern;
use crate::matrix::c::{CNode, Lines, word};

/// The result of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// It fits, on these lines.
    Yes(Vec<Lines>),
    /// It does not fit.
    No,
    /// Unknown, and why.
    Doubt(String),
}

/// Whether the function has all of `has` and none of `lacks`, ignoring matches of `has` and `harmless`.
pub(super) fn fit<'t>(
    subject: &SearchedBody<'t>,
    has: &'t [SourcePattern],
    lacks: &'t [SourcePattern],
    harmless: &'t [SourcePattern],
) -> Fit {
    let renamed = has.iter().find_map(|pattern| subject.renames(pattern));
    let mut doubt = renamed.map(|name| format!("the file redefines {name}"));
    let unclear = doubt.is_some();
    let mut tried = Vec::new();
    ways(subject, has, CaseFit::default(), &mut tried);
    let mut fit = Fit::No;
    for way in tried {
        match (way.doubt, without(subject, &way, lacks, harmless)) {
            (None, Fit::Yes(_)) => {
                fit = Fit::Yes(way.found.lines);
                break;
            }
            (_, Fit::No) => {}
            (Some(why), _) => {
                doubt.get_or_insert(why.to_string());
            }
            (None, Fit::Doubt(why)) => {
                doubt.get_or_insert(why);
            }
        }
    }
    match (fit, doubt) {
        (Fit::Yes(_), Some(why)) if unclear => Fit::Doubt(why),
        (Fit::No, _) if unclear => Fit::No,
        _ if subject.is_exhausted() => Fit::Doubt("comparing it with the pattern takes too long".to_owned()),
        (Fit::No, Some(why)) => Fit::Doubt(why),
        (fit, _) => fit,
    }
}

/// One consistent match of all of `has`.
#[derive(Clone, Default)]
struct CaseFit<'t> {
    found: Bindings<'t>,
    nodes: Vec<&'t CNode>,
    doubt: Option<Doubt>,
}

fn ways<'t>(subject: &SearchedBody<'t>, has: &'t [SourcePattern], way: CaseFit<'t>, into: &mut Vec<CaseFit<'t>>) {
    let Some((first, rest)) = has.split_first() else { return into.push(way) };
    for Hit { node, found, doubt } in subject.hits(first, &way.found) {
        let mut nodes = way.nodes.clone();
        nodes.push(node);
        ways(subject, rest, CaseFit { found, nodes, doubt: way.doubt.or(doubt) }, into);
    }
}

/// Whether the function has none of `lacks`, whether every call reaches it or not.
fn without<'t>(
    subject: &SearchedBody<'t>,
    way: &CaseFit<'t>,
    lacks: &'t [SourcePattern],
    harmless: &'t [SourcePattern],
) -> Fit {
    let harmless = harmless.iter().flat_map(|pattern| subject.hits_anywhere(pattern, &Bindings::default()));
    let excused: Vec<&CNode> = harmless.map(|hit| hit.node).chain(way.nodes.iter().copied()).collect();
    let known = |node: &CNode| excused.iter().any(|excused| excused.walk().any(|inner| std::ptr::eq(inner, node)));
    let mut doubt = None;
    for hit in lacks.iter().flat_map(|pattern| subject.hits_anywhere(pattern, &way.found)) {
        match hit.doubt {
            _ if excused.iter().any(|node| std::ptr::eq(*node, hit.node)) => {}
            // A return inside a known statement is known too.
            _ if hit.node.is(word::RETURN) && known(hit.node) => {}
            Some(why) => doubt = Some(why),
            None => return Fit::No,
        }
    }
    // A macro may hide one of `lacks`.
    let doubt = doubt.or_else(|| if lacks.is_empty() { None } else { subject.hiding(known) });
    doubt.map_or(Fit::Yes(Vec::new()), |why| Fit::Doubt(why.to_string()))
}
