//! Shows the progress of indexing a repository: a count on a terminal, elsewhere one line at the start.

use super::line::ProgressLine;
use crate::evidence::git::IndexProgress;

/// Shows indexing on stderr; an up-to-date index shows nothing.
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

    /// Removes the line.
    pub fn finish(self) {
        self.line.clear();
    }
}
