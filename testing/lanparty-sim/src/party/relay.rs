//! The relay's program in a simulated party: it carries what the relay's core wants.

use bytes::Bytes;
use lanparty_proto::Overlay;
use lanparty_relay_core::{Claim, Liveness, Output, Verdict};
use lanparty_switch::ConnId;

use super::{Heard, Party, Sure, Unsure, WORKER};

impl Party {
    pub(super) fn tell_relay(&mut self, id: ConnId, bytes: &[u8]) {
        if self.conns.get(&id).is_some_and(|conn| !conn.is_cut) {
            self.relay.handle_control(id, bytes, self.now);
        }
        self.process_relay();
    }

    pub(super) fn deliver_datagram(&mut self, what: Unsure) {
        match what {
            Unsure::Up(id, datagram) => {
                if self.conns.get(&id).is_none_or(|conn| conn.is_cut) {
                    return;
                }
                let verdict = self.relay.handle_datagram(id, &datagram, self.now);
                if let Verdict::Forward(forward, _) = verdict {
                    let bytes = Bytes::copy_from_slice(&datagram);
                    for target in forward.targets() {
                        let down = Unsure::Down(target.conn, bytes.clone());
                        self.unsure.send(down, &mut self.rng, self.now);
                    }
                }
                self.process_relay();
            }
            Unsure::Down(id, datagram) => {
                let Some(conn) = self.conns.get(&id).filter(|conn| !conn.is_cut) else {
                    return;
                };
                let read =
                    Overlay::parse(&datagram, true).expect("the relay passes on what it read");
                self.heard.push(Heard {
                    player: conn.player,
                    frame: read.payload.to_vec(),
                });
            }
        }
    }

    pub(super) fn process_relay(&mut self) {
        while let Some(output) = self.relay.poll_output() {
            match output {
                Output::Send { conn, bytes } => self.post(Sure::ToMember(conn, bytes)),
                Output::Close { conn, code, reason } => {
                    self.post(Sure::RelayCloses(conn, code, reason));
                }
                Output::Claim { conn, room, rival } => {
                    let claim = Claim {
                        home: self.directory.claim(&room, WORKER),
                        members_elsewhere: self.directory.members_elsewhere(WORKER),
                        room,
                        rival: rival.map(|_| Liveness {
                            heard: self.now,
                            answered: self.now,
                        }),
                        token: Some(u128::from(conn.0).to_be_bytes()),
                    };
                    self.relay.handle_claim(conn, &claim, self.now);
                }
                Output::Release(room) => self.directory.release(&room, WORKER),
                Output::SetRate { .. }
                | Output::Ping(_)
                | Output::Ban(_)
                | Output::LimitReached { .. }
                | Output::Event(_) => {}
            }
        }
        self.directory.set_members(WORKER, self.relay.members());
    }
}
