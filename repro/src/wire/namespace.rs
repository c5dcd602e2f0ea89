//! Network namespaces of threads.

use std::io;

use nix::sched::{CloneFlags, unshare};
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType, socket};

use super::rtnetlink;

/// Moves only the calling thread into a new network namespace with its loopback interface up.
///
/// # Errors EINVAL if the kernel has no network namespaces.
pub fn enter_new() -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWNET)?;
    loopback_up()
}

/// Brings the loopback interface up.
///
/// # Errors
/// The kernel's error.
pub fn loopback_up() -> io::Result<()> {
    rtnetlink::set_up(loopback()?)
}

/// Sends multicast to the loopback interface.
///
/// # Errors
/// The kernel's error, EEXIST if it does already.
pub fn route_multicast() -> io::Result<()> {
    rtnetlink::add_multicast_route(loopback()?)
}

/// The loopback interface.
fn loopback() -> io::Result<u32> {
    Ok(name_to_index(socket(AddressFamily::INET, SocketType::DGRAM, None)?, "lo")?)
}
