//! Facts about a running host: counters, sockets, settings and live patches of every network namespace.
//!
//! [`live::read`] looks at this machine, [`saved::read`] at saved outputs of another one. Both return a [`HostReading`],
//! which is plain data, and [`bitten::judge`] judges it for each bug. This module contains no expectations about
//! releases, only observations.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

pub mod bitten;
pub mod counters;
mod diag;
mod kmsg;
pub mod live;
mod livepatch;
mod namespaces;
mod naming;
mod proc_tcp;
pub mod saved;
pub mod socket;

pub use bitten::{Bitten, BittenAnswer};
pub use counters::{Count, TcpExtCounters};
pub use livepatch::Livepatch;
pub use socket::{Complaint, Socket, Sockets, WaitingSocket};

/// Settings that decide whether the bugs can show. On current kernels each network namespace has its own.
pub const SETTINGS: [&str; 5] = [
    "net.ipv4.tcp_syncookies",
    "net.core.somaxconn",
    "net.ipv4.tcp_max_syn_backlog",
    "net.ipv4.tcp_wmem",
    "net.ipv4.tcp_rmem",
];

/// The most log lines about floods to keep; the newest are kept.
const MAX_FLOODS: usize = 20;

/// The kernel's message about a SYN queue's first overflow (`tcp_syn_flood_action`, net/ipv4/tcp_input.c). Kernels
/// before 3.0 begin it with a lowercase letter.
const FLOOD: &str = "ossible SYN flooding on port";

/// Everything that was read of one host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostReading {
    /// The whole machine.
    pub host: HostFacts,
    /// The network namespaces, the host's own first.
    pub namespaces: Vec<Namespace>,
}

/// The facts that were read of the whole machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostFacts {
    /// `uname -r`; null if it was not seen.
    pub release: Option<String>,
    /// `uname -v`: how and when it was built.
    pub build: Option<String>,
    /// `uname -m`.
    pub machine: Option<String>,
    /// Loaded live patches; null if they could not be read.
    pub livepatches: Option<Vec<Livepatch>>,
    /// The newest lines of the kernel's log about SYN floods; null if the log could not be read. The log is a ring: an
    /// empty list does not prove that there was none.
    pub floods: Option<Vec<String>>,
    /// Missing facts, each with the reason.
    pub unseen: Vec<String>,
}

/// One network namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// `host`, or the container, unit or process that it belongs to.
    pub name: String,
    /// The number in `net:[…]`; null if it could not be read.
    pub inode: Option<u64>,
    /// A process in it, if there is one.
    pub pid: Option<u32>,
    /// The number of processes in it.
    pub processes: usize,
    /// Its counters; null if they were not seen.
    pub counters: Option<TcpExtCounters>,
    /// The settings of [`SETTINGS`] that were seen; others were not, or this kernel does not have them.
    pub settings: BTreeMap<String, String>,
    /// Its TCP connections; null if they were not seen.
    pub sockets: Option<Sockets>,
    /// Missing facts, each with the reason.
    pub unseen: Vec<String>,
}

impl HostReading {
    /// Whether it has nothing that an answer could use.
    pub fn is_empty(&self) -> bool {
        self.host.release.is_none() && self.namespaces.iter().all(|n| n.counters.is_none() && n.sockets.is_none())
    }
}

/// The first two numbers of a release string: `4.19` in `4.19.0-27-amd64`.
pub fn base_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// A text file of at most `limit` bytes, with invalid UTF-8 replaced, and whether it was longer. Devices and pipes,
/// which might never end, are rejected.
fn read_text(path: &Path, limit: u64) -> io::Result<(String, bool)> {
    // NONBLOCK: opening a pipe must not wait for a writer.
    let mut options = OpenOptions::new();
    let file = options.read(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let mut bytes = Vec::new();
    File::take(file, limit.saturating_add(1)).read_to_end(&mut bytes)?;
    let kept = usize::try_from(limit).unwrap_or(usize::MAX).min(bytes.len());
    Ok((String::from_utf8_lossy(&bytes[..kept]).into_owned(), bytes.len() > kept))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_version_is_the_first_two_numbers() {
        for (release, expected) in [
            ("4.19.0-27-amd64", Some((4, 19))),
            ("5.10-rc1", Some((5, 10))),
            ("3.10.0-957.21.3.el7.x86_64", Some((3, 10))),
            ("6", None),
            ("", None),
            ("linux", None),
            ("99999999999.1", None),
        ] {
            assert_eq!(base_version(release), expected, "{release}");
        }
    }

    #[test]
    fn files_are_read_to_a_limit_and_devices_rejected() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("file");
        std::fs::write(&path, b"12\xff45").expect("written");
        assert_eq!(read_text(&path, 5).expect("read"), ("12\u{fffd}45".to_owned(), false));
        assert_eq!(read_text(&path, 2).expect("read"), ("12".to_owned(), true));
        assert!(read_text(Path::new("/dev/zero"), 10).is_err());
        assert!(read_text(folder.path(), 10).is_err());
    }
}
