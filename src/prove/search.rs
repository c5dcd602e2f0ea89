//! Finds where the verdict turns in a row of kernels, with as few boots as it can: both ends, then always the kernel in the
//! middle between two that differ. A kernel without a verdict is stepped around, as `git bisect skip` does.

use std::collections::BTreeMap;

/// A search in a row of kernels, which are named by their places in it.
#[derive(Clone, Debug)]
pub struct TurnSearch {
    count: usize,
    /// The kernels that were booted: whether each is affected; None if it has no verdict.
    known: BTreeMap<usize, Option<bool>>,
}

/// Two kernels with different verdicts, and none between them with any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// The earlier one.
    pub from: usize,
    /// The later one.
    pub to: usize,
    /// Whether the later one is affected, and the earlier one is not.
    pub breaks: bool,
}

/// Why a search cannot begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadEnds {
    /// An end has no verdict.
    Unjudged(usize),
    /// Both have the same.
    Same {
        /// Whether they are affected.
        affected: bool,
    },
}

impl TurnSearch {
    /// A search in a row of so many kernels, at least two.
    pub fn new(count: usize) -> Self {
        Self { count, known: BTreeMap::new() }
    }

    /// The ends.
    pub fn ends(&self) -> [usize; 2] {
        [0, self.count.saturating_sub(1)]
    }

    /// The next kernel to boot. None if every turn between the booted kernels is found, or an end has no verdict.
    pub fn next(&self) -> Option<usize> {
        if let Some(end) = self.ends().into_iter().find(|end| !self.known.contains_key(end)) {
            return Some(end);
        }
        if self.ends().iter().any(|end| self.known.get(end) == Some(&None)) {
            return None;
        }
        let open = self.turns().into_iter().filter_map(|turn| {
            let untried = (turn.from + 1..turn.to).filter(|at| !self.known.contains_key(at));
            let middle = turn.from + turn.to;
            untried.min_by_key(|at| (at * 2).abs_diff(middle))
        });
        open.min()
    }

    /// Notes whether a booted kernel is affected; None if it has no verdict.
    pub fn tell(&mut self, at: usize, affected: Option<bool>) {
        self.known.insert(at, affected);
    }

    /// What is known of a kernel. None if it was not booted.
    pub fn known(&self, at: usize) -> Option<Option<bool>> {
        self.known.get(&at).copied()
    }

    /// The turns between the kernels that have a verdict, in their order.
    pub fn turns(&self) -> Vec<Turn> {
        let judged: Vec<(usize, bool)> = self.known.iter().filter_map(|(at, known)| Some((*at, (*known)?))).collect();
        let pairs = judged.windows(2).filter(|pair| pair[0].1 != pair[1].1);
        pairs.map(|pair| Turn { from: pair[0].0, to: pair[1].0, breaks: pair[1].1 }).collect()
    }

    /// Why nothing was found, if the ends are to blame.
    pub fn bad_ends(&self) -> Option<BadEnds> {
        let mut verdicts = Vec::new();
        for end in self.ends() {
            match self.known.get(&end) {
                Some(Some(affected)) => verdicts.push(*affected),
                Some(None) => return Some(BadEnds::Unjudged(end)),
                None => {}
            }
        }
        match verdicts[..] {
            [from, to] if from == to && self.turns().is_empty() => Some(BadEnds::Same { affected: from }),
            _ => None,
        }
    }

    /// A kernel to boot beside the search: the middle of the widest gap in which none was booted.
    pub fn spot(&self) -> Option<usize> {
        let known: Vec<usize> = self.known.keys().copied().collect();
        let widest = known.windows(2).map(|pair| (pair[1] - pair[0], pair[0])).filter(|(width, _)| *width > 1);
        widest.max_by_key(|(width, from)| (*width, usize::MAX - from)).map(|(width, from)| from + width / 2)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Runs a search over kernels that are known; None for those without a verdict. The booted ones.
    fn run(kernels: &[Option<bool>]) -> (TurnSearch, usize) {
        let mut search = TurnSearch::new(kernels.len());
        let mut boots = 0;
        while let Some(at) = search.next() {
            assert!(search.known(at).is_none(), "{at} is booted twice");
            search.tell(at, kernels[at]);
            boots += 1;
        }
        (search, boots)
    }

    fn row(text: &str) -> Vec<Option<bool>> {
        let one = |c| match c {
            'x' => Some(true),
            'o' => Some(false),
            _ => None,
        };
        text.chars().map(one).collect()
    }

    #[test]
    fn turn_in_sixteen_kernels_takes_six_boots() {
        for turn in 1..16 {
            let kernels: Vec<_> = (0..16).map(|at| Some(at < turn)).collect();
            let (search, boots) = run(&kernels);
            assert_eq!(search.turns(), [Turn { from: turn - 1, to: turn, breaks: false }]);
            assert!(boots <= 6, "{turn}: {boots}");
        }
    }

    #[test]
    fn kernels_without_a_verdict_are_stepped_around() {
        for (kernels, from, to) in [("xxx??ooo", 2, 5), ("x??????o", 0, 7), ("x?x?o?oo", 2, 4), ("xo", 0, 1)] {
            let (search, _) = run(&row(kernels));
            assert_eq!(search.turns(), [Turn { from, to, breaks: false }], "{kernels}");
        }
    }

    #[test]
    fn ends_decide_whether_there_is_a_search() {
        for (kernels, bad) in [
            ("xxxx", Some(BadEnds::Same { affected: true })),
            ("oooo", Some(BadEnds::Same { affected: false })),
            ("?ooo", Some(BadEnds::Unjudged(0))),
            ("xoo?", Some(BadEnds::Unjudged(3))),
            ("ooxx", None),
        ] {
            let (search, boots) = run(&row(kernels));
            assert_eq!(search.bad_ends(), bad, "{kernels}");
            assert_eq!(boots > 2, bad.is_none(), "{kernels}");
        }
    }

    #[test]
    fn spots_find_a_second_pair_of_turns() {
        let kernels = row("xxxxxxooooooooxxxoooo");
        let (mut search, _) = run(&kernels);
        assert_eq!(search.turns().len(), 1);
        let mut spots = 0;
        while search.turns().len() == 1 {
            let spot = search.spot().expect("a gap");
            search.tell(spot, kernels[spot]);
            spots += 1;
        }
        assert!(spots < 9, "{spots}");
        while let Some(at) = search.next() {
            search.tell(at, kernels[at]);
        }
        let turns: Vec<_> = search.turns().iter().map(|turn| (turn.from, turn.to)).collect();
        assert_eq!(turns, [(5, 6), (13, 14), (16, 17)]);
    }

    proptest! {
        #[test]
        fn every_turn_is_between_neighbours_or_unjudged_kernels(kernels in "[xo?]{2,40}") {
            let kernels = row(&kernels);
            let (search, _) = run(&kernels);
            let ends = [kernels[0], kernels[kernels.len() - 1]];
            if let [Some(first), Some(last)] = ends {
                prop_assert_eq!(search.turns().len() % 2 == 1, first != last);
                for turn in search.turns() {
                    prop_assert!(kernels[turn.from + 1..turn.to].iter().all(Option::is_none));
                    prop_assert_eq!(kernels[turn.to], Some(turn.breaks));
                }
            }
            let mut all = search.clone();
            while let Some(spot) = all.spot() {
                prop_assert!(all.known(spot).is_none());
                all.tell(spot, kernels[spot]);
            }
            prop_assert!((0..kernels.len()).all(|at| all.known(at).is_some()));
        }
    }
}
