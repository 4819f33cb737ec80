//! Members on their way to the next process, room by room (`docs/protocol.md`, clause 4.10).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use lanparty_ctrl::{Message, Restarting};
use lanparty_net::LinkId;

use super::Worker;
use super::conn::Conn;

/// How long members have to come to the next process, from when the last of them was told. Two dozen attempts over a line that loses a
/// third of all packets, or on a machine that has no time for them; until then everybody is served as before, so there is no hurry.
const PATIENCE: Duration = Duration::from_mins(1);

/// How far apart members are told to come: a handshake costs a core two to three milliseconds, and frames go first.
const APART: Duration = Duration::from_millis(10);

/// The most that their coming is spread.
const SPREAD: Duration = Duration::from_secs(20);

/// How long nothing must have come before the last connection is closed: longer than a frame waits in any queue on its way.
const QUIET: Duration = Duration::from_secs(1);

/// How long that is waited for at most.
const QUIET_PATIENCE: Duration = Duration::from_secs(10);

/// How often the worker looks whether it is quiet.
const LOOK: Duration = Duration::from_millis(50);

/// Members that are on their way.
#[derive(Debug)]
pub(super) struct Departure {
    /// When those who have arrived move without the others.
    until: Instant,
    /// When the last datagram or the last word to move was.
    pub(super) busy_at: Instant,
    /// Somebody arrived or left since rooms were looked at.
    pub(super) has_news: bool,
    pub(super) next_look: Instant,
}

impl Worker {
    /// Tells everybody to take a place with the next process.
    pub(super) fn move_out(&mut self, now: Instant) {
        let members = self.announce_restart(Duration::ZERO, (APART, SPREAD), true, now);
        let last = (APART * members).min(SPREAD);
        self.departure = Some(Departure {
            until: now + last + PATIENCE,
            busy_at: now,
            has_news: true,
            next_look: now,
        });
    }

    /// Tells every member when to come to the next relay, not all at once. Returns how many they are.
    pub(super) fn announce_restart(
        &mut self,
        wait: Duration,
        (apart, spread): (Duration, Duration),
        stay: bool,
        now: Instant,
    ) -> u32 {
        let members: Vec<LinkId> = (self.conns.iter())
            .filter(|conn| conn.place().is_some())
            .map(|conn| conn.link)
            .collect();
        let count = u32::try_from(members.len()).unwrap_or(u32::MAX);
        for (number, link) in (0..).zip(members) {
            let wait = wait + (apart * number).min(spread);
            let reconnect_in_ms = u32::try_from(wait.as_millis()).unwrap_or(u32::MAX);
            let restarting = Restarting {
                reconnect_in_ms,
                stay,
            };
            self.send(link, &Message::Restarting(restarting), now);
        }

        count
    }

    /// The next process did not come about: members stay, and those on their way come back.
    pub(super) fn stay(&mut self) {
        self.departure = None;
        self.switch.keep();
    }

    /// A member hears the next process, too; said again, it sends nothing more by this one.
    ///
    /// Otherwise it came beside another connection of its own, or the next process did not come about.
    pub(super) fn arrived(&mut self, link: LinkId) {
        if let Some(place) = self.conns.get(link).and_then(Conn::place) {
            self.switch.handle_arrived(place);
        }
        let Some(departure) = &mut self.departure else {
            return;
        };
        departure.has_news = true;
        if let Some(conn) = self.conns.get_mut(link) {
            conn.has_arrived = true;
            conn.has_confirmed = conn.has_moved;
        }
    }

    /// Moves rooms whose members have all arrived, and ends the worker once it is quiet.
    pub(super) fn depart(&mut self, now: Instant) {
        let Some(departure) = &mut self.departure else {
            return;
        };
        let is_late = departure.until <= now;
        let is_due = departure.next_look <= now || departure.has_news;
        if !is_due {
            return;
        }
        departure.next_look = now + LOOK;
        if std::mem::take(&mut departure.has_news) || is_late {
            self.move_rooms(is_late, now);
        }
        self.end_if_quiet(is_late, now);
    }

    fn move_rooms(&mut self, is_late: bool, now: Instant) {
        let mut rooms: BTreeMap<usize, (bool, Vec<LinkId>)> = BTreeMap::new();
        for conn in self.conns.iter() {
            let Some(place) = conn.place() else {
                continue;
            };
            let (is_complete, waiting) = rooms.entry(place.room()).or_insert((true, Vec::new()));
            *is_complete &= conn.has_arrived;
            if conn.has_arrived && !conn.has_moved {
                waiting.push(conn.link);
            }
        }
        for (is_complete, waiting) in rooms.into_values() {
            if !is_complete && !is_late {
                continue;
            }
            for link in waiting {
                self.send(link, &Message::Move, now);
                if let Some(conn) = self.conns.get_mut(link) {
                    conn.has_moved = true;
                }
                if let Some(departure) = &mut self.departure {
                    departure.busy_at = now;
                }
            }
        }
    }

    fn end_if_quiet(&mut self, is_late: bool, now: Instant) {
        let Some(departure) = &self.departure else {
            return;
        };
        let is_here = |place: bool, has_confirmed: bool| place && !has_confirmed;
        // Whoever gets no time from its machine may read the word to move long after it came, and sends here until then.
        let has_everybody_moved =
            !(self.conns.iter()).any(|conn| is_here(conn.place().is_some(), conn.has_confirmed));
        let is_quiet = now.saturating_duration_since(departure.busy_at) >= QUIET;
        let is_too_late = departure.until + QUIET_PATIENCE <= now;
        if (has_everybody_moved || is_late) && is_quiet || is_too_late {
            self.ends_at = Some(now);
        }
    }
}
