//! One room: what it carries, and where its frames go.

use std::time::{Duration, Instant};

use bytes::Bytes;
use lanparty_bounds::TokenBucket;
use lanparty_ctrl::{Mode, Role, RoomCode};
use lanparty_obs::DropReason;
use lanparty_proto::ethernet::HEADER_LEN;
use lanparty_proto::fragment::{Fragment, Progress};
use lanparty_proto::ip::{ipv6, protocol};
use lanparty_proto::overlay::Overlay;
use lanparty_proto::probe::{Probe, ProbeKind};
use lanparty_proto::{Direction, EtherType, Frame, Kind, MacAddr, RoomId, policy};

use crate::blocks::Blocks;
use crate::limits::Limits;
use crate::member::{Identity, Member};
use crate::roster::Roster;
use crate::stations::Stations;
use crate::verdict::{Fit, Target, To};

/// One room.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) id: RoomId,
    pub(crate) code: RoomCode,
    /// Fixed when the room is made, so that no frame of it can meet another (SPEC R5).
    pub(crate) mode: Mode,
    /// The IP MTU, fixed like the mode.
    pub(crate) mtu: u16,
    /// What members were told to fit everybody, in bytes; `None` while everybody carries what the MTU needs.
    pub(crate) narrowest: Option<u16>,
    pub(crate) roster: Roster,
    pub(crate) stations: Stations,
    pub(crate) blocks: Blocks,
    /// The source of the frame that was just dropped for it.
    pub(crate) foreign_source: Option<MacAddr>,
    /// What the gateway is told of such frames.
    pub(crate) foreign_rate: TokenBucket,
    pub(crate) created: Instant,
    /// It came from another relay process, and its members are on their way.
    pub(crate) is_arriving: bool,
    /// Until when nobody but the gateway that it came with gets the gateway's place.
    pub(crate) gateway_awaited: Option<Instant>,
}

/// What is done with a datagram.
#[derive(Debug)]
pub(crate) enum Decision {
    Drop(DropReason, Found),
    Hold { lost: bool },
    Go(Going),
}

/// Where the frame is that was dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// There is none, or nobody looked.
    Nothing,
    /// Behind the datagram's header.
    Payload,
    /// In the scratch space, where its fragments were joined.
    Joined,
}

/// A frame that goes somewhere.
#[derive(Debug)]
pub(crate) struct Going {
    pub(crate) to: To,
    /// The half that waited for this one.
    pub(crate) held: Option<Bytes>,
    /// Bytes of the frame.
    pub(crate) frame_len: usize,
}

/// The longest frame that may use up a client's bytes: a packet that every host takes (RFC 791, 3.2: 576 bytes) in Ethernet. Pings, voice,
/// name queries and games are shorter, bulk is longer: who uploads faster than the limit loses some of that, and no ping.
const SMALL: usize = HEADER_LEN + 576;

/// What rates tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    /// ARP and IPv6 neighbour discovery, to whomever.
    AddressResolution,
    /// Other broadcast and multicast.
    Group,
    /// For one station.
    Unicast,
}

impl Room {
    /// Decides where a datagram of the member on `seat` goes; `frame` is scratch space.
    pub(crate) fn handle_datagram(
        &mut self,
        seat: usize,
        datagram: &[u8],
        limits: &Limits,
        frame: &mut Vec<u8>,
        now: Instant,
    ) -> Decision {
        let Some(member) = self.roster.get_mut(seat) else {
            return Decision::Drop(DropReason::UnknownPeer, Found::Nothing);
        };
        member.last_seen = now;
        if datagram.len() > member.agreed {
            return Decision::Drop(DropReason::DatagramBudget, Found::Nothing);
        }

        let overlay = match Overlay::parse(datagram, self.mode == Mode::Full) {
            Ok(overlay) => overlay,
            Err(error) => return Decision::Drop(error.into(), Found::Nothing),
        };
        if overlay.room != self.id {
            return Decision::Drop(DropReason::ForeignRoom, Found::Nothing);
        }
        if overlay.source != member.identity.peer() {
            return Decision::Drop(DropReason::ForeignSource, Found::Nothing);
        }

        let (bytes, held) = if overlay.is_part {
            let Some(fragment) = Fragment::parse(overlay.payload) else {
                return Decision::Drop(DropReason::MalformedFragment, Found::Nothing);
            };
            let hold = |_| Bytes::copy_from_slice(datagram);
            let reassembler = &mut member.fragments_held;
            match reassembler.handle_fragment(&fragment, hold, frame, now) {
                Progress::Complete(held) => (frame.as_slice(), Some(held)),
                Progress::Pending { lost } => return Decision::Hold { lost },
            }
        } else {
            (overlay.payload, None)
        };

        let found = if held.is_some() {
            Found::Joined
        } else {
            Found::Payload
        };
        match self.decide(seat, bytes, limits, now) {
            Ok(to) => Decision::Go(Going {
                to,
                held,
                frame_len: bytes.len(),
            }),
            Err(reason) => Decision::Drop(reason, found),
        }
    }

    /// Decides where a whole frame goes.
    fn decide(
        &mut self,
        seat: usize,
        bytes: &[u8],
        limits: &Limits,
        now: Instant,
    ) -> Result<To, DropReason> {
        let frame = Frame::parse(bytes)?;
        let member = self.roster.get_mut(seat).ok_or(DropReason::UnknownPeer)?;
        let role = member.identity.role();
        match member.identity {
            Identity::Client { mac, .. } => {
                if self.blocks.is_on(mac, now) {
                    return Err(DropReason::LoopBlocked);
                }
                let verdict = policy::check(limits.policy, Direction::FromRemote, &frame, self.mtu);
                member.fragments.check(&frame, verdict, now)?;
                if frame.source() != mac {
                    self.foreign_source = Some(frame.source());
                    return Err(DropReason::SpoofedSource);
                }
            }
            Identity::Gateway { .. } => {
                policy::check(limits.policy, Direction::FromLan, &frame, self.mtu)?;
                if self.roster.seat_of(frame.source()).is_some() {
                    return Err(DropReason::RemoteMacOnLan);
                }
                self.stations.learn(frame.source(), now);
                if frame.kind() == Kind::Type(EtherType::LOCAL_EXPERIMENTAL) {
                    self.heed(&frame, now);
                }
            }
        }
        let (to, is_known) = self.route(seat, role, &frame, now)?;
        let member = self.roster.get_mut(seat).ok_or(DropReason::UnknownPeer)?;
        check_rates(member, class(&frame), is_known, bytes.len(), limits, now)?;

        Ok(to)
    }

    /// Takes a notice of the gateway that a client closes a loop. Whom it does not name, or names without need, goes on.
    fn heed(&mut self, frame: &Frame<'_>, now: Instant) {
        let notice = Probe::parse(frame).filter(|probe| probe.kind == ProbeKind::Blocked);
        let Some(notice) = notice else {
            return;
        };
        let mut clients = self.roster.iter().map(|(_, member)| member.identity);
        let named = clients.find(|client| client.peer() == notice.peer);
        if let Some(mac) = named.and_then(Identity::mac) {
            self.blocks
                .set(mac, Duration::from_secs(notice.number), now);
        }
    }

    /// Names the targets, and tells whether the station is one that somebody is known to have (SPEC R7).
    fn route(
        &self,
        seat: usize,
        role: Role,
        frame: &Frame<'_>,
        now: Instant,
    ) -> Result<(To, bool), DropReason> {
        let destination = frame.destination();
        if destination.is_group() {
            return Ok((To::AllBut(seat), true));
        }

        let (target, is_known) = match (self.roster.seat_of(destination), role) {
            (Some(target), _) if target == seat => return Err(DropReason::OwnFrame),
            (Some(target), _) => (target, true),
            (None, Role::Gateway) => return Err(DropReason::UnknownDestination),
            (None, Role::Client) => {
                let gateway = self.roster.gateway().ok_or(DropReason::NoGateway)?;
                (gateway, self.stations.knows(destination, now))
            }
        };
        let is_connected = self
            .roster
            .get(target)
            .is_some_and(|member| member.conn.is_some());
        if !is_connected {
            return Err(DropReason::TargetDetached);
        }

        Ok((To::One(target), is_known))
    }

    /// Writes the targets of a frame into `targets`, and counts what becomes of it there.
    pub(crate) fn address(
        &mut self,
        seat: usize,
        going: &Going,
        datagram_len: usize,
        targets: &mut Vec<Target>,
    ) -> Counted {
        let can_split = self.can_split(going);
        let mut counted = Counted::default();
        if let Some(member) = self.roster.get_mut(seat) {
            member.up.add(going.frame_len);
        }

        targets.clear();
        let mut add = |member: &mut Member| {
            let Some(conn) = member.carrier() else {
                return;
            };
            let fit = Fit::of(datagram_len, member.budget, can_split);
            match fit {
                Fit::Whole => counted.sent += 1,
                Fit::Split => {
                    counted.sent += 1;
                    counted.split = true;
                }
                Fit::TooLarge => {
                    member.drops.add(DropReason::TargetBudget);
                    counted.skipped += 1;
                }
            }
            if fit != Fit::TooLarge {
                member.down.add(going.frame_len);
            }
            targets.push(Target {
                conn,
                peer: member.identity.peer(),
                budget: member.budget,
                fit,
            });
        };
        match going.to {
            To::One(target) => {
                if let Some(member) = self.roster.get_mut(target) {
                    add(member);
                }
            }
            To::AllBut(seat) => self
                .roster
                .iter_mut()
                .filter(|(other, _)| *other != seat)
                .for_each(|(_, member)| add(member)),
        }

        counted
    }

    /// Returns whether the relay may split the datagram for a target that cannot take it whole.
    const fn can_split(&self, going: &Going) -> bool {
        matches!(self.mode, Mode::Full) && going.held.is_none()
    }
}

/// What became of one frame at its targets.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counted {
    /// Targets that get it.
    pub(crate) sent: u64,
    /// Targets that it is too large for.
    pub(crate) skipped: u64,
    /// Whether a target gets it in fragments that the relay makes.
    pub(crate) split: bool,
}

/// Takes the frame's tokens (SPEC R10).
fn check_rates(
    member: &mut Member,
    class: Class,
    is_known: bool,
    len: usize,
    limits: &Limits,
    now: Instant,
) -> Result<(), DropReason> {
    let buckets = &mut member.buckets;
    if member.identity.role() == Role::Gateway {
        let is_group = class != Class::Unicast;
        if is_group && !buckets.broadcast.take(limits.lan_broadcast, 1, now) {
            return Err(DropReason::RateBroadcast);
        }
        return Ok(());
    }

    let (bucket, rate, reason) = match class {
        Class::AddressResolution => (&mut buckets.arp, limits.arp, DropReason::RateArp),
        Class::Group => (
            &mut buckets.broadcast,
            limits.broadcast,
            DropReason::RateBroadcast,
        ),
        Class::Unicast if is_known => (
            &mut buckets.unknown,
            crate::Rate::UNLIMITED,
            DropReason::RateUnknown,
        ),
        Class::Unicast => (
            &mut buckets.unknown,
            limits.unknown,
            DropReason::RateUnknown,
        ),
    };
    if !bucket.take(rate, 1, now) {
        return Err(reason);
    }
    let amount = u64::try_from(len).unwrap_or(u64::MAX);
    let reserve = if len > SMALL {
        limits.bytes.reserve(amount)
    } else {
        0
    };
    if !buckets
        .bytes
        .take_leaving(limits.bytes, amount, reserve, now)
    {
        return Err(DropReason::RateBytes);
    }

    Ok(())
}

fn class(frame: &Frame<'_>) -> Class {
    let is_arp = frame.kind() == Kind::Type(EtherType::ARP);
    if is_arp || is_neighbour_discovery(frame) {
        Class::AddressResolution
    } else if frame.destination().is_group() {
        Class::Group
    } else {
        Class::Unicast
    }
}

/// Returns whether this is a neighbour solicitation or advertisement (RFC 4861, 4.3 and 4.4) without
/// extension headers.
fn is_neighbour_discovery(frame: &Frame<'_>) -> bool {
    const SOLICITATION: u8 = 135;
    const ADVERTISEMENT: u8 = 136;

    frame.kind() == Kind::Type(EtherType::IPV6)
        && ipv6::Packet::parse(frame.payload()).is_some_and(|packet| {
            let first = packet.payload().first();

            packet.next_header() == protocol::ICMPV6
                && matches!(first, Some(&(SOLICITATION | ADVERTISEMENT)))
        })
}
