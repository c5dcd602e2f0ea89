//! Watches the host while it runs a guest: whether it kept the guest from running, and how busy it was.
//!
//! If the host doesn't run a guest for seconds, the guest's clocks jump: its reports prove nothing, and a hang is not the
//! kernel's fault. The watch has its own thread, because the loop that watches the guest may be busy.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::Pid;
use rustix::time::{ClockId, clock_gettime};

use super::pace::{Pace, PaceSample};

/// From one look at the host to the next.
const PERIOD: Duration = Duration::from_millis(200);

/// The shortest pause that counts as a freeze. The reproducers tolerate shorter ones; their shortest timeouts are a fifth
/// of this.
const FREEZE: Duration = Duration::from_secs(1);

/// Freezes of one boot that are kept.
const MAX_FREEZES: usize = 20;

/// Runnable tasks for each processor from which on a host is called too busy.
const BUSY: f64 = 2.0;

/// The share of the processors' time that a hypervisor took, from which on a host is called too busy.
const MUCH_STEAL: f64 = 0.25;

/// The way in which the host kept a guest from running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FreezeCause {
    /// QEMU was stopped: SIGSTOP, a debugger.
    Stopped,
    /// The whole host stood still: suspended, paused by its own hypervisor, or out of processor time altogether.
    HostStoodStill,
    /// The host's own hypervisor took a processor away (`steal` of /proc/stat).
    Steal,
}

/// A time in which the host kept a guest from running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Freeze {
    /// The cause.
    pub cause: FreezeCause,
    /// When it had ended.
    pub ended: Instant,
    /// For how long, give or take a fifth of a second.
    pub lasted: Duration,
}

impl fmt::Display for Freeze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.lasted.as_secs_f64();
        match self.cause {
            FreezeCause::Stopped => {
                write!(f, "the host stopped QEMU for {seconds:.1} s (SIGSTOP, a debugger, a frozen container)")
            }
            FreezeCause::HostStoodStill => {
                write!(
                    f,
                    "the host stood still for {seconds:.1} s (suspended, paused by its hypervisor, or far too busy)"
                )
            }
            FreezeCause::Steal => write!(f, "the host's hypervisor took a processor away for {seconds:.1} s (steal)"),
        }
    }
}

/// The host's behaviour while it ran a guest.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HostRecord {
    /// The longest freezes, in their order.
    pub freezes: Vec<Freeze>,
    /// Tasks that wanted a processor, on average.
    pub runnable: f64,
    /// Processors that this program may use.
    pub processors: usize,
    /// The share of all processors' time that the host's hypervisor took, 0 to 1.
    pub steal: f64,
}

impl HostRecord {
    /// The first freeze that ended after this moment.
    pub fn frozen_since(&self, moment: Instant) -> Option<&Freeze> {
        self.freezes.iter().find(|freeze| freeze.ended >= moment)
    }

    /// A message if the host was too busy for a guest's timings: `host too busy: 17 runnable on 2 processors`.
    pub fn too_busy(&self) -> Option<String> {
        let (runnable, processors) = (self.runnable.round(), self.processors);
        if self.steal >= MUCH_STEAL {
            let percent = self.steal * 100.0;
            return Some(format!("host too busy: its hypervisor took {percent:.0} % of its processor time (steal)"));
        }
        let is_busy = processors > 0 && self.runnable > BUSY * processors as f64;
        is_busy.then(|| format!("host too busy: {runnable:.0} runnable on {processors} processors"))
    }
}

/// The watch over one process. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct HostWatch {
    stop: Sender<()>,
    thread: Option<JoinHandle<HostRecord>>,
}

impl HostWatch {
    /// Starts the watch, which keeps `pace` for a guest in virtual time. Without a thread it records nothing.
    pub(crate) fn start(pid: Option<Pid>, pace: Option<Arc<Pace>>) -> Self {
        let (stop, stopped) = channel();
        let look = move || {
            let mut tally = Tally::default();
            let mut before = PaceSample::default();
            loop {
                let sample = Sample::now(pid);
                if let (Some(pid), Some(pace)) = (pid, &pace) {
                    let now = PaceSample::now(pid, sample.clock);
                    if tally.first.is_some() {
                        pace.take(before, now);
                    }
                    before = now;
                }
                tally.take(&sample);
                // Dropping the watch closes the channel.
                if stopped.recv_timeout(PERIOD) != Err(RecvTimeoutError::Timeout) {
                    tally.take(&Sample::now(pid));
                    return tally.finish();
                }
            }
        };
        Self { stop, thread: thread::Builder::new().name("host-watch".to_owned()).spawn(look).ok() }
    }

    /// Whether it watches: a host may have no thread left.
    pub(crate) fn watches(&self) -> bool {
        self.thread.is_some()
    }

    /// Ends it, and returns the record.
    pub(crate) fn finish(self) -> HostRecord {
        drop(self.stop);
        self.thread.and_then(|thread| thread.join().ok()).unwrap_or_default()
    }
}

/// One look at the host.
#[derive(Clone, Debug, PartialEq)]
struct Sample {
    /// CLOCK_BOOTTIME: it goes on while the host is suspended.
    clock: Duration,
    at: Instant,
    /// Whether the process is stopped, or traced to a stop.
    stopped: bool,
    /// Tasks that want a processor, but for this one.
    runnable: Option<f64>,
    /// Steal of each processor so far, and the time of all processors, as /proc/stat has it.
    steal: BTreeMap<String, Duration>,
    total: Duration,
}

impl Sample {
    fn now(pid: Option<Pid>) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let process = pid.map(|pid| read(&format!("/proc/{}/stat", pid.as_raw_nonzero()))).unwrap_or_default();
        let now = clock_gettime(ClockId::Boottime);
        let clock = Duration::new(now.tv_sec.try_into().unwrap_or(0), now.tv_nsec.try_into().unwrap_or(0));
        let (steal, total) = times(&read("/proc/stat"), rustix::param::clock_ticks_per_second());
        let runnable = runnable(&read("/proc/loadavg"));
        Self { clock, at: Instant::now(), stopped: is_stopped(&process), runnable, steal, total }
    }
}

/// Whether a process is stopped, by its /proc/PID/stat: the letter behind the name, which may have any character.
fn is_stopped(stat: &str) -> bool {
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with(['T', 't']))
}

/// The tasks that run or want to, but for the one that looks: the fourth field of /proc/loadavg.
fn runnable(loadavg: &str) -> Option<f64> {
    let running: f64 = loadavg.split_whitespace().nth(3)?.split_once('/')?.0.parse().ok()?;
    Some((running - 1.0).max(0.0))
}

/// Steal of each processor, and the time of all together: the lines `cpuN user nice system idle iowait irq softirq steal …`
/// of /proc/stat, in ticks (proc(5)). Guests' time is in `user` already.
fn times(stat: &str, ticks_per_second: u64) -> (BTreeMap<String, Duration>, Duration) {
    let seconds = |ticks: u64| Duration::from_millis(ticks.saturating_mul(1000) / ticks_per_second.max(1));
    let (mut steal, mut total) = (BTreeMap::new(), Duration::ZERO);
    for line in stat.lines() {
        let mut words = line.split_whitespace();
        let Some(name) = words.next().filter(|name| name.starts_with("cpu") && name.len() > 3) else { continue };
        let fields: Vec<u64> = words.take(8).map_while(|word| word.parse().ok()).collect();
        total += seconds(fields.iter().fold(0, |sum, ticks| sum.saturating_add(*ticks)));
        if let Some(ticks) = fields.get(7) {
            steal.insert(name.to_owned(), seconds(*ticks));
        }
    }
    (steal, total)
}

/// The sum of the samples.
#[derive(Debug, Default)]
struct Tally {
    first: Option<Sample>,
    last: Option<Sample>,
    /// Since when the process is stopped.
    stopped_since: Option<Duration>,
    freezes: Vec<Freeze>,
    runnable: (f64, u32),
}

impl Tally {
    fn take(&mut self, now: &Sample) {
        if let Some(runnable) = now.runnable {
            self.runnable = (self.runnable.0 + runnable, self.runnable.1 + 1);
        }
        let before = self.last.replace(now.clone());
        let Some(before) = before else {
            self.first = Some(now.clone());
            self.stopped_since = now.stopped.then_some(now.clock);
            return;
        };
        let passed = now.clock.saturating_sub(before.clock);
        // A processor that was away reports its whole steal time when it is back; a shared one reports a little each time.
        let stolen = now.steal.iter().filter_map(|(cpu, steal)| Some(steal.saturating_sub(*before.steal.get(cpu)?)));
        let stolen = stolen.max().unwrap_or_default();
        if passed >= FREEZE + PERIOD {
            self.freeze(FreezeCause::HostStoodStill, now.at, passed);
        } else if stolen >= FREEZE {
            self.freeze(FreezeCause::Steal, now.at, stolen);
        }
        match (self.stopped_since, now.stopped) {
            (None, true) => self.stopped_since = Some(now.clock),
            (Some(since), false) => {
                self.stopped_since = None;
                self.stopped(since, now);
            }
            _ => {}
        }
    }

    fn stopped(&mut self, since: Duration, now: &Sample) {
        let lasted = now.clock.saturating_sub(since);
        if lasted >= FREEZE {
            self.freeze(FreezeCause::Stopped, now.at, lasted);
        }
    }

    fn freeze(&mut self, cause: FreezeCause, ended: Instant, lasted: Duration) {
        self.freezes.push(Freeze { cause, ended, lasted });
        if self.freezes.len() > MAX_FREEZES
            && let Some(shortest) = (0..self.freezes.len()).min_by_key(|&at| self.freezes[at].lasted)
        {
            self.freezes.remove(shortest);
        }
    }

    fn finish(mut self) -> HostRecord {
        if let (Some(since), Some(last)) = (self.stopped_since, self.last.clone()) {
            self.stopped(since, &last);
        }
        let all = |sample: &Sample| sample.steal.values().sum::<Duration>();
        let steal = match (&self.first, &self.last) {
            (Some(first), Some(last)) if last.total > first.total => {
                let total = last.total.saturating_sub(first.total).as_secs_f64();
                all(last).saturating_sub(all(first)).as_secs_f64() / total
            }
            _ => 0.0,
        };
        let (sum, samples) = self.runnable;
        HostRecord {
            freezes: self.freezes,
            runnable: if samples == 0 { 0.0 } else { sum / f64::from(samples) },
            processors: thread::available_parallelism().map_or(1, std::num::NonZero::get),
            steal,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A host with one processor, looked at after so many milliseconds.
    fn sample(ms: u64, stopped: bool, steal_ms: u64) -> Sample {
        Sample {
            clock: Duration::from_millis(ms),
            at: Instant::now(),
            stopped,
            runnable: Some(3.0),
            steal: [("cpu0".to_owned(), Duration::from_millis(steal_ms))].into(),
            total: Duration::from_millis(ms),
        }
    }

    fn seen(samples: &[(u64, bool, u64)]) -> Vec<(FreezeCause, u64)> {
        let mut tally = Tally::default();
        samples.iter().for_each(|&(ms, stopped, steal)| tally.take(&sample(ms, stopped, steal)));
        let millis = |d: Duration| u64::try_from(d.as_millis()).unwrap_or(u64::MAX);
        tally.finish().freezes.iter().map(|freeze| (freeze.cause, millis(freeze.lasted))).collect()
    }

    #[test]
    fn freezes_are_told_from_slowness() {
        use FreezeCause::{HostStoodStill, Steal, Stopped};
        type Row<'a> = (&'a str, &'a [(u64, bool, u64)], &'a [(FreezeCause, u64)]);
        let table: &[Row] = &[
            ("nothing", &[], &[]),
            ("a quiet host", &[(0, false, 0), (200, false, 0), (400, false, 0)], &[]),
            ("a late look", &[(0, false, 0), (1100, false, 0)], &[]),
            ("a suspended host", &[(0, false, 0), (200, false, 0), (4300, false, 0)], &[(HostStoodStill, 4100)]),
            ("a short stop", &[(0, false, 0), (200, true, 0), (400, true, 0), (600, false, 0)], &[]),
            ("a stop", &[(0, false, 0), (1000, true, 0), (1500, true, 0), (2100, false, 0)], &[(Stopped, 1100)]),
            ("a stop without an end", &[(0, true, 0), (600, true, 0), (1200, true, 0)], &[(Stopped, 1200)]),
            ("a shared processor", &[(0, false, 0), (1000, false, 950), (2000, false, 1900)], &[]),
            ("a processor that was away", &[(0, false, 0), (200, false, 0), (400, false, 3900)], &[(Steal, 3900)]),
            // Its clock stood still too: nothing that the guest could see.
            ("a clock that goes back", &[(900, false, 5), (100, false, 0)], &[]),
        ];
        for (name, samples, want) in table {
            assert_eq!(seen(samples), *want, "{name}");
        }
        let many: Vec<(u64, bool, u64)> = (0..100).map(|n| (n * 5000, false, 0)).collect();
        assert_eq!(seen(&many).len(), MAX_FREEZES);
    }

    #[test]
    fn busy_hosts_are_named_with_figures() {
        let record = |runnable, processors, steal| HostRecord { freezes: Vec::new(), runnable, processors, steal };
        for (record, said) in [
            (record(17.2, 2, 0.0), Some("host too busy: 17 runnable on 2 processors")),
            (record(4.0, 2, 0.0), None),
            (record(0.0, 0, 0.0), None),
            (record(1.0, 2, 0.31), Some("host too busy: its hypervisor took 31 % of its processor time (steal)")),
        ] {
            assert_eq!(record.too_busy().as_deref(), said);
        }
        let mut tally = Tally::default();
        [(0, 0), (1000, 400), (2000, 800)].into_iter().for_each(|(ms, steal)| tally.take(&sample(ms, false, steal)));
        let record = tally.finish();
        assert_eq!((record.runnable, (record.steal * 10.0).round()), (3.0, 4.0));
    }

    #[test]
    fn proc_files_are_parsed_as_proc_5_describes() {
        assert_eq!(runnable("16.93 9.01 4.44 18/612 30411\n"), Some(17.0));
        assert_eq!(runnable("0.00 0.00 0.00 1/1 1"), Some(0.0));
        for odd in ["", "1 2 3", "1 2 3 x/4 5"] {
            assert_eq!(runnable(odd), None, "{odd}");
        }
        for (stat, stopped) in [
            ("7 (qemu-system-x86) T 1 7", true),
            ("7 (odd) T name) S 1 7", false),
            ("7 (a) t 1 7", true),
            ("7 (a) R 1 7", false),
            ("", false),
        ] {
            assert_eq!(is_stopped(stat), stopped, "{stat}");
        }
        let stat = "cpu  20 0 0 180 0 0 0 30 0 0\ncpu0 10 0 0 90 0 0 0 10 0 0\ncpu1 10 0 0 90 0 0 0 20 9 9\nintr 5\n";
        let (steal, total) = times(stat, 100);
        let ms = |text: &str| steal.get(text).map(Duration::as_millis);
        assert_eq!((ms("cpu0"), ms("cpu1"), steal.len()), (Some(100), Some(200), 2));
        assert_eq!(total, Duration::from_millis(2300));
        // Kernels before 2.6.11 have no steal.
        assert_eq!(times("cpu0 1 2 3 4\n", 100).0.len(), 0);
        assert_eq!(times("cpu0 x\nnonsense", 0), (BTreeMap::from([]), Duration::ZERO));
    }

    #[test]
    fn this_host_is_seen() {
        let record = HostWatch::start(Some(rustix::process::getpid()), None).finish();
        assert!(record.processors > 0 && (0.0..=1.0).contains(&record.steal), "{record:?}");
    }
}
