//! What is counted of one group of episodes, and how long they took.

use super::count::{BULK, Bounds, WEEKS};
use super::figures::{AGES_SECS, Before, Breaches, GroupFigures, Kept, Times};
use super::survival::Survival;
use crate::core::case::Conclusion;
use crate::core::outcome::{Basis, Life};
use crate::core::policy::Priority;
use crate::core::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The counts of one group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Tally {
    pub(super) received: [u64; WEEKS],
    pub(super) closed: [u64; WEEKS],
    pub(super) deadlines: [Kept; WEEKS],
    pub(super) breaches: [Breaches; WEEKS],
    open: u64,
    oldest: Option<Timestamp>,
    ages: [u64; AGES_SECS.len() + 1],
    repeats: u64,
    reopenings: u64,
    unreviewed: u64,
    overturned: u64,
    vanished: u64,
    from_rows: u64,
    /// Closures in bulk, of the seconds that are no longer told apart.
    bulk_closed: u64,
    /// Closures of the week by second.
    #[serde(skip)]
    seconds: BTreeMap<i64, u32>,
}

/// How long the cases of one group took that were received in the week.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Lasted {
    first_response: Survival,
    closing: Survival,
}

impl Lasted {
    /// Of P0 every length is kept exact.
    pub(super) fn of(priority: Priority) -> Self {
        match priority {
            Priority::P0 => Lasted { first_response: Survival::exact(), closing: Survival::exact() },
            _ => Lasted::default(),
        }
    }

    /// Adds how long a case took, or has taken so far.
    pub(super) fn add(&mut self, life: &Life, bounds: &Bounds) {
        let ended = bounds.ended(life);
        // A row that vanished was watched until it did, and nobody answered it.
        let watched_until = ended.map_or(bounds.as_of, |(at, _)| at);
        match life.first_response.filter(|at| *at <= bounds.as_of && *at < bounds.until()) {
            Some(at) => self.first_response.add(at.since(life.received), true),
            None => self.first_response.add(watched_until.since(life.received), false),
        }
        let closed = ended.is_some_and(|(_, how)| how != Conclusion::Vanished);
        self.closing.add(watched_until.since(life.received), closed);
    }

    pub(super) fn merge(&mut self, other: &Lasted) {
        self.first_response.merge(&other.first_response);
        self.closing.merge(&other.closing);
    }

    /// Keeps no more different lengths than figures need.
    pub(super) fn condense(&mut self) {
        self.first_response.condense();
        self.closing.condense();
    }
}

impl Tally {
    pub(super) fn count(&mut self, life: &Life, bounds: &Bounds) {
        let ended = bounds.ended(life);
        let in_week = ended.filter(|(at, _)| bounds.holds(*at));
        if let Some(back) = bounds.weeks_back(life.received) {
            self.received[back] += 1;
            if back == 0 {
                self.repeats += u64::from(life.reports.saturating_sub(1));
            }
        }
        if let Some((at, how)) = ended {
            match bounds.weeks_back(at) {
                Some(0) if how == Conclusion::Vanished => self.vanished += 1,
                Some(back) if how != Conclusion::Vanished => self.closed[back] += 1,
                _ => {}
            }
        } else {
            self.open += 1;
            self.oldest = Some(self.oldest.map_or(life.received, |oldest| oldest.min(life.received)));
            let age_secs = bounds.as_of.since(life.received).secs();
            let place = AGES_SECS.iter().position(|up_to| age_secs <= *up_to).unwrap_or(AGES_SECS.len());
            self.ages[place] += 1;
        }
        let alive = ended.is_none() || in_week.is_some();
        if alive {
            self.reopenings += u64::from(life.reopenings);
            self.overturned += u64::from(life.overturned);
            self.from_rows += u64::from(life.basis == Basis::Row);
        }
        let unreviewed = match in_week {
            Some((_, Conclusion::NoViolation)) => !life.second_review,
            _ => life.unreviewed.is_some_and(|at| bounds.holds(at)),
        };
        self.unreviewed += u64::from(unreviewed);
        if let Some((at, how)) = in_week
            && how != Conclusion::Vanished
        {
            *self.seconds.entry(at.micros().div_euclid(1_000_000)).or_default() += 1;
        }
    }

    /// Closures in bulk, of seconds that are told apart and of those that no longer are.
    fn bulks(&self) -> u64 {
        let bulks = self.seconds.values().filter(|count| **count >= BULK);
        self.bulk_closed + bulks.map(|count| u64::from(*count)).sum::<u64>()
    }

    /// Keeps of the seconds no more than how many closures were bulks.
    pub(super) fn condense(&mut self) {
        self.bulk_closed = self.bulks();
        self.seconds.clear();
    }

    pub(super) fn merge(&mut self, other: &Tally) {
        for back in 0..WEEKS {
            self.breaches[back].add(&other.breaches[back]);
        }
        self.merge_earlier(other, 0);
        self.open += other.open;
        self.oldest = self.oldest.into_iter().chain(other.oldest).min();
        for (sum, count) in self.ages.iter_mut().zip(other.ages) {
            *sum += count;
        }
        self.repeats += other.repeats;
        self.reopenings += other.reopenings;
        self.unreviewed += other.unreviewed;
        self.overturned += other.overturned;
        self.vanished += other.vanished;
        self.from_rows += other.from_rows;
        self.bulk_closed += other.bulks();
    }

    /// Adds the counts of an earlier week, so many weeks back, all of whose episodes have ended.
    pub(super) fn merge_earlier(&mut self, earlier: &Tally, back: usize) {
        let weeks = back.min(WEEKS)..;
        for (sum, count) in self.received[weeks.clone()].iter_mut().zip(earlier.received) {
            *sum += count;
        }
        for (sum, kept) in self.deadlines[weeks.clone()].iter_mut().zip(&earlier.deadlines) {
            sum.add(kept);
        }
        for (sum, count) in self.closed[weeks].iter_mut().zip(earlier.closed) {
            *sum += count;
        }
    }

    pub(super) fn figures(
        &self,
        (priority, category): (Priority, &str),
        lasted: &Lasted,
        bounds: &Bounds,
    ) -> GroupFigures {
        GroupFigures {
            priority: priority.to_string(),
            category: category.to_owned(),
            received: self.received[0],
            closed: self.closed[0],
            open: self.open,
            oldest_secs: self.oldest.map(|received| bounds.as_of.since(received).secs()),
            open_ages: self.ages.to_vec(),
            first_response: Times::of(&lasted.first_response),
            closing: Times::of(&lasted.closing),
            deadlines: self.deadlines[0],
            breaches: self.breaches[0],
            repeats: self.repeats,
            reopenings: self.reopenings,
            unreviewed: self.unreviewed,
            overturned: self.overturned,
            vanished: self.vanished,
            bulk_closed: self.bulks(),
            from_rows: self.from_rows,
            before: self.before(),
        }
    }

    /// The mean is over the weeks since the earliest of which anything is known.
    fn before(&self) -> Before {
        let happened = |back: &usize| {
            self.received[*back]
                + self.closed[*back]
                + self.deadlines[*back].decided()
                + self.breaches[*back].happened()
                > 0
        };
        let weeks = (1..WEEKS).rev().find(happened).unwrap_or(0);
        let mean = |counts: &dyn Fn(usize) -> u64| {
            let sum: u64 = (1..=weeks).map(counts).sum();
            if weeks == 0 { 0.0 } else { (sum as f64 / weeks as f64 * 10.0).round() / 10.0 }
        };
        let mut deadlines = Kept::default();
        self.deadlines[1..].iter().for_each(|kept| deadlines.add(kept));
        let mut breaches = [0; WEEKS - 1];
        for (sum, week) in breaches.iter_mut().zip(&self.breaches[1..]) {
            *sum = week.happened();
        }
        Before {
            weeks: u32::try_from(weeks).unwrap_or(0),
            received_mean: mean(&|back| self.received[back]),
            closed_mean: mean(&|back| self.closed[back]),
            breaches_mean: mean(&|back| self.breaches[back].happened()),
            deadlines,
            breaches,
        }
    }
}
