//! F20: bulk closures of P0 as they are seen. They are an incident of the operators, one for each account,
//! which is over when no closure of it waits for its review.

use super::Draft;
use crate::core::bulk::{Closed, in_bulk};
use crate::core::case::Case;
use crate::core::id::{EpisodeKey, IncidentNo, Name};
use crate::core::incident::{Incident, IncidentKind};
use crate::core::observation::Actor;
use crate::core::policy::Priority;
use crate::core::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};

/// An account, as one source knows it.
pub type Closer = (Name, Actor);

impl Draft<'_> {
    /// Judges the closures that the read of this instant brought, before they can end anything.
    pub(super) fn judge_closures(&mut self, source: &Name, read_began: Timestamp) {
        let touched = self.touched.iter().filter_map(|key| self.case(key));
        let fresh = touched.flat_map(|case| &case.closed_by).filter(|closed| closed.seen == read_began);
        let mut closers: BTreeMap<Closer, Vec<Timestamp>> = BTreeMap::new();
        for closed in fresh {
            closers.entry((source.clone(), closed.by.clone())).or_default().push(closed.at);
        }
        for (closer, instants) in closers {
            let mut bulk = in_bulk(&self.closures(&closer, &instants), self.core.policy.minor_safety.bulk);
            bulk.extend(self.suspect(&closer, read_began));
            self.tell_bulk(&closer, &bulk);
        }
    }

    /// Cases of an earlier bulk of this account that it has closed again: its word on them needs a review still.
    fn suspect(&self, closer: &Closer, read_began: Timestamp) -> Vec<EpisodeKey> {
        let again = |closed: &Closed| closed.by == closer.1 && closed.seen == read_began && closed.bulk.is_some();
        let touched = self.touched.iter().filter_map(|key| self.case(key));
        touched.filter(|case| case.closed_by.iter().any(again)).map(|case| case.key.clone()).collect()
    }

    fn is_open(&self, no: IncidentNo) -> bool {
        self.incident(no).is_some_and(Incident::is_open)
    }

    /// What an account closed around these instants, as this draft leaves it.
    fn closures(&self, closer: &Closer, instants: &[Timestamp]) -> BTreeSet<(Timestamp, EpisodeKey)> {
        let within = self.core.policy.minor_safety.bulk.within;
        let from = instants.iter().min().map_or(self.now, |at| at.minus(within));
        let until = instants.iter().max().map_or(self.now, |at| at.plus(within));
        let held = self.core.closers.get(closer).into_iter().flatten();
        let held = held.filter(|(_, key)| !self.plan.cases.contains_key(key)).cloned();
        let drafted = self.plan.cases.values().flatten().filter(|case| *case.key.case.source() == closer.0);
        let drafted = drafted.flat_map(|case| case.closed_by.iter().map(|closed| (closed, &case.key)));
        let drafted = drafted.filter(|(closed, _)| closed.by == closer.1).map(|(closed, key)| (closed.at, key.clone()));
        held.chain(drafted).filter(|(at, _)| (from..=until).contains(at)).collect()
    }

    fn tell_bulk(&mut self, closer: &Closer, bulk: &BTreeSet<EpisodeKey>) {
        let is_new = |key: &&EpisodeKey| {
            let case = self.case(key);
            let untold = |closed: &Closed| closed.by == closer.1 && !closed.bulk.is_some_and(|no| self.is_open(no));
            case.is_some_and(|case| case.closed_by.iter().any(untold))
        };
        let new: Vec<EpisodeKey> = bulk.iter().filter(is_new).cloned().collect();
        if new.is_empty() {
            return;
        }
        let no = self.bulk_incident(closer);
        let now = self.now;
        if let Some(incident) = self.incident_mut(no) {
            incident.breach(Priority::P0, None, now);
        }
        for key in new {
            let closed_by = self.case_mut(&key).map(|case| &mut case.closed_by);
            let of_closer = closed_by.into_iter().flatten().filter(|closed| closed.by == closer.1);
            of_closer.for_each(|closed: &mut Closed| closed.bulk = Some(no));
            self.touched.insert(key);
        }
    }

    fn bulk_incident(&mut self, (source, by): &Closer) -> IncidentNo {
        let kind = IncidentKind::Bulk { source: source.clone(), by: by.clone() };
        let is_it = |incident: &&Incident| incident.is_open() && incident.kind == kind;
        let open = self.plan.incidents.values().chain(self.core.incidents()).find(is_it).map(|held| held.no);
        let open = open.filter(|no| self.is_open(*no));
        let policy = self.core.policy.clone();
        let escalation = policy.operators.as_ref().unwrap_or(&policy.minor_safety.escalation);
        open.unwrap_or_else(|| self.open_incident(kind, escalation.clone()))
    }

    /// Cases whose closure in a bulk waits for its review, as this draft leaves them.
    pub fn waiting(&self, no: IncidentNo) -> BTreeSet<EpisodeKey> {
        let held = self.core.waiting.get(&no).into_iter().flatten();
        let held = held.filter(|key| !self.plan.cases.contains_key(key)).cloned();
        let drafted = self.plan.cases.values().filter_map(Option::as_deref);
        let waits = drafted.filter(|case| case.waits_in_bulk().any(|waits| waits == no));
        held.chain(waits.map(|case| case.key.clone())).collect()
    }

    /// A case of a bulk was looked at: its incident may be over, and whoever took it has acted where it waits
    /// no longer.
    pub(super) fn look_at_bulk(&mut self, case: Option<&Case>, waited: &[IncidentNo]) {
        let waits: Vec<IncidentNo> = case.into_iter().flat_map(Case::waits_in_bulk).collect();
        let now = self.now;
        for no in waited.iter().filter(|no| !waits.contains(no)) {
            let taken = self.incident(*no).is_some_and(|incident| incident.acknowledged.is_some());
            if let (true, Some(incident)) = (taken, self.incident_mut(*no)) {
                incident.acted_at = Some(now);
            }
        }
        self.looked_at.extend(waits.into_iter().chain(waited.iter().copied()));
    }
}
