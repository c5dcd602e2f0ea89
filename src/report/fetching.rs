//! Shows what is fetched while a command waits for it: a line that changes on a terminal, lines elsewhere.

use indicatif::{ProgressBar, ProgressDrawTarget};

use super::text::visible;
use crate::kernel::Progress;

/// The fetching of files, on stderr. Nothing is shown while nothing is fetched.
pub struct Fetching {
    bar: ProgressBar,
}

impl Default for Fetching {
    fn default() -> Self {
        Self::new()
    }
}

impl Fetching {
    /// Nothing is shown until there is something to tell.
    pub fn new() -> Self {
        Self { bar: ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()) }
    }

    /// Shows what goes on.
    pub fn tell(&self, progress: &Progress) {
        let what = visible(&progress.to_string());
        // What went wrong, and what nobody vouches for, stays where the rest of the line goes away.
        let stays = matches!(progress, Progress::Trouble { .. } | Progress::Chosen { .. } | Progress::Stale(_));
        if self.bar.is_hidden() || stays {
            if progress.is_slow() {
                self.bar.suspend(|| anstream::eprintln!("{what}"));
            }
            return;
        }
        self.bar.set_message(what);
        self.bar.tick();
    }

    /// Takes the line away, until there is something to tell again.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
        self.bar.reset();
    }
}
