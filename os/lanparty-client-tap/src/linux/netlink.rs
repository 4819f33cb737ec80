//! Just enough rtnetlink to add and remove a route (`rtnetlink(7)`, `linux/rtnetlink.h`).

use std::io;
use std::net::IpAddr;

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with,
};

/// Message types and flags (`linux/netlink.h`, `linux/rtnetlink.h`).
const NLMSG_ERROR: u16 = 2;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const NLM_F_REQUEST: u16 = 0x01;
const NLM_F_ACK: u16 = 0x04;
const NLM_F_EXCL: u16 = 0x200;
const NLM_F_CREATE: u16 = 0x400;

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
pub(super) struct Route {
    pub(super) destination: IpAddr,
    pub(super) prefix_len: u8,
    pub(super) interface: u32,
    pub(super) metric: u32,
}

impl Route {
    /// Adds the route; refuses if there is one to the same destination with the same metric.
    pub(super) fn add(&self) -> io::Result<()> {
        self.exchange(RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Removes the route.
    pub(super) fn remove(&self) -> io::Result<()> {
        self.exchange(RTM_DELROUTE, 0)
    }

    fn exchange(&self, kind: u16, flags: u16) -> io::Result<()> {
        let socket = socket_with(
            AddressFamily::NETLINK,
            SocketType::RAW,
            SocketFlags::CLOEXEC,
            None, // protocol 0 is NETLINK_ROUTE
        )?;
        let request = self.encode(kind, NLM_F_REQUEST | NLM_F_ACK | flags);
        send(&socket, &request, SendFlags::empty())?;
        // The answer to one request on a new socket is one acknowledgement; it quotes the request.
        let mut answer = [0_u8; 1024];
        let (len, _) = recv(&socket, answer.as_mut_slice(), RecvFlags::empty())?;

        result(answer.get(..len).unwrap_or_default())
    }

    fn encode(&self, kind: u16, flags: u16) -> Vec<u8> {
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
        let prefix = self.prefix_len;
        // struct rtmsg: lengths, TOS, table, protocol, scope, type, flags.
        let mut body = vec![
            family,
            prefix,
            0,
            0,
            table,
            RTPROT_STATIC,
            scope,
            route_type,
        ];
        body.extend([0; 4]);
        match self.destination {
            IpAddr::V4(address) => attribute(&mut body, RTA_DST, &address.octets()),
            IpAddr::V6(address) => attribute(&mut body, RTA_DST, &address.octets()),
        }
        attribute(&mut body, RTA_OIF, &self.interface.to_ne_bytes());
        attribute(&mut body, RTA_PRIORITY, &self.metric.to_ne_bytes());

        // struct nlmsghdr: length, type, flags, sequence, port.
        let len = u32::try_from(body.len().saturating_add(16)).unwrap_or_default();
        let mut message = len.to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend(flags.to_ne_bytes());
        message.extend([0; 8]);
        message.extend(body);

        message
    }
}

/// Appends a `struct rtattr` and its payload, which is a multiple of four bytes here.
fn attribute(message: &mut Vec<u8>, kind: u16, payload: &[u8]) {
    let len = u16::try_from(payload.len().saturating_add(4)).unwrap_or_default();
    message.extend(len.to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(payload);
}

/// Reads an acknowledgement: a header of 16 bytes, then a negative error number or zero.
fn result(answer: &[u8]) -> io::Result<()> {
    let kind = answer.get(4..).and_then(|rest| rest.first_chunk());
    let code = answer.get(16..).and_then(|rest| rest.first_chunk());
    match (kind.map(|kind| u16::from_ne_bytes(*kind)), code) {
        (Some(NLMSG_ERROR), Some(code)) => match i32::from_ne_bytes(*code) {
            0 => Ok(()),
            code => Err(io::Error::from_raw_os_error(code.saturating_neg())),
        },
        _ => Err(io::ErrorKind::InvalidData.into()),
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
        let message = route.encode(RTM_NEWROUTE, NLM_F_REQUEST | NLM_F_ACK);

        assert_eq!(message.len(), 52);
        assert_eq!(message[16..28], [2, 4, 0, 0, 254, 4, 253, 1, 0, 0, 0, 0]);
        assert_eq!(message[32..36], [224, 0, 0, 0]);
    }

    #[test]
    fn an_acknowledgement_is_read_and_garbage_is_not() {
        let mut answer = vec![0; 36];
        answer[4] = 2;
        assert!(result(&answer).is_ok());

        answer[16..20].copy_from_slice(&(-17_i32).to_ne_bytes());
        assert_eq!(result(&answer).unwrap_err().raw_os_error(), Some(17));
        assert!(result(&[]).is_err());
    }
}
