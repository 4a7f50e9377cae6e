//! A row that is read again after its episode has ended and was forgotten: it is none of the next episode's.

use super::Draft;
use crate::core::case::{Case, closing};
use crate::core::id::{CaseKey, ReportKey};
use crate::core::observation::Row;

impl Draft<'_> {
    /// Whether a report that is P0 by its row was closed before the latest episode of its case began, and an earlier one
    /// has ended: then it was that one's, and what was owed to it is settled. In the latest it would move the deadlines
    /// in to its own time, and count as a repeat.
    pub(super) fn is_of_the_past(&self, case: &CaseKey, report: &ReportKey, row: &Row) -> bool {
        let held = self.latest_episode(case);
        let latest = held.as_ref().and_then(|key| self.case(key)).or_else(|| self.recalled.get(case));
        let is_older = |latest: &Case| {
            let began = (!latest.reports.is_empty()).then(|| latest.received());
            closing(row, true).zip(began).is_some_and(|(closed, began)| closed.at <= began)
        };
        let is_next = |latest: &&Case| latest.key.episode > 0 && !latest.reports.contains_key(report);
        latest.filter(is_next).is_some_and(is_older)
    }
}
