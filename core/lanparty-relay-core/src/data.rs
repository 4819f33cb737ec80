//! The data path: what came in goes where the switch says.

use std::time::Instant;

use lanparty_proto::TrafficClass;
use lanparty_switch::{ConnId, Dropped, Forward, Verdict as Decision};

use crate::handover::Stage;
use crate::relay::Relay;

/// What becomes of a datagram. Carry it out before the next call.
#[derive(Debug)]
pub enum Verdict<'a> {
    /// It came from a connection that is no member. The relay has counted it.
    Early,
    /// It goes nowhere. The relay has counted it.
    Drop(Dropped<'a>),
    /// It is a fragment, and the relay keeps it until the other one comes.
    Hold,
    /// It goes to the targets, unchanged.
    Forward(Forward<'a>, Flow),
}

/// What the queues of the targets have to know of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// Which frames it queues with.
    pub id: u32,
    /// How it is to wait.
    pub class: TrafficClass,
}

impl Relay {
    /// Decides what becomes of a datagram that came by `conn`.
    ///
    /// A member that sent too many malformed ones is removed afterwards.
    #[inline]
    pub fn handle_datagram<'a>(
        &'a mut self,
        conn: ConnId,
        datagram: &'a [u8],
        now: Instant,
    ) -> Verdict<'a> {
        self.now = now;
        if let Stage::Draining(drain) = &mut self.stage {
            drain.busy_at = now;
        }
        let found = self.connections.get(conn);
        let Some(membership) = found.and_then(crate::connection::Connection::membership) else {
            self.handle_early(conn);
            return Verdict::Early;
        };
        match self.switch.handle_datagram(membership, datagram, now) {
            Decision::Hold => Verdict::Hold,
            Decision::Drop(dropped) => Verdict::Drop(dropped),
            Decision::Forward(forward) => {
                let flow = self.hasher.read(forward.frame);
                let flow = Flow {
                    id: fold(flow.hash),
                    class: flow.class,
                };

                Verdict::Forward(forward, flow)
            }
        }
    }

    /// Takes note of a datagram of a connection that is no member. One that is a member no more will
    /// notice; one that is none yet has no business with datagrams, and must not send many.
    #[cold]
    fn handle_early(&mut self, conn: ConnId) {
        let Some(connection) = self.connections.get_mut(conn) else {
            return;
        };
        if !connection.is_leaving() && connection.count_early() {
            self.handle_violation(conn, "datagrams before the welcome");
        }
    }
}

/// Makes 32 bits of 64 without losing what they tell apart.
fn fold(hash: u64) -> u32 {
    let mixed = hash ^ hash >> 32;

    u32::try_from(mixed & u64::from(u32::MAX)).unwrap_or(u32::MAX)
}
