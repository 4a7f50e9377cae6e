//! What the rest of the house may see of the core: the view, and the cases in rank order, of which most are lines
//! that are made whole to be shown.

use super::case::Case;
use super::draft::members_of;
use super::engine::Core;
use super::explain::{Explanation, explain};
use super::id::{CaseKey, EpisodeKey, IncidentNo, ReportId, ReportKey};
use super::incident::{Incident, IncidentKind};
use super::policy::Priority;
use super::rank::Rank;
use super::time::Timestamp;
use super::view::{Counts, Group, IncidentRow, NextDeadline, QueueRow, VIEW_ROWS, View};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

impl Core {
    /// What the rest of the house may see.
    pub fn view(&self, now: Timestamp) -> View {
        let queue = self.head(VIEW_ROWS).map(|case| queue_row(&case));
        let open = self.incidents().rev().filter(|incident| incident.is_open() && incident.is_taken());
        View {
            as_of: Some(now),
            queue: queue.collect(),
            open: self.open_by_group(),
            incidents: open.take(VIEW_ROWS).map(|incident| self.incident_row(incident)).collect(),
            breaches_total: self.tally.breaches.clone(),
            rejects_total: self.tally.rejects.clone(),
            quiets: self.quiets.values().filter(|quiet| !quiet.is_over(now)).cloned().collect(),
            presumed_categories: self.tally.presumed.iter().cloned().collect(),
            pace: self.tally.pace.view(now, self.lines.open(now)),
        }
    }

    fn open_by_group(&self) -> BTreeMap<Group, Counts> {
        let mut open: BTreeMap<Group, Counts> = BTreeMap::new();
        for (group, part) in self.counts() {
            let counts = open.entry(group).or_default();
            (counts.open, counts.overdue) = (counts.open + part.open, counts.overdue + part.overdue);
        }
        open
    }

    fn incident_row(&self, incident: &Incident) -> IncidentRow {
        let category = match &incident.kind {
            IncidentKind::Group { category } => category.clone(),
            IncidentKind::Episode(key) => self.cases.get(key).map_or_else(|| "".into(), |case| case.category.clone()),
            IncidentKind::Bundle { .. } => "several".into(),
            IncidentKind::Blind(_) => "monitor blind".into(),
            IncidentKind::Bulk { .. } => "bulk closures".into(),
            IncidentKind::Warning(_) => "warning".into(),
            IncidentKind::Trouble(trouble) => trouble.kind.as_str().into(),
            IncidentKind::Audit { .. } => "monitor at fault".into(),
            IncidentKind::Test { .. } => "test".into(),
        };
        let count = match &incident.kind {
            IncidentKind::Bundle { members } => {
                members.iter().filter(|no| self.incident(**no).is_some_and(Incident::is_open)).count()
            }
            IncidentKind::Bulk { .. } => self.waiting.get(&incident.no).map_or(0, BTreeSet::len),
            IncidentKind::Blind(_)
            | IncidentKind::Warning(_)
            | IncidentKind::Trouble(_)
            | IncidentKind::Audit { .. }
            | IncidentKind::Test { .. } => 0,
            IncidentKind::Episode(_) | IncidentKind::Group { .. } => self.members.count(incident.no),
        };
        IncidentRow {
            incident: incident.clone(),
            priority: incident.rung_priority.unwrap_or(Priority::P4),
            category,
            count: count as u64,
        }
    }

    /// Cases held, in no order that means anything, for tests and the log.
    pub fn cases(&self) -> impl Iterator<Item = Case> {
        let lines = self.lines.iter().filter_map(|slot| self.lines.whole(slot, &self.policy));
        self.cases.values().map(|case| Case::clone(case)).chain(lines)
    }

    /// The queue in rank order.
    pub fn queue(&self) -> impl Iterator<Item = Case> {
        self.head(usize::MAX).map(Cow::into_owned)
    }

    /// The rows of the queue after this place, at most `limit`; from its head where no place is given. It costs what
    /// it gives, however long the queue is.
    pub fn rows_after(&self, after: Option<&Rank>, limit: usize) -> Vec<QueueRow> {
        self.from(after, limit).map(|case| queue_row(&case)).collect()
    }

    /// The open cases after this place by their keys alone, at most `limit`, for whoever looks for one by its
    /// reference, and the place of the last.
    pub fn keys_after(&self, after: Option<&Rank>, limit: usize) -> (Vec<CaseKey>, Option<Rank>) {
        let ranks = self.ranks_from(after, limit);
        let last = if ranks.len() < limit { None } else { ranks.last().cloned() };
        (ranks.into_iter().map(|rank| rank.key.case).collect(), last)
    }

    /// An open case, with the reason for each of its deadlines.
    pub fn open_case(&self, key: &CaseKey, now: Timestamp) -> Option<(Case, Explanation)> {
        let case = self.held(key)?.into_owned();
        let explanation = explain(&case, &self.policy, now);
        Some((case, explanation))
    }

    /// The reason for each deadline of a case that the store remembers, by the policy of now.
    pub fn explain(&self, case: &Case, now: Timestamp) -> Explanation {
        explain(case, &self.policy, now)
    }

    fn head(&self, limit: usize) -> impl Iterator<Item = Cow<'_, Case>> {
        self.from(None, limit)
    }

    /// An open incident, and the first of its overdue cases in rank order, at most `limit`.
    pub fn open_incident(&self, no: IncidentNo, limit: usize) -> Option<(IncidentRow, Vec<QueueRow>)> {
        let incident = self.incident(no).filter(|incident| incident.is_open())?;
        let members = self.members.of(no, &self.lines).take(limit);
        let cases = members.filter_map(|(_, _, key)| self.as_held(&key)).map(|case| queue_row(&case));
        Some((self.incident_row(incident), cases.collect()))
    }

    /// The latest episode of a case that is in memory.
    pub(super) fn held(&self, key: &CaseKey) -> Option<Cow<'_, Case>> {
        let episode = |episode| EpisodeKey { case: key.clone(), episode };
        if let Some((_, case)) = self.cases.range(episode(0)..=episode(u32::MAX)).next_back() {
            return Some(Cow::Borrowed(&**case));
        }
        let CaseKey::Report(report) = key else { return None };
        let slot = self.lines.slot(&report.source, &report.id)?;
        self.lines.whole(slot, &self.policy).map(Cow::Owned)
    }

    fn ranks_from(&self, after: Option<&Rank>, limit: usize) -> Vec<Rank> {
        let mut whole = self.whole_after(after).take(limit).peekable();
        let mut lines = self.lines.after(after, limit).into_iter().map(|(rank, _)| rank).peekable();
        let next = move || match (whole.peek(), lines.peek()) {
            (Some(one), Some(other)) if other < *one => lines.next(),
            (None, _) => lines.next(),
            _ => whole.next().cloned(),
        };
        std::iter::from_fn(next).take(limit).collect()
    }

    fn whole_after(&self, after: Option<&Rank>) -> impl Iterator<Item = &Rank> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.queue.range((from, Bound::Unbounded))
    }

    fn from(&self, after: Option<&Rank>, limit: usize) -> impl Iterator<Item = Cow<'_, Case>> {
        let mut whole = self.whole_after(after).take(limit).peekable();
        let mut lines = self.lines.after(after, limit).into_iter().peekable();
        let next = move || {
            let is_line = match (whole.peek(), lines.peek()) {
                (Some(one), Some((other, _))) => other < one,
                (one, _) => one.is_none(),
            };
            if is_line {
                let (_, slot) = lines.next()?;
                return self.lines.whole(slot, &self.policy).map(Cow::Owned);
            }
            self.cases.get(&whole.next()?.key).map(|case| Cow::Borrowed(&**case))
        };
        std::iter::from_fn(next).take(limit)
    }
}

fn queue_row(case: &Case) -> QueueRow {
    let first = case.clocks.iter().filter(|clock| clock.unmet_deadline().is_some());
    let next = first.min_by_key(|clock| clock.unmet_deadline());
    let none = || ReportKey { source: case.key.case.source().clone(), id: ReportId::Int(0), incarnation: 0 };
    QueueRow {
        episode: case.key.clone(),
        first_report: case.first_report().map_or_else(none, |(key, _)| key.clone()),
        reports: u32::try_from(case.reports.len()).unwrap_or(u32::MAX),
        category: case.category.clone(),
        priority: case.priority,
        standing: case.standing,
        rule: case.rule.clone(),
        received: case.received(),
        next: next.and_then(|clock| {
            let deadline = clock.unmet_deadline()?;
            Some(NextDeadline { target: clock.target.clone(), until: clock.until, deadline })
        }),
        overdue: case.is_overdue(),
        unverified: case.clocks.iter().any(|c| matches!(c.state, super::clock::ClockState::Unverified { .. })),
        rank: case.rank(),
        incident: members_of(case)
            .into_iter()
            .min_by(|a, b| (&a.1, a.0).cmp(&(&b.1, b.0)))
            .map(|(no, _)| no)
            .or(case.incident),
    }
}
