//! Many lines at once: in rank order, by when they wake, by source, by slot.

use super::{Lines, Place, Slot, merge, past};
use crate::core::id::{EpisodeKey, Name, ReportKey};
use crate::core::policy::Priority;
use crate::core::rank::Rank;
use crate::core::segments::Remembered;
use crate::core::time::Timestamp;
use crate::core::view::Group;
use std::ops::Range;

impl Lines {
    pub fn priority(&self, slot: Slot) -> Option<Priority> {
        self.slab.kind(slot).map(|kind| kind.priority)
    }

    pub fn group(&self, slot: Slot) -> Option<Group> {
        let kind = self.slab.kind(slot)?;
        Some(Group { source: kind.source.clone(), category: kind.category.clone(), priority: kind.priority })
    }

    /// Since when it is open, and the deadline that ranks it.
    pub fn runs(&self, slot: Slot) -> Option<(Timestamp, Option<Timestamp>)> {
        self.slab.line(slot).map(|line| (line.received, Some(line.due).filter(|due| *due < Timestamp::MAX)))
    }

    /// Whether a case is one of them.
    pub fn holds(&self, key: &EpisodeKey) -> bool {
        self.slot_of(key).is_some()
    }

    /// What the next start must know of a line.
    pub fn remembered(&self, slot: Slot) -> Option<Remembered> {
        let (line, kind) = (self.slab.line(slot)?, self.slab.kind(slot)?);
        Some(Remembered { id: self.slab.id(slot)?, category: kind.category.clone(), received: line.received })
    }

    /// When the next deadline has passed.
    pub fn wakes_at(&self) -> Option<Timestamp> {
        let running = Priority::ALL.into_iter().filter_map(|priority| self.running_to(priority).next());
        let next = Priority::ALL.into_iter().filter_map(|priority| self.next_of_priority(priority).next());
        running.chain(next).map(|(deadline, _)| past(deadline)).min()
    }

    /// Lines of which a deadline has passed, by priority.
    pub fn due(&self, now: Timestamp) -> impl Iterator<Item = Slot> {
        let of_priority = |priority| merge(self.running_to(priority), self.next_of_priority(priority));
        let due = move |priority| of_priority(priority).take_while(move |(deadline, _)| past(*deadline) <= now);
        Priority::ALL.into_iter().flat_map(due).map(|(_, slot)| slot)
    }

    /// The deadlines that lines of a priority run to which are not overdue, the earliest first.
    fn running_to(&self, priority: Priority) -> impl Iterator<Item = (Timestamp, Slot)> {
        let places = self.running_from(first_of(priority));
        let running = places.take_while(move |place| place.0 == priority && place.1 < Timestamp::MAX);
        running.map(|(_, deadline, _, slot)| (deadline, slot))
    }

    /// The same of those that are.
    fn next_of_priority(&self, priority: Priority) -> impl Iterator<Item = (Timestamp, Slot)> {
        let next = self.next.range((priority, Timestamp::MIN, 0)..).take_while(move |next| next.0 == priority);
        next.map(|(_, deadline, slot)| (*deadline, *slot))
    }

    /// Reports of a source that no read begun since `since` has answered for.
    pub fn unseen(&self, source: &Name, since: Timestamp) -> impl Iterator<Item = (Priority, ReportKey)> {
        let lines = self.slab.lines_from(0);
        let unseen = lines.filter(move |(_, line, kind)| line.read_began < since && kind.source == *source);
        unseen.filter_map(|(slot, _, kind)| Some((kind.priority, self.report_key(slot)?)))
    }

    /// The first lines in rank order after this place, at most `limit`; from the first where none is given.
    pub fn after(&self, after: Option<&Rank>, limit: usize) -> Vec<(Rank, Slot)> {
        let from = after.map_or(first_of(Priority::P0), |rank| (rank.priority, rank.deadline, rank.received, 0));
        let places = merge(self.passed_from(from), self.running_from(from));
        let ranked = |place: Place| Some((self.slab.rank(place.3)?, place.3));
        let ranks = in_order(places, |place| (place.0, place.1, place.2), ranked);
        ranks.filter(|(rank, _)| after.is_none_or(|after| rank > after)).take(limit).collect()
    }

    /// Lines of this priority.
    pub fn of_priority(&self, priority: Priority) -> impl Iterator<Item = Slot> {
        let from = first_of(priority);
        let running = self.running_from(from).take_while(move |place| place.0 == priority);
        running.chain(self.passed_from(from).take_while(move |place| place.0 == priority)).map(|place| place.3)
    }

    /// Lines in the order in which they lie, from this slot on.
    pub fn starting_at(&self, slot: Slot) -> impl Iterator<Item = Slot> {
        self.slab.lines_from(slot).map(|(slot, _, _)| slot)
    }

    pub fn iter(&self) -> impl Iterator<Item = Slot> {
        self.starting_at(0)
    }

    /// The lines of these slots.
    pub fn within(&self, slots: Range<Slot>) -> impl Iterator<Item = Slot> {
        self.starting_at(slots.start).take_while(move |slot| *slot < slots.end)
    }

    /// One more than the last slot.
    pub fn end(&self) -> Slot {
        self.slab.end()
    }

    /// The lines of a source from a slot on.
    pub fn slots_of(&self, source: &Name, from: Slot) -> impl Iterator<Item = Slot> {
        self.slab.lines_from(from).filter(move |(_, _, kind)| kind.source == *source).map(|(slot, _, _)| slot)
    }

    fn running_from(&self, from: Place) -> impl Iterator<Item = Place> {
        self.running.from(Some(from), |slot| self.slab.place(slot)).filter_map(|slot| self.slab.place(slot))
    }

    fn passed_from(&self, from: Place) -> impl Iterator<Item = Place> {
        self.passed.from(Some(from), |slot| self.slab.place(slot)).filter_map(|slot| self.slab.place(slot))
    }
}

/// What stands at these places, in its own order: places follow it but for ties, which `tie` tells.
pub fn in_order<K: PartialEq, T: Ord>(
    places: impl Iterator<Item = Place>,
    tie: impl Fn(&Place) -> K,
    at: impl Fn(Place) -> Option<T>,
) -> impl Iterator<Item = T> {
    let mut places = places.peekable();
    let ties = std::iter::from_fn(move || {
        let first = places.next()?;
        let same = tie(&first);
        let mut tied: Vec<T> = at(first).into_iter().collect();
        while let Some(next) = places.next_if(|next| tie(next) == same) {
            tied.extend(at(next));
        }
        tied.sort_unstable();
        Some(tied)
    });
    ties.flatten()
}

fn first_of(priority: Priority) -> Place {
    (priority, Timestamp::MIN, Timestamp::MIN, 0)
}
