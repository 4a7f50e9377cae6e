//! Incidents as a draft leaves them: which one a case rings in, who stands in it, and whether anybody acts.

use super::{Draft, MemberKey};
use crate::core::case::Case;
use crate::core::id::{EpisodeKey, IncidentNo, Name};
use crate::core::incident::{Incident, IncidentKind};
use crate::core::urgent::name_of_episode;
use std::collections::BTreeSet;

impl Draft<'_> {
    pub(super) fn episode_incident(&mut self, case: &Case, escalation: Name) -> IncidentNo {
        match case.incident {
            Some(no) if self.incident(no).is_some() => no,
            before => {
                let no = self.open_incident(IncidentKind::Episode(case.key.clone()), escalation);
                self.name_incident(no, &name_of_episode(no, &case.key, before));
                no
            }
        }
    }

    pub(super) fn group(&mut self, escalation: Name, category: Name) -> IncidentNo {
        let place = (escalation.clone(), category.clone());
        let held = self.groups.get(&place).or_else(|| self.core.groups.get(&place)).copied();
        let open = held.filter(|no| self.incident(*no).is_some_and(Incident::is_open));
        let no = open.unwrap_or_else(|| self.open_incident(IncidentKind::Group { category }, escalation));
        self.groups.insert(place, no);
        no
    }

    pub fn open_incident(&mut self, kind: IncidentKind, escalation: Name) -> IncidentNo {
        let no = IncidentNo(self.next_incident);
        self.next_incident += 1;
        self.plan.incidents.insert(no, Incident::open(no, kind, escalation, self.now));
        no
    }

    pub fn incident(&self, no: IncidentNo) -> Option<&Incident> {
        self.plan.incidents.get(&no).or_else(|| self.core.incidents.get(&no))
    }

    pub fn incident_mut(&mut self, no: IncidentNo) -> Option<&mut Incident> {
        if !self.plan.incidents.contains_key(&no) {
            let held = self.core.incidents.get(&no)?.clone();
            self.plan.incidents.insert(no, held);
        }
        self.plan.incidents.get_mut(&no)
    }

    /// A case that stood in the incidents of `before` stands in those of `after`.
    pub(super) fn move_members(
        &mut self,
        before: Vec<(IncidentNo, MemberKey)>,
        mut after: Vec<(IncidentNo, MemberKey)>,
    ) {
        for (no, member) in before {
            if let Some(place) = after.iter().position(|(held, of)| (*held, of) == (no, &member)) {
                after.remove(place);
                continue;
            }
            let now = self.now;
            if let Some(incident) = self.incident_mut(no).filter(|incident| incident.acknowledged.is_some()) {
                incident.acted_at = Some(now);
            }
            if !self.joined.get_mut(&no).is_some_and(|joined| joined.remove(&member)) {
                self.left.entry(no).or_default().insert(member);
            }
        }
        for (no, member) in after {
            if !self.left.get_mut(&no).is_some_and(|left| left.remove(&member)) {
                self.joined.entry(no).or_default().insert(member);
            }
        }
    }

    /// Overdue cases in an incident as this draft leaves it: how many, and the most urgent.
    pub fn members(&self, no: IncidentNo, limit: usize) -> (u64, Vec<MemberKey>) {
        let none = BTreeSet::new();
        let joined = self.joined.get(&no).unwrap_or(&none);
        let left = self.left.get(&no).unwrap_or(&none);
        let count = self.core.members.count(no) + joined.len() - left.len();
        let held = self.core.members.of(no, &self.core.lines);
        let mut first: Vec<MemberKey> = held.filter(|member| !left.contains(member)).take(limit).collect();
        first.extend(joined.iter().take(limit).cloned());
        first.sort();
        first.truncate(limit);
        (count as u64, first)
    }

    /// F16: whether anybody has done anything in an incident since it was acknowledged: an action of a
    /// person on one of its cases, or a target met.
    pub fn was_acted_on(&self, no: IncidentNo) -> bool {
        let Some(incident) = self.incident(no) else { return true };
        let Some(acknowledged) = &incident.acknowledged else { return true };
        let since = acknowledged.at;
        if incident.acted_at.is_some_and(|at| at >= since) {
            return true;
        }
        let case_acted = |key: &EpisodeKey| self.case(key).is_some_and(|case| case.was_acted_on(since));
        match &incident.kind {
            IncidentKind::Episode(key) => case_acted(key),
            IncidentKind::Group { .. } => self.members(no, usize::MAX).1.iter().any(|(_, _, key)| case_acted(key)),
            IncidentKind::Blind(_) | IncidentKind::Audit { .. } | IncidentKind::Test { .. } => false,
            IncidentKind::Bulk { .. } => self.waiting(no).iter().any(case_acted),
            IncidentKind::Warning(_) | IncidentKind::Trouble(_) => true,
            IncidentKind::Bundle { members } => members.iter().any(|member| match self.incident(*member) {
                Some(Incident { kind: IncidentKind::Episode(key), resolved_at: None, .. }) => case_acted(key),
                _ => true,
            }),
        }
    }

    /// Incidents whose members this draft changed or looked at, or that it rang.
    pub fn incidents_to_settle(&self) -> BTreeSet<IncidentNo> {
        let moved = self.joined.keys().chain(self.left.keys());
        moved.chain(self.plan.incidents.keys()).chain(&self.looked_at).copied().collect()
    }
}
