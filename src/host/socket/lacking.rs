//! Facts that were not shown of a connection, and the options that show them.

/// The missing facts that would tell more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::host) struct Lacking {
    /// Its memory (`ss -m`).
    pub memory: bool,
    /// Its timeout, and the number of its doublings (`ss -i`).
    pub info: bool,
    /// The running timer (`ss -o`).
    pub timer: bool,
    /// The time of the last sent data (`lastsnd` of `ss -i`).
    pub sent: bool,
    /// Its peer's window, which `ss -i` shows as `snd_wnd` since Linux 5.4.
    pub window: bool,
    /// Whether its lines are malformed.
    pub damaged: bool,
}

impl Lacking {
    /// Adds the missing facts of another connection.
    pub fn and(&mut self, other: Self) {
        self.memory |= other.memory;
        self.info |= other.info;
        self.timer |= other.timer;
        self.sent |= other.sent;
        self.window |= other.window;
        self.damaged |= other.damaged;
    }

    /// As text: the missing facts, with the options that show them.
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
