//! Shows the progress of downloads: one changing line on a terminal, lines elsewhere.

use super::line::ProgressLine;
use crate::kernel::Progress;

/// Shows downloads on stderr.
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
        // Errors and unverified files stay on the screen.
        let stays = matches!(
            progress,
            Progress::Trouble { .. }
                | Progress::Chosen { .. }
                | Progress::Built { .. }
                | Progress::Remark { .. }
                | Progress::Stale(_)
        );
        match self.line.is_hidden() || stays {
            true if progress.is_slow() => self.line.say(progress),
            true => {}
            false => self.line.show(progress),
        }
    }

    /// Removes the line until the next download.
    pub fn finish(&self) {
        self.line.clear();
    }
}
