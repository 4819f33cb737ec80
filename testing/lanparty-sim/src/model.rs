//! Who must hear what, as naively as possible.

use lanparty_proto::MacAddr;

/// Rooms, slots and nothing else: one list, searched from end to end for every question.
///
/// It knows no rates, no limits and no bytes. Where it and the switch disagree, one of them is wrong, and this one is easier to read.
#[derive(Debug, Clone, Default)]
pub struct Model {
    slots: Vec<Slot>,
}

#[derive(Debug, Clone)]
struct Slot {
    room: u8,
    /// A gateway has none.
    mac: Option<MacAddr>,
    /// The connection that the slot was first given to, which is also what its token proves.
    first: u64,
    generation: u64,
    /// The connection, unless it broke.
    conn: Option<u64>,
}

/// Why somebody may not join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The slot is somebody else's.
    Taken,
    /// The slot is its own, but a newer connection has it.
    Superseded,
}

impl Model {
    /// Lets `conn` join `room`; `resume` is the first connection of the slot that it claims to have had.
    ///
    /// Returns the first connection of the slot that it has now.
    ///
    /// # Errors
    ///
    /// Returns why it may not.
    pub fn join(
        &mut self,
        conn: u64,
        room: u8,
        mac: Option<MacAddr>,
        resume: Option<u64>,
        generation: u64,
    ) -> Result<u64, Refused> {
        let same = |slot: &&mut Slot| slot.room == room && slot.mac == mac;
        if let Some(slot) = self.slots.iter_mut().find(same) {
            if resume == Some(slot.first) {
                if generation <= slot.generation {
                    return Err(Refused::Superseded);
                }
                slot.generation = generation;
                slot.conn = Some(conn);
                return Ok(slot.first);
            }
            if slot.conn.is_some() {
                return Err(Refused::Taken);
            }
        }
        self.slots
            .retain(|slot| slot.room != room || slot.mac != mac);
        self.slots.push(Slot {
            room,
            mac,
            first: conn,
            generation,
            conn: Some(conn),
        });

        Ok(conn)
    }

    /// The connection broke: its slot is kept.
    pub fn lose(&mut self, conn: u64) {
        for slot in &mut self.slots {
            if slot.conn == Some(conn) {
                slot.conn = None;
            }
        }
    }

    /// The member left.
    pub fn leave(&mut self, conn: u64) {
        self.slots.retain(|slot| slot.conn != Some(conn));
    }

    /// Time has passed: nobody waits for broken connections any more.
    pub fn forget_lost(&mut self) {
        self.slots.retain(|slot| slot.conn.is_some());
    }

    /// Returns how many slots there are.
    pub fn members(&self) -> usize {
        self.slots.len()
    }

    /// Returns how many rooms there are.
    pub fn rooms(&self) -> usize {
        let mut rooms: Vec<u8> = self.slots.iter().map(|slot| slot.room).collect();
        rooms.sort_unstable();
        rooms.dedup();

        rooms.len()
    }

    /// Returns who must hear a frame that comes in by `conn`, sorted; `None` if it must go nowhere.
    pub fn hears(&self, conn: u64, destination: MacAddr, source: MacAddr) -> Option<Vec<u64>> {
        let sender = self.slots.iter().find(|slot| slot.conn == Some(conn))?;
        let room = || self.slots.iter().filter(|slot| slot.room == sender.room);
        let is_client = |mac| room().any(|slot| slot.mac == Some(mac));
        let may_send = match sender.mac {
            Some(own) => source == own,
            None => !is_client(source),
        };
        if !may_send {
            return None;
        }

        let others = room().filter(|slot| slot.conn != Some(conn));
        let mut heard: Vec<u64> = if destination.is_group() {
            others.filter_map(|slot| slot.conn).collect()
        } else if is_client(destination) {
            let owner = others.filter(|slot| slot.mac == Some(destination));
            let conns: Vec<u64> = owner.filter_map(|slot| slot.conn).collect();
            if conns.is_empty() {
                return None;
            }
            conns
        } else {
            let gateway = others.filter(|slot| slot.mac.is_none());
            let conns: Vec<u64> = gateway.filter_map(|slot| slot.conn).collect();
            if conns.is_empty() {
                return None;
            }
            conns
        };
        heard.sort_unstable();

        Some(heard)
    }
}
