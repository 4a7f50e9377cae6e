//! Obligations of a case: which it owes, when the clock of each starts, and when it is due.

use super::{Case, Facts};
use crate::core::clock::{Clock, Evidence};
use crate::core::id::Name;
use crate::core::obligation::{Matched, Obligation};
use crate::core::observation::EventName;
use crate::core::policy::{DeletedMeans, Due, Policy};
use crate::core::time::Timestamp;

impl Case {
    /// The obligations that this case owes: those which match a report of it and whose beginning has
    /// happened while they were in force. Once owed, one stays owed on P0, where a recategorisation
    /// changes nothing, and below it while it is breached.
    pub(super) fn owed<'p>(
        &self,
        policy: &'p Policy,
        matched: Matched,
        facts: &Facts,
        deleted_means: DeletedMeans,
    ) -> Vec<&'p Obligation> {
        let source = self.key.case.source();
        let is_owed = |place: usize, obligation: &Obligation| {
            let held = self.clocks.iter().find(|clock| clock.obligation && clock.target == *obligation.name());
            let stays = held.is_some_and(|clock| self.is_p0() || clock.breach().is_some());
            let applies = matched.contains(place) && obligation.is_about(source);
            stays || applies && self.obliged_since(obligation, facts, deleted_means).is_some()
        };
        let all = policy.obligations.iter().enumerate();
        all.filter(|(place, obligation)| is_owed(*place, obligation)).map(|(_, obligation)| obligation).collect()
    }

    /// Obligations that match a report of it and wait for their beginning, or were not in force at it.
    pub fn not_begun<'p>(&self, policy: &'p Policy) -> impl Iterator<Item = &'p Obligation> {
        let rows = self.reports.values().map(|report| &report.row);
        let matched = rows.fold(Matched::default(), |all, row| all.and(Matched::of(&policy.obligations, row).0));
        let (source, held) = (self.key.case.source(), |name: &Name| {
            self.clocks.iter().any(|clock| clock.obligation && clock.target == *name)
        });
        let all = policy.obligations.iter().enumerate();
        all.filter(move |(place, obligation)| {
            matched.contains(*place) && obligation.is_about(source) && !held(obligation.name())
        })
        .map(|(_, obligation)| obligation)
    }

    /// When its beginning happened, if it was in force then.
    fn obliged_since(&self, obligation: &Obligation, facts: &Facts, deleted_means: DeletedMeans) -> Option<Timestamp> {
        let started = match obligation.target.from {
            EventName::Received => Some(facts.anchor),
            from => self.earliest(from, None, deleted_means),
        };
        let assumed = || obligation.assumed.contains(self.key.case.source()).then_some(facts.anchor);
        started.or_else(assumed).filter(|at| obligation.in_force.holds_at(*at))
    }

    /// What is known of the two events of an obligation.
    pub(super) fn evidence_of_obligation(
        &self,
        obligation: &Obligation,
        clock: &Clock,
        facts: &Facts,
        deleted_means: DeletedMeans,
    ) -> Evidence {
        let evidence = self.evidence(&obligation.target, clock, facts, deleted_means);
        let own = clock.report.as_ref().and_then(|key| self.reports.get(key)).map(|report| report.received);
        let started = match (obligation.target.from, own) {
            (EventName::Received, Some(own)) => Some(own).filter(|at| obligation.in_force.holds_at(*at)),
            _ => self.obliged_since(obligation, facts, deleted_means),
        };
        Evidence { started, ..evidence }
    }

    /// When an obligation is due: so long after its beginning, whatever pauses, spreads or is closed.
    pub(super) fn obligation_due(obligation: &Obligation, evidence: &Evidence) -> Option<Timestamp> {
        match &obligation.target.due {
            Due::Within { span, .. } => Some(evidence.started?.plus(*span)),
            Due::Stated { .. } => None,
        }
    }

    /// Who hears of a breach of this clock.
    pub fn told(&self, clock: &Clock, policy: &Policy) -> Option<Name> {
        let own = policy.obligation(&clock.target).filter(|_| clock.obligation && !self.is_p0());
        own.and_then(|obligation| obligation.escalation.clone()).or_else(|| self.escalation.clone())
    }
}
