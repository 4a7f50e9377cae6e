//! What people are paged about: a P0 episode, a group of lesser breaches, or a bundle of P0 incidents
//! that would ring at once. Each answers two questions: when does it ring next, and is it over.

use super::id::{EpisodeKey, IncidentNo, Name};
use super::policy::Priority;
use super::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// In a lesser incident, breaches of equal or lower priority ring together at most this often.
pub const RING_AGAIN_AFTER: Span = Span::from_mins(5);
/// How long a lesser incident waits for the first look at a source to end, so that a first start on a
/// backlog rings once with the whole count. P0 never waits.
pub const HOLD_AT_START: Span = Span::from_mins(1);
/// More P0 incidents than this that ring at one instant ring as one bundle.
pub const BUNDLE_ABOVE: usize = 10;
/// Cases listed in one page; what is beyond is counted, and listed on the board.
pub const CASES_PER_PAGE: usize = 50;
/// Numbered parts of one bundle. A larger bundle is one page with the count and the most urgent.
pub const PARTS_PER_BUNDLE: usize = 4;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IncidentKind {
    /// A P0 episode has one incident, whatever happens in it.
    Episode(EpisodeKey),
    /// Lesser breaches of one category under one escalation.
    Group { category: Name },
    /// P0 incidents that rang at one instant; over when all of them are.
    Bundle { members: Vec<IncidentNo> },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    pub no: IncidentNo,
    pub kind: IncidentKind,
    pub escalation: Name,
    pub opened_at: Timestamp,
    pub resolved_at: Option<Timestamp>,
    /// Rounds rung so far; the next ring opens round `rounds`.
    pub rounds: u32,
    pub rung_at: Option<Timestamp>,
    /// The highest priority that the last ring told of.
    pub rung_priority: Option<Priority>,
    /// When it rings next; `None` when nothing new has happened.
    pub ring_at: Option<Timestamp>,
    /// The rounds' pages that a resolve must close again.
    pub rung: Vec<(u32, Name)>,
    /// The bundle that told of this incident last.
    pub bundle: Option<IncidentNo>,
}

impl Incident {
    pub fn open(no: IncidentNo, kind: IncidentKind, escalation: Name, now: Timestamp) -> Self {
        Incident {
            no,
            kind,
            escalation,
            opened_at: now,
            resolved_at: None,
            rounds: 0,
            rung_at: None,
            rung_priority: None,
            ring_at: None,
            rung: Vec::new(),
            bundle: None,
        }
    }

    pub fn is_open(&self) -> bool {
        self.resolved_at.is_none()
    }

    /// A new breach in it. P0 rings at once. A lesser one rings at once when it is the first or of
    /// higher priority than what has rung, else together with others; `hold_until` delays a first ring.
    pub fn breach(&mut self, priority: Priority, hold_until: Option<Timestamp>, now: Timestamp) {
        self.resolved_at = None;
        let at = match (&self.kind, self.rung_at) {
            (IncidentKind::Episode(_) | IncidentKind::Bundle { .. }, _) => now,
            (IncidentKind::Group { .. }, None) => hold_until.unwrap_or(now),
            (IncidentKind::Group { .. }, Some(rung_at)) => {
                let higher = self.rung_priority.is_none_or(|rung| priority < rung);
                if higher { now } else { now.max(rung_at.plus(RING_AGAIN_AFTER)) }
            }
        };
        self.ring_at = Some(self.ring_at.map_or(at, |held| held.min(at)));
    }

    /// Rings: gives the round that its pages carry.
    pub fn ring(&mut self, priority: Priority, now: Timestamp) -> u32 {
        let round = self.rounds;
        self.rounds += 1;
        self.rung_at = Some(now);
        self.rung_priority = Some(priority);
        self.ring_at = None;
        round
    }

    /// Over, on evidence. Gives back the (round, channel) pairs that a resolve must close.
    pub fn resolve(&mut self, now: Timestamp) -> Vec<(u32, Name)> {
        self.resolved_at = Some(now);
        self.ring_at = None;
        std::mem::take(&mut self.rung)
    }
}
