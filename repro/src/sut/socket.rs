//! The server application's sockets, and the kernel's data about them.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::fs::sendfile;
use rustix::io::Errno;
use rustix::ioctl::{Getter, Opcode, ioctl};
use rustix::net::sockopt::{
    set_socket_recv_buffer_size, set_socket_reuseaddr, set_socket_send_buffer_size, set_socket_send_buffer_size_force,
    set_tcp_user_timeout, socket_error, socket_send_buffer_size,
};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, accept_with, bind, getpeername, listen, recv, send,
    socket_with,
};

use crate::wire::{AT_ONCE, Tried, WireError, wait_readable};
use backproof_protocol::Mutation;

/// `SO_MEMINFO` (include/uapi/asm-generic/socket.h), since 4.12.
const SO_MEMINFO: i32 = 55;
/// `SIOCOUTQ` (include/uapi/linux/sockios.h), also known as TIOCOUTQ.
const SIOCOUTQ: Opcode = 0x5411;

/// Sizes of a socket's buffers, as passed to setsockopt(2). The kernel doubles them.
#[derive(Clone, Copy, Debug)]
pub struct Buffers {
    /// `SO_SNDBUF` in bytes. It may exceed `net.core.wmem_max`.
    pub send: u32,
    /// `SO_RCVBUF` in bytes.
    pub receive: u32,
}

/// A listening socket.
#[derive(Debug)]
pub struct Listener {
    socket: OwnedFd,
    never_read: bool,
}

impl Listener {
    /// Listens. Accepted sockets inherit the buffers.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn new(address: SocketAddr, buffers: Option<Buffers>) -> Result<Self, WireError> {
        Self::with_backlog(address, buffers, 128)
    }

    /// Listens with an accept queue of this length, which `net.core.somaxconn` caps.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn with_backlog(address: SocketAddr, buffers: Option<Buffers>, backlog: i32) -> Result<Self, WireError> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(family, SocketType::STREAM, flags, None).tried("creating a TCP socket")?;
        set_socket_reuseaddr(&socket, true).tried("setting SO_REUSEADDR")?;
        if let Some(Buffers { send, receive }) = buffers {
            set_send_buffer(&socket, send)?;
            set_socket_recv_buffer_size(&socket, receive as usize).tried("setting SO_RCVBUF")?;
        }
        bind(&socket, &address).tried("binding a TCP socket")?;
        listen(&socket, backlog).tried("listening on a TCP socket")?;
        Ok(Self { socket, never_read: false })
    }

    /// Adds the mutation, if it is a fault of the server's application.
    #[must_use]
    pub fn mutated(self, mutation: Option<Mutation>) -> Self {
        Self { never_read: mutation == Some(Mutation::NeverRead), ..self }
    }

    /// Accepts a connection whose handshake is complete.
    ///
    /// # Errors
    /// If none comes within [`AT_ONCE`].
    pub fn accept(&self) -> Result<Connection, WireError> {
        if !wait_readable(&self.socket, Instant::now() + AT_ONCE).tried("waiting for the listening socket")? {
            let what = "accept(2) to return the connection".to_owned();
            return Err(WireError::TimedOut { what, after: AT_ONCE });
        }
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = accept_with(&self.socket, flags).tried("accepting a connection")?;
        Ok(Connection { socket, never_read: self.never_read })
    }

    /// Whether a connection is waiting to be accepted.
    ///
    /// # Errors
    /// If poll(2) fails.
    pub fn has_connection(&self) -> Result<bool, WireError> {
        wait_readable(&self.socket, Instant::now()).tried("polling the listening socket")
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// An accepted connection.
#[derive(Debug)]
pub struct Connection {
    socket: OwnedFd,
    never_read: bool,
}

impl Connection {
    /// Writes as much as fits into the send buffer; none if it is full.
    ///
    /// # Errors
    /// If the connection has been closed or aborted.
    pub fn write(&self, data: &[u8]) -> Result<Option<usize>, WireError> {
        match send(&self.socket, data, SendFlags::NOSIGNAL) {
            Ok(count) => Ok(Some(count)),
            Err(Errno::AGAIN) => Ok(None),
            Err(error) => Err(error).tried("writing to the connection"),
        }
    }

    /// Sends as much of a file from `offset` on as fits into the send buffer; none if it is full.
    ///
    /// # Errors
    /// If the connection has been closed or aborted, or the file cannot be sent.
    pub fn send_file(&self, file: impl AsFd, offset: u64, count: usize) -> Result<Option<usize>, WireError> {
        let mut offset = offset;
        match sendfile(&self.socket, file, Some(&mut offset), count) {
            Ok(count) => Ok(Some(count)),
            Err(Errno::AGAIN) => Ok(None),
            Err(error) => Err(error).tried("sending a file"),
        }
    }

    /// Reads available data into the buffer; none if there is none, 0 at the peer's FIN.
    ///
    /// # Errors
    /// If the connection has been aborted.
    pub fn read(&self, buffer: &mut [u8]) -> Result<Option<usize>, WireError> {
        match recv(&self.socket, buffer, RecvFlags::empty()) {
            Ok((count, _)) => Ok(Some(count)),
            Err(Errno::AGAIN) => Ok(None),
            Err(error) => Err(error).tried("reading from the connection"),
        }
    }

    /// The client's port.
    ///
    /// # Errors
    /// If the connection has been aborted.
    pub fn peer_port(&self) -> Result<u16, WireError> {
        let address = getpeername(&self.socket).tried("reading the client's address")?;
        let address = address.and_then(|a| SocketAddr::try_from(a).ok());
        address.map(|a| a.port()).ok_or_else(|| WireError::Unexpected("the client has no address".to_owned()))
    }

    /// Reads until the peer's FIN, at most `limit` bytes.
    ///
    /// # Errors
    /// If the FIN does not come within [`AT_ONCE`], or the connection is aborted.
    pub fn read_to_end(&self, limit: usize) -> Result<Vec<u8>, WireError> {
        if self.never_read {
            return Ok(Vec::new());
        }
        let deadline = Instant::now() + AT_ONCE;
        let mut data = Vec::new();
        let mut buffer = [0; 1024];
        while data.len() < limit {
            match recv(&self.socket, &mut buffer, RecvFlags::empty()) {
                Ok((_, 0)) => return Ok(data),
                Ok((_, count)) => data.extend(&buffer[..count]),
                Err(Errno::AGAIN) => {
                    if !wait_readable(&self.socket, deadline).tried("waiting for the connection")? {
                        let what = format!("the end of the stream after {} bytes read", data.len());
                        return Err(WireError::TimedOut { what, after: AT_ONCE });
                    }
                }
                Err(error) => return Err(error).tried("reading from the connection"),
            }
        }
        Ok(data)
    }

    /// Sets `SO_SNDBUF` in bytes.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn set_send_buffer(&self, bytes: u32) -> Result<(), WireError> {
        set_send_buffer(&self.socket, bytes)
    }

    /// Sets `TCP_USER_TIMEOUT`.
    ///
    /// # Errors
    /// ENOPROTOOPT before 2.6.37.
    pub fn set_user_timeout(&self, timeout: Duration) -> Result<(), WireError> {
        let ms = u32::try_from(timeout.as_millis()).unwrap_or(u32::MAX);
        set_tcp_user_timeout(&self.socket, ms).tried("setting TCP_USER_TIMEOUT")
    }

    /// Takes the error that ended the connection (`SO_ERROR`), if any.
    ///
    /// # Errors If getsockopt(2) fails.
    pub fn take_error(&self) -> Result<Option<io::Error>, WireError> {
        Ok(socket_error(&self.socket).tried("reading SO_ERROR")?.err().map(io::Error::from))
    }

    /// The send buffer's size and fill level.
    ///
    /// # Errors If `SO_SNDBUF` or `SIOCOUTQ` fails. `SO_MEMINFO` is optional.
    pub fn memory(&self) -> Result<Memory, WireError> {
        let sndbuf = socket_send_buffer_size(&self.socket).tried("reading SO_SNDBUF")? as u64;
        // SAFETY: SIOCOUTQ writes one int.
        let outq: i32 = unsafe { ioctl(&self.socket, Getter::<SIOCOUTQ, i32>::new()) }.tried("reading SIOCOUTQ")?;
        Ok(Memory { sndbuf, outq: u64::try_from(outq).unwrap_or(0), wmem_queued: wmem_queued(&self.socket) })
    }

    /// Reads `TCP_INFO`.
    ///
    /// # Errors If the kernel lacks it.
    pub fn tcp_info(&self) -> Result<TcpInfo, WireError> {
        tcp_info(&self.socket)
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Whether the kernel has `SO_MEMINFO`.
pub fn has_meminfo(listener: &Listener) -> bool {
    wmem_queued(listener).is_some()
}

/// Whether the kernel has `TCP_INFO` in a known form.
pub fn has_tcp_info(listener: &Listener) -> bool {
    tcp_info(listener).is_ok()
}

fn wmem_queued(socket: impl AsFd) -> Option<u64> {
    let mut words = [0; 64];
    let length = get_option(socket, libc::SOL_SOCKET, SO_MEMINFO, &mut words).ok()?;
    parse_meminfo(&words[..length])
}

fn tcp_info(socket: impl AsFd) -> Result<TcpInfo, WireError> {
    let mut bytes = [0; 256];
    let length = get_option(socket, libc::IPPROTO_TCP, libc::TCP_INFO, &mut bytes).tried("reading TCP_INFO")?;
    parse_tcp_info(&bytes[..length])
        .ok_or_else(|| WireError::Unexpected(format!("TCP_INFO has {length} bytes, expected 104 or more")))
}

/// Sets `SO_SNDBUF`. It exceeds `net.core.wmem_max` if this process is allowed to.
fn set_send_buffer(socket: impl AsFd, bytes: u32) -> Result<(), WireError> {
    match set_socket_send_buffer_size_force(&socket, bytes as usize) {
        // Root of a user namespace may not, because the kernel requires CAP_NET_ADMIN in the first one
        // (`sk_setsockopt`).
        Err(Errno::PERM) => {
            set_socket_send_buffer_size(&socket, bytes as usize).tried("setting SO_SNDBUF")?;
            let set = socket_send_buffer_size(&socket).tried("reading SO_SNDBUF")?;
            // The kernel doubles the value, after silently lowering it to net.core.wmem_max.
            if (set as u64) < 2 * u64::from(bytes) {
                let wanted =
                    format!("only root can set SO_SNDBUF to {bytes} bytes, because net.core.wmem_max is smaller");
                return Err(WireError::Unexpected(wanted));
            }
            Ok(())
        }
        other => other.tried("setting SO_SNDBUFFORCE"),
    }
}

/// Calls getsockopt(2) with a buffer; returns how many bytes the kernel wrote.
fn get_option(socket: impl AsFd, level: i32, name: i32, buffer: &mut [u8]) -> io::Result<usize> {
    let mut length = libc::socklen_t::try_from(buffer.len()).map_err(io::Error::other)?;
    let (fd, data) = (socket.as_fd().as_raw_fd(), buffer.as_mut_ptr().cast());
    // SAFETY: the kernel writes at most `length` bytes to `data`, which is that long, and then sets `length`. Neither
    // rustix nor nix wraps SO_MEMINFO or TCP_INFO.
    let result = unsafe { libc::getsockopt(fd, level, name, data, &raw mut length) };
    if result == 0 { Ok((length as usize).min(buffer.len())) } else { Err(io::Error::last_os_error()) }
}

/// A socket's send memory, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// `sk_sndbuf`: the limit.
    pub sndbuf: u64,
    /// `SIOCOUTQ`: bytes of unacknowledged data, whether sent or not.
    pub outq: u64,
    /// `sk_wmem_queued`: data plus the kernel's overhead; none before 4.12.
    pub wmem_queued: Option<u64>,
}

/// The fields of `TCP_INFO` that reproducers use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpInfo {
    /// Whether the connection is established (`TCP_ESTABLISHED` is 1, include/net/tcp_states.h).
    pub established: bool,
    /// Zero-window probes since the last acknowledgement (`icsk_probes_out`).
    pub probes: u8,
    /// All segments that the kernel has retransmitted (`total_retrans`).
    pub total_retrans: u32,
    /// Expirations of the retransmission timer for the oldest segment (`icsk_retransmits`).
    pub retransmits: u8,
    /// Doublings of the timeout (`icsk_backoff`).
    pub backoff: u8,
    /// The current retransmission timeout in microseconds.
    pub rto_us: u32,
    /// Maximum segment size for sending, in bytes.
    pub snd_mss: u32,
    /// Segments in flight (`packets_out`).
    pub unacked: u32,
}

/// The 32-bit word at this index, in native byte order.
fn word(bytes: &[u8], number: usize) -> Option<u32> {
    bytes.get(number * 4..)?.first_chunk().map(|b| u32::from_ne_bytes(*b))
}

/// `SK_MEMINFO_WMEM_QUEUED` of `SO_MEMINFO`'s array (include/uapi/linux/sock_diag.h).
fn parse_meminfo(bytes: &[u8]) -> Option<u64> {
    word(bytes, 5).map(u64::from)
}

/// The start of struct tcp_info (include/uapi/linux/tcp.h). The struct has only grown at its end.
fn parse_tcp_info(bytes: &[u8]) -> Option<TcpInfo> {
    if bytes.len() < 104 {
        return None;
    }
    Some(TcpInfo {
        established: bytes[0] == 1,
        probes: bytes[3],
        total_retrans: word(bytes, 25)?,
        retransmits: bytes[2],
        backoff: bytes[4],
        rto_us: word(bytes, 2)?,
        snd_mss: word(bytes, 4)?,
        unacked: word(bytes, 6)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn local_kernel_reports_about_a_connection() -> Result<(), Box<dyn std::error::Error>> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let client = TcpStream::connect(listener.local_addr()?)?;
        let connection = Connection { socket: client.into(), never_read: false };
        let memory = connection.memory()?;
        assert!(memory.sndbuf > 4096, "{memory:?}");
        assert_eq!(memory.outq, 0);
        let info = connection.tcp_info()?;
        assert_eq!((info.backoff, info.retransmits, info.unacked), (0, 0, 0));
        assert_eq!((info.established, info.probes, info.total_retrans), (true, 0, 0));
        assert!((200_000..=1_100_000).contains(&info.rto_us), "{info:?}");
        assert!(info.snd_mss > 500, "{info:?}");
        Ok(())
    }

    #[test]
    fn missing_kernel_data_is_absent() {
        assert_eq!(parse_meminfo(&[0; 20]), None);
        assert_eq!(parse_meminfo(&[0; 36]), Some(0));
        assert_eq!(parse_tcp_info(&[0; 103]), None);
        let mut bytes = [0; 104];
        (bytes[0], bytes[2], bytes[3], bytes[4]) = (1, 3, 5, 7);
        bytes[100..].copy_from_slice(&9_u32.to_ne_bytes());
        bytes[8..12].copy_from_slice(&37_760_000_u32.to_ne_bytes());
        let info = parse_tcp_info(&bytes).expect("whole");
        assert_eq!((info.retransmits, info.backoff, info.rto_us), (3, 7, 37_760_000));
        assert_eq!((info.established, info.probes, info.total_retrans), (true, 5, 9));
    }
}
