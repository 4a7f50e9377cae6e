//! Slots in an order of which only the slots are held: a few bytes each, where keys in a tree would cost more than
//! the lines that they order. What a slot is ordered by is asked of whoever knows it, and stays while it is held.

use super::Slot;
use std::cmp::{Ordering, Reverse};
use std::collections::binary_heap::PeekMut;
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::Bound;

/// Slots that lie together.
const SHELF_MAX: usize = 256;
/// Room that a full shelf gets at a time: little of it stays empty.
const ROOM: usize = 32;

/// What slots are ordered by.
pub trait Key: Ord + Clone {
    /// A number that orders no two keys otherwise than they order themselves; close ones should differ by little.
    fn number(&self) -> i64;
}

/// The keys are total: no two slots have the same.
#[derive(Debug)]
pub struct Shelves<K> {
    /// By a key that none of the shelf lies before; the first has none.
    shelves: BTreeMap<Option<K>, Shelf>,
    len: usize,
}

/// Beside each slot how far the number of its key lies above the base, as near as it can be told: most searches need no
/// more than that, and the keys themselves lie all over memory.
#[derive(Debug)]
struct Shelf {
    base: i64,
    slots: Vec<(u32, Slot)>,
}

impl<K> Default for Shelves<K> {
    fn default() -> Self {
        Shelves { shelves: BTreeMap::new(), len: 0 }
    }
}

impl Shelf {
    fn new(base: i64) -> Shelf {
        Shelf { base, slots: Vec::new() }
    }

    fn distance(&self, number: i64) -> u32 {
        u32::try_from(number.saturating_sub(self.base).max(0)).unwrap_or(u32::MAX)
    }

    /// Where a key is, or belongs.
    fn find<K: Key>(&self, key: &Option<K>, key_of: &impl Fn(Slot) -> Option<K>) -> Result<usize, usize> {
        let distance = self.distance(number_of(key));
        let beside = |held: &(u32, Slot)| match held.0.cmp(&distance) {
            Ordering::Equal => key_of(held.1).cmp(key),
            apart => apart,
        };
        self.slots.binary_search_by(beside)
    }

    fn put(&mut self, place: usize, slot: Slot, number: i64) {
        if self.slots.len() == self.slots.capacity() {
            self.slots.reserve_exact(ROOM);
        }
        self.slots.insert(place, (self.distance(number), slot));
    }

    /// Parts it: what lies from this place on goes to a shelf of its own, whose base is `base` where nothing does.
    fn split_off<K: Key>(&mut self, at: usize, base: i64, key_of: &impl Fn(Slot) -> Option<K>) -> Shelf {
        let number = |slot: Slot| number_of(&key_of(slot));
        let moved = self.slots.split_off(at);
        self.slots.shrink_to(at + ROOM);
        let mut further = Shelf::new(moved.first().map_or(base, |(_, slot)| number(*slot)));
        let exact = |distance: u32| (distance > 0 && distance < u32::MAX).then(|| self.base + i64::from(distance));
        let moved = moved.into_iter().map(|(distance, slot)| (exact(distance).unwrap_or_else(|| number(slot)), slot));
        further.slots = moved.map(|(number, slot)| (further.distance(number), slot)).collect();
        further
    }
}

fn number_of<K: Key>(key: &Option<K>) -> i64 {
    key.as_ref().map_or(0, Key::number)
}

impl<K: Key> Shelves<K> {
    pub fn len(&self) -> usize {
        self.len
    }

    pub fn insert(&mut self, slot: Slot, key_of: impl Fn(Slot) -> Option<K>) {
        let key = key_of(slot);
        let number = number_of(&key);
        self.len += 1;
        let Some((_, shelf)) = self.shelves.range_mut(..=&key).next_back() else {
            let mut first = Shelf::new(number);
            first.put(0, slot, number);
            self.shelves.insert(None, first);
            return;
        };
        let (Ok(place) | Err(place)) = shelf.find(&key, &key_of);
        if shelf.slots.len() < SHELF_MAX {
            return shelf.put(place, slot, number);
        }
        // What comes in its order leaves full shelves behind.
        let middle = if place == SHELF_MAX { SHELF_MAX } else { SHELF_MAX / 2 };
        let mut further = shelf.split_off(middle, number, &key_of);
        match place.checked_sub(middle) {
            Some(place) => further.put(place, slot, number),
            None => shelf.put(place, slot, number),
        }
        self.shelves.insert(key_of(further.slots[0].1), further);
    }

    /// Whether it was there.
    pub fn remove(&mut self, slot: Slot, key_of: impl Fn(Slot) -> Option<K>) -> bool {
        let key = key_of(slot);
        let Some((bound, shelf)) = self.shelves.range_mut(..=&key).next_back() else { return false };
        let Ok(place) = shelf.find(&key, &key_of) else { return false };
        shelf.slots.remove(place);
        self.len -= 1;
        if shelf.slots.is_empty() {
            let bound = bound.clone();
            self.shelves.remove(&bound);
        }
        true
    }

    pub fn first(&self) -> Option<Slot> {
        self.shelves.first_key_value().and_then(|(_, shelf)| shelf.slots.first()).map(|(_, slot)| *slot)
    }

    /// The slots in order, from the first whose key isn't before this one.
    pub fn from(&self, key: Option<K>, key_of: impl Fn(Slot) -> Option<K>) -> impl Iterator<Item = Slot> {
        let rest = self.shelves.range((Bound::Excluded(&key), Bound::Unbounded));
        let first = self.shelves.range(..=&key).next_back().map(|(_, shelf)| {
            let (Ok(place) | Err(place)) = shelf.find(&key, &key_of);
            &shelf.slots[place..]
        });
        first.into_iter().flatten().chain(rest.flat_map(|(_, shelf)| &shelf.slots)).map(|(_, slot)| *slot)
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

/// Any number of ordered walks as one.
pub fn merge_all<W: Iterator<Item = T>, T: Ord>(mut walks: Vec<W>) -> impl Iterator<Item = T> {
    let first = |(at, walk): (usize, &mut W)| walk.next().map(|first| Reverse((first, at)));
    let mut heads: BinaryHeap<Reverse<(T, usize)>> = walks.iter_mut().enumerate().filter_map(first).collect();
    std::iter::from_fn(move || {
        let mut head = heads.peek_mut()?;
        let at = head.0.1;
        let Reverse((first, _)) = match walks[at].next() {
            Some(next) => std::mem::replace(&mut *head, Reverse((next, at))),
            None => PeekMut::pop(head),
        };
        Some(first)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
    struct Drawn(i64, Slot);

    impl Key for Drawn {
        fn number(&self) -> i64 {
            self.0
        }
    }

    /// Keys that don't follow the slots: some the same but for their slots, some close together, some far apart.
    fn key_of(slot: Slot) -> Option<Drawn> {
        let drawn = i64::from(slot.wrapping_mul(2_654_435_761) >> 20);
        Some(Drawn(if slot.is_multiple_of(3) { drawn << 40 } else { drawn }, slot))
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
            let of_model = |from| model.range(from..).filter_map(|key: &Option<Drawn>| Some((*key)?.1)).collect::<Vec<_>>();
            prop_assert_eq!(shelves.len(), model.len());
            prop_assert_eq!(shelves.from(None, key_of).collect::<Vec<_>>(), of_model(None));
            prop_assert_eq!(shelves.from(key_of(from), key_of).collect::<Vec<_>>(), of_model(key_of(from)));
        }
    }

    #[test]
    fn any_number_of_ordered_walks_are_one_ordered_walk() {
        let walks = [vec![], vec![1, 4, 4, 9], vec![2], vec![0, 4, 10]];
        let merged: Vec<i32> = merge_all(walks.into_iter().map(Vec::into_iter).collect()).collect();
        assert_eq!(merged, [0, 1, 2, 4, 4, 4, 9, 10]);
        assert_eq!(merge_all(Vec::<std::vec::IntoIter<i32>>::new()).next(), None);
    }

    #[test]
    fn what_comes_in_order_fills_its_shelves_and_what_goes_leaves_none() {
        let in_order = |slot: Slot| Some(Drawn(i64::from(slot), slot));
        let mut shelves = Shelves::default();
        (0..25_600).for_each(|slot| shelves.insert(slot, in_order));
        assert_eq!((shelves.shelves.len(), shelves.len()), (100, 25_600));
        assert!((0..25_600).rev().all(|slot| shelves.remove(slot, in_order)));
        assert_eq!((shelves.shelves.len(), shelves.len()), (0, 0));
    }
}
