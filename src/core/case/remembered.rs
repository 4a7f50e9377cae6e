//! What the store has yet to learn of a case. Each field is named, so that a new one can't be forgotten here.

use super::{Case, Report};
use crate::core::calendar::Interval;
use crate::core::clock::{Clock, ClockState};
use crate::core::time::Span;

/// How often the store learns that a pause goes on: well within the time after which a gap between two reads
/// credits nothing, so that a restart loses none of it.
const PAUSE_TOLD_EVERY: Span = Span::from_secs(30);

impl Case {
    /// Whether the store has nothing new to learn: what differs is only when reports were read and which
    /// clocks wait for proof, and a restart reads and asks anyway.
    pub fn is_remembered_by(&self, stored: &Case) -> bool {
        let Case {
            key,
            priority,
            standing,
            raised,
            spread,
            category,
            rule,
            escalation,
            reports,
            clocks,
            pauses,
            incident,
            ended,
            reopenings,
            closed_by,
            held_until,
            repeats_told,
            raise_seen,
            crossed,
            stored: is_stored,
        } = stored;
        let mut clocks = self.clocks.iter().zip(clocks).map(|(clock, stored)| clock.is_remembered_by(stored));
        let same_reports = || {
            let mut pairs = self.reports.iter().zip(reports.iter());
            pairs.all(|((key, report), (stored_key, stored))| key == stored_key && report.is_remembered_by(stored))
        };
        (self.priority, self.standing, self.raised, self.spread) == (*priority, *standing, *raised, *spread)
            && (self.ended, self.incident, self.held_until, self.crossed) == (*ended, *incident, *held_until, *crossed)
            && (self.reopenings, self.repeats_told, self.raise_seen) == (*reopenings, *repeats_told, *raise_seen)
            && (self.clocks.len(), self.reports.len()) == (stored.clocks.len(), reports.len())
            && self.stored == *is_stored
            && self.key == *key
            && (&self.category, &self.rule, &self.escalation) == (category, rule, escalation)
            && self.closed_by == *closed_by
            && clocks.all(|same| same)
            && same_reports()
            && are_remembered_by(&self.pauses, pauses)
    }
}

impl Report {
    fn is_remembered_by(&self, stored: &Report) -> bool {
        let Report { row, received, anchored_at_first_sight, first_seen, read_began: _, gone, base, told } = stored;
        (self.received, self.first_seen, self.gone) == (*received, *first_seen, *gone)
            && self.anchored_at_first_sight == *anchored_at_first_sight
            && self.is_superseded() == stored.is_superseded()
            && (&self.row, &self.base, &self.told) == (row, base, told)
    }
}

impl Clock {
    fn is_remembered_by(&self, stored: &Clock) -> bool {
        let Clock { target, until, report, obligation, started, deadline, warns_at, warned_of, since, state } = stored;
        let runs = |state: &ClockState| matches!(state, ClockState::Running | ClockState::Asked { .. });
        (self.until, self.obligation, self.started, self.deadline) == (*until, *obligation, *started, *deadline)
            && (self.warns_at, self.warned_of, self.since) == (*warns_at, *warned_of, *since)
            && (&self.target, &self.report) == (target, report)
            && (self.state == *state || runs(&self.state) && runs(state))
    }
}

/// A pause that goes on is told every now and then, not at every poll.
fn are_remembered_by(pauses: &[Interval], stored: &[Interval]) -> bool {
    let goes_on =
        |now: &Interval, known: &Interval| now.from == known.from && now.until.since(known.until) < PAUSE_TOLD_EVERY;
    match (pauses.split_last(), stored.split_last()) {
        (Some((last, now)), Some((known, before))) => now == before && (last == known || goes_on(last, known)),
        (now, before) => now.is_none() && before.is_none(),
    }
}
