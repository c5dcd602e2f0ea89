//! Asks the kernel's memory leak detector (Documentation/dev-tools/kmemleak.rst) for what was lost while a job ran.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::thread;
use std::time::Duration;

use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};

use backproof_protocol::{LEAK_AGE_MS, LeakRecord, LeakScan};

/// Where debugfs belongs. A program that needs it finds it there, too.
const DEBUGFS: &str = "/sys/kernel/debug";

/// Its reports, and its commands.
const KMEMLEAK: &str = "/sys/kernel/debug/kmemleak";

/// The most bytes of reports to read.
const READ_MAX: u64 = 4 << 20;

/// The most bytes of all records in a message, as JSON: three quarters of a line.
const RECORDS_MAX: usize = 48 * 1024;

/// The most lines of a record, and the most characters of each. A stack has 16 frames at most (`MAX_TRACE`), 32 in later
/// kernels.
const LINES_MAX: (usize, usize) = (60, 200);

/// kmemleak, which works.
#[derive(Debug)]
pub(super) struct LeakDetector(());

impl LeakDetector {
    /// Finds kmemleak, and makes it forget all that has leaked so far: it forgets only what it has reported.
    ///
    /// # Errors
    /// Why this kernel has none that works.
    pub(super) fn cleared() -> Result<Self, String> {
        match mount("debugfs", DEBUGFS, "debugfs", MountFlags::empty(), None) {
            // EBUSY: it is mounted there already.
            Ok(()) | Err(Errno::BUSY) => {}
            Err(error) => return Err(format!("cannot mount debugfs, which has kmemleak's reports: {error}")),
        }
        if !Path::new(KMEMLEAK).exists() {
            return Err("this kernel has no kmemleak (CONFIG_DEBUG_KMEMLEAK)".to_owned());
        }
        let detector = Self(());
        detector.scan_twice().map_err(|why| {
            format!("{why}; kmemleak is off, or broke down: boot with `kmemleak=on`, without `kmemleak=off`")
        })?;
        command("clear")?;
        Ok(detector)
    }

    /// What has leaked since then.
    ///
    /// # Errors
    /// Why kmemleak no longer works.
    pub(super) fn records(&self) -> Result<LeakScan, String> {
        self.scan_twice()?;
        let failed = |error| format!("cannot read {KMEMLEAK}: {error}");
        let mut text = Vec::new();
        File::open(KMEMLEAK).and_then(|file| file.take(READ_MAX).read_to_end(&mut text)).map_err(failed)?;
        let is_whole = u64::try_from(text.len()).is_ok_and(|length| length < READ_MAX);
        let (records, cut) = records_of(&String::from_utf8_lossy(&text));
        Ok(LeakScan::Scanned { records, cut: cut || !is_whole })
    }

    /// Only an object that is old enough, and the same in two scans, is reported. Scans end before the write does.
    fn scan_twice(&self) -> Result<(), String> {
        command("scan")?;
        thread::sleep(Duration::from_millis(LEAK_AGE_MS));
        command("scan")
    }
}

fn command(word: &str) -> Result<(), String> {
    fs::write(KMEMLEAK, word).map_err(|error| format!("cannot write `{word}` to {KMEMLEAK}: {error}"))
}

/// The records of different sizes or stacks, as many as a message holds, and whether some are missing. A record starts with
/// `unreferenced object 0x… (size 32):` and has its stack below `backtrace:` or `backtrace (crc …):`.
fn records_of(text: &str) -> (Vec<LeakRecord>, bool) {
    let (most, characters) = LINES_MAX;
    let (mut records, mut keys): (Vec<LeakRecord>, Vec<String>) = (Vec::new(), Vec::new());
    let (mut room, mut cut) = (RECORDS_MAX, false);
    for record in split(text) {
        let key = key_of(&record);
        if let Some(known) = keys.iter().position(|other| *other == key) {
            records[known].times = records[known].times.saturating_add(1);
            continue;
        }
        let lines = record.iter().take(most).map(|line| line.chars().take(characters).collect()).collect();
        let record = LeakRecord { lines, times: 1 };
        // Strings always serialize.
        let size = serde_json::to_string(&record).map_or(usize::MAX, |json| json.len() + 1);
        match room.checked_sub(size) {
            Some(left) => {
                room = left;
                records.push(record);
                keys.push(key);
            }
            None => cut = true,
        }
    }
    (records, cut)
}

fn split(text: &str) -> Vec<Vec<&str>> {
    let mut records: Vec<Vec<&str>> = Vec::new();
    for line in text.lines() {
        if line.starts_with("unreferenced object ") {
            records.push(Vec::new());
        }
        // What stands above the first record is none.
        if let Some(record) = records.last_mut() {
            record.push(line);
        }
    }
    records
}

/// What two leaks of one bug have in common: the size and the stack.
fn key_of(record: &[&str]) -> String {
    let size = record.first().and_then(|line| line.split_once('(')).map_or("", |(_, size)| size);
    // The checksum of a stack says no more than the stack.
    let stack = record.iter().skip_while(|line| !line.trim_start().starts_with("backtrace")).skip(1);
    stack.fold(size.to_owned(), |key, line| key + "\n" + line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use backproof_protocol::{Aftermath, MAX_LINE, Message};

    fn record(address: u64, size: u32, function: &str) -> String {
        format!(
            "unreferenced object {address:#018x} (size {size}):\n  comm \"leaker\", pid 71, jiffies 4294892374 (age 8.5s)\n  \
             hex dump (first 32 bytes):\n    00 01 02 03 00 00 00 00 00 00 00 00 00 00 00 00  ................\n  \
             backtrace:\n    [<00000000c9b8a6f1>] kmem_cache_alloc+0x1a/0x40\n    [<0000000012345678>] {function}+0x1/0x2 [mod]\n"
        )
    }

    #[test]
    fn records_of_one_stack_are_counted_once() {
        let text = ["a", "b", "a", "a"].iter().enumerate();
        let text: String = text.map(|(n, function)| record(n as u64 * 64, 32, function)).collect();
        let (records, cut) = records_of(&(text + &record(0, 64, "a")));
        assert!(!cut);
        let found: Vec<_> = records.iter().map(|one| (one.times, one.lines[0].as_str(), one.lines.len())).collect();
        assert_eq!(
            found,
            [
                (3, "unreferenced object 0x0000000000000000 (size 32):", 7),
                (1, "unreferenced object 0x0000000000000040 (size 32):", 7),
                (1, "unreferenced object 0x0000000000000000 (size 64):", 7),
            ]
        );
    }

    #[test]
    fn newer_records_are_read_and_other_text_is_none() {
        // From 6.8 on: no age, a checksum, no addresses in the stack; and objects of each processor.
        let text = "kmemleak: nothing\n\nunreferenced object (percpu) 0x607f (size 8):\n  comm \"x\", pid 1, jiffies 1\n  \
                    backtrace (crc 1a2b):\n    pcpu_alloc+0x1/0x2\n    f+0x1/0x2\n";
        let (records, cut) = records_of(text);
        assert!(!cut && records.len() == 1 && records[0].lines[0].contains("(percpu)"), "{records:?}");
        assert_eq!(records_of("").0, []);
        assert_eq!(records_of("unreferenced objec\nbacktrace:\n").0, []);
    }

    fn fits_into_a_line(text: &str) {
        let (records, cut) = records_of(text);
        assert!(cut || records.len() <= text.matches("unreferenced object ").count());
        let leaks = Some(LeakScan::Scanned { records, cut });
        let message = Message::Aftermath(Aftermath { job: "b".repeat(100), tainted: Some(u64::MAX), leaks });
        let line = serde_json::to_string(&message).expect("serialises");
        assert!(line.len() < MAX_LINE, "{}", line.len());
    }

    #[test]
    fn thousands_of_leaks_fit_into_a_line_and_say_so() {
        let text: String = (0..5000).map(|n| record(n, 32, &format!("f{n}"))).collect();
        fits_into_a_line(&text);
        assert!(records_of(&text).1);
        fits_into_a_line(&"unreferenced object \u{1}\u{1}\u{1}\n\u{1}\u{1}\n\n".repeat(10_000));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]

        #[test]
        fn any_text_gives_records_that_fit_into_a_line(
            lines in proptest::collection::vec("unreferenced object [(]?|  backtrace[:(]?|\\PC{0,300}|[\u{1}\"\\\\]{0,300}", 0..300),
        ) {
            fits_into_a_line(&lines.join("\n"));
        }
    }
}
