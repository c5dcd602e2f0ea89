//! What is going on while kernels are obtained, for people.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Why what was recorded is used without asking the mirror or server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stale {
    /// How old the answer is that it rests on; whole seconds in documents.
    #[serde(rename = "seconds", with = "seconds")]
    pub age: Duration,
    /// What kept us from asking again: `offline was asked for`, or what apt said.
    pub why: String,
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "what was recorded {} minutes ago: {}", self.age.as_secs() / 60, self.why)
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

/// What is going on, for people.
#[derive(Clone, Debug, PartialEq)]
pub enum Progress {
    /// Another thread or process is making what is needed here.
    Waiting {
        /// What is waited for.
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
        /// Bytes that are here.
        done: u64,
        /// Bytes of all of it, where that is known.
        total: Option<u64>,
        /// Bytes a second at present, where that is measured.
        speed: Option<u64>,
    },
    /// A file is gone on with of which a part came earlier.
    Resuming {
        /// The file, in words.
        what: String,
        /// Bytes that are here.
        done: u64,
        /// Bytes of all of it, where that is known.
        total: Option<u64>,
    },
    /// Something went wrong that may be overcome.
    Trouble {
        /// What is being fetched.
        what: String,
        /// What went wrong.
        why: String,
        /// What is done about it: `trying again in 0.7 s`.
        then: String,
    },
    /// One of several things that an archive has was chosen, or one that nobody vouches for.
    Chosen {
        /// What was asked for.
        what: String,
        /// What was taken.
        from: String,
    },
    /// A package is being taken apart.
    Unpacking {
        /// The package's file.
        package: String,
    },
    /// A source tree is being copied.
    Copying {
        /// The user's tree.
        folder: PathBuf,
    },
    /// Something recorded earlier is used; the same is in [`Kernel::stale`].
    Stale(Stale),
}

impl Progress {
    /// Whether this takes so long that people want to know of it even where there are no bars.
    pub fn is_slow(&self) -> bool {
        match self {
            Self::Waiting { .. }
            | Self::Refreshing { .. }
            | Self::Resuming { .. }
            | Self::Trouble { .. }
            | Self::Chosen { .. }
            | Self::Stale(_) => true,
            // Said once, when it begins.
            Self::Fetching { done, .. } => *done == 0,
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
                write!(f, "going on with {what}, of which {:.1}", mib(done))?;
                total.iter().try_for_each(|total| write!(f, " of {:.1}", mib(total)))?;
                f.write_str(" MiB are here")
            }
            Self::Trouble { what, why, then } => write!(f, "{what}: {why}; {then}"),
            Self::Chosen { what, from } => write!(f, "{what}: {from}"),
            Self::Unpacking { package } => write!(f, "unpacking {package}"),
            Self::Copying { folder } => write!(f, "copying {}", folder.display()),
            Self::Stale(stale) => write!(f, "using {stale}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transfer_is_shown_in_bytes_and_speed_as_far_as_they_are_known() {
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
        assert_eq!(resuming.to_string(), "going on with a, of which 1.0 of 3.0 MiB are here");
    }
}
