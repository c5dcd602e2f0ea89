//! Shows how a repository's index is made: a count that goes up on a terminal, a line when it begins elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget};

use crate::evidence::git::Progress;

/// The reading of a repository, on stderr. Nothing is shown of one that has an index already.
pub struct Indexing {
    bar: ProgressBar,
}

impl Default for Indexing {
    fn default() -> Self {
        Self::new()
    }
}

impl Indexing {
    /// Nothing is shown until there is something to tell.
    pub fn new() -> Self {
        Self { bar: ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()) }
    }

    /// Shows how far it is.
    pub fn tell(&self, progress: Progress) {
        self.bar.set_message(progress.to_string());
        self.bar.tick();
    }

    /// Takes the line away.
    pub fn finish(self) {
        self.bar.finish_and_clear();
    }
}
