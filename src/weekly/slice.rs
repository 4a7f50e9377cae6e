//! Sums of the episodes that ended, and of the breaches that happened, within a slice of a week: so small that those of
//! five weeks are merged in an instant, and exact in everything but the lengths below P0, which [`super::survival`]
//! rounds. They are packed in parts, because a report needs the lengths of its own week alone.

use super::count::{Bounds, Counting, Group, Lengths, Sums, TargetKey, WEEKS, happenings, verdict};
use super::figures::{Breaches, Kept};
use super::pack::{pack, unpack};
use super::paging::{self, Told};
use super::tally::Lasted;
use super::week::Week;
use crate::core::outcome::{BreachFact, Life};
use crate::core::time::{Span, Timestamp};
use crate::zone::Zone;
use std::collections::BTreeMap;

/// The length of a slice, counted from the week's begin; the last of a week may be shorter.
pub const SLICE: Span = Span::from_hours(1);

/// A week, that before it with its report, and the ends of those after it whose reports count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Around {
    pub bounds: Bounds,
    before: Bounds,
    ahead: [Timestamp; WEEKS],
}

/// As it is kept, part by part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packed {
    /// What the report of the slice's week and those of the weeks after it need.
    pub counts: String,
    /// What the report of the slice's week needs besides.
    pub lengths: String,
    /// What the report of the week before needs.
    pub behind: String,
}

impl Around {
    /// Around a whole week.
    pub fn week(week: Week, zone: Zone) -> Around {
        let mut next = week;
        let ahead = std::array::from_fn(|_| {
            next = next.next();
            next.until(zone)
        });
        Around { bounds: Bounds::of(week, zone), before: Bounds::of(week.back(1), zone), ahead }
    }

    /// The slices of the week, each with its begin and its end.
    pub fn slices(&self) -> impl Iterator<Item = (Timestamp, Timestamp)> + use<> {
        let (mut at, until) = (self.bounds.from(), self.bounds.until());
        std::iter::from_fn(move || {
            let began = at;
            at = began.plus(SLICE).min(until);
            (began < until).then_some((began, at))
        })
    }

    /// How many weeks ahead of the week an instant lies, the next one being 0.
    fn weeks_ahead(&self, at: Timestamp) -> Option<usize> {
        if at < self.bounds.until() { None } else { self.ahead.iter().position(|end| at < *end) }
    }
}

/// Deadlines of each of the weeks after, the next one first.
type Ahead = Vec<BTreeMap<TargetKey, Kept>>;

/// What the episodes that ended within the slice add to the report of its week, to that of the week before, at whose end
/// they were open, and to those of the weeks after, in which their deadlines fall.
#[derive(Clone, Debug, PartialEq)]
pub struct Slice {
    own: Counting,
    behind: Counting,
    ahead: Ahead,
}

impl Slice {
    pub fn new(around: &Around) -> Self {
        Slice {
            own: Counting::new(around.bounds),
            behind: Counting::new(around.before),
            ahead: vec![BTreeMap::new(); WEEKS],
        }
    }

    /// Adds an episode that ended within the slice.
    pub fn add(&mut self, life: &Life, around: &Around) {
        self.own.add(life);
        self.behind.add(life);
        for target in &life.targets {
            let Some(weeks) = target.deadline.and_then(|at| around.weeks_ahead(at)) else { continue };
            let Some(kept) = verdict(target, life) else { continue };
            let key = (life.priority, life.category.clone(), target.target.clone());
            self.ahead[weeks].entry(key).or_default().add(&kept);
        }
    }

    pub fn pack(mut self) -> Packed {
        self.own.condense();
        self.behind.condense();
        Packed {
            counts: pack(&(&self.own.sums, &self.ahead)),
            lengths: pack(&self.own.lengths),
            behind: pack(&(&self.behind.sums, &self.behind.lengths)),
        }
    }
}

/// What the breaches of a slice add to reports.
#[derive(Clone, Debug)]
pub struct BreachSlice {
    within: (Timestamp, Timestamp),
    counts: BTreeMap<Group, Breaches>,
    told: Told,
    bounds: Bounds,
}

impl BreachSlice {
    pub fn new(within: (Timestamp, Timestamp), around: &Around) -> Self {
        BreachSlice { within, counts: BTreeMap::new(), told: Told::default(), bounds: around.bounds }
    }

    /// Adds as much of a breach as happened within the slice.
    pub fn add(&mut self, breach: &BreachFact) {
        for (_, counts) in happenings(breach).filter(|(at, _)| self.within.0 <= *at && *at < self.within.1) {
            self.counts.entry((breach.priority, breach.category.clone())).or_default().add(&counts);
        }
        self.told.add(breach, self.within, self.bounds.as_of);
    }

    pub fn pack(mut self) -> Packed {
        self.told.condense();
        Packed { counts: pack(&self.counts), lengths: pack(&self.told), behind: String::new() }
    }
}

/// What is kept of slices comes into the report as if each episode had been added. Each gives false, and has added
/// nothing, where another version packed it.
impl Counting {
    /// Adds what ended within a slice of the report's own week.
    pub fn add_own(&mut self, counts: &str, lengths: &str) -> bool {
        let (Some((sums, _)), Some(lengths)) = (unpack::<(Sums, Ahead)>(counts), unpack::<Lengths>(lengths)) else {
            return false;
        };
        self.sums.merge(sums);
        self.add_lengths(lengths);
        true
    }

    /// Adds what ended within a slice of an earlier week, so many weeks back; as many as are counted and one more,
    /// because what ended then may have fallen due later.
    pub fn add_earlier(&mut self, counts: &str, back: usize) -> bool {
        let Some((sums, ahead)) = unpack::<(Sums, Ahead)>(counts) else { return false };
        for (group, tally) in sums.groups {
            self.sums.groups.entry(group).or_default().merge_earlier(&tally, back);
        }
        for (due_back, due) in (0..back).rev().zip(ahead) {
            for ((priority, category, target), kept) in due {
                let tally = self.sums.groups.entry((priority, category.clone())).or_default();
                if let Some(sum) = tally.deadlines.get_mut(due_back) {
                    sum.add(&kept);
                }
                if due_back == 0 {
                    self.sums.targets.entry((priority, category, target)).or_default().add(&kept);
                }
            }
        }
        true
    }

    /// Adds what ended within a slice of the week after, and was open at the end of the report's.
    pub fn add_next(&mut self, behind: &str) -> bool {
        let Some((sums, lengths)) = unpack::<(Sums, Lengths)>(behind) else { return false };
        self.sums.merge(sums);
        self.add_lengths(lengths);
        true
    }

    /// Adds the breaches of a slice of the report's own week.
    pub fn add_own_breaches(&mut self, counts: &str, told: &str, paging: &mut paging::Count<'_>) -> bool {
        let Some(told) = unpack::<Told>(told) else { return false };
        let is_read = self.add_earlier_breaches(counts, 0);
        if is_read {
            paging.add_told(&told);
        }
        is_read
    }

    /// Adds the breaches of a slice of the week that lies so many weeks back.
    pub fn add_earlier_breaches(&mut self, counts: &str, back: usize) -> bool {
        let Some(counts) = unpack::<BTreeMap<Group, Breaches>>(counts) else { return false };
        for (group, counts) in counts {
            self.add_breaches(group, &counts, back);
        }
        true
    }

    fn add_lengths(&mut self, lengths: Lengths) {
        for (group, lasted) in lengths {
            self.lengths.entry(group.clone()).or_insert_with(|| Lasted::of(group.0)).merge(&lasted);
        }
    }
}
