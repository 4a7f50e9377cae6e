//! A policy that changes while the core runs: every case is judged anew from its reports as last read, P0
//! first, in batches that leave room for what is due. Starting from the store is the same path.

use super::case::Case;
use super::draft::Draft;
use super::engine::Core;
use super::id::{CaseKey, EpisodeKey};
use super::incident::{Incident, IncidentKind};
use super::lines::Slot;
use super::plan::BATCH;
use super::policy::{Escalation, Policy, Priority};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What must be judged anew: P0 apart, so that all of it goes first.
pub type Stale = [BTreeSet<EpisodeKey>; 2];

impl Core {
    /// Takes another policy. From now on everything is decided by it; `Input::Reassess` takes up the cases
    /// that were judged by the one before.
    pub fn adopt(&mut self, policy: Arc<Policy>) {
        self.policy = policy;
        self.judge_all_anew();
    }

    pub(super) fn judge_all_anew(&mut self) {
        self.stale_lines = 0..self.lines.end();
        for (key, case) in &self.cases {
            self.stale[usize::from(!case.is_p0())].insert(key.clone());
        }
    }

    /// How many cases are to be judged anew: of P0, and of the rest.
    pub fn stale(&self) -> (usize, usize) {
        (self.stale[0].len(), self.stale[1].len() + self.stale_lines.len())
    }

    /// The next cases to be judged anew, at most `BATCH`, all of P0 before anything else.
    pub(super) fn stale_batch(&self) -> Vec<EpisodeKey> {
        self.stale.iter().flatten().take(BATCH).cloned().collect()
    }

    /// The lines that follow once every whole case has been judged, as many as the batch has room for, and the slot
    /// that they end before.
    fn stale_line_batch(&self) -> (Vec<Slot>, Slot) {
        let room = BATCH.saturating_sub(self.stale.iter().map(BTreeSet::len).sum());
        let slots = if room == 0 { 0..0 } else { self.stale_lines.clone() };
        let batch: Vec<Slot> = self.lines.within(slots.clone()).take(room).collect();
        let end = match batch.last() {
            Some(last) if batch.len() == room => last + 1,
            _ => slots.end,
        };
        (batch, end.max(self.stale_lines.start))
    }

    /// As [`Core::strangers`], for what the next `Input::Reassess` takes up: a lesser report that is P0 by the
    /// new policy may continue a case that only the store remembers.
    pub fn strangers_of_reassess(&self) -> Vec<CaseKey> {
        let mut keys = BTreeSet::new();
        let whole =
            self.stale_batch().into_iter().filter_map(|key| self.cases.get(&key)).map(|case| Cow::Borrowed(&**case));
        let (lines, _) = self.stale_line_batch();
        let lines = lines.into_iter().filter_map(|slot| self.lines.to_derive(slot)).map(Cow::Owned);
        for case in whole.chain(lines).filter(|case: &Cow<'_, Case>| !case.is_p0()) {
            for row in case.reports.values().map(|report| &report.row) {
                if let (Some(subject), Priority::P0) = (row.subject, self.policy.assess(row).priority) {
                    keys.insert(CaseKey::Subject { source: case.key.case.source().clone(), subject });
                }
            }
        }
        keys.into_iter().collect()
    }

    pub(super) fn reassess(&self, draft: &mut Draft<'_>) {
        for key in self.stale_batch() {
            draft.reassess(&key);
        }
        let (lines, end) = self.stale_line_batch();
        for slot in lines {
            draft.reassess_line(slot);
        }
        draft.plan.lines.judged_until = Some(end);
        draft.refresh_touched();
    }

    /// Whom an incident tells, by the policy of now. P0 always has somebody. What the policy no longer names
    /// still rings: the operators, else those of P0.
    pub(super) fn escalation_of(&self, incident: &Incident) -> Option<&Escalation> {
        let escalations: &BTreeMap<_, Escalation> = &self.policy.escalations;
        let minor_safety = || escalations.get(&self.policy.minor_safety.escalation);
        match &incident.kind {
            IncidentKind::Episode(_) | IncidentKind::Bundle { .. } => minor_safety(),
            IncidentKind::Group { .. }
            | IncidentKind::Blind(_)
            | IncidentKind::Bulk { .. }
            | IncidentKind::Warning(_)
            | IncidentKind::Trouble(_)
            | IncidentKind::Audit { .. }
            | IncidentKind::Test { .. } => {
                let operators = || escalations.get(self.policy.operators.as_ref()?);
                escalations.get(&incident.escalation).or_else(operators).or_else(minor_safety)
            }
        }
    }
}
