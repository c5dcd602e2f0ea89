//! What a commit does to the lines of a file, and to their neighbours.

use std::collections::{HashMap, HashSet};

use super::line_pairs::{LineInFunction, LinePair, LinePairs, Occurrences};

/// The change of a file by a commit.
pub(super) struct PairChange<'a> {
    pub old: &'a LinePairs,
    pub new: &'a LinePairs,
    /// The pairs that it brings.
    pub brought: Vec<(LinePair, Occurrences)>,
    /// The pairs that it takes out.
    pub taken: Vec<(LinePair, Occurrences)>,
    /// The functions in which more than the order of the lines changes.
    rewritten: HashSet<u64>,
    /// The lines that it puts right after each line, and right before.
    neighbours: [HashMap<LineInFunction, Vec<LineInFunction>>; 2],
}

impl<'a> PairChange<'a> {
    pub fn of(old: &'a LinePairs, new: &'a LinePairs) -> Self {
        let changed = new.more_lines_than(old).chain(old.more_lines_than(new));
        let rewritten: HashSet<u64> = changed.map(|(line, _)| line.function).collect();
        // The line above a pair matters only where nothing but the order changes: a line between them would hide it.
        let counts = |(pair, _): &(LinePair, Occurrences)| !pair.has_above() || !rewritten.contains(&pair.function);
        let brought: Vec<_> = new.more_than(old).filter(counts).collect();
        let taken = old.more_than(new).filter(counts).collect();
        let mut neighbours: [HashMap<_, Vec<_>>; 2] = Default::default();
        for (pair, _) in brought.iter().filter(|(pair, _)| !pair.has_above()) {
            let [first, second] = pair.lines();
            neighbours[0].entry(first).or_default().push(second);
            neighbours[1].entry(second).or_default().push(first);
        }
        Self { old, new, brought, taken, rewritten, neighbours }
    }

    /// The lines that it adds, without those that it moves.
    pub fn added(&self) -> impl Iterator<Item = (LineInFunction, Occurrences)> {
        self.new.more_lines_than(self.old)
    }

    /// The lines that it removes, without those that it moves.
    pub fn removed(&self) -> impl Iterator<Item = (LineInFunction, Occurrences)> {
        self.old.more_lines_than(self.new)
    }

    /// The lines that it adds between those of a pair that it takes out.
    pub fn added_within(&self, pair: LinePair) -> impl Iterator<Item = LineInFunction> {
        let beside = self.neighbours.iter().zip(pair.lines()).filter_map(|(beside, line)| beside.get(&line));
        beside.flatten().copied().filter(|line| self.new.count_of(*line) > self.old.count_of(*line))
    }

    /// Whether it only changes the order of the lines of a pair's function.
    pub fn reorders(&self, pair: LinePair) -> bool {
        !self.rewritten.contains(&pair.function)
    }
}
