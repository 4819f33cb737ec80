//! What one frame says about being merged.

use super::{CoalesceOptions, MAX_HEADERS};
use lanparty_proto::ip::protocol::{TCP, UDP};
use lanparty_proto::ip::transport::TCP_HEADER_LEN;
use lanparty_proto::ip::{Layout, Version, ipv4, ipv6};
use lanparty_proto::{EtherType, Frame, Kind};

use crate::bytewise::{u8_at, u16_at, u32_at};
use crate::segment::transport_len;
use lanparty_proto::checksum::{self, Sum};

pub(super) const PSH: u8 = 0x08;
const ACK: u8 = 0x10;

/// Addresses and ports of a flow, MAC addresses and tags left to the comparison of the headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FlowKey {
    protocol: u8,
    addresses: [u8; 32],
    ports: u32,
}

impl FlowKey {
    /// Equal to no flow: protocol 255 is reserved.
    pub(super) const CLOSED: Self = Self {
        protocol: 255,
        addresses: [0; 32],
        ports: 0,
    };
}

/// What a frame is to the coalescer.
#[derive(Debug)]
pub(super) enum Reading {
    /// Belongs to no flow that is merged.
    Alone,
    /// May belong to any flow (a fragment, a broken header): nothing after it may go before it.
    Barrier,
    /// Belongs to a flow and cannot be merged itself.
    Flow(Option<FlowKey>),
    /// Can be merged.
    Candidate(Candidate),
}

/// A frame that can be the first of a super-frame or continue one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Candidate {
    pub(super) flow: FlowKey,
    pub(super) version: Version,
    pub(super) protocol: u8,
    pub(super) l3: usize,
    pub(super) l4: usize,
    /// Bytes of all headers.
    pub(super) headers: usize,
    /// Where the payload begins and ends.
    pub(super) payload: (usize, usize),
    /// TCP sequence number.
    sequence: u32,
    /// IPv4 identification.
    id: u16,
    /// Whether identifications count up; known with the second frame.
    id_counts: Option<bool>,
    /// PSH is set, which ends the super-frame.
    pub(super) push: bool,
    /// Nothing can follow.
    pub(super) closed: bool,
}

/// Reads `frame` and verifies its checksums: a super-frame gets a new one, which must not make a broken frame whole.
pub(super) fn read(frame: &[u8], options: CoalesceOptions) -> Reading {
    let Ok(parsed) = Frame::parse(frame) else {
        return Reading::Alone;
    };
    let Some(layout) = Layout::of(&parsed) else {
        return match parsed.kind() {
            Kind::Type(EtherType::IPV4 | EtherType::IPV6) => Reading::Barrier,
            Kind::Type(_) | Kind::Length(_) => Reading::Alone,
        };
    };
    if layout.is_fragment {
        return Reading::Barrier;
    }
    let wanted = match layout.protocol {
        TCP => options.tcp,
        UDP => options.udp,
        _ => false,
    };
    if !wanted {
        return Reading::Alone;
    }
    let flow = flow_key(frame, &layout);

    match candidate(frame, &layout, flow) {
        Some(candidate) => Reading::Candidate(candidate),
        None => Reading::Flow(flow),
    }
}

fn flow_key(frame: &[u8], layout: &Layout) -> Option<FlowKey> {
    let mut addresses = [0; 32];
    let found = layout.addresses(frame);
    addresses.get_mut(..found.len())?.copy_from_slice(found);

    Some(FlowKey {
        protocol: layout.protocol,
        addresses,
        ports: u32_at(layout.transport(frame), 0)?,
    })
}

fn candidate(frame: &[u8], layout: &Layout, flow: Option<FlowKey>) -> Option<Candidate> {
    let flow = flow?;
    let plain = match layout.version {
        Version::V4 => is_plain_v4(frame, layout)?,
        Version::V6 => layout.l4.checked_sub(layout.l3)? == ipv6::HEADER_LEN,
    };
    if !plain || !layout.is_whole {
        return None;
    }
    let transport = layout.transport(frame);
    let transport_header = transport_len(transport, layout.protocol)?;
    let headers = layout.l4.checked_add(transport_header)?;
    let is_tcp = layout.protocol == TCP;
    let fits = if is_tcp {
        u8_at(transport, 13)? & !PSH == ACK && u16_at(transport, 18)? == 0
    } else {
        usize::from(u16_at(transport, 4)?) == transport.len() && u16_at(transport, 6)? != 0
    };
    if !fits || headers >= layout.end || headers > MAX_HEADERS {
        return None;
    }
    if layout
        .pseudo(frame, transport.len())
        .bytes(transport)
        .checksum()
        != 0
    {
        return None;
    }

    Some(Candidate {
        flow,
        version: layout.version,
        protocol: layout.protocol,
        l3: layout.l3,
        l4: layout.l4,
        headers,
        payload: (headers, layout.end),
        sequence: u32_at(transport, 4)?,
        id: u16_at(frame, layout.l3.checked_add(4)?)?,
        id_counts: None,
        push: is_tcp && u8_at(transport, 13)? & PSH != 0,
        closed: false,
    })
}

/// Returns whether an IPv4 header has no options, forbids fragmentation and carries its checksum.
fn is_plain_v4(frame: &[u8], layout: &Layout) -> Option<bool> {
    let header = frame.get(layout.l3..layout.l4)?;
    let flags = u16_at(header, 6)?;

    Some(header.len() == ipv4::MIN_HEADER_LEN && flags == 0x4000 && checksum::of(header) == 0)
}

impl Candidate {
    pub(super) const fn payload_len(&self) -> usize {
        self.payload.1.saturating_sub(self.payload.0)
    }

    /// Returns whether `next` goes on where this, the first of `count` frames with `payload` bytes so far, stops.
    pub(super) fn is_continued_by(
        &mut self,
        first: &[u8],
        next: &Self,
        frame: &[u8],
        payload: usize,
        count: usize,
    ) -> bool {
        let same_place = self.l3 == next.l3 && self.l4 == next.l4 && self.headers == next.headers;
        if self.closed || !same_place || next.payload_len() > self.payload_len() {
            return false;
        }
        let headers = self.headers_agree(first, frame).unwrap_or(false);
        if !headers || !self.follows(next, payload) {
            return false;
        }
        if self.version == Version::V6 {
            return true;
        }

        // RFC 6864: with DF the identification means nothing, but a counter must stay one and a constant, too.
        let counted = self.id.wrapping_add(crate::bytewise::saturate_u16(count));
        let counts = match self.id_counts {
            Some(true) => next.id == counted,
            Some(false) => next.id == self.id,
            None => next.id == counted || next.id == self.id,
        };
        if counts {
            self.id_counts = Some(next.id == counted);
        }

        counts
    }

    fn follows(&self, next: &Self, payload: usize) -> bool {
        if self.protocol != TCP {
            return true;
        }
        let advance = u32::try_from(payload).unwrap_or_default();

        next.sequence == self.sequence.wrapping_add(advance)
    }

    /// Compares everything but lengths, identification, sequence number, PSH and checksums.
    fn headers_agree(&self, a: &[u8], b: &[u8]) -> Option<bool> {
        let same = |start: usize, end: usize| Some(a.get(start..end)? == b.get(start..end)?);
        let (l3, l4) = (self.l3, self.l4);
        let link = same(0, l3)?;
        let ip = match self.version {
            Version::V4 => {
                same(l3, l3.checked_add(2)?)? && same(l3.checked_add(6)?, l3.checked_add(10)?)?
            }
            Version::V6 => {
                same(l3, l3.checked_add(4)?)? && same(l3.checked_add(6)?, l3.checked_add(8)?)?
            }
        };
        // Addresses and ports are the flow's and equal already.
        let transport = self.protocol != TCP
            || (same(l4.checked_add(8)?, l4.checked_add(13)?)?
                && same(l4.checked_add(14)?, l4.checked_add(16)?)?
                && same(l4.checked_add(TCP_HEADER_LEN)?, self.headers)?);

        Some(link && ip && transport)
    }

    pub(super) fn pseudo(&self, headers: &[u8], len: usize) -> Sum {
        Layout {
            version: self.version,
            l3: self.l3,
            l4: self.l4,
            end: headers.len(),
            protocol: self.protocol,
            is_fragment: false,
            is_later_fragment: false,
            is_routed: false,
            is_whole: true,
        }
        .pseudo(headers, len)
    }
}
