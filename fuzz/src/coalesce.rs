//! Coalescing frames into super-frames.

use bytes::Bytes;
use lanparty_offload::coalesce::{CoalesceOptions, MAX_PIECES};
use lanparty_offload::{Coalescer, Super};

/// Reads any bytes as frames, each behind a big-endian length of two bytes, and merges them.
///
/// # Panics
///
/// Panics if a frame is lost, or if a super-frame is not cut into as many frames as it was made of.
pub fn coalesce(mut bytes: &[u8]) {
    let mut coalescer = Coalescer::new(CoalesceOptions {
        tcp: true,
        udp: true,
    });
    let mut pushed = 0;
    while let Some((len, rest)) = bytes.split_first_chunk::<2>() {
        let len = usize::from(u16::from_be_bytes(*len)).min(rest.len());
        let (frame, rest) = rest.split_at(len);
        coalescer.push(Bytes::copy_from_slice(frame));
        pushed += 1;
        bytes = rest;
    }

    let mut flushed = 0;
    coalescer.flush(|out| {
        flushed += out.frames;
        assert!(out.pieces.len() <= MAX_PIECES, "too many pieces");
        let frame: Vec<u8> = out.pieces.iter().flat_map(|piece| piece.to_vec()).collect();
        if out.frames > 1 {
            let parsed = Super::parse(&out.vnet, &frame).expect("what we merge can be cut");
            let segments = parsed.segments(None).expect("what we merge can be cut");
            assert_eq!(segments.len(), out.frames);
        }
    });
    assert_eq!(flushed, pushed);
}
