//! The addresses of wires.
//!
//! Jobs that run one after another in the first network namespace have networks of their own: connections of an earlier
//! job outlive it there, and would answer the packets of a later one.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU8, Ordering};

/// The most turns with networks of their own; later ones share them.
const TURNS: u8 = 90;

/// The turn of this process's job in its namespace.
static TURN: AtomicU8 = AtomicU8::new(0);

/// Gives this process the networks of a turn.
pub fn take_turn(turn: u8) {
    TURN.store(turn % TURNS, Ordering::Relaxed);
}

/// A host's IPv4 address on a wire.
pub(super) fn ipv4(net: u8, host: u8) -> IpAddr {
    wire_ipv4(TURN.load(Ordering::Relaxed), net, host).into()
}

/// A host's IPv6 address on a wire.
pub(super) fn ipv6(net: u8, host: u8) -> IpAddr {
    let turn = TURN.load(Ordering::Relaxed);
    Ipv6Addr::new(0xfd71, turn.into(), 0, net.into(), 0, 0, 0, host.into()).into()
}

/// A host's IPv4 address between two namespaces.
pub(super) fn between(net: u8, host: u8) -> IpAddr {
    between_ipv4(TURN.load(Ordering::Relaxed), net, host).into()
}

fn wire_ipv4(turn: u8, net: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 71 + 2 * turn, net, host)
}

fn between_ipv4(turn: u8, net: u8, host: u8) -> Ipv4Addr {
    Ipv4Addr::new(10, 72 + 2 * turn, net, host)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn turns_share_no_network() {
        let of_turn = |turn| [wire_ipv4(turn, 0, 1), between_ipv4(turn, 0, 1)];
        let all: BTreeSet<Ipv4Addr> = (0..TURNS).flat_map(of_turn).collect();
        assert_eq!(all.len(), 2 * usize::from(TURNS));
        assert_eq!(of_turn(0), [Ipv4Addr::new(10, 71, 0, 1), Ipv4Addr::new(10, 72, 0, 1)]);
    }
}
