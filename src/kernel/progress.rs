//! The progress of obtaining kernels, for people.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Why a cached copy is used without asking the mirror or server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stale {
    /// Age of the cached copy; whole seconds in documents.
    #[serde(rename = "seconds", with = "seconds")]
    pub age: Duration,
    /// Why nobody was asked: `offline mode`, or what apt said.
    pub why: String,
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a copy cached {} minutes ago ({})", self.age.as_secs() / 60, self.why)
    }
}

mod seconds {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(time.as_secs())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_secs)
    }
}

/// A step of obtaining a kernel, for people.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// Another thread or process is making the same file.
    Waiting {
        /// The awaited file or work.
        what: String,
    },
    /// The mirror's index of a suite is being fetched.
    Refreshing {
        /// The suite.
        suite: String,
    },
    /// A package or another file is being fetched.
    Fetching {
        /// The package, or the file in words.
        package: String,
        /// Bytes so far.
        done: u64,
        /// Total bytes, if known.
        total: Option<u64>,
        /// Current speed in bytes per second, if measured.
        speed: Option<u64>,
    },
    /// A partial download is being resumed.
    Resuming {
        /// The file, in words.
        what: String,
        /// Bytes so far.
        done: u64,
        /// Total bytes, if known.
        total: Option<u64>,
    },
    /// Something went wrong that may be recoverable.
    Trouble {
        /// The file being fetched.
        what: String,
        /// The problem.
        why: String,
        /// The next step: `trying again in 0.7 s`.
        then: String,
    },
    /// One of several builds was chosen, or an unsigned one.
    Chosen {
        /// The requested build.
        what: String,
        /// The chosen build.
        from: String,
    },
    /// A package is being unpacked.
    Unpacking {
        /// The package's file.
        package: String,
    },
    /// A source tree is being copied.
    Copying {
        /// The user's tree.
        folder: PathBuf,
    },
    /// A kernel is being compiled.
    Building {
        /// The kernel.
        what: String,
        /// Lines that make has printed.
        done: u64,
        /// Lines that it is expected to print.
        lines: u64,
    },
    /// A kernel was compiled.
    Built {
        /// The kernel.
        what: String,
        /// The number of compiled objects.
        objects: usize,
        /// Seconds of wall time.
        seconds: f64,
    },
    /// Something that people should know of a build.
    Remark {
        /// The kernel.
        what: String,
        /// The remark.
        text: String,
    },
    /// A cached copy is used; [`Kernel::stale`](super::Kernel::stale) has the same.
    Stale(Stale),
}

impl Progress {
    /// Whether it takes so long that people should see it even without progress bars.
    pub fn is_slow(&self) -> bool {
        match self {
            Self::Waiting { .. }
            | Self::Refreshing { .. }
            | Self::Resuming { .. }
            | Self::Trouble { .. }
            | Self::Chosen { .. }
            | Self::Built { .. }
            | Self::Remark { .. }
            | Self::Stale(_) => true,
            // Only at the start.
            Self::Fetching { done, .. } | Self::Building { done, .. } => *done == 0,
            Self::Unpacking { .. } | Self::Copying { .. } => false,
        }
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mib = |bytes: &u64| *bytes as f64 / f64::from(1 << 20);
        match self {
            Self::Waiting { what } => write!(f, "waiting for {what}"),
            Self::Refreshing { suite } => write!(f, "refreshing the index of {suite}"),
            Self::Fetching { package, done: 0, total: None, .. } => write!(f, "fetching {package}"),
            Self::Fetching { package, done: 0, total: Some(total), .. } => {
                write!(f, "fetching {package} ({:.1} MiB)", mib(total))
            }
            Self::Fetching { package, done, total, speed } => {
                write!(f, "fetching {package} ({:.1}", mib(done))?;
                total.iter().try_for_each(|total| write!(f, " of {:.1}", mib(total)))?;
                f.write_str(" MiB")?;
                speed.iter().try_for_each(|speed| write!(f, ", {:.1} MiB/s", mib(speed)))?;
                f.write_str(")")
            }
            Self::Resuming { what, done, total } => {
                write!(f, "resuming {what} ({:.1}", mib(done))?;
                total.iter().try_for_each(|total| write!(f, " of {:.1}", mib(total)))?;
                f.write_str(" MiB done)")
            }
            Self::Trouble { what, why, then } => write!(f, "{what}: {why}; {then}"),
            Self::Chosen { what, from } => write!(f, "{what}: {from}"),
            Self::Unpacking { package } => write!(f, "unpacking {package}"),
            Self::Copying { folder } => write!(f, "copying {}", folder.display()),
            Self::Building { what, done: 0, .. } => write!(f, "compiling: {what}"),
            Self::Building { what, done, lines } => {
                write!(f, "compiling: {what} ({} %)", (done * 100 / (*lines).max(1)).min(99))
            }
            Self::Built { what, objects, seconds } => {
                let unit = if *objects == 1 { "object" } else { "objects" };
                write!(f, "compiled {objects} {unit} in {seconds:.0} s: {what}")
            }
            Self::Remark { what, text } => write!(f, "{what}: {text}"),
            Self::Stale(stale) => write!(f, "using {stale}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transfer_shows_known_bytes_and_speed() {
        let mib = |n: u64| n << 20;
        let fetching = |done, total, speed| Progress::Fetching { package: "a".to_owned(), done, total, speed };
        for (progress, shown) in [
            (fetching(0, None, None), "fetching a"),
            (fetching(0, Some(mib(3)), None), "fetching a (3.0 MiB)"),
            (fetching(mib(1), Some(mib(3)), None), "fetching a (1.0 of 3.0 MiB)"),
            (fetching(mib(1), None, Some(mib(5))), "fetching a (1.0 MiB, 5.0 MiB/s)"),
            (fetching(mib(1), Some(mib(3)), Some(mib(5))), "fetching a (1.0 of 3.0 MiB, 5.0 MiB/s)"),
        ] {
            assert_eq!(progress.to_string(), shown);
        }
        let resuming = Progress::Resuming { what: "a".to_owned(), done: mib(1), total: Some(mib(3)) };
        assert_eq!(resuming.to_string(), "resuming a (1.0 of 3.0 MiB done)");
    }
}
