//! The view of IP headers.

use lanparty_proto::Frame;
use lanparty_proto::address_info::AddressInfo;
use lanparty_proto::ip::{Headers, Layout, Version, ecn, ipv4, ipv6};

/// Reads any bytes as a frame with an IP packet, leniently and strictly.
///
/// # Panics
///
/// Panics if an offset lies outside the frame, if the two validations read different things, or if a
/// mark changes more than the ECN field and the checksum.
pub fn ip(bytes: &[u8]) {
    let Ok(frame) = Frame::parse(bytes) else {
        assert_eq!(Layout::parse(bytes), None);
        return;
    };
    let _any = AddressInfo::read(&frame);
    check_mark(bytes);
    let Some(layout) = Layout::of(&frame) else {
        assert!(Headers::of(&frame).is_none());
        return;
    };
    assert_eq!(layout.l3, frame.header_len());
    assert!(layout.l3 < layout.l4 && layout.l4 <= layout.end && layout.end <= bytes.len());
    let headers = Headers::of(&frame).expect("both read the same header");
    assert_eq!(headers.addresses, layout.addresses(bytes));
    assert_eq!(headers.protocol, layout.protocol);
    assert_eq!(headers.transport, layout.transport(bytes));
    assert_eq!(headers.is_fragment, layout.is_fragment);
    assert_eq!(headers.is_later_fragment, layout.is_later_fragment);
    assert_eq!(headers.is_whole, layout.is_whole);

    let is_whole = match layout.version {
        Version::V4 => ipv4::Packet::parse_whole(frame.payload()).is_some(),
        Version::V6 => ipv6::Packet::parse_whole(frame.payload()).is_some(),
    };
    assert_eq!(is_whole, layout.is_whole);
    if layout.version == Version::V6
        && let Some(upper) =
            ipv6::Packet::parse_whole(frame.payload()).and_then(|packet| packet.upper_strict())
    {
        assert_eq!(upper.protocol, layout.protocol);
        assert_eq!(upper.bytes, layout.transport(bytes));
    }
}

fn check_mark(bytes: &[u8]) {
    let mut marked = bytes.to_vec();
    let did = ecn::mark(&mut marked);
    assert_eq!(did, ecn::can_mark(bytes));
    let changed = marked.iter().zip(bytes).filter(|(a, b)| a != b).count();
    assert!(changed <= 3, "{changed} bytes changed");
    assert_eq!(did, changed > 0);
    assert_eq!(Layout::parse(&marked), Layout::parse(bytes));
}
