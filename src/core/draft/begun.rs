//! Reports that nothing is known of: nearly all of a first look at a backlog. Each is judged as every other, but goes past
//! the search for a case that it may belong to; and of one that has nothing to tell but that it waits no more than a line
//! goes into the plan.

use super::Draft;
use super::effect::{Derived, GoesOn};
use crate::core::case::Case;
use crate::core::clock::Turn;
use crate::core::id::{CaseKey, EpisodeKey, Name, ReportId, ReportKey};
use crate::core::lines::Loose;
use crate::core::observation::{Observation, Row};
use crate::core::pace::Answers;
use crate::core::plan::{Home, Rows};
use crate::core::policy::{Assessment, Priority};
use crate::core::time::Timestamp;
use crate::core::waiting::Waiting;
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
    pub(super) fn begin_alone(&mut self, (source, id): (&Name, &ReportId), row: &Row, read_began: Timestamp) -> bool {
        let assessment = self.core.policy.assess(row);
        if assessment.priority == Priority::P0 {
            return false;
        }
        let report = || ReportKey { source: source.clone(), id: id.clone(), incarnation: 0 };
        // No case without a report, and no report without its home.
        debug_assert!(self.latest_episode(&CaseKey::Report(report())).is_none());
        self.alarm((source, id, 0), row, &assessment);
        self.count_arrival(source, row);
        let of_case = || self.alone(CaseKey::Report(report()), (&report(), row), &assessment, read_began);
        if let Some((line, answers)) = self.begin_waiting(source, row, &assessment, read_began) {
            debug_assert_eq!(self.core.lines.loose(&of_case().0), Some(line.clone()), "its case says the same of {id}");
            self.plan.answers.extend(answers);
            self.plan.lines.begun.push((id.clone(), line));
            return true;
        }
        let (case, turns) = of_case();
        // What has happened to it already is told with the case.
        let is_silent = turns.is_empty() && row.events.is_empty();
        match is_silent.then(|| self.core.lines.loose(&case)).flatten() {
            Some(line) => self.plan.lines.begun.push((id.clone(), line)),
            None => self.derived.push(Derived { case: Box::new(case), turns, held: None, line: None }),
        }
        true
    }

    /// The line of a report that only waits, and what has met its targets where that is news.
    fn begin_waiting(
        &self,
        source: &Name,
        row: &Row,
        assessment: &Assessment<'_>,
        read_began: Timestamp,
    ) -> Option<(Loose, Option<Answers>)> {
        let (core, received) = (self.core, row.received.stated(self.now)?);
        let waiting = Waiting::of(&core.policy, assessment, (row, received), self.read(read_began))?;
        let line = core.lines.begin(source, &waiting, read_began)?;
        let is_news = !row.events.is_empty() && core.is_caught_up(source);
        Some((line, is_news.then(|| Answers::of_waiting(source, &waiting))))
    }

    /// Lays down a case that begins, as a line where it can be one. One that has settled already leaves nothing.
    pub(super) fn begin(&mut self, begun: GoesOn) {
        let case = &begun.case;
        let Some((report, _)) = case.first_report() else { return };
        let Some(line) = self.core.lines.loose(case) else {
            let home = Home { incarnation: report.incarnation, episode: case.key.clone() };
            self.plan.homes.insert((report.source.clone(), report.id.clone()), Some(home));
            return self.lay(begun);
        };
        // A first look at a source finds old answers, which are no news.
        let is_news = self.core.is_caught_up(case.key.case.source());
        self.plan.answers.extend(is_news.then(|| Answers::between(None, Some(case), None)).flatten());
        self.plan.lines.begun.push((report.id.clone(), line));
        self.keep(begun);
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
