//! Answers to packets that do not fit: ICMP "fragmentation needed" (RFC 792, RFC 1191) and, over IPv6, "packet too big"
//! (RFC 4443).

use std::net::Ipv4Addr;

use lanparty_proto::MacAddr;

use lanparty_proto::ethernet;
use lanparty_proto::ip::protocol::{ICMP, ICMPV6};
use lanparty_proto::ip::{Layout, Version, ipv4, ipv6};

use crate::bytewise::{put, put_u16, saturate_u16, u8_at};
use crate::ipv4_fragment::dont_fragment;
use lanparty_proto::checksum::{self, Sum};

/// The longest answer over IPv4 (RFC 1812, 4.3.2.3: an ICMP error must not exceed 576 bytes).
const MAX_ANSWER_V4: usize = 576;
/// The longest answer over IPv6: the minimum IPv6 MTU (RFC 4443, 2.4(c)).
const MAX_ANSWER_V6: usize = 1280;
/// Bytes of either ICMP header with its 32-bit parameter.
const ICMP_LEN: usize = 8;

/// A buffer of this size holds any answer: the longest packet behind the longest Ethernet header.
pub const MAX_ANSWER_LEN: usize = MAX_ANSWER_V6 + ethernet::MAX_HEADER_LEN;

/// The smallest MTU of IPv6 (RFC 8200, 5); hosts ignore a smaller one in an answer (RFC 8201, 4).
pub const IPV6_MIN_MTU: u16 = 1280;

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Silence {
    /// Not an IP packet, or its header is broken.
    NotIp,
    /// IPv4 that may be fragmented.
    MayFragment,
    /// Not the first fragment (RFC 1122, 3.2.2).
    LaterFragment,
    /// From or to more than one station (RFC 1122, 3.2.2; RFC 4443, 2.4(e)).
    Group,
    /// About an ICMP error (RFC 1122, 3.2.2; RFC 4443, 2.4(e)).
    IcmpError,
    /// The MTU is below what IPv6 can be told.
    BelowIpv6Minimum,
    /// The caller's buffer is too short.
    NoRoom,
}

impl Silence {
    /// Returns the stable name for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotIp => "not_ip",
            Self::MayFragment => "may_fragment",
            Self::LaterFragment => "later_fragment",
            Self::Group => "group",
            Self::IcmpError => "icmp_error",
            Self::BelowIpv6Minimum => "below_ipv6_minimum",
            Self::NoRoom => "no_room",
        }
    }
}

/// Writes the frame that tells the sender of `frame` that its packets may have `mtu` bytes, and returns its length.
///
/// The answer speaks for the station that `frame` was for: a bridge has no addresses of its own, and the sender's kernel
/// looks only at the packet that is quoted.
///
/// # Errors
///
/// Returns why nobody is to be answered.
pub fn answer(frame: &[u8], mtu: u16, out: &mut [u8]) -> Result<usize, Silence> {
    let layout = Layout::parse(frame).ok_or(Silence::NotIp)?;
    if layout.is_later_fragment {
        return Err(Silence::LaterFragment);
    }
    let (macs, _) = frame.split_first_chunk::<12>().ok_or(Silence::NotIp)?;
    let [d0, d1, d2, d3, d4, d5, s0, s1, s2, s3, s4, s5] = *macs;
    let destination = MacAddr([d0, d1, d2, d3, d4, d5]);
    let source = MacAddr([s0, s1, s2, s3, s4, s5]);
    if !destination.is_valid_source() || !source.is_valid_source() {
        return Err(Silence::Group);
    }
    if is_icmp_error(frame, &layout) {
        return Err(Silence::IcmpError);
    }
    let len = match layout.version {
        Version::V4 => answer_v4(frame, &layout, mtu, out)?,
        Version::V6 => answer_v6(frame, &layout, mtu, out)?,
    };
    put(out, 0, &source.0);
    put(out, 6, &destination.0);
    // Tags and EtherType are those of the question.
    put(out, 12, frame.get(12..layout.l3).unwrap_or_default());

    Ok(len)
}

fn is_icmp_error(frame: &[u8], layout: &Layout) -> bool {
    let kind = u8_at(frame, layout.l4);
    match (layout.protocol, kind) {
        // Unreachable, source quench, redirect, time exceeded, parameter problem (RFC 792); a missing type is no reason
        // to answer either.
        (ICMP, Some(3 | 4 | 5 | 11 | 12) | None) => true,
        // Errors are below 128 (RFC 4443, 2.1); a redirect is never answered (2.4(e.2)).
        (ICMPV6, Some(0..=127 | 137) | None) => true,
        _ => false,
    }
}

fn is_host_v4(address: Ipv4Addr) -> bool {
    // 0/8, 127/8, and everything from 224.0.0.0 on is nobody's own address.
    let [first, ..] = address.octets();

    first != 0 && first != 127 && first < 224
}

fn answer_v4(frame: &[u8], layout: &Layout, mtu: u16, out: &mut [u8]) -> Result<usize, Silence> {
    if dont_fragment(frame) != Some(true) {
        return Err(Silence::MayFragment);
    }
    let (source, destination) = layout.addresses_v4(frame);
    if !is_host_v4(source) || !is_host_v4(destination) {
        return Err(Silence::Group);
    }
    let quote = MAX_ANSWER_V4
        .saturating_sub(ipv4::MIN_HEADER_LEN)
        .saturating_sub(ICMP_LEN);
    let (len, packet) = quote_into(frame, layout, ipv4::MIN_HEADER_LEN, quote, out)?;

    let total = saturate_u16(packet.len());
    let (header, icmp) = packet
        .split_at_mut_checked(ipv4::MIN_HEADER_LEN)
        .ok_or(Silence::NoRoom)?;
    // Version and IHL, precedence "internetwork control" (RFC 1812, 4.3.2.5), DF, a TTL of 64.
    put(
        header,
        0,
        &[0x45, 0xc0, 0, 0, 0, 0, 0x40, 0, 64, ICMP, 0, 0],
    );
    put_u16(header, 2, total);
    put(header, 12, &destination.octets());
    put(header, 16, &source.octets());
    let checksum = checksum::of(header);
    put_u16(header, 10, checksum);

    // Destination unreachable, fragmentation needed, next-hop MTU (RFC 1191, 4).
    put(icmp, 0, &[3, 4, 0, 0, 0, 0]);
    put_u16(icmp, 6, mtu);
    let checksum = checksum::of(icmp);
    put_u16(icmp, 2, checksum);

    Ok(len)
}

fn answer_v6(frame: &[u8], layout: &Layout, mtu: u16, out: &mut [u8]) -> Result<usize, Silence> {
    if mtu < IPV6_MIN_MTU {
        return Err(Silence::BelowIpv6Minimum);
    }
    let (source, destination) = layout.addresses_v6(frame);
    let is_host = |address: std::net::Ipv6Addr| {
        !address.is_unspecified() && !address.is_multicast() && !address.is_loopback()
    };
    if !is_host(source) || !is_host(destination) {
        return Err(Silence::Group);
    }
    let quote = MAX_ANSWER_V6
        .saturating_sub(ipv6::HEADER_LEN)
        .saturating_sub(ICMP_LEN);
    let (len, packet) = quote_into(frame, layout, ipv6::HEADER_LEN, quote, out)?;

    let payload = saturate_u16(packet.len().saturating_sub(ipv6::HEADER_LEN));
    let (header, icmp) = packet
        .split_at_mut_checked(ipv6::HEADER_LEN)
        .ok_or(Silence::NoRoom)?;
    put(header, 0, &[0x60, 0, 0, 0, 0, 0, ICMPV6, 64]);
    put_u16(header, 4, payload);
    put(header, 8, &destination.octets());
    put(header, 24, &source.octets());

    // Type 2, code 0, a 32-bit MTU (RFC 4443, 3.2).
    put(icmp, 0, &[2, 0, 0, 0, 0, 0]);
    put_u16(icmp, 6, mtu);
    let checksum = Sum::ZERO
        .pseudo_v6(destination, source, ICMPV6, u32::from(payload))
        .bytes(icmp)
        .checksum();
    put_u16(icmp, 2, checksum);

    Ok(len)
}

/// Places as much of the packet as `most` bytes behind the room for both headers. Returns the frame's length and the packet.
fn quote_into<'o>(
    frame: &[u8],
    layout: &Layout,
    header_len: usize,
    most: usize,
    out: &'o mut [u8],
) -> Result<(usize, &'o mut [u8]), Silence> {
    let question = frame.get(layout.l3..layout.end).ok_or(Silence::NotIp)?;
    let quote = question.get(..most).unwrap_or(question);
    let at = header_len.saturating_add(ICMP_LEN);
    let len = layout.l3.saturating_add(at).saturating_add(quote.len());
    let packet = out.get_mut(layout.l3..len).ok_or(Silence::NoRoom)?;
    put(packet, at, quote);

    Ok((len, packet))
}

#[cfg(test)]
mod tests {
    use lanparty_proto::ip::protocol::UDP;

    use super::*;

    #[test]
    fn nobody_is_answered_about_groups_fragments_and_errors() {
        let mut question = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0, 0x45, 0, 0, 28];
        question.extend([0, 1, 0x40, 0, 64, UDP, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
        question.extend([0; 8]);
        let silence = |at: usize, byte: u8| {
            let mut question = question.clone();
            question[at] = byte;
            answer(&question, 1300, &mut [0; MAX_ANSWER_LEN])
        };

        assert_eq!(silence(0, 2), Ok(14 + 20 + 8 + 28));
        assert_eq!(silence(0, 1), Err(Silence::Group));
        assert_eq!(silence(26, 224), Err(Silence::Group));
        assert_eq!(silence(30, 255), Err(Silence::Group));
        assert_eq!(silence(20, 0), Err(Silence::MayFragment));
        assert_eq!(silence(21, 1), Err(Silence::LaterFragment));
        assert_eq!(silence(14, 0x65), Err(Silence::NotIp));
    }
}
