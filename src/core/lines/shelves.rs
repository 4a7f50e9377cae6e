//! Slots in an order of which only the slots are held: a few bytes each, where keys in a tree would cost more than
//! the lines that they order. What a slot is ordered by is asked of whoever knows it, and stays while it is held.

use super::Slot;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

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
#[derive(Debug, Default)]
pub struct Shelves {
    /// Of each shelf the number of the key that it began with: but for the first, none on it lies before.
    bases: Vec<i64>,
    shelves: Vec<Shelf>,
    len: usize,
    ties_by_slot: bool,
}

/// A place to look for.
struct Sought<'k, K> {
    key: &'k Option<K>,
    number: i64,
    /// What tells it from keys of the same number; `None` where only the keys do.
    slot: Option<Slot>,
}

/// Beside each slot how far the number of its key lies above the shelf's base, as near as it can be told: most searches
/// need no more than that, and the keys themselves lie all over memory.
type Shelf = Vec<(u32, Slot)>;

fn distance(number: i64, base: i64) -> u32 {
    u32::try_from(number.saturating_sub(base).max(0)).unwrap_or(u32::MAX)
}

fn number_of<K: Key>(key: &Option<K>) -> i64 {
    key.as_ref().map_or(0, Key::number)
}

impl Shelves {
    /// For slots whose keys, where they have the same number, are ordered as the slots themselves: no key is asked for to
    /// tell them apart.
    pub fn with_ties_by_slot() -> Shelves {
        Shelves { ties_by_slot: true, ..Shelves::default() }
    }

    pub fn len(&self) -> usize {
        self.len
    }

    pub fn insert<K: Key>(&mut self, slot: Slot, key_of: impl Fn(Slot) -> Option<K>) {
        let key = key_of(slot);
        let sought = self.sought(&key, slot);
        let number = sought.number;
        self.len += 1;
        if self.shelves.is_empty() {
            self.bases.push(number);
            self.shelves.push(Shelf::new());
        }
        let at = self.shelf_of(&sought, &key_of);
        let (Ok(place) | Err(place)) = self.find(at, &sought, &key_of);
        let Some(middle) = self.split(at, place, number, &key_of) else { return self.put(at, place, slot, number) };
        match place.checked_sub(middle) {
            Some(place) => self.put(at + 1, place, slot, number),
            None => self.put(at, place, slot, number),
        }
    }

    /// Whether it was there.
    pub fn remove<K: Key>(&mut self, slot: Slot, key_of: impl Fn(Slot) -> Option<K>) -> bool {
        if self.shelves.is_empty() {
            return false;
        }
        let key = key_of(slot);
        let sought = self.sought(&key, slot);
        let at = self.shelf_of(&sought, &key_of);
        let Ok(place) = self.find(at, &sought, &key_of) else { return false };
        self.shelves[at].remove(place);
        self.len -= 1;
        if self.shelves[at].is_empty() {
            self.bases.remove(at);
            self.shelves.remove(at);
        }
        true
    }

    pub fn first(&self) -> Option<Slot> {
        self.shelves.first()?.first().map(|(_, slot)| *slot)
    }

    /// The slots in order, from the first whose key isn't before this one.
    pub fn from<K: Key>(&self, key: Option<K>, key_of: impl Fn(Slot) -> Option<K>) -> impl Iterator<Item = Slot> {
        let from = (!self.shelves.is_empty()).then(|| {
            let sought = Sought { key: &key, number: number_of(&key), slot: None };
            let at = self.shelf_of(&sought, &key_of);
            let (Ok(place) | Err(place)) = self.find(at, &sought, &key_of);
            (at, place)
        });
        let slots =
            from.map(|(at, place)| self.shelves[at][place..].iter().chain(self.shelves[at + 1..].iter().flatten()));
        slots.into_iter().flatten().map(|(_, slot)| *slot)
    }

    fn sought<'k, K: Key>(&self, key: &'k Option<K>, slot: Slot) -> Sought<'k, K> {
        Sought { key, number: number_of(key), slot: self.ties_by_slot.then_some(slot) }
    }

    /// The shelf where a key is, or belongs: the last that begins no later. There is one at least, and none is empty but
    /// one that has just been made.
    fn shelf_of<K: Key>(&self, sought: &Sought<'_, K>, key_of: &impl Fn(Slot) -> Option<K>) -> usize {
        let number = sought.number;
        let (mut from, mut until) = (0, self.bases.len());
        while until - from > 1 {
            let middle = from.midpoint(until);
            let begins_later = match self.bases[middle].cmp(&number) {
                Ordering::Equal => self.shelves[middle].first().is_some_and(|(distance, first)| match sought.slot {
                    Some(slot) => *distance > 0 || *first > slot,
                    None => key_of(*first) > *sought.key,
                }),
                apart => apart.is_gt(),
            };
            if begins_later { until = middle } else { from = middle }
        }
        from
    }

    /// Where a key is on a shelf, or belongs.
    fn find<K: Key>(
        &self,
        at: usize,
        sought: &Sought<'_, K>,
        key_of: &impl Fn(Slot) -> Option<K>,
    ) -> Result<usize, usize> {
        let distance = distance(sought.number, self.bases[at]);
        // What lies too far above the base, or on the first shelf before it, has no distance of its own.
        let is_exact = distance < u32::MAX && (distance > 0 || at > 0);
        let slot = sought.slot.filter(|_| is_exact);
        let beside = |held: &(u32, Slot)| match (held.0.cmp(&distance), slot) {
            (Ordering::Equal, Some(slot)) => held.1.cmp(&slot),
            (Ordering::Equal, None) => key_of(held.1).cmp(sought.key),
            (apart, _) => apart,
        };
        self.shelves[at].binary_search_by(beside)
    }

    fn put(&mut self, at: usize, place: usize, slot: Slot, number: i64) {
        let shelf = &mut self.shelves[at];
        if shelf.len() == shelf.capacity() {
            shelf.reserve_exact(ROOM);
        }
        shelf.insert(place, (distance(number, self.bases[at]), slot));
    }

    /// Parts a full shelf before something is put at a place of it: what lies from another place on, which it gives, goes to
    /// a shelf of its own. What comes in its order leaves full shelves behind. `number` is that of what comes.
    fn split<K: Key>(
        &mut self,
        at: usize,
        place: usize,
        number: i64,
        key_of: &impl Fn(Slot) -> Option<K>,
    ) -> Option<usize> {
        if self.shelves[at].len() < SHELF_MAX {
            return None;
        }
        let middle = if place == SHELF_MAX { SHELF_MAX } else { SHELF_MAX / 2 };
        let base = self.bases[at];
        let exact = |distance: u32| (distance > 0 && distance < u32::MAX).then(|| base + i64::from(distance));
        let number_of = |held: &(u32, Slot)| exact(held.0).unwrap_or_else(|| number_of(&key_of(held.1)));
        let mut moved = self.shelves[at].split_off(middle);
        self.shelves[at].shrink_to(middle + ROOM);
        let first = moved.first().filter(|_| place != middle);
        let further = first.map_or(number, number_of);
        moved.iter_mut().for_each(|held| held.0 = distance(number_of(held), further));
        self.bases.insert(at + 1, further);
        self.shelves.insert(at + 1, moved);
        Some(middle)
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
        #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn shelves_hold_what_a_set_of_the_keys_would(
            steps in prop::collection::vec((prop::bool::weighted(0.7), 0u32..3_000), 0..2_000), from in 0u32..3_000,
            ties_by_slot in prop::bool::ANY
        ) {
            let kind = || if ties_by_slot { Shelves::with_ties_by_slot() } else { Shelves::default() };
            let (mut shelves, mut model) = (kind(), BTreeSet::new());
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
        assert_eq!((shelves.shelves.len(), shelves.len()), (25_600 / SHELF_MAX, 25_600));
        assert!((0..25_600).rev().all(|slot| shelves.remove(slot, in_order)));
        assert_eq!((shelves.shelves.len(), shelves.len()), (0, 0));
    }
}
