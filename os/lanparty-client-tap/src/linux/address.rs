//! The addresses of an interface.

// UNSAFETY: getifaddrs hands out a linked list of C structures.
#![expect(unsafe_code, reason = "getifaddrs")]

use std::ffi::CStr;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A list from `getifaddrs(3)`, freed when dropped.
struct List(*mut libc::ifaddrs);

impl Drop for List {
    fn drop(&mut self) {
        // SAFETY: the pointer came from getifaddrs and is freed once.
        unsafe { libc::freeifaddrs(self.0) };
    }
}

/// Returns the IP addresses of interface `name`.
pub(super) fn of(name: &str) -> io::Result<Vec<IpAddr>> {
    let mut list = List(std::ptr::null_mut());
    // SAFETY: the kernel's answer is stored in `list.0`, which is a place for a pointer.
    if unsafe { libc::getifaddrs(&raw mut list.0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let mut found = Vec::new();
    let mut next: *const libc::ifaddrs = list.0;
    // SAFETY: `next` is null or an element of the list, which lives until `list` is dropped.
    while let Some(entry) = unsafe { next.as_ref() } {
        next = entry.ifa_next;
        // SAFETY: every element has a name that is a C string and lives as long as the list.
        let entry_name = unsafe { CStr::from_ptr(entry.ifa_name) };
        if entry_name.to_bytes() == name.as_bytes() {
            found.extend(address(entry.ifa_addr));
        }
    }

    Ok(found)
}

fn address(address: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: null, or a socket address, which begins with its family.
    let family = i32::from(unsafe { address.as_ref() }?.sa_family);
    match family {
        libc::AF_INET => {
            let address: *const libc::sockaddr_in = address.cast();
            // SAFETY: a socket address of this family is a `sockaddr_in`.
            let address = unsafe { address.read_unaligned() };
            Some(Ipv4Addr::from(address.sin_addr.s_addr.to_ne_bytes()).into())
        }
        libc::AF_INET6 => {
            let address: *const libc::sockaddr_in6 = address.cast();
            // SAFETY: a socket address of this family is a `sockaddr_in6`.
            let address = unsafe { address.read_unaligned() };
            Some(Ipv6Addr::from(address.sin6_addr.s6_addr).into())
        }
        _ => None,
    }
}
