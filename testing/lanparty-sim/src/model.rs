//! Who must hear what, as naively as possible.

use lanparty_proto::MacAddr;

/// Rooms, places and nothing else: one list, searched from end to end for every question.
///
/// It knows no rates, no limits and no bytes. Where it and the switch disagree, one of them is wrong, and this one is easier to read.
#[derive(Debug, Clone, Default)]
pub struct Model {
    places: Vec<Place>,
}

#[derive(Debug, Clone)]
struct Place {
    room: u8,
    /// A gateway has none.
    mac: Option<MacAddr>,
    /// The connection that the place was first given to, which is also what its token proves.
    first: u64,
    generation: u64,
    /// The connection, unless it broke.
    conn: Option<u64>,
}

/// Why somebody may not join.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The place is somebody else's.
    Taken,
    /// The place is its own, but a newer connection has it.
    Superseded,
}

impl Model {
    /// Lets `conn` join `room`; `resume` is the first connection of the place that it claims to have had.
    ///
    /// Returns the first connection of the place that it has now.
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
        let same = |place: &&mut Place| place.room == room && place.mac == mac;
        if let Some(place) = self.places.iter_mut().find(same) {
            if resume == Some(place.first) {
                if generation <= place.generation {
                    return Err(Refused::Superseded);
                }
                place.generation = generation;
                place.conn = Some(conn);
                return Ok(place.first);
            }
            if place.conn.is_some() {
                return Err(Refused::Taken);
            }
        }
        self.places
            .retain(|place| place.room != room || place.mac != mac);
        self.places.push(Place {
            room,
            mac,
            first: conn,
            generation,
            conn: Some(conn),
        });

        Ok(conn)
    }

    /// The connection broke: its place is kept.
    pub fn lose(&mut self, conn: u64) {
        for place in &mut self.places {
            if place.conn == Some(conn) {
                place.conn = None;
            }
        }
    }

    /// The member left.
    pub fn leave(&mut self, conn: u64) {
        self.places.retain(|place| place.conn != Some(conn));
    }

    /// Time has passed: nobody waits for broken connections any more.
    pub fn forget_lost(&mut self) {
        self.places.retain(|place| place.conn.is_some());
    }

    /// Returns how many places there are.
    pub fn members(&self) -> usize {
        self.places.len()
    }

    /// Returns how many rooms there are.
    pub fn rooms(&self) -> usize {
        let mut rooms: Vec<u8> = self.places.iter().map(|place| place.room).collect();
        rooms.sort_unstable();
        rooms.dedup();

        rooms.len()
    }

    /// Returns who must hear a frame that comes in by `conn`, sorted; `None` if it must go nowhere.
    pub fn hears(&self, conn: u64, destination: MacAddr, source: MacAddr) -> Option<Vec<u64>> {
        let sender = self.places.iter().find(|place| place.conn == Some(conn))?;
        let room = || self.places.iter().filter(|place| place.room == sender.room);
        let is_client = |mac| room().any(|place| place.mac == Some(mac));
        let may_send = match sender.mac {
            Some(own) => source == own,
            None => !is_client(source),
        };
        if !may_send {
            return None;
        }

        let others = room().filter(|place| place.conn != Some(conn));
        let mut heard: Vec<u64> = if destination.is_group() {
            others.filter_map(|place| place.conn).collect()
        } else if is_client(destination) {
            let owner = others.filter(|place| place.mac == Some(destination));
            let conns: Vec<u64> = owner.filter_map(|place| place.conn).collect();
            if conns.is_empty() {
                return None;
            }
            conns
        } else {
            let gateway = others.filter(|place| place.mac.is_none());
            let conns: Vec<u64> = gateway.filter_map(|place| place.conn).collect();
            if conns.is_empty() {
                return None;
            }
            conns
        };
        heard.sort_unstable();

        Some(heard)
    }
}
