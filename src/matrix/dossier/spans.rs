//! The releases that have a step, including steps that were reverted and applied again.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::super::problems::Collector;
use super::super::tree::{Value, YamlNode};
use super::releases::text;
use super::upstream::{BadRelease, First, ReleaseOrder};
use crate::words::Role;

/// The keys of a span.
pub(super) const KEYS: [&str; 2] = ["in", "out"];

/// The releases with each step of a chain.
pub type Steps<T> = BTreeMap<Role, Spans<T>>;

/// The releases of a line that have a step. Most lines got it once. If it was reverted, and perhaps applied again, they
/// have it from each `in` to the next `out`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spans<T> {
    first: First<T>,
    /// Alternately the first release that lacks it again, and the first one that has it again.
    then: Vec<First<T>>,
}

/// The relation of a release to the spans.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing<'a, T> {
    /// Whether the release has the step; `None` if unknown.
    pub has: Option<bool>,
    /// The change that decides this: the last one that the release reaches or may reach, or else the first of all.
    pub change: &'a First<T>,
    /// Whether that change reverts the step.
    pub is_out: bool,
}

impl<T> Spans<T> {
    /// The first release with it.
    pub fn first(&self) -> &First<T> {
        &self.first
    }

    /// The changes in order, each with whether it reverts the step.
    fn changes(&self) -> impl Iterator<Item = (&First<T>, bool)> {
        std::iter::once(&self.first).chain(&self.then).zip([false, true].into_iter().cycle())
    }

    /// The releases that are named.
    pub fn named(&self) -> impl Iterator<Item = &T> {
        self.changes().flat_map(|(change, _)| change.named())
    }

    /// The releases at or before which a change certainly happened.
    pub fn certain(&self) -> impl Iterator<Item = &T> {
        self.changes().filter_map(|(change, _)| change.certain())
    }

    /// The relation of a release to the spans. `reaches` says whether it is the given release or a later one.
    pub fn at(&self, reaches: impl Fn(&T) -> bool) -> Standing<'_, T> {
        let mut standing = Standing { has: Some(false), change: &self.first, is_out: false };
        for (change, is_out) in self.changes() {
            match change.is_in(&reaches) {
                Some(true) => standing = Standing { has: Some(!is_out), change, is_out },
                Some(false) => break,
                None => standing = Standing { has: None, change, is_out },
            }
        }
        standing
    }

    /// Whether a release has it, if known.
    pub fn is_in(&self, reaches: impl Fn(&T) -> bool) -> Option<bool> {
        self.at(reaches).has
    }

    /// The release since which all certainly have it; none if the last change reverted it.
    pub fn stands_since(&self) -> Option<&T> {
        self.changes().last().filter(|(_, is_out)| !is_out)?.0.certain()
    }

    /// Whether some release took it out.
    pub fn was_taken_out(&self) -> bool {
        self.changes().any(|(_, is_out)| is_out)
    }

    /// The release since which all certainly lack it again; none if it was not reverted last.
    pub fn gone_since(&self) -> Option<&T> {
        self.changes().last().filter(|(_, is_out)| *is_out)?.0.certain()
    }
}

impl<T> From<First<T>> for Spans<T> {
    fn from(first: First<T>) -> Self {
        Self { first, then: Vec::new() }
    }
}

impl<T: FromStr<Err = BadRelease>> FromStr for Spans<T> {
    type Err = BadRelease;

    /// One span without an end.
    fn from_str(text: &str) -> Result<Self, BadRelease> {
        text.parse::<First<T>>().map(Self::from)
    }
}

impl<T: fmt::Display> fmt::Display for Spans<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first.fmt(f)?;
        for (change, is_out) in self.changes().skip(1) {
            write!(f, "{}{change}", if is_out { ", out in " } else { ", in again in " })?;
        }
        Ok(())
    }
}

/// The spans of one step: a release, or a list of spans. `check` is applied to each release.
pub(super) fn read<T: FromStr<Err = BadRelease> + ReleaseOrder>(
    node: &YamlNode,
    check: &impl Fn(&T) -> Result<(), String>,
    problems: &mut Collector<'_>,
) -> Option<Spans<T>> {
    let first = |node: &YamlNode, problems: &mut Collector<'_>| {
        problems.value(node, "release", |written| {
            let first: First<T> = text(written)?;
            first.named().try_for_each(check)?;
            let named: Vec<&T> = first.named().collect();
            match named.as_slice() {
                [from, by] if is_unsorted(*from, *by) => {
                    Err(format!("{by} is not later than {from}: expected the earlier release first"))
                }
                _ => Ok(first),
            }
        })
    };
    if !matches!(node.value, Value::List(_)) {
        return first(node, problems).map(Spans::from);
    }
    let mut changes: Vec<First<T>> = Vec::new();
    let add = |changes: &mut Vec<First<T>>, node: &YamlNode, problems: &mut Collector<'_>| {
        let next = first(node, problems)?;
        let last = changes.last().and_then(|change| change.named().last());
        if let Some((last, named)) = last.zip(next.named().next()).filter(|(last, named)| is_unsorted(*last, *named)) {
            problems.add(&node.span, || {
                format!(
                    "{named} follows {last}: expected `in` before `out`, and the releases in the order in which they came \
                     out"
                )
            });
        }
        changes.push(next);
        Some(())
    };
    let items = problems.items(node, "spans, as in `[{ in: 4.19.52, out: 4.19.60 }, { in: 4.19.70 }]`")?;
    for (index, item) in items.iter().enumerate() {
        let fields = problems.mapping(item, "a span, as in `{ in: 4.19.52, out: 4.19.60 }`", &KEYS)?;
        let start = problems.needed(&fields, "in", item)?;
        add(&mut changes, start, problems)?;
        match fields.get("out") {
            Some(end) => add(&mut changes, end, problems)?,
            None if index + 1 == items.len() => {}
            None => {
                problems.add(&item.span, || "another span follows this one: expected `out`".to_owned());
                return None;
            }
        }
    }
    let mut changes = changes.into_iter();
    Some(Spans { first: changes.next()?, then: changes.collect() })
}

/// Whether the second release is certainly not the later one.
fn is_unsorted<T: ReleaseOrder>(first: &T, second: &T) -> bool {
    first.order(second).is_some_and(|order| order != Ordering::Less)
}

#[cfg(test)]
mod tests {
    use super::super::Upstream;
    use super::*;

    fn spans(changes: &[&str]) -> Spans<Upstream> {
        let mut changes = changes.iter().map(|text| text.parse().expect("a first release"));
        Spans { first: changes.next().expect("one"), then: changes.collect() }
    }

    #[test]
    fn reverted_step_is_absent_until_applied_again() {
        for (changes, rows) in [
            (&["4.19.52"][..], &[("4.19.51", Some(false)), ("4.19.52", Some(true)), ("4.19.99", Some(true))][..]),
            (
                &["4.19.52", "4.19.60", "4.19.70"],
                &[
                    ("4.19.51", Some(false)),
                    ("4.19.59", Some(true)),
                    ("4.19.60", Some(false)),
                    ("4.19.69", Some(false)),
                    ("4.19.70", Some(true)),
                ],
            ),
            (
                &["4.19.52", "4.19.60..4.19.65"],
                &[("4.19.59", Some(true)), ("4.19.60", None), ("4.19.64", None), ("4.19.65", Some(false))],
            ),
            (
                &["4.19.52..4.19.55", "4.19.60"],
                &[("4.19.51", Some(false)), ("4.19.53", None), ("4.19.55", Some(true)), ("4.19.61", Some(false))],
            ),
        ] {
            let spans = spans(changes);
            for (release, expected) in rows {
                let release: Upstream = release.parse().expect("a release");
                assert_eq!(spans.is_in(|other| release >= *other), *expected, "{release} in {spans}");
            }
        }
    }

    #[test]
    fn only_unreverted_release_is_advised() {
        let named = |spans: &Spans<Upstream>| {
            (spans.stands_since().map(ToString::to_string), spans.gone_since().map(ToString::to_string))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(named(&spans(&["4.19.52"])), (some("4.19.52"), None));
        assert_eq!(named(&spans(&["4.19.52", "4.19.60"])), (None, some("4.19.60")));
        assert_eq!(named(&spans(&["4.19.52", "4.19.60", "4.19.70"])), (some("4.19.70"), None));
        assert_eq!(
            spans(&["4.19.52", "4.19.60", "4.19.70"]).to_string(),
            "4.19.52, out in 4.19.60, in again in 4.19.70"
        );
    }
}
