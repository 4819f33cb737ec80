//! Carries out what the relay's core wants, and writes what it tells.

use std::time::Instant;

use lanparty_ctrl::RoomCode;
use lanparty_net::LinkId;
use lanparty_queue::{BitRate, Pace};
use lanparty_relay_core::{Claim, Event, Liveness, Output};
use lanparty_switch::ConnId;

use super::Worker;

impl Worker {
    /// Carries out everything that the core wants.
    pub(super) fn process_outputs(&mut self, now: Instant) {
        let mut any = false;
        while let Some(output) = self.core.poll_output() {
            any = true;
            match output {
                Output::Send { conn, bytes } => {
                    if !self.endpoint.send_control(link(conn), bytes) {
                        self.core.handle_backlog(conn, now);
                    }
                }
                Output::Close { conn, code, reason } => {
                    self.endpoint.close(link(conn), code, &reason, now);
                }
                Output::Claim { conn, room, rival } => {
                    let claim = self.claim(room, rival);
                    self.core.handle_claim(conn, &claim, now);
                }
                Output::Ping(conn) => self.endpoint.ping(link(conn)),
                Output::Release(room) => self.shared.directory.release(&room, self.number),
                Output::SetRate { conn, down_rate } => {
                    self.endpoint.set_pace(link(conn), pace(down_rate));
                }
                Output::Ban(remote) => self.shared.limiter.ban(remote, now),
                Output::LimitReached { limit, remote } => {
                    self.shared.limiter.handle_reached(limit, remote, now);
                }
                Output::Event(event) => log(event),
            }
        }
        if any {
            self.tell_members();
        }
    }

    /// Tells the other workers how many members there are, if that changed: they share a lock.
    pub(super) fn tell_members(&mut self) {
        let members = self.core.members();
        if self.told_members != members {
            self.told_members = members;
            self.shared.directory.set_members(self.number, members);
        }
    }

    /// Answers what the core asks about a room.
    fn claim(&self, room: RoomCode, rival: Option<ConnId>) -> Claim {
        let (home, members_elsewhere) = self.shared.directory.claim(&room, self.number);
        let rival = rival.and_then(|rival| self.endpoint.facts(link(rival)));
        let mut token = [0; 16];
        let filled = getrandom::fill(&mut token);

        Claim {
            room,
            home,
            members_elsewhere,
            rival: rival.map(|facts| Liveness {
                heard: facts.last_heard,
                answered: facts.last_answered,
            }),
            token: filled.is_ok().then_some(token),
        }
    }
}

pub(super) const fn link(conn: ConnId) -> LinkId {
    LinkId::from_bits(conn.0)
}

pub(super) const fn conn(link: LinkId) -> ConnId {
    ConnId(link.to_bits())
}

fn pace(down_rate: Option<u64>) -> Pace {
    match down_rate {
        None => Pace::Auto,
        Some(0) => Pace::Off,
        Some(bits) => Pace::Fixed(BitRate::clamped(bits)),
    }
}

fn log(event: Event) {
    match event {
        Event::Joined {
            remote,
            room,
            role,
            mac,
            program,
            version,
        } => tracing::info!(
            %remote,
            %room,
            ?role,
            mac = mac.map(tracing::field::display),
            program,
            version,
            "joined"
        ),
        Event::Refused {
            remote,
            room,
            code,
            sentence,
        } => tracing::info!(%remote, %room, ?code, "not admitted: {sentence}"),
        Event::Goodbye(message) => tracing::debug!(message, "a member says goodbye"),
        Event::Left {
            peer,
            mac,
            reason,
            room_gone,
        } => tracing::info!(
            peer = peer.0,
            mac = mac.map(tracing::field::display),
            reason = reason.as_str(),
            room_gone,
            "left"
        ),
        Event::Removed {
            remote,
            reason,
            sentence,
        } => tracing::info!(%remote, reason = reason.as_str(), message = sentence, "removed"),
        Event::Violation { remote, sentence } => {
            tracing::info!(%remote, "connection ended: {sentence}");
        }
        Event::Backlog { remote } => tracing::info!(%remote, "control messages pile up"),
        Event::GatewayReplaced(room) => {
            tracing::info!(%room, "the gateway is silent, and another one takes its place");
        }
        Event::Blocked { room, mac, lasting } => {
            let lasting_s = lasting.as_secs();
            tracing::info!(%room, %mac, lasting_s, "blocked: the client closes a loop");
        }
        Event::RoomGone(room) => tracing::debug!(%room, "room gone"),
    }
}
