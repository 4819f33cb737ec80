//! How a connection becomes a member: joining, resuming and taking over.

use std::time::Instant;

use lanparty_ctrl::{
    Capability, Hello, Message, PeerRef, Reject, RejectCode, Resume, Role, RoomBudget, Welcome,
};

use super::Switch;
use crate::member::{Identity, Member};
use crate::membership::{ConnId, Joiner, Membership, parse_token, token_text};
use crate::output::Output;
use crate::refusal::{self, reject};
use crate::room::Room;

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
        refusal::check_hello(hello)?;

        let room_slot = match self.rooms.find(&hello.room) {
            Some(room_slot) => {
                if let Some(membership) = self.membership_of(room_slot, hello)
                    && let Some(resumed) = self.try_resume(membership, joiner, hello, now)?
                {
                    return Ok(resumed);
                }
                self.check_arriving(room_slot)?;
                self.check_room(room_slot, joiner, hello)?;
                room_slot
            }
            None => self.make_room(joiner, hello, now)?,
        };

        Ok(self.enter(room_slot, joiner, hello, now))
    }

    /// Returns the connection of the gateway whose membership `hello` asks for without being its own.
    ///
    /// A gateway that died without a word keeps its membership until its connection times out; the owner of this switch knows sooner which
    /// connections are silent, and closes them for another gateway that waits.
    pub fn rival_of(&self, hello: &Hello) -> Option<ConnId> {
        if hello.role != Role::Gateway {
            return None;
        }
        let membership = self.membership_of(self.rooms.find(&hello.room)?, hello)?;
        let member = self.member(membership)?;

        member.conn.filter(|_| !member.is_owned_by(hello))
    }

    /// Checks that the room can take one more, and one like this.
    pub(super) fn check_room(
        &self,
        room_slot: usize,
        joiner: Joiner,
        hello: &Hello,
    ) -> Result<(), Reject> {
        let Some(room) = self.rooms.get(room_slot) else {
            return Ok(());
        };
        refusal::check_mode(room.mode, hello)?;
        let budget = joiner.budget.min(self.agree(hello));
        refusal::check_budget(room.mode, room.mtu, budget)?;

        let replaced = usize::from(self.membership_of(room_slot, hello).is_some());
        let most = self.limits.clients_per_room;
        let clients = room.members.clients();
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

    fn make_room(&mut self, joiner: Joiner, hello: &Hello, now: Instant) -> Result<usize, Reject> {
        if self.check_members(0).is_err() {
            self.make_way();
        }
        self.check_members(0)?;
        let budget = joiner.budget.min(self.agree(hello));
        let (mode, mtu) = refusal::choose(&self.limits, hello, budget)?;
        let id = self.next_room_id();

        let room = Room::new(id, hello.room.clone(), mode, mtu, now);

        Ok(self.rooms.insert(room))
    }

    /// Gives a new member a membership and tells everybody.
    fn enter(
        &mut self,
        room_slot: usize,
        joiner: Joiner,
        hello: &Hello,
        now: Instant,
    ) -> Membership {
        if let Some(abandoned) = self.membership_of(room_slot, hello) {
            self.evict(abandoned);
        }
        let serial = self.next_serial();
        let agreed = self.agree(hello);
        let mut membership = Membership {
            room: room_slot,
            slot: 0,
            serial,
        };
        let Some(room) = self.rooms.get_mut(room_slot) else {
            return membership;
        };
        let peer = room.members.next_peer();
        let identity = hello
            .mac
            .map_or(Identity::Gateway { peer }, |mac| Identity::Client {
                peer,
                mac,
            });
        let mut member = Member::new(identity, joiner.token, joiner.origin, serial, now);
        member.instance = hello.instance.as_deref().and_then(parse_token);
        member.generation = hello.generation;
        member.conn = Some(joiner.conn);
        member.agreed = agreed;
        member.hears_budget = hello.can(Capability::RoomBudget);
        member.hears_foreign = hello.can(Capability::ForeignSource);
        member.budget = joiner.budget.min(agreed);
        member.program = format!("{} {}", hello.program, hello.program_version);
        membership.slot = room.members.insert(member);
        self.members += 1;
        self.tell_others(membership, &Message::PeerJoined(identity.info()));
        self.welcome(membership);

        membership
    }

    /// Sends the welcome, and who is there.
    pub(super) fn welcome(&mut self, membership: Membership) {
        let Some(room) = self.rooms.get(membership.room) else {
            return;
        };
        let Some(member) = room.members.get(membership.slot) else {
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
            gateway: room.members.has_live_gateway(),
            resume: Some(Resume {
                token: token_text(&member.token),
                seconds: u32::try_from(seconds).unwrap_or(u32::MAX),
            }),
            relay_version: env!("CARGO_PKG_VERSION").into(),
        };
        let others = room
            .members
            .iter()
            .filter(|(slot, _)| *slot != membership.slot);
        let present = others.flat_map(|(_, other)| {
            let peer = other.identity.peer();
            let joined = Message::PeerJoined(other.identity.info());
            let detached =
                (other.conn.is_none()).then_some(Message::PeerDetached(PeerRef { peer }));

            [Some(joined), detached].into_iter().flatten()
        });
        // It also tells who joined beside another connection that everybody was named.
        let is_told = room.clamped_budget.is_some() || member.old_path.is_some();
        let narrow = (is_told && member.hears_budget).then_some(Message::RoomBudget(RoomBudget {
            budget: room.clamped_budget,
        }));
        let messages = std::iter::once(Message::Welcome(welcome))
            .chain(present)
            .chain(narrow);
        self.outputs
            .extend(messages.map(|message| Output::Send { conn, message }));
    }

    /// Returns the largest overlay datagram that both ends agree on, in bytes.
    pub(super) fn agree(&self, hello: &Hello) -> usize {
        usize::from(hello.budget).min(self.limits.budget)
    }
}
