//! Buffers that cost one allocation for many frames.

use bytes::{Bytes, BytesMut};

/// Bytes of one allocation: a whole super-frame. The most that `BytesMut` allocates again by itself.
const CHUNK: usize = 64 * 1024;

/// Cuts frames and datagrams off large allocations, which are used again once everything cut off them is gone.
#[derive(Debug)]
pub struct Pool {
    chunk: BytesMut,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            chunk: BytesMut::with_capacity(CHUNK),
        }
    }
}

impl Pool {
    /// Returns `len` bytes that `write` has filled; they are zero before.
    pub fn fill(&mut self, len: usize, write: impl FnOnce(&mut [u8])) -> Bytes {
        self.chunk.reserve(len);
        self.chunk.resize(len, 0);
        write(&mut self.chunk);

        self.chunk.split().freeze()
    }

    /// Returns a copy of `bytes` with as many zeros behind it as `len` bytes need.
    pub fn padded(&mut self, bytes: &[u8], len: usize) -> Bytes {
        self.fill(len.max(bytes.len()), |padded| {
            if let Some(place) = padded.get_mut(..bytes.len()) {
                place.copy_from_slice(bytes);
            }
        })
    }

    /// Returns a copy of `bytes`.
    pub fn copy(&mut self, bytes: &[u8]) -> Bytes {
        self.chunk.reserve(bytes.len());
        self.chunk.extend_from_slice(bytes);

        self.chunk.split().freeze()
    }
}
