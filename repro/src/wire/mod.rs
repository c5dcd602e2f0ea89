//! The agent's network: a TUN device on which the agent is every remote host.

pub mod addresses;
pub mod between;
pub mod capture;
pub mod faults;
pub mod glance;
pub mod namespace;
pub mod packet;
pub mod peer;
pub mod rtnetlink;
pub mod tun;

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use capture::WireCapture;
use faults::Faults;
use packet::TcpSegment;
use tun::Tun;

use backproof_protocol::Mutation;

/// The time limit for immediate actions of the kernel. Even a loaded host needs far less, so a timeout means that
/// it did not happen.
pub const AT_ONCE: Duration = Duration::from_secs(5);

/// An error on the wire, or on the kernel's side of it.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// A system call failed.
    #[error("{what}: {error}")]
    System {
        /// The failed action.
        what: &'static str,
        /// The kernel's error.
        error: io::Error,
    },
    /// A wait passed its deadline.
    #[error("timed out after {} ms waiting for {what}", .after.as_millis())]
    TimedOut {
        /// The awaited event.
        what: String,
        /// The length of the wait.
        after: Duration,
    },
    /// The kernel sent something unexpected.
    #[error("{0}")]
    Unexpected(String),
}

/// Names the failed action in the error of a system call.
pub trait Tried<T> {
    /// Adds the failed action.
    ///
    /// # Errors The error, as [`WireError::System`].
    fn tried(self, what: &'static str) -> Result<T, WireError>;
}

impl<T, E: Into<io::Error>> Tried<T> for Result<T, E> {
    fn tried(self, what: &'static str) -> Result<T, WireError> {
        self.map_err(|error| WireError::System { what, error: error.into() })
    }
}

/// A wire between the kernel under test and the agent's peers.
#[derive(Debug)]
pub struct Wire {
    tun: Tun,
    net: u8,
    check: String,
    capture: WireCapture,
    mutation: Option<Mutation>,
    faults: Faults,
    buffer: Vec<u8>,
}

impl Wire {
    /// Creates a wire in the calling thread's network namespace. `net` gives it unique addresses if several wires share
    /// a namespace.
    ///
    /// # Errors If the kernel has no TUN device or rejects the addresses.
    pub fn new(net: u8, capture: WireCapture) -> Result<Self, WireError> {
        let tun = Tun::new().tried("creating a TUN interface")?;
        let wire = Self {
            tun,
            net,
            check: String::new(),
            capture,
            mutation: None,
            faults: Faults::default(),
            buffer: vec![0; 1 << 16],
        };
        wire.tun.set_up().tried("bringing the TUN interface up")?;
        wire.tun.add_address(wire.server(), 24).tried("giving the TUN interface its address")?;
        Ok(wire)
    }

    /// Adds the mutation's faults of the wire and the peer.
    pub fn mutate(&mut self, mutation: Option<Mutation>) {
        self.mutation = mutation;
        self.faults = Faults::new(mutation);
    }

    /// The mutation, for faults outside the wire and the peer.
    pub fn mutation(&self) -> Option<Mutation> {
        self.mutation
    }

    /// Gives the kernel's side an IPv6 address too.
    ///
    /// # Errors
    /// If the kernel has no IPv6.
    pub fn add_ipv6(&self) -> Result<(), WireError> {
        self.tun.add_address(self.server6(), 64).tried("giving the TUN interface an IPv6 address")
    }

    /// The kernel's IPv4 address.
    pub fn server(&self) -> IpAddr {
        addresses::ipv4(self.net, 1)
    }

    /// The kernel's IPv6 address.
    pub fn server6(&self) -> IpAddr {
        addresses::ipv6(self.net, 1)
    }

    /// Another host's IPv4 address. `host` is 2 to 254.
    pub fn host(&self, host: u8) -> IpAddr {
        addresses::ipv4(self.net, host)
    }

    /// Another host's IPv6 address.
    pub fn host6(&self, host: u8) -> IpAddr {
        addresses::ipv6(self.net, host)
    }

    /// Whether the interface has generic segmentation offload, without which no segment is longer than the MSS; none if
    /// the kernel does not say.
    pub fn gso(&self) -> Option<bool> {
        self.tun.gso()
    }

    /// Names the check for the following packets.
    pub fn begin(&mut self, check: &str) {
        check.clone_into(&mut self.check);
    }

    /// Hands a segment to the kernel.
    ///
    /// # Errors
    /// If the interface is down.
    pub fn send(&mut self, segment: &TcpSegment) -> Result<(), WireError> {
        let Some(segment) = self.faults.to_kernel(segment) else { return Ok(()) };
        let bytes = segment.to_bytes();
        self.capture.record(&self.check, false, &bytes);
        self.tun.write(&bytes).tried("writing to the TUN device")
    }

    /// The next TCP segment from the kernel, or none at the deadline. Other packets are captured and skipped.
    ///
    /// # Errors
    /// If the device fails.
    pub fn receive(&mut self, deadline: Instant) -> Result<Option<TcpSegment>, WireError> {
        loop {
            match self.tun.read(&mut self.buffer).tried("reading from the TUN device")? {
                Some(length) => {
                    let bytes = &self.buffer[..length];
                    self.capture.record(&self.check, true, bytes);
                    if let Some(segment) = TcpSegment::parse(bytes)
                        && !self.faults.lose(&segment)
                    {
                        return Ok(Some(segment));
                    }
                }
                None if !wait_readable(&self.tun, deadline).tried("waiting for the TUN device")? => return Ok(None),
                None => {}
            }
        }
    }

    /// The captured packets, and whether some did not fit.
    pub fn into_packets(self) -> (Vec<backproof_protocol::Packet>, bool) {
        self.capture.into_packets()
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.tun.as_fd()
    }
}

/// Waits until the file is readable; false at the deadline.
///
/// # Errors
/// If poll(2) fails.
pub fn wait_readable(fd: impl AsFd, deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec { tv_sec: left.as_secs() as i64, tv_nsec: i64::from(left.subsec_nanos()) };
        match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)) {
            Ok(0) => return Ok(false),
            Ok(_) => return Ok(true),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}
