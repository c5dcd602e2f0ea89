//! TCP connections through `sock_diag`: netlink messages of include/uapi/linux/{netlink,sock_diag,inet_diag,tcp}.h.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with};

use super::socket::{Socket, SocketSource, Sockets, Timer};

/// `SOCK_DIAG_BY_FAMILY` (sock_diag.h).
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_DUMP` (netlink.h).
const DUMP: u16 = 0x001 | 0x300;
/// `NLM_F_DUMP_INTR` (netlink.h): the table changed while it was dumped.
#[cfg(test)]
const INTERRUPTED: u16 = 0x10;
/// `NLMSG_ERROR` and `NLMSG_DONE` (netlink.h).
const ERROR: u16 = 2;
/// The same file.
const DONE: u16 = 3;
/// `AF_INET` and `AF_INET6`: an IPv6 socket is listed under the second even if its peer is an IPv4 one.
const FAMILIES: [u8; 2] = [2, 10];
/// `IPPROTO_TCP`.
const TCP: u8 = 6;
/// `INET_DIAG_INFO`, `INET_DIAG_SKMEMINFO` (inet_diag.h): attributes, and bits from 1 on in a request.
const INFO: u16 = 2;
/// The same file.
const SKMEMINFO: u16 = 7;
/// Requested states, as bits (include/net/tcp_states.h): all that can have something queued. This excludes listeners
/// (10), TIME_WAIT (6) and unfinished connections (12).
const STATES: u32 = 0x1ffe & !(1 << 10 | 1 << 6 | 1 << 12);

/// The time limit of one namespace: a host with a million connections must still get an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The buffer of one answer, in bytes. The kernel fills at most 32 KiB (`NLMSG_GOODSIZE` and the receiver's buffer,
/// net/netlink/af_netlink.c).
const BUFFER: usize = 64 * 1024;

/// All TCP connections of the calling thread's network namespace.
///
/// # Errors
/// ENOENT if the kernel has no `inet_diag` (the module `tcp_diag` is missing), EPROTONOSUPPORT if it has no
/// `sock_diag`; TimedOut if it took too long.
pub fn connections() -> io::Result<Sockets> {
    let deadline = Instant::now() + PATIENCE;
    let mut sockets = Sockets::new(SocketSource::SockDiag);
    for family in FAMILIES {
        match dump(family, deadline, &mut sockets) {
            // A kernel without IPv6 has no handler for it, and no such connection.
            Err(error) if family == FAMILIES[1] && error.raw_os_error() == Some(2) => {}
            other => other?,
        }
    }
    sockets.finish(None);
    Ok(sockets)
}

fn dump(family: u8, deadline: Instant, sockets: &mut Sockets) -> io::Result<()> {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(netlink::SOCK_DIAG))?;
    send(&socket, &request(family), SendFlags::empty())?;
    let mut buffer = vec![0; BUFFER];
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "timed out after 10 s of listing connections"));
        }
        set_socket_timeout(&socket, Timeout::Recv, Some(left))?;
        let length = match recv(&socket, &mut buffer, RecvFlags::empty()) {
            Ok((_, length)) => length,
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => continue,
            Err(error) => return Err(error.into()),
        };
        if length > buffer.len() {
            return Err(malformed("too long"));
        }
        if parse(&buffer[..length], sockets)? == DumpProgress::Finished {
            return Ok(());
        }
    }
}

/// A dump request: struct nlmsghdr, struct inet_diag_req_v2 with an empty id.
fn request(family: u8) -> Vec<u8> {
    const LENGTH: u32 = 16 + 56;
    let mut bytes = Vec::with_capacity(LENGTH as usize);
    bytes.extend(LENGTH.to_ne_bytes());
    bytes.extend(BY_FAMILY.to_ne_bytes());
    bytes.extend(DUMP.to_ne_bytes());
    bytes.extend(1_u32.to_ne_bytes()); // sequence number: one request a socket
    bytes.extend(0_u32.to_ne_bytes()); // port: the kernel fills it in
    bytes.extend([family, TCP, 1 << (INFO - 1) | 1 << (SKMEMINFO - 1), 0]);
    bytes.extend(STATES.to_ne_bytes());
    bytes.resize(LENGTH as usize, 0);
    bytes
}

/// Whether more answers follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DumpProgress {
    More,
    Finished,
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("malformed sock_diag answer: {what}"))
}

/// Takes the messages of one answer.
fn parse(mut bytes: &[u8], sockets: &mut Sockets) -> io::Result<DumpProgress> {
    if bytes.is_empty() {
        return Err(malformed("empty"));
    }
    while !bytes.is_empty() {
        let length = u32_at(bytes, 0).and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
        let kind = u16_at(bytes, 4).unwrap_or(0);
        let Some(body) = bytes.get(16..length) else { return Err(malformed("cut short")) };
        match kind {
            DONE => return Ok(DumpProgress::Finished),
            ERROR => {
                let code = u32_at(body, 0).map_or(0, |n| n as i32);
                return Err(match code {
                    0 => malformed("an error without a code"),
                    code => io::Error::from_raw_os_error(code.wrapping_neg()),
                });
            }
            BY_FAMILY => sockets.take(connection(body).ok_or_else(|| malformed("not a connection"))?),
            // NLMSG_NOOP, and types that only newer kernels send.
            _ => {}
        }
        // The next message starts at a multiple of four.
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Ok(DumpProgress::More)
}

/// One struct inet_diag_msg (72 bytes) with its attributes.
fn connection(body: &[u8]) -> Option<Socket> {
    let fixed = body.get(..72)?;
    let family = fixed[0];
    let timer = match fixed[2] {
        1 => Some(Timer::Retransmit),
        4 => Some(Timer::Probe),
        0 => Some(Timer::None),
        _ => Some(Timer::Other),
    };
    let mut socket = Socket {
        local: address(family, fixed.get(4..6)?, fixed.get(8..24)?),
        remote: address(family, fixed.get(6..8)?, fixed.get(24..40)?),
        inode: u32_at(fixed, 68).filter(|n| *n != 0).map(u64::from),
        timer,
        // struct inet_diag_msg: id at 4 (48 bytes), then expires, rqueue, wqueue, uid, inode.
        expires_ms: timer.filter(|timer| *timer != Timer::None).and_then(|_| u32_at(fixed, 52)).map(u64::from),
        unacknowledged: u32_at(fixed, 60).map(u64::from),
        ..Socket::default()
    };
    let mut rest = &body[72..];
    while let (Some(length), Some(kind)) = (u16_at(rest, 0), u16_at(rest, 2)) {
        let length = usize::from(length);
        let Some(value) = rest.get(4..length) else { break };
        match kind {
            INFO => take_info(&mut socket, value),
            SKMEMINFO => {
                // SK_MEMINFO_SNDBUF is the fourth of its numbers, SK_MEMINFO_WMEM_QUEUED the sixth (sock_diag.h).
                socket.sndbuf = u32_at(value, 12).map(u64::from);
                socket.wmem_queued = u32_at(value, 20).map(u64::from);
            }
            _ => {}
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    Some(socket)
}

/// struct tcp_info (tcp.h): retransmits at 2, backoff at 4, rto in microseconds at 8, unacked at 24, last_data_sent and
/// last_ack_recv in milliseconds at 44 and 56, rtt and rttvar in microseconds at 68 and 72, snd_wnd at 228. Older kernels
/// give less of it, and newer ones more.
fn take_info(socket: &mut Socket, info: &[u8]) {
    socket.retransmits = info.get(2).copied().map(u32::from);
    socket.backoff = info.get(4).copied().map(u32::from);
    socket.rto_ms = u32_at(info, 8).map(|us| u64::from(us) / 1000);
    socket.in_flight = u32_at(info, 24).map(u64::from);
    socket.last_sent_ms = u32_at(info, 44).map(u64::from);
    socket.last_ack_ms = u32_at(info, 56).map(u64::from);
    let trip = u32_at(info, 68).zip(u32_at(info, 72));
    socket.fresh_rto_ms = trip.map(|(rtt, variance)| (u64::from(rtt) + 4 * u64::from(variance)) / 1000);
    socket.peer_window = u32_at(info, 228).map(u64::from);
}

fn address(family: u8, port: &[u8], address: &[u8]) -> String {
    let port = port.first_chunk().map_or(0, |b| u16::from_be_bytes(*b));
    match (family, address.first_chunk::<4>(), address.first_chunk::<16>()) {
        (10, _, Some(v6)) => format!("[{}]:{port}", Ipv6Addr::from(*v6)),
        (2, Some(v4), _) => format!("{}:{port}", Ipv4Addr::from(*v4)),
        _ => format!("?:{port}"),
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|b| u32::from_ne_bytes(*b))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|b| u16::from_ne_bytes(*b))
}

#[cfg(test)]
#[path = "diag_tests.rs"]
mod tests;
