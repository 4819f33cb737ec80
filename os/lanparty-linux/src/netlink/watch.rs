//! The system tells when its addresses, links or routes change (rtnetlink(7)).

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{RecvFlags, bind, recv};

/// What is listened to, as a set of bits: links, and addresses and routes of both families (`linux/rtnetlink.h`, `RTMGRP_*`).
const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;

/// One change of networks is a dozen messages; those that come so soon after the first are told together.
const TOGETHER: Duration = Duration::from_millis(250);

/// What is read of a message; that there was one is all that matters.
const READ: usize = 4096;

/// Calls `changed` when the system's links, addresses or routes have changed, on a thread of its own.
///
/// The first message of a change is told at once, and once more what came soon after it: the route often follows the address.
///
/// # Errors
///
/// Returns an error if the system gives no netlink socket or no thread.
pub fn watch(changed: Box<dyn Fn() + Send>) -> io::Result<()> {
    let socket = super::open()?;
    bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
    std::thread::Builder::new()
        .name("network".to_owned())
        .spawn(move || {
            while hears(&socket, RecvFlags::empty()) {
                changed();
                std::thread::sleep(TOGETHER);
                let mut is_more = false;
                while hears(&socket, RecvFlags::DONTWAIT) {
                    is_more = true;
                }
                if is_more {
                    changed();
                }
            }
        })?;

    Ok(())
}

/// Returns whether there was a message. One that was lost in a full buffer was one.
fn hears(socket: &OwnedFd, flags: RecvFlags) -> bool {
    let mut buffer = [0; READ];
    loop {
        match recv(socket, &mut buffer, flags) {
            Ok(_) | Err(Errno::NOBUFS) => return true,
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}
