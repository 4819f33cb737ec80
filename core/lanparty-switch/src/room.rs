//! One room: what it carries, and where its frames go.

use std::time::{Duration, Instant};

use bytes::Bytes;
use lanparty_bounds::TokenBucket;
use lanparty_ctrl::{Mode, Role, RoomCode};
use lanparty_obs::DropReason;
use lanparty_proto::fragment::{Fragment, Progress, RELAY_SEQUENCE};
use lanparty_proto::overlay::Overlay;
use lanparty_proto::probe::{Probe, ProbeKind};
use lanparty_proto::{Direction, EtherType, Frame, Kind, MacAddr, RoomId, policy};

use crate::blocks::Blocks;
use crate::limits::Limits;
use crate::member::{Identity, Member};
use crate::members::Members;
use crate::rates::{check_rates, class};
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
    pub(crate) clamped_budget: Option<u16>,
    pub(crate) members: Members,
    pub(crate) stations: Stations,
    pub(crate) blocks: Blocks,
    /// The source of the frame that was just dropped for it.
    pub(crate) foreign_source: Option<MacAddr>,
    /// What the gateway is told of such frames.
    pub(crate) foreign_rate: TokenBucket,
    pub(crate) created: Instant,
    /// It came from another relay process, and its members are on their way.
    pub(crate) is_arriving: bool,
    /// Until when nobody but the gateway that it came with gets the gateway's membership.
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
    /// The fragment that waited for this one.
    pub(crate) held: Option<Bytes>,
    /// Bytes of the frame.
    pub(crate) frame_len: usize,
}

impl Room {
    /// Makes a room that nobody is in.
    pub(crate) fn new(id: RoomId, code: RoomCode, mode: Mode, mtu: u16, now: Instant) -> Self {
        Self {
            id,
            code,
            mode,
            mtu,
            clamped_budget: None,
            members: Members::default(),
            stations: Stations::default(),
            blocks: Blocks::default(),
            foreign_source: None,
            foreign_rate: TokenBucket::default(),
            created: now,
            is_arriving: false,
            gateway_awaited: None,
        }
    }

    /// Decides where a datagram of the member on `slot` goes; `frame` is scratch space.
    pub(crate) fn handle_datagram(
        &mut self,
        slot: usize,
        datagram: &[u8],
        limits: &Limits,
        frame: &mut Vec<u8>,
        now: Instant,
    ) -> Decision {
        let Some(member) = self.members.get_mut(slot) else {
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
        match self.decide(slot, bytes, limits, now) {
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
        slot: usize,
        bytes: &[u8],
        limits: &Limits,
        now: Instant,
    ) -> Result<To, DropReason> {
        let frame = Frame::parse(bytes)?;
        let member = self.members.get_mut(slot).ok_or(DropReason::UnknownPeer)?;
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
                if self.members.slot_of(frame.source()).is_some() {
                    return Err(DropReason::RemoteMacOnLan);
                }
                self.stations.learn(frame.source(), now);
                if frame.kind() == Kind::Type(EtherType::LOCAL_EXPERIMENTAL) {
                    self.handle_notice(&frame, now);
                }
            }
        }
        let (to, is_known) = self.route(slot, role, &frame, now)?;
        let member = self.members.get_mut(slot).ok_or(DropReason::UnknownPeer)?;
        check_rates(member, class(&frame), is_known, bytes.len(), limits, now)?;

        Ok(to)
    }

    /// Takes a notice of the gateway that a client closes a loop. Whom it does not name, or names without need, goes on.
    fn handle_notice(&mut self, frame: &Frame<'_>, now: Instant) {
        let notice = Probe::parse(frame).filter(|probe| probe.kind == ProbeKind::Blocked);
        let Some(notice) = notice else {
            return;
        };
        let mut clients = self.members.iter().map(|(_, member)| member.identity);
        let named = clients.find(|client| client.peer() == notice.peer);
        if let Some(mac) = named.and_then(Identity::mac) {
            self.blocks
                .set(mac, Duration::from_secs(notice.number), now);
        }
    }

    /// Names the targets, and tells whether the station is one that somebody is known to have (SPEC R7).
    fn route(
        &self,
        slot: usize,
        role: Role,
        frame: &Frame<'_>,
        now: Instant,
    ) -> Result<(To, bool), DropReason> {
        let destination = frame.destination();
        if destination.is_group() {
            return Ok((To::AllBut(slot), true));
        }

        let (target, is_known) = match (self.members.slot_of(destination), role) {
            (Some(target), _) if target == slot => return Err(DropReason::OwnFrame),
            (Some(target), _) => (target, true),
            (None, Role::Gateway) => return Err(DropReason::UnknownDestination),
            (None, Role::Client) => {
                let gateway = self.members.gateway().ok_or(DropReason::NoGateway)?;
                (gateway, self.stations.knows(destination, now))
            }
        };
        let is_connected = self
            .members
            .get(target)
            .is_some_and(|member| member.conn.is_some());
        if !is_connected {
            return Err(DropReason::TargetDetached);
        }

        Ok((To::One(target), is_known))
    }

    /// Adds the targets of a frame to `targets`, and counts what becomes of it there.
    ///
    /// A function of its own: inside its caller, the loop over all members loses its registers (three
    /// instructions a member more, `cargo xtask ci budgets`).
    #[inline(never)]
    pub(crate) fn address(
        &mut self,
        slot: usize,
        going: &Going,
        datagram_len: usize,
        targets: &mut Vec<Target>,
    ) -> Counted {
        let can_split = self.can_split(going);
        let mut counted = Counted::default();
        if let Some(member) = self.members.get_mut(slot) {
            member.up.add(going.frame_len);
        }

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
                if let Some(member) = self.members.get_mut(target) {
                    add(member);
                }
            }
            To::AllBut(slot) => self
                .members
                .iter_mut()
                .filter(|(other, _)| *other != slot)
                .for_each(|(_, member)| add(member)),
        }

        counted
    }

    /// Returns a new number for fragments that the relay makes of a frame of the member on `slot`.
    pub(crate) fn next_split_sequence(&mut self, slot: usize) -> u32 {
        let Some(member) = self.members.get_mut(slot) else {
            return RELAY_SEQUENCE;
        };
        member.split_sequence = member.split_sequence.wrapping_add(1);

        RELAY_SEQUENCE | member.split_sequence
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
