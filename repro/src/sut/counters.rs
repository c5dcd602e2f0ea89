//! The counters of /proc/net/netstat, by name, because each kernel has other ones.

use std::fs;

/// All counters of the calling thread's network namespace at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot(Option<String>);

impl Snapshot {
    /// Reads the counters. There are none if the kernel can't show a thread's own namespace: before 3.17, in a thread
    /// that has one.
    pub fn take() -> Self {
        // Uses the link, because in a process-id namespace /proc may have another number for the thread.
        let own = fs::read_to_string("/proc/thread-self/net/netstat");
        // /proc/self shows the namespace of the first thread.
        let first = rustix::thread::gettid() == rustix::process::getpid();
        let text = own.or_else(|e| if first { fs::read_to_string("/proc/self/net/netstat") } else { Err(e) });
        Self(text.ok())
    }

    /// The value of a counter of the group `TcpExt`; none if the kernel lacks it.
    pub fn tcp_ext(&self, name: &str) -> Option<u64> {
        find(self.0.as_ref()?, "TcpExt", name)
    }

    /// The growth of a counter of the group `TcpExt` since an earlier snapshot.
    pub fn tcp_ext_since(&self, earlier: &Self, name: &str) -> Option<i64> {
        Some(self.tcp_ext(name)?.wrapping_sub(earlier.tcp_ext(name)?) as i64)
    }
}

/// The value of one counter of the group `TcpExt` now.
pub fn tcp_ext(name: &str) -> Option<u64> {
    Snapshot::take().tcp_ext(name)
}

/// Finds a counter in pairs of lines: `group: name…`, `group: value…`.
fn find(text: &str, group: &str, name: &str) -> Option<u64> {
    let mut lines = text.lines().filter_map(|line| line.split_once(':')).filter(|(g, _)| *g == group);
    let (_, names) = lines.next()?;
    let (_, values) = lines.next()?;
    let at = names.split_ascii_whitespace().position(|n| n == name)?;
    values.split_ascii_whitespace().nth(at)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "TcpExt: SyncookiesSent TCPWqueueTooBig\nTcpExt: 3 7\nIpExt: InNoRoutes\nIpExt: 1\n";

    #[test]
    fn counter_is_found_by_name_and_absence_is_not_zero() {
        for (text, name, expected) in [
            (TEXT, "SyncookiesSent", Some(3)),
            (TEXT, "TCPWqueueTooBig", Some(7)),
            (TEXT, "InNoRoutes", None),
            (TEXT, "TCPWqueueToo", None),
            ("", "SyncookiesSent", None),
            ("TcpExt: SyncookiesSent\n", "SyncookiesSent", None),
            ("TcpExt: A SyncookiesSent\nTcpExt: 1\n", "SyncookiesSent", None),
            ("TcpExt: SyncookiesSent\nTcpExt: many\n", "SyncookiesSent", None),
        ] {
            assert_eq!(find(text, "TcpExt", name), expected, "{name} in {text:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]

        #[test]
        fn any_text_is_read_without_a_panic(text in ".{0,200}") {
            let _ = find(&text, "TcpExt", "SyncookiesSent");
        }
    }
}
