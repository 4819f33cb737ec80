//! The Layer 2 safety policy: which frames may pass between remote machines and a LAN.
//!
//! [`check`] is pure and the same everywhere: a client calls it before a frame costs bandwidth, the relay before it fans a
//! frame out, the gateway before the frame reaches the LAN. The receiver's verdict is therefore never weaker than the
//! sender's. What a frame needs to be remembered for lives elsewhere: [`fragments`] for later fragments of a refused first
//! one, and the gateway's guard for address bindings.
//!
//! From remote clients the policy is an allow-list by [`ProtocolClass`], which options open and close; within a class everything is parsed
//! to the end, and what cannot be parsed is refused. What an option opens still has to pass at every other hop: a frame gets as
//! far as client, relay and gateway all let it, so the strictest of them decides. From the LAN it refuses only what no bridge forwards, because what the LAN says to a player
//! is cleaned by [`crate::player`] instead. `docs/policy.md` lists every kind with its reason and test.

pub mod classes;
pub mod control;
pub mod fragments;
pub mod refusal;

mod arp;
pub(crate) mod icmpv6;
pub(crate) mod ipv4;
pub(crate) mod ipv6;
pub(crate) mod llc;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod transport;

pub use classes::{KindError, Policy, ProtocolClass};
pub use fragments::Fragments;
pub use refusal::Refusal;

use crate::{EtherType, Frame, Kind, MacAddr};

/// The largest payload of an Ethernet frame that is not a jumbo frame (IEEE 802.3-2018, 3.2.7).
const MAX_PAYLOAD: u16 = 1500;

/// Which way a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From a remote client, towards the LAN or another client.
    FromRemote,
    /// From the LAN, towards a remote client.
    FromLan,
}

/// Decides whether `frame` may go in `direction`, where `ip_mtu` bytes of payload fit.
///
/// ```
/// use lanparty_proto::policy::{Direction, Policy, Refusal, check};
/// use lanparty_proto::Frame;
///
/// // A spanning tree BPDU: a bridge's, and nobody else's.
/// let bytes = [&[1, 0x80, 0xc2, 0, 0, 0][..], &[2, 0, 0, 0, 0, 1], &[0, 38], &[0x42; 46]].concat();
/// let frame = Frame::parse(&bytes)?;
///
/// assert_eq!(
///     check(Policy::DEFAULT, Direction::FromRemote, &frame, 1500),
///     Err(Refusal::ReservedGroup)
/// );
/// # Ok::<(), lanparty_proto::FrameError>(())
/// ```
///
/// # Errors
///
/// Returns the reason why it may not.
#[inline]
pub fn check(
    policy: Policy,
    direction: Direction,
    frame: &Frame<'_>,
    ip_mtu: u16,
) -> Result<(), Refusal> {
    check_length(frame, ip_mtu)?;

    check_headers(policy, direction, frame)
}

/// Decides whether `frame` is short enough where `ip_mtu` bytes of payload fit.
///
/// # Errors
///
/// Returns [`Refusal::Jumbo`] if it is over 1514 bytes, VLAN tags apart, or over the room's MTU.
#[inline]
pub fn check_length(frame: &Frame<'_>, ip_mtu: u16) -> Result<(), Refusal> {
    let payload = usize::from(ip_mtu.min(MAX_PAYLOAD));
    if frame.bytes().len() > frame.max_len(payload) {
        return Err(Refusal::Jumbo);
    }

    Ok(())
}

/// Decides by everything but the length, for super-frames: the caller checks the length of each segment.
///
/// The lengths inside must be those of the super-frame. One that needs more than 16 bits (IPv6 jumbograms, IPv4 with a total
/// length of 0) is refused.
///
/// # Errors
///
/// Returns the reason why the frame may not pass.
#[inline]
pub fn check_headers(
    policy: Policy,
    direction: Direction,
    frame: &Frame<'_>,
) -> Result<(), Refusal> {
    check_outside(frame)?;

    match direction {
        Direction::FromRemote => check_remote(policy, frame),
        Direction::FromLan => match frame.kind() {
            Kind::Type(kind) => control::check_type(kind),
            Kind::Length(_) => llc::check_control(frame.payload()),
        },
    }
}

/// What holds in both directions for the frame's own addresses, tags and size.
#[inline]
fn check_outside(frame: &Frame<'_>) -> Result<(), Refusal> {
    if !frame.source().is_valid_source() {
        return Err(Refusal::InvalidSource);
    }
    if frame.destination().is_group() {
        control::check_group(frame.destination())?;
    }
    if frame.is_overtagged() {
        return Err(Refusal::VlanStack);
    }
    if frame.payload().is_empty() || frame.destination() == MacAddr::ZERO {
        return Err(Refusal::Runt);
    }

    Ok(())
}

/// What holds for frames of remote clients alone.
#[inline]
fn check_remote(policy: Policy, frame: &Frame<'_>) -> Result<(), Refusal> {
    if frame.tags() > 0 {
        return Err(Refusal::VlanTag);
    }

    match frame.kind() {
        Kind::Type(EtherType::IPV4) if policy.allows(ProtocolClass::Ipv4) => {
            ipv4::check(policy, frame)
        }
        Kind::Type(EtherType::IPV6) if policy.allows(ProtocolClass::Ipv6) => {
            ipv6::check(policy, frame)
        }
        Kind::Type(EtherType::ARP) if policy.allows(ProtocolClass::Arp) => arp::check(frame),
        Kind::Type(kind) => check_type(policy, kind),
        Kind::Length(length) => llc::check(policy, length, frame.payload()),
    }
}

/// Decides about an EtherType that has no parser of its own here.
#[inline(never)]
fn check_type(policy: Policy, kind: EtherType) -> Result<(), Refusal> {
    control::check_type(kind)?;
    if control::is_pppoe(kind) {
        return Err(Refusal::Pppoe);
    }
    if kind == EtherType::LOCAL_EXPERIMENTAL {
        return Err(Refusal::GatewayProbe);
    }
    if policy.allows(ProtocolClass::of_type(kind)) {
        return Ok(());
    }

    Err(Refusal::EtherType)
}
