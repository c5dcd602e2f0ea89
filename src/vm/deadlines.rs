//! Scales all waits of a boot to the accelerator and the host's load.

use std::time::Duration;

use super::accel::Accel;

/// The number of processes for each processor of the host: 1.0 is fully busy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HostLoad(f64);

impl HostLoad {
    /// A host with nothing to do.
    pub const IDLE: Self = Self(0.0);

    /// `runnable` processes on `processors`.
    pub fn of(runnable: f64, processors: usize) -> Self {
        let load = runnable / processors.max(1) as f64;
        Self(if load.is_finite() && load > 0.0 { load } else { 0.0 })
    }

    /// The same, but for `runnable` processes on `processors` at least: guests that are about to start are in no
    /// average yet.
    #[must_use]
    pub fn at_least(self, runnable: usize, processors: usize) -> Self {
        Self(self.0.max(Self::of(runnable as f64, processors).0))
    }

    /// The host's load now, with this many guests of this many processors each about to run concurrently.
    pub fn beside(guests: usize, cpus: u32) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self::now().at_least(guests.saturating_mul(usize::try_from(cpus).unwrap_or(1)), processors)
    }

    /// The factor for the time of a guest's own work: 1, 2, 4 or 8. There are only few values because they become part of
    /// the guest's plan, and each different plan needs its own cached guest.
    pub fn patience(self) -> u32 {
        [1_u32, 2, 4].into_iter().find(|times| self.0 <= f64::from(*times)).unwrap_or(8)
    }

    /// The host's load now: the larger of the last minute's average and the processes that run at this moment
    /// (proc(5), loadavg). If /proc does not tell, one busy host is assumed.
    pub fn now() -> Self {
        let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let mut words = text.split_whitespace();
        let average = words.next().and_then(|w| w.parse::<f64>().ok());
        let running = words.nth(2).and_then(|w| w.split_once('/')?.0.parse::<f64>().ok());
        match (average, running) {
            (Some(average), Some(running)) => Self::of(average.max(running), processors),
            _ => Self(1.0),
        }
    }
}

/// The longest duration of each wait in a boot. Excludes the jobs' own deadlines, which are in the guest's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadlines {
    /// From QEMU's start to the first byte on the console.
    pub life: Duration,
    /// From QEMU's start to the agent's hello.
    pub hello: Duration,
    /// Silence of the console between the first byte and the hello.
    pub silence: Duration,
    /// From one event to the start of the next job, and from the last report to the end.
    pub step: Duration,
    /// The time a job may take beyond its own deadline, at which the agent reports it.
    pub slack: Duration,
    /// From the agent's end to QEMU's.
    pub shutdown: Duration,
    /// Silence of the console that ends a dump.
    pub dump_quiet: Duration,
    /// The longest dump.
    pub dump: Duration,
}

/// The limit of a loaded host's factor.
const MAX_LOAD_FACTOR: f64 = 8.0;

impl Deadlines {
    /// The waits for a boot under `accel` on a host of this load.
    ///
    /// The base is meant for KVM. TCG gets four times as long: there Debian's 5.10 to 6.12 reach their init in 3 to
    /// 5 s of an idle processor, and the longest silence of the console, the decompression, is 0.6 s.
    pub fn new(accel: Accel, load: HostLoad) -> Self {
        let accel = match accel {
            Accel::Kvm => 1.0,
            Accel::Tcg => 4.0,
        };
        let factor = accel * load.0.clamp(1.0, MAX_LOAD_FACTOR);
        let scaled = |millis: u64| Duration::from_millis(millis).mul_f64(factor);
        Self {
            life: scaled(2500),
            hello: scaled(15_000),
            silence: scaled(4000),
            step: scaled(3000),
            slack: scaled(2500),
            shutdown: scaled(2500),
            dump_quiet: scaled(300),
            dump: scaled(2500),
        }
    }

    /// The same with another limit for the whole boot up to the hello, for a kernel that is known to be slow.
    /// The limit for silence is then the same.
    #[must_use]
    pub fn with_boot_limit(self, hello: Duration) -> Self {
        Self { hello, silence: hello, life: self.life.min(hello), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_grow_with_the_load_but_not_without_bound() {
        let at = |accel, runnable| Deadlines::new(accel, HostLoad::of(runnable, 2)).hello;
        assert_eq!(at(Accel::Kvm, 0.0), Duration::from_secs(15));
        assert_eq!(at(Accel::Kvm, 2.0), Duration::from_secs(15));
        assert_eq!(at(Accel::Tcg, 4.0), Duration::from_secs(120));
        let crowd = HostLoad::of(0.0, 2).at_least(6, 2);
        assert_eq!(Deadlines::new(Accel::Kvm, crowd).hello, Duration::from_secs(45));
        assert_eq!(HostLoad::of(8.0, 2).at_least(2, 2), HostLoad::of(8.0, 2));
        assert_eq!(at(Accel::Tcg, 1e9), at(Accel::Tcg, 16.0));
        assert_eq!(HostLoad::of(f64::NAN, 0), HostLoad::of(0.0, 1));
        for (load, times) in [(0.0, 1), (1.0, 1), (1.1, 2), (3.0, 4), (4.5, 8), (1e9, 8)] {
            assert_eq!(HostLoad::of(load, 1).patience(), times, "{load}");
        }
    }
}
