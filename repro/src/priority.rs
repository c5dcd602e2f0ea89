//! The priority of the agent's own processes over users' programs.

use std::io;

/// Puts the calling thread above every thread of normal priority, and above real-time threads of lower priority, so that a
/// program that takes all processor time does not look like a kernel that hangs. Its children, and its further threads, have
/// normal priority.
///
/// # Errors
/// If the kernel refuses.
pub fn rise_above_programs() -> io::Result<()> {
    // SAFETY: it takes a number, and returns one.
    let highest = unsafe { libc::sched_get_priority_max(libc::SCHED_FIFO) };
    let priority = libc::sched_param { sched_priority: highest };
    let policy = libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK;
    // SAFETY: it only reads the struct. 0 is the calling thread. No library wraps it.
    let set = unsafe { libc::sched_setscheduler(0, policy, &raw const priority) };
    if set == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
