//! The serial port to which the agent writes its messages.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::termios::{ControlModes, OptionalActions, tcdrain, tcgetattr, tcsetattr};

use crate::output::say;
use backproof_protocol::{MAX_LINE, Message};

/// The agent's port. The kernel's console is the first one.
const PORT: &str = "/dev/ttyS1";

/// An error opening the port.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {PORT}: {error}")]
pub struct NoPort {
    what: &'static str,
    error: io::Error,
}

/// The open port.
#[derive(Debug)]
pub struct Port(File);

impl Port {
    /// Opens the port in raw mode, so that bytes arrive unchanged.
    ///
    /// # Errors
    /// If the kernel has no second serial port.
    pub fn open() -> Result<Self, NoPort> {
        let failed = |what| move |error: io::Error| NoPort { what, error };
        // Without NONBLOCK, opening waits for a carrier until CLOCAL is set.
        let flags = (OFlags::NOCTTY | OFlags::NONBLOCK).bits() as i32;
        let file = OpenOptions::new().write(true).custom_flags(flags).open(PORT).map_err(failed("open"))?;
        let mut settings = tcgetattr(&file).map_err(|e| failed("read the settings of")(e.into()))?;
        settings.make_raw();
        settings.control_modes |= ControlModes::CLOCAL;
        // QEMU ignores the line speed, but the kernel computes timeouts from it.
        let fast = settings.set_speed(115_200).and_then(|()| tcsetattr(&file, OptionalActions::Now, &settings));
        fast.map_err(|e| failed("set the mode of")(e.into()))?;
        let flags = fcntl_getfl(&file).and_then(|flags| fcntl_setfl(&file, flags - OFlags::NONBLOCK));
        flags.map_err(|e| failed("set the flags of")(e.into()))?;
        Ok(Self(file))
    }

    /// A port backed by a file or a pipe.
    pub fn to(file: File) -> Self {
        Self(file)
    }

    /// Sends one message. A message that is too long for a line is replaced by a note that says so.
    pub fn say(&mut self, message: &Message) {
        let line = serde_json::to_string(message).unwrap_or_else(|error| {
            // Unreachable with today's types, and no reason to stop the guest.
            format!(r#"{{"type":"note","text":"cannot serialize a message: {error}"}}"#)
        });
        if line.len() < MAX_LINE {
            self.write_line(&line);
        } else {
            let text = format!("a message of {} bytes is longer than a line may be ({MAX_LINE})", line.len());
            self.say(&Message::Note { text });
        }
    }

    /// Writes one line.
    fn write_line(&mut self, line: &str) {
        if let Err(error) = self.0.write_all(format!("{line}\n").as_bytes()) {
            say(format_args!("backproof-agent: cannot write a message: {error}"));
        }
    }

    /// Waits until everything is out.
    pub fn drain(&self) {
        if let Err(error) = tcdrain(&self.0) {
            say(format_args!("backproof-agent: cannot drain {PORT}: {error}"));
        }
    }

    /// Turns a panic of process 1 into a note and a restart, instead of a kernel panic.
    pub fn report_panics(&self) {
        let file = self.0.try_clone();
        std::panic::set_hook(Box::new(move |panic| {
            if let Ok(file) = file.as_ref().map_err(|_| ()).and_then(|f| f.try_clone().map_err(|_| ())) {
                let mut port = Self(file);
                port.say(&Message::Note { text: format!("the agent panicked: {panic}") });
                port.drain();
            }
            super::restart()
        }));
    }
}
