//! Reading what an interface is (`netdevice(7)`, `linux/ethtool.h`).
//!
//! By system calls, which answer for the calling thread's network namespace; `/sys` answers for whoever mounted it.

// UNSAFETY: no crate we depend on wraps these ioctls, and `ifreq` is a union.
#![expect(unsafe_code, reason = "ioctls on struct ifreq")]

use std::io;
use std::mem;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use lanparty_proto::MacAddr;

use crate::{InterfaceFacts, InterfaceKind, Offloads};

/// Commands of `SIOCETHTOOL` (`linux/ethtool.h`).
const GET_DRIVER: u32 = 0x03;
const GET_LINK: u32 = 0x0a;
const GET_TSO: u32 = 0x1e;
const GET_GSO: u32 = 0x23;
const GET_FLAGS: u32 = 0x25;
const GET_GRO: u32 = 0x2b;
const FLAG_RX_VLAN: u32 = 1 << 8;
const FLAG_LRO: u32 = 1 << 15;

/// Asks a wireless interface for its protocol (`linux/wireless.h`); others do not know the question.
const SIOCGIWNAME: libc::c_ulong = 0x8b01;
const SIOCETHTOOL: libc::c_ulong = 0x8946;

/// Bytes of `struct ethtool_drvinfo`, whose second field, at byte 4, is the driver's name in 32 bytes.
const DRIVER_INFO_LEN: usize = 196;

/// Returns the number of an interface.
pub(crate) fn index(name: &str) -> io::Result<u32> {
    let (request, _) = ask(name, libc::SIOCGIFINDEX)?;

    // SAFETY: the kernel filled in the number; any four bytes are one.
    Ok(unsafe { request.ifr_ifru.ifru_ifindex }.cast_unsigned())
}

impl InterfaceFacts {
    /// Reads what `interface` is.
    ///
    /// # Errors
    ///
    /// Returns an error if there is no such interface.
    pub fn read(interface: &str) -> io::Result<Self> {
        let index = index(interface)?;
        let (hardware, socket) = ask(interface, libc::SIOCGIFHWADDR)?;
        // SAFETY: the kernel filled in an address; any bytes are one.
        let hardware = unsafe { hardware.ifr_ifru.ifru_hwaddr };
        let (mtu, _) = ask(interface, libc::SIOCGIFMTU)?;
        // SAFETY: the kernel filled in the MTU; any four bytes are one.
        let mtu = unsafe { mtu.ifr_ifru.ifru_mtu };
        let (flags, _) = ask(interface, libc::SIOCGIFFLAGS)?;
        // SAFETY: the kernel filled in the flags; any two bytes are some.
        let flags = i32::from(unsafe { flags.ifr_ifru.ifru_flags });

        let driver = driver(&socket, interface);
        let mut mac = [0; 6];
        for (place, byte) in mac.iter_mut().zip(hardware.sa_data) {
            *place = byte.cast_unsigned();
        }
        let is_loopback = flags & libc::IFF_LOOPBACK != 0;

        Ok(Self {
            name: interface.to_owned(),
            index,
            mac: MacAddr(mac),
            mtu: u32::try_from(mtu).unwrap_or_default(),
            hardware_type: hardware.sa_family,
            kind: match driver.as_deref() {
                _ if is_loopback => InterfaceKind::Loopback,
                Some("bridge") => InterfaceKind::Bridge,
                Some("802.1Q VLAN Support") => InterfaceKind::Vlan,
                _ if ask(interface, SIOCGIWNAME).is_ok() => InterfaceKind::Wireless,
                _ => InterfaceKind::Wired,
            },
            up: flags & libc::IFF_UP != 0,
            carrier: value(&socket, interface, GET_LINK)
                .map_or(flags & libc::IFF_RUNNING != 0, |link| link != 0),
            offloads: offloads(&socket, interface),
            driver,
        })
    }
}

fn offloads(socket: &OwnedFd, interface: &str) -> Offloads {
    let flags = value(socket, interface, GET_FLAGS);
    let is_on = |command| value(socket, interface, command).map(|value| value != 0);

    Offloads {
        gro: is_on(GET_GRO),
        lro: flags.map(|flags| flags & FLAG_LRO != 0),
        rx_vlan: flags.map(|flags| flags & FLAG_RX_VLAN != 0),
        tso: is_on(GET_TSO),
        gso: is_on(GET_GSO),
    }
}

fn driver(socket: &OwnedFd, interface: &str) -> Option<String> {
    let mut info = [0_u32; DRIVER_INFO_LEN / 4];
    *info.first_mut()? = GET_DRIVER;
    ethtool(socket, interface, &mut info).ok()?;
    let bytes: Vec<u8> = info
        .iter()
        .skip(1)
        .take(8)
        .flat_map(|word| word.to_ne_bytes())
        .take_while(|byte| *byte != 0)
        .collect();

    String::from_utf8(bytes)
        .ok()
        .filter(|name| !name.is_empty())
}

/// Reads a `struct ethtool_value`: command and answer.
fn value(socket: &OwnedFd, interface: &str, command: u32) -> Option<u32> {
    let mut exchange = [command, 0];
    ethtool(socket, interface, &mut exchange).ok()?;

    exchange.last().copied()
}

/// Has the kernel fill in `exchange`, whose first word is a command that returns no more than its length.
fn ethtool(socket: &OwnedFd, interface: &str, exchange: &mut [u32]) -> io::Result<()> {
    let mut request = request(interface)?;
    request.ifr_ifru.ifru_data = exchange.as_mut_ptr().cast();
    // SAFETY: `request` is a whole `ifreq` that leads to `exchange`, which is as long as the command's structure.
    let status = unsafe { libc::ioctl(socket.as_raw_fd(), SIOCETHTOOL, &raw mut request) };
    if status < 0 {
        return Err(io::Error::last_os_error());
    }

    Ok(())
}

/// Makes a socket and asks one question about an interface.
fn ask(name: &str, question: libc::c_ulong) -> io::Result<(libc::ifreq, OwnedFd)> {
    let mut request = request(name)?;
    // SAFETY: no pointers; the result is checked below.
    let raw = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the descriptor is new, and nobody else owns it.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    // SAFETY: `request` is a whole `ifreq`, which the kernel reads and fills in during the call.
    let status = unsafe { libc::ioctl(socket.as_raw_fd(), question, &raw mut request) };
    if status < 0 {
        return Err(io::Error::last_os_error());
    }

    Ok((request, socket))
}

fn request(name: &str) -> io::Result<libc::ifreq> {
    // SAFETY: all zeroes is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    // One byte stays zero: the name is a C string.
    if name.is_empty() || name.len() >= request.ifr_name.len() || name.contains('\0') {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (place, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *place = byte.cast_signed();
    }

    Ok(request)
}
