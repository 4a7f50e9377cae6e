//! Incidents as a draft leaves them: which one a case rings in, who stands in it, and whether anybody acts.

use super::{Draft, MemberKey, members_of};
use crate::core::case::Case;
use crate::core::few::Few;
use crate::core::id::{EpisodeKey, IncidentNo, Name};
use crate::core::incident::{Incident, IncidentKind};
use crate::core::urgent::name_of_episode;
use std::collections::{BTreeMap, BTreeSet};

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

    pub(super) fn group(&mut self, escalation: Name, category: &Name) -> IncidentNo {
        let is_open = |no: &IncidentNo| self.incident(*no).is_some_and(Incident::is_open);
        let known = self.groups.get(&escalation).and_then(|groups| groups.get(category)).copied();
        if let Some(no) = known.filter(is_open) {
            return no;
        }
        let held = self.core.groups.get(&(escalation.clone(), category.clone())).copied().filter(is_open);
        let kind = IncidentKind::Group { category: category.clone() };
        let no = held.unwrap_or_else(|| self.open_incident(kind, escalation.clone()));
        self.groups.entry(escalation).or_default().insert(category.clone(), no);
        no
    }

    pub fn open_incident(&mut self, kind: IncidentKind, escalation: Name) -> IncidentNo {
        let no = IncidentNo(self.next_incident);
        self.next_incident += 1;
        self.plan.incidents.insert(no, Incident::open(no, kind, escalation, self.now));
        no
    }

    pub fn incident(&self, no: IncidentNo) -> Option<&Incident> {
        self.plan.incidents.get(&no).or_else(|| self.core.incident(no))
    }

    pub fn incident_mut(&mut self, no: IncidentNo) -> Option<&mut Incident> {
        if !self.plan.incidents.contains_key(&no) {
            let held = self.core.incident(no)?.clone();
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

    /// How many overdue cases an incident has as this draft leaves it.
    pub fn count_members(&self, no: IncidentNo) -> u64 {
        let count = |moved: &BTreeMap<IncidentNo, Few<MemberKey>>| moved.get(&no).map_or(0, Few::len);
        (self.core.members.count(no) + count(&self.joined) - count(&self.left)) as u64
    }

    /// The most urgent of them, at most `limit`.
    pub fn first_members(&self, no: IncidentNo, limit: usize) -> Vec<MemberKey> {
        let has_left = |member: &MemberKey| self.left.get(&no).is_some_and(|left| left.contains(member));
        let held = self.core.members.of(no, &self.core.lines);
        let mut first: Vec<MemberKey> = held.filter(|member| !has_left(member)).take(limit).collect();
        first.extend(self.joined.get(&no).into_iter().flat_map(Few::iter).take(limit).cloned());
        first.sort();
        first.truncate(limit);
        first
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
        let kept_acted =
            || self.plan.kept.iter().any(|kept| kept.case.was_acted_on(since) && stands_in(&kept.case, no));
        let line_acted = |key: &EpisodeKey| self.core.lines.answered(key).is_some_and(|case| case.was_acted_on(since));
        match &incident.kind {
            IncidentKind::Episode(key) => case_acted(key),
            IncidentKind::Group { .. } => {
                let members = self.first_members(no, usize::MAX);
                kept_acted() || members.iter().any(|(_, _, key)| case_acted(key) || line_acted(key))
            }
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

fn stands_in(case: &Case, no: IncidentNo) -> bool {
    members_of(case).iter().any(|(held, _)| *held == no)
}
