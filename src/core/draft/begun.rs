//! Reports that nothing is known of and that have nothing to tell but that they wait: nearly all of a first look at a
//! backlog. No more than a line of each goes into the plan: what the case would give that it would be judged by.

use super::Draft;
use crate::core::case::Case;
use crate::core::clock::{self, Turn};
use crate::core::id::{CaseKey, EpisodeKey, ReportKey};
use crate::core::lines::Loose;
use crate::core::observation::{EventName, Observation, Received, Row};
use crate::core::plan::Rows;
use crate::core::policy::{Assessment, Due, Priority, Standing};
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
        // No case without a report, and no report without its home.
        debug_assert!(self.latest_episode(&CaseKey::Report(report.clone())).is_none());
        let of_case = || self.line_alone((report, row), &assessment, read_began);
        let line = match self.due_of_waiting(row, &assessment, read_began) {
            Some(due) => self.core.lines.begin((report, row), &assessment, (due, read_began)),
            None => of_case(),
        };
        let Some(line) = line else { return false };
        debug_assert_eq!(of_case().map(|of_case| of_case.due()), Some(line.due()), "its case says the same of {report}");
        self.alarm(report, row, &assessment, read_began);
        self.count_arrival(report, row, read_began);
        self.plan.lines.begun.push(line);
        true
    }

    /// The line of the case of nothing but this report, if its clocks do nothing.
    fn line_alone(
        &self,
        seen: (&ReportKey, &Row),
        assessment: &Assessment<'_>,
        read_began: Timestamp,
    ) -> Option<Loose> {
        let (case, turns) = self.alone(CaseKey::Report(seen.0.clone()), seen, assessment, read_began);
        Loose::of(&case).filter(|_| turns.is_empty())
    }

    /// What makes nearly all of a backlog cheap: of a report to which nothing has happened, and of which nothing but
    /// targets is promised, the earliest deadline, all of them being still to come; `Timestamp::MAX` where there is none.
    /// Its case would come to the same. `None` where it takes the case to know.
    fn due_of_waiting(&self, row: &Row, assessment: &Assessment<'_>, read_began: Timestamp) -> Option<Timestamp> {
        let Received::At(received) = row.received else { return None };
        let owes_targets_only = assessment.obligations.is_empty() && assessment.spread.is_none();
        let is_plain = assessment.standing == Standing::Known && assessment.raised == Some(false) && !row.paused;
        if !(owes_targets_only && is_plain && received <= read_began) {
            return None;
        }
        let policy = &self.core.policy;
        let of_escalation = policy.warns_of(assessment.escalation);
        let mut earliest = Timestamp::MAX;
        for target in assessment.targets {
            if target.until == EventName::Received || target.warns_before(of_escalation).is_some() {
                return None;
            }
            let started = (target.from == EventName::Received).then_some(received);
            let (stated, calendar) = match &target.due {
                Due::Stated { column } => (row.due(column), None),
                Due::Within { calendar, .. } => (None, calendar.as_ref().and_then(|name| policy.calendars.get(name))),
            };
            let due = clock::deadline(&target.due, started, stated, calendar.map(|calendar| &**calendar), &[]);
            match due {
                Some(due) if due < self.now => return None,
                Some(due) => earliest = earliest.min(due),
                None => {}
            }
        }
        Some(earliest)
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
