//! Many lines at once: in rank order, by when they wake, by source, by slot.

use super::{Lines, Place, Slot, merge, past};
use crate::core::id::{Name, ReportKey};
use crate::core::observation::Observation;
use crate::core::pace::Open;
use crate::core::plan::Rows;
use crate::core::policy::Priority;
use crate::core::rank::Rank;
use crate::core::segments::Remembered;
use crate::core::time::Timestamp;
use crate::core::view::{Counts, Group};
use std::ops::Range;

/// What a read says of a report that is a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Said {
    /// A later one has been taken in already.
    Older,
    Nothing,
    Something,
}

impl Lines {
    pub fn priority(&self, slot: Slot) -> Option<Priority> {
        self.slab.kind(slot).map(|kind| kind.priority)
    }

    /// What the next start must know of a line.
    pub fn remembered(&self, slot: Slot) -> Option<Remembered> {
        let (line, kind) = (self.slab.line(slot)?, self.slab.kind(slot)?);
        Some(Remembered { id: self.slab.id(slot)?, category: kind.category.clone(), received: line.received })
    }

    /// When the next deadline has passed.
    pub fn wakes_at(&self) -> Option<Timestamp> {
        let running = self.ranked.first_deadlines(&self.slab).map(|(_, deadline)| deadline);
        let next = Priority::ALL.into_iter().filter_map(|priority| self.next_of_priority(priority).next());
        running.chain(next.map(|(deadline, _)| deadline)).map(past).min()
    }

    /// Lines of which a deadline has passed, by priority.
    pub fn due(&self, now: Timestamp) -> impl Iterator<Item = Slot> {
        let is_due = move |deadline: Timestamp| past(deadline) <= now;
        let runs_out = move |priority| {
            let mut firsts = self.ranked.first_deadlines(&self.slab);
            firsts.any(|(of, deadline)| of == priority && is_due(deadline))
        };
        let of_priority = move |priority| {
            let running = runs_out(priority).then(|| self.running_to(priority)).into_iter().flatten();
            merge(running, self.next_of_priority(priority)).take_while(move |(deadline, _)| is_due(*deadline))
        };
        Priority::ALL.into_iter().flat_map(of_priority).map(|(_, slot)| slot)
    }

    /// The deadlines that lines of a priority run to which are not overdue, the earliest first.
    fn running_to(&self, priority: Priority) -> impl Iterator<Item = (Timestamp, Slot)> {
        let places = self.ranked.running(&self.slab, FIRST, priority..=priority);
        let running = places.take_while(|place| place.1 < Timestamp::MAX);
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
        let from = after.map_or(FIRST, |rank| (rank.priority, rank.deadline, rank.received, 0));
        let further = from.0..=Priority::P4;
        let running = self.ranked.running(&self.slab, from, further.clone());
        let places = merge(self.ranked.passed(&self.slab, from, further), running);
        let ranked = |place: Place| Some((self.slab.rank(place.3)?, place.3));
        let ranks = in_order(places, |place| (place.0, place.1, place.2), ranked);
        ranks.filter(|(rank, _)| after.is_none_or(|after| rank > after)).take(limit).collect()
    }

    /// Lines of this priority.
    pub fn of_priority(&self, priority: Priority) -> impl Iterator<Item = Slot> {
        let running = self.ranked.running(&self.slab, FIRST, priority..=priority);
        let passed = self.ranked.passed(&self.slab, FIRST, priority..=priority);
        running.chain(passed).map(|place| place.3)
    }

    /// How many lines are open and overdue, of every group that there was, in parts.
    pub fn counts(&self) -> impl Iterator<Item = (Group, Counts)> {
        self.ranked.counts(&self.slab)
    }

    /// How old they are, and what falls due next, in parts.
    pub fn open(&self, now: Timestamp) -> impl Iterator<Item = (Group, Open)> {
        self.ranked.open(&self.slab, now)
    }

    /// The line of each row; `None` for those that are none. All are looked up before any is judged: they lie all over
    /// memory, and a processor waits for several places at once where nothing comes between.
    pub fn slots(&self, rows: &Rows) -> Vec<Option<Slot>> {
        rows.rows.iter().map(|seen| self.slot(&rows.source, &seen.id)).collect()
    }

    /// What a read says of each line of its rows; `None` for those that are none.
    pub fn said(&self, rows: &Rows) -> Vec<Option<(Slot, Said)>> {
        let said = |seen: &Observation| {
            let slot = self.slot(&rows.source, &seen.id)?;
            let said = if self.slab.line(slot)?.read_began > rows.read_began {
                Said::Older
            } else if self.is_unchanged(slot, seen.row.as_ref(), rows.read_began) {
                Said::Nothing
            } else {
                Said::Something
            };
            Some((slot, said))
        };
        rows.rows.iter().map(said).collect()
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
}

/// Before every other.
const FIRST: Place = (Priority::P0, Timestamp::MIN, Timestamp::MIN, 0);

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
