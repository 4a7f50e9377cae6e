//! Sums up the outcomes and breaches of each hour once it is over, so that a report over millions merges sums. It runs
//! beside the monitor, takes a small share of the store's time, and makes anew what a later write took away.

use crate::core::time::{Span, Timestamp};
use crate::run::clock::Clock;
use crate::status::StatusHandle;
use crate::store::sums::{Kind, Summed};
use crate::store::{SqlStore, StoreError};
use crate::weekly::count::WEEKS;
use crate::weekly::slice::{Around, BreachSlice, Slice};
use crate::weekly::week::Week;
use crate::zone::Zone;
use std::collections::BTreeSet;
use std::sync::Arc;
use tokio::sync::watch;

/// How often it is looked for slices to sum up.
const LOOK_EVERY: Span = Span::from_mins(1);
/// A slice is left alone until it has been over for so long: most of what is written of it has been by then.
const OVER_FOR: Span = Span::from_mins(10);
/// Between a slice's mark and the reading of its outcomes: longer than writing a batch of read-back outcomes takes, which
/// no mark waits for, so that what didn't see the mark is there to be read.
pub const MARKED_FOR: Span = Span::from_mins(1);
/// Marks of one transaction, for which a commit waits.
const MARKS_MAX: usize = 128;
/// After each slice the store is left alone for so many times as long as that took.
const REST: i64 = 4;

pub struct Summing<C> {
    pub store: Arc<SqlStore>,
    pub clock: C,
    pub zone: Zone,
    pub status: StatusHandle,
}

impl<C: Clock> Summing<C> {
    /// Runs until `shutdown` turns true.
    pub async fn run(&self, mut shutdown: watch::Receiver<bool>) {
        loop {
            let round = async {
                if self.status.load().leader
                    && let Err(error) = self.round().await
                {
                    tracing::debug!(%error, "outcomes can't be summed up; reports read each of them");
                }
                self.clock.sleep_until(self.clock.now().plus(LOOK_EVERY)).await;
            };
            tokio::select! {
                biased;
                _ = shutdown.wait_for(|stop| *stop) => return,
                () = round => {}
            }
        }
    }

    /// Marks the slices that are over, and sums up those that were marked before. Gives how many were.
    ///
    /// # Errors
    /// When the store can't be read or written; what was summed up stays.
    pub async fn round(&self) -> Result<usize, StoreError> {
        let this_week = Week::of(self.clock.now(), self.zone);
        // The report of the week that is over needs as many before it as it counts, and one more.
        let weeks: Vec<Around> =
            (0..=WEEKS as u32 + 1).map(|back| Around::week(this_week.back(back), self.zone)).collect();
        let mut summed = 0;
        for kind in Kind::ALL {
            summed += self.round_of(kind, &weeks).await?;
        }
        Ok(summed)
    }

    async fn round_of(&self, kind: Kind, weeks: &[Around]) -> Result<usize, StoreError> {
        let (zone, now) = (self.zone.to_string(), self.clock.now());
        let earliest = weeks.last().map_or(now, |around| around.bounds.from());
        let there = self.store.summed(kind, &zone, earliest, now).await?;
        let begun: BTreeSet<Timestamp> = there.iter().map(|slice| slice.began).collect();
        let over = |slice: &(Timestamp, Timestamp)| slice.1.plus(OVER_FOR) <= now && !begun.contains(&slice.0);
        let missing: Vec<_> = weeks.iter().flat_map(Around::slices).filter(over).collect();
        for slices in missing.chunks(MARKS_MAX) {
            self.store.mark_sums(kind, &zone, slices, now).await?;
        }
        if !missing.is_empty() {
            self.store.forget_sums(kind, earliest).await?;
        }
        let mut summed = 0;
        for slice in there.into_iter().filter(|slice| !slice.is_made && slice.marked_at.plus(MARKED_FOR) <= now) {
            let Some(around) = weeks.iter().find(|around| around.bounds.from() <= slice.began) else { continue };
            summed += usize::from(self.sum_up(&zone, slice, around).await?);
        }
        Ok(summed)
    }

    async fn sum_up(&self, zone: &str, slice: Summed, around: &Around) -> Result<bool, StoreError> {
        let began = self.clock.now();
        let within = (slice.began, slice.ended);
        let sums = match slice.kind {
            Kind::Outcomes => {
                let mut sums = Slice::new(around);
                self.store.lives_ended(within.0, within.1, Timestamp::MAX, |life| sums.add(&life, around)).await?;
                sums.pack()
            }
            Kind::Breaches => {
                let mut sums = BreachSlice::new(within, around);
                self.store.each_breach(within.0, within.1, |breach| sums.add(&breach)).await?;
                sums.pack()
            }
        };
        let kept = self.store.keep_sums(zone, slice, [&sums.counts, &sums.lengths, &sums.behind]).await?;
        let took = self.clock.now().since(began);
        self.clock.sleep_until(self.clock.now().plus(Span::from_micros(took.micros().saturating_mul(REST)))).await;
        Ok(kept)
    }
}
