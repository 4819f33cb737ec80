//! One relay process gives way to the next (`docs/protocol.md`, clause 4.10), or ends.
//!
//! The old process says what the next one must know ([`Relay::prepare_handover`]) and serves everybody
//! as before. Once the next one listens, it drains ([`Relay::begin_drain`]): members are told when to
//! connect to the next process *beside* this one. A room whose members have all arrived there is told
//! to move. The process ends when its members have confirmed that, and it has been quiet for a while.
//! Without a next process everything stays as it was ([`Relay::cancel_handover`]).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lanparty_ctrl::handover::{MOVE_PATIENCE, QUIET, QUIET_PATIENCE, SPREAD};
use lanparty_ctrl::{Message, Restarting};
use lanparty_switch::{ConnId, Membership, RoomRecord};

use crate::progress::Progress;
use crate::relay::Relay;

/// How far apart members are told to come to the next process: a handshake costs a core two to three
/// milliseconds, and frames go first.
const APART: Duration = Duration::from_millis(10);

/// How often it is looked whether it is quiet.
const LOOK: Duration = Duration::from_millis(50);

/// How long members have to take the news of a shutdown before their connections are cut.
const FAREWELL: Duration = Duration::from_millis(300);

/// How long a supervisor takes to start the next relay: what our unit waits (100 ms), and the start
/// itself.
const NEXT_RELAY: Duration = Duration::from_millis(200);

/// How far apart members are told to come to a relay that starts after this one has ended.
const RESTART_APART: Duration = Duration::from_millis(1);

/// The most that their coming is spread then.
const RESTART_SPREAD: Duration = Duration::from_secs(2);

/// Where this process stands between its predecessor and its end.
#[derive(Debug)]
pub(crate) enum Stage {
    /// It admits members.
    Serving,
    /// The next process has the rooms; nobody is admitted here any more.
    Prepared,
    /// Members are on their way to the next process.
    Draining(Drain),
    /// The process ends then, or when nobody is left.
    Ending(Instant),
}

/// Members are on their way to the next process.
#[derive(Debug)]
pub(crate) struct Drain {
    /// When those who have arrived move without the others.
    until: Instant,
    /// When the last datagram or the last word to move was.
    pub(crate) busy_at: Instant,
    /// Somebody arrived or left since rooms were looked at.
    has_news: bool,
    next_look: Instant,
}

impl Stage {
    pub(crate) const fn is_serving(&self) -> bool {
        matches!(self, Self::Serving)
    }

    pub(crate) const fn is_ending(&self) -> bool {
        matches!(self, Self::Ending(_))
    }

    pub(crate) const fn poll_timeout(&self) -> Option<Instant> {
        match self {
            Self::Draining(drain) => Some(drain.next_look),
            Self::Ending(at) => Some(*at),
            Self::Serving | Self::Prepared => None,
        }
    }

    /// Takes note that a member arrived at the next process or left this one.
    pub(crate) const fn handle_news(&mut self, now: Instant) {
        if let Self::Draining(drain) = self {
            drain.has_news = true;
            drain.next_look = now;
        }
    }
}

impl Relay {
    /// Goes on with the rooms of a worker of another process.
    pub fn take_over(&mut self, rooms: Vec<RoomRecord>, now: Instant) {
        self.now = now;
        self.switch.take_over(rooms, now);
    }

    /// The process before this one is gone: newcomers are welcome.
    pub fn handle_predecessor_gone(&mut self, now: Instant) {
        self.now = now;
        self.switch.finish_arrival(now);
    }

    /// Admits nobody any more, and says what the next process must know.
    pub fn prepare_handover(&mut self, now: Instant) -> Vec<RoomRecord> {
        self.now = now;
        if self.stage.is_serving() {
            self.stage = Stage::Prepared;
        }

        self.switch.hand_over(now)
    }

    /// The next process did not come about: members stay, and those on their way come back.
    pub fn cancel_handover(&mut self, now: Instant) {
        self.now = now;
        if !self.stage.is_ending() {
            self.stage = Stage::Serving;
        }
    }

    /// Tells everybody to come to the next process, and ends once they have.
    pub fn begin_drain(&mut self, now: Instant) {
        self.now = now;
        if self.stage.is_ending() {
            return;
        }
        for connection in self.connections.iter_mut() {
            connection.progress = Progress::Here;
        }
        let members = self.announce_restart(Duration::ZERO, (APART, SPREAD), true);
        let last = (APART * members).min(SPREAD);
        self.stage = Stage::Draining(Drain {
            until: now + last + MOVE_PATIENCE,
            busy_at: now,
            has_news: true,
            next_look: now,
        });
    }

    /// Tells everybody to go and come back to the next relay, and ends.
    pub fn handle_shutdown(&mut self, now: Instant) {
        self.now = now;
        if self.stage.is_ending() {
            return;
        }
        self.stage = Stage::Ending(now + FAREWELL);
        self.announce_restart(NEXT_RELAY, (RESTART_APART, RESTART_SPREAD), false);
        self.switch.close();
        self.process_switch();
        let rest = (self.connections.iter()).filter(|connection| !connection.is_leaving());
        let rest: Vec<ConnId> = rest.map(|connection| connection.id).collect();
        for conn in rest {
            self.refuse_shutting_down(conn);
        }
    }

    /// Returns whether the process may end: everybody has moved, or knows.
    pub fn is_over(&self, now: Instant) -> bool {
        match self.stage {
            Stage::Ending(at) => now >= at || self.connections.is_empty(),
            Stage::Serving | Stage::Prepared | Stage::Draining(_) => false,
        }
    }

    /// Takes that a member knows everybody on a new connection: to the next process, or of its own
    /// next process. Said again, it sends nothing more by this connection.
    pub(crate) fn handle_arrived(&mut self, conn: ConnId, membership: Membership) {
        self.switch.handle_arrived(membership);
        self.process_switch();
        if !matches!(self.stage, Stage::Draining(_)) {
            return;
        }
        self.stage.handle_news(self.now);
        if let Some(connection) = self.connections.get_mut(conn) {
            connection.progress = connection.progress.arrived();
        }
    }

    /// Moves rooms whose members have all arrived, and ends once it is quiet.
    pub(crate) fn drain(&mut self) {
        let Stage::Draining(drain) = &mut self.stage else {
            return;
        };
        if drain.next_look > self.now {
            return;
        }
        drain.next_look = self.now + LOOK;
        let is_late = drain.until <= self.now;
        if std::mem::take(&mut drain.has_news) || is_late {
            self.move_rooms(is_late);
        }
        if self.has_drained(is_late) {
            self.stage = Stage::Ending(self.now);
        }
    }

    fn move_rooms(&mut self, is_late: bool) {
        let mut rooms: BTreeMap<usize, (bool, Vec<ConnId>)> = BTreeMap::new();
        for connection in self.connections.iter() {
            let Some(membership) = connection.membership() else {
                continue;
            };
            let (is_complete, prepared) =
                rooms.entry(membership.room()).or_insert((true, Vec::new()));
            *is_complete &= connection.progress >= Progress::Prepared;
            if connection.progress == Progress::Prepared {
                prepared.push(connection.id);
            }
        }
        let ready = rooms
            .into_values()
            .filter(|(is_complete, _)| *is_complete || is_late);
        for conn in ready.flat_map(|(_, prepared)| prepared) {
            self.send(conn, &Message::Move);
            if let Some(connection) = self.connections.get_mut(conn) {
                connection.progress = Progress::Moving;
            }
            if let Stage::Draining(drain) = &mut self.stage {
                drain.busy_at = self.now;
            }
        }
    }

    fn has_drained(&self, is_late: bool) -> bool {
        let Stage::Draining(drain) = &self.stage else {
            return false;
        };
        // A member that gets no time from its machine may read the word to move long after it came,
        // and sends here until then.
        let mut members = (self.connections.iter()).filter(|found| found.membership().is_some());
        let has_everybody_moved = members.all(|member| member.progress == Progress::Moved);
        let is_quiet = self.now.saturating_duration_since(drain.busy_at) >= QUIET;
        let is_too_late = drain.until + QUIET_PATIENCE <= self.now;

        (has_everybody_moved || is_late) && is_quiet || is_too_late
    }

    /// Tells every member when to come to the next relay, not all at once. Returns how many they are.
    fn announce_restart(
        &mut self,
        wait: Duration,
        (apart, spread): (Duration, Duration),
        stay: bool,
    ) -> u32 {
        let members = (self.connections.iter()).filter(|found| found.membership().is_some());
        let members: Vec<ConnId> = members.map(|member| member.id).collect();
        let count = u32::try_from(members.len()).unwrap_or(u32::MAX);
        for (number, conn) in (0..).zip(members) {
            let wait = wait + (apart * number).min(spread);
            let restarting = Restarting {
                reconnect_in_ms: u32::try_from(wait.as_millis()).unwrap_or(u32::MAX),
                stay,
            };
            self.send(conn, &Message::Restarting(restarting));
        }

        count
    }
}
