//! Super-frames: cutting them, and finishing checksums.

use lanparty_offload::segment::MAX_SEGMENTS;
use lanparty_offload::{Super, VnetHeader};

/// Reads any bytes as a virtio-net header and a frame, and cuts it, with and without a limit.
///
/// # Panics
///
/// Panics if a segment has another length than it says, or if the caller's limit does not hold.
pub fn segment(bytes: &[u8]) {
    let Some((vnet, frame)) = VnetHeader::parse(bytes) else {
        return;
    };
    let Ok(parsed) = Super::parse(&vnet, frame) else {
        return;
    };
    for limit in [None, Some(576), Some(1400)] {
        let Ok(segments) = parsed.segments(limit) else {
            continue;
        };
        assert!(segments.len() <= MAX_SEGMENTS, "too many segments");
        let mut out = Vec::new();
        for segment in segments {
            out.clear();
            segment.append(&mut out);
            assert_eq!(out.len(), segment.len());
            let mut written = vec![0; out.len()];
            assert_eq!(segment.write(&mut written), Some(out.len()));
            assert_eq!(written, out);
        }
    }
}
