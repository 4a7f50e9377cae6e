//! What a case's reports say of one target: when it began, when it was met, until when it was promised.

use super::{Case, Conclusion, Facts, Report};
use crate::core::clock::{self, Clock, Evidence};
use crate::core::id::ReportKey;
use crate::core::observation::{EventName, Verdict};
use crate::core::policy::{DeletedMeans, Due, Policy, Target};
use crate::core::time::Timestamp;

impl Case {
    pub(super) fn evidence(
        &self,
        target: &Target,
        clock: &Clock,
        facts: &Facts,
        deleted_means: DeletedMeans,
    ) -> Evidence {
        let anchor = clock.report.as_ref().and_then(|key| self.reports.get(key)).map(|report| report.received);
        let started = match (target.from, target.until) {
            _ if clock.since.is_some() => clock.since,
            (EventName::Received, _) => Some(anchor.unwrap_or(facts.anchor)),
            (_, EventName::SecondReview) => facts.no_violation,
            (from, _) => self.earliest(from, None, deleted_means),
        };
        let happened = match target.until {
            until if clock.since.is_some() => self.next_after(until, clock.report.as_ref(), clock.since),
            EventName::Closed => facts.closed,
            EventName::SecondReview => facts.no_violation.and_then(|at| self.second_review(at)),
            until => self.earliest(until, clock.report.as_ref(), deleted_means),
        };
        let (first_seen, read_began) = match clock.report.as_ref().and_then(|key| self.reports.get(key)) {
            Some(report) => (report.first_seen, report.read_began),
            None => (facts.first_seen, facts.read_began),
        };
        let moot = self.ended.filter(|(_, how)| leaves_moot(*how, target.until)).map(|(at, _)| at);
        let moot = moot.or_else(|| clock.since.and_then(|_| self.closed_for(clock, deleted_means)));
        Evidence { started, happened, due: None, read_began, moot, first_seen, joined: facts.joined, p0: self.is_p0() }
    }

    /// The earliest event of this name that counts, over the case or in one report. A closure that
    /// counts is a first response too, and a violation closure of a P0 confirms it.
    pub(super) fn earliest(
        &self,
        name: EventName,
        report: Option<&ReportKey>,
        deleted_means: DeletedMeans,
    ) -> Option<Timestamp> {
        let p0 = self.is_p0();
        let reports = self.reports.iter().filter(|(key, _)| report.is_none_or(|only| only == *key));
        let at = |report: &Report| {
            let implied = match name {
                EventName::Received => Some(report.received),
                EventName::FirstResponse => report.closure(p0, deleted_means),
                EventName::Confirmed if p0 && report.row.verdict == Verdict::Violation => {
                    report.closure(p0, deleted_means)
                }
                _ => None,
            };
            report.event(name, p0).into_iter().chain(implied).min()
        };
        reports.filter_map(|(_, report)| at(report)).min()
    }

    /// A due date that the source states may move in on P0, never out.
    pub(super) fn deadline(
        &self,
        target: &Target,
        clock: &Clock,
        evidence: &Evidence,
        policy: &Policy,
    ) -> Option<Timestamp> {
        let (stated, calendar) = match &target.due {
            Due::Stated { column } => {
                let stated = self.reports.values().filter_map(|report| report.row.due(column)).min();
                let held = clock.deadline.filter(|_| self.is_p0());
                (stated.into_iter().chain(held).min(), None)
            }
            Due::Within { calendar, .. } => (None, calendar.as_ref().and_then(|name| policy.calendars.get(name))),
        };
        let credited = self.credited();
        let due = match (&target.due, clock.since.and(target.repeat)) {
            (Due::Within { calendar, .. }, Some(span)) => &Due::Within { span, calendar: calendar.clone() },
            (due, _) => due,
        };
        let deadline = clock::deadline(due, evidence.started, stated, calendar.map(|c| &**c), credited)?;
        Some(deadline.min(self.tightened(evidence, policy).unwrap_or(Timestamp::MAX)))
    }

    /// F6: the deadline that a crossing sets for what was running then; one that came later had its own start.
    /// On wall time, and below P0 it stands still while every other clock of the case does.
    fn tightened(&self, evidence: &Evidence, policy: &Policy) -> Option<Timestamp> {
        let (crossed, spread) = (self.crossed?, policy.spread_of(self.priority, &self.rule)?);
        let running = evidence.started? <= crossed && evidence.happened.is_none_or(|at| at > crossed);
        let due = Due::Within { span: spread.within, calendar: None };
        running.then(|| clock::deadline(&due, Some(crossed), None, None, self.credited()))?
    }
}

/// What an ended episode no longer waits for: all of a vanished one; of a decision of no violation,
/// what only a violation calls for.
fn leaves_moot(how: Conclusion, until: EventName) -> bool {
    match how {
        Conclusion::Vanished => true,
        Conclusion::NoViolation => {
            matches!(until, EventName::Removed | EventName::Filed | EventName::Confirmed | EventName::ReviewerAction)
        }
        Conclusion::Violation | Conclusion::Closed => false,
    }
}
