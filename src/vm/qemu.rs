//! Finds QEMU and learns its version.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::child::{self, NoAnswer};

/// The program's name in `$PATH`.
const PROGRAM: &str = "qemu-system-x86_64";

/// The oldest QEMU that works: 4.2 has `microvm`; 4.0 the `reason` in SHUTDOWN events, without which a restart
/// cannot be told from a power-off; 2.12 sockets that are inherited already connected.
pub const OLDEST: QemuVersion = QemuVersion { major: 4, minor: 2, micro: 0 };

/// The time that `--version` may take. It takes 50 ms; a host that swaps takes longer.
pub(super) const VERSION_LIMIT: Duration = Duration::from_secs(20);

/// A version of QEMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QemuVersion {
    /// One a year.
    pub major: u32,
    /// Three a year.
    pub minor: u32,
    /// Stable releases.
    pub micro: u32,
}

impl fmt::Display for QemuVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.micro)
    }
}

/// Why no QEMU is usable.
#[derive(Debug, thiserror::Error)]
pub enum QemuError {
    /// It does not exist.
    #[error("cannot find {}: install it (Debian and Ubuntu: `apt-get install qemu-system-x86`)", program.display())]
    Missing {
        /// Its name or path.
        program: PathBuf,
    },
    /// It is too old.
    #[error("{} is QEMU {version}, expected {OLDEST} or newer: install or name a newer one", program.display())]
    TooOld {
        /// The program.
        program: PathBuf,
        /// Its version.
        version: QemuVersion,
    },
    /// It does not run.
    #[error("cannot run {}: {why}: reinstall it or name another", program.display())]
    Broken {
        /// The program.
        program: PathBuf,
        /// The reason.
        why: String,
    },
}

/// A QEMU that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qemu {
    program: PathBuf,
    version: QemuVersion,
    banner: String,
}

impl Qemu {
    /// Finds the named program, or `qemu-system-x86_64` in `$PATH`, and asks for its version.
    ///
    /// # Errors
    /// If it does not exist, is too old, or does not run.
    pub fn find(program: Option<&Path>) -> Result<Self, QemuError> {
        let program = program.map_or_else(|| in_path(Path::new(PROGRAM)), Path::to_owned);
        let output = match child::ask(Command::new(&program).arg("--version"), VERSION_LIMIT) {
            Ok(output) => output,
            Err(NoAnswer::Io(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Err(QemuError::Missing { program });
            }
            Err(error) => return Err(QemuError::Broken { program, why: format!("`--version`: {error}") }),
        };
        let said = String::from_utf8_lossy(&output.stdout);
        match version_in(&said) {
            Some(version) if version < OLDEST => Err(QemuError::TooOld { program, version }),
            Some(version) => {
                let banner = said.lines().find(|line| version_in(line).is_some()).unwrap_or_default().trim().to_owned();
                Ok(Self { program, version, banner })
            }
            None => {
                let stderr = String::from_utf8_lossy(&output.stderr);
                let said = said.lines().chain(stderr.lines()).find(|l| !l.trim().is_empty()).unwrap_or("nothing");
                let why = format!("`--version` ended with {} and printed `{said}`", output.status);
                Err(QemuError::Broken { program, why })
            }
        }
    }

    /// The program's file.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The first line of `--version`: a distribution's packages differ in it.
    pub fn banner(&self) -> &str {
        &self.banner
    }

    /// Its version.
    pub fn version(&self) -> QemuVersion {
        self.version
    }
}

/// The program's whole path, so that a boot's script names the file that ran; the name itself if `$PATH` has none.
fn in_path(name: &Path) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(name)).find(|file| file.is_file());
    found.unwrap_or_else(|| name.to_owned())
}

/// From `QEMU emulator version 7.2.22 (Debian …)`.
fn version_in(text: &str) -> Option<QemuVersion> {
    let rest = text.split_once("QEMU emulator version ")?.1;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
    let mut numbers = rest[..end].split('.').map(str::parse::<u32>);
    let (major, minor) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    let micro = numbers.next().and_then(Result::ok).unwrap_or(0);
    Some(QemuVersion { major, minor, micro })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn versions_are_read_as_every_distribution_writes_them() {
        let cases = [
            ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)\nCopyright", Some((7, 2, 22))),
            ("QEMU emulator version 10.0 (qemu-10.0-1.fc42)", Some((10, 0, 0))),
            ("QEMU emulator version 9.2.0-rc1", Some((9, 2, 0))),
            ("qemu: cannot run", None),
            ("QEMU emulator version ", None),
        ];
        for (text, want) in cases {
            let want = want.map(|(major, minor, micro)| QemuVersion { major, minor, micro });
            assert_eq!(version_in(text), want, "{text}");
        }
    }

    #[test]
    fn missing_old_and_broken_qemu_are_told_apart() {
        let dir = tempfile::tempdir().expect("a folder");
        let script = |name: &str, body: &str| {
            let file = dir.path().join(name);
            std::fs::write(&file, format!("#!/bin/sh\n{body}\n")).expect("a file");
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)).expect("a mode");
            file
        };
        let error = |file: &Path| Qemu::find(Some(file)).expect_err("no QEMU").to_string();
        assert!(error(&dir.path().join("none")).contains("apt-get install qemu-system-x86"));
        let old = script("old", "echo QEMU emulator version 2.5.0");
        assert!(error(&old).contains("is QEMU 2.5.0, expected 4.2.0 or newer"));
        let broken = script("broken", "echo no libfoo.so >&2; exit 127");
        assert!(error(&broken).contains("printed `no libfoo.so`"));
        let endless = script("endless", "exec yes");
        assert!(error(&endless).contains("printed more than 64 KiB"), "{}", error(&endless));
    }
}
