//! The rtnetlink(7) requests that bring an interface up.
//!
//! Netlink is simpler than the older ioctls: IPv4 and IPv6 have one form, and the messages are plain bytes.

use std::io;
use std::net::IpAddr;

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

/// `RTM_NEWLINK` with a known index changes that link (include/uapi/linux/rtnetlink.h).
const RTM_NEWLINK: u16 = 16;
/// `RTM_NEWADDR` (the same file).
const RTM_NEWADDR: u16 = 20;
/// `NLM_F_REQUEST | NLM_F_ACK` (include/uapi/linux/netlink.h).
const REQUEST_WITH_ACK: u16 = 0x01 | 0x04;
/// `NLM_F_CREATE | NLM_F_EXCL` (the same file).
const CREATE: u16 = 0x400 | 0x200;
/// The message type of an answer with an errno (the same file).
const NLMSG_ERROR: u16 = 2;
/// `IFF_UP` (include/uapi/linux/if.h).
const IFF_UP: u32 = 1;
/// `IFA_ADDRESS` and `IFA_LOCAL` (include/uapi/linux/if_addr.h).
const ADDRESS_ATTRIBUTES: [u16; 2] = [1, 2];
/// The kernel's number for IPv4.
const AF_INET: u8 = 2;
/// The kernel's number for IPv6.
const AF_INET6: u8 = 10;

/// `IFA_F_NODAD` (include/uapi/linux/if_addr.h). Without it the address is tentative at first, and nothing can bind to
/// it.
const NODAD: u8 = 2;

/// Brings the interface up.
///
/// # Errors
/// The kernel's error.
pub fn set_up(interface: u32) -> io::Result<()> {
    let mut body = vec![0; 4]; // ifi_family, padding, ifi_type
    body.extend(interface.to_ne_bytes());
    body.extend(IFF_UP.to_ne_bytes()); // ifi_flags
    body.extend(IFF_UP.to_ne_bytes()); // ifi_change
    request(RTM_NEWLINK, REQUEST_WITH_ACK, &body)
}

/// Gives the interface an address and the route to its network.
///
/// # Errors
/// The kernel's error.
pub fn add_address(interface: u32, address: IpAddr, prefix: u8) -> io::Result<()> {
    let (family, flags, bytes) = match address {
        IpAddr::V4(v4) => (AF_INET, 0, v4.octets().to_vec()),
        IpAddr::V6(v6) => (AF_INET6, NODAD, v6.octets().to_vec()),
    };
    let mut body = vec![family, prefix, flags, 0]; // ifa_family, ifa_prefixlen, ifa_flags, ifa_scope
    body.extend(interface.to_ne_bytes());
    for attribute in ADDRESS_ATTRIBUTES {
        body.extend((4 + bytes.len() as u16).to_ne_bytes());
        body.extend(attribute.to_ne_bytes());
        body.extend(&bytes);
    }
    request(RTM_NEWADDR, REQUEST_WITH_ACK | CREATE, &body)
}

fn request(kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
    // No protocol means protocol 0, which is NETLINK_ROUTE.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    // An unconnected netlink socket sends to the kernel.
    send(&socket, &message(kind, flags, body), SendFlags::empty())?;
    let mut answer = [0; 1024];
    let (length, _) = recv(&socket, &mut answer, RecvFlags::empty())?;
    parse_answer(&answer[..length])
}

/// One netlink message: struct nlmsghdr and a body, whose length must be a multiple of four.
fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(16 + body.len());
    bytes.extend((16 + body.len() as u32).to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(1_u32.to_ne_bytes()); // sequence number: one request a socket
    bytes.extend(0_u32.to_ne_bytes()); // port: the kernel fills it in
    bytes.extend(body);
    bytes
}

/// An acknowledgement is an error message with errno 0.
fn parse_answer(answer: &[u8]) -> io::Result<()> {
    let not_understood = || io::Error::new(io::ErrorKind::InvalidData, "the kernel's netlink answer has no error code");
    let kind = answer.get(4..6).and_then(|b| b.first_chunk()).map(|b| u16::from_ne_bytes(*b));
    let code = answer.get(16..20).and_then(|b| b.first_chunk()).map(|b| i32::from_ne_bytes(*b));
    match (kind, code) {
        (Some(NLMSG_ERROR), Some(0)) => Ok(()),
        (Some(NLMSG_ERROR), Some(code)) => Err(io::Error::from_raw_os_error(code.wrapping_neg())),
        _ => Err(not_understood()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(kind: u16, code: i32) -> Vec<u8> {
        message(kind, 0, &code.to_ne_bytes())
    }

    #[test]
    fn answer_is_an_acknowledgement_an_errno_or_invalid() {
        assert!(parse_answer(&answer(NLMSG_ERROR, 0)).is_ok());
        let refused = parse_answer(&answer(NLMSG_ERROR, -17)).expect_err("an errno");
        assert_eq!(refused.raw_os_error(), Some(17));
        let whole = answer(NLMSG_ERROR, 0);
        for bad in [&[][..], &whole[..15], &whole[..19], &answer(3, 0)] {
            let error = parse_answer(bad).expect_err("not an answer");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{bad:?}");
        }
        assert!(parse_answer(&answer(NLMSG_ERROR, i32::MIN)).is_err());
    }

    #[test]
    fn message_has_its_own_length() {
        assert_eq!(message(RTM_NEWLINK, REQUEST_WITH_ACK, &[0; 16])[..4], 32_u32.to_ne_bytes());
    }
}
