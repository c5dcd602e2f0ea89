//! Shows the progress of a build of control kernels: a bar on a terminal, lines elsewhere.

use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::stderr::say;
use super::text::visible;
use crate::kernel::control::{BuildEvent, Built};

/// Shows the progress on stderr.
pub struct Building {
    began: Instant,
    bar: Option<ProgressBar>,
    /// The current build: the control and its line.
    now: String,
    last: String,
}

impl Building {
    /// A bar on a terminal, lines elsewhere and where `CI` is set.
    pub fn new() -> Self {
        let bars = std::io::stderr().is_terminal() && std::env::var_os("CI").is_none();
        let bar = bars.then(|| {
            let style = ProgressStyle::with_template("{spinner} {bar:30} {percent:>3}% {elapsed} {wide_msg}");
            let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.enable_steady_tick(Duration::from_millis(100));
            bar
        });
        Self { began: Instant::now(), bar, now: String::new(), last: String::new() }
    }

    /// Shows an event.
    pub fn event(&mut self, event: &BuildEvent) {
        match event {
            BuildEvent::Source { line, progress } => {
                let what = if line.is_empty() { progress.to_string() } else { format!("{line}: {progress}") };
                // Unpacking takes half a minute, so it is worth a line here.
                let is_start = !matches!(progress, crate::kernel::Progress::Fetching { done: 1.., .. });
                match &self.bar {
                    Some(bar) => bar.set_message(visible(&what)),
                    None if is_start => self.line(&what),
                    None => {}
                }
            }
            BuildEvent::Started { line, control, output_lines } => {
                self.now = format!("{control} ({line})");
                match &self.bar {
                    Some(bar) => {
                        bar.set_length(*output_lines);
                        bar.set_position(0);
                        bar.set_message(self.now.clone());
                    }
                    None => self.line(&format!("{}: building", self.now)),
                }
            }
            BuildEvent::Step(step) => {
                if let Some(bar) = &self.bar {
                    bar.set_message(format!("{}: {step}", self.now));
                }
            }
            BuildEvent::Output(lines) => {
                if let Some(bar) = &self.bar {
                    // The length is an estimate, and a full bar would promise the end.
                    bar.set_position((*lines).min(bar.length().unwrap_or(0).saturating_sub(1)));
                }
            }
            BuildEvent::Built(built) => self.line(&sentence(built)),
            BuildEvent::Kept(_) => {}
            BuildEvent::Again(why) => self.line(why),
            // The log's last lines come at the end, where nothing scrolls them away.
            BuildEvent::Failed(why) => self.line(why.lines().next().unwrap_or_default()),
        }
    }

    /// Removes the bar.
    pub fn finish(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn line(&mut self, text: &str) {
        let text = text.lines().map(visible).collect::<Vec<_>>().join("\n");
        if std::mem::replace(&mut self.last, text.clone()) == text {
            return;
        }
        match &self.bar {
            Some(bar) => bar.suspend(|| say(text)),
            None => say(format_args!("[{:6.1}s] {text}", self.began.elapsed().as_secs_f64())),
        }
    }
}

impl Default for Building {
    fn default() -> Self {
        Self::new()
    }
}

fn sentence(built: &Built) -> String {
    let cpu = built.cpu_seconds.map(|s| format!(", {s:.1} s of processor time")).unwrap_or_default();
    format!("{} ({}): built in {:.1} s{cpu}", built.control, built.line, built.seconds)
}
