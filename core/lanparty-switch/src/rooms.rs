//! All rooms of a switch, by number and by code.

use std::collections::BTreeMap;

use lanparty_ctrl::RoomCode;
use lanparty_proto::RoomId;

use crate::room::Room;

/// All rooms of a switch, by number and by code. Both change in [`Rooms::insert`] and [`Rooms::remove`] alone.
#[derive(Debug, Default)]
pub(crate) struct Rooms {
    slots: Vec<Option<Room>>,
    by_code: BTreeMap<RoomCode, usize>,
}

impl Rooms {
    /// Takes a room in, and returns its slot. The caller has checked that the code is free.
    pub(crate) fn insert(&mut self, room: Room) -> usize {
        let slot = self.slots.iter().position(Option::is_none);
        let slot = slot.unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.by_code.insert(room.code.clone(), slot);
        if let Some(entry) = self.slots.get_mut(slot) {
            *entry = Some(room);
        }

        slot
    }

    /// Removes the room in `slot`.
    pub(crate) fn remove(&mut self, slot: usize) -> Option<Room> {
        let room = self.slots.get_mut(slot)?.take()?;
        self.by_code.remove(&room.code);

        Some(room)
    }

    /// Returns the slot of the room with `code`.
    pub(crate) fn find(&self, code: &RoomCode) -> Option<usize> {
        self.by_code.get(code).copied()
    }

    pub(crate) fn get(&self, slot: usize) -> Option<&Room> {
        self.slots.get(slot)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, slot: usize) -> Option<&mut Room> {
        self.slots.get_mut(slot)?.as_mut()
    }

    /// Returns how many rooms there are.
    pub(crate) fn len(&self) -> usize {
        self.by_code.len()
    }

    /// Returns whether a room has `id`.
    pub(crate) fn has_id(&self, id: RoomId) -> bool {
        self.iter().any(|(_, room)| room.id == id)
    }

    /// Gives every room.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Room> {
        self.slots.iter_mut().flatten()
    }

    /// Gives every room with its slot, by code.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (usize, &Room)> {
        self.by_code
            .values()
            .filter_map(|slot| Some((*slot, self.get(*slot)?)))
    }
}
