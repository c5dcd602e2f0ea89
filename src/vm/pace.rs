//! The time for which the host let a guest in virtual time run. Such a guest doesn't notice the host's load, so its
//! deadlines must ignore the load too: they are measured in time that QEMU used, or slept through while idle.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::process::Pid;

/// For how long the host may withhold the processor. After that the time counts, so that every wait ends.
pub(crate) const STARVED: Duration = Duration::from_secs(120);

/// One look at QEMU.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PaceSample {
    /// The host's clock.
    pub(crate) wall: Duration,
    /// QEMU's processor time so far.
    pub(crate) cpu: Duration,
    /// Whether all of its threads sleep, so that the host withholds nothing from them.
    pub(crate) asleep: bool,
}

impl PaceSample {
    /// A sample of this process, at this time of the host's clock.
    pub(crate) fn now(pid: Pid, wall: Duration) -> Self {
        let process = format!("/proc/{}", pid.as_raw_nonzero());
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let tasks = fs::read_dir(format!("{process}/task")).into_iter().flatten().flatten();
        let mut stats = tasks.map(|task| read(&format!("{}/stat", task.path().display())));
        // No task is left once it has ended.
        Self {
            wall,
            cpu: cpu_time(&read(&format!("{process}/stat"))).unwrap_or_default(),
            asleep: stats.all(|stat| is_asleep(&stat)),
        }
    }
}

/// Whether a thread sleeps until something happens: `S` behind the name in /proc/PID/task/TID/stat (proc(5)). Waiting for a
/// disk (`D`) and being stopped (`T`) are the host's doing. A thread that has just ended has no such file.
fn is_asleep(stat: &str) -> bool {
    stat.is_empty() || stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('S'))
}

/// User and system time of a process and its threads, also of one that has ended and was not reaped: the 14th and
/// 15th field of /proc/PID/stat in clock ticks (proc(5)).
pub(crate) fn cpu_time(stat: &str) -> Option<Duration> {
    // The second field is the program's name in parentheses, and may have any character.
    let mut fields = stat.rsplit_once(") ")?.1.split_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(Duration::from_secs_f64((user + system) as f64 / rustix::param::clock_ticks_per_second() as f64))
}

/// The time for which a guest could run.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    granted_ms: AtomicU64,
    /// For how long it has not run, although it had something to do.
    starved_ms: AtomicU64,
}

impl Pace {
    /// The time for which QEMU ran, or slept while idle.
    pub(crate) fn granted(&self) -> Duration {
        Duration::from_millis(self.granted_ms.load(Ordering::Relaxed))
    }

    /// Takes two looks in their order.
    pub(crate) fn take(&self, before: PaceSample, now: PaceSample) {
        let wall = now.wall.saturating_sub(before.wall);
        let ran = now.cpu.saturating_sub(before.cpu);
        let slept = before.asleep && now.asleep && ran.is_zero();
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let starved = if slept || !ran.is_zero() { 0 } else { self.starved_ms.load(Ordering::Relaxed) + millis(wall) };
        self.starved_ms.store(starved, Ordering::Relaxed);
        // Its main thread and its processor may run concurrently.
        let granted = if slept || starved > millis(STARVED) { wall } else { ran.min(wall) };
        self.granted_ms.fetch_add(millis(granted), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_granted_time_counts() {
        // Wall and processor time in ms, and whether it slept; then the granted time.
        type Row<'a> = (&'a str, &'a [(u64, u64, bool)], u64);
        let table: &[Row] = &[
            ("alone", &[(0, 0, false), (200, 200, false), (400, 390, false)], 390),
            ("starved by the host", &[(0, 0, false), (9000, 20, false)], 20),
            ("stopped by the host", &[(0, 0, false), (9000, 0, false)], 0),
            ("stopped for minutes", &[(0, 0, false), (100_000, 0, false), (150_000, 0, false)], 50_000),
            ("halted for ever", &[(0, 50, true), (200, 50, true), (400, 50, true)], 400),
            ("woken up", &[(0, 50, true), (200, 50, true), (400, 60, true)], 210),
            ("two threads", &[(0, 0, false), (200, 380, false)], 200),
            ("a clock that goes back", &[(200, 90, true), (100, 80, true)], 0),
        ];
        for (name, samples, granted) in table {
            let pace = Pace::default();
            let sample = |&(wall, cpu, asleep): &(u64, u64, bool)| PaceSample {
                wall: Duration::from_millis(wall),
                cpu: Duration::from_millis(cpu),
                asleep,
            };
            samples.windows(2).for_each(|pair| pace.take(sample(&pair[0]), sample(&pair[1])));
            let millis = |d: Duration| u64::try_from(d.as_millis()).expect("a short time");
            assert_eq!(millis(pace.granted()), *granted, "{name}");
        }
    }

    #[test]
    fn proc_stat_tells_sleep_and_processor_time() {
        for (stat, asleep) in [
            ("7 (qemu (x) S) S 1 7", true),
            ("7 (CPU 0/TCG) R 1 7", false),
            ("7 (worker) D 1 7", false),
            ("7 (worker) T 1 7", false),
            ("", true),
            ("nonsense", false),
        ] {
            assert_eq!(is_asleep(stat), asleep, "{stat}");
        }
        let stat = "7 (a b) S 1 2 3 4 5 6 7 8 9 10 100 50 0 0";
        let ticks = rustix::param::clock_ticks_per_second();
        assert_eq!(cpu_time(stat), Some(Duration::from_secs_f64(150.0 / ticks as f64)));
        assert_eq!(cpu_time("7 (a"), None);
    }
}
