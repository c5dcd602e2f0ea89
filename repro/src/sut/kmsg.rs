//! Reads the kernel's log from now on.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;

use rustix::fs::OFlags;
use rustix::io::Errno;

/// The most records to read, because a kernel may never stop logging.
const MAX_RECORDS: usize = 2000;

/// A reader of /dev/kmsg.
#[derive(Debug)]
pub struct Log(File);

impl Log {
    /// Opens the log at its end; none if the kernel has no log.
    pub fn from_now() -> Option<Self> {
        let mut options = OpenOptions::new();
        let nonblock = OFlags::NONBLOCK.bits() as i32;
        let mut file = options.read(true).custom_flags(nonblock).open("/dev/kmsg").ok()?;
        file.seek(SeekFrom::End(0)).ok()?;
        Some(Self(file))
    }

    /// The first new line that contains these words.
    pub fn find(&mut self, words: &str) -> Option<String> {
        let mut record = [0; 8192];
        for _ in 0..MAX_RECORDS {
            match self.0.read(&mut record) {
                Ok(0) => return None,
                Ok(length) => match text(&record[..length]) {
                    Some(text) if text.contains(words) => return Some(text),
                    _ => {}
                },
                // EPIPE: the record was overwritten before it was read. The next read continues after it.
                Err(error) if error.raw_os_error() == Some(Errno::PIPE.raw_os_error()) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
        None
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

    #[test]
    fn text_of_a_record_is_its_first_line() {
        let line = "TCP: request_sock_TCP: Possible SYN flooding on port 3400. Sending cookies.";
        let record = format!("6,339,5140900,-;{line}\n SUBSYSTEM=net\n");
        assert_eq!(text(record.as_bytes()).as_deref(), Some(line));
        assert_eq!(text(b"no record"), None);
        assert_eq!(text(b"6,1,1,-;"), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn any_record_is_read_without_a_panic(record in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(text) = text(&record) {
                prop_assert!(!text.contains('\n'));
            }
        }
    }
}
