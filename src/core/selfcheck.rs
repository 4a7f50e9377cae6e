//! The monitor about itself: a test of the way that pages take, and what the auditor found in the store that
//! should have rung and did not. Both are incidents like any other to the outbox, and no figure counts a test.

use super::draft::Draft;
use super::id::Name;
use super::incident::{Incident, IncidentKind};
use super::policy::{Policy, Priority};
use super::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::fmt;

/// How long a test stays open: time for whoever it rang to look at it.
pub const TEST_LASTS: Span = Span::from_mins(10);

/// What should have rung and did not, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Findings {
    /// Deadlines that passed long ago with neither an answer nor a breach.
    pub deadlines_unseen: u64,
    /// Breaches that stand in no incident though their rule has an escalation.
    pub breaches_unrung: u64,
    /// Open incidents of which no channel has accepted a page.
    pub incidents_unheard: u64,
    /// Open incidents whose next ring is long past.
    pub escalations_stuck: u64,
    /// Pages that are due for long, while no other channel has accepted their round.
    pub pages_unsent: u64,
}

impl Findings {
    pub fn is_empty(&self) -> bool {
        *self == Findings::default()
    }

    /// Whether there is something in it that was not in `told`.
    pub fn is_worse_than(&self, told: &Findings) -> bool {
        self.counts().iter().zip(told.counts()).any(|((now, _), (then, _))| *now > then)
    }

    fn counts(&self) -> [(u64, [&'static str; 2]); 5] {
        [
            (self.deadlines_unseen, ["deadline passed unseen", "deadlines passed unseen"]),
            (self.breaches_unrung, ["breach without an incident", "breaches without an incident"]),
            (self.incidents_unheard, ["incident that nobody heard", "incidents that nobody heard"]),
            (self.escalations_stuck, ["escalation stuck", "escalations stuck"]),
            (self.pages_unsent, ["page unsent", "pages unsent"]),
        ]
    }
}

/// "2 incidents that nobody heard, 1 page unsent"
impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let found = self.counts().into_iter().filter(|(count, _)| *count > 0);
        for (n, (count, [one, many])) in found.enumerate() {
            let separator = if n == 0 { "" } else { ", " };
            write!(f, "{separator}{count} {}", if count == 1 { one } else { many })?;
        }
        Ok(())
    }
}

/// A test of an escalation: its first step rings once, in the lane of what it is there for.
pub(super) fn test(policy: &Policy, draft: &mut Draft<'_>, escalation: &Name, now: Timestamp) {
    if policy.escalations.contains_key(escalation) {
        let no = draft.open_incident(IncidentKind::Test { until: now.plus(TEST_LASTS) }, escalation.clone());
        if let Some(incident) = draft.incident_mut(no) {
            incident.ring_at = Some(now);
        }
    }
}

pub(super) fn priority_of(policy: &Policy, incident: &Incident) -> Priority {
    match &incident.kind {
        IncidentKind::Test { .. } if incident.escalation == policy.minor_safety.escalation => Priority::P0,
        _ => Priority::P1,
    }
}

/// What the auditor finds is one incident of the operators. It rings anew when there is more of it, and is
/// over when nothing is left; gives the incident that is.
pub(super) fn audit(
    policy: &Policy,
    draft: &mut Draft<'_>,
    open: Option<&Incident>,
    found: Findings,
    now: Timestamp,
) -> Option<super::id::IncidentNo> {
    let no = match (open, &policy.operators) {
        (Some(open), _) if found.is_empty() => return Some(open.no),
        (Some(open), _) => open.no,
        (None, Some(operators)) if !found.is_empty() => {
            draft.open_incident(IncidentKind::Audit { found: Findings::default() }, operators.clone())
        }
        (None, _) => return None,
    };
    let incident = draft.incident_mut(no)?;
    if let IncidentKind::Audit { found: told } = &mut incident.kind {
        let rings = found.is_worse_than(told);
        *told = found;
        if rings {
            incident.ring_at = Some(now);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_told_in_one_sentence_of_numbers() {
        let found = Findings { incidents_unheard: 2, pages_unsent: 1, ..Findings::default() };
        assert_eq!(found.to_string(), "2 incidents that nobody heard, 1 page unsent");
        assert_eq!(Findings::default().to_string(), "");
    }

    #[test]
    fn only_more_of_something_is_worse() {
        let one = Findings { pages_unsent: 1, ..Findings::default() };
        let other = Findings { escalations_stuck: 1, ..Findings::default() };
        assert!(one.is_worse_than(&Findings::default()) && one.is_worse_than(&other));
        assert!(!one.is_worse_than(&one) && !Findings::default().is_worse_than(&one));
    }
}
