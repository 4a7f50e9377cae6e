//! What is over, as a report counts it: the sums where they are kept, and one by one whatever they don't cover.

use crate::core::time::Timestamp;
use crate::run::clock::Clock;
use crate::run::weekly::gather::Reporter;
use crate::source::Source;
use crate::store::StoreError;
use crate::store::sums::{Kind, Part};
use crate::weekly::count::{Bounds, Counting, WEEKS};
use crate::weekly::paging;
use crate::weekly::week::Week;

/// A stretch of time that sums cover piece by piece, the earliest first.
struct Covered {
    at: Timestamp,
    gaps: Vec<(Timestamp, Timestamp)>,
}

impl Covered {
    fn from(at: Timestamp) -> Self {
        Covered { at, gaps: Vec::new() }
    }

    fn add(&mut self, began: Timestamp, ended: Timestamp) {
        self.gaps.push((self.at, began));
        self.at = ended;
    }

    /// What no sums cover.
    fn gaps(mut self, until: Timestamp) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        self.add(until, until);
        self.gaps.into_iter().filter(|(from, until)| from < until)
    }
}

impl<So: Source, C: Clock> Reporter<So, C> {
    /// Adds the episodes that have ended. Sums are of whole weeks that are over, so other stretches of time are counted
    /// one by one.
    pub(super) async fn count_ended(&self, counting: &mut Counting, bounds: &Bounds) -> Result<(), StoreError> {
        let (week, are_weeks) = (Week::of(bounds.from(), self.zone), bounds.are_weeks(self.zone));
        // What ended in the week before those that are counted may have fallen due in them.
        let first = if are_weeks { week.back(WEEKS as u32).from(self.zone) } else { bounds.earliest() };
        let mut summed = Covered::from(first);
        if are_weeks {
            for back in (1..=WEEKS).rev() {
                let add = |counts: &str, _: &str| counting.add_earlier(counts, back);
                self.sums(Kind::Outcomes, Part::Counts, week.back(back as u32), &mut summed, add).await?;
            }
            let add = |counts: &str, lengths: &str| counting.add_own(counts, lengths);
            self.sums(Kind::Outcomes, Part::CountsAndLengths, week, &mut summed, add).await?;
            // What ended since was open.
            let add = |behind: &str, _: &str| counting.add_next(behind);
            self.sums(Kind::Outcomes, Part::Behind, week.next(), &mut summed, add).await?;
        }
        for (from, until) in summed.gaps(Timestamp::MAX) {
            self.store.lives_ended(from, until, bounds.until(), |life| counting.add(&life)).await?;
        }
        self.store.lives_due_later(bounds.earliest(), first, |life| counting.add(&life)).await
    }

    /// Adds the breaches that happened.
    pub(super) async fn count_breaches(
        &self,
        counting: &mut Counting,
        paging: &mut paging::Count<'_>,
        bounds: &Bounds,
    ) -> Result<(), StoreError> {
        let mut summed = Covered::from(bounds.earliest());
        if bounds.are_weeks(self.zone) {
            let week = Week::of(bounds.from(), self.zone);
            for back in (1..WEEKS).rev() {
                let add = |counts: &str, _: &str| counting.add_earlier_breaches(counts, back);
                self.sums(Kind::Breaches, Part::Counts, week.back(back as u32), &mut summed, add).await?;
            }
            let add = |counts: &str, told: &str| counting.add_own_breaches(counts, told, paging);
            self.sums(Kind::Breaches, Part::CountsAndLengths, week, &mut summed, add).await?;
        }
        for (from, until) in summed.gaps(bounds.until()) {
            let add = |breach| {
                counting.add_breach_within(&breach, (from, until));
                paging.add_breach_within(&breach, (from, until));
            };
            self.store.each_breach(from, until, add).await?;
        }
        Ok(())
    }

    /// Hands over the sums of a week; `add` says whether it could read them.
    async fn sums(
        &self,
        kind: Kind,
        part: Part,
        week: Week,
        summed: &mut Covered,
        mut add: impl FnMut(&str, &str) -> bool + Send,
    ) -> Result<(), StoreError> {
        let stretch = (week.from(self.zone), week.until(self.zone));
        let each = |began, ended, first: &str, second: &str| {
            if add(first, second) {
                summed.add(began, ended);
            }
        };
        self.store.each_sums(kind, part, &self.zone.to_string(), stretch, each).await
    }
}
