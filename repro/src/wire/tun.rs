//! A TUN device: a network interface whose other end is this process.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

use rustix::fs::OFlags;
use rustix::ioctl::{Opcode, Updater, ioctl};
use rustix::net::netdevice::name_to_index;
use rustix::net::{AddressFamily, SocketType, socket};

use super::rtnetlink;

/// The device that makes TUN interfaces.
pub const TUN_DEVICE: &str = "/dev/net/tun";

/// `TUNSETIFF` (include/uapi/linux/if_tun.h).
const TUNSETIFF: Opcode = 0x4004_54ca;
/// `IFF_TUN | IFF_NO_PI` (the same file): packets start with their IP header.
const TUN_WITHOUT_HEADER: u16 = 0x0001 | 0x1000;
/// `SIOCETHTOOL` (include/uapi/linux/sockios.h).
const SIOCETHTOOL: Opcode = 0x8946;
/// `ETHTOOL_GGSO` (include/uapi/linux/ethtool.h).
const ETHTOOL_GGSO: u32 = 0x23;

/// struct ifreq with `ifr_flags` (include/uapi/linux/if.h), 40 bytes on 64-bit machines.
#[repr(C)]
struct FlagsRequest {
    name: [u8; 16],
    flags: u16,
    rest: [u8; 22],
}

/// struct ifreq with `ifr_data`.
#[repr(C)]
struct DataRequest {
    name: [u8; 16],
    data: *mut EthtoolValue,
    rest: [u8; 16],
}

/// struct ethtool_value (include/uapi/linux/ethtool.h).
#[repr(C)]
struct EthtoolValue {
    command: u32,
    data: u32,
}

/// A TUN device with one interface. Closing the device removes the interface.
#[derive(Debug)]
pub struct Tun {
    file: File,
    name: [u8; 16],
    index: u32,
}

impl Tun {
    /// Creates an interface in the calling thread's network namespace. The kernel chooses its name.
    ///
    /// # Errors If the kernel has no TUN driver, or refuses.
    pub fn new() -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).custom_flags(OFlags::NONBLOCK.bits() as i32).open(TUN_DEVICE)?;
        let mut request = FlagsRequest { name: [0; 16], flags: TUN_WITHOUT_HEADER, rest: [0; 22] };
        request.name[..4].copy_from_slice(b"bp%d");
        // SAFETY: TUNSETIFF reads and writes one struct ifreq, whose layout and size `FlagsRequest` has.
        unsafe { ioctl(&file, Updater::<TUNSETIFF, _>::new(&mut request)) }?;
        let length = request.name.iter().position(|b| *b == 0).unwrap_or(request.name.len());
        let name = str::from_utf8(&request.name[..length]).map_err(io::Error::other)?;
        let index = name_to_index(socket(AddressFamily::INET, SocketType::DGRAM, None)?, name)?;
        Ok(Self { file, name: request.name, index })
    }

    /// Gives the kernel's side an address.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn add_address(&self, address: IpAddr, prefix: u8) -> io::Result<()> {
        rtnetlink::add_address(self.index, address, prefix)
    }

    /// Brings the interface up.
    ///
    /// # Errors
    /// The kernel's error.
    pub fn set_up(&self) -> io::Result<()> {
        rtnetlink::set_up(self.index)
    }

    /// Whether generic segmentation offload is on, without which TCP never builds a segment longer than the MSS;
    /// none if the kernel does not say.
    pub fn gso(&self) -> Option<bool> {
        let socket = socket(AddressFamily::INET, SocketType::DGRAM, None).ok()?;
        let mut value = EthtoolValue { command: ETHTOOL_GGSO, data: 0 };
        let mut request = DataRequest { name: self.name, data: &raw mut value, rest: [0; 16] };
        // SAFETY: SIOCETHTOOL reads one struct ifreq, whose layout and size `DataRequest` has. ETHTOOL_GGSO reads and
        // writes the struct ethtool_value at `data`, which outlives the call.
        unsafe { ioctl(&socket, Updater::<SIOCETHTOOL, _>::new(&mut request)) }.ok()?;
        Some(value.data != 0)
    }

    /// The next packet that the kernel sent, or none if none is waiting.
    ///
    /// # Errors
    /// If the device fails.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match (&self.file).read(buffer) {
            Ok(length) => Ok(Some(length)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Hands a packet to the kernel as an incoming one.
    ///
    /// # Errors
    /// If the interface is down or the device fails.
    pub fn write(&self, packet: &[u8]) -> io::Result<()> {
        let written = (&self.file).write(packet)?;
        if written == packet.len() { Ok(()) } else { Err(io::Error::from(io::ErrorKind::WriteZero)) }
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
