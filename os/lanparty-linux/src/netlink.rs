//! Just enough rtnetlink to read addresses, to add and remove routes, and to hear of changes
//! (`rtnetlink(7)`, `linux/netlink.h`, `linux/rtnetlink.h`).

mod addresses;
mod message;
mod route;
mod watch;

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

pub use addresses::addresses;
pub use route::Route;
pub use watch::watch;

/// Opens a socket to the part of the kernel that knows links, addresses and routes.
fn open() -> io::Result<OwnedFd> {
    let socket = socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        // NETLINK_ROUTE is protocol 0.
        None,
    )?;

    Ok(socket)
}
