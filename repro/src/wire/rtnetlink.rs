//! The rtnetlink(7) requests that bring an interface up, and give it addresses and routes.
//!
//! Netlink is simpler than the older ioctls: IPv4 and IPv6 have one form, and the messages are plain bytes.

use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, send, socket_with};

use super::{AT_ONCE, wait_readable};

/// `RTM_NEWLINK` with a known index changes that link (include/uapi/linux/rtnetlink.h).
const RTM_NEWLINK: u16 = 16;
/// `RTM_NEWADDR` (the same file).
const RTM_NEWADDR: u16 = 20;
/// `RTM_NEWROUTE` (the same file).
const RTM_NEWROUTE: u16 = 24;
/// `RTN_LOCAL`: packets to this destination are for this host (the same file).
const RTN_LOCAL: u8 = 2;
/// `RTA_DST`: a route's destination (the same file).
const RTA_DST: u16 = 1;
/// `RTA_OIF`: a route's interface (the same file).
const RTA_OIF: u16 = 4;
/// `RT_TABLE_MAIN`, `RTPROT_BOOT`, `RT_SCOPE_LINK` and `RTN_UNICAST`: what `ip route add … dev …` asks for (the same file).
const LINK_ROUTE: [u8; 4] = [254, 3, 253, 1];
/// `RTMGRP_IPV6_ROUTE`: the group that hears of changed IPv6 routes (the same file).
const IPV6_ROUTES: u32 = 0x400;
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

/// Gives the interface an address and the route to its network. The kernel then accepts packets to the address.
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
    let IpAddr::V6(address) = address else { return request(RTM_NEWADDR, REQUEST_WITH_ACK | CREATE, &body) };
    let routes = netlink_socket()?;
    bind(&routes, &SocketAddrNetlink::new(0, IPV6_ROUTES))?;
    request(RTM_NEWADDR, REQUEST_WITH_ACK | CREATE, &body)?;
    wait_for_local_route(&routes, address)
}

/// Gives the interface the route to all IPv4 multicast groups (224.0.0.0/4, RFC 5771).
///
/// # Errors
/// The kernel's error.
pub fn add_multicast_route(interface: u32) -> io::Result<()> {
    let mut body = vec![AF_INET, 4, 0, 0]; // rtm_family, rtm_dst_len, rtm_src_len, rtm_tos
    body.extend(LINK_ROUTE); // rtm_table, rtm_protocol, rtm_scope, rtm_type
    body.extend([0; 4]); // rtm_flags
    for (attribute, bytes) in [(RTA_DST, [224, 0, 0, 0]), (RTA_OIF, interface.to_ne_bytes())] {
        body.extend(8_u16.to_ne_bytes());
        body.extend(attribute.to_ne_bytes());
        body.extend(bytes);
    }
    request(RTM_NEWROUTE, REQUEST_WITH_ACK | CREATE, &body)
}

/// Waits until the kernel announces its own route to the address. It adds this route later, in a worker
/// (`addrconf_dad_work`, net/ipv6/addrconf.c), even if it does not look for duplicates of the address. On a busy host the
/// worker is late by hundreds of milliseconds. Until then the kernel drops packets to the address.
fn wait_for_local_route(routes: &OwnedFd, address: Ipv6Addr) -> io::Result<()> {
    let deadline = Instant::now() + AT_ONCE;
    let mut message = [0; 4096];
    while wait_readable(routes, deadline)? {
        let (length, _) = recv(routes, &mut message, RecvFlags::empty())?;
        if announces_local_route(&message[..length], address) {
            return Ok(());
        }
    }
    let why = format!("timed out after {} ms waiting for the kernel's route to {address}", AT_ONCE.as_millis());
    Err(io::Error::new(io::ErrorKind::TimedOut, why))
}

/// Whether a message (struct nlmsghdr, struct rtmsg, attributes) announces a local route to this address.
fn announces_local_route(message: &[u8], address: Ipv6Addr) -> bool {
    let destination = [&20_u16.to_ne_bytes()[..], &RTA_DST.to_ne_bytes(), &address.octets()].concat();
    let is_local = message.get(4..6) == Some(&RTM_NEWROUTE.to_ne_bytes()) && message.get(23) == Some(&RTN_LOCAL);
    is_local && message[24..].windows(destination.len()).any(|attribute| attribute == destination)
}

fn netlink_socket() -> io::Result<OwnedFd> {
    // No protocol means protocol 0, which is NETLINK_ROUTE.
    Ok(socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?)
}

fn request(kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
    let socket = netlink_socket()?;
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
    fn only_the_local_route_of_the_address_is_waited_for() {
        // What Linux 6.18 says after the address fd71::1/64: a multicast route, the prefix, the local route.
        let route = |prefix: u8, kind: u8, destination: &str| {
            let destination: Ipv6Addr = destination.parse().expect("an address");
            let mut body = vec![AF_INET6, prefix, 0, 0, 0xff, 2, 0, kind, 0, 0, 0, 0];
            body.extend([8_u16.to_ne_bytes(), 15_u16.to_ne_bytes(), [0xff, 0], [0, 0]].concat()); // RTA_TABLE
            body.extend([20_u16.to_ne_bytes(), RTA_DST.to_ne_bytes()].concat());
            body.extend(destination.octets());
            message(RTM_NEWROUTE, 0, &body)
        };
        let local = route(128, RTN_LOCAL, "fd71::1");
        let mut removed = local.clone();
        removed[4] += 1; // RTM_DELROUTE
        let cut = &local[..local.len() - 1];
        let others = [route(128, 5, "ff02::1"), route(64, 1, "fd71::"), route(128, RTN_LOCAL, "fe80::1"), removed];
        let announces = |message: &[u8]| announces_local_route(message, "fd71::1".parse().expect("an address"));
        assert!(announces(&local));
        for other in others.iter().map(Vec::as_slice).chain([cut, &local[..23], &[]]) {
            assert!(!announces(other), "{other:?}");
        }
    }

    #[test]
    fn message_has_its_own_length() {
        assert_eq!(message(RTM_NEWLINK, REQUEST_WITH_ACK, &[0; 16])[..4], 32_u32.to_ne_bytes());
    }
}
