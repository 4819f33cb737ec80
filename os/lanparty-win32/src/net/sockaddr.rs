//! Addresses as netioapi.h has them.
#![expect(unsafe_code, reason = "the union SOCKADDR_INET")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use windows_sys::Win32::Networking::WinSock::{AF_INET, AF_INET6, SOCKADDR_INET};

use crate::Family;

pub(super) const fn family_number(family: Family) -> u16 {
    match family {
        Family::V4 => AF_INET,
        Family::V6 => AF_INET6,
    }
}

pub(super) fn to_raw(address: IpAddr) -> SOCKADDR_INET {
    let mut raw = SOCKADDR_INET::default();
    match address {
        IpAddr::V4(address) => {
            raw.Ipv4.sin_family = AF_INET;
            raw.Ipv4.sin_addr.S_un.S_addr = u32::from_ne_bytes(address.octets());
        }
        IpAddr::V6(address) => {
            raw.Ipv6.sin6_family = AF_INET6;
            raw.Ipv6.sin6_addr.u.Byte = address.octets();
        }
    }

    raw
}

/// Reads an address; an unknown family is the unspecified IPv4 address.
pub(super) fn from_raw(raw: &SOCKADDR_INET) -> IpAddr {
    // SAFETY: the family is in the same place in every variant.
    let family = unsafe { raw.si_family };
    if family == AF_INET6 {
        // SAFETY: this is the variant that the family names. Any bytes are an address.
        let octets = unsafe { raw.Ipv6.sin6_addr.u.Byte };
        return Ipv6Addr::from(octets).into();
    }
    // SAFETY: every variant is long enough, and any bytes are an address.
    let number = unsafe { raw.Ipv4.sin_addr.S_un.S_addr };

    Ipv4Addr::from(number.to_ne_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_way_to_windows_and_back() {
        for text in ["203.0.113.7", "::", "2001:db8::7", "0.0.0.0"] {
            let address: IpAddr = text.parse().unwrap();
            assert_eq!(from_raw(&to_raw(address)), address);
        }
    }
}
