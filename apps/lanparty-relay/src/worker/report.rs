//! What a worker looks like from outside.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lanparty_switch::{MemberSnapshot, RoomSnapshot, Totals};

use super::Worker;
use super::frames::Losses;
use super::outputs::link;

/// One worker.
#[derive(Debug)]
pub(crate) struct WorkerReport {
    pub(crate) worker: u8,
    /// Connections, those that are no member included.
    pub(crate) connections: usize,
    pub(crate) totals: Totals,
    /// What the queues in front of members' links gave up.
    pub(crate) losses: Losses,
    pub(crate) rooms: Vec<RoomReport>,
}

/// One room.
#[derive(Debug)]
pub(crate) struct RoomReport {
    pub(crate) room: RoomSnapshot,
    pub(crate) members: Vec<MemberReport>,
}

/// One member.
#[derive(Debug)]
pub(crate) struct MemberReport {
    pub(crate) member: MemberSnapshot,
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) rtt: Option<Duration>,
}

impl Worker {
    pub(super) fn report(&mut self, now: Instant) -> WorkerReport {
        self.collect_losses();
        let rooms = self.core.snapshot(now).into_iter();

        WorkerReport {
            worker: self.number,
            connections: self.core.connections(),
            totals: self.core.totals(),
            losses: self.losses,
            rooms: rooms.map(|room| self.report_room(room, now)).collect(),
        }
    }

    /// Adds what the links gave up by themselves since the last report. What a link gave up that is gone went with it.
    fn collect_losses(&mut self) {
        for conn in self.core.conn_ids() {
            let new = self.endpoint.take_losses(link(conn));
            self.losses.delay = self.losses.delay.wrapping_add(new.queue.codel);
            self.losses.superseded = self.losses.superseded.wrapping_add(new.queue.superseded);
            self.losses.oversize = self.losses.oversize.wrapping_add(new.oversize);
        }
    }

    fn report_room(&self, mut room: RoomSnapshot, now: Instant) -> RoomReport {
        let members = std::mem::take(&mut room.members).into_iter();

        RoomReport {
            room,
            members: members
                .map(|member| self.report_member(member, now))
                .collect(),
        }
    }

    fn report_member(&self, mut member: MemberSnapshot, now: Instant) -> MemberReport {
        let facts = (member.conn).and_then(|conn| self.endpoint.facts(link(conn)));
        if let Some(facts) = facts {
            let heard = now.saturating_duration_since(facts.last_heard);
            member.last_seen = member.last_seen.min(heard);
        }

        MemberReport {
            member,
            remote: facts.map(|facts| facts.remote),
            rtt: facts.map(|facts| facts.rtt),
        }
    }
}
