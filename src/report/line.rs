//! One changing line of progress on stderr.

use std::fmt::Display;

use indicatif::{ProgressBar, ProgressDrawTarget};

use super::stderr::say;
use super::text::visible;

/// The line. It appears with the first text, and only on a terminal.
pub(super) struct ProgressLine {
    bar: ProgressBar,
}

impl ProgressLine {
    pub(super) fn new() -> Self {
        Self::on(ProgressDrawTarget::stderr())
    }

    fn on(target: ProgressDrawTarget) -> Self {
        Self { bar: ProgressBar::with_draw_target(None, target).with_style(super::live::style("{spinner} {wide_msg}")) }
    }

    /// Replaces the text.
    pub(super) fn show(&self, what: &impl Display) {
        self.bar.set_message(visible(&what.to_string()));
        if self.bar.is_finished() {
            // Resetting it earlier would draw the old text again.
            self.bar.reset();
        }
        self.bar.tick();
    }

    /// Prints something above the line, which stays.
    pub(super) fn say(&self, what: &impl Display) {
        self.bar.suspend(|| say(visible(&what.to_string())));
    }

    /// Whether there is no terminal.
    pub(super) fn is_hidden(&self) -> bool {
        self.bar.is_hidden()
    }

    /// Removes the line until the next text.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::TermLike;

    use super::*;

    /// A terminal of 60 columns that keeps its output.
    #[derive(Clone, Debug, Default)]
    struct Terminal(Arc<Mutex<String>>);

    impl TermLike for Terminal {
        fn width(&self) -> u16 {
            60
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().expect("the text").push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            self.0.lock().expect("the text").clear();
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn line_shows_the_last_text_until_cleared() {
        let terminal = Terminal::default();
        let line = ProgressLine::on(ProgressDrawTarget::term_like(Box::new(terminal.clone())));
        let seen = || terminal.0.lock().expect("the text").trim().to_owned();
        assert_eq!(seen(), "");
        for _ in 0..2 {
            line.show(&"fetching a.deb (1.0 of 3.0 MiB, 5.0 MiB/s)");
            assert!(seen().ends_with(" fetching a.deb (1.0 of 3.0 MiB, 5.0 MiB/s)"), "{:?}", seen());
            line.clear();
            assert_eq!(seen(), "");
        }
    }
}
