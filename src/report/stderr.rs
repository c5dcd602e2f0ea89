//! Lines on stderr.

use std::fmt::Display;
use std::io::Write as _;

/// Writes a line to stderr. A stderr that cannot be written (a full disk, a reader that went away) loses the line and
/// nothing else: the exit code and the results say what became of the command. `eprintln!` would panic, so clippy.toml
/// disallows it.
pub fn say(line: impl Display) {
    // One write, so that lines of several processes do not mix.
    let _ = anstream::stderr().lock().write_all(format!("{line}\n").as_bytes());
}
