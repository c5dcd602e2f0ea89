//! Lines for the other side: on stderr for people (the guest's console, or the controller's pipe), on stdout for PID 1.

use std::fmt::Display;
use std::io::Write as _;

/// Writes a line to stderr. What cannot be written is lost: `eprintln!` would panic, and end the guest with process 1.
pub fn say(line: impl Display) {
    let _ = std::io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

/// Writes a line to stdout, in one write. Errors are ignored: if PID 1 has closed the pipe, nobody reads it.
pub fn print_line(line: &str) {
    let _ = std::io::stdout().lock().write_all(format!("{line}\n").as_bytes());
}
