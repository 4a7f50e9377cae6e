//! What is told of episodes, one by one and over many: derived from a case as it then is, or read back.

use super::case::{Case, Conclusion};
use super::clock::{Clock, ClockState, Ending};
use super::id::{IncidentNo, Name};
use super::observation::{EventName, Verdict};
use super::plan::{BreachStatus, Outcome, TargetOutcome};
use super::policy::{Priority, Standing};
use super::time::Timestamp;

/// How what is told of an episode is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Basis {
    /// Seen while it happened.
    Observed,
    /// From the final row: pauses, reopenings and erased answers are not in it.
    Row,
}

impl Basis {
    pub const fn as_str(self) -> &'static str {
        match self {
            Basis::Observed => "observed",
            Basis::Row => "row",
        }
    }
}

/// One episode as a report over many tells of it, ended or still open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    pub source: Name,
    pub category: Name,
    pub priority: Priority,
    pub standing: Standing,
    pub received: Timestamp,
    pub first_response: Option<Timestamp>,
    pub ended: Option<(Timestamp, Conclusion)>,
    pub reports: u32,
    pub reopenings: u32,
    /// The earliest closure as "no violation" of an episode that is still open: it waits for its second review.
    pub unreviewed: Option<Timestamp>,
    pub second_review: bool,
    pub overturned: bool,
    pub targets: Vec<TargetOutcome>,
    pub basis: Basis,
}

/// A breach as the report counts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BreachFact {
    pub source: Name,
    pub category: Name,
    pub priority: Priority,
    pub target: Name,
    pub deadline: Timestamp,
    pub detected_at: Timestamp,
    pub inherited: bool,
    pub status: BreachStatus,
    /// When the target was met after all.
    pub met_at: Option<Timestamp>,
    /// When nothing was left to wait for.
    pub moot_at: Option<Timestamp>,
    pub contradicted_at: Option<Timestamp>,
    pub incident: Option<IncidentNo>,
}

/// A page as the report counts it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageFact {
    pub incident: IncidentNo,
    pub step: u32,
    pub channel: Name,
    pub is_ring: bool,
    pub priority: Priority,
    /// queued, leased, accepted, parked or superseded
    pub state: String,
    pub created_at: Timestamp,
    pub accepted_at: Option<Timestamp>,
}

impl Life {
    /// A case as it stands.
    pub fn of(case: &Case, basis: Basis) -> Life {
        Life {
            source: case.key.case.source().clone(),
            category: case.category.clone(),
            priority: case.priority,
            standing: case.standing,
            received: case.received(),
            first_response: case.first_response(),
            ended: case.ended,
            reports: u32::try_from(case.reports.len()).unwrap_or(u32::MAX),
            reopenings: case.reopenings,
            unreviewed: case.no_violation().filter(|_| case.ended.is_none()),
            second_review: case.is_reviewed(),
            overturned: case.is_overturned(),
            targets: case.clocks.iter().map(TargetOutcome::of).collect(),
            basis,
        }
    }
}

impl TargetOutcome {
    /// One clock as it stands.
    pub fn of(clock: &Clock) -> Self {
        TargetOutcome {
            target: clock.target.clone(),
            deadline: clock.breach().map(|breach| breach.deadline).or(clock.deadline),
            met_at: match &clock.state {
                ClockState::Met { at } | ClockState::Breached { ended: Some(Ending::Met { at }), .. } => Some(*at),
                _ => None,
            },
            breached: clock.breach().is_some(),
        }
    }
}

impl Outcome {
    /// What remains of a case; `None` while its episode hasn't ended.
    pub fn of(case: &Case) -> Option<Outcome> {
        let (ended_at, conclusion) = case.ended?;
        Some(Outcome {
            episode: case.key.clone(),
            category: case.category.clone(),
            rule: case.rule.clone(),
            priority: case.priority,
            standing: case.standing,
            received: case.received(),
            first_response: case.first_response(),
            ended_at,
            conclusion,
            reports: u32::try_from(case.reports.len()).unwrap_or(u32::MAX),
            reopenings: case.reopenings,
            second_review: case.is_reviewed(),
            overturned: case.is_overturned(),
            targets: case.clocks.iter().map(TargetOutcome::of).collect(),
        })
    }
}

impl Case {
    /// The earliest closure as "no violation", whoever made it.
    pub fn no_violation(&self) -> Option<Timestamp> {
        let of_no_violation = self.reports.values().filter(|report| report.row.verdict == Verdict::NoViolation);
        of_no_violation.filter_map(|report| report.row.event(EventName::Closed)).map(|closed| closed.at).min()
    }

    /// Whether a second review that counts followed a closure as "no violation".
    pub fn is_reviewed(&self) -> bool {
        self.no_violation().is_some_and(|at| self.second_review(at).is_some())
    }

    pub fn is_overturned(&self) -> bool {
        self.reports.values().any(|report| report.row.event(EventName::Overturned).is_some())
    }
}
