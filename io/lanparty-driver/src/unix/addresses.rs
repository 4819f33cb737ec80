//! Which addresses this box has, asked of the kernel (rtnetlink(7)).

use std::io;
use std::net::IpAddr;

use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::network::route_socket;

/// Message types and flags (`linux/netlink.h`, `linux/rtnetlink.h`).
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_DUMP: u16 = 0x300;

/// Attributes of an address (`linux/if_addr.h`): of a point-to-point link the first is the other end's.
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

/// Bytes of `struct nlmsghdr`, and of `struct ifaddrmsg` behind it.
const HEADER_LEN: usize = 16;
const BODY_LEN: usize = 8;

/// The kernel fills a dump's messages up to this (`NLMSG_GOODSIZE`, at most 8 KiB) if the reader's buffer allows.
const READ: usize = 16 * 1024;

/// How many addresses are taken at most; a box has a few.
const MAX_ADDRESSES: usize = 256;

/// Returns the addresses of all interfaces but loopback's.
///
/// # Errors
///
/// Returns an error if the kernel does not answer.
pub fn own_addresses() -> io::Result<Vec<IpAddr>> {
    let socket = route_socket()?;
    send(&socket, &request(), SendFlags::empty())?;
    let (mut found, mut buffer) = (Vec::new(), vec![0; READ]);
    loop {
        let (len, _) = recv(&socket, buffer.as_mut_slice(), RecvFlags::empty())?;
        let is_over = read(buffer.get(..len).unwrap_or_default(), &mut found)?;
        if is_over || len == 0 {
            return Ok(found);
        }
    }
}

/// A request for all addresses of both families.
fn request() -> Vec<u8> {
    let len = u32::try_from(HEADER_LEN + BODY_LEN).unwrap_or_default();
    let mut message = len.to_ne_bytes().to_vec();
    message.extend(RTM_GETADDR.to_ne_bytes());
    message.extend((NLM_F_REQUEST | NLM_F_DUMP).to_ne_bytes());
    message.resize(HEADER_LEN + BODY_LEN, 0);

    message
}

/// Reads the messages in `bytes`. Returns whether the last one was among them.
fn read(mut bytes: &[u8], found: &mut Vec<IpAddr>) -> io::Result<bool> {
    while let Some(len) = u32_at(bytes, 0).and_then(|len| usize::try_from(len).ok()) {
        let Some(message) = bytes
            .get(..len)
            .filter(|message| message.len() >= HEADER_LEN)
        else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        match u16_at(message, 4) {
            Some(NLMSG_DONE) => return Ok(true),
            Some(NLMSG_ERROR) => return Err(io::ErrorKind::Other.into()),
            Some(RTM_NEWADDR) if found.len() < MAX_ADDRESSES => {
                let attributes = message.get(HEADER_LEN + BODY_LEN..).unwrap_or_default();
                found.extend(address(attributes).filter(|address| !address.is_loopback()));
            }
            _ => {}
        }
        bytes = bytes.get(len.next_multiple_of(4)..).unwrap_or_default();
    }

    Ok(false)
}

/// Finds the address among the attributes of a message.
fn address(mut attributes: &[u8]) -> Option<IpAddr> {
    let (mut local, mut other) = (None, None);
    while let (Some(len), Some(kind)) = (u16_at(attributes, 0), u16_at(attributes, 2)) {
        let len = usize::from(len);
        let Some(value) = attributes.get(4..len) else {
            break;
        };
        match kind {
            IFA_LOCAL => local = ip(value),
            IFA_ADDRESS => other = ip(value),
            _ => {}
        }
        attributes = attributes
            .get(len.next_multiple_of(4)..)
            .unwrap_or_default();
    }

    local.or(other)
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(value).map(IpAddr::from);
    let v6 = <[u8; 16]>::try_from(value).map(IpAddr::from);

    v4.or(v6).ok()
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..)?.first_chunk()?;

    Some(u16::from_ne_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..)?.first_chunk()?;

    Some(u32::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut body = vec![0; BODY_LEN];
        for (kind, value) in attributes {
            body.extend(u16::try_from(value.len() + 4).unwrap().to_ne_bytes());
            body.extend(kind.to_ne_bytes());
            body.extend(*value);
            body.resize(body.len().next_multiple_of(4), 0);
        }
        let len = u32::try_from(HEADER_LEN + body.len()).unwrap();
        let mut bytes = len.to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.resize(HEADER_LEN, 0);
        bytes.extend(body);

        bytes
    }

    #[test]
    fn takes_the_own_end_of_every_link_and_no_loopback() {
        let own = [10, 0, 0, 1];
        let peer = [10, 0, 0, 2];
        let v6 = [0xfd; 16];
        let dump = [
            message(RTM_NEWADDR, &[(IFA_ADDRESS, &[127, 0, 0, 1])]),
            message(
                RTM_NEWADDR,
                &[(IFA_ADDRESS, &peer), (3, b"eth0\0"), (IFA_LOCAL, &own)],
            ),
            message(RTM_NEWADDR, &[(IFA_ADDRESS, &v6)]),
            message(NLMSG_DONE, &[]),
        ]
        .concat();
        let mut found = Vec::new();

        assert!(read(&dump, &mut found).unwrap());
        assert_eq!(found, [IpAddr::from(own), IpAddr::from(v6)]);
    }

    #[test]
    fn what_is_cut_short_or_has_a_wrong_length_is_refused() {
        let whole = message(RTM_NEWADDR, &[(IFA_LOCAL, &[10, 0, 0, 1])]);
        for len in 4..whole.len() {
            assert!(read(&whole[..len], &mut Vec::new()).is_err(), "{len}");
        }
        let mut none = whole;
        none[..4].fill(0);
        assert!(read(&none, &mut Vec::new()).is_err());
    }

    #[test]
    fn the_kernel_answers() {
        assert!(own_addresses().is_ok());
    }
}
