//! Super-frames into ordinary frames, as the kernel's own segmentation would cut them.
//!
//! The rules are those of Linux' `tcp_gso_segment`, `__udp_gso_segment` and `inet_gso_segment`: the IPv4 identification
//! counts up, sequence numbers advance, FIN and PSH stand on the last segment only and CWR on the first only.

use bytes::BufMut as _;

use lanparty_proto::ethernet;
use lanparty_proto::ip::protocol::{TCP, UDP};
use lanparty_proto::ip::transport::{UDP_HEADER_LEN, tcp_header_len};
use lanparty_proto::ip::{Layout, Version, ipv6};

use crate::bytewise::{put, put_u16, saturate_u16, u8_at, u16_at, u32_at};
use crate::vnet::{GSO_ECN, GSO_NONE, GSO_TCPV4, GSO_TCPV6, GSO_UDP_L4, VnetHeader};
use lanparty_proto::checksum::{self, Sum};

/// The most segments a super-frame may have.
///
/// Linux' smallest send MSS is 48 (`TCP_MIN_SND_MSS`, `net/tcp.h`), and 65,535 bytes of 48 are 1366. More only comes from
/// something that wants to drown us.
pub const MAX_SEGMENTS: usize = 1366;

/// The longest super-frame: an IP packet of 65,535 bytes behind the longest Ethernet header.
pub const MAX_SUPER_LEN: usize = 65_535 + ethernet::MAX_HEADER_LEN;

const FIN: u8 = 0x01;
const PSH: u8 = 0x08;
const CWR: u8 = 0x80;

/// Where checksum fields lie in their headers (RFC 9293, 3.1; RFC 768).
const TCP_CHECKSUM: usize = 16;
const UDP_CHECKSUM: usize = 6;

/// Why a frame cannot be cut or completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum SegmentRefusal {
    /// Longer than [`MAX_SUPER_LEN`].
    TooLong,
    /// A kind of super-frame that was not asked for.
    UnknownGsoType,
    /// The IP or transport header is missing, broken or not what the kind says.
    Headers,
    /// The packet is a fragment, which nothing may cut by transport headers.
    Fragment,
    /// An IPv6 routing header, whose checksum needs an address that is elsewhere.
    RoutingHeader,
    /// Nothing says how long segments are.
    NoSegmentSize,
    /// More segments than [`MAX_SEGMENTS`].
    TooManySegments,
    /// The caller's limit leaves no room for payload.
    LimitTooSmall,
    /// The checksum field lies outside the frame or not where the transport header has it.
    ChecksumOffset,
}

impl SegmentRefusal {
    /// Returns the stable name for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "too_long",
            Self::UnknownGsoType => "unknown_gso_type",
            Self::Headers => "headers",
            Self::Fragment => "fragment",
            Self::RoutingHeader => "routing_header",
            Self::NoSegmentSize => "no_segment_size",
            Self::TooManySegments => "too_many_segments",
            Self::LimitTooSmall => "limit_too_small",
            Self::ChecksumOffset => "checksum_offset",
        }
    }
}

/// A frame as a kernel with offloads handed it over, read and believed.
///
/// ```
/// use lanparty_offload::vnet::{FLAG_NEEDS_CSUM, GSO_TCPV4};
/// use lanparty_offload::{Super, VnetHeader};
///
/// // TCP over IPv4 with 3000 bytes of payload, to be cut into segments of 1460.
/// let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0];
/// frame.extend([0x45, 0, 0x0b, 0xe0, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
/// frame.extend([0, 80, 0x13, 0x88, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0]);
/// frame.resize(54 + 3000, 7);
/// let vnet = VnetHeader {
///     flags: FLAG_NEEDS_CSUM,
///     gso_type: GSO_TCPV4,
///     gso_size: 1460,
///     csum_start: 34,
///     csum_offset: 16,
///     ..VnetHeader::NONE
/// };
///
/// let whole = Super::parse(&vnet, &frame).unwrap();
/// let lengths: Vec<usize> = whole.segments(None).unwrap().map(|segment| segment.len()).collect();
/// assert_eq!(lengths, [1514, 1514, 54 + 80]);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Super<'a> {
    frame: &'a [u8],
    plan: Plan,
}

#[derive(Debug, Clone, Copy)]
enum Plan {
    /// Complete as it is.
    Plain,
    /// One frame whose checksum is to be computed from `start` to the end and stored at `field`.
    Complete { start: usize, field: usize },
    /// Several frames.
    Cut(Cut),
}

/// What all segments share.
#[derive(Debug, Clone, Copy)]
struct Cut {
    layout: Layout,
    /// Bytes of all headers.
    headers: usize,
    /// Payload bytes of every segment but the last.
    size: usize,
    /// IPv4 identification of the first segment.
    id: u16,
    /// TCP sequence number of the first segment.
    sequence: u32,
    /// TCP flags of the super-frame.
    flags: u8,
}

impl<'a> Super<'a> {
    /// Reads `frame` as `vnet` describes it. `hdr_len` is not believed, and nor is any other offset.
    ///
    /// # Errors
    ///
    /// Returns why the frame can only be dropped.
    pub fn parse(vnet: &VnetHeader, frame: &'a [u8]) -> Result<Self, SegmentRefusal> {
        if frame.len() > MAX_SUPER_LEN {
            return Err(SegmentRefusal::TooLong);
        }
        let plan = match vnet.gso_type & !GSO_ECN {
            GSO_NONE if vnet.needs_checksum() => Self::parse_completion(vnet, frame)?,
            GSO_NONE => Plan::Plain,
            GSO_TCPV4 => Plan::Cut(Cut::parse(vnet, frame, Some(Version::V4), TCP)?),
            GSO_TCPV6 => Plan::Cut(Cut::parse(vnet, frame, Some(Version::V6), TCP)?),
            GSO_UDP_L4 => Plan::Cut(Cut::parse(vnet, frame, None, UDP)?),
            _ => return Err(SegmentRefusal::UnknownGsoType),
        };

        Ok(Self { frame, plan })
    }

    fn parse_completion(vnet: &VnetHeader, frame: &[u8]) -> Result<Plan, SegmentRefusal> {
        let start = usize::from(vnet.csum_start);
        let field = start.saturating_add(usize::from(vnet.csum_offset));
        if field.saturating_add(2) > frame.len() {
            return Err(SegmentRefusal::ChecksumOffset);
        }

        Ok(Plan::Complete { start, field })
    }

    /// Returns the whole frame as it came: its headers are those of every segment.
    pub const fn frame(&self) -> &'a [u8] {
        self.frame
    }

    /// Cuts the frame. With `max_packet`, no TCP segment's IP packet is longer than that many bytes; UDP datagrams cannot be
    /// recut and stay as long as they are.
    ///
    /// # Errors
    ///
    /// Returns why the frame can only be dropped.
    pub fn segments(&self, max_packet: Option<usize>) -> Result<Segments<'a>, SegmentRefusal> {
        let mut plan = self.plan;
        let mut count = 1;
        if let Plan::Cut(cut) = &mut plan {
            if let Some(max) = max_packet
                && cut.layout.protocol == TCP
            {
                let room = max.saturating_sub(cut.headers.saturating_sub(cut.layout.l3));
                if room == 0 {
                    return Err(SegmentRefusal::LimitTooSmall);
                }
                cut.size = cut.size.min(room);
            }
            count = cut.payload_len(self.frame).div_ceil(cut.size).max(1);
            if count > MAX_SEGMENTS {
                return Err(SegmentRefusal::TooManySegments);
            }
        }

        Ok(Segments {
            frame: self.frame,
            plan,
            next: 0,
            count,
        })
    }
}

impl Cut {
    fn parse(
        vnet: &VnetHeader,
        frame: &[u8],
        version: Option<Version>,
        protocol: u8,
    ) -> Result<Self, SegmentRefusal> {
        let layout = Layout::parse(frame).ok_or(SegmentRefusal::Headers)?;
        if layout.protocol != protocol || version.is_some_and(|version| version != layout.version) {
            return Err(SegmentRefusal::Headers);
        }
        if layout.is_fragment {
            return Err(SegmentRefusal::Fragment);
        }
        if layout.is_routed {
            return Err(SegmentRefusal::RoutingHeader);
        }
        let offset = if protocol == TCP {
            TCP_CHECKSUM
        } else {
            UDP_CHECKSUM
        };
        let elsewhere =
            usize::from(vnet.csum_start) != layout.l4 || usize::from(vnet.csum_offset) != offset;
        if vnet.needs_checksum() && elsewhere {
            return Err(SegmentRefusal::ChecksumOffset);
        }
        let transport = frame.get(layout.l4..).ok_or(SegmentRefusal::Headers)?;
        let len = transport_len(transport, protocol).ok_or(SegmentRefusal::Headers)?;
        let size = usize::from(vnet.gso_size);
        if size == 0 {
            return Err(SegmentRefusal::NoSegmentSize);
        }

        Ok(Self {
            layout,
            headers: layout.l4.saturating_add(len),
            size,
            id: u16_at(frame, layout.l3.saturating_add(4)).unwrap_or_default(),
            sequence: u32_at(transport, 4).unwrap_or_default(),
            flags: u8_at(transport, 13).unwrap_or_default(),
        })
    }

    fn payload_len(&self, frame: &[u8]) -> usize {
        frame.len().saturating_sub(self.headers)
    }

    /// Writes the headers of segment `index` over the copy of the super-frame's in `out`, and the checksums.
    fn finish(&self, out: &mut [u8], index: usize, last: bool) {
        let Layout {
            version, l3, l4, ..
        } = self.layout;
        let packet = out.len().saturating_sub(l3);
        match version {
            Version::V4 => {
                let id = self.id.wrapping_add(saturate_u16(index));
                put_u16(out, l3.saturating_add(2), saturate_u16(packet));
                put_u16(out, l3.saturating_add(4), id);
                put_u16(out, l3.saturating_add(10), 0);
                let checksum = checksum::of(out.get(l3..l4).unwrap_or_default());
                put_u16(out, l3.saturating_add(10), checksum);
            }
            Version::V6 => {
                let payload = packet.saturating_sub(ipv6::HEADER_LEN);
                put_u16(out, l3.saturating_add(4), saturate_u16(payload));
            }
        }

        let transport_len = out.len().saturating_sub(l4);
        let pseudo = self.layout.pseudo(out, transport_len);
        let Some(transport) = out.get_mut(l4..) else {
            return;
        };
        if self.layout.protocol == TCP {
            self.finish_tcp(transport, pseudo, index, last);
        } else {
            put_u16(transport, 4, saturate_u16(transport_len));
            put_u16(transport, UDP_CHECKSUM, 0);
            let checksum = checksum::udp(pseudo.bytes(transport).checksum());
            put_u16(transport, UDP_CHECKSUM, checksum);
        }
    }

    fn finish_tcp(&self, transport: &mut [u8], pseudo: Sum, index: usize, last: bool) {
        let advance = u32::try_from(index.saturating_mul(self.size)).unwrap_or_default();
        let mut flags = self.flags;
        if !last {
            flags &= !(FIN | PSH);
        }
        if index != 0 {
            flags &= !CWR;
        }
        put(
            transport,
            4,
            &self.sequence.wrapping_add(advance).to_be_bytes(),
        );
        put(transport, 13, &[flags]);
        put_u16(transport, TCP_CHECKSUM, 0);
        let checksum = pseudo.bytes(transport).checksum();
        put_u16(transport, TCP_CHECKSUM, checksum);
    }
}

/// Returns the length of a transport header that is whole.
pub(crate) fn transport_len(transport: &[u8], protocol: u8) -> Option<usize> {
    if protocol == TCP {
        tcp_header_len(transport)
    } else {
        (transport.len() >= UDP_HEADER_LEN).then_some(UDP_HEADER_LEN)
    }
}

/// The frames of a [`Super`], in order.
#[derive(Debug, Clone)]
pub struct Segments<'a> {
    frame: &'a [u8],
    plan: Plan,
    next: usize,
    count: usize,
}

impl<'a> Iterator for Segments<'a> {
    type Item = Segment<'a>;

    fn next(&mut self) -> Option<Segment<'a>> {
        if self.next == self.count {
            return None;
        }
        let index = self.next;
        self.next = index.saturating_add(1);
        let payload = match &self.plan {
            Plan::Plain | Plan::Complete { .. } => &[],
            Plan::Cut(cut) => {
                let rest = self
                    .frame
                    .get(cut.headers.saturating_add(index.saturating_mul(cut.size))..);
                let rest = rest.unwrap_or_default();
                rest.get(..cut.size).unwrap_or(rest)
            }
        };

        Some(Segment {
            frame: self.frame,
            plan: self.plan,
            payload,
            index,
            last: self.next == self.count,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.count.saturating_sub(self.next);

        (left, Some(left))
    }
}

impl ExactSizeIterator for Segments<'_> {}

/// One ordinary frame, not yet written anywhere.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    frame: &'a [u8],
    plan: Plan,
    payload: &'a [u8],
    index: usize,
    last: bool,
}

impl Segment<'_> {
    /// Returns the length of the frame.
    #[expect(
        clippy::len_without_is_empty,
        reason = "no frame is empty, so nobody asks"
    )]
    pub const fn len(&self) -> usize {
        match &self.plan {
            Plan::Plain | Plan::Complete { .. } => self.frame.len(),
            Plan::Cut(cut) => cut.headers.saturating_add(self.payload.len()),
        }
    }

    /// Writes the frame to the start of `out` and returns its length; `None`, and nothing useful in `out`, if it is too short.
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        let len = self.len();
        let out = out.get_mut(..len)?;
        match &self.plan {
            Plan::Plain => out.copy_from_slice(self.frame),
            Plan::Complete { .. } => {
                out.copy_from_slice(self.frame);
                self.finish(out);
            }
            Plan::Cut(cut) => {
                let (headers, payload) = out.split_at_mut_checked(cut.headers)?;
                headers.copy_from_slice(self.frame.get(..cut.headers)?);
                payload.copy_from_slice(self.payload);
                self.finish(out);
            }
        }

        Some(len)
    }

    /// Appends the frame to `out`, which grows by [`Segment::len`].
    pub fn append(&self, out: &mut Vec<u8>) {
        let start = out.len();
        match &self.plan {
            Plan::Plain | Plan::Complete { .. } => out.put_slice(self.frame),
            Plan::Cut(cut) => {
                out.put_slice(self.frame.get(..cut.headers).unwrap_or_default());
                out.put_slice(self.payload);
            }
        }
        if let Some(written) = out.get_mut(start..) {
            self.finish(written);
        }
    }

    fn finish(&self, out: &mut [u8]) {
        match self.plan {
            Plan::Plain => {}
            Plan::Complete { start, field } => complete(out, start, field),
            Plan::Cut(cut) => cut.finish(out, self.index, self.last),
        }
    }
}

/// Computes the checksum of an ordinary frame whose field at `field` holds the pseudo-header's sum (`skb_checksum_help`).
fn complete(frame: &mut [u8], start: usize, field: usize) {
    let checksum = Sum::ZERO
        .bytes(frame.get(start..).unwrap_or_default())
        .checksum();
    // Zero and all ones are the same number, and with UDP only the second one means "computed".
    put_u16(frame, field, checksum::udp(checksum));
}
