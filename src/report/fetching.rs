//! Shows what is fetched while a command waits for it: a line that changes on a terminal, lines elsewhere.

use super::line::ProgressLine;
use crate::kernel::Progress;

/// The fetching of files, on stderr. Nothing is shown while nothing is fetched.
pub struct Fetching {
    line: ProgressLine,
}

impl Default for Fetching {
    fn default() -> Self {
        Self::new()
    }
}

impl Fetching {
    /// Nothing is shown until there is something to tell.
    pub fn new() -> Self {
        Self { line: ProgressLine::new() }
    }

    /// Shows what goes on.
    pub fn tell(&self, progress: &Progress) {
        // What went wrong, and what nobody vouches for, stays where the rest of the line goes away.
        let stays = matches!(progress, Progress::Trouble { .. } | Progress::Chosen { .. } | Progress::Stale(_));
        match self.line.is_hidden() || stays {
            true if progress.is_slow() => self.line.say(progress),
            true => {}
            false => self.line.show(progress),
        }
    }

    /// Takes the line away, until there is something to tell again.
    pub fn finish(&self) {
        self.line.clear();
    }
}
