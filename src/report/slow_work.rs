//! Shows the progress of work that may take long: one changing line on a terminal.

use std::fmt::Display;
use std::time::{Duration, Instant};

use super::line::ProgressLine;

/// Work that is done before this shows nothing.
const QUIET: Duration = Duration::from_secs(1);

/// Shows the progress on stderr, if the work takes long.
pub struct SlowWork {
    line: ProgressLine,
    began: Instant,
}

impl Default for SlowWork {
    fn default() -> Self {
        Self::new()
    }
}

impl SlowWork {
    /// Nothing is shown yet.
    pub fn new() -> Self {
        Self { line: ProgressLine::new(), began: Instant::now() }
    }

    /// Shows how far it is.
    pub fn tell(&self, progress: &impl Display) {
        if self.began.elapsed() >= QUIET {
            self.line.show(progress);
        }
    }

    /// Tells something on every stderr.
    pub fn say(&self, what: &impl Display) {
        self.line.say(&format!("backproof: {what}"));
    }

    /// Removes the line.
    pub fn finish(&self) {
        self.line.clear();
    }
}
