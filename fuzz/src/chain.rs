//! IPv6 chains of extension headers.

use lanparty_proto::{Direction, Frame, Policy, policy};

/// Kinds of extension headers that stand in front of something else (RFC 8200, 4.1).
const EXTENSIONS: [u8; 5] = [0, 43, 44, 51, 60];

/// IPv6 chains: what passes is found again by a walk that is written apart, and is none of the things it must not be.
pub fn chain(packet: &[u8]) {
    let bytes = [
        &[2, 0, 0, 0, 0, 0xb, 2, 0, 0, 0, 0, 0xa, 0x86, 0xdd][..],
        packet,
    ]
    .concat();
    let Ok(frame) = Frame::parse(&bytes) else {
        return;
    };
    if policy::check_headers(Policy::DEFAULT, Direction::FromRemote, &frame).is_err() {
        return;
    }

    let mut next = packet[6];
    let mut at = 40;
    while EXTENSIONS.contains(&next) {
        assert_ne!(next, 44, "a fragment passed");
        let units = usize::from(packet[at + 1]);
        let len = if next == 51 {
            (units + 2) * 4
        } else {
            (units + 1) * 8
        };
        next = packet[at];
        at += len;
    }
    match next {
        6 => assert!(packet.len() >= at + 20),
        17 => {
            let port = |at: usize| u16::from_be_bytes([packet[at], packet[at + 1]]);
            assert!(![67, 547].contains(&port(at)));
            assert!(![68, 520, 521, 546, 1985, 2029, 3222].contains(&port(at + 2)));
        }
        58 => assert!(![130, 134, 137, 138].contains(&packet[at]) && packet[at] < 150),
        _ => panic!("protocol {next} passed"),
    }
}
