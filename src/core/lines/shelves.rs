//! Slots in an order of which only the slots are held: a few bytes each, where keys in a tree would cost more than
//! the lines that they order. What a slot is ordered by is asked of whoever knows it, and stays while it is held.

use super::Slot;
use super::merge::merge;
use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

/// Slots that lie together.
const SHELF_MAX: usize = 256;
/// Room that a shelf gets at a time: little of it stays empty.
const ROOM: usize = 32;
/// So many wait to be put on their shelves, an eighth of what is there: of those that come together, as at a first look,
/// several go to one shelf, and it is found and fetched from memory once for all of them.
const LATE_PART: usize = 8;
const LATE_MAX: usize = 8_192;

/// What slots are ordered by.
pub trait Key: Ord + Clone {
    /// A number that orders no two keys otherwise than they order themselves; close ones should differ by little.
    fn number(&self) -> i64;
}

/// The keys are total: no two slots have the same.
#[derive(Debug, Default)]
pub struct Shelves {
    /// Of each shelf a number before which none of its keys lies, and after which none of the shelves before it.
    bases: Vec<i64>,
    shelves: Vec<Shelf>,
    /// How many are on shelves.
    shelved: usize,
    /// What came last and is on no shelf yet, in no order.
    late: Vec<Numbered>,
    first_late: Option<Slot>,
    ties_by_slot: bool,
}

/// Beside each slot how far the number of its key lies above the shelf's base, as near as it can be told: most searches
/// need no more than that, and the keys themselves lie all over memory.
type Shelf = Vec<(u32, Slot)>;

/// A slot and the number of its key.
type Numbered = (i64, Slot);

/// A place to look for, and how what is held lies beside it.
struct Sought<T, K> {
    number: i64,
    /// Of a slot whose key has the same number.
    tie: T,
    /// Of any slot.
    by_key: K,
}

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
        self.shelved + self.late.len()
    }

    pub fn insert<K: Key>(&mut self, slot: Slot, key_of: impl Fn(Slot) -> Option<K>) {
        let key = key_of(slot);
        if self.first_late.is_none_or(|first| key < key_of(first)) {
            self.first_late = Some(slot);
        }
        self.late.push((number_of(&key), slot));
        if self.late.len() >= (self.shelved / LATE_PART).clamp(SHELF_MAX, LATE_MAX) {
            self.settle(key_of);
        }
    }

    /// The same, at its place at once.
    pub fn insert_now<K: Key>(&mut self, slot: Slot, key_of: impl Fn(Slot) -> Option<K>) {
        let run = [(number_of(&key_of(slot)), slot)];
        self.put_all(&run, &key_of);
    }

    /// The slot of this number, of those that were put in their place at once and of which no two have the same.
    pub fn of_number<K: Key>(&self, number: i64, key_of: impl Fn(Slot) -> Option<K>) -> Option<Slot> {
        if self.shelves.is_empty() {
            return None;
        }
        let by_key = |held: Slot| number_of(&key_of(held)).cmp(&number);
        let sought = Sought { number, tie: |_| Ordering::Equal, by_key };
        let at = self.shelf_of(&sought);
        find(&self.shelves[at], self.bases[at], &sought).ok().map(|place| self.shelves[at][place].1)
    }

    /// Whether it was there.
    pub fn remove<K: Key>(&mut self, slot: Slot, key_of: impl Fn(Slot) -> Option<K>) -> bool {
        self.settle(&key_of);
        if self.shelves.is_empty() {
            return false;
        }
        let sought = of_slot(self.ties_by_slot, (number_of(&key_of(slot)), slot), &key_of);
        let at = self.shelf_of(&sought);
        let Ok(place) = find(&self.shelves[at], self.bases[at], &sought) else { return false };
        self.shelves[at].remove(place);
        self.shelved -= 1;
        if self.shelves[at].is_empty() {
            self.bases.remove(at);
            self.shelves.remove(at);
        }
        true
    }

    /// One of these is the first.
    pub fn firsts(&self) -> impl Iterator<Item = Slot> {
        let shelved = self.shelves.first().and_then(|shelf| shelf.first()).map(|(_, slot)| *slot);
        shelved.into_iter().chain(self.first_late)
    }

    /// The keys in order, from the first that isn't before this one.
    pub fn from<K: Key>(&self, key: Option<K>, key_of: impl Fn(Slot) -> Option<K> + Copy) -> impl Iterator<Item = K> {
        let from = (!self.shelves.is_empty()).then(|| {
            let by_key = |held: Slot| key_of(held).cmp(&key);
            let sought = Sought { number: number_of(&key), tie: by_key, by_key };
            let at = self.shelf_of(&sought);
            let (Ok(place) | Err(place)) = find(&self.shelves[at], self.bases[at], &sought);
            (at, place)
        });
        let shelved =
            from.map(|(at, place)| self.shelves[at][place..].iter().chain(self.shelves[at + 1..].iter().flatten()));
        let shelved = shelved.into_iter().flatten().filter_map(move |(_, slot)| key_of(*slot));
        let late = self.late.iter().filter_map(|(_, slot)| key_of(*slot)).filter(|late| Some(late) >= key.as_ref());
        let mut late: BinaryHeap<Reverse<K>> = late.map(Reverse).collect();
        merge(shelved, std::iter::from_fn(move || late.pop().map(|Reverse(first)| first)))
    }

    /// Puts what came last on its shelves.
    pub fn settle<K: Key>(&mut self, key_of: impl Fn(Slot) -> Option<K>) {
        let mut late = std::mem::take(&mut self.late);
        self.first_late = None;
        if self.ties_by_slot {
            late.sort_unstable();
        } else {
            late.sort_unstable_by_key(|(_, slot)| key_of(*slot));
        }
        self.put_all(&late, &key_of);
    }

    fn put_all<K: Key>(&mut self, mut run: &[Numbered], key_of: &impl Fn(Slot) -> Option<K>) {
        while let Some(first) = run.first() {
            run = &run[self.put_some(*first, run, key_of)..];
        }
    }

    /// Puts the first of these on the shelf that they belong to, and gives how many: none where it had no room.
    fn put_some<K: Key>(&mut self, first: Numbered, run: &[Numbered], key_of: &impl Fn(Slot) -> Option<K>) -> usize {
        if self.shelves.is_empty() {
            self.bases.push(first.0);
            self.shelves.push(Shelf::new());
        }
        let at = self.shelf_of(&of_slot(self.ties_by_slot, first, key_of));
        let room = SHELF_MAX - self.shelves[at].len();
        if room == 0 {
            self.part(at, first, key_of);
            return 0;
        }
        let is_here = |next: i64| run.iter().take(room).take_while(|late| late.0 < next).count().max(1);
        let here = self.bases.get(at + 1).map_or(room.min(run.len()), |next| is_here(*next));
        self.put(at, &run[..here], key_of);
        here
    }

    /// Puts what is in order on a shelf that has room for it.
    fn put<K: Key>(&mut self, at: usize, late: &[Numbered], key_of: &impl Fn(Slot) -> Option<K>) {
        self.lower(at, late.first().map_or(i64::MAX, |first| first.0));
        let base = self.bases[at];
        let mut end = self.shelves[at].len();
        let (all, shelf) = (end + late.len(), &mut self.shelves[at]);
        shelf.reserve_exact(all.next_multiple_of(ROOM) - end);
        shelf.resize(all, (0, 0));
        for (further, numbered) in late.iter().enumerate().rev() {
            let sought = of_slot(self.ties_by_slot, *numbered, key_of);
            let (Ok(place) | Err(place)) = find(&self.shelves[at][..end], base, &sought);
            let shelf = &mut self.shelves[at];
            shelf.copy_within(place..end, place + further + 1);
            shelf[place + further] = (distance(numbered.0, base), numbered.1);
            end = place;
        }
        self.shelved += late.len();
    }

    /// Lets a shelf, the first, begin earlier.
    fn lower(&mut self, at: usize, number: i64) {
        let base = &mut self.bases[at];
        if number < *base {
            let by = distance(*base, number);
            self.shelves[at].iter_mut().for_each(|held| held.0 = held.0.saturating_add(by));
            *base = number;
        }
    }

    /// Parts a full shelf before another slot comes: its second half gets a shelf of its own. What comes in its order leaves
    /// full shelves behind.
    fn part<K: Key>(&mut self, at: usize, comes: Numbered, key_of: &impl Fn(Slot) -> Option<K>) {
        let base = self.bases[at];
        let is_behind = find(&self.shelves[at], base, &of_slot(self.ties_by_slot, comes, key_of)) == Err(SHELF_MAX);
        let middle = if is_behind { SHELF_MAX } else { SHELF_MAX / 2 };
        let exact = |distance: u32| (distance < u32::MAX).then(|| base + i64::from(distance));
        let number_of = |held: &(u32, Slot)| exact(held.0).unwrap_or_else(|| number_of(&key_of(held.1)));
        let mut moved = self.shelves[at].split_off(middle);
        self.shelves[at].shrink_to(middle.next_multiple_of(ROOM));
        let further = moved.first().map_or(comes.0, number_of);
        moved.iter_mut().for_each(|held| held.0 = distance(number_of(held), further));
        self.bases.insert(at + 1, further);
        self.shelves.insert(at + 1, moved);
    }

    /// The shelf where a place is, or belongs: the last that begins no later. There is one at least, and none is empty but
    /// one that has just been made.
    fn shelf_of(&self, sought: &Sought<impl Fn(Slot) -> Ordering, impl Fn(Slot) -> Ordering>) -> usize {
        let (mut from, mut until) = (0, self.bases.len());
        while until - from > 1 {
            let middle = from.midpoint(until);
            let begins_later = match self.bases[middle].cmp(&sought.number) {
                Ordering::Equal => self.shelves[middle]
                    .first()
                    .is_some_and(|(distance, first)| *distance > 0 || (sought.tie)(*first).is_gt()),
                apart => apart.is_gt(),
            };
            if begins_later { until = middle } else { from = middle }
        }
        from
    }
}

fn of_slot<K: Key>(
    ties_by_slot: bool,
    (number, slot): Numbered,
    key_of: &impl Fn(Slot) -> Option<K>,
) -> Sought<impl Fn(Slot) -> Ordering, impl Fn(Slot) -> Ordering> {
    let by_key = move |held: Slot| key_of(held).cmp(&key_of(slot));
    let tie = move |held: Slot| if ties_by_slot { held.cmp(&slot) } else { by_key(held) };
    Sought { number, tie, by_key }
}

/// Where a place is on a shelf, or belongs.
fn find(
    shelf: &[(u32, Slot)],
    base: i64,
    sought: &Sought<impl Fn(Slot) -> Ordering, impl Fn(Slot) -> Ordering>,
) -> Result<usize, usize> {
    if sought.number < base {
        return Err(0);
    }
    let distance = distance(sought.number, base);
    shelf.binary_search_by(|held| match held.0.cmp(&distance) {
        // What lies too far above the base has no distance of its own.
        Ordering::Equal if distance == u32::MAX => (sought.by_key)(held.1),
        Ordering::Equal => (sought.tie)(held.1),
        apart => apart,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::btree_map::Entry;
    use std::collections::{BTreeMap, BTreeSet};

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
            prop_assert_eq!(walk(&shelves, None), of_model(None));
            prop_assert_eq!(walk(&shelves, key_of(from)), of_model(key_of(from)));
            let first = shelves.firsts().filter_map(key_of).min();
            prop_assert_eq!(first.map(|key| key.1), of_model(None).first().copied());
        }

        #[test]
        fn a_slot_is_found_by_a_number_that_it_alone_has(
            numbers in prop::collection::vec(prop_oneof![-3_000i64..3_000, any::<i64>()], 1..2_000), gone in 0usize..100
        ) {
            let of_slot = |slot: Slot| numbers.get(slot as usize).map(|number| Drawn(*number, 0));
            let (mut shelves, mut model) = (Shelves::default(), BTreeMap::new());
            for (slot, number) in (0..).zip(&numbers) {
                if let Entry::Vacant(place) = model.entry(*number) {
                    place.insert(slot);
                    shelves.insert_now(slot, of_slot);
                }
            }
            for number in numbers.iter().take(gone) {
                if let Some(slot) = model.remove(number) {
                    prop_assert!(shelves.remove(slot, of_slot));
                }
            }
            for number in numbers.iter().flat_map(|number| [number.saturating_sub(1), *number, number.saturating_add(1)]) {
                prop_assert_eq!(shelves.of_number(number, of_slot), model.get(&number).copied(), "{}", number);
            }
        }
    }

    fn walk(shelves: &Shelves, from: Option<Drawn>) -> Vec<Slot> {
        shelves.from(from, key_of).map(|key| key.1).collect()
    }

    #[test]
    fn what_comes_in_no_order_lies_in_order_however_much_there_is() {
        for kind in [Shelves::with_ties_by_slot, Shelves::default] {
            let (mut shelves, slots) = (kind(), 0..3 * LATE_MAX as Slot + 7);
            slots.clone().for_each(|slot| shelves.insert(slot, key_of));
            let ordered: BTreeSet<Option<Drawn>> = slots.map(key_of).collect();
            let ordered: Vec<Slot> = ordered.into_iter().flatten().map(|key| key.1).collect();
            assert_eq!((shelves.len(), walk(&shelves, None) == ordered), (ordered.len(), true));
            shelves.settle(key_of);
            assert_eq!((shelves.len(), walk(&shelves, None) == ordered), (ordered.len(), true));
        }
    }

    #[test]
    fn what_comes_in_order_fills_its_shelves_and_what_goes_leaves_none() {
        let in_order = |slot: Slot| Some(Drawn(i64::from(slot), slot));
        let mut shelves = Shelves::default();
        (0..25_600).for_each(|slot| shelves.insert(slot, in_order));
        shelves.settle(in_order);
        assert_eq!((shelves.shelves.len(), shelves.len()), (25_600 / SHELF_MAX, 25_600));
        assert!((0..25_600).rev().all(|slot| shelves.remove(slot, in_order)));
        assert_eq!((shelves.shelves.len(), shelves.len()), (0, 0));
    }
}
