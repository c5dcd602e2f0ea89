//! A guest's output, for `fuzz/`.

use backproof_protocol::Job;

use super::agent::Conversation;
use super::console::Monitor;

/// The agent's lines.
pub fn agent(bytes: &[u8]) {
    let mut conversation = Conversation::new(&[Job::new("a", 1000)]);
    for piece in bytes.chunks(97) {
        if conversation.push(piece, |_| ()).is_err() {
            return;
        }
    }
}

/// The console.
pub fn console(bytes: &[u8]) {
    let mut monitor = Monitor::new();
    for piece in bytes.chunks(97) {
        monitor.push(piece);
    }
    monitor.end();
    let _ = (monitor.hit(), monitor.last_lines(), monitor.warnings());
}
