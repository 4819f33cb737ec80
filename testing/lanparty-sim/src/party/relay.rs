//! The relay's side of a simulated party.

use bytes::Bytes;
use lanparty_ctrl::{LeaveReason, Message, close_code, encode};
use lanparty_proto::Overlay;
use lanparty_switch::{ConnId, Joiner, Output, Verdict};

use super::{BUDGET, Heard, Party, Sure, Unsure};

impl Party {
    pub(super) fn tell_relay(&mut self, id: ConnId, bytes: &[u8]) {
        let Some(conn) = self.conns.get_mut(&id).filter(|conn| !conn.is_cut) else {
            return;
        };
        conn.decoder.push(bytes);
        while let Some(conn) = self.conns.get_mut(&id) {
            let message = conn
                .decoder
                .poll_message()
                .expect("members speak the protocol");
            match (message, conn.place) {
                (Some(Message::Hello(hello)), None) => {
                    self.counter += 1;
                    let joiner = Joiner {
                        conn: id,
                        budget: usize::from(BUDGET),
                        origin: conn.origin,
                        token: u128::from(self.counter).to_be_bytes(),
                    };
                    match self.switch.handle_hello(joiner, &hello, self.now) {
                        Ok(place) => conn.place = Some(place),
                        Err(reject) => {
                            let text = reject.message.clone();
                            self.post(Sure::ToMember(id, encode(&Message::Reject(reject))));
                            self.post(Sure::RelayCloses(id, close_code::REJECTED, text));
                        }
                    }
                }
                (Some(Message::Disconnect(_)), Some(place)) => {
                    self.switch.handle_leave(place, LeaveReason::Disconnect);
                    conn.place = None;
                    self.post(Sure::RelayCloses(id, close_code::LEFT, String::new()));
                }
                (Some(_), _) => {}
                (None, _) => return,
            }
            self.carry_out_switch();
        }
    }

    pub(super) fn deliver_datagram(&mut self, what: Unsure) {
        match what {
            Unsure::Up(id, datagram) => {
                let conn = self.conns.get(&id).filter(|conn| !conn.is_cut);
                let Some(place) = conn.and_then(|conn| conn.place) else {
                    return;
                };
                let verdict = self.switch.handle_datagram(place, &datagram, self.now);
                if let Verdict::Forward(forward) = verdict {
                    let bytes = Bytes::copy_from_slice(&datagram);
                    for target in forward.targets() {
                        let down = Unsure::Down(target.conn, bytes.clone());
                        self.unsure.send(down, &mut self.rng, self.now);
                    }
                }
                self.carry_out_switch();
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

    pub(super) fn carry_out_switch(&mut self) {
        while let Some(output) = self.switch.poll_output() {
            match output {
                Output::Send { conn, message } => self.post(Sure::ToMember(conn, encode(&message))),
                Output::Close { conn, message, .. } => {
                    self.post(Sure::RelayCloses(
                        conn,
                        close_code::KICKED,
                        message.to_owned(),
                    ));
                }
                Output::Superseded { conn } => {
                    let text = "superseded".to_owned();
                    self.post(Sure::RelayCloses(conn, close_code::SUPERSEDED, text));
                }
                Output::RoomGone(_) | Output::Blocked { .. } => {}
            }
        }
    }
}
