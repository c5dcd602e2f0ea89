//! The client application's socket, in the namespace of the thread that created it.

use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::sockopt::{set_tcp_nodelay, socket_error};
use rustix::net::{AddressFamily, SendFlags, SocketFlags, SocketType, connect, getsockname, send, socket_with};

use crate::wire::{Tried as _, WireError};

/// A non-blocking TCP socket over IPv4.
#[derive(Debug)]
pub struct Client(OwnedFd);

impl Client {
    /// Creates the socket. Writes are sent immediately (`TCP_NODELAY`).
    ///
    /// # Errors
    /// The kernel's error.
    pub fn new() -> Result<Self, WireError> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket =
            socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).tried("creating a TCP socket")?;
        set_tcp_nodelay(&socket, true).tried("setting TCP_NODELAY")?;
        Ok(Self(socket))
    }

    /// Starts connecting.
    ///
    /// # Errors
    /// If the kernel rejects it immediately.
    pub fn connect(&self, to: SocketAddr) -> Result<(), WireError> {
        match connect(&self.0, &to) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(()),
            Err(error) => Err(error).tried("connecting"),
        }
    }

    /// Writes all of `data`, which must fit into the socket's buffer.
    ///
    /// # Errors If the connection is closed or aborted, or the buffer is full.
    pub fn write(&self, data: &[u8]) -> Result<(), WireError> {
        match send(&self.0, data, SendFlags::NOSIGNAL).tried("writing at the client")? {
            written if written == data.len() => Ok(()),
            written => {
                Err(WireError::Unexpected(format!("the client's socket took {written} of {} bytes", data.len())))
            }
        }
    }

    /// The local port, once it connects.
    ///
    /// # Errors
    /// If it has none.
    pub fn port(&self) -> Result<u16, WireError> {
        let address = getsockname(&self.0).tried("reading a socket's address")?;
        SocketAddr::try_from(address).map(|a| a.port()).tried("reading a socket's address")
    }

    /// Takes the pending error (`SO_ERROR`).
    ///
    /// # Errors If getsockopt(2) fails.
    pub fn error(&self) -> Result<Option<Errno>, WireError> {
        Ok(socket_error(&self.0).tried("reading SO_ERROR")?.err())
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
