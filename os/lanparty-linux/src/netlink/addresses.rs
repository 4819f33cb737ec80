//! Which addresses this box has, asked of the kernel.

use std::io;
use std::net::IpAddr;

use rustix::net::{RecvFlags, SendFlags, recv, send};

use super::message::{Answer, NLM_F_DUMP, NLM_F_REQUEST, Request, attributes, next};

/// Message types (`linux/rtnetlink.h`).
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;

/// Attributes of an address (`linux/if_addr.h`): of a point-to-point link the first is the other
/// end's.
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

/// Bytes of `struct ifaddrmsg`.
const BODY_LEN: usize = 8;

/// The kernel fills a dump's messages up to this (`NLMSG_GOODSIZE`, at most 8 KiB) if the reader's
/// buffer allows.
const READ: usize = 16 * 1024;

/// How many addresses are taken at most; a box has a few.
const MAX_ADDRESSES: usize = 256;

/// Returns the addresses of all interfaces but loopback's.
///
/// # Errors
///
/// Returns an error if the kernel does not answer.
pub fn addresses() -> io::Result<Vec<IpAddr>> {
    let socket = super::open()?;
    // All zeroes: every interface, both families.
    let request = Request::new(RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, &[0; BODY_LEN]);
    send(&socket, &request.encode(), SendFlags::empty())?;
    let (mut found, mut buffer) = (Vec::new(), vec![0; READ]);
    loop {
        let (len, _) = recv(&socket, buffer.as_mut_slice(), RecvFlags::empty())?;
        let is_over = read(buffer.get(..len).unwrap_or_default(), &mut found)?;
        if is_over || len == 0 {
            return Ok(found);
        }
    }
}

/// Reads the messages in `bytes`. Returns whether the last one was among them.
fn read(mut bytes: &[u8], found: &mut Vec<IpAddr>) -> io::Result<bool> {
    while let Some(answer) = next(&mut bytes)? {
        match answer {
            Answer::Done => return Ok(true),
            Answer::Data(RTM_NEWADDR, body) if found.len() < MAX_ADDRESSES => {
                let attributes = body.get(BODY_LEN..).unwrap_or_default();
                found.extend(address(attributes).filter(|address| !address.is_loopback()));
            }
            Answer::Data(..) | Answer::Acknowledged => {}
        }
    }

    Ok(false)
}

/// Finds the address among the attributes of a message.
fn address(bytes: &[u8]) -> Option<IpAddr> {
    let (mut local, mut other) = (None, None);
    for (kind, value) in attributes(bytes) {
        match kind {
            IFA_LOCAL => local = ip(value),
            IFA_ADDRESS => other = ip(value),
            _ => {}
        }
    }

    local.or(other)
}

fn ip(value: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(value).map(IpAddr::from);
    let v6 = <[u8; 16]>::try_from(value).map(IpAddr::from);

    v4.or(v6).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `NLMSG_DONE`.
    const DONE: u16 = 3;

    fn message(attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let message = Request::new(RTM_NEWADDR, 0, &[0; BODY_LEN]);
        let add = |message: Request, (kind, value): &(u16, &[u8])| message.attribute(*kind, value);

        attributes.iter().fold(message, add).encode()
    }

    #[test]
    fn takes_the_own_end_of_every_link_and_no_loopback() {
        let own = [10, 0, 0, 1];
        let peer = [10, 0, 0, 2];
        let v6 = [0xfd; 16];
        let dump = [
            message(&[(IFA_ADDRESS, &[127, 0, 0, 1])]),
            message(&[(IFA_ADDRESS, &peer), (3, b"eth0\0"), (IFA_LOCAL, &own)]),
            message(&[(IFA_ADDRESS, &v6)]),
            Request::new(DONE, 0, &[0; 4]).encode(),
        ]
        .concat();
        let mut found = Vec::new();

        assert!(read(&dump, &mut found).unwrap());
        assert_eq!(found, [IpAddr::from(own), IpAddr::from(v6)]);
    }

    #[test]
    fn the_kernel_answers() {
        assert!(addresses().is_ok());
    }
}
