//! Watches the kernel's console for the boot's progress and for splats.
//!
//! The console is the guest's, so everything kept here is bounded: the length of a line, the lines of an excerpt,
//! the warnings, and the bytes in all.

use std::fmt;

use std::collections::VecDeque;

use super::lines::{BoundedLine, Splitter};
use super::splat::{self, Printk, SplatKind};

/// A longer console line is cut here. The kernel's own limit is 1 KiB (`LOG_LINE_MAX`, later `PRINTKRB_RECORD_MAX`).
const MAX_LINE: usize = 2048;

/// The lines that a failure shows of the console's end.
const LAST_LINES: usize = 30;

/// The head and the tail of an excerpt: a dump of one processor has 60 to 100 lines, and of several what was
/// first matters most.
const EXCERPT_HEAD: usize = 160;
const EXCERPT_TAIL: usize = 40;

/// The warnings that are kept of one boot.
const MAX_WARNINGS: usize = 20;

/// Bytes of console in one boot, after which the guest is a flood: a whole boot with every debugging message is
/// below 300 kB.
pub(crate) const MAX_CONSOLE: u64 = 1 << 20;

/// The beginning of the kernel's first line (`linux_banner` of init/version.c); its release follows.
pub(crate) const BANNER: &str = "Linux version ";

/// The stage that a boot has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// QEMU runs, without output from the guest.
    Started,
    /// Something came over the console: the decompressor, or the kernel's setup code.
    Loading,
    /// The kernel has told its version.
    Kernel,
    /// The kernel has started PID 1.
    Init,
    /// The agent has said hello.
    Agent,
    /// The agent has said that all jobs have reported.
    Ended,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Stage {
    /// Its name for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Started => "QEMU started",
            Self::Loading => "loading the kernel",
            Self::Kernel => "the kernel boots",
            Self::Init => "the init runs",
            Self::Agent => "the agent runs",
            Self::Ended => "the agent has ended",
        }
    }
}

/// An oops, panic, warning or the like, as the kernel printed it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splat {
    /// Its kind.
    pub kind: SplatKind,
    /// The kernel's own words, without addresses and times.
    pub title: String,
    /// The lines of the dump, truncated: head and tail, with a line of `…` between them.
    pub excerpt: Vec<String>,
}

/// The state machine over the console's bytes.
#[derive(Debug)]
pub(crate) struct Monitor {
    splitter: Splitter,
    bytes: u64,
    stage: Stage,
    banner: Option<String>,
    announced_restart: bool,
    last: VecDeque<String>,
    /// `cut here` or the head of an OOM report: the dump begins there, its name comes later.
    opening: Vec<String>,
    warnings: Vec<BootWarning>,
    /// Seconds of the kernel's clock at the splat that ends the boot.
    hit_at: Option<f64>,
    /// Milliseconds of the kernel's clock when the agent started; warnings are tolerated until then.
    agent_since_ms: Option<u64>,
    /// Set after an NMI was sent on purpose: the dump that follows is its answer.
    asked: Option<Dump>,
    hit: Option<Dump>,
    warning: Option<Dump>,
}

/// A splat whose lines are still coming.
#[derive(Clone, Debug)]
struct Dump {
    kind: SplatKind,
    title: String,
    /// The title names a function, or never will.
    placed: bool,
    head: Vec<String>,
    tail: VecDeque<String>,
    left_out: usize,
    ended: bool,
}

/// A warning before the agent ran, as far as that is known.
#[derive(Debug)]
struct BootWarning {
    /// Seconds of the kernel's clock, if it prints times.
    at: Option<f64>,
    splat: Splat,
}

/// Whether something in the kernel's log, at these seconds, came at this uptime or after it.
fn is_since(at: Option<f64>, uptime_ms: u64) -> bool {
    at.is_some_and(|seconds| seconds * 1000.0 >= uptime_ms as f64)
}

impl Dump {
    fn new(kind: SplatKind, title: String, head: Vec<String>) -> Self {
        Self { kind, title, placed: false, head, tail: VecDeque::new(), left_out: 0, ended: false }
    }

    fn push(&mut self, line: &str, text: &str) {
        if self.head.len() < EXCERPT_HEAD {
            self.head.push(line.to_owned());
        } else {
            if self.tail.len() == EXCERPT_TAIL {
                self.tail.pop_front();
                self.left_out += 1;
            }
            self.tail.push_back(line.to_owned());
        }
        if self.kind == SplatKind::Oops
            && !self.placed
            && !self.ended
            && let Some(function) = splat::function_of(text)
        {
            if !self.title.contains(function) {
                self.title = format!("{} in {function}", self.title);
            }
            self.placed = true;
        }
        self.ended |= splat::ends_dump(text);
    }

    fn splat(&self) -> Splat {
        let mut excerpt = self.head.clone();
        if self.left_out > 0 {
            excerpt.push(format!("… {} lines left out …", self.left_out));
        }
        excerpt.extend(self.tail.iter().cloned());
        Splat { kind: self.kind, title: self.title.clone(), excerpt }
    }
}

impl Monitor {
    pub(crate) fn new() -> Self {
        Self {
            splitter: Splitter::new(MAX_LINE),
            bytes: 0,
            stage: Stage::Started,
            banner: None,
            announced_restart: false,
            last: VecDeque::with_capacity(LAST_LINES),
            opening: Vec::new(),
            warnings: Vec::new(),
            hit_at: None,
            agent_since_ms: None,
            asked: None,
            hit: None,
            warning: None,
        }
    }

    /// Takes the next bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len() as u64;
        if !bytes.is_empty() {
            self.stage = self.stage.max(Stage::Loading);
        }
        let mut splitter = std::mem::replace(&mut self.splitter, Splitter::new(MAX_LINE));
        splitter.push(bytes, |line| {
            let (BoundedLine::Whole(text) | BoundedLine::TooLong(text)) = line;
            self.line(&readable(text));
        });
        self.splitter = splitter;
    }

    /// The console has ended: a line without a newline is a line too.
    pub(crate) fn end(&mut self) {
        let rest = readable(self.splitter.unfinished());
        self.splitter = Splitter::new(MAX_LINE);
        if !rest.is_empty() {
            self.line(&rest);
        }
    }

    /// The agent runs, and started this long after the kernel's clock did: a warning from then on is not the
    /// machine's. The agent's port can lag behind the console, so that such a warning may be here already.
    pub(crate) fn agent_runs(&mut self, uptime_ms: u64) {
        self.agent_since_ms = Some(uptime_ms);
        let last = self.warning.take();
        if self.hit.is_some() {
            return;
        }
        let first = self.warnings.iter().position(|warning| is_since(warning.at, uptime_ms));
        let late = self.warnings.split_off(first.unwrap_or(self.warnings.len()));
        let Some(BootWarning { at, splat }) = late.first() else { return };
        let mut dump = Dump::new(splat.kind, splat.title.clone(), Vec::new());
        for line in late.iter().flat_map(|warning| &warning.splat.excerpt) {
            dump.push(line, Printk::parse(line).text);
        }
        // The end of an earlier one is not that of the last.
        dump.ended = last.is_none_or(|last| last.ended);
        (self.hit, self.hit_at) = (Some(dump), *at);
    }

    /// Whether the splat that ends the boot came at this time of the kernel's clock, in milliseconds, or after it. Unknown for
    /// a kernel that prints no times.
    pub(crate) fn is_hit_since(&self, uptime_ms: u64) -> bool {
        is_since(self.hit_at, uptime_ms)
    }

    /// Whether the splat that ends the boot came before this time.
    pub(crate) fn is_hit_before(&self, uptime_ms: u64) -> bool {
        self.hit_at.is_some() && !self.is_hit_since(uptime_ms)
    }

    /// The kernel's dump from here on is the one that an NMI requested.
    pub(crate) fn expect_dump(&mut self) {
        self.asked = Some(Dump::new(SplatKind::Panic, String::new(), Vec::new()));
    }

    /// The lines since [`Monitor::expect_dump`].
    pub(crate) fn dump(&self) -> Vec<String> {
        self.asked.as_ref().map(|d| d.splat().excerpt).unwrap_or_default()
    }

    /// The splat that ends the boot, with the lines printed so far.
    pub(crate) fn hit(&self) -> Option<Splat> {
        self.hit.as_ref().map(Dump::splat)
    }

    /// Whether a splat ends the boot.
    pub(crate) fn is_hit(&self) -> bool {
        self.hit.is_some()
    }

    /// The stage of the boot, according to the console.
    pub(crate) fn stage(&self) -> Stage {
        self.stage
    }

    /// `Linux version …`, the kernel's first line.
    pub(crate) fn banner(&self) -> Option<&str> {
        self.banner.as_deref()
    }

    /// Whether the kernel has said that it restarts or powers off.
    pub(crate) fn announced_restart(&self) -> bool {
        self.announced_restart
    }

    /// Whether the guest has printed more than any boot does.
    pub(crate) fn is_flood(&self) -> bool {
        self.bytes > MAX_CONSOLE
    }

    /// The console's last lines, up to the one that begins a dump. Complete after [`Monitor::end`].
    pub(crate) fn last_lines(&self) -> Vec<String> {
        self.last.iter().cloned().collect()
    }

    /// The warnings before the agent ran.
    pub(crate) fn warnings(&self) -> Vec<Splat> {
        self.warnings.iter().map(|warning| warning.splat.clone()).collect()
    }

    fn line(&mut self, line: &str) {
        let printk = Printk::parse(line);
        let text = printk.text;
        // The last lines are those before a dump: the dump itself is the excerpt.
        if self.hit.is_none() && self.asked.is_none() {
            if self.last.len() == LAST_LINES {
                self.last.pop_front();
            }
            self.last.push_back(line.to_owned());
        }
        self.progress(text);
        if let Some(dump) = &mut self.asked {
            dump.push(line, text);
            return;
        }
        let kind = splat::kind_of(text);
        if let Some(hit) = &mut self.hit {
            match kind {
                // A warning is often the first sign of what then kills the kernel.
                Some(kind) if hit.kind == SplatKind::Warning && kind != SplatKind::Warning => {
                    hit.kind = kind;
                    hit.title = splat::title(text);
                    hit.placed = false;
                    hit.ended = false;
                }
                _ => {}
            }
            hit.push(line, text);
            return;
        }
        match kind {
            Some(kind) => self.begin(kind, &printk, line),
            None if splat::opens_dump(text) => self.opening = vec![line.to_owned()],
            None => {
                if !self.opening.is_empty() && self.opening.len() < EXCERPT_HEAD {
                    self.opening.push(line.to_owned());
                }
                self.more_of_a_warning(line, text);
            }
        }
    }

    fn begin(&mut self, kind: SplatKind, printk: &Printk<'_>, line: &str) {
        let mut title = splat::title(printk.text);
        if kind == SplatKind::Decompressor && title.starts_with("--") {
            // The reason stands above, with empty lines between.
            let above = self.last.iter().rev().skip(1).find(|l| !l.trim().is_empty());
            title = above.map_or(title, |reason| splat::title(reason));
        }
        let head = std::mem::take(&mut self.opening);
        let mut dump = Dump::new(kind, title, head);
        dump.push(line, printk.text);
        let before_agent = match (self.agent_since_ms, printk.seconds) {
            (None, _) => true,
            // The console can lag behind the agent's port: the kernel's own clock decides if there is one.
            (Some(since), at @ Some(_)) => !is_since(at, since),
            (Some(_), None) => false,
        };
        if kind == SplatKind::Warning && before_agent {
            // The newest is kept in any case: it may turn out to be later than the agent's start.
            self.warnings.truncate(MAX_WARNINGS - 1);
            self.warnings.push(BootWarning { at: printk.seconds, splat: dump.splat() });
            self.warning = Some(dump);
        } else {
            self.warning = None;
            self.hit_at = printk.seconds;
            self.hit = Some(dump);
        }
    }

    fn more_of_a_warning(&mut self, line: &str, text: &str) {
        let Some(dump) = &mut self.warning else { return };
        dump.push(line, text);
        if let Some(last) = self.warnings.last_mut() {
            last.splat = dump.splat();
        }
        if dump.ended || dump.head.len() >= EXCERPT_HEAD {
            self.warning = None;
        }
    }

    fn progress(&mut self, text: &str) {
        // Earlier output of the firmware and the setup code may lack a newline.
        if self.stage < Stage::Kernel
            && let Some(at) = text.find(BANNER)
        {
            self.stage = Stage::Kernel;
            self.banner = Some(text[at..].to_owned());
        } else if text.starts_with("Run /") && text.ends_with(" as init process")
            || text.starts_with("Freeing unused kernel ")
        {
            self.stage = self.stage.max(Stage::Init);
        } else if text.starts_with("reboot: ")
            || text.starts_with("Restarting system")
            || text.starts_with("Power down")
            || text.starts_with("machine restart")
        {
            self.announced_restart = true;
        }
    }
}

/// Bytes of a console as text: invalid UTF-8 and control characters are replaced.
fn readable(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end_matches('\r');
    text.chars().map(|c| if c.is_control() && c != '\t' { '\u{fffd}' } else { c }).collect()
}

#[cfg(test)]
#[path = "console_tests.rs"]
mod tests;
