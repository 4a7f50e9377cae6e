//! Lines in the order of their places. Many fall due at one instant, and most of those came in at one: they were promised
//! the same length. Lines of one length lie together, ordered by what their shelves hold, so that ties cost no look at the
//! lines, which lie all over memory.

use super::merge::merge_all;
use super::shelves::Shelves;
use super::slab::Slab;
use super::{DUE_BITS, Place, Slot};
use crate::core::time::Span;

/// Lengths that have shelves of their own; deadlines that a calendar makes or the platform states may have any.
const LENGTHS_MAX: usize = 4;

#[derive(Debug, Default)]
pub struct Ordered {
    /// By the time from receipt to the deadline: two that fall due together have come in together.
    by_length: Vec<(Span, Shelves)>,
    others: Shelves,
}

impl Ordered {
    pub fn len(&self) -> usize {
        self.all().map(Shelves::len).sum()
    }

    pub fn insert(&mut self, slot: Slot, slab: &Slab) {
        let place = |slot| slab.place(slot);
        let Some(length) = length(slot, slab) else { return self.others.insert(slot, place) };
        if let Some((_, shelves)) = self.by_length.iter_mut().find(|(held, _)| *held == length) {
            shelves.insert(slot, place);
        } else if self.by_length.len() < LENGTHS_MAX {
            let mut shelves = Shelves::with_ties_by_slot();
            shelves.insert(slot, place);
            self.by_length.push((length, shelves));
        } else {
            self.others.insert(slot, place);
        }
    }

    /// Before the line goes or changes. Gives whether it was there.
    pub fn remove(&mut self, slot: Slot, slab: &Slab) -> bool {
        let length = length(slot, slab);
        let place = |slot| slab.place(slot);
        let Some(held) = self.by_length.iter().position(|(held, _)| Some(*held) == length) else {
            return self.others.remove(slot, place);
        };
        let shelves = &mut self.by_length[held].1;
        // It may have come while others held all the shelves there are.
        let was_there = shelves.remove(slot, place) || self.others.remove(slot, place);
        if self.by_length[held].1.len() == 0 {
            self.by_length.remove(held);
        }
        was_there
    }

    /// Puts everything in its place that waits for more to come.
    pub fn settle(&mut self, slab: &Slab) {
        let all = self.by_length.iter_mut().map(|(_, shelves)| shelves).chain([&mut self.others]);
        all.for_each(|shelves| shelves.settle(|slot| slab.place(slot)));
    }

    pub fn first(&self, slab: &Slab) -> Option<Place> {
        self.all().flat_map(Shelves::firsts).filter_map(|slot| slab.place(slot)).min()
    }

    /// All of them in order, from the first that isn't before this place.
    pub fn from<'s>(&'s self, first: Option<Place>, slab: &'s Slab) -> impl Iterator<Item = Place> + 's {
        let place = |slot| slab.place(slot);
        merge_all(self.all().map(|shelves| shelves.from(first, place)).collect())
    }

    fn all(&self) -> impl Iterator<Item = &Shelves> {
        self.by_length.iter().map(|(_, shelves)| shelves).chain([&self.others])
    }
}

/// `None` where there is no deadline, or none that its key has a number of its own for.
fn length(slot: Slot, slab: &Slab) -> Option<Span> {
    let line = slab.line(slot)?;
    (0..1 << DUE_BITS).contains(&line.due.micros()).then(|| line.due.since(line.received))
}
