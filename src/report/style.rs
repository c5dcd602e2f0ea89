//! The look of text for people: its width and its colours.

use anstyle::{AnsiColor, Style as Colour};
use rustix::termios::tcgetwinsize;

pub(super) const GOOD: Colour = AnsiColor::Green.on_default();
pub(super) const BAD: Colour = AnsiColor::Red.on_default().bold();
pub(super) const BROKEN: Colour = AnsiColor::Magenta.on_default().bold();
pub(super) const DIM: Colour = Colour::new().dimmed();
pub(super) const LOUD: Colour = Colour::new().bold();

/// The layout of a text.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Columns that it may take.
    pub width: usize,
    /// Whether the whole evidence follows the answer.
    pub explain: bool,
}

impl Default for Style {
    /// The width that fits every terminal and pastes well.
    fn default() -> Self {
        Self { width: 100, explain: false }
    }
}

impl Style {
    /// The width of the terminal, but at most the default. `COLUMNS` wins, then stdout, stderr and stdin: with only
    /// stdout piped into a pager, stderr still is the terminal.
    pub fn of_terminal() -> Self {
        let named = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        let seen = || {
            let of = |columns: rustix::io::Result<rustix::termios::Winsize>| Some(usize::from(columns.ok()?.ws_col));
            let (out, err, from) = (std::io::stdout(), std::io::stderr(), std::io::stdin());
            let streams = [of(tcgetwinsize(out)), of(tcgetwinsize(err)), of(tcgetwinsize(from))];
            streams.into_iter().flatten().find(|columns| *columns > 0)
        };
        Self::of_columns(named.filter(|columns| *columns > 0).or_else(seen))
    }

    /// The same, with or without the whole evidence.
    #[must_use]
    pub fn explaining(self, explain: bool) -> Self {
        Self { explain, ..self }
    }

    pub(super) fn of_columns(columns: Option<usize>) -> Self {
        let wide = Self::default().width;
        Self { width: columns.map_or(wide, |columns| columns.clamp(60, wide)), explain: false }
    }
}
