//! Receiving in batches.

// UNSAFETY: no crate we depend on wraps recvmmsg with control messages.
#![expect(unsafe_code, reason = "recvmmsg")]

use std::io;
use std::mem;
use std::os::fd::{AsRawFd as _, OwnedFd};

use lanparty_offload::VnetHeader;
use lanparty_offload::segment::MAX_SUPER_LEN;
use lanparty_offload::vnet::VNET_HEADER_LEN;

use lanparty_device::Received;

/// Frames per system call: what the kernel's own receive loop hands up at a time (`NAPI_POLL_WEIGHT`).
const BATCH: usize = 64;

/// Bytes in front of a frame, for the VLAN tag that has to go back in.
const TAG_ROOM: usize = 4;

/// Bytes per frame: any super-frame, rounded up to whole pages. 64 of them are 4.3 MiB of addresses, of which only those
/// pages become memory that frames have touched: 256 KiB on a LAN without bulk traffic.
const SLOT: usize = (TAG_ROOM + MAX_SUPER_LEN).next_multiple_of(4096);

/// Bytes for one `struct tpacket_auxdata` (20) behind its `struct cmsghdr` (16), aligned as such.
const CONTROL: usize = 5;

/// Status bits of `struct tpacket_auxdata` (`linux/if_packet.h`).
const VLAN_VALID: u32 = 1 << 4;
const VLAN_TPID_VALID: u32 = 1 << 6;

/// The tag's EtherType if the kernel does not name it: 802.1Q.
const DEFAULT_TPID: u16 = 0x8100;

/// Where MAC addresses end and a tag begins.
const TAG_AT: usize = 12;

/// Buffers for one batch and what lies in them.
#[derive(Debug)]
pub(crate) struct ReceiveRing {
    slots: Vec<u8>,
    vnets: Vec<[u8; VNET_HEADER_LEN]>,
    controls: Vec<[u64; CONTROL]>,
    arrivals: Vec<Arrival>,
}

/// Where a frame lies in its slot; nowhere if it was cut off.
#[derive(Debug, Clone, Copy)]
struct Arrival {
    vnet: VnetHeader,
    start: usize,
    end: usize,
}

impl ReceiveRing {
    pub(crate) fn new() -> Self {
        Self {
            slots: vec![0; SLOT * BATCH],
            vnets: vec![[0; VNET_HEADER_LEN]; BATCH],
            controls: vec![[0; CONTROL]; BATCH],
            arrivals: Vec::with_capacity(BATCH),
        }
    }

    /// Returns how many frames arrived, and how many of them were cut off.
    pub(crate) fn receive(&mut self, fd: &OwnedFd) -> io::Result<(usize, u64)> {
        self.arrivals.clear();
        // SAFETY: all zeroes is a valid `iovec`, with no bytes.
        let mut vectors: [[libc::iovec; 2]; BATCH] = unsafe { mem::zeroed() };
        // SAFETY: all zeroes is a valid `mmsghdr`, with no buffers.
        let mut messages: [libc::mmsghdr; BATCH] = unsafe { mem::zeroed() };
        let buffers = self.slots.chunks_exact_mut(SLOT).zip(&mut self.vnets);
        let places = vectors.iter_mut().zip(&mut messages);
        for (((slot, vnet), control), (vector, message)) in
            buffers.zip(&mut self.controls).zip(places)
        {
            let (_, frame) = slot.split_at_mut(TAG_ROOM);
            *vector = [
                libc::iovec {
                    iov_base: vnet.as_mut_ptr().cast(),
                    iov_len: vnet.len(),
                },
                libc::iovec {
                    iov_base: frame.as_mut_ptr().cast(),
                    iov_len: frame.len(),
                },
            ];
            message.msg_hdr.msg_iov = vector.as_mut_ptr();
            message.msg_hdr.msg_iovlen = 2;
            message.msg_hdr.msg_control = control.as_mut_ptr().cast();
            message.msg_hdr.msg_controllen = size_of_val(control);
        }

        let batch = u32::try_from(BATCH).unwrap_or_default();
        // SAFETY: every pointer in `messages` leads to a buffer of this ring or a local, with its true length, and all of
        // them outlive the call; no name and no timeout are given.
        let count = unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                messages.as_mut_ptr(),
                batch,
                libc::MSG_DONTWAIT,
                std::ptr::null_mut(),
            )
        };
        let Ok(count) = usize::try_from(count) else {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                Some(libc::EAGAIN | libc::EINTR) => Ok((0, 0)),
                _ => Err(error),
            };
        };

        let mut truncated = 0_u64;
        let slots = self.slots.chunks_exact_mut(SLOT);
        let headers = slots.zip(&self.vnets).zip(&self.controls);
        for (((slot, vnet), control), message) in headers.zip(&messages).take(count) {
            let header = &message.msg_hdr;
            let cut_off = header.msg_flags & libc::MSG_TRUNC != 0;
            truncated = truncated.saturating_add(u64::from(cut_off));
            let len = usize::try_from(message.msg_len).unwrap_or_default();
            let len = len.saturating_sub(VNET_HEADER_LEN);
            let tag = vlan_tag(control, header.msg_controllen);
            let mut arrival = place(slot, VnetHeader::from_bytes(*vnet), len, tag);
            if cut_off {
                arrival.end = arrival.start;
            }
            self.arrivals.push(arrival);
        }

        Ok((count, truncated))
    }

    pub(crate) fn get(&self, index: usize) -> Option<Received<'_>> {
        let arrival = self.arrivals.get(index)?;
        let slot = self.slots.chunks_exact(SLOT).nth(index)?;
        let frame = slot.get(arrival.start..arrival.end)?;

        (!frame.is_empty()).then_some(Received {
            vnet: arrival.vnet,
            frame,
        })
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> Option<(VnetHeader, &mut [u8])> {
        let arrival = self.arrivals.get(index)?;
        let slot = self.slots.chunks_exact_mut(SLOT).nth(index)?;
        let frame = slot.get_mut(arrival.start..arrival.end)?;

        (!frame.is_empty()).then_some((arrival.vnet, frame))
    }
}

/// Returns the VLAN tag that was taken off, from the one control message that was asked for.
///
/// `struct cmsghdr` is length, level and type; `struct tpacket_auxdata` is status, two lengths (u32), two offsets, tag control
/// information and EtherType (u16).
fn vlan_tag(control: &[u64; CONTROL], len: usize) -> Option<[u8; 4]> {
    let [_, level_type, status_len, _, tail] = *control;
    let word = |bytes: [u8; 8], at: usize| {
        let half = bytes.as_chunks::<4>().0.get(at).copied();
        half.map_or(0, u32::from_ne_bytes)
    };
    let (level, kind) = (
        word(level_type.to_ne_bytes(), 0),
        word(level_type.to_ne_bytes(), 1),
    );
    let is_auxdata =
        level == libc::SOL_PACKET.cast_unsigned() && kind == libc::PACKET_AUXDATA.cast_unsigned();
    let status = word(status_len.to_ne_bytes(), 0);
    if len < 36 || !is_auxdata || status & VLAN_VALID == 0 {
        return None;
    }
    let [i0, i1, p0, p1, ..] = tail.to_ne_bytes();
    let tpid = if status & VLAN_TPID_VALID != 0 {
        u16::from_ne_bytes([p0, p1])
    } else {
        DEFAULT_TPID
    };
    let [t0, t1] = tpid.to_be_bytes();
    let [c0, c1] = u16::from_ne_bytes([i0, i1]).to_be_bytes();

    Some([t0, t1, c0, c1])
}

/// Puts the tag back: the MAC addresses move into the room in front, and every offset behind them grows.
fn place(slot: &mut [u8], mut vnet: VnetHeader, len: usize, tag: Option<[u8; 4]>) -> Arrival {
    let end = TAG_ROOM.saturating_add(len).min(slot.len());
    let Some(tag) = tag.filter(|_| len >= TAG_AT) else {
        return Arrival {
            vnet,
            start: TAG_ROOM,
            end,
        };
    };
    slot.copy_within(TAG_ROOM..TAG_ROOM + TAG_AT, 0);
    if let Some(place) = slot.get_mut(TAG_AT..TAG_AT + TAG_ROOM) {
        place.copy_from_slice(&tag);
    }
    if vnet.needs_checksum() {
        vnet.csum_start = vnet.csum_start.saturating_add(4);
    }

    Arrival {
        vnet,
        start: 0,
        end,
    }
}

const _: () = assert!(
    size_of::<libc::cmsghdr>() == 16,
    "control messages of a 64-bit kernel"
);
