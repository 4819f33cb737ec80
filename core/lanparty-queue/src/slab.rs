//! Slots with a free list: what is stored keeps its index, nothing allocates once the high-water mark is reached.

/// The index that points nowhere.
pub(crate) const NIL: u32 = u32::MAX;

#[derive(Debug)]
enum Slot<T> {
    Free { next: u32 },
    Used(T),
}

#[derive(Debug)]
pub(crate) struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: u32,
    len: usize,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Self {
        Self {
            slots: Vec::new(),
            free: NIL,
            len: 0,
        }
    }

    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    #[cfg(test)]
    pub(crate) const fn capacity(&self) -> usize {
        self.slots.capacity()
    }

    /// Stores `value`. The callers' bounds keep the count far below `u32::MAX`.
    pub(crate) fn insert(&mut self, value: T) -> u32 {
        self.len += 1;
        let index = self.free;
        if let Some(slot) = self.slots.get_mut(index as usize) {
            if let Slot::Free { next } = *slot {
                self.free = next;
            }
            *slot = Slot::Used(value);
            return index;
        }
        let index = u32::try_from(self.slots.len())
            .expect("slabs are bounded by their owner's packet limit");
        self.slots.push(Slot::Used(value));
        index
    }

    pub(crate) fn remove(&mut self, index: u32) -> T {
        let slot = self
            .slots
            .get_mut(index as usize)
            .expect("indices come from insert");
        match std::mem::replace(slot, Slot::Free { next: self.free }) {
            Slot::Used(value) => {
                self.free = index;
                self.len -= 1;
                value
            }
            Slot::Free { .. } => unreachable!("an index is removed once"),
        }
    }

    pub(crate) fn get(&self, index: u32) -> &T {
        match self.slots.get(index as usize) {
            Some(Slot::Used(value)) => value,
            Some(Slot::Free { .. }) | None => unreachable!("indices come from insert"),
        }
    }

    pub(crate) fn get_mut(&mut self, index: u32) -> &mut T {
        match self.slots.get_mut(index as usize) {
            Some(Slot::Used(value)) => value,
            Some(Slot::Free { .. }) | None => unreachable!("indices come from insert"),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        (0..NIL)
            .zip(&self.slots)
            .filter_map(|(index, slot)| match slot {
                Slot::Used(value) => Some((index, value)),
                Slot::Free { .. } => None,
            })
    }

    /// Gives all memory back if nothing is stored.
    pub(crate) fn release(&mut self) {
        if self.len == 0 {
            self.slots = Vec::new();
            self.free = NIL;
        }
    }
}

/// Head and tail of a singly linked list whose links live in the elements.
#[derive(Debug, Clone, Copy)]
pub(crate) struct List {
    pub(crate) head: u32,
    tail: u32,
}

impl List {
    pub(crate) const EMPTY: Self = Self {
        head: NIL,
        tail: NIL,
    };

    pub(crate) const fn is_empty(self) -> bool {
        self.head == NIL
    }

    pub(crate) fn push<T>(&mut self, slab: &mut Slab<T>, index: u32, link: fn(&mut T) -> &mut u32) {
        *link(slab.get_mut(index)) = NIL;
        if self.head == NIL {
            self.head = index;
        } else {
            *link(slab.get_mut(self.tail)) = index;
        }
        self.tail = index;
    }

    pub(crate) fn pop<T>(
        &mut self,
        slab: &mut Slab<T>,
        link: fn(&mut T) -> &mut u32,
    ) -> Option<u32> {
        let index = self.head;
        if index == NIL {
            return None;
        }
        self.head = *link(slab.get_mut(index));
        if self.head == NIL {
            self.tail = NIL;
        }
        Some(index)
    }
}
