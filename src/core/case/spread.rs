//! F6: how fast a reported item spreads, measured between two looks at its facts.

use super::{Case, Look, Report, SPREAD_WINDOW};
use crate::core::facts::{self, Fact};
use crate::core::policy::Spread;

impl Report {
    fn spreads_faster_than(&self, spread: &Spread) -> bool {
        let Some(base) = &self.base else { return false };
        let count = |facts: &facts::Facts| {
            let fact = facts.iter().find(|(name, _)| *name == spread.fact).map(|(_, fact)| fact);
            fact.and_then(Fact::count).unwrap_or(0)
        };
        let grown = count(&self.row.facts).saturating_sub(count(&base.facts));
        let elapsed = self.read_began.since(base.at).max(SPREAD_WINDOW);
        let elapsed_secs = u128::try_from(elapsed.secs()).unwrap_or(1);
        u128::from(grown) * 3_600 >= u128::from(spread.per_hour) * elapsed_secs
    }
}

impl Case {
    /// F6: how wide it has spread, and since when it spreads too fast. The crossing happens once.
    pub(super) fn measure_spread(&mut self, spread: Option<&Spread>) {
        let Some(spread) = spread else {
            self.spread = 0;
            self.reports.values_mut().for_each(|report| report.base = None);
            return;
        };
        // Before the first look there was nothing: at its receipt.
        for report in self.reports.values_mut() {
            report.base.get_or_insert_with(|| Look { at: report.received, facts: facts::Facts::new() });
        }
        let widest = self.reports.values().filter_map(|report| report.row.fact(&spread.fact)).filter_map(Fact::count);
        self.spread = widest.max().map_or(0, |count| (u64::BITS - count.leading_zeros()) as u8);
        let crossings =
            self.reports.values().filter(|report| !report.is_superseded() && report.spreads_faster_than(spread));
        self.crossed = self.crossed.or(crossings.map(|report| report.read_began).min());
    }
}
