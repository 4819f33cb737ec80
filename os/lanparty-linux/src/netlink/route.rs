//! Routes straight out of an interface.

use std::io;
use std::net::IpAddr;

use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::message::{Answer, NLM_F_ACK, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, Request, next};

/// Message types (`linux/rtnetlink.h`).
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;

/// Attributes and values of routes.
const RTA_DST: u16 = 1;
const RTA_OIF: u16 = 4;
const RTA_PRIORITY: u16 = 6;
const RTN_UNICAST: u8 = 1;
const RTN_MULTICAST: u8 = 5;
const RTPROT_STATIC: u8 = 4;
const RT_SCOPE_UNIVERSE: u8 = 0;
const RT_SCOPE_LINK: u8 = 253;
const RT_TABLE_MAIN: u8 = 254;
const RT_TABLE_LOCAL: u8 = 255;

/// A route straight out of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Where it leads.
    pub destination: IpAddr,
    /// How many bits of that count.
    pub prefix_len: u8,
    /// The interface's number.
    pub interface: u32,
    /// Its priority among others to the same destination: the lowest is used. 0 is the default.
    pub metric: u32,
}

impl Route {
    /// Adds the route.
    ///
    /// # Errors
    ///
    /// Returns what the kernel said; `AlreadyExists` if there is a route to the same destination with
    /// the same metric.
    pub fn add(&self) -> io::Result<()> {
        self.exchange(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Removes the route.
    ///
    /// # Errors
    ///
    /// Returns what the kernel said.
    pub fn remove(&self) -> io::Result<()> {
        self.exchange(RTM_DELROUTE, 0)
    }

    fn exchange(&self, kind: u16, flags: u16) -> io::Result<()> {
        let socket = super::open()?;
        let request = self.request(kind, NLM_F_REQUEST | NLM_F_ACK | flags);
        send(&socket, &request.encode(), SendFlags::empty())?;
        // The answer to one request on a new socket is one acknowledgement; it quotes the request.
        let mut answer = [0_u8; 1024];
        let (len, _) = recv(&socket, answer.as_mut_slice(), RecvFlags::empty())?;

        match next(&mut answer.get(..len).unwrap_or_default())? {
            Some(Answer::Acknowledged) => Ok(()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    fn request(&self, kind: u16, flags: u16) -> Request {
        // Linux keeps multicast routes of IPv6 per interface in the local table (`addrconf_add_mroute`).
        let is_v6_group = self.destination.is_ipv6() && self.destination.is_multicast();
        let (family, table, route_type, scope) = match (self.destination, is_v6_group) {
            (IpAddr::V4(_), _) => (libc::AF_INET, RT_TABLE_MAIN, RTN_UNICAST, RT_SCOPE_LINK),
            (_, true) => (
                libc::AF_INET6,
                RT_TABLE_LOCAL,
                RTN_MULTICAST,
                RT_SCOPE_UNIVERSE,
            ),
            (_, false) => (
                libc::AF_INET6,
                RT_TABLE_MAIN,
                RTN_UNICAST,
                RT_SCOPE_UNIVERSE,
            ),
        };
        let family = u8::try_from(family).unwrap_or_default();
        // struct rtmsg: family, lengths, TOS, table, protocol, scope, type, flags.
        let mut fixed = [0; 12];
        fixed[..2].copy_from_slice(&[family, self.prefix_len]);
        fixed[4..8].copy_from_slice(&[table, RTPROT_STATIC, scope, route_type]);
        let request = Request::new(kind, flags, &fixed);
        let request = match self.destination {
            IpAddr::V4(address) => request.attribute(RTA_DST, &address.octets()),
            IpAddr::V6(address) => request.attribute(RTA_DST, &address.octets()),
        };

        request
            .attribute(RTA_OIF, &self.interface.to_ne_bytes())
            .attribute(RTA_PRIORITY, &self.metric.to_ne_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_route_has_the_bytes_that_iproute2_sends() {
        let route = Route {
            destination: "224.0.0.0".parse().unwrap(),
            prefix_len: 4,
            interface: 7,
            metric: 0,
        };
        let message = route
            .request(RTM_NEWROUTE, NLM_F_REQUEST | NLM_F_ACK)
            .encode();

        assert_eq!(message.len(), 52);
        assert_eq!(message[16..28], [2, 4, 0, 0, 254, 4, 253, 1, 0, 0, 0, 0]);
        assert_eq!(message[32..36], [224, 0, 0, 0]);
    }
}
