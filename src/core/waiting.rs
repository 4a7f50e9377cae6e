//! What nearly every report of a queue comes to, without the case that it is: below P0, owing nothing but targets, each of
//! which was met in time or is still to come. In debug builds, and so in every test, its case must say the same.

use super::case::{Read, seen};
use super::clock;
use super::observation::{EventName, Row};
use super::policy::{Assessment, Due, Policy, Priority, Standing, Target};
use super::time::Timestamp;

/// A report of which there is nothing to tell but that it waits, and what has met its targets.
pub struct Waiting<'w> {
    pub row: &'w Row,
    pub assessment: &'w Assessment<'w>,
    pub received: Timestamp,
    /// The earliest deadline that is still to come; `Timestamp::MAX` where there is none.
    pub due: Timestamp,
    pub first_response: Option<Timestamp>,
    /// What became of each target; nothing where nothing has happened to the report.
    pub targets: Vec<Awaited<'w>>,
}

/// One of its targets.
pub struct Awaited<'w> {
    pub target: &'w Target,
    /// `None` where its clock hasn't started, or none is stated.
    pub deadline: Option<Timestamp>,
    pub met_at: Option<Timestamp>,
}

impl<'w> Waiting<'w> {
    /// What becomes of a report that came in then, by what a read shows of it; `None` where it takes the case to know.
    pub fn of(
        policy: &Policy,
        assessment: &'w Assessment<'w>,
        (row, received): (&'w Row, Timestamp),
        read: Read,
    ) -> Option<Waiting<'w>> {
        let owes_targets_only = assessment.obligations.is_empty() && assessment.spread.is_none();
        let is_plain = assessment.standing == Standing::Known && assessment.raised == Some(false);
        let is_decided = |name| matches!(name, EventName::Closed | EventName::SecondReview);
        let is_open = !row.paused && !row.events.iter().any(|event| is_decided(event.name));
        if assessment.priority == Priority::P0 || !(owes_targets_only && is_plain && is_open) {
            return None;
        }
        let of_escalation = policy.warns_of(assessment.escalation);
        let first = |name| seen(row, name, false, read.began).map(|at| at.max(received)).min();
        let (due, first_response) = (Timestamp::MAX, first(EventName::FirstResponse));
        let mut waiting = Waiting { row, assessment, received, due, first_response, targets: Vec::new() };
        for target in assessment.targets {
            if target.until == EventName::Received || target.warns_before(of_escalation).is_some() {
                return None;
            }
            let started = (target.from == EventName::Received).then_some(received);
            let (stated, calendar) = match &target.due {
                Due::Stated { column } => (row.due(column), None),
                Due::Within { calendar, .. } => (None, calendar.as_ref().and_then(|name| policy.calendars.get(name))),
            };
            let deadline = clock::deadline(&target.due, started, stated, calendar.map(|calendar| &**calendar), &[]);
            let met_at = if row.events.is_empty() { None } else { first(target.until) };
            match (deadline, met_at) {
                (Some(deadline), None) if deadline >= read.taken_in => waiting.due = waiting.due.min(deadline),
                (Some(deadline), Some(at)) if at <= deadline && target.repeat.is_none() => {}
                // It began with an event, or nobody says until when it is promised.
                (None, None) if started.is_some() || first(target.from).is_none() => {}
                _ => return None,
            }
            if !row.events.is_empty() {
                waiting.targets.push(Awaited { target, deadline, met_at });
            }
        }
        Some(waiting)
    }
}
