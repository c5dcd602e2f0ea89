//! A wire between two network namespaces: real sockets on both ends, and the agent carries every packet.
//!
//! Each end is a TUN device. When a packet leaves one end, it is lost, or arrives at the other end after a fixed delay.
//! No packet is forged, changed, duplicated or reordered.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::addresses::between as address;
use super::namespace;
use super::tun::Tun;
use super::{Tried as _, WireError};

/// The most packets that one wire carries, so that no exchange goes on for ever.
const MAX_PACKETS: u32 = 20_000;

/// The number of packets to read from one end before the other end's turn. An interface holds 500 (its `txqueuelen`).
const BATCH: usize = 64;

/// A packet's direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the client's namespace to the server's.
    ToServer,
    /// From the server's namespace to the client's.
    ToClient,
}

/// A packet's fate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives.
    Pass,
    /// It is lost.
    Lose,
}

#[derive(Debug)]
struct Flying {
    due: Instant,
    way: Way,
    packet: Vec<u8>,
}

/// The wire. The server's end is in the namespace of the thread that created it.
#[derive(Debug)]
pub struct Between {
    server: Tun,
    client: Tun,
    net: u8,
    delay: Duration,
    /// Sorted by due time, because all have the same delay.
    flying: VecDeque<Flying>,
    carried: u32,
    buffer: Vec<u8>,
}

impl Between {
    /// Creates the wire: one end here, the other in a new network namespace. `in_client` runs there to create the
    /// client's sockets, which stay in that namespace. `delay` is the one-way delay. `net` gives the wire unique
    /// addresses if several share a namespace.
    ///
    /// # Errors If the kernel has no network namespaces or no TUN device, or `in_client` fails.
    pub fn new<T: Send>(
        net: u8,
        delay: Duration,
        in_client: impl FnOnce() -> Result<T, WireError> + Send,
    ) -> Result<(Self, T), WireError> {
        let end = |host: u8| {
            let tun = Tun::new().tried("creating a TUN interface")?;
            tun.set_up().tried("bringing the TUN interface up")?;
            tun.add_address(address(net, host), 24).tried("giving the TUN interface its address")?;
            Ok::<_, WireError>(tun)
        };
        let server = end(1)?;
        let make_client = || {
            namespace::enter_new().tried("creating the client's network namespace")?;
            Ok((end(2)?, in_client()?))
        };
        let made = thread::scope(|scope| {
            let thread = thread::Builder::new().spawn_scoped(scope, make_client).tried("starting a thread")?;
            thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        });
        let (client, theirs) = made?;
        let flying = VecDeque::new();
        Ok((Self { server, client, net, delay, flying, carried: 0, buffer: vec![0; 1 << 16] }, theirs))
    }

    /// The server's address.
    pub fn server(&self) -> IpAddr {
        address(self.net, 1)
    }

    /// Whether the server's interface has generic segmentation offload; none if the kernel does not say.
    pub fn gso(&self) -> Option<bool> {
        self.server.gso()
    }

    /// Takes packets from both ends, and delivers those that are due. `decide` sees each packet once.
    ///
    /// # Errors If a device fails, or the ends sent more than [`MAX_PACKETS`].
    pub fn carry(&mut self, mut decide: impl FnMut(Way, &[u8]) -> Fate) -> Result<(), WireError> {
        loop {
            let more = self.take(Way::ToServer, &mut decide)? | self.take(Way::ToClient, &mut decide)?;
            let now = Instant::now();
            let is_due = |flying: &&Flying| flying.due <= now;
            // A batch at a time, because each delivery can make the kernel answer immediately.
            let due = self.flying.iter().take(BATCH).take_while(is_due).count();
            for Flying { way, packet, .. } in self.flying.drain(..due) {
                let end = if way == Way::ToServer { &self.server } else { &self.client };
                end.write(&packet).tried("writing to the TUN device")?;
            }
            if !more && due < BATCH {
                return Ok(());
            }
        }
    }

    /// Takes up to one batch of packets in this direction; false if there were none.
    fn take(&mut self, way: Way, decide: &mut impl FnMut(Way, &[u8]) -> Fate) -> Result<bool, WireError> {
        for taken in 0..BATCH {
            let end = if way == Way::ToServer { &self.client } else { &self.server };
            let Some(length) = end.read(&mut self.buffer).tried("reading from the TUN device")? else {
                return Ok(taken > 0);
            };
            self.carried += 1;
            if self.carried > MAX_PACKETS {
                return Err(WireError::Unexpected(format!("the ends sent more than {MAX_PACKETS} packets")));
            }
            let packet = &self.buffer[..length];
            if decide(way, packet) == Fate::Pass {
                let due = Instant::now() + self.delay;
                self.flying.push_back(Flying { due, way, packet: packet.to_vec() });
            }
        }
        Ok(true)
    }

    /// Waits until an end has sent something, a packet is due, one of `others` is ready, or the deadline passes.
    ///
    /// # Errors
    /// If poll(2) fails.
    pub fn wait<'fd>(&'fd self, others: &mut Vec<PollFd<'fd>>, until: Instant) -> Result<(), WireError> {
        let until = self.flying.front().map_or(until, |f| f.due.min(until));
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        others.extend([&self.server, &self.client].map(|end| PollFd::new(end, PollFlags::IN)));
        match poll(others, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error).tried("waiting for the wire"),
        }
    }
}
