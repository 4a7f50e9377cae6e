//! F4: a report that comes again about an open P0 is news. The second, fourth, eighth and so on open a round
//! one step up, and an incident where there is none; that ends when a person acts.

use super::Draft;
use crate::core::case::Case;
use crate::core::clock::{Clock, PROOF_WITHIN};
use crate::core::id::IncidentNo;
use crate::core::incident::IncidentKind;

impl Draft<'_> {
    /// Rings for the repeats that this draft brought to an open P0 episode.
    pub(super) fn repeat(&mut self, case: &mut Case) {
        if !case.is_p0() || case.ended.is_some() {
            return;
        }
        let reports = u32::try_from(case.reports.len()).unwrap_or(u32::MAX);
        let told = 1 << reports.max(1).ilog2();
        if told < 2 || told <= case.repeats_told {
            return;
        }
        let Some(escalation) = case.escalation.clone() else { return };
        let no = self.episode_incident(case, escalation.clone());
        (case.repeats_told, case.incident) = (told, Some(no));
        let escalation = self.core.policy.escalations.get(&escalation);
        let (act_within, steps) = (escalation.and_then(|e| e.act_within), escalation.map_or(0, |e| e.steps.len()));
        let now = self.now;
        // A deadline that is being proved rings within this time, and once is enough.
        let being_proved = case.clocks.iter().any(Clock::is_being_proved);
        let proved_by = if being_proved { now.plus(PROOF_WITHIN) } else { now };
        if let Some(incident) = self.incident_mut(no) {
            incident.repeat(act_within, steps, proved_by, now);
        }
    }

    /// Whether nobody has acted yet on the repeat that an incident rang for, or is about to.
    pub fn waits_for_action(&self, no: IncidentNo) -> bool {
        let Some(incident) = self.incident(no) else { return false };
        let IncidentKind::Episode(key) = &incident.kind else { return false };
        let Some(case) = self.case(key).filter(|case| case.is_p0() && case.ended.is_none()) else { return false };
        match (incident.repeats.rang_at, incident.repeats.ring_at) {
            (Some(rang_at), _) => !case.was_acted_on(rang_at),
            (None, is_due) => is_due.is_some(),
        }
    }
}
