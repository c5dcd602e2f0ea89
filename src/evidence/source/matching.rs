//! Matches patterns against the body of a function.

use std::cell::Cell;
use std::fmt;

use super::function::Macros;
use crate::matrix::c::{Body, CNode, Lines, What, word};
use crate::matrix::{ONE_OF, SourcePattern, goes_straight_on};

/// Operators whose operands match in any order.
const UNORDERED: [&str; 9] = ["&&", "||", "+", "*", "&", "|", "^", "==", "!="];

/// The most node comparisons in one search. The largest functions of the kernel need some 20,000; only hostile input
/// needs more than this.
const STEPS: u32 = 200_000;

/// The most node comparisons in all searches of a function.
const ALL_STEPS: u32 = 2_000_000;

/// The longest chain of locals between a name and its value.
const MAX_VALUES: u8 = 4;

/// Macros that hide nothing, because they only test or warn (include/asm-generic/bug.h, include/linux/build_bug.h,
/// include/net/net_debug.h, include/linux/kconfig.h).
const OPEN: [&str; 8] =
    ["WARN", "WARN_ON", "WARN_ONCE", "WARN_ON_ONCE", "BUG_ON", "BUILD_BUG_ON", "DEBUG_NET_WARN_ON_ONCE", "IS_ENABLED"];

/// The values of the metavariables, and where they matched.
#[derive(Clone, Debug, Default)]
pub(super) struct Bindings<'t> {
    bound: Vec<(&'t str, &'t CNode)>,
    /// The matching lines, and those that assign the locals in them.
    pub lines: Vec<Lines>,
}

/// One match of a pattern.
#[derive(Clone, Debug)]
pub(super) struct Hit<'t> {
    pub node: &'t CNode,
    pub found: Bindings<'t>,
    /// Why it is unknown whether every call reaches it in every build of this source.
    pub doubt: Option<Doubt>,
}

/// Why it is unknown whether a statement counts. Each names the line responsible.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Doubt {
    /// The kernel's configuration decides whether it exists.
    Configured(u32),
    /// A jump or a successful return may bypass it.
    WayRound(u32),
    /// A macro may hide anything, even a return.
    Hidden(u32),
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configured(line) => write!(f, "it depends on the kernel's configuration on line {line}"),
            Self::WayRound(line) => write!(f, "line {line} may bypass it"),
            Self::Hidden(line) => write!(f, "the macro on line {line} may hide something"),
        }
    }
}

/// A function's body, prepared for searches.
pub(super) struct SearchedBody<'t> {
    block: &'t CNode,
    /// Locals that are assigned only once: name, value, and the assignment.
    values: Vec<(&'t str, &'t CNode, Lines)>,
    /// The macros that its file defines.
    macros: &'t Macros,
    /// The remaining steps of this search, and of all searches.
    steps: Cell<u32>,
    all_steps: Cell<u32>,
    exhausted: Cell<bool>,
}

impl<'t> SearchedBody<'t> {
    pub(super) fn new(body: &'t Body, macros: &'t Macros) -> Self {
        let is_local = |name: &str| body.locals.iter().filter(|local| *local == name).count() == 1;
        let mut values: Vec<(&str, &CNode, Lines)> = Vec::new();
        let mut changed: Vec<&str> = Vec::new();
        for node in body.block.walk() {
            let Some(What::Name(name)) = node.parts.first().map(|part| &part.what) else { continue };
            match (&node.what, node.parts.as_slice()) {
                (What::Is("="), [_, value]) => {
                    if !is_local(name) || values.iter().any(|(other, ..)| other == name) {
                        changed.push(name);
                    }
                    values.push((name, value, node.lines));
                }
                // `a += b`, `a++`, and `&a`, which lets other code assign it.
                (What::Is(sign), [_, ..]) if is_change(sign) || (*sign == "&" && node.parts.len() == 1) => {
                    changed.push(name);
                }
                _ => {}
            }
        }
        values.retain(|(name, ..)| !changed.contains(name));
        let (steps, all_steps) = (Cell::new(STEPS), Cell::new(ALL_STEPS));
        Self { block: &body.block, values, macros, steps, all_steps, exhausted: Cell::new(false) }
    }

    /// Whether a search took too many steps and was abandoned. Its result is then meaningless.
    pub(super) fn is_exhausted(&self) -> bool {
        self.exhausted.get()
    }

    /// Counts a step; returns whether there was one left.
    fn step(&self) -> bool {
        match (self.steps.get().checked_sub(1), self.all_steps.get().checked_sub(1)) {
            (Some(left), Some(all_left)) => {
                self.steps.set(left);
                self.all_steps.set(all_left);
                true
            }
            _ => {
                self.exhausted.set(true);
                false
            }
        }
    }

    /// All matches, given the earlier bindings. Statements match only where [`SourcePattern`] says.
    pub(super) fn hits(&self, pattern: &'t SourcePattern, before: &Bindings<'t>) -> Vec<Hit<'t>> {
        self.steps.set(STEPS);
        let mut hits = Vec::new();
        if pattern.is_statement() {
            self.on_the_way(self.block, pattern, before, None, &mut hits);
        } else {
            self.below(self.block, pattern, before, None, &mut hits);
        }
        hits
    }

    /// All matches, whether every call reaches them or not.
    pub(super) fn hits_anywhere(&self, pattern: &'t SourcePattern, before: &Bindings<'t>) -> Vec<Hit<'t>> {
        self.steps.set(STEPS);
        let mut hits = Vec::new();
        self.below(self.block, pattern, before, None, &mut hits);
        hits
    }

    /// The first macro that may hide something, ignoring nodes that `known` accepts. These are macros that the file
    /// defines, macros that leave the function, and any uppercase name that is called or is a statement of its own.
    pub(super) fn hiding(&self, known: impl Fn(&CNode) -> bool) -> Option<Doubt> {
        let in_capitals = |name: &str| name.len() > 1 && !name.contains(|c: char| c.is_ascii_lowercase());
        let alone = self.block.walk().filter(|node| node.is(word::BLOCK)).flat_map(|block| &block.parts);
        let alone = alone.filter(|node| matches!(&node.what, What::Name(name) if in_capitals(name)));
        let called = self.block.walk().filter(|node| {
            let Some(What::Name(name)) = node.parts.first().map(|part| &part.what).filter(|_| node.is(word::CALL))
            else {
                return false;
            };
            self.macros.with_parameters.contains(name)
                || (in_capitals(name) && !OPEN.contains(&name.as_str()) && !known(node))
        });
        let leaving = self.block.walk();
        let leaving = leaving.filter(|node| matches!(&node.what, What::Name(name) if self.leaves(name)));
        let mut hiding = called.chain(alone).chain(leaving);
        hiding.next().map(|node| Doubt::Hidden(node.lines.first))
    }

    /// Whether the name is that of a macro that leaves the function.
    fn leaves(&self, name: &str) -> bool {
        self.macros.leaving.contains(name.trim_end_matches(';').trim_end())
    }

    /// A name in the pattern that the file redefines.
    pub(super) fn renames<'p>(&self, pattern: &'p SourcePattern) -> Option<&'p str> {
        pattern.node().walk().find_map(|node| match &node.what {
            What::Name(name) if self.macros.renamed.contains(name) => Some(name.as_str()),
            _ => None,
        })
    }

    /// Matches statements at the function's top level, because not every call reaches those inside an `if` or a loop.
    fn on_the_way(
        &self,
        block: &'t CNode,
        pattern: &'t SourcePattern,
        before: &Bindings<'t>,
        mut doubt: Option<Doubt>,
        hits: &mut Vec<Hit<'t>>,
    ) {
        // A refusal after an exit may apply only to some calls, so the exit puts it in doubt. Other statements are on
        // the main path, and special cases such as old packets leave before them.
        let decides = matches!(pattern.node().what, What::Is(word::IF | word::RETURN | word::GOTO));
        for node in &block.parts {
            if node.is(word::CONFIGURED) {
                self.on_the_way(node, pattern, before, Some(Doubt::Configured(node.lines.first)), hits);
            } else {
                self.fit(node, pattern, before, doubt, hits);
            }
            if decides {
                doubt = doubt.or_else(|| way_round(node));
            }
        }
    }

    /// Matches the node and all nodes below it.
    fn below(
        &self,
        node: &'t CNode,
        pattern: &'t SourcePattern,
        before: &Bindings<'t>,
        doubt: Option<Doubt>,
        hits: &mut Vec<Hit<'t>>,
    ) {
        let doubt = if node.is(word::CONFIGURED) { Some(Doubt::Configured(node.lines.first)) } else { doubt };
        self.fit(node, pattern, before, doubt, hits);
        for part in &node.parts {
            self.below(part, pattern, before, doubt, hits);
        }
    }

    fn fit(
        &self,
        node: &'t CNode,
        pattern: &'t SourcePattern,
        before: &Bindings<'t>,
        doubt: Option<Doubt>,
        hits: &mut Vec<Hit<'t>>,
    ) {
        for mut found in self.solve(pattern.node(), node, before.clone(), 0) {
            found.lines.push(node.lines);
            hits.push(Hit { node, found, doubt });
        }
    }

    /// All bindings with which the pattern matches the node.
    fn solve(&self, pattern: &'t CNode, node: &'t CNode, mut found: Bindings<'t>, values: u8) -> Vec<Bindings<'t>> {
        if !self.step() {
            return Vec::new();
        }
        if let Some(choices) = one_of(pattern) {
            return choices.iter().flat_map(|choice| self.solve(choice, node, found.clone(), values)).collect();
        }
        let fits = match (&pattern.what, &node.what) {
            (What::Any(name), _) => {
                return match found.bound.iter().find(|(bound, _)| bound == name) {
                    Some((_, bound)) if bound.same(node) => vec![found],
                    Some(_) => Vec::new(),
                    None => {
                        found.bound.push((name, node));
                        vec![found]
                    }
                };
            }
            (What::Is(sign), What::Is(other)) if sign == other => {
                let (pattern, node) = (pattern.parts.as_slice(), node.parts.as_slice());
                match *sign {
                    sign if UNORDERED.contains(&sign) => self.any_order(pattern, node, found.clone(), values),
                    // If the pattern has no `else`, any `else` matches.
                    word::IF if pattern.len() == 2 && node.len() == 3 => {
                        self.in_order(pattern, node.get(..2).unwrap_or_default(), found.clone(), values)
                    }
                    _ => self.in_order(pattern, node, found.clone(), values),
                }
            }
            (a, b) if a == b && pattern.parts.is_empty() && node.parts.is_empty() => return vec![found],
            _ => Vec::new(),
        };
        match self.value(node) {
            Some((value, lines)) if fits.is_empty() && values < MAX_VALUES => {
                found.lines.push(lines);
                self.solve(pattern, value, found, values + 1)
            }
            _ => fits,
        }
    }

    /// The value of a local that is assigned only once.
    fn value(&self, node: &CNode) -> Option<(&'t CNode, Lines)> {
        let What::Name(name) = &node.what else { return None };
        self.values.iter().find(|(local, ..)| local == name).map(|(_, value, lines)| (*value, *lines))
    }

    fn in_order(&self, pattern: &'t [CNode], nodes: &'t [CNode], found: Bindings<'t>, values: u8) -> Vec<Bindings<'t>> {
        match (pattern.split_first(), nodes.split_first()) {
            (None, None) => vec![found],
            (Some((first, rest)), _) if first.what == What::Rest => {
                let passed = nodes.iter().take_while(|node| goes_straight_on(node)).count();
                let left = (0..=passed).filter_map(|passed| nodes.get(passed..));
                left.flat_map(|left| self.in_order(rest, left, found.clone(), values)).collect()
            }
            (Some((first, rest)), Some((node, left))) => self
                .solve(first, node, found, values)
                .into_iter()
                .flat_map(|found| self.in_order(rest, left, found, values))
                .collect(),
            _ => Vec::new(),
        }
    }

    fn any_order(
        &self,
        pattern: &'t [CNode],
        nodes: &'t [CNode],
        found: Bindings<'t>,
        values: u8,
    ) -> Vec<Bindings<'t>> {
        let rest = pattern.iter().any(|part| part.what == What::Rest);
        let wanted: Vec<&CNode> = pattern.iter().filter(|part| part.what != What::Rest).collect();
        if wanted.len() > nodes.len() || (!rest && wanted.len() != nodes.len()) {
            return Vec::new();
        }
        self.each_in_some(&wanted, &nodes.iter().collect::<Vec<_>>(), found, values)
    }

    fn each_in_some(
        &self,
        wanted: &[&'t CNode],
        nodes: &[&'t CNode],
        found: Bindings<'t>,
        values: u8,
    ) -> Vec<Bindings<'t>> {
        let Some((first, rest)) = wanted.split_first() else { return vec![found] };
        let mut all = Vec::new();
        for (at, node) in nodes.iter().enumerate() {
            for found in self.solve(first, node, found.clone(), values) {
                let mut left = nodes.to_vec();
                left.remove(at);
                all.extend(self.each_in_some(rest, &left, found, values));
            }
        }
        all
    }
}

/// The alternatives of `$ONE_OF(a, b)`.
fn one_of(pattern: &CNode) -> Option<&[CNode]> {
    let (first, choices) = pattern.parts.split_first().filter(|_| pattern.is(word::CALL))?;
    matches!(&first.what, What::Any(name) if name == ONE_OF).then_some(choices)
}

fn is_change(sign: &str) -> bool {
    matches!(sign, "++" | "--") || (sign.len() > 1 && sign.ends_with('=') && !matches!(sign, "==" | "!=" | "<=" | ">="))
}

/// Whether a value is an error: `-EINVAL` or a negative number.
fn is_error(value: &CNode) -> bool {
    match (&value.what, value.parts.as_slice()) {
        (What::Number(n), _) => *n < 0,
        (What::Is("-"), [name]) => matches!(&name.what, What::Name(name) if name.starts_with('E')),
        _ => false,
    }
}

/// The way in which a call may bypass the code after `node`: a jump or a successful return.
fn way_round(node: &CNode) -> Option<Doubt> {
    let leaves = node.walk().find(|node| match node.parts.as_slice() {
        _ if node.is(word::GOTO) => true,
        [value] if node.is(word::RETURN) => !is_error(value),
        _ => false,
    })?;
    Some(Doubt::WayRound(leaves.lines.first))
}

#[cfg(test)]
#[path = "matching_tests.rs"]
mod tests;
