//! F6: how fast a reported item spreads, measured between two looks at its facts.

use super::{Case, Report, SPREAD_WINDOW};
use crate::core::facts::{self, Fact};
use crate::core::policy::Spread;
use crate::core::time::Timestamp;

impl Report {
    /// Where its growth is measured from: an earlier look, or nothing at all when it was received.
    pub(super) fn measured_from(&self) -> (Timestamp, Option<&facts::Facts>) {
        self.base.as_ref().map_or((self.received, None), |base| (base.at, Some(&base.facts)))
    }

    fn spreads_faster_than(&self, spread: &Spread) -> bool {
        let count = |facts: &facts::Facts| {
            let fact = facts.iter().find(|(name, _)| *name == spread.fact).map(|(_, fact)| fact);
            fact.and_then(Fact::count).unwrap_or(0)
        };
        let (from, before) = self.measured_from();
        let grown = count(&self.row.facts).saturating_sub(before.map_or(0, count));
        let elapsed = self.read_began.since(from).max(SPREAD_WINDOW);
        let elapsed_secs = u128::try_from(elapsed.secs()).unwrap_or(1);
        u128::from(grown) * 3_600 >= u128::from(spread.per_hour) * elapsed_secs
    }
}

impl Case {
    /// F6: how wide it has spread, and since when it spreads too fast. The crossing happens once.
    pub(super) fn measure_spread(&mut self, spread: Option<&Spread>) {
        let Some(spread) = spread.filter(|_| self.is_p0()) else { return };
        let widest = self.reports.values().filter_map(|report| report.row.fact(&spread.fact)).filter_map(Fact::count);
        self.spread = widest.max().map_or(0, |count| (u64::BITS - count.leading_zeros()) as u8);
        let crossings =
            self.reports.values().filter(|report| !report.is_superseded() && report.spreads_faster_than(spread));
        self.crossed = self.crossed.or(crossings.map(|report| report.read_began).min());
    }
}
