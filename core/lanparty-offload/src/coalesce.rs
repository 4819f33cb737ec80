//! Ordinary frames into super-frames, as the kernel's own GRO would merge them.
//!
//! Consecutive segments of one TCP connection (and, where the kernel takes them, equal UDP datagrams of one flow) become one
//! super-frame: one pass through the kernel's stack for all of them. Nothing is copied but one set of headers, and nothing
//! waits: what a batch brought leaves with that batch.

mod candidate;

use std::io::IoSlice;

use bytes::Bytes;

use self::candidate::{Candidate, Reading};
use lanparty_proto::ip::protocol::TCP;
use lanparty_proto::ip::{Version, ipv6};

use crate::bytewise::{put_u16, saturate_u16};
use crate::vnet::{FLAG_NEEDS_CSUM, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, VnetHeader};
use lanparty_proto::checksum;

/// The most pieces of one output, headers included: well below what one system call takes (`UIO_MAXIOV`, 1024), and 63
/// payloads of 1400 bytes are more than a super-frame holds.
pub const MAX_PIECES: usize = 64;

/// The longest IP packet, and so the longest super-frame behind its Ethernet header.
const MAX_PACKET: usize = 65_535;

/// How many flows are open at once, like a bucket of the kernel's GRO (`MAX_GRO_SKBS`, `net/core/gro.c`).
const MAX_OPEN: usize = 8;

/// The longest headers that are merged: Ethernet with two tags (22), IPv6 (40) and the longest TCP
/// header (60).
const MAX_HEADERS: usize = 128;

/// No frame, in the links between frames.
const NONE: usize = usize::MAX;

/// What the kernel behind the device takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CoalesceOptions {
    /// Merge TCP segments.
    pub tcp: bool,
    /// Merge UDP datagrams (`TUN_F_USO4 | TUN_F_USO6`; Linux 6.2).
    pub udp: bool,
}

/// Merges the frames of one batch.
///
/// 1. [`Coalescer::push`] for every frame, in the order in which they came.
/// 2. [`Coalescer::flush`] once, which hands over everything and leaves the coalescer empty.
///
/// Frames of one flow never overtake each other. Its memory grows with the largest batch and is kept.
#[derive(Debug)]
pub struct Coalescer {
    options: CoalesceOptions,
    frames: Vec<Link>,
    groups: Vec<Group>,
    open: Vec<usize>,
}

/// A frame of the batch, chained to the next one of its group.
#[derive(Debug)]
struct Link {
    frame: Bytes,
    /// Where the payload begins and ends; all of the frame if it is alone.
    payload: (usize, usize),
    next: usize,
}

/// A frame, or several that leave as one.
#[derive(Debug)]
struct Group {
    first: usize,
    last: usize,
    count: usize,
    /// Payload bytes so far.
    payload: usize,
    /// What the next frame must look like; `None` if nothing can follow.
    merge: Option<Candidate>,
}

/// What is handed to the kernel: a frame, or a super-frame with its headers in front.
#[derive(Debug)]
pub struct Out<'a> {
    /// How the kernel has to read it.
    pub vnet: VnetHeader,
    /// The bytes, in order. At least one piece, at most [`MAX_PIECES`].
    pub pieces: &'a [IoSlice<'a>],
    /// How many frames of the batch it stands for.
    pub frames: usize,
}

impl Coalescer {
    /// Makes a coalescer; with the default options it passes every frame on as it is.
    pub const fn new(options: CoalesceOptions) -> Self {
        Self {
            options,
            frames: Vec::new(),
            groups: Vec::new(),
            open: Vec::new(),
        }
    }

    /// Returns whether nothing is to be flushed.
    pub const fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Adds the next frame of the batch.
    pub fn push(&mut self, frame: Bytes) {
        match candidate::read(&frame, self.options) {
            Reading::Alone => self.push_alone(frame, None),
            Reading::Barrier => {
                self.open.clear();
                self.push_alone(frame, None);
            }
            Reading::Flow(flow) => {
                self.close(flow.as_ref());
                self.push_alone(frame, None);
            }
            Reading::Candidate(candidate) => self.push_candidate(frame, candidate),
        }
    }

    fn push_candidate(&mut self, frame: Bytes, candidate: Candidate) {
        let found = self.open.iter().position(|group| {
            self.group_candidate(*group)
                .is_some_and(|open| open.flow == candidate.flow)
        });
        let Some(position) = found else {
            self.push_alone(frame, Some(candidate));
            return;
        };
        let index = self.open.get(position).copied().unwrap_or(NONE);
        if !self.append(index, &frame, &candidate) {
            self.open.swap_remove(position);
            self.push_alone(frame, Some(candidate));
            return;
        }
        if self.group_candidate(index).is_none() {
            self.open.swap_remove(position);
        }
    }

    fn group_candidate(&self, index: usize) -> Option<&Candidate> {
        self.groups.get(index)?.merge.as_ref()
    }

    /// Adds `frame` to the group if it continues it. Returns whether it does.
    fn append(&mut self, index: usize, frame: &Bytes, candidate: &Candidate) -> bool {
        let link = self.frames.len();
        let Some(group) = self.groups.get_mut(index) else {
            return false;
        };
        let Some(first) = self.frames.get(group.first) else {
            return false;
        };
        let Some(open) = group.merge.as_mut() else {
            return false;
        };
        let payload = group.payload.saturating_add(candidate.payload_len());
        let packet = open.headers.saturating_sub(open.l3).saturating_add(payload);
        let full = packet > MAX_PACKET || group.count.saturating_add(1) >= MAX_PIECES;
        if full || !open.is_continued_by(&first.frame, candidate, frame, group.payload, group.count)
        {
            return false;
        }
        group.payload = payload;
        group.count = group.count.saturating_add(1);
        open.push |= candidate.push;
        open.closed = candidate.push || candidate.payload_len() < open.payload_len();
        if open.closed {
            // Remember the PSH for the headers, but let nothing follow: order forbids to look further back.
            open.flow = candidate::FlowKey::CLOSED;
        }
        let tail = group.last;
        group.last = link;
        if let Some(tail) = self.frames.get_mut(tail) {
            tail.next = link;
        }
        self.frames.push(Link {
            frame: frame.clone(),
            payload: candidate.payload,
            next: NONE,
        });

        true
    }

    /// Lets no frame join the open group of `flow` any more.
    fn close(&mut self, flow: Option<&candidate::FlowKey>) {
        let (groups, open) = (&self.groups, &mut self.open);
        open.retain(|index| {
            let group = groups.get(*index).and_then(|group| group.merge.as_ref());
            group.is_some_and(|merge| Some(&merge.flow) != flow)
        });
    }

    fn push_alone(&mut self, frame: Bytes, merge: Option<Candidate>) {
        let index = self.frames.len();
        let payload = merge
            .as_ref()
            .map_or((0, frame.len()), |candidate| candidate.payload);
        let group = self.groups.len();
        let can_grow = merge.as_ref().is_some_and(|candidate| !candidate.push);
        self.groups.push(Group {
            first: index,
            last: index,
            count: 1,
            payload: payload.1.saturating_sub(payload.0),
            merge,
        });
        self.frames.push(Link {
            frame,
            payload,
            next: NONE,
        });
        if can_grow {
            if self.open.len() >= MAX_OPEN {
                self.open.remove(0);
            }
            self.open.push(group);
        }
    }

    /// Hands everything over to `sink`, in the order in which the first frames came, and forgets it.
    pub fn flush(&mut self, mut sink: impl FnMut(Out<'_>)) {
        for group in &self.groups {
            self.emit(group, &mut sink);
        }
        self.frames.clear();
        self.groups.clear();
        self.open.clear();
    }

    fn emit(&self, group: &Group, sink: &mut impl FnMut(Out<'_>)) {
        let Some(first) = self.frames.get(group.first) else {
            return;
        };
        let Some(merge) = group.merge.as_ref().filter(|_| group.count > 1) else {
            sink(Out {
                vnet: VnetHeader::NONE,
                pieces: &[IoSlice::new(&first.frame)],
                frames: 1,
            });
            return;
        };
        let mut block = [0; MAX_HEADERS];
        let Some((vnet, headers)) = super_headers(merge, &first.frame, group.payload, &mut block)
        else {
            return;
        };

        let mut pieces = [IoSlice::new(&[]); MAX_PIECES];
        let mut used = 0_usize;
        let mut next = group.first;
        let payloads = std::iter::from_fn(|| {
            let link = self.frames.get(next)?;
            next = link.next;
            link.frame.get(link.payload.0..link.payload.1)
        });
        for (place, piece) in pieces
            .iter_mut()
            .zip(std::iter::once(headers).chain(payloads))
        {
            *place = IoSlice::new(piece);
            used = used.saturating_add(1);
        }
        sink(Out {
            vnet,
            pieces: pieces.get(..used).unwrap_or_default(),
            frames: group.count,
        });
    }
}

/// Writes the headers of the super-frame into `block`: lengths of the whole, the pseudo-header's sum in the checksum field.
fn super_headers<'b>(
    merge: &Candidate,
    first: &[u8],
    payload: usize,
    block: &'b mut [u8; MAX_HEADERS],
) -> Option<(VnetHeader, &'b [u8])> {
    let headers = block.get_mut(..merge.headers)?;
    headers.copy_from_slice(first.get(..merge.headers)?);
    let transport_len = merge
        .headers
        .saturating_sub(merge.l4)
        .saturating_add(payload);
    let packet = merge
        .l4
        .saturating_sub(merge.l3)
        .saturating_add(transport_len);
    match merge.version {
        Version::V4 => {
            put_u16(headers, merge.l3.saturating_add(2), saturate_u16(packet));
            put_u16(headers, merge.l3.saturating_add(10), 0);
            let checksum = checksum::of(headers.get(merge.l3..merge.l4)?);
            put_u16(headers, merge.l3.saturating_add(10), checksum);
        }
        Version::V6 => {
            let len = saturate_u16(packet.saturating_sub(ipv6::HEADER_LEN));
            put_u16(headers, merge.l3.saturating_add(4), len);
        }
    }

    let is_tcp = merge.protocol == TCP;
    let csum_offset: usize = if is_tcp { 16 } else { 6 };
    if is_tcp {
        let flags = merge.l4.saturating_add(13);
        if let Some(flags) = headers.get_mut(flags).filter(|_| merge.push) {
            *flags |= candidate::PSH;
        }
    } else {
        put_u16(
            headers,
            merge.l4.saturating_add(4),
            saturate_u16(transport_len),
        );
    }
    let partial = merge.pseudo(headers, transport_len).fold();
    put_u16(headers, merge.l4.saturating_add(csum_offset), partial);

    let gso_type = match (is_tcp, merge.version) {
        (true, Version::V4) => GSO_TCPV4,
        (true, Version::V6) => GSO_TCPV6,
        (false, _) => GSO_UDP_L4,
    };
    let vnet = VnetHeader {
        flags: FLAG_NEEDS_CSUM,
        gso_type,
        hdr_len: saturate_u16(merge.headers),
        gso_size: saturate_u16(merge.payload_len()),
        csum_start: saturate_u16(merge.l4),
        csum_offset: saturate_u16(csum_offset),
    };

    Some((vnet, headers))
}
