//! Reports that nothing is known of and that have nothing to tell but that they wait: nearly all of a first look at a
//! backlog. Each is judged as every other, by a case of its own, and of that no more than its line goes into the plan.

use super::Draft;
use crate::core::case::Case;
use crate::core::clock::Turn;
use crate::core::id::{CaseKey, EpisodeKey, ReportKey};
use crate::core::lines::Loose;
use crate::core::observation::{Observation, Row};
use crate::core::plan::Rows;
use crate::core::policy::{Assessment, Priority};
use crate::core::time::Timestamp;
use std::collections::BTreeSet;

impl Draft<'_> {
    /// Whether each row of this input stands for itself: none is of the same report as another, and the store
    /// remembers of none what another may turn out to belong to.
    pub(super) fn stand_alone(&self, rows: &Rows) -> bool {
        let distinct = |rows: &[Observation]| {
            let mut ids = BTreeSet::new();
            rows.is_sorted_by(|one, next| one.id < next.id) || rows.iter().all(|seen| ids.insert(&seen.id))
        };
        self.recalled.is_empty() && distinct(&rows.rows)
    }

    /// Takes a report that no case holds as a line. Where it needs more than that nothing changes, and it must be
    /// placed.
    pub(super) fn begin_as_line(&mut self, report: &ReportKey, row: &Row, read_began: Timestamp) -> bool {
        let assessment = self.core.policy.assess(row);
        if assessment.priority == Priority::P0 || !row.events.is_empty() {
            return false;
        }
        let key = CaseKey::Report(report.clone());
        // No case without a report, and no report without its home.
        debug_assert!(self.latest_episode(&key).is_none());
        let (case, turns) = self.alone(key, (report, row), &assessment, read_began);
        let Some(line) = Loose::of(&case).filter(|_| turns.is_empty()) else { return false };
        self.alarm(report, row, &assessment, read_began);
        self.count_arrival(report, row, read_began);
        self.plan.lines.begun.push(line);
        true
    }

    /// The case of nothing but this report, laid nowhere, and what its clocks did.
    pub(super) fn alone(
        &self,
        case: CaseKey,
        (report, row): (&ReportKey, &Row),
        assessment: &Assessment<'_>,
        read_began: Timestamp,
    ) -> (Case, Vec<(usize, Turn)>) {
        let mut case = Case::new(EpisodeKey { case, episode: 0 }, assessment, row.category.clone());
        case.see(report, Some(row.clone()), read_began, None);
        let turns = case.refresh(&self.core.policy, self.now);
        (case, turns)
    }
}
