//! F20: who closed the reports of a P0 case, so that closures in bulk are told from decisions.

use super::report::counts;
use super::{Case, Report};
use crate::core::bulk::Closed;
use crate::core::id::{IncidentNo, ReportKey};
use crate::core::observation::{Event, EventName, Row};
use crate::core::time::Timestamp;

/// Who closed a row, and when, if that counts at this priority.
pub fn closing(row: &Row, p0: bool) -> Option<&Event> {
    row.events.iter().find(|event| event.name == EventName::Closed && counts(event, p0))
}

impl Case {
    /// F20: a report that is P0 by its row may come closed to a case that isn't yet.
    pub fn note_closure_of_p0(&mut self, key: &ReportKey) {
        self.note_closure_as(true, key, false, None);
    }

    pub(super) fn note_closure(&mut self, key: &ReportKey, changed: bool, open_until: Option<Timestamp>) {
        self.note_closure_as(self.is_p0(), key, changed, open_until);
    }

    /// F20: remembers who closed a report of a P0, and when: never before a read that saw it open.
    fn note_closure_as(&mut self, p0: bool, key: &ReportKey, changed: bool, open_until: Option<Timestamp>) {
        let Some(report) = self.reports.get(key).filter(|_| p0) else { return };
        let Some((by, seen)) = report.closing(p0).map(|event| (event.by.clone(), report.read_began)) else { return };
        let stated = report.event(EventName::Closed, p0).unwrap_or(seen);
        let at = open_until.map_or(stated, |open| stated.max(open));
        match self.closed_by.iter_mut().find(|closed| closed.by == by) {
            Some(held) if changed => (held.at, held.seen) = (held.at.max(at), held.seen.max(seen)),
            Some(_) => {}
            None => self.closed_by.push(Closed { by, at, seen, bulk: None }),
        }
    }

    /// F20: whether a report's closure was part of a bulk, so that it is no evidence by itself.
    pub(super) fn is_in_bulk(&self, report: &Report) -> Option<IncidentNo> {
        let closing = report.closing(self.is_p0())?;
        self.closed_by.iter().find(|closed| closed.by == closing.by)?.bulk
    }

    /// The incidents of the bulks in which a closure of it still waits for its review.
    pub fn waits_in_bulk(&self) -> impl Iterator<Item = IncidentNo> {
        let open = self.reports.values().filter(|_| self.is_p0() && self.ended.is_none());
        open.filter_map(|report| self.is_in_bulk(report))
    }
}
