//! The room directory that all workers share.

use std::sync::Mutex;

use lanparty_ctrl::RoomCode;
use lanparty_relay_core::{Directory, Home};

/// Which worker has which room, and how many members each has.
///
/// One lock, taken when somebody joins and when a room ends; no frame comes near it.
#[derive(Debug)]
pub(crate) struct SharedDirectory(Mutex<Directory>);

impl SharedDirectory {
    pub(crate) const fn new(directory: Directory) -> Self {
        Self(Mutex::new(directory))
    }

    /// Finds the room, or gives it to `worker` if no worker has it. Returns also how many members the
    /// other workers have.
    pub(crate) fn claim(&self, room: &RoomCode, worker: u8) -> (Home, usize) {
        let mut directory = lock(&self.0);

        (
            directory.claim(room, worker),
            directory.members_elsewhere(worker),
        )
    }

    /// Takes in a room that `worker` of another process had.
    pub(crate) fn inherit(&self, room: &RoomCode, worker: u8) {
        lock(&self.0).inherit(room, worker);
    }

    /// Forgets a room that `worker` does not have any more.
    pub(crate) fn release(&self, room: &RoomCode, worker: u8) {
        lock(&self.0).release(room, worker);
    }

    /// Takes note of how many members `worker` has.
    pub(crate) fn set_members(&self, worker: u8, count: usize) {
        lock(&self.0).set_members(worker, count);
    }
}

/// Locks, also after a panic elsewhere: every change under our locks is a single step.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
