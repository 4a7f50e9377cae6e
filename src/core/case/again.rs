//! F10: targets that repeat. What was met is owed again, counted from when it was, while the report is open.

use super::Case;
use crate::core::clock::Clock;
use crate::core::id::ReportKey;
use crate::core::observation::EventName;
use crate::core::policy::{DeletedMeans, Policy, Target};
use crate::core::time::Timestamp;

impl Case {
    /// F10: what repeats and was met is owed again while its report is open. Gives whether any is, and then the
    /// case must be refreshed once more.
    pub fn begin_anew(&mut self, policy: &Policy) -> bool {
        let Some((assessment, _)) = self.assess(policy) else { return false };
        let deleted_means = self.deleted_means(policy);
        let mut any = false;
        for index in 0..self.clocks.len() {
            let clock = &self.clocks[index];
            let of_it = |t: &&Target| !clock.obligation && (&t.name, t.until) == (&clock.target, clock.until);
            let repeats = assessment.targets.iter().find(of_it).is_some_and(|target| target.repeat.is_some());
            let next = clock.met_at().filter(|at| repeats && clock.since.is_none_or(|since| *at > since));
            if let Some(at) = next.filter(|_| self.closed_for(clock, deleted_means).is_none()) {
                self.clocks[index].begin_anew(at);
                any = true;
            }
        }
        any
    }

    /// `refresh` for whoever only looks: every repeat of a target is taken up.
    pub fn refresh_fully(&mut self, policy: &Policy, now: Timestamp) {
        self.refresh(policy, now);
        while self.begin_anew(policy) {
            self.refresh(policy, now);
        }
    }

    /// Since when nothing is owed to a clock's reporter again: its report, or the whole case, is closed.
    pub(super) fn closed_for(&self, clock: &Clock, deleted_means: DeletedMeans) -> Option<Timestamp> {
        let report = clock.report.as_ref().and_then(|key| self.reports.get(key));
        let closed = match report {
            Some(report) => report.closure(self.is_p0(), deleted_means),
            None => self.facts(deleted_means).closed,
        };
        closed.or(self.ended.map(|(at, _)| at))
    }

    pub(super) fn deleted_means(&self, policy: &Policy) -> DeletedMeans {
        policy.sources.get(self.key.case.source()).map(|source| source.deleted_means).unwrap_or_default()
    }

    /// F10: the first event of this name after the occurrence that a target counts from.
    pub(super) fn next_after(
        &self,
        name: EventName,
        report: Option<&ReportKey>,
        since: Option<Timestamp>,
    ) -> Option<Timestamp> {
        let p0 = self.is_p0();
        let reports = self.reports.iter().filter(|(key, _)| report.is_none_or(|only| only == *key));
        let instants = reports.flat_map(|(_, report)| report.instants(name, p0));
        instants.filter(|at| Some(*at) > since).min()
    }
}
