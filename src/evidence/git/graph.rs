//! The ancestry of commits: an array of parents, in which parents come before children.
//!
//! One pass down the array finds the ancestors of a commit, and one pass up its descendants. For Linux's 1.6 million
//! commits this takes a few milliseconds, while walks over the objects take seconds.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

/// The most 64-bit words in the cached sets of each kind: 64 MiB.
const MOST_WORDS: usize = 8 << 20;

/// A set of commits, by number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bits(Vec<u64>);

impl Bits {
    fn new(len: usize) -> Self {
        Self(vec![0; len.div_ceil(64)])
    }

    fn set(&mut self, at: u32) {
        self.0[at as usize / 64] |= 1 << (at % 64);
    }

    /// Whether the set has this commit.
    pub fn has(&self, at: u32) -> bool {
        self.0.get(at as usize / 64).is_some_and(|word| word >> (at % 64) & 1 == 1)
    }
}

/// Marks a commit whose parents are in `many`.
const MANY: u32 = 1 << 31;
/// The number for a missing parent.
const NONE: u32 = u32::MAX;

/// The parents of all commits.
#[derive(Debug, Default)]
pub(super) struct Graph {
    /// A commit's only parent, or `NONE`, or `MANY` plus the start of its parents in `many`.
    first: Vec<u32>,
    /// For each commit with several parents: their number, then the parents.
    many: Vec<u32>,
    /// Cached sets, because several dossiers need the same ones.
    kept: RefCell<KeptSets>,
}

/// Ancestors and descendants of commits.
#[derive(Debug, Default)]
struct KeptSets {
    ancestors: HashMap<u32, Rc<Bits>>,
    descendants: HashMap<u32, Rc<Bits>>,
    roots: Option<Rc<[u32]>>,
}

impl Graph {
    /// The most commits that it can hold.
    pub const MOST: usize = 1 << 30;

    /// The number of commits.
    pub fn len(&self) -> u32 {
        // Never more than MOST, because push rejects more.
        u32::try_from(self.first.len()).unwrap_or(u32::MAX)
    }

    /// A commit's parents.
    pub fn parents(&self, at: u32) -> &[u32] {
        match self.first.get(at as usize) {
            None | Some(&NONE) => &[],
            Some(&value) if value & MANY != 0 => {
                let start = (value & !MANY) as usize;
                let count = self.many[start] as usize;
                &self.many[start + 1..start + 1 + count]
            }
            Some(value) => std::slice::from_ref(value),
        }
    }

    /// Adds a commit. False if a parent does not come before it, or there are too many.
    pub fn push(&mut self, parents: &[u32]) -> bool {
        let number = self.len();
        self.kept.take();
        if self.first.len() >= Self::MOST || self.many.len() + parents.len() >= Self::MOST {
            return false;
        }
        if parents.iter().any(|parent| *parent >= number) {
            return false;
        }
        match parents {
            [] => self.first.push(NONE),
            [only] => self.first.push(*only),
            [..] => {
                // Both casts are below MOST.
                self.first.push(MANY | self.many.len() as u32);
                self.many.push(parents.len() as u32);
                self.many.extend_from_slice(parents);
            }
        }
        true
    }

    /// The commit and all its ancestors.
    pub fn ancestors(&self, of: u32) -> Rc<Bits> {
        self.keep(of, |kept| &mut kept.ancestors, || self.find_ancestors(of))
    }

    /// The commit and all its descendants.
    pub fn descendants(&self, of: u32) -> Rc<Bits> {
        self.keep(of, |kept| &mut kept.descendants, || self.find_descendants(of))
    }

    fn keep(
        &self,
        of: u32,
        place: impl Fn(&mut KeptSets) -> &mut HashMap<u32, Rc<Bits>>,
        find: impl FnOnce() -> Bits,
    ) -> Rc<Bits> {
        if let Some(bits) = place(&mut self.kept.borrow_mut()).get(&of) {
            return Rc::clone(bits);
        }
        let bits = Rc::new(find());
        let mut kept = self.kept.borrow_mut();
        let kept = place(&mut kept);
        if (kept.len() + 1) * self.first.len().div_ceil(64) > MOST_WORDS {
            kept.clear();
        }
        kept.insert(of, Rc::clone(&bits));
        bits
    }

    fn find_ancestors(&self, of: u32) -> Bits {
        let mut bits = Bits::new(self.first.len());
        bits.set(of);
        for word in (0..=of as usize / 64).rev() {
            // Parents have lower numbers, also within the word, so always taking the highest bit misses none.
            let mut left = u64::MAX;
            loop {
                let open = bits.0[word] & left;
                if open == 0 {
                    break;
                }
                let bit = 63 - open.leading_zeros();
                left = (1 << bit) - 1;
                for parent in self.parents(word as u32 * 64 + bit) {
                    bits.set(*parent);
                }
            }
        }
        bits
    }

    fn find_descendants(&self, of: u32) -> Bits {
        let mut bits = Bits::new(self.first.len());
        bits.set(of);
        for at in of + 1..self.len() {
            if self.parents(at).iter().any(|parent| *parent >= of && bits.has(*parent)) {
                bits.set(at);
            }
        }
        bits
    }

    /// The commits without parents.
    pub fn roots(&self) -> Rc<[u32]> {
        let all = || (0..self.len()).filter(|at| self.first[*at as usize] == NONE).collect();
        Rc::clone(self.kept.borrow_mut().roots.get_or_insert_with(all))
    }

    /// The commits from `from` on as bytes: 32-bit numbers, little-endian. First the number of commits, then one number
    /// for each, then the lists of several parents, whose places count from the first list.
    pub fn encode(&self, from: u32, to: u32) -> Vec<u8> {
        let first = &self.first[from as usize..to as usize];
        let mut starts = first.iter().filter(|value| **value & MANY != 0 && **value != NONE).map(|value| value & !MANY);
        let start = starts.next();
        let end = starts.next_back().or(start).map_or(0, |last| last as usize + 1 + self.many[last as usize] as usize);
        let start = start.unwrap_or(0);
        let mut bytes = Vec::with_capacity(4 * (1 + first.len() + end - start as usize));
        let mut put = |value: u32| bytes.extend(value.to_le_bytes());
        put(to - from);
        for value in first {
            // The numbers are below MOST, so none of them reaches the mark.
            put(if *value & MANY != 0 && *value != NONE { *value - start } else { *value });
        }
        self.many[start as usize..end].iter().copied().for_each(put);
        bytes
    }

    /// Adds the output of [`Graph::encode`]. False if the bytes are damaged.
    pub fn decode(&mut self, bytes: &[u8]) -> bool {
        self.kept.take();
        let (words, rest) = bytes.as_chunks::<4>();
        let mut words = words.iter().copied().map(u32::from_le_bytes);
        let Some(count) = words.next().map(|count| count as usize) else { return false };
        if !rest.is_empty() || count > words.len() || self.many.len() + self.first.len() + words.len() > Self::MOST {
            return false;
        }
        let base = self.many.len();
        self.many.extend(words.clone().skip(count));
        self.first.reserve(count);
        for value in words.take(count) {
            let number = self.len();
            let value = match value {
                NONE => NONE,
                only if only & MANY == 0 => {
                    if only >= number {
                        return false;
                    }
                    only
                }
                many => {
                    let start = base + (many & !MANY) as usize;
                    let parents = self.many.get(start).and_then(|n| self.many.get(start + 1..start + 1 + *n as usize));
                    if !parents.is_some_and(|parents| parents.iter().all(|parent| *parent < number)) {
                        return false;
                    }
                    // Below MOST, because it is a place in the list.
                    MANY | start as u32
                }
            };
            self.first.push(value);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn graph(parents: &[Vec<u32>]) -> Graph {
        let mut graph = Graph::default();
        assert!(parents.iter().all(|parents| graph.push(parents)));
        graph
    }

    /// A slow reference implementation.
    fn reaches(graph: &Graph, from: u32, to: u32) -> bool {
        from == to || graph.parents(from).iter().any(|parent| reaches(graph, *parent, to))
    }

    proptest! {
        #[test]
        fn graph_agrees_with_a_plain_search(
            seeds in prop::collection::vec(prop::collection::vec(any::<u32>(), 0..4), 1..90)
        ) {
            let parents: Vec<Vec<u32>> = (0u32..).zip(&seeds).map(|(at, seeds)| {
                // Two nearby parents at most, or the plain search takes exponential time.
                seeds.iter().take(if at > 70 { 2 } else { 1 }).filter(|_| at > 0).map(|seed| seed % at.max(1)).collect()
            }).collect();
            let graph = graph(&parents);
            let tip = graph.len() - 1;
            let ancestors = graph.ancestors(tip);
            for at in 0..graph.len() {
                prop_assert_eq!(ancestors.has(at), reaches(&graph, tip, at));
                prop_assert_eq!(graph.descendants(at).has(tip), reaches(&graph, tip, at));
            }
            // In two parts, as an update appends.
            let (mut read, middle) = (Graph::default(), graph.len() / 2);
            prop_assert!(read.decode(&graph.encode(0, middle)));
            prop_assert!(read.decode(&graph.encode(middle, graph.len())));
            prop_assert_eq!((read.first, read.many), (graph.first, graph.many));
        }

        #[test]
        fn any_bytes_decode_without_panic(bytes in any::<Vec<u8>>()) {
            let mut graph = Graph::default();
            let _ = graph.decode(&bytes);
            for at in 0..graph.len() {
                prop_assert!(graph.parents(at).iter().all(|parent| *parent < at));
            }
        }
    }

    #[test]
    fn octopus_keeps_all_parents() {
        let graph = graph(&[vec![], vec![], vec![], vec![0, 1, 2], vec![3]]);
        assert_eq!(graph.parents(3), [0, 1, 2]);
        assert!((0..5).all(|at| graph.ancestors(4).has(at)));
        assert_eq!(&*graph.roots(), [0, 1, 2]);
        assert!(!graph.descendants(1).has(2));
    }

    #[test]
    fn parent_that_comes_later_is_rejected() {
        assert!(!Graph::default().push(&[0]));
    }
}
