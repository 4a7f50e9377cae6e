//! Lines in rank order, kind by kind, so that what is asked of a kind as a whole needs no books of its own: how many are
//! open, how old they are, what falls due next.

use super::merge::merge_all;
use super::ordered::Ordered;
use super::slab::{Kind, Slab};
use super::table::place_of;
use super::{Place, Slot};
use crate::core::pace::{Ages, Open};
use crate::core::policy::Priority;
use crate::core::time::Timestamp;
use crate::core::view::{Counts, Group};
use std::ops::RangeInclusive;

type Priorities = RangeInclusive<Priority>;

/// By the numbers of their kinds.
#[derive(Debug, Default)]
pub struct Ranked(Vec<OfKind>);

#[derive(Debug, Default)]
struct OfKind {
    /// Lines that wake when the deadline passes that ranks them ...
    running: Ordered,
    /// ... and those that don't: it has passed.
    passed: Ordered,
    ages: Ages,
}

impl Ranked {
    pub fn add(&mut self, slot: Slot, has_passed: bool, slab: &Slab) {
        let Some(line) = slab.line(slot) else { return };
        let place = place_of(line.kind);
        if self.0.len() <= place {
            self.0.resize_with(place + 1, OfKind::default);
        }
        let of = &mut self.0[place];
        of.ages.count(line.received, 1);
        let lines = if has_passed { &mut of.passed } else { &mut of.running };
        lines.insert(slot, slab);
    }

    /// Before the line goes.
    pub fn remove(&mut self, slot: Slot, slab: &Slab) {
        let is_overdue = slab.kind(slot).is_some_and(|kind| kind.is_overdue);
        let Some((received, of)) = self.of(slot, slab) else { return };
        of.ages.count(received, -1);
        // What is overdue has passed; of the rest hardly anything has.
        if is_overdue || !of.running.remove(slot, slab) {
            of.passed.remove(slot, slab);
        }
    }

    /// Puts everything in its place that waits for more to come.
    pub fn settle(&mut self, slab: &Slab) {
        self.0.iter_mut().flat_map(|of| [&mut of.running, &mut of.passed]).for_each(|lines| lines.settle(slab));
    }

    /// The deadline that ranks it has passed. Gives whether it hadn't before.
    pub fn pass(&mut self, slot: Slot, slab: &Slab) -> bool {
        let Some((_, of)) = self.of(slot, slab) else { return false };
        let was_running = of.running.remove(slot, slab);
        if was_running {
            of.passed.insert(slot, slab);
        }
        was_running
    }

    /// The shelves of a line's kind, and when it came in.
    fn of(&mut self, slot: Slot, slab: &Slab) -> Option<(Timestamp, &mut OfKind)> {
        let line = slab.line(slot)?;
        Some((line.received, self.0.get_mut(place_of(line.kind))?))
    }

    /// The running lines of these priorities, from a place on.
    pub fn running<'s>(&'s self, slab: &'s Slab, from: Place, of: Priorities) -> impl Iterator<Item = Place> + 's {
        self.walk(slab, from, of, |lines| &lines.running)
    }

    /// The same of those whose deadline has passed.
    pub fn passed<'s>(&'s self, slab: &'s Slab, from: Place, of: Priorities) -> impl Iterator<Item = Place> + 's {
        self.walk(slab, from, of, |lines| &lines.passed)
    }

    fn walk<'s>(
        &'s self,
        slab: &'s Slab,
        from: Place,
        of: Priorities,
        lines: fn(&OfKind) -> &Ordered,
    ) -> impl Iterator<Item = Place> + 's {
        let kinds = self.kinds(slab).filter(|(kind, _)| of.contains(&kind.priority));
        merge_all(kinds.map(|(_, of)| lines(of).from(Some(from), slab)).collect())
    }

    /// The deadlines that running lines come to first, one for each kind.
    pub fn first_deadlines(&self, slab: &Slab) -> impl Iterator<Item = (Priority, Timestamp)> {
        self.0
            .iter()
            .filter_map(|of| of.running.first(slab))
            .map(|place| (place.0, place.1))
            .filter(|(_, deadline)| *deadline < Timestamp::MAX)
    }

    /// How many are open, of every kind that there was.
    pub fn counts<'s>(&'s self, slab: &'s Slab) -> impl Iterator<Item = (Group, Counts)> {
        self.kinds(slab).map(|(kind, of)| {
            let open = of.len();
            (group_of(kind), Counts { open, overdue: if kind.is_overdue { open } else { 0 } })
        })
    }

    /// How old the open ones are, and what falls due next.
    pub fn open<'s>(&'s self, slab: &'s Slab, now: Timestamp) -> impl Iterator<Item = (Group, Open)> {
        self.kinds(slab).filter_map(move |(kind, of)| {
            let firsts = [of.running.first(slab), of.passed.first(slab)];
            let deadlines = firsts.into_iter().flatten().map(|place| place.1);
            let next_due = deadlines.min().filter(|due| *due < Timestamp::MAX);
            Some((group_of(kind), of.ages.open(next_due, now)?))
        })
    }

    fn kinds<'s>(&'s self, slab: &'s Slab) -> impl Iterator<Item = (&'s Kind, &'s OfKind)> {
        slab.kinds.iter().zip(&self.0)
    }
}

impl OfKind {
    fn len(&self) -> u64 {
        (self.running.len() + self.passed.len()) as u64
    }
}

fn group_of(kind: &Kind) -> Group {
    Group { source: kind.source.clone(), category: kind.category.clone(), priority: kind.priority }
}
