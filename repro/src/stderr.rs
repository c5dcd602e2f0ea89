//! Lines on stderr: the guest's console, or the controller's pipe.

use std::fmt::Display;
use std::io::Write as _;

/// Writes a line to stderr. What cannot be written is lost: `eprintln!` would panic, and end the guest with process 1.
pub fn say(line: impl Display) {
    let _ = std::io::stderr().lock().write_all(format!("{line}\n").as_bytes());
}
