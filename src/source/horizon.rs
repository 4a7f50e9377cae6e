//! How far a cursor may go without leaving a late commit behind: a transaction writes its stamp when it
//! begins and is seen when it commits, so what a poll has read up to is safe only once every transaction of
//! that time has ended. Where transactions can't be seen, a stretch of time stands for them.

use super::feed::{Live, Moment, Place};
use crate::core::id::Name;
use crate::core::time::{Span, Timestamp};
use std::collections::{BTreeSet, VecDeque};

/// Places that may wait at once; while there are as many, later ones aren't noted, which only makes the
/// cursor read more again.
const WAITING_MAX: usize = 600;

#[derive(Debug)]
pub struct Horizon {
    /// How far behind what has been read a change may still be stamped: clocks that are apart, stamps made
    /// before the transaction began, and all there is where no transaction can be seen.
    overlap: Span,
    /// Everything stamped up to here has been seen.
    safe: Place,
    waiting: VecDeque<Waiting>,
    /// Of the places that wait, the first so many are safe once the read under way has come to its end.
    ripe: usize,
    /// Transactions whose end calls for a sweep: they were at work before the first place, or are forsaken.
    suspects: BTreeSet<Name>,
    /// Transactions that the horizon no longer waits for.
    forsaken: BTreeSet<Name>,
    /// What was prepared at the last look.
    prepared: BTreeSet<Name>,
    /// A suspect has ended: what it wrote may lie behind.
    missed: bool,
}

/// A place that has been read up to.
#[derive(Debug)]
struct Waiting {
    place: Place,
    /// The database's clock before it was read.
    read_at: Timestamp,
    /// The transactions that must end first; `None` while the overlap lasts.
    held_by: Option<BTreeSet<Name>>,
}

impl Horizon {
    /// From a place on. Whoever was at work before may still commit what lies behind it.
    pub fn new(safe: Place, overlap: Span, live: Option<&Live>) -> Self {
        let suspects = live.map(all_of).unwrap_or_default();
        let prepared = live.map(|live| live.prepared.clone()).unwrap_or_default();
        let (waiting, forsaken) = (VecDeque::new(), BTreeSet::new());
        Horizon { overlap, safe, waiting, ripe: 0, suspects, forsaken, prepared, missed: false }
    }

    /// Where the next read begins.
    pub fn safe(&self) -> &Place {
        &self.safe
    }

    /// A look at the clock and the transactions, before the next read.
    pub fn look(&mut self, clock: Timestamp, moment: &Moment) {
        let nobody = Live::default();
        let live = moment.live.as_ref().unwrap_or(&nobody);
        let all = all_of(live);
        // A transaction that is prepared loses the name by which it was known while it ran.
        let renamed: BTreeSet<Name> = live.prepared.difference(&self.prepared).cloned().collect();
        let left = |names: &BTreeSet<Name>| -> BTreeSet<Name> {
            let mut left: BTreeSet<Name> = names.intersection(&all).cloned().collect();
            if !names.is_empty() {
                left.extend(renamed.iter().cloned());
            }
            left
        };
        for waiting in &mut self.waiting {
            waiting.held_by = match &waiting.held_by {
                Some(held_by) => Some(left(held_by)),
                None if clock >= waiting.read_at.plus(self.overlap) => Some(&all - &self.forsaken),
                None => None,
            };
        }
        // Whoever was at work when an earlier place was looked at and still is was so at a later one too.
        let ended = |waiting: &Waiting| waiting.held_by.as_ref().is_some_and(BTreeSet::is_empty);
        self.ripe = self.waiting.iter().rposition(ended).map_or(0, |last| last + 1);
        self.missed |= !self.suspects.is_subset(&all);
        (self.suspects, self.forsaken) = (left(&self.suspects), left(&self.forsaken));
        self.prepared = live.prepared.clone();
    }

    /// The read after the last look has come to its end. Only now: what ended before that look may have been
    /// committed after the read before it, and lies behind what that one had reached.
    pub fn advance(&mut self) {
        if let Some(last) = self.ripe.checked_sub(1) {
            self.let_go(last);
        }
        self.ripe = 0;
    }

    /// What a read that began at `clock`, right after a look, has reached.
    pub fn reach(&mut self, place: Place, clock: Timestamp, moment: &Moment) {
        let known = self.waiting.back().map_or(&self.safe, |last| &last.place);
        if *known == place || self.waiting.len() == WAITING_MAX {
            return;
        }
        let at_work = || &moment.live.as_ref().map(all_of).unwrap_or_default() - &self.forsaken;
        let held_by = (self.overlap <= Span::ZERO).then(at_work);
        self.waiting.push_back(Waiting { place, read_at: clock, held_by });
    }

    /// Waits no longer for the transactions that hold it, because too much would be read again; what they
    /// commit is found by a sweep after their end.
    pub fn forsake(&mut self) {
        let overlapped = |waiting: &Waiting| waiting.held_by.is_some();
        if let Some(last) = self.waiting.iter().rposition(overlapped) {
            let held_by = self.waiting[last].held_by.take().unwrap_or_default();
            self.suspects.extend(held_by.iter().cloned());
            self.forsaken.extend(held_by);
            self.let_go(last);
            self.ripe = 0;
        }
    }

    /// Whether something may lie behind that only a sweep finds; asked once.
    pub fn has_missed(&mut self) -> bool {
        std::mem::take(&mut self.missed)
    }

    fn let_go(&mut self, last: usize) {
        if let Some(waiting) = self.waiting.drain(..=last).next_back() {
            self.safe = waiting.place;
        }
    }
}

fn all_of(live: &Live) -> BTreeSet<Name> {
    live.running.union(&live.prepared).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::feed::Stamp;

    fn place(at: i64) -> Place {
        Place { stamp: Stamp::Int(at), id: None }
    }

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn moment(running: &[&str], prepared: &[&str]) -> Moment {
        let names = |list: &[&str]| list.iter().map(|name| Name::from(*name)).collect();
        Moment { live: Some(Live { running: names(running), prepared: names(prepared) }), ..Moment::default() }
    }

    /// One poll at `clock` that reads up to `reached`; gives where it began.
    fn poll(horizon: &mut Horizon, clock: i64, moment: &Moment, reached: i64) -> Place {
        horizon.look(at(clock), moment);
        let began = horizon.safe().clone();
        horizon.advance();
        horizon.reach(place(reached), at(clock), moment);
        began
    }

    #[test]
    fn a_place_is_safe_once_every_transaction_of_its_time_has_ended() {
        let mut horizon = Horizon::new(place(0), Span::ZERO, None);
        assert_eq!(poll(&mut horizon, 1, &moment(&["3/7"], &[]), 10), place(0));
        assert_eq!(poll(&mut horizon, 2, &moment(&["3/7", "4/1"], &[]), 20), place(0));
        // 3/7 may have committed since the last read, so that this one still begins before it.
        assert_eq!(poll(&mut horizon, 3, &moment(&["4/1"], &[]), 30), place(0));
        assert_eq!(poll(&mut horizon, 4, &moment(&["5/1"], &[]), 30), place(10));
        assert_eq!(poll(&mut horizon, 5, &moment(&["5/1"], &[]), 30), place(30));
        assert!(!horizon.has_missed());
    }

    #[test]
    fn a_quiet_table_is_read_from_its_end() {
        let mut horizon = Horizon::new(place(0), Span::from_secs(2), None);
        assert_eq!(poll(&mut horizon, 1, &moment(&[], &[]), 10), place(0));
        assert_eq!(poll(&mut horizon, 2, &moment(&[], &[]), 10), place(0));
        assert_eq!(poll(&mut horizon, 3, &moment(&[], &[]), 10), place(0));
        assert_eq!(poll(&mut horizon, 4, &moment(&[], &[]), 10), place(10));
        assert!(horizon.waiting.is_empty());
    }

    #[test]
    fn a_transaction_that_is_prepared_keeps_holding_under_its_new_name() {
        let mut horizon = Horizon::new(place(0), Span::ZERO, None);
        poll(&mut horizon, 1, &moment(&["3/7"], &[]), 10);
        // Seen under both names, because it was prepared while they were read.
        assert_eq!(poll(&mut horizon, 2, &moment(&["3/7"], &["900"]), 10), place(0));
        assert_eq!(poll(&mut horizon, 3, &moment(&[], &["900"]), 10), place(0));
        assert_eq!(poll(&mut horizon, 4, &moment(&["8/1"], &[]), 10), place(0));
        assert_eq!(poll(&mut horizon, 5, &moment(&["8/1"], &[]), 10), place(10));
    }

    #[test]
    fn without_sight_of_transactions_a_place_is_safe_after_the_overlap() {
        let mut horizon = Horizon::new(place(0), Span::from_secs(30), None);
        let blind = Moment::default();
        assert_eq!(poll(&mut horizon, 1, &blind, 10), place(0));
        assert_eq!(poll(&mut horizon, 30, &blind, 20), place(0));
        assert_eq!(poll(&mut horizon, 31, &blind, 20), place(0));
        assert_eq!(poll(&mut horizon, 32, &blind, 20), place(10));
    }

    #[test]
    fn the_overlap_begins_before_the_transactions_that_count_are_looked_at() {
        let mut horizon = Horizon::new(place(0), Span::from_secs(5), None);
        poll(&mut horizon, 1, &moment(&[], &[]), 10);
        // Begun within the overlap, perhaps with a stamp from before it.
        assert_eq!(poll(&mut horizon, 6, &moment(&["3/7"], &[]), 10), place(0));
        assert_eq!(poll(&mut horizon, 7, &moment(&["3/7"], &[]), 10), place(0));
        assert_eq!(poll(&mut horizon, 8, &moment(&[], &[]), 10), place(0));
        assert_eq!(poll(&mut horizon, 9, &moment(&[], &[]), 10), place(10));
    }

    #[test]
    fn whoever_was_at_work_before_the_first_look_calls_for_a_sweep_at_its_end() {
        let mut horizon = Horizon::new(place(0), Span::ZERO, moment(&["1/1", "2/1"], &[]).live.as_ref());
        horizon.look(at(1), &moment(&["1/1", "2/1"], &[]));
        assert!(!horizon.has_missed());
        horizon.look(at(2), &moment(&["1/1"], &["77"]));
        assert!(horizon.has_missed() && !horizon.has_missed());
        horizon.look(at(3), &moment(&[], &["77"]));
        assert!(horizon.has_missed());
        horizon.look(at(4), &moment(&[], &[]));
        assert!(horizon.has_missed());
        horizon.look(at(5), &moment(&["9/9"], &[]));
        assert!(!horizon.has_missed());
    }

    #[test]
    fn a_transaction_that_holds_too_much_is_left_behind_and_called_to_mind_at_its_end() {
        let mut horizon = Horizon::new(place(0), Span::ZERO, None);
        poll(&mut horizon, 1, &moment(&["dump"], &[]), 10);
        poll(&mut horizon, 2, &moment(&["dump"], &[]), 20);
        horizon.forsake();
        assert_eq!(poll(&mut horizon, 3, &moment(&["dump"], &[]), 30), place(20));
        assert!(!horizon.has_missed());
        horizon.look(at(4), &moment(&[], &[]));
        assert!(horizon.has_missed());
        horizon.advance();
        assert_eq!(horizon.safe(), &place(30));
    }

    #[test]
    fn places_that_wait_are_bounded() {
        let mut horizon = Horizon::new(place(0), Span::ZERO, None);
        for n in 1..=2_000 {
            poll(&mut horizon, n, &moment(&["dump"], &[]), n);
        }
        assert_eq!(horizon.waiting.len(), WAITING_MAX);
        horizon.look(at(3_000), &moment(&[], &[]));
        horizon.advance();
        assert_eq!(horizon.safe(), &place(WAITING_MAX as i64));
    }
}
