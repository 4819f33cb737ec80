//! Finding flows and sources by their keys: hash chains whose links live in the elements.

use crate::slab::{NIL, Slab};

/// What an [`Index`] finds.
pub(super) trait Indexed {
    /// What it is found by.
    type Key: Copy + Eq;

    /// How many chains the index has; a power of two keeps the remainder cheap.
    const CHAINS: usize;

    /// Returns the number that spreads keys over the chains.
    fn hash(key: Self::Key) -> usize;

    fn key(&self) -> Self::Key;

    /// The next element of the chain.
    fn chain(&self) -> u32;

    fn chain_mut(&mut self) -> &mut u32;
}

/// The heads of the chains; without memory until the first element.
#[derive(Debug, Default)]
pub(super) struct Index(Box<[u32]>);

impl Index {
    #[cfg(test)]
    pub(super) fn owns_memory(&self) -> bool {
        !self.0.is_empty()
    }

    pub(super) fn find<T: Indexed>(&self, slab: &Slab<T>, key: T::Key) -> Option<u32> {
        let mut at = self.0.get(slot::<T>(key)).copied().unwrap_or(NIL);
        while at != NIL {
            let element = slab.get(at);
            if element.key() == key {
                return Some(at);
            }
            at = element.chain();
        }
        None
    }

    /// Stores an element that is not there yet.
    pub(super) fn insert<T: Indexed>(&mut self, slab: &mut Slab<T>, mut element: T) -> u32 {
        if self.0.is_empty() {
            self.0 = vec![NIL; T::CHAINS].into_boxed_slice();
        }
        let head = self.0.get_mut(slot::<T>(element.key()));
        let head = head.expect("a slot is below the number of chains");
        *element.chain_mut() = *head;
        let at = slab.insert(element);
        *head = at;
        at
    }

    pub(super) fn remove<T: Indexed>(&mut self, slab: &mut Slab<T>, at: u32) -> T {
        let removed = slab.remove(at);
        let head = self.0.get_mut(slot::<T>(removed.key()));
        let head = head.expect("a slot is below the number of chains");
        if *head == at {
            *head = removed.chain();
            return removed;
        }
        let mut before = *head;
        while before != NIL {
            let link = slab.get_mut(before).chain_mut();
            if *link == at {
                *link = removed.chain();
                break;
            }
            before = *link;
        }
        removed
    }
}

fn slot<T: Indexed>(key: T::Key) -> usize {
    T::hash(key) % T::CHAINS
}
