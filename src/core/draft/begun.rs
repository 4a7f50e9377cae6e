//! Reports that nothing is known of and that have nothing to tell but that they wait: nearly all of a first look at a
//! backlog. Each is judged as every other, by a case of its own, and of that no more than its line goes into the plan.

use super::Draft;
use crate::core::case::Case;
use crate::core::id::{CaseKey, EpisodeKey, ReportKey};
use crate::core::lines::Loose;
use crate::core::observation::{Observation, Row};
use crate::core::plan::Rows;
use crate::core::policy::Priority;
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
        let policy = &self.core.policy;
        let assessment = policy.assess(row);
        if assessment.priority == Priority::P0 || !row.events.is_empty() {
            return false;
        }
        // No case without a report, and no report without its home.
        debug_assert!(self.latest_episode(&CaseKey::Report(report.clone())).is_none());
        let key = EpisodeKey { case: CaseKey::Report(report.clone()), episode: 0 };
        let mut case = Case::new(key, &assessment, row.category.clone());
        case.see(report, Some(row.clone()), read_began, None);
        if !case.refresh(policy, self.now).is_empty() {
            return false;
        }
        let Some(line) = Loose::of(&case) else { return false };
        self.alarm(report, row, &assessment, read_began);
        self.count_arrival(report, row, read_began);
        self.plan.lines.begun.push(line);
        true
    }
}
