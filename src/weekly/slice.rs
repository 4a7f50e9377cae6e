//! Sums of the episodes that ended within a slice of a week: so small that a year of them is merged in an instant,
//! and exact in everything but the lengths below P0, which [`Survival`] rounds.

use super::count::{Bounds, Counting, TargetKey, WEEKS, pairs, verdict};
use super::figures::Kept;
use crate::core::outcome::Life;
use crate::core::time::{Span, Timestamp};
use crate::weekly::week::Week;
use crate::zone::Zone;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The length of a slice, counted from the week's begin; the last of a week may be shorter.
pub const SLICE: Span = Span::from_hours(1);

/// A week, those before it that its report counts, and the ends of those after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Around {
    pub bounds: Bounds,
    ahead: [Timestamp; WEEKS - 1],
}

impl Around {
    /// Around a whole week.
    pub fn week(week: Week, zone: Zone) -> Around {
        let mut next = week;
        let ahead = std::array::from_fn(|_| {
            next = next.next();
            next.until(zone)
        });
        Around { bounds: Bounds::of(week, zone), ahead }
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

/// What the episodes that ended within the slice add to the report of its week, and to those of the weeks after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slice {
    pub(super) own: Counting,
    /// Deadlines that fall into the weeks after, the next one first.
    pub(super) ahead: Vec<Ahead>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Ahead(#[serde(with = "pairs")] pub(super) BTreeMap<TargetKey, Kept>);

impl Slice {
    pub fn new(around: &Around) -> Self {
        Slice { own: Counting::new(around.bounds), ahead: vec![Ahead::default(); WEEKS - 1] }
    }

    /// Adds an episode that ended within the slice.
    pub fn add(&mut self, life: &Life, around: &Around) {
        self.own.add(life);
        for target in &life.targets {
            let Some(weeks) = target.deadline.and_then(|at| around.weeks_ahead(at)) else { continue };
            let Some(kept) = verdict(target, life) else { continue };
            let key = (life.priority, life.category.clone(), target.target.clone());
            self.ahead[weeks].0.entry(key).or_default().add(&kept);
        }
    }

    /// The deadlines that fell so many weeks after the slice's own.
    pub(super) fn due_in(&self, weeks: usize) -> &BTreeMap<TargetKey, Kept> {
        match weeks.checked_sub(1) {
            None => &self.own.targets,
            Some(ahead) => &self.ahead[ahead].0,
        }
    }

    /// As it is kept.
    pub fn to_text(mut self) -> String {
        self.own.condense();
        serde_json::to_string(&self).unwrap_or_default()
    }

    /// `None` where another version wrote it.
    pub fn from_text(text: &str) -> Option<Slice> {
        serde_json::from_str(text).ok().filter(|slice: &Slice| slice.ahead.len() == WEEKS - 1)
    }
}
