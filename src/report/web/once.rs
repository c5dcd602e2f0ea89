//! Lists in which each item stands once, so that cells can name its place.

use std::collections::HashMap;
use std::hash::Hash;

/// A list without doubles, in order of appearance.
pub(in crate::report) struct Once<T> {
    pub(in crate::report) all: Vec<T>,
    places: HashMap<T, usize>,
}

impl<T> Default for Once<T> {
    fn default() -> Self {
        Self { all: Vec::new(), places: HashMap::new() }
    }
}

impl<T: Clone + Eq + Hash> Once<T> {
    /// The place of an item, which is added if it is new.
    pub(in crate::report) fn keep(&mut self, item: T) -> usize {
        let all = &mut self.all;
        *self.places.entry(item).or_insert_with_key(|item| {
            all.push(item.clone());
            all.len() - 1
        })
    }
}
