//! The programs that this host compiles kernels with, and the missing ones.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::error::BuildError;
use crate::child;

/// Programs that kbuild runs for every x86-64 kernel, with their Debian packages.
const PROGRAMS: [(&str, &str); 7] = [
    ("gcc", "build-essential"),
    ("make", "build-essential"),
    ("ld", "build-essential"),
    ("flex", "flex"),
    ("bison", "bison"),
    ("bc", "bc"),
    ("gzip", "gzip"),
];

/// libelf's header: objtool, which checks every object file, is compiled against it.
const LIBELF: (&str, &str) = ("gelf.h", "libelf-dev");

/// Programs whose versions change the built kernel.
const IDENTIFYING: [&str; 3] = ["gcc", "ld", "make"];

/// The time limit for a compiler's version or for a header. Both take milliseconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// The programs that compile kernels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toolchain {
    /// The first line of each program's `--version`.
    pub id: String,
}

/// Finds everything that a build needs, before it starts.
///
/// # Errors
/// [`BuildError::Tools`] with everything that is missing.
pub fn toolchain() -> Result<Toolchain, BuildError> {
    let mut missing: Vec<_> = PROGRAMS.into_iter().filter(|(program, _)| find(program).is_none()).collect();
    // Only a compiler can find headers. Without one, naming the package does no harm.
    if !missing.iter().any(|(program, _)| *program == "gcc") && !has_header(LIBELF.0) {
        missing.push(LIBELF);
    }
    if missing.is_empty() {
        let ids = IDENTIFYING.iter().map(|program| version(program)).collect::<Vec<_>>();
        return Ok(Toolchain { id: ids.join("; ") });
    }
    let mut packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    packages.dedup();
    let packages = packages.join(" ");
    Err(BuildError::Tools { missing: missing.into_iter().map(|(what, _)| what).collect(), packages })
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// The first line of `program --version`; empty if it cannot be run, because make will say why.
fn version(program: &str) -> String {
    let output = child::ask(Command::new(program).arg("--version").env("LC_ALL", "C"), PATIENCE);
    let text = output.map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    text.lines().next().unwrap_or_default().to_owned()
}

fn has_header(header: &str) -> bool {
    let mut gcc = Command::new("gcc");
    gcc.args(["-E", "-x", "c", "-include", header, "/dev/null", "-o", "/dev/null"]);
    child::ask(&mut gcc, PATIENCE).is_ok_and(|output| output.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_programs_and_headers_are_listed() {
        assert!(find("there-is-no-such-program").is_none());
        assert!(find("sh").is_some());
        assert!(!has_header("there/is/no/such/header.h"));
    }
}
