//! Making and setting up the interface (`netdevice(7)`).

// UNSAFETY: attaching to a TAP device and setting up an interface take ioctls that no crate we depend on wraps.
#![expect(unsafe_code, reason = "ioctls on struct ifreq")]

use std::fs::File;
use std::io;
use std::mem;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use lanparty_device::Capabilities;
use lanparty_offload::vnet::VNET_HEADER_LEN;
use lanparty_proto::MacAddr;

/// `TUN_F_*` (`linux/if_tun.h`): what the program behind the device can take.
const TUN_F_CSUM: libc::c_ulong = 0x01;
const TUN_F_TSO4: libc::c_ulong = 0x02;
const TUN_F_TSO6: libc::c_ulong = 0x04;
const TUN_F_TSO_ECN: libc::c_ulong = 0x08;
const TUN_F_USO4: libc::c_ulong = 0x20;
const TUN_F_USO6: libc::c_ulong = 0x40;

const TCP_OFFLOADS: libc::c_ulong = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

/// `ARPHRD_ETHER` (`linux/if_arp.h`).
const ETHERNET: libc::sa_family_t = 1;

/// Returns whether the kernel takes `name` (`dev_valid_name`).
pub(super) fn is_name(name: &str) -> bool {
    let fits = !name.is_empty() && name.len() < libc::IFNAMSIZ;
    let is_odd = |c: char| c.is_whitespace() || matches!(c, '/' | ':' | '%' | '\0');

    fits && name != "." && name != ".." && !name.contains(is_odd)
}

/// Makes the interface; it lives as long as `file`. Never attaches to one that is there already.
pub(super) fn attach(file: &File, name: &str) -> io::Result<()> {
    let mut request = request(name);
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR | libc::IFF_TUN_EXCL;
    request.ifr_ifru.ifru_flags = flags.to_ne_bytes().first_chunk().map_or(0, |low| {
        // The flags field is 16 bits wide and taken as unsigned by the driver.
        i16::from_le_bytes(*low)
    });
    // SAFETY: `request` is a whole `ifreq`, which the kernel reads and fills in during the call.
    let status = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };

    check(status)
}

/// Says how long the virtio-net header in front of each frame is.
pub(super) fn set_header_len(file: &File) -> io::Result<()> {
    let len = i32::try_from(VNET_HEADER_LEN).map_err(io::Error::other)?;
    // SAFETY: the kernel reads one `int` during the call.
    let status = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETVNETHDRSZ, &raw const len) };

    check(status)
}

/// Switches offloads on as far as the kernel has them, or off.
pub(super) fn set_offloads(file: &File, wanted: bool) -> io::Result<Capabilities> {
    let none = Capabilities::default();
    if !wanted {
        return offload(file, 0).map(|()| none);
    }
    let both = offload(file, TCP_OFFLOADS | TUN_F_USO4 | TUN_F_USO6);
    if both.is_ok() {
        return Ok(Capabilities {
            tcp: true,
            udp: true,
        });
    }

    // A kernel before 6.2 knows no UDP segmentation and refuses what it does not know.
    offload(file, TCP_OFFLOADS).map(|()| Capabilities { tcp: true, ..none })
}

fn offload(file: &File, flags: libc::c_ulong) -> io::Result<()> {
    // SAFETY: the argument is a number, no pointer.
    let status = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETOFFLOAD, flags) };

    check(status)
}

/// Sets the MAC address.
pub(super) fn set_mac(name: &str, mac: MacAddr) -> io::Result<()> {
    let mut request = request(name);
    let mut address = libc::sockaddr {
        sa_family: ETHERNET,
        sa_data: [0; 14],
    };
    for (place, byte) in address.sa_data.iter_mut().zip(mac.0) {
        *place = byte.cast_signed();
    }
    request.ifr_ifru.ifru_hwaddr = address;

    tell(&mut request, libc::SIOCSIFHWADDR)
}

/// Sets the MTU.
pub(super) fn set_mtu(name: &str, mtu: u16) -> io::Result<()> {
    let mut request = request(name);
    request.ifr_ifru.ifru_mtu = i32::from(mtu);

    tell(&mut request, libc::SIOCSIFMTU)
}

/// Sets how many frames the kernel keeps for us.
pub(super) fn set_queue_len(name: &str, frames: i32) -> io::Result<()> {
    let mut request = request(name);
    request.ifr_ifru.ifru_metric = frames;

    tell(&mut request, libc::SIOCSIFTXQLEN)
}

/// Switches the interface on or off.
pub(super) fn set_up(name: &str, up: bool) -> io::Result<()> {
    let mut request = request(name);
    tell(&mut request, libc::SIOCGIFFLAGS)?;
    // SAFETY: the kernel filled in the flags; any two bytes are some.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    // `IFF_UP` is the lowest bit.
    request.ifr_ifru.ifru_flags = if up { flags | 1 } else { flags & !1 };

    tell(&mut request, libc::SIOCSIFFLAGS)
}

/// Returns the interface's number.
pub(super) fn index(name: &str) -> io::Result<u32> {
    let mut request = request(name);
    tell(&mut request, libc::SIOCGIFINDEX)?;

    // SAFETY: the kernel filled in the number; any four bytes are one.
    Ok(unsafe { request.ifr_ifru.ifru_ifindex }.cast_unsigned())
}

/// Has the kernel do what `request` says.
fn tell(request: &mut libc::ifreq, what: libc::c_ulong) -> io::Result<()> {
    // SAFETY: no pointers; the result is checked below.
    let raw = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    check(raw)?;
    // SAFETY: the descriptor is new, and nobody else owns it.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    // SAFETY: `request` is a whole `ifreq`, which the kernel reads and may fill in during the call.
    let status = unsafe { libc::ioctl(socket.as_raw_fd(), what, &raw mut *request) };

    check(status)
}

/// Makes a request about an interface whose name was checked with [`is_name`].
fn request(name: &str) -> libc::ifreq {
    // SAFETY: all zeroes is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { mem::zeroed() };
    for (place, byte) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *place = byte.cast_signed();
    }

    request
}

fn check(status: i32) -> io::Result<()> {
    if status < 0 {
        return Err(io::Error::last_os_error());
    }

    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_the_kernel_takes_are_tried() {
        for name in ["lan", "softlan0", "abcdefghijklmno"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", ".", "..", "a b", "a/b", "tap%d", "abcdefghijklmnop"] {
            assert!(!is_name(name), "{name}");
        }
    }
}
