//! Asking for a DHCP server (RFC 2131), without taking an address.

use std::io::IoSlice;

use lanparty_device::FrameDevice as _;
use lanparty_offload::VnetHeader;
use lanparty_packet::PacketSocket;
use lanparty_proto::{MacAddr, checksum};

/// A DHCPDISCOVER up to its options: BOOTREQUEST over Ethernet, asking for a broadcast answer (RFC 2131, figure 1).
const MESSAGE_LEN: usize = 236;

/// The magic cookie, message type 1 (discover), and the end (RFC 2132).
const OPTIONS: [u8; 8] = [99, 130, 83, 99, 53, 1, 1, 255];

/// UDP and IPv4 headers.
const UDP_LEN: u16 = 8 + 236 + 8;
const IP_LEN: u16 = 20 + UDP_LEN;

/// Sends one DHCPDISCOVER of a station that there is not.
pub(super) fn send(socket: &mut PacketSocket, asker: MacAddr) {
    let frame = frame(asker);
    socket.send(&VnetHeader::NONE, &[IoSlice::new(&frame)]);
    socket.flush();
}

fn frame(asker: MacAddr) -> Vec<u8> {
    let mut ip = vec![0x45, 0];
    ip.extend(IP_LEN.to_be_bytes());
    ip.extend([0, 0, 0, 0, 64, 17, 0, 0]);
    ip.extend([0, 0, 0, 0, 255, 255, 255, 255]);
    let sum = checksum::of(&ip).to_be_bytes();
    for (place, byte) in ip.iter_mut().skip(10).zip(sum) {
        *place = byte;
    }

    let mut frame = [&MacAddr::BROADCAST.0[..], &asker.0, &[8, 0], &ip].concat();
    frame.extend([0, 68, 0, 67]);
    frame.extend(UDP_LEN.to_be_bytes());
    // No checksum (RFC 768).
    frame.extend([0, 0]);
    let start = frame.len();
    frame.extend([1, 1, 6, 0]);
    frame.extend(asker.0.iter().skip(2));
    // Seconds, then the broadcast flag.
    frame.extend([0, 0, 0x80, 0]);
    frame.resize(start + 28, 0);
    frame.extend(asker.0);
    frame.resize(start + MESSAGE_LEN, 0);
    frame.extend(OPTIONS);

    frame
}

#[cfg(test)]
mod tests {
    use lanparty_proto::Frame;
    use lanparty_proto::address_info::AddressInfo;

    use super::*;

    #[test]
    fn is_a_dhcp_request_about_its_sender() {
        let asker = MacAddr([2, 1, 2, 3, 4, 5]);
        let bytes = frame(asker);

        let frame = Frame::parse(&bytes).unwrap();
        assert!(matches!(
            AddressInfo::read(&frame),
            AddressInfo::Dhcp(dhcp) if !dhcp.is_reply() && dhcp.client() == asker
        ));
        assert_eq!(checksum::of(&bytes[14..34]), 0);
    }
}
