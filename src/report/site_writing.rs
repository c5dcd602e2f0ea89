//! Shows the progress of a site that is written: one changing line on a terminal.

use std::time::{Duration, Instant};

use super::line::ProgressLine;
use super::site::SiteProgress;

/// An update of one night is done before this.
const QUIET: Duration = Duration::from_secs(1);

/// Shows the progress on stderr, if it takes long.
pub struct SiteWriting {
    line: ProgressLine,
    began: Instant,
}

impl Default for SiteWriting {
    fn default() -> Self {
        Self::new()
    }
}

impl SiteWriting {
    /// Nothing is shown yet.
    pub fn new() -> Self {
        Self { line: ProgressLine::new(), began: Instant::now() }
    }

    /// Shows how far it is. Waiting for another process is told on every stderr, because it can take long.
    pub fn tell(&self, progress: &SiteProgress) {
        match progress {
            SiteProgress::Waiting => self.line.say(&format!("backproof: {progress}")),
            SiteProgress::Nights { .. } if self.began.elapsed() < QUIET => {}
            SiteProgress::Nights { .. } => self.line.show(progress),
        }
    }

    /// Removes the line.
    pub fn finish(&self) {
        self.line.clear();
    }
}
