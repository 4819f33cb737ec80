//! Sending: ordinary frames in batches, super-frames at once.

// UNSAFETY: no crate we depend on wraps sendmmsg on packet sockets.
#![expect(unsafe_code, reason = "sendmsg and sendmmsg")]

use std::io::{self, IoSlice};
use std::mem;
use std::os::fd::{AsRawFd as _, OwnedFd};

use lanparty_device::{LinkState, Statistics};
use lanparty_offload::VnetHeader;
use lanparty_offload::coalesce::MAX_PIECES;
use lanparty_offload::vnet::VNET_HEADER_LEN;

/// Frames per system call.
const BATCH: usize = 64;

/// The longest frame that is copied to wait for others: a full frame with three tags. Copying it costs less than the system
/// call it saves; a super-frame is worth its own.
const SLOT: usize = VNET_HEADER_LEN + 1526;

/// Frames that wait for the end of the turn, each behind its virtio-net header.
#[derive(Debug)]
pub(crate) struct SendQueue {
    slots: Vec<u8>,
    lengths: Vec<usize>,
}

impl SendQueue {
    pub(crate) fn new() -> Self {
        Self {
            slots: vec![0; SLOT * BATCH],
            lengths: Vec::with_capacity(BATCH),
        }
    }

    /// Copies a frame to the end of the queue. Returns whether it fits.
    pub(crate) fn push(&mut self, vnet: &VnetHeader, pieces: &[IoSlice<'_>]) -> bool {
        let len = pieces.iter().map(|piece| piece.len()).sum::<usize>();
        let len = len.saturating_add(VNET_HEADER_LEN);
        let slot = self.slots.chunks_exact_mut(SLOT).nth(self.lengths.len());
        let Some(mut rest) = slot.and_then(|slot| slot.get_mut(..len)) else {
            return false;
        };
        let header = vnet.to_bytes();
        for piece in std::iter::once(&header[..]).chain(pieces.iter().map(|piece| &**piece)) {
            let Some((place, behind)) = rest.split_at_mut_checked(piece.len()) else {
                return false;
            };
            place.copy_from_slice(piece);
            rest = behind;
        }
        self.lengths.push(len);

        true
    }

    /// Sends everything; each frame is sent, or dropped and counted.
    pub(crate) fn flush(&mut self, fd: &OwnedFd, statistics: &mut Statistics) -> LinkState {
        let mut state = LinkState::Up;
        if self.lengths.is_empty() {
            return state;
        }
        // SAFETY: all zeroes is a valid `iovec`, with no bytes.
        let mut vectors: [libc::iovec; BATCH] = unsafe { mem::zeroed() };
        // SAFETY: all zeroes is a valid `mmsghdr`, with no buffers.
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
        let slots = self.slots.chunks_exact_mut(SLOT).zip(&self.lengths);
        for ((slot, len), (vector, message)) in slots.zip(vectors.iter_mut().zip(&mut messages)) {
            vector.iov_base = slot.as_mut_ptr().cast();
            vector.iov_len = *len;
            message.msg_hdr.msg_iov = vector;
            message.msg_hdr.msg_iovlen = 1;
        }

        let mut waiting = messages.get_mut(..self.lengths.len()).unwrap_or_default();
        // Bounded: every round sends at least one frame or drops one.
        while !waiting.is_empty() {
            let len = u32::try_from(waiting.len()).unwrap_or_default();
            // SAFETY: every pointer in `waiting` leads to a slot of this queue or a local, with its true length, and all of
            // them outlive the call.
            let sent = unsafe {
                libc::sendmmsg(
                    fd.as_raw_fd(),
                    waiting.as_mut_ptr(),
                    len,
                    libc::MSG_DONTWAIT,
                )
            };
            let gone = match usize::try_from(sent) {
                Ok(sent) if sent > 0 => {
                    statistics.sent = statistics.sent.saturating_add(sent as u64);
                    sent
                }
                _ => {
                    if count_failure(&io::Error::last_os_error(), statistics) == LinkState::Down {
                        state = LinkState::Down;
                    }
                    1
                }
            };
            waiting = waiting.get_mut(gone..).unwrap_or_default();
        }
        self.lengths.clear();

        state
    }
}

/// Sends one super-frame from where its pieces lie.
pub(crate) fn send_now(
    fd: &OwnedFd,
    vnet: &VnetHeader,
    pieces: &[IoSlice<'_>],
    statistics: &mut Statistics,
) -> LinkState {
    let header = vnet.to_bytes();
    let mut vectors = [IoSlice::new(&[]); MAX_PIECES + 1];
    let used = pieces.len().saturating_add(1);
    if used > vectors.len() {
        statistics.send_refused = statistics.send_refused.saturating_add(1);
        return LinkState::Up;
    }
    let all = std::iter::once(IoSlice::new(&header)).chain(pieces.iter().copied());
    for (vector, piece) in vectors.iter_mut().zip(all) {
        *vector = piece;
    }
    // SAFETY: all zeroes is a valid `msghdr`, with no buffers.
    let mut message: libc::msghdr = unsafe { mem::zeroed() };
    // `IoSlice` has the layout of `iovec` on Unix, by its documentation; the kernel only reads what is sent.
    message.msg_iov = vectors.as_mut_ptr().cast();
    message.msg_iovlen = used;

    // SAFETY: `message` leads to `vectors`, whose slices are valid for as long as the call runs.
    let sent = unsafe { libc::sendmsg(fd.as_raw_fd(), &raw const message, libc::MSG_DONTWAIT) };
    if sent < 0 {
        return count_failure(&io::Error::last_os_error(), statistics);
    }
    statistics.sent = statistics.sent.saturating_add(1);

    LinkState::Up
}

/// Counts a frame that the kernel did not take.
fn count_failure(error: &io::Error, statistics: &mut Statistics) -> LinkState {
    let (counter, state) = match error.raw_os_error() {
        Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM | libc::EINTR) => {
            (&mut statistics.send_busy, LinkState::Up)
        }
        Some(libc::ENETDOWN | libc::ENXIO | libc::ENODEV) => {
            (&mut statistics.send_down, LinkState::Down)
        }
        _ => (&mut statistics.send_refused, LinkState::Up),
    };
    *counter = counter.saturating_add(1);

    state
}
