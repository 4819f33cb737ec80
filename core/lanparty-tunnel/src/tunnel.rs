//! What the data paths of client and gateway share: frames up through segmentation, datagrams down to frames, and the counting.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use bytes::Bytes;
use lanparty_bounds::{Rate, TokenBucket};
use lanparty_ctrl::{Mode, Role};
use lanparty_obs::{Action, Counters, Direction, DropReason, FrameEvent};
use lanparty_offload::too_big::{self, MAX_ANSWER_LEN};
use lanparty_offload::{FlowHasher, SegmentRefusal, Super, VnetHeader, ipv4_fragment, mss};
use lanparty_proto::ethernet::{HEADER_LEN, MAX_UNTAGGED_LEN, TAG_LEN};
use lanparty_proto::{ChecksumState, Frame, PeerId, Refusal, RoomId, budget, overlay, policy};

use lanparty_session::{JoinInfo, Output, Peer};

use crate::{Decapsulator, Encapsulator, Flow, Members, Outbox, Pool};

/// How many events wait for a listener that is slower than frames are: one batch of a busy loop.
const MAX_EVENTS: usize = 1024;

/// How often senders are told that their packets are too big (RFC 4443, 2.4(f); RFC 1812, 4.3.2.8).
///
/// Linux' own limit for one destination is one a second with a burst of 6 (`icmp_ratelimit`), and a
/// bridge answers for every station behind it.
const ANSWERS: Rate = Rate {
    per_second: 50,
    burst: 50,
};

/// A membership of a room, with everything that frames need of it.
#[derive(Debug)]
pub struct Tunnel {
    /// Who else is in the room.
    pub members: Members,
    /// What was counted since the start.
    pub counters: Counters,
    /// Memory for frames that have to be changed.
    pub pool: Pool,
    up: Encapsulator,
    down: Decapsulator,
    is_joined: bool,
    mode: Mode,
    mtu: u16,
    budget: usize,
    hasher: FlowHasher,
    answers: TokenBucket,
    has_listener: bool,
    events: VecDeque<FrameEvent>,
    /// What became of the first fragments of each other client's packets.
    fragments: BTreeMap<PeerId, policy::Fragments>,
}

impl Tunnel {
    /// Makes the tunnel of a member that has not joined yet; `seed` is drawn at random, for hashing
    /// flows.
    pub fn new(seed: u64) -> Self {
        let nowhere = (RoomId(0), PeerId(0), Mode::Native);

        Self {
            members: Members::default(),
            counters: Counters::default(),
            pool: Pool::default(),
            up: Encapsulator::new(nowhere.0, nowhere.1, nowhere.2).numbered_from(seed),
            down: Decapsulator::new(nowhere.0, nowhere.1, nowhere.2),
            is_joined: false,
            mode: Mode::Native,
            mtu: budget::MIN_IP_MTU,
            budget: 0,
            hasher: FlowHasher::new(seed),
            answers: TokenBucket::default(),
            has_listener: false,
            events: VecDeque::new(),
            fragments: BTreeMap::new(),
        }
    }

    /// Follows the session.
    pub fn handle_session(&mut self, output: &Output) {
        match output {
            Output::Joined(info) => self.joined(info),
            Output::PeerJoined(peer) => {
                self.members.insert(*peer);
                if peer.role == Role::Client {
                    self.fragments.entry(peer.id).or_default();
                }
            }
            Output::PeerLeft(peer, _) => {
                self.members.remove(peer.id);
                self.fragments.remove(&peer.id);
                self.down.remove_sender(peer.id);
            }
            Output::Detached | Output::Ended(_) => self.is_joined = false,
            // A membership that is kept stays known: its owner comes back.
            Output::PeerDetached(_)
            | Output::PeerResumed(_)
            | Output::ForeignSource(_)
            | Output::Connect { .. }
            | Output::Send { .. }
            | Output::Close { .. }
            | Output::Status(_) => {}
        }
    }

    fn joined(&mut self, info: &JoinInfo) {
        if !info.same_membership {
            self.members.clear();
            self.fragments.clear();
        }
        self.up.set_membership(info.room, info.peer, info.mode);
        self.down.set_membership(info.room, info.peer, info.mode);
        self.is_joined = true;
        self.mode = info.mode;
        self.mtu = info.mtu;
        self.budget = info.budget;
    }

    /// Returns whether the member has joined and its connection works.
    pub const fn is_joined(&self) -> bool {
        self.is_joined
    }

    /// Returns the room's IP MTU in bytes.
    pub const fn mtu(&self) -> u16 {
        self.mtu
    }

    /// Returns the largest payload of a frame with `tags` VLAN tags that travels as one datagram, at most the room's MTU, in bytes.
    fn fit(&self, tags: usize) -> u16 {
        let tagged = self.budget.saturating_sub(tags.saturating_mul(TAG_LEN));

        budget::ip_mtu(tagged).min(self.mtu)
    }

    /// Returns what the MSS of `frame` has to be lowered to, if it may be a SYN: an IP MTU in bytes.
    #[inline]
    pub fn clamp_of(&self, frame: &Frame<'_>) -> Option<u16> {
        let fit = self.fit(frame.tags());

        (fit < budget::FULL_IP_MTU && mss::opens_connection(frame)).then_some(fit)
    }

    /// Makes a copy of a frame that goes down, its MSS lowered to what [`Self::clamp_of`] said.
    pub fn clamp_down(&mut self, bytes: &[u8], fit: u16) -> Bytes {
        self.pool.fill(bytes.len(), |copy| {
            copy.copy_from_slice(bytes);
            mss::clamp(copy, fit, ChecksumState::Complete);
        })
    }

    /// Takes the budget of the moment, in bytes; frames are measured by it from now on.
    pub const fn set_budget(&mut self, budget: usize) {
        self.budget = budget;
    }

    /// Sends a frame whose headers were checked; super-frames are cut, and what does not fit is answered or fragmented.
    pub fn send(&mut self, vnet: &VnetHeader, frame: &Frame<'_>, now: Instant, out: &mut Outbox) {
        let sent = self.try_send(vnet, frame, now, out);
        if let Err((reason, len)) = sent {
            self.counters.drops_up.add(reason);
            self.note(
                Direction::Up,
                None,
                frame.bytes(),
                len,
                Action::Dropped(reason),
            );
        }
    }

    /// Returns why nothing, or not everything, of the frame went, and how long it or the segment was.
    fn try_send(
        &mut self,
        vnet: &VnetHeader,
        frame: &Frame<'_>,
        now: Instant,
        out: &mut Outbox,
    ) -> Result<(), (DropReason, usize)> {
        let fit = self.fit(frame.tags());
        let refusal = |refusal| (cannot_segment(refusal), frame.bytes().len());
        let whole = Super::parse(vnet, frame.bytes()).map_err(refusal)?;
        let segments = whole.segments(Some(fit.into())).map_err(refusal)?;
        let flow = self.flow_of(frame);
        let most = frame.max_len(self.mtu.into());
        let mut refused = None;
        for segment in segments {
            let len = segment.len();
            let fits = if len > most {
                Err(DropReason::Policy(Refusal::Jumbo))
            } else {
                let write = |buffer: &mut [u8]| {
                    segment.write(buffer);
                };
                self.up
                    .encapsulate(len, write, self.budget, flow, &mut out.up)
            };
            match fits {
                Ok(()) => self.forwarded_up(frame.bytes(), len),
                Err(reason) if self.mode == Mode::Native && len <= longest(frame) => {
                    let bytes = self.pool.fill(len, |buffer| {
                        segment.write(buffer);
                    });
                    let passed = self.shrink(&bytes, fit, flow, now, out);
                    refused = refused.or_else(|| (!passed).then_some((reason, len)));
                }
                Err(reason) => refused = refused.or(Some((reason, len))),
            }
        }

        refused.map_or(Ok(()), Err)
    }

    /// Sends an IPv4 packet over `fit` bytes as fragments, or tells its sender. Returns whether it went.
    fn shrink(
        &mut self,
        bytes: &Bytes,
        fit: u16,
        flow: Flow,
        now: Instant,
        out: &mut Outbox,
    ) -> bool {
        let Ok(mut fragments) = ipv4_fragment::fragment(bytes, fit.into()) else {
            self.answer(bytes, fit, now, out);
            return false;
        };
        let mut buffer = [0; MAX_UNTAGGED_LEN + 2 * TAG_LEN];
        while let Some(len) = fragments.write_next(&mut buffer) {
            let piece = buffer.get(..len).unwrap_or_default();
            let write = |place: &mut [u8]| place.copy_from_slice(piece);
            match self
                .up
                .encapsulate(len, write, self.budget, flow, &mut out.up)
            {
                Ok(()) => self.forwarded_up(bytes, len),
                Err(_) => return false,
            }
        }

        true
    }

    fn answer(&mut self, bytes: &[u8], fit: u16, now: Instant, out: &mut Outbox) {
        let mut buffer = [0; MAX_ANSWER_LEN];
        let answered = too_big::answer(bytes, fit, &mut buffer);
        if let Some(answer) = answered.ok().and_then(|len| buffer.get(..len))
            && self.answers.take(ANSWERS, 1, now)
        {
            out.local.push(self.pool.copy(answer));
        }
    }

    /// Returns how a frame is to be queued.
    pub fn flow_of(&self, frame: &Frame<'_>) -> Flow {
        let flow = self.hasher.read_frame(frame);

        Flow {
            id: u32::try_from(flow.hash >> 32).unwrap_or_default(),
            class: flow.class,
        }
    }

    /// Reads a datagram: the frame, and the member that it comes from.
    ///
    /// Returns `None` for a fragment that waits, and for what was dropped and counted.
    pub fn receive(&mut self, datagram: &Bytes, now: Instant) -> Option<(Peer, Bytes)> {
        match self.try_receive(datagram, now) {
            Ok(received) => received,
            Err(reason) => {
                let frame = datagram.get(overlay::HEADER_LEN..).unwrap_or_default();
                self.drop_down(reason, None, frame);
                None
            }
        }
    }

    fn try_receive(
        &mut self,
        datagram: &Bytes,
        now: Instant,
    ) -> Result<Option<(Peer, Bytes)>, DropReason> {
        if !self.is_joined {
            return Err(DropReason::NotJoined);
        }
        let overlay = self.down.open(datagram)?;
        let peer = (self.members.get(overlay.source)).ok_or(DropReason::UnknownPeer)?;
        let frame = self.down.frame(datagram, &overlay, now)?;

        Ok(frame.map(|frame| (peer, frame)))
    }

    /// Checks what holds for every frame that goes down: its source, and the safety policy (SPEC R9) by the role of its sender.
    ///
    /// # Errors
    ///
    /// Returns why it may not.
    pub fn check_down(
        &mut self,
        rules: policy::Policy,
        peer: Peer,
        frame: &Frame<'_>,
        now: Instant,
    ) -> Result<(), DropReason> {
        let direction = match peer.role {
            Role::Client => policy::Direction::FromRemote,
            Role::Gateway => policy::Direction::FromLan,
        };
        let verdict = policy::check(rules, direction, frame, self.mtu);
        match self.fragments.get_mut(&peer.id) {
            Some(fragments) => fragments.check(frame, verdict, now)?,
            None => verdict?,
        }
        if !self.members.may_send(peer, frame.source()) {
            return Err(DropReason::SpoofedSource);
        }

        Ok(())
    }

    fn forwarded_up(&mut self, frame: &[u8], len: usize) {
        self.counters.up.add(len);
        self.note(Direction::Up, None, frame, len, Action::Forwarded(1));
    }

    /// Counts a frame that went down to the port.
    pub fn forwarded_down(&mut self, peer: Peer, frame: &[u8]) {
        self.counters.down.add(frame.len());
        if frame.first().is_some_and(|byte| byte & 1 != 0) {
            self.counters.broadcast_down = self.counters.broadcast_down.wrapping_add(1);
        }
        let action = Action::Forwarded(1);
        self.note(Direction::Down, Some(peer.id), frame, frame.len(), action);
    }

    /// Counts a frame that went nowhere on its way up.
    pub fn drop_up(&mut self, reason: DropReason, frame: &[u8]) {
        self.counters.drops_up.add(reason);
        self.note(
            Direction::Up,
            None,
            frame,
            frame.len(),
            Action::Dropped(reason),
        );
    }

    /// Counts a frame that went nowhere on its way down.
    pub fn drop_down(&mut self, reason: DropReason, peer: Option<PeerId>, frame: &[u8]) {
        self.counters.drops_down.add(reason);
        self.note(
            Direction::Down,
            peer,
            frame,
            frame.len(),
            Action::Dropped(reason),
        );
    }

    /// Tells a listener of a frame of our own that goes to the port because of `peer`, and of its occasion.
    pub fn sent_down(&mut self, peer: Option<PeerId>, frame: &[u8], occasion: &'static str) {
        self.note(
            Direction::Down,
            peer,
            frame,
            frame.len(),
            Action::Sent(occasion),
        );
    }

    /// Tells a listener what became of `frame`, or of a segment of it that has `len` bytes.
    fn note(
        &mut self,
        direction: Direction,
        peer: Option<PeerId>,
        frame: &[u8],
        len: usize,
        action: Action,
    ) {
        if self.has_listener && self.events.len() < MAX_EVENTS {
            let event = FrameEvent::new(direction, peer, frame, action);
            self.events.push_back(FrameEvent { len, ..event });
        }
    }

    /// Switches events about single frames on or off.
    pub fn set_events(&mut self, on: bool) {
        self.has_listener = on;
        self.events.clear();
    }

    /// Gives the next event about a single frame.
    pub fn poll_event(&mut self) -> Option<FrameEvent> {
        self.events.pop_front()
    }
}

/// The longest that `frame` may be anywhere; what is over the room's MTU but not over this is answered.
const fn longest(frame: &Frame<'_>) -> usize {
    frame.max_len(MAX_UNTAGGED_LEN - HEADER_LEN)
}

/// Which of its rules a super-frame breaks interests only who debugs the kernel's driver.
const fn cannot_segment(_: SegmentRefusal) -> DropReason {
    DropReason::Segmentation
}
