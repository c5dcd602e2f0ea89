//! Prints lines: on stderr for people (the guest's console, or the controller's pipe), on stdout for PID 1.

use std::fmt::Display;
use std::io::Write as _;

/// Writes a line to stderr. Errors are ignored, because the panic of `eprintln!` would end process 1 and so the guest.
pub fn say(line: impl Display) {
    let _ = std::io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}

/// Writes a line to stdout, in one write. Errors are ignored: if PID 1 has closed the pipe, nobody reads it.
pub fn print_line(line: &str) {
    let _ = std::io::stdout().lock().write_all(format!("{line}\n").as_bytes());
}
