//! Shows how a repository's index is made: a count that goes up on a terminal, a line when it begins elsewhere.

use super::line::ProgressLine;
use crate::evidence::git::IndexProgress;

/// The reading of a repository, on stderr. Nothing is shown of one that has an index already.
pub struct Indexing {
    line: ProgressLine,
}

impl Default for Indexing {
    fn default() -> Self {
        Self::new()
    }
}

impl Indexing {
    /// Nothing is shown until there is something to tell.
    pub fn new() -> Self {
        Self { line: ProgressLine::new() }
    }

    /// Shows how far it is.
    pub fn tell(&self, progress: IndexProgress) {
        self.line.show(&progress);
    }

    /// Takes the line away.
    pub fn finish(self) {
        self.line.clear();
    }
}
