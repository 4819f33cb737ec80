//! What switches, and nobody else, say to each other: reserved group addresses and EtherTypes.
//!
//! Both are checked, each for itself: PAUSE works with any destination, and anything may be sent to a reserved address.

use super::Refusal;
use crate::{EtherType, MacAddr};

/// Refuses the group addresses that bridges keep for themselves.
///
/// # Errors
///
/// Returns [`Refusal::ReservedGroup`] or [`Refusal::VendorControl`].
#[inline]
pub const fn check_group(destination: MacAddr) -> Result<(), Refusal> {
    match destination.0 {
        // IEEE 802.1Q-2018 tables 8-1 to 8-3 (00..0f), 8-14 (10..1f, bridge management and ISIS), MRP applications
        // (10.12.1, 20..2f), CFM (IEEE 802.1ag, 30..3f).
        [0x01, 0x80, 0xc2, 0x00, 0x00, 0x00..=0x3f] => Err(Refusal::ReservedGroup),
        // Extended loop-back and bridge addresses of token ring and DMTF (IEEE 802.1Q, Annex; 0x00000100 block).
        [0x01, 0x80, 0xc2, 0x00, 0x01, _] => Err(Refusal::ReservedGroup),
        // IEEE 1588-2019, Annex E: PTP.
        [0x01, 0x1b, 0x19, 0x00, 0x00, 0x00] => Err(Refusal::ReservedGroup),
        // Cisco: CDP, VTP, DTP, UDLD, PAgP (cc), PVST+ (cd), uplink fast, VLAN bridge STP, and the tunnelled ones.
        [0x01, 0x00, 0x0c, 0xcc | 0xcd | 0xdd | 0x00, _, _] => Err(Refusal::VendorControl),
        // Extreme (EDP), Foundry/Brocade (FDP), Nortel (SONMP), Ruijie and H3C (loop detection), MRP rings (IEC 62439-2).
        [0x00 | 0x01, 0xe0, 0x2b, 0x00, 0x00, _]
        | [0x01, 0xe0, 0x52, 0xcc, 0xcc, 0xcc]
        | [0x01, 0x00, 0x81, 0x00, 0x01, _]
        | [0x01, 0x0f, 0xe2, _, _, _]
        | [0x01, 0xd0, 0xf8, _, _, _]
        | [0x01, 0x15, 0x4e, 0x00, 0x01, _] => Err(Refusal::VendorControl),
        // Cabletron/Enterasys discovery, ECTP's loop-back assistance group.
        [0x01, 0x00, 0x1d, 0x00, 0x00, _] => Err(Refusal::VendorControl),
        [0xcf, 0x00, 0x00, 0x00, 0x00, 0x00] => Err(Refusal::LoopProtocol),
        _ => Ok(()),
    }
}

/// Refuses the EtherTypes of link and bridge control, whatever the destination.
///
/// # Errors
///
/// Returns the reason, by protocol.
#[inline]
pub const fn check_type(kind: EtherType) -> Result<(), Refusal> {
    Err(match kind.0 {
        0x8808 => Refusal::MacControl,
        0x8809 => Refusal::SlowProtocol,
        0x88cc => Refusal::Lldp,
        // EAPOL and RSN pre-authentication.
        0x888e | 0x88c7 => Refusal::Eapol,
        0x88e5 => Refusal::Macsec,
        0x88f7 => Refusal::Ptp,
        // MVRP, MMRP, MSRP.
        0x88f5 | 0x88f6 | 0x22ea => Refusal::Mrp,
        0x8902 => Refusal::Cfm,
        // ECTP; Cisco and others' keep-alive and loop detection; MikroTik loop protect.
        0x9000..=0x9003 => Refusal::LoopProtocol,
        0x8899 => Refusal::Rrcp,
        // Media redundancy (rings), parallel redundancy supervision, HSR, Extreme EAPS and EDP.
        0x88e3 | 0x88fb | 0x892f | 0x00bb => Refusal::VendorControl,
        // Shortest path bridging, TRILL and its IS-IS, edge control, congestion notification.
        0x88e7 | 0x22f3 | 0x22f4 | 0x8940 | 0x22e7 | 0x22e9 => Refusal::SpanningTree,
        _ => return Ok(()),
    })
}

/// Returns whether the EtherType is PPPoE discovery or session (RFC 2516).
pub(super) const fn is_pppoe(kind: EtherType) -> bool {
    matches!(kind.0, 0x8863 | 0x8864)
}
