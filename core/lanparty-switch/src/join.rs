//! How a connection becomes a member: joining, resuming and taking over.

use std::net::IpAddr;
use std::time::Instant;

use lanparty_bounds::TokenBucket;
use lanparty_ctrl::{
    Capability, Hello, LeaveReason, Message, PeerRef, Reject, RejectCode, Resume, Role, RoomBudget,
    Welcome,
};
use lanparty_obs::{Drops, Traffic};
use lanparty_proto::fragment::Reassembler;
use lanparty_proto::policy::Fragments;

use crate::admission::{self, reject};
use crate::beside::{BESIDE, Former};
use crate::blocks::Blocks;
use crate::fights::Fights;
use crate::member::{Buckets, ConnId, Identity, Member, Membership, Token};
use crate::room::Room;
use crate::roster::Roster;
use crate::stations::Stations;
use crate::switch::{Output, Switch};

/// What asks to join.
#[derive(Debug, Clone, Copy)]
pub struct Joiner {
    /// The connection.
    pub conn: ConnId,
    /// The largest overlay datagram that it carries now, in bytes.
    pub budget: usize,
    /// Where it comes from.
    pub origin: IpAddr,
    /// Fresh random bytes, which become the member's [`Resume`] token.
    pub token: Token,
}

impl Switch {
    /// Admits a connection to the room that its hello names, or does not.
    ///
    /// The messages that follow from it are in [`Switch::poll_output`]: `peer_joined` to everybody who is there, then the welcome,
    /// then `peer_joined` to the joiner for everybody who is there (SPEC R6).
    ///
    /// # Errors
    ///
    /// Returns what to tell the member before its connection is closed.
    pub fn handle_hello(
        &mut self,
        joiner: Joiner,
        hello: &Hello,
        now: Instant,
    ) -> Result<Membership, Reject> {
        let admitted = self.admit(joiner, hello, now);
        match &admitted {
            Ok(_) => self.totals.admitted += 1,
            Err(_) => self.totals.rejected += 1,
        }

        admitted
    }

    fn admit(&mut self, joiner: Joiner, hello: &Hello, now: Instant) -> Result<Membership, Reject> {
        admission::check_hello(hello)?;

        let slot = match self.rooms.find(&hello.room) {
            Some(slot) => {
                if let Some(place) = self.place_of(slot, hello)
                    && let Some(resumed) = self.take_up(place, joiner, hello, now)?
                {
                    return Ok(resumed);
                }
                self.check_arriving(slot)?;
                self.check_room(slot, joiner, hello)?;
                slot
            }
            None => self.make_room(joiner, hello, now)?,
        };

        Ok(self.seat(slot, joiner, hello, now))
    }

    /// Returns the connection of the gateway whose place `hello` asks for without being its own.
    ///
    /// A gateway that died without a word keeps its place until its connection times out; the owner of this switch knows sooner which
    /// connections are silent, and closes them for another gateway that waits.
    pub fn rival_of(&self, hello: &Hello) -> Option<ConnId> {
        if hello.role != Role::Gateway {
            return None;
        }
        let place = self.place_of(self.rooms.find(&hello.room)?, hello)?;
        let member = self.member(place)?;

        member.conn.filter(|_| !member.is_owned_by(hello))
    }

    /// Finds the place in the room that `hello` claims: its MAC's, or the gateway's.
    fn place_of(&self, slot: usize, hello: &Hello) -> Option<Membership> {
        let roster = &self.rooms.get(slot)?.roster;
        let seat = match hello.mac {
            Some(mac) => roster.seat_of(mac)?,
            None => roster.gateway()?,
        };
        let serial = roster.get(seat)?.serial;

        Some(Membership {
            room: slot,
            seat,
            serial,
        })
    }

    /// Gives a place that is there to its member's new connection.
    ///
    /// Returns `None` if the place was abandoned and is free now.
    fn take_up(
        &mut self,
        place: Membership,
        joiner: Joiner,
        hello: &Hello,
        now: Instant,
    ) -> Result<Option<Membership>, Reject> {
        let Some(room) = self.rooms.get_mut(place.room) else {
            return Ok(None);
        };
        admission::check_mode(room, hello)?;
        let Some(member) = room.roster.get_mut(place.seat) else {
            return Ok(None);
        };
        if !member.is_owned_by(hello) {
            let is_awaited = hello.role == Role::Gateway
                && room.gateway_awaited.is_some_and(|until| now < until);
            if member.conn.is_some() || is_awaited {
                return Err(admission::place_taken(hello.role));
            }
            // Whoever comes without the token but with the MAC of somebody whose connection broke is most likely the same computer
            // after a crash. It is a new member to everybody, so it gains nothing but the MAC.
            self.check_room(place.room, joiner, hello)?;
            return Ok(None);
        }
        if hello.generation <= member.generation {
            return Err(admission::superseded());
        }
        if member.conn.is_some() && !member.fights.may_take(member.origin, joiner.origin, now) {
            return Err(admission::copied_identity());
        }

        Ok(Some(self.resume(place, joiner, hello, now)))
    }

    fn resume(
        &mut self,
        place: Membership,
        joiner: Joiner,
        hello: &Hello,
        now: Instant,
    ) -> Membership {
        let serial = self.next_serial();
        let agreed = self.agree(hello);
        let taken = Membership { serial, ..place };
        let Some(member) = self.member_mut(place) else {
            return taken;
        };

        let is_beside = hello.can(Capability::Beside) && member.conn.is_some();
        let earlier = member.former.take();
        if is_beside {
            member.former = member.to_former();
        }
        let old = member.conn.replace(joiner.conn);
        let peer = member.identity.peer();
        member.serial = serial;
        member.generation = hello.generation;
        member.instance = hello.instance.as_deref().and_then(admission::parse_token);
        member.origin = joiner.origin;
        member.agreed = agreed;
        member.hears_budget = hello.can(Capability::RoomBudget);
        member.hears_foreign = hello.can(Capability::ForeignSource);
        member.budget = joiner.budget.min(agreed);
        member.last_seen = now;
        member.strikes = 0;
        if !is_beside {
            member.fragments_held.clear();
        }
        self.totals.resumed += 1;

        if hello.role == Role::Gateway
            && let Some(room) = self.rooms.get_mut(place.room)
        {
            room.gateway_awaited = None;
        }
        self.outputs.extend(earlier.map(Former::closed));
        match old {
            Some(_) if is_beside => self.formers.push_back((now + BESIDE, place)),
            Some(conn) => self.outputs.push_back(Output::Superseded { conn }),
            None => self.tell_others(taken, &Message::PeerResumed(PeerRef { peer })),
        }
        self.greet(taken);
        self.tell_budget(taken.room);

        taken
    }

    /// Checks that the room can take one more, and one like this.
    fn check_room(&self, slot: usize, joiner: Joiner, hello: &Hello) -> Result<(), Reject> {
        let Some(room) = self.rooms.get(slot) else {
            return Ok(());
        };
        admission::check_mode(room, hello)?;
        let budget = joiner.budget.min(self.agree(hello));
        admission::check_budget(room.mode, room.mtu, budget)?;

        let replaced = usize::from(self.place_of(slot, hello).is_some());
        let most = self.limits.clients_per_room;
        let clients = room.roster.clients();
        if hello.role == Role::Client && clients - replaced >= most {
            return Err(reject(
                RejectCode::RoomFull,
                format!("the room has {clients} clients, and more than {most} are not allowed"),
            ));
        }

        self.check_members(replaced)
    }

    fn check_members(&self, replaced: usize) -> Result<(), Reject> {
        let members = self.members + self.members_elsewhere;
        if members - replaced >= self.limits.members {
            return Err(reject(
                RejectCode::RelayFull,
                format!(
                    "the relay has {members} members, which is all it may have; try again later or use another relay"
                ),
            ));
        }

        Ok(())
    }

    /// Gives up the room that has been without any connected member for longest, and returns whether there was one.
    ///
    /// Places are kept for those who come back; whoever opens rooms and vanishes must not keep others out with them.
    pub fn make_way(&mut self) -> bool {
        let is_abandoned = |place: &Membership| {
            self.member(*place).is_some_and(|_| {
                let room = self.rooms.get(place.room);
                room.is_some_and(|room| {
                    !room.is_arriving && room.roster.iter().all(|(_, other)| other.conn.is_none())
                })
            })
        };
        let mut places = self.expiries.iter().map(|(_, place)| *place);
        let Some(abandoned) = places.find(is_abandoned) else {
            return false;
        };
        let Some(room) = self.rooms.get(abandoned.room) else {
            return false;
        };
        let seats = room.roster.iter();
        let left: Vec<Membership> = seats
            .map(|(seat, member)| Membership {
                seat,
                serial: member.serial,
                ..abandoned
            })
            .collect();
        for place in left {
            self.handle_leave(place, LeaveReason::Timeout);
        }

        true
    }

    fn make_room(&mut self, joiner: Joiner, hello: &Hello, now: Instant) -> Result<usize, Reject> {
        if self.check_members(0).is_err() {
            self.make_way();
        }
        self.check_members(0)?;
        let budget = joiner.budget.min(self.agree(hello));
        let (mode, mtu) = admission::choose(&self.limits, hello, budget)?;
        let id = self.next_room_id();

        Ok(self.rooms.insert(Room {
            id,
            code: hello.room.clone(),
            mode,
            mtu,
            narrowest: None,
            roster: Roster::default(),
            stations: Stations::default(),
            blocks: Blocks::default(),
            foreign_source: None,
            foreign_rate: TokenBucket::default(),
            created: now,
            is_arriving: false,
            gateway_awaited: None,
        }))
    }

    /// Gives a new member a place and tells everybody.
    fn seat(&mut self, slot: usize, joiner: Joiner, hello: &Hello, now: Instant) -> Membership {
        if let Some(abandoned) = self.place_of(slot, hello) {
            self.evict(abandoned);
        }
        let serial = self.next_serial();
        let agreed = self.agree(hello);
        let mut place = Membership {
            room: slot,
            seat: 0,
            serial,
        };
        let Some(room) = self.rooms.get_mut(slot) else {
            return place;
        };
        let peer = room.roster.next_peer();
        let identity = hello
            .mac
            .map_or(Identity::Gateway { peer }, |mac| Identity::Client {
                peer,
                mac,
            });
        place.seat = room.roster.insert(Member {
            identity,
            token: joiner.token,
            instance: hello.instance.as_deref().and_then(admission::parse_token),
            generation: hello.generation,
            serial,
            conn: Some(joiner.conn),
            former: None,
            origin: joiner.origin,
            fights: Fights::default(),
            agreed,
            hears_budget: hello.can(Capability::RoomBudget),
            hears_foreign: hello.can(Capability::ForeignSource),
            budget: joiner.budget.min(agreed),
            joined: now,
            last_seen: now,
            program: format!("{} {}", hello.program, hello.program_version),
            stats: None,
            buckets: Buckets::default(),
            strikes: 0,
            fragments_held: Reassembler::default(),
            fragments: Fragments::default(),
            split_sequence: 0,
            up: Traffic::default(),
            down: Traffic::default(),
            drops: Drops::default(),
        });
        self.members += 1;
        self.tell_others(place, &Message::PeerJoined(identity.info()));
        self.greet(place);

        place
    }

    /// Removes a detached member whose MAC or gateway place is claimed anew. The room stays: it is about to get a member.
    fn evict(&mut self, place: Membership) {
        let Some(room) = self.rooms.get_mut(place.room) else {
            return;
        };
        let Some(member) = room.roster.remove(place.seat) else {
            return;
        };
        self.members -= 1;
        let left = lanparty_ctrl::PeerLeft {
            peer: member.identity.peer(),
            reason: LeaveReason::Timeout,
        };
        self.tell_others(place, &Message::PeerLeft(left));
    }

    /// Sends the welcome, and who is there.
    fn greet(&mut self, place: Membership) {
        let Some(room) = self.rooms.get(place.room) else {
            return;
        };
        let Some(member) = room.roster.get(place.seat) else {
            return;
        };
        let Some(conn) = member.conn else {
            return;
        };

        let seconds = self.limits.detached_lifetime.as_secs();
        let welcome = Welcome {
            peer: member.identity.peer(),
            room: room.id,
            mtu: room.mtu,
            mode: room.mode,
            budget: u16::try_from(member.agreed).unwrap_or(u16::MAX),
            gateway: room.roster.has_live_gateway(),
            resume: Some(Resume {
                token: admission::token_text(&member.token),
                seconds: u32::try_from(seconds).unwrap_or(u32::MAX),
            }),
            relay_version: env!("CARGO_PKG_VERSION").into(),
        };
        let others = room.roster.iter().filter(|(seat, _)| *seat != place.seat);
        let present = others.flat_map(|(_, other)| {
            let peer = other.identity.peer();
            let joined = Message::PeerJoined(other.identity.info());
            let detached =
                (other.conn.is_none()).then_some(Message::PeerDetached(PeerRef { peer }));

            [Some(joined), detached].into_iter().flatten()
        });
        // It also tells who joined beside another connection that everybody was named.
        let is_told = room.narrowest.is_some() || member.former.is_some();
        let narrow = (is_told && member.hears_budget).then_some(Message::RoomBudget(RoomBudget {
            budget: room.narrowest,
        }));
        let messages = std::iter::once(Message::Welcome(welcome))
            .chain(present)
            .chain(narrow);
        self.outputs
            .extend(messages.map(|message| Output::Send { conn, message }));
    }

    /// Returns the largest overlay datagram that both ends agree on, in bytes.
    fn agree(&self, hello: &Hello) -> usize {
        usize::from(hello.budget).min(self.limits.budget)
    }
}
