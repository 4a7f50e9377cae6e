//! What people did, and what the outbox and the auditor told, taken up: each entry of the inbox has its effect here
//! and nowhere else.

use super::act::{Act, Deed, Effect};
use super::draft::Draft;
use super::engine::Core;
use super::id::IncidentNo;
use super::incident::{Incident, IncidentKind};
use super::quiet::Refusal;
use super::ringing::fell_back;
use super::selfcheck;
use super::time::Timestamp;

impl Core {
    pub(super) fn take_up(&self, draft: &mut Draft<'_>, act: &Act, now: Timestamp) -> Result<Effect, Refusal> {
        match &act.deed {
            Deed::Acknowledge { incident } | Deed::AcknowledgePage { incident, .. }
                if !draft.incident(*incident).is_some_and(Incident::is_open) =>
            {
                return Ok(Effect::NotOpen);
            }
            Deed::Acknowledge { incident } => self.acknowledge(draft, *incident, act, now),
            Deed::AcknowledgePage { incident, round } => {
                if draft.incident(*incident).is_some_and(|incident| incident.has_news_since(*round)) {
                    return Err("something new has rung since the page that was acknowledged");
                }
                self.acknowledge(draft, *incident, act, now);
            }
            Deed::Snooze { scope, reason, until } => {
                self.keep_quiet(draft, act, (scope, reason), (now, *until), now)?;
            }
            Deed::Window { scope, reason, from, until } => {
                self.keep_quiet(draft, act, (scope, reason), (*from, *until), now)?;
            }
            Deed::EndQuiet { no } => self.end_quiet(draft, *no, now)?,
            // What a program says of a report is no evidence: its own table is where it would write it.
            Deed::Tell { .. } if act.integration => return Ok(Effect::NotUnderstood),
            Deed::Tell { source, report, word, at } => {
                return Ok(draft.tell(source, report, (*word, *at), &act.by));
            }
            Deed::FellBack { incident, round, channel, priority } => {
                fell_back(draft, *incident, (*round, channel.clone()), *priority, now);
            }
            Deed::TestPage { escalation } => selfcheck::test(&self.policy, draft, escalation, now),
            Deed::Audit { found } => {
                let mut open = self.incidents().filter(|incident| incident.is_open());
                let open = open.find(|incident| incident.found().is_some());
                if let Some(over) = selfcheck::audit(&self.policy, draft, open, *found, now) {
                    self.resolve(draft, over, now);
                }
            }
            Deed::Unknown => return Ok(Effect::NotUnderstood),
        }
        Ok(Effect::Done)
    }

    /// An acknowledgement of a bundle covers the incidents that it told of.
    fn acknowledge(&self, draft: &mut Draft<'_>, no: IncidentNo, act: &Act, now: Timestamp) {
        let members = match draft.incident(no).map(|incident| &incident.kind) {
            Some(IncidentKind::Bundle { members }) => members.clone(),
            _ => Vec::new(),
        };
        for no in members.into_iter().chain([no]) {
            let Some(incident) = draft.incident(no).filter(|incident| incident.is_open()) else { continue };
            let act_within = self.escalation_of(incident).and_then(|e| e.act_within);
            // The incidents of a bundle are asked about through the bundle.
            let act_within = act_within.filter(|_| incident.bundle.is_none() || incident.next_step.is_some());
            if let Some(incident) = draft.incident_mut(no) {
                incident.acknowledge(act.by.clone(), act.integration, act_within, now);
            }
        }
    }
}
