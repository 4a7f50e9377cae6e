//! One feed of one source, followed: each poll reads from the horizon on, and what it has read before and
//! finds unchanged is left out, so that reading twice costs a little of the database's time and nothing else.

use super::feed::{Begin, Change, Changes, FeedKind, Moment, Place};
use super::horizon::Horizon;
use crate::core::id::ReportId;
use crate::core::time::{Span, Timestamp};
use hashbrown::HashMap;

/// Rows that a poll may read again before the horizon lets go of the transactions that hold it.
pub const REREAD_MAX: usize = 50_000;

#[derive(Debug)]
pub struct Cursor {
    pub kind: FeedKind,
    overlap: Span,
    /// `None` before the first page that told how the column writes its times.
    horizon: Option<Horizon>,
    /// What the last poll has read, by the row's own id. Never walked, so that no order shows.
    known: HashMap<ReportId, u64>,
    poll: Poll,
}

/// The poll under way.
#[derive(Debug, Default)]
struct Poll {
    read: HashMap<ReportId, u64>,
    again: usize,
    settled: Option<Place>,
}

impl Cursor {
    pub fn new(kind: FeedKind, overlap: Span) -> Self {
        Cursor { kind, overlap, horizon: None, known: HashMap::new(), poll: Poll::default() }
    }

    /// Where this poll begins; the first one at `since`, because what lay before is for the sweep.
    pub fn begin(&mut self, clock: Timestamp, since: Timestamp, moment: &Moment) -> Begin {
        self.poll = Poll::default();
        match &mut self.horizon {
            None => Begin::Since(since.minus(self.overlap)),
            Some(horizon) => {
                horizon.look(clock, moment);
                Begin::Behind(horizon.safe().clone())
            }
        }
    }

    /// Takes in one page of this poll, and leaves in it what is new or has changed.
    pub fn take(&mut self, page: &mut Changes, moment: &Moment) {
        if page.lost {
            *self = Cursor::new(self.kind, self.overlap);
            return;
        }
        if let (None, Some(began)) = (&self.horizon, &page.began) {
            self.horizon = Some(Horizon::new(began.clone(), self.overlap, moment.live.as_ref()));
        }
        if let Some(settled) = page.settled.take() {
            self.poll.settled = Some(settled);
        }
        let (known, poll) = (&self.known, &mut self.poll);
        page.rows.retain(|row: &Change| {
            let Some(entry) = &row.entry else { return true };
            poll.read.insert(entry.clone(), row.fingerprint);
            let again = known.get(entry) == Some(&row.fingerprint);
            poll.again += usize::from(again);
            !again
        });
    }

    /// The poll has read to the end of the feed, and everything new has been handed on.
    pub fn end(&mut self, clock: Timestamp, moment: &Moment) {
        let poll = std::mem::take(&mut self.poll);
        self.known = poll.read;
        let Some(horizon) = &mut self.horizon else { return };
        horizon.advance();
        if let Some(settled) = poll.settled {
            horizon.reach(settled, clock, moment);
        }
        if poll.again > REREAD_MAX {
            horizon.forsake();
        }
    }

    /// Whether a sweep must look for what this cursor may have left behind.
    pub fn has_missed(&mut self) -> bool {
        self.horizon.as_mut().is_some_and(Horizon::has_missed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::feed::Stamp;

    fn place(at: i64) -> Place {
        Place { stamp: Stamp::Int(at), id: None }
    }

    fn page(began: i64, rows: &[(i64, u64)], settled: Option<i64>) -> Changes {
        let change = |(id, fingerprint): &(i64, u64)| {
            let id = Some(ReportId::Int(*id));
            Change { entry: id.clone(), report: id, fingerprint: *fingerprint, seen: None, rejects: Vec::new() }
        };
        Changes {
            rows: rows.iter().map(change).collect(),
            began: Some(place(began)),
            settled: settled.map(place),
            ..Changes::default()
        }
    }

    fn ids(page: &Changes) -> Vec<i64> {
        let id = |row: &Change| match row.entry {
            Some(ReportId::Int(id)) => id,
            _ => panic!("an integer"),
        };
        page.rows.iter().map(id).collect()
    }

    /// One poll; gives what it found new.
    fn poll(cursor: &mut Cursor, clock: i64, mut found: Changes) -> Vec<i64> {
        let (clock, moment) = (Timestamp::from_secs(clock), Moment::default());
        cursor.begin(clock, clock, &moment);
        cursor.take(&mut found, &moment);
        cursor.end(clock, &moment);
        ids(&found)
    }

    #[test]
    fn what_is_read_again_unchanged_is_left_out_and_what_has_changed_is_not() {
        let mut cursor = Cursor::new(FeedKind::Changed, Span::from_secs(30));
        assert_eq!(poll(&mut cursor, 1, page(0, &[(1, 10), (2, 20)], Some(5))), [1, 2]);
        assert_eq!(poll(&mut cursor, 2, page(0, &[(1, 10), (2, 20), (3, 30)], Some(5))), [3]);
        // The same stamp, and yet another row: a column of whole seconds can't tell.
        assert_eq!(poll(&mut cursor, 3, page(0, &[(1, 10), (2, 21), (3, 30)], Some(5))), [2]);
    }

    #[test]
    fn a_poll_that_fails_in_the_middle_is_read_again_from_where_it_began() {
        let (mut cursor, moment) = (Cursor::new(FeedKind::Changed, Span::ZERO), Moment::default());
        assert_eq!(
            cursor.begin(Timestamp::from_secs(9), Timestamp::from_secs(9), &moment),
            Begin::Since(Timestamp::from_secs(9))
        );
        poll(&mut cursor, 1, page(0, &[(1, 10)], Some(5)));
        cursor.begin(Timestamp::from_secs(2), Timestamp::from_secs(2), &moment);
        cursor.take(&mut page(5, &[(2, 20)], Some(6)), &moment);
        // The connection is cut here: no end.
        assert_eq!(cursor.begin(Timestamp::from_secs(3), Timestamp::from_secs(3), &moment), Begin::Behind(place(0)));
        assert_eq!(poll(&mut cursor, 3, page(5, &[(2, 20), (3, 30)], Some(7))), [2, 3]);
    }

    #[test]
    fn a_column_that_changes_its_type_makes_the_cursor_begin_anew() {
        let mut cursor = Cursor::new(FeedKind::Received, Span::from_secs(2));
        poll(&mut cursor, 1, page(0, &[(1, 10)], Some(5)));
        poll(&mut cursor, 2, Changes { lost: true, ..Changes::default() });
        let begin = cursor.begin(Timestamp::from_secs(9), Timestamp::from_secs(9), &Moment::default());
        assert_eq!(begin, Begin::Since(Timestamp::from_secs(7)));
    }
}
