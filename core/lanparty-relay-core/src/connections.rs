//! All connections of a relay's worker, found by their ids.

use lanparty_switch::ConnId;

use crate::connection::Connection;

/// All connections of a worker.
///
/// A [`ConnId`] is a key of a slab: its low 32 bits are a small number that no other living
/// connection has, the others tell it from earlier ones. So every datagram finds its connection by an
/// index, and a late id finds nothing.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    slots: Vec<Option<Connection>>,
    len: usize,
}

impl Connections {
    pub(crate) fn insert(&mut self, connection: Connection) {
        let slot = slot(connection.id);
        if self.slots.len() <= slot {
            self.slots.resize_with(slot + 1, || None);
        }
        if let Some(free) = self.slots.get_mut(slot)
            && free.replace(connection).is_none()
        {
            self.len += 1;
        }
    }

    #[inline]
    pub(crate) fn get(&self, id: ConnId) -> Option<&Connection> {
        self.slots
            .get(slot(id))?
            .as_ref()
            .filter(|connection| connection.id == id)
    }

    pub(crate) fn get_mut(&mut self, id: ConnId) -> Option<&mut Connection> {
        self.slots
            .get_mut(slot(id))?
            .as_mut()
            .filter(|connection| connection.id == id)
    }

    pub(crate) fn remove(&mut self, id: ConnId) -> Option<Connection> {
        self.get(id)?;
        self.len -= 1;

        self.slots.get_mut(slot(id))?.take()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.slots.iter().flatten()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Connection> {
        self.slots.iter_mut().flatten()
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = ConnId> + '_ {
        self.iter().map(|connection| connection.id)
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[inline]
fn slot(id: ConnId) -> usize {
    usize::try_from(id.0 & 0xffff_ffff).unwrap_or(usize::MAX)
}
