//! Shows the progress of a run: bars on a terminal, elsewhere a line for each kernel.

use std::collections::HashMap;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::grid::word;
use super::stderr::say;
use super::text::visible;
use crate::evidence::git;
use crate::kernel::Progress;
use crate::run::{Cell, ControlFault, Event};
use crate::words::KernelName;

/// Shows the progress on stderr.
pub struct Live {
    began: Instant,
    screen: Screen,
    /// The last line printed for a kernel, so that none is printed twice.
    told: HashMap<KernelName, String>,
    /// The judged cells of unfinished kernels.
    judged: HashMap<KernelName, Vec<JudgedCell>>,
}

/// A cell in the words of the table.
struct JudgedCell {
    job: String,
    word: String,
    /// The first line of its reason, if any.
    reason: Option<String>,
}

enum Screen {
    Bars { all: MultiProgress, total: ProgressBar, kernels: HashMap<KernelName, ProgressBar> },
    Lines,
}

impl Live {
    /// Bars on a terminal, lines elsewhere and where `CI` is set.
    pub fn new() -> Self {
        let bars = std::io::stderr().is_terminal() && std::env::var_os("CI").is_none();
        let screen = if bars {
            let all = MultiProgress::new();
            let total = all.add(ProgressBar::new(0).with_style(style("{pos}/{len} kernels  {elapsed}")));
            Screen::Bars { all, total, kernels: HashMap::new() }
        } else {
            Screen::Lines
        };
        Self { began: Instant::now(), screen, told: HashMap::new(), judged: HashMap::new() }
    }

    /// Shows an event.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Planned(questions) => {
                let mut kernels: Vec<_> = questions.iter().map(|q| &q.kernel).collect();
                kernels.dedup();
                if let Screen::Bars { total, .. } = &self.screen {
                    total.set_length(kernels.len() as u64);
                    total.enable_steady_tick(Duration::from_millis(100));
                }
            }
            Event::Obtaining { kernel, progress } => {
                let what = progress.as_ref().map_or_else(|| "looking it up".to_owned(), ToString::to_string);
                // Without bars, only slow steps get a line.
                let line = progress.as_ref().is_some_and(Progress::is_slow);
                self.tell(kernel, &what, line);
            }
            Event::Indexing { kernel, repository, progress } => {
                let what = format!("{}: {progress}", repository.display());
                match (&self.screen, progress) {
                    (Screen::Bars { .. }, _) => self.tell(kernel, &what, false),
                    // Without bars, only the start gets a line, not each count.
                    (Screen::Lines, git::IndexProgress::Reading { .. }) => {
                        self.tell(kernel, &format!("reading the history of {}", repository.display()), true);
                    }
                    (Screen::Lines, git::IndexProgress::Rebuilding) => self.tell(kernel, &what, true),
                    (Screen::Lines, _) => {}
                }
            }
            Event::BootStarted { boot, accel, time, .. } => {
                let time = time.map(|time| format!(", seed {}", time.seed)).unwrap_or_default();
                self.tell(&boot.kernel, &format!("booting under {accel} ({}{time})", boot.folder()), false);
            }
            Event::Stage { boot, stage } => self.tell(&boot.kernel, stage.as_str(), false),
            Event::BootEnded(record) => {
                // No line: the cells without a verdict give it as their reason.
                if let Some(failure) = &record.failure {
                    let first = failure.lines().next().unwrap_or_default();
                    self.tell(&record.kernel, &format!("boot-{} failed: {first}", record.number), false);
                }
            }
            Event::AcceleratorFellBack { why } => self.line(&format!("KVM does not work here, using TCG: {why}")),
            Event::TranscriptDiffers { boot, .. } => {
                self.line(&format!("{boot}: ITS TRANSCRIPT DIFFERS from the cached boot of the same inputs"));
            }
            Event::TimeFellBack { why } => self.line(&format!("this QEMU has no virtual time, using real time: {why}")),
            Event::Judged { cell, .. } => {
                if let (Some(ControlFault::Wrong), Some(complaint)) = (cell.control_fault(), cell.control_complaint()) {
                    self.line(&format!("THIS RUN'S VERDICTS CANNOT BE TRUSTED: {complaint}"));
                }
                self.judged.entry(cell.kernel.clone()).or_default().push(JudgedCell::of(cell));
            }
            Event::Failed { kernel, why } => self.line(&format!("{kernel}: backproof itself failed: {why}")),
            Event::Done { kernel } => self.done(kernel),
            Event::Note { kernel, text } => self.tell(kernel, text, false),
            Event::Obtained(_) | Event::Console { .. } | Event::Agent { .. } | Event::Qmp { .. } => {}
        }
    }

    /// Says something that stays on the screen.
    pub fn say(&self, text: &str) {
        self.line(text);
    }

    /// Removes the bars.
    pub fn finish(&mut self) {
        if let Screen::Bars { all, total, kernels } = &mut self.screen {
            for (_, bar) in kernels.drain() {
                bar.finish_and_clear();
            }
            total.finish_and_clear();
            let _ = all.clear();
        }
    }

    /// Shows a kernel's current step on its bar, or as a line if `line` is set.
    fn tell(&mut self, kernel: &KernelName, what: &str, line: bool) {
        let what = visible(what);
        match &mut self.screen {
            Screen::Bars { all, total, kernels } => {
                let bar = kernels.entry(kernel.clone()).or_insert_with(|| {
                    let bar = ProgressBar::new_spinner().with_style(style("{spinner} {prefix:20} {wide_msg}"));
                    let bar = all.insert_before(total, bar.with_prefix(kernel.to_string()));
                    bar.enable_steady_tick(Duration::from_millis(100));
                    bar
                });
                bar.set_message(what);
            }
            Screen::Lines if line => {
                if self.told.insert(kernel.clone(), what.clone()).as_ref() != Some(&what) {
                    self.line(&format!("{kernel}: {what}"));
                }
            }
            Screen::Lines => {}
        }
    }

    fn done(&mut self, kernel: &KernelName) {
        let words = in_words(&self.judged.remove(kernel).unwrap_or_default());
        if let Screen::Bars { total, kernels, .. } = &mut self.screen {
            if let Some(bar) = kernels.remove(kernel) {
                bar.finish_and_clear();
            }
            total.inc(1);
        }
        self.line(&format!("{kernel}: {words}"));
    }

    fn line(&self, text: &str) {
        let text = visible(text);
        match &self.screen {
            Screen::Bars { all, .. } => {
                // The run goes on without a bar.
                let _ = all.println(text);
            }
            Screen::Lines => say(format_args!("[{:6.1}s] {text}", self.began.elapsed().as_secs_f64())),
        }
    }
}

impl JudgedCell {
    fn of(cell: &Cell) -> Self {
        let reason = cell.judgement.reason.as_deref().and_then(|reason| reason.lines().next()).map(str::to_owned);
        Self { job: cell.job().to_string(), word: word(cell), reason }
    }
}

/// A kernel's cells in one line. Cells with the same reason share it.
fn in_words(cells: &[JudgedCell]) -> String {
    let mut groups: Vec<(Vec<&str>, &JudgedCell)> = Vec::new();
    for cell in cells {
        let same = |(_, first): &&mut (Vec<&str>, &JudgedCell)| {
            cell.reason.is_some() && (&first.word, &first.reason) == (&cell.word, &cell.reason)
        };
        match groups.iter_mut().find(same) {
            Some((jobs, _)) => jobs.push(&cell.job),
            None => groups.push((vec![&cell.job], cell)),
        }
    }
    let mut text = String::new();
    for (index, (jobs, cell)) in groups.iter().enumerate() {
        let after_reason = index > 0 && groups.get(index - 1).is_some_and(|(_, before)| before.reason.is_some());
        text += if index == 0 {
            ""
        } else if after_reason {
            "; "
        } else {
            ", "
        };
        text += &format!("{} {}", jobs.join(", "), cell.word);
        text.extend(cell.reason.iter().map(|reason| format!(": {reason}")));
    }
    text
}

impl Default for Live {
    fn default() -> Self {
        Self::new()
    }
}

/// A bar of this template.
pub(super) fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_spinner())
}

#[cfg(test)]
mod tests {
    use super::super::table::tests::{affected, cell, mitigated};
    use super::*;
    use crate::run::WireRecord;

    #[test]
    fn line_of_a_kernel_has_the_words_of_the_table() {
        let mut live =
            Live { began: Instant::now(), screen: Screen::Lines, told: HashMap::new(), judged: HashMap::new() };
        for cell in [
            cell("a", "one", "fail", affected()),
            cell("a", "one@mitigates", "fail", mitigated()),
            cell("a", "two", "pass", affected()),
        ] {
            live.event(&Event::Judged { cell: Box::new(cell), wire: WireRecord::default() });
        }
        let indexing =
            |progress| Event::Indexing { kernel: "a".parse().expect("a name"), repository: "linux".into(), progress };
        live.event(&indexing(git::IndexProgress::Waiting));
        assert!(live.told.is_empty(), "it costs nothing");
        for commits in [8192, 16384] {
            live.event(&indexing(git::IndexProgress::Reading { commits }));
        }
        let told: Vec<&String> = live.told.values().collect();
        assert_eq!(told, ["reading the history of linux"], "a line, and not one for each count");
        let words: Vec<String> = live.judged.values().map(|cells| in_words(cells)).collect();
        assert_eq!(words, ["one FAIL (expected), one@mitigates pass (mitigated), two FAIL"]);
    }

    #[test]
    fn shared_reason_is_shown_once_after_its_cells() {
        let cell = |job: &str, word: &str, reason: Option<&str>| JudgedCell {
            job: job.to_owned(),
            word: word.to_owned(),
            reason: reason.map(str::to_owned),
        };
        let cells = [
            cell("one", "ERROR", Some("panic: no init found")),
            cell("two", "skip", Some("no CONFIG_TUN")),
            cell("three", "ERROR", Some("panic: no init found")),
            cell("four", "pass", None),
        ];
        assert_eq!(in_words(&cells), "one, three ERROR: panic: no init found; two skip: no CONFIG_TUN; four pass");
    }
}
