//! Which worker has which room.

use std::collections::BTreeMap;

use lanparty_ctrl::RoomCode;

/// Which worker has which room, and how many members each worker has.
///
/// The workers of a relay share one; it is asked when somebody joins and when a room ends.
#[derive(Debug)]
pub struct Directory {
    rooms: BTreeMap<RoomCode, u8>,
    max_rooms: usize,
    members: Vec<usize>,
}

/// Where a room is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Home {
    /// With the worker that asked; it may be new there.
    Here,
    /// With another worker.
    Elsewhere(u8),
    /// Nowhere, and there are as many rooms as there may be.
    Full,
}

impl Directory {
    /// Makes a directory without rooms for so many workers, who may have `max_rooms` rooms together.
    pub fn new(workers: u8, max_rooms: usize) -> Self {
        Self {
            rooms: BTreeMap::new(),
            max_rooms,
            members: vec![0; workers.into()],
        }
    }

    /// Finds the room, or gives it to `worker` if no worker has it.
    pub fn claim(&mut self, room: &RoomCode, worker: u8) -> Home {
        match self.rooms.get(room) {
            Some(home) if *home == worker => Home::Here,
            Some(home) => Home::Elsewhere(*home),
            None if self.rooms.len() >= self.max_rooms => Home::Full,
            None => {
                self.rooms.insert(room.clone(), worker);
                Home::Here
            }
        }
    }

    /// Takes in a room that `worker` of another process had, however many rooms there are.
    pub fn inherit(&mut self, room: &RoomCode, worker: u8) {
        self.rooms.insert(room.clone(), worker);
    }

    /// Forgets a room that `worker` does not have any more.
    pub fn release(&mut self, room: &RoomCode, worker: u8) {
        if self.rooms.get(room) == Some(&worker) {
            self.rooms.remove(room);
        }
    }

    /// Takes note of how many members `worker` has.
    pub fn set_members(&mut self, worker: u8, count: usize) {
        if let Some(members) = self.members.get_mut(usize::from(worker)) {
            *members = count;
        }
    }

    /// Returns how many members the workers other than `worker` have.
    pub fn members_elsewhere(&self, worker: u8) -> usize {
        let others = self.members.iter().enumerate();

        others
            .filter(|(other, _)| *other != usize::from(worker))
            .map(|(_, members)| members)
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(code: &str) -> RoomCode {
        code.parse().unwrap()
    }

    #[test]
    fn a_room_stays_with_its_first_worker_until_that_lets_go() {
        let mut directory = Directory::new(2, 2);

        assert_eq!(directory.claim(&room("ROOM1"), 1), Home::Here);
        assert_eq!(directory.claim(&room("ROOM1"), 0), Home::Elsewhere(1));
        directory.release(&room("ROOM1"), 0);
        assert_eq!(directory.claim(&room("ROOM1"), 0), Home::Elsewhere(1));
        directory.release(&room("ROOM1"), 1);
        assert_eq!(directory.claim(&room("ROOM1"), 0), Home::Here);
    }

    #[test]
    fn all_workers_together_have_so_many_rooms() {
        let mut directory = Directory::new(2, 1);

        assert_eq!(directory.claim(&room("ROOM1"), 0), Home::Here);
        assert_eq!(directory.claim(&room("ROOM2"), 1), Home::Full);
    }

    #[test]
    fn rooms_of_another_process_come_in_beyond_the_limit() {
        let mut directory = Directory::new(1, 1);
        directory.inherit(&room("ROOM1"), 0);
        directory.inherit(&room("ROOM2"), 0);

        assert_eq!(directory.claim(&room("ROOM2"), 0), Home::Here);
        assert_eq!(directory.claim(&room("ROOM3"), 0), Home::Full);
    }

    #[test]
    fn counts_the_members_of_the_others() {
        let mut directory = Directory::new(3, 1);
        directory.set_members(0, 5);
        directory.set_members(2, 7);

        assert_eq!(directory.members_elsewhere(0), 7);
        assert_eq!(directory.members_elsewhere(1), 12);
    }
}
