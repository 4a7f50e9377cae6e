//! Slots in an order of which only the slots are held: a few bytes each, where keys in a tree would cost more than
//! the lines that they order. What a slot is ordered by is asked of whoever knows it, and stays while it is held.

use super::Slot;
use std::collections::BTreeMap;
use std::ops::Bound;

/// Slots that lie together. A search asks for the keys of some of one shelf alone.
const SHELF_MAX: usize = 64;

/// The keys are total: no two slots have the same.
#[derive(Debug)]
pub struct Shelves<K> {
    /// By a key that none of the shelf lies before; the first has none.
    shelves: BTreeMap<Option<K>, Vec<Slot>>,
    len: usize,
}

impl<K> Default for Shelves<K> {
    fn default() -> Self {
        Shelves { shelves: BTreeMap::new(), len: 0 }
    }
}

impl<K: Ord + Clone> Shelves<K> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn insert(&mut self, slot: Slot, key_of: impl Fn(Slot) -> Option<K>) {
        let key = key_of(slot);
        self.len += 1;
        let Some((_, shelf)) = self.shelves.range_mut(..=&key).next_back() else {
            self.shelves.insert(None, vec![slot]);
            return;
        };
        let place = shelf.partition_point(|held| key_of(*held) < key);
        if shelf.len() < SHELF_MAX {
            shelf.insert(place, slot);
            return;
        }
        // What comes in its order leaves full shelves behind.
        let middle = if place == SHELF_MAX { SHELF_MAX } else { SHELF_MAX / 2 };
        let mut further = shelf.split_off(middle);
        match place.checked_sub(middle) {
            Some(place) => further.insert(place, slot),
            None => shelf.insert(place, slot),
        }
        self.shelves.insert(key_of(further[0]), further);
    }

    /// Whether it was there.
    pub fn remove(&mut self, slot: Slot, key_of: impl Fn(Slot) -> Option<K>) -> bool {
        let key = key_of(slot);
        let Some((bound, shelf)) = self.shelves.range_mut(..=&key).next_back() else { return false };
        let Ok(place) = shelf.binary_search_by(|held| key_of(*held).cmp(&key)) else { return false };
        shelf.remove(place);
        self.len -= 1;
        if shelf.is_empty() {
            let bound = bound.clone();
            self.shelves.remove(&bound);
        }
        true
    }

    /// The slots in order, from the first whose key isn't before this one.
    pub fn from(&self, key: Option<K>, key_of: impl Fn(Slot) -> Option<K>) -> impl Iterator<Item = Slot> {
        let rest = self.shelves.range((Bound::Excluded(&key), Bound::Unbounded));
        let first = self.shelves.range(..=&key).next_back().map(|(_, shelf)| {
            let place = shelf.partition_point(|held| key_of(*held) < key);
            &shelf[place..]
        });
        first.into_iter().flatten().chain(rest.flat_map(|(_, shelf)| shelf)).copied()
    }
}

/// Two ordered walks as one.
pub fn merge<T: Ord>(one: impl Iterator<Item = T>, other: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(a), Some(b)) if b < a => other.next(),
        (Some(_), _) => one.next(),
        (None, _) => other.next(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    /// Keys that don't follow the slots, and lie close together.
    fn key_of(slot: Slot) -> Option<(u32, Slot)> {
        Some((slot.wrapping_mul(2_654_435_761) >> 20, slot))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn shelves_hold_what_a_set_of_the_keys_would(
            steps in prop::collection::vec((prop::bool::weighted(0.7), 0u32..3_000), 0..2_000), from in 0u32..3_000
        ) {
            let (mut shelves, mut model) = (Shelves::default(), BTreeSet::new());
            for (comes, slot) in steps {
                if !comes {
                    prop_assert_eq!(shelves.remove(slot, key_of), model.remove(&key_of(slot)));
                } else if model.insert(key_of(slot)) {
                    shelves.insert(slot, key_of);
                }
            }
            let of_model = |from| model.range(from..).filter_map(|key| Some((*key)?.1)).collect::<Vec<_>>();
            prop_assert_eq!(shelves.len(), model.len());
            prop_assert_eq!(shelves.from(None, key_of).collect::<Vec<_>>(), of_model(None));
            prop_assert_eq!(shelves.from(key_of(from), key_of).collect::<Vec<_>>(), of_model(key_of(from)));
        }
    }

    #[test]
    fn what_comes_in_order_fills_its_shelves_and_what_goes_leaves_none() {
        let in_order = |slot: Slot| Some(slot);
        let mut shelves = Shelves::default();
        (0..6_400).for_each(|slot| shelves.insert(slot, in_order));
        assert_eq!((shelves.shelves.len(), shelves.len()), (100, 6_400));
        assert!((0..6_400).rev().all(|slot| shelves.remove(slot, in_order)));
        assert_eq!((shelves.shelves.len(), shelves.len()), (0, 0));
    }
}
