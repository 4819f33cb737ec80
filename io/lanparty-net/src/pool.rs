//! Memory of received packets.

use bytes::BytesMut;

use crate::trains::Arrival;

/// How much memory the pool takes at a time, in bytes: one GRO batch, or 45 packets. A packet that waits pins so much at most.
const CHUNK: usize = 64 * 1024;

/// Received packets are copied off the socket's fixed buffer into this pool, so that a frame that waits pins little.
#[derive(Debug, Default)]
pub(crate) struct Pool(BytesMut);

impl Pool {
    /// Gives every packet of `message`.
    pub(crate) fn packets(
        &mut self,
        arrival: Arrival,
        message: &[u8],
        mut each: impl FnMut(BytesMut),
    ) {
        let mut kept = self.keep(message);
        while !kept.is_empty() {
            each(kept.split_to(kept.len().min(arrival.stride.max(1))));
        }
    }

    /// Copies `bytes`. A new piece of memory is taken once in [`CHUNK`] bytes, or never if the last is free again.
    fn keep(&mut self, bytes: &[u8]) -> BytesMut {
        let Self(pool) = self;
        if pool.capacity() < bytes.len() {
            pool.reserve(bytes.len().max(CHUNK));
        }
        pool.extend_from_slice(bytes);

        pool.split()
    }
}
