//! Reports that nothing is known of: nearly all of a first look at a backlog. Each is judged as every other, but goes past
//! the search for a case that it may belong to; and of one that has nothing to tell but that it waits no more than a line
//! goes into the plan.

use super::Draft;
use super::effect::Derived;
use crate::core::case::Case;
use crate::core::clock::{self, Turn};
use crate::core::id::{CaseKey, EpisodeKey, ReportKey};
use crate::core::observation::{EventName, Observation, Row};
use crate::core::pace::Answers;
use crate::core::plan::{Home, Rows};
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

    /// Takes a report that no case holds as the case that it is by itself: as a line, where its clocks did nothing. Where
    /// it may be of another case nothing changes, and it must be placed.
    pub(super) fn begin_alone(&mut self, report: &ReportKey, row: &Row, read_began: Timestamp) -> bool {
        let assessment = self.core.policy.assess(row);
        if assessment.priority == Priority::P0 {
            return false;
        }
        // No case without a report, and no report without its home.
        debug_assert!(self.latest_episode(&CaseKey::Report(report.clone())).is_none());
        self.alarm(report, row, &assessment);
        self.count_arrival(report, row);
        let of_case = || self.alone(CaseKey::Report(report.clone()), (report, row), &assessment, read_began);
        let due = self.due_of_waiting(row, &assessment);
        let waits = due.and_then(|due| self.core.lines.begin((report, row), &assessment, (due, read_began)));
        if let Some(line) = waits {
            let of_case = || self.core.lines.loose(&of_case().0).map(|line| line.due());
            debug_assert_eq!(of_case(), Some(line.due()), "its case says the same of {report}");
            self.plan.lines.begun.push(line);
            return true;
        }
        let (case, turns) = of_case();
        // What has happened to it already is told with the case.
        let is_silent = turns.is_empty() && row.events.is_empty();
        match is_silent.then(|| self.core.lines.loose(&case)).flatten() {
            Some(line) => self.plan.lines.begun.push(line),
            None => {
                let home = Home { incarnation: report.incarnation, episode: case.key.clone() };
                self.plan.homes.insert((report.source.clone(), report.id.clone()), Some(home));
                self.derived.push(Derived { case: Box::new(case), turns, held: None, line: None });
            }
        }
        true
    }

    /// Lays down a case that begins, as a line where it can be one. One that has settled already leaves nothing.
    pub(super) fn begin(&mut self, case: Option<Box<Case>>) {
        let line = case.as_ref().and_then(|case| self.core.lines.loose(case));
        let (Some(line), Some(case)) = (line, &case) else { return self.lay(case) };
        // A first look at a source finds old answers, which are no news.
        let is_news = self.core.is_caught_up(case.key.case.source());
        self.plan.answers.extend(is_news.then(|| Answers::between(None, Some(case), None)).flatten());
        for report in case.reports.keys() {
            self.plan.homes.remove(&report.source, &report.id);
        }
        self.plan.lines.begun.push(line);
    }

    /// What makes nearly all of a backlog cheap: of a report to which nothing has happened, and of which nothing but
    /// targets is promised, the earliest deadline, all of them being still to come; `Timestamp::MAX` where there is none.
    /// Its case would come to the same. `None` where it takes the case to know.
    fn due_of_waiting(&self, row: &Row, assessment: &Assessment<'_>) -> Option<Timestamp> {
        let received = row.received.stated(self.now)?;
        let owes_targets_only = assessment.obligations.is_empty() && assessment.spread.is_none();
        let is_untouched = row.events.is_empty() && !row.paused;
        let is_plain = assessment.standing == Standing::Known && assessment.raised == Some(false) && is_untouched;
        if !(owes_targets_only && is_plain) {
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
        case.see(report, Some(row.clone()), self.read(read_began), None);
        let turns = case.refresh(&self.core.policy, self.now);
        (case, turns)
    }
}
