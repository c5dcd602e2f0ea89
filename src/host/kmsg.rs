//! Lines about SYN floods in the kernel's log, as far back as it reaches.

use std::collections::VecDeque;
use std::fs::OpenOptions;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt as _;

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::{FLOOD, MAX_FLOODS};

/// The most records to read; the largest log (CONFIG_LOG_BUF_SHIFT=25) has fewer.
const MAX_RECORDS: usize = 500_000;

/// The newest lines about SYN floods in /dev/kmsg.
///
/// # Errors
/// EPERM where `kernel.dmesg_restrict` is set and this process may not read it.
pub fn floods() -> io::Result<Vec<String>> {
    let flags = OFlags::NONBLOCK.bits() as i32;
    scan(OpenOptions::new().read(true).custom_flags(flags).open("/dev/kmsg")?)
}

/// Each read gives one record.
fn scan(mut log: impl Read) -> io::Result<Vec<String>> {
    let mut found = VecDeque::new();
    // CONSOLE_EXT_LOG_MAX: a record is at most this long (include/linux/printk.h).
    let mut record = [0; 8192];
    for _ in 0..MAX_RECORDS {
        match log.read(&mut record) {
            Ok(0) => break,
            Ok(length) => keep(&mut found, text(&record[..length]).as_deref().unwrap_or_default()),
            // EPIPE: the record was overwritten before it was read; the next read continues.
            Err(error) if error.raw_os_error() == Some(Errno::PIPE.raw_os_error()) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(found.into())
}

/// Lines about SYN floods in a saved log.
pub fn floods_in(text: &str) -> Vec<String> {
    let mut found = VecDeque::new();
    text.lines().for_each(|line| keep(&mut found, line.trim()));
    found.into()
}

fn keep(found: &mut VecDeque<String>, line: &str) {
    /// The longest line to keep, in characters; the kernel's own has 100.
    const LONGEST: usize = 300;
    if line.contains(FLOOD) {
        found.push_back(line.chars().take(LONGEST).collect());
        if found.len() > MAX_FLOODS {
            found.pop_front();
        }
    }
}

/// The text of a record: `priority,number,microseconds,flags;text`, then lines of key and value
/// (Documentation/ABI/testing/dev-kmsg).
fn text(record: &[u8]) -> Option<String> {
    let record = String::from_utf8_lossy(record);
    let (_, text) = record.split_once(';')?;
    text.lines().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A log that returns one record per read.
    struct Records(VecDeque<io::Result<Vec<u8>>>);

    impl Read for Records {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let record = self.0.pop_front().unwrap_or(Ok(Vec::new()))?;
            buffer[..record.len()].copy_from_slice(&record);
            Ok(record.len())
        }
    }

    #[test]
    fn newest_flood_lines_are_kept_after_a_lost_record() {
        let flood = |n: usize| format!("6,{n},5140900,-;TCP: request_sock_TCP: {FLOOD} on port {n}.\n SUBSYSTEM=net\n");
        let mut records: VecDeque<_> = (0..MAX_FLOODS + 3).map(|n| Ok(flood(n).into_bytes())).collect();
        records.insert(1, Err(Errno::PIPE.into()));
        records.insert(2, Ok(b"6,1,1,-;another line\n".to_vec()));
        let found = scan(Records(records)).expect("read");
        assert_eq!(found.len(), MAX_FLOODS);
        assert_eq!(found[0], format!("TCP: request_sock_TCP: {FLOOD} on port 3."));
        assert!(scan(Records([Err(Errno::PERM.into())].into())).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn log_records_never_panic(
            record in proptest::collection::vec(any::<u8>(), 0..200),
            log in "(.{0,20}Possible SYN flooding.{0,20}\n?){0,30}",
        ) {
            let _ = text(&record);
            prop_assert!(floods_in(&log).len() <= MAX_FLOODS);
        }
    }
}
