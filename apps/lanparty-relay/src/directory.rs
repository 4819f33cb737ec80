//! Which worker has which room.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use lanparty_ctrl::RoomCode;

/// Which worker has which room, and how many members each has.
///
/// One lock, taken when somebody joins and when a room ends; no frame comes near it.
#[derive(Debug)]
pub(crate) struct Directory {
    rooms: Mutex<BTreeMap<RoomCode, u8>>,
    max_rooms: usize,
    members: Vec<AtomicUsize>,
}

/// Where a room is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Home {
    /// With the worker that asked; it may be new there.
    Here,
    /// With another worker.
    Elsewhere(u8),
    /// Nowhere, and there are as many rooms as there may be.
    Full,
}

impl Directory {
    pub(crate) fn new(workers: u8, max_rooms: usize) -> Self {
        Self {
            rooms: Mutex::default(),
            max_rooms,
            members: (0..workers).map(|_| AtomicUsize::new(0)).collect(),
        }
    }

    /// Finds the room, or gives it to `worker` if nobody has it.
    pub(crate) fn claim(&self, room: &RoomCode, worker: u8) -> Home {
        let mut rooms = lock(&self.rooms);
        match rooms.get(room) {
            Some(home) if *home == worker => Home::Here,
            Some(home) => Home::Elsewhere(*home),
            None if rooms.len() >= self.max_rooms => Home::Full,
            None => {
                rooms.insert(room.clone(), worker);
                Home::Here
            }
        }
    }

    /// Forgets a room that `worker` does not have any more.
    pub(crate) fn release(&self, room: &RoomCode, worker: u8) {
        let mut rooms = lock(&self.rooms);
        if rooms.get(room) == Some(&worker) {
            rooms.remove(room);
        }
    }

    /// Takes note of how many members `worker` has.
    pub(crate) fn set_members(&self, worker: u8, count: usize) {
        if let Some(members) = self.members.get(usize::from(worker)) {
            members.store(count, Ordering::Relaxed);
        }
    }

    /// Returns how many members the workers other than `worker` have.
    pub(crate) fn members_elsewhere(&self, worker: u8) -> usize {
        self.members
            .iter()
            .enumerate()
            .filter(|(other, _)| *other != usize::from(worker))
            .map(|(_, members)| members.load(Ordering::Relaxed))
            .sum()
    }
}

/// Locks, also after a panic elsewhere: every change under our locks is a single step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(code: &str) -> RoomCode {
        code.parse().unwrap()
    }

    #[test]
    fn a_room_stays_with_its_first_worker_until_that_lets_go() {
        let directory = Directory::new(2, 2);

        assert_eq!(directory.claim(&room("ROOM1"), 1), Home::Here);
        assert_eq!(directory.claim(&room("ROOM1"), 0), Home::Elsewhere(1));
        directory.release(&room("ROOM1"), 0);
        assert_eq!(directory.claim(&room("ROOM1"), 0), Home::Elsewhere(1));
        directory.release(&room("ROOM1"), 1);
        assert_eq!(directory.claim(&room("ROOM1"), 0), Home::Here);
    }

    #[test]
    fn all_workers_together_have_so_many_rooms() {
        let directory = Directory::new(2, 1);

        assert_eq!(directory.claim(&room("ROOM1"), 0), Home::Here);
        assert_eq!(directory.claim(&room("ROOM2"), 1), Home::Full);
    }

    #[test]
    fn counts_the_members_of_the_others() {
        let directory = Directory::new(3, 1);
        directory.set_members(0, 5);
        directory.set_members(2, 7);

        assert_eq!(directory.members_elsewhere(0), 7);
        assert_eq!(directory.members_elsewhere(1), 12);
    }
}
