//! What was not shown of a connection, and what would show it.

/// What was not shown and would tell more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::host) struct Lacking {
    /// Its memory (`ss -m`).
    pub memory: bool,
    /// Its timeout, and how often that was doubled (`ss -i`).
    pub info: bool,
    /// The timer that runs (`ss -o`).
    pub timer: bool,
    /// When data was last sent (`lastsnd` of `ss -i`).
    pub sent: bool,
    /// Its peer's window, which `ss -i` shows as `snd_wnd` since Linux 5.4.
    pub window: bool,
    /// Its lines are broken.
    pub damaged: bool,
}

impl Lacking {
    /// What either lacks.
    pub fn and(&mut self, other: Self) {
        self.memory |= other.memory;
        self.info |= other.info;
        self.timer |= other.timer;
        self.sent |= other.sent;
        self.window |= other.window;
        self.damaged |= other.damaged;
    }

    /// In words: what was not shown, with the option that shows it.
    pub fn words(self) -> String {
        let all = [
            (self.memory, "memory (`ss -m`)"),
            (self.info, "timeouts (`ss -i`)"),
            (self.timer, "timers (`ss -o`)"),
            (self.sent, "the time of the last data (`lastsnd` in `ss -i`)"),
            (self.window, "the peer's window (`snd_wnd` in `ss -i`, Linux 5.4 or newer)"),
        ];
        let lacking: Vec<&str> = all.into_iter().filter_map(|(lacks, what)| lacks.then_some(what)).collect();
        let broken = "some lines are broken (save the output as a file instead of pasting it)";
        match (lacking.is_empty(), self.damaged) {
            (false, false) => format!("not shown: {}", lacking.join(", ")),
            (false, true) => format!("not shown: {}; {broken}", lacking.join(", ")),
            (true, _) => broken.to_owned(),
        }
    }
}
