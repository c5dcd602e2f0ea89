//! The guest agent: PID 1 of a test guest.

fn main() {}
