//! 802.3 frames with a length: 802.2 LLC, SNAP and Novell's raw IPX.
//!
//! Systems differ in how they take a wrong length (CVE-2021-27854, CVE-2021-27862), so what a frame carries is decided by the
//! bytes that are there, whatever the length says; a wrong length is then one more reason to refuse.

use super::{Policy, ProtocolClass, Refusal, control};
use crate::EtherType;
use crate::read::{array, be16, byte};

/// Bytes of DSAP, SSAP and a control field of one byte (IEEE 802.2, 3.2).
const MIN_LLC_LEN: usize = 3;

/// The smallest payload on a wire: what is shorter is padded (IEEE 802.3-2018, 4A.4.2).
const MIN_PAYLOAD: usize = 46;

/// The bytes that drivers leave behind a longer payload: padding to an even length, or the FCS.
const MAX_TRAILER: usize = 4;

/// A service access point without its group or response bit (IEEE 802.2, 3.3.1).
const fn sap(byte: u8) -> u8 {
    byte & 0xfe
}

const SAP_IP: u8 = 0x06;
const SAP_BPDU: u8 = 0x42;
const SAP_ARP: u8 = 0x98;
const SAP_SNAP: u8 = 0xaa;
const SAP_IPX: u8 = 0xe0;
const SAP_NETBEUI: u8 = 0xf0;
const SAP_ISO: u8 = 0xfe;

/// What an 802.3 payload carries.
enum Carried {
    /// A SNAP header whose organisation code says that an EtherType follows (RFC 1042, IEEE 802.1H).
    Type(EtherType),
    /// A SNAP header of Apple's with AppleTalk.
    AppleTalk,
    /// A SNAP header of Cisco's: CDP, VTP, DTP, UDLD, PVST+.
    Cisco,
    /// Any other SNAP header, also a truncated one.
    OtherSnap,
    /// Novell's raw 802.3: IPX with its checksum, always `ffff`, where the access points would be.
    RawIpx,
    /// A destination and a source access point.
    Saps(u8, u8),
    /// Not even two access points.
    Nothing,
}

fn read(payload: &[u8]) -> Carried {
    let (Some(destination), Some(source)) = (byte(payload, 0), byte(payload, 1)) else {
        return Carried::Nothing;
    };
    if (destination, source) == (0xff, 0xff) {
        return Carried::RawIpx;
    }
    if sap(destination) != SAP_SNAP && sap(source) != SAP_SNAP {
        return Carried::Saps(sap(destination), sap(source));
    }

    match (array::<3>(payload, 3), be16(payload, 6)) {
        (Some([0, 0, 0 | 0xf8]), Some(number)) => Carried::Type(EtherType(number)),
        (Some([0x08, 0x00, 0x07]), Some(0x809b)) => Carried::AppleTalk,
        (Some([0x00, 0x00, 0x0c]), _) => Carried::Cisco,
        _ => Carried::OtherSnap,
    }
}

/// Refuses what only switches say, in both directions.
pub(super) fn check_control(payload: &[u8]) -> Result<(), Refusal> {
    match read(payload) {
        Carried::Type(kind) => control::check_type(kind),
        Carried::Cisco => Err(Refusal::VendorControl),
        Carried::Saps(SAP_BPDU, _) | Carried::Saps(_, SAP_BPDU) => Err(Refusal::SpanningTree),
        Carried::AppleTalk
        | Carried::OtherSnap
        | Carried::RawIpx
        | Carried::Saps(..)
        | Carried::Nothing => Ok(()),
    }
}

/// Returns whether an 802.3 payload carries IP, ARP or IPv6.
pub(crate) fn carries_ip(payload: &[u8]) -> bool {
    match read(payload) {
        Carried::Type(kind) => is_ip(kind),
        Carried::Saps(SAP_IP | SAP_ARP, _) | Carried::Saps(_, SAP_IP | SAP_ARP) => true,
        Carried::AppleTalk
        | Carried::Cisco
        | Carried::OtherSnap
        | Carried::RawIpx
        | Carried::Saps(..)
        | Carried::Nothing => false,
    }
}

/// IPv4, ARP, reverse ARP, IPv6, and tags that could hide them.
const fn is_ip(kind: EtherType) -> bool {
    kind.is_tag() || matches!(kind.0, 0x0800 | 0x0806 | 0x8035 | 0x86dd)
}

/// Decides about a remote client's frame with `length` in its length field.
#[inline(never)]
pub(super) fn check(policy: Policy, length: u16, payload: &[u8]) -> Result<(), Refusal> {
    check_control(payload)?;
    if carries_ip(payload) {
        return Err(Refusal::LlcIp);
    }

    let class = match read(payload) {
        Carried::RawIpx => ProtocolClass::Ipx,
        Carried::Saps(SAP_IPX, SAP_IPX) => ProtocolClass::Ipx,
        Carried::Saps(SAP_NETBEUI, SAP_NETBEUI) => ProtocolClass::NetBeui,
        Carried::AppleTalk => ProtocolClass::AppleTalk,
        Carried::Type(EtherType(0x8137 | 0x8138)) => ProtocolClass::Ipx,
        Carried::Type(EtherType(0x809b | 0x80f3)) => ProtocolClass::AppleTalk,
        Carried::Type(_) => ProtocolClass::OtherLlc,
        Carried::Saps(SAP_ISO, _) | Carried::Saps(_, SAP_ISO) => {
            return Err(Refusal::RoutingProtocol);
        }
        Carried::Cisco | Carried::OtherSnap | Carried::Saps(..) | Carried::Nothing => {
            ProtocolClass::OtherLlc
        }
    };
    if !policy.allows(class) {
        return Err(Refusal::Llc);
    }

    check_length(usize::from(length), payload.len())
}

/// The length must be there, and nothing but padding behind it.
const fn check_length(length: usize, there: usize) -> Result<(), Refusal> {
    let padding_only = there <= MIN_PAYLOAD || there <= length.saturating_add(MAX_TRAILER);
    if length < MIN_LLC_LEN || length > there || !padding_only {
        return Err(Refusal::LengthField);
    }

    Ok(())
}
