//! Which episode of its case a report is of, and which report of its id. The hard ones are P0 rows that come closed,
//! and were closed before anything that still runs of their case began: an old story, or one that nobody has heard.

use super::{Draft, is_another_report};
use crate::core::case::{Case, Conclusion, closing};
use crate::core::id::{CaseKey, EpisodeKey, ReportKey};
use crate::core::observation::Row;
use crate::core::policy::Assessment;
use crate::core::time::Timestamp;

/// Where a report that is P0 by its row belongs, beside the latest episode of its case.
pub(super) enum Past {
    /// It was of an episode that has ended, and what was owed to it is settled.
    Settled,
    /// Nobody has seen it. By itself it had ended before the latest episode began: its own clocks are owed, a filing or
    /// whoever reported it being told, and in the latest episode it would move the deadlines in to its own time.
    OfItsOwn { ended: (Timestamp, Conclusion) },
}

impl Draft<'_> {
    /// Of those in memory: one that still runs, though a later one may have come and gone.
    pub(super) fn latest_episode(&self, case: &CaseKey) -> Option<EpisodeKey> {
        let held = self.episodes_of(case).filter_map(|key| self.case(key).map(|case| (case.ended.is_none(), key)));
        held.max().map(|(_, key)| key.clone())
    }

    /// In memory, those that this draft has settled included.
    fn episodes_of(&self, case: &CaseKey) -> impl Iterator<Item = &EpisodeKey> {
        let episodes =
            EpisodeKey { case: case.clone(), episode: 0 }..=EpisodeKey { case: case.clone(), episode: u32::MAX };
        let drafted = self.plan.cases.range(episodes.clone()).map(|(key, _)| key);
        drafted.chain(self.core.cases.range(episodes).map(|(key, _)| key))
    }

    /// A later episode may have settled while an earlier one still runs: no number is given twice.
    pub(super) fn next_number(&self, case: &CaseKey) -> u32 {
        let recalled = self.recalled.get(case).map(|recalled| &recalled.key);
        self.episodes_of(case).chain(recalled).map(|key| key.episode + 1).max().unwrap_or(0)
    }

    /// A row whose id the store remembers as that of an earlier report is the next one of that id.
    pub(super) fn incarnation_of(&self, report: ReportKey, row: &Row, read_began: Timestamp) -> ReportKey {
        let remembered = self.recalled.get(&CaseKey::Report(report.clone()));
        match remembered.and_then(|case| case.reports.get(&report)) {
            Some(known) if is_another_report(known, row, read_began) => {
                ReportKey { incarnation: report.incarnation + 1, ..report }
            }
            _ => report,
        }
    }

    /// `None`: the report is of the latest episode, or of the next one if that has ended. A closure after which
    /// something was still owed that ends an episode, such as a second review, has left its own open: what came then
    /// has only reopened it, on its original clock (F5).
    pub(super) fn past(
        &self,
        case: &CaseKey,
        report: &ReportKey,
        row: &Row,
        assessment: &Assessment<'_>,
        read_began: Timestamp,
    ) -> Option<Past> {
        let closed = closing(row, true)?.at;
        let held = self.latest_episode(case);
        let latest = held.as_ref().and_then(|key| self.case(key)).or_else(|| self.recalled.get(case))?;
        if latest.reports.is_empty() || latest.reports.contains_key(report) || closed > latest.received() {
            return None;
        }
        let mut episodes = self.seen_in.get(report).into_iter().flatten();
        if episodes.any(|episode| episode.case == *case && *episode != latest.key) {
            return Some(Past::Settled);
        }
        let (alone, _) = self.alone(case.clone(), (report, row), assessment, read_began);
        alone.ended.filter(|(at, _)| *at <= latest.received()).map(|ended| Past::OfItsOwn { ended })
    }

    /// What comes in the same read belongs to the latest episode, so that this one is known at once to have ended.
    pub(super) fn episode_of_its_own(
        &mut self,
        case: CaseKey,
        row: &Row,
        assessment: &Assessment<'_>,
        ended: (Timestamp, Conclusion),
    ) -> EpisodeKey {
        let key = EpisodeKey { episode: self.next_number(&case), case };
        let fresh = Case::new(key.clone(), assessment, row.category.clone());
        self.plan.cases.insert(key.clone(), Some(Box::new(Case { ended: Some(ended), ..fresh })));
        key
    }
}
