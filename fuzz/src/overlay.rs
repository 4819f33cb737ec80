//! Overlay datagrams: the header, and both fragments of a frame.

use lanparty_proto::fragment::Fragment;
use lanparty_proto::overlay::{self, Overlay};

/// Reads any bytes as a datagram, with and without full-frame mode, and as a fragment.
///
/// # Panics
///
/// Panics if a datagram that was read is not written the same way, or if native mode lets a part pass.
pub fn overlay(bytes: &[u8]) {
    for parts in [false, true] {
        let Ok(datagram) = Overlay::parse(bytes, parts) else {
            continue;
        };
        assert!(parts || !datagram.is_part, "native mode has no parts");
        let length = u16::try_from(datagram.payload.len()).expect("the length field holds it");
        let mut written =
            overlay::header(datagram.room, datagram.source, datagram.is_part, length).to_vec();
        written.extend_from_slice(datagram.payload);
        assert_eq!(written, bytes);
        if datagram.is_part
            && let Some(fragment) = Fragment::parse(datagram.payload)
        {
            assert!(fragment.total() > 0, "half of nothing");
        }
    }
}
