//! Ethernet frames and the safety policy.

use lanparty_proto::policy::{Direction, Policy, check};
use lanparty_proto::{Frame, Kind};

/// Reads any bytes as a frame and asks the policy about it.
///
/// # Panics
///
/// Panics if the parts of a frame do not add up to it, or if the policy lets a remote client do what a LAN may not.
pub fn frame(bytes: &[u8]) {
    let Ok(frame) = Frame::parse(bytes) else {
        return;
    };
    assert_eq!(frame.bytes(), bytes);
    assert!(
        bytes.ends_with(frame.payload()),
        "the payload is the end of the frame"
    );
    assert_eq!(bytes.len() - frame.payload().len(), 14 + 4 * frame.tags());
    if let Kind::Length(length) = frame.kind() {
        assert!(length <= 1500, "a length field of {length}");
    }

    let policy = Policy::default();
    for ip_mtu in [1280, 1400, 1500] {
        if check(policy, Direction::FromRemote, &frame, ip_mtu).is_ok() {
            assert_eq!(
                check(policy, Direction::FromLan, &frame, ip_mtu),
                Ok(()),
                "a remote client may do less than a LAN"
            );
            assert!(frame.source().is_valid_source(), "an invalid source passed");
            assert_eq!(frame.tags(), 0, "a tag passed");
        }
    }
}
