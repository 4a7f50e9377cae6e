//! What one poll of a source does: which reads, in which order, and how long each may take the database.
//! Pure: the loop tells what has been read and what it took.

use crate::core::policy::Priority;
use crate::core::time::{Span, Timestamp};
use crate::source::Watching;
use std::collections::BTreeMap;

/// Above so many open reports a scan costs the database less than reading them by key.
pub const BY_KEY_MAX: u64 = 100_000;
/// A sweep that something calls for begins at most this often.
const SWEEP_AT_MOST: Span = Span::from_mins(1);

/// What a poll reads beside its cursors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// Follow what comes in, by when it was received.
    pub arrivals: bool,
    /// P0 and P1 by key; where a column tells of changes, only what it doesn't tell of.
    pub urgent: bool,
    /// The rest by key, round and round, for so long.
    pub rest: Option<Span>,
    /// A lap over all open rows, begun or continued, for so long. `None` in it: to its end.
    pub lap: Option<Option<Span>>,
}

#[derive(Debug)]
pub struct Rounds {
    watching: Watching,
    /// A row without a stamp was seen: the column of changes doesn't tell of what comes in.
    lacks_stamps: bool,
    /// Called for by what a cursor may have left behind.
    sweep_soon: bool,
    lap: Option<Lap>,
    /// When the last complete lap began, what it took the database and how many rows it saw.
    last: Option<(Timestamp, Span, u64)>,
    /// Up to when it showed what had happened; of a replica that lies before its beginning.
    last_shown: Option<Timestamp>,
    /// When what comes in was followed last, and what that took the database.
    arrivals: Option<(Timestamp, Span)>,
    /// When the round of the rest began that is under way, and the last one that came to its end.
    round: Option<Timestamp>,
    last_round: Option<Timestamp>,
    looked_at: BTreeMap<Priority, Timestamp>,
}

/// A lap under way.
#[derive(Clone, Copy, Debug)]
struct Lap {
    began: Timestamp,
    shows: Timestamp,
    took: Span,
    rows: u64,
}

impl Rounds {
    pub fn new(watching: Watching) -> Self {
        Rounds {
            watching,
            lacks_stamps: false,
            sweep_soon: false,
            lap: None,
            last: None,
            last_shown: None,
            arrivals: None,
            round: None,
            last_round: None,
            looked_at: BTreeMap::new(),
        }
    }

    /// Whether the whole of it has been read once.
    pub fn has_looked(&self) -> bool {
        self.last.is_some()
    }

    /// Up to when the last complete lap showed what had happened.
    pub fn last_shown(&self) -> Option<Timestamp> {
        self.last_shown
    }

    /// What the poll at `now` does; `until` is when the next one is due.
    pub fn next(&self, now: Timestamp, until: Timestamp) -> Round {
        let Some((began, took, rows)) = self.last else {
            // The first look takes all the time there is, but for what comes in meanwhile.
            let slice = self.watching.budget.map(|_| until.since(now));
            return Round { arrivals: !self.watching.tells_changes, urgent: false, rest: None, lap: Some(slice) };
        };
        let Some(budget) = self.watching.budget else {
            return Round { arrivals: false, urgent: false, rest: None, lap: Some(None) };
        };
        if self.watching.tells_changes {
            let soon = self.sweep_soon && now.since(began) >= SWEEP_AT_MOST;
            let due = self.lap.is_some() || soon || now.since(began) >= self.watching.sweep;
            return Round { arrivals: self.lacks_stamps, urgent: true, rest: None, lap: due.then_some(Some(budget)) };
        }
        if took <= budget && self.lap.is_none() {
            // The whole fits into a poll: nothing needs to be pieced together. What comes in and is closed before the
            // next one is found among the arrivals alone, as often as they can be read in time.
            let arrivals =
                self.arrivals.is_none_or(|(at, took)| took <= budget || now.since(at) >= self.watching.sweep);
            return Round { arrivals, urgent: false, rest: None, lap: Some(Some(budget.plus(budget))) };
        }
        let half = Span::from_micros(budget.micros() / 2);
        Round { arrivals: true, urgent: true, rest: (rows <= BY_KEY_MAX).then_some(half), lap: Some(Some(half)) }
    }

    /// A row was seen whose stamp of its last change is missing.
    pub fn lacks_stamps(&mut self) {
        self.lacks_stamps = true;
    }

    pub fn sweep_soon(&mut self) {
        self.sweep_soon = true;
    }

    /// Every cursor has read to its end in a poll that began then.
    pub fn followed(&mut self, began: Timestamp) {
        if self.watching.tells_changes && self.has_looked() {
            self.looked(Priority::ALL, began);
        }
    }

    /// What comes in was followed in a poll that began then. How long the first time takes tells nothing.
    pub fn followed_arrivals(&mut self, began: Timestamp, took: Span) {
        if self.has_looked() {
            self.arrivals = Some((began, took));
        }
    }

    pub fn read_urgent(&mut self, began: Timestamp) {
        if self.has_looked() {
            self.looked([Priority::P0, Priority::P1], began);
        }
    }

    /// A part of the rest was read; `is_last` when none comes after it.
    pub fn read_rest(&mut self, began: Timestamp, is_last: bool) {
        let round = *self.round.get_or_insert(began);
        if is_last {
            self.last_round = Some(round);
            self.round = None;
            self.looked([Priority::P2, Priority::P3, Priority::P4], round);
        }
    }

    /// Up to when the lap under way shows what has happened; it begins now, with what `shows` says, where none is
    /// under way.
    pub fn lap_began(&mut self, now: Timestamp, shows: Timestamp) -> Timestamp {
        if self.lap.is_none() {
            self.sweep_soon = false;
        }
        self.lap.get_or_insert(Lap { began: now, shows, took: Span::ZERO, rows: 0 }).shows
    }

    pub fn read_page(&mut self, took: Span, rows: u64) {
        if let Some(lap) = &mut self.lap {
            lap.took = lap.took.plus(took);
            lap.rows += rows;
        }
    }

    /// The lap has come to its end; gives how many rows it saw.
    pub fn lap_ended(&mut self) -> u64 {
        let Some(lap) = self.lap.take() else { return 0 };
        (self.last, self.last_shown) = (Some((lap.began, lap.took, lap.rows)), Some(lap.shows));
        self.looked(Priority::ALL, lap.shows);
        lap.rows
    }

    /// A lap that can't be continued begins anew.
    pub fn lap_failed(&mut self) {
        self.lap = None;
    }

    /// Of each priority, since when all of it has been looked at.
    pub fn looked_at(&self) -> &BTreeMap<Priority, Timestamp> {
        &self.looked_at
    }

    fn looked(&mut self, priorities: impl IntoIterator<Item = Priority>, at: Timestamp) {
        for priority in priorities {
            let held = self.looked_at.entry(priority).or_insert(at);
            *held = at.max(*held);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Span = Span::from_micros(250_000);

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn rounds(tells_changes: bool) -> Rounds {
        let sweep = Span::from_mins(15);
        Rounds::new(Watching { tells_changes, budget: Some(BUDGET), sweep, ..Watching::default() })
    }

    fn lap(rounds: &mut Rounds, began: i64, took: Span, rows: u64) {
        rounds.lap_began(at(began), at(began));
        rounds.read_page(took, rows);
        rounds.lap_ended();
    }

    #[test]
    fn with_a_column_of_changes_an_idle_poll_is_its_cursor_and_a_sweep_comes_now_and_then() {
        let mut rounds = rounds(true);
        assert_eq!(rounds.next(at(0), at(1)).lap, Some(Some(Span::from_secs(1))));
        lap(&mut rounds, 0, Span::from_secs(9), 1_000_000);
        let idle = Round { arrivals: false, urgent: true, rest: None, lap: None };
        assert_eq!(rounds.next(at(10), at(11)), idle);
        assert_eq!(rounds.next(at(899), at(900)), idle);
        assert_eq!(rounds.next(at(900), at(901)), Round { lap: Some(Some(BUDGET)), ..idle });
        rounds.lap_began(at(900), at(900));
        assert_eq!(rounds.next(at(901), at(902)), Round { lap: Some(Some(BUDGET)), ..idle });
    }

    #[test]
    fn a_replica_that_lags_is_swept_no_more_often_than_its_primary() {
        let mut rounds = rounds(true);
        assert_eq!(rounds.lap_began(at(5_000), at(100)), at(100));
        rounds.lap_ended();
        assert_eq!(rounds.next(at(5_001), at(5_002)).lap, None);
        assert_eq!((rounds.last_shown(), rounds.looked_at()[&Priority::P0]), (Some(at(100)), at(100)));
    }

    #[test]
    fn a_sweep_that_is_called_for_begins_within_a_minute_and_no_more_often() {
        let mut rounds = rounds(true);
        lap(&mut rounds, 0, Span::from_secs(1), 10);
        rounds.sweep_soon();
        assert_eq!(rounds.next(at(59), at(60)).lap, None);
        assert!(rounds.next(at(60), at(61)).lap.is_some());
        lap(&mut rounds, 60, Span::from_secs(1), 10);
        assert_eq!(rounds.next(at(200), at(201)).lap, None);
    }

    #[test]
    fn without_a_column_of_changes_a_table_that_is_read_within_the_budget_is_read_whole_at_every_poll() {
        let mut rounds = rounds(false);
        lap(&mut rounds, 0, BUDGET, 3_000);
        let whole = Round { arrivals: true, urgent: false, rest: None, lap: Some(Some(BUDGET.plus(BUDGET))) };
        assert_eq!(rounds.next(at(1), at(2)), whole);
        rounds.followed_arrivals(at(1), BUDGET);
        assert_eq!(rounds.next(at(2), at(3)), whole);
        // Without an index on when they came, arrivals may cost more than everything that is open.
        rounds.followed_arrivals(at(2), BUDGET.plus(BUDGET));
        assert_eq!(rounds.next(at(3), at(4)), Round { arrivals: false, ..whole });
        assert_eq!(rounds.next(at(902), at(903)), whole);
        lap(&mut rounds, 1, Span::from_secs(2), 3_000);
        let half = Span::from_micros(125_000);
        let pieced = Round { arrivals: true, urgent: true, rest: Some(half), lap: Some(Some(half)) };
        assert_eq!(rounds.next(at(2), at(3)), pieced);
        lap(&mut rounds, 2, Span::from_secs(2), 1_000_000);
        assert_eq!(rounds.next(at(2), at(3)), Round { rest: None, ..pieced });
    }

    #[test]
    fn each_priority_is_as_fresh_as_the_last_read_of_all_of_it() {
        let mut rounds = rounds(false);
        rounds.read_urgent(at(0));
        assert!(rounds.looked_at().is_empty(), "nobody knows yet what there is");
        lap(&mut rounds, 0, Span::from_secs(2), 50_000);
        rounds.read_urgent(at(5));
        rounds.read_rest(at(3), false);
        rounds.read_rest(at(5), true);
        let looked: Vec<Timestamp> = rounds.looked_at().values().copied().collect();
        assert_eq!(looked, [at(5), at(5), at(3), at(3), at(3)]);
    }
}
