//! Fragments of frames from many senders, in any order, at any time.

use std::time::{Duration, Instant};

use lanparty_proto::PeerId;
use lanparty_proto::fragment::{
    FRAGMENT_HEADER_LEN, Fragment, MAX_FRAME_LEN, MAX_SENDERS, Reassembled, ReassemblyTable,
    SLOTS_PER_SENDER, first_half_len, fragment_header,
};

/// Reads any bytes as a list of fragments: sender, milliseconds since the last one, how often it comes, then a fragment header.
///
/// The half itself is as long as the header says and filled with the sender's number.
///
/// # Panics
///
/// Panics if a joined frame has another length than both fragments said, or bytes of another sender, or if the table takes more memory
/// than it may.
pub fn reassembly(bytes: &[u8]) {
    let mut table = ReassemblyTable::default();
    let mut now = Instant::now();
    for step in bytes.chunks_exact(3 + FRAGMENT_HEADER_LEN) {
        let &[source, pause, times, s0, s1, s2, s3, t0, t1] = step else {
            return;
        };
        now += Duration::from_millis(pause.into());
        let field = u16::from_be_bytes([t0, t1]);
        let (total, second) = (field & 0x7fff, field & 0x8000 != 0);
        let sequence = u32::from_be_bytes([s0, s1, s2, s3]);
        for more in 0..=u32::from(times) {
            let header = fragment_header(sequence.wrapping_add(more), total, second);
            let first = first_half_len(total.into());
            let len = if second {
                usize::from(total) - first
            } else {
                first
            };
            let payload = [&header[..], &vec![source; len]].concat();
            let Some(fragment) = Fragment::parse(&payload) else {
                break;
            };
            if let Reassembled::Frame(frame) =
                table.handle_fragment(PeerId(source.into()), &fragment, now)
            {
                assert_eq!(frame.len(), fragment.total(), "not what the fragments said");
                assert!(frame.iter().all(|byte| *byte == source), "mixed senders");
            }
        }
        let bound = MAX_SENDERS * SLOTS_PER_SENDER * first_half_len(MAX_FRAME_LEN);
        assert!(table.memory() <= bound, "{} bytes", table.memory());
    }
}
